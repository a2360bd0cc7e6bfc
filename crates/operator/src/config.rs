//! Flags and variables of the process. A value that is not of its kind stops it at start with a sentence.

use std::time::Duration;

use clap::Args;
use operator_api::build::ImageDefaults;

/// Flags of `qmesh-operator run`; each has a variable of the same meaning.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Namespaces to work in, comma list; none: all of the cluster. Each needs the operator's Role.
    #[arg(long, env = "QMESH_OPERATOR_NAMESPACES", value_delimiter = ',')]
    pub namespaces: Vec<String>,
    /// Port of /livez, /readyz and /metrics.
    #[arg(long, env = "QMESH_OPERATOR_HTTP_PORT", default_value_t = 8080)]
    pub http_port: u16,
    /// Work only while holding the lease, so that of several operators one works.
    #[arg(long, env = "QMESH_OPERATOR_LEADER_ELECTION", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_election: bool,
    /// Name of the lease.
    #[arg(long, env = "QMESH_OPERATOR_LEASE", default_value = "qmesh-operator")]
    pub lease: String,
    /// Namespace of the lease; default: the pod's own.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub lease_namespace: String,
    /// Who holds the lease: unique among operators; the name of the pod.
    #[arg(long, env = "POD_NAME", default_value_t = default_identity())]
    pub identity: String,
    /// Resources that are worked on at once.
    #[arg(long, env = "QMESH_OPERATOR_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
    /// Seconds that one call to the API server may take.
    #[arg(long, env = "QMESH_OPERATOR_API_TIMEOUT", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub api_timeout: u64,
    /// Seconds after which a resource is looked at again though nothing happened, jittered.
    #[arg(long, env = "QMESH_OPERATOR_RESYNC", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    pub resync: u64,
    /// What stands before the names of images where a resource does not say.
    #[arg(long, env = "QMESH_OPERATOR_IMAGE_REPOSITORY", default_value = "")]
    pub image_repository: String,
    /// Tag of images where a resource does not say.
    #[arg(long, env = "QMESH_OPERATOR_IMAGE_TAG", default_value = env!("CARGO_PKG_VERSION"))]
    pub image_tag: String,
    /// What is logged, as `info` or `operator=debug,kube=warn`.
    #[arg(long, env = "QMESH_OPERATOR_LOG", default_value = "info,kube_client=warn,kube_runtime=warn")]
    pub log: String,
}

fn default_identity() -> String {
    format!("{:016x}", rand::random::<u64>())
}

impl Config {
    /// Time one call may take.
    pub fn api_timeout(&self) -> Duration {
        Duration::from_secs(self.api_timeout)
    }

    /// Time until a resource is looked at again.
    pub fn resync(&self) -> Duration {
        Duration::from_secs(self.resync)
    }

    /// Images of resources that do not say which.
    pub fn images(&self) -> ImageDefaults {
        ImageDefaults { repository: self.image_repository.clone(), tag: self.image_tag.clone() }
    }

    /// One scope for each namespace, or one for all.
    pub fn scopes(&self) -> Vec<Option<String>> {
        let named: Vec<_> =
            self.namespaces.iter().filter(|name| !name.is_empty()).cloned().map(Some).collect();
        if named.is_empty() { vec![None] } else { named }
    }
}
