//! The ideal to compare with: one central queue, first come first served, with immediate knowledge of arrivals and idle
//! replicas. A start on a replica of a coordinator other than the one that was asked costs one round trip of that
//! replica's time.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, VecDeque},
};

use routing::Nanos;

use crate::{
    setup::Setup,
    trace::{Arrival, Outcome, Trace},
};

/// Plays a trace.
pub fn run(setup: &Setup, trace: &Trace) -> Outcome {
    let mut queue = Central {
        setup,
        idle: (0..setup.all_replicas()).map(|r| (0, r)).collect(),
        busy: BinaryHeap::new(),
        waiting: VecDeque::new(),
        out: Outcome { waits: vec![0; trace.0.len()], times: vec![0; trace.0.len()], ..Outcome::default() },
    };
    for (i, arrival) in trace.0.iter().enumerate() {
        queue.until(arrival.at, trace);
        queue.waiting.push_back(i);
        queue.start(arrival.at, trace);
    }
    queue.until(Nanos::MAX, trace);
    queue.out
}

struct Central<'a> {
    setup: &'a Setup,
    /// by when they became idle
    idle: BTreeSet<(Nanos, usize)>,
    busy: BinaryHeap<Reverse<(Nanos, usize)>>,
    waiting: VecDeque<usize>,
    out: Outcome,
}

impl Central<'_> {
    fn until(&mut self, now: Nanos, trace: &Trace) {
        while let Some(Reverse((at, replica))) = self.busy.peek().copied()
            && at <= now
        {
            self.busy.pop();
            self.idle.insert((at, replica));
            self.out.until = at;
            self.start(at, trace);
        }
    }

    fn start(&mut self, now: Nanos, trace: &Trace) {
        while let Some(&next) = self.waiting.front() {
            let arrival: &Arrival = &trace.0[next];
            let own = |r: usize| r / self.setup.replicas == arrival.rc;
            // The fast before the slow, its own before others', the longest idle first.
            let best = self
                .idle
                .iter()
                .copied()
                .min_by_key(|(since, r)| (self.setup.slowness(*r) > 1.0, !own(*r), *since));
            let Some((since, replica)) = best else { return };
            self.waiting.pop_front();
            self.idle.remove(&(since, replica));
            let way = if own(replica) { 0 } else { self.setup.round_trip };
            let runs = (arrival.service as f64 * self.setup.slowness(replica)) as Nanos;
            self.out.waits[next] = now - arrival.at;
            self.out.times[next] = now - arrival.at + way + runs;
            self.busy.push(Reverse((now + way + runs, replica)));
        }
    }
}
