//! What coordinators tell each other of what they own.
//!
//! Rules kept (design, mesh §3, §7): of two claims on one data process the later registration holds, and the
//! other lets go; what a peer says of its replicas is known before anything else it says of them, for both go
//! over one link in order. Who is idle and who waits: `demand`. Tests: `tests/rules/peers.rs`.

use std::{collections::BTreeMap, sync::Arc};

use ahash::HashMap;
use kvalue::Sym;
use sg::{
    Purview,
    msg::{MeshAgg, MeshIdle, MeshLost, MeshPurviews, MeshReplica},
};

use super::Router;
use crate::{
    coverage::{Refusal, SourceId},
    event::{Action, Note, PeerId},
    fleet::Dap,
    mesh::{Node, prevails},
};

/// Replicas told in one message.
const AT_ONCE: usize = 64;

impl Router {
    // ---- links ------------------------------------------------------------------------------------------

    pub(super) fn up_rc(&mut self, peer: PeerId) {
        let Some(info) = self.peers.get(&peer) else { return };
        let (name, instance) = (info.name.clone(), info.instance);
        let again = self.mesh.nodes.iter().find(|(_, n)| n.instance == instance).map(|(p, _)| *p);
        if let Some(old) = again {
            self.actions.push(Action::Refuse { peer: old, why: "it has a newer link here".into() });
            self.down(old);
        }
        if self.mesh.is_alone() {
            self.fleet.watch(true);
            self.queue.watch(true);
            self.mesh.aggs_changed = false;
            self.mesh.told_state = self.state();
        }
        self.mesh.nodes.insert(peer, Node::new(name, instance));
        if sg::mutation::on(crate::mutations::ACCOUNT_UNTOLD) {
            return;
        }
        self.send_account(peer);
    }

    pub(super) fn lose_rc(&mut self, peer: PeerId) {
        // Gone first: nothing that is tried again now may go there.
        let Some(node) = self.mesh.nodes.remove(&peer) else { return };
        let newer = |p: &super::Peer| p.role == crate::event::PeerRole::Rc && p.instance == node.instance;
        let replaced = self.peers.values().any(newer);
        self.note(Note::PeerLost { replaced, peer: node.name.clone(), replicas: node.replicas.len() });
        self.cancel_lent(peer);
        for needs in self.mesh.demands.values_mut() {
            needs.retain(|(from, _), _| *from != peer);
        }
        self.mesh.demands.retain(|_, needs| !needs.is_empty());
        let offers: Vec<i64> =
            self.mesh.offers.iter().filter(|(_, o)| o.to == peer).map(|(id, _)| *id).collect();
        for offer in offers {
            self.take_back(offer);
        }
        self.mesh.aggs_changed = true;
        node.aggs.iter().for_each(|address| self.undial(address));
        for replica in node.replicas.into_values() {
            self.lose_dap(replica);
        }
        self.untried(peer, &node.name);
        self.unasked(peer);
        if self.mesh.is_alone() {
            self.fleet.watch(false);
            self.queue.watch(false);
            self.mesh.flush_at = None;
        }
    }

    // ---- our account ------------------------------------------------------------------------------------

    /// Ready and leaving, as peers are told.
    pub(super) fn state(&self) -> (bool, bool) {
        (self.is_ready() && self.drain_at.is_none(), self.drain_at.is_some())
    }

    fn account(&self, base: i64, complete: bool) -> MeshPurviews {
        let (ready, leaving) = self.state();
        MeshPurviews {
            base,
            version: self.mesh.ours.version,
            complete,
            ready,
            leaving,
            started: self.settings.started,
            replicas: Vec::new(),
            gone: Vec::new(),
            lost: Vec::new(),
            aggs: self.own_aggs(),
        }
    }

    /// Aggs that are linked here, but for those that are known from peers.
    fn own_aggs(&self) -> Vec<MeshAgg> {
        let elsewhere = |address: &Sym| self.mesh.borrowed.contains(address);
        let own: BTreeMap<Sym, Sym> = self
            .aggs
            .iter()
            .filter(|(_, a)| !elsewhere(&a.address))
            .map(|(_, a)| (a.address.clone(), a.name.clone()))
            .collect();
        own.into_iter().map(|(address, name)| MeshAgg { name, address }).collect()
    }

    fn replica(dap: &Dap) -> MeshReplica {
        MeshReplica {
            group: dap.source.0 as i32,
            available: dap.takes_work(),
            address: dap.address.clone(),
            purview: (*dap.purview).clone(),
        }
    }

    /// Everything, to a peer whose link is new.
    fn send_account(&mut self, to: PeerId) {
        let own = self.fleet.iter().filter(|(_, d)| d.owner.is_none());
        let replicas: Vec<MeshReplica> = own.map(|(_, d)| Self::replica(d)).collect();
        let lost = self.coverage.lost().map(|(purview, since)| MeshLost {
            age: self.now.saturating_sub(since) as i64,
            purview: (**purview).clone(),
        });
        let lost: Vec<MeshLost> = lost.chain(self.elsewhere(to)).collect();
        let version = self.mesh.ours.version;
        let mut first = self.account(0, false);
        first.lost = lost;
        self.send(to, first);
        let mut chunks = replicas.chunks(AT_ONCE).peekable();
        let mut told = Vec::new();
        while let Some(chunk) = chunks.next() {
            let mut more = self.account(version, chunks.peek().is_none());
            more.replicas = chunk.to_vec();
            told.push(more);
        }
        if told.is_empty() {
            told.push(self.account(version, true));
        }
        told.into_iter().for_each(|more| self.send(to, more));
        let own: std::collections::BTreeSet<SourceId> =
            replicas.iter().map(|r| SourceId(r.group as u32)).collect();
        let idle = own.into_iter().map(|s| (s, self.fleet.idle(s))).filter(|(_, n)| *n > 0);
        let (groups, idle): (Vec<i32>, Vec<i32>) = idle.map(|(s, n)| (s.0 as i32, n as i32)).unzip();
        if !groups.is_empty() {
            self.send(to, MeshIdle { groups, idle });
        }
    }

    /// Purviews owned by coordinators other than `to`, one entry for all replicas with the same purview. Owners tell
    /// their purviews themselves; but an owner may be dead already, and then no other coordinator knows a purview whose
    /// replica is moving.
    fn elsewhere(&self, to: PeerId) -> Vec<MeshLost> {
        let mut told: HashMap<SourceId, Vec<&Dap>> = HashMap::default();
        for (_, dap) in self.fleet.iter() {
            let Some((owner, _)) = dap.owner else { continue };
            let of_source = told.entry(dap.source).or_default();
            if owner != to && of_source.iter().all(|d| d.purview.tables != dap.purview.tables) {
                of_source.push(dap);
            }
        }
        let known = told.into_values().flatten();
        let mut known: Vec<MeshLost> =
            known.map(|d| MeshLost { age: 0, purview: (*d.purview).clone() }).collect();
        known.sort_by(|a, b| a.purview.name.cmp(&b.purview.name));
        known
    }

    /// Tells peers that a replica of ours is new or changed; `moved` where it holds something else now.
    pub(super) fn tell_replica(&mut self, dap: PeerId, moved: bool) {
        let Some(source) = self.fleet.get(dap).map(|d| d.source) else { return };
        self.tell(Some(source).filter(|_| moved), |router, account| {
            account.replicas.extend(router.fleet.get(dap).map(Self::replica));
        });
    }

    /// Tells peers that a replica is no longer ours.
    pub(super) fn tell_gone(&mut self, name: &Sym, source: SourceId) {
        self.tell(Some(source), |_, account| account.gone.push(name.clone()));
    }

    pub(super) fn tell(&mut self, source: Option<SourceId>, change: impl Fn(&Router, &mut MeshPurviews)) {
        let base = self.mesh.ours.version;
        self.mesh.ours.bump(source);
        if self.mesh.is_alone() {
            return;
        }
        let mut account = self.account(base, true);
        change(self, &mut account);
        self.mesh.told_state = self.state();
        self.mesh.aggs_changed = false;
        self.broadcast(account);
    }

    pub(super) fn broadcast(&mut self, msg: impl Into<sg::Msg>) {
        let msg = msg.into();
        let peers: Vec<PeerId> = self.mesh.nodes.keys().copied().collect();
        for peer in peers {
            self.send(peer, msg.clone());
        }
    }

    // ---- a peer's account -------------------------------------------------------------------------------

    pub(super) fn purviews(&mut self, peer: PeerId, m: MeshPurviews) {
        let Some(node) = self.mesh.nodes.get_mut(&peer) else { return self.stray(".qm.mesh.purviews") };
        if m.base != 0 && m.base != node.version {
            let why = format!("a change of version {} was told where {} is known", m.base, node.version);
            return self.refuse(peer, why);
        }
        let anew = m.base == 0 && node.version != 0;
        node.version = m.version;
        (node.ready, node.leaving, node.started) = (m.ready, m.leaving, m.started);
        let before: Vec<Sym> = if anew { node.replicas.keys().cloned().collect() } else { Vec::new() };
        for name in before.iter().chain(&m.gone) {
            self.gone(peer, name);
        }
        for lost in m.lost {
            let since = self.now.saturating_sub(lost.age.max(0) as u64);
            let known = self.fleet.named(&lost.purview.name).is_some();
            if !known && let Some(touched) = self.coverage.remember(Arc::new(lost.purview), since) {
                self.coverage_changed(touched);
            }
        }
        let news = self.news(&m.replicas);
        for replica in m.replicas {
            self.peer_replica(peer, replica);
        }
        self.pass_on(peer, &news);
        self.peer_aggs(peer, m.aggs);
        let Some(node) = self.mesh.nodes.get_mut(&peer) else { return };
        if m.complete && !std::mem::replace(&mut node.synced, true) {
            let (name, replicas) = (node.name.clone(), node.replicas.len());
            self.note(Note::PeerSynced { peer: name, replicas });
        }
        self.status_changed = true;
        self.settled();
    }

    /// The replicas with data held by no known replica.
    fn news(&self, replicas: &[MeshReplica]) -> Vec<Sym> {
        let fresh = replicas.iter().filter(|r| !self.coverage.is_held(&r.purview));
        fresh.map(|r| r.purview.name.clone()).collect()
    }

    /// Tells other peers the new purviews of `from`: `from` may be lost before the other peers hear from `from`, or a
    /// peer may have no link to `from`.
    fn pass_on(&mut self, from: PeerId, names: &[Sym]) {
        let theirs = |name: &Sym| {
            let dap = self.fleet.get(self.fleet.named(name)?)?;
            let lost = MeshLost { age: 0, purview: (*dap.purview).clone() };
            dap.owner.filter(|(owner, _)| *owner == from).map(|_| lost)
        };
        let lost: Vec<MeshLost> = names.iter().filter_map(theirs).collect();
        let others: Vec<PeerId> = self.mesh.nodes.keys().copied().filter(|peer| *peer != from).collect();
        if lost.is_empty() || others.is_empty() {
            return;
        }
        let version = self.mesh.ours.version;
        for to in others {
            let mut account = self.account(version, true);
            account.lost.clone_from(&lost);
            self.send(to, account);
        }
    }

    fn gone(&mut self, peer: PeerId, name: &Sym) {
        let Some(node) = self.mesh.nodes.get_mut(&peer) else { return };
        node.ignored.remove(name);
        if let Some(replica) = node.replicas.get(name).copied() {
            self.lose_dap(replica);
        }
    }

    /// A peer owns this replica, or says so.
    pub(super) fn peer_replica(&mut self, peer: PeerId, r: MeshReplica) {
        let name = r.purview.name.clone();
        let Some(node) = self.mesh.nodes.get_mut(&peer) else { return };
        node.ignored.remove(&name);
        let known = self.fleet.named(&name);
        let mut known = known.and_then(|at| Some((at, self.fleet.get(at)?)));
        if let Some((at, dap)) = known
            && dap.owner.is_none_or(|(owner, _)| owner != peer)
        {
            if !prevails(&r.purview, &dap.purview) {
                return self.ignore(peer, r);
            }
            match dap.owner {
                // It has registered with the peer since.
                None => self.refuse(at, format!("data process {name} is another coordinator's now")),
                Some(_) => self.lose_dap(at),
            }
            known = None;
        }
        match known.map(|(at, dap)| (at, *dap.purview == r.purview)) {
            Some((at, true)) => {
                self.fleet.update(at, |d| {
                    d.available = r.available;
                    d.owner = Some((peer, r.group));
                    d.address = r.address.clone();
                });
                self.is_registered(at);
                let source = self.fleet.get(at).map(|d| d.source);
                source.into_iter().for_each(|source| self.reown(source));
            }
            Some((at, false)) => self.take_in(peer, at, r, false),
            None if self.fleet.len() >= self.settings.max_replicas => {
                let text = format!(
                    "{} replicas are known, the limit of QMESH_RC_MAX_REPLICAS: {name} is not used",
                    self.fleet.len()
                );
                self.note(Note::Warning { text });
                // What it holds is missing then, and not nothing.
                if let Some(touched) = self.coverage.remember(Arc::new(r.purview), self.now) {
                    self.coverage_changed(touched);
                }
            }
            None => {
                let at = self.mesh.number();
                self.take_in(peer, at, r, true);
            }
        }
    }

    fn ignore(&mut self, peer: PeerId, r: MeshReplica) {
        if let Some(node) = self.mesh.nodes.get_mut(&peer) {
            node.ignored.insert(r.purview.name.clone(), r);
        }
    }

    fn take_in(&mut self, peer: PeerId, at: PeerId, r: MeshReplica, new: bool) {
        let purview = Arc::new(r.purview.clone());
        let touched = match self.coverage.register(at, &purview) {
            Ok(touched) => touched,
            Err(refusal) => return self.contradicted(peer, at, r, new, refusal),
        };
        let Some(apis) = self.apis.provide(&purview.apis, usize::MAX) else { return };
        let Some(source) = self.coverage.source_of(at) else { return };
        if new {
            let mut dap = Dap::new(purview.clone(), source, apis, self.now);
            dap.available = r.available;
            dap.owner = Some((peer, r.group));
            dap.address = r.address;
            self.fleet.insert(at, dap);
            if let Some(node) = self.mesh.nodes.get_mut(&peer) {
                node.replicas.insert(purview.name.clone(), at);
            }
        } else {
            let old = self.fleet.update(at, |d| {
                let old = (d.purview.clone(), d.source);
                d.set_purview(purview.clone());
                (d.apis, d.available, d.source) = (apis, r.available, source);
                d.owner = Some((peer, r.group));
                d.address = r.address;
                old
            });
            if let Some((old, from)) = old {
                self.apis.withdraw(&old.apis);
                self.reown(from);
            }
        }
        self.reown(source);
        self.status_changed = true;
        self.coverage_changed(touched);
        self.is_registered(at);
    }

    /// A peer's source overlaps one known here. All coordinators must decide alike: the source with the lower id stays,
    /// and owners refuse the rivals.
    fn contradicted(&mut self, peer: PeerId, at: PeerId, r: MeshReplica, new: bool, refusal: Refusal) {
        self.note(Note::Warning { text: refusal.to_string() });
        if !new {
            self.lose_dap(at);
        }
        let rival = match &refusal {
            Refusal::Overlap(o) if r.purview.source < o.other_source => o.other.clone(),
            _ => return self.ignore(peer, r),
        };
        let Some(other) = self.fleet.named(&rival) else { return self.ignore(peer, r) };
        match self.fleet.get(other).and_then(|d| Some((d.owner?.0, Self::replica(d)))) {
            None => self.refuse(other, refusal.to_string()),
            Some((owner, replica)) => {
                self.lose_dap(other);
                self.ignore(owner, replica);
            }
        }
        self.peer_replica(peer, r);
    }

    /// Notes anew which peers have replicas of a source.
    pub(super) fn reown(&mut self, source: SourceId) {
        let replicas = self.coverage.source(source).into_iter().flat_map(|s| s.replicas.keys());
        let owners: std::collections::BTreeSet<_> =
            replicas.filter_map(|peer| self.fleet.get(*peer)?.owner).collect();
        match owners.is_empty() {
            true => drop(self.mesh.owners.remove(&source)),
            false => drop(self.mesh.owners.insert(source, owners)),
        }
        self.fleet.look_at(source);
    }

    fn peer_aggs(&mut self, peer: PeerId, aggs: Vec<MeshAgg>) {
        let Some(node) = self.mesh.nodes.get_mut(&peer) else { return };
        let now = aggs.iter().map(|a| a.address.clone()).filter(|a| !a.is_null()).collect();
        let before = std::mem::replace(&mut node.aggs, now);
        if node.aggs == before {
            return;
        }
        before.iter().for_each(|address| self.undial(address));
        for MeshAgg { name, address } in aggs.into_iter().filter(|a| !a.address.is_null()) {
            if !self.aggs.iter().any(|(_, a)| a.address == address) {
                self.dial(name, address);
            }
        }
    }

    fn dial(&mut self, name: Sym, address: Sym) {
        self.mesh.borrowed.insert(address.clone());
        if self.mesh.dialled.insert(address.clone()) {
            self.actions.push(Action::Dial { name, address });
        }
    }

    /// Gives up an Agg that no peer has. An unlinked Agg is no longer dialled; a linked Agg belongs to this
    /// coordinator.
    pub(super) fn undial(&mut self, address: &Sym) {
        if self.mesh.nodes.values().any(|n| n.aggs.contains(address)) {
            return;
        }
        self.mesh.aggs_changed |= self.mesh.borrowed.remove(address);
        let linked = self.aggs.iter().any(|(_, a)| &a.address == address);
        if !linked && self.mesh.dialled.remove(address) {
            self.actions.push(Action::Undial { address: address.clone() });
        }
    }

    /// An Agg's link is gone; while a peer has it, it is wanted again.
    pub(super) fn dial_again(&mut self, name: &Sym, address: &Sym) {
        let linked = self.aggs.iter().any(|(_, a)| &a.address == address);
        match self.mesh.nodes.values().any(|n| n.aggs.contains(address)) {
            true if !linked => self.dial(name.clone(), address.clone()),
            true => {}
            false => self.undial(address),
        }
    }

    // ---- readiness --------------------------------------------------------------------------------------

    pub(super) fn peers_tried(&mut self) {
        self.mesh.peers_tried = true;
        self.settled();
    }

    /// What peers know need not be waited for.
    pub(super) fn settled(&mut self) {
        let nodes = || self.mesh.nodes.values();
        let learnt = nodes().all(|n| n.synced) && nodes().any(|n| n.ready);
        let aggs = self.aggs.len() > 0 || nodes().all(|n| n.aggs.is_empty());
        if self.settle_at.is_some() && self.mesh.peers_tried && learnt && aggs {
            self.settle_at = None;
            self.status_changed = true;
        }
    }

    /// Purviews of replicas that a peer owns, by the peer's name; for people.
    pub(super) fn owner_of(&self, dap: &Dap) -> Sym {
        let owner = dap.owner.and_then(|(peer, _)| self.mesh.nodes.get(&peer));
        owner.map_or_else(|| self.settings.name.clone(), |n| n.name.clone())
    }

    /// Another coordinator's claim on the name of a data process that registers here.
    pub(super) fn claimed_by_peer(&self, purview: &Purview) -> Option<(PeerId, Sym, bool)> {
        let at = self.fleet.named(&purview.name)?;
        let dap = self.fleet.get(at)?;
        dap.owner?;
        let later = dap.purview.instance == purview.instance && purview.epoch > dap.purview.epoch;
        Some((at, self.owner_of(dap), later))
    }
}
