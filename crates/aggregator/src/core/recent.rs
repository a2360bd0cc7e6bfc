//! Finished requests, remembered for a while: to recognise late partials, and to name answers that a lost link may have
//! dropped.

use std::collections::VecDeque;

use ahash::HashSet;

use super::{Key, Nanos};

/// Most ids remembered, however short ago they were answered.
const MOST: usize = 1 << 18;

/// The link of a sent answer, and the requester.
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

/// Entries that lie together: what is added never moves those that are there.
const CHUNK: usize = 1 << 10;

pub(super) struct Recent<L> {
    time: Nanos,
    keys: HashSet<Key>,
    /// the oldest first; no chunk is empty
    chunks: VecDeque<VecDeque<Entry<L>>>,
}

impl<L> Recent<L> {
    pub(super) fn new(time: Nanos) -> Self {
        Recent { time, keys: HashSet::default(), chunks: VecDeque::new() }
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    pub(super) fn add(&mut self, key: Key, handed: Option<Handed<L>>, now: Nanos) {
        if !self.keys.insert(key) {
            return;
        }
        let entry = Entry { due: now.saturating_add(self.time), key, handed };
        match self.chunks.back_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push_back(entry),
            None => {
                let mut chunk = VecDeque::with_capacity(CHUNK);
                chunk.push_back(entry);
                self.chunks.push_back(chunk);
            }
        }
        if self.keys.len() > MOST {
            self.forget_oldest(|_| true);
        }
    }

    /// Forgets the oldest where that is `so`; false where there was none.
    fn forget_oldest(&mut self, so: impl Fn(&Entry<L>) -> bool) -> bool {
        let Some(chunk) = self.chunks.front_mut() else { return false };
        let Some(oldest) = chunk.pop_front_if(|entry| so(entry)) else { return false };
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
        self.keys.remove(&oldest.key);
        true
    }

    /// Answers that went by this link and that somebody may still wait for; each is told once.
    pub(super) fn lost_with(&mut self, gw: u64, now: Nanos) -> Vec<(L, Key)> {
        let theirs = self.chunks.iter_mut().flatten().filter_map(|entry| {
            let handed = entry.handed.take_if(|handed| handed.gw == gw)?;
            (now < handed.deadline).then_some((handed.rc, entry.key))
        });
        theirs.collect()
    }

    pub(super) fn expire(&mut self, now: Nanos) {
        while self.forget_oldest(|entry| entry.due <= now) {}
    }
}

#[cfg(test)]
mod tests {
    use sg::Corr;

    use super::*;

    fn key(n: usize) -> Key {
        (Corr((n as u128).to_le_bytes()), 0)
    }

    #[test]
    fn what_is_over_is_known_for_its_time_and_no_more_than_so_many() {
        let mut past: Recent<()> = Recent::new(10);
        (0..3 * CHUNK).for_each(|n| past.add(key(n), None, n as Nanos));
        past.add(key(0), None, 0);
        past.expire(CHUNK as Nanos + 15);
        // Those of up to CHUNK + 5 are due.
        assert!(!past.contains(&key(CHUNK + 5)) && past.contains(&key(CHUNK + 6)));
        past.expire(Nanos::MAX);
        assert!(past.keys.is_empty() && past.chunks.is_empty());
        (0..MOST + CHUNK + 7).for_each(|n| past.add(key(n), None, 0));
        assert_eq!(past.keys.len(), MOST);
        assert_eq!(past.chunks.iter().map(VecDeque::len).sum::<usize>(), MOST);
        assert!(!past.contains(&key(CHUNK + 6)) && past.contains(&key(CHUNK + 7)));
    }

    #[test]
    fn each_answer_that_a_link_took_along_is_told_once() {
        let mut past = Recent::new(1_000);
        for n in 0..2 * CHUNK {
            let handed = Handed { gw: n as u64 % 2, rc: n, deadline: if n < 4 { 5 } else { 500 } };
            past.add(key(n), Some(handed), 0);
        }
        let lost = past.lost_with(1, 100);
        assert_eq!(lost.len(), CHUNK - 2, "but for those that nobody waits for any more");
        assert!(lost.iter().all(|(rc, k)| rc % 2 == 1 && *k == key(*rc)));
        assert!(past.lost_with(1, 100).is_empty());
    }
}
