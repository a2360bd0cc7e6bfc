//! Every bound of codec and connection, with name and default.
//!
//! Rule kept: nothing grows with what a peer sends. A request over a limit fails with the limit's name.

use std::time::Duration;

/// Bounds for decoding and for connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest message in bytes, header included, before and after decompression. The wire itself ends at 2^40.
    pub max_message: u64,
    /// Deepest nesting of lists, dictionaries, tables and functions. Values above [`Limits::DEPTH_CEILING`]
    /// count as that, because each level takes stack.
    pub max_depth: usize,
    /// Most objects (atoms, vectors, lists, dictionaries, tables) in one message: a general list of 2-byte
    /// atoms takes some 30 times its wire size in memory.
    pub max_objects: usize,
    /// Longest handshake (`user:password` and its two closing bytes).
    pub handshake_bytes: usize,
    /// Time a handshake may take.
    pub handshake_time: Duration,
    /// Time a write may stand still because the peer does not read, before the connection is given up.
    pub write_stall: Duration,
}

impl Limits {
    /// No configuration goes deeper: 500 levels of the decoder fit a 2 MiB thread stack many times over.
    pub const DEPTH_CEILING: usize = 500;

    /// For the links between our own processes: messages up to 8 GiB.
    pub const fn internal() -> Self {
        Limits {
            max_message: 8 << 30,
            max_depth: 256,
            max_objects: 1 << 26,
            handshake_bytes: 64 << 10,
            handshake_time: Duration::from_secs(10),
            write_stall: Duration::from_secs(60),
        }
    }

    /// For clients of a gateway: messages up to 2 GiB, of at most 2^24 objects.
    pub const fn client() -> Self {
        Limits { max_message: 2 << 30, max_objects: 1 << 24, ..Limits::internal() }
    }

    /// The same limits with another message length.
    #[must_use]
    pub const fn with_max_message(self, bytes: u64) -> Self {
        Limits { max_message: bytes, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::internal()
    }
}
