//! A source of data: the replicas that hold it now, and what replicas lost since last held.

use std::{collections::BTreeMap, sync::Arc};

use kvalue::Sym;
use sg::{
    Purview, TimeRange,
    purview::{TableKind, TablePurview},
};

use super::{DomainId, SourceId, tiles::Extent};
use crate::event::{Nanos, PeerId};

/// A source.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) id: Sym,
    pub(crate) tier: Sym,
    pub(crate) domain: DomainId,
    pub(crate) replicas: BTreeMap<PeerId, Arc<Purview>>,
    lost: Vec<Lost>,
    /// other ids that running replicas have given the same data since
    pub(crate) aliases: Vec<Sym>,
    /// counts up; tells which source has been without a replica longest
    pub(crate) lost_since: u64,
    /// per table what all replicas together hold
    pub(crate) tables: BTreeMap<Sym, Held>,
}

/// What replicas hold of one table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) kind: TableKind,
    /// from the first to the last instant that any replica holds or, when lost, held
    pub(crate) hull: TimeRange,
    /// true where each connected replica holds the whole hull
    pub(crate) uniform: bool,
    /// true where each connected replica holds what the others hold
    pub(crate) alike: bool,
    /// where work can be divided
    pub(crate) cuts: Arc<[i64]>,
}

/// A replica that was lost, with what it held.
#[derive(Debug)]
struct Lost {
    purview: Arc<Purview>,
    since: Nanos,
}

/// Most lost replicas remembered per source.
const MAX_LOST: usize = 16;

/// Most other ids remembered per source.
const MAX_ALIASES: usize = 64;

impl Source {
    pub(crate) fn new(id: Sym, tier: Sym, domain: DomainId) -> Self {
        Source {
            id,
            tier,
            domain,
            replicas: BTreeMap::new(),
            lost: Vec::new(),
            aliases: Vec::new(),
            lost_since: 0,
            tables: BTreeMap::new(),
        }
    }

    /// A replica announces what it holds: `moved` where it was connected and holds something else now.
    ///
    /// Purviews of lost replicas are forgotten when a connected replica moves, or when a replica that reads from disk
    /// starts: the new purview is the newer truth about the source. A replica with rows in memory knows rows since its
    /// start only, so rows from before the start stay missing until an older tier holds the rows. A process that merely
    /// reconnects says nothing about other replicas.
    pub(crate) fn announce(&mut self, dap: PeerId, purview: Arc<Purview>, moved: bool) {
        let same = |a: &Purview| {
            (&a.name, a.instance, a.version) == (&purview.name, purview.instance, purview.version)
        };
        match self.lost.iter().position(|l| same(&l.purview)) {
            Some(at) => drop(self.lost.remove(at)),
            None if moved || rank(&self.tier) == 0 => self.lost.clear(),
            None => self.lost.retain(|l| !covers(&purview, &l.purview)),
        }
        self.replicas.insert(dap, purview);
        self.merge();
    }

    /// A replica only changed its availability, or its link is replaced: what is held stays as it is.
    pub(crate) fn refresh(&mut self, dap: PeerId, purview: Arc<Purview>) {
        self.replicas.insert(dap, purview);
        self.merge();
    }

    /// A replica is gone; what it held stays known.
    pub(crate) fn lose(&mut self, dap: PeerId, clock: u64, now: Nanos) {
        let Some(purview) = self.replicas.remove(&dap) else { return };
        self.lost.retain(|l| !covers(&purview, &l.purview));
        if self.lost.len() >= MAX_LOST {
            self.lost.remove(0);
        }
        if !sg::mutation::on(crate::mutations::LOST_IS_FORGOTTEN) {
            self.lost.push(Lost { purview, since: now });
        }
        self.lost_since = clock;
        self.merge();
    }

    /// What lost replicas held, and when each was lost.
    pub(crate) fn lost(&self) -> impl Iterator<Item = (&Arc<Purview>, Nanos)> {
        self.lost.iter().map(|l| (&l.purview, l.since))
    }

    /// A replica lost before this coordinator knew the replica. False where the purview is known already: a connected
    /// replica holds the data, or a replica on disk tells the present state. Of one run of a process the latest account
    /// counts; an earlier run may have held other rows.
    pub(crate) fn remember(&mut self, purview: Arc<Purview>, clock: u64, since: Nanos) -> bool {
        let newer = self.is_live() && rank(&self.tier) == 0;
        let held = self.replicas.values().any(|p| covers(p, &purview));
        let of_run = |l: &Lost| (&l.purview.name, l.purview.instance) == (&purview.name, purview.instance);
        let known = |l: &Lost| of_run(l) && l.purview.version >= purview.version;
        if newer || held || self.lost.iter().any(|l| known(l) || covers(&l.purview, &purview)) {
            return false;
        }
        self.lost.retain(|l| !of_run(l));
        if self.lost.len() >= MAX_LOST {
            return false;
        }
        self.lost.push(Lost { purview, since });
        self.lost_since = clock;
        self.merge();
        true
    }

    /// A replica moves to another source: what it held goes with it.
    pub(crate) fn leave(&mut self, dap: PeerId) {
        if let Some(purview) = self.replicas.remove(&dap) {
            self.lost.retain(|l| l.purview.name != purview.name);
        }
        self.merge();
    }

    /// When what lost replicas of a connected source held is forgotten, counted from when they were lost.
    pub(crate) fn oldest_memory(&self) -> Option<Nanos> {
        self.lost.iter().map(|l| l.since).min().filter(|_| self.is_live())
    }

    /// Forgets what was lost until `before`, where replicas are connected. True where there was any.
    pub(crate) fn forget(&mut self, before: Nanos) -> bool {
        let known = self.lost.len();
        if self.is_live() {
            self.lost.retain(|l| l.since > before);
        }
        let forgotten = known != self.lost.len();
        if forgotten {
            self.merge();
        }
        forgotten
    }

    /// Drops what the lost replica of this name held: that name now serves something else.
    pub(crate) fn forget_name(&mut self, name: &Sym) -> bool {
        let before = self.lost.len();
        self.lost.retain(|l| &l.purview.name != name);
        let changed = before != self.lost.len();
        if changed {
            self.merge();
        }
        changed
    }

    pub(crate) fn add_alias(&mut self, id: Sym) {
        if self.aliases.len() >= MAX_ALIASES {
            self.aliases.remove(0);
        }
        self.aliases.push(id);
    }

    pub(crate) fn is_live(&self) -> bool {
        !self.replicas.is_empty()
    }

    /// True where neither a replica nor the memory of one is left.
    pub(crate) fn is_nothing(&self) -> bool {
        self.replicas.is_empty() && self.lost.is_empty()
    }

    fn everything(&self) -> impl Iterator<Item = (bool, &TablePurview)> {
        let live = self.replicas.values().flat_map(|p| p.tables.iter().map(|t| (true, t)));
        let lost = self.lost.iter().flat_map(|l| l.purview.tables.iter().map(|t| (false, t)));
        live.chain(lost)
    }

    fn merge(&mut self) {
        let mut tables: BTreeMap<Sym, Held> = BTreeMap::new();
        for (_, table) in self.everything() {
            match tables.get_mut(&table.name) {
                Some(held) => {
                    held.hull = hull(held.hull, table.range);
                    if table.cuts.len() > held.cuts.len() {
                        held.cuts = table.cuts.clone().into();
                    }
                }
                None => {
                    let cuts = table.cuts.clone().into();
                    let held = Held { kind: table.kind, hull: table.range, uniform: true, alike: true, cuts };
                    tables.insert(table.name.clone(), held);
                }
            }
        }
        let first = self.replicas.values().next();
        for purview in self.replicas.values() {
            for (name, held) in &mut tables {
                let range = |p: &Purview| p.table(name).map(|t| t.range);
                held.alike &= first.is_some_and(|first| range(first) == range(purview));
                held.uniform &= purview.table(name).is_some_and(|t| t.range == held.hull);
            }
        }
        self.tables = tables;
    }

    /// What connected replicas hold of a partitioned table, from first to last instant.
    pub(crate) fn live_hull(&self, table: &Sym) -> Option<TimeRange> {
        let held = self.replicas.values().filter_map(|p| p.table(table));
        held.filter(|t| t.kind == TableKind::Partitioned).map(|t| t.range).reduce(hull)
    }

    /// The source's stretches of a table; of all its partitioned tables where `table` is `None`. Where no replica holds
    /// the whole table, the table is cut into stretches that one replica holds in full.
    pub(crate) fn extents(&self, me: SourceId, table: Option<&Sym>, out: &mut Vec<Extent>) {
        let tier = rank(&self.tier);
        for live in [true, false] {
            let ranges: Vec<TimeRange> = self
                .everything()
                .filter(|(l, t)| *l == live && t.kind == TableKind::Partitioned)
                .filter(|(_, t)| table.is_none_or(|name| &t.name == name))
                .map(|(_, t)| t.range)
                .collect();
            let Some(whole) = ranges.iter().copied().reduce(hull) else { continue };
            let mut push = |range| out.push(Extent { source: me, tier, live, range });
            if table.is_none() || ranges.contains(&whole) {
                push(whole);
                continue;
            }
            let mut bounds: Vec<i64> = ranges.iter().flat_map(|r| [r.start(), r.end()]).collect();
            bounds.sort_unstable();
            bounds.dedup();
            for pair in bounds.windows(2) {
                let Some(piece) = TimeRange::new(pair[0], pair[1]) else { continue };
                if ranges.iter().any(|r| r.intersect(piece) == Some(piece)) {
                    push(piece);
                }
            }
        }
    }
}

/// True where `a` holds all that `b` held.
fn covers(a: &Purview, b: &Purview) -> bool {
    b.tables.iter().all(|t| a.table(&t.name).is_some_and(|own| hull(own.range, t.range) == own.range))
}

/// From the start of the first to the end of the last; an empty one does not count.
pub(crate) fn hull(a: TimeRange, b: TimeRange) -> TimeRange {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => TimeRange::new(a.start().min(b.start()), a.end().max(b.end())).unwrap_or(a),
    }
}

/// Order of tiers: greater is newer. A tier of another name is as old as the disk.
pub(crate) fn rank(tier: &Sym) -> u8 {
    match tier.as_bytes() {
        b"idb" => 1,
        b"rdb" => 2,
        _ => 0,
    }
}
