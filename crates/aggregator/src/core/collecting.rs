//! One request that waits for its partials.

use std::sync::Arc;

use ahash::HashMap;
use kvalue::Value;
use qipc::{Limits, Raw};
use sg::{
    Failure, LabelSet, PortionId,
    header::NO_VINTAGE,
    msg::{LonePlan, Plan, PlannedPortion, Replace},
};

use super::{Asked, Job, Key, Nanos, Part, detached_raw as detached};
use crate::response_header;

/// Whether a partial of a portion can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Free,
    /// a partial is present, was present, or the portion was replaced
    Taken,
    /// no plan or replacement names it yet
    Unknown,
}

pub(super) struct Collecting<L> {
    asked: Arc<Asked<L>>,
    epoch: i32,
    /// what completes it, in answer order
    slots: Vec<Slot>,
    /// where each portion ever named stands; `None` once replaced
    index: HashMap<PortionId, Option<usize>>,
    /// slots without a partial
    missing: usize,
    bytes: usize,
    worst: Option<Failure>,
    /// of all received partials, dropped partials included
    newest: i64,
    /// portions that the answer does without
    given_up: Vec<PlannedPortion>,
    /// the coordinator knows by declaration what there should be
    declared: bool,
}

struct Slot {
    id: PortionId,
    labels: LabelSet,
    part: Option<Part>,
    /// of the reference tables that its partial used
    vintage: i64,
    /// the partial used an older vintage than other partials: the RC replaces the portion
    stale: bool,
}

impl From<PlannedPortion> for Slot {
    fn from(portion: PlannedPortion) -> Self {
        Slot { id: portion.id, labels: portion.labels, part: None, vintage: NO_VINTAGE, stale: false }
    }
}

impl<L: Clone> Collecting<L> {
    pub(super) fn new(rc: L, plan: Plan, deadline: Nanos) -> Self {
        let Plan { corr, attempt, epoch, api, agg_fn, gw, opts, args, portions, .. } = plan;
        let (opts, args) = (detached(opts), detached(args));
        let asked = Asked { key: (corr, attempt), rc, api, agg_fn, gw, opts, args, deadline };
        let mut seen = std::collections::HashSet::new();
        let slots = portions.into_iter().filter(|p| seen.insert(p.id)).map(Slot::from);
        let mut open = Collecting::with(asked, epoch, slots.collect());
        open.count();
        open
    }

    /// A request of one portion, whose partial is there.
    pub(super) fn lone(rc: L, key: Key, portion: PortionId, plan: LonePlan, deadline: Nanos) -> Self {
        let LonePlan { api, agg_fn, gw, labels, opts, args, .. } = plan;
        // They lie beside the payload, and are let go with it.
        let asked = Asked { key, rc, api, agg_fn, gw, opts, args, deadline };
        let slot = Slot { id: portion, labels, part: None, vintage: NO_VINTAGE, stale: false };
        let mut open = Collecting::with(asked, 0, vec![slot]);
        open.missing = 1;
        open
    }

    fn with(asked: Asked<L>, epoch: i32, slots: Vec<Slot>) -> Self {
        Collecting {
            asked: Arc::new(asked),
            epoch,
            slots,
            index: HashMap::default(),
            missing: 0,
            bytes: 0,
            worst: None,
            newest: NO_VINTAGE,
            given_up: Vec::new(),
            declared: false,
        }
    }

    fn count(&mut self) {
        self.missing = self.slots.iter().filter(|s| s.part.is_none()).count();
        self.index.extend(self.slots.iter().enumerate().map(|(i, s)| (s.id, Some(i))));
    }

    pub(super) fn rc(&self) -> L {
        self.asked.rc.clone()
    }

    pub(super) fn deadline(&self) -> Nanos {
        self.asked.deadline
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing == 0 || (self.missing == 1 && sg::mutation::on("agg-completes-early"))
    }

    /// True where the next partial is not the last.
    pub(super) fn waits_for_more(&self) -> bool {
        self.missing > 1
    }

    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.worst.take()
    }

    pub(super) fn wants_partials(&self) -> bool {
        wants_partials(&self.asked.opts)
    }

    pub(super) fn place(&self, portion: PortionId) -> Place {
        match self.index.get(&portion) {
            None => Place::Unknown,
            Some(None) => Place::Taken,
            Some(Some(slot)) => match self.slots[*slot].part {
                None if self.slots[*slot].stale => Place::Taken,
                None => Place::Free,
                Some(_) if sg::mutation::on("agg-takes-twice") => Place::Free,
                Some(_) => Place::Taken,
            },
        }
    }

    /// Stores a partial whose place is free.
    pub(super) fn store(&mut self, part: Part, failure: Option<Failure>) {
        // The only one of a lone request has no index.
        let slot =
            if self.index.is_empty() { &Some(0) } else { self.index.get(&part.portion).unwrap_or(&None) };
        let Some(slot) = slot else { return };
        self.bytes += part.payload.len();
        self.missing -= 1;
        let vintage = response_header::vintage(&part.extra);
        self.newest = self.newest.max(vintage);
        self.slots[*slot].vintage = vintage;
        self.slots[*slot].part = Some(part);
        // The worst is what says most: codes of applications before those of the framework are smaller.
        if let Some(failure) = failure
            && self.worst.as_ref().is_none_or(|w| failure.rc > w.rc)
        {
            self.worst = Some(failure);
        }
    }

    /// With all partials present, and some of an older vintage of reference tables: drops the older partials. Returns
    /// the newest vintage, the portions dropped, and the bytes freed.
    pub(super) fn drop_stale(&mut self) -> Option<(i64, Vec<PortionId>, usize)> {
        // Hardly anybody says a vintage. And a failure needs none.
        if self.newest == NO_VINTAGE || self.worst.is_some() || sg::mutation::on("agg-mixes-vintages") {
            return None;
        }
        // Of those that are there: what was the newest may have been replaced.
        let newest = self.slots.iter().map(|s| s.vintage).max()?;
        let is_stale = |s: &&mut Slot| s.vintage != NO_VINTAGE && s.vintage < newest;
        let (mut stale, mut freed) = (Vec::new(), 0);
        for slot in self.slots.iter_mut().filter(is_stale) {
            freed += slot.part.take().map_or(0, |p| p.payload.len());
            (slot.vintage, slot.stale) = (NO_VINTAGE, true);
            stale.push(slot.id);
        }
        self.missing += stale.len();
        self.bytes -= freed;
        if !stale.is_empty() {
            // The one that came last was to be used at once.
            let kept = self.slots.iter_mut().filter_map(|s| s.part.as_mut());
            kept.for_each(|p| p.payload = super::detached_bytes(std::mem::take(&mut p.payload)));
        }
        (!stale.is_empty()).then_some((newest, stale, freed))
    }

    /// Puts other portions in the place of one; the bytes that were held for it.
    pub(super) fn replace(&mut self, replace: Replace) -> usize {
        let Replace { epoch, old, new, .. } = replace;
        let Some(Some(at)) = self.index.get(&old).copied() else { return 0 };
        if epoch <= self.epoch {
            return 0;
        }
        self.epoch = epoch;
        let freed = self.slots[at].part.as_ref().map_or(0, |p| p.payload.len());
        self.bytes -= freed;
        let fresh: Vec<Slot> =
            new.into_iter().filter(|p| !self.index.contains_key(&p.id)).map(Slot::from).collect();
        self.slots.splice(at..=at, fresh);
        self.index.insert(old, None);
        self.count();
        freed
    }

    /// Portions that are not waited for any more; those that have come stay.
    pub(super) fn give_up(&mut self, missing: Vec<PlannedPortion>, declared: bool) {
        self.declared = declared;
        for portion in missing {
            let Some(Some(at)) = self.index.get(&portion.id).copied() else { continue };
            if self.slots[at].part.is_some() {
                continue;
            }
            self.slots.remove(at);
            self.index.insert(portion.id, None);
            self.given_up.push(portion);
            self.count();
        }
    }

    /// What did not come, for people.
    pub(super) fn missing(&self) -> String {
        const LISTED: usize = 5;
        let missing: Vec<String> = self
            .slots
            .iter()
            .filter(|s| s.part.is_none())
            .map(|s| format!("{} ({})", s.id.0, s.labels))
            .collect();
        let more = if missing.len() > LISTED { ", …" } else { "" };
        let listed = missing[..missing.len().min(LISTED)].join(", ");
        format!("{} of {} partials missing: portions {listed}{more}", missing.len(), self.slots.len())
    }

    pub(super) fn into_job(self) -> Job<L> {
        let mut labels: Vec<LabelSet> = Vec::new();
        let mut parts = Vec::with_capacity(self.slots.len());
        for slot in self.slots {
            if labels.last() != Some(&slot.labels) {
                labels.push(slot.labels);
            }
            parts.extend(slot.part);
        }
        Job {
            asked: self.asked,
            parts,
            labels,
            missing: if sg::mutation::on("agg-hides-missing") { Vec::new() } else { self.given_up },
            declared: self.declared,
        }
    }
}

/// Whether the client asked for the partials of a request that fails. Only looked at when one does.
pub(crate) fn wants_partials(opts: &Raw) -> bool {
    let opts = opts.decode(&Limits::internal());
    let wanted = opts.ok().as_ref().and_then(Value::as_dict).and_then(|d| d.get("sendPartials"));
    wanted.is_some_and(|v| v.as_bool().unwrap_or_else(|| v.as_i64().is_some_and(|n| n != 0)))
}
