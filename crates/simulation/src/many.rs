//! Runs seeds: one, or many at once.

use std::{
    cell::RefCell,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Tally, world::World};

/// A rule that did not hold.
#[derive(Debug, Clone)]
pub struct Violation {
    /// the world
    pub seed: u64,
    /// what was wrong
    pub what: String,
    /// what happened last, one event a line
    pub last: String,
}

/// What came of seeds.
#[derive(Debug, Default)]
pub struct Outcome {
    /// counts over all of them
    pub tally: Tally,
    /// what was wrong, by seed
    pub violations: Vec<Violation>,
    /// over everything that happened: equal for equal seeds
    pub digest: u64,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}seed {}: {}", self.last, self.seed, self.what)?;
        write!(f, "replay: cargo xtask simulate --from {} --seeds 1 --trace", self.seed)
    }
}

thread_local! {
    /// where and why the present world panicked
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic within a world is a violation to be reported, not a message to be printed at once.
fn catch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let simulated = PANIC.with_borrow_mut(|p| match p {
                Some(text) => {
                    *text = info.to_string();
                    true
                }
                None => false,
            });
            if !simulated {
                before(info);
            }
        }));
    });
}

/// Runs one world; `loud` prints each event as it happens.
pub fn run(seed: u64, loud: bool) -> Outcome {
    catch_panics();
    PANIC.set(Some(String::new()));
    let mut world = World::new(seed, loud);
    let ended = catch_unwind(AssertUnwindSafe(|| world.run()));
    let panic = PANIC.take();
    let what = match ended {
        Ok(()) => world.ledger.violation.take(),
        Err(_) => Some(format!("an invariant of a core does not hold: {}", panic.unwrap_or_default())),
    };
    let last = world.net.trace.last();
    let violations = what.map(|what| Violation { seed, what, last }).into_iter().collect();
    Outcome { tally: world.tally().clone(), violations, digest: world.net.trace.digest() }
}

/// Runs many worlds, as many at a time as there are processors. `each` hears of every seed that is done.
pub fn many(seeds: Range<u64>, prepare: impl Fn() + Sync, each: impl Fn(&Outcome) + Sync) -> Outcome {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let next = AtomicU64::new(seeds.start);
    let total = Mutex::new(Outcome::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                prepare();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(seed, false);
                    each(&outcome);
                    let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                    total.tally.add(&outcome.tally);
                    total.violations.extend(outcome.violations);
                    // Seeds end in any order: what they come to must not depend on it.
                    total.digest ^= outcome.digest.rotate_left((seed % 64) as u32);
                }
            });
        }
    });
    let mut total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    total.violations.sort_by_key(|v| v.seed);
    total
}
