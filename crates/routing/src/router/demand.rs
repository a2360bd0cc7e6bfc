//! Hints between coordinators: who is idle, and who waits for whom.
//!
//! Rules kept (design, mesh §7): hints are coalesced, but for one that somebody may be waiting for; one that is
//! out of date costs a refusal, never a wrong answer. Tests: `tests/rules/peers.rs`, `routing-model`.

use std::collections::BTreeMap;

use kvalue::Sym;
use sg::msg::{Demand, MeshDemand, MeshIdle};

use super::Router;
use crate::{coverage::SourceId, event::PeerId, mesh::Told, mutations, queue::Head};

/// Waiting portions are told up to this number: more replicas than this are not offered at a time.
const TOLD_WAITING: usize = 64;

impl Router {
    /// After every event: peers hear of what changed, at once where somebody may be waiting for it.
    pub(super) fn tell_peers(&mut self) {
        if self.mesh.is_alone() {
            return;
        }
        if self.settle_at.is_some() {
            self.settled();
        }
        if std::mem::take(&mut self.mesh.aggs_changed) || self.mesh.told_state != self.state() {
            self.tell(None, |_, _| {});
        }
        if !self.fleet.has_changed() && !self.queue.has_changed() {
            return;
        }
        match self.now >= self.mesh.tell_at || self.is_urgent() {
            true => self.flush_hints(),
            false => self.mesh.flush_at = Some(self.mesh.tell_at),
        }
    }

    /// What contradicted something that has gone since may hold now.
    pub(super) fn retry_ignored(&mut self) {
        if !std::mem::take(&mut self.mesh.retry_ignored) {
            return;
        }
        let mut again = Vec::new();
        for (peer, node) in &mut self.mesh.nodes {
            again.extend(std::mem::take(&mut node.ignored).into_values().map(|r| (*peer, r)));
        }
        for (peer, replica) in again {
            self.peer_replica(peer, replica);
        }
    }

    /// True where the newest change ends or begins a time in which nothing was idle, or nobody waited.
    fn is_urgent(&self) -> bool {
        let told = |s: &SourceId| self.mesh.ours.told_idle.get(s).copied().unwrap_or_default();
        let idle = self.fleet.last_changed().is_some_and(|s| told(&s).least == 0 && self.fleet.idle(s) > 0);
        let waits = || {
            let source = self.queue.last_changed()?;
            let owners = self.mesh.owners.get(&source)?;
            let waits = self.queue.waits(source);
            let untold = |(peer, group): &(PeerId, i32)| {
                let node = self.mesh.nodes.get(peer);
                node.is_some_and(|n| n.told.keys().any(|(g, _)| g == group) != waits)
            };
            owners.iter().any(untold).then_some(())
        };
        idle || waits().is_some()
    }

    /// A peer was right that a replica of a source is idle, and takes one less for idle from now on.
    pub(super) fn used_by_peer(&mut self, source: SourceId) {
        if let Some(told) = self.mesh.ours.told_idle.get_mut(&source) {
            told.least = told.least.saturating_sub(1);
        }
    }

    pub(super) fn flush_hints(&mut self) {
        self.mesh.tell_at = self.now + self.settings.coalesce;
        self.mesh.flush_at = None;
        let (mut groups, mut idle) = (Vec::new(), Vec::new());
        for source in self.fleet.take_changed() {
            let n = self.fleet.idle(source);
            let told = self.mesh.ours.told_idle.get(&source).copied().unwrap_or_default();
            if told.is_news(n) {
                self.mesh.ours.told_idle.insert(source, Told { most: n, least: n });
                groups.push(source.0 as i32);
                idle.push(n as i32);
            }
        }
        if !groups.is_empty() {
            self.broadcast(MeshIdle { groups, idle });
        }
        let mut rows: BTreeMap<PeerId, Vec<Demand>> = BTreeMap::new();
        for source in self.queue.take_changed() {
            self.demand_rows(source, &mut rows);
        }
        for (peer, rows) in rows {
            self.send(peer, MeshDemand { rows });
        }
    }

    /// What owners of a source's replicas have yet to hear of who waits for them here.
    fn demand_rows(&mut self, source: SourceId, rows: &mut BTreeMap<PeerId, Vec<Demand>>) {
        if sg::mutation::on(mutations::DEMAND_UNTOLD) {
            return;
        }
        let Some(owners) = self.mesh.owners.get(&source) else { return };
        let heads = self.queue.heads(source, TOLD_WAITING);
        for (peer, group) in owners {
            let Some(node) = self.mesh.nodes.get_mut(peer) else { continue };
            for Head { need, user, turn, waiting } in &heads {
                let told = node.told.get(&(*group, need.clone()));
                let known = told.is_some_and(|(order, n)| *order == turn.order && *n >= *waiting);
                if known || (told.is_some() && sg::mutation::on("rc-tells-demand-once")) {
                    continue;
                }
                let Some(request) = self.requests.get(&turn.order.seq) else { continue };
                node.told.insert((*group, need.clone()), (turn.order, *waiting));
                rows.entry(*peer).or_default().push(Demand {
                    group: *group,
                    api: request.api_name.clone(),
                    dap: need.1.clone(),
                    waiting: *waiting as i32,
                    user: user.clone(),
                    vtime: turn.vtime as i64,
                    floor: self.queue.floor(source) as i64,
                    priority: request.priority,
                    waited: self.now.saturating_sub(request.arrived) as i64,
                });
            }
            let over =
                node.told.keys().filter(|(g, need)| g == group && !heads.iter().any(|h| h.need == *need));
            let mut over: Vec<_> = over.cloned().collect();
            // The order in the map is random; sorted, what follows can be replayed.
            over.sort_unstable();
            for key in over {
                node.told.remove(&key);
                rows.entry(*peer).or_default().push(Demand {
                    group: *group,
                    api: self.apis.get(key.1.0).map(|a| a.name.clone()).unwrap_or_default(),
                    dap: key.1.1,
                    waiting: 0,
                    user: Sym::null(),
                    vtime: 0,
                    floor: self.queue.floor(source) as i64,
                    priority: 0,
                    waited: 0,
                });
            }
        }
    }
}
