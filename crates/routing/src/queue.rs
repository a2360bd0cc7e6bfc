//! Portions that wait for a replica.
//!
//! Rule kept: the oldest portion that a replica can serve is found without looking at those it cannot. Each
//! source has lanes, one per API and named replica; within a lane every replica of the lane can serve every
//! portion, except in lanes marked `partial`, where replicas hold different stretches and are asked one by
//! one. Order is by request, then portion, and is kept when a portion is tried again.

use std::collections::{BTreeMap, BTreeSet};

use kvalue::Sym;

use crate::{apis::ApiId, coverage::SourceId};

/// Place in the queue: number of the request in order of arrival, portion.
pub(crate) type Order = (u64, u32);

/// What a replica must be to serve a lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane {
    pub(crate) api: ApiId,
    /// the one replica asked for by name; null for any
    pub(crate) dap: Sym,
    /// true where some replica of the source does not hold what the portion needs
    pub(crate) partial: bool,
}

/// All waiting portions.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lanes: BTreeMap<SourceId, BTreeMap<Lane, BTreeSet<Order>>>,
    len: usize,
}

impl Queue {
    /// Number of waiting portions.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a portion that any of `sources` may serve.
    pub(crate) fn push(&mut self, order: Order, sources: &[SourceId], lane: &Lane) {
        for source in sources {
            self.lanes.entry(*source).or_default().entry(lane.clone()).or_default().insert(order);
        }
        self.len += 1;
    }

    /// Takes a portion out, by what it was added with.
    pub(crate) fn remove(&mut self, order: Order, sources: &[SourceId], lane: &Lane) {
        for source in sources {
            let Some(lanes) = self.lanes.get_mut(source) else { continue };
            if let Some(orders) = lanes.get_mut(lane) {
                orders.remove(&order);
                if orders.is_empty() {
                    lanes.remove(lane);
                }
            }
            if lanes.is_empty() {
                self.lanes.remove(source);
            }
        }
        self.len -= 1;
    }

    /// The oldest portion of a source that a replica can serve: `lane` says whether it serves the lane at
    /// all, `portion` whether it holds what one portion of a partial lane needs.
    pub(crate) fn oldest(
        &self,
        source: SourceId,
        lane: impl Fn(&Lane) -> bool,
        portion: impl Fn(Order) -> bool,
    ) -> Option<Order> {
        let lanes = self.lanes.get(&source)?;
        let heads = lanes.iter().filter(|(l, _)| lane(l)).filter_map(|(l, orders)| match l.partial {
            false => orders.first().copied(),
            true => orders.iter().copied().find(|o| portion(*o)),
        });
        heads.min()
    }

    /// Every waiting portion once, oldest first.
    pub(crate) fn all(&self) -> BTreeSet<Order> {
        self.lanes.values().flat_map(|lanes| lanes.values().flatten().copied()).collect()
    }
}
