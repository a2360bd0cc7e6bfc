//! Loading script text: statements and system commands in order.

use std::sync::Arc;

use super::interp::Interp;
use crate::{
    Frame, QError, R,
    syntax::script::{Line, split},
    value::Value,
};

/// Most scripts that load one another.
const NESTED: usize = 100;

impl Interp {
    /// Loads a script by its path: errors say file and line.
    pub(crate) fn load_script(&mut self, path: &str) -> R<()> {
        let bytes = match (self.host.read(path, 0, None), super::samples::text(path)) {
            (Ok(bytes), _) => bytes,
            (Err(_), Some(text)) => text.into(),
            (Err(error), None) => return Err(error),
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.load_text(&text, path)
    }

    /// Runs the text of a script; the namespace is afterwards what it was before.
    pub(crate) fn load_text(&mut self, text: &str, path: &str) -> R<()> {
        if self.sources.len() > NESTED {
            return Err(QError::stack());
        }
        let file: Arc<str> = path.into();
        let before = self.context;
        let script = self.system.script.replace(path.to_owned());
        let got = self.lines(text, Some(&file));
        self.system.script = script;
        self.context = before;
        got.map(|_| ())
    }

    /// Runs lines; the value of the last statement.
    pub(crate) fn lines(&mut self, text: &str, file: Option<&Arc<str>>) -> R {
        let mut last = Value::Nil;
        // a file of k: operators may stand before a single operand
        let k = file.is_some_and(|f| f.ends_with(".k"));
        for line in split(text) {
            match line {
                Line::Statement { text, line } => {
                    let origin = file.map(|f| (f.clone(), line as usize));
                    let text = if k { format!("k){text}") } else { text };
                    last = self.run_text(&text, origin)?;
                }
                Line::System { text, line } => {
                    last = self.system(&text).map_err(|mut e| {
                        if let Some(f) = file {
                            if e.trace().is_empty() {
                                let text = format!("\\{text}").into();
                                e.push(Frame { name: String::new(), text, at: 0, file: None });
                            }
                            e.locate(f, line as usize);
                        }
                        e
                    })?;
                }
                Line::Language { letter: 'q', text, .. } => last = self.run_text(&text, None)?,
                Line::Language { letter: 'k', text, line } => {
                    let origin = file.map(|f| (f.clone(), line as usize));
                    last = self.run_text(&format!("k){text}"), origin)?;
                }
                Line::Language { letter, .. } => return Err(QError::new(format!("{letter})"))),
                Line::End => break,
            }
        }
        Ok(last)
    }
}
