//! How a process finds others, as configured: by addresses, or by pods.

use tokio_util::sync::CancellationToken;

use crate::{
    DiscoveryError, Feed, Options, Source,
    fixed::Addressed,
    kubernetes::{Matching, Select, client::Pods},
};

/// Where to look.
#[derive(Debug, Clone)]
pub enum Find {
    /// `host:port`; a name stands for all its addresses.
    Addresses(Vec<String>),
    /// Pods of a Kubernetes cluster.
    Pods(Select),
}

impl Find {
    /// Pods that match a selector.
    pub fn matching(selector: impl Into<String>) -> Find {
        Find::Pods(Select::Selector(selector.into()))
    }

    /// Starts looking, until `shutdown`. `assembly_key` is the pod label that ties a process to an assembly;
    /// `instead` is the variable to set where there is no API server to ask.
    pub async fn start(
        self,
        options: &Options,
        assembly_key: String,
        instead: &'static str,
        shutdown: CancellationToken,
    ) -> Result<Feed, DiscoveryError> {
        let source: Box<dyn Source> = match self {
            Find::Addresses(names) => Box::new(Addressed::new(names)),
            Find::Pods(select) => {
                let pods = Pods::infer(options.namespace.clone(), options.call, instead).await?;
                Box::new(Matching { pods, select, assembly_key })
            }
        };
        Ok(source.follow(options, shutdown))
    }
}
