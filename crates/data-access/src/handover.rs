//! What decides about a save, a hand-over and a purge of the in-memory tier: sans-io, and the simulation's too.
//!
//! Rules kept: a day that has ended is unsaved until a save has proven that all its rows are on disk; an unsaved day is
//! tried again, before any later day of its table; a table begins later only where an older tier covers each day that
//! goes and, in a process that saves, each of them is proven to be on disk. What is refused says which stretch would
//! have been a gap.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kvalue::{Atom, Sym, Table, time::DAY};
use sg::{TimeRange, msg::Covered};

use crate::store::memory::MemoryTables;

/// Rows that a table holds at or after its start, by day (days since 2000.01.01).
pub type Days = BTreeMap<i64, u64>;

/// First wait after a save that failed; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A day of a table that has ended and is not proven to be on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    /// table
    pub table: Sym,
    /// day
    pub day: i64,
    /// rows in memory
    pub rows: u64,
    /// why the last save failed; none where none was tried yet
    pub why: Option<String>,
}

impl std::fmt::Display for Unsaved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (table, day, rows) = (&self.table, day_text(self.day), self.rows);
        let why = self.why.as_deref().unwrap_or("its save has not been tried yet");
        write!(f, "day {day} of table {table} is not saved, {rows} rows stay in memory: {why}")
    }
}

/// What becomes of a table's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// it stays
    Stay,
    /// it moves to this instant
    Move(i64),
    /// it moves to this instant, or stays, and why not as far as was offered
    Refuse(Option<i64>, String),
}

/// What is known of the days of the tables.
#[derive(Debug, Default)]
pub struct DayBook {
    /// rows go to a folder at end of day
    saves: bool,
    /// days before this one have ended
    ended: i64,
    /// days that are proven to be on disk
    saved: BTreeMap<Sym, BTreeSet<i64>>,
    failed: BTreeMap<(Sym, i64), String>,
    /// rounds of saves in a row that left a day unsaved
    tries: u32,
    is_saving: bool,
    /// what an older tier was last said to cover
    offers: BTreeMap<Sym, Covered>,
    /// of a process that does not save: rows of each day when it ended
    at_end: BTreeMap<(Sym, i64), u64>,
}

impl DayBook {
    /// Nothing is known; `saves` where days go to a folder.
    pub fn new(saves: bool) -> Self {
        DayBook { saves, ended: i64::MIN, ..DayBook::default() }
    }

    /// A day has ended, and with it all days before.
    pub fn day_ended<'a>(&mut self, day: i64, held: impl IntoIterator<Item = (&'a Sym, &'a Days)>) {
        self.ended = self.ended.max(day.saturating_add(1));
        if self.saves {
            return;
        }
        for (table, days) in held {
            for (day, rows) in days.range(..self.ended) {
                self.at_end.entry((table.clone(), *day)).or_insert(*rows);
            }
        }
    }

    /// Days of a table to save now, earliest first. Where one fails the later ones wait for it: otherwise the disk
    /// would have a hole that a range does not show.
    pub fn due(&self, table: &Sym, days: &Days) -> Vec<i64> {
        if !self.saves {
            return Vec::new();
        }
        let due = days.range(..self.ended).map(|(day, _)| *day).filter(|day| !self.is_saved(table, *day));
        if sg::mutation::on("dap-never-saves-again") {
            return due.filter(|day| !self.failed.contains_key(&(table.clone(), *day))).collect();
        }
        due.collect()
    }

    /// True where all rows of the day are proven to be on disk: no more of them are taken.
    pub fn is_saved(&self, table: &Sym, day: i64) -> bool {
        self.saved.get(table).is_some_and(|days| days.contains(&day))
    }

    /// A save begins, or the last of several has ended: meanwhile an offer is neither taken nor refused.
    pub fn set_saving(&mut self, is_saving: bool) {
        self.is_saving = is_saving;
    }

    /// What came of the save of a day: all its rows are on disk, or why not.
    pub fn save_ended(&mut self, table: &Sym, day: i64, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                self.failed.remove(&(table.clone(), day));
                self.saved.entry(table.clone()).or_default().insert(day);
            }
            Err(why) => {
                self.failed.insert((table.clone(), day), why);
            }
        }
    }

    /// All that was due was tried; `left`: something is still unsaved.
    pub fn round_ended(&mut self, left: bool) {
        self.tries = if left { self.tries.saturating_add(1) } else { 0 };
    }

    /// Until unsaved days are tried again.
    pub fn wait(&self) -> Duration {
        let doubled = 1u32.checked_shl(self.tries.saturating_sub(1).min(16)).unwrap_or(1);
        (FIRST_WAIT * doubled).min(LONGEST_WAIT)
    }

    /// Days that have ended and are not proven to be on disk.
    pub fn unsaved<'a>(&self, held: impl IntoIterator<Item = (&'a Sym, &'a Days)>) -> Vec<Unsaved> {
        let mut unsaved = Vec::new();
        for (table, days) in held {
            for day in self.due(table, days) {
                let why = self.failed.get(&(table.clone(), day)).cloned();
                let rows = days.get(&day).copied().unwrap_or_default();
                unsaved.push(Unsaved { table: table.clone(), day, rows, why });
            }
        }
        unsaved
    }

    /// An older tier covers a table: remembered, because a save that ends later may make it acceptable.
    pub fn offered(&mut self, offer: &Covered) {
        self.offers.insert(offer.table.clone(), offer.clone());
    }

    /// What was offered, to be looked at again.
    pub fn offers(&self) -> Vec<Covered> {
        self.offers.values().cloned().collect()
    }

    /// Whether a table that begins at `start` and holds these rows may begin later, because an older tier covers it.
    pub fn decide(&self, offer: &Covered, start: i64, days: &Days) -> Decision {
        let Covered { table, from, until } = offer;
        if *until <= start {
            return Decision::Stay;
        }
        if sg::mutation::on("dap-trusts-end-point") {
            return Decision::Move(*until);
        }
        for (day, rows) in days {
            // On the first day a table holds rows after its start only.
            let (begins, ends) =
                (day.saturating_mul(DAY).max(start), day.saturating_add(1).saturating_mul(DAY));
            if begins >= *until {
                break;
            }
            let late = || rows - self.at_end.get(&(table.clone(), *day)).copied().unwrap_or(*rows).min(*rows);
            let why = if begins < *from {
                format!("the older tier covers it from {} only", instant(*from))
            } else if self.saves && *day >= self.ended {
                "the day has not ended".into()
            } else if self.saves && !self.is_saved(table, *day) {
                match (self.is_saving, self.failed.get(&(table.clone(), *day))) {
                    (true, _) => return Decision::Stay,
                    (false, Some(why)) => format!("its save failed: {why}"),
                    (false, None) => "it is not saved".into(),
                }
            } else if self.saves && ends > *until {
                format!("the older tier covers it up to {} only", instant(*until))
            } else if late() > 0 {
                format!("{} rows of it came after its end, and this process saves none", late())
            } else {
                continue;
            };
            let reached = (begins > start).then_some(begins);
            let day = day_text(*day);
            return Decision::Refuse(reached, format!("{rows} rows of day {day} would be nowhere: {why}"));
        }
        Decision::Move(*until)
    }

    /// Rows before this instant are gone from memory.
    pub fn purged(&mut self, table: &Sym, start: i64) {
        let first = start.div_euclid(DAY);
        if let Some(days) = self.saved.get_mut(table) {
            days.retain(|day| *day >= first);
        }
        self.failed.retain(|(of, day), _| of != table || *day >= first);
        self.at_end.retain(|(of, day), _| of != table || *day >= first);
    }
}

/// Where each table begins after a restart: the earliest day of which the logs have more rows than the disk. Rows of an
/// ended day that a save has written are on disk; a day with fewer was not saved, or rows came after the save.
pub fn first_unsaved(
    logged: &BTreeMap<(Sym, i64), u64>,
    on_disk: impl Fn(&Sym, i64) -> u64,
) -> BTreeMap<Sym, i64> {
    let mut firsts = BTreeMap::new();
    if sg::mutation::on("dap-forgets-ended-days") {
        return firsts;
    }
    for ((table, day), rows) in logged {
        // Ascending by day within a table.
        if !firsts.contains_key(table) && *rows > on_disk(table, *day) {
            firsts.insert(table.clone(), *day);
        }
    }
    firsts
}

/// Times that a day is saved at once because rows came while it was.
const AT_ONCE: usize = 3;

/// Saves every day that is due, by `write`, which answers how many rows the day has on disk then; what is unsaved after it.
pub fn save_due(
    book: &Mutex<DayBook>,
    memory: &MemoryTables,
    mut write: impl FnMut(&Sym, i64, &Table) -> Result<usize, String>,
) -> Vec<Unsaved> {
    locked(book).set_saving(true);
    for (table, days) in memory.days() {
        let due = locked(book).due(&table, &days);
        for day in due {
            let outcome = save_one(memory, &table, day, &mut write);
            let is_saved = outcome.is_ok();
            locked(book).save_ended(&table, day, outcome);
            if !is_saved {
                break;
            }
        }
    }
    let mut book = locked(book);
    book.set_saving(false);
    let unsaved = book.unsaved(&memory.days());
    book.round_ended(!unsaved.is_empty());
    unsaved
}

/// Saves a day; fine where all its rows are on disk and no more of them are taken.
fn save_one(
    memory: &MemoryTables,
    table: &Sym,
    day: i64,
    write: &mut impl FnMut(&Sym, i64, &Table) -> Result<usize, String>,
) -> Result<(), String> {
    let start = day.checked_mul(DAY);
    let range = start.and_then(|start| TimeRange::new(start, start.checked_add(DAY)?));
    let range = range.ok_or_else(|| format!("day {} is beyond q's calendar", day_text(day)))?;
    for _ in 0..AT_ONCE {
        let counted = memory.days().get(table).and_then(|days| days.get(&day)).copied().unwrap_or_default();
        let rows = memory.rows_in(table, range).map_err(|f| f.ai)?;
        let on_disk = rows.map_or(Ok(0), |rows| write(table, day, &rows))?;
        // Rows that came while it was written are not on disk.
        if memory.close_day(table, day, counted) {
            tracing::info!(%table, day, rows = on_disk, "end of day saved");
            return Ok(());
        }
    }
    Err("rows of the day still arrive".into())
}

/// A book whose holder panicked is as it was: each change is made by one call.
pub fn locked(book: &Mutex<DayBook>) -> MutexGuard<'_, DayBook> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A day as q shows it.
pub fn day_text(day: i64) -> String {
    i32::try_from(day).map_or_else(|_| day.to_string(), |day| kvalue::time::text(&Atom::Date(day)))
}

fn instant(ns: i64) -> String {
    kvalue::time::text(&Atom::Timestamp(ns))
}
