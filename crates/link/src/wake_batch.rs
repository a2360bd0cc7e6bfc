//! Coalesces wake-ups: a link's writer is woken once per batch of received messages.
//!
//! An immediate wake-up runs the writer on another thread during the batch, with one write per message; the write costs
//! more than the handling of the message. A message waits for [`MOST`] plus one further message. The last message of a
//! batch is written to a quiet link at once. Tests: `tests/links`.

use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    time::{Duration, Instant},
};

use crate::Sender;

/// Longest time that a link is not woken.
const MOST: Duration = Duration::from_micros(100);

thread_local! {
    /// Links to be woken, while a batch is worked on here.
    static HELD: RefCell<Option<Vec<Sender>>> = const { RefCell::new(None) };
    /// The batch has more messages than the one that is handled.
    static MORE: Cell<bool> = const { Cell::new(false) };
}

/// A batch of messages, handled in order on this thread. The caller must not await while the batch lives.
pub(crate) struct WakeBatch<I> {
    messages: I,
    since: Instant,
    /// it stays on its thread
    _here: PhantomData<*const ()>,
}

impl<I: ExactSizeIterator> WakeBatch<I> {
    /// Begins a batch. There is one at a time on a thread.
    pub(crate) fn begin(messages: I) -> Self {
        HELD.with_borrow_mut(|held| _ = held.get_or_insert_default());
        WakeBatch { messages, since: Instant::now(), _here: PhantomData }
    }
}

impl<I: ExactSizeIterator> Iterator for WakeBatch<I> {
    type Item = I::Item;

    /// The one before is done: what has waited for long leaves.
    fn next(&mut self) -> Option<I::Item> {
        if HELD.with_borrow(|held| held.as_ref().is_some_and(|held| !held.is_empty())) {
            let now = Instant::now();
            if now.duration_since(self.since) > MOST {
                self.since = now;
                wake(HELD.with_borrow_mut(|held| held.as_mut().map(std::mem::take)));
            }
        }
        let message = self.messages.next();
        MORE.set(self.messages.len() > 0);
        message
    }
}

impl<I> Drop for WakeBatch<I> {
    fn drop(&mut self) {
        MORE.set(false);
        wake(HELD.take());
    }
}

fn wake(held: Option<Vec<Sender>>) {
    held.into_iter().flatten().for_each(|link| link.rouse());
}

/// Whether messages of the batch follow, which may have more for a link.
pub(crate) fn expects_more() -> bool {
    MORE.get()
}

/// Whether this link is woken later, at the end of the batch that this thread works on.
pub(crate) fn holds(link: &Sender) -> bool {
    HELD.with_borrow_mut(|held| held.as_mut().map(|held| held.push(link.clone())).is_some())
}
