//! A request in flight and its portions: plain state, changed by the router only.

use std::sync::Arc;

use kvalue::Sym;
use qipc::Raw;
use sg::{Corr, Failure, LabelSet, PortionId, TimeRange, args::RoutingArgs, msg::PlannedPortion};

use crate::{
    apis::ApiId,
    coverage::{DomainId, SourceId},
    event::{Nanos, PeerId},
    queue::Lane,
};

/// Between the attempt numbers of this coordinator's own redos of a request. The GW counts its attempts below
/// it, so the two never meet.
pub(crate) const REDO: i32 = 1 << 16;

/// Where a portion is. It is in one place at any time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place {
    /// on its way from one place to the next, never between events
    Nowhere,
    /// in the queue, in this lane
    Waiting(Lane),
    /// leased to a replica
    Leased(PeerId),
    /// the replica has sent the partial; the Agg's `got` is due by then
    Delivered { until: Nanos, by: PeerId },
    /// in the Agg's custody
    Got,
    /// replaced by other portions
    Replaced,
}

#[derive(Debug)]
pub(crate) struct Portion {
    pub(crate) domain: DomainId,
    pub(crate) labels: Arc<LabelSet>,
    pub(crate) range: TimeRange,
    pub(crate) sources: Vec<SourceId>,
    pub(crate) place: Place,
    pub(crate) tries: u32,
}

impl Portion {
    pub(crate) fn planned(&self, id: u32, table: &Sym) -> PlannedPortion {
        PlannedPortion {
            id: PortionId(id),
            labels: (*self.labels).clone(),
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
    pub(crate) opts: Raw,
    pub(crate) args: Raw,
    pub(crate) routing: RoutingArgs,
    pub(crate) safe: bool,
    /// the client wants the partials of a failed request
    pub(crate) wants_partials: bool,
    pub(crate) agg: Option<PeerId>,
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
    pub(crate) retries: u32,
    /// a portion of this attempt was given to a replica
    pub(crate) dispatched: bool,
    /// `started` was told to the GW
    pub(crate) told_started: bool,
    /// a portion failed; the answer is left to the Agg for a while
    pub(crate) failure: Option<Failure>,
}

impl Request {
    pub(crate) fn portion(&self, id: u32) -> Option<&Portion> {
        self.portions.get(id as usize)
    }

    pub(crate) fn may_retry(&self, max: u32) -> bool {
        self.safe && self.retries < max
    }
}
