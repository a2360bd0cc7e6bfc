//! From rows to partial states: one state a group, as plain q vectors.

use kvalue::{Buf, Fixed, Type, Value, Vector};

use super::{
    drive::{Number, Whole, drive, last_rows, with_numbers},
    function::{Function, PartialColumns, result_type},
    items::floats,
    moments, state,
    sums::{FloatSum, LANES, Product},
};
use crate::{
    KernelError, Selection,
    group::{Assignment, Groups},
    ids, take,
};

/// The partial state of each group over the selected rows.
///
/// `columns` are the aggregate's columns (two for the dyadic ones), `groups` the grouping of the same `sel`. A
/// monadic aggregate's type is checked first: `'type`, `'rank`, and `'length` where a column is too short.
pub fn accumulate(
    f: Function,
    columns: &[&Value],
    groups: &Groups,
    sel: &Selection,
) -> Result<PartialColumns, KernelError> {
    f.check_rank(columns.len())?;
    if let Some(short) = columns.iter().find(|c| c.count() < sel.end()) {
        return Err(KernelError::Length {
            what: format!("column of {f}"),
            got: short.count(),
            expected: sel.end(),
        });
    }
    let empty_list = |c: &Value| matches!(c, Value::List(l) if l.is_empty());
    let types: Vec<Option<Type>> = columns.iter().map(|c| c.as_vector().map(Vector::ty)).collect();
    // An empty general list has no type of its own: numbers of it are taken as floats.
    let floats = Value::Vector(Vector::empty(Type::Float));
    let assumed: Vec<Option<Type>> = columns
        .iter()
        .zip(&types)
        .map(|(c, t)| if empty_list(c) { t.or(Some(Type::Float)) } else { *t })
        .collect();
    if matches!(f, Function::Count | Function::First | Function::Last | Function::Distinct) {
        return Ok(of_any(f, columns[0], groups, sel));
    }
    result_type(f, &assumed)?;
    let vectors: Vec<&Vector> =
        columns.iter().filter_map(|c| c.as_vector().or_else(|| floats.as_vector())).collect();
    let values: Vec<Value> = match (f, &vectors[..]) {
        (Function::All, [v]) => {
            vec![truths(v, groups, sel, true, |acc, x| acc & x)]
        }
        (Function::Any, [v]) => {
            vec![truths(v, groups, sel, false, |acc, x| acc | x)]
        }
        (Function::Min | Function::Max, [v]) => vec![extremes(f, v, groups, sel)],
        (Function::Sum, [v]) => sums(v, groups, sel).0,
        (Function::Avg, [v]) => {
            let (mut columns, counts) = sums(v, groups, sel);
            columns.push(Value::from(Vector::longs(counts)));
            columns
        }
        (Function::Prd, [v]) => products(v, groups, sel),
        (Function::Wsum | Function::Wavg, [w, x]) => weighted(f, w, x, groups, sel),
        (_, [v]) => moments::of_one(v, groups, sel),
        (_, [x, y]) => moments::of_two(x, y, groups, sel),
        _ => Vec::new(),
    };
    Ok(f.state().iter().copied().zip(values).collect())
}

/// The aggregates that take columns of any kind.
fn of_any(f: Function, column: &Value, groups: &Groups, sel: &Selection) -> PartialColumns {
    let counts = || Value::from(Vector::longs(groups.counts.iter().map(|&n| n as i64).collect()));
    match f {
        Function::Count => vec![("n", counts())],
        Function::First => vec![("v", take::take_rows(column, &groups.first_row)), ("n", counts())],
        Function::Last => vec![("v", take::take_rows(column, &last_rows(groups, sel))), ("n", counts())],
        _ => vec![("v", distinct(column, groups, sel))],
    }
}

/// The distinct items of each group in order of first appearance, as a list of lists.
fn distinct(column: &Value, groups: &Groups, sel: &Selection) -> Value {
    let of_group = ids::Ids { ids: groups.ids(sel).into_owned(), count: groups.len() };
    let pairs = ids::combine(ids::of_column(column, sel), ids::Ids { ids: of_group.ids.clone(), ..of_group });
    let mut rows: Vec<Vec<u32>> = vec![Vec::new(); groups.len()];
    let mut seen = 0;
    for ((row, &pair), &group) in sel.iter().zip(&pairs.ids).zip(&of_group.ids) {
        if pair == seen {
            rows[group as usize].push(row as u32);
            seen += 1;
        }
    }
    Value::list(rows.iter().map(|rows| take::take_rows(column, rows)).collect::<Vec<_>>())
}

fn truths(
    v: &Vector,
    groups: &Groups,
    sel: &Selection,
    init: bool,
    join: impl Fn(bool, bool) -> bool + Copy,
) -> Value {
    fn of<T: Number>(
        buf: &Buf<T>,
        groups: &Groups,
        sel: &Selection,
        init: bool,
        join: impl Fn(bool, bool) -> bool + Copy,
    ) -> Vec<bool> {
        let bulk = |acc, rows: &[T::Le]| rows.iter().fold(acc, |a, &x| join(a, T::from_le(x).is_true()));
        drive(buf, groups, sel, init, bulk, |acc, x| *acc = join(*acc, x.is_true()))
    }
    let all = with_numbers!(v, |b| whole of(&b, groups, sel, init, join),
        float of(&b, groups, sel, init, join), else vec![init; groups.len()]);
    Value::from(Vector::booleans(all))
}

fn extremes(f: Function, v: &Vector, groups: &Groups, sel: &Selection) -> Value {
    let ty = v.ty();
    // A boolean's infinity is 1b, not the highest byte.
    if ty == Type::Boolean {
        let all = match f {
            Function::Min => truths(v, groups, sel, true, |acc, x| acc & x),
            _ => truths(v, groups, sel, false, |acc, x| acc | x),
        };
        return all;
    }
    let empty = || Vector::empty(ty);
    let out = match f {
        Function::Min => with_numbers!(v, |b| whole Vector::new(ty, minimums(&b, groups, sel)),
            float Vector::new(ty, minimums(&b, groups, sel)), else empty()),
        _ => with_numbers!(v, |b| whole Vector::new(ty, maximums(&b, groups, sel)),
            float Vector::new(ty, maximums(&b, groups, sel)), else empty()),
    };
    Value::from(out)
}

pub(super) fn minimums<T: Number>(buf: &Buf<T>, groups: &Groups, sel: &Selection) -> Vec<T> {
    // NaN is below nothing, an integer null is taken as infinity: neither wins.
    let least = |a: T, x: T| {
        let x = if x.is_null() { T::HIGH } else { x };
        if x < a { x } else { a }
    };
    drive(buf, groups, sel, T::HIGH, |a, rows| in_lanes::<T>(a, rows, least), |a, x| *a = least(*a, x))
}

pub(super) fn maximums<T: Number>(buf: &Buf<T>, groups: &Groups, sel: &Selection) -> Vec<T> {
    // Integer nulls are below minus infinity and NaN is above nothing: neither wins.
    let most = |a: T, x: T| if x > a { x } else { a };
    drive(buf, groups, sel, T::LOW, |a, rows| in_lanes::<T>(a, rows, most), |a, x| *a = most(*a, x))
}

/// Folds rows in independent lanes, so that one comparison need not wait for the last.
#[inline(always)]
fn in_lanes<T: Fixed>(init: T, rows: &[T::Le], join: impl Fn(T, T) -> T) -> T {
    let (chunks, rest) = rows.as_chunks::<16>();
    let mut lanes = [init; 16];
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = join(*lane, T::from_le(x));
        }
    }
    let all = lanes.into_iter().fold(init, &join);
    rest.iter().fold(all, |a, &x| join(a, T::from_le(x)))
}

/// Sums as state columns, and the number of items that are not null.
fn sums(v: &Vector, groups: &Groups, sel: &Selection) -> (Vec<Value>, Vec<i64>) {
    let none = || (state::Sums::Whole(vec![0; groups.len()]), vec![0; groups.len()]);
    let (sums, counts) = with_numbers!(v, |b| whole whole_sums(&b, groups, sel),
        float float_sums(&b, groups, sel), else none());
    (sums.columns(), counts)
}

fn whole_sums<T: Whole>(buf: &Buf<T>, groups: &Groups, sel: &Selection) -> (state::Sums, Vec<i64>) {
    let all = drive(buf, groups, sel, (0i128, 0i64), whole_sum::<T>, |acc, x| {
        if !x.is_null() {
            acc.0 += i128::from(x.wide());
            acc.1 += 1;
        }
    });
    let (sums, counts) = all.into_iter().unzip();
    (state::Sums::Whole(sums), counts)
}

fn float_sums<T: Number + Into<f64>>(
    buf: &Buf<T>,
    groups: &Groups,
    sel: &Selection,
) -> (state::Sums, Vec<i64>) {
    let all = drive(buf, groups, sel, (FloatSum::default(), 0i64), float_sum::<T>, |acc, x| {
        let x: f64 = x.into();
        if !x.is_nan() {
            acc.0.add(x);
            acc.1 += 1;
        }
    });
    let (sums, counts) = all.into_iter().unzip();
    (state::Sums::Float(sums), counts)
}

fn whole_sum<T: Whole>(acc: (i128, i64), rows: &[T::Le]) -> (i128, i64) {
    let (mut total, mut count) = acc;
    // A block is short enough that no 64-bit partial sum overflows.
    for block in rows.chunks(1 << 30) {
        let mut nulls = 0u64;
        if T::NARROW {
            let mut sum = 0i64;
            for &x in block {
                let x = T::from_le(x);
                nulls += u64::from(x.is_null());
                sum += if x.is_null() { 0 } else { x.wide() };
            }
            total += i128::from(sum);
        } else {
            // Halves summed apart: the compiler has no vector form of 128-bit addition.
            let (mut high, mut low) = (0i64, 0u64);
            for &x in block {
                let x = T::from_le(x);
                nulls += u64::from(x.is_null());
                let x = if x.is_null() { 0 } else { x.wide() };
                high += x >> 32;
                low += x as u64 & 0xffff_ffff;
            }
            total += (i128::from(high) << 32) + i128::from(low);
        }
        count += block.len() as i64 - nulls as i64;
    }
    (total, count)
}

fn float_sum<T: Fixed + Into<f64>>(acc: (FloatSum, i64), rows: &[T::Le]) -> (FloatSum, i64) {
    let (mut total, mut count) = acc;
    let (chunks, rest) = rows.as_chunks::<LANES>();
    // Sums and errors in arrays of their own: that is the form the compiler vectorises.
    let (mut hi, mut lo, mut nulls) = ([0.0f64; LANES], [0.0f64; LANES], [0u64; LANES]);
    for chunk in chunks {
        for i in 0..LANES {
            let x: f64 = T::from_le(chunk[i]).into();
            nulls[i] += u64::from(x.is_nan());
            let x = if x.is_nan() { 0.0 } else { x };
            let sum = hi[i] + x;
            let back = sum - hi[i];
            lo[i] += (hi[i] - (sum - back)) + (x - back);
            hi[i] = sum;
        }
    }
    hi.into_iter().zip(lo).for_each(|(hi, lo)| total.merge(FloatSum { hi, lo }));
    count += (chunks.len() * LANES) as i64 - nulls.iter().sum::<u64>() as i64;
    for &x in rest {
        let x: f64 = T::from_le(x).into();
        if !x.is_nan() {
            total.add(x);
            count += 1;
        }
    }
    (total, count)
}

fn products(v: &Vector, groups: &Groups, sel: &Selection) -> Vec<Value> {
    with_numbers!(v, |b| whole whole_products(&b, groups, sel), float float_products(&b, groups, sel),
        else vec![Value::from(Vector::longs(vec![1; groups.len()])); 2])
}

/// Products modulo 2⁶⁴, which is also right modulo the width of an int.
fn whole_products<T: Whole>(buf: &Buf<T>, groups: &Groups, sel: &Selection) -> Vec<Value> {
    let step = |acc: &mut i64, x: T| {
        if !x.is_null() {
            *acc = acc.wrapping_mul(x.wide());
        }
    };
    let all = drive(buf, groups, sel, 1i64, |acc, rows| fold(acc, rows, step), step);
    vec![Value::from(Vector::longs(all)), Value::from(Vector::longs(vec![0; groups.len()]))]
}

fn float_products<T: Number + Into<f64>>(buf: &Buf<T>, groups: &Groups, sel: &Selection) -> Vec<Value> {
    let step = |acc: &mut Product, x: T| {
        if !x.is_null() {
            acc.multiply(x.into());
        }
    };
    state::products(&drive(buf, groups, sel, Product::default(), |acc, rows| fold(acc, rows, step), step))
}

/// `step` over a slice: for accumulators that do not vectorise.
fn fold<T: Fixed, A: Copy>(mut acc: A, rows: &[T::Le], step: impl Fn(&mut A, T)) -> A {
    rows.iter().for_each(|&x| step(&mut acc, T::from_le(x)));
    acc
}

#[derive(Clone, Copy, Default)]
struct Weighted {
    products: FloatSum,
    weights: FloatSum,
}

fn weighted(f: Function, w: &Vector, x: &Vector, groups: &Groups, sel: &Selection) -> Vec<Value> {
    let (w, x) = (floats(w, sel), floats(x, sel));
    let mut acc = vec![Weighted::default(); groups.len()];
    match &groups.assignment {
        Assignment::Single => weighted_run(&mut acc[0], &w, &x),
        Assignment::Runs(runs) => {
            let mut from = 0;
            for (run, group) in runs {
                let to = from + run.len();
                weighted_run(&mut acc[*group as usize], &w[from..to], &x[from..to]);
                from = to;
            }
        }
        Assignment::Each(ids) => {
            for ((&w, &x), &group) in w.iter().zip(&x).zip(ids) {
                if !(w.is_nan() || x.is_nan()) {
                    let acc = &mut acc[group as usize];
                    acc.products.add(w * x);
                    acc.weights.add(w);
                }
            }
        }
    }
    let mut columns = state::Sums::Float(acc.iter().map(|a| a.products).collect()).columns();
    if f == Function::Wavg {
        columns.extend(state::Sums::Float(acc.iter().map(|a| a.weights).collect()).columns());
    }
    columns
}

fn weighted_run(acc: &mut Weighted, w: &[f64], x: &[f64]) {
    let (w_chunks, w_rest) = w.as_chunks::<LANES>();
    let (x_chunks, x_rest) = x.as_chunks::<LANES>();
    let mut lanes = [Weighted::default(); LANES];
    for (w, x) in w_chunks.iter().zip(x_chunks) {
        for i in 0..LANES {
            let null = w[i].is_nan() || x[i].is_nan();
            lanes[i].products.add(if null { 0.0 } else { w[i] * x[i] });
            lanes[i].weights.add(if null { 0.0 } else { w[i] });
        }
    }
    for lane in lanes {
        acc.products.merge(lane.products);
        acc.weights.merge(lane.weights);
    }
    for (&w, &x) in w_rest.iter().zip(x_rest) {
        if !(w.is_nan() || x.is_nan()) {
            acc.products.add(w * x);
            acc.weights.add(w);
        }
    }
}
