//! Sorting the rows of a table that is saved: stable, nulls first, symbols by their bytes.
//!
//! Tests: `tests/save.rs`.

use std::{borrow::Cow, collections::HashMap};

use kvalue::{Physical, Table, Value, Vector};

/// Rows in the order of the key columns; `None` where they are in order already. The error is the name of a
/// key that cannot be one.
pub(super) fn permutation(table: &Table, keys: &[&str]) -> Result<Option<Vec<usize>>, String> {
    let mut columns = Vec::with_capacity(keys.len());
    for key in keys {
        match table.column(key) {
            Some(Value::Vector(v)) => columns.push(sort_keys(v)),
            _ => return Err((*key).to_owned()),
        }
    }
    let compare = |a: usize, b: usize| {
        columns.iter().map(|c| c[a].cmp(&c[b])).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    };
    if (1..table.len()).all(|i| compare(i - 1, i).is_le()) {
        return Ok(None);
    }
    let mut rows: Vec<usize> = (0..table.len()).collect();
    rows.sort_by(|&a, &b| compare(a, b));
    Ok(Some(rows))
}

/// True where the elements never decrease.
pub(super) fn ascending(vector: &Vector) -> bool {
    sort_keys(vector).is_sorted()
}

/// Numbers that compare as the elements do in q.
fn sort_keys(vector: &Vector) -> Vec<i64> {
    // Every NaN is the null and comes first; -0 equals 0.
    let float = |x: f64| {
        if x.is_nan() {
            return i64::MIN;
        }
        let bits = (x + 0.0).to_bits() as i64;
        if bits < 0 { !(bits & i64::MAX) } else { bits }
    };
    let of = |f: &dyn Fn() -> Option<Vec<i64>>| f().unwrap_or_default();
    match vector.physical() {
        Physical::U8 => of(&|| Some(vector.as_buf::<u8>()?.iter().map(i64::from).collect())),
        Physical::I16 => of(&|| Some(vector.as_buf::<i16>()?.iter().map(i64::from).collect())),
        Physical::I32 => of(&|| Some(vector.as_buf::<i32>()?.iter().map(i64::from).collect())),
        Physical::I64 => of(&|| Some(vector.as_buf::<i64>()?.to_vec())),
        Physical::F32 => of(&|| Some(vector.as_buf::<f32>()?.iter().map(|x| float(f64::from(x))).collect())),
        Physical::F64 => of(&|| Some(vector.as_buf::<f64>()?.iter().map(float).collect())),
        Physical::Guid => of(&|| Some(ranks(vector.as_buf::<[u8; 16]>()?.iter().collect()))),
        Physical::Symbol => of(&|| Some(ranks(vector.as_symbols()?.iter().collect()))),
    }
}

/// The place of each item among the distinct items in ascending order.
fn ranks<T: Ord + std::hash::Hash + Copy>(items: Vec<T>) -> Vec<i64> {
    let mut distinct: Vec<T> = items.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let rank: HashMap<T, i64> = distinct.into_iter().zip(0..).collect();
    items.iter().map(|item| rank[item]).collect()
}

pub(super) fn apply(items: Vec<i64>, rows: Option<&[usize]>) -> Vec<i64> {
    match rows {
        Some(rows) => rows.iter().map(|&row| items[row]).collect(),
        None => items,
    }
}

pub(super) fn apply_items<'a>(items: &'a [Value], rows: Option<&[usize]>) -> Cow<'a, [Value]> {
    match rows {
        Some(rows) => rows.iter().map(|&row| items[row].clone()).collect(),
        None => Cow::Borrowed(items),
    }
}

pub(super) fn apply_fixed<'a>(vector: &'a Vector, rows: Option<&[usize]>) -> Cow<'a, [u8]> {
    let bytes = vector.as_bytes().map(|b| &b[..]).unwrap_or_default();
    let width = vector.ty().width().unwrap_or(1);
    match rows {
        Some(rows) => {
            let mut out = Vec::with_capacity(bytes.len());
            rows.iter().for_each(|&row| out.extend_from_slice(&bytes[row * width..(row + 1) * width]));
            Cow::Owned(out)
        }
        None => Cow::Borrowed(bytes),
    }
}
