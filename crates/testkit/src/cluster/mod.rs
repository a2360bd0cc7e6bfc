//! A real Kubernetes for tests: etcd, API server, controllers, scheduler, kubelet, containerd, kube-proxy and CoreDNS,
//! in namespaces of their own, ready in seconds, gone without a trace. Linux, as root.
//!
//! ```text
//! this machine ── unshare ─▶ process 1 (init.sh) ── ends when our end of its input closes
//!                               ├─ etcd, kube-apiserver, kube-controller-manager, kube-scheduler
//!                               ├─ containerd ─▶ pods      10.244.0.0/24, services 10.96.0.0/16
//!                               └─ kubelet, kube-proxy, coredns          node 10.123.0.1
//! ```
//!
//! Several may run at once: all have the same addresses, each in its own network. What talks to one enters its
//! network first ([`Enter`]).

mod component;
mod error;
mod parts;
mod pki;
mod run;
mod space;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use component::Component;
pub use error::ClusterError;
pub use parts::Part;
use pki::Pki;
use run::output;
pub use run::wait_for;
pub use space::Enter;
use space::Space;

/// Longest time for one step of a start; on a free machine all of them take five seconds.
const START_PATIENCE: Duration = Duration::from_secs(90);

/// How much of a cluster to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything: pods run.
    Full,
    /// etcd and API server alone: objects are stored, nothing acts on them.
    ApiOnly,
}

/// What a cluster is started from.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of the Kubernetes programs that `cargo xtask e2e` builds.
    pub tools: PathBuf,
    /// OCI archives to import before the first pod: the pause image among them, see [`PAUSE_IMAGE`].
    pub images: Vec<PathBuf>,
    /// How much to start.
    pub kind: Kind,
}

/// Name under which the kubelet asks for the container that holds a pod's network.
pub const PAUSE_IMAGE: &str = "qmesh.test/pause:1";

/// A running cluster; dropped, it is gone.
#[derive(Debug)]
pub struct Cluster {
    // Dropped before the components: the space kills the processes, then the components wait for their ends.
    space: Option<Space>,
    components: BTreeMap<Part, Component>,
    options: Options,
    state: PathBuf,
}

impl Cluster {
    /// Start one and wait until it is ready: the node, the default service account, names.
    pub fn start(options: Options) -> Result<Cluster, ClusterError> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        check_machine(options.kind)?;
        sweep();
        let cgroup =
            format!("{}{}-{}", space::PREFIX, std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let state = std::env::temp_dir().join(&cgroup);
        let pki = Pki::make(&state.join("pki"))?;
        parts::write_files(&state, &cgroup, &pki)?;
        let logs = state.join("logs");
        fs::create_dir_all(&logs).map_err(ClusterError::file(&logs))?;
        let space = Space::make(&state, &cgroup)?;
        let mut cluster = Cluster { space: Some(space), components: BTreeMap::new(), options, state };
        cluster.launch(Part::Etcd)?;
        if cluster.options.kind == Kind::Full {
            cluster.launch(Part::Containerd)?;
        }
        cluster.wait_listening(Part::Etcd, 2379)?;
        cluster.launch(Part::ApiServer)?;
        if cluster.options.kind == Kind::Full {
            cluster.import_images()?;
        }
        cluster.wait_api()?;
        if cluster.options.kind == Kind::Full {
            cluster.launch_nodes()?;
        }
        Ok(cluster)
    }

    fn launch_nodes(&mut self) -> Result<(), ClusterError> {
        for part in [Part::ControllerManager, Part::Scheduler, Part::Kubelet, Part::KubeProxy] {
            self.launch(part)?;
        }
        let rbac = self.state.join("conf/coredns-rbac.yaml");
        output(self.kubectl().args(["apply", "-f"]).arg(rbac))?;
        self.launch(Part::CoreDns)?;
        self.wait_kubectl(
            "the node is ready",
            &["wait", "node/n1", "--for=condition=Ready", "--timeout=1s"],
        )?;
        self.wait_kubectl("the default service account", &["get", "serviceaccount", "default"])?;
        self.wait_http(Part::CoreDns, 8181, "/ready")
    }

    /// A way into the cluster's network and processes.
    pub fn enter(&self) -> Enter {
        self.space.as_ref().expect("there until dropped").enter()
    }

    /// kubectl with all rights.
    pub fn kubectl(&self) -> Command {
        let mut command = self.enter().network(self.options.tools.join("kubectl"));
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// The kubeconfig of the administrator; its address is that within [`Cluster::enter`]'s network.
    pub fn kubeconfig(&self) -> PathBuf {
        self.state.join("conf/admin.kubeconfig")
    }

    /// One line of JSON for each write call that the API server answered.
    pub fn audit_log(&self) -> PathBuf {
        self.state.join("audit.log")
    }

    /// Directory with one log per component.
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// Control groups of the pods are below this name.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// `kill -9` of one component; the others go on.
    pub fn kill(&mut self, part: Part) {
        if let Some(component) = self.components.get_mut(&part) {
            component.kill();
        }
    }

    /// Start a component: a killed component, or a component outside the defaults of this kind of cluster.
    pub fn launch(&mut self, part: Part) -> Result<(), ClusterError> {
        let enter = self.enter();
        let component = self.components.entry(part).or_insert_with(|| {
            let program = match part {
                // Of the machine, not of the tools: it comes with the packages.
                Part::Containerd => PathBuf::from("containerd"),
                _ => self.options.tools.join(part.program()),
            };
            Component::new(part.program(), program, part.args(&self.state), &self.state.join("logs"))
        });
        component.kill();
        component.start(enter)
    }

    /// Start kwok with its stages, for nodes and pods that are objects only.
    pub fn launch_kwok(&mut self, stages: &str) -> Result<(), ClusterError> {
        let file = self.state.join("conf/kwok.yaml");
        fs::write(&file, stages).map_err(ClusterError::file(&file))?;
        self.launch(Part::Kwok)
    }

    /// Process id of a component on this machine.
    pub fn pid(&self, part: Part) -> Option<u32> {
        self.components.get(&part).and_then(Component::pid)
    }

    /// Wait until the API server answers.
    pub fn wait_api(&self) -> Result<(), ClusterError> {
        self.wait_kubectl("the API server is ready", &["get", "--raw", "/readyz"])
    }

    fn import_images(&self) -> Result<(), ClusterError> {
        let socket = self.enter().path("/run/containerd/containerd.sock");
        wait_for("containerd listens", START_PATIENCE, || {
            let ready = output(Command::new("ctr").arg("-a").arg(&socket).args(["version"]));
            ready.map_err(|error| self.explain(Part::Containerd, &error.to_string()))
        })?;
        for image in &self.options.images {
            let mut import = Command::new("ctr");
            import
                .arg("-a")
                .arg(&socket)
                .args(["-n", "k8s.io", "images", "import", "--no-unpack"])
                .arg(image);
            output(&mut import)?;
        }
        Ok(())
    }

    fn wait_kubectl(&self, what: &str, args: &[&str]) -> Result<(), ClusterError> {
        wait_for(what, START_PATIENCE, || {
            output(self.kubectl().args(args)).map_err(|e| self.explain(Part::ApiServer, &e.to_string()))
        })
        .map(|_| ())
    }

    fn wait_listening(&self, part: Part, port: u16) -> Result<(), ClusterError> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for(&format!("{} listens", part.program()), START_PATIENCE, || {
            let tried = self.enter().run(move || std::net::TcpStream::connect(address));
            let tried = tried.map_err(|error| error.to_string())?;
            tried.map_err(|error| self.explain(part, &error.to_string()))
        })
        .map(|_| ())
    }

    fn wait_http(&self, part: Part, port: u16, path: &'static str) -> Result<(), ClusterError> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for(&format!("{} is ready", part.program()), START_PATIENCE, || {
            let answer = self.enter().run(move || crate::http::get(address, path));
            match answer.map_err(|error| error.to_string())? {
                Ok((200, _)) => Ok(()),
                Ok((status, body)) => Err(self.explain(part, &format!("status {status}: {body}"))),
                Err(error) => Err(self.explain(part, &error.to_string())),
            }
        })
    }

    fn explain(&self, part: Part, error: &str) -> String {
        let log = self.components.get(&part).map(|c| format!("{} said:\n{}", c.name(), c.tail()));
        format!("{error}\n{}", log.unwrap_or_default())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.space = None;
        for component in self.components.values_mut() {
            component.kill();
        }
        if std::env::var_os("QMESH_KEEP_CLUSTER_STATE").is_some() {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.state) {
            eprintln!("test cluster: {}: {error}", self.state.display());
        }
    }
}

/// Commands that a cluster needs of the machine, and the Debian packages that have them.
const NEEDS: [(&str, &str, Kind); 13] = [
    ("unshare", "util-linux", Kind::ApiOnly),
    ("nsenter", "util-linux", Kind::ApiOnly),
    ("openssl", "openssl", Kind::ApiOnly),
    ("ip", "iproute2", Kind::ApiOnly),
    ("containerd", "containerd", Kind::Full),
    ("ctr", "containerd", Kind::Full),
    ("runc", "runc", Kind::Full),
    ("/usr/lib/cni/ptp", "containernetworking-plugins", Kind::Full),
    ("iptables", "iptables", Kind::Full),
    ("nft", "nftables", Kind::Full),
    ("conntrack", "conntrack", Kind::Full),
    ("ipset", "ipset", Kind::Full),
    ("socat", "socat", Kind::Full),
];

/// An error that names the packages where this machine cannot run a cluster.
pub fn check_machine(kind: Kind) -> Result<(), ClusterError> {
    if !rustix::process::geteuid().is_root() {
        return Err(ClusterError::NotRoot);
    }
    let there = |name: &str| {
        let mut dirs =
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
        dirs.extend(["/usr/sbin".into(), "/sbin".into()]);
        dirs.iter().any(|dir| dir.join(name).is_file())
    };
    let missing: Vec<_> = NEEDS
        .iter()
        .filter(|(name, _, of)| (*of == Kind::ApiOnly || kind == Kind::Full) && !there(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|(_, package, _)| *package).collect();
    packages.dedup();
    let names: Vec<&str> = missing.iter().map(|(name, ..)| *name).collect();
    Err(ClusterError::Missing { missing: names.join(", "), packages: packages.join(" ") })
}

/// Remove what test processes left behind that were killed themselves.
fn sweep() {
    space::sweep();
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        if space::is_stale(&entry.file_name().to_string_lossy()) {
            // Best effort: somebody else may sweep at the same time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
