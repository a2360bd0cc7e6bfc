//! What Arrow and Parquet show of each row, read by their own crates: as JSON that somebody who reads the column in
//! Python or Java writes into the next request. Times are written as ISO 8601, durations as q writes timespans.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use kvalue::{Table, time};
use serde_json::{Value as Json, json};

const DAY: i128 = 86_400_000_000_000;

/// By format, for each row; `None` where the format has no value for the row or is refused with a sentence.
pub(super) fn shown(table: &Table) -> Vec<(&'static str, Vec<Option<Json>>)> {
    vec![("arrow", cells(table, arrow(table))), ("parquet", cells(table, parquet(table)))]
}

fn arrow(table: &Table) -> Option<Vec<RecordBatch>> {
    let mut out = Vec::new();
    export::arrow::write_ipc(&table.clone().into(), export::Loss::Refused, &mut out).ok()?;
    let reader = arrow_ipc::reader::StreamReader::try_new(std::io::Cursor::new(out), None).unwrap();
    Some(reader.map(Result::unwrap).collect())
}

fn parquet(table: &Table) -> Option<Vec<RecordBatch>> {
    use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let mut out = Vec::new();
    export::parquet::write(&table.clone().into(), export::Loss::Refused, &mut out).ok()?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(out)).unwrap();
    Some(reader.build().unwrap().map(Result::unwrap).collect())
}

fn cells(table: &Table, batches: Option<Vec<RecordBatch>>) -> Vec<Option<Json>> {
    let Some(batches) = batches else { return vec![None; table.len()] };
    let columns = batches.iter().map(|batch| batch.column(1).clone());
    columns.flat_map(|column| (0..column.len()).map(move |row| cell(&column, row))).collect()
}

fn cell(array: &ArrayRef, row: usize) -> Option<Json> {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        return Some(Json::Null);
    }
    Some(match array.data_type() {
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::UInt8 => json!(array.as_primitive::<UInt8Type>().value(row)),
        DataType::Int16 => json!(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        // JSON has neither infinities nor NaN.
        DataType::Float32 => finite(f64::from(array.as_primitive::<Float32Type>().value(row)))?,
        DataType::Float64 => finite(array.as_primitive::<Float64Type>().value(row))?,
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::FixedSizeBinary(16) => {
            let hex: Vec<String> =
                array.as_fixed_size_binary().value(row).iter().map(|b| format!("{b:02x}")).collect();
            let hex = hex.concat();
            json!(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, None) => {
            instant(array.as_primitive::<TimestampNanosecondType>().value(row).into())
        }
        DataType::Timestamp(TimeUnit::Millisecond, None) => {
            instant(i128::from(array.as_primitive::<TimestampMillisecondType>().value(row)) * 1_000_000)
        }
        DataType::Date32 => {
            let (year, month, day) = civil(array.as_primitive::<Date32Type>().value(row).into());
            // Four digits are what ISO 8601 has.
            (0..=9999).contains(&year).then(|| json!(format!("{year:04}-{month:02}-{day:02}")))?
        }
        DataType::Duration(unit) => {
            let (n, factor) = match unit {
                TimeUnit::Nanosecond => (array.as_primitive::<DurationNanosecondType>().value(row), 1),
                TimeUnit::Millisecond => {
                    (array.as_primitive::<DurationMillisecondType>().value(row), 1_000_000)
                }
                _ => (array.as_primitive::<DurationSecondType>().value(row), 1_000_000_000),
            };
            duration(i128::from(n) * factor)
        }
        // No value of one row is written as a list by anybody.
        _ => return None,
    })
}

fn finite(x: f64) -> Option<Json> {
    x.is_finite().then(|| json!(x))
}

/// Of days since 1970.
fn civil(days: i64) -> (i64, u32, u32) {
    time::civil_from_days(days - 10_957)
}

fn clock(ns: i128) -> String {
    let seconds = ns / 1_000_000_000;
    format!("{:02}:{:02}:{:02}.{:09}", seconds / 3600, seconds / 60 % 60, seconds % 60, ns % 1_000_000_000)
}

/// Of nanoseconds since 1970.
fn instant(ns: i128) -> Json {
    let (year, month, day) = civil(ns.div_euclid(DAY) as i64);
    json!(format!("{year:04}-{month:02}-{day:02}T{}", clock(ns.rem_euclid(DAY))))
}

fn duration(ns: i128) -> Json {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.abs();
    json!(format!("{sign}{}D{}", ns / DAY, clock(ns % DAY)))
}

#[test]
fn each_type_is_shown_as_its_readers_write_it() {
    use kvalue::{Atom, Value};
    for (atom, text) in [
        (Atom::Long(7), "7"),
        (Atom::Boolean(true), "true"),
        (Atom::Timestamp(1), "\"2000-01-01T00:00:00.000000001\""),
        (Atom::Date(-1), "\"1999-12-31\""),
        (Atom::Month(1), "\"2000-02-01\""),
        (Atom::Timespan(-90_000_000_000_000), "\"-1D01:00:00.000000000\""),
        (Atom::Minute(90), "\"0D01:30:00.000000000\""),
        (Atom::null(kvalue::Type::Int), "null"),
    ] {
        let column =
            Value::Vector(kvalue::Vector::from_atoms(atom.ty(), std::slice::from_ref(&atom)).unwrap());
        let table = Table::of([("id", Value::from(kvalue::Vector::longs(vec![0]))), ("c", column)]).unwrap();
        for (format, cells) in shown(&table) {
            assert_eq!(cells.len(), 1, "{format}");
            assert_eq!(cells[0].as_ref().map(Json::to_string).as_deref(), Some(text), "{format}: {atom:?}");
        }
    }
}
