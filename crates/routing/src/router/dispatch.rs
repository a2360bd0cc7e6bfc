//! Portions to replicas: a new portion looks for an idle replica, here or at a peer, else it waits.
//!
//! Rule kept (design §3.2): no portion waits while a replica that can serve it is idle.

use sg::{
    PortionId,
    msg::{Collector, Run, Started},
};

use super::{Router, admission::busy};
use crate::{
    coverage::SourceId,
    event::PeerId,
    fleet::{Dap, LeaseKey, LeaseState},
    mutations,
    queue::{Lane, Order, Turn},
    request::{Hedge, Place, Portion, Request},
    trace::RunTrace,
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
        if request.best_effort && !self.is_served(p) {
            return self.give_up(seq, &[portion], None);
        }
        let idle = self.fleet.pick(&p.sources, self.now, |source, dap| self.suits(request, p, source, dap));
        let found = idle.and_then(|at| self.fleet.get(at));
        // One that runs something is taken only while none is idle anywhere.
        let elsewhere = found.is_none_or(|d| d.class() >= SLOW || !d.is_at_rest());
        if elsewhere
            && !self.mesh.is_alone()
            && let Some((peer, group)) = self.idle_peer(request, p)
        {
            return self.ask_to_start(seq, portion, peer, group, 0);
        }
        if let Some(dap) = idle {
            return self.dispatch(seq, portion, dap);
        }
        if self.queue.len() >= self.settings.max_queued && !sg::mutation::on("rc-queue-unbounded") {
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
        let order = request.order(seq, portion);
        self.queue.push(&request.user, order, &p.sources, &lane);
        // Advertise immediately: this portion is ahead of the portion that owners know.
        if !self.mesh.is_alone() && p.sources.iter().any(|s| self.queue.is_head(*s, order)) {
            self.mesh.tell_at = self.now;
        }
        let sources = p.sources.clone();
        self.set_place(seq, portion, Place::Waiting(lane));
        self.give_way(&sources);
    }

    /// True where some replica of a portion's sources is connected, here or at a peer.
    fn is_served(&self, portion: &Portion) -> bool {
        portion.sources.iter().any(|s| self.coverage.source(*s).is_some_and(|s| s.is_live()))
    }

    /// A portion that is nowhere, and that a replica still runs since before its link broke, is its again.
    pub(super) fn adopt(&mut self, seq: u64, key: LeaseKey, peer: PeerId) {
        self.fleet.update(peer, |d| d.running.change(&key, |lease| lease.state = LeaseState::Running));
        self.set_place(seq, key.portion.0, Place::Leased(peer));
    }

    /// The waiting portion that goes first, of those a replica can serve.
    pub(super) fn turn_for(&self, dap: &Dap) -> Option<Turn> {
        let lane = |l: &Lane| dap.apis.contains(&l.api) && (l.dap.is_null() || &l.dap == dap.name());
        let portion = |order: Order| {
            let request = self.requests.get(&order.seq);
            let portion = request.and_then(|r| r.portion(order.portion));
            request.zip(portion).is_some_and(|(r, p)| self.suits(r, p, dap.source, dap))
        };
        self.queue.next(dap.source, lane, portion)
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
        let Some(request) = self.requests.get(&seq) else { return };
        let Some(p) = request.portion(portion) else { return };
        if let Place::Waiting(lane) = &p.place {
            self.queue.remove(&request.user, request.order(seq, portion), &p.sources, lane);
            self.set_place(seq, portion, Place::Nowhere);
        }
    }

    pub(super) fn dispatch(&mut self, seq: u64, portion: u32, peer: PeerId) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let Some(p) = request.portions.get_mut(portion as usize) else { return };
        let Some(dap) = self.fleet.get(peer) else { return };
        let key = LeaseKey { corr: request.corr, attempt: request.attempt, portion: PortionId(portion) };
        let second = matches!(p.place, Place::Leased(_));
        match second {
            true => p.hedge = Some(Hedge::Leased(peer)),
            false => p.place = Place::Leased(peer),
        }
        let collector = || Collector {
            rc: self.own,
            agg_fn: request.agg_fn.clone(),
            gw: self.peers.get(&request.gw).map(|p| p.address.clone()).unwrap_or_default(),
        };
        let run = Run {
            corr: request.corr,
            attempt: request.attempt,
            portion: key.portion,
            epoch: dap.purview.epoch,
            left: request.deadline.saturating_sub(self.now) as i64,
            api: request.api_name.clone(),
            table: request.routing.table.clone(),
            labels: p.labels.clone(),
            range: p.range,
            version: dap.purview.version,
            agg: request.agg.and_then(|a| self.aggs.get(a)).map(|a| a.address.clone()).unwrap_or_default(),
            lone: (!request.told_plan).then(collector),
            opts: request.opts.clone(),
            args: request.args.clone(),
        };
        let started = Started { corr: request.corr, attempt: request.gw_attempt };
        request.dispatched = true;
        // Only for APIs that must not run twice does the GW need to know.
        let tell = !request.safe && !std::mem::replace(&mut request.told_started, true);
        let gw = request.gw;
        if tell && !sg::mutation::on(mutations::STARTED_UNTOLD) {
            self.send(gw, started);
        }
        if second {
            self.runs_twice(seq, portion);
        }
        self.leased(seq, portion, peer, key);
        self.send(peer, run);
    }

    /// A replica, ours or a peer's, runs a portion from now on: its user has had that much of the source.
    pub(super) fn leased(&mut self, seq: u64, portion: u32, replica: PeerId, key: LeaseKey) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let (api, user) = (request.api, request.user.clone());
        if let Some(p) = request.portions.get_mut(portion as usize) {
            p.run = Some(Box::new(RunTrace { by: replica, since: self.now, cost: None, got: 0 }));
        }
        let (source, request) = (self.fleet.get(replica).map(|d| d.source), self.requests.get(&seq));
        let bound = source.zip(request).is_none_or(|(source, r)| {
            let reads = r.any_of().zip(r.portion(portion).map(|p| p.range));
            self.is_bound(source, reads, replica)
        });
        self.fleet.lease(replica, key, api, None, (self.now, bound));
        self.stats.dispatched += 1;
        if let Some(source) = source {
            let usual = self.fleet.typical(source, api);
            self.queue.charge(&user, source, usual);
            self.watch_run(seq, portion, source, usual);
        }
    }

    pub(super) fn set_place(&mut self, seq: u64, portion: u32, place: Place) {
        if !matches!(place, Place::Leased(_)) {
            self.disarm(seq, portion);
        }
        if let Some(p) = self.requests.get_mut(&seq).and_then(|r| r.portions.get_mut(portion as usize)) {
            p.place = place;
        }
    }
}

/// Speed class of replicas that take twice as long as others of their source, or longer.
const SLOW: u8 = 3;
