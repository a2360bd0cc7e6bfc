//! The messages of every link: who is there, and that it lives.

use kvalue::Sym;

use super::field::Chunk;
use crate::InstanceId;

messages! {
    // ---- every link
    /// First message of the side that dialled.
    Hello = ".qm.hello" {
        /// [`PROTOCOL`](super::PROTOCOL)
        protocol: i32,
        /// `gw`, `rc`, `agg` or `da`
        role: Sym,
        /// process name
        name: Sym,
        /// the running process
        instance: InstanceId,
        /// where others reach this process, `host:port`; null for nowhere
        address: Sym,
        /// random, to be proved knowledge of the mesh secret over
        nonce: InstanceId,
    }
    /// Answer to [`Hello`].
    Welcome = ".qm.welcome" {
        /// [`PROTOCOL`](super::PROTOCOL)
        protocol: i32,
        /// role of the answering process
        role: Sym,
        /// its name
        name: Sym,
        /// the running process
        instance: InstanceId,
        /// where others reach it
        address: Sym,
        /// random, for the dialling side's proof
        nonce: InstanceId,
        /// keyed hashes over both nonces, one for each secret that is accepted; empty where none is set
        proof: Chunk,
    }
    /// The dialling side takes the [`Welcome`], and proves itself where a secret is set.
    Proof = ".qm.proof" {
        /// keyed hash over both nonces; empty where no secret is set
        proof: Chunk,
    }
    /// The link is not wanted; it is closed after this.
    Refused = ".qm.refused" {
        /// one sentence
        why: String,
    }
    /// Sent in both directions so that a dead peer is noticed.
    Heartbeat = ".qm.hb" {
        /// counts up
        seq: i64,
    }
}
