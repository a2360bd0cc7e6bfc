//! What q takes from the world: files, sockets, clock, console, environment. An embedding fills what it allows;
//! each method's default refuses with `'access`.

use crate::{QError, R, value::Value};

/// The world around an interpreter.
pub trait Host: Send {
    /// Nanoseconds since 2000.01.01, UTC.
    fn now(&self) -> i64;

    /// Nanoseconds that local time is ahead of UTC at this UTC instant.
    fn zone(&self, _utc: i64) -> i64 {
        0
    }

    /// Writes to standard output (1) or standard error (2).
    fn print(&mut self, handle: i32, text: &[u8]) -> R<()>;

    /// The value of an environment variable.
    fn env(&self, _name: &str) -> R<String> {
        Err(QError::access())
    }

    /// Sets an environment variable for this interpreter.
    fn set_env(&mut self, _name: &str, _value: &str) -> R<()> {
        Err(QError::access())
    }

    /// Reads a range of a file, from `offset`, at most `length` bytes where given.
    fn read(&mut self, _path: &str, _offset: u64, _length: Option<u64>) -> R<Vec<u8>> {
        Err(QError::access())
    }

    /// Writes a file, in whole (`append` false) or at its end.
    fn write(&mut self, _path: &str, _bytes: &[u8], _append: bool) -> R<()> {
        Err(QError::access())
    }

    /// Everything else by name, so that the trait stays small: a message to an embedding that knows it.
    fn other(&mut self, name: &str, _args: Vec<Value>) -> R {
        Err(QError::new(format!("access {name}")))
    }
}

/// A host that gives nothing: the clock stands still and what is printed is kept.
#[derive(Debug, Default)]
pub struct Closed {
    /// what was printed
    pub printed: Vec<u8>,
}

impl Host for Closed {
    fn now(&self) -> i64 {
        0
    }

    fn print(&mut self, _handle: i32, text: &[u8]) -> R<()> {
        self.printed.extend_from_slice(text);
        Ok(())
    }
}
