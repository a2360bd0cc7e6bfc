//! Tables as Arrow record batches, for Arrow IPC and Parquet.
//!
//! | q | Arrow |
//! | --- | --- |
//! | boolean, byte, short, int, long, real, float | Boolean, UInt8, Int16, Int32, Int64, Float32, Float64 |
//! | symbol, string, char | Utf8 (bytes that are no UTF-8 replaced) |
//! | guid | FixedSizeBinary(16) |
//! | timestamp, datetime | Timestamp(ns) since 1970, no zone |
//! | timespan | Duration(ns) |
//! | date, month | Date32, a month as its first day |
//! | minute, second, time | Time32(s), Time32(s), Time32(ms) where inside a day |
//! | any other list | Utf8, as the console shows the item |
//!
//! q's nulls become nulls; infinities keep q's numbers, except that dates, times and timestamps which Arrow
//! cannot hold become nulls.

use std::{io::Write, sync::Arc};

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, DurationNanosecondArray, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, Time32MillisecondArray,
    Time32SecondArray, TimestampNanosecondArray, UInt8Array,
};
use arrow_schema::{Field, Schema};
use kvalue::{
    Buf, Fixed, Type, Value, Vector,
    time::{EPOCH_DAYS, EPOCH_NANOS, days_from_civil, is_special},
    types::{NULL_INT, NULL_LONG, NULL_SHORT},
};

use super::console;
use crate::Failure;

/// Rows of a record batch and of a Parquet row group's write.
const BATCH: usize = 1 << 16;

/// Names and columns of a table, or of a keyed table with its keys first.
pub(super) fn columns(payload: &Value) -> Option<Vec<(Vec<u8>, Value)>> {
    let of = |t: &kvalue::Table| t.iter().map(|(n, c)| (n.to_vec(), c.clone())).collect::<Vec<_>>();
    match payload {
        Value::Table(t) => Some(of(t)),
        Value::Dict(d) => d.as_keyed_table().map(|(k, v)| [of(k), of(v)].concat()),
        _ => None,
    }
}

/// Writes an Arrow IPC stream.
pub(super) fn write_ipc(payload: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    let batches = batches(payload)?;
    let schema = batches[0].schema();
    let mut writer = arrow_ipc::writer::StreamWriter::try_new(out, &schema).map_err(Failure::work)?;
    for batch in &batches {
        writer.write(batch).map_err(Failure::work)?;
    }
    writer.finish().map_err(Failure::work)
}

/// Writes a Parquet file, snappy-compressed.
pub(super) fn write_parquet(payload: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
    let batches = batches(payload)?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    // The writer wants to own what it may send to another thread; the bytes are few enough to hold.
    let mut file = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut file, batches[0].schema(), Some(properties)).map_err(Failure::work)?;
    for batch in &batches {
        writer.write(batch).map_err(Failure::work)?;
    }
    writer.close().map_err(Failure::work)?;
    out.write_all(&file).map_err(Failure::work)
}

/// At least one batch, so that an empty table keeps its schema.
fn batches(payload: &Value) -> Result<Vec<RecordBatch>, Failure> {
    let columns = columns(payload).ok_or_else(|| {
        Failure::Usage(format!(
            "the answer is a {}, not a table: choose --format json or console",
            payload.type_name()
        ))
    })?;
    let rows = columns.first().map_or(0, |(_, c)| c.count());
    let starts = (0..rows.max(1)).step_by(BATCH);
    starts
        .map(|start| {
            let range = start..rows.min(start + BATCH);
            let arrays: Vec<ArrayRef> = columns.iter().map(|(_, c)| array(&c.slice(range.clone()))).collect();
            let fields: Vec<Field> = columns
                .iter()
                .zip(&arrays)
                .map(|((name, _), a)| Field::new(String::from_utf8_lossy(name), a.data_type().clone(), true))
                .collect();
            RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(Failure::work)
        })
        .collect()
}

fn array(column: &Value) -> ArrayRef {
    match column {
        Value::Vector(v) => vector(v).unwrap_or_else(|| texts(column)),
        _ => texts(column),
    }
}

fn texts(column: &Value) -> ArrayRef {
    let item = |i| {
        let value = column.index(i);
        match value.as_text() {
            Some(text) => String::from_utf8_lossy(&text).into_owned(),
            None => console::text(&value, console::Size::ALL).trim_end().to_string(),
        }
    };
    Arc::new((0..column.count()).map(|i| Some(item(i))).collect::<StringArray>())
}

/// Elements with those that `keep` drops as nulls.
fn map<T: Fixed, U>(v: &Vector, keep: impl Fn(T) -> Option<U>) -> Option<impl Iterator<Item = Option<U>>> {
    let buf: Buf<T> = v.as_buf()?;
    Some((0..buf.len()).map(move |i| keep(buf.get(i))))
}

fn vector(v: &Vector) -> Option<ArrayRef> {
    let seconds_of = |unit: i32| {
        move |n: i32| {
            (n != NULL_INT).then(|| n.checked_mul(unit)).flatten().filter(|s| (0..86_400).contains(s))
        }
    };
    Some(match v.ty() {
        Type::Boolean => Arc::new(map(v, |b: u8| Some(b != 0))?.collect::<BooleanArray>()),
        Type::Byte => Arc::new(map(v, |b: u8| Some(b))?.collect::<UInt8Array>()),
        Type::Short => Arc::new(map(v, |n: i16| (n != NULL_SHORT).then_some(n))?.collect::<Int16Array>()),
        Type::Int => Arc::new(map(v, |n: i32| (n != NULL_INT).then_some(n))?.collect::<Int32Array>()),
        Type::Long => Arc::new(map(v, |n: i64| (n != NULL_LONG).then_some(n))?.collect::<Int64Array>()),
        Type::Real => Arc::new(map(v, |x: f32| (!x.is_nan()).then_some(x))?.collect::<Float32Array>()),
        Type::Float => Arc::new(map(v, |x: f64| (!x.is_nan()).then_some(x))?.collect::<Float64Array>()),
        Type::Char => {
            let text = |c: u8| String::from_utf8_lossy(&[c]).into_owned();
            Arc::new(map(v, |c: u8| Some(text(c)))?.collect::<StringArray>())
        }
        Type::Symbol => {
            let names = v.as_symbols()?.iter();
            let name = |s: &[u8]| (!s.is_empty()).then(|| String::from_utf8_lossy(s).into_owned());
            Arc::new(names.map(name).collect::<StringArray>())
        }
        Type::Guid => {
            let guids = map(v, |g: [u8; 16]| (g != [0; 16]).then_some(g))?;
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(guids, 16).ok()?)
        }
        Type::Timestamp => {
            let unix =
                |ns: i64| (!is_special(Type::Timestamp, ns)).then(|| ns.checked_add(EPOCH_NANOS)).flatten();
            Arc::new(map(v, unix)?.collect::<TimestampNanosecondArray>())
        }
        Type::Datetime => {
            let unix = |days: f64| {
                let ms = (days * 86_400_000.0).round();
                (ms.is_finite() && ms.abs() < 9e12).then(|| (ms as i64) * 1_000_000 + EPOCH_NANOS)
            };
            Arc::new(map(v, unix)?.collect::<TimestampNanosecondArray>())
        }
        Type::Timespan => {
            Arc::new(map(v, |ns: i64| (ns != NULL_LONG).then_some(ns))?.collect::<DurationNanosecondArray>())
        }
        Type::Date => {
            let unix = |d: i32| {
                (!is_special(Type::Date, i64::from(d))).then(|| d.checked_add(EPOCH_DAYS as i32)).flatten()
            };
            Arc::new(map(v, unix)?.collect::<Date32Array>())
        }
        Type::Month => {
            let first_day = |m: i32| {
                let months = i64::from(m) + 24_000;
                let days = days_from_civil(months.div_euclid(12), months.rem_euclid(12) as u32 + 1, 1)?;
                (!is_special(Type::Month, i64::from(m))).then_some((days + EPOCH_DAYS) as i32)
            };
            Arc::new(map(v, first_day)?.collect::<Date32Array>())
        }
        Type::Minute => Arc::new(map(v, seconds_of(60))?.collect::<Time32SecondArray>()),
        Type::Second => Arc::new(map(v, seconds_of(1))?.collect::<Time32SecondArray>()),
        Type::Time => {
            let in_day = |ms: i32| (0..86_400_000).contains(&ms).then_some(ms);
            Arc::new(map(v, in_day)?.collect::<Time32MillisecondArray>())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use kvalue::{Atom, Table, time::civil_from_days};

    fn sample() -> Value {
        Table::of([
            ("t", Value::from(Vector::timestamps(vec![0, NULL_LONG]))),
            ("s", Value::syms(["a", ""])),
            ("m", Vector::new::<i32>(Type::Month, vec![1, NULL_INT]).into()),
            ("l", Value::list([Value::str("x"), Value::from(Vector::longs(vec![1, 2]))])),
        ])
        .unwrap()
        .into()
    }

    #[test]
    fn nulls_become_nulls_and_the_epoch_moves() {
        let batch = &batches(&sample()).unwrap()[0];
        let times: &TimestampNanosecondArray = batch.column(0).as_any().downcast_ref().unwrap();
        assert_eq!((times.value(0), times.is_null(1)), (EPOCH_NANOS, true));
        let months: &Date32Array = batch.column(2).as_any().downcast_ref().unwrap();
        let (y, m, d) = civil_from_days(i64::from(months.value(0)) - EPOCH_DAYS);
        assert_eq!((y, m, d), (2000, 2, 1));
        let texts: &StringArray = batch.column(3).as_any().downcast_ref().unwrap();
        assert_eq!((texts.value(0), texts.value(1)), ("x", "1 2"));
    }

    #[test]
    fn every_type_has_an_array_and_a_parquet_file() {
        let columns = Type::ALL.map(|ty| (ty.name(), Value::from(Vector::repeat(&Atom::null(ty), 3))));
        let t: Value = Table::of(columns).unwrap().into();
        let mut out = Vec::new();
        write_parquet(&t, &mut out).unwrap();
        assert_eq!(&out[..4], b"PAR1");
        let mut out = Vec::new();
        write_ipc(&t, &mut out).unwrap();
        assert!(!out.is_empty());
    }

    #[test]
    fn what_is_no_table_says_so() {
        let err = write_ipc(&Value::from(1i64), &mut Vec::new()).unwrap_err();
        assert!(err.to_string().contains("choose --format json"), "{err}");
    }
}
