//! Windows of the last `n` items: sums, means, counts, deviations, bounds; and the exponential moving average.

use std::collections::VecDeque;

use kvalue::{
    Physical, Type,
    types::{INF_INT, INF_LONG, INF_SHORT, NULL_INT, NULL_LONG, NULL_SHORT},
};

use super::{reduce, running};
use crate::{
    QError, R,
    ctx::Ctx,
    ops::arith::{
        self,
        lanes::{Lane, Operand},
        shape::{Level, plain},
        types::is_number_like,
    },
    value::{Data, Dict, Table, Value, Vector},
};

type Window = fn(&mut dyn Ctx, usize, &Vector) -> R;

/// The width of a window: a whole number; none at all below one.
fn width(n: &Value) -> R<usize> {
    let n = n.as_int().ok_or_else(QError::type_)?;
    Ok(usize::try_from(n).unwrap_or(0))
}

/// Applies a function of a window to vectors; to tables by column, to dictionaries by value, to matrices column by
/// column.
fn spread(ctx: &mut dyn Ctx, n: usize, x: Value, f: Window) -> R {
    let _level = Level::down()?;
    match plain(x)? {
        Value::Vector(v) => f(ctx, n, &v),
        Value::Dict(d) => {
            let values = spread(ctx, n, d.values.clone(), f)?;
            Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: d.sorted }))
        }
        Value::Table(t) => {
            let columns: R<Vec<Value>> = t.columns.iter().map(|c| spread(ctx, n, c.clone(), f)).collect();
            Ok(Value::table(Table { names: t.names.clone(), columns: columns?, sorted: false }))
        }
        Value::List(l) if l.is_empty() => Ok(Value::List(l)),
        Value::List(l) if l.iter().all(Value::is_atom) => {
            let items = super::whole::floats_of_atoms(&l)?;
            f(ctx, n, &Vector::new(Type::Float, Data::F64(items.into())))
        }
        Value::List(l) => {
            let mut columns = Vec::new();
            super::whole::across(ctx, &l, |ctx, c| {
                columns.push(spread(ctx, n, c, f)?);
                Ok(Value::Nil)
            })?;
            let row = |i: usize| Value::from_items(columns.iter().map(|c| c.at(i)).collect());
            Ok(Value::from_items((0..l.len()).map(row).collect()))
        }
        _ => Err(QError::type_()),
    }
}

/// `n msum x`: nulls count as zero.
pub fn msum(ctx: &mut dyn Ctx, n: Value, x: Value) -> R {
    spread(ctx, width(&n)?, x, |ctx, n, v| {
        let n0 = v.len();
        let sums = running::sums(ctx, Value::Vector(std::sync::Arc::new(v.clone())))?;
        if n >= n0 && n > 0 {
            return Ok(sums);
        }
        if n == 0 {
            return arith::subtract(ctx, sums.clone(), sums);
        }
        let rest = arith::subtract(ctx, sums.slice(n, n0 - n), sums.slice(0, n0 - n))?;
        let head = sums.slice(0, n);
        if head.number() == rest.number() {
            return Ok(head.append(&rest));
        }
        // Differences of instants are lengths of time: so are the sums at the head.
        let zero = arith::subtract(ctx, sums.at(0), sums.at(0))?;
        let zero = match (zero.number(), head) {
            (-16, Value::Vector(h)) => Value::vector(Type::Timespan, h.data.clone()),
            (-6, Value::Vector(h)) => Value::vector(Type::Int, h.data.clone()),
            (-9, Value::Vector(h)) => Value::vector(Type::Float, h.data.clone()),
            (_, head) => head,
        };
        Ok(zero.append(&rest))
    })
}

/// Numbers of items that are not null in the last `n`.
fn counts(items: &[f64], n: usize) -> Vec<i64> {
    let mut count = 0;
    let step = |i: usize| {
        count += i64::from(!items[i].is_nan());
        if i >= n {
            count -= i64::from(!items[i - n].is_nan());
        }
        count
    };
    (0..items.len()).map(step).collect()
}

/// `n mcount x`: items that are not null.
pub fn mcount(ctx: &mut dyn Ctx, n: Value, x: Value) -> R {
    spread(ctx, width(&n)?, x, |ctx, n, v| {
        let nulls = arith::is_null(ctx, Value::Vector(std::sync::Arc::new(v.clone())))?;
        let items: Vec<f64> = match &nulls {
            Value::Vector(v) => match &v.data {
                Data::Bool(b) => b.iter().map(|null| if *null { f64::NAN } else { 0.0 }).collect(),
                _ => return Err(QError::type_()),
            },
            _ => return Err(QError::type_()),
        };
        Ok(Value::longs(counts(&items, n)))
    })
}

/// Sums over windows, nulls skipped. Infinite items would stay in running sums for ever: each window with one is
/// added up anew.
fn window_sums(items: &[f64], n: usize) -> Vec<f64> {
    let finite = |x: f64| if x.is_finite() { x } else { 0.0 };
    let mut odd: VecDeque<usize> = VecDeque::new();
    let mut sum = 0.0;
    let mut out = Vec::with_capacity(items.len());
    for (i, &x) in items.iter().enumerate() {
        if x.is_infinite() {
            odd.push_back(i);
        }
        sum += finite(x);
        if i >= n {
            sum -= finite(items[i - n]);
            while odd.front().is_some_and(|&j| j + n <= i) {
                odd.pop_front();
            }
        }
        out.push(if odd.is_empty() { sum } else { odd.iter().fold(sum, |s, &j| s + items[j]) });
    }
    out
}

/// `n mavg x`: nulls are skipped.
pub fn mavg(ctx: &mut dyn Ctx, n: Value, x: Value) -> R {
    spread(ctx, width(&n)?, x, |_, n, v| {
        if !is_number_like(v.ty) {
            return Err(QError::type_());
        }
        let items = Operand::Vector(v).floats(None).whole(v.len());
        if n == 0 {
            return Ok(Value::floats(vec![f64::NAN; items.len()]));
        }
        if items.iter().any(|x| x.is_infinite()) {
            let (sums, counts) = (window_sums(&items, n), counts(&items, n));
            let mean = |(s, n): (f64, i64)| if n == 0 { f64::NAN } else { s / n as f64 };
            return Ok(Value::floats(sums.into_iter().zip(counts).map(mean).collect()));
        }
        let (mut sum, mut count) = (0.0, 0.0);
        let mut out = Vec::with_capacity(items.len());
        let known = |x: f64| if x.is_nan() { (0.0, 0.0) } else { (x, 1.0) };
        let (head, rest) = items.split_at(n.min(items.len()));
        for x in head {
            let (x, one) = known(*x);
            (sum, count) = (sum + x, count + one);
            out.push(sum / count);
        }
        for (x, old) in rest.iter().zip(items.iter()) {
            let ((x, one), (old, gone)) = (known(*x), known(*old));
            // The difference first: the window's sum then has one step from item to item.
            (sum, count) = (sum + (x - old), count + (one - gone));
            out.push(if count == 0.0 { f64::NAN } else { sum / count });
        }
        Ok(Value::floats(out))
    })
}

/// `n mdev x`: nulls are skipped.
pub fn mdev(ctx: &mut dyn Ctx, n: Value, x: Value) -> R {
    spread(ctx, width(&n)?, x, |_, n, v| {
        let items = reduce::centred(v)?;
        let origin = items.iter().copied().find(|x| x.is_finite()).unwrap_or(0.0);
        let items: Vec<f64> = items.iter().map(|x| x - origin).collect();
        let squares: Vec<f64> = items.iter().map(|x| x * x).collect();
        let (sums, squares, counts) = (window_sums(&items, n), window_sums(&squares, n), counts(&items, n));
        let dev = |((s, q), n): ((f64, f64), i64)| {
            let n = n as f64;
            let mean = s / n;
            let variance = q / n - mean * mean;
            if variance < 0.0 { 0.0 } else { variance.sqrt() }
        };
        Ok(Value::floats(sums.into_iter().zip(squares).zip(counts).map(dev).collect()))
    })
}

/// The best of each window: `better` tells whether the first keeps its place before the second. `skip` tells which
/// items do not count; `none` stands for a window of nothing else.
fn best<T: Copy>(
    items: &[T],
    n: usize,
    none: T,
    skip: impl Fn(T) -> bool,
    better: impl Fn(T, T) -> bool,
) -> Vec<T> {
    let mut queue: VecDeque<(usize, T)> = VecDeque::new();
    let mut out = Vec::with_capacity(items.len());
    for (i, &x) in items.iter().enumerate() {
        while queue.front().is_some_and(|(j, _)| j + n <= i) {
            queue.pop_front();
        }
        if !skip(x) && n > 0 {
            while queue.back().is_some_and(|(_, y)| !better(*y, x)) {
                queue.pop_back();
            }
            queue.push_back((i, x));
        }
        out.push(queue.front().map_or(none, |(_, x)| *x));
    }
    out
}

/// Null is the least of a window, and nothing to its greatest.
fn extremes(n: usize, v: &Vector, least: bool) -> R {
    if !is_number_like(v.ty) {
        return Err(QError::type_());
    }
    fn pick<C: Lane + PartialOrd>(
        v: &Vector,
        n: usize,
        least: bool,
        (low, high): (C, C),
        null: impl Fn(C) -> bool,
    ) -> Value {
        let items = C::slice(&v.data).unwrap_or_default();
        let out = match least {
            true => best(items, n, high, |_| false, |a, b| a < b || (null(a) && !null(b))),
            false => best(items, n, low, null, |a, b| a > b),
        };
        Value::vector(v.ty, C::wrap(out))
    }
    Ok(match v.ty.physical() {
        Physical::U8 if v.ty == Type::Boolean => pick::<bool>(v, n, least, (false, true), |_| false),
        Physical::U8 => pick::<u8>(v, n, least, (0, u8::MAX), |_| false),
        Physical::I16 => pick::<i16>(v, n, least, (-INF_SHORT, INF_SHORT), |x| x == NULL_SHORT),
        Physical::I32 => pick::<i32>(v, n, least, (-INF_INT, INF_INT), |x| x == NULL_INT),
        Physical::I64 => pick::<i64>(v, n, least, (-INF_LONG, INF_LONG), |x| x == NULL_LONG),
        Physical::F32 => pick::<f32>(v, n, least, (f32::NEG_INFINITY, f32::INFINITY), f32::is_nan),
        _ => pick::<f64>(v, n, least, (f64::NEG_INFINITY, f64::INFINITY), f64::is_nan),
    })
}

/// `n mmin x`
pub fn mmin(ctx: &mut dyn Ctx, n: Value, x: Value) -> R {
    spread(ctx, width(&n)?, x, |_, n, v| extremes(n, v, true))
}

/// `n mmax x`
pub fn mmax(ctx: &mut dyn Ctx, n: Value, x: Value) -> R {
    spread(ctx, width(&n)?, x, |_, n, v| extremes(n, v, false))
}

/// `x ema y`: each item weighs `x`, all before it `1-x`; `x` is an atom or as long as `y`.
pub fn ema(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let _level = Level::down()?;
    let (x, y) = (plain(x)?, plain(y)?);
    match y {
        Value::Dict(d) => {
            let values = ema(ctx, x, d.values.clone())?;
            Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: d.sorted }))
        }
        Value::Table(t) => {
            let columns: R<Vec<Value>> = t.columns.iter().map(|c| ema(ctx, x.clone(), c.clone())).collect();
            Ok(Value::table(Table { names: t.names.clone(), columns: columns?, sorted: false }))
        }
        Value::List(l) if l.iter().any(|i| !i.is_atom()) => {
            let mut out: Vec<Value> = Vec::with_capacity(l.len());
            for (i, item) in l.iter().enumerate() {
                let next = match out.last() {
                    None => arith::multiply(ctx, Value::Float(1.0), item.clone())?,
                    Some(last) => {
                        let w = if x.is_atom() { x.clone() } else { x.at(i) };
                        let rest = arith::subtract(ctx, Value::Float(1.0), w.clone())?;
                        let a = arith::multiply(ctx, w, item.clone())?;
                        let b = arith::multiply(ctx, rest, last.clone())?;
                        arith::add(ctx, a, b)?
                    }
                };
                out.push(next);
            }
            Ok(Value::from_items(out))
        }
        y => {
            let (w, mut items) = (super::whole::numbers(&x)?, super::whole::numbers(&y)?);
            if !x.is_atom() && w.len() != items.len() {
                return Err(QError::length());
            }
            let mut last = items.first().copied().unwrap_or(f64::NAN);
            for (i, item) in items.iter_mut().enumerate().skip(1) {
                let w = if x.is_atom() { w[0] } else { w[i] };
                last = w * *item + (1.0 - w) * last;
                *item = last;
            }
            Ok(if y.is_atom() { Value::Float(last) } else { Value::floats(items) })
        }
    }
}
