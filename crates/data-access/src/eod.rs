//! End of day of the in-memory tier: its rows are saved as a partition of a database on disk.
//!
//! Order (design, mesh §3): the day is saved; the processes that serve the database see the partition and
//! announce it; the coordinator tells us that they cover the day; only then does this tier begin later, and
//! it purges when no lease on the old purview is left. A step that fails leaves this tier serving.

use std::path::PathBuf;

use ::hdb::{Algorithm, PartitionValue, save};
use kvalue::time::DAY;
use sg::TimeRange;

use crate::store::memory::MemoryTables;

/// Where and how a day is saved.
#[derive(Clone)]
pub struct EndOfDay {
    memory: MemoryTables,
    root: Option<PathBuf>,
    compress: Option<save::Compression>,
}

impl EndOfDay {
    /// Saves to `root`, or keeps everything in memory where there is none. `compress`: block size, algorithm
    /// and level as in q's `.z.zd`.
    pub fn new(memory: MemoryTables, root: Option<PathBuf>, compress: Option<(u8, u8, u8)>) -> Self {
        let compress = compress.and_then(|(block_bits, algorithm, level)| {
            let algorithm = Algorithm::from_number(u32::from(algorithm))?;
            Some(save::Compression { block_bits, algorithm, level: level as i8 })
        });
        EndOfDay { memory, root, compress }
    }

    /// The day (days since 2000.01.01) is over.
    pub async fn run(&self, day: i32) {
        let midnight = (i64::from(day) + 1) * DAY;
        self.memory.begin_day(midnight);
        let Some(root) = self.root.clone() else {
            return tracing::info!(
                day,
                "end of day: no folder to save to (QMESH_SAVE_DIR), rows stay in memory"
            );
        };
        self.memory.close_before(midnight);
        let (memory, compress) = (self.memory.clone(), self.compress);
        let saved = tokio::task::spawn_blocking(move || save_day(&memory, &root, day, compress)).await;
        match saved {
            Ok(Ok(rows)) => tracing::info!(day, rows, "end of day saved"),
            Ok(Err(why)) => {
                tracing::error!(day, why, "end of day not saved; its rows stay in memory and served")
            }
            Err(error) => tracing::error!(day, %error, "end of day ended in a bug of qmesh"),
        }
    }
}

/// Rows of a table in the partition of a day; 0 where there is none that can be read.
fn rows_on_disk(db: &::hdb::Database, table: &str, day: i32) -> usize {
    let partitions = db.partitions(table);
    let of_day = partitions.iter().filter(|p| p.value == i64::from(day));
    of_day.filter_map(|p| db.open_table(table, Some(p)).ok()?.rows().ok()).sum()
}

fn save_day(
    memory: &MemoryTables,
    root: &std::path::Path,
    day: i32,
    compress: Option<save::Compression>,
) -> Result<usize, String> {
    let start = i64::from(day) * DAY;
    let range = TimeRange::new(start, start + DAY).ok_or("the day is beyond q's calendar")?;
    let mut tables = Vec::new();
    let saved = ::hdb::Database::open(root, &::hdb::OpenOptions::default()).ok();
    for name in memory.names() {
        if memory.start(&name).is_some_and(|start| start >= range.end()) {
            tracing::warn!(table = %name, day, "an older tier serves this day already: it is not saved again");
            continue;
        }
        let Some(rows) = memory.rows_in(&name, range).map_err(|f| f.ai)? else { continue };
        let on_disk = saved.as_ref().map_or(0, |db| rows_on_disk(db, &name.text(), day));
        if on_disk > rows.len() {
            tracing::warn!(table = %name, day, on_disk, in_memory = rows.len(), "the saved day has more rows than this process: it is kept");
            continue;
        }
        tables.push((name, rows));
    }
    let (mut rows, mut failed) = (0, Vec::new());
    for (name, table) in &tables {
        // A column of lists cannot be sorted by.
        let is_parted = matches!(table.column("sym"), Some(kvalue::Value::Vector(_)));
        let options = save::SaveOptions {
            parted: is_parted.then(|| "sym".into()),
            compress,
            // What is there has no more rows: see above.
            overwrite: true,
            ..save::SaveOptions::default()
        };
        // Each by itself: what is wrong with one table costs no other.
        match save::save_down(root, PartitionValue::date(i64::from(day)), &name.text(), table, &options) {
            Ok(report) => rows += report.rows,
            Err(error) => failed.push(format!("table {name}: {error}")),
        }
    }
    if failed.is_empty() { Ok(rows) } else { Err(failed.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvalue::{Table, Value, Vector};

    fn memory(rows: i64) -> MemoryTables {
        let memory = MemoryTables::new(0, 1 << 30);
        let t = Table::of([
            ("time", Value::from(Vector::timestamps((0..rows).collect()))),
            ("sym", Value::syms((0..rows).map(|_| "a"))),
        ]);
        memory.upd(&"t".into(), &t.unwrap().into()).unwrap();
        memory
    }

    fn saved(root: &std::path::Path) -> usize {
        let db = ::hdb::Database::open(root, &::hdb::OpenOptions::default()).unwrap();
        rows_on_disk(&db, "t", 0)
    }

    #[tokio::test]
    async fn a_saved_day_is_never_replaced_by_less() {
        let dir = tempfile::tempdir().unwrap();
        let eod = |memory: &MemoryTables| EndOfDay::new(memory.clone(), Some(dir.path().into()), None);
        let three = memory(3);
        eod(&three).run(0).await;
        assert_eq!(saved(dir.path()), 3);
        eod(&memory(1)).run(0).await;
        assert_eq!(saved(dir.path()), 3, "a replica that held less");
        three.move_start(&"t".into(), DAY);
        three.purge().unwrap();
        eod(&three).run(0).await;
        assert_eq!(saved(dir.path()), 3, "a second end of day after the hand-over");
        eod(&memory(5)).run(0).await;
        assert_eq!(saved(dir.path()), 5, "a replica that held more");
    }
}
