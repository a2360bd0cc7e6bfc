//! Connections: handshake, reading, writing, a pipelined client and a listener.
//!
//! Rules kept: what a peer can make us hold is bounded by [`Limits`]; a receive buffer grows with the bytes
//! that came, not with the length that was claimed; header and body leave in one write; reading can be
//! cancelled at any await without losing a byte. Tests: `tests/net_*.rs`.

mod client;
mod connection;
mod handshake;
mod listener;
mod quickack;
mod read_buffer;
mod reader;
mod writer;

use std::time::Duration;

pub use client::{CallError, Client};
pub use connection::{Connection, accept, connect};
pub use handshake::{ConnectError, Credentials, HandshakeError, Hello, parse_hello};
pub use listener::{Listener, Pending};
pub use reader::{ReadError, Reader};
pub use writer::Writer;

use crate::Limits;

/// The newest protocol version we speak: messages over 2 GiB, vectors of more than 2^31 items.
pub const CAPABILITY: u8 = 6;

/// How to open a connection.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// What the peer may make us do.
    pub limits: Limits,
    /// Highest protocol version to ask for, 0 to 6.
    pub capability: u8,
    /// Time for resolving the name and opening the connection.
    pub connect_time: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions {
            limits: Limits::internal(),
            capability: CAPABILITY,
            connect_time: Duration::from_secs(10),
        }
    }
}

/// How to take a connection.
#[derive(Debug, Clone)]
pub struct AcceptOptions {
    /// What the peer may make us do.
    pub limits: Limits,
    /// Highest protocol version to agree to, 1 to 6.
    pub capability: u8,
}

impl Default for AcceptOptions {
    fn default() -> Self {
        AcceptOptions { limits: Limits::internal(), capability: CAPABILITY }
    }
}

impl AcceptOptions {
    /// For the clients of a gateway: [`Limits::client`].
    pub fn for_clients() -> Self {
        AcceptOptions { limits: Limits::client(), ..Default::default() }
    }
}
