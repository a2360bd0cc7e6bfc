//! One program under test: its output is read as it comes, and it is ended by its own id when dropped.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::LaunchError;

/// Lines of output that are kept; older ones are dropped.
pub const KEPT_LINES: usize = 2_000;
/// Lines of output that an error shows.
const SHOWN_LINES: usize = 30;
/// How often a condition is looked at while waiting.
const POLL: Duration = Duration::from_millis(20);

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Mutex<VecDeque<(Stream, String)>>>,
}

/// Where a line was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// standard output: what the program has to say
    Output,
    /// standard error: its log
    Error,
}

impl Process {
    /// Start `program`. `name` is what errors call it.
    pub fn start(
        name: &str,
        program: &Path,
        args: &[String],
        envs: &[(String, String)],
    ) -> Result<Self, LaunchError> {
        let mut command = Command::new(program);
        // The variables of whoever runs the tests must not configure the program under test.
        for (key, _) in std::env::vars_os() {
            let text = key.to_string_lossy();
            if ["KXI_", "KX_", "QMESH_", "GATEWAY_", "KDB_"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&key);
            }
        }
        command.args(args).envs(envs.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = |source| LaunchError::Start { program: program.to_path_buf(), source };
        let mut child = command.spawn().map_err(start)?;
        let output = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(out) = child.stdout.take() {
            collect(Stream::Output, out, Arc::clone(&output));
        }
        if let Some(err) = child.stderr.take() {
            collect(Stream::Error, err, Arc::clone(&output));
        }
        Ok(Process { name: name.into(), child, output })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lines printed so far, oldest first, at most [`KEPT_LINES`] of both streams together.
    pub fn lines(&self) -> Vec<(Stream, String)> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Those of standard output.
    pub fn output(&self) -> Vec<String> {
        self.lines()
            .into_iter()
            .filter(|(stream, _)| *stream == Stream::Output)
            .map(|(_, line)| line)
            .collect()
    }

    /// How it ended, `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Wait until `ready` gives a value. An error where the process ends first or `patience` runs out;
    /// `missing` says what was waited for.
    pub fn wait_for<T>(
        &mut self,
        patience: Duration,
        missing: &str,
        mut ready: impl FnMut(&Process) -> Option<T>,
    ) -> Result<T, LaunchError> {
        let start = Instant::now();
        loop {
            if let Some(value) = ready(self) {
                return Ok(value);
            }
            if let Some(status) = self.ended() {
                // Its last words may still be on their way through the reader threads.
                thread::sleep(POLL);
                let (name, status) = (self.name.clone(), status.to_string());
                return Err(LaunchError::Ended { name, status, tail: self.tail() });
            }
            if start.elapsed() > patience {
                let (name, missing) = (self.name.clone(), missing.to_string());
                return Err(LaunchError::NotReady { name, waited: patience, missing, tail: self.tail() });
            }
            thread::sleep(POLL);
        }
    }

    /// Ask it to end (SIGTERM), as an orchestrator does.
    pub fn terminate(&self) -> Result<(), LaunchError> {
        self.signal("-TERM")
    }

    /// Halt it where it is (SIGSTOP): the process accepts connections and does nothing, until killed.
    pub fn freeze(&self) -> Result<(), LaunchError> {
        self.signal("-STOP")
    }

    fn signal(&self, signal: &str) -> Result<(), LaunchError> {
        let start = |source| LaunchError::Start { program: "kill".into(), source };
        let status = Command::new("kill").args([signal, &self.id().to_string()]).status().map_err(start)?;
        match status.success() {
            true => Ok(()),
            false => {
                Err(start(std::io::Error::other(format!("kill {signal} {} ended with {status}", self.id()))))
            }
        }
    }

    /// Kill it now and wait for its end: what a crash looks like to the others.
    pub fn kill(&mut self) {
        // The process may have ended by itself: then kill has nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The last lines it printed, for an error or a failing test.
    pub fn tail(&self) -> String {
        let lines: Vec<String> = self.lines().into_iter().map(|(_, line)| line).collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn collect(name: Stream, stream: impl Read + Send + 'static, into: Arc<Mutex<VecDeque<(Stream, String)>>>) {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_string();
            let mut lines = into.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == KEPT_LINES {
                lines.pop_front();
            }
            lines.push_back((name, text));
            line.clear();
        }
    });
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str) -> Process {
        Process::start("sh", Path::new("sh"), &["-c".into(), script.into()], &[]).unwrap()
    }

    #[test]
    fn output_of_both_streams_is_seen_while_it_runs() {
        let mut process = sh("echo out; echo err >&2; sleep 60");
        let both = |p: &Process| (p.lines().len() == 2).then(|| p.lines());
        let mut lines = process.wait_for(Duration::from_secs(10), "two lines", both).unwrap();
        lines.sort_by_key(|(stream, _)| *stream == Stream::Error);
        assert_eq!(lines, [(Stream::Output, "out".to_string()), (Stream::Error, "err".to_string())]);
        assert_eq!(process.output(), ["out"]);
        assert!(process.ended().is_none());
    }

    #[test]
    fn an_early_end_is_told_with_the_last_words() {
        let mut process = sh("echo no such database; exit 2");
        let error =
            process.wait_for(Duration::from_secs(10), "readiness", |_| None::<()>).unwrap_err().to_string();
        assert!(error.contains("no such database") && error.contains('2'), "{error}");
    }

    #[test]
    fn patience_ends() {
        let mut process = sh("sleep 60");
        let error = process.wait_for(Duration::from_millis(50), "readiness", |_| None::<()>).unwrap_err();
        assert!(error.to_string().contains("readiness"), "{error}");
    }
}
