//! An interpreter as a console: each input, and what it prints on standard output.

use std::{io::Write, time::Duration};

use qlang::{
    Kind, QError,
    host::Host,
    session::{Budget, Session},
};
use serde::{Deserialize, Serialize};

/// Stack of the thread that an interpreter runs on.
pub const STACK: usize = 256 << 20;
/// Bytes that the values of an input may take.
const MEMORY: usize = 3 << 30;

/// What an input did, beside printing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Done {
    /// the input ended in an error
    pub error: bool,
    /// the random generator moved
    pub drew: bool,
}

/// A fresh interpreter.
pub struct Interpreter {
    session: Session,
    limit: Duration,
}

impl Interpreter {
    /// An interpreter over a host, with a time limit for each input.
    pub fn new(host: Box<dyn Host>, limit: Duration) -> Interpreter {
        let mut session = Session::new(host);
        session.budget(Budget {
            time: Some(limit),
            memory: Some(MEMORY),
            stack: STACK / 2,
            ..Budget::default()
        });
        Interpreter { session, limit }
    }

    /// Gives the console an input: what it shows is printed.
    pub fn input(&mut self, text: &str) -> Done {
        let before = self.session.settings().random;
        let outcome = self.session.console(text);
        let drew = self.session.settings().random != before;
        let (shown, error) = match outcome {
            Ok(text) => (text, false),
            Err(error) if matches!(error.kind(), Kind::Exit(_)) => (String::new(), false),
            Err(error) => (self.session.report(&error), true),
        };
        let mut out = std::io::stdout().lock();
        // Nobody reads it: the parent is gone, and so will this be.
        let _ = out.write_all(shown.as_bytes()).and_then(|()| out.flush());
        Done { error, drew }
    }

    /// Loads a file as `\l` does; the error as the console shows it.
    pub fn load(&mut self, path: &str) -> Result<(), (QError, String)> {
        self.session.load(path).map_err(|error| {
            let shown = self.session.report(&error);
            (error, shown)
        })
    }

    /// The time limit of an input.
    pub fn limit(&self) -> Duration {
        self.limit
    }
}
