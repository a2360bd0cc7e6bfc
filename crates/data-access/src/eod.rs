//! End of day of the in-memory tier: its rows are saved as a partition of a database on disk.
//!
//! Order (design, mesh §3): the day is saved; the processes that serve the database see the partition and
//! announce it; the coordinator tells us that they cover the day; only then does this tier begin later, and
//! it purges when no lease on the old purview is left. A step that fails leaves this tier serving, and is tried again:
//! what decides is [`crate::handover`].

mod write;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use ::hdb::{Algorithm, save};
use kvalue::{Sym, time::DAY};

use crate::{
    handover::{self, DayBook, Unsaved},
    shared::{OwnerSays, Shared},
    store::memory::MemoryTables,
};

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
        handover::locked(&self.book)
    }

    /// The folder that days are saved to.
    pub fn folder(&self) -> Option<PathBuf> {
        self.root.clone()
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
        let (book, memory, compress) = (self.book.clone(), self.memory.clone(), self.compress);
        let round = tokio::task::spawn_blocking(move || {
            handover::save_due(&book, &memory, |table, day, rows| {
                write::save_day(&root, day, &table.text(), rows, compress)
            })
        });
        let unsaved = match round.await {
            Ok(unsaved) => unsaved,
            Err(error) => {
                tracing::error!(%error, "end of day ended in a bug of qmesh; it is tried again");
                self.book().set_saving(false);
                self.unsaved()
            }
        };
        for day in &unsaved {
            tracing::error!(wait = ?self.book().wait(), "{day}; served from there, and tried again");
        }
        if let Some(shared) = &self.shared {
            shared.metrics.unsaved_days.set(unsaved.len() as i64);
            // What was refused while a day was unsaved may be right now.
            let offers = self.book().offers();
            offers.into_iter().for_each(|offer| shared.heard(OwnerSays::Covered(offer)));
        }
    }
}

/// Rows of each table and day in a folder. A folder or table that cannot be read holds none: a save unites, and tells.
pub(crate) fn on_disk(root: &Path) -> impl Fn(&Sym, i64) -> u64 + use<> {
    let db = ::hdb::Database::open(root, &::hdb::OpenOptions::default()).ok();
    move |table, day| {
        let rows = db.as_ref().and_then(|db| {
            let table = table.text();
            let partition = db.partitions(&table).into_iter().find(|p| p.value == day)?;
            db.open_table(&table, Some(&partition)).ok()?.rows().ok()
        });
        rows.unwrap_or_default() as u64
    }
}

#[cfg(test)]
#[path = "eod/tests.rs"]
mod tests;
