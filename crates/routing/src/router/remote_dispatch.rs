//! The primary's side of the mesh: portions of ours run on replicas of peers.
//!
//! Rules kept (design, mesh §7): a portion waits here until an owner says that it runs, so that it is in one
//! place at any time and a lost peer loses nothing that had not begun; an owner is asked where its word says
//! that a replica is idle, or where it offers one.

use kvalue::Sym;
use sg::{
    Ac, Failure, PortionId, Rc,
    msg::{
        Demand, Done, MeshCancel, MeshDecline, MeshDone, MeshIdle, MeshOffer, MeshRefused, MeshStarted,
        MeshTry, Started,
    },
};

use super::Router;
use crate::{
    coverage::SourceId,
    event::PeerId,
    fleet::LeaseKey,
    mesh::Group,
    mutations,
    queue::Order,
    request::{Hedge, Place, Portion, Request},
    trace::Cost,
};

impl Router {
    /// The peer that says it has most idle replicas for the portion; of equals the one not asked for longest.
    pub(super) fn idle_peer(&self, request: &Request, portion: &Portion) -> Option<(PeerId, Group)> {
        let mut best: Option<(usize, std::cmp::Reverse<u64>, PeerId, Group)> = None;
        for source in &portion.sources {
            for (peer, group) in self.mesh.owners.get(source).into_iter().flatten() {
                let Some(node) = self.mesh.nodes.get(peer) else { continue };
                let idle = node.idle.get(group).copied().unwrap_or(0);
                let candidate = (idle, std::cmp::Reverse(node.tried), *peer, *group);
                if idle == 0 || best.is_some_and(|b| b.0 > idle || (b.0 == idle && b.1 >= candidate.1)) {
                    continue;
                }
                if self.peer_suits(request, portion, *source, (*peer, *group)) {
                    best = Some(candidate);
                }
            }
        }
        best.map(|(_, _, peer, group)| (peer, group))
    }

    /// Idle replicas of a source at peers, as far as they said.
    pub(super) fn idle_at_peers(&self, source: SourceId) -> usize {
        let owners = self.mesh.owners.get(&source).into_iter().flatten();
        owners.filter_map(|(peer, group)| self.mesh.nodes.get(peer)?.idle.get(group)).sum()
    }

    /// True where some replica of the peer's group could serve the portion, were it idle.
    fn peer_suits(&self, request: &Request, p: &Portion, source: SourceId, owner: (PeerId, Group)) -> bool {
        let replicas = self.coverage.source(source).into_iter().flat_map(|s| s.replicas.keys());
        replicas
            .filter_map(|peer| self.fleet.get(*peer))
            .any(|d| d.owner == Some(owner) && d.available && self.suits(request, p, source, d))
    }

    /// Asks an owner to start a portion that is nowhere, or to run one a second time.
    pub(super) fn ask_to_start(&mut self, seq: u64, portion: u32, to: PeerId, group: Group, offer: i64) {
        let hedge = self.runs_on(seq, portion);
        self.tell_plan(seq);
        let Some(request) = self.requests.get(&seq) else { return };
        let Some(p) = request.portion(portion) else { return };
        let Some(node) = self.mesh.nodes.get_mut(&to) else { return };
        let source = p
            .sources
            .iter()
            .copied()
            .find(|s| self.mesh.owners.get(s).is_some_and(|owners| owners.contains(&(to, group))));
        let Some(source) = source else { return };
        if offer == 0
            && let Some(idle) = node.idle.get_mut(&group)
        {
            *idle = idle.saturating_sub(1);
        }
        node.tried = self.now;
        let scope = request.routing.scope.dap.clone();
        let vtime = self.queue.vtime(source, &request.user);
        let waits = match hedge {
            Some(_) => Vec::new(),
            None => vec![Demand {
                group,
                api: request.api_name.clone(),
                dap: scope.clone(),
                waiting: 1,
                user: request.user.clone(),
                vtime: vtime as i64,
                floor: self.queue.floor(source) as i64,
                priority: request.priority,
                waited: self.now.saturating_sub(request.arrived) as i64,
            }],
        };
        let ask = MeshTry {
            corr: request.corr,
            attempt: request.attempt,
            portion: PortionId(portion),
            offer,
            group,
            seen: node.version,
            left: request.deadline.saturating_sub(self.now) as i64,
            api: request.api_name.clone(),
            table: request.routing.table.clone(),
            labels: p.labels.clone(),
            range: p.range,
            hedge: hedge.is_some(),
            replica: hedge.clone().unwrap_or(scope),
            waits,
            agg: request.agg.and_then(|a| self.aggs.get(a)).map(|a| a.address.clone()).unwrap_or_default(),
            opts: request.opts.clone(),
            args: request.args.clone(),
        };
        // From here on it may have started.
        let (gw, started) = (request.gw, Started { corr: request.corr, attempt: request.gw_attempt });
        let Some(request) = self.requests.get_mut(&seq) else { return };
        request.dispatched = true;
        let tell = !request.safe && !std::mem::replace(&mut request.told_started, true);
        if let Some(p) = request.portions.get_mut(portion as usize) {
            match hedge {
                Some(_) => p.hedge = Some(Hedge::Tried(to)),
                None => p.place = Place::Tried(to),
            }
        }
        if tell && !sg::mutation::on(mutations::STARTED_UNTOLD) {
            self.send(gw, started);
        }
        self.stats.tried += 1;
        self.send(to, ask);
    }

    /// Name of the replica that runs a portion.
    fn runs_on(&self, seq: u64, portion: u32) -> Option<Sym> {
        match self.requests.get(&seq)?.portion(portion)?.place {
            Place::Leased(peer) => Some(self.fleet.get(peer)?.name().clone()),
            _ => None,
        }
    }

    // ---- what owners say --------------------------------------------------------------------------------

    pub(super) fn idle_hint(&mut self, from: PeerId, m: &MeshIdle) {
        for (group, idle) in m.groups.iter().zip(&m.idle) {
            let Some(node) = self.mesh.nodes.get_mut(&from) else { return };
            node.idle.insert(*group, usize::try_from(*idle).unwrap_or(0));
            if *idle > 0 {
                self.use_idle(from, *group);
                self.look_at_group((from, *group));
            }
        }
    }

    /// A peer has idle replicas: what waits here for them goes there.
    fn use_idle(&mut self, peer: PeerId, group: Group) {
        let sources: Vec<SourceId> = self
            .mesh
            .owners
            .iter()
            .filter(|(source, owners)| owners.contains(&(peer, group)) && self.queue.waits(**source))
            .map(|(source, _)| *source)
            .collect();
        for source in sources {
            while self.mesh.nodes.get(&peer).is_some_and(|n| n.idle.get(&group).is_some_and(|i| *i > 0)) {
                let Some(order) = self.next_for_peer(source, (peer, group)) else { break };
                self.unqueue(order.seq, order.portion);
                self.ask_to_start(order.seq, order.portion, peer, group, 0);
            }
        }
    }

    /// The waiting portion that goes first, of those that some replica of a peer's group could serve.
    pub(super) fn next_for_peer(&self, source: SourceId, owner: (PeerId, Group)) -> Option<Order> {
        let replicas = || {
            let all = self.coverage.source(source).into_iter().flat_map(|s| s.replicas.keys());
            all.filter_map(|p| self.fleet.get(*p)).filter(|d| d.owner == Some(owner) && d.available)
        };
        let lane = |l: &crate::queue::Lane| {
            replicas().any(|d| d.apis.contains(&l.api) && (l.dap.is_null() || &l.dap == d.name()))
        };
        let portion = |order: Order| {
            let request = self.requests.get(&order.seq);
            let found = request.and_then(|r| Some((r, r.portion(order.portion)?)));
            found.is_some_and(|(r, p)| self.peer_suits(r, p, source, owner))
        };
        self.queue.next(source, lane, portion).map(|turn| turn.order)
    }

    pub(super) fn offered(&mut self, from: PeerId, m: &MeshOffer) {
        let offered = self.fleet.named(&m.replica).and_then(|at| self.fleet.get(at));
        let source = offered.map(|d| d.source);
        if let Some(source) = source {
            self.queue.raise_floor(source, m.floor.max(0) as u64);
        }
        let offered = self.fleet.named(&m.replica).and_then(|at| self.fleet.get(at));
        let turn = offered.filter(|d| d.owner == Some((from, m.group))).and_then(|d| self.turn_for(d));
        match turn.map(|t| (t.order.seq, t.order.portion)) {
            Some((seq, portion)) => {
                // The started portion replaces one advertised portion, whichever: portions still waiting are advertised
                // again.
                if let Some(node) = self.mesh.nodes.get_mut(&from) {
                    let of_group = node.told.iter_mut().filter(|((group, _), _)| *group == m.group);
                    of_group.for_each(|(_, (_, waiting))| *waiting = 0);
                }
                self.unqueue(seq, portion);
                self.ask_to_start(seq, portion, from, m.group, m.offer);
            }
            None => self.send(from, MeshDecline { offer: m.offer }),
        }
    }

    pub(super) fn started(&mut self, from: PeerId, m: &MeshStarted) {
        let Some(seq) = self.live_attempt(m.corr, m.attempt) else { return };
        let portion = m.portion.0;
        let Some(p) = self.requests.get(&seq).and_then(|r| r.portion(portion)) else { return };
        let hedge = p.hedge == Some(Hedge::Tried(from));
        if p.place != Place::Tried(from) && !hedge {
            return;
        }
        let replica = self.fleet.named(&m.replica).filter(|at| {
            self.fleet.get(*at).is_some_and(|d| d.owner.is_some_and(|(owner, _)| owner == from))
        });
        let Some(replica) = replica else {
            // The owner loses the replica at this moment; the portion releases the replica, too.
            let ai = format!("data process {} was lost when it began portion {portion}", m.replica);
            return self.not_started(seq, portion, from, Some(Failure::new(Rc::CONN, Ac::CONN, ai)));
        };
        let key = LeaseKey { corr: m.corr, attempt: m.attempt, portion: m.portion };
        let (place, second) = match p.place == Place::Tried(from) {
            true => (Some(Place::Leased(replica)), p.hedge),
            false => (None, Some(Hedge::Leased(replica))),
        };
        if let Some(p) = self.requests.get_mut(&seq).and_then(|r| r.portions.get_mut(portion as usize)) {
            p.place = place.unwrap_or(p.place.clone());
            p.hedge = second;
        }
        if hedge {
            self.runs_twice(seq, portion);
        }
        self.leased(seq, portion, replica, key);
    }

    pub(super) fn refused(&mut self, from: PeerId, m: &MeshRefused) {
        self.stats.refused += 1;
        if let Some(node) = self.mesh.nodes.get_mut(&from) {
            node.idle.insert(m.group, usize::try_from(m.idle).unwrap_or(0));
            self.look_at_group((from, m.group));
        }
        if let Some(seq) = self.live_attempt(m.corr, m.attempt) {
            self.not_started(seq, m.portion.0, from, None);
        }
    }

    /// A portion that a peer was asked to start is ours again; with a failure where it may have started.
    fn not_started(&mut self, seq: u64, portion: u32, peer: PeerId, failure: Option<Failure>) {
        let Some(p) = self.requests.get_mut(&seq).and_then(|r| r.portions.get_mut(portion as usize)) else {
            return;
        };
        if p.hedge == Some(Hedge::Tried(peer)) {
            p.hedge = None;
        } else if p.place == Place::Tried(peer) {
            p.place = Place::Nowhere;
            match failure {
                Some(failure) => self.try_again(seq, portion, failure, false),
                // Purviews may be others by now.
                None => self.replan(seq, portion),
            }
        }
    }

    pub(super) fn ended_at_peer(&mut self, from: PeerId, m: MeshDone) {
        let replica = self.fleet.named(&m.replica);
        let owned =
            |at: &PeerId| self.fleet.get(*at).is_some_and(|d| d.owner.is_some_and(|(o, _)| o == from));
        let Some(replica) = replica.filter(owned) else { return };
        let MeshDone { corr, attempt, portion, rc, ac, ai, version, took, bytes, .. } = m;
        // What is over here has no lease any more.
        let key = LeaseKey { corr, attempt, portion };
        if self.fleet.get(replica).is_some_and(|d| d.running.get(&key).is_some()) {
            let (epoch, slots) = (0, -1);
            self.done(
                replica,
                Done { corr, attempt, portion, rc, ac, ai, version, took, bytes, epoch, slots },
            );
        } else if rc == Rc::OK {
            self.ran(key, replica, Cost::said(took, bytes));
        }
    }

    /// A peer is gone: what it was asked to start may or may not have begun.
    pub(super) fn untried(&mut self, peer: PeerId, name: &Sym) {
        let mut tried = Vec::new();
        for (seq, request) in &self.requests {
            for (id, p) in (0u32..).zip(&request.portions) {
                if p.place == Place::Tried(peer) || p.hedge == Some(Hedge::Tried(peer)) {
                    tried.push((*seq, id));
                }
            }
        }
        tried.sort_unstable();
        for (seq, portion) in tried {
            let ai = format!("coordinator {name} was lost when it was asked to start portion {portion}");
            let failure = Failure::new(Rc::CONN, Ac::CONN, ai);
            let lost = !sg::mutation::on(mutations::LOST_PEER_NEVER_STARTED);
            self.not_started(seq, portion, peer, lost.then_some(failure));
        }
    }

    /// An owner need not go on with a portion, at this replica or, for null, at any.
    pub(super) fn cancel_at(&mut self, owner: PeerId, key: LeaseKey, replica: Sym) {
        let LeaseKey { corr, attempt, portion } = key;
        self.send(owner, MeshCancel { corr, attempt, portion, replica });
    }
}
