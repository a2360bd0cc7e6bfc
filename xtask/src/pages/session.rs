//! What the blocks of pages run in: a scratch folder, the programs by the names of the pages, and a mesh on the ports
//! that the pages name, in a network namespace where nothing else listens.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::tree;

/// How long a mesh may take until it is ready, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one block may run.
const LIMIT: &str = "60";
/// Names that scripts of pages use: `cargo run --release --` is the built program, and chores only read their flags.
const NAMES: &str = r#"
cargo() {
  case "$1" in
    run) while [[ $1 != -- ]]; do shift; done; shift; qmesh "$@" ;;
    xtask) shift; "$PAGES_XTASK" "$@" --help >/dev/null ;;
    *) echo "cargo $*: not a command that pages use" >&2; return 2 ;;
  esac
}
"#;

/// What ran: whether it succeeded, and what it printed.
pub(super) struct Ran {
    pub(super) success: bool,
    pub(super) out: String,
    pub(super) err: String,
}

pub(super) struct Session {
    dir: PathBuf,
    mesh: Option<(Running, bool)>,
}

impl Session {
    /// A scratch folder with the programs and the folder `data/hdb`.
    pub(super) fn new() -> Result<Session, Error> {
        let dir = tree::target().join("xtask").join(format!("pages-{}", std::process::id()));
        let session = Session { dir, mesh: None };
        let (bin, data) = (session.dir.join("bin"), session.dir.join("data"));
        for folder in [&bin, &data] {
            std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        }
        let link =
            |from: PathBuf, to: PathBuf| std::os::unix::fs::symlink(&from, &to).map_err(Error::file(to));
        let absolute = |path: PathBuf| path.canonicalize().map_err(Error::file(path));
        link(absolute(tree::debug("qmesh"))?, bin.join("qmesh"))?;
        link(absolute(tree::debug("kubectl-qmesh"))?, bin.join("kubectl-qmesh"))?;
        for name in ["hdb", "eu", "us"] {
            link(tree::root().join("tests/data/kdb-hdb"), data.join(name))?;
        }
        session.write("names.sh", NAMES)?;
        Ok(session)
    }

    /// Write a file of the scratch folder.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.dir.join(name);
        std::fs::write(&path, text).map_err(Error::file(&path))?;
        Ok(path)
    }

    /// A script as the pages have it: `/data/` is a folder of this session.
    fn script(&self, text: &str) -> String {
        text.replace("/data/", &format!("{}/data/", self.dir.display()))
    }

    fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command.current_dir(&self.dir).stdin(Stdio::null());
        command.env("PATH", format!("{}:{path}", self.dir.join("bin").display()));
        command.env("BASH_ENV", self.dir.join("names.sh")).env("PYTHONDONTWRITEBYTECODE", "1");
        if let Ok(own) = std::env::current_exe() {
            command.env("PAGES_XTASK", own);
        }
        command
    }

    /// Run a script of the shell to its end.
    pub(super) fn shell(&self, script: &str) -> Result<Ran, Error> {
        let script = self.script(script);
        self.run(self.command("timeout").args([LIMIT, "bash", "-euo", "pipefail", "-c", &script]))
    }

    /// Run a program to its end.
    pub(super) fn program(&self, program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Ran, Error> {
        let mut command = self.command("timeout");
        self.run(command.arg(LIMIT).arg(program).args(args).envs(env.iter().copied()))
    }

    fn run(&self, command: &mut Command) -> Result<Ran, Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        let output = command.output().map_err(|source| Error::Start { program, source })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ran { success: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) })
    }

    /// Start what a script starts, without waiting for its end.
    pub(super) fn start(&self, script: &str) -> Result<Running, Error> {
        use std::os::unix::process::CommandExt as _;
        let log = self.dir.join("running.log");
        let out = std::fs::File::create(&log).map_err(Error::file(&log))?;
        let err = out.try_clone().map_err(Error::file(&log))?;
        let mut command = self.command("bash");
        command.args(["-c", &self.script(script)]).stdout(out).stderr(err).process_group(0);
        let child = command.spawn().map_err(|source| Error::Start { program: "bash".into(), source })?;
        Ok(Running { child, log })
    }

    /// A mesh that answers on the ports of the pages; an earlier one goes on where it is of the same kind.
    pub(super) fn mesh(&mut self, live: bool) -> Result<(), Error> {
        if self.mesh.as_ref().is_some_and(|(_, of)| *of == live) {
            return Ok(());
        }
        self.stop()?;
        let mut running = self.start(if live { "qmesh up --live" } else { "qmesh up" })?;
        running.wait_for("/readyz")?;
        if live {
            // The page shows what is there after five seconds.
            std::thread::sleep(Duration::from_secs(5));
        }
        self.mesh = Some((running, live));
        Ok(())
    }

    /// End the mesh, where there is one.
    pub(super) fn stop(&mut self) -> Result<(), Error> {
        self.mesh.take().map_or(Ok(()), |(running, _)| running.end())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("xtask: the mesh of the pages: {error}");
        }
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            eprintln!("xtask: {} stays: {error}", self.dir.display());
        }
    }
}

/// Processes in a group of their own, until they are ended.
pub(super) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Wait until `path` of the gateway's HTTP port answers 200.
    pub(super) fn wait_for(&mut self, path: &str) -> Result<(), Error> {
        let since = Instant::now();
        let url = format!("http://127.0.0.1:8080{path}");
        loop {
            let mut curl = Command::new("curl");
            let asked = curl.args(["-sf", "-m", "2", "-o", "/dev/null", &url]).status();
            if asked.is_ok_and(|status| status.success()) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Error::Other(format!("it ended with {status}: {}", self.said())));
            }
            if since.elapsed() > PATIENCE {
                return Err(Error::Other(format!(
                    "{path} did not answer in {} s: {}",
                    PATIENCE.as_secs(),
                    self.said()
                )));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn said(&self) -> String {
        last_lines(&self.log)
    }

    /// Interrupt the group; an error where it does not end with success.
    pub(super) fn end(mut self) -> Result<(), Error> {
        self.signal("INT");
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if let Ok(Some(status)) = self.child.try_wait() {
                return match status.success() {
                    true => Ok(()),
                    false => {
                        Err(Error::Other(format!("interrupted, it ended with {status}: {}", self.said())))
                    }
                };
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(Error::Other(format!("it did not end in {} s after an interrupt", PATIENCE.as_secs())))
    }

    fn signal(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        // The group may have ended by itself.
        let _ = Command::new("kill").args(["-s", name, "--", &group]).stderr(Stdio::null()).status();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal("KILL");
        let _ = self.child.wait();
    }
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
