//! The messages by which a request is planned, run and collected: between RC, DAP and Agg.

use kvalue::Sym;
use qipc::Raw;

use super::{
    field::{Payload, PlannedPortion, Running},
    single::{Collector, LonePlan},
};
use crate::{
    Api, Corr, Failure, LabelSet, PortionId, Purview, TimeRange,
    codes::{Ac, Rc},
};

messages! {
    // ---- DAP to RC
    /// First after the link is up: what the DAP covers.
    RegisterDap = ".sgrc.registerDAP" {
        /// true while the DAP can take work
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
        /// nanoseconds that it ran
        took: i64,
        /// bytes of the partial that was sent
        bytes: i64,
        /// epoch of its registration
        epoch: i64,
        /// portions it can take now, as [`Idle`] says; less than 0 where there is nothing to say of that yet
        slots: i32,
    }
    /// The DAP can take work again, where no [`Done`] says so.
    Idle = ".qm.idle" {
        /// epoch of its registration
        epoch: i64,
        /// portions it can take now
        slots: i32,
    }

    // ---- RC to DAP
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
    /// Older tiers of the DAP's label set now cover a table over this stretch.
    Covered = ".qm.covered" {
        /// table
        table: Sym,
        /// exclusive end of what older tiers hold
        until: i64,
        /// from where on they hold it without a gap between tiers
        from: i64,
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
        /// of the only portion of a request, what the Agg is to hear of it with the partial: it has no plan
        lone: Option<Collector>,
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
    /// Hand a portion back (a [`Done`] with rc QUEUE) if it has not begun: another replica is idle. One that has
    /// begun goes on, and nothing is said.
    Recall = ".qm.recall" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portion
        portion: PortionId,
    }

    // ---- DAP to Agg
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
        /// of the only portion of a request, what a [`Plan`] would say
        lone: Option<Box<LonePlan>>,
        /// the partial result
        payload: Payload,
    }

    // ---- Agg to RC
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
    /// Requests whose answers did not reach their GW, or may not have: it cannot be linked, or the link was lost
    /// after they were handed to it. Of an answer that did arrive the RC hears from the GW ([`Answered`](super::Answered)).
    Undelivered = ".qm.undelivered" {
        /// requests
        corrs: Vec<Corr>,
        /// attempt of each
        attempts: Vec<i32>,
        /// why
        rc: Rc,
        /// application code
        ac: Ac,
        /// sentence
        ai: String,
    }

    /// All partials are there, and those of some portions used older reference tables than others did: these
    /// portions are to run again. The Agg has dropped their partials; its `got` of them is taken back.
    Stale = ".qm.stale" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portions whose partials are older
        portions: Vec<PortionId>,
        /// the newest vintage among the partials, which the others are to have
        vintage: i64,
    }

    // ---- RC to Agg
    /// What to wait for; sent before any portion is dispatched. A request of one portion needs none, as long as that
    /// portion stays the only one: its [`Run`] and its [`Partial`] say the same.
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
        /// portions in answer order
        portions: Vec<PlannedPortion>,
        /// the request's header options
        opts: Raw,
        /// the request's arguments
        args: Raw,
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

    /// The answer may do without these portions: nobody can serve them (any more) in time. The answer consists of the
    /// other portions, and the header names the abandoned portions as `missing`.
    GiveUp = ".qm.giveUp" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// portions that will not come
        missing: Vec<PlannedPortion>,
        /// the tiers of all label sets of the request are declared, not only known by observation
        declared: bool,
    }
}

impl Done {
    /// The end of a portion with this outcome, at a DAP with this purview version; without cost, without free slots.
    pub fn of((corr, attempt, portion): (Corr, i32, PortionId), version: i64, outcome: Failure) -> Done {
        let Failure { rc, ac, ai } = outcome;
        Done { corr, attempt, portion, rc, ac, ai, version, took: 0, bytes: 0, epoch: 0, slots: -1 }
    }

    /// The same, and which places are free.
    pub fn with(self, Idle { epoch, slots }: Idle) -> Done {
        Done { epoch, slots, ..self }
    }
}
