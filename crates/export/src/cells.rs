//! Values of one column as an Arrow array.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, DurationMillisecondArray, DurationNanosecondArray,
    DurationSecondArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, ListArray, NullArray, StringArray, TimestampMillisecondArray, TimestampNanosecondArray,
    UInt8Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use kvalue::{
    Atom, Fixed, Type, Value, Vector,
    time::{EPOCH_DAYS, EPOCH_NANOS},
    types::{INF_INT, INF_LONG, INF_SHORT, NULL_INT, NULL_LONG, NULL_SHORT},
};

use crate::{ExportError, Loss, arrow::item_field, shape::Shape, text};

const INFINITE: &str = "is an infinity, which the format has none of";
const TOO_FAR: &str = "lies beyond what the format can count to";
const NO_TEXT: &str = "has bytes that are no UTF-8";

/// Where values come from, for the error.
pub(crate) struct Place<'a> {
    pub(crate) column: &'a str,
    /// Row of the first value.
    pub(crate) first_row: usize,
    pub(crate) loss: Loss,
}

impl Place<'_> {
    /// A null where loss is allowed, else the error.
    fn lose<T>(&self, row: usize, value: &Value, why: &'static str) -> Result<Option<T>, ExportError> {
        match self.loss {
            Loss::Allowed => Ok(None),
            Loss::Refused => Err(self.refuse(row, value, why)),
        }
    }

    fn refuse(&self, row: usize, value: &Value, why: &'static str) -> ExportError {
        let mut shown = String::new();
        match value {
            Value::Atom(a) => text::atom(a, crate::csv::Style::Q, &mut shown),
            other => text::json(other, &mut shown),
        }
        ExportError::Unrepresentable {
            column: self.column.into(),
            row: self.first_row + row,
            value: shown.chars().take(60).collect(),
            why,
        }
    }

    /// The text of bytes.
    fn utf8(&self, row: usize, bytes: &[u8]) -> Result<String, ExportError> {
        match (std::str::from_utf8(bytes), self.loss) {
            (Ok(text), _) => Ok(text.into()),
            (Err(_), Loss::Allowed) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            (Err(_), Loss::Refused) => Err(self.refuse(row, &Value::str(bytes), NO_TEXT)),
        }
    }
}

/// The array of a column whose rows have this shape.
pub(crate) fn array(column: &Value, shape: &Shape, place: &Place<'_>) -> Result<ArrayRef, ExportError> {
    let items: Vec<Value> = match column {
        Value::Vector(v) => return vector(v, |row| row, place),
        other => (0..other.count()).map(|i| other.index(i)).collect(),
    };
    let rows: Vec<usize> = (0..items.len()).collect();
    of_items(&items, &rows, shape, place)
}

/// The array of these items; `rows` says in which row of the column each lies.
fn of_items(
    items: &[Value],
    rows: &[usize],
    shape: &Shape,
    place: &Place<'_>,
) -> Result<ArrayRef, ExportError> {
    match shape {
        Shape::Unknown => Ok(Arc::new(NullArray::new(items.len()))),
        Shape::Text => {
            let texts = items.iter().zip(rows).map(|(item, row)| match item {
                Value::Null => Ok(None),
                Value::Atom(Atom::Char(c)) => place.utf8(*row, &[*c]).map(Some),
                other => place.utf8(*row, &other.as_text().unwrap_or_default()).map(Some),
            });
            Ok(Arc::new(texts.collect::<Result<StringArray, _>>()?))
        }
        Shape::Atom(ty) => {
            let atom = |item: &Value, row: usize| match item {
                Value::Atom(a) => Ok(a.clone()),
                // `::` among atoms is q's missing value.
                _ if !matches!(ty, Type::Boolean | Type::Byte) => Ok(Atom::null(*ty)),
                other => Err(place.refuse(row, other, "is missing, and this type has no null")),
            };
            let atoms: Vec<Atom> =
                items.iter().zip(rows).map(|(item, row)| atom(item, *row)).collect::<Result<_, _>>()?;
            let v = Vector::from_atoms(*ty, &atoms).map_err(|e| ExportError::Library(e.to_string()))?;
            vector(&v, |i| rows[i], place)
        }
        Shape::List(of) => {
            let mut inner = Vec::new();
            let mut inner_rows = Vec::new();
            for (item, row) in items.iter().zip(rows) {
                inner.extend((0..item_count(item)).map(|i| item.index(i)));
                inner_rows.resize(inner.len(), *row);
            }
            let values = of_items(&inner, &inner_rows, of, place)?;
            i32::try_from(inner.len())
                .map_err(|_| ExportError::Library("lists of over 2^31 items".into()))?;
            let offsets = OffsetBuffer::from_lengths(items.iter().map(item_count));
            let nulls: NullBuffer = items.iter().map(|item| !matches!(item, Value::Null)).collect();
            Ok(Arc::new(ListArray::try_new(item_field(of), offsets, values, Some(nulls))?))
        }
    }
}

fn item_count(item: &Value) -> usize {
    if matches!(item, Value::Null) { 0 } else { item.count() }
}

/// The typed vector as an array; `row` gives the row of each element.
fn vector(v: &Vector, row: impl Fn(usize) -> usize, place: &Place<'_>) -> Result<ArrayRef, ExportError> {
    let lose = |i: usize, why| place.lose(row(i), &Value::Atom(v.get(i)), why);
    Ok(match v.ty() {
        Type::Boolean => {
            Arc::new(each(v, |_, b: u8| Ok(Some(b != 0)))?.into_iter().collect::<BooleanArray>())
        }
        Type::Byte => Arc::new(UInt8Array::from(each(v, |_, b: u8| Ok(Some(b)))?)),
        Type::Short => Arc::new(Int16Array::from(each(v, |i, n: i16| match n {
            NULL_SHORT => Ok(None),
            n if n.unsigned_abs() == INF_SHORT.unsigned_abs() => lose_as(lose(i, INFINITE)),
            n => Ok(Some(n)),
        })?)),
        Type::Int => Arc::new(Int32Array::from(ints(v, &lose, Some)?)),
        Type::Long => Arc::new(Int64Array::from(longs(v, &lose, Some)?)),
        Type::Real => Arc::new(Float32Array::from(each(v, |_, x: f32| Ok((!x.is_nan()).then_some(x)))?)),
        Type::Float => Arc::new(Float64Array::from(each(v, |_, x: f64| Ok((!x.is_nan()).then_some(x)))?)),
        Type::Char => {
            let texts: Vec<u8> = each(v, |_, c: u8| Ok(c))?;
            let texts = texts.iter().enumerate().map(|(i, c)| place.utf8(row(i), &[*c]));
            Arc::new(texts.map(|t| t.map(Some)).collect::<Result<StringArray, _>>()?)
        }
        Type::Symbol => {
            let names = v.as_symbols().into_iter().flat_map(kvalue::Symbols::iter).enumerate();
            let name = |(i, s): (usize, &[u8])| match s.is_empty() {
                true => Ok(None),
                false => place.utf8(row(i), s).map(Some),
            };
            Arc::new(names.map(name).collect::<Result<StringArray, _>>()?)
        }
        Type::Guid => {
            let guids = each(v, |_, g: [u8; 16]| Ok((g != [0; 16]).then_some(g)))?;
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(guids.into_iter(), 16)?)
        }
        Type::Timestamp => {
            Arc::new(TimestampNanosecondArray::from(longs(v, &lose, |ns| ns.checked_add(EPOCH_NANOS))?))
        }
        Type::Datetime => Arc::new(TimestampMillisecondArray::from(each(v, |i, days: f64| {
            let ms = (days * 86_400_000.0).round();
            match ms {
                _ if days.is_nan() => Ok(None),
                _ if days.is_infinite() => lose(i, INFINITE),
                // Numbers of this size are whole; a little less than i64 holds leaves room for the epoch.
                ms if ms.abs() < 9.2e18 => Ok(Some(ms as i64 + EPOCH_DAYS * 86_400_000)),
                _ => lose(i, TOO_FAR),
            }
        })?)),
        Type::Timespan => Arc::new(DurationNanosecondArray::from(longs(v, &lose, Some)?)),
        Type::Time => Arc::new(DurationMillisecondArray::from(ints(v, &lose, |n| Some(i64::from(n)))?)),
        Type::Second => Arc::new(DurationSecondArray::from(ints(v, &lose, |n| Some(i64::from(n)))?)),
        Type::Minute => Arc::new(DurationSecondArray::from(ints(v, &lose, |n| Some(i64::from(n) * 60))?)),
        Type::Date => Arc::new(Date32Array::from(ints(v, &lose, |d| d.checked_add(EPOCH_DAYS as i32))?)),
        Type::Month => Arc::new(Date32Array::from(ints(v, &lose, first_day)?)),
    })
}

/// Days since 1970 of the first day of a month since 2000.
fn first_day(month: i32) -> Option<i32> {
    let months = i64::from(month) + 24_000;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12));
    // Days before a month in a year that begins in March, so that the leap day comes last.
    let (year, of_year) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    i32::try_from(days + (153 * of_year + 2) / 5 - 719_468).ok()
}

type Lose<'a> = &'a dyn Fn(usize, &'static str) -> Result<Option<i64>, ExportError>;

/// A loss as a null of another type.
fn lose_as<T>(lost: Result<Option<i64>, ExportError>) -> Result<Option<T>, ExportError> {
    lost.map(|_| None)
}

fn each<T: Fixed, U>(
    v: &Vector,
    put: impl Fn(usize, T) -> Result<U, ExportError>,
) -> Result<Vec<U>, ExportError> {
    let buf =
        v.as_buf::<T>().ok_or_else(|| ExportError::Library(format!("a {} of another width", v.ty())))?;
    buf.iter().enumerate().map(|(i, x)| put(i, x)).collect()
}

/// 32-bit numbers, with nulls and what `to` cannot give told.
fn ints<U>(v: &Vector, lose: Lose<'_>, to: impl Fn(i32) -> Option<U>) -> Result<Vec<Option<U>>, ExportError> {
    each(v, |i, n: i32| match n {
        NULL_INT => Ok(None),
        n if n.unsigned_abs() == INF_INT.unsigned_abs() => lose_as(lose(i, INFINITE)),
        n => to(n).map_or_else(|| lose_as(lose(i, TOO_FAR)), |u| Ok(Some(u))),
    })
}

/// As [`ints`], of 64 bits.
fn longs(
    v: &Vector,
    lose: Lose<'_>,
    to: impl Fn(i64) -> Option<i64>,
) -> Result<Vec<Option<i64>>, ExportError> {
    each(v, |i, n: i64| match n {
        NULL_LONG => Ok(None),
        n if n.unsigned_abs() == INF_LONG.unsigned_abs() => lose(i, INFINITE),
        n => to(n).map_or_else(|| lose(i, TOO_FAR), |u| Ok(Some(u))),
    })
}
