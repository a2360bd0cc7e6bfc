//! The one terminal outcome of a request, and what is cleaned up after it.
//!
//! Rule kept (design §3.1): a request ends once: by the Agg's answer, or by this coordinator's failure sent to
//! the GW; after either, nothing of it is queued, timed or leased as wanted.

use kvalue::{Dict, Sym, Value};
use qipc::Raw;
use sg::{
    Ac, Failure, Rc,
    msg::{Abandon, Answer, Cancel, GiveUp, Payload, Request as Ask},
};

use super::{Due, Router};
use crate::{
    event::{Note, PeerId},
    fleet::LeaseKey,
    request::{Place, Portion, REDO, Request},
    trace::{self, PortionTrace, RequestTrace},
};

impl Router {
    /// Answers a request that was never taken in.
    pub(super) fn answer_refused(&mut self, gw: PeerId, m: &Ask, failure: Failure) {
        self.stats.failed += 1;
        self.note(Note::Ended {
            corr: m.corr,
            opts: m.opts.clone(),
            api: m.api.clone(),
            rc: failure.rc,
            ai: failure.ai.clone(),
            took: 0,
            portions: 0,
        });
        let extra = extra(&Sym::null());
        let (rc, ac, ai) = (failure.rc, failure.ac, failure.ai);
        self.send(
            gw,
            Answer { corr: m.corr, attempt: m.attempt, rc, ac, ai, extra, payload: Payload::empty() },
        );
    }

    /// Fails a request: the GW is answered, the Agg forgets it, replicas are told to stop.
    pub(super) fn fail(&mut self, seq: u64, failure: Failure) {
        let Some(request) = self.requests.get(&seq) else { return };
        let agg = request.agg.and_then(|a| self.aggs.get(a)).map(|a| a.address.clone()).unwrap_or_default();
        let answer = Answer {
            corr: request.corr,
            attempt: request.gw_attempt,
            rc: failure.rc,
            ac: failure.ac,
            ai: failure.ai.clone(),
            extra: extra(&agg),
            payload: Payload::empty(),
        };
        let gw = request.gw;
        self.send(gw, answer);
        self.abandon(seq);
        self.end(seq, &failure);
    }

    /// The Agg need not go on.
    pub(super) fn abandon(&mut self, seq: u64) {
        let Some(request) = self.requests.get(&seq) else { return };
        let (agg, corr, attempt) = (request.agg, request.corr, request.attempt);
        if let Some(agg) = agg {
            self.send(agg, Abandon { corr, attempt });
        }
    }

    /// Forgets a request that was answered.
    pub(super) fn end(&mut self, seq: u64, outcome: &Failure) {
        if let Some(way) = self.trace(seq, Some(outcome)) {
            self.traces.add(way, self.settings.max_explained);
        }
        let Some(request) = self.take_out(seq) else { return };
        let took = self.now.saturating_sub(request.arrived);
        match outcome.rc {
            Rc::OK => self.stats.succeeded += 1,
            _ => self.stats.failed += 1,
        }
        self.note(Note::Ended {
            corr: request.corr,
            opts: request.opts,
            api: request.api_name,
            rc: outcome.rc,
            ai: outcome.ai.clone(),
            took,
            portions: request.portions.len(),
        });
    }

    /// The trace of a request so far.
    pub(super) fn trace(&self, seq: u64, outcome: Option<&Failure>) -> Option<RequestTrace> {
        let request = self.requests.get(&seq)?;
        let counts = |p: &&Portion| p.place != Place::Replaced;
        let name = |run: &trace::RunTrace| self.fleet.get(run.by).map(|d| d.name().clone());
        let all = (0u32..).zip(&request.portions).filter(|(_, p)| counts(p));
        let traced = all.take(trace::MOST_PORTIONS).map(|(id, p)| PortionTrace {
            id,
            labels: p.labels.clone(),
            range: p.range,
            dap: p.run.as_deref().and_then(name).unwrap_or_default(),
            run: p.run.as_deref().cloned(),
        });
        let traced: Vec<PortionTrace> = traced.collect();
        let portions = request.portions.iter().filter(counts).count();
        Some(RequestTrace {
            corr: request.corr,
            attempt: request.attempt,
            user: request.user.clone(),
            api: request.api_name.clone(),
            gw: self.peers.get(&request.gw).map(|p| p.name.clone()).unwrap_or_default(),
            agg: request.agg.and_then(|a| self.aggs.get(a)).map(|a| a.name.clone()).unwrap_or_default(),
            end: outcome.map(|f| (f.rc, f.ai.clone())),
            arrived: request.arrived,
            until: self.now,
            asked: (request.opts.0.len() + request.args.0.len()) as u64,
            answer: None,
            more: portions - traced.len(),
            portions: traced,
        })
    }

    /// Drops a request nobody waits for any more: without an answer.
    pub(super) fn drop_request(&mut self, seq: u64, why: &str) {
        self.abandon(seq);
        self.end(seq, &Failure::new(Rc::CANCELLED, Ac::CANCELLED, why));
    }

    pub(super) fn cancel_from_gw(&mut self, gw: PeerId, m: &Cancel) {
        let Some(&seq) = self.by_corr.get(&m.corr) else { return };
        if self.requests.get(&seq).is_some_and(|r| r.gw == gw) {
            self.drop_request(seq, "cancelled by the gateway");
        }
    }

    /// Takes a request out of every table but the Agg's own.
    fn take_out(&mut self, seq: u64) -> Option<Box<Request>> {
        self.clear_portions(seq);
        self.kept.remove(&seq);
        self.kept_named.remove(&seq);
        let request = self.requests.remove(&seq)?;
        self.timers.remove(&(request.answer_by, seq, Due::Answer));
        if self.by_corr.get(&request.corr) == Some(&seq) {
            self.by_corr.remove(&request.corr);
        }
        if let Some(agg) = request.agg {
            self.aggs.give_back(agg);
        }
        Some(request)
    }

    /// Takes the portions of the present attempt out of queue, leases and timers.
    fn clear_portions(&mut self, seq: u64) {
        let Some(request) = self.requests.get(&seq) else { return };
        for id in 0..request.portions.len() as u32 {
            self.clear_portion(seq, id);
        }
    }

    fn clear_portion(&mut self, seq: u64, id: u32) {
        let Some(request) = self.requests.get(&seq) else { return };
        let (corr, attempt) = (request.corr, request.attempt);
        match request.portion(id).map(|p| p.place.clone()) {
            Some(Place::Waiting(_)) if sg::mutation::on(crate::mutations::ENDED_STAYS_QUEUED) => {}
            Some(Place::Waiting(_)) => self.unqueue(seq, id),
            Some(Place::Resting(until)) => {
                self.timers.remove(&(until, seq, Due::Again(id)));
            }
            Some(Place::Leased(dap)) => {
                self.release(dap, LeaseKey { corr, attempt, portion: sg::PortionId(id) });
            }
            Some(Place::Tried(owner)) => {
                self.cancel_at(owner, LeaseKey { corr, attempt, portion: sg::PortionId(id) }, Sym::null());
            }
            Some(Place::Delivered { until, .. }) => {
                self.timers.remove(&(until, seq, Due::Custody(id)));
            }
            Some(Place::Nowhere | Place::Got | Place::GivenUp | Place::Replaced) | None => {}
        }
        self.drop_hedge(seq, id);
        self.set_place(seq, id, Place::Nowhere);
    }

    /// The Agg of a request was lost, or cannot deliver: the request is run again where the API is safe, on another Agg
    /// if available.
    pub(super) fn redo(&mut self, seq: u64, why: &str) {
        let max = self.settings.max_retry;
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let before = request.agg.take();
        if let Some(agg) = before {
            self.aggs.give_back(agg);
        }
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let may = !request.dispatched || (request.safe && request.redos < max);
        if !may {
            let ai = format!("{why}, and {} is not safe to run again", request.api_name);
            return self.fail(seq, Failure::new(Rc::CONN, Ac::CONN, ai));
        }
        let agg_fn = request.agg_fn.clone();
        self.clear_portions(seq);
        let agg = match self.aggs.take(&agg_fn, before) {
            Ok(agg) => agg,
            Err(mut failure) => {
                failure.ai = format!("{why}; {}", failure.ai);
                return self.fail(seq, failure);
            }
        };
        let Some(request) = self.requests.get_mut(&seq) else { return };
        request.agg = Some(agg);
        request.attempt += REDO;
        request.redos += 1;
        request.epoch = 0;
        request.dispatched = false;
        request.portions.clear();
        request.failure = None;
        let (corr, opts) = (request.corr, request.opts.clone());
        self.stats.retries += 1;
        self.note(Note::Retry { corr, opts, why: why.into() });
        self.begin(seq);
    }

    /// Deadline of a request with `completeness: best`: the Agg is told to answer without the missing portions. False
    /// where no partial has arrived, or the Agg was told before.
    fn answer_without(&mut self, seq: u64) -> bool {
        let Some(request) = self.requests.get_mut(&seq) else { return false };
        let some = request.portions.iter().any(|p| p.place == Place::Got);
        if !request.best_effort || !some || std::mem::replace(&mut request.gave_up, true) {
            return false;
        }
        let closed = |p: &Place| matches!(p, Place::Got | Place::GivenUp | Place::Replaced);
        let open = (0u32..).zip(&request.portions).filter(|(_, p)| !closed(&p.place));
        let open: Vec<u32> = open.map(|(id, _)| id).collect();
        // Half of what was kept back is for the Agg, half for a failure where it does not answer.
        request.answer_by = self.now + request.deadline.saturating_sub(self.now) / 2;
        self.timers.insert((request.answer_by, seq, Due::Answer));
        self.give_up(seq, &open, None);
        true
    }

    /// Nobody serves a portion, however often it is tried: the answer does without it where the client takes what
    /// there is, else the request fails.
    pub(super) fn cannot_have(&mut self, seq: u64, portion: u32, failure: Failure) {
        match self.requests.get(&seq).is_some_and(|r| r.best_effort) {
            true => self.give_up(seq, &[portion], Some(failure)),
            false => self.fail(seq, failure),
        }
    }

    /// The answer does without these portions; a request of which nothing is left fails, with `why` where that says
    /// more than that nobody is connected.
    pub(super) fn give_up(&mut self, seq: u64, portions: &[u32], why: Option<Failure>) {
        for &id in portions {
            self.clear_portion(seq, id);
            self.set_place(seq, id, Place::GivenUp);
        }
        let Some(request) = self.requests.get_mut(&seq) else { return };
        request.open -= portions.len();
        let left = request.portions.iter().any(|p| !matches!(p.place, Place::GivenUp | Place::Replaced));
        if !left {
            let first = portions.first().and_then(|id| request.portion(*id));
            let what = first.map(|p| format!("{} over {}", p.labels, p.range)).unwrap_or_default();
            let ai = format!("no replica is connected that holds any of what was asked, for instance {what}");
            return self.fail(seq, why.unwrap_or_else(|| Failure::new(Rc::NOT_READY, Ac::NOT_READY, ai)));
        }
        self.tell_given_up(seq, portions);
    }

    /// Tells the Agg that these are not waited for any more.
    pub(super) fn tell_given_up(&mut self, seq: u64, portions: &[u32]) {
        let Some(request) = self.requests.get(&seq) else { return };
        let (corr, attempt) = (request.corr, request.attempt);
        let table = &request.routing.table;
        let missing: Vec<_> =
            portions.iter().filter_map(|id| Some(request.portion(*id)?.planned(*id, table))).collect();
        let mut present = request.portions.iter().filter(|p| p.place != Place::Replaced);
        let declared = present.all(|p| self.coverage.is_declared(&p.labels));
        if let Some(agg) = request.agg.filter(|_| !missing.is_empty()) {
            self.send(agg, GiveUp { corr, attempt, missing, declared });
        }
    }

    /// The deadline is near: the answer names missing portions and awaited replicas.
    pub(super) fn time_out(&mut self, seq: u64) {
        if sg::mutation::on("rc-forgets-deadline") {
            return;
        }
        if self.answer_without(seq) {
            return;
        }
        let Some(request) = self.requests.get(&seq) else { return };
        let waited = self.now.saturating_sub(request.arrived) / crate::event::MILLI;
        let total = request.portions.iter().filter(|p| p.place != Place::Replaced).count();
        let missing: Vec<String> = (0u32..)
            .zip(&request.portions)
            .filter(|(_, p)| !matches!(p.place, Place::Got | Place::GivenUp | Place::Replaced))
            .map(|(id, _)| self.missing(request, id))
            .collect();
        let agg = request.agg.and_then(|a| self.aggs.get(a)).map(|a| a.name.to_string()).unwrap_or_default();
        let ai = match missing.len() {
            0 if self.kept.contains(&seq) => {
                format!("timed out after {waited} ms, not begun: {}", self.found.sentence())
            }
            0 => format!(
                "timed out after {waited} ms: aggregator {agg} has all {total} portions but has not answered"
            ),
            n => {
                let shown = missing.iter().take(MISSING_LISTED).cloned().collect::<Vec<_>>().join("; ");
                let more = if n > MISSING_LISTED {
                    format!(" and {} more", n - MISSING_LISTED)
                } else {
                    String::new()
                };
                format!("timed out after {waited} ms, {n} of {total} portions missing: {shown}{more}")
            }
        };
        self.stats.timeouts += 1;
        self.fail(seq, Failure::new(Rc::TIMEOUT, Ac::TIMEOUT, ai));
    }

    /// A replica, and its owner where that is a peer.
    fn name_of(&self, dap: PeerId) -> String {
        match self.fleet.get(dap) {
            Some(dap) if dap.owner.is_some() => {
                format!("{} of coordinator {}", dap.name(), self.owner_of(dap))
            }
            Some(dap) => dap.name().to_string(),
            None => "a lost process".into(),
        }
    }

    /// What a portion is and what it waits for.
    fn missing(&self, request: &Request, id: u32) -> String {
        let Some(p) = request.portion(id) else { return String::new() };
        let what = format!("portion {id} ({}, {})", p.labels, p.range);
        match &p.place {
            Place::Leased(peer) => {
                format!("{what} still runs on {}", self.name_of(*peer))
            }
            Place::Tried(owner) => {
                let owner = self.mesh.nodes.get(owner).map(|n| n.name.to_string()).unwrap_or_default();
                format!("{what} waits for coordinator {owner}, which was asked to start it")
            }
            Place::Delivered { by, .. } => {
                let name = self.name_of(*by);
                format!("{what} was sent by {name} but not taken in by the aggregator")
            }
            _ => {
                let waits = p.sources.iter().filter_map(|s| {
                    let source = self.coverage.source(*s)?;
                    if s.is_stand_in() {
                        return Some(format!(
                            "tier {}, which is declared (QMESH_RC_EXPECT) and of which no source was seen",
                            source.tier
                        ));
                    }
                    let replicas: Vec<String> = source.replicas.keys().map(|p| self.name_of(*p)).collect();
                    Some(match replicas.len() {
                        0 => format!(
                            "source {} of tier {}, which has no replica connected",
                            source.id, source.tier
                        ),
                        n => format!(
                            "source {} of tier {}: {n} connected ({}), none idle with what it needs",
                            source.id,
                            source.tier,
                            replicas.into_iter().take(MISSING_LISTED).collect::<Vec<_>>().join(", ")
                        ),
                    })
                });
                format!("{what} waits for {}", waits.collect::<Vec<_>>().join(" or "))
            }
        }
    }
}

/// Most missing portions, and replicas of one, that a timeout lists.
const MISSING_LISTED: usize = 5;

/// Header fields of a failure: the Agg that was to answer, null where none had been chosen yet.
fn extra(agg: &Sym) -> Raw {
    let agg = if agg.is_null() { Sym::null() } else { Sym::new(format!(":{agg}")) };
    Raw::of(&Dict::of([("agg", Value::from(agg)), ("refVintage", Value::from(0i64))]).into())
}

/// Header fields of an answer that no Agg was needed for: no reference data was used.
pub(super) fn extra_of_own() -> Raw {
    const NO_VINTAGE: i64 = -i64::MAX;
    Raw::of(&Dict::of([("agg", Value::from(Sym::null())), ("refVintage", Value::from(NO_VINTAGE))]).into())
}
