//! Leases of one replica, counted by state.
//!
//! Whether a replica has a place free is asked whenever anything of it changes; the counts answer that without a walk.
//! Rule kept: leases change through this type only, so that counts and leases agree.

use std::collections::{BTreeMap, btree_map};

use sg::{Corr, PortionId};

use crate::{
    apis::ApiId,
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
    /// the coordinator whose request this is; `None` for one of our own
    pub(crate) primary: Option<PeerId>,
    /// in the order in which portions were given
    pub(crate) number: u64,
    /// no other replica of the source can run the portion
    pub(crate) bound: bool,
    pub(crate) recalled: Recalled,
}

/// Whether a portion was asked to be handed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recalled {
    No,
    Asked,
    /// so long ago that nothing is to be expected of that any more
    Unanswered,
}

impl Lease {
    /// Of a portion that runs since before the replica registered: of which version it reads is not known.
    pub(crate) fn from_before(now: Nanos) -> Lease {
        let (state, api, recalled) = (LeaseState::Overrun, ApiId(u32::MAX), Recalled::No);
        Lease { state, since: now, version: 0, api, primary: None, number: 0, bound: true, recalled }
    }
}

/// The leases of a replica, in the order of their keys.
#[derive(Debug, Default)]
pub(crate) struct Running {
    leases: BTreeMap<LeaseKey, Lease>,
    counts: Counts,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    overrun: usize,
    ended: usize,
}

impl Counts {
    fn of(&mut self, state: LeaseState) -> Option<&mut usize> {
        match state {
            LeaseState::Running => None,
            LeaseState::Overrun => Some(&mut self.overrun),
            LeaseState::Ended => Some(&mut self.ended),
        }
    }

    fn add(&mut self, state: LeaseState) {
        self.of(state).into_iter().for_each(|n| *n += 1);
    }

    fn take(&mut self, state: LeaseState) {
        self.of(state).into_iter().for_each(|n| *n -= 1);
    }
}

impl Running {
    pub(crate) fn len(&self) -> usize {
        self.leases.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    pub(crate) fn get(&self, key: &LeaseKey) -> Option<&Lease> {
        self.leases.get(key)
    }

    pub(crate) fn iter(&self) -> btree_map::Iter<'_, LeaseKey, Lease> {
        self.leases.iter()
    }

    pub(crate) fn values(&self) -> btree_map::Values<'_, LeaseKey, Lease> {
        self.leases.values()
    }

    pub(crate) fn insert(&mut self, key: LeaseKey, lease: Lease) {
        self.counts.add(lease.state);
        if let Some(before) = self.leases.insert(key, lease) {
            self.counts.take(before.state);
        }
    }

    pub(crate) fn remove(&mut self, key: &LeaseKey) -> Option<Lease> {
        let lease = self.leases.remove(key)?;
        self.counts.take(lease.state);
        Some(lease)
    }

    /// Changes a lease, where there is one.
    pub(crate) fn change<T>(&mut self, key: &LeaseKey, change: impl FnOnce(&mut Lease) -> T) -> Option<T> {
        let lease = self.leases.get_mut(key)?;
        self.counts.take(lease.state);
        let outcome = change(lease);
        self.counts.add(lease.state);
        Some(outcome)
    }

    /// True where something has not stopped that nobody waits for.
    pub(crate) fn overruns(&self) -> bool {
        self.counts.overrun > 0
    }

    /// True where the replica has not said of all that it ended.
    pub(crate) fn is_busy(&self) -> bool {
        self.counts.ended < self.leases.len()
    }

    /// What has ended holds no place any more; where the replica runs nothing, what was not waited for neither.
    pub(crate) fn has_ended(&mut self, runs_nothing: bool) {
        let stays = |lease: &Lease| match lease.state {
            LeaseState::Running => true,
            LeaseState::Overrun => !runs_nothing,
            LeaseState::Ended => sg::mutation::on("rc-lease-stays"),
        };
        if self.counts != Counts::default() {
            for (_, gone) in self.leases.extract_if(.., |_, lease| !stays(lease)) {
                self.counts.take(gone.state);
            }
        }
    }

    /// Panics where the counts are not those of the leases.
    pub(crate) fn check_invariants(&self) {
        let mut counts = Counts::default();
        self.leases.values().for_each(|lease| counts.add(lease.state));
        assert_eq!(counts, self.counts, "counts of leases");
    }
}

impl IntoIterator for Running {
    type Item = (LeaseKey, Lease);
    type IntoIter = btree_map::IntoIter<LeaseKey, Lease>;

    fn into_iter(self) -> Self::IntoIter {
        self.leases.into_iter()
    }
}
