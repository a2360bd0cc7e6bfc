//! The aggregators: which is given the next request.
//!
//! Rule kept (design, mesh §2): Aggs are not exclusive; of those that know the aggregation function the one
//! with the fewest outstanding requests is taken, then the one used least recently.

use std::collections::{BTreeMap, BTreeSet};

use kvalue::Sym;
use sg::{Ac, Api, Failure, Rc};

use crate::event::PeerId;

/// One Agg.
#[derive(Debug)]
pub(crate) struct Agg {
    pub(crate) name: Sym,
    pub(crate) address: Sym,
    pub(crate) agg_fns: Vec<Api>,
    names: BTreeSet<Sym>,
    outstanding: usize,
    last_used: u64,
}

/// All connected Aggs.
#[derive(Debug, Default)]
pub(crate) struct Aggs {
    all: BTreeMap<PeerId, Agg>,
    clock: u64,
}

impl Aggs {
    pub(crate) fn insert(&mut self, peer: PeerId, name: Sym, address: Sym, agg_fns: Vec<Api>) {
        let names = agg_fns.iter().map(|f| f.name.clone()).collect();
        let (outstanding, last_used) = self.all.get(&peer).map_or((0, 0), |a| (a.outstanding, a.last_used));
        self.all.insert(peer, Agg { name, address, agg_fns, names, outstanding, last_used });
    }

    pub(crate) fn remove(&mut self, peer: PeerId) -> Option<Agg> {
        self.all.remove(&peer)
    }

    pub(crate) fn get(&self, peer: PeerId) -> Option<&Agg> {
        self.all.get(&peer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerId, &Agg)> {
        self.all.iter().map(|(p, a)| (*p, a))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Requests that Aggs were given and have not finished.
    pub(crate) fn outstanding(&self) -> usize {
        self.all.values().map(|a| a.outstanding).sum()
    }

    /// Takes an Agg for a request that needs `agg_fn`; `not` only where there is no other.
    pub(crate) fn take(&mut self, agg_fn: &Sym, not: Option<PeerId>) -> Result<PeerId, Failure> {
        self.clock += 1;
        let able = self.all.iter().filter(|(_, a)| a.names.contains(agg_fn));
        let chosen = able
            .min_by_key(|(peer, a)| (not == Some(**peer), a.outstanding, a.last_used, **peer))
            .map(|(peer, _)| *peer);
        if let Some(agg) = chosen.and_then(|peer| self.all.get_mut(&peer)) {
            agg.outstanding += 1;
            agg.last_used = self.clock;
        }
        match chosen {
            Some(peer) => Ok(peer),
            None if self.all.is_empty() => Err(Failure::new(
                Rc::NOT_READY,
                Ac::NOT_READY,
                "No aggregators connected: try again when one has registered",
            )),
            None => {
                let known: BTreeSet<String> =
                    self.all.values().flat_map(|a| a.names.iter().map(|n| n.to_string())).collect();
                let known = known.into_iter().take(20).collect::<Vec<_>>().join(", ");
                Err(Failure::new(
                    Rc::NOT_SUPPORTED,
                    Ac::API,
                    format!("no aggregator has the aggregation function {agg_fn}; known: {known}"),
                ))
            }
        }
    }

    /// A request it was given is over.
    pub(crate) fn give_back(&mut self, peer: PeerId) {
        if let Some(agg) = self.all.get_mut(&peer) {
            agg.outstanding = agg.outstanding.saturating_sub(1);
        }
    }
}
