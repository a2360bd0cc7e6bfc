//! What a chore can fail with: each sentence names what failed and what to do.

use std::path::PathBuf;

/// Why a chore did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The summary on the screen has said it all.
    #[error("failed, see above")]
    Reported,
    /// A program could not be started.
    #[error("cannot start `{program}`: {source}; install it or put it on the PATH")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program ended with a failure.
    #[error("`{command}` ended with {status}")]
    Failed {
        /// The command line.
        command: String,
        /// Exit code or signal.
        status: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A generated file is not what the code makes today.
    #[error("{0} differs from what the code generates; run `cargo xtask generate` and commit the result")]
    Stale(String),
    /// A mesh for the clients did not start.
    #[error(transparent)]
    Launch(#[from] testkit::LaunchError),
    /// Anything else, in a sentence of its own.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// A closure for `map_err` on file operations.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { path, source }
    }
}
