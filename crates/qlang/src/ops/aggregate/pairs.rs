//! Aggregates of two arguments: covariance, correlation, weighted sums and means. Pairs with a null are skipped.

use std::borrow::Cow;

use super::{reduce, whole};
use crate::{
    QError, R,
    ctx::Ctx,
    ops::arith::{
        self,
        shape::{Level, plain},
    },
    value::{Data, Value, Vector},
};

/// Numbers around an origin, for moments. `'type` for what is no number: times, chars, symbols.
fn centred(x: &Value) -> R<Cow<'_, [f64]>> {
    match x {
        Value::Vector(v) if !v.ty.is_numeric() => Err(QError::type_()),
        Value::Vector(v) => reduce::centred(v),
        other => Ok(Cow::Owned(whole::numbers(other)?)),
    }
}

fn is_nested(x: &Value) -> bool {
    matches!(x, Value::List(l) if l.iter().any(|i| !i.is_atom()))
}

/// Two arguments down to vectors: tables by column, dictionaries by value, matrices column by column.
fn pairwise(
    ctx: &mut dyn Ctx,
    x: Value,
    y: Value,
    f: &mut dyn FnMut(&mut dyn Ctx, &Value, &Value) -> R,
) -> R {
    let _level = Level::down()?;
    let (x, y) = (plain(x)?, plain(y)?);
    match (x, y) {
        (Value::Dict(x), y) => pairwise(ctx, x.values.clone(), y, f),
        (x, Value::Dict(y)) => pairwise(ctx, x, y.values.clone(), f),
        (x, Value::Table(t)) => whole::by_column(&t, |c| pairwise(ctx, x.clone(), c, f)),
        (Value::Table(t), y) => whole::by_column(&t, |c| pairwise(ctx, c, y.clone(), f)),
        (x, y) if is_nested(&x) || is_nested(&y) => {
            if !x.is_atom() && !y.is_atom() && x.count() != y.count() {
                return Err(QError::length());
            }
            let columns = |v: &Value| if is_nested(v) { v.items() } else { Vec::new() };
            let (xs, ys) = (columns(&x), columns(&y));
            let width = xs.iter().chain(&ys).find(|i| !i.is_atom()).map_or(0, Value::count);
            if xs.iter().chain(&ys).any(|i| !i.is_atom() && i.count() != width) {
                return Err(QError::length());
            }
            let pick = |v: &Value, items: &[Value], j: usize| match items.is_empty() {
                true => v.clone(),
                false => Value::from_items(
                    items.iter().map(|i| if i.is_atom() { i.clone() } else { i.at(j) }).collect(),
                ),
            };
            let mut out = Vec::with_capacity(width);
            for j in 0..width {
                ctx.check()?;
                out.push(pairwise(ctx, pick(&x, &xs, j), pick(&y, &ys, j), f)?);
            }
            Ok(Value::from_items(out))
        }
        (x, y) => f(ctx, &x, &y),
    }
}

fn moments(x: &Value, y: &Value) -> R<(usize, [f64; 3])> {
    let (a, b) = (centred(x)?, centred(y)?);
    let n = if x.is_atom() { b.len() } else { a.len() };
    if (a.len() != n && !x.is_atom()) || (b.len() != n && !y.is_atom()) {
        return Err(QError::length());
    }
    let stretch = |c: Cow<'_, [f64]>| -> Vec<f64> {
        if c.len() == 1 && n != 1 { vec![c[0]; n] } else { c.into_owned() }
    };
    if a.len() == b.len() {
        return Ok(reduce::pair_moments(&a, &b));
    }
    Ok(reduce::pair_moments(&stretch(a), &stretch(b)))
}

/// `x cov y`
pub fn cov(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    pairwise(ctx, x, y, &mut |_, x, y| {
        let (n, [_, _, xy]) = moments(x, y)?;
        Ok(Value::Float(xy / reduce::divisor(false, n)))
    })
}

/// `x scov y`
pub fn scov(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    pairwise(ctx, x, y, &mut |_, x, y| {
        let (n, [_, _, xy]) = moments(x, y)?;
        Ok(Value::Float(xy / reduce::divisor(true, n)))
    })
}

/// `x cor y`
pub fn cor(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    pairwise(ctx, x, y, &mut |_, x, y| {
        let (_, [xx, yy, xy]) = moments(x, y)?;
        Ok(Value::Float(reduce::correlation(xx, yy, xy)))
    })
}

/// An argument's numbers, without a copy where they are floats already.
fn numbers(x: &Value) -> R<Cow<'_, [f64]>> {
    match x {
        Value::Vector(v) => match &v.data {
            Data::F64(items) => Ok(Cow::Borrowed(items)),
            _ => Ok(Cow::Owned(whole::numbers(x)?)),
        },
        x => Ok(Cow::Owned(whole::numbers(x)?)),
    }
}

/// `x wavg y`: the mean of `y` with the weights `x`.
pub fn wavg(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    pairwise(ctx, x, y, &mut |_, w, y| {
        let (a, b) = (numbers(w)?, numbers(y)?);
        let add = |[s, t]: [f64; 2], w: f64, y: f64| {
            let known = !w.is_nan() & !y.is_nan();
            [s + if known { w * y } else { 0.0 }, t + if known { w } else { 0.0 }]
        };
        let zero = [0.0; 2];
        let [sum, weight] = match (w.is_atom(), y.is_atom()) {
            (false, false) if a.len() != b.len() => return Err(QError::length()),
            (true, _) => b.iter().fold(zero, |s, y| add(s, a[0], *y)),
            (_, true) => a.iter().fold(zero, |s, w| add(s, *w, b[0])),
            _ => a.iter().zip(b.iter()).fold(zero, |s, (w, y)| add(s, *w, *y)),
        };
        Ok(Value::Float(sum / weight))
    })
}

/// `x wsum y`: of two vectors a float; of anything else `sum x*y`.
pub fn wsum(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let (x, y) = (plain(x)?, plain(y)?);
    if let (Value::Vector(a), Value::Vector(b)) = (&x, &y) {
        return Ok(Value::Float(dot(a, b)?));
    }
    let y = match y {
        Value::Dict(d) => d.values.clone(),
        y => y,
    };
    if let Value::Table(t) = &y {
        return whole::by_column(t, |c| wsum(ctx, x.clone(), c));
    }
    let product = arith::multiply(ctx, x, y)?;
    whole::sum(ctx, product)
}

fn dot(a: &Vector, b: &Vector) -> R<f64> {
    if a.len() != b.len() {
        return Err(QError::length());
    }
    let (a, b) = (arith::lanes::Operand::Vector(a), arith::lanes::Operand::Vector(b));
    if !arith::types::is_number_like(a.ty()) || !arith::types::is_number_like(b.ty()) {
        return Err(QError::type_());
    }
    let n = a.len().unwrap_or(0);
    let (a, b) = (a.floats(None).whole(n), b.floats(None).whole(n));
    Ok(a.iter().zip(b.iter()).filter(|(x, y)| !x.is_nan() && !y.is_nan()).map(|(x, y)| x * y).sum())
}
