//! Lists as sets: `in union inter except cross`, and `within`.

use super::{
    basic::{distinct, memory},
    join::join,
};
use crate::{
    QError, R,
    ctx::Ctx,
    ops::{
        arith::{self, Verb},
        index::find,
    },
    value::{Data, Dict, Scalar, Table, Value, order},
};

/// `x in y`: whether `x` (or each item of it, as for find) is an item of `y`.
pub fn in_(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let y = match memory(y)? {
        Value::Dict(d) if d.as_keyed().is_none() => d.values.clone(),
        Value::Dict(d) => d.keys.clone(),
        y => y,
    };
    if let Value::Dict(d) = &x
        && !matches!(y, Value::Table(_))
        && d.as_keyed().is_none()
        && y.is_list()
        && !matches!(y, Value::List(_))
    {
        let values = in_(ctx, d.values.clone(), y)?;
        return Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: false }));
    }
    // one item may be of another type: it is compared, not searched
    let single = match &y {
        Value::Vector(v) => v.len() == 1,
        y => y.is_atom(),
    };
    if single {
        let item = if y.is_list() { y.at(0) } else { y.clone() };
        if !fits(&x, &item) {
            return equal_to(ctx, x, item);
        }
    }
    let y = if y.is_atom() { y.repeat(1) } else { y };
    if let Some(bits) = among_few(&x, &y) {
        return Ok(Value::bools(bits));
    }
    let n = y.count() as i64;
    if n == 0 && x.is_list() && !matches!((&x, &y), (Value::Vector(a), Value::Vector(b)) if a.ty != b.ty) {
        return Ok(falses(&x));
    }
    let found = find(&y, &x)?;
    Ok(below(&found, n))
}

fn fits(x: &Value, item: &Value) -> bool {
    match (x, item.as_scalar()) {
        (Value::Vector(v), Some((ty, _))) => v.ty == ty,
        (x, Some((ty, _))) => x.as_scalar().is_some_and(|(t, _)| t == ty) || matches!(x, Value::List(_)),
        _ => true,
    }
}

fn equal_to(ctx: &mut dyn Ctx, x: Value, item: Value) -> R {
    arith::dyad(ctx, Verb::Equal, x, item)
}

fn falses(x: &Value) -> Value {
    match x {
        Value::Vector(v) => Value::bools(vec![false; v.len()]),
        Value::List(l) => {
            order::deeper(|| Value::from_items(l.iter().map(falses).collect())).unwrap_or(Value::Bool(false))
        }
        _ => Value::Bool(false),
    }
}

/// Few items to look for: comparing with each beats a hash.
fn among_few(x: &Value, y: &Value) -> Option<Vec<bool>> {
    fn any<T: Copy + PartialEq>(items: &[T], few: &[T]) -> Vec<bool> {
        match few {
            [a] => items.iter().map(|x| x == a).collect(),
            [a, b] => items.iter().map(|x| (x == a) | (x == b)).collect(),
            few => items.iter().map(|x| few.iter().fold(false, |is, f| is | (x == f))).collect(),
        }
    }
    let (Value::Vector(x), Value::Vector(y)) = (x, y) else { return None };
    if x.ty != y.ty || y.is_empty() || y.len() > 8 {
        return None;
    }
    Some(match (&x.data, &y.data) {
        (Data::Bool(x), Data::Bool(y)) => any(x, y),
        (Data::U8(x), Data::U8(y)) => any(x, y),
        (Data::I16(x), Data::I16(y)) => any(x, y),
        (Data::I32(x), Data::I32(y)) => any(x, y),
        (Data::I64(x), Data::I64(y)) => any(x, y),
        (Data::Sym(x), Data::Sym(y)) => any(x, y),
        (Data::Enum(domain, codes), Data::Sym(y)) => {
            // the few symbols as codes of the domain; an absent one equals nothing
            let Value::Vector(names) = &domain.list else { return None };
            let Data::Sym(names) = &names.data else { return None };
            let few: Vec<i64> =
                y.iter().filter_map(|s| names.iter().position(|n| n == s).map(|i| i as i64)).collect();
            let null = y.iter().any(|s| s.is_null());
            let n = names.len() as i64;
            codes.iter().map(|c| few.contains(c) || (null && !(0..n).contains(c))).collect()
        }
        _ => return None,
    })
}

/// Positions as whether they are below `n`.
fn below(found: &Value, n: i64) -> Value {
    match found {
        Value::Vector(v) => match &v.data {
            Data::I64(d) => Value::bools(d.iter().map(|i| *i < n).collect()),
            _ => Value::Bool(false),
        },
        Value::List(l) => Value::from_items(l.iter().map(|f| below(f, n)).collect()),
        Value::Dict(d) => {
            Value::dict(Dict { keys: d.keys.clone(), values: below(&d.values, n), sorted: false })
        }
        Value::Long(i) => Value::Bool(*i < n),
        _ => Value::Bool(false),
    }
}

/// The items of `x` where `in_` says `keep`.
fn filtered(ctx: &mut dyn Ctx, x: Value, y: Value, keep: bool) -> R {
    let is = in_(ctx, x.clone(), y)?;
    let bits = match &is {
        Value::Vector(v) => match &v.data {
            Data::Bool(bits) => bits,
            _ => return Err(QError::type_()),
        },
        _ => return Err(QError::type_()),
    };
    let at: Vec<u32> = bits.iter().enumerate().filter(|(_, b)| **b == keep).map(|(i, _)| i as u32).collect();
    Ok(x.gather(&at))
}

/// For each item of a list on its own, whatever its depth.
fn whole_items(x: &Value, y: &Value) -> Option<Vec<bool>> {
    let (Value::List(x), true) = (x, y.is_list()) else { return None };
    let finder = crate::value::Finder::new(&Value::list(y.items()));
    let n = y.count() as i64;
    Some(x.iter().map(|item| finder.find_item(item) < n).collect())
}

fn chosen(ctx: &mut dyn Ctx, x: Value, y: Value, keep: bool) -> R {
    let (x, y) = (memory(x)?, memory(y)?);
    if let Some(bits) = whole_items(&x, &y) {
        let at: Vec<u32> = (0..bits.len() as u32).filter(|&i| bits[i as usize] == keep).collect();
        return Ok(x.gather(&at));
    }
    match (&x, &y) {
        (Value::Vector(v), Value::Vector(w)) if v.ty != w.ty => {
            // nothing of one type is among items of another
            let at: Vec<u32> = if keep { Vec::new() } else { (0..v.len() as u32).collect() };
            Ok(x.gather(&at))
        }
        (Value::Vector(_), Value::List(l)) => {
            let y = Value::from_items(l.iter().filter(|i| i.is_atom()).cloned().collect());
            let y = match &y {
                Value::List(_) => {
                    let ty = x.number();
                    Value::from_items(l.iter().filter(|i| i.number() == -ty).cloned().collect())
                }
                _ => y,
            };
            if y.count() == 0 || !matches!(y, Value::Vector(_)) {
                let at: Vec<u32> = if keep { Vec::new() } else { (0..x.count() as u32).collect() };
                return Ok(x.gather(&at));
            }
            chosen(ctx, x, y, keep)
        }
        (Value::Dict(d), _) if d.as_keyed().is_none() => chosen(ctx, d.values.clone(), y, keep),
        _ => filtered(ctx, x, y, keep),
    }
}

/// `x inter y`: the items of `x` that are in `y`.
pub fn inter(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let y = if y.is_atom() { y.repeat(1) } else { y };
    if let (Value::Dict(a), Value::Dict(b)) = (&x, &y)
        && a.as_keyed().is_none()
    {
        return chosen(ctx, a.values.clone(), b.values.clone(), true);
    }
    chosen(ctx, x, y, true)
}

/// `x except y`: the items of `x` that are not in `y`.
pub fn except(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let y = if y.is_atom() || matches!((&x, &y), (Value::Table(_), Value::Dict(_))) {
        Value::from_items(vec![y])
    } else {
        y
    };
    chosen(ctx, x, y, false)
}

/// `x union y`: the distinct items of both.
pub fn union(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let both = join(ctx, x, y)?;
    distinct(ctx, both)
}

/// `x cross y`: each item of `x` joined with each of `y`; for tables each pair of rows side by side.
pub fn cross(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let (x, y) = (memory(x)?, memory(y)?);
    let (m, n) = (x.count(), y.count());
    let total = m.saturating_mul(n);
    ctx.reserve(total.saturating_mul(64))?;
    if let (Value::Table(a), Value::Table(b)) = (&x, &y) {
        let left: Vec<usize> = (0..total).map(|i| i / n.max(1)).collect();
        let right: Vec<usize> = (0..total).map(|i| i % n.max(1)).collect();
        let mut names = a.names.to_vec();
        let mut columns: Vec<Value> = a.columns.iter().map(|c| c.gather(&left)).collect();
        for (name, c) in b.names.iter().zip(&b.columns) {
            let column = c.gather(&right);
            match names.iter().position(|n| n == name) {
                Some(at) => columns[at] = column,
                None => {
                    names.push(*name);
                    columns.push(column);
                }
            }
        }
        return Ok(Value::table(Table { names: names.into(), columns, sorted: false }));
    }
    if let (Value::Dict(a), Value::Dict(b)) = (&x, &y)
        && a.as_keyed().is_none()
        && b.as_keyed().is_none()
    {
        let keys = cross(ctx, a.keys.clone(), b.keys.clone())?;
        let values = cross(ctx, a.values.clone(), b.values.clone())?;
        return Ok(Value::dict(Dict { keys, values, sorted: false }));
    }
    let mut out = Vec::with_capacity(total);
    for i in 0..m {
        ctx.check()?;
        let item = x.at(i);
        for j in 0..n {
            out.push(join(ctx, item.clone(), y.at(j))?);
        }
    }
    Ok(Value::from_items(out))
}

/// `x within y`: whether items lie between the two of `y`, both ends included.
pub fn within(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    if y.count() != 2 || y.is_atom() {
        return Err(QError::length());
    }
    let (low, high) = (y.at(0), y.at(1));
    if let Some(bits) = between(&x, &low, &high) {
        return Ok(bits);
    }
    let above = arith::dyad(ctx, Verb::AtLeast, x.clone(), low)?;
    let under = arith::dyad(ctx, Verb::AtMost, x, high)?;
    arith::dyad(ctx, Verb::Lesser, above, under)
}

/// One pass where all three are of one integral type.
fn between(x: &Value, low: &Value, high: &Value) -> Option<Value> {
    let Value::Vector(v) = x else { return None };
    let ((a, low), (b, high)) = (low.as_scalar()?, high.as_scalar()?);
    if a != v.ty || b != v.ty {
        return None;
    }
    fn go<T: Copy + PartialOrd>(items: &[T], low: T, high: T) -> Vec<bool> {
        items.iter().map(|x| (*x >= low) & (*x <= high)).collect()
    }
    let bits = match (&v.data, low, high) {
        (Data::U8(d), Scalar::U8(l), Scalar::U8(h)) => go(d, l, h),
        (Data::I16(d), Scalar::I16(l), Scalar::I16(h)) => go(d, l, h),
        (Data::I32(d), Scalar::I32(l), Scalar::I32(h)) => go(d, l, h),
        (Data::I64(d), Scalar::I64(l), Scalar::I64(h)) => go(d, l, h),
        _ => return None,
    };
    Some(Value::bools(bits))
}
