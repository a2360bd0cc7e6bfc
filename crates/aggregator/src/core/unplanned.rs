//! Unplanned partials: partials that arrive before the plan or replacement naming the portion.
//!
//! A partial overtakes the plan where the RC's link is slower than the DAP's. Waiting partials are bounded in bytes and
//! in time.

use std::collections::VecDeque;

use ahash::HashMap;
use sg::msg::Partial;

use super::{Dropped, Key, Nanos};

/// What each counts beside its payload.
const OVERHEAD: usize = 256;

pub(super) struct Unplanned {
    most: usize,
    time: Nanos,
    bytes: usize,
    waiting: HashMap<Key, Waiting>,
    /// when what waits for a key is given up, soonest first; entries of what is gone already are skipped
    due: VecDeque<(Nanos, Key)>,
}

struct Waiting {
    due: Nanos,
    partials: Vec<Partial>,
}

fn cost(partial: &Partial) -> usize {
    partial.payload.len() + OVERHEAD
}

impl Unplanned {
    pub(super) fn new(most: usize, time: Nanos) -> Self {
        Unplanned { most, time, bytes: 0, waiting: HashMap::default(), due: VecDeque::new() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn put(&mut self, key: Key, partial: Partial, now: Nanos) -> Result<(), Dropped> {
        let cost = cost(&partial);
        if self.bytes + cost > self.most && !sg::mutation::on("agg-early-unbounded") {
            return Err(Dropped::EarlyFull);
        }
        let due = now.saturating_add(self.time);
        let waiting = self.waiting.entry(key).or_insert_with(|| {
            self.due.push_back((due, key));
            Waiting { due, partials: Vec::new() }
        });
        if waiting.partials.iter().any(|p| p.portion == partial.portion && p.rc == partial.rc) {
            return Err(Dropped::Duplicate);
        }
        waiting.partials.push(super::detached(partial));
        self.bytes += cost;
        Ok(())
    }

    /// What waits for a key, in the order it came.
    pub(super) fn take(&mut self, key: &Key) -> Vec<Partial> {
        if sg::mutation::on("agg-forgets-early") {
            return Vec::new();
        }
        let taken = self.waiting.remove(key).map(|w| w.partials).unwrap_or_default();
        self.bytes -= taken.iter().map(cost).sum::<usize>();
        taken
    }

    pub(super) fn forget(&mut self, key: &Key) {
        self.take(key);
    }

    /// Gives up what has waited too long; how many partials that were.
    pub(super) fn expire(&mut self, now: Nanos) -> usize {
        let mut expired = 0;
        while let Some((due, key)) = self.due.pop_front_if(|(due, _)| *due <= now) {
            if self.waiting.get(&key).is_some_and(|w| w.due == due) {
                expired += self.take(&key).len();
            }
        }
        expired
    }
}
