//! Declared tiers: tiers that the deployment should have, seen or not.
//!
//! Rule kept (design, mesh §1): a declared tier of a label set of which no source is known is missing. A *stand-in*
//! takes the place of a tier not seen yet: a source without replicas, known by its tier alone. A stand-in may hold any
//! table, at any instant within the reach of the tier that no known source holds. The stand-in leaves when a source of
//! the tier registers, and returns when the last source of the tier is forgotten. Tests: `tests/rules/declared.rs`.

use std::collections::{BTreeMap, BTreeSet};

use kvalue::Sym;
use sg::{LabelSet, TimeRange};

use super::{
    Coverage, Domain, DomainId, SourceId,
    source::{Source, rank},
    tiles::Extent,
};
use crate::settings::Expected;

/// Numbers of stand-ins begin here, and no other source's comes as far.
const FIRST_STAND_IN: u32 = 1 << 31;

impl SourceId {
    /// True for one that stands in for a declared tier.
    pub(crate) fn is_stand_in(self) -> bool {
        self.0 >= FIRST_STAND_IN
    }
}

/// The declared tiers, and the stand-ins present now.
#[derive(Debug)]
pub(super) struct Declared {
    tiers: BTreeMap<LabelSet, Vec<Sym>>,
    next: u32,
    /// stand-ins among the sources
    pub(super) standing: usize,
    /// domains that have some
    pub(super) domains: BTreeSet<DomainId>,
}

impl Declared {
    pub(super) fn new(expected: &[Expected]) -> Self {
        let mut tiers: BTreeMap<LabelSet, Vec<Sym>> = BTreeMap::new();
        for e in expected {
            tiers.entry(e.labels.clone()).or_default().extend(e.tiers.iter().cloned());
        }
        Declared { tiers, next: FIRST_STAND_IN, standing: 0, domains: BTreeSet::new() }
    }
}

impl Coverage {
    /// True for a label set with declared tiers.
    pub(crate) fn is_declared(&self, labels: &LabelSet) -> bool {
        self.declared.tiers.contains_key(labels)
    }

    /// Opens a domain for each label set that was declared.
    pub(super) fn open_declared(&mut self) {
        for labels in self.declared.tiers.keys().cloned().collect::<Vec<_>>() {
            let domain = self.open_domain((labels, Sym::null()));
            self.rebuild(domain);
        }
    }

    /// A domain of this label set of which nothing has been seen becomes that of the first assembly which is.
    pub(super) fn adopt(&mut self, key: &(LabelSet, Sym)) -> Option<DomainId> {
        let id = self.of_labels(&key.0).find(|id| self.domains.get(id).is_some_and(Domain::is_unseen))?;
        let domain = self.domains.get_mut(&id)?;
        let before = (key.0.clone(), std::mem::replace(&mut domain.assembly, key.1.clone()));
        self.by_name.remove(&before);
        self.by_name.insert(key.clone(), id);
        Some(id)
    }

    pub(super) fn of_labels(&self, labels: &LabelSet) -> impl Iterator<Item = DomainId> {
        let from = (labels.clone(), Sym::null());
        self.by_name.range(from..).take_while(move |((l, _), _)| l == labels).map(|(_, id)| *id)
    }

    /// A stand-in for each declared tier of which the domain knows no source, and for no other. Where the label set
    /// has sources in another assembly, one without any is over.
    pub(super) fn stand_in(&mut self, id: DomainId) {
        if sg::mutation::on(crate::mutations::DECLARED_UNHEEDED) {
            return;
        }
        let Some(domain) = self.domains.get(&id) else { return };
        let Some(tiers) = self.declared.tiers.get(&domain.labels) else { return };
        let over = domain.sources.is_empty() && self.of_labels(&domain.labels).any(|other| other != id);
        let known = |tier: &Sym| {
            let sources = domain.sources.iter().filter_map(|s| self.sources.get(s));
            sources.into_iter().any(|s| s.tier == *tier)
        };
        let mut wanted: Vec<Sym> = tiers.iter().filter(|tier| !over && !known(tier)).cloned().collect();
        let (stay, gone): (Vec<SourceId>, Vec<SourceId>) =
            domain.unseen.iter().partition(|s| self.sources.get(s).is_some_and(|s| wanted.contains(&s.tier)));
        for source in stay.iter().filter_map(|s| self.sources.get(s)) {
            wanted.retain(|tier| *tier != source.tier);
        }
        for source in gone {
            self.sources.remove(&source);
            self.declared.standing -= 1;
        }
        let mut unseen = stay;
        for tier in wanted {
            let source = SourceId(self.declared.next);
            self.declared.next += 1;
            self.declared.standing += 1;
            self.sources.insert(source, Source::new(Sym::null(), tier, id));
            unseen.push(source);
        }
        match unseen.is_empty() {
            true => self.declared.domains.remove(&id),
            false => self.declared.domains.insert(id),
        };
        if let Some(domain) = self.domains.get_mut(&id) {
            domain.unseen = unseen;
        }
    }

    /// The stand-ins that may hold the rows of a tile of stand-in `one`: no known source has a tier between the two.
    pub(super) fn alike(&self, domain: &Domain, one: SourceId) -> Vec<SourceId> {
        let rank_of = |id: &SourceId| self.sources.get(id).map_or(0, |s| rank(&s.tier));
        let own = rank_of(&one);
        let parted = |other: u8| {
            let between = own.min(other)..=own.max(other);
            domain.sources.iter().any(|s| between.contains(&rank_of(s)))
        };
        domain.unseen.iter().filter(|s| **s == one || !parted(rank_of(s))).copied().collect()
    }
}

/// Adds to the stretches that sources hold of a table those that stand-ins may: of each, from where older tiers end to
/// where newer ones begin.
pub(super) fn add_stand_ins(extents: &mut Vec<Extent>, unseen: &[(SourceId, &Source)]) {
    let mut added = Vec::new();
    for (id, source) in unseen {
        let tier = rank(&source.tier);
        let from = extents.iter().filter(|e| e.tier < tier).map(|e| e.range.end()).max();
        let until = extents.iter().filter(|e| e.tier > tier).map(|e| e.range.start()).min();
        let range = TimeRange::new(from.unwrap_or(TimeRange::MIN), until.unwrap_or(TimeRange::MAX));
        added.extend(range.map(|range| Extent { source: *id, tier, live: false, range }));
    }
    extents.extend(added);
}
