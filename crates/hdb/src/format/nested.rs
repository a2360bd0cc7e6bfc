//! Nested columns of kdb+ up to 3.5: cumulative ends in `name`, items one after another in `name#`.
//!
//! Rule: ends never decrease and never leave the data; only the items asked for are read. Tests:
//! `tests/vectors.rs`.

use std::ops::Range;

use kvalue::{Buf, List, Type, Value, Vector};

use super::{header::Header, image::Image};
use crate::HdbError;

/// Items `rows` as vectors of type `ty`.
pub(crate) fn read(
    index: &Image,
    header: &Header,
    data: &Image,
    ty: Type,
    rows: Range<usize>,
) -> Result<Value, HdbError> {
    if rows.is_empty() {
        return Ok(Value::list([]));
    }
    let corrupt = |found: String, expected: String| HdbError::corrupt(index.path(), found, expected);
    let width = ty.width().unwrap_or(1) as u64;
    let offset = |i: usize| -> Result<i64, HdbError> {
        let bytes = index.read(header.bytes_of(&(i..i + 1)))?;
        Ok(super::i64_at(&bytes, 0).unwrap_or(-1))
    };

    // Whether ends count bytes or elements is not documented for wide items: the last one against the size
    // of the data says which.
    let last = offset(header.rows as usize - 1)?;
    let unit = match u64::try_from(last) {
        Ok(last) if last == data.len() => 1,
        Ok(last) if last.checked_mul(width) == Some(data.len()) => width,
        _ => {
            return Err(corrupt(
                format!("a last end of {last}"),
                format!("the size of {}, {} bytes", data.path().display(), data.len()),
            ));
        }
    };

    let before = if rows.start == 0 { 0 } else { offset(rows.start - 1)? };
    let ends = Buf::<i64>::new(index.read(header.bytes_of(&rows))?)
        .map_err(|e| corrupt(e.to_string(), "whole offsets".into()))?;
    let mut from = before;
    for (i, to) in ends.iter().enumerate() {
        if from < 0 || to < from || to > last {
            return Err(corrupt(
                format!("an item from {from} to {to} at row {}", rows.start + i),
                format!("ends that do not decrease, at most {last}"),
            ));
        }
        from = to;
    }
    let base = before as u64 * unit;
    let bytes = data.read(base..from as u64 * unit)?;
    let mut at = 0usize;
    let items: Result<Vec<Value>, HdbError> = ends
        .iter()
        .map(|to| {
            let end = (to as u64 * unit - base) as usize;
            let item = Vector::fixed(ty, bytes.slice(at..end))
                .map_err(|e| corrupt(e.to_string(), "whole elements".into()))?;
            at = end;
            Ok(Value::Vector(item))
        })
        .collect();
    Ok(Value::List(List::new(items?)))
}
