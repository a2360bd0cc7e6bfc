//! Sample databases: `gallery`, a table with a column of every basic type, nulls and infinities among its rows,
//! and `big`, whose rows make an answer of over 100 MB.
//!
//! The rows of `gallery` are written down in `tests/clients/gallery.json`, which the clients' scripts read too: answers
//! of clients are compared with that file, never with rows made by this module.

use std::path::Path;

use hdb::save::{SaveOptions, save_partition};
use hdb::{HdbError, PartitionKind, PartitionValue};
use kvalue::{Atom, ShapeError, Table, Type, Value, Vector};
use serde_json::Value as Json;

/// The rows of `gallery` and the size of `big`.
pub const ROWS: &str = include_str!("../../../tests/clients/gallery.json");

const DAY: i64 = 86_400_000_000_000;
const MICROSECOND: i64 = 1_000;
/// Float columns of `big`: with time and symbol a row takes 91 bytes on the wire.
const BIG_FLOATS: usize = 10;
/// Different symbols of `big`.
const BIG_SYMBOLS: usize = 8;

/// Why a sample database could not be written.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    /// The file of rows is not JSON.
    #[error("gallery.json: {0}")]
    Json(#[from] serde_json::Error),
    /// The file of rows lacks something or has it in another shape.
    #[error("gallery.json: {what} is {got}, expected {expected}")]
    Rows {
        /// Where in the file.
        what: String,
        /// What is there.
        got: String,
        /// What should be there.
        expected: &'static str,
    },
    /// The rows make no table.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The table could not be saved.
    #[error(transparent)]
    Save(#[from] HdbError),
}

/// Write `gallery` and `big` as a date-partitioned database into `root`.
pub fn write(root: &Path) -> Result<(), GalleryError> {
    let rows: Json = serde_json::from_str(ROWS)?;
    let gallery = gallery(&rows)?;
    let big_rows = number(&rows["big"]["rows"], "big.rows")?;
    let partitions = items(&rows["partitions"], "partitions")?;
    let per_partition = usize::try_from(big_rows).unwrap_or(0) / partitions.len().max(1);
    let (mut start, mut big_start) = (0, 0);
    for partition in partitions {
        let day = number(&partition["date"], "partitions.date")?;
        let rows = usize::try_from(number(&partition["rows"], "partitions.rows")?).unwrap_or(0);
        if start + rows > gallery.len() {
            return Err(odd("partitions.rows", partition, "no more than the columns hold"));
        }
        let tables = [
            ("gallery", &gallery.slice(start..start + rows)),
            ("big", &big(day, big_start..big_start + per_partition)?),
        ];
        let place = PartitionValue { kind: PartitionKind::Date, value: day };
        save_partition(root, place, &tables, &SaveOptions::default())?;
        (start, big_start) = (start + rows, big_start + per_partition);
    }
    Ok(())
}

fn gallery(rows: &Json) -> Result<Table, GalleryError> {
    let mut columns = Vec::new();
    for column in items(&rows["columns"], "columns")? {
        let name = text(&column["name"], "columns.name")?;
        let values = items(&column["values"], name)?;
        let column = match text(&column["type"], name)? {
            "string" => {
                let strings: Result<Vec<Value>, _> =
                    values.iter().map(|v| text(v, name).map(Value::str)).collect();
                Value::list(strings?)
            }
            ty => {
                let ty = Type::ALL.into_iter().find(|t| t.name() == ty);
                let ty = ty.ok_or_else(|| odd(name, &column["type"], "the name of a q type"))?;
                let atoms: Result<Vec<Atom>, _> = values.iter().map(|v| atom(ty, v, name)).collect();
                Value::Vector(Vector::from_atoms(ty, &atoms?)?)
            }
        };
        columns.push((name, column));
    }
    Ok(Table::of(columns)?)
}

fn atom(ty: Type, value: &Json, column: &str) -> Result<Atom, GalleryError> {
    let special = match value.as_str() {
        Some("null") => Some(Atom::null(ty)),
        Some("inf") => Atom::infinity(ty),
        Some("-inf") => Atom::infinity(ty).and_then(negated),
        _ => None,
    };
    match (special, ty, value) {
        (_, Type::Symbol, Json::String(name)) => Ok(Atom::Symbol(kvalue::Sym::new(name.as_bytes()))),
        (_, Type::Char, Json::String(one)) if one.len() == 1 => Ok(Atom::from_le_bytes(ty, one.as_bytes())?),
        (_, Type::Guid, Json::String(guid)) => Ok(Atom::from_le_bytes(ty, &guid_bytes(guid, column)?)?),
        (Some(atom), ..) => Ok(atom),
        (None, _, Json::Number(n)) => match n.as_i64() {
            Some(whole) => Ok(Atom::from_i64(ty, whole)),
            None => Ok(Atom::from_f64(ty, n.as_f64().unwrap_or(f64::NAN))),
        },
        _ => Err(odd(column, value, "a value of the column's type")),
    }
}

/// The infinity of the other sign: the same number negated, for integers as for floats.
fn negated(atom: Atom) -> Option<Atom> {
    let ty = atom.ty();
    let mut bytes = atom.to_le_bytes();
    if matches!(ty, Type::Real | Type::Float | Type::Datetime) {
        *bytes.last_mut()? ^= 0x80;
    } else {
        // The two's complement of 0x7f..ff is 0x80..01.
        bytes.iter_mut().for_each(|b| *b = !*b);
        *bytes.first_mut()? += 1;
    }
    Atom::from_le_bytes(ty, &bytes).ok()
}

fn guid_bytes(text: &str, column: &str) -> Result<Vec<u8>, GalleryError> {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes.filter(|b| b.len() == 16).ok_or_else(|| odd(column, &Json::from(text), "a guid"))
}

/// Rows `range` (over all partitions) of `big`, all of them on `day`.
fn big(day: i64, range: std::ops::Range<usize>) -> Result<Table, GalleryError> {
    let n = range.len();
    let times = (0..n as i64).map(|row| day * DAY + row * MICROSECOND).collect();
    let names: Vec<String> = (0..BIG_SYMBOLS).map(|s| format!("s{s}")).collect();
    let symbols = range.clone().map(|row| names[row % BIG_SYMBOLS].as_bytes());
    let mut columns = vec![
        ("time".to_string(), Value::Vector(Vector::timestamps(times))),
        ("sym".to_string(), Value::Vector(Vector::syms(symbols))),
    ];
    for k in 0..BIG_FLOATS {
        let floats = range.clone().map(|row| (row % 1000 + k) as f64).collect();
        columns.push((format!("f{k}"), Value::Vector(Vector::floats(floats))));
    }
    Ok(Table::of(columns)?)
}

fn odd(what: &str, got: &Json, expected: &'static str) -> GalleryError {
    GalleryError::Rows { what: what.into(), got: got.to_string(), expected }
}

fn items<'a>(value: &'a Json, what: &str) -> Result<&'a [Json], GalleryError> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| odd(what, value, "a list"))
}

fn text<'a>(value: &'a Json, what: &str) -> Result<&'a str, GalleryError> {
    value.as_str().ok_or_else(|| odd(what, value, "a string"))
}

fn number(value: &Json, what: &str) -> Result<i64, GalleryError> {
    value.as_i64().ok_or_else(|| odd(what, value, "a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_basic_type_has_a_column() {
        let gallery = gallery(&serde_json::from_str(ROWS).unwrap()).unwrap();
        for ty in Type::ALL {
            let held = |column: &Value| column.as_vector().is_some_and(|v| v.ty() == ty);
            assert!(gallery.columns().iter().any(held), "no column of type {ty}");
        }
        let is_string = |column: &Value| matches!(column, Value::List(list) if list.len() == gallery.len());
        assert!(gallery.columns().iter().any(is_string), "no column of strings");
    }

    #[test]
    fn every_type_that_has_an_infinity_shows_both_and_its_null() {
        let gallery = gallery(&serde_json::from_str(ROWS).unwrap()).unwrap();
        for column in gallery.columns().iter().skip(2).filter_map(Value::as_vector) {
            let Some(infinity) = Atom::infinity(column.ty()) else { continue };
            let atoms: Vec<Atom> = column.iter().collect();
            assert!(atoms.contains(&infinity), "{} has no infinity", column.ty());
            assert!(atoms.contains(&negated(infinity).unwrap()), "{} has no negative infinity", column.ty());
            assert!(atoms.iter().any(Atom::is_null), "{} has no null", column.ty());
        }
        assert_eq!(negated(Atom::Int(i32::MAX)), Some(Atom::Int(-i32::MAX)));
        assert_eq!(negated(Atom::Float(f64::INFINITY)), Some(Atom::Float(f64::NEG_INFINITY)));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let root = tempfile::tempdir().unwrap();
        write(root.path()).unwrap();
        let database = hdb::Database::open(root.path(), &hdb::OpenOptions::default()).unwrap();
        let partitions = database.partitions("gallery");
        assert_eq!(partitions.len(), 2);
        let expected = gallery(&serde_json::from_str(ROWS).unwrap()).unwrap();
        for (n, partition) in partitions.iter().enumerate() {
            let table = database.open_table("gallery", Some(partition)).unwrap();
            for (name, column) in expected.iter() {
                let name = std::str::from_utf8(name).unwrap();
                let found = table.column(name, 0..3).unwrap();
                for row in 0..3 {
                    assert_eq!(
                        found.index(row),
                        column.index(n * 3 + row),
                        "{name}, partition {n}, row {row}"
                    );
                }
            }
        }
        let rows: usize = database
            .partitions("big")
            .iter()
            .map(|p| database.open_table("big", Some(p)).unwrap().rows().unwrap())
            .sum();
        assert_eq!(rows, 1_200_000);
    }
}
