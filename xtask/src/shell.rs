//! Running another program: its output is shown as it comes and can be read line by line.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use crate::error::Error;
use crate::tree;

/// One command line, run in the root of the repository unless said otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    program: OsString,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    unset: Vec<OsString>,
    dir: PathBuf,
}

impl Shell {
    /// `program` without arguments yet.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Shell {
            program: program.as_ref().into(),
            args: Vec::new(),
            envs: Vec::new(),
            unset: Vec::new(),
            dir: tree::root(),
        }
    }

    /// The cargo that runs this chore, without what it told this program of its own package: build scripts that look at
    /// such variables would run again, and all that depends on them, whenever a build by hand follows one by a chore.
    pub(crate) fn cargo() -> Self {
        let mut shell = Shell::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let told = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start));
        shell.unset =
            std::env::vars_os().map(|(name, _)| name).filter(|n| told(&n.to_string_lossy())).collect();
        shell
    }

    /// A program of the workspace in the debug build, built first where it is not up to date.
    ///
    /// All are built at once, with the tests: cargo chooses the features of a dependency for all that it builds in one
    /// run, so a program built by itself would compile much of the tree a second time.
    pub(crate) fn program(name: &str) -> Result<Self, Error> {
        static BUILT: OnceLock<()> = OnceLock::new();
        if BUILT.get().is_none() {
            Shell::cargo().args(["build", "--quiet", "--workspace", "--all-targets"]).run()?;
            let _ = BUILT.set(());
        }
        Ok(Shell::new(tree::debug(name)))
    }

    /// One more argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().into());
        self
    }

    /// More arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().into()));
        self
    }

    /// A variable of the program's environment.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.envs.push((name.as_ref().into(), value.as_ref().into()));
        self
    }

    /// The directory to run in.
    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = dir.as_ref().to_path_buf();
        self
    }

    /// Run it, output straight to the screen; an error where it fails.
    pub(crate) fn run(&self) -> Result<(), Error> {
        let status = self.command().stdin(Stdio::null()).status().map_err(|e| self.start_error(e))?;
        self.check(status)
    }

    /// Run it with our own input and output; an error where it fails.
    pub(crate) fn talk(&self) -> Result<(), Error> {
        let status = self.command().status().map_err(|e| self.start_error(e))?;
        self.check(status)
    }

    /// Run it, showing each line of its standard output after `see` has had it; the exit status.
    pub(crate) fn watch(&self, mut see: impl FnMut(&str)) -> Result<ExitStatus, Error> {
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| self.start_error(e))?;
        if let Some(out) = child.stdout.take() {
            let mut out = BufReader::new(out);
            let mut line = Vec::new();
            // Bytes, not str: what a program prints need not be UTF-8.
            while out.read_until(b'\n', &mut line).map_err(|e| self.start_error(e))? > 0 {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end_matches(['\n', '\r']);
                see(text);
                println!("{text}");
                line.clear();
            }
        }
        child.wait().map_err(|e| self.start_error(e))
    }

    /// Run it and give back its standard output; standard error goes to the screen.
    pub(crate) fn output(&self) -> Result<String, Error> {
        let output = self
            .command()
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| self.start_error(e))?;
        self.check(output.status)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Start it and give back its two ends, to talk with it line by line.
    pub(crate) fn converse(&self) -> Result<(Child, ChildStdin, ChildStdout), Error> {
        let piped = self.command().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = piped.map_err(|e| self.start_error(e))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok((child, input, output)),
            _ => Err(self.start_error(std::io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Whether it can be started and succeeds, without a word on the screen.
    pub(crate) fn succeeds(&self) -> bool {
        let quiet = self.command().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        quiet.is_ok_and(|status| status.success())
    }

    /// An error where `status` is a failure.
    pub(crate) fn check(&self, status: ExitStatus) -> Result<(), Error> {
        if status.success() {
            return Ok(());
        }
        Err(Error::Failed { command: self.to_string(), status: status.to_string() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        self.unset.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.args(&self.args).envs(self.envs.iter().map(|(k, v)| (k, v))).current_dir(&self.dir);
        command
    }

    fn start_error(&self, source: std::io::Error) -> Error {
        Error::Start { program: self.program.to_string_lossy().into_owned(), source }
    }
}

impl std::fmt::Display for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let program = Path::new(&self.program).file_name().unwrap_or(&self.program);
        write!(f, "{}", program.to_string_lossy())?;
        self.args.iter().try_for_each(|a| write!(f, " {}", a.to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_seen_and_a_failure_names_the_command() {
        let shell = Shell::new("sh").args(["-c", "echo one; echo two; exit 3"]);
        let mut seen = Vec::new();
        let status = shell.watch(|line| seen.push(line.to_string())).unwrap();
        assert_eq!(seen, ["one", "two"]);
        let error = shell.check(status).unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Shell::new("qmesh-no-such-program").run().unwrap_err().to_string();
        assert!(error.contains("qmesh-no-such-program"), "{error}");
    }
}
