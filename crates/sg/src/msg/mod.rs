//! The internal messages between GW, RC, Agg and DAP.
//!
//! Each is an ordinary asynchronous QIPC message `(name; field; …)`, so that a q process can take part. This
//! module is the only place that knows their names and shapes; `docs/protocol.md` shows them to people. What
//! a process has no business looking into (arguments, header options, payloads) stays [`Raw`].
//!
//! Fields may be added at the end of a message: a reader ignores items it does not know, and refuses a
//! message with too few.

mod field;
mod frame;

pub use field::{Chunk, Payload, PlannedPortion, Running};
pub use frame::MsgError;

use kvalue::Sym;
use qipc::Raw;

use crate::{
    Api, Corr, InstanceId, LabelSet, PortionId, Purview, TimeRange,
    codes::{Ac, Rc},
};

/// Version of these messages; both ends of a link must have the same.
pub const PROTOCOL: i32 = 1;

/// Declares the messages: a struct each, the enum of them all, names, encoding and decoding.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident = $wire:literal { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $name { $($(#[$fdoc])* pub $field: $ty,)* }

            impl From<$name> for Msg {
                fn from(m: $name) -> Msg { Msg::$name(m) }
            }
        )*

        /// Any internal message.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)] // each variant is documented at the struct of the same name
        pub enum Msg { $($name($name),)* }

        impl Msg {
            /// Name and field names of every message, for the documentation.
            pub const SHAPES: &'static [(&'static str, &'static [&'static str])] =
                &[$(($wire, &[$(stringify!($field)),*])),*];

            /// The message's name on the wire.
            pub fn name(&self) -> &'static str {
                match self { $(Msg::$name(_) => $wire,)* }
            }

            /// The message as the segments of one QIPC frame. Payload bytes are shared, not copied.
            pub fn to_frame(&self) -> qipc::Frame {
                let mut out = frame::Builder::new(self.name());
                match self { $(Msg::$name(m) => { let $name { $($field),* } = m; $(out.field($field);)* })* }
                out.finish()
            }

            /// Reads a message received; an error says which field is wrong.
            pub fn decode(object: &Raw) -> Result<Msg, MsgError> {
                let (name, mut fields) = frame::Fields::open(object)?;
                match &name[..] {
                    $(n if n == $wire.as_bytes() => Ok(Msg::$name($name {
                        $($field: fields.take($wire, stringify!($field))?,)*
                    })),)*
                    _ => Err(MsgError::Unknown { name: String::from_utf8_lossy(&name).into_owned() }),
                }
            }
        }
    };
}

messages! {
    // ---- every link -------------------------------------------------------------------------------------
    /// First message of the side that dialled.
    Hello = ".qm.hello" {
        /// [`PROTOCOL`]
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
        /// [`PROTOCOL`]
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

    // ---- DAP to RC --------------------------------------------------------------------------------------
    /// First after the link is up: what the DAP covers.
    RegisterDap = ".sgrc.registerDAP" {
        /// true where it can take work now
        available: bool,
        /// what it covers
        purview: Purview,
        /// portions it still runs from before
        running: Vec<Running>,
    }
    /// The purview or availability changed.
    UpdateDap = ".sgrc.updateDAP" {
        /// true where it can take work now
        available: bool,
        /// what it covers now; `version` is greater than before where anything but availability changed
        purview: Purview,
    }
    /// A portion ended at the DAP: its partial is on the way to the Agg, or it failed.
    Done = ".qm.done" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portion
        portion: PortionId,
        /// 0, or why it failed
        rc: Rc,
        /// application code
        ac: Ac,
        /// sentence
        ai: String,
        /// the DAP's purview version: greater than the portion's where it refused by version
        version: i64,
    }
    /// The DAP can take work again: sent after each [`Done`] and when an overrun run stopped.
    Idle = ".qm.idle" {
        /// epoch of its registration
        epoch: i64,
        /// portions it can take now
        slots: i32,
    }

    // ---- RC to DAP --------------------------------------------------------------------------------------
    /// The registration or update was taken in by the RC (and all its peers).
    Registered = ".qm.registered" {
        /// epoch of the registration
        epoch: i64,
        /// purview version taken in
        version: i64,
    }
    /// No lease on a purview version below this is left: what only they needed may be purged.
    LeasesOver = ".qm.leasesOver" {
        /// lowest version still leased
        version: i64,
    }
    /// An older tier of the DAP's label set now covers a table up to this instant.
    Covered = ".qm.covered" {
        /// table
        table: Sym,
        /// exclusive end of what older tiers hold
        until: i64,
    }
    /// Run one portion.
    Run = ".qm.run" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portion
        portion: PortionId,
        /// registration epoch this order is for; another one is refused
        epoch: i64,
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
        /// purview version it was planned with
        version: i64,
        /// Agg that collects, `host:port`
        agg: Sym,
        /// the request's header options
        opts: Raw,
        /// the request's arguments
        args: Raw,
    }
    /// Stop a portion.
    CancelRun = ".qm.cancelRun" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portion
        portion: PortionId,
    }

    // ---- DAP to Agg -------------------------------------------------------------------------------------
    /// A DAP's answer to one portion.
    Partial = ".qm.partial" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portion
        portion: PortionId,
        /// 0 or why it failed
        rc: Rc,
        /// application code
        ac: Ac,
        /// sentence
        ai: String,
        /// further header fields (`refVintage`, …)
        extra: Raw,
        /// the partial result
        payload: Payload,
    }

    // ---- Agg to RC --------------------------------------------------------------------------------------
    /// First after the link is up: what the Agg can do.
    RegisterAgg = ".sgrc.registerAgg" {
        /// aggregation functions it knows, with metadata
        agg_fns: Vec<Api>,
        /// requests it is working on
        outstanding: i32,
    }
    /// A partial is in the Agg's custody.
    Got = ".qm.got" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portion
        portion: PortionId,
    }
    /// The answer was handed to the GW, or the aggregation failed.
    Finished = ".qm.finished" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// 0 or why it failed
        rc: Rc,
        /// application code
        ac: Ac,
        /// sentence
        ai: String,
    }

    // ---- RC to Agg --------------------------------------------------------------------------------------
    /// What to wait for; sent before any portion is dispatched.
    Plan = ".qm.plan" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// grows with each [`Replace`]
        epoch: i32,
        /// nanoseconds left until the deadline
        left: i64,
        /// API
        api: Sym,
        /// aggregation function
        agg_fn: Sym,
        /// GW that gets the answer, `host:port`
        gw: Sym,
        /// the request's header options
        opts: Raw,
        /// the request's arguments
        args: Raw,
        /// portions in answer order
        portions: Vec<PlannedPortion>,
    }
    /// A portion is cut again: wait for these instead, in its place.
    Replace = ".qm.replace" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// epoch after the change
        epoch: i32,
        /// portion that no longer counts
        old: PortionId,
        /// portions in its place, in answer order
        new: Vec<PlannedPortion>,
    }
    /// Forget a request: it was answered without the Agg, or cancelled.
    Abandon = ".qm.abandon" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
    }

    // ---- GW to RC ---------------------------------------------------------------------------------------
    /// A client's request.
    Request = ".qm.request" {
        /// request
        corr: Corr,
        /// attempt, from 0
        attempt: i32,
        /// nanoseconds left until the deadline
        left: i64,
        /// API
        api: Sym,
        /// user who asks
        user: Sym,
        /// header options of the request
        opts: Raw,
        /// arguments
        args: Raw,
    }
    /// Stop a request: the client is gone or asked for it.
    Cancel = ".qm.cancel" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
    }

    // ---- RC to GW ---------------------------------------------------------------------------------------
    /// State of the RC: on connect and on change.
    Status = ".qm.status" {
        /// true where it takes requests
        ready: bool,
        /// DAPs it owns
        daps: i32,
        /// Aggs it owns
        aggs: i32,
        /// APIs that can be called
        apis: Vec<Api>,
    }
    /// Sent before the first portion of a request is dispatched.
    Started = ".qm.started" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
    }

    // ---- Agg or RC to GW --------------------------------------------------------------------------------
    /// A whole answer, or a failure.
    Answer = ".qm.answer" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// return code
        rc: Rc,
        /// application code
        ac: Ac,
        /// sentence
        ai: String,
        /// further header fields
        extra: Raw,
        /// result; `()` of a failure
        payload: Payload,
    }
    /// The head of a large answer; its bytes follow under credit.
    AnswerHead = ".qm.answerHead" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// return code
        rc: Rc,
        /// application code
        ac: Ac,
        /// sentence
        ai: String,
        /// further header fields
        extra: Raw,
        /// bytes of the payload object
        total: i64,
    }
    /// Bytes of a large answer's payload object, in order.
    AnswerData = ".qm.answerData" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// where in the payload object they begin
        offset: i64,
        /// the bytes
        chunk: Chunk,
    }

    // ---- GW to Agg --------------------------------------------------------------------------------------
    /// The GW has passed on this many more bytes and can take as many again.
    Credit = ".qm.credit" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// bytes
        bytes: i64,
    }
    /// The GW wants no more of a large answer.
    Stop = ".qm.stop" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
    }
}

#[cfg(test)]
mod tests;
