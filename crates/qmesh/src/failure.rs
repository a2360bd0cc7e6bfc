//! Why a command failed, and the exit code that says it to a script.

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or a variable is wrong: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The work failed: exit code 1.
    #[error("{0}")]
    Work(String),
}

impl Failure {
    /// 2 for what the user can mend on the command line, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Work(_) => 1,
        }
    }

    /// A failure of the work.
    pub fn work(error: impl std::fmt::Display) -> Self {
        Failure::Work(error.to_string())
    }

    /// A wrong flag or variable.
    pub fn usage(error: impl std::fmt::Display) -> Self {
        Failure::Usage(error.to_string())
    }
}
