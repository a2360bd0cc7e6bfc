//! Why an Agg does not start.

/// Why an Agg does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be listened on.
    #[error("cannot listen on {addr}: {source}; choose another port with {variable}")]
    Bind {
        /// address
        addr: String,
        /// variable of the port
        variable: &'static str,
        /// what the system says
        source: std::io::Error,
    },
}
