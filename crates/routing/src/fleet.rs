//! The DAP replicas: what runs on each, which are idle, which idle one to take.
//!
//! Rules kept (design, mesh §3): a replica runs as many portions at a time as it says it can; a lease that
//! ends with its request frees the portion, not the replica, which counts as `overrun` until it says that it
//! is idle or registers again. Among idle replicas the measured speed decides, then the least recent use; one
//! unused for long is tried again, so that a slow spell is not for ever. Tests: below, and the simulation.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use kvalue::Sym;
use sg::{Corr, PortionId, Purview, TimeRange, purview::TableKind};

use crate::{
    apis::ApiId,
    coverage::SourceId,
    event::{Nanos, PeerId},
};

/// What a lease is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LeaseKey {
    pub(crate) corr: Corr,
    pub(crate) attempt: i32,
    pub(crate) portion: PortionId,
}

/// State of what a replica was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseState {
    /// its portion is wanted
    Running,
    /// its portion is no longer wanted, yet the replica has not said that it stopped
    Overrun,
    /// the replica said that it ended; its place is free when it says idle
    Ended,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) state: LeaseState,
    pub(crate) since: Nanos,
    pub(crate) version: i64,
    pub(crate) api: ApiId,
}

/// One DAP replica.
#[derive(Debug)]
pub(crate) struct Dap {
    pub(crate) purview: Arc<Purview>,
    pub(crate) source: SourceId,
    pub(crate) available: bool,
    pub(crate) apis: BTreeSet<ApiId>,
    pub(crate) running: BTreeMap<LeaseKey, Lease>,
    /// `covered` last told, per table
    pub(crate) covered: BTreeMap<Sym, i64>,
    /// version up to which `leasesOver` was told
    pub(crate) leases_over: i64,
    held: HashMap<Sym, (TableKind, TimeRange)>,
    /// how long it takes, relative to its source's average; 1 is average
    slowness: f64,
    last_used: Nanos,
    indexed: Option<(SourceId, u8, Nanos)>,
}

impl Dap {
    pub(crate) fn new(purview: Arc<Purview>, source: SourceId, apis: BTreeSet<ApiId>, now: Nanos) -> Self {
        let mut dap = Dap {
            source,
            available: false,
            apis,
            running: BTreeMap::new(),
            covered: BTreeMap::new(),
            // Nothing was before a first version. Of a later one an earlier coordinator may have been lost
            // before it could say that the leases on what was before are over.
            leases_over: 1,
            held: HashMap::new(),
            slowness: 1.0,
            last_used: now,
            indexed: None,
            purview: purview.clone(),
        };
        dap.set_purview(purview);
        dap
    }

    pub(crate) fn set_purview(&mut self, purview: Arc<Purview>) {
        self.held = purview.tables.iter().map(|t| (t.name.clone(), (t.kind, t.range))).collect();
        self.purview = purview;
    }

    pub(crate) fn name(&self) -> &Sym {
        &self.purview.name
    }

    /// Portions it could take now.
    pub(crate) fn free(&self) -> usize {
        match self.available {
            true => (self.purview.capacity as usize).saturating_sub(self.running.len()),
            false => 0,
        }
    }

    /// True where it holds `need` of a table; a call without a table needs nothing.
    pub(crate) fn holds(&self, table: &Sym, need: Option<TimeRange>) -> bool {
        if table.is_null() {
            return true;
        }
        match (self.held.get(table), need) {
            (None, _) => false,
            (Some((TableKind::Partitioned, range)), Some(need)) => range.intersect(need) == Some(need),
            (Some(_), _) => true,
        }
    }

    /// Lowest purview version that a lease still reads.
    pub(crate) fn oldest_version(&self) -> Option<i64> {
        self.running.values().filter(|l| l.state != LeaseState::Ended).map(|l| l.version).min()
    }

    /// Speed classes, fastest first. Replicas of equal speed are all near 1, in the middle of a class, so that
    /// chance does not part them.
    fn class(&self) -> u8 {
        const BOUNDS: [f64; 4] = [0.05, 0.5, 2.0, 8.0];
        BOUNDS.iter().filter(|bound| self.slowness >= **bound).count() as u8
    }
}

#[derive(Debug, Default)]
struct Idle {
    by_speed: BTreeSet<(u8, Nanos, PeerId)>,
    by_use: BTreeSet<(Nanos, PeerId)>,
}

/// All connected replicas.
#[derive(Debug)]
pub(crate) struct Fleet {
    daps: BTreeMap<PeerId, Dap>,
    by_name: BTreeMap<Sym, PeerId>,
    idle: HashMap<SourceId, Idle>,
    typical: HashMap<(SourceId, ApiId), f64>,
    probe_after: Nanos,
}

impl Fleet {
    pub(crate) fn new(probe_after: Nanos) -> Self {
        Fleet {
            daps: BTreeMap::new(),
            by_name: BTreeMap::new(),
            idle: HashMap::new(),
            typical: HashMap::new(),
            probe_after,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.daps.len()
    }

    pub(crate) fn get(&self, peer: PeerId) -> Option<&Dap> {
        self.daps.get(&peer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerId, &Dap)> {
        self.daps.iter().map(|(p, d)| (*p, d))
    }

    pub(crate) fn named(&self, name: &Sym) -> Option<PeerId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn insert(&mut self, peer: PeerId, dap: Dap) {
        self.by_name.insert(dap.name().clone(), peer);
        self.daps.insert(peer, dap);
        self.reindex(peer);
    }

    pub(crate) fn remove(&mut self, peer: PeerId) -> Option<Dap> {
        self.unindex(peer);
        let dap = self.daps.remove(&peer)?;
        if self.by_name.get(dap.name()) == Some(&peer) {
            self.by_name.remove(dap.name());
        }
        if !self.daps.values().any(|d| d.source == dap.source) {
            self.typical.retain(|(source, _), _| *source != dap.source);
        }
        Some(dap)
    }

    /// Changes a replica and keeps the index of idle ones right.
    pub(crate) fn update<T>(&mut self, peer: PeerId, change: impl FnOnce(&mut Dap) -> T) -> Option<T> {
        let outcome = change(self.daps.get_mut(&peer)?);
        self.reindex(peer);
        Some(outcome)
    }

    /// Gives a replica a portion.
    pub(crate) fn lease(&mut self, peer: PeerId, key: LeaseKey, api: ApiId, now: Nanos) {
        self.update(peer, |dap| {
            let version = dap.purview.version;
            dap.running.insert(key, Lease { state: LeaseState::Running, since: now, version, api });
            dap.last_used = now;
        });
    }

    /// Records how long a portion took.
    pub(crate) fn measure(&mut self, peer: PeerId, api: ApiId, took: Nanos) {
        const NEW: f64 = 0.2;
        let Some(dap) = self.daps.get_mut(&peer) else { return };
        let took = (took as f64).max(1.0);
        let typical = self.typical.entry((dap.source, api)).or_insert(took);
        let ratio = (took / *typical).clamp(0.01, 100.0);
        *typical += (took - *typical) * NEW;
        dap.slowness += (ratio - dap.slowness) * NEW;
    }

    /// The idle replica of these sources to take: `suits` says whether it can serve.
    pub(crate) fn pick(
        &self,
        sources: &[SourceId],
        now: Nanos,
        suits: impl Fn(SourceId, &Dap) -> bool,
    ) -> Option<PeerId> {
        let fits = |source: SourceId, peer: PeerId| self.daps.get(&peer).is_some_and(|d| suits(source, d));
        let mut best: Option<(u8, Nanos, PeerId)> = None;
        for source in sources {
            let Some(idle) = self.idle.get(source) else { continue };
            if let Some((used, peer)) = idle.by_use.first()
                && now.saturating_sub(*used) > self.probe_after
                && fits(*source, *peer)
            {
                return Some(*peer);
            }
            let found = idle.by_speed.iter().find(|(_, _, peer)| fits(*source, *peer)).copied();
            best = [best, found].into_iter().flatten().min();
        }
        best.map(|(_, _, peer)| peer)
    }

    /// Number of idle replicas of a source.
    pub(crate) fn idle(&self, source: SourceId) -> usize {
        self.idle.get(&source).map_or(0, |i| i.by_use.len())
    }

    fn unindex(&mut self, peer: PeerId) {
        let Some(dap) = self.daps.get_mut(&peer) else { return };
        let Some((source, class, used)) = dap.indexed.take() else { return };
        if let Some(idle) = self.idle.get_mut(&source) {
            idle.by_speed.remove(&(class, used, peer));
            idle.by_use.remove(&(used, peer));
            if idle.by_use.is_empty() {
                self.idle.remove(&source);
            }
        }
    }

    fn reindex(&mut self, peer: PeerId) {
        self.unindex(peer);
        let Some(dap) = self.daps.get_mut(&peer) else { return };
        if dap.free() == 0 {
            return;
        }
        let place = (dap.source, dap.class(), dap.last_used);
        dap.indexed = Some(place);
        let idle = self.idle.entry(place.0).or_default();
        idle.by_speed.insert((place.1, place.2, peer));
        idle.by_use.insert((place.2, peer));
    }

    /// Panics where the index of idle replicas disagrees with the replicas.
    pub(crate) fn check_invariants(&self) {
        for (peer, dap) in &self.daps {
            let indexed = self.idle.get(&dap.source).is_some_and(|i| i.by_use.iter().any(|(_, p)| p == peer));
            assert_eq!(indexed, dap.free() > 0, "idle index of {}", dap.name());
            assert!(dap.running.len() <= dap.purview.capacity as usize + Self::FROM_BEFORE);
        }
        let indexed: usize = self.idle.values().map(|i| i.by_use.len()).sum();
        assert_eq!(indexed, self.daps.values().filter(|d| d.free() > 0).count(), "idle index has strangers");
    }

    /// Most portions from before its registration that a DAP may say it still runs.
    pub(crate) const FROM_BEFORE: usize = 1024;
}
