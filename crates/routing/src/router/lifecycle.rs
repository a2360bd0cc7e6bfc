//! What DAPs and Aggs say of portions, and what is tried again.
//!
//! Rules kept (design §3.4, mesh §2): custody of a portion ends with the Agg's `got`, not with the DAP's
//! `done`; a request ends when the GW says that the answer is there, not when the Agg has sent it; a portion is tried again only where it never started or its API is safe, a bounded number of times;
//! what an abandoned attempt still says is ignored.

use kvalue::Sym;
use sg::{
    Ac, Corr, Failure, PortionId, Rc,
    msg::{Answered, CancelRun, Done, Got, Idle, Undelivered},
};

use super::{Due, Router};
use crate::{
    event::{MILLI, Nanos, Note, PeerId, SECOND},
    fleet::{LeaseKey, LeaseState, MOST_REFUSALS, Recalled},
    request::{Hedge, Place, REDO},
    trace::Cost,
};

impl Router {
    /// The request of `attempt`, if the attempt is current.
    pub(super) fn live_attempt(&self, corr: Corr, attempt: i32) -> Option<u64> {
        let seq = *self.by_corr.get(&corr)?;
        self.requests.get(&seq).filter(|r| r.attempt == attempt).map(|_| seq)
    }

    pub(super) fn done(&mut self, peer: PeerId, m: Done) {
        let key = LeaseKey { corr: m.corr, attempt: m.attempt, portion: m.portion };
        let Some(lease) = self.fleet.get(peer).and_then(|d| d.running.get(&key)).copied() else {
            self.stray(".qm.done");
            if m.slots >= 0 {
                self.idle(peer, &Idle { epoch: m.epoch, slots: m.slots });
            }
            return;
        };
        // Refused without a run: the slot is free, and no `idle` message follows.
        let moved = m.rc == Rc::APP_RETRY2 && m.version > lease.version;
        let busy = m.rc == Rc::QUEUE;
        // The replica has another owner by now, whose message is still under way.
        let obeys_another = (m.rc, m.ac) == (Rc::CONN, Ac::NOT_READY);
        let remote = self.fleet.get(peer).is_some_and(|d| d.owner.is_some());
        let took = (m.rc == Rc::OK).then(|| (lease.api, self.now.saturating_sub(lease.since)));
        let ejected = self.fleet.ended(peer, took, |d| {
            let slots = (d.purview.epoch == m.epoch && m.slots >= 0).then_some(m.slots);
            match moved || remote {
                true => _ = d.running.remove(&key),
                false => _ = d.running.change(&key, |l| l.state = LeaseState::Ended),
            }
            if let Some(slots) = slots {
                d.has_free(slots);
            }
            // What was asked back says nothing of how long the other one takes.
            !(moved || remote) && busy && lease.recalled == Recalled::No && d.says_busy()
        });
        if ejected == Some(true) {
            self.eject(peer);
        }
        self.leases_over(peer);
        if lease.primary.is_none() && m.rc == Rc::OK {
            self.ran(key, peer, Cost::said(m.took, m.bytes));
        }
        if let Some(primary) = lease.primary {
            self.returned(primary, key, peer, &m);
            return self.serve(peer);
        }
        let Some(seq) = self.live_attempt(m.corr, m.attempt) else { return self.serve(peer) };
        let portion = m.portion.0;
        let place = self.run_of(seq, portion, peer, m.rc == Rc::OK);
        if place != Some(Place::Leased(peer)) {
            return self.serve(peer);
        }
        let failure = Failure::new(m.rc, m.ac, m.ai);
        match failure.rc {
            Rc::OK => self.delivered(seq, portion, peer),
            _ if moved || obeys_another => self.replan_one(seq, portion, peer, &failure.ai),
            _ if busy => self.handed_back(seq, portion),
            rc if rc.is_retryable() => self.try_again(seq, portion, failure, false),
            _ => self.failed(seq, portion, peer, failure),
        }
        self.serve(peer);
    }

    /// A replica says what its run of a portion cost. It may say so after the request has ended.
    pub(super) fn ran(&mut self, key: LeaseKey, peer: PeerId, cost: Cost) {
        let LeaseKey { corr, attempt, portion } = key;
        let Some(seq) = self.live_attempt(corr, attempt) else {
            return self.traces.ran((corr, attempt, portion.0), peer, cost);
        };
        let p = self.requests.get_mut(&seq).and_then(|r| r.portions.get_mut(portion.0 as usize));
        if let Some(run) = p.and_then(|p| p.run.as_mut()).filter(|r| r.by == peer) {
            run.cost = Some(cost);
        }
    }

    /// Where a portion is, once the run of `peer` has ended. Where it runs twice, the other goes on alone.
    fn run_of(&mut self, seq: u64, portion: u32, peer: PeerId, ok: bool) -> Option<Place> {
        let p = self.requests.get_mut(&seq)?.portions.get_mut(portion as usize)?;
        match (p.hedge, &p.place) {
            (Some(Hedge::Leased(second)), Place::Leased(first)) if second == peer => {
                p.hedge = None;
                if ok {
                    p.hedge = Some(Hedge::Leased(*first));
                    p.place = Place::Leased(peer);
                }
            }
            (Some(_), Place::Leased(first)) if *first == peer && !ok => {
                self.fall_back(seq, portion);
                return None;
            }
            // The first has delivered: nothing is left to fall back on.
            (Some(Hedge::Leased(second)), _) if second == peer => p.hedge = None,
            _ => {}
        }
        Some(self.requests.get(&seq)?.portion(portion)?.place.clone())
    }

    /// The second run of a portion takes the place of the first. False where there is none.
    pub(super) fn fall_back(&mut self, seq: u64, portion: u32) -> bool {
        let Some(p) = self.requests.get_mut(&seq).and_then(|r| r.portions.get_mut(portion as usize)) else {
            return false;
        };
        match p.hedge.take() {
            Some(Hedge::Leased(second)) => p.place = Place::Leased(second),
            Some(Hedge::Tried(peer)) => p.place = Place::Tried(peer),
            None => return false,
        }
        true
    }

    pub(super) fn idle(&mut self, peer: PeerId, m: &Idle) {
        let Some(dap) = self.fleet.get(peer) else { return self.stray(".qm.idle") };
        if dap.purview.epoch != m.epoch {
            return self.stray(".qm.idle");
        }
        self.fleet.update(peer, |d| d.has_free(m.slots));
        self.leases_over(peer);
        self.serve(peer);
    }

    fn delivered(&mut self, seq: u64, portion: u32, by: PeerId) {
        let Some(request) = self.requests.get(&seq) else { return };
        let left = request.answer_by.saturating_sub(self.now);
        // Where the end is that near, no other run would be in time, and the answer may be on its way.
        let until = self.now + self.settings.custody_wait.min(left / 2).max(self.settings.min_margin);
        if !sg::mutation::on("rc-custody-by-done") {
            self.timers.insert((until, seq, Due::Custody(portion)));
        }
        self.set_place(seq, portion, Place::Delivered { until, by });
    }

    /// A portion failed for good: the request fails, by the Agg where the client wants the partials.
    fn failed(&mut self, seq: u64, portion: u32, by: PeerId, failure: Failure) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        if !request.wants_partials {
            return self.fail(seq, failure);
        }
        request.failure.get_or_insert_with(|| Box::new(failure));
        self.delivered(seq, portion, by);
    }

    pub(super) fn got(&mut self, agg: PeerId, m: &Got) {
        let Some(seq) = self.live_attempt(m.corr, m.attempt) else { return };
        let Some(request) = self.requests.get(&seq).filter(|r| r.agg == Some(agg)) else {
            return self.stray(".qm.got");
        };
        match request.portion(m.portion.0) {
            Some(_) => self.in_custody(seq, m.portion.0),
            None => return self.stray(".qm.got"),
        }
        let all = self.requests.get(&seq).is_some_and(|r| r.open == 0);
        if all && sg::mutation::on("rc-ends-before-answer") {
            self.end(seq, &Failure::new(Rc::OK, Ac::OK, ""));
        }
    }

    /// The Agg has the partial of a portion, wherever that is.
    pub(super) fn in_custody(&mut self, seq: u64, portion: u32) {
        self.measure_loser(seq, portion);
        let Some(request) = self.requests.get(&seq) else { return };
        let Some(place) = request.portion(portion).map(|p| p.place.clone()) else { return };
        let key = LeaseKey { corr: request.corr, attempt: request.attempt, portion: PortionId(portion) };
        match place {
            Place::Nowhere | Place::Got | Place::GivenUp | Place::Replaced => return,
            Place::Waiting(_) => self.unqueue(seq, portion),
            Place::Resting(until) => {
                self.timers.remove(&(until, seq, Due::Again(portion)));
            }
            Place::Delivered { until, .. } => {
                self.timers.remove(&(until, seq, Due::Custody(portion)));
            }
            // Asked for a second time, and not wanted now. What was asked for once may be what has come.
            Place::Tried(owner) => {
                if request.portion(portion).is_some_and(|p| p.tries > 0) {
                    self.cancel_at(owner, key, Sym::null());
                }
            }
            // Its own `done` is still under way; or an earlier run's partial came after all, and then this
            // one is not wanted.
            Place::Leased(dap) => {
                let again = request.portion(portion).is_some_and(|p| p.tries > 0 || p.hedge.is_some());
                if again {
                    self.release(dap, key);
                }
            }
        }
        self.drop_hedge(seq, portion);
        self.set_place(seq, portion, Place::Got);
        if let Some(request) = self.requests.get_mut(&seq) {
            request.open -= 1;
            let run = request.portions.get_mut(portion as usize).and_then(|p| p.run.as_mut());
            run.into_iter().for_each(|run| run.got = self.now);
        }
    }

    /// The Agg's answer is at the GW, which is the end of the request. It may overtake what Agg and DAPs say.
    pub(super) fn answer_came(&mut self, gw: PeerId, m: &Answered) {
        let Some(&seq) = self.by_corr.get(&m.corr) else { return };
        let stranger = sg::mutation::on(crate::mutations::STRANGER_BELIEVED);
        let Some(request) = self.requests.get(&seq).filter(|r| r.gw == gw || stranger) else { return };
        if request.gw_attempt != m.attempt % REDO {
            return;
        }
        match request.attempt == m.attempt {
            true if m.rc == Rc::OK => {
                let waited = |p: &Place| !matches!(p, Place::Got | Place::GivenUp | Place::Replaced);
                let open = (0u32..).zip(&request.portions).filter(|(_, p)| waited(&p.place));
                let open: Vec<u32> = open.map(|(id, _)| id).collect();
                open.into_iter().for_each(|portion| self.in_custody(seq, portion));
            }
            true => {}
            // Done again meanwhile, by an Agg that need not go on.
            false => self.abandon(seq),
        }
        self.end(seq, &Failure::new(m.rc, Ac::OK, m.ai.clone()));
        self.traces.answered(m.corr, Cost::said(m.took, m.bytes));
    }

    /// The Agg has not answered these requests, or cannot tell whether an answer arrived. The GW drops a second answer,
    /// and says so.
    pub(super) fn undelivered(&mut self, agg: PeerId, m: &Undelivered) {
        for (corr, attempt) in m.corrs.iter().zip(&m.attempts) {
            let Some(seq) = self.live_attempt(*corr, *attempt) else { continue };
            if self.requests.get(&seq).is_none_or(|r| r.agg != Some(agg)) {
                continue;
            }
            match m.rc {
                Rc::CONN | Rc::OK => self.redo(seq, &m.ai),
                rc => self.fail(seq, Failure::new(rc, m.ac, m.ai.clone())),
            }
        }
    }

    pub(super) fn custody_late(&mut self, seq: u64, portion: u32) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        if let Some(failure) = request.failure.take() {
            return self.fail(seq, *failure);
        }
        let Some(Place::Delivered { by, .. }) = request.portion(portion).map(|p| p.place.clone()) else {
            return;
        };
        if self.fall_back(seq, portion) {
            return;
        }
        let Some(request) = self.requests.get(&seq) else { return };
        let dap = self.fleet.get(by).map(|d| d.name().to_string()).unwrap_or_else(|| "a lost process".into());
        let agg = request.agg.and_then(|a| self.aggs.get(a)).map(|a| a.name.to_string()).unwrap_or_default();
        let ai = format!("portion {portion} was sent by {dap} but never reached aggregator {agg}");
        self.try_again(seq, portion, Failure::new(Rc::CONN, Ac::CONN, ai), false);
    }

    /// A replica did not start a portion because it is busy with another: the portion is given to one that is
    /// not, or waits. Not counted as a try: a portion can wait behind any number of long ones, one after the
    /// other, until its deadline.
    fn handed_back(&mut self, seq: u64, portion: u32) {
        if let Some(p) = self.requests.get_mut(&seq).and_then(|r| r.portions.get_mut(portion as usize)) {
            p.place = Place::Nowhere;
        }
        self.stats.handed_back += 1;
        self.replan(seq, portion);
    }

    /// A replica says busy to everything: others of its source are preferred for a while.
    fn eject(&mut self, peer: PeerId) {
        self.stats.ejected += 1;
        self.rests.insert((self.now.saturating_add(REST), peer));
        if let Some(dap) = self.fleet.get(peer) {
            let text = format!(
                "data process {} handed back {MOST_REFUSALS} portions and completed none: it gets none for {} ms",
                dap.name(),
                REST / MILLI
            );
            self.note(Note::Warning { text });
        }
        self.tell_replica(peer, false);
    }

    /// Resting replicas may run a portion again, to show recovery.
    pub(super) fn rests_over(&mut self) {
        while let Some(&(at, peer)) = self.rests.first()
            && at <= self.now
        {
            self.rests.pop_first();
            if self.fleet.update(peer, |d| d.rests = false).is_some() {
                self.tell_replica(peer, false);
                self.serve(peer);
            }
        }
    }

    /// Puts a portion to work again, or fails the request where that is not safe or was done too often.
    pub(super) fn try_again(&mut self, seq: u64, portion: u32, why: Failure, never_started: bool) {
        let max = self.settings.max_retry;
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let Some(p) = request.portions.get(portion as usize) else { return };
        let bounded = p.tries <= max.saturating_mul(REFUSALS);
        let allowed = if never_started {
            bounded
        } else {
            (request.may_run_again() && p.retries < max) || sg::mutation::on("rc-retries-unsafe")
        };
        if !allowed {
            let mut failure = why;
            if !request.safe && !never_started {
                failure
                    .ai
                    .push_str(&format!("; {} is not registered as safe to run again", request.api_name));
            } else {
                failure.ai.push_str(&format!("; given up after {} tries", p.tries + 1));
            }
            return self.cannot_have(seq, portion, failure);
        }
        let (corr, opts) = (request.corr, request.opts.clone());
        if let Some(p) = request.portions.get_mut(portion as usize) {
            p.tries += 1;
            p.retries += u32::from(!never_started);
        }
        self.stats.retries += 1;
        self.note(Note::Retry { corr, opts, why: why.ai });
        // Tiles may have moved while it was leased: as it was planned it could leave instants out.
        self.replan(seq, portion);
    }

    /// A second run is not wanted any more.
    pub(super) fn drop_hedge(&mut self, seq: u64, portion: u32) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let key = LeaseKey { corr: request.corr, attempt: request.attempt, portion: PortionId(portion) };
        let hedge = request.portions.get_mut(portion as usize).and_then(|p| p.hedge.take());
        match hedge {
            Some(Hedge::Leased(dap)) => self.release(dap, key),
            Some(Hedge::Tried(owner)) => self.cancel_at(owner, key, Sym::null()),
            None => {}
        }
    }

    /// Frees a lease whose portion is not wanted any more: the replica is told to stop, and is not idle until
    /// it says so.
    pub(super) fn release(&mut self, dap: PeerId, key: LeaseKey) {
        if let Some((owner, _)) = self.fleet.get(dap).and_then(|d| d.owner) {
            let name = self.fleet.get(dap).map(|d| d.name().clone()).unwrap_or_default();
            if self.fleet.update(dap, |d| d.running.remove(&key)).flatten().is_some() {
                self.cancel_at(owner, key, name);
            }
            return;
        }
        let was_running = self.fleet.update(dap, |d| {
            let ran = d.running.get(&key).is_some_and(|l| l.state == LeaseState::Running);
            if ran {
                d.running.change(&key, |l| l.state = LeaseState::Overrun);
                // Nothing more is queued behind the abandoned portion until the portion stops (`Dap::free`); then the
                // replica gets one portion, and more as portions complete.
                d.narrow();
            }
            ran
        });
        if was_running == Some(true) {
            if sg::mutation::on(crate::mutations::OVERRUN_IS_IDLE) {
                self.fleet.update(dap, |d| d.running.remove(&key));
            }
            self.stats.overruns += 1;
            let LeaseKey { corr, attempt, portion } = key;
            self.send(dap, CancelRun { corr, attempt, portion });
        }
    }
}

/// How long a replica is left alone that says busy to everything.
const REST: Nanos = SECOND;

/// Refusals of a portion that never started, per allowed retry, before the request is given up.
const REFUSALS: u32 = 32;
