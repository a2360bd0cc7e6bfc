//! Processes alone, each configured by its variables, that can be started, killed and started again in any
//! order. Ports are chosen once, so that a restarted process is where it was.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use testkit::{Mesh, Process, Up, http};

/// The program under test.
pub fn qmesh() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_qmesh"))
}

/// Starts `qmesh up` without blocking the test's reactor.
pub async fn up(up: Up) -> Mesh {
    let started = tokio::task::spawn_blocking(move || up.patience(Duration::from_secs(120)).start());
    started.await.expect("no panic").unwrap_or_else(|e| panic!("{e}"))
}

/// A port nobody listens on, below those the system gives to outgoing connections, so that no client of
/// another test takes it before the process does.
pub fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = (std::process::id() % 150) as u16 * 128;
    loop {
        let port = 10_000 + (base + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

struct Node {
    args: Vec<String>,
    envs: Vec<(String, String)>,
    http: SocketAddr,
    process: Option<Process>,
}

/// The processes of one mesh. Dropping it ends them.
pub struct Cluster {
    coordinator: u16,
    qipc: u16,
    nodes: BTreeMap<String, Node>,
}

impl Cluster {
    pub fn new() -> Cluster {
        Cluster { coordinator: port(), qipc: port(), nodes: BTreeMap::new() }
    }

    /// Where clients connect.
    pub fn qipc(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.qipc))
    }

    /// Makes a process known; it is not started. Its kind is what its name begins with: rc, gw, agg, or else a
    /// data process.
    pub fn add(&mut self, name: &str, more: &[(&str, &str)]) {
        let (kind, own, health) = match name.split('-').next() {
            Some("rc") => ("coordinator", self.coordinator, port()),
            Some("gw") => ("gateway", port(), port()),
            Some("agg") => ("aggregator", port(), port()),
            _ => ("data-access", port(), port()),
        };
        let mut envs = vec![
            ("KXI_NAME", name.to_string()),
            ("KXI_PORT", own.to_string()),
            ("KXI_SG_RC_ADDR", format!("127.0.0.1:{}", self.coordinator)),
            ("QMESH_HTTP_PORT", health.to_string()),
            ("QMESH_ADVERTISE", "127.0.0.1".into()),
        ];
        if kind == "gateway" {
            envs.extend([
                ("GATEWAY_QIPC_PORT", self.qipc.to_string()),
                ("GATEWAY_HTTP_PORT", health.to_string()),
            ]);
        }
        let envs = envs.into_iter().map(|(k, v)| (k.to_string(), v));
        let node = Node {
            args: vec![kind.into()],
            envs: envs.chain(more.iter().map(|(k, v)| (k.to_string(), v.to_string()))).collect(),
            http: SocketAddr::from(([127, 0, 0, 1], health)),
            process: None,
        };
        self.nodes.insert(name.into(), node);
    }

    /// Kills the coordinator and starts another in its place, with the defaults of one that knows nothing.
    pub fn replace_coordinator(&mut self) {
        self.kill("rc-0");
        self.add("rc-0", &[]);
        self.start("rc-0");
    }

    /// Makes a coordinator known that no other process has known another before: it is ready at once.
    pub fn first_coordinator(&mut self, more: &[(&str, &str)]) {
        self.add("rc-0", &[&[("QMESH_RC_SETTLE", "0")], more].concat());
    }

    /// One RC, one GW, two Aggs, and two replicas of a database, all started.
    pub fn over(db: &Path) -> Cluster {
        let mut cluster = Cluster::new();
        cluster.first_coordinator(&[]);
        ["gw-0", "agg-0", "agg-1"].iter().for_each(|name| cluster.add(name, &[]));
        let db = db.display().to_string();
        ["da-0", "da-1"].iter().for_each(|name| cluster.add(name, &[("QMESH_DB", db.as_str())]));
        let names: Vec<String> = cluster.nodes.keys().cloned().collect();
        names.iter().for_each(|name| cluster.start(name));
        cluster
    }

    fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap_or_else(|| panic!("no process {name} was added"))
    }

    pub fn start(&mut self, name: &str) {
        let node = self.node(name);
        let started = Process::start(name, &qmesh(), &node.args, &node.envs);
        node.process = Some(started.unwrap_or_else(|e| panic!("{e}")));
    }

    /// Kills a process as a crash would.
    pub fn kill(&mut self, name: &str) {
        self.node(name).process.take().unwrap_or_else(|| panic!("{name} does not run")).kill();
    }

    /// The id of a running process.
    pub fn id(&mut self, name: &str) -> u32 {
        self.node(name).process.as_ref().map(Process::id).unwrap_or_else(|| panic!("{name} does not run"))
    }

    /// What a process has printed.
    pub fn log(&mut self, name: &str) -> Vec<String> {
        let lines = self.node(name).process.as_ref().map(Process::lines).unwrap_or_default();
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// Status and body of a page of a process; `None` while nobody listens.
    pub fn page(&mut self, name: &str, path: &str) -> Option<(u16, String)> {
        http::get(self.node(name).http, path).ok()
    }

    /// The value of a metric without labels.
    pub fn metric(&mut self, name: &str, metric: &str) -> Option<f64> {
        let (_, text) = self.page(name, "/metrics")?;
        text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')?.trim().parse().ok())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (name, node) in &self.nodes {
                let tail = node.process.as_ref().map(Process::tail).unwrap_or_else(|| "not running".into());
                eprintln!("---- {name}\n{tail}");
            }
        }
    }
}
