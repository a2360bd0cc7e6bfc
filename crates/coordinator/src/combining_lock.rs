//! A combining lock. If the state is locked, callers queue their items and return; the holder drains the queue before
//! unlocking.
//!
//! Waiting for the lock would cost as much as the work: the holder works for a few microseconds, about the time of one
//! sleep and wake-up. The holder drains the queue before unlocking, and looks again after unlocking, so that no item is
//! left.
//!
//! Rule kept: items of one thread are handled in the thread's order. Test: below.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
};

/// Longest queue without a wait: beyond, submitters are faster than the holder, and take the lock themselves.
const MOST_QUEUED: usize = 1024;

/// The state, and the queue of items for the state.
pub(crate) struct CombiningLock<S, I> {
    state: Mutex<S>,
    queue: Mutex<Vec<I>>,
}

/// The locked state.
pub(crate) struct Guard<'a, S, I, T: Fn(&mut S, Vec<I>)> {
    lock: &'a CombiningLock<S, I>,
    /// `None` only during the unlock
    state: Option<MutexGuard<'a, S>>,
    take: T,
}

impl<S, I> CombiningLock<S, I> {
    pub(crate) fn new(state: S) -> Self {
        CombiningLock { state: Mutex::new(state), queue: Mutex::default() }
    }

    /// Locks the state, with a wait. Queued items are handled first.
    pub(crate) fn lock<T: Fn(&mut S, Vec<I>)>(&self, take: T) -> Guard<'_, S, I, T> {
        // Handlers keep the state whole at each point that may panic; going on is better than a dead coordinator.
        self.guard(self.state.lock().unwrap_or_else(PoisonError::into_inner), take)
    }

    /// Locks the state without a wait, if free. Queued items are handled first.
    pub(crate) fn try_lock<T: Fn(&mut S, Vec<I>)>(&self, take: T) -> Option<Guard<'_, S, I, T>> {
        Some(self.guard(self.free()?, take))
    }

    /// Queues items for the holder, or handles the items if the lock is free.
    pub(crate) fn submit<T: Fn(&mut S, Vec<I>)>(&self, items: impl IntoIterator<Item = I>, take: T) {
        let queued = {
            let mut queue = self.queue();
            queue.extend(items);
            queue.len()
        };
        match queued {
            0..=MOST_QUEUED => drop(self.try_lock(take)),
            _ => drop(self.lock(take)),
        }
    }

    fn guard<'a, T: Fn(&mut S, Vec<I>)>(&'a self, state: MutexGuard<'a, S>, take: T) -> Guard<'a, S, I, T> {
        let mut held = Guard { lock: self, state: Some(state), take };
        held.drain();
        held
    }

    fn free(&self) -> Option<MutexGuard<'_, S>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(state)) => Some(state.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Vec<I>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S, I, T: Fn(&mut S, Vec<I>)> Guard<'_, S, I, T> {
    /// Handles the items queued until now.
    pub(crate) fn drain(&mut self) {
        // Without the state the items stay for the holder.
        let Some(state) = &mut self.state else { return };
        let items = std::mem::take(&mut *self.lock.queue());
        if !items.is_empty() {
            (self.take)(state, items);
        }
    }
}

impl<S, I, T: Fn(&mut S, Vec<I>)> Drop for Guard<'_, S, I, T> {
    fn drop(&mut self) {
        // Threads that queued items while this thread held the state rely on this thread.
        while self.state.take().is_some() && !self.lock.queue().is_empty() {
            self.state = self.lock.free();
            self.drain();
        }
    }
}

impl<S, I, T: Fn(&mut S, Vec<I>)> Deref for Guard<'_, S, I, T> {
    type Target = S;
    fn deref(&self) -> &S {
        self.state.as_ref().expect("the state is present until the drop")
    }
}

impl<S, I, T: Fn(&mut S, Vec<I>)> DerefMut for Guard<'_, S, I, T> {
    fn deref_mut(&mut self) -> &mut S {
        self.state.as_mut().expect("the state is present until the drop")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREADS: usize = 4;
    const EACH: usize = 20_000;

    /// What came of each thread, in the order it was taken.
    type Seen = [Vec<usize>; THREADS];

    fn take(seen: &mut Seen, items: Vec<(usize, usize)>) {
        items.into_iter().for_each(|(thread, n)| seen[thread].push(n));
    }

    #[test]
    fn everything_is_taken_once_in_the_order_of_its_thread() {
        let lock: CombiningLock<Seen, (usize, usize)> = CombiningLock::new(Seen::default());
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let lock = &lock;
                scope.spawn(move || {
                    let mut n = 0;
                    while n < EACH {
                        let items = n..(n + 1 + n % 5).min(EACH);
                        n = items.end;
                        let mine = items.clone().map(|n| (thread, n));
                        match n % 7 {
                            // As a timer does: it has to have the state.
                            0 => lock.lock(take)[thread].extend(items),
                            1..4 => match lock.try_lock(take) {
                                Some(mut seen) => seen[thread].extend(items),
                                None => lock.submit(mine, take),
                            },
                            _ => lock.submit(mine, take),
                        }
                    }
                });
            }
        });
        assert!(lock.queue().is_empty(), "nothing stays behind");
        let seen = lock.lock(take);
        assert!(seen.iter().all(|seen| seen.iter().copied().eq(0..EACH)));
    }

    #[test]
    fn who_leaves_too_much_waits() {
        let lock: CombiningLock<Seen, (usize, usize)> = CombiningLock::new(Seen::default());
        std::thread::scope(|scope| {
            let held = lock.lock(take);
            lock.submit((0..MOST_QUEUED).map(|n| (0, n)), take);
            let waits = scope.spawn(|| lock.submit([(0, MOST_QUEUED)], take));
            while lock.queue().len() <= MOST_QUEUED {
                std::thread::yield_now();
            }
            assert!(!waits.is_finished());
            drop(held);
        });
        assert_eq!(lock.lock(take)[0].len(), MOST_QUEUED + 1);
    }
}
