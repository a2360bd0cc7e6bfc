//! One process of a test cluster: started inside its namespaces, killed and started again at will.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::ClusterError;
use super::space::{Enter, kill, only_child};

/// A program of the cluster and its arguments, which stay the same over restarts.
#[derive(Debug)]
pub(crate) struct Component {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    /// `nsenter`, which waits for its only child: the program.
    running: Option<Child>,
}

impl Component {
    pub(crate) fn new(name: &str, program: PathBuf, args: Vec<String>, logs: &Path) -> Component {
        Component {
            name: name.to_string(),
            program,
            args,
            log: logs.join(format!("{name}.log")),
            running: None,
        }
    }

    pub(crate) fn start(&mut self, enter: Enter) -> Result<(), ClusterError> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(ClusterError::file(&self.log))?;
        let errors = log.try_clone().map_err(ClusterError::file(&self.log))?;
        let mut command: Command = enter.inside(&self.program);
        command.args(&self.args).stdin(Stdio::null()).stdout(log).stderr(errors);
        let started = command.spawn();
        self.running =
            Some(started.map_err(|source| ClusterError::Start { program: self.name.clone(), source })?);
        Ok(())
    }

    /// `kill -9`, and wait for its end.
    pub(crate) fn kill(&mut self) {
        let Some(mut nsenter) = self.running.take() else { return };
        match only_child(nsenter.id()) {
            Some(program) => kill(program),
            // It ended by itself.
            None => drop(nsenter.kill()),
        }
        // The end of a killed process is all that is waited for.
        let _ = nsenter.wait();
    }

    /// Process id on this machine, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().and_then(|nsenter| only_child(nsenter.id()))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}
