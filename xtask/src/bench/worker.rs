//! A side of a bench: a program that measures itself.
//!
//! It prepares, prints `ready`, and then for each line `run` on its standard input does its work once and prints
//! one line: a JSON object of numbers, for instance `{"seconds": 0.0123}`. Anything it has to say to people goes
//! to its standard error. It ends when its input does.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use super::turns::Sample;
use crate::error::Error;
use crate::shell::Shell;

/// A running side.
pub(super) struct Worker {
    name: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Start the program and wait until it is ready.
    pub(super) fn start(name: &str, shell: &Shell) -> Result<Self, Error> {
        let (child, input, output) = shell.converse()?;
        let mut worker = Worker { name: name.into(), child, input, output: BufReader::new(output) };
        match worker.line()?.as_str() {
            "ready" => Ok(worker),
            other => Err(worker.odd(format!("printed `{other}` where `ready` was expected"))),
        }
    }

    /// What the table calls it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Let it work once.
    pub(super) fn sample(&mut self) -> Result<Sample, Error> {
        self.input
            .write_all(b"run\n")
            .and_then(|()| self.input.flush())
            .map_err(|e| self.odd(e.to_string()))?;
        let line = self.line()?;
        let numbers: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&line).map_err(|e| self.odd(format!("printed `{line}`: {e}")))?;
        Ok(numbers.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect())
    }

    fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err(self.odd("ended early".into())),
            Ok(_) => Ok(line.trim_end().to_string()),
            Err(error) => Err(self.odd(error.to_string())),
        }
    }

    fn odd(&self, why: String) -> Error {
        Error::Other(format!("bench side `{}`: {why}; see what it printed above", self.name))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_asked_once_per_sample() {
        let script = r#"echo ready; n=0; while read line; do n=$((n+1)); echo "{\"seconds\": $n.5}"; done"#;
        let mut worker = Worker::start("shell", &Shell::new("sh").args(["-c", script])).unwrap();
        assert_eq!(worker.sample().unwrap()["seconds"], 1.5);
        assert_eq!(worker.sample().unwrap()["seconds"], 2.5);
    }

    #[test]
    fn a_side_that_dies_is_named() {
        let mut worker =
            Worker::start("shell", &Shell::new("sh").args(["-c", "echo ready; read line"])).unwrap();
        let error = worker.sample().unwrap_err().to_string();
        assert!(error.contains("shell") && error.contains("ended early"), "{error}");
    }
}
