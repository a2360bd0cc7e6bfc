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

/// Items left beyond these are waited for: who leaves them is faster than who takes them.
const MOST_LEFT: usize = 1024;

/// The state, and what was left for it.
pub(crate) struct Desk<S, I> {
    state: Mutex<S>,
    left: Mutex<Vec<I>>,
}

/// The state in one thread's hands.
pub(crate) struct Held<'a, S, I, T: Fn(&mut S, Vec<I>)> {
    desk: &'a Desk<S, I>,
    /// `None` only while it is given back
    state: Option<MutexGuard<'a, S>>,
    take: T,
}

impl<S, I> Desk<S, I> {
    pub(crate) fn new(state: S) -> Self {
        Desk { state: Mutex::new(state), left: Mutex::default() }
    }

    /// The state, once nobody else has it. What was left is taken first.
    pub(crate) fn lock<T: Fn(&mut S, Vec<I>)>(&self, take: T) -> Held<'_, S, I, T> {
        // Whoever works on the state leaves it whole where a panic could happen; going on beats standing still.
        self.held(self.state.lock().unwrap_or_else(PoisonError::into_inner), take)
    }

    /// The state, if nobody else has it. What was left is taken first.
    pub(crate) fn try_lock<T: Fn(&mut S, Vec<I>)>(&self, take: T) -> Option<Held<'_, S, I, T>> {
        Some(self.held(self.free()?, take))
    }

    /// Leaves items to whoever has the state, or takes them where nobody has.
    pub(crate) fn leave<T: Fn(&mut S, Vec<I>)>(&self, items: impl IntoIterator<Item = I>, take: T) {
        let left = {
            let mut left = self.left();
            left.extend(items);
            left.len()
        };
        match left {
            0..=MOST_LEFT => drop(self.try_lock(take)),
            _ => drop(self.lock(take)),
        }
    }

    fn held<'a, T: Fn(&mut S, Vec<I>)>(&'a self, state: MutexGuard<'a, S>, take: T) -> Held<'a, S, I, T> {
        let mut held = Held { desk: self, state: Some(state), take };
        held.take_left();
        held
    }

    fn free(&self) -> Option<MutexGuard<'_, S>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(state)) => Some(state.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn left(&self) -> MutexGuard<'_, Vec<I>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S, I, T: Fn(&mut S, Vec<I>)> Held<'_, S, I, T> {
    /// Takes what others have left until now.
    pub(crate) fn take_left(&mut self) {
        // Without the state the items stay for whoever has it.
        let Some(state) = &mut self.state else { return };
        let items = std::mem::take(&mut *self.desk.left());
        if !items.is_empty() {
            (self.take)(state, items);
        }
    }
}

impl<S, I, T: Fn(&mut S, Vec<I>)> Drop for Held<'_, S, I, T> {
    fn drop(&mut self) {
        // Threads that queued items while this thread held the state rely on this thread.
        while self.state.take().is_some() && !self.desk.left().is_empty() {
            self.state = self.desk.free();
            self.take_left();
        }
    }
}

impl<S, I, T: Fn(&mut S, Vec<I>)> Deref for Held<'_, S, I, T> {
    type Target = S;
    fn deref(&self) -> &S {
        self.state.as_ref().expect("it is given back only when this is dropped")
    }
}

impl<S, I, T: Fn(&mut S, Vec<I>)> DerefMut for Held<'_, S, I, T> {
    fn deref_mut(&mut self) -> &mut S {
        self.state.as_mut().expect("it is given back only when this is dropped")
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
        let desk: Desk<Seen, (usize, usize)> = Desk::new(Seen::default());
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let desk = &desk;
                scope.spawn(move || {
                    let mut n = 0;
                    while n < EACH {
                        let items = n..(n + 1 + n % 5).min(EACH);
                        n = items.end;
                        let mine = items.clone().map(|n| (thread, n));
                        match n % 7 {
                            // As a timer does: it has to have the state.
                            0 => desk.lock(take)[thread].extend(items),
                            1..4 => match desk.try_lock(take) {
                                Some(mut seen) => seen[thread].extend(items),
                                None => desk.leave(mine, take),
                            },
                            _ => desk.leave(mine, take),
                        }
                    }
                });
            }
        });
        assert!(desk.left().is_empty(), "nothing stays behind");
        let seen = desk.lock(take);
        assert!(seen.iter().all(|seen| seen.iter().copied().eq(0..EACH)));
    }

    #[test]
    fn who_leaves_too_much_waits() {
        let desk: Desk<Seen, (usize, usize)> = Desk::new(Seen::default());
        std::thread::scope(|scope| {
            let held = desk.lock(take);
            desk.leave((0..MOST_LEFT).map(|n| (0, n)), take);
            let waits = scope.spawn(|| desk.leave([(0, MOST_LEFT)], take));
            while desk.left().len() <= MOST_LEFT {
                std::thread::yield_now();
            }
            assert!(!waits.is_finished());
            drop(held);
        });
        assert_eq!(desk.lock(take)[0].len(), MOST_LEFT + 1);
    }
}
