//! Batches on their way into memory, from publishers, a tickerplant or its log; and what is said of those refused.
//!
//! Rule: a batch of a sender waiting for an answer is taken whole or not at all, so that the sender can repeat the
//! batch. Of other senders, every row with a place is taken. Either way a refused row is counted and told.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kvalue::{Sym, Value};
use sg::{Ac, Failure, Rc};

use crate::{
    shared::Shared,
    store::memory::{MemoryTables, Refused, Taken},
};

/// Least time between two warnings of one table.
const QUIET: Duration = Duration::from_secs(10);
/// Most tables that warnings are counted for.
const MAX_TABLES: usize = 1024;

/// Who sent a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// one that waits for the answer
    Waiting,
    /// one that hears no error
    Deaf,
}

/// Warnings of refused batches: at most one for each table in ten seconds, with the number of those left out.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<Sym, (Instant, u64)>>);

impl Refusals {
    /// Warns that a batch of a table was refused, wholly or in part.
    pub fn tell(&self, from: &str, table: &Sym, why: &str) {
        if let Some(more) = self.count(table, Instant::now()) {
            tracing::warn!(from, why, more, "batch refused");
        }
    }

    /// Refusals since the last warning, where there is to be one now.
    fn count(&self, table: &Sym, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((last, more)) = told.get_mut(table) {
            if now.duration_since(*last) < QUIET {
                *more += 1;
                return None;
            }
            *last = now;
            return Some(std::mem::take(more));
        }
        if told.len() >= MAX_TABLES {
            told.clear();
        }
        told.insert(table.clone(), (now, 0));
        Some(0)
    }
}

/// True for the names that publishers call.
pub fn is_upd(name: &str) -> bool {
    matches!(name, "upd" | ".u.upd")
}

/// Takes a batch `(upd; table; data)` into memory, and warns where it is refused, wholly or in part.
pub fn upd(shared: &Shared, from: &str, sender: Sender, message: &Value) -> Result<(), Failure> {
    let table = message.index(1).as_name().unwrap_or_default();
    let unplaced = match take(shared, sender, message) {
        Ok(taken) if taken.unplaced.rows() == 0 => return Ok(()),
        Ok(taken) => {
            let why = taken.unplaced.text(taken.rows + taken.unplaced.rows(), "the others were taken");
            shared.refusals.tell(from, &table, &format!("upd of table {table}: {why}"));
            Ok(taken.unplaced)
        }
        Err(refused) => {
            shared.metrics.refused_msgs.inc();
            shared.refusals.tell(from, &table, &refused.failure.ai);
            Err(refused)
        }
    };
    let rows = unplaced.as_ref().map_or_else(|refused| refused.rows, |rows| *rows);
    shared.metrics.late_records.inc_by(rows.late as u64);
    shared.metrics.infinite_records.inc_by(rows.infinite as u64);
    unplaced.map(|_| ()).map_err(|refused| refused.failure)
}

fn take(shared: &Shared, sender: Sender, message: &Value) -> Result<Taken, Refused> {
    let memory = shared.memory.as_ref().ok_or_else(|| {
        Failure::new(
            Rc::NOT_SUPPORTED,
            Ac::NOT_SUPPORTED,
            "this data process serves a database on disk; send upd to one of tier rdb",
        )
    })?;
    let table = message.index(1).as_name().ok_or_else(|| {
        Failure::arg(format!("upd: the table must be a symbol, got a {}", message.index(1).type_name()))
    })?;
    if message.count() != 3 {
        let came = message.count();
        return Err(Failure::arg(format!(
            "upd of table {table}: {came} items came, expected 3: (`upd; table; data)"
        ))
        .into());
    }
    let taken = memory.append(&table, &message.index(2), sender == Sender::Deaf)?;
    shared.metrics.stream_msgs.inc();
    shared.metrics.stream_records.inc_by(taken.rows as u64);
    if taken.new_schema {
        tell_timeless(memory, &table);
        shared.purview_changed();
    }
    Ok(taken)
}

/// Says of a new table what its publisher may not expect.
pub(crate) fn tell_timeless(memory: &MemoryTables, table: &Sym) {
    if memory.is_timeless(table) {
        tracing::warn!(
            %table,
            "the table has no time column: all of it is served for any time range, and end of day does not save it"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_warned_of_once_and_then_with_the_number_left_out() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let table = Sym::new("t");
        assert_eq!(refusals.count(&table, start), Some(0));
        (0..5).for_each(|_| assert_eq!(refusals.count(&table, start), None));
        assert_eq!(refusals.count(&"other".into(), start), Some(0));
        assert_eq!(refusals.count(&table, start + QUIET), Some(5));
        for i in 0..2 * MAX_TABLES {
            refusals.count(&format!("t{i}").into(), start);
        }
        assert!(refusals.0.lock().unwrap().len() <= MAX_TABLES);
    }
}
