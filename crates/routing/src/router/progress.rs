//! What DAPs and Aggs say of portions, and what is tried again.
//!
//! Rules kept (design §3.4, mesh §2): custody of a portion ends with the Agg's `got`, not with the DAP's
//! `done`; a portion is tried again only where it never started or its API is safe, a bounded number of times;
//! what an abandoned attempt still says is ignored.

use sg::{
    Ac, Corr, Failure, Rc,
    msg::{CancelRun, Done, Finished, Got, Idle},
};

use super::{Due, Router};
use crate::{
    event::{Note, PeerId},
    fleet::{LeaseKey, LeaseState},
    request::Place,
};

impl Router {
    /// The request of this attempt, if it is the present one.
    pub(super) fn live_attempt(&self, corr: Corr, attempt: i32) -> Option<u64> {
        let seq = *self.by_corr.get(&corr)?;
        self.requests.get(&seq).filter(|r| r.attempt == attempt).map(|_| seq)
    }

    pub(super) fn done(&mut self, peer: PeerId, m: Done) {
        let key = LeaseKey { corr: m.corr, attempt: m.attempt, portion: m.portion };
        let Some(lease) = self.fleet.get(peer).and_then(|d| d.running.get(&key)).copied() else {
            return self.stray(".qm.done");
        };
        // Refused without having run, so that its place is free and no `idle` will say so.
        let moved = m.rc == Rc::APP_RETRY2 && m.version > lease.version;
        let busy = m.rc == Rc::QUEUE;
        self.fleet.update(peer, |d| match moved {
            true => drop(d.running.remove(&key)),
            false => {
                if let Some(l) = d.running.get_mut(&key) {
                    l.state = LeaseState::Ended;
                }
            }
        });
        if m.rc == Rc::OK {
            self.fleet.measure(peer, lease.api, self.now.saturating_sub(lease.since));
        }
        self.leases_over(peer);
        let Some(seq) = self.live_attempt(m.corr, m.attempt) else { return self.serve(peer) };
        let portion = m.portion.0;
        let place = self.requests.get(&seq).and_then(|r| r.portion(portion)).map(|p| p.place.clone());
        if place != Some(Place::Leased(peer)) {
            return self.serve(peer);
        }
        let failure = Failure::new(m.rc, m.ac, m.ai);
        match failure.rc {
            Rc::OK => self.delivered(seq, portion, peer),
            _ if moved => self.replan_one(seq, portion, &failure.ai),
            _ if busy => self.try_again(seq, portion, failure, true),
            rc if rc.is_retryable() => self.try_again(seq, portion, failure, false),
            _ => self.failed(seq, portion, peer, failure),
        }
        self.serve(peer);
    }

    pub(super) fn idle(&mut self, peer: PeerId, m: &Idle) {
        let Some(dap) = self.fleet.get(peer) else { return self.stray(".qm.idle") };
        if dap.purview.epoch != m.epoch {
            return self.stray(".qm.idle");
        }
        // Runs nothing at all, so what was not waited for has stopped too.
        let empty = i64::from(m.slots) >= i64::from(dap.purview.capacity);
        self.fleet.update(peer, |d| {
            d.running.retain(|_, l| match l.state {
                LeaseState::Running => true,
                LeaseState::Overrun => !empty,
                LeaseState::Ended => false,
            });
        });
        self.leases_over(peer);
        self.serve(peer);
    }

    fn delivered(&mut self, seq: u64, portion: u32, by: PeerId) {
        let Some(request) = self.requests.get(&seq) else { return };
        let left = request.answer_by.saturating_sub(self.now);
        let until = self.now + self.settings.custody_wait.min(left / 2);
        self.timers.insert((until, seq, Due::Custody(portion)));
        self.set_place(seq, portion, Place::Delivered { until, by });
    }

    /// A portion failed for good: the request fails, by the Agg where the client wants the partials.
    fn failed(&mut self, seq: u64, portion: u32, by: PeerId, failure: Failure) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        if !request.wants_partials {
            return self.fail(seq, failure);
        }
        request.failure.get_or_insert(failure);
        self.delivered(seq, portion, by);
    }

    pub(super) fn got(&mut self, agg: PeerId, m: &Got) {
        let Some(seq) = self.live_attempt(m.corr, m.attempt) else { return };
        let Some(request) = self.requests.get(&seq).filter(|r| r.agg == Some(agg)) else {
            return self.stray(".qm.got");
        };
        let portion = m.portion.0;
        let Some(place) = request.portion(portion).map(|p| p.place.clone()) else {
            return self.stray(".qm.got");
        };
        let (corr, attempt) = (m.corr, m.attempt);
        match place {
            Place::Nowhere | Place::Got | Place::Replaced => return,
            Place::Waiting(_) => self.unqueue(seq, portion),
            Place::Delivered { until, .. } => {
                self.timers.remove(&(until, seq, Due::Custody(portion)));
            }
            // Its own `done` is still under way; or an earlier run's partial came after all, and then this
            // one is not wanted.
            Place::Leased(dap) => {
                let again = request.portion(portion).is_some_and(|p| p.tries > 0);
                if again {
                    self.release(dap, LeaseKey { corr, attempt, portion: m.portion });
                }
            }
        }
        self.set_place(seq, portion, Place::Got);
        if let Some(request) = self.requests.get_mut(&seq) {
            request.open -= 1;
        }
    }

    pub(super) fn finished(&mut self, agg: PeerId, m: &Finished) {
        let Some(seq) = self.live_attempt(m.corr, m.attempt) else { return };
        if self.requests.get(&seq).is_some_and(|r| r.agg == Some(agg)) {
            self.end(seq, &Failure::new(m.rc, m.ac, m.ai.clone()));
        }
    }

    pub(super) fn custody_late(&mut self, seq: u64, portion: u32) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        if let Some(failure) = request.failure.take() {
            return self.fail(seq, failure);
        }
        let Some(Place::Delivered { by, .. }) = request.portion(portion).map(|p| p.place.clone()) else {
            return;
        };
        let dap = self.fleet.get(by).map(|d| d.name().to_string()).unwrap_or_else(|| "a lost process".into());
        let agg = request.agg.and_then(|a| self.aggs.get(a)).map(|a| a.name.to_string()).unwrap_or_default();
        let ai = format!("portion {portion} was sent by {dap} but never reached aggregator {agg}");
        self.try_again(seq, portion, Failure::new(Rc::CONN, Ac::CONN, ai), false);
    }

    /// Puts a portion to work again, or fails the request where that is not safe or was done too often.
    pub(super) fn try_again(&mut self, seq: u64, portion: u32, why: Failure, never_started: bool) {
        let max = self.settings.max_retry;
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let Some(p) = request.portions.get(portion as usize) else { return };
        let bounded = p.tries <= max.saturating_mul(REFUSALS);
        let allowed = if never_started { bounded } else { request.may_retry(max) };
        if !allowed {
            let mut failure = why;
            if !request.safe && !never_started {
                failure
                    .ai
                    .push_str(&format!("; {} is not registered as safe to run again", request.api_name));
            } else {
                failure.ai.push_str(&format!("; given up after {} tries", p.tries + 1));
            }
            return self.fail(seq, failure);
        }
        let corr = request.corr;
        request.retries += u32::from(!never_started);
        if let Some(p) = request.portions.get_mut(portion as usize) {
            p.tries += 1;
        }
        self.stats.retries += 1;
        self.note(Note::Retry { corr, why: why.ai });
        // Tiles may have moved while it was leased: as it was planned it could leave instants out.
        self.replan(seq, portion);
    }

    /// Frees a lease whose portion is not wanted any more: the replica is told to stop, and is not idle until
    /// it says so.
    pub(super) fn release(&mut self, dap: PeerId, key: LeaseKey) {
        let was_running = self.fleet.update(dap, |d| match d.running.get_mut(&key) {
            Some(l) if l.state == LeaseState::Running => {
                l.state = LeaseState::Overrun;
                true
            }
            _ => false,
        });
        if was_running == Some(true) {
            self.stats.overruns += 1;
            let LeaseKey { corr, attempt, portion } = key;
            self.send(dap, CancelRun { corr, attempt, portion });
        }
    }
}

/// Refusals of a portion that never started, per allowed retry, before the request is given up.
const REFUSALS: u32 = 32;
