//! Why an Agg does not start.

/// Why an Agg does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be listened on.
    #[error(transparent)]
    Bind(#[from] link::BindError),
}
