//! What tells the data of one database from another's: its list of partitions and how many rows each table has
//! in each, equal for copies wherever they lie and however they are compressed.
//!
//! Rule: a look never fails and never costs more than the first: what cannot be read counts as it did before, and
//! of the partitions that were counted the newest and some others, in turn, are counted again. FNV-1a with 128
//! bits: no secret is kept by it. Tests: `tests/fingerprint.rs`.

use std::{collections::HashMap, path::PathBuf};

use crate::{Database, HdbError, PartitionKind, PartitionRef, TableKind};

/// Partitions counted again at each look, beside the newest of each table: one written into long after its day
/// is found out within a few looks.
const COUNTED_AGAIN: usize = 64;

/// Remembers what was counted, from one snapshot of a root to the next.
#[derive(Debug, Default)]
pub struct Fingerprint {
    rows: HashMap<PathBuf, Option<u64>>,
    /// where counting again goes on
    turn: usize,
}

impl Fingerprint {
    /// First and last partition, rows of all tables, and a hash over each table's rows in each partition:
    /// `2015.01.07-2015.01.08:978145:…`. Tables outside of partitions count only where there are no others: copies are
    /// given new reference data at times of their own. `None` for a database without tables.
    pub fn look(&mut self, db: &Database) -> Option<String> {
        let mut hash = Hasher::default();
        let mut known = std::mem::take(&mut self.rows);
        let turn = self.turn..self.turn + COUNTED_AGAIN;
        self.turn = if turn.end < known.len() { turn.end } else { 0 };
        let (mut rows, mut values) = (0u64, Vec::new());
        let partitioned = db.tables().iter().any(|t| t.kind == TableKind::Partitioned);
        let tables = db.tables().iter().filter(|t| !partitioned || t.kind == TableKind::Partitioned);
        for table in tables {
            let partitions = db.partitions(&table.name);
            let places: Vec<Option<&PartitionRef>> = match partitions.is_empty() {
                true => vec![None],
                false => partitions.iter().map(Some).collect(),
            };
            hash.text(&table.name);
            hash.number(places.len() as u64);
            for (i, place) in places.iter().enumerate() {
                let folder = place.map_or(db.root(), PartitionRef::path).join(&table.name);
                let again = i + 1 == places.len() || turn.contains(&self.rows.len());
                let before = known.remove(&folder);
                let counted = match before {
                    Some(before) if !again => before,
                    before => count(db, &table.name, *place).ok().or(before.flatten()),
                };
                self.rows.insert(folder, counted);
                rows += counted.unwrap_or_default();
                hash.text(&place.map(|p| p.kind.dir_name(p.value)).unwrap_or_default());
                hash.number(counted.map_or(0, |n| n + 1));
            }
            values.extend(
                [partitions.first(), partitions.last()].into_iter().flatten().map(|p| (p.value, p.kind)),
            );
        }
        let name = |end: Option<&(i64, PartitionKind)>| end.map(|(value, kind)| kind.dir_name(*value));
        let ends = name(values.iter().min_by_key(|v| v.0)).zip(name(values.iter().max_by_key(|v| v.0)));
        let ends = ends.map_or_else(|| "splayed".into(), |(first, last)| format!("{first}-{last}"));
        (!db.tables().is_empty()).then(|| format!("{ends}:{rows}:{}", hash.finish()))
    }
}

fn count(db: &Database, table: &str, partition: Option<&PartitionRef>) -> Result<u64, HdbError> {
    Ok(db.open_table(table, partition)?.rows()? as u64)
}

const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

struct Hasher(u128);

impl Default for Hasher {
    fn default() -> Self {
        Hasher(BASIS)
    }
}

impl Hasher {
    fn bytes(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = (self.0 ^ u128::from(b)).wrapping_mul(PRIME);
        }
    }

    fn number(&mut self, n: u64) {
        self.bytes(&n.to_le_bytes());
    }

    /// Hashes a text with its length, so that `ab`,`c` and `a`,`bc` differ.
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    fn finish(self) -> String {
        format!("{:032x}", self.0)
    }
}
