//! The one terminal outcome of a request, and what is cleaned up after it.
//!
//! Rule kept (design §3.1): a request ends once: by the Agg's answer, or by this coordinator's failure sent to
//! the GW; after either, nothing of it is queued, timed or leased as wanted.

use kvalue::{Dict, Sym, Value};
use qipc::Raw;
use sg::{
    Ac, Failure, Rc,
    msg::{Abandon, Answer, Cancel, Payload, Request as Ask},
};

use super::{Due, Router};
use crate::{
    event::{Note, PeerId},
    fleet::LeaseKey,
    request::{Place, REDO, Request},
};

impl Router {
    /// Answers a request that was never taken in.
    pub(super) fn answer_refused(&mut self, gw: PeerId, m: &Ask, failure: Failure) {
        self.stats.failed += 1;
        self.note(Note::Ended {
            corr: m.corr,
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
    fn abandon(&mut self, seq: u64) {
        let Some(request) = self.requests.get(&seq) else { return };
        let (agg, corr, attempt) = (request.agg, request.corr, request.attempt);
        if let Some(agg) = agg {
            self.send(agg, Abandon { corr, attempt });
        }
    }

    /// Forgets a request that was answered.
    pub(super) fn end(&mut self, seq: u64, outcome: &Failure) {
        let Some(request) = self.take_out(seq) else { return };
        let took = self.now.saturating_sub(request.arrived);
        match outcome.rc {
            Rc::OK => self.stats.succeeded += 1,
            _ => self.stats.failed += 1,
        }
        self.note(Note::Ended {
            corr: request.corr,
            api: request.api_name,
            rc: outcome.rc,
            ai: outcome.ai.clone(),
            took,
            portions: request.portions.len(),
        });
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
    fn take_out(&mut self, seq: u64) -> Option<Request> {
        self.clear_portions(seq);
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
        let (corr, attempt) = (request.corr, request.attempt);
        let places: Vec<Place> = request.portions.iter().map(|p| p.place.clone()).collect();
        for (id, place) in (0u32..).zip(places) {
            match place {
                Place::Waiting(_) => self.unqueue(seq, id),
                Place::Leased(dap) => {
                    self.release(dap, LeaseKey { corr, attempt, portion: sg::PortionId(id) });
                }
                Place::Delivered { until, .. } => {
                    self.timers.remove(&(until, seq, Due::Custody(id)));
                }
                Place::Nowhere | Place::Got | Place::Replaced => {}
            }
            self.set_place(seq, id, Place::Nowhere);
        }
    }

    /// The Agg of a request was lost: the request is done again with another, where that is safe.
    pub(super) fn redo(&mut self, seq: u64, lost: &Sym) {
        let max = self.settings.max_retry;
        let Some(request) = self.requests.get_mut(&seq) else { return };
        request.agg = None;
        let may = !request.dispatched || (request.safe && request.redos < max);
        if !may {
            let ai = format!("aggregator {lost} was lost, and {} is not safe to run again", request.api_name);
            return self.fail(seq, Failure::new(Rc::CONN, Ac::CONN, ai));
        }
        let agg_fn = request.agg_fn.clone();
        self.clear_portions(seq);
        let agg = match self.aggs.take(&agg_fn) {
            Ok(agg) => agg,
            Err(mut failure) => {
                failure.ai = format!("aggregator {lost} was lost; {}", failure.ai);
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
        let (corr, api, name, routing) =
            (request.corr, request.api, request.api_name.clone(), request.routing.clone());
        self.stats.retries += 1;
        self.note(Note::Retry { corr, why: format!("aggregator {lost} was lost") });
        let pieces = self.coverage.pieces(&routing, self.settings.max_portions);
        match pieces.and_then(|pieces| self.able(api, &name, pieces)) {
            Ok(pieces) => self.put_to_work(seq, pieces),
            Err(failure) => self.fail(seq, failure),
        }
    }

    /// The deadline is near: the answer says what is missing and what it waited for.
    pub(super) fn time_out(&mut self, seq: u64) {
        let Some(request) = self.requests.get(&seq) else { return };
        let waited = self.now.saturating_sub(request.arrived) / crate::event::MILLI;
        let total = request.portions.iter().filter(|p| p.place != Place::Replaced).count();
        let missing: Vec<String> = (0u32..)
            .zip(&request.portions)
            .filter(|(_, p)| !matches!(p.place, Place::Got | Place::Replaced))
            .map(|(id, _)| self.missing(request, id))
            .collect();
        let agg = request.agg.and_then(|a| self.aggs.get(a)).map(|a| a.name.to_string()).unwrap_or_default();
        let ai = match missing.len() {
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

    /// What a portion is and what it waits for.
    fn missing(&self, request: &Request, id: u32) -> String {
        let Some(p) = request.portion(id) else { return String::new() };
        let what = format!("portion {id} ({}, {})", p.labels, p.range);
        match &p.place {
            Place::Leased(peer) => {
                let name = self.fleet.get(*peer).map(|d| d.name().to_string()).unwrap_or_default();
                format!("{what} still runs on {name}")
            }
            Place::Delivered { by, .. } => {
                let name = self
                    .fleet
                    .get(*by)
                    .map(|d| d.name().to_string())
                    .unwrap_or_else(|| "a lost process".into());
                format!("{what} was sent by {name} but not taken in by the aggregator")
            }
            _ => {
                let waits = p.sources.iter().filter_map(|s| {
                    let source = self.coverage.source(*s)?;
                    let replicas: Vec<String> =
                        source.replicas.values().map(|r| r.name.to_string()).collect();
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
