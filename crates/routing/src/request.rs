//! A request in flight and its portions: plain state, changed by the router only.

use kvalue::Sym;
use qipc::Raw;
use sg::{Corr, Failure, LabelSet, PortionId, TimeRange, args::RoutingArgs, msg::PlannedPortion};

use crate::{
    apis::ApiId,
    coverage::{DomainId, SourceId, select::Piece},
    event::{Nanos, PeerId},
    queue::{Lane, Order},
    trace::RunTrace,
};

/// Between the attempt numbers of this coordinator's own redos of a request. Attempts of the GW are numbered below this
/// gap, so the two never collide.
pub(crate) const REDO: i32 = 1 << 16;

/// Where a portion is. It is in one place at any time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place {
    /// on its way from one place to the next, never between events
    Nowhere,
    /// in the queue, in this lane
    Waiting(Lane),
    /// refused again and again: it is planned again then
    Resting(Nanos),
    /// the coordinator that owns an idle replica was asked to start it and has not answered
    Tried(PeerId),
    /// leased to a replica
    Leased(PeerId),
    /// the replica has sent the partial; the Agg's `got` is due by then
    Delivered { until: Nanos, by: PeerId },
    /// in the Agg's custody
    Got,
    /// not waited for any more: the answer does without it, and says so
    GivenUp,
    /// replaced by other portions
    Replaced,
}

/// A second run of a portion whose first takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hedge {
    /// the coordinator that owns an idle replica was asked to start it and has not answered
    Tried(PeerId),
    /// leased to this replica too
    Leased(PeerId),
}

#[derive(Debug)]
pub(crate) struct Portion {
    pub(crate) domain: DomainId,
    pub(crate) labels: LabelSet,
    pub(crate) range: TimeRange,
    pub(crate) sources: Vec<SourceId>,
    pub(crate) place: Place,
    /// beside `place`, while that is `Leased` or `Delivered`
    pub(crate) hedge: Option<Hedge>,
    /// how often it was put to work again, for any reason
    pub(crate) tries: u32,
    /// of these, how often after a run that may have begun
    pub(crate) retries: u32,
    /// its last run; boxed, because most that wait have none
    pub(crate) run: Option<Box<RunTrace>>,
    /// when a second run is looked for
    pub(crate) hedge_at: Option<Nanos>,
}

impl Portion {
    /// One that is nowhere yet.
    pub(crate) fn new(piece: Piece) -> Self {
        let Piece { domain, labels, range, sources } = piece;
        Portion {
            domain,
            labels,
            range,
            sources,
            place: Place::Nowhere,
            hedge: None,
            tries: 0,
            retries: 0,
            run: None,
            hedge_at: None,
        }
    }

    /// One that takes the place of another: it was tried as often.
    pub(crate) fn in_place_of(piece: Piece, old: Option<&Portion>) -> Self {
        let (tries, retries) = old.map_or((0, 0), |p| (p.tries, p.retries));
        Portion { tries, retries, ..Portion::new(piece) }
    }

    pub(crate) fn planned(&self, id: u32, table: &Sym) -> PlannedPortion {
        PlannedPortion {
            id: PortionId(id),
            labels: self.labels.clone(),
            table: table.clone(),
            range: self.range,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) corr: Corr,
    pub(crate) gw: PeerId,
    /// attempt as the GW counts
    pub(crate) gw_attempt: i32,
    /// attempt as DAPs and Agg know it
    pub(crate) attempt: i32,
    pub(crate) api: ApiId,
    pub(crate) api_name: Sym,
    pub(crate) agg_fn: Sym,
    pub(crate) user: Sym,
    /// among the user's own requests: more goes first
    pub(crate) priority: i32,
    /// the answer was asked to do without what is missing at the deadline
    pub(crate) gave_up: bool,
    /// the client takes what there is where not all is
    pub(crate) best_effort: bool,
    pub(crate) opts: Raw,
    pub(crate) args: Raw,
    pub(crate) routing: RoutingArgs,
    pub(crate) safe: bool,
    /// the client wants the partials of a failed request
    pub(crate) wants_partials: bool,
    pub(crate) agg: Option<PeerId>,
    /// the Agg was sent a plan; else it hears of the only portion with its partial
    pub(crate) told_plan: bool,
    pub(crate) arrived: Nanos,
    /// when the GW answers by itself
    pub(crate) deadline: Nanos,
    /// when this coordinator answers with what is missing
    pub(crate) answer_by: Nanos,
    /// index is portion id
    pub(crate) portions: Vec<Portion>,
    /// portions that are neither in custody nor replaced
    pub(crate) open: usize,
    pub(crate) epoch: i32,
    pub(crate) redos: u32,
    /// how often portions ran again for a newer vintage, however many at a time
    pub(crate) renewals: u32,
    /// a portion of this attempt was given to a replica
    pub(crate) dispatched: bool,
    /// `started` was told to the GW
    pub(crate) told_started: bool,
    /// a portion failed; the answer is left to the Agg for a while
    pub(crate) failure: Option<Box<Failure>>,
}

impl Request {
    pub(crate) fn portion(&self, id: u32) -> Option<&Portion> {
        self.portions.get(id as usize)
    }

    /// Place of a portion among its user's own that wait.
    pub(crate) fn order(&self, seq: u64, portion: u32) -> Order {
        Order { urgency: -self.priority, seq, portion }
    }

    /// The table, where any replica may do that holds it: none was named.
    pub(crate) fn any_of(&self) -> Option<&Sym> {
        self.routing.scope.dap.is_null().then_some(&self.routing.table)
    }

    /// True where what may have begun may begin again.
    pub(crate) fn may_run_again(&self) -> bool {
        self.safe || sg::mutation::on(crate::mutations::UNSAFE_RETRY)
    }
}
