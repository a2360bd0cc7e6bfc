//! The owner's side of the mesh: replicas of ours run portions of peers.
//!
//! Rules kept (design, mesh §7): a replica that becomes idle goes to whose turn it is, here or at a peer; it is
//! kept for a peer only for a bounded time; a portion is started only where our account of the replicas is the
//! one it was planned with; who owns a replica tells the primary how its portion ended.

use kvalue::Sym;
use sg::{
    Ac, PortionId, Rc,
    msg::{
        Done, MeshCancel, MeshDecline, MeshDemand, MeshDone, MeshOffer, MeshRefused, MeshStarted, MeshTry,
        Run,
    },
};

use super::Router;
use crate::{
    apis::ApiId,
    coverage::SourceId,
    event::PeerId,
    fleet::{Dap, LeaseKey},
    mesh::{Need, Noted, Offer},
    mutations,
    queue::Turn,
};

impl Router {
    /// A replica has free places: they go to whose turn it is.
    pub(super) fn serve(&mut self, peer: PeerId) {
        while let Some(dap) = self.fleet.get(peer)
            && dap.free() > 0
            && !sg::mutation::on("rc-idle-serves-nobody")
        {
            let own = self.turn_for(dap);
            let theirs = match self.mesh.demands.is_empty() {
                true => None,
                false => self.demand_for(peer, dap),
            };
            match (own, theirs) {
                (Some(turn), theirs) if theirs.is_none_or(|(k, noted)| self.goes_first(turn, k.0, noted)) => {
                    let (seq, portion) = (turn.order.seq, turn.order.portion);
                    self.unqueue(seq, portion);
                    self.dispatch(seq, portion, peer);
                }
                (_, Some((key, _))) => {
                    let (to, need) = key.clone();
                    self.offer(to, need, peer);
                }
                (_, None) => return,
            }
        }
    }

    /// The peer's demand that goes first, of those a replica can serve.
    pub(super) fn demand_for<'a>(
        &'a self,
        peer: PeerId,
        dap: &Dap,
    ) -> Option<(&'a (PeerId, Need), &'a Noted)> {
        let fits = |(api, name): &Need| dap.apis.contains(api) && (name.is_null() || name == dap.name());
        self.mesh.next_demand(dap.source, peer, fits)
    }

    /// Of equals ours goes first, and so does one that came no more than a round trip later: the replica would
    /// stand idle for as long.
    fn goes_first(&self, turn: Turn, to: PeerId, noted: &Noted) -> bool {
        let way = self.mesh.nodes.get(&to).map_or(0, |n| n.round_trip);
        let since = noted.since.saturating_add(way);
        let Some(request) = self.requests.get(&turn.order.seq) else { return true };
        match request.user == noted.user {
            true => (turn.order.urgency, request.arrived) <= (noted.urgency, since),
            false => (turn.vtime, request.arrived) <= (noted.vtime, since),
        }
    }

    // ---- offers -----------------------------------------------------------------------------------------

    fn offer(&mut self, to: PeerId, need: Need, dap: PeerId) {
        let Some(of) = self.fleet.get(dap) else { return };
        let (source, replica, version) = (of.source, of.name().clone(), of.purview.version);
        self.mesh.next_offer += 1;
        let id = self.mesh.next_offer;
        let key = (to, need.clone());
        if let Some(noted) = self.mesh.demands.get_mut(&source).and_then(|d| d.get_mut(&key)) {
            noted.offered += 1;
        }
        let until = self.now + self.settings.offer_wait;
        self.mesh.offers.insert(id, Offer { to, dap, version, source, need, made: self.now, until });
        self.fleet.update(dap, |d| d.reserved += 1);
        self.stats.offers += 1;
        let floor = self.queue.floor(source) as i64;
        self.send(to, MeshOffer { offer: id, group: source.0 as i32, replica, floor });
    }

    /// The replica is no longer kept for the peer.
    fn close(&mut self, offer: i64) -> Option<Offer> {
        let closed = self.mesh.close(offer)?;
        self.fleet.update(closed.dap, |d| d.reserved = d.reserved.saturating_sub(1));
        Some(closed)
    }

    /// Takes an offer back, and gives the replica to the next.
    pub(super) fn take_back(&mut self, offer: i64) {
        if let Some(closed) = self.close(offer) {
            self.serve_source(closed.source);
        }
    }

    /// A peer has answered an offer.
    fn answered(&mut self, offer: &Offer) {
        let took = self.now.saturating_sub(offer.made);
        if let Some(node) = self.mesh.nodes.get_mut(&offer.to) {
            node.round_trip = if node.round_trip == 0 { took } else { (node.round_trip * 7 + took) / 8 };
        }
    }

    pub(super) fn declined(&mut self, from: PeerId, m: &MeshDecline) {
        if self.mesh.offers.get(&m.offer).is_none_or(|o| o.to != from) {
            return self.stray(".qm.mesh.decline");
        }
        let Some(closed) = self.close(m.offer) else { return };
        self.stats.declined += 1;
        self.answered(&closed);
        let key = (from, closed.need.clone());
        // Of what it has got meanwhile the peer may not have known yet.
        let same = self.fleet.get(closed.dap).is_some_and(|d| d.purview.version == closed.version);
        if let Some(noted) = self.mesh.demands.get_mut(&closed.source).and_then(|d| d.get_mut(&key))
            && same
        {
            noted.declined.insert(closed.dap);
        }
        self.serve_source(closed.source);
    }

    /// Offers that nobody took up: whoever did not answer has to ask again.
    pub(super) fn offers_over(&mut self) {
        if sg::mutation::on(mutations::OFFER_FOR_EVER) {
            return;
        }
        let over: Vec<i64> =
            self.mesh.offers.iter().take_while(|(_, o)| o.until <= self.now).map(|(id, _)| *id).collect();
        for offer in over {
            let Some(closed) = self.close(offer) else { continue };
            self.stats.declined += 1;
            self.mesh.drop_demand(closed.source, closed.to, &closed.need);
            self.serve_source(closed.source);
        }
    }

    // ---- what peers ask ---------------------------------------------------------------------------------

    pub(super) fn demand(&mut self, from: PeerId, m: MeshDemand) {
        let mut sources = std::collections::BTreeSet::new();
        for row in m.rows {
            let source = SourceId(row.group as u32);
            let Some(api) = self.apis.find(&row.api) else { continue };
            if self.coverage.source(source).is_none() {
                continue;
            }
            self.queue.raise_floor(source, row.floor.max(0) as u64);
            self.queue.meet(source, &row.user, row.vtime.max(0) as u64);
            self.mesh.note(from, source, api, row, self.now);
            sources.insert(source);
        }
        for source in sources {
            self.serve_source(source);
            if self.mesh.demands.contains_key(&source) {
                self.give_way(&[source]);
            }
        }
    }

    /// Gives the free places of a source to whoever waits.
    fn serve_source(&mut self, source: SourceId) {
        for replica in self.fleet.free_of(source) {
            self.serve(replica);
        }
    }

    pub(super) fn asked_to_start(&mut self, from: PeerId, m: MeshTry) {
        let offer = self.mesh.offers.get(&m.offer).filter(|o| o.to == from).cloned();
        if let Some(offer) = &offer {
            self.close(m.offer);
            self.answered(offer);
        }
        let source = SourceId(m.group as u32);
        let chosen = self.replica_for(&m, source, offer.as_ref());
        if m.offer == 0 && chosen.is_ok() {
            self.used_by_peer(source);
        }
        match chosen {
            Ok((replica, api)) => {
                if let Some(offer) = &offer {
                    let key = (from, offer.need.clone());
                    let noted = self.mesh.demands.get(&offer.source).and_then(|d| d.get(&key));
                    let vtime = noted.map_or(0, |n| n.vtime);
                    self.queue.raise_floor(offer.source, vtime);
                    self.mesh.served(offer);
                }
                self.lend(from, m, replica, api);
            }
            Err((why, moved)) => {
                let (corr, attempt, portion, group) = (m.corr, m.attempt, m.portion, m.group);
                self.send(from, MeshRefused { corr, attempt, portion, group, idle: 0, why });
                // Planned on what has changed it will be planned again; else it waits for us from now on.
                if !moved {
                    self.demand(from, MeshDemand { rows: m.waits });
                }
            }
        }
        if let Some(offer) = offer {
            self.serve_source(offer.source);
        }
    }

    fn replica_for(
        &self,
        m: &MeshTry,
        source: SourceId,
        offer: Option<&Offer>,
    ) -> Result<(PeerId, ApiId), (String, bool)> {
        let seen = self.mesh.ours.seen(source, m.seen) || sg::mutation::on(mutations::STALE_PLAN);
        if self.coverage.source(source).is_none() || !seen {
            return Err(("purviews have changed since the portion was planned".into(), true));
        }
        let api = self.apis.find(&m.api).ok_or_else(|| (format!("API {} is not known here", m.api), true))?;
        let suits = |dap: &Dap| self.suits_try(m, api, source, dap);
        let offered = offer.map(|o| o.dap).filter(|peer| {
            let dap = self.fleet.get(*peer);
            dap.is_some_and(|d| d.source == source && d.free() > 0 && suits(d))
        });
        let picked = offered.or_else(|| self.fleet.pick(&[source], self.now, |_, dap| suits(dap)));
        picked
            .map(|peer| (peer, api))
            .ok_or_else(|| ("no replica that can serve it is idle".to_string(), false))
    }

    fn suits_try(&self, m: &MeshTry, api: ApiId, source: SourceId, dap: &Dap) -> bool {
        if !dap.apis.contains(&api) || (m.hedge && dap.name() == &m.replica) {
            return false;
        }
        if !m.hedge && !m.replica.is_null() {
            return dap.name() == &m.replica;
        }
        dap.holds(&m.table, self.coverage.need(source, &m.table, m.range))
    }

    /// Starts a peer's portion on a replica of ours.
    fn lend(&mut self, from: PeerId, m: MeshTry, replica: PeerId, api: ApiId) {
        let Some(dap) = self.fleet.get(replica) else { return };
        let reads = m.replica.is_null().then(|| (m.table.clone(), m.range));
        let bound = self.is_bound(dap.source, reads.as_ref().map(|(table, range)| (table, *range)), replica);
        let MeshTry { corr, attempt, portion, left, table, labels, range, agg, opts, args, .. } = m;
        let key = LeaseKey { corr, attempt, portion };
        let run = Run {
            corr,
            attempt,
            portion,
            epoch: dap.purview.epoch,
            left,
            api: m.api,
            table,
            labels,
            range,
            version: dap.purview.version,
            agg,
            // Its primary has told the Agg.
            lone: None,
            opts,
            args,
        };
        let name = dap.name().clone();
        self.fleet.lease(replica, key, api, Some(from), (self.now, bound));
        self.mesh.lent.insert((from, key, replica), reads);
        self.stats.lent += 1;
        self.send(replica, run);
        self.send(from, MeshStarted { corr, attempt, portion, replica: name });
    }

    /// A portion of a peer's has ended on a replica of ours.
    pub(super) fn returned(&mut self, to: PeerId, key: LeaseKey, dap: PeerId, m: &Done) {
        if self.mesh.lent.remove(&(to, key, dap)).is_none() {
            return;
        }
        if sg::mutation::on(mutations::LENT_UNREPORTED) {
            return;
        }
        let replica = self.fleet.get(dap).map(|d| d.name().clone()).unwrap_or_default();
        let Done { corr, attempt, portion, rc, ac, version, took, bytes, .. } = *m;
        let ai = m.ai.clone();
        self.send(to, MeshDone { corr, attempt, portion, replica, rc, ac, ai, version, took, bytes });
    }

    /// A replica of ours was lost while it ran a peer's portion.
    pub(super) fn lost_lent(&mut self, to: PeerId, key: LeaseKey, dap: PeerId, name: &Sym) {
        if self.mesh.lent.remove(&(to, key, dap)).is_some() {
            let ai = format!("data process {name} was lost while it ran portion {}", key.portion.0);
            let LeaseKey { corr, attempt, portion } = key;
            let (replica, rc, ac) = (name.clone(), Rc::CONN, Ac::CONN);
            let (version, took, bytes) = (0, 0, 0);
            self.send(to, MeshDone { corr, attempt, portion, replica, rc, ac, ai, version, took, bytes });
        }
    }

    pub(super) fn no_longer_wanted(&mut self, from: PeerId, m: &MeshCancel) {
        let key = LeaseKey { corr: m.corr, attempt: m.attempt, portion: m.portion };
        if m.replica.is_null() {
            return self.stop_lent((from, key, PeerId(0))..=(from, key, PeerId(u64::MAX)));
        }
        // Where it runs twice here, the other run goes on.
        if let Some(dap) = self.fleet.named(&m.replica) {
            self.stop_lent((from, key, dap)..=(from, key, dap));
        }
    }

    /// The peer is gone: nobody waits for what runs for it.
    pub(super) fn cancel_lent(&mut self, peer: PeerId) {
        let least = LeaseKey { corr: sg::Corr([0; 16]), attempt: i32::MIN, portion: PortionId(0) };
        self.stop_lent((peer, least, PeerId(0))..(PeerId(peer.0 + 1), least, PeerId(0)));
    }

    fn stop_lent(&mut self, which: impl std::ops::RangeBounds<(PeerId, LeaseKey, PeerId)>) {
        let ended: Vec<_> = self.mesh.lent.range(which).map(|(entry, _)| *entry).collect();
        for entry in ended {
            self.mesh.lent.remove(&entry);
            let (_, key, dap) = entry;
            self.release(dap, key);
        }
    }
}
