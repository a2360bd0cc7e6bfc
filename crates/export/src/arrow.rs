//! Tables as Arrow record batches and IPC streams.
//!
//! | q | Arrow |
//! | --- | --- |
//! | boolean, byte, short, int, long, real, float | Boolean, UInt8, Int16, Int32, Int64, Float32, Float64 |
//! | symbol, string, char | Utf8 |
//! | guid | FixedSizeBinary(16), extension `arrow.uuid` |
//! | timestamp | Timestamp(ns) since 1970, no zone |
//! | datetime | Timestamp(ms) since 1970, no zone |
//! | timespan, time | Duration(ns), Duration(ms) |
//! | second, minute | Duration(s) |
//! | date, month | Date32, a month as its first day |
//! | list of lists of one type | List of that type |
//! | list of nothing but `::` | Null |
//!
//! Each field's metadata has q's type as `q.type`. q's nulls become nulls. A type never depends on the values of
//! a typed column. Times of day are durations because q's may be negative or exceed a day.

use std::{io::Write, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema};
use kvalue::{Type, Value};

use crate::{
    ExportError, Loss,
    cells::{Place, array},
    shape::Shape,
};

/// Rows of a record batch and of a Parquet row group's write.
const BATCH: usize = 1 << 16;

/// Writes an Arrow IPC stream. Every value is looked at before the first byte is written.
pub fn write_ipc(payload: &Value, loss: Loss, out: &mut dyn Write) -> Result<(), ExportError> {
    let batches = batches(payload, loss)?;
    let schema = batches[0].schema();
    let mut writer = arrow_ipc::writer::StreamWriter::try_new(out, &schema)?;
    for batch in &batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    Ok(())
}

/// The record batches of a table: at least one batch, so that an empty table keeps its schema.
pub fn batches(payload: &Value, loss: Loss) -> Result<Vec<RecordBatch>, ExportError> {
    let columns = crate::columns(payload).ok_or_else(|| ExportError::NotATable(payload.type_name()))?;
    let rows = columns.first().map_or(0, |(_, c)| c.count());
    let mut fields = Vec::with_capacity(columns.len());
    let mut shapes = Vec::with_capacity(columns.len());
    for (name, column) in &columns {
        let name = field_name(name, loss)?;
        let shape = shape_of(&name, column)?;
        fields.push(field(&name, &shape));
        shapes.push((name, shape));
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = |start: usize| {
        let range = start..rows.min(start + BATCH);
        let arrays: Vec<ArrayRef> = columns
            .iter()
            .zip(&shapes)
            .map(|((_, column), (name, shape))| {
                let place = Place { column: name, first_row: range.start, loss };
                array(&column.slice(range.clone()), shape, &place)
            })
            .collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(range.len()));
        Ok(RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?)
    };
    (0..rows.max(1)).step_by(BATCH).map(batch).collect()
}

fn field_name(name: &[u8], loss: Loss) -> Result<String, ExportError> {
    match (std::str::from_utf8(name), loss) {
        (Ok(name), _) => Ok(name.into()),
        (Err(_), Loss::Allowed) => Ok(String::from_utf8_lossy(name).into_owned()),
        (Err(_), Loss::Refused) => Err(ExportError::Unrepresentable {
            column: String::from_utf8_lossy(name).into_owned(),
            row: 0,
            value: "the column's name".into(),
            why: "is no UTF-8",
        }),
    }
}

/// The shape that all rows of a column have.
fn shape_of(name: &str, column: &Value) -> Result<Shape, ExportError> {
    if let Value::Vector(v) = column {
        return Ok(Shape::Atom(v.ty()));
    }
    let mut known = Shape::Unknown;
    for row in 0..column.count() {
        let item = column.index(row);
        let mixed = |expected: &Shape| ExportError::Mixed {
            column: name.into(),
            row,
            found: Shape::of(&item, 0).map_or_else(|| format!("a {}", item.type_name()), |s| s.words()),
            expected: expected.words(),
        };
        let expected = known.clone();
        known = Shape::of(&item, 0).and_then(|s| known.with(s)).ok_or_else(|| mixed(&expected))?;
    }
    Ok(known)
}

/// A column's field, with q's type in its metadata.
fn field(name: &str, shape: &Shape) -> Field {
    let mut metadata = vec![("q.type".to_string(), shape.words())];
    if *shape == Shape::Atom(Type::Guid) {
        metadata.push(("ARROW:extension:name".into(), "arrow.uuid".into()));
        metadata.push(("ARROW:extension:metadata".into(), String::new()));
    }
    Field::new(name, data_type(shape), true)
        .with_metadata(metadata.into_iter().collect::<std::collections::HashMap<_, _>>())
}

/// The field of the items of a list.
pub(crate) fn item_field(shape: &Shape) -> Arc<Field> {
    Arc::new(field("item", shape))
}

fn data_type(shape: &Shape) -> DataType {
    use arrow_schema::TimeUnit::{Millisecond, Nanosecond, Second};
    match shape {
        Shape::Unknown => DataType::Null,
        Shape::Text => DataType::Utf8,
        Shape::List(of) => DataType::List(item_field(of)),
        Shape::Atom(ty) => match ty {
            Type::Boolean => DataType::Boolean,
            Type::Byte => DataType::UInt8,
            Type::Short => DataType::Int16,
            Type::Int => DataType::Int32,
            Type::Long => DataType::Int64,
            Type::Real => DataType::Float32,
            Type::Float => DataType::Float64,
            Type::Char | Type::Symbol => DataType::Utf8,
            Type::Guid => DataType::FixedSizeBinary(16),
            Type::Timestamp => DataType::Timestamp(Nanosecond, None),
            Type::Datetime => DataType::Timestamp(Millisecond, None),
            Type::Timespan => DataType::Duration(Nanosecond),
            Type::Time => DataType::Duration(Millisecond),
            Type::Second | Type::Minute => DataType::Duration(Second),
            Type::Date | Type::Month => DataType::Date32,
        },
    }
}
