//! `qmesh up` on free ports: the whole gateway in one process, as a laptop runs it.
//!
//! ```no_run
//! # fn main() -> Result<(), testkit::LaunchError> {
//! # let qmesh = std::path::Path::new("qmesh"); // in a test of the crate qmesh: env!("CARGO_BIN_EXE_qmesh")
//! let mesh = testkit::Up::new(qmesh).db("tests/data/kdb-hdb", "").replicas(2).start()?;
//! println!("clients connect to {}, curl to http://{}", mesh.qipc(), mesh.http());
//! # Ok(()) }
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{LaunchError, Process, http};

/// How long a mesh may take to become ready.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What to start: databases, counts, further flags and variables.
#[derive(Debug, Clone)]
pub struct Up {
    program: PathBuf,
    args: Vec<String>,
    envs: Vec<(String, String)>,
    patience: Duration,
}

impl Up {
    /// `program up` with nothing else said.
    pub fn new(program: impl AsRef<Path>) -> Self {
        let args = ["up", "--qipc-port", "0", "--http-port", "0"].map(String::from).to_vec();
        Up { program: program.as_ref().to_path_buf(), args, envs: Vec::new(), patience: PATIENCE }
    }

    /// Serve the database in `dir`, with labels as `k=v,k=v` (empty: none).
    pub fn db(self, dir: impl AsRef<Path>, labels: &str) -> Self {
        let separator = if labels.is_empty() { "" } else { "," };
        let value = format!("{}{separator}{labels}", dir.as_ref().display());
        self.arg("--db").arg(value)
    }

    /// Data processes per database.
    pub fn replicas(self, n: usize) -> Self {
        self.arg("--replicas").arg(n.to_string())
    }

    /// Aggregators.
    pub fn aggregators(self, n: usize) -> Self {
        self.arg("--aggregators").arg(n.to_string())
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// How long it may take to become ready, [`PATIENCE`] where not said.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Start it and wait until it is ready.
    pub fn start(&self) -> Result<Mesh, LaunchError> {
        let mut process = Process::start("qmesh up", &self.program, &self.args, &self.envs)?;
        let missing = "no QIPC and HTTP address in its output";
        let (qipc, http) = process.wait_for(self.patience, missing, |p| addresses(&p.output()))?;
        let ready =
            |_: &Process| http::get(http, "/readyz").is_ok_and(|(status, _)| status == 200).then_some(());
        process.wait_for(self.patience, "GET /readyz is not 200", ready)?;
        Ok(Mesh { process, qipc, http })
    }
}

/// A running `qmesh up`. Dropping it ends it.
#[derive(Debug)]
pub struct Mesh {
    process: Process,
    qipc: SocketAddr,
    http: SocketAddr,
}

impl Mesh {
    /// Where QIPC clients connect.
    pub fn qipc(&self) -> SocketAddr {
        self.qipc
    }

    /// Where HTTP clients connect.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The process: its id, its output, its end.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The addresses that `qmesh up` prints when it is ready: a line `QIPC host:port` and a line `HTTP http://host:port`.
/// `None` while one of them is missing.
fn addresses(lines: &[String]) -> Option<(SocketAddr, SocketAddr)> {
    let after = |word: &str| {
        let mut rests = lines.iter().filter_map(|line| line.trim_start().strip_prefix(word));
        rests.find_map(|rest| leading_address(rest.trim_start().trim_start_matches("http://")))
    };
    Some((after("QIPC ")?, after("HTTP ")?))
}

/// The address that `text` starts with; `localhost` is loopback.
fn leading_address(text: &str) -> Option<SocketAddr> {
    let (host, rest) = text.split_once(':')?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let host = if matches!(host, "localhost" | "0.0.0.0") { "127.0.0.1" } else { host };
    format!("{host}:{port}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(String, String)> {
        let lines: Vec<String> = text.lines().map(String::from).collect();
        addresses(&lines).map(|(q, h)| (q.to_string(), h.to_string()))
    }

    #[test]
    fn addresses_are_found_in_what_up_prints() {
        let both = Some(("127.0.0.1:5040".to_string(), "127.0.0.1:8080".to_string()));
        assert_eq!(found("ready after 1 s\n  QIPC  127.0.0.1:5040\n  HTTP  http://127.0.0.1:8080\n"), both);
        assert_eq!(found("HTTP http://localhost:8080/\nQIPC localhost:5040"), both);
    }

    #[test]
    fn half_of_the_addresses_is_not_enough() {
        assert_eq!(found("QIPC 127.0.0.1:5040"), None);
        assert_eq!(found("http://127.0.0.1:8080"), None);
        assert_eq!(found("reading QIPC vectors at 10:30:00\nHTTP http://127.0.0.1:8080"), None);
    }
}
