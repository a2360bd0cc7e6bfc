//! What waits to be written to one client: answers to synchronous calls in the order of the calls, callbacks
//! as they come.
//!
//! Filled by whoever has an answer, without waiting. A small answer whose turn it is is written there and then, what
//! the socket does not take at once by the connection's writer. Bounded by the requests a connection may have
//! outstanding: its reader waits in [`Outbox::room`] before it takes another. Tests: below, `tests/qipc`.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use qipc::{Frame, net::Writer};
use sg::Corr;
use tokio::sync::Notify;

use crate::reply::StreamReply;

/// A reply to write.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A whole message.
    Frame(Frame),
    /// A message whose payload comes as a stream.
    Stream(Box<StreamReply>),
}

impl Reply {
    /// True where the message says so: the third byte of its header.
    pub(crate) fn is_compressed(&self) -> bool {
        const PACKING: usize = 2;
        let head = match self {
            Reply::Frame(frame) => frame.0.first(),
            Reply::Stream(stream) => Some(&stream.head),
        };
        head.and_then(|head| head.get(PACKING)).is_some_and(|packing| *packing != 0)
    }
}

/// Place of a synchronous call among those of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

#[derive(Debug)]
enum Slot {
    Waiting(Option<Corr>),
    Ready(Reply),
}

#[derive(Debug, Default)]
struct State {
    /// number of the first slot
    first: u64,
    slots: VecDeque<Slot>,
    callbacks: VecDeque<Reply>,
    /// asynchronous requests without an answer yet
    asynchronous: HashSet<Corr>,
    /// nothing is added any more; the writer ends when nothing is left that is ready
    closing: bool,
    /// no further request is read; the writer ends when all that were are answered
    draining: bool,
    /// the writer has ended
    closed: bool,
    /// rests here while nothing is being written
    writer: Option<Writer>,
    /// when it last wrote
    wrote: Option<Instant>,
}

/// A connection that was written to this recently has several requests under way: their answers leave together.
const BUSY: Duration = Duration::from_micros(50);

/// What waits to be written to one client.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// something can be written
    ready: Notify,
    /// there is room for another request
    room: Notify,
    limit: usize,
}

impl Outbox {
    /// Nothing; at most `limit` requests outstanding later.
    pub(crate) fn new(limit: usize) -> Self {
        Outbox { state: Mutex::default(), ready: Notify::new(), room: Notify::new(), limit: limit.max(1) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change under the lock is complete in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until another request may be taken. False once the connection is closed.
    pub(crate) async fn room(&self) -> bool {
        loop {
            let woken = self.room.notified();
            {
                let state = self.state();
                if state.closed {
                    return false;
                }
                if state.slots.len() + state.asynchronous.len() + state.callbacks.len() < self.limit {
                    return true;
                }
            }
            woken.await;
        }
    }

    /// True where nothing is outstanding or waits to be written.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state();
        state.slots.is_empty() && state.asynchronous.is_empty() && state.callbacks.is_empty()
    }

    /// A place for the answer to a synchronous call.
    pub(crate) fn reserve(&self, corr: Option<Corr>) -> Ticket {
        let mut state = self.state();
        state.slots.push_back(Slot::Waiting(corr));
        Ticket(state.first + state.slots.len() as u64 - 1)
    }

    /// The answer to a synchronous call. Dropped where the connection is closed.
    pub(crate) fn fill(&self, ticket: Ticket, reply: Reply) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        let at = ticket.0.wrapping_sub(state.first) as usize;
        if !matches!(state.slots.get(at), Some(Slot::Waiting(_))) {
            return;
        }
        let reply = match reply {
            Reply::Frame(frame) if at == 0 && state.callbacks.is_empty() => match state.send_now(frame) {
                None => {
                    state.slots.pop_front();
                    state.first += 1;
                    let more = matches!(state.slots.front(), Some(Slot::Ready(_)));
                    let ending = state.closing || state.draining;
                    drop(state);
                    self.room.notify_one();
                    if more || ending {
                        self.ready.notify_one();
                    }
                    return;
                }
                Some(rest) => Reply::Frame(rest),
            },
            reply => reply,
        };
        state.slots[at] = Slot::Ready(reply);
        drop(state);
        if at == 0 {
            self.ready.notify_one();
        }
    }

    /// Replies are written by this. [`Outbox::next`] gives it away with what is to be written.
    pub(crate) fn write_by(&self, writer: Writer) {
        let mut state = self.state();
        (state.writer, state.wrote) = (Some(writer), Some(Instant::now()));
    }

    /// Counts an asynchronous request.
    pub(crate) fn expect(&self, corr: Corr) {
        self.state().asynchronous.insert(corr);
    }

    /// The end of an asynchronous request, with a callback if it has one.
    pub(crate) fn call_back(&self, corr: &Corr, reply: Option<Reply>) {
        let mut state = self.state();
        state.asynchronous.remove(corr);
        if state.closed {
            return;
        }
        state.callbacks.extend(reply);
        drop(state);
        self.ready.notify_one();
        self.room.notify_one();
    }

    /// What can be written now, waiting for it: whole messages up to `most`, or one stream. `None` at the end. With it
    /// comes the writer, if it is here: whoever has it gives it back when all is written.
    pub(crate) async fn next(&self, most: usize) -> (Option<Vec<Reply>>, Option<Writer>) {
        loop {
            let woken = self.ready.notified();
            {
                let mut state = self.state();
                let mut batch = Vec::new();
                while batch.len() < most
                    && let Some(reply) = state.take()
                {
                    let is_stream = matches!(reply, Reply::Stream(_));
                    batch.push(reply);
                    if is_stream {
                        break;
                    }
                }
                if !batch.is_empty() {
                    let writer = state.writer.take();
                    drop(state);
                    self.room.notify_one();
                    return (Some(batch), writer);
                }
                let drained = state.draining && state.slots.is_empty() && state.asynchronous.is_empty();
                if state.closing || state.closed || drained {
                    return (None, state.writer.take());
                }
            }
            woken.await;
        }
    }

    /// No more requests come: what is ready is still written.
    pub(crate) fn finish(&self) {
        self.state().closing = true;
        self.ready.notify_one();
    }

    /// No more requests come: the writer ends once those that came are answered.
    pub(crate) fn drain(&self) {
        self.state().draining = true;
        self.ready.notify_one();
    }

    /// The connection is gone: everything is dropped. Gives the requests that had no answer.
    pub(crate) fn close(&self) -> Vec<Corr> {
        let dropped;
        let outstanding = {
            let mut state = self.state();
            state.closed = true;
            let waiting = state.slots.iter().filter_map(|s| match s {
                Slot::Waiting(corr) => *corr,
                Slot::Ready(_) => None,
            });
            let outstanding = waiting.chain(state.asynchronous.iter().copied()).collect();
            // The writer too: requests that still run hold the outbox, and the connection is to close.
            let replies = (std::mem::take(&mut state.slots), std::mem::take(&mut state.callbacks));
            dropped = (replies, state.writer.take());
            state.asynchronous.clear();
            outstanding
        };
        // Streams tell their Agg to stop when dropped, which is not done under the lock.
        drop(dropped);
        self.ready.notify_one();
        self.room.notify_one();
        outstanding
    }
}

impl State {
    /// The next reply: the oldest call's if it is ready, else a callback.
    fn take(&mut self) -> Option<Reply> {
        match self.slots.pop_front() {
            Some(Slot::Ready(reply)) => {
                self.first += 1;
                return Some(reply);
            }
            Some(waiting) => self.slots.push_front(waiting),
            None => {}
        }
        self.callbacks.pop_front()
    }

    /// Writes a small frame if nothing else is being written; what is left of it. An error is left to the writer.
    fn send_now(&mut self, frame: Frame) -> Option<Frame> {
        let now = Instant::now();
        let busy = self.wrote.is_some_and(|wrote| now.saturating_duration_since(wrote) < BUSY);
        let Some(writer) = self.writer.as_mut().filter(|_| !busy) else { return Some(frame) };
        self.wrote = Some(now);
        writer.send_now(frame.clone()).unwrap_or(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn reply(text: &'static str) -> Reply {
        Reply::Frame(Frame(vec![text.into()]))
    }

    async fn next(outbox: &Outbox) -> Option<Vec<Reply>> {
        outbox.next(10).await.0
    }

    fn texts(batch: Vec<Reply>) -> Vec<String> {
        let text = |r| match r {
            Reply::Frame(f) => String::from_utf8(f.to_bytes().to_vec()).unwrap(),
            Reply::Stream(_) => "stream".into(),
        };
        batch.into_iter().map(text).collect()
    }

    #[tokio::test]
    async fn answers_leave_in_the_order_of_the_calls() {
        let outbox = Outbox::new(10);
        let tickets: Vec<_> = (0..3).map(|_| outbox.reserve(None)).collect();
        outbox.fill(tickets[2], reply("c"));
        outbox.fill(tickets[0], reply("a"));
        assert_eq!(texts(next(&outbox).await.unwrap()), ["a"]);
        outbox.fill(tickets[1], reply("b"));
        assert_eq!(texts(next(&outbox).await.unwrap()), ["b", "c"]);
    }

    #[tokio::test]
    async fn a_second_answer_to_a_call_is_dropped() {
        let outbox = Outbox::new(10);
        let (first, _second) = (outbox.reserve(None), outbox.reserve(None));
        outbox.fill(first, reply("a"));
        outbox.fill(first, reply("again"));
        assert_eq!(texts(next(&outbox).await.unwrap()), ["a"]);
        outbox.fill(first, reply("late"));
        outbox.finish();
        assert!(next(&outbox).await.is_none());
    }

    #[tokio::test]
    async fn callbacks_do_not_wait_for_calls() {
        let outbox = Outbox::new(10);
        outbox.reserve(Some(Corr([1; 16])));
        outbox.expect(Corr([2; 16]));
        outbox.call_back(&Corr([2; 16]), Some(reply("cb")));
        assert_eq!(texts(next(&outbox).await.unwrap()), ["cb"]);
        assert_eq!(outbox.close(), [Corr([1; 16])]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_outbox_makes_the_reader_wait() {
        let outbox = Arc::new(Outbox::new(2));
        let first = outbox.reserve(None);
        assert!(outbox.room().await);
        outbox.expect(Corr([2; 16]));
        let waiting = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.room().await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        outbox.fill(first, reply("a"));
        next(&outbox).await.unwrap();
        assert!(waiting.await.unwrap());
        outbox.close();
        assert!(!outbox.room().await);
    }
}
