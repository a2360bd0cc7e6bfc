//! Portions that wait at a replica behind another one, while a replica is idle: they are asked back.
//!
//! Rules kept (design §3.2): no portion waits behind a busy replica while an idle one could run it, here or at a
//! peer. The owner asks for one portion for each idle replica; the data process hands it back unless it has begun,
//! and it is placed anew, at its primary. One that has not answered in time is not reckoned with any more. Where portions
//! of its API are short it is asked for only when it has waited for a while: a word and an answer for each would cost
//! more than they save. Tests: `tests/rules/recall.rs`, the simulation.

use std::collections::BTreeSet;

use kvalue::Sym;
use sg::{TimeRange, msg::Recall};

use super::Router;
use crate::{
    apis::ApiId,
    coverage::{DomainId, SourceId},
    event::{MILLI, Nanos, PeerId},
    fleet::{Dap, Lease, LeaseKey, LeaseState, Recalled},
};

/// What usually takes less than this is asked back only when it has waited for so long.
const SHORT: Nanos = MILLI / 5;

/// Time in which a live replica has handed a recalled portion back, or begun the portion.
const ANSWERED_WITHIN: Nanos = 5 * MILLI;

impl Router {
    /// After every event: portions are asked back where they wait beside an idle replica.
    pub(super) fn ask_back(&mut self) {
        while let Some((_, dap, key)) = self.recalls.pop_front_if(|(due, ..)| *due <= self.now) {
            let lease = self.fleet.get(dap).and_then(|d| d.running.get(&key));
            if lease.is_some_and(|l| l.recalled == Recalled::Asked) {
                // A hanging replica would keep recalls from replicas that answer.
                self.mark(dap, key, Recalled::Unanswered);
            }
        }
        if !self.recall_at.is_empty() {
            let due: Vec<SourceId> =
                self.recall_at.iter().filter(|(_, at)| **at <= self.now).map(|(source, _)| *source).collect();
            due.into_iter().for_each(|source| self.recall(source));
        }
        let uneven = self.fleet.take_uneven();
        for (i, source) in uneven.iter().enumerate() {
            if !uneven[..i].contains(source) {
                self.recall(*source);
            }
        }
    }

    /// A peer has idle replicas: what waits behind others here may go there.
    pub(super) fn look_at_group(&mut self, owner: (PeerId, i32)) {
        if !self.fleet.is_stacked() {
            return;
        }
        let of_group = self.mesh.owners.iter().filter(|(_, owners)| owners.contains(&owner));
        let mut sources: Vec<SourceId> = of_group.map(|(source, _)| *source).collect();
        // The order in the map is random; sorted, what follows can be replayed.
        sources.sort_unstable();
        sources.into_iter().for_each(|source| self.fleet.look_at(source));
    }

    /// Purviews of replicas changed: a queued portion may have an alternative replica now, or none any more.
    pub(super) fn unbind(&mut self, domains: &BTreeSet<DomainId>) {
        let of_domain = domains.iter().filter_map(|id| self.coverage.domain(*id));
        let sources: Vec<SourceId> = of_domain.flat_map(|d| &d.sources).copied().collect();
        let of_source = |id: &SourceId| self.coverage.source(*id).into_iter().flat_map(|s| s.replicas.keys());
        let replicas: Vec<PeerId> = sources.iter().flat_map(of_source).copied().collect();
        for replica in replicas {
            let Some(dap) = self.fleet.get(replica).filter(|d| d.owner.is_none() && d.running.len() > 1)
            else {
                continue;
            };
            let wanted = dap.running.iter().filter(|(_, l)| l.state == LeaseState::Running);
            let changed = |(key, lease): (&LeaseKey, &Lease)| {
                let bound = self.is_bound(dap.source, self.reads(replica, key, lease), replica);
                (bound != lease.bound).then_some((*key, bound))
            };
            let changed: Vec<(LeaseKey, bool)> = wanted.filter_map(changed).collect();
            for (key, bound) in changed {
                self.fleet.update(replica, |d| d.running.change(&key, |l| l.bound = bound));
            }
        }
        // An idle replica may hold the data of a waiting portion by now.
        sources.into_iter().for_each(|source| self.fleet.look_at(source));
    }

    /// Table and range of a portion running here that any replica with the data could run.
    fn reads(&self, replica: PeerId, key: &LeaseKey, lease: &Lease) -> Option<(&Sym, TimeRange)> {
        match lease.primary {
            None => {
                let request = self.requests.get(&self.live_attempt(key.corr, key.attempt)?)?;
                Some((request.any_of()?, request.portion(key.portion.0)?.range))
            }
            Some(peer) => {
                let lent = self.mesh.lent.get(&(peer, *key, replica))?.as_ref();
                lent.map(|(table, range)| (table, *range))
            }
        }
    }

    /// True where no other replica of the source can run the portion: the request names the replica (and reads
    /// nothing), or the replica alone holds the data.
    pub(super) fn is_bound(
        &self,
        source: SourceId,
        reads: Option<(&Sym, TimeRange)>,
        replica: PeerId,
    ) -> bool {
        let Some((table, range)) = reads else { return true };
        if self.coverage.is_alike(source, table) {
            return false;
        }
        let need = self.coverage.need(source, table, range);
        let replicas = self.coverage.source(source).into_iter().flat_map(|s| s.replicas.keys());
        let mut others = replicas.filter(|peer| **peer != replica).filter_map(|peer| self.fleet.get(*peer));
        !others.any(|dap| dap.holds(table, need))
    }

    fn recall(&mut self, source: SourceId) {
        self.recall_at.remove(&source);
        if sg::mutation::on(crate::mutations::NEVER_ASKED_BACK) {
            return;
        }
        while let Some((dap, key, lease)) = self.to_recall(source) {
            let due = lease.since.saturating_add(SHORT);
            if due > self.now && self.fleet.typical(source, lease.api) < SHORT {
                self.recall_at.insert(source, due);
                return;
            }
            self.mark(dap, key, Recalled::Asked);
            self.stats.recalled += 1;
            self.recalls.push_back((self.now + ANSWERED_WITHIN, dap, key));
            let LeaseKey { corr, attempt, portion } = key;
            self.send(dap, Recall { corr, attempt, portion });
        }
    }

    fn mark(&mut self, dap: PeerId, key: LeaseKey, recalled: Recalled) {
        self.fleet.update(dap, |d| d.running.change(&key, |lease| lease.recalled = recalled));
    }

    /// The portion to ask back, if a replica is idle for it: the last of where most wait.
    pub(super) fn to_recall(&self, source: SourceId) -> Option<(PeerId, LeaseKey, Lease)> {
        let mut stacked = self.fleet.stacked(source).take(MOST_LOOKED_AT).peekable();
        stacked.peek()?;
        let idle = self.fleet.idle(source) + self.idle_at_peers(source);
        if idle <= self.fleet.recalled(source) {
            return None;
        }
        let mut nobody_has: Vec<Needs> = Vec::new();
        stacked.find_map(|replica| {
            let dap = self.fleet.get(replica)?;
            let mut before = u64::MAX;
            while nobody_has.len() < MOST_LOOKED_AT
                && let Some((key, lease)) = dap.last_behind(before)
            {
                before = lease.number;
                let needs = self.needs(source, lease.api, self.reads(replica, &key, &lease));
                if nobody_has.contains(&needs) {
                    continue;
                }
                if self.is_idle_for(source, &needs) {
                    return Some((replica, key, lease));
                }
                nobody_has.push(needs);
            }
            None
        })
    }

    fn needs<'a>(&self, source: SourceId, api: ApiId, reads: Option<(&'a Sym, TimeRange)>) -> Needs<'a> {
        let unlike = reads.filter(|(table, _)| !self.coverage.is_alike(source, table));
        Needs { api, of: unlike.map(|(table, range)| (table, self.coverage.need(source, table, range))) }
    }

    /// True where an idle replica has what is needed, here or at a peer.
    fn is_idle_for(&self, source: SourceId, needs: &Needs) -> bool {
        let holds = |dap: &Dap| needs.of.is_none_or(|(table, need)| dap.holds(table, need));
        let has = |dap: &Dap| dap.apis.contains(&needs.api) && holds(dap);
        let own = self.fleet.pick(&[source], self.now, |_, dap| dap.is_at_rest() && has(dap));
        let says_idle = |(peer, group): (PeerId, i32)| {
            self.mesh.nodes.get(&peer).is_some_and(|n| n.idle.get(&group).is_some_and(|idle| *idle > 0))
        };
        let at_peer = || {
            let replicas = self.coverage.source(source).into_iter().flat_map(|s| s.replicas.keys());
            let mut replicas = replicas.filter_map(|peer| self.fleet.get(*peer));
            replicas.any(|d| d.owner.is_some_and(says_idle) && d.available && has(d))
        };
        own.is_some() || at_peer()
    }
}

/// Replicas at which portions wait that are looked at, and kinds of portions, where no idle one has what they need.
const MOST_LOOKED_AT: usize = 16;

/// What a replica must have that is to run a portion.
#[derive(PartialEq, Eq)]
struct Needs<'a> {
    api: ApiId,
    /// of a table, where not all replicas hold the same of it
    of: Option<(&'a Sym, Option<TimeRange>)>,
}
