//! Portions so brief that a query thread would cost more than they do.
//!
//! To wake a thread and to hear from it again takes longer than to find the rows of one symbol in one minute. So where
//! the replica runs nothing, and what was asked last of the same table was brief, a portion is run where its order was
//! read. That must not hold the socket up: it may take [`BUDGET`] and look at [`ROWS`] rows at once. One that wants
//! more is stopped there, begins anew on the query thread, and is not tried here again until one was brief. It opens
//! no file there: with a cold cache that takes as long as the disk likes, and no look at the clock comes in between.

use std::{
    cell::Cell,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ahash::HashMap;
use kernels::{Cancelled, Interrupt};
use kvalue::Sym;
use sg::Failure;

use crate::cancel::{Cancel, Stop};

/// Time a portion may take where its order was read.
pub const BUDGET: Duration = Duration::from_micros(100);
/// Rows it may look at between two looks at the clock.
pub const ROWS: usize = 1 << 16;
/// Tables that are remembered; a data process runs few APIs.
const TABLES: usize = 4_096;

/// Which tables were asked for little the last time.
#[derive(Debug, Default)]
pub struct Brief(Mutex<HashMap<Sym, HashMap<Sym, bool>>>);

impl Brief {
    /// True where the last portion of this API and table was brief.
    pub fn expects(&self, api: &Sym, table: &Sym) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(table).and_then(|apis| apis.get(api)).copied().unwrap_or(false)
    }

    /// A portion took so long.
    pub fn learn(&self, api: &Sym, table: &Sym, took: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_brief = took <= BUDGET / 2;
        if let Some(known) = known.get_mut(table).and_then(|apis| apis.get_mut(api)) {
            *known = is_brief;
            return;
        }
        if known.len() >= TABLES {
            known.clear();
        }
        known.entry(table.clone()).or_default().insert(api.clone(), is_brief);
    }
}

/// Stops a run that turns out not to be brief.
pub struct Within<'a> {
    cancel: &'a Cancel,
    until: Instant,
    overran: Cell<bool>,
}

impl<'a> Within<'a> {
    /// From `now` for [`BUDGET`], or until it is cancelled.
    pub fn budget(cancel: &'a Cancel, now: Instant) -> Self {
        Within { cancel, until: now + BUDGET, overran: Cell::new(false) }
    }

    /// True where the run was stopped because it wanted more than its budget.
    pub fn overran(&self) -> bool {
        self.overran.get()
    }

    fn overrun(&self) -> Result<(), Cancelled> {
        self.overran.set(true);
        Err(Cancelled)
    }
}

impl Interrupt for Within<'_> {
    fn check(&self) -> Result<(), Cancelled> {
        self.check_rows(0)
    }

    fn check_rows(&self, rows: usize) -> Result<(), Cancelled> {
        let now = Instant::now();
        if self.cancel.why_at(now).is_some() {
            return Err(Cancelled);
        }
        if rows > ROWS || now >= self.until { self.overrun() } else { Ok(()) }
    }
}

impl Stop for Within<'_> {
    fn why(&self) -> Option<Failure> {
        self.cancel.why()
    }
}

/// Whether this thread may open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    Allowed,
    Forbidden,
    /// forbidden, and something wanted to
    Wanted,
}

thread_local! {
    static OPENING: Cell<Opening> = const { Cell::new(Opening::Allowed) };
}

/// Runs `run` on this thread with file opens and change checks forbidden. True if `run` tried one: then the result is
/// void.
pub fn without_opening<T>(run: impl FnOnce() -> T) -> (T, bool) {
    let before = OPENING.replace(Opening::Forbidden);
    let outcome = run();
    (outcome, OPENING.replace(before) == Opening::Wanted)
}

/// True where files may be opened.
pub fn may_open() -> bool {
    OPENING.get() == Opening::Allowed
}

/// A file would have to be opened where that may not be.
pub fn wants_to_open() -> Failure {
    OPENING.set(Opening::Wanted);
    Failure::new(
        sg::Rc::APP_DB,
        sg::Ac::DATA,
        "a file would have to be opened, which is done on a query thread",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cancel(now: Instant) -> Cancel {
        Cancel::until(now + Duration::from_secs(60))
    }

    #[test]
    fn only_what_was_brief_the_last_time_is_expected_to_be() {
        let (brief, api, table) = (Brief::default(), Sym::new(".kxi.getData"), Sym::new("trade"));
        assert!(!brief.expects(&api, &table), "nothing is known yet");
        brief.learn(&api, &table, BUDGET / 2);
        assert!(brief.expects(&api, &table));
        assert!(!brief.expects(&api, &Sym::new("quote")));
        brief.learn(&api, &table, BUDGET);
        assert!(!brief.expects(&api, &table));
    }

    #[test]
    fn no_more_tables_than_the_limit_are_remembered() {
        let brief = Brief::default();
        for n in 0..=TABLES {
            brief.learn(&"api".into(), &Sym::new(n.to_string()), Duration::ZERO);
        }
        assert_eq!(brief.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn one_that_wants_more_time_or_rows_is_stopped_and_one_that_is_cancelled_did_not_overrun() {
        let now = Instant::now();
        let cancel = self::cancel(now);
        let late = Within::budget(&cancel, now - BUDGET);
        assert!(late.check().is_err() && late.overran());
        let within = Within::budget(&cancel, now + Duration::from_secs(60));
        assert!(within.check_rows(ROWS).is_ok() && !within.overran());
        assert!(within.check_rows(ROWS + 1).is_err() && within.overran());
        let within = Within::budget(&cancel, now + Duration::from_secs(60));
        cancel.cancel();
        assert!(within.check().is_err() && !within.overran());
        assert!(within.why().is_some());
    }
}
