//! What a command can fail with.

use std::path::PathBuf;

use thiserror::Error;

/// Why a command could not do its work.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// A file.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not what was expected in it.
    #[error("{path}, document {number}: {why}", path = path.display())]
    Document {
        /// Which file.
        path: PathBuf,
        /// Which document of it, from 1.
        number: usize,
        /// Why.
        why: String,
    },
    /// Nothing to work on.
    #[error("{path}: no ServiceGateway in it", path = .0.display())]
    Nothing(PathBuf),
    /// No way to a cluster.
    #[error("no way to a cluster: {0}; is the kubeconfig right, and the context?")]
    Kubeconfig(Box<dyn std::error::Error + Send + Sync>),
    /// The API server refused.
    #[error("{what}: {source}")]
    Api {
        /// What was asked.
        what: String,
        /// The answer.
        source: Box<kube::Error>,
    },
    /// No answer.
    #[error("{0}: no answer from the API server in 30 s")]
    Timeout(String),
    /// It is not there.
    #[error("ServiceGateway '{name}' is not in namespace '{namespace}'; kubectl get sgw -A lists all")]
    NotFound {
        /// Its name.
        name: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// The type is not installed.
    #[error(
        "this cluster does not know ServiceGateways: install the chart qmesh-crds, or kubectl apply --server-side -f crds/"
    )]
    NoDefinition,
    /// Cannot be shown.
    #[error("cannot be written: {0}")]
    Write(String),
}

impl Error {
    /// True where the API server answered with this status.
    pub(crate) fn is_answer(&self, status: u16) -> bool {
        let Self::Api { source, .. } = self else { return false };
        matches!(source.as_ref(), kube::Error::Api(answer) if answer.code == status)
    }
}
