//! What can be saved: names of tables and columns, items of nested columns.
//!
//! Rule: these checks and the writers agree. Whoever takes rows that are saved later asks here first, so that a
//! publisher hears the reason while it can still do something about it. Tests: here, `tests/save.rs`.

use std::path::Path;

use kvalue::{Table, Value, Vector};

use super::heap::{COMPACT, MAX_DEPTH};
use crate::{
    format::{anymap::MAX_OBJECTS, symbols},
    partition::{self, PartitionKind},
};

/// The enumeration that symbol columns go into unless told otherwise.
pub const ENUMERATION: &str = "sym";

/// Longest name of a column: file systems take 255 bytes, and the files of a nested column end in `##`.
const MAX_COLUMN_NAME: usize = 253;

/// Most symbols of one item of a nested column.
const MAX_NESTED_SYMBOLS: usize = COMPACT / 4;

/// Why a table of this name cannot be saved.
pub fn table_name(name: &[u8]) -> Result<(), String> {
    let text = plain(name)?;
    if text == ENUMERATION {
        return Err("its name is that of the file that enumerates the database's symbols; use another".into());
    }
    if partition::parse(text).is_some() {
        return Err("its name is that of a partition; use another".into());
    }
    let is_virtual = |kind: &PartitionKind| kind.column() == text;
    if [PartitionKind::Date, PartitionKind::Month, PartitionKind::Year, PartitionKind::Int]
        .iter()
        .any(is_virtual)
    {
        return Err("its name is that of the virtual column of partitioned tables; use another".into());
    }
    Ok(())
}

/// Why a column of this name cannot be saved. `partition`: the virtual column of the partition that it is saved
/// into.
pub fn column_name(name: &[u8], partition: Option<&str>) -> Result<(), String> {
    let text = plain(name)?;
    if text.len() > MAX_COLUMN_NAME {
        return Err(format!("its name has {} bytes; use at most {MAX_COLUMN_NAME}", text.len()));
    }
    if partition == Some(text) {
        return Err("the partition gives a column of this name; leave it out or rename it".into());
    }
    Ok(())
}

/// A name that can be that of a file beside others of a database.
pub(super) fn plain(name: &[u8]) -> Result<&str, String> {
    const RULE: &str = "its name must be a plain file name in UTF-8: 1 to 255 bytes, without / \\ or NUL, not \
                        starting with a dot, not ending in # or $, not par.txt";
    match symbols::leaf(Path::new(""), name) {
        Ok(text) if !text.starts_with('.') && !text.ends_with(['#', '$']) && text != "par.txt" => Ok(text),
        _ => Err(RULE.into()),
    }
}

/// A name as a disk that folds case sees it.
pub fn folded(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_lowercase()
}

/// True where the file system of `dir`, or of the nearest folder above it that exists, takes names that differ in
/// case only for one. A folder that cannot be written to counts as one that does not.
pub fn folds_case(dir: &Path) -> bool {
    let Some(dir) = dir.ancestors().find(|d| d.is_dir()) else { return false };
    // Database readers pass over names that end in `$`.
    let name = |letter: char| dir.join(format!("{letter}-{}$", std::process::id()));
    let (lower, upper) = (name('q'), name('Q'));
    if std::fs::File::create_new(&lower).is_err() {
        return false;
    }
    let folds = upper.exists();
    let _ = std::fs::remove_file(&lower);
    folds
}

/// Why a column of these values cannot be saved; the row that is in the way is named.
pub fn column(values: &Value) -> Result<(), String> {
    match values {
        Value::Vector(_) => Ok(()),
        Value::List(list) => {
            list.items().iter().enumerate().try_for_each(|(row, value)| {
                item(value).map_err(|why| format!("the item of row {row} {why}"))
            })
        }
        other => Err(format!("a {} is no column of a splayed table", other.type_name())),
    }
}

/// Why a value cannot be an item of a nested column.
pub fn item(value: &Value) -> Result<(), String> {
    match value {
        // Most items are strings.
        Value::Vector(vector) => symbols_fit(vector),
        Value::Atom(_) => Ok(()),
        other => Check { objects: 0 }.object(other, 0),
    }
}

pub(super) fn symbols_fit(vector: &Vector) -> Result<(), String> {
    match vector.as_symbols() {
        // How kdb+ writes more of them was never seen: better refused than unreadable.
        Some(_) if vector.len() > MAX_NESTED_SYMBOLS => Err(format!(
            "has {} symbols; nested symbols are written up to {MAX_NESTED_SYMBOLS} per item, use strings for more",
            vector.len()
        )),
        _ => Ok(()),
    }
}

struct Check {
    objects: u64,
}

impl Check {
    fn object(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("is nested more than {MAX_DEPTH} deep; flatten it"));
        }
        self.objects += 1;
        if self.objects > MAX_OBJECTS {
            return Err(format!("holds more than {MAX_OBJECTS} values; split it"));
        }
        match value {
            Value::Atom(_) => Ok(()),
            Value::Vector(vector) => symbols_fit(vector),
            Value::List(list) => list.items().iter().try_for_each(|item| self.object(item, depth + 1)),
            Value::Dict(dict) if !dict.is_sorted() => {
                self.object(dict.keys(), depth + 1)?;
                self.object(dict.values(), depth + 1)
            }
            Value::Dict(_) => Err("is a sorted dictionary; send it without its attribute".into()),
            Value::Table(table) => self.table(table, depth),
            Value::Null => {
                Err("is ::, which a column on disk cannot hold; send an empty list in its place".into())
            }
            Value::Opaque(_) => {
                Err("is a function, which a column on disk cannot hold; send its text".into())
            }
        }
    }

    /// A table lies on disk as its names and the list of its columns.
    fn table(&mut self, table: &Table, depth: usize) -> Result<(), String> {
        symbols_fit(&Vector::symbols(table.names().clone()))?;
        self.objects += 2;
        table.columns().iter().try_for_each(|column| self.object(column, depth + 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_database_cannot_have_are_told_why() {
        let long = "x".repeat(256);
        let nested = "x".repeat(254);
        for name in ["", ".", "..", ".d", "a/b", "/a", "a\\b", "a\0b", "a#", "a$", "par.txt", &long] {
            assert!(
                table_name(name.as_bytes()).is_err_and(|why| why.contains("plain file name")),
                "{name:?}"
            );
            assert!(column_name(name.as_bytes(), None).is_err(), "{name:?}");
        }
        assert!(table_name(b"\xff\xfe").is_err() && column_name(b"\xff", None).is_err());
        for name in ["sym", "2015.01.07", "2015.01", "2015", "7", "date", "int"] {
            assert!(table_name(name.as_bytes()).is_err(), "{name:?}");
        }
        assert!(column_name(nested.as_bytes(), None).is_err_and(|why| why.contains("254 bytes")));
        assert!(column_name(b"date", Some("date")).is_err_and(|why| why.contains("partition gives")));
        for name in ["trade", "Trade", "select", "i", "a b", "a.b", "größe", "a\nb", "-", "~"] {
            assert_eq!(table_name(name.as_bytes()), Ok(()), "{name:?}");
            assert_eq!(column_name(name.as_bytes(), Some("date")), Ok(()), "{name:?}");
        }
        assert_eq!(column_name(b"sym", None), Ok(()));
    }

    #[test]
    fn a_disk_is_asked_whether_it_folds_case() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Case"), b"").unwrap();
        let really = dir.path().join("case").exists();
        assert_eq!(folds_case(&dir.path().join("not/there/yet")), really);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
