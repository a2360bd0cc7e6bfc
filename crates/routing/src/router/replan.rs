//! Portions planned again: after coverage changed, and after a DAP refused one by purview version.
//!
//! Rule kept (mesh §2): a portion that must be cut again is replaced, and the Agg hears of it before any part
//! is dispatched. What is running stays as it was planned.

use std::collections::BTreeSet;

use sg::{
    Ac, Failure, PortionId, Rc,
    msg::{PlannedPortion, Replace},
};

use super::Router;
use crate::{
    coverage::{DomainId, select::Piece},
    event::Note,
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

    /// A DAP refused a portion because its purview has moved since.
    pub(super) fn replan_one(&mut self, seq: u64, portion: u32, why: &str) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let corr = request.corr;
        let Some(p) = request.portions.get_mut(portion as usize) else { return };
        p.tries += 1;
        let tries = p.tries;
        if tries > MOST_MOVES {
            let ai =
                format!("portion {portion} was refused {tries} times because purviews kept moving: {why}");
            return self.fail(seq, Failure::new(Rc::CONN, Ac::CONN, ai));
        }
        self.stats.retries += 1;
        self.note(Note::Retry { corr, why: why.to_string() });
        self.replan(seq, portion);
    }

    /// Plans a portion that is nowhere.
    pub(super) fn replan(&mut self, seq: u64, portion: u32) {
        let Some(request) = self.requests.get(&seq) else { return };
        let Some(p) = request.portion(portion) else { return };
        let pieces = self.coverage.again(p.domain, &request.routing, p.range);
        match &pieces[..] {
            [] => {
                let ai = format!("the data of {} over {} is no longer known", p.labels, p.range);
                return self.fail(seq, Failure::new(Rc::CONN, Ac::CONN, ai));
            }
            [one] => {
                let (sources, range) = (one.sources.clone(), one.range);
                if let Some(p) =
                    self.requests.get_mut(&seq).and_then(|r| r.portions.get_mut(portion as usize))
                {
                    p.sources = sources;
                    debug_assert_eq!(p.range, range, "a portion planned again keeps its range");
                }
                return self.place(seq, portion);
            }
            _ => {}
        }
        if request.portions.len() + pieces.len() > self.settings.max_portions {
            let ai = format!(
                "purviews moved so often that the request has more than {} portions, the limit of QMESH_RC_MAX_PORTIONS",
                self.settings.max_portions
            );
            return self.fail(seq, Failure::new(Rc::LIMIT, Ac::LIMIT, ai));
        }
        self.replace(seq, portion, pieces);
    }

    fn replace(&mut self, seq: u64, old: u32, pieces: Vec<Piece>) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let first = request.portions.len() as u32;
        let tries = request.portion(old).map_or(0, |p| p.tries);
        let new: Vec<Portion> = pieces
            .into_iter()
            .map(|p| Portion {
                domain: p.domain,
                labels: p.labels,
                range: p.range,
                sources: p.sources,
                place: Place::Nowhere,
                tries,
            })
            .collect();
        let ids = first..first + new.len() as u32;
        let planned: Vec<PlannedPortion> =
            ids.clone().zip(&new).map(|(id, p)| p.planned(id, &request.routing.table)).collect();
        request.open += new.len() - 1;
        request.portions.extend(new);
        request.epoch += 1;
        let (corr, attempt, epoch, agg) = (request.corr, request.attempt, request.epoch, request.agg);
        self.set_place(seq, old, Place::Replaced);
        if let Some(agg) = agg {
            self.send(agg, Replace { corr, attempt, epoch, old: PortionId(old), new: planned });
        }
        for id in ids {
            if self.requests.contains_key(&seq) {
                self.place(seq, id);
            }
        }
    }
}

/// Times a portion may be refused because purviews moved.
const MOST_MOVES: u32 = 64;
