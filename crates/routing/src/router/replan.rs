//! Portions planned again: after coverage changed, and after a DAP refused one by purview version.
//!
//! Rule kept (mesh §2): a portion that must be cut again is replaced, and the Agg hears of it before any part
//! is dispatched. What is running stays as it was planned.

use std::collections::BTreeSet;

use sg::{
    Ac, Failure, PortionId, Rc,
    msg::{PlannedPortion, Replace},
};

use super::{Due, Router};
use crate::{
    coverage::{DomainId, select::Piece},
    event::{MILLI, Nanos, Note, PeerId},
    request::{Place, Portion},
};

impl Router {
    /// Plans every waiting portion of these domains again.
    pub(super) fn replan_waiting(&mut self, domains: &BTreeSet<DomainId>) {
        if self.queue.len() == 0 || domains.is_empty() {
            return;
        }
        for (seq, portion) in self.queue.all() {
            let domain = self.requests.get(&seq).and_then(|r| r.portion(portion)).map(|p| p.domain);
            if domain.is_some_and(|d| domains.contains(&d)) {
                self.unqueue(seq, portion);
                self.replan(seq, portion);
            }
        }
    }

    /// A DAP refused a portion because its purview has moved since, or itself to another coordinator. The portion has
    /// not begun, so the rule about safe retries does not apply.
    pub(super) fn replan_one(&mut self, seq: u64, portion: u32, by: PeerId, why: &str) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let (corr, opts) = (request.corr, request.opts.clone());
        let Some(p) = request.portions.get_mut(portion as usize) else { return };
        p.tries += 1;
        let tries = p.tries;
        if tries > MOST_MOVES {
            let last = self.fleet.get(by).map(|d| d.name().to_string()).unwrap_or_default();
            let ai = format!(
                "portion {portion} was refused {tries} times because data processes or their purviews kept moving, last by {last}: {why}"
            );
            return self.cannot_have(seq, portion, Failure::new(Rc::CONN, Ac::CONN, ai));
        }
        self.stats.retries += 1;
        self.note(Note::Retry { corr, opts, why: why.to_string() });
        match pause(u64::from_le_bytes(corr.0.first_chunk().copied().unwrap_or_default()), portion, tries) {
            0 => self.replan(seq, portion),
            pause => self.rest(seq, portion, pause),
        }
    }

    /// Leaves a portion alone for a moment, at most until its request is answered.
    fn rest(&mut self, seq: u64, portion: u32, pause: Nanos) {
        self.drop_hedge(seq, portion);
        let Some(request) = self.requests.get(&seq) else { return };
        let until = self.now.saturating_add(pause).min(request.answer_by);
        self.set_place(seq, portion, Place::Resting(until));
        self.timers.insert((until, seq, Due::Again(portion)));
    }

    pub(super) fn rested(&mut self, seq: u64, portion: u32) {
        let place = self.requests.get(&seq).and_then(|r| r.portion(portion)).map(|p| p.place.clone());
        if matches!(place, Some(Place::Resting(_))) {
            self.replan(seq, portion);
        }
    }

    /// Plans a portion anew that runs nowhere any more.
    pub(super) fn replan(&mut self, seq: u64, portion: u32) {
        self.drop_hedge(seq, portion);
        self.set_place(seq, portion, Place::Nowhere);
        let Some(request) = self.requests.get(&seq) else { return };
        let Some(p) = request.portion(portion) else { return };
        if sg::mutation::on("rc-keeps-old-tiles") {
            return self.place(seq, portion);
        }
        let mut pieces = self.coverage.again(p.domain, &request.routing, p.range);
        if p.sources.iter().any(|s| s.is_stand_in()) {
            // What comes in the place of what was only declared need not have the API.
            pieces.retain(|piece| self.is_able(request.api, piece));
            if pieces.is_empty() {
                return self.not_there(seq, portion);
            }
        }
        match &pieces[..] {
            [] => return self.unknown(seq, portion),
            [one] if one.range == p.range => {
                let sources = one.sources.clone();
                if let Some(p) =
                    self.requests.get_mut(&seq).and_then(|r| r.portions.get_mut(portion as usize))
                {
                    p.sources = sources;
                }
                return self.place(seq, portion);
            }
            _ => {}
        }
        self.cut_anew(seq, portion, pieces, 0);
    }

    /// Nobody is known to have held what a portion is of.
    pub(super) fn unknown(&mut self, seq: u64, portion: u32) {
        let Some(p) = self.requests.get(&seq).and_then(|r| r.portion(portion)) else { return };
        let ai = format!("the data of {} over {} is no longer known", p.labels, p.range);
        self.cannot_have(seq, portion, Failure::new(Rc::CONN, Ac::CONN, ai));
    }

    /// Puts others in the place of a portion that is nowhere; each is looked after when `pause` has passed.
    pub(super) fn cut_anew(&mut self, seq: u64, portion: u32, pieces: Vec<Piece>, pause: Nanos) {
        let Some(request) = self.requests.get(&seq) else { return };
        if request.portions.len() + pieces.len() > self.settings.max_portions {
            let ai = format!(
                "portions were planned anew so often that the request has more than {} portions, the limit of QMESH_RC_MAX_PORTIONS",
                self.settings.max_portions
            );
            return self.fail(seq, Failure::new(Rc::LIMIT, Ac::LIMIT, ai));
        }
        self.replace(seq, portion, pieces, pause);
    }

    /// What was waited for because a declared tier might hold it, or have the API: the tier came and has not. The
    /// answer is complete without it; where nothing else was asked, the request fails as if it came now.
    fn not_there(&mut self, seq: u64, portion: u32) {
        let Some(request) = self.requests.get(&seq) else { return };
        let others = (0u32..).zip(&request.portions).filter(|(id, _)| *id != portion);
        let mut others = others.map(|(_, p)| &p.place);
        if others.any(|place| !matches!(place, Place::Replaced | Place::GivenUp)) {
            return self.replace(seq, portion, Vec::new(), 0);
        }
        let pieces = self.coverage.pieces(&request.routing, self.settings.max_portions);
        let failure = match pieces.and_then(|pieces| self.able(request.api, &request.api_name, pieces)) {
            Err(failure) => failure,
            Ok(_) => Failure::new(Rc::CONN, Ac::CONN, "data processes came while this was asked: ask again"),
        };
        self.fail(seq, failure);
    }

    fn replace(&mut self, seq: u64, old: u32, pieces: Vec<Piece>, pause: Nanos) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let first = request.portions.len() as u32;
        let before = request.portion(old);
        let new: Vec<Portion> = pieces.into_iter().map(|p| Portion::in_place_of(p, before)).collect();
        let ids = first..first + new.len() as u32;
        let planned: Vec<PlannedPortion> =
            ids.clone().zip(&new).map(|(id, p)| p.planned(id, &request.routing.table)).collect();
        request.open = request.open + new.len() - 1;
        request.portions.extend(new);
        request.epoch += 1;
        let (corr, attempt, epoch, agg) = (request.corr, request.attempt, request.epoch, request.agg);
        let told_plan = request.told_plan;
        self.set_place(seq, old, Place::Replaced);
        match agg.filter(|_| !sg::mutation::on(crate::mutations::REPLACE_UNTOLD)) {
            // The one that was to bring the plan with it may not be the only one any more.
            Some(_) if !told_plan => self.tell_plan(seq),
            Some(agg) => self.send(agg, Replace { corr, attempt, epoch, old: PortionId(old), new: planned }),
            None => {}
        }
        for id in ids {
            match pause {
                _ if !self.requests.contains_key(&seq) => return,
                0 => self.place(seq, id),
                pause => self.rest(seq, id, pause),
            }
        }
    }
}

/// Times a portion may be refused because purviews moved.
const MOST_MOVES: u32 = 16;
/// The pause after the second refusal; each further one is twice as long.
const FIRST_PAUSE: Nanos = MILLI;
/// No pause is longer.
const LONGEST_PAUSE: Nanos = 64 * MILLI;

/// How long a portion rests that was refused so often. The first refusal is in the nature of things: it was on its way
/// while the purview moved. Portions of several requests do not come back at one instant: each pause is between half
/// and all of what the count allows, by the request's own number, so that a run can be replayed.
fn pause(seed: u64, portion: u32, tries: u32) -> Nanos {
    if tries < 2 {
        return 0;
    }
    let most = FIRST_PAUSE.saturating_mul(1 << (tries - 2).min(16)).min(LONGEST_PAUSE);
    let mixed = (seed ^ (u64::from(portion) << 32) ^ u64::from(tries)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    most / 2 + (mixed >> 33) % (most / 2)
}
