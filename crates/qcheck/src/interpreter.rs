//! An interpreter whose console is kept: what it prints and what the console shows, in order.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use qlang::{
    Kind, QError,
    host::Host,
    session::{Budget, Session},
};

/// Stack of the thread that an interpreter runs on.
pub const STACK: usize = 256 << 20;
/// Bytes that the values of an input may take.
const MEMORY: usize = 3 << 30;

/// What an input gave.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// all that was printed and shown
    pub text: String,
    /// the input ended in an error
    pub error: bool,
    /// the random generator moved
    pub drew: bool,
    /// the code it called `exit` with
    pub exit: Option<i32>,
}

/// A fresh interpreter.
pub struct Interpreter {
    session: Session,
    printed: Printed,
    limit: Duration,
}

/// What was printed since it was last taken.
pub type Printed = Arc<Mutex<Vec<u8>>>;

impl Interpreter {
    /// An interpreter in a folder, with a time limit for each input.
    pub fn new(host: Box<dyn Host>, printed: Printed, limit: Duration) -> Interpreter {
        Interpreter { session: Session::new(host), printed, limit }
    }

    /// Gives the console an input.
    pub fn input(&mut self, text: &str) -> Shown {
        self.session.budget(self.budget());
        let before = self.session.settings().random;
        let outcome = self.session.console(text);
        let mut shown = Shown { drew: self.session.settings().random != before, ..Shown::default() };
        shown.text = self.taken();
        match outcome {
            Ok(text) => shown.text.push_str(&text),
            Err(error) => {
                if let Kind::Exit(code) = error.kind() {
                    shown.exit = Some(code);
                }
                shown.error = true;
                shown.text.push_str(&self.session.report(&error));
            }
        }
        shown
    }

    /// Loads a file as `\l` does; the error as the console shows it.
    pub fn load(&mut self, path: &str) -> Result<(), (QError, String)> {
        self.session.budget(self.budget());
        self.session.load(path).map_err(|error| {
            let shown = self.session.report(&error);
            (error, shown)
        })
    }

    fn budget(&self) -> Budget {
        Budget { time: Some(self.limit), memory: Some(MEMORY), stack: STACK / 2, ..Budget::default() }
    }

    fn taken(&self) -> String {
        let mut printed = self.printed.lock().unwrap_or_else(|p| p.into_inner());
        String::from_utf8_lossy(&std::mem::take(&mut *printed)).into_owned()
    }
}
