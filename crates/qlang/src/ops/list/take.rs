//! `#` take, `_` drop, `cut`, `sublist`, `rotate`.

use std::sync::Arc;

use kvalue::Type;

use super::{attr, basic::memory};
use crate::{
    QError, R,
    ctx::Ctx,
    map_data,
    ops::index::{self, find},
    value::{Dict, Sym, Table, Value, Vector},
};

/// `x#y`: the first (negative: last) `x` items, over again where there are fewer; a shape for several numbers; the
/// entries or columns of keys; an attribute for one of `` `s`u`p`g` ``.
pub fn take(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    if let Value::Sym(name) = x {
        return attr::set(ctx, name, y);
    }
    if let Some(n) = x.as_index() {
        return some(ctx, n, memory(y)?);
    }
    match (&x, memory(y)?) {
        (Value::Vector(_) | Value::List(_) | Value::Table(_), Value::Dict(d)) => {
            if x.count() == 0 {
                let none = d.keys.gather::<u32>(&[]);
                return Ok(Value::dict(Dict {
                    keys: none,
                    values: d.values.gather::<u32>(&[]),
                    sorted: false,
                }));
            }
            let (keys, values) = match (d.as_keyed(), &x) {
                // rows that are not there are left out
                (Some(_), x) => {
                    let at = find(&d.keys, x)?;
                    let n = d.len() as i64;
                    let at = at.to_longs().map(|l| l.into_owned()).unwrap_or_default();
                    let at: Vec<i64> = at.into_iter().filter(|&i| i < n).collect();
                    (d.keys.gather(&at), d.values.gather(&at))
                }
                (None, x) => (x.clone(), index::at(ctx, &Value::Dict(d.clone()), x)?),
            };
            Ok(Value::dict(Dict { keys, values, sorted: false }))
        }
        (Value::Vector(v), Value::Table(t)) if v.ty == Type::Symbol => {
            let names: Vec<Sym> = (0..v.len()).filter_map(|i| v.at(i).as_sym()).collect();
            let columns = names.iter().map(|n| t.column(*n).cloned().ok_or_else(|| QError::new(n.text())));
            let columns = columns.collect::<R<Vec<_>>>()?;
            Ok(Value::table(Table { names: names.into(), columns, sorted: t.sorted }))
        }
        (Value::Vector(_), y) => {
            let shape = x.to_longs().ok_or_else(QError::type_)?.into_owned();
            reshape(ctx, &shape, y)
        }
        (Value::List(l), _) if l.is_empty() => Ok(Value::empty_list()),
        _ => Err(QError::type_()),
    }
}

/// `n#y`.
fn some(ctx: &mut dyn Ctx, n: i64, y: Value) -> R {
    if n == i64::MIN {
        return Err(QError::type_());
    }
    let size = usize::try_from(n.unsigned_abs()).map_err(|_| QError::wsfull())?;
    match y {
        Value::Dict(d) => {
            let keys = some(ctx, n, d.keys.clone())?;
            let values = some(ctx, n, d.values.clone())?;
            Ok(Value::dict(Dict { keys, values, sorted: d.sorted && size <= d.len() }))
        }
        Value::Table(t) => {
            let columns = t.columns.iter().map(|c| some(ctx, n, c.clone())).collect::<R<Vec<_>>>()?;
            Ok(Value::table(Table { names: t.names.clone(), columns, sorted: t.sorted && size <= t.len() }))
        }
        y if y.is_list() => {
            let count = y.count();
            if size <= count {
                let from = if n >= 0 { 0 } else { count - size };
                return Ok(front(&y, from, size));
            }
            ctx.reserve(size.saturating_mul(8))?;
            cyclic(&y, if n >= 0 { 0 } else { start(count, size) }, size)
        }
        atom => {
            ctx.reserve(size.saturating_mul(if atom.as_scalar().is_some() { 8 } else { 16 }))?;
            let one = if size == 0 { atom.repeat(1).gather::<u32>(&[]) } else { atom.repeat(size) };
            Ok(one)
        }
    }
}

/// `size` items from `from` on, all of them there.
fn front(y: &Value, from: usize, size: usize) -> Value {
    match y {
        Value::List(l) if size == 0 && !l.is_empty() => Value::empty_list(),
        y => y.slice(from, size),
    }
}

/// Where the last `size` items of an endless repetition begin.
fn start(count: usize, size: usize) -> usize {
    if count == 0 { 0 } else { (count - size % count) % count }
}

/// `size` items of a list repeated, from position `from` on; nulls of an empty one.
fn cyclic(y: &Value, from: usize, size: usize) -> R {
    fn again<T: Copy>(items: &[T], from: usize, size: usize) -> Vec<T> {
        let mut out = Vec::with_capacity(size);
        let head = (items.len() - from).min(size);
        out.extend_from_slice(&items[from..from + head]);
        while out.len() < size {
            let more = items.len().min(size - out.len());
            out.extend_from_slice(&items[..more]);
        }
        out
    }
    let count = y.count();
    if count == 0 {
        return Ok(match y {
            Value::List(_) => Value::list(vec![Value::empty_list(); size]),
            y => y.nulls(size),
        });
    }
    Ok(match y {
        Value::Vector(v) => Value::vector(v.ty, map_data!(&v.data, items => again(items, from, size).into())),
        y => Value::list((0..size).map(|i| y.at((from + i) % count)).collect()),
    })
}

/// `(2;3)#y` and deeper; one `0N` of two numbers is as many as it takes.
fn reshape(ctx: &mut dyn Ctx, shape: &[i64], y: Value) -> R {
    let y = if y.is_list() || matches!(y, Value::Table(_)) { y } else { y.repeat(1) };
    match shape {
        [] => Ok(y.at(0)),
        [n] if *n < 0 => Err(QError::domain()),
        [n] => some(ctx, *n, y),
        [i64::MIN, n] if *n > 0 => {
            let n = *n as usize;
            let parts = (0..y.count().div_ceil(n)).map(|i| y.slice(i * n, n));
            Ok(Value::list(parts.collect()))
        }
        [n, i64::MIN] if *n > 0 => {
            let (n, count) = (*n as usize, y.count());
            if count == 0 {
                return Ok(Value::empty_list());
            }
            ctx.reserve(n.saturating_mul(64))?;
            let edge = |i: usize| (i as u128 * count as u128 / n as u128) as usize;
            let parts = (0..n).map(|i| empty_or(y.slice(edge(i), edge(i + 1) - edge(i)), &y));
            Ok(Value::list(parts.collect()))
        }
        shape => {
            if shape.iter().any(|n| *n < 0) || shape[..shape.len() - 1].contains(&0) {
                return Err(QError::domain());
            }
            let total = shape.iter().fold(1usize, |n, &d| n.saturating_mul(d as usize));
            ctx.reserve(total.saturating_mul(8))?;
            let lists = shape[..shape.len() - 1].iter().fold(1usize, |n, &d| n.saturating_mul(d as usize));
            ctx.reserve(lists.saturating_mul(80))?;
            let flat = some(ctx, total as i64, y)?;
            Ok(level(&flat, shape, 0))
        }
    }
}

/// What is left of a general list when nothing is left has no type.
fn empty_or(part: Value, whole: &Value) -> Value {
    match whole {
        Value::Vector(v) if part.count() == 0 => Value::Vector(Arc::new(v.gather::<u32>(&[]))),
        _ => part,
    }
}

fn level(flat: &Value, shape: &[i64], from: usize) -> Value {
    let [n, rest @ ..] = shape else { return flat.clone() };
    let n = *n as usize;
    if rest.is_empty() {
        return empty_or(flat.slice(from, n), flat);
    }
    let size = rest.iter().fold(1usize, |n, &d| n.saturating_mul(d as usize));
    Value::list((0..n).map(|i| level(flat, rest, from + i * size)).collect())
}

/// `x _ y`: without the first (negative: last) `x` items; cut at positions; without keys or columns; and `y` as one
/// position or key to leave out of `x`.
pub fn drop(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let (x, y) = (memory(x)?, memory(y)?);
    if let Some(n) = x.as_index() {
        if !y.is_atom() {
            return Ok(without(&y, n));
        }
        return Err(QError::type_());
    }
    match (&x, &y) {
        (Value::Dict(d), key) if key.is_atom() || !matches!(d.keys, Value::Vector(_)) => {
            if let (Value::Table(_), Value::Vector(_)) = (&d.keys, key) {
                return without_keys(d, &Value::from_items(vec![key.clone()]), true);
            }
            without_keys(d, key, true)
        }
        (Value::Vector(_) | Value::List(_) | Value::Table(_), i) if i.as_index().is_some() => {
            let n = x.count();
            match i.as_index().and_then(|i| usize::try_from(i).ok()) {
                Some(i) if i < n => remove(ctx, x, i),
                _ => Ok(x),
            }
        }
        (Value::Sym(_), Value::Dict(d)) if d.as_keyed().is_none() => without_keys(d, &x, true),
        (k, Value::Dict(d)) if k.is_atom() => without_keys(d, k, true),
        (Value::Vector(_) | Value::List(_) | Value::Table(_), Value::Dict(d)) => without_keys(d, &x, false),
        (Value::Vector(v), Value::Table(t)) if v.ty == Type::Symbol => {
            let gone: Vec<Sym> = (0..v.len()).filter_map(|i| v.at(i).as_sym()).collect();
            let kept: Vec<usize> = (0..t.names.len()).filter(|&c| !gone.contains(&t.names[c])).collect();
            let names: Vec<Sym> = kept.iter().map(|&c| t.names[c]).collect();
            let columns = kept.iter().map(|&c| t.columns[c].clone()).collect();
            Ok(Value::table(Table { names: names.into(), columns, sorted: false }))
        }
        (Value::Vector(_), y) => {
            let at = x.to_longs().ok_or_else(QError::type_)?;
            cut_at(&at, y)
        }
        (Value::List(l), _) if l.is_empty() => Ok(Value::empty_list()),
        _ => Err(QError::type_()),
    }
}

/// Without the first `n` items, or the last for a negative `n`.
fn without(y: &Value, n: i64) -> Value {
    let count = y.count();
    let size = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX).min(count);
    let left = if n >= 0 { y.slice(size, count - size) } else { y.slice(0, count - size) };
    if left.count() == 0 && count > 0 { y.gather::<u32>(&[]) } else { left }
}

fn remove(_: &mut dyn Ctx, x: Value, i: usize) -> R {
    match x {
        Value::Vector(mut v) => {
            let own = Arc::make_mut(&mut v);
            crate::each_data!(&mut own.data, items => {
                items.to_mut().remove(i);
            });
            if own.attr == kvalue::Attr::Grouped {
                own.attr = kvalue::Attr::None;
            }
            Ok(Value::Vector(v))
        }
        Value::List(l) => {
            let mut items = l.to_vec();
            items.remove(i);
            Ok(Value::from_items(items))
        }
        x => {
            let at: Vec<usize> = (0..x.count()).filter(|&k| k != i).collect();
            Ok(x.gather(&at))
        }
    }
}

fn without_keys(d: &Dict, keys: &Value, one: bool) -> R {
    let n = d.len();
    let mut gone = vec![false; n];
    let keys = if one && keys.is_atom() { keys.repeat(1) } else { keys.clone() };
    if n > 0 && keys.count() > 0 {
        let found = match (&d.keys, &keys) {
            (Value::Vector(v), Value::Vector(k)) if v.ty != k.ty => return Err(QError::type_()),
            (all, keys) => find(all, keys)?,
        };
        for i in found.to_longs().unwrap_or_default().iter() {
            if let Some(cell) = usize::try_from(*i).ok().and_then(|i| gone.get_mut(i)) {
                *cell = true;
            }
        }
    }
    let at: Vec<usize> = (0..n).filter(|&i| !gone[i]).collect();
    Ok(Value::dict(Dict { keys: d.keys.gather(&at), values: d.values.gather(&at), sorted: d.sorted }))
}

/// The parts that begin at these positions; `'length` where one lies beyond the end, `'domain` where they go back.
fn cut_at(at: &[i64], y: &Value) -> R {
    let n = y.count();
    if y.is_atom() {
        return Err(QError::type_());
    }
    let mut edges = Vec::with_capacity(at.len() + 1);
    for &i in at {
        let i = usize::try_from(i).map_err(|_| QError::domain())?;
        if i > n {
            return Err(QError::length());
        }
        if edges.last().is_some_and(|last| *last > i) {
            return Err(QError::domain());
        }
        edges.push(i);
    }
    edges.push(n);
    let part = |w: &[usize]| {
        if w[0] == w[1] { y.gather::<u32>(&[]) } else { y.slice(w[0], w[1] - w[0]) }
    };
    Ok(Value::list(edges.windows(2).map(part).collect()))
}

/// `x cut y`: parts of `x` items each, or cut at positions.
pub fn cut(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let y = memory(y)?;
    match x.as_index() {
        Some(n) => {
            let n = usize::try_from(n).ok().filter(|n| *n > 0).ok_or_else(QError::length)?;
            if y.is_atom() {
                return Err(QError::type_());
            }
            let parts = (0..y.count().div_ceil(n)).map(|i| y.slice(i * n, n));
            Ok(Value::list(parts.collect()))
        }
        None => drop(ctx, x, y),
    }
}

/// `x sublist y`: at most the first (negative: last) `x` items; from the first of two numbers as many as the second.
pub fn sublist(_: &mut dyn Ctx, x: Value, y: Value) -> R {
    let y = memory(y)?;
    let numbers = x.to_longs().ok_or_else(QError::type_)?.into_owned();
    let count = y.count();
    if y.is_atom() {
        return Ok(y);
    }
    let (from, size) = match (numbers[..].first().copied(), numbers.get(1).copied(), x.is_list()) {
        (Some(n), None, _) if n >= 0 => (0, usize::try_from(n).unwrap_or(count)),
        (Some(n), None, _) => {
            let n = usize::try_from(n.unsigned_abs()).unwrap_or(count).min(count);
            (count - n, n)
        }
        (Some(from), Some(size), true) => {
            // what would lie before the beginning is cut off
            let end = from.saturating_add(size).max(0);
            let from = from.max(0);
            (usize::try_from(from).unwrap_or(count), usize::try_from(end - from).unwrap_or(0))
        }
        _ => return Err(QError::length()),
    };
    let left = y.slice(from, size.min(count));
    Ok(if left.count() == 0 && count > 0 { y.gather::<u32>(&[]) } else { left })
}

/// `x rotate y`: the first `x` items at the end; the last ones at the beginning for a negative `x`.
pub fn rotate(_: &mut dyn Ctx, x: Value, y: Value) -> R {
    let y = memory(y)?;
    let n = x.as_index().ok_or_else(QError::type_)?;
    let count = y.count();
    if y.is_atom() {
        return Err(QError::type_());
    }
    if count == 0 {
        return Ok(y);
    }
    let by = n.rem_euclid(count as i64) as usize;
    let spin = |v: &Value| -> Value {
        match v {
            Value::Vector(v) => {
                let data = map_data!(&v.data, items => {
                    let mut out = Vec::with_capacity(items.len());
                    out.extend_from_slice(&items[by..]);
                    out.extend_from_slice(&items[..by]);
                    out.into()
                });
                Value::Vector(Arc::new(Vector::new(v.ty, data)))
            }
            v => Value::list((0..count).map(|i| v.at((i + by) % count)).collect()),
        }
    };
    Ok(match &y {
        Value::Table(t) => {
            let columns = t.columns.iter().map(spin).collect();
            Value::table(Table { names: t.names.clone(), columns, sorted: false })
        }
        Value::Dict(d) => {
            let at: Vec<usize> = (0..count).map(|i| (i + by) % count).collect();
            Value::dict(Dict { keys: d.keys.gather(&at), values: d.values.gather(&at), sorted: false })
        }
        y => spin(y),
    })
}
