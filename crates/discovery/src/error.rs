//! Why a source does not start, or has no good news.

/// Why processes cannot be found as configured.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// Neither a pod's service account nor a kubeconfig file.
    #[error(
        "no access to a Kubernetes API server: {why}; run in a pod with a service account, or set KUBECONFIG, or name addresses in {instead}"
    )]
    NoCluster {
        /// what is missing
        why: String,
        /// the variable for addresses by hand
        instead: &'static str,
    },
}
