//! Large answers on their way through: bytes come from the Agg under credit, go to the client as it reads.
//!
//! Rule kept: what is held of one answer is bounded by the window, whatever its length and however slow its
//! client. The Agg may send [`START_WINDOW`] bytes at once; each byte that went to the client is given back as
//! credit. An Agg that sends more than it has credit for, or out of order, fails that answer alone.
//! Tests: below.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use sg::Corr;
use tokio::sync::Notify;

/// Bytes an Agg may send before it has got any credit.
pub const START_WINDOW: u64 = 2 << 20;
/// An Agg cuts its answer into chunks of about this size, and may be one over.
const CHUNK_SLACK: u64 = 1 << 20;

/// Which answer: request and attempt.
pub type Key = (Corr, i32);

/// The Agg's end of an answer.
pub trait Source: Send + Sync {
    /// It may send this many bytes more.
    fn credit(&self, bytes: u64);
    /// Nobody wants the rest.
    fn stop(&self);
}

/// Answers that are being received.
#[derive(Default)]
pub struct Streams {
    bodies: Mutex<HashMap<Key, Arc<Body>>>,
}

struct Body {
    /// link the bytes come by
    link: u64,
    total: u64,
    window: u64,
    source: Box<dyn Source>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// bytes received, taken by the reader, and given back as credit
    received: u64,
    taken: u64,
    credited: u64,
    failed: Option<String>,
}

/// The receiving end of one answer. Dropping it before its end tells the Agg to stop.
pub struct BodyReader {
    key: Key,
    body: Arc<Body>,
    streams: Arc<Streams>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change under these locks is complete in itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Streams {
    /// Begins an answer of `total` bytes that comes by `link`, held within `window` bytes. `None` where this
    /// attempt's answer has begun already.
    pub fn open(
        self: &Arc<Self>,
        key: Key,
        link: u64,
        total: u64,
        window: u64,
        source: impl Source + 'static,
    ) -> Option<BodyReader> {
        let body = Arc::new(Body {
            link,
            total,
            window,
            source: Box::new(source),
            state: Mutex::default(),
            changed: Notify::new(),
        });
        let mut bodies = lock(&self.bodies);
        if bodies.contains_key(&key) {
            return None;
        }
        bodies.insert(key, body.clone());
        drop(bodies);
        // A wider window than the Agg starts with is granted at once; a narrower one by giving credit later.
        if let Some(more) = window.checked_sub(START_WINDOW).filter(|more| *more > 0) {
            body.source.credit(more);
        }
        Some(BodyReader { key, body, streams: self.clone() })
    }

    /// Bytes of an answer came. False where nobody receives it.
    pub fn push(&self, key: &Key, link: u64, offset: u64, chunk: Vec<Bytes>) -> bool {
        let Some(body) = lock(&self.bodies).get(key).filter(|b| b.link == link).cloned() else {
            return false;
        };
        let mut state = lock(&body.state);
        if state.failed.is_some() {
            return false;
        }
        let len: u64 = chunk.iter().map(|c| c.len() as u64).sum();
        let held = state.received - state.taken;
        let most = body.window.max(START_WINDOW) + CHUNK_SLACK;
        state.failed = if offset != state.received {
            Some(format!("bytes from offset {offset} came where {} was due", state.received))
        } else if len > body.total - state.received {
            Some(format!("more bytes came than the {} announced", body.total))
        } else if held + len > most {
            Some(format!("{} bytes came without credit, the window is {}", held + len, body.window))
        } else {
            state.received += len;
            state.chunks.extend(chunk.into_iter().filter(|c| !c.is_empty()));
            None
        };
        if state.failed.is_some() {
            state.chunks.clear();
        }
        drop(state);
        body.changed.notify_one();
        true
    }

    /// A link is lost: what came by it and is not complete fails.
    pub fn link_down(&self, link: u64) {
        let lost: Vec<Arc<Body>> = lock(&self.bodies).values().filter(|b| b.link == link).cloned().collect();
        for body in lost {
            let mut state = lock(&body.state);
            if state.received < body.total {
                state.failed.get_or_insert_with(|| "the aggregator was lost".into());
            }
            drop(state);
            body.changed.notify_one();
        }
    }

    /// Answers being received.
    pub fn len(&self) -> usize {
        lock(&self.bodies).len()
    }

    /// True with none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl BodyReader {
    /// Bytes of the whole payload object.
    pub fn total(&self) -> u64 {
        self.body.total
    }

    /// What has come and was not taken; waits for some. `None` at the end.
    pub async fn next(&self) -> Result<Option<Vec<Bytes>>, String> {
        loop {
            if let Some(ready) = self.take() {
                return ready;
            }
            self.body.changed.notified().await;
        }
    }

    /// As [`Self::next`], without waiting: `None` where nothing is there.
    #[allow(clippy::type_complexity)]
    pub fn take(&self) -> Option<Result<Option<Vec<Bytes>>, String>> {
        let mut state = lock(&self.body.state);
        if let Some(why) = &state.failed {
            return Some(Err(why.clone()));
        }
        if !state.chunks.is_empty() {
            let chunks: Vec<Bytes> = state.chunks.drain(..).collect();
            state.taken += chunks.iter().map(|c| c.len() as u64).sum::<u64>();
            return Some(Ok(Some(chunks)));
        }
        (state.taken == self.body.total).then_some(Ok(None))
    }

    /// What was taken has been passed on: the Agg may send as much again, as far as there is more.
    pub fn passed(&self) {
        let mut state = lock(&self.body.state);
        let start = self.body.window.max(START_WINDOW);
        // Credit follows what was taken, at the distance by which the window is narrower than the start.
        let narrow = START_WINDOW.saturating_sub(self.body.window);
        let due = state.taken.saturating_sub(narrow).min(self.body.total.saturating_sub(start));
        let bytes = due.saturating_sub(state.credited);
        // A message for every few bytes would cost more than it gives.
        if bytes == 0 || (bytes < self.body.window / 8 && due + start < self.body.total) {
            return;
        }
        state.credited = due;
        drop(state);
        self.body.source.credit(bytes);
    }
}

impl Drop for BodyReader {
    fn drop(&mut self) {
        lock(&self.streams.bodies).remove(&self.key);
        let state = lock(&self.body.state);
        let complete = state.taken == self.body.total && state.failed.is_none();
        drop(state);
        if !complete {
            self.body.source.stop();
        }
    }
}

impl std::fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BodyReader({} bytes of {})", self.body.total, self.key.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    #[derive(Clone, Default)]
    struct Agg {
        credit: Arc<AtomicU64>,
        stopped: Arc<AtomicBool>,
    }

    impl Source for Agg {
        fn credit(&self, bytes: u64) {
            self.credit.fetch_add(bytes, Ordering::Relaxed);
        }
        fn stop(&self) {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    const KEY: Key = (Corr([1; 16]), 0);

    fn open(total: u64, window: u64) -> (Arc<Streams>, Agg, BodyReader) {
        let (streams, agg) = (Arc::new(Streams::default()), Agg::default());
        let reader = streams.open(KEY, 7, total, window, agg.clone()).unwrap();
        (streams, agg, reader)
    }

    fn bytes(n: usize) -> Vec<Bytes> {
        vec![vec![1; n].into()]
    }

    #[tokio::test]
    async fn all_bytes_arrive_in_order_and_then_the_end() {
        let (streams, agg, reader) = open(10, START_WINDOW);
        assert!(streams.push(&KEY, 7, 0, bytes(4)));
        assert!(streams.push(&KEY, 7, 4, bytes(6)));
        let got = reader.next().await.unwrap().unwrap();
        assert_eq!(got.iter().map(Bytes::len).sum::<usize>(), 10);
        assert_eq!(reader.next().await, Ok(None));
        drop(reader);
        assert!(!agg.stopped.load(Ordering::Relaxed));
        assert!(streams.is_empty());
    }

    /// An Agg that uses every byte of its credit never has more than the window under way, and is never
    /// left without credit while bytes are missing.
    #[test]
    fn credit_brings_the_whole_answer_and_never_more_than_the_window() {
        for window in [64 << 10, START_WINDOW, 3 * START_WINDOW] {
            let total = 40_000_000u64;
            let (streams, agg, reader) = open(total, window);
            let (mut sent, mut got) = (0u64, 0u64);
            while got < total {
                let may = START_WINDOW + agg.credit.load(Ordering::Relaxed);
                let n = (total.min(may) - sent).min(256 << 10);
                if n > 0 {
                    assert!(streams.push(&KEY, 7, sent, bytes(n as usize)));
                    sent += n;
                    assert!(sent - got <= window.max(START_WINDOW), "{window}");
                    if sent < total.min(may) {
                        continue;
                    }
                }
                let Some(Ok(Some(chunks))) = reader.take() else {
                    panic!("stuck at {got} of {total}, window {window}")
                };
                got += chunks.iter().map(|c| c.len() as u64).sum::<u64>();
                reader.passed();
            }
            assert_eq!(reader.take(), Some(Ok(None)));
            assert!(agg.credit.load(Ordering::Relaxed) + START_WINDOW <= total.max(window));
        }
    }

    #[test]
    fn an_agg_that_breaks_the_rules_fails_that_answer() {
        for (offset, n, word) in [(1u64, 1usize, "offset"), (0, 11, "announced")] {
            let (streams, _, reader) = open(10, START_WINDOW);
            streams.push(&KEY, 7, offset, bytes(n));
            assert!(reader.take().unwrap().unwrap_err().contains(word));
        }
        let (streams, agg, reader) = open(1 << 30, START_WINDOW);
        for i in 0..40 {
            streams.push(&KEY, 7, i * 100_000, bytes(100_000));
        }
        assert!(reader.take().unwrap().unwrap_err().contains("without credit"));
        drop(reader);
        assert!(agg.stopped.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_lost_agg_fails_only_what_is_not_complete() {
        let (streams, _, reader) = open(4, START_WINDOW);
        let other = streams.open((Corr([2; 16]), 0), 7, 4, START_WINDOW, Agg::default()).unwrap();
        streams.push(&KEY, 7, 0, bytes(4));
        streams.link_down(7);
        assert!(reader.next().await.unwrap().is_some());
        assert_eq!(reader.next().await, Ok(None));
        assert!(other.next().await.unwrap_err().contains("lost"));
    }

    #[test]
    fn a_reader_that_leaves_stops_the_agg_and_later_bytes_are_nobodys() {
        let (streams, agg, reader) = open(4, START_WINDOW);
        drop(reader);
        assert!(agg.stopped.load(Ordering::Relaxed));
        assert!(!streams.push(&KEY, 7, 0, bytes(4)));
    }

    #[test]
    fn bytes_by_another_link_are_nobodys() {
        let (streams, _, reader) = open(4, START_WINDOW);
        assert!(!streams.push(&KEY, 8, 0, bytes(4)));
        assert!(reader.take().is_none());
    }
}
