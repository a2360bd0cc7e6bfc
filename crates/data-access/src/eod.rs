//! End of day of the in-memory tier: its rows are saved as a partition of a database on disk.
//!
//! Order (design, mesh §3): the day is saved; the processes that serve the database see the partition and
//! announce it; the coordinator tells us that they cover the day; only then does this tier begin later, and
//! it purges when no lease on the old purview is left. A step that fails leaves this tier serving, and is tried again:
//! what decides is [`crate::handover`].

mod write;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ::hdb::{Algorithm, save};
use kvalue::{Sym, time::DAY};
use sg::TimeRange;

use crate::{
    handover::{DayBook, Unsaved, day_text},
    shared::{OwnerSays, Shared},
    store::memory::MemoryTables,
};

/// Times that a day is saved at once because rows came while it was.
const AT_ONCE: usize = 3;

/// Where and how a day is saved.
#[derive(Clone)]
pub struct EndOfDay {
    memory: MemoryTables,
    root: Option<PathBuf>,
    compress: Option<save::Compression>,
    book: Arc<Mutex<DayBook>>,
    /// one save at a time
    turn: Arc<tokio::sync::Mutex<()>>,
    shared: Option<Arc<Shared>>,
}

impl EndOfDay {
    /// Saves to `root`, or keeps everything in memory where there is none. `compress`: block size, algorithm
    /// and level as in q's `.z.zd`.
    pub fn new(memory: MemoryTables, root: Option<PathBuf>, compress: Option<(u8, u8, u8)>) -> Self {
        let compress = compress.and_then(|(block_bits, algorithm, level)| {
            let algorithm = Algorithm::from_number(u32::from(algorithm))?;
            Some(save::Compression { block_bits, algorithm, level: level as i8 })
        });
        let book = Arc::new(Mutex::new(DayBook::new(root.is_some())));
        EndOfDay { memory, root, compress, book, turn: Arc::default(), shared: None }
    }

    /// Tells this process's owner and metrics of what was saved.
    pub fn told_to(mut self, shared: Arc<Shared>) -> Self {
        self.shared = Some(shared);
        self
    }

    /// What is known of the days.
    pub fn book(&self) -> MutexGuard<'_, DayBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Days that have ended and are not on disk.
    pub fn unsaved(&self) -> Vec<Unsaved> {
        self.book().unsaved(&self.memory.days())
    }

    /// The day (days since 2000.01.01) is over: it is saved, with all before that are not.
    pub async fn run(&self, day: i32) {
        let midnight = (i64::from(day) + 1) * DAY;
        self.memory.begin_day(midnight);
        self.book().day_ended(i64::from(day), &self.memory.days());
        if self.root.is_none() {
            return tracing::info!(
                day,
                "end of day: no folder to save to (QMESH_SAVE_DIR), rows stay in memory"
            );
        }
        self.save().await;
    }

    /// Saves all days that have ended and are not saved yet.
    pub async fn save(&self) {
        let Some(root) = self.root.clone() else { return };
        let _turn = self.turn.lock().await;
        self.book().set_saving(true);
        for (table, days) in self.memory.days() {
            let due = self.book().due(&table, &days);
            for day in due {
                if !self.save_one(&root, &table, day).await {
                    break;
                }
            }
        }
        let unsaved = self.unsaved();
        let offers = {
            let mut book = self.book();
            book.set_saving(false);
            book.round_ended(!unsaved.is_empty());
            book.offers()
        };
        for day in &unsaved {
            tracing::error!(wait = ?self.book().wait(), "{day}; served from there, and tried again");
        }
        if let Some(shared) = &self.shared {
            shared.metrics.unsaved_days.set(unsaved.len() as i64);
            // What was refused while a day was unsaved may be right now.
            offers.into_iter().for_each(|offer| shared.heard(OwnerSays::Covered(offer)));
        }
    }

    /// True where all rows of the day are on disk.
    async fn save_one(&self, root: &std::path::Path, table: &Sym, day: i64) -> bool {
        let mut outcome = Err("rows of the day still arrive".to_string());
        for _ in 0..AT_ONCE {
            let (memory, root, name, compress) =
                (self.memory.clone(), root.to_path_buf(), table.clone(), self.compress);
            let saved = tokio::task::spawn_blocking(move || save_day(&memory, &root, &name, day, compress));
            match saved.await {
                Ok(Ok((counted, on_disk))) => {
                    // Rows that came while it was written are not on disk.
                    if self.memory.close_day(table, day, counted) {
                        tracing::info!(%table, day, rows = on_disk, "end of day saved");
                        outcome = Ok(());
                        break;
                    }
                }
                Ok(Err(why)) => {
                    outcome = Err(why);
                    break;
                }
                Err(error) => {
                    outcome = Err(format!("end of day ended in a bug of qmesh: {error}"));
                    break;
                }
            }
        }
        let is_saved = outcome.is_ok();
        self.book().save_ended(table, day, outcome);
        is_saved
    }
}

/// Rows that the day had in memory when it was read, and has on disk now.
fn save_day(
    memory: &MemoryTables,
    root: &std::path::Path,
    table: &Sym,
    day: i64,
    compress: Option<save::Compression>,
) -> Result<(u64, usize), String> {
    let start = day.checked_mul(DAY);
    let range = start.and_then(|start| TimeRange::new(start, start.checked_add(DAY)?));
    let range = range.ok_or_else(|| format!("day {} is beyond q's calendar", day_text(day)))?;
    let counted = memory.days().get(table).and_then(|days| days.get(&day)).copied().unwrap_or_default();
    let Some(rows) = memory.rows_in(table, range).map_err(|f| f.ai)? else { return Ok((counted, 0)) };
    let on_disk = write::save_day(root, day, &table.text(), &rows, compress)?;
    Ok((counted, on_disk))
}

#[cfg(test)]
#[path = "eod/tests.rs"]
mod tests;
