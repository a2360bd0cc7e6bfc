//! Made-up trades: a table for the codecs, and databases of days for the mesh.
//!
//! The columns are those of the bundled database. The numbers follow from the row alone, so that every run
//! and every side has the same bytes.

use std::path::{Path, PathBuf};

use hdb::save::{Compression, SaveOptions, save_down};
use hdb::{Algorithm, PartitionValue};
use kvalue::{Table, Type, Value, Vector};

use crate::error::Error;

/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;
/// 2024.01.02, as days since 2000.01.01: the first day that is written.
pub(crate) const FIRST_DAY: i64 = 8767;
const SYMBOLS: [&str; 10] = ["AAPL", "AIG", "AMD", "DELL", "DOW", "GOOG", "HPQ", "IBM", "INTC", "MSFT"];

/// A number that looks random, from a row.
fn scramble(row: usize) -> u64 {
    let mut x = row as u64 ^ 0x9e37_79b9_7f4a_7c15;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// `rows` trades of `day`. Without symbols all columns have a fixed width.
pub(crate) fn table(day: i64, rows: usize, with_symbols: bool) -> Result<Table, Error> {
    let step = DAY / rows.max(1) as i64;
    let column = |ty: Type, items: Vec<u8>| Vector::new(ty, items);
    let mut columns =
        vec![("time", Vector::timestamps((0..rows as i64).map(|r| day * DAY + r * step).collect()))];
    if with_symbols {
        let name = |row: usize| SYMBOLS[scramble(row) as usize % SYMBOLS.len()];
        columns.push(("sym", Vector::syms((0..rows).map(name))));
    }
    let price = |row: usize| 50.0 + (scramble(row) % 10_000) as f64 / 100.0;
    columns.push(("price", Vector::floats((0..rows).map(price).collect())));
    columns.push((
        "size",
        Vector::new(Type::Int, (0..rows).map(|r| (scramble(r) >> 8) as i32 & 0x3ff).collect()),
    ));
    let pick = |from: &'static [u8]| move |row: usize| from[(scramble(row) >> 20) as usize % from.len()];
    columns.push(("stop", column(Type::Boolean, (0..rows).map(pick(&[0, 0, 0, 1])).collect())));
    columns.push(("cond", column(Type::Char, (0..rows).map(pick(b" ABCEGJKLNOPRTWZ89")).collect())));
    columns.push(("ex", column(Type::Char, (0..rows).map(pick(b"ABCNO")).collect())));
    Ok(Table::of(columns.into_iter().map(|(name, v)| (name, Value::Vector(v))))?)
}

/// How a database is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) days: usize,
    pub(crate) rows_per_day: usize,
    /// q's own algorithm, blocks of 128 KiB.
    pub(crate) compressed: bool,
    /// A database of its own for each day, or one for all.
    pub(crate) apart: bool,
}

/// Writes databases below `root`; databases of an earlier run stay. Returns the folders.
pub(crate) fn write(root: &Path, shape: Shape) -> Result<Vec<PathBuf>, Error> {
    let mut options = SaveOptions { parted: Some("sym".into()), overwrite: true, ..SaveOptions::default() };
    options.compress =
        shape.compressed.then_some(Compression { block_bits: 17, algorithm: Algorithm::Q, level: 0 });
    let mut folders = Vec::new();
    for day in 0..shape.days {
        let folder = if shape.apart { root.join(format!("day-{day}")) } else { root.to_path_buf() };
        let place = PartitionValue::date(FIRST_DAY + day as i64);
        if !folder.join(place.dir_name()).join("trade").is_dir() {
            let trades = table(place.value, shape.rows_per_day, true)?;
            save_down(&folder, place, "trade", &trades, &options)?;
        }
        if folders.last() != Some(&folder) {
            folders.push(folder);
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_each_time_and_no_symbols_where_none_are_wanted() {
        let (one, two) = (table(1, 100, true).unwrap(), table(1, 100, true).unwrap());
        assert_eq!(one, two);
        assert_eq!((one.columns().len(), one.len()), (7, 100));
        assert!(table(1, 10, false).unwrap().column("sym").is_none());
    }

    #[test]
    fn a_day_a_database_or_all_in_one() {
        let dir = tempfile::tempdir().unwrap();
        let shape = Shape { days: 2, rows_per_day: 50, compressed: true, apart: true };
        assert_eq!(write(&dir.path().join("apart"), shape).unwrap().len(), 2);
        let one = write(&dir.path().join("one"), Shape { apart: false, ..shape }).unwrap();
        let database = hdb::Database::open(&one[0], &hdb::OpenOptions::default()).unwrap();
        assert_eq!(database.partitions("trade").len(), 2);
    }
}
