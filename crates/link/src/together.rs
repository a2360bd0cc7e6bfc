//! What came together leaves together: links that get messages while a batch of received ones is worked on are woken at
//! its end.
//!
//! Woken at once, a link's writing task runs on another thread while the batch goes on, and each message is a write of
//! its own, which costs more than all that is done for it here. What waits does so for [`MOST`] and one message more. A
//! link that is quiet is written to at once in any case. Tests: `tests/links`.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use crate::Sender;

/// Longest time that a link is not woken.
const MOST: Duration = Duration::from_micros(100);

thread_local! {
    /// Links to be woken, while a batch is worked on here.
    static HELD: RefCell<Option<Vec<Sender>>> = const { RefCell::new(None) };
}

/// A batch of messages on this thread, which is not to leave it: there is no wait while it lives.
pub(crate) struct Together {
    since: Instant,
    /// it stays on its thread
    _here: std::marker::PhantomData<*const ()>,
}

impl Together {
    /// Begins a batch. There is one at a time on a thread.
    pub(crate) fn begin() -> Self {
        HELD.with_borrow_mut(|held| _ = held.get_or_insert_default());
        Together { since: Instant::now(), _here: std::marker::PhantomData }
    }

    /// A message of the batch is done: what has waited for long leaves.
    pub(crate) fn one_is_done(&mut self) {
        if HELD.with_borrow(|held| held.as_ref().is_some_and(|held| !held.is_empty())) {
            let now = Instant::now();
            if now.duration_since(self.since) > MOST {
                self.since = now;
                wake(HELD.with_borrow_mut(|held| held.as_mut().map(std::mem::take)));
            }
        }
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        wake(HELD.take());
    }
}

fn wake(held: Option<Vec<Sender>>) {
    held.into_iter().flatten().for_each(|link| link.rouse());
}

/// Whether this link is woken later, at the end of the batch that this thread works on.
pub(crate) fn holds(link: &Sender) -> bool {
    HELD.with_borrow_mut(|held| held.as_mut().map(|held| held.push(link.clone())).is_some())
}
