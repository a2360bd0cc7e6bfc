//! Rows that have no place in an in-memory table: an older tier's, and those that no query would find.

use std::collections::BTreeSet;

use getdata::TableSchema;
use kvalue::{Atom, Table, time::DAY};
use sg::{Failure, TimeRange};

use super::{filtered, instants};

/// Rows of a batch that have no place, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unplaced {
    /// before `start`: an older tier's
    pub late: usize,
    /// infinite times, or beyond the range of timestamps
    pub infinite: usize,
    /// the instant that the table begins with
    pub start: i64,
}

impl Unplaced {
    /// How many.
    pub fn rows(&self) -> usize {
        self.late + self.infinite
    }

    /// The number of rows without a place, of all rows, the reasons, and the fate of the other rows.
    pub fn text(&self, came: usize, others: &str) -> String {
        let start = kvalue::time::text(&Atom::Timestamp(self.start));
        let late = (self.late > 0).then(|| {
            format!(
                "{} before {start}, where the real-time tier begins (older rows belong on disk)",
                self.late
            )
        });
        let infinite = (self.infinite > 0)
            .then(|| format!("{} whose time is infinite or beyond the calendar", self.infinite));
        let why: Vec<String> = late.into_iter().chain(infinite).collect();
        format!("{} of {came} rows refused: {}; {others}", self.rows(), why.join(", "))
    }
}

/// The rows that have a place in a table which begins at `start`; those without a time have that of their block.
pub(super) fn placed(
    schema: &TableSchema,
    rows: Table,
    start: i64,
    closed: &BTreeSet<i64>,
    day: i64,
) -> Result<(Table, Unplaced), Failure> {
    let Some(times) = instants(schema, &rows, day) else { return Ok((rows, Unplaced::default())) };
    let is_infinite = |t: i64| t == TimeRange::MIN || t == TimeRange::MAX;
    let is_late = |t: i64| {
        // Rows without a time belong to the day of arrival.
        let of = if t == i64::MIN { day } else { t };
        (t < start && t != i64::MIN) || closed.contains(&of.div_euclid(DAY))
    };
    let infinite = times.iter().filter(|&&t| is_infinite(t)).count();
    let (rows, refused) = filtered(rows, |i| !is_infinite(times[i]) && !is_late(times[i]))?;
    let open = closed.last().map_or(start, |day| day.saturating_add(1).saturating_mul(DAY).max(start));
    let start = if times.iter().any(|&t| t >= start && is_late(t)) { open } else { start };
    Ok((rows, Unplaced { late: refused - infinite, infinite, start }))
}
