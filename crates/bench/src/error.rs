//! Why a side of a bench cannot go on.

use std::net::SocketAddr;

/// Why a side ended. What it prints goes to the screen of `cargo xtask bench`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or a socket.
    #[error("{what}: {source}")]
    Io {
        /// What was done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// No connection.
    #[error(transparent)]
    Connect(#[from] qipc::net::ConnectError),
    /// A connection broke.
    #[error("{address} while an answer was awaited: {source}")]
    Read {
        /// The server.
        address: SocketAddr,
        /// Why.
        source: qipc::net::ReadError,
    },
    /// Not what a bench can count.
    #[error("{address} answered {got}, expected {expected}")]
    Answer {
        /// The server.
        address: SocketAddr,
        /// What it said.
        got: String,
        /// What would count.
        expected: &'static str,
    },
    /// Bytes that are no value.
    #[error(transparent)]
    Decode(#[from] qipc::DecodeError),
    /// A value that cannot be sent.
    #[error(transparent)]
    Encode(#[from] qipc::EncodeError),
    /// A database that cannot be written.
    #[error(transparent)]
    Save(#[from] hdb::HdbError),
    /// Columns that make no table.
    #[error(transparent)]
    Shape(#[from] kvalue::ShapeError),
    /// Anything else, in a sentence of its own.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// A closure for `map_err`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }
}
