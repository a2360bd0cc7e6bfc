//! The DAP replicas: running portions, idle replicas, choice of an idle replica.
//!
//! Rules kept (design, mesh §3): a replica runs as many portions at a time as it says it can; a lease that
//! ends with its request frees the portion, not the replica, which counts as `overrun` until it says that it
//! is idle or registers again. Among idle replicas the measured speed decides, then the least recent use; one
//! unused for long is tried again, so that a slow spell is not for ever. Tests: below, and the simulation.

mod running;
mod stacks;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ahash::HashMap;
use kvalue::Sym;
use sg::{Purview, TimeRange, purview::TableKind};

use crate::{
    apis::ApiId,
    coverage::SourceId,
    event::{Nanos, PeerId},
};
pub(crate) use running::{Lease, LeaseKey, LeaseState, Recalled, Running};
use stacks::{Stack, Stacks};

/// One DAP replica.
#[derive(Debug)]
pub(crate) struct Dap {
    pub(crate) purview: Arc<Purview>,
    pub(crate) source: SourceId,
    pub(crate) available: bool,
    /// the replica is leaving, whatever the replica itself says
    pub(crate) leaving: bool,
    /// owning coordinator, and the owner's number of the replica's group; `None` for one of our own
    pub(crate) owner: Option<(PeerId, i32)>,
    /// where it is reached, `host:port`; of a peer's, as that says
    pub(crate) address: Sym,
    /// places kept for peers to whom it is offered
    pub(crate) reserved: usize,
    pub(crate) apis: BTreeSet<ApiId>,
    pub(crate) running: Running,
    /// `covered` last told, per table
    pub(crate) covered: BTreeMap<Sym, (i64, i64)>,
    /// version up to which `leasesOver` was told
    pub(crate) leases_over: i64,
    held: HashMap<Sym, (TableKind, TimeRange)>,
    /// how long it takes, relative to its source's average; 1 is average
    slowness: f64,
    /// portions it is given at a time: all it can hold, fewer for a while after it handed some back
    window: usize,
    /// portions it handed back unasked since it completed one
    refusals: u32,
    /// resting after too many busy answers
    pub(crate) rests: bool,
    last_used: Nanos,
    indexed: Option<(SourceId, Rank)>,
    stacked: Option<(SourceId, Stack)>,
}

impl Dap {
    pub(crate) fn new(purview: Arc<Purview>, source: SourceId, apis: BTreeSet<ApiId>, now: Nanos) -> Self {
        let mut dap = Dap {
            source,
            available: false,
            leaving: false,
            owner: None,
            address: Sym::null(),
            reserved: 0,
            apis,
            running: Running::default(),
            covered: BTreeMap::new(),
            // Nothing was before a first version. Of a later one an earlier coordinator may have been lost
            // before it could say that the leases on what was before are over.
            leases_over: 1,
            held: HashMap::default(),
            slowness: 1.0,
            window: purview.capacity as usize,
            refusals: 0,
            rests: false,
            last_used: now,
            indexed: None,
            stacked: None,
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

    /// True where it takes work, as far as is known.
    pub(crate) fn takes_work(&self) -> bool {
        self.available && !self.leaving && !self.rests
    }

    /// Portions that this coordinator could start on it now; it starts none on a replica of another, and none behind
    /// what is no longer wanted and has not stopped: that may hang, and were it of the same portion, its end would
    /// be taken for that of the new run.
    pub(crate) fn free(&self) -> usize {
        match self.takes_work() && self.owner.is_none() && !self.running.overruns() {
            true => {
                let window = self.window.min(self.purview.capacity as usize);
                window.saturating_sub(self.running.len() + self.reserved)
            }
            false => 0,
        }
    }

    /// The replica handed a portion back because another portion takes long, or runs an abandoned portion: the replica
    /// gets no more until the running portions end, then a single portion.
    pub(crate) fn narrow(&mut self) {
        self.window = 1;
    }

    /// The replica tells its number of free slots: ended portions hold no slot any more. With all slots free the
    /// replica runs nothing, so abandoned portions have stopped too.
    pub(crate) fn has_free(&mut self, slots: i32) {
        let empty = i64::from(slots) >= i64::from(self.purview.capacity);
        self.running.has_ended(empty);
    }

    /// It handed a portion back unasked. True where it has done so too often, with nothing of ours to be busy with: behind
    /// one long portion many short ones may come back at once.
    pub(crate) fn says_busy(&mut self) -> bool {
        self.narrow();
        if self.running.is_busy() {
            return false;
        }
        self.refusals += 1;
        if self.refusals < MOST_REFUSALS {
            return false;
        }
        self.refusals = 0;
        self.rests = true;
        true
    }

    /// It completed a portion: it may get twice as many at a time.
    fn widen(&mut self) {
        self.window = (self.window * 2).min(self.purview.capacity as usize).max(1);
    }

    /// True where it runs nothing and is kept for nobody.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.running.len() + self.reserved == 0
    }

    fn rank(&self) -> Rank {
        Rank { running: self.running.len() + self.reserved, class: self.class(), used: self.last_used }
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
    pub(crate) fn class(&self) -> u8 {
        const BOUNDS: [f64; 4] = [0.05, 0.5, 2.0, 8.0];
        BOUNDS.iter().filter(|bound| self.slowness >= **bound).count() as u8
    }
}

/// Portions that a replica may hand back one after the other, without having completed one, before it is left alone
/// for a while.
pub(crate) const MOST_REFUSALS: u32 = 16;

/// Which of several replicas with free places is taken: the first. An idle replica comes before a busy replica, however
/// fast: no portion waits behind another while a replica is idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    running: usize,
    class: u8,
    used: Nanos,
}

#[derive(Debug, Default)]
struct Idle {
    by_rank: BTreeSet<(Rank, PeerId)>,
    by_use: BTreeSet<(Nanos, PeerId)>,
    /// of them, those that run nothing
    at_rest: usize,
}

/// All connected replicas.
#[derive(Debug)]
pub(crate) struct Fleet {
    daps: BTreeMap<PeerId, Dap>,
    by_name: BTreeMap<Sym, PeerId>,
    idle: HashMap<SourceId, Idle>,
    typical: HashMap<(SourceId, ApiId), f64>,
    probe_after: Nanos,
    /// replicas of our own
    own: usize,
    /// sources whose idle replicas changed since they were last asked for; only noted while `watched`
    changed: Vec<SourceId>,
    watched: bool,
    stacks: HashMap<SourceId, Stacks>,
    /// sources of which a portion waits behind another while a replica may be idle
    uneven: Vec<SourceId>,
    leases: u64,
}

impl Fleet {
    pub(crate) fn new(probe_after: Nanos) -> Self {
        Fleet {
            daps: BTreeMap::new(),
            by_name: BTreeMap::new(),
            idle: HashMap::default(),
            typical: HashMap::default(),
            probe_after,
            own: 0,
            changed: Vec::new(),
            watched: false,
            stacks: HashMap::default(),
            uneven: Vec::new(),
            leases: 0,
        }
    }

    /// Replicas known, those of peers included.
    pub(crate) fn len(&self) -> usize {
        self.daps.len()
    }

    /// Replicas of our own.
    pub(crate) fn own(&self) -> usize {
        self.own
    }

    /// From now on sources whose idle replicas change are noted for [`Self::take_changed`]; or no longer.
    pub(crate) fn watch(&mut self, on: bool) {
        self.watched = on;
        self.changed.clear();
    }

    /// True where [`Self::take_changed`] has something.
    pub(crate) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The source whose idle replicas changed last, of those noted.
    pub(crate) fn last_changed(&self) -> Option<SourceId> {
        self.changed.last().copied()
    }

    /// Sources whose idle replicas changed, each once.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<SourceId> {
        self.changed.drain(..).collect()
    }

    /// What a portion of a source usually takes, nanoseconds; a millisecond where nothing was measured.
    pub(crate) fn typical(&self, source: SourceId, api: ApiId) -> Nanos {
        const UNKNOWN: f64 = 1e6;
        self.typical.get(&(source, api)).copied().unwrap_or(UNKNOWN).clamp(1e4, 1e11) as Nanos
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
        self.own += usize::from(dap.owner.is_none());
        self.daps.insert(peer, dap);
        self.reindex(peer);
    }

    pub(crate) fn remove(&mut self, peer: PeerId) -> Option<Dap> {
        self.unindex(peer);
        self.restack(peer, None);
        let dap = self.daps.remove(&peer)?;
        self.own -= usize::from(dap.owner.is_none());
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
    pub(crate) fn lease(
        &mut self,
        peer: PeerId,
        key: LeaseKey,
        api: ApiId,
        primary: Option<PeerId>,
        (now, bound): (Nanos, bool),
    ) {
        self.leases += 1;
        let number = self.leases;
        self.update(peer, |dap| {
            let (state, version) = (LeaseState::Running, dap.purview.version);
            let recalled = Recalled::No;
            let lease = Lease { state, since: now, version, api, primary, number, bound, recalled };
            dap.running.insert(key, lease);
            dap.last_used = now;
        });
    }

    /// A portion ended: how long it took, where it came to something.
    pub(crate) fn ended<T>(
        &mut self,
        peer: PeerId,
        took: Option<(ApiId, Nanos)>,
        change: impl FnOnce(&mut Dap) -> T,
    ) -> Option<T> {
        if let Some((api, took)) = took {
            self.measure(peer, api, took);
        }
        self.update(peer, change)
    }

    fn measure(&mut self, peer: PeerId, api: ApiId, took: Nanos) {
        const NEW: f64 = 0.2;
        let Some(dap) = self.daps.get_mut(&peer) else { return };
        dap.widen();
        dap.refusals = 0;
        let took = (took as f64).max(1.0);
        let typical = self.typical.entry((dap.source, api)).or_insert(took);
        let ratio = (took / *typical).clamp(0.01, 100.0);
        *typical += (took - *typical) * NEW;
        dap.slowness += (ratio - dap.slowness) * NEW;
    }

    /// Records a lower bound of a replica's time. The bound says nothing about the source.
    pub(crate) fn measure_replica(&mut self, peer: PeerId, api: ApiId, took: Nanos) {
        const NEW: f64 = 0.2;
        let Some(dap) = self.daps.get_mut(&peer) else { return };
        let Some(typical) = self.typical.get(&(dap.source, api)) else { return };
        let ratio = (took as f64 / *typical).clamp(0.01, 100.0);
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
        let mut best: Option<(Rank, PeerId)> = None;
        for source in sources {
            let Some(idle) = self.idle.get(source) else { continue };
            if let Some((used, peer)) = idle.by_use.first()
                && now.saturating_sub(*used) > self.probe_after
                && self.daps.get(peer).is_some_and(Dap::is_at_rest)
                && fits(*source, *peer)
            {
                return Some(*peer);
            }
            let found = idle.by_rank.iter().find(|(_, peer)| fits(*source, *peer)).copied();
            best = [best, found].into_iter().flatten().min();
        }
        best.map(|(_, peer)| peer)
    }

    /// Replicas of a source with a free place, the least recently used first.
    pub(crate) fn free_of(&self, source: SourceId) -> Vec<PeerId> {
        let idle = self.idle.get(&source).into_iter().flat_map(|i| &i.by_use);
        idle.map(|(_, peer)| *peer).collect()
    }

    /// Number of replicas of a source that run nothing: those with some places free besides are not idle.
    pub(crate) fn idle(&self, source: SourceId) -> usize {
        self.idle.get(&source).map_or(0, |i| i.at_rest)
    }

    fn unindex(&mut self, peer: PeerId) {
        let Some(dap) = self.daps.get_mut(&peer) else { return };
        let Some((source, rank)) = dap.indexed.take() else { return };
        if self.watched {
            self.changed.push(source);
        }
        if let Some(idle) = self.idle.get_mut(&source) {
            idle.by_rank.remove(&(rank, peer));
            idle.by_use.remove(&(rank.used, peer));
            idle.at_rest -= usize::from(rank.running == 0);
            if idle.by_use.is_empty() {
                self.idle.remove(&source);
            }
        }
    }

    fn reindex(&mut self, peer: PeerId) {
        let Some(dap) = self.daps.get(&peer) else { return };
        let stack = dap.stack();
        let stacked = (stack != Stack::default()).then_some((dap.source, stack));
        let now = (dap.free() > 0).then(|| (dap.source, dap.rank()));
        // A peer that is told of changes wants to hear of each.
        let same = now == dap.indexed && !self.watched;
        if !same {
            self.unindex(peer);
        }
        self.restack(peer, stacked);
        let Some((source, rank)) = now else { return };
        if same {
            if rank.running == 0 {
                self.look_at(source);
            }
            return;
        }
        let Some(dap) = self.daps.get_mut(&peer) else { return };
        dap.indexed = now;
        if self.watched {
            self.changed.push(source);
        }
        let idle = self.idle.entry(source).or_default();
        idle.by_rank.insert((rank, peer));
        idle.by_use.insert((rank.used, peer));
        idle.at_rest += usize::from(rank.running == 0);
        if rank.running == 0 {
            self.look_at(source);
        }
    }

    /// Panics where the index of idle replicas disagrees with the replicas.
    pub(crate) fn check_invariants(&self) {
        for (peer, dap) in &self.daps {
            dap.running.check_invariants();
            let indexed = self.idle.get(&dap.source).is_some_and(|i| i.by_use.iter().any(|(_, p)| p == peer));
            assert_eq!(indexed, dap.free() > 0, "idle index of {}", dap.name());
            assert!(dap.running.len() + dap.reserved <= dap.purview.capacity as usize + Self::FROM_BEFORE);
        }
        let indexed: usize = self.idle.values().map(|i| i.by_use.len()).sum();
        assert_eq!(indexed, self.daps.values().filter(|d| d.free() > 0).count(), "idle index has strangers");
        let at_rest: usize = self.idle.values().map(|i| i.at_rest).sum();
        let resting = |d: &&Dap| d.free() > 0 && d.is_at_rest();
        assert_eq!(at_rest, self.daps.values().filter(resting).count(), "count of replicas at rest");
        for (source, stacks) in &self.stacks {
            let of_source = self.daps.values().filter(|d| d.source == *source).map(Dap::stack);
            let (waits, recalled) = of_source.fold((0, 0), |(w, r), s| (w + s.waits, r + s.recalled));
            let heights: usize = stacks.by_height.iter().map(|(height, _)| height).sum();
            assert_eq!((heights, stacks.recalled), (waits, recalled), "portions of {source:?} behind others");
        }
        let behind = self.daps.values().filter(|d| d.stack() != Stack::default());
        assert!(behind.into_iter().all(|d| self.stacks.contains_key(&d.source)), "a stack is not indexed");
        assert_eq!(self.own, self.daps.values().filter(|d| d.owner.is_none()).count(), "own replicas");
    }

    /// Most portions from before its registration that a DAP may say it still runs.
    pub(crate) const FROM_BEFORE: usize = 1024;
}
