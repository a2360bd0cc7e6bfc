//! Why there is no link ([`LinkError`]) and why a message was not taken ([`SendError`]).

use std::time::Duration;

use qipc::net::{ConnectError, HandshakeError, ReadError};

/// Why a link did not come up.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A name that does not resolve.
    #[error("{addr} does not resolve: {why}; expected host:port")]
    Resolve {
        /// the address
        addr: String,
        /// resolver's words
        why: String,
    },
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A connection that did not even begin as QIPC.
    #[error(transparent)]
    Accept(#[from] HandshakeError),
    /// Bytes that are no message.
    #[error("handshake with {peer}: {source}")]
    Read {
        /// the other end
        peer: String,
        /// what is wrong
        source: ReadError,
    },
    /// The connection broke.
    #[error("handshake with {peer}: {source}")]
    Io {
        /// the other end
        peer: String,
        /// what is wrong
        source: std::io::Error,
    },
    /// Too slow.
    #[error("{peer} did not complete the handshake of a link within {limit:?} (KXI_SG_CONN_TIMEOUT)")]
    Timeout {
        /// the other end
        peer: String,
        /// the time it had
        limit: Duration,
    },
    /// It closed, or said something else than is due.
    #[error("{peer} is no qmesh process: {why}")]
    Unexpected {
        /// the other end
        peer: String,
        /// what came instead
        why: String,
    },
    /// The address leads to this very process.
    #[error("{peer} is this very process")]
    Myself {
        /// the address
        peer: String,
    },
    /// There is a link to that process already.
    #[error("there is a link to the process at {peer} already")]
    Duplicate {
        /// the address
        peer: String,
    },
    /// The other end does not want us.
    #[error("{peer} refused the link: {why}")]
    Refused {
        /// the other end
        peer: String,
        /// its sentence
        why: String,
    },
    /// We do not want the other end.
    #[error("link with {peer} refused: {why}")]
    Unwanted {
        /// the other end
        peer: String,
        /// our sentence
        why: String,
    },
    /// The process is stopping.
    #[error("the process is stopping")]
    Stopping,
    /// The same failure, told to several callers that waited for one link.
    #[error("{0}")]
    Shared(std::sync::Arc<LinkError>),
    /// Too many links.
    #[error("limit: {limit} links are open already (QMESH_MAX_LINKS); close some or raise it")]
    TooMany {
        /// the limit
        limit: usize,
    },
}

impl LinkError {
    /// True where trying again soon may help: nobody answered. False where somebody answered and said no.
    pub fn is_transient(&self) -> bool {
        match self {
            LinkError::Refused { .. } | LinkError::Unwanted { .. } | LinkError::Unexpected { .. } => false,
            LinkError::Stopping | LinkError::TooMany { .. } => false,
            LinkError::Shared(e) => e.is_transient(),
            _ => true,
        }
    }
}

/// Why a message was not taken for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The link is down.
    #[error("the link is closed")]
    Closed,
    /// The peer reads too slowly: the link has been cut.
    #[error("limit: the send queue is full (QMESH_LINK_QUEUE); the link to the slow peer has been cut")]
    Full,
}
