//! What all tests share: the cluster, ours or a named one, and the ways into it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use clap::Parser;
use testkit::Process;
use testkit::cluster::{Cluster, Enter, Kind, Options as ClusterOptions};

use crate::failure::{Failure, Outcome};
use crate::install;
use crate::kube::{Kube, PATIENCE};

/// Flags of the test program; `cargo xtask e2e` gives them.
#[derive(Parser, Clone)]
#[command(name = "e2e", about = "end-to-end tests on a real Kubernetes; start them by `cargo xtask e2e`")]
pub(crate) struct Options {
    /// Directory of the cluster's programs.
    #[arg(long, default_value = ".")]
    pub(crate) tools: PathBuf,
    /// Directory of our own programs, those that are run outside pods.
    #[arg(long, default_value = ".")]
    pub(crate) programs: PathBuf,
    /// Image archives to import.
    #[arg(long)]
    pub(crate) image: Vec<PathBuf>,
    /// What image names begin with.
    #[arg(long, default_value = "qmesh.test")]
    pub(crate) repository: String,
    /// Tag of all images.
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    pub(crate) tag: String,
    /// Run against this cluster instead of one of our own.
    #[arg(long)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Only tests whose name contains one of these.
    #[arg(long)]
    pub(crate) only: Vec<String>,
    /// Only say which tests there are.
    #[arg(long)]
    pub(crate) list: bool,
    /// Only say whether this machine can run a cluster.
    #[arg(long)]
    pub(crate) check_machine: bool,
    /// Only start a cluster with the images, say how to get in, and keep it until Enter is pressed.
    #[arg(long)]
    pub(crate) hold: bool,
    /// Only measure the operator over a thousand gateways, and print one line of JSON.
    #[arg(long)]
    pub(crate) measure: bool,
    /// How long an operator at rest is watched.
    #[arg(long, default_value_t = 20)]
    pub(crate) quiet_seconds: u64,
    /// Tests that run at a time.
    #[arg(long, default_value_t = 3)]
    pub(crate) jobs: usize,
    /// Keep everything as it is after a failure until Enter is pressed.
    #[arg(long)]
    pub(crate) pause_on_failure: bool,
}

/// The cluster and the ways into it.
pub(crate) struct World {
    pub(crate) kube: Kube,
    pub(crate) options: Options,
    pub(crate) runtime: tokio::runtime::Runtime,
    enter: Option<Enter>,
    /// Set once the operator was installed, or could not be.
    operator: OnceLock<Result<(), String>>,
    // Last: what uses it is gone before it is.
    own: Option<Mutex<Cluster>>,
}

impl World {
    /// Start a cluster, or connect to the named one. The calling thread is in its network from now on.
    pub(crate) fn make(options: &Options) -> Outcome<World> {
        let own = match &options.kubeconfig {
            Some(_) => None,
            None => Some(Cluster::start(ClusterOptions {
                tools: options.tools.clone(),
                images: options.image.clone(),
                kind: Kind::Full,
            })?),
        };
        let enter = own.as_ref().map(Cluster::enter);
        if let Some(enter) = enter {
            enter.this_thread()?;
        }
        let kubeconfig = match (&own, &options.kubeconfig) {
            (Some(cluster), _) => cluster.kubeconfig(),
            (None, Some(named)) => named.clone(),
            (None, None) => return Err(Failure("no cluster".into())),
        };
        let cache = own.as_ref().map_or_else(std::env::temp_dir, |c| c.state().to_path_buf()).join("kubectl");
        let kube = Kube::new(options.tools.join("kubectl"), kubeconfig, cache)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_start(move || enter_or_abort(enter))
            .build()?;
        Ok(World {
            kube,
            options: options.clone(),
            runtime,
            enter,
            operator: OnceLock::new(),
            own: own.map(Mutex::new),
        })
    }

    /// The cluster itself, where it is ours.
    pub(crate) fn own(&self) -> Option<MutexGuard<'_, Cluster>> {
        self.own.as_ref().map(|cluster| cluster.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The operator that the tests share: installed by the first that needs it.
    pub(crate) fn operator(&self) -> Outcome {
        let installed = self.operator.get_or_init(|| install::operator(self).map_err(|failure| failure.0));
        installed.clone().map_err(|why| Failure(format!("the operator could not be installed: {why}")))
    }

    /// Whether the cluster is ours: to be broken, and with the images imported.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Move the calling thread into the cluster's network.
    pub(crate) fn enter_thread(&self) {
        enter_or_abort(self.enter);
    }

    /// Name of one of our images.
    pub(crate) fn image(&self, name: &str) -> String {
        format!("{}/{name}:{}", self.options.repository, self.options.tag)
    }

    /// An address outside the cluster that leads to a port of a Service.
    pub(crate) fn reach(&self, namespace: &str, service: &str, port: u16) -> Outcome<Reach> {
        if self.is_own() {
            // The node itself is no pod: it comes from outside, by the Service's address.
            let ip = self.kube.until("the Service has an address", || {
                let found = self.kube.find(namespace, "services", service)?;
                Ok(found.and_then(|s| s["spec"]["clusterIP"].as_str()?.parse().ok()))
            })?;
            return Ok(Reach { address: SocketAddr::new(ip, port), _forward: None });
        }
        let args = ["port-forward", "-n", namespace, &format!("service/{service}"), &format!(":{port}")];
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_string()).collect();
        let kubeconfig = self.options.kubeconfig.clone().unwrap_or_default().display().to_string();
        let env = [("KUBECONFIG".to_string(), kubeconfig)];
        let launch = |error: testkit::LaunchError| Failure(error.to_string());
        let kubectl = self.options.tools.join("kubectl");
        let mut forward = Process::start("kubectl port-forward", &kubectl, &args, &env).map_err(launch)?;
        let address = forward
            .wait_for(PATIENCE, "its address", |p| {
                let line = p.output().into_iter().find(|line| line.starts_with("Forwarding from 127"))?;
                line.split(' ').nth(2)?.parse().ok()
            })
            .map_err(launch)?;
        Ok(Reach { address, _forward: Some(forward) })
    }
}

/// An address that leads into the cluster for as long as this lives.
pub(crate) struct Reach {
    pub(crate) address: SocketAddr,
    _forward: Option<Process>,
}

fn enter_or_abort(enter: Option<Enter>) {
    if let Some(Err(error)) = enter.map(Enter::this_thread) {
        // A thread in the wrong network would only make tests fail for a reason that nobody finds.
        panic!("cannot enter the cluster's network: {error}");
    }
}

/// What one test is given: the world, and a namespace of its own.
pub(crate) struct Scene<'a> {
    pub(crate) world: &'a World,
    pub(crate) namespace: String,
}

impl Scene<'_> {
    /// The API.
    pub(crate) fn kube(&self) -> &Kube {
        &self.world.kube
    }

    /// Let some time pass in which something must *not* happen.
    pub(crate) fn watch_for(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
