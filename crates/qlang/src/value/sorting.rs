//! The order of rows by one or more columns, stable, ascending or descending: typed keys, no item is boxed.

use std::cmp::Ordering;

use super::{
    Sym,
    core::{Data, Value, Vector},
    order::{compare, float_order},
    radix,
};

/// A column as something to compare rows by.
enum Keys {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Guids(Vec<[u8; 16]>),
    Values(Vec<Value>),
}

/// The distinct symbols in the order of their names, and the rank of each symbol by its number.
fn sym_order(items: &[Sym]) -> (Vec<Sym>, Vec<u32>) {
    let top = items.iter().fold(0, |m, s| m.max(s.id())) as usize;
    let mut rank = vec![0u32; top + 1];
    let mut distinct = Vec::new();
    for s in items {
        let seen = &mut rank[s.id() as usize];
        if *seen == 0 {
            *seen = 1;
            distinct.push(*s);
        }
    }
    let names = super::sym::names(&distinct);
    let mut by_name: Vec<(&[u8], Sym)> = names.into_iter().zip(distinct).collect();
    by_name.sort_unstable_by_key(|p| p.0);
    for (i, (_, s)) in by_name.iter().enumerate() {
        rank[s.id() as usize] = i as u32;
    }
    (by_name.into_iter().map(|p| p.1).collect(), rank)
}

/// Symbols as numbers in the order of their names.
fn sym_ranks(items: &[Sym]) -> Vec<i64> {
    if items.is_empty() {
        return Vec::new();
    }
    let (_, rank) = sym_order(items);
    items.iter().map(|s| i64::from(rank[s.id() as usize])).collect()
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

    /// One number per row, ordered as the keys; `None` for keys without such numbers.
    fn numbers(&self) -> Option<Vec<i64>> {
        match self {
            Keys::Ints(x) => Some(x.clone()),
            Keys::Floats(x) => Some(x.iter().map(|&f| float_key(f)).collect()),
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
                Some(numbers) => rows = radix::grade(&numbers, *down),
                None => rows.sort_by(|&a, &b| directed(k.compare(a, b), *down)),
            }
        }
        _ => {
            let all: Vec<(Keys, bool)> = columns.iter().map(|(c, down)| (keys(c), *down)).collect();
            let numbers: Option<Vec<(Vec<i64>, bool)>> =
                all.iter().map(|(k, down)| Some((k.numbers()?, *down))).collect();
            if let Some(numbers) = numbers {
                return radix::grade_all(&numbers, n);
            }
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

/// A float as a whole number of the same order: nulls first, both zeros one.
#[inline]
fn float_key(x: f64) -> i64 {
    if x.is_nan() {
        return i64::MIN;
    }
    let bits = (x + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// The float of a key.
#[inline]
fn key_float(k: i64) -> f64 {
    if k == i64::MIN {
        return kvalue::types::NULL_FLOAT;
    }
    f64::from_bits((k ^ (((k >> 63) as u64) >> 1) as i64) as u64)
}

/// The elements in order, ascending or descending; `None` for enumerations: items and codes are ordered differently.
pub fn sorted(v: &Vector, down: bool) -> Option<Vector> {
    fn numbers<T: Copy>(items: &[T], down: bool, key: impl Fn(T) -> i64, back: impl Fn(i64) -> T) -> Vec<T> {
        let mut keys: Vec<i64> = items.iter().map(|x| key(*x)).collect();
        radix::sort(&mut keys);
        if down {
            keys.iter().rev().map(|k| back(*k)).collect()
        } else {
            keys.iter().map(|k| back(*k)).collect()
        }
    }
    let data = match &v.data {
        Data::Bool(d) => Data::Bool(numbers(d, down, i64::from, |k| k != 0).into()),
        Data::U8(d) => Data::U8(numbers(d, down, i64::from, |k| k as u8).into()),
        Data::I16(d) => Data::I16(numbers(d, down, i64::from, |k| k as i16).into()),
        Data::I32(d) => Data::I32(numbers(d, down, i64::from, |k| k as i32).into()),
        Data::I64(d) => {
            let mut keys = d.to_vec();
            radix::sort(&mut keys);
            if down {
                keys.reverse();
            }
            Data::I64(keys.into())
        }
        Data::F32(d) => {
            Data::F32(numbers(d, down, |x| float_key(f64::from(x)), |k| key_float(k) as f32).into())
        }
        Data::F64(d) => Data::F64(numbers(d, down, float_key, key_float).into()),
        Data::Sym(d) => {
            if d.is_empty() {
                return Some(v.clone());
            }
            let (order, rank) = sym_order(d);
            let ranked = |s: Sym| i64::from(rank[s.id() as usize]);
            Data::Sym(numbers(d, down, ranked, |k| order[k as usize]).into())
        }
        Data::Guid(d) => {
            let mut items = d.to_vec();
            items.sort_unstable();
            if down {
                items.reverse();
            }
            Data::Guid(items.into())
        }
        Data::Enum(..) => return None,
    };
    Some(Vector::new(v.ty, data))
}
