//! What the tests share: running a query cut into portions, and comparing answers.
#![allow(dead_code, unreachable_pub)] // each test uses its part of this

use bytes::Bytes;
use getdata::{Bound, ParseOptions, Query, Source, execute, execute_whole, joined, merge};
use kernels::error::Uninterrupted;
use kvalue::{Atom, Dict, Table, Value, atom::Scalar};
use sg::{Failure, TimeRange};

/// Arguments as a query.
pub fn parse(args: &[(&str, Value)]) -> Result<Query, Failure> {
    Query::parse(&Dict::of(args.to_vec()), &ParseOptions::default())
}

/// The answer over all of a source in one place, and whether rows were cut.
pub fn whole(bound: &Bound<'_>, source: &dyn Source) -> Result<(Value, bool), Failure> {
    let merged = execute_whole(bound, source, &Uninterrupted)?;
    Ok((merged.value()?, merged.limit_applied))
}

/// The answer over portions: per source the ranges it is cut into.
pub fn scattered(
    bound: &Bound<'_>,
    portions: &[(&dyn Source, Vec<TimeRange>)],
) -> Result<(Value, bool), Failure> {
    let mut partials: Vec<Bytes> = Vec::new();
    for (source, ranges) in portions {
        for range in ranges {
            partials.push(joined(&execute(bound, *source, *range, &Uninterrupted)?));
        }
    }
    let merged = merge(bound.query(), partials)?;
    Ok((merged.value()?, merged.limit_applied))
}

/// The time line cut at these instants.
pub fn tiles(mut cuts: Vec<i64>) -> Vec<TimeRange> {
    cuts.sort_unstable();
    cuts.dedup();
    let starts = [TimeRange::MIN].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([TimeRange::MAX]);
    starts.zip(ends).map(|(a, b)| TimeRange::new(a, b).expect("ascending")).collect()
}

/// The table inside a result.
pub fn table(value: &Value) -> &Table {
    value.as_table().unwrap_or_else(|| panic!("{value:?} is no table"))
}

/// Where two results differ: names, types, rows; floats may differ by 1e-9 of their size.
pub fn difference(a: &Value, b: &Value) -> Option<String> {
    let (a, b) = (table(a), table(b));
    if a.names() != b.names() {
        return Some(format!("names {:?} and {:?}", a.names(), b.names()));
    }
    for ((name, x), (_, y)) in a.iter().zip(b.iter()) {
        let name = String::from_utf8_lossy(name);
        let as_one = |x: &Value| (x.type_number(), x.count());
        if as_one(x) != as_one(y) {
            return Some(format!("column {name}: type and count {:?} and {:?}", as_one(x), as_one(y)));
        }
        if x == y {
            continue;
        }
        if let Some(row) = (0..x.count()).find(|&i| !near(&x.index(i), &y.index(i))) {
            return Some(format!("column {name} row {row}: {:?} and {:?}", x.index(row), y.index(row)));
        }
    }
    None
}

/// Equal, or floats that agree to 1e-9 of their size.
pub fn near(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Atom(x), Value::Atom(y)) if x.ty() == y.ty() => x == y || near_atoms(x, y),
        (Value::Vector(_) | Value::List(_), Value::Vector(_) | Value::List(_)) => {
            a.count() == b.count() && (0..a.count()).all(|i| near(&a.index(i), &b.index(i)))
        }
        _ => a == b,
    }
}

fn near_atoms(x: &Atom, y: &Atom) -> bool {
    match (x.scalar(), y.scalar()) {
        (Some(Scalar::Float(x)), Some(Scalar::Float(y))) => {
            (x - y).abs() <= 1e-9 * x.abs().max(y.abs()) || (x - y).abs() < 1e-300
        }
        _ => false,
    }
}
