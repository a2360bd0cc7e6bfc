//! Requests that are over, remembered for a while so that what still comes for them is known to be late.

use std::collections::{HashSet, VecDeque};

use super::{Key, Nanos};

/// Most ids remembered, however short ago they were answered.
const MOST: usize = 1 << 18;

pub(super) struct Past {
    time: Nanos,
    keys: HashSet<Key>,
    due: VecDeque<(Nanos, Key)>,
}

impl Past {
    pub(super) fn new(time: Nanos) -> Self {
        Past { time, keys: HashSet::new(), due: VecDeque::new() }
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    pub(super) fn add(&mut self, key: Key, now: Nanos) {
        if !self.keys.insert(key) {
            return;
        }
        self.due.push_back((now.saturating_add(self.time), key));
        if self.due.len() > MOST
            && let Some((_, oldest)) = self.due.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    pub(super) fn expire(&mut self, now: Nanos) {
        while let Some((_, key)) = self.due.pop_front_if(|(due, _)| *due <= now) {
            self.keys.remove(&key);
        }
    }
}
