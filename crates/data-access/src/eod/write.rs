//! Writes a day of a table so that the folder holds each of its rows, whatever it held before.
//!
//! The day may be there already: of a replica that saves into the same folder, of an earlier life of this process, of a
//! save whose end nobody saw. What is written is the union: of equal rows as many as there are in the one that has
//! more. One writer at a time: a lock on a file that databases pass over.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use ::hdb::{Database, OpenOptions, PartitionValue, save};
use ahash::HashMap;
use kvalue::{Table, Value};

/// The file that writers of end of day lock. kdb+ and this program pass over names that end in `$`.
const LOCK: &str = "end-of-day$";

/// Saves what of `rows` the folder does not hold; the rows that the day has on disk then.
pub(super) fn save_day(
    root: &Path,
    day: i64,
    table: &str,
    rows: &Table,
    compress: Option<save::Compression>,
) -> Result<usize, String> {
    let _lock = lock(root)?;
    remove_leftovers(root);
    let options = save::SaveOptions {
        // A column of lists cannot be sorted by.
        parted: matches!(rows.column("sym"), Some(Value::Vector(_))).then(|| "sym".into()),
        compress,
        // What is written holds all that was there.
        overwrite: true,
        ..save::SaveOptions::default()
    };
    let united = match on_disk(root, day, table)? {
        None => rows.clone(),
        Some(there) => match missing(&there, rows)? {
            None => return Ok(there.len()),
            Some(more) => united(&there, &more)?,
        },
    };
    let report = save::save_down(root, PartitionValue::date(day), table, &united, &options);
    report.map(|report| report.rows).map_err(|e| e.to_string())
}

fn lock(root: &Path) -> Result<File, String> {
    std::fs::create_dir_all(root).map_err(|e| format!("create {}: {e}", root.display()))?;
    let path = root.join(LOCK);
    let told = |what: &str, e: std::io::Error| format!("{what} {}: {e}", path.display());
    let file = File::options().create(true).append(true).open(&path).map_err(|e| told("open", e))?;
    file.lock().map_err(|e| told("lock", e))?;
    Ok(file)
}

/// Removes what saves left that died: under the lock no other end of day writes.
fn remove_leftovers(root: &Path) {
    let is_leftover = |name: &str| {
        let mut parts = name.strip_suffix('$').unwrap_or_default().split('-');
        let day =
            parts.next().is_some_and(|d| d.len() == 10 && d.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        let number = |part: Option<&str>| part.is_some_and(|p| p.parse::<u64>().is_ok());
        day && number(parts.next()) && number(parts.next()) && parts.next().is_none()
    };
    for entry in std::fs::read_dir(root).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_name().to_str().is_some_and(is_leftover) {
            let dir: PathBuf = entry.path();
            match std::fs::remove_dir_all(&dir) {
                Ok(()) => tracing::info!(dir = %dir.display(), "removed what a save left that died"),
                Err(error) => {
                    tracing::warn!(dir = %dir.display(), %error, "leftovers of a save stay; remove them")
                }
            }
        }
    }
}

/// The day as it is on disk; `None` where the table has none.
fn on_disk(root: &Path, day: i64, table: &str) -> Result<Option<Table>, String> {
    let db = Database::open(root, &OpenOptions::default()).map_err(|e| e.to_string())?;
    let Some(partition) = db.partitions(table).into_iter().find(|p| p.value == day) else { return Ok(None) };
    let read = || {
        let data = db.open_table(table, Some(&partition))?;
        let n = data.rows()?;
        let columns = data.meta().columns.iter().map(|c| Ok((c.name.clone(), data.column(&c.name, 0..n)?)));
        columns.collect::<Result<Vec<_>, ::hdb::HdbError>>()
    };
    let columns = read().map_err(|e| format!("the day is on disk already and cannot be read: {e}"))?;
    Table::of(columns).map(Some).map_err(|e| e.to_string())
}

/// The rows of `rows` that `there` has not, or has fewer of; `None` where there are none.
fn missing(there: &Table, rows: &Table) -> Result<Option<Table>, String> {
    if there.columns().len() != rows.columns().len()
        || rows.iter().any(|(name, _)| column(there, name).is_none())
    {
        return Err(format!(
            "the day is on disk already with columns {}, expected {}; move it away or give it these columns",
            names(there),
            names(rows)
        ));
    }
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::default();
    for row in 0..there.len() {
        *counts.entry(key(rows, there, row)).or_default() += 1;
    }
    let more: Vec<u32> = (0..rows.len())
        .filter(|&row| match counts.get_mut(&key(rows, rows, row)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        })
        .map(|row| row as u32)
        .collect();
    if more.is_empty() {
        return Ok(None);
    }
    let columns: Vec<Value> = rows.columns().iter().map(|c| kernels::take::take_rows(c, &more)).collect();
    Table::new(rows.names().clone(), columns).map(Some).map_err(|e| e.to_string())
}

/// A row of `of` as bytes, its columns in the order of `order`.
fn key(order: &Table, of: &Table, row: usize) -> Vec<u8> {
    let cells = order.names().iter().map(|name| column(of, name).map_or(Value::Null, |c| c.index(row)));
    qipc::Raw::of(&Value::list(cells.collect::<Vec<Value>>())).0.to_vec()
}

/// All rows of both, the columns in the order of `more`.
fn united(there: &Table, more: &Table) -> Result<Table, String> {
    let columns = more.iter().map(|(name, new)| {
        let old = column(there, name).cloned().unwrap_or(Value::Null);
        kernels::take::concat(&[old, new.clone()]).map_err(|e| e.to_string())
    });
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|e| {
        format!("the day is on disk already with other types than in memory ({e}); move it away")
    })?;
    Table::new(more.names().clone(), columns).map_err(|e| e.to_string())
}

fn column<'a>(table: &'a Table, name: &[u8]) -> Option<&'a Value> {
    table.iter().find(|(of, _)| *of == name).map(|(_, column)| column)
}

fn names(table: &Table) -> String {
    let names = table.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned());
    names.collect::<Vec<_>>().join(", ")
}
