//! An API server and etcd alone, and the operator as a process beside them: objects are stored and nothing else acts
//! on them, so everything that happens is the operator's doing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use testkit::cluster::{Cluster, Kind, Options as ClusterOptions};

use crate::failure::{Failure, Outcome};
use crate::http;
use crate::install::{served, tree};
use crate::kube::Kube;
use crate::world::Options;

/// Port of the operator's pages.
const PAGES: u16 = 8099;

/// Start the cluster; it goes with what is given back.
pub(crate) fn cluster(options: &Options) -> Outcome<Cluster> {
    Ok(Cluster::start(ClusterOptions {
        tools: options.tools.clone(),
        images: Vec::new(),
        kind: Kind::ApiOnly,
    })?)
}

/// Work in its network, in a thread of its own: the calling one may be in another cluster's.
pub(crate) fn inside<T: Send>(
    cluster: &Cluster,
    options: &Options,
    work: impl FnOnce(&Kube) -> Outcome<T> + Send,
) -> Outcome<T> {
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            cluster.enter().this_thread()?;
            let kubectl = options.tools.join("kubectl");
            let kube = Kube::new(kubectl, cluster.kubeconfig(), cluster.state().join("kubectl"))?;
            let crds = tree("crds").display().to_string();
            kube.run(&["apply", "--server-side", "-f", &crds])?;
            kube.until("the type is served", || served(&kube))?;
            work(&kube)
        });
        work.join().unwrap_or_else(|_| Err(Failure("a panic, see above".into())))
    })
}

/// The operator as a process, ended with this.
pub(crate) struct Operator {
    child: Child,
    log: PathBuf,
}

impl Operator {
    /// Start it in the calling thread's network.
    pub(crate) fn start(options: &Options, kubeconfig: &Path, logs: &Path) -> Outcome<Operator> {
        let program = options.programs.join("qmesh-operator");
        let log = logs.join("qmesh-operator.log");
        let out = fs::File::create(&log)?;
        let child = Command::new(&program)
            .args(["run", "--leader-election", "false", "--http-port", &PAGES.to_string()])
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .map_err(|error| Failure(format!("{}: {error}", program.display())))?;
        Ok(Operator { child, log })
    }

    /// Still the same process?
    pub(crate) fn lives(&mut self) -> Outcome {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(Failure(format!("the operator ended: {status}; {}", self.said()))),
        }
    }

    /// Send it a signal by name.
    pub(crate) fn signal(&self, name: &str) -> Outcome {
        let done = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status()?;
        if done.success() { Ok(()) } else { Err(Failure(format!("kill -{name}: {done}"))) }
    }

    /// The last lines of its log.
    pub(crate) fn said(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    /// Its resident memory, bytes.
    pub(crate) fn resident(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib: Option<u64> = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        kib.map(|kib| kib << 10).ok_or_else(|| Failure("no VmRSS".into()))
    }

    /// Sum of a counter over all its labels that contain `label`.
    pub(crate) fn counted(&self, counter: &str, label: &str) -> Outcome<u64> {
        let page = http::send(([127, 0, 0, 1], PAGES).into(), "GET", "/metrics", &[], "")?.body;
        let begin = format!("qmesh_operator_{counter}_total{{");
        let counts = page.lines().filter(|line| line.starts_with(&begin) && line.contains(label));
        Ok(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Entries of the audit log since byte `from`: a line for each write call that was answered.
pub(crate) fn entries(log: &Path, from: u64) -> Outcome<Vec<Value>> {
    let text = fs::read(log)?;
    let lines = text[from.min(text.len() as u64) as usize..].split(|byte| *byte == b'\n');
    Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

/// Entries of the operator: neither of the tests nor of the API server itself.
pub(crate) fn by_operator(entries: &[Value]) -> Vec<&Value> {
    let others = ["e2e", "kubectl/", "curl/", "kube-apiserver/"];
    let agent = |entry: &Value| entry["userAgent"].as_str().unwrap_or_default().to_string();
    entries.iter().filter(|entry| !others.iter().any(|other| agent(entry).starts_with(other))).collect()
}
