//! Data processes found by discovery, with known or unknown purviews.
//!
//! Rule kept: one that was found ready and that no coordinator has ever had registered may hold anything: no answer is
//! complete without it. Once it was registered, here or at a peer, what it holds is known, and stays known when its
//! link is lost (`coverage`). Tests: `tests/rules/found.rs`, and the simulation.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use kvalue::Sym;
use sg::{InstanceId, Purview};

use crate::event::{Fate, Place};

/// Most unlinked processes that a sentence names.
const NAMED: usize = 5;

/// What is known of a place.
#[derive(Debug)]
struct Found {
    place: Place,
    /// the pod was ready once: the purview from then holds, whatever the probe says now
    was_ready: bool,
    /// it was registered once
    known: bool,
    /// the process that was registered
    by: Option<InstanceId>,
    /// the purview told in a refused registration
    told: Option<Arc<Purview>>,
}

impl Found {
    /// True where nobody knows what it holds.
    fn is_unlinked(&self) -> bool {
        self.was_ready && !self.known && self.place.fate != Fate::NoData
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct FoundAll {
    all: BTreeMap<Sym, Found>,
    by_address: BTreeMap<Sym, Sym>,
    unlinked: BTreeSet<Sym>,
    /// runs of processes whose place is gone, by place: another may have their address now
    gone: BTreeMap<Sym, InstanceId>,
    /// data processes are looked for, and not all that there are have been told yet
    waits: bool,
    /// and not each of them has been tried yet
    untried: bool,
    /// why not all are known
    trouble: String,
    /// something was found, or is known now: what was kept may begin
    pub(crate) changed: bool,
}

/// A registered process, as it may be found: where it is reached, and which run of it.
pub(crate) type Registered<'a> = (&'a Sym, InstanceId);

impl FoundAll {
    /// Nothing yet. `looks` where data processes are looked for.
    pub(crate) fn new(looks: bool) -> Self {
        FoundAll { waits: looks, untried: looks, ..FoundAll::default() }
    }

    /// True once each that was ready at first has been tried, with whatever outcome.
    pub(crate) fn is_tried(&self) -> bool {
        !self.untried
    }

    /// True where the purview of some found process is unknown.
    pub(crate) fn lacks_some(&self) -> bool {
        self.waits || !self.unlinked.is_empty()
    }

    /// How many.
    pub(crate) fn unlinked(&self) -> usize {
        self.unlinked.len()
    }

    /// True where discovery has not answered yet, or a found process never told a purview. Processes that told a
    /// purview and were refused are in [`Self::told`].
    pub(crate) fn has_unknown(&self) -> bool {
        self.waits || self.listed().any(|f| f.told.is_none())
    }

    /// What those hold whose registration was refused.
    pub(crate) fn told(&self) -> impl Iterator<Item = &Arc<Purview>> {
        self.listed().filter_map(|f| f.told.as_ref())
    }

    fn listed(&self) -> impl Iterator<Item = &Found> {
        self.unlinked.iter().filter_map(|key| self.all.get(key))
    }

    /// Which are missing and why, for people.
    pub(crate) fn sentence(&self) -> String {
        if self.waits {
            let why = if self.trouble.is_empty() { "no answer yet" } else { &self.trouble };
            return format!("data processes are looked for and not all are known yet ({why})");
        }
        let one = |f: &Found| {
            let why = match &f.place.fate {
                Fate::Untried => "not tried yet",
                Fate::Elsewhere => "another coordinator is to link it",
                Fate::Linked(_) => "linked, not registered yet",
                Fate::Trouble(why) => why,
                Fate::NoData => "no data process",
            };
            format!("{} at {}: {why}", f.place.name, f.place.address)
        };
        let shown: Vec<String> = self.listed().take(NAMED).map(one).collect();
        let more = self.unlinked.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("data processes that are ready are not linked: {}{more}", shown.join("; "))
    }

    /// What discovery knows now. `registered` are all that are registered, here and at peers.
    pub(crate) fn replace<'a>(
        &mut self,
        places: Vec<Place>,
        synced: bool,
        trouble: String,
        registered: impl Iterator<Item = Registered<'a>>,
    ) {
        let registered: Vec<Registered<'_>> = registered.collect();
        let runs: HashSet<InstanceId> = registered.iter().map(|(_, run)| *run).collect();
        let mut before = std::mem::take(&mut self.all);
        for place in places {
            let old = before.remove(&place.key);
            let mut found = old.unwrap_or_else(|| Found {
                place: place.clone(),
                was_ready: false,
                known: false,
                by: None,
                told: None,
            });
            // The place is back: a pod that left the selector and returned is the same pod.
            self.gone.remove(&place.key);
            found.was_ready |= place.ready;
            found.place = place;
            self.all.insert(found.place.key.clone(), found);
        }
        self.gone.extend(before.into_iter().filter_map(|(key, f)| Some((key, f.by?))));
        self.gone.retain(|_, run| runs.contains(run));
        let gone: HashSet<InstanceId> = self.gone.values().copied().collect();
        let at: BTreeMap<&Sym, InstanceId> =
            registered.into_iter().filter(|(_, run)| !gone.contains(run)).collect();
        self.by_address.clear();
        self.unlinked.clear();
        for (key, found) in &mut self.all {
            self.by_address.insert(found.place.address.clone(), key.clone());
            let linked = match found.place.fate {
                Fate::Linked(run) => Some(run).filter(|run| runs.contains(run)),
                _ => None,
            };
            if let Some(run) = linked.or_else(|| at.get(&found.place.address).copied()) {
                (found.known, found.by) = (true, Some(run));
            }
            if found.is_unlinked() {
                self.unlinked.insert(key.clone());
            }
        }
        self.waits = !synced;
        self.trouble = trouble;
        let untried = || self.listed().any(|f| f.place.fate == Fate::Untried);
        self.untried = self.untried && (self.waits || untried());
        self.changed = true;
    }

    /// A process has registered, here or at a peer: it is known what it holds.
    pub(crate) fn registered(&mut self, (address, run): Registered<'_>) {
        if let Some(found) = self.at(address, run) {
            (found.known, found.by) = (true, Some(run));
            let key = found.place.key.clone();
            self.unlinked.remove(&key);
            let untried = self.listed().any(|f| f.place.fate == Fate::Untried);
            self.untried = self.untried && (self.waits || untried);
        }
        self.changed = true;
    }

    /// A process says what it holds; whether that is taken in is another question.
    pub(crate) fn says(&mut self, of: Registered<'_>, purview: &Arc<Purview>) {
        if let Some(found) = self.at(of.0, of.1) {
            found.told = Some(purview.clone());
            self.changed = true;
        }
    }

    fn at(&mut self, address: &Sym, run: InstanceId) -> Option<&mut Found> {
        let key = self.by_address.get(address).cloned().or_else(|| {
            let linked = |f: &&Found| f.place.fate == Fate::Linked(run);
            self.listed().find(linked).map(|f| f.place.key.clone())
        });
        self.all.get_mut(&key?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &str) -> Place {
        Place {
            key: key.into(),
            name: "da".into(),
            address: "10.0.0.7:5080".into(),
            ready: true,
            fate: Fate::Elsewhere,
        }
    }

    /// A peer has it registered all the while, as far as this coordinator has heard.
    #[test]
    fn a_place_that_goes_and_comes_back_is_known_again_and_another_at_its_address_is_not() {
        let (address, run) = (Sym::new("10.0.0.7:5080"), InstanceId([7; 16]));
        let registered = || [(&address, run)].into_iter();
        let mut all = FoundAll::new(true);
        all.replace(vec![place("uid-1")], true, String::new(), registered());
        assert!(!all.lacks_some());
        all.replace(vec![], true, String::new(), registered());
        all.replace(vec![place("uid-1")], true, String::new(), registered());
        assert!(!all.lacks_some(), "{}", all.sentence());
        all.replace(vec![], true, String::new(), registered());
        all.replace(vec![place("uid-2")], true, String::new(), registered());
        assert!(all.lacks_some(), "another pod at the address of one that is gone may hold anything");
    }
}
