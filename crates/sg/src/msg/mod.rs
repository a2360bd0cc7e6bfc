//! The internal messages between GW, RC, Agg and DAP.
//!
//! Each is an ordinary asynchronous QIPC message `(name; field; …)`, so that a q process can take part. Names and
//! shapes of messages are defined in this module only; `docs/protocol.md` describes the messages. Parts of no interest
//! to a process (arguments, header options, payloads) stay [`Raw`].
//!
//! Fields may be added at the end of a message: a reader ignores items it does not know, and refuses a
//! message with too few.

#[macro_use]
mod macros;
mod client;
mod execution;
mod fastpath;
mod field;
mod frame;
mod link;
mod mesh;
mod mesh_rows;
mod single;

pub use client::*;
pub use execution::*;
pub use field::{Chunk, Payload, PlannedPortion, Running};
pub use frame::{Encoded, MsgError};
pub use link::*;
pub use mesh::*;
pub use mesh_rows::{Demand, MeshAgg, MeshLost, MeshReplica};
pub use single::{Collector, LonePlan};

use qipc::Raw;

/// Version of these messages; both ends of a link must have the same.
pub const PROTOCOL: i32 = 5;

any! {
    Hello, Welcome, Proof, Refused, Heartbeat, RegisterDap, UpdateDap, Done, Idle, Registered, LeasesOver,
    Covered, Run, CancelRun, Recall, Partial, RegisterAgg, Got, Undelivered, Stale, Plan, Replace, Abandon, GiveUp,
    MeshPurviews, MeshIdle, MeshTry, MeshStarted, MeshRefused, MeshDemand, MeshOffer, MeshDecline,
    MeshDone, MeshCancel, MeshAsk, MeshReply, Request, Answered, Cancel, Status, Started, Answer,
    AnswerHead, AnswerData, Credit, Stop,
}

#[cfg(test)]
mod tests;
