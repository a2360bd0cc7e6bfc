//! Processes of one mesh by name, each with ports of its own that it keeps over restarts: they can be started,
//! stopped and killed one by one, in any order.
//!
//! [`crate::Separate`] is for those who want all of a mesh at once; this is for tests of what happens when parts
//! of it come and go.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use crate::{
    LaunchError, Process, http,
    ports::{local, port},
};

#[derive(Debug)]
struct Node {
    args: Vec<String>,
    envs: Vec<(String, String)>,
    http: SocketAddr,
    qipc: SocketAddr,
    process: Option<Process>,
}

/// The processes of one mesh. Drop ends the processes; in a panicking test drop prints the last lines of each process.
#[derive(Debug)]
pub struct Nodes {
    program: PathBuf,
    envs: Vec<(String, String)>,
    nodes: BTreeMap<String, Node>,
}

impl Nodes {
    /// None yet, of this program.
    pub fn new(program: impl AsRef<Path>) -> Nodes {
        Nodes { program: program.as_ref().to_path_buf(), envs: Vec::new(), nodes: BTreeMap::new() }
    }

    /// A variable of every process that is added from now on.
    pub fn env(&mut self, name: &str, value: &str) {
        self.envs.push((name.into(), value.into()));
    }

    /// Makes a process known; it is not started. Its kind is what its name begins with: `rc-`, `gw-`, `agg-`, or
    /// else a data process. It gets free ports, unless `more` says which.
    pub fn add(&mut self, name: &str, more: &[(&str, &str)]) {
        let kind = match name.split('-').next() {
            Some("rc") => "coordinator",
            Some("gw") => "gateway",
            Some("agg") => "aggregator",
            _ => "data-access",
        };
        let said = |name: &str| more.iter().rev().find(|(n, _)| *n == name).and_then(|(_, v)| v.parse().ok());
        // What clients connect to is not what the links of a gateway come to.
        let own = said("KXI_PORT").unwrap_or_else(port);
        let clients =
            said("GATEWAY_QIPC_PORT").unwrap_or_else(|| if kind == "gateway" { port() } else { own });
        let health = said("QMESH_HTTP_PORT").unwrap_or_else(port);
        let mut envs = vec![
            ("KXI_NAME", name.to_string()),
            ("KXI_PORT", own.to_string()),
            ("QMESH_HTTP_PORT", health.to_string()),
            ("QMESH_ADVERTISE", "127.0.0.1".into()),
        ];
        if kind == "gateway" {
            envs.push(("GATEWAY_QIPC_PORT", clients.to_string()));
            envs.push(("GATEWAY_HTTP_PORT", health.to_string()));
        }
        let envs = envs.into_iter().map(|(k, v)| (k.to_string(), v));
        let more = more.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        let node = Node {
            args: vec![kind.into()],
            envs: self.envs.iter().cloned().chain(envs).chain(more).collect(),
            http: local(health),
            qipc: local(clients),
            process: None,
        };
        self.nodes.insert(name.into(), node);
    }

    /// Names of all, in order.
    pub fn names(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    /// `host:port` of the nodes with this name prefix, as a comma list.
    pub fn addresses(&self, kind: &str) -> String {
        let of = self.nodes.iter().filter(|(name, _)| name.starts_with(kind));
        of.map(|(_, n)| n.qipc.to_string()).collect::<Vec<_>>().join(",")
    }

    fn node(&self, name: &str) -> &Node {
        self.nodes.get(name).unwrap_or_else(|| panic!("no process {name} was added"))
    }

    fn running(&mut self, name: &str) -> &mut Option<Process> {
        &mut self.nodes.get_mut(name).unwrap_or_else(|| panic!("no process {name} was added")).process
    }

    /// Starts one.
    pub fn start(&mut self, name: &str) {
        let node = self.node(name);
        let started = Process::start(name, &self.program, &node.args, &node.envs);
        *self.running(name) = Some(started.unwrap_or_else(|e| panic!("{e}")));
    }

    /// Starts all, in the order of their names.
    pub fn start_all(&mut self) {
        self.names().iter().for_each(|name| self.start(name));
    }

    /// Kills one as a crash would.
    pub fn kill(&mut self, name: &str) {
        self.running(name).take().unwrap_or_else(|| panic!("{name} does not run")).kill();
    }

    /// Halts a node (SIGSTOP), so that its requests stay until the node is killed.
    pub fn freeze(&mut self, name: &str) -> Result<(), LaunchError> {
        self.running(name).as_ref().unwrap_or_else(|| panic!("{name} does not run")).freeze()
    }

    /// Asks one to end, as an orchestrator does; [`Nodes::ended`] says when it has.
    pub fn terminate(&mut self, name: &str) -> Result<(), LaunchError> {
        self.running(name).as_ref().unwrap_or_else(|| panic!("{name} does not run")).terminate()
    }

    /// How it ended and what it said last; `None` while it runs.
    pub fn ended(&mut self, name: &str) -> Option<(ExitStatus, String)> {
        let process = self.running(name);
        let status = process.as_mut()?.ended()?;
        process.take().map(|p| (status, p.tail()))
    }

    /// The id of one that runs.
    pub fn id(&self, name: &str) -> u32 {
        self.node(name).process.as_ref().map(Process::id).unwrap_or_else(|| panic!("{name} does not run"))
    }

    /// What one that runs has printed.
    pub fn log(&self, name: &str) -> Vec<String> {
        let lines = self.node(name).process.as_ref().map(Process::lines).unwrap_or_default();
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// The QIPC address: of a gateway for clients, of other nodes for peers.
    pub fn qipc(&self, name: &str) -> SocketAddr {
        self.node(name).qipc
    }

    /// Where its pages are.
    pub fn http(&self, name: &str) -> SocketAddr {
        self.node(name).http
    }

    /// Status and body of a page; `None` while nobody listens.
    pub fn page(&self, name: &str, path: &str) -> Option<(u16, String)> {
        http::get(self.http(name), path).ok()
    }

    /// The value of a metric, its labels included in the name.
    pub fn metric(&self, name: &str, metric: &str) -> Option<f64> {
        let (_, text) = self.page(name, "/metrics")?;
        text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')?.trim().parse().ok())
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (name, node) in &self.nodes {
                let tail = node.process.as_ref().map(Process::tail).unwrap_or_else(|| "not running".into());
                eprintln!("---- {name}\n{tail}");
            }
        }
    }
}
