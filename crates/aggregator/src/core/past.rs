//! Requests that are over, remembered for a while: so that what still comes for them is known to be late, and so
//! that it is known whose answers a lost link may have taken with it.

use std::collections::VecDeque;

use ahash::HashSet;

use super::{Key, Nanos};

/// Most ids remembered, however short ago they were answered.
const MOST: usize = 1 << 18;

/// By which link an answer went, and whom it concerns.
pub(super) struct Handed<L> {
    /// link to the GW
    pub(super) gw: u64,
    /// link of the RC that planned the request
    pub(super) rc: L,
    /// after this nobody waits for it
    pub(super) deadline: Nanos,
}

struct Entry<L> {
    due: Nanos,
    key: Key,
    handed: Option<Handed<L>>,
}

pub(super) struct Past<L> {
    time: Nanos,
    keys: HashSet<Key>,
    entries: VecDeque<Entry<L>>,
}

impl<L> Past<L> {
    pub(super) fn new(time: Nanos) -> Self {
        Past { time, keys: HashSet::default(), entries: VecDeque::new() }
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    pub(super) fn add(&mut self, key: Key, handed: Option<Handed<L>>, now: Nanos) {
        if !self.keys.insert(key) {
            return;
        }
        self.entries.push_back(Entry { due: now.saturating_add(self.time), key, handed });
        if self.entries.len() > MOST
            && let Some(oldest) = self.entries.pop_front()
        {
            self.keys.remove(&oldest.key);
        }
    }

    /// Answers that went by this link and that somebody may still wait for; each is told once.
    pub(super) fn lost_with(&mut self, gw: u64, now: Nanos) -> Vec<(L, Key)> {
        let theirs = self.entries.iter_mut().filter_map(|entry| {
            let handed = entry.handed.take_if(|handed| handed.gw == gw)?;
            (now < handed.deadline).then_some((handed.rc, entry.key))
        });
        theirs.collect()
    }

    pub(super) fn expire(&mut self, now: Nanos) {
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.due <= now) {
            self.keys.remove(&entry.key);
        }
    }
}
