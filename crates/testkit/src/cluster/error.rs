//! Why a test cluster did not come up, or a command in it failed: each sentence names what to look at next.

use std::path::PathBuf;
use std::time::Duration;

/// What can go wrong with a test cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Commands of this machine are missing.
    #[error(
        "missing on this machine: {missing}; as root: apt-get install -y --no-install-recommends {packages}"
    )]
    Missing {
        /// The commands or files.
        missing: String,
        /// The Debian packages that have them.
        packages: String,
    },
    /// Not allowed to make namespaces.
    #[error(
        "a test cluster needs root (namespaces, mounts, control groups): run as root, or name a cluster by --kubeconfig"
    )]
    NotRoot,
    /// A file or directory of the cluster's state.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot start {program}: {source}; build the tools with `cargo xtask e2e`")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program ended with a failure.
    #[error("`{command}` ended with {status}: {output}")]
    Failed {
        /// The command line.
        command: String,
        /// Exit code or signal.
        status: String,
        /// What it printed.
        output: String,
    },
    /// Something did not become true in time.
    #[error("{what} did not happen within {waited:?}; {detail}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// For how long.
        waited: Duration,
        /// The last thing seen.
        detail: String,
    },
}

impl ClusterError {
    /// A closure for `map_err` on file operations.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> ClusterError {
        let path = path.into();
        move |source| ClusterError::File { path, source }
    }
}
