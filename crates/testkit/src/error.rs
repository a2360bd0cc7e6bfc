//! Why a program under test did not come up.

use std::path::PathBuf;
use std::time::Duration;

/// Why a launch failed. Each sentence ends with what the program printed last.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The program could not be started at all.
    #[error("cannot start {program}: {source}; build it first", program = program.display())]
    Start {
        /// Path of the program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The program ended before it was ready.
    #[error("{name} ended with {status} before it was ready; its last lines:\n{tail}")]
    Ended {
        /// The program's name in the test.
        name: String,
        /// Exit code or signal.
        status: String,
        /// What it printed last.
        tail: String,
    },
    /// The program was not ready in time.
    #[error("{name} was not ready within {waited:?} ({missing}); its last lines:\n{tail}")]
    NotReady {
        /// The program's name in the test.
        name: String,
        /// How long was waited.
        waited: Duration,
        /// What was still missing.
        missing: String,
        /// What it printed last.
        tail: String,
    },
}
