//! Coverage: the source for each table, label set and instant.
//!
//! | file | what |
//! | --- | --- |
//! | [`tiles`] | the time line of one label set cut among its sources |
//! | [`source`] | one source: replicas, what they hold, what lost ones held |
//! | [`select`] | label sets found by table, labels and scope |
//! | [`declared`] | tiers that there should be, seen or not |
//!
//! A *domain* is one label set of one assembly. Everything a request needs is computed when a purview
//! changes, which is seldom, and looked up when a request comes, which is often. Tests: `tests/coverage.rs`, through the router.

pub(crate) mod declared;
pub(crate) mod select;
pub(crate) mod source;
pub(crate) mod tiles;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ahash::HashMap;
use kvalue::Sym;
use sg::{LabelSet, Purview, TimeRange, purview::TableKind};

use crate::{
    event::{Nanos, PeerId},
    settings::Expected,
};
use declared::Declared;
use source::Source;
use tiles::Tile;

/// A source among those known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SourceId(pub(crate) u32);

/// A domain among those known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DomainId(pub(crate) u32);

/// One label set of one assembly.
#[derive(Debug)]
pub(crate) struct Domain {
    pub(crate) labels: LabelSet,
    pub(crate) assembly: Sym,
    pub(crate) sources: Vec<SourceId>,
    /// stand-ins for declared tiers of which no source is known
    pub(crate) unseen: Vec<SourceId>,
    pub(crate) tables: BTreeMap<Sym, Layout>,
    /// tiles of calls that name no table
    pub(crate) whole: Vec<Tile>,
    /// place in answer order
    pub(crate) rank: u32,
}

impl Domain {
    /// True where there are no sources but stand-ins.
    pub(crate) fn is_unseen(&self) -> bool {
        self.sources.is_empty()
    }

    /// True where it is of the assembly asked for, null for any; one that was only declared may be of any.
    fn is_of(&self, assembly: &Sym) -> bool {
        assembly.is_null() || self.assembly == *assembly || self.is_unseen()
    }
}

/// How a table of a domain is spread.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Layout {
    /// time-partitioned: tiles of the time line
    Tiled(Vec<Tile>),
    /// any of these sources has all of it: those of the newest tier that is connected
    Copied(Vec<SourceId>),
}

/// Why a registration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "{} (source {}) and {} (source {}) both hold table {} of {} in tier {} over {}: give replicas of the same data one source id, or other labels or times",
        .0.name, .0.source_id, .0.other, .0.other_source, .0.table, .0.labels, .0.tier, .0.range
    )]
    Overlap(Box<Overlap>),
    #[error("{known} sources are connected, the limit is {limit}: raise QMESH_RC_MAX_SOURCES")]
    TooMany { known: usize, limit: usize },
}

/// Two sources that would both serve the same instants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overlap {
    pub(crate) name: Sym,
    pub(crate) source_id: Sym,
    pub(crate) other: Sym,
    pub(crate) other_source: Sym,
    pub(crate) table: Sym,
    pub(crate) labels: String,
    pub(crate) tier: Sym,
    pub(crate) range: TimeRange,
}

/// All that is known of the data.
#[derive(Debug)]
pub(crate) struct Coverage {
    sources: BTreeMap<SourceId, Source>,
    domains: BTreeMap<DomainId, Domain>,
    of_dap: HashMap<PeerId, SourceId>,
    by_key: HashMap<(DomainId, Sym, Sym), SourceId>,
    by_name: BTreeMap<(LabelSet, Sym), DomainId>,
    by_table: HashMap<Sym, BTreeSet<DomainId>>,
    by_label: HashMap<(Sym, Sym), BTreeSet<DomainId>>,
    label_keys: BTreeMap<Sym, usize>,
    next: u32,
    clock: u64,
    max_sources: usize,
    declared: Declared,
}

/// What a change of purviews touched.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Touched {
    /// domains whose tiles or replicas may differ now
    pub(crate) domains: BTreeSet<DomainId>,
    /// sources of which something was forgotten: to make room, or because it has been lost for long
    pub(crate) forgotten: Vec<Sym>,
}

impl Coverage {
    pub(crate) fn new(max_sources: usize, expected: &[Expected]) -> Self {
        let mut coverage = Coverage {
            sources: BTreeMap::new(),
            domains: BTreeMap::new(),
            of_dap: HashMap::default(),
            by_key: HashMap::default(),
            by_name: BTreeMap::new(),
            by_table: HashMap::default(),
            by_label: HashMap::default(),
            label_keys: BTreeMap::new(),
            next: 0,
            clock: 0,
            max_sources,
            declared: Declared::new(expected),
        };
        coverage.open_declared();
        coverage
    }

    pub(crate) fn source(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(&id)
    }

    pub(crate) fn domain(&self, id: DomainId) -> Option<&Domain> {
        self.domains.get(&id)
    }

    pub(crate) fn source_of(&self, dap: PeerId) -> Option<SourceId> {
        self.of_dap.get(&dap).copied()
    }

    /// True where some source has a label of this key.
    pub(crate) fn is_label(&self, key: &Sym) -> bool {
        self.label_keys.contains_key(key)
    }

    /// A DAP says what it covers, for the first time or again.
    pub(crate) fn register(&mut self, dap: PeerId, purview: &Arc<Purview>) -> Result<Touched, Refusal> {
        let mut touched = Touched::default();
        let previous = self.source_of(dap);
        let key = (purview.labels.clone(), purview.assembly.clone());
        let domain = self.by_name.get(&key).copied();
        let stays = previous.filter(|id| {
            self.sources.get(id).is_some_and(|s| Some(s.domain) == domain && s.tier == purview.tier)
        });
        let existing = stays.or_else(|| {
            let key = (domain?, purview.tier.clone(), purview.source.clone());
            self.by_key.get(&key).copied()
        });
        if let Some(domain) = domain {
            self.check_overlap(domain, existing, purview)?;
        }
        if existing.is_none() && self.seen() >= self.max_sources {
            self.make_room(&mut touched)?;
        }
        if let Some(old) = previous.filter(|old| Some(*old) != existing) {
            self.leave(dap, old, &mut touched);
        }
        let domain = domain.filter(|d| self.domains.contains_key(d)).unwrap_or_else(|| self.open_domain(key));
        let id = existing.unwrap_or_else(|| self.open_source(domain, purview));
        self.forget_name_elsewhere(&purview.name, id, &mut touched);
        self.supersede_lost(domain, id, purview, &mut touched);
        self.of_dap.insert(dap, id);
        if let Some(source) = self.sources.get_mut(&id) {
            match source.replicas.get(&dap).map(|p| p.version == purview.version) {
                Some(true) => source.refresh(dap, purview.clone()),
                connected => source.announce(dap, purview.clone(), connected.is_some()),
            }
            if source.id != purview.source && !source.aliases.contains(&purview.source) {
                source.add_alias(purview.source.clone());
                let key = (domain, purview.tier.clone(), purview.source.clone());
                self.by_key.entry(key).or_insert(id);
            }
        }
        self.rebuild(domain);
        touched.domains.insert(domain);
        Ok(touched)
    }

    /// A DAP is gone: the purview of the DAP stays known, and counts as missing where no other replica holds it.
    pub(crate) fn lose(&mut self, dap: PeerId, now: Nanos) -> Touched {
        let mut touched = Touched::default();
        let Some(id) = self.of_dap.remove(&dap) else { return touched };
        self.clock += 1;
        if let Some(source) = self.sources.get_mut(&id) {
            source.lose(dap, self.clock, now);
            let domain = source.domain;
            self.rebuild(domain);
            touched.domains.insert(domain);
        }
        touched
    }

    /// What lost replicas held and is not served by others of their source, and when each was lost.
    pub(crate) fn lost(&self) -> impl Iterator<Item = (&Arc<Purview>, Nanos)> {
        self.sources.values().flat_map(Source::lost)
    }

    /// Learns the purview of a replica lost before this coordinator knew the replica. `None` where the purview changes
    /// nothing: data served by others, or known from a newer account, is not missing.
    pub(crate) fn remember(&mut self, purview: Arc<Purview>, since: Nanos) -> Option<Touched> {
        if self.seen() >= self.max_sources {
            return None;
        }
        let key = (purview.labels.clone(), purview.assembly.clone());
        let domain = self.by_name.get(&key).copied();
        if let Some(domain) = domain {
            self.check_overlap(domain, self.find(domain, &purview), &purview).ok()?;
        }
        let domain = domain.unwrap_or_else(|| self.open_domain(key));
        let id = self.find(domain, &purview).unwrap_or_else(|| self.open_source(domain, &purview));
        self.clock += 1;
        let clock = self.clock;
        let known = self.sources.get_mut(&id).is_some_and(|s| s.remember(purview, clock, since));
        self.rebuild(domain);
        known.then(|| Touched { domains: BTreeSet::from([domain]), forgotten: Vec::new() })
    }

    /// True where a connected replica holds just this.
    pub(crate) fn is_held(&self, purview: &Purview) -> bool {
        let key = (purview.labels.clone(), purview.assembly.clone());
        let source = self.by_name.get(&key).and_then(|domain| self.find(*domain, purview));
        let source = source.and_then(|id| self.sources.get(&id));
        source.is_some_and(|s| s.replicas.values().any(|known| known.tables == purview.tables))
    }

    /// Sources that were seen.
    fn seen(&self) -> usize {
        self.sources.len() - self.declared.standing
    }

    fn find(&self, domain: DomainId, purview: &Purview) -> Option<SourceId> {
        self.by_key.get(&(domain, purview.tier.clone(), purview.source.clone())).copied()
    }

    /// When [`Self::forget`] has something to do, for memories that last `keep`.
    pub(crate) fn next_forget(&self, keep: Nanos) -> Option<Nanos> {
        self.sources.values().filter_map(Source::oldest_memory).min().map(|since| since.saturating_add(keep))
    }

    /// Forgets what replicas lost until `before` held, where others of their source are connected.
    pub(crate) fn forget(&mut self, before: Nanos) -> Touched {
        let mut touched = Touched::default();
        for source in self.sources.values_mut() {
            if source.forget(before) {
                touched.domains.insert(source.domain);
                touched.forgotten.push(source.id.clone());
            }
        }
        for domain in touched.domains.clone() {
            self.rebuild(domain);
        }
        touched
    }

    fn open_domain(&mut self, key: (LabelSet, Sym)) -> DomainId {
        if let Some(id) = self.adopt(&key) {
            return id;
        }
        let id = DomainId(self.next);
        self.next += 1;
        for (k, v) in key.0.iter() {
            self.by_label.entry((k.clone(), v.clone())).or_default().insert(id);
            *self.label_keys.entry(k.clone()).or_default() += 1;
        }
        let domain = Domain {
            labels: key.0.clone(),
            assembly: key.1.clone(),
            sources: Vec::new(),
            unseen: Vec::new(),
            tables: BTreeMap::new(),
            whole: Vec::new(),
            rank: 0,
        };
        self.domains.insert(id, domain);
        self.by_name.insert(key, id);
        for (rank, id) in self.by_name.values().enumerate() {
            if let Some(domain) = self.domains.get_mut(id) {
                domain.rank = rank as u32;
            }
        }
        id
    }

    fn open_source(&mut self, domain: DomainId, purview: &Purview) -> SourceId {
        let id = SourceId(self.next);
        self.next += 1;
        self.by_key.insert((domain, purview.tier.clone(), purview.source.clone()), id);
        self.sources.insert(id, Source::new(purview.source.clone(), purview.tier.clone(), domain));
        if let Some(domain) = self.domains.get_mut(&domain) {
            domain.sources.push(id);
        }
        id
    }

    fn check_overlap(
        &self,
        domain: DomainId,
        own: Option<SourceId>,
        purview: &Purview,
    ) -> Result<(), Refusal> {
        let others = self.domains.get(&domain).map(|d| d.sources.as_slice()).unwrap_or_default();
        for (id, other) in others.iter().filter_map(|id| Some((*id, self.sources.get(id)?))) {
            if Some(id) == own || !other.is_live() || other.tier != purview.tier {
                continue;
            }
            for table in purview.tables.iter().filter(|t| t.kind == TableKind::Partitioned) {
                let both = other.live_hull(&table.name).and_then(|range| range.intersect(table.range));
                let Some(range) = both else { continue };
                return Err(Refusal::Overlap(Box::new(Overlap {
                    name: purview.name.clone(),
                    source_id: purview.source.clone(),
                    other: other.replicas.values().next().map(|p| p.name.clone()).unwrap_or_default(),
                    other_source: other.id.clone(),
                    table: table.name.clone(),
                    labels: purview.labels.to_string(),
                    tier: purview.tier.clone(),
                    range,
                })));
            }
        }
        Ok(())
    }

    /// A connected source replaces lost sources of the same tier whose data the connected source holds.
    fn supersede_lost(&mut self, domain: DomainId, own: SourceId, purview: &Purview, touched: &mut Touched) {
        let others = self.domains.get(&domain).map(|d| d.sources.clone()).unwrap_or_default();
        for id in others.into_iter().filter(|id| *id != own) {
            let Some(other) = self.sources.get(&id) else { continue };
            let overlaps = purview.tables.iter().filter(|t| t.kind == TableKind::Partitioned).any(|t| {
                let held = other.tables.get(&t.name).filter(|h| h.kind == TableKind::Partitioned);
                held.is_some_and(|h| h.hull.intersect(t.range).is_some())
            });
            if !other.is_live() && other.tier == purview.tier && overlaps {
                self.drop_source(id, touched);
            }
        }
    }

    fn forget_name_elsewhere(&mut self, name: &Sym, own: SourceId, touched: &mut Touched) {
        let mut empty = Vec::new();
        for (id, source) in self.sources.iter_mut().filter(|(id, _)| **id != own) {
            if source.forget_name(name) {
                touched.domains.insert(source.domain);
                if source.is_nothing() {
                    empty.push(*id);
                }
            }
        }
        empty.into_iter().for_each(|id| self.drop_source(id, touched));
        for domain in touched.domains.clone() {
            self.rebuild(domain);
        }
    }

    fn leave(&mut self, dap: PeerId, old: SourceId, touched: &mut Touched) {
        let Some(source) = self.sources.get_mut(&old) else { return };
        source.leave(dap);
        let (domain, nothing) = (source.domain, source.is_nothing());
        touched.domains.insert(domain);
        match nothing {
            true => self.drop_source(old, touched),
            false => self.rebuild(domain),
        }
    }

    fn make_room(&mut self, touched: &mut Touched) -> Result<(), Refusal> {
        let lost = self.sources.iter().filter(|(id, s)| !id.is_stand_in() && !s.is_live());
        let lost = lost.min_by_key(|(_, s)| s.lost_since);
        let Some((id, source)) = lost.map(|(id, s)| (*id, s.id.clone())) else {
            return Err(Refusal::TooMany { known: self.seen(), limit: self.max_sources });
        };
        touched.forgotten.push(source);
        self.drop_source(id, touched);
        Ok(())
    }

    fn drop_source(&mut self, id: SourceId, touched: &mut Touched) {
        let Some(source) = self.sources.remove(&id) else { return };
        let ids = source.aliases.iter().chain([&source.id]);
        for name in ids {
            let key = (source.domain, source.tier.clone(), name.clone());
            if self.by_key.get(&key) == Some(&id) {
                self.by_key.remove(&key);
            }
        }
        touched.domains.insert(source.domain);
        if let Some(domain) = self.domains.get_mut(&source.domain) {
            domain.sources.retain(|s| *s != id);
        }
        self.rebuild(source.domain);
    }

    /// Computes a domain's layouts anew; a domain without sources goes, unless it was
    /// declared.
    fn rebuild(&mut self, id: DomainId) {
        self.stand_in(id);
        let Some(domain) = self.domains.get(&id) else { return };
        let sources = self.listed(&domain.sources);
        let unseen = self.listed(&domain.unseen);
        let names: BTreeSet<&Sym> = sources.iter().flat_map(|(_, s)| s.tables.keys()).collect();
        let tables: BTreeMap<Sym, Layout> =
            names.into_iter().map(|t| (t.clone(), select::layout(&sources, &unseen, t))).collect();
        let whole = select::whole(&sources, &unseen);
        for gone in domain.tables.keys().filter(|t| !tables.contains_key(*t)) {
            if let Some(domains) = self.by_table.get_mut(gone) {
                domains.remove(&id);
            }
        }
        for table in tables.keys() {
            self.by_table.entry(table.clone()).or_default().insert(id);
        }
        self.by_table.retain(|_, domains| !domains.is_empty());
        match self.domains.get_mut(&id) {
            Some(domain) if !domain.sources.is_empty() || !domain.unseen.is_empty() => {
                domain.tables = tables;
                domain.whole = whole;
            }
            _ => self.close_domain(id),
        }
    }

    fn listed(&self, ids: &[SourceId]) -> Vec<(SourceId, &Source)> {
        ids.iter().filter_map(|id| Some((*id, self.sources.get(id)?))).collect()
    }

    fn close_domain(&mut self, id: DomainId) {
        let Some(domain) = self.domains.remove(&id) else { return };
        for (k, v) in domain.labels.iter() {
            let key = (k.clone(), v.clone());
            if let Some(domains) = self.by_label.get_mut(&key) {
                domains.remove(&id);
                if domains.is_empty() {
                    self.by_label.remove(&key);
                }
            }
            if let Some(uses) = self.label_keys.get_mut(k) {
                *uses -= 1;
                if *uses == 0 {
                    self.label_keys.remove(k);
                }
            }
        }
        self.by_name.remove(&(domain.labels, domain.assembly));
    }
}
