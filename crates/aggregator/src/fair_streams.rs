//! Large answers of one GW link, a chunk each in turn: sans-io.
//!
//! Rule kept (design: mesh §5): one slow reader never blocks the link for the others. Each answer has its own
//! credit. Answers with credit send a chunk in turn; an answer without credit waits, and is dropped after a limit. Chunks are slices of the answer's segments. Tests: here.

use std::collections::{HashMap, VecDeque};

use bytes::{Buf, Bytes};

use crate::core::{Key, Nanos};

/// Bytes that may be sent before the GW gives any credit: the default of its `KXI_SG_BUFFER_INITIAL`.
pub const START_WINDOW: u64 = 2 << 20;
/// Bytes of a full chunk.
pub const CHUNK: usize = 256 << 10;

/// Part of an answer that may be sent now.
#[derive(Debug, PartialEq)]
pub struct Piece {
    /// request and attempt of the answer
    pub key: Key,
    /// offset in the answer, bytes
    pub offset: u64,
    /// the bytes, in segments
    pub bytes: Vec<Bytes>,
    /// true for the last piece of the answer
    pub last: bool,
}

struct Answer {
    segments: VecDeque<Bytes>,
    offset: u64,
    left: u64,
    credit: u64,
    /// last time with credit
    since: Nanos,
}

/// The answers of one link, round robin.
#[derive(Default)]
pub struct FairStreams {
    answers: HashMap<Key, Answer>,
    /// answers with credit, next first
    turn: VecDeque<Key>,
}

impl FairStreams {
    /// Adds an answer of at least one byte.
    pub fn add(&mut self, key: Key, segments: Vec<Bytes>, now: Nanos) {
        let left = segments.iter().map(|s| s.len() as u64).sum();
        let answer = Answer { segments: segments.into(), offset: 0, left, credit: START_WINDOW, since: now };
        if self.answers.insert(key, answer).is_none() {
            self.turn.push_back(key);
        }
    }

    /// The GW can take more of an answer.
    pub fn credit(&mut self, key: &Key, bytes: u64, now: Nanos) {
        let Some(answer) = self.answers.get_mut(key) else { return };
        if answer.credit == 0 && bytes > 0 {
            self.turn.push_back(*key);
        }
        answer.credit = answer.credit.saturating_add(bytes);
        answer.since = now;
    }

    /// Forgets an answer; true where it was there.
    pub fn remove(&mut self, key: &Key) -> bool {
        self.turn.retain(|k| k != key);
        self.answers.remove(key).is_some()
    }

    /// The next piece, of the answer whose turn it is. The last piece of an answer ends it.
    pub fn next(&mut self, now: Nanos) -> Option<Piece> {
        let key = self.turn.pop_front()?;
        let answer = self.answers.get_mut(&key)?;
        let size = (CHUNK as u64).min(answer.credit).min(answer.left);
        let (offset, mut bytes, mut wanted) = (answer.offset, Vec::with_capacity(1), size as usize);
        while let Some(segment) = answer.segments.front_mut().filter(|_| wanted > 0) {
            let taken = segment.split_to(wanted.min(segment.len()));
            if !segment.has_remaining() {
                answer.segments.pop_front();
            }
            wanted -= taken.len();
            if !taken.is_empty() {
                bytes.push(taken);
            }
        }
        answer.offset += size;
        answer.left -= size;
        answer.credit -= size;
        answer.since = now;
        let last = answer.left == 0;
        if last {
            self.answers.remove(&key);
        } else if answer.credit > 0 {
            self.turn.push_back(key);
        }
        Some(Piece { key, offset, bytes, last })
    }

    /// Answers that have waited for credit longer than this; they are forgotten.
    pub fn stalled(&mut self, now: Nanos, longest: Nanos) -> Vec<Key> {
        let waits = |a: &Answer| a.credit == 0 && now.saturating_sub(a.since) >= longest;
        let waiting = self.answers.iter().filter(|(_, a)| waits(a));
        let mut stalled: Vec<Key> = waiting.map(|(key, _)| *key).collect();
        // The order in the map is random; sorted, what follows can be replayed.
        stalled.sort_unstable();
        stalled.iter().for_each(|key| _ = self.remove(key));
        stalled
    }

    /// Forgets all answers and tells which they were.
    pub fn clear(&mut self) -> Vec<Key> {
        self.turn.clear();
        let mut all: Vec<Key> = self.answers.drain().map(|(key, _)| key).collect();
        all.sort_unstable();
        all
    }

    /// True without answers.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use sg::Corr;

    use super::*;

    const A: Key = (Corr([1; 16]), 0);
    const B: Key = (Corr([2; 16]), 0);

    fn bytes(n: usize, seed: usize) -> Bytes {
        (0..n).map(|i| ((i + seed) % 251) as u8).collect::<Vec<_>>().into()
    }

    fn all(streams: &mut FairStreams) -> Vec<Piece> {
        std::iter::from_fn(|| streams.next(0)).collect()
    }

    #[test]
    fn pieces_are_the_answer_cut_at_chunks_whatever_its_segments() {
        let whole = bytes(1_000_000, 0);
        let mut streams = FairStreams::default();
        let segments = vec![
            whole.slice(..10),
            Bytes::new(),
            whole.slice(10..300_000),
            whole.slice(300_000..300_001),
            whole.slice(300_001..),
            Bytes::new(),
        ];
        streams.add(A, segments, 0);
        let pieces = all(&mut streams);
        let mut joined = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            assert_eq!(piece.offset, joined.len() as u64);
            assert_eq!(piece.last, i + 1 == pieces.len());
            joined.extend(piece.bytes.concat());
        }
        assert_eq!(pieces.len(), 1_000_000usize.div_ceil(CHUNK));
        assert!(joined == whole);
        assert!(streams.is_empty());
    }

    #[test]
    fn an_answer_stops_at_its_credit_and_goes_on_with_more() {
        let mut streams = FairStreams::default();
        streams.add(A, vec![bytes(3 << 20, 0)], 0);
        let sent: usize = all(&mut streams).iter().map(|p| p.bytes.concat().len()).sum();
        assert_eq!(sent as u64, START_WINDOW);
        streams.credit(&A, 100, 0);
        let pieces = all(&mut streams);
        assert_eq!((pieces.len(), pieces[0].offset, pieces[0].bytes.concat().len()), (1, START_WINDOW, 100));
        streams.credit(&A, u64::MAX, 0);
        assert!(all(&mut streams).pop().is_some_and(|p| p.last));
    }

    #[test]
    fn answers_take_turns_and_one_without_credit_holds_nobody_up() {
        let mut streams = FairStreams::default();
        streams.add(A, vec![bytes(8 << 20, 0)], 0);
        all(&mut streams);
        streams.add(B, vec![bytes(1 << 20, 0)], 0);
        streams.credit(&A, CHUNK as u64 * 2, 0);
        let order: Vec<Key> = all(&mut streams).iter().map(|p| p.key).collect();
        assert_eq!(order, [B, A, B, A, B, B]);
    }

    #[test]
    fn a_stopped_answer_is_not_sent_on() {
        let mut streams = FairStreams::default();
        streams.add(A, vec![bytes(1 << 20, 0)], 0);
        streams.next(0);
        assert!(streams.remove(&A));
        assert!(!streams.remove(&A));
        streams.credit(&A, 5, 0);
        assert_eq!(all(&mut streams), []);
    }

    #[test]
    fn an_answer_without_credit_for_too_long_is_given_up_and_others_are_not() {
        let mut streams = FairStreams::default();
        streams.add(A, vec![bytes(3 << 20, 0)], 0);
        streams.add(B, vec![bytes(3 << 20, 0)], 0);
        all(&mut streams);
        streams.credit(&B, 1, 50);
        streams.next(60);
        assert_eq!(streams.stalled(99, 100), []);
        assert_eq!(streams.stalled(100, 100), [A]);
        assert_eq!(streams.stalled(160, 100), [B]);
        assert!(streams.is_empty());
    }
}
