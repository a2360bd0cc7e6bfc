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

fn save_day(
    memory: &MemoryTables,
    root: &std::path::Path,
    day: i32,
    compress: Option<save::Compression>,
) -> Result<usize, String> {
    let start = i64::from(day) * DAY;
    let range = TimeRange::new(start, start + DAY).ok_or("the day is beyond q's calendar")?;
    let mut tables = Vec::new();
    for name in memory.names() {
        let rows = memory.rows_in(&name, range).map_err(|f| f.ai)?;
        tables.extend(rows.map(|rows| (name, rows)));
    }
    let mut rows = 0;
    let (parted, plain): (Vec<_>, Vec<_>) = tables.iter().partition(|(_, t)| t.position(b"sym").is_some());
    for (group, by) in [(parted, Some("sym".to_string())), (plain, None)] {
        let texts: Vec<_> = group.iter().map(|(name, table)| (name.text(), table)).collect();
        let named: Vec<(&str, &kvalue::Table)> =
            texts.iter().map(|(name, table)| (&**name, *table)).collect();
        if named.is_empty() {
            continue;
        }
        let options = save::SaveOptions {
            parted: by,
            compress,
            // A second end of day of the same day holds at least the rows of the first.
            overwrite: true,
            ..save::SaveOptions::default()
        };
        let report = save::save_partition(root, PartitionValue::date(i64::from(day)), &named, &options)
            .map_err(|e| e.to_string())?;
        rows += report.rows;
    }
    Ok(rows)
}
