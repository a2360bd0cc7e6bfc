//! A place where a process can be dialled.

use std::{net::SocketAddr, sync::Arc};

/// A process that a source has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// unique name, never reused: a pod's uid; the address if given by hand
    pub key: Arc<str>,
    /// display name: the pod's name; the address or name as given
    pub name: Arc<str>,
    /// where it is dialled
    pub addr: SocketAddr,
    /// false where it says that it is not ready: it gets no new dial, a session it has goes on
    pub ready: bool,
    /// assembly it is dedicated to, if any
    pub assembly: Option<Arc<str>>,
}

/// Why something that a source has found is not an endpoint now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// It has no address yet, or none that can be read.
    NoAddress,
    /// None of its containers shows a port.
    NoPort,
    /// It is being deleted.
    Terminating,
    /// It has run to its end.
    Finished,
    /// More are known than may be kept.
    TooMany,
}

impl Skip {
    /// A sentence's end for people: `3 pods …`.
    pub const fn why(self) -> &'static str {
        match self {
            Skip::NoAddress => "have no IP address yet",
            Skip::NoPort => "show no container port (name it qipc)",
            Skip::Terminating => "are terminating",
            Skip::Finished => "have run to their end",
            Skip::TooMany => "are more than may be kept (QMESH_DISC_MAX)",
        }
    }
}

/// Something that a source has found, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// see [`Endpoint::key`]
    pub key: Arc<str>,
    /// the endpoint, or why it is none
    pub what: Result<Endpoint, Skip>,
}

impl Found {
    /// Something that is an endpoint.
    pub fn endpoint(endpoint: Endpoint) -> Found {
        Found { key: endpoint.key.clone(), what: Ok(endpoint) }
    }
}
