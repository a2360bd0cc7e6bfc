//! Events into the router, actions out of the router.
//!
//! The router has no clock: each event comes with the present, and [`crate::Router::next_wakeup`] says when
//! a [`Event::Tick`] is due. Messages are the internal ones of [`sg::msg`], so that the process around the
//! router is a socket and a timer, and a simulation drives the very code that runs in production.

use kvalue::Sym;
use qipc::Raw;
use sg::{Corr, InstanceId, Msg};

/// Nanoseconds on a monotonic clock with any zero.
pub type Nanos = u64;

/// One millisecond.
pub const MILLI: Nanos = 1_000_000;
/// One second.
pub const SECOND: Nanos = 1_000 * MILLI;

/// A live link to a process. A process that reconnects has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// What kind of process is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerRole {
    /// gateway
    Gw,
    /// aggregator
    Agg,
    /// data access process
    Dap,
    /// another coordinator
    Rc,
}

/// A place where discovery says that a data process is.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// unique name of the place, never reused
    pub key: Sym,
    /// display name
    pub name: Sym,
    /// where it is dialled, `host:port`
    pub address: Sym,
    /// readiness as discovery tells it
    pub ready: bool,
    /// result of the dial
    pub fate: Fate,
}

/// Result of dialling a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// no dial has been tried yet
    Untried,
    /// another coordinator dials the place
    Elsewhere,
    /// the dial failed: reason
    Trouble(String),
    /// the process linked at the place
    Linked(InstanceId),
    /// the process at the place is no data process
    NoData,
}

/// Input of the router.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A link is up: both ends have said hello.
    Up {
        /// the link
        peer: PeerId,
        /// role of the process at the other end
        role: PeerRole,
        /// name of the process at the other end
        name: Sym,
        /// the running process
        instance: InstanceId,
        /// address of the process, for other processes
        address: Sym,
    },
    /// A message came.
    Message {
        /// the sender's link
        peer: PeerId,
        /// the message
        msg: Msg,
    },
    /// A link is gone; nothing more comes from it.
    Down {
        /// the link
        peer: PeerId,
    },
    /// The process at the other end is on its way out, or is no longer meant for this mesh, and may not know it itself:
    /// a data process gets nothing new; running portions may end, then the link closes.
    Leaving {
        /// the link
        peer: PeerId,
    },
    /// What discovery knows of data processes now, all of it: where it looks for them ([`crate::Settings::looks`]), this
    /// one is not ready before it has heard of all, and each has been tried once.
    Found {
        /// all known places
        places: Vec<Place>,
        /// false until discovery has told all places
        synced: bool,
        /// why discovery has not told all places; empty without a reason
        trouble: String,
    },
    /// Each coordinator that is configured or was discovered has been tried once: from here on, silence means that no
    /// peer is there. Before that the coordinator learns from peers and takes no requests.
    PeersTried,
    /// This process is to stop: no new requests; owned data processes go to other coordinators once idle. It may be
    /// stopped when [`crate::Router::is_drained`].
    Drain,
    /// Time passed: due when [`crate::Router::next_wakeup`] says so, harmless at any other time.
    Tick,
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send a message. A link that is gone by then is reported by its own [`Event::Down`].
    Send {
        /// to which link
        to: PeerId,
        /// the message
        msg: Msg,
    },
    /// Refuse a peer, and close the link.
    Refuse {
        /// which link
        peer: PeerId,
        /// one sentence
        why: String,
    },
    /// A peer has an Agg that is not linked here: dial it, and go on trying until told otherwise. The link comes
    /// as an [`Event::Up`] like any other.
    Dial {
        /// name of the process
        name: Sym,
        /// `host:port`
        address: Sym,
    },
    /// Nobody has this Agg any more: stop dialling it.
    Undial {
        /// `host:port`
        address: Sym,
    },
    /// Worth a log line and a count.
    Note(Note),
}

/// A state change that is seen from outside: one log line, one count.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// A DAP registered or changed its purview.
    DapRegistered {
        /// name of the process
        dap: Sym,
        /// purview version
        version: i64,
    },
    /// A DAP's link is gone.
    DapLost {
        /// name of the process
        dap: Sym,
        /// portions running at the loss
        running: usize,
    },
    /// An Agg registered.
    AggRegistered {
        /// name of the process
        agg: Sym,
    },
    /// An Agg's link is gone.
    AggLost {
        /// name of the process
        agg: Sym,
        /// requests collected by the Agg
        requests: usize,
    },
    /// What lost replicas of a source held is no longer wanted: it has been lost for long while others of the
    /// source are connected, or too many sources are known.
    SourceForgotten {
        /// id of the source
        source: Sym,
    },
    /// Another coordinator is linked and has told its replicas.
    PeerSynced {
        /// name of the process
        peer: Sym,
        /// replicas owned by the peer
        replicas: usize,
    },
    /// Another coordinator's link is gone.
    PeerLost {
        /// true where the peer has a newer link, so that nothing is lost
        replaced: bool,
        /// name of the process
        peer: Sym,
        /// replicas owned by the lost peer
        replicas: usize,
    },
    /// A portion goes back to the queue.
    Retry {
        /// request
        corr: Corr,
        /// its options, for the log
        opts: Raw,
        /// why
        why: String,
    },
    /// A request ended.
    Ended {
        /// request
        corr: Corr,
        /// its options, for the log
        opts: Raw,
        /// API
        api: Sym,
        /// return code
        rc: sg::Rc,
        /// sentence of a failure, empty for success
        ai: String,
        /// how long it was here
        took: Nanos,
        /// portions it had
        portions: usize,
    },
    /// A message that fits no state: counted, else ignored.
    Stray {
        /// name of the process
        what: &'static str,
    },
    /// Something an operator or caller should read.
    Warning {
        /// one sentence
        text: String,
    },
}
