//! What must have come of a world.

use std::collections::BTreeMap;

use sg::{LabelSet, Rc, TimeRange};

use crate::{
    gw::{Asked, End, Requests},
    world::Storm,
};

/// The instants for which data exists, in every world.
pub(crate) const DATA: (i64, i64) = (0, 1_000);

/// Counts over worlds, so that a simulation that tries nothing is noticed.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub requests: usize,
    pub succeeded: usize,
    pub failed: BTreeMap<i16, usize>,
    pub own: usize,
    pub dropped: usize,
    pub portions: usize,
    pub retries: u64,
    pub overruns: u64,
    pub replaced: usize,
    pub covered: usize,
    pub steps: usize,
    pub most_queued: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Tally) {
        self.requests += other.requests;
        self.succeeded += other.succeeded;
        for (rc, n) in &other.failed {
            *self.failed.entry(*rc).or_default() += n;
        }
        self.own += other.own;
        self.dropped += other.dropped;
        self.portions += other.portions;
        self.retries += other.retries;
        self.overruns += other.overruns;
        self.replaced += other.replaced;
        self.covered += other.covered;
        self.steps += other.steps;
        self.most_queued = self.most_queued.max(other.most_queued);
    }

    /// A storm that did not blow proves nothing.
    pub(crate) fn must_have_tried(&self, storm: Storm) {
        assert!(self.succeeded * 2 > self.requests, "most requests should succeed: {self:?}");
        assert!(self.most_queued > 3, "portions should wait at times: {self:?}");
        match storm {
            Storm::Calm => assert_eq!(self.succeeded, self.requests, "{self:?}"),
            Storm::EndOfDay => assert!(self.covered > 50 && self.replaced > 5, "{self:?}"),
            Storm::Wild => assert!(self.retries > 100 && self.overruns > 50 && self.replaced > 5, "{self:?}"),
            Storm::Restart => assert!(!self.failed.is_empty(), "{self:?}"),
        }
    }
}

/// Panics where a client got a wrong answer, two, none, or a late one.
pub(crate) fn all(requests: &Requests, tally: &mut Tally) {
    for (corr, asked) in requests {
        tally.requests += 1;
        let Some(end) = &asked.end else { panic!("{corr} was never answered: {asked:?}") };
        match end {
            End::Dropped => tally.dropped += 1,
            End::Own { at } => {
                assert!(*at <= asked.deadline, "{corr}: the gateway's own answer is late");
                assert!(asked.disturbed, "{corr}: the coordinator left the answer to the gateway: {asked:?}");
                tally.own += 1;
            }
            End::Answered { rc, at, parts, ai } => {
                assert!(*at <= asked.deadline, "{corr}: answered after its deadline");
                match *rc {
                    Rc::OK => {
                        tally.succeeded += 1;
                        tally.portions += parts.len();
                        if asked.api != sg::api::PING {
                            exactly_once(asked, parts)
                                .unwrap_or_else(|why| panic!("{corr}: {why}\n{asked:?}"));
                        }
                    }
                    rc => {
                        assert!(
                            !ai.is_empty() || rc == Rc::CANCELLED,
                            "{corr}: a failure without a sentence"
                        );
                        *tally.failed.entry(rc.0).or_default() += 1;
                    }
                }
            }
        }
    }
}

/// Each instant that has data is in the parts once for each label set asked.
fn exactly_once(asked: &Asked, parts: &[crate::agg::Part]) -> Result<(), String> {
    let wanted = TimeRange::new(DATA.0, DATA.1).and_then(|d| d.intersect(asked.range));
    let mut by_labels: BTreeMap<&LabelSet, Vec<TimeRange>> = BTreeMap::new();
    for part in parts {
        let held = part.held.and_then(|h| h.intersect(asked.range));
        by_labels.entry(&part.labels).or_default().extend(held);
    }
    for labels in &asked.labels {
        let mut got = by_labels.remove(labels).unwrap_or_default();
        got.sort();
        for pair in got.windows(2) {
            if pair[0].end() > pair[1].start() {
                return Err(format!("{labels}: {} and {} overlap", pair[0], pair[1]));
            }
        }
        let Some(wanted) = wanted.filter(|_| asked.informed) else { continue };
        let mut at = wanted.start();
        for range in got {
            if range.start() > at {
                return Err(format!("{labels}: nothing covers from {at} to {}", range.start()));
            }
            at = at.max(range.end());
        }
        if at < wanted.end() {
            return Err(format!("{labels}: nothing covers from {at} to {}", wanted.end()));
        }
    }
    match by_labels.keys().next() {
        Some(stranger) => Err(format!("{stranger} was not asked for")),
        None => Ok(()),
    }
}
