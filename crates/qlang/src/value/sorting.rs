//! The order of rows by one or more columns, stable, ascending or descending: typed keys, no item is boxed.

use std::cmp::Ordering;

use super::{
    Sym,
    core::{Data, Value, Vector},
    order::{compare, float_order},
};

/// A column as something to compare rows by.
enum Keys {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Guids(Vec<[u8; 16]>),
    Values(Vec<Value>),
}

/// Symbols as numbers in the order of their names.
fn sym_ranks(items: &[Sym]) -> Vec<i64> {
    let mut distinct: Vec<Sym> = items.to_vec();
    distinct.sort_unstable_by_key(|s| s.id());
    distinct.dedup();
    let mut by_name: Vec<(&[u8], Sym)> =
        super::sym::names(&distinct).into_iter().zip(distinct.iter().copied()).collect();
    by_name.sort_unstable_by_key(|p| p.0);
    let top = distinct.last().map_or(0, |s| s.id() as usize);
    let mut rank = vec![0i64; top + 1];
    for (i, (_, s)) in by_name.iter().enumerate() {
        rank[s.id() as usize] = i as i64;
    }
    items.iter().map(|s| rank[s.id() as usize]).collect()
}

fn keys(column: &Value) -> Keys {
    let ints = |v: &Vector| match &v.data {
        Data::Bool(x) => Some(x.iter().map(|&b| i64::from(b)).collect()),
        Data::U8(x) => Some(x.iter().map(|&b| i64::from(b)).collect()),
        Data::I16(x) => Some(x.iter().map(|&b| i64::from(b)).collect()),
        Data::I32(x) => Some(x.iter().map(|&b| i64::from(b)).collect()),
        Data::I64(x) => Some(x.to_vec()),
        Data::Sym(x) => Some(sym_ranks(x)),
        _ => None,
    };
    match column {
        Value::Vector(v) => match &v.data {
            Data::F32(x) => Keys::Floats(x.iter().map(|&b| f64::from(b)).collect()),
            Data::F64(x) => Keys::Floats(x.to_vec()),
            Data::Guid(x) => Keys::Guids(x.to_vec()),
            Data::Enum(..) => match v.resolved() {
                Value::Vector(plain) => ints(&plain).map_or_else(|| Keys::Values(column.items()), Keys::Ints),
                other => Keys::Values(other.items()),
            },
            _ => ints(v).map_or_else(|| Keys::Values(column.items()), Keys::Ints),
        },
        other => Keys::Values(other.items()),
    }
}

impl Keys {
    fn compare(&self, a: u32, b: u32) -> Ordering {
        let (a, b) = (a as usize, b as usize);
        match self {
            Keys::Ints(x) => x[a].cmp(&x[b]),
            Keys::Floats(x) => float_order(x[a], x[b]),
            Keys::Guids(x) => x[a].cmp(&x[b]),
            Keys::Values(x) => compare(&x[a], &x[b]),
        }
    }

    /// One number a row whose order is that of the keys; `None` where there is none.
    fn numbers(&self) -> Option<Vec<i64>> {
        match self {
            Keys::Ints(x) => Some(x.clone()),
            Keys::Floats(x) => Some(
                x.iter()
                    .map(|&f| {
                        if f.is_nan() {
                            return i64::MIN;
                        }
                        let bits = (f + 0.0).to_bits() as i64;
                        bits ^ (((bits >> 63) as u64) >> 1) as i64
                    })
                    .collect(),
            ),
            Keys::Guids(_) | Keys::Values(_) => None,
        }
    }
}

/// The rows in the order of these columns, the first one first; `true` is descending. Stable both ways.
pub fn sort_rows(columns: &[(&Value, bool)], n: usize) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..n as u32).collect();
    match columns {
        [] => {}
        [(column, down)] => {
            let k = keys(column);
            match k.numbers() {
                Some(numbers) => rows = sort_numbers(&numbers, *down),
                None => rows.sort_by(|&a, &b| directed(k.compare(a, b), *down)),
            }
        }
        _ => {
            let all: Vec<(Keys, bool)> = columns.iter().map(|(c, down)| (keys(c), *down)).collect();
            rows.sort_by(|&a, &b| {
                all.iter()
                    .map(|(k, down)| directed(k.compare(a, b), *down))
                    .find(|o| *o != Ordering::Equal)
                    .unwrap_or(Ordering::Equal)
            });
        }
    }
    rows
}

fn directed(o: Ordering, down: bool) -> Ordering {
    if down { o.reverse() } else { o }
}

/// Rows by numbers, stable: by counting where the numbers span little, else by sorting pairs.
fn sort_numbers(numbers: &[i64], down: bool) -> Vec<u32> {
    let n = numbers.len();
    let Some(&first) = numbers.first() else { return Vec::new() };
    let (low, high) = numbers.iter().fold((first, first), |(l, h), &x| (l.min(x), h.max(x)));
    let ascending = if down { numbers.is_sorted_by(|a, b| a >= b) } else { numbers.is_sorted() };
    if ascending {
        return (0..n as u32).collect();
    }
    let span = high.abs_diff(low);
    if span <= (n as u64).max(1024) {
        let code = |x: i64| (if down { high.wrapping_sub(x) } else { x.wrapping_sub(low) }) as usize;
        let mut next = vec![0u32; span as usize + 2];
        numbers.iter().for_each(|&x| next[code(x) + 1] += 1);
        for i in 1..next.len() {
            next[i] += next[i - 1];
        }
        let mut rows = vec![0u32; n];
        for (row, &x) in numbers.iter().enumerate() {
            let place = &mut next[code(x)];
            rows[*place as usize] = row as u32;
            *place += 1;
        }
        return rows;
    }
    let mut pairs: Vec<(i64, u32)> =
        numbers.iter().enumerate().map(|(i, &x)| (if down { !x } else { x }, i as u32)).collect();
    pairs.sort_unstable();
    pairs.into_iter().map(|(_, i)| i).collect()
}

/// The elements in order, ascending or descending; `None` where only their positions can be ordered (symbols by name,
/// enumerations).
pub fn sorted(v: &Vector, down: bool) -> Option<Vector> {
    fn go<T: Copy + Ord>(items: &[T], down: bool) -> Vec<T> {
        let mut out = items.to_vec();
        if down {
            out.sort_unstable_by(|a, b| b.cmp(a));
        } else {
            out.sort_unstable();
        }
        out
    }
    let data = match &v.data {
        Data::Bool(d) => Data::Bool(go(d, down).into()),
        Data::Guid(d) => Data::Guid(go(d, down).into()),
        Data::U8(d) => Data::U8(go(d, down).into()),
        Data::I16(d) => Data::I16(go(d, down).into()),
        Data::I32(d) => Data::I32(go(d, down).into()),
        Data::I64(d) => Data::I64(go(d, down).into()),
        _ => return None,
    };
    Some(Vector::new(v.ty, data))
}
