//! The messages between RCs. What they mean together: `docs/routing.md`.

use kvalue::Sym;
use qipc::Raw;

use super::{
    field::Payload,
    mesh_rows::{Demand, MeshAgg, MeshLost, MeshReplica},
};
use crate::{
    Corr, LabelSet, PortionId, TimeRange,
    codes::{Ac, Rc},
};

messages! {
    // ---- RC to RC
    // What they mean together: docs/routing.md. `group` is the number by which the owner knows the replicas
    // that hold the same data alike.
    /// What the sender owns and knows: in full when a link is new, then each change. What it names is known by
    /// the time any later message of the link speaks of it.
    MeshPurviews = ".qm.mesh.purviews" {
        /// version this is a change of; 0 begins anew
        base: i64,
        /// version after it
        version: i64,
        /// false where more of the same account follows at once
        complete: bool,
        /// true where the sender knows enough to take requests
        ready: bool,
        /// true where the sender is about to leave: it takes no new requests
        leaving: bool,
        /// when the sender started, nanoseconds since 2000-01-01
        started: i64,
        /// replicas that are new or changed
        replicas: Vec<MeshReplica>,
        /// names of replicas that it no longer owns
        gone: Vec<Sym>,
        /// purviews of lost replicas, or of replicas of other owners, still missing
        lost: Vec<MeshLost>,
        /// Aggs registered with the sender, all of them each time
        aggs: Vec<MeshAgg>,
    }
    /// How many replicas of groups are idle while nobody waits for them: a hint, never a promise.
    MeshIdle = ".qm.mesh.idle" {
        /// groups
        groups: Vec<i32>,
        /// idle replicas of each
        idle: Vec<i32>,
    }
    /// Start a portion on a replica of yours, or refuse at once.
    MeshTry = ".qm.mesh.try" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portion
        portion: PortionId,
        /// the offer this takes up; 0 for none
        offer: i64,
        /// group of replicas
        group: i32,
        /// the owner's purviews as the portion was planned with
        seen: i64,
        /// nanoseconds left until the deadline
        left: i64,
        /// API to run
        api: Sym,
        /// table, null for APIs without one
        table: Sym,
        /// label set of the portion
        labels: LabelSet,
        /// stretch of time of the portion
        range: TimeRange,
        /// true for a second run of a slow portion: `replica` runs it already and is not to be taken
        hedge: bool,
        /// the one replica asked for by name, or, of a hedge, not wanted; null for any
        replica: Sym,
        /// the demand to note where it is refused
        waits: Vec<Demand>,
        /// Agg that collects, `host:port`
        agg: Sym,
        /// the request's header options
        opts: Raw,
        /// the request's arguments
        args: Raw,
    }
    /// The portion runs.
    MeshStarted = ".qm.mesh.started" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portion
        portion: PortionId,
        /// replica that runs it
        replica: Sym,
    }
    /// The portion was not started; it is the primary's again.
    MeshRefused = ".qm.mesh.refused" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portion
        portion: PortionId,
        /// group that was tried
        group: i32,
        /// idle replicas of it that the portion could use
        idle: i32,
        /// one sentence
        why: String,
    }
    /// Who waits for groups of yours, since when: replaces what was said of the same group, API and replica.
    MeshDemand = ".qm.mesh.demand" {
        /// one row for each group, API and named replica
        rows: Vec<Demand>,
    }
    /// A replica of mine is idle and kept for you for a moment: answer by a try or a decline.
    MeshOffer = ".qm.mesh.offer" {
        /// number of the offer
        offer: i64,
        /// group
        group: i32,
        /// the replica
        replica: Sym,
        /// what the user served last had had, see [`Demand`]
        floor: i64,
    }
    /// Nothing that waits here can use the offered replica.
    MeshDecline = ".qm.mesh.decline" {
        /// number of the offer
        offer: i64,
    }
    /// A portion started for the primary ended.
    MeshDone = ".qm.mesh.done" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portion
        portion: PortionId,
        /// replica that ran it
        replica: Sym,
        /// 0, or why it failed
        rc: Rc,
        /// application code
        ac: Ac,
        /// sentence
        ai: String,
        /// the replica's purview version: greater than the portion's where it refused by version
        version: i64,
        /// nanoseconds that it ran, as the data process says
        took: i64,
        /// bytes of the partial that was sent
        bytes: i64,
    }
    /// The portion is no longer wanted by its primary.
    MeshCancel = ".qm.mesh.cancel" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portion
        portion: PortionId,
        /// where it runs twice, the replica whose run is not wanted; null for all of them
        replica: Sym,
    }
    /// An API that each RC answers for itself, asked by an RC for all of them.
    MeshAsk = ".qm.mesh.ask" {
        /// number of the question, the asker's
        id: i64,
        /// API
        api: Sym,
        /// user who asks
        user: Sym,
        /// arguments
        args: Raw,
    }
    /// One RC's part of the answer to [`MeshAsk`].
    MeshReply = ".qm.mesh.reply" {
        /// number of the question
        id: i64,
        /// the result
        payload: Payload,
    }
}
