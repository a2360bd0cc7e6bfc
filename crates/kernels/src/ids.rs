//! Dense numbers for equal items: the work under grouping, `distinct` and set search.
//!
//! Items are numbered from 0 by first appearance. A table is used where the values' span allows (it costs four
//! bytes a possible value), a hash map otherwise. Tests: `group_tests.rs`.

use std::{hash::Hash, ops::Range};

use ahash::{AHashMap, RandomState};
use kvalue::{Buf, Codes, Fixed, Physical, Value, Vector};

use crate::{
    Selection,
    order::{float_key, integer_key},
};

/// The number of each item, and how many numbers there are.
#[derive(Debug)]
pub(crate) struct Ids {
    pub(crate) ids: Vec<u32>,
    pub(crate) count: usize,
}

/// Span of values up to which a table is used however few rows there are.
const SMALL_SPAN: usize = 1 << 16;
/// Above that, table entries allowed per row.
const ENTRIES_PER_ROW: usize = 4;
const UNSEEN: u32 = u32::MAX;

fn table_is_worth(span: usize, rows: usize) -> bool {
    span <= SMALL_SPAN.max(rows.saturating_mul(ENTRIES_PER_ROW))
}

/// Numbers the selected items of a column.
pub(crate) fn of_column(column: &Value, sel: &Selection) -> Ids {
    match column {
        Value::Vector(v) => of_vector(v, sel),
        Value::List(l) => by_hash(sel.iter().map(|r| bytes_of(&l.items()[r]))),
        Value::Table(t) => {
            let mut columns = t.columns().iter().map(|c| of_column(c, sel));
            let first = columns.next().unwrap_or(Ids { ids: vec![0; sel.len()], count: 1 });
            columns.fold(first, combine)
        }
        _ => Ids { ids: vec![0; sel.len()], count: 1 },
    }
}

fn of_vector(v: &Vector, sel: &Selection) -> Ids {
    macro_rules! integers {
        ($t:ty) => {
            v.as_buf::<$t>().map(|b| of_integers(&b, sel, |x| x as i64))
        };
    }
    let ids = match v.physical() {
        Physical::U8 => integers!(u8),
        Physical::I16 => integers!(i16),
        Physical::I32 => integers!(i32),
        Physical::I64 => integers!(i64),
        Physical::F32 => v.as_buf::<f32>().map(|b| by_hash(values(&b, sel).map(|x| float_key(f64::from(x))))),
        Physical::F64 => v.as_buf::<f64>().map(|b| by_hash(values(&b, sel).map(float_key))),
        Physical::Guid => v.as_buf::<[u8; 16]>().map(|b| by_hash(values(&b, sel).map(u128::from_le_bytes))),
        Physical::Symbol => v.as_symbols().map(|s| match s.as_enumerated() {
            Some((domain, codes)) => of_codes(codes, domain, sel),
            None => by_hash(sel.iter().map(|r| s.get(r))),
        }),
    };
    ids.unwrap_or(Ids { ids: vec![0; sel.len()], count: 1 })
}

/// The selected elements of a buffer, in order.
pub(crate) fn values<'a, T: Fixed>(buf: &'a Buf<T>, sel: &'a Selection) -> impl Iterator<Item = T> + 'a {
    let le = buf.le();
    sel.runs().flat_map(move |run| le[run].iter().map(|&x| T::from_le(x)))
}

/// Numbers by a hash of the item.
fn by_hash<K: Hash + Eq>(items: impl Iterator<Item = K>) -> Ids {
    let mut seen: AHashMap<K, u32> = AHashMap::with_hasher(RandomState::new());
    let mut ids = Vec::with_capacity(items.size_hint().0);
    for item in items {
        let next = seen.len() as u32;
        ids.push(*seen.entry(item).or_insert(next));
    }
    Ids { count: seen.len(), ids }
}

/// Numbers by a table of `span` possible values.
fn by_table(items: impl Iterator<Item = usize>, span: usize, rows: usize) -> Ids {
    let mut table = vec![UNSEEN; span];
    let mut count = 0u32;
    let mut ids = Vec::with_capacity(rows);
    // `for_each`: over several runs an iterator is only fast when it drives itself.
    items.for_each(|item| {
        let id = &mut table[item];
        if *id == UNSEEN {
            *id = count;
            count += 1;
        }
        ids.push(*id);
    });
    Ids { ids, count: count as usize }
}

fn of_integers<T: Fixed + Ord>(buf: &Buf<T>, sel: &Selection, wide: impl Fn(T) -> i64 + Copy) -> Ids {
    let le = buf.le();
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    for run in sel.runs() {
        for &x in &le[run] {
            let x = wide(T::from_le(x));
            low = low.min(x);
            high = high.max(x);
        }
    }
    let span = high.checked_sub(low).and_then(|s| usize::try_from(s).ok()).and_then(|s| s.checked_add(1));
    match span {
        Some(span) if table_is_worth(span, sel.len()) => {
            by_table(values(buf, sel).map(|x| (wide(x) - low) as usize), span, sel.len())
        }
        _ => by_hash(values(buf, sel).map(|x| integer_key(wide(x)))),
    }
}

fn of_codes(codes: &Codes, domain: &kvalue::Domain, sel: &Selection) -> Ids {
    // The null symbol may be in the domain as an empty name and also be a null index: one number for both.
    let empty = domain.find(b"").map_or(domain.len(), |c| c as usize);
    let slot = move |c: i64| usize::try_from(c).unwrap_or(empty);
    let span = domain.len() + 1;
    macro_rules! codes {
        ($b:expr, $wide:expr) => {
            if table_is_worth(span, sel.len()) {
                by_table(values($b, sel).map(|c| slot($wide(c))), span, sel.len())
            } else {
                by_hash(values($b, sel).map(|c| slot($wide(c))))
            }
        };
    }
    match codes {
        Codes::I32(b) => codes!(b, i64::from),
        Codes::I64(b) => codes!(b, std::convert::identity),
    }
}

/// Numbers of pairs: equal where both are equal.
pub(crate) fn combine(a: Ids, b: Ids) -> Ids {
    let (m, n) = (a.count, b.count);
    if n <= 1 {
        return a;
    }
    let rows = a.ids.len();
    let pairs = a.ids.iter().zip(&b.ids).map(|(&x, &y)| x as usize * n + y as usize);
    match m.checked_mul(n) {
        Some(span) if table_is_worth(span, rows) => by_table(pairs, span, rows),
        _ => by_hash(a.ids.iter().zip(&b.ids).map(|(&x, &y)| (u64::from(x) << 32) | u64::from(y))),
    }
}

/// A value as bytes that are equal where the values match.
pub(crate) fn bytes_of(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_bytes(value, &mut out);
    out
}

fn write_bytes(value: &Value, out: &mut Vec<u8>) {
    out.push(value.type_number() as u8);
    match value {
        Value::Null => {}
        Value::Atom(a) => out.extend(canonical(a)),
        Value::Vector(v) => {
            out.extend((v.len() as u64).to_le_bytes());
            match (v.as_bytes(), v.physical()) {
                (_, Physical::Symbol) => {
                    for name in v.as_symbols().into_iter().flat_map(|s| s.iter()) {
                        out.extend_from_slice(name);
                        out.push(0);
                    }
                }
                (
                    Some(bytes),
                    Physical::U8 | Physical::I16 | Physical::I32 | Physical::I64 | Physical::Guid,
                ) => {
                    out.extend_from_slice(bytes);
                }
                _ => v.iter().for_each(|a| out.extend(canonical(&a))),
            }
        }
        Value::List(l) => {
            out.extend((l.len() as u64).to_le_bytes());
            l.items().iter().for_each(|v| write_bytes(v, out));
        }
        Value::Dict(d) => {
            write_bytes(d.keys(), out);
            write_bytes(d.values(), out);
        }
        Value::Table(t) => {
            out.extend((t.columns().len() as u64).to_le_bytes());
            for (name, column) in t.iter() {
                out.extend_from_slice(name);
                out.push(0);
                write_bytes(column, out);
            }
        }
        Value::Opaque(o) => {
            out.extend((o.bytes().len() as u64).to_le_bytes());
            out.extend_from_slice(o.bytes());
        }
    }
}

/// An atom's bytes with one form for every NaN and for both zeros.
fn canonical(a: &kvalue::Atom) -> Vec<u8> {
    match a.scalar() {
        Some(kvalue::atom::Scalar::Float(x)) => float_key(x).to_le_bytes().to_vec(),
        _ if a.ty() == kvalue::Type::Symbol => {
            let mut bytes = a.to_le_bytes();
            bytes.push(0);
            bytes
        }
        _ => a.to_le_bytes(),
    }
}

/// Rows of `range` whose item differs from the one before (the first row excluded), ascending.
pub(crate) fn changes(v: &Vector, range: Range<usize>) -> Vec<usize> {
    macro_rules! compare {
        ($t:ty, $differ:expr) => {
            v.as_buf::<$t>().map(|b| changes_in(&b, range.clone(), $differ)).unwrap_or_default()
        };
    }
    let floats_differ = |a: f64, b: f64| !(a == b || a.is_nan() && b.is_nan());
    match v.physical() {
        Physical::U8 => compare!(u8, |a, b| a != b),
        Physical::I16 => compare!(i16, |a, b| a != b),
        Physical::I32 => compare!(i32, |a, b| a != b),
        Physical::I64 => compare!(i64, |a, b| a != b),
        Physical::F32 => compare!(f32, |a, b| floats_differ(f64::from(a), f64::from(b))),
        Physical::F64 => compare!(f64, floats_differ),
        Physical::Guid => compare!([u8; 16], |a, b| a != b),
        Physical::Symbol => match v.as_symbols() {
            Some(s) => match s.as_enumerated() {
                Some((_, Codes::I32(b))) => changes_in(b, range, |a, b| a != b),
                Some((_, Codes::I64(b))) => changes_in(b, range, |a, b| a != b),
                None => (range.start + 1..range.end).filter(|&i| s.get(i) != s.get(i - 1)).collect(),
            },
            None => Vec::new(),
        },
    }
}

fn changes_in<T: Fixed>(buf: &Buf<T>, range: Range<usize>, differ: impl Fn(T, T) -> bool) -> Vec<usize> {
    const BLOCK: usize = 64;
    let items = &buf.le()[range.clone()];
    let mut out = Vec::new();
    let mut at = 1;
    while at < items.len() {
        let end = (at + BLOCK).min(items.len());
        let (before, here) = (&items[at - 1..end - 1], &items[at..end]);
        let any =
            before.iter().zip(here).fold(false, |any, (&a, &b)| any | differ(T::from_le(a), T::from_le(b)));
        if any {
            for (i, (&a, &b)) in before.iter().zip(here).enumerate() {
                if differ(T::from_le(a), T::from_le(b)) {
                    out.push(range.start + at + i);
                }
            }
        }
        at = end;
    }
    out
}
