//! Portions to replicas: a new portion looks for an idle replica, an idle replica for the oldest portion.
//!
//! Rule kept (design §3.2): no portion waits while a replica that can serve it is idle.

use sg::{
    PortionId,
    msg::{Run, Started},
};

use super::{Router, accept::busy};
use crate::{
    coverage::SourceId,
    event::PeerId,
    fleet::{Dap, LeaseKey, LeaseState},
    queue::{Lane, Order},
    request::{Place, Portion, Request},
};

impl Router {
    /// Gives a portion that is nowhere a replica, or a place in the queue.
    pub(super) fn place(&mut self, seq: u64, portion: u32) {
        let Some(request) = self.requests.get(&seq) else { return };
        let Some(p) = request.portion(portion) else { return };
        if p.tries > 0 {
            let key = LeaseKey { corr: request.corr, attempt: request.attempt, portion: PortionId(portion) };
            let replicas =
                p.sources.iter().filter_map(|s| self.coverage.source(*s)).flat_map(|s| s.replicas.keys());
            let runs = |peer: &&PeerId| {
                let lease = self.fleet.get(**peer).and_then(|d| d.running.get(&key));
                lease.is_some_and(|l| l.state == LeaseState::Overrun)
            };
            if let Some(&peer) = replicas.into_iter().find(runs) {
                return self.adopt(seq, key, peer);
            }
        }
        let idle = self.fleet.pick(&p.sources, self.now, |source, dap| self.suits(request, p, source, dap));
        if let Some(dap) = idle {
            return self.dispatch(seq, portion, dap);
        }
        if self.queue.len() >= self.settings.max_queued {
            let why = format!(
                "{} portions wait for replicas already, the limit of QMESH_RC_MAX_QUEUE",
                self.queue.len()
            );
            return self.fail(seq, busy(why));
        }
        let lane = Lane {
            api: request.api,
            dap: request.routing.scope.dap.clone(),
            partial: self.is_partial(request, p),
        };
        let sources = p.sources.clone();
        self.queue.push((seq, portion), &sources, &lane);
        self.set_place(seq, portion, Place::Waiting(lane));
    }

    /// A portion that is nowhere, and that a replica still runs since before its link broke, is its again.
    pub(super) fn adopt(&mut self, seq: u64, key: LeaseKey, peer: PeerId) {
        self.fleet.update(peer, |d| {
            if let Some(lease) = d.running.get_mut(&key) {
                lease.state = LeaseState::Running;
            }
        });
        self.set_place(seq, key.portion.0, Place::Leased(peer));
    }

    /// A replica has free places: gives it the oldest portions it can serve.
    pub(super) fn serve(&mut self, peer: PeerId) {
        while let Some(dap) = self.fleet.get(peer)
            && dap.free() > 0
            && let Some((seq, portion)) = self.oldest_for(dap)
        {
            self.unqueue(seq, portion);
            self.dispatch(seq, portion, peer);
        }
    }

    pub(super) fn oldest_for(&self, dap: &Dap) -> Option<Order> {
        let lane = |l: &Lane| dap.apis.contains(&l.api) && (l.dap.is_null() || &l.dap == dap.name());
        let portion = |(seq, id): Order| {
            let request = self.requests.get(&seq);
            let portion = request.and_then(|r| r.portion(id));
            request.zip(portion).is_some_and(|(r, p)| self.suits(r, p, dap.source, dap))
        };
        self.queue.oldest(dap.source, lane, portion)
    }

    /// True where the replica can serve the portion, were it idle.
    pub(super) fn suits(&self, request: &Request, portion: &Portion, source: SourceId, dap: &Dap) -> bool {
        let scope = &request.routing.scope;
        let table = &request.routing.table;
        if !dap.apis.contains(&request.api) || !portion.sources.contains(&source) {
            return false;
        }
        if !scope.dap.is_null() {
            return dap.name() == &scope.dap;
        }
        dap.holds(table, self.coverage.need(source, table, portion.range))
    }

    /// True where not every connected replica of the portion's sources could serve it.
    fn is_partial(&self, request: &Request, portion: &Portion) -> bool {
        let table = &request.routing.table;
        if table.is_null() || !request.routing.scope.dap.is_null() {
            return false;
        }
        portion.sources.iter().any(|source| {
            if self.coverage.is_uniform(*source, table) {
                return false;
            }
            let need = self.coverage.need(*source, table, portion.range);
            let replicas = self.coverage.source(*source).into_iter().flat_map(|s| s.replicas.keys());
            replicas.filter_map(|peer| self.fleet.get(*peer)).any(|d| !d.holds(table, need))
        })
    }

    /// Takes a waiting portion out of the queue. It is nowhere then.
    pub(super) fn unqueue(&mut self, seq: u64, portion: u32) {
        let Some(p) = self.requests.get(&seq).and_then(|r| r.portion(portion)) else { return };
        if let Place::Waiting(lane) = &p.place {
            self.queue.remove((seq, portion), &p.sources, lane);
            self.set_place(seq, portion, Place::Nowhere);
        }
    }

    pub(super) fn dispatch(&mut self, seq: u64, portion: u32, peer: PeerId) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let Some(p) = request.portions.get_mut(portion as usize) else { return };
        let Some(dap) = self.fleet.get(peer) else { return };
        let key = LeaseKey { corr: request.corr, attempt: request.attempt, portion: PortionId(portion) };
        p.place = Place::Leased(peer);
        let run = Run {
            corr: request.corr,
            attempt: request.attempt,
            portion: key.portion,
            epoch: dap.purview.epoch,
            left: request.deadline.saturating_sub(self.now) as i64,
            api: request.api_name.clone(),
            table: request.routing.table.clone(),
            labels: (*p.labels).clone(),
            range: p.range,
            version: dap.purview.version,
            agg: request.agg.and_then(|a| self.aggs.get(a)).map(|a| a.address.clone()).unwrap_or_default(),
            opts: request.opts.clone(),
            args: request.args.clone(),
        };
        let started = Started { corr: request.corr, attempt: request.gw_attempt };
        request.dispatched = true;
        // Only for APIs that must not run twice does the GW need to know.
        let tell = !request.safe && !std::mem::replace(&mut request.told_started, true);
        let (api, gw) = (request.api, request.gw);
        if tell {
            self.send(gw, started);
        }
        self.fleet.lease(peer, key, api, self.now);
        self.stats.dispatched += 1;
        self.send(peer, run);
    }

    pub(super) fn set_place(&mut self, seq: u64, portion: u32, place: Place) {
        if let Some(p) = self.requests.get_mut(&seq).and_then(|r| r.portions.get_mut(portion as usize)) {
            p.place = place;
        }
    }
}
