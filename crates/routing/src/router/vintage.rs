//! Portions whose partials used older reference tables than others of the same request: they run again.
//!
//! Rule kept: all partials of one answer used the same vintage. The Agg sees whether they did once all are there, and
//! names those that are older (`.qm.stale`). The Agg's custody of the older partials is revoked, and new portions
//! replace the old, so that a late partial of the older run belongs to no portion. As with any second run: only of APIs
//! that are safe, at most `KXI_SG_MAX_RETRY` times for a request, however many portions it is, and by its deadline.
//! Tests: `tests/rules/vintage.rs`.

use sg::{Ac, Failure, Rc, msg::Stale};

use super::Router;
use crate::{
    event::{MILLI, Nanos, Note, PeerId, SECOND},
    request::{Place, Request},
};

impl Router {
    pub(super) fn stale(&mut self, agg: PeerId, m: Stale) {
        let Some(seq) = self.live_attempt(m.corr, m.attempt) else { return };
        let known = |r: &Request| {
            r.agg == Some(agg) && m.portions.iter().all(|id| (id.0 as usize) < r.portions.len())
        };
        if !self.requests.get(&seq).is_some_and(|r| known(r)) {
            return self.stray(".qm.stale");
        }
        // Portions cut anew meanwhile are not awaited any more, and the Agg is told so. The Agg knows of abandoned
        // portions already, but kept their partials until now.
        let is_given_up = |id: &u32| {
            let p = self.requests.get(&seq).and_then(|r| r.portion(*id));
            p.is_some_and(|p| p.place == Place::GivenUp)
        };
        let (without, others): (Vec<u32>, Vec<u32>) = m.portions.iter().map(|id| id.0).partition(is_given_up);
        self.tell_given_up(seq, &without);
        let stale: Vec<u32> = others.into_iter().filter(|id| self.out_of_custody(seq, *id)).collect();
        let max = self.settings.max_retry;
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let Some(first) = stale.first().and_then(|id| request.portion(*id)) else { return };
        let why = format!(
            "{} of {} portions, for instance {} over {}, used reference data older than vintage {} of the others",
            stale.len(),
            request.portions.iter().filter(|p| p.place != Place::Replaced).count(),
            first.labels,
            first.range,
            m.vintage
        );
        // An answer that does without what is missing at the deadline has no time for another run.
        if request.gave_up || !request.may_run_again() || request.renewals >= max {
            let failure = given_up(request, why);
            return match request.best_effort {
                true => self.give_up(seq, &stale, Some(failure)),
                false => self.fail(seq, failure),
            };
        }
        request.renewals += 1;
        let (corr, opts, pause) = (request.corr, request.opts.clone(), pause(request.renewals));
        self.stats.retries += 1;
        self.note(Note::Retry { corr, opts, why });
        stale.into_iter().for_each(|id| self.run_anew(seq, id, pause));
    }

    /// The Agg has a portion no more. It is nowhere then; false where nobody waits for it.
    fn out_of_custody(&mut self, seq: u64, portion: u32) -> bool {
        // Word of its custody may be overtaken by this.
        self.in_custody(seq, portion);
        let Some(request) = self.requests.get_mut(&seq) else { return false };
        let Some(p) = request.portions.get_mut(portion as usize) else { return false };
        if p.place != Place::Got {
            return false;
        }
        p.place = Place::Nowhere;
        request.open += 1;
        true
    }

    /// Puts others in the place of a portion that is nowhere, though nothing of it may have moved.
    fn run_anew(&mut self, seq: u64, portion: u32, pause: Nanos) {
        let Some(request) = self.requests.get(&seq) else { return };
        let Some(p) = request.portion(portion) else { return };
        match self.coverage.again(p.domain, &request.routing, p.range) {
            pieces if pieces.is_empty() => self.unknown(seq, portion),
            pieces => self.cut_anew(seq, portion, pieces, pause),
        }
    }
}

/// The codes are those of a portion whose purview keeps moving: several processes did not come to one state, nothing
/// is wrong with the request, and to ask again may succeed. A code of applications would be a 400 in HTTP.
fn given_up(request: &Request, mut why: String) -> Failure {
    why.push_str(&match request.safe {
        false => format!("; {} is not registered as safe to run again", request.api_name),
        true if request.gave_up => "; there was no time to run them again".into(),
        true => format!("; given up after {} retries (KXI_SG_MAX_RETRY)", request.renewals),
    });
    Failure::new(Rc::CONN, Ac::CONN, why)
}

/// The pause before the second run for this reason; each further one is four times as long.
const FIRST_PAUSE: Nanos = 8 * MILLI;

/// How long portions rest before they run again: not at all at first, for another replica may have the new table
/// already; then longer, so that a late table can arrive.
fn pause(retries: u32) -> Nanos {
    match retries {
        0..=1 => 0,
        n => FIRST_PAUSE.saturating_mul(1 << (2 * (n - 2)).min(16)).min(SECOND),
    }
}
