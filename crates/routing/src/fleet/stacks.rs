//! Portions queued at a busy replica of this coordinator: the replica with most, and the portions to recall.
//!
//! Rule kept: which replica to ask is found without looking at the others. Why one is asked: `router/recall`.

use std::collections::BTreeSet;

use super::{Dap, Fleet, Lease, LeaseKey, LeaseState, Recalled};
use crate::{coverage::SourceId, event::PeerId};

/// Portions queued at one replica of this coordinator, runnable on another replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stack {
    pub(super) waits: usize,
    /// asked back, and not handed back yet
    pub(super) recalled: usize,
}

/// Those of a source.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    pub(super) by_height: BTreeSet<(usize, PeerId)>,
    pub(super) recalled: usize,
}

impl Dap {
    /// What waits here behind another portion, with the leases that can be asked back.
    fn behind(&self) -> impl Iterator<Item = (&LeaseKey, &Lease)> {
        let held = || self.running.iter().filter(|(_, l)| l.state != LeaseState::Ended);
        let first = match self.owner.is_none() && self.running.len() > 1 {
            true => held().map(|(_, l)| l.number).min(),
            false => None,
        };
        held()
            .filter(move |(_, l)| first.is_some_and(|first| l.number > first))
            .filter(|(_, l)| l.state == LeaseState::Running && !l.bound)
    }

    /// How many wait here behind another, in one walk: this is asked whenever a lease changes.
    pub(super) fn stack(&self) -> Stack {
        if self.owner.is_some() || self.running.len() < 2 {
            return Stack::default();
        }
        let weight = |l: &Lease| match l.recalled {
            _ if l.state != LeaseState::Running || l.bound => (0, 0),
            Recalled::No => (1, 0),
            Recalled::Asked => (0, 1),
            Recalled::Unanswered => (0, 0),
        };
        let (mut waits, mut recalled, mut first) = (0, 0, None);
        for lease in self.running.values().filter(|l| l.state != LeaseState::Ended) {
            let (w, r) = weight(lease);
            (waits, recalled) = (waits + w, recalled + r);
            first = first.filter(|f: &&Lease| f.number < lease.number).or(Some(lease));
        }
        // It waits behind none.
        let (w, r) = first.map_or((0, 0), weight);
        Stack { waits: waits - w, recalled: recalled - r }
    }

    /// The portion given last before that number, of those that wait here behind another and were not asked back.
    pub(crate) fn last_behind(&self, before: u64) -> Option<(LeaseKey, Lease)> {
        let waits = self.behind().filter(|(_, l)| l.recalled == Recalled::No && l.number < before);
        waits.max_by_key(|(_, l)| l.number).map(|(key, lease)| (*key, *lease))
    }
}

impl Fleet {
    pub(super) fn restack(&mut self, peer: PeerId, now: Option<(SourceId, Stack)>) {
        let Some(dap) = self.daps.get_mut(&peer) else { return };
        let before = std::mem::replace(&mut dap.stacked, now);
        if before == now {
            return;
        }
        if let Some((source, stack)) = before
            && let Some(stacks) = self.stacks.get_mut(&source)
        {
            stacks.by_height.remove(&(stack.waits, peer));
            stacks.recalled -= stack.recalled;
            if stack.recalled > now.map_or(0, |(_, now)| now.recalled) {
                // The next may be asked for.
                self.uneven.push(source);
            }
            if now.is_none() && stacks.by_height.is_empty() && stacks.recalled == 0 {
                self.stacks.remove(&source);
            }
        }
        if let Some((source, stack)) = now {
            let stacks = self.stacks.entry(source).or_default();
            stacks.recalled += stack.recalled;
            if stack.waits > 0 {
                stacks.by_height.insert((stack.waits, peer));
                self.uneven.push(source);
            }
        }
    }

    /// Replicas of ours at which portions of a source wait behind another, the one with most of them first.
    pub(crate) fn stacked(&self, source: SourceId) -> impl Iterator<Item = PeerId> {
        let stacks = self.stacks.get(&source).into_iter();
        stacks.flat_map(|s| s.by_height.iter().rev().map(|(_, peer)| *peer))
    }

    /// Portions of a source that were asked back and not handed back yet.
    pub(crate) fn recalled(&self, source: SourceId) -> usize {
        self.stacks.get(&source).map_or(0, |s| s.recalled)
    }

    /// True where some portion waits behind another.
    pub(crate) fn is_stacked(&self) -> bool {
        !self.stacks.is_empty()
    }

    /// A replica of a peer's may be idle.
    pub(crate) fn look_at(&mut self, source: SourceId) {
        if self.stacks.contains_key(&source) {
            self.uneven.push(source);
        }
    }

    /// Sources to look at: a portion waits behind another, and a replica may be idle.
    pub(crate) fn take_uneven(&mut self) -> Vec<SourceId> {
        std::mem::take(&mut self.uneven)
    }
}
