//! Second runs of portions that take long: of APIs that are safe, on idle replicas, within a budget.
//!
//! Rules kept: a second run starts only while at least half of the replicas of its source are idle, and all second runs
//! together take at most the given part of the time of all portions; where a portion has to wait, a second run of its
//! source ends for it; the first partial wins and ends the other run. The elapsed time of the slower replica counts as
//! a measurement, so that the replica is chosen less. Tests: `tests/rules/hedge.rs`.

use sg::PortionId;

use super::{Due, Router};
use crate::{
    coverage::SourceId,
    event::{Nanos, PeerId},
    fleet::LeaseKey,
    request::{Hedge, Place},
};

/// Number of recorded second runs from which finished second runs are dropped.
const FORGET_FROM: usize = 64;

/// Most second runs that may be saved up.
const SAVED: u32 = 20;

impl Router {
    /// What one second run costs of the budget, which grows by the percentage with each portion: it may take as
    /// long as the first already has.
    fn hedge_cost(&self) -> u32 {
        100 * self.settings.hedge_after.max(1)
    }

    /// A portion begins to run: when it would be slow.
    pub(super) fn watch_run(&mut self, seq: u64, portion: u32, source: SourceId, usual: Nanos) {
        let percent = self.settings.hedge_percent;
        self.hedges = (self.hedges + percent).min(self.hedge_cost() * SAVED);
        let alone = self.coverage.source(source).is_none_or(|s| s.replicas.len() < 2);
        let Some(request) = self.requests.get(&seq) else { return };
        if percent == 0 || alone || !request.safe || !request.routing.scope.dap.is_null() {
            return;
        }
        let wait = usual.saturating_mul(self.settings.hedge_after.into()).max(self.settings.hedge_min);
        self.arm(seq, portion, self.now.saturating_add(wait));
    }

    fn arm(&mut self, seq: u64, portion: u32, at: Nanos) {
        self.disarm(seq, portion);
        let p = self.requests.get_mut(&seq).and_then(|r| r.portions.get_mut(portion as usize));
        if let Some(p) = p.filter(|p| matches!(p.place, Place::Leased(_))) {
            p.hedge_at = Some(at);
            self.timers.insert((at, seq, Due::Slow(portion)));
        }
    }

    /// The portion does not run any more, or runs twice already.
    pub(super) fn disarm(&mut self, seq: u64, portion: u32) {
        let p = self.requests.get_mut(&seq).and_then(|r| r.portions.get_mut(portion as usize));
        if let Some(at) = p.and_then(|p| p.hedge_at.take()) {
            self.timers.remove(&(at, seq, Due::Slow(portion)));
        }
    }

    /// A portion has run for longer than is usual.
    pub(super) fn run_twice(&mut self, seq: u64, portion: u32) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let Some(p) = request.portions.get_mut(portion as usize) else { return };
        p.hedge_at = None;
        let (Place::Leased(running), None) = (&p.place, p.hedge) else { return };
        let running = *running;
        let Some(request) = self.requests.get(&seq) else { return };
        let Some(p) = request.portion(portion) else { return };
        // Tiles that have moved since: the first run reads what was there, a second one would leave instants out.
        let pieces = self.coverage.again(p.domain, &request.routing, p.range);
        if !matches!(&pieces[..], [one] if one.range == p.range && one.sources == p.sources) {
            return;
        }
        let plenty = p.sources.iter().all(|s| {
            let replicas = self.coverage.source(*s).map_or(0, |s| s.replicas.len());
            2 * (self.fleet.idle(*s) + self.idle_at_peers(*s)) >= replicas && !self.queue.waits(*s)
        });
        if self.hedges >= self.hedge_cost() && plenty {
            let suits = |source, dap: &crate::fleet::Dap| {
                self.suits(request, p, source, dap)
                    && self.fleet.get(running).is_none_or(|r| r.name() != dap.name())
            };
            let own = self.fleet.pick(&p.sources, self.now, suits);
            let peer = if own.is_none() { self.idle_peer(request, p) } else { None };
            if own.is_some() || peer.is_some() {
                self.hedges -= self.hedge_cost();
                self.stats.hedges += 1;
            }
            if let Some(own) = own {
                return self.dispatch(seq, portion, own);
            }
            if let Some((peer, group)) = peer {
                return self.ask_to_start(seq, portion, peer, group, 0);
            }
        }
        let source = self.fleet.get(running).map(|d| d.source);
        let usual = source.map_or(0, |source| self.fleet.typical(source, request.api));
        self.arm(seq, portion, self.now + usual.max(self.settings.hedge_min));
    }

    /// A portion begins to run a second time.
    pub(super) fn runs_twice(&mut self, seq: u64, portion: u32) {
        if self.seconds.len() >= FORGET_FROM {
            let mut seconds = std::mem::take(&mut self.seconds);
            seconds.retain(|(seq, portion)| self.second_of(*seq, *portion).is_some());
            self.seconds = seconds;
        }
        self.seconds.push((seq, portion));
    }

    /// The replica of a second run, while the first goes on.
    fn second_of(&self, seq: u64, portion: u32) -> Option<PeerId> {
        let p = self.requests.get(&seq)?.portion(portion)?;
        match (&p.place, p.hedge) {
            (Place::Leased(_), Some(Hedge::Leased(second))) => Some(second),
            _ => None,
        }
    }

    /// A portion of these sources has to wait, here or at a peer: a second run ends for it.
    pub(super) fn give_way(&mut self, sources: &[SourceId]) {
        let of_sources = |(seq, portion): &(u64, u32)| {
            let source = self.second_of(*seq, *portion).and_then(|dap| self.fleet.get(dap)).map(|d| d.source);
            source.is_some_and(|s| sources.contains(&s))
        };
        let Some(at) = self.seconds.iter().position(of_sources) else { return };
        let (seq, portion) = self.seconds.swap_remove(at);
        self.drop_hedge(seq, portion);
        self.stats.gave_way += 1;
    }

    /// A portion that ran twice is in custody: the elapsed time of the loser is a lower bound of the loser's speed.
    pub(super) fn measure_loser(&mut self, seq: u64, portion: u32) {
        let Some(request) = self.requests.get(&seq) else { return };
        let Some(p) = request.portion(portion) else { return };
        let key = LeaseKey { corr: request.corr, attempt: request.attempt, portion: PortionId(portion) };
        let (Place::Leased(one) | Place::Delivered { by: one, .. }, Some(Hedge::Leased(other))) =
            (&p.place, p.hedge)
        else {
            return;
        };
        let api = request.api;
        for dap in [*one, other] {
            let lease = self.fleet.get(dap).and_then(|d| Some((d.source, *d.running.get(&key)?)));
            let Some((source, lease)) = lease else { continue };
            let took = self.now.saturating_sub(lease.since);
            if lease.state == crate::fleet::LeaseState::Running && took > 2 * self.fleet.typical(source, api)
            {
                self.fleet.measure_replica(dap, api, took);
            }
        }
    }
}
