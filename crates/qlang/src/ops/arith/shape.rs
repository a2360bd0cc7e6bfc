//! Atomic functions over everything that is no atom or vector: lists item by item, dictionaries by the union of
//! their keys, tables by column.

use std::{cell::Cell, sync::Arc};

use super::lanes::Operand;
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Dict, Groups, Sym, Table, Value},
};

/// Nesting beyond which recursion ends with `'stack`.
const DEEPEST: usize = 400;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// One level of a recursion over nested data; dropped at its end.
pub struct Level(());

impl Level {
    /// Goes one level down; `'stack` where that is too deep.
    pub fn down() -> R<Level> {
        if DEPTH.get() >= DEEPEST {
            return Err(QError::stack());
        }
        DEPTH.set(DEPTH.get() + 1);
        Ok(Level(()))
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// The default for a key present in only one of two dictionaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// the other's value stays as it is
    Keep,
    /// as with [`Missing::Keep`], but the right one's value is negated
    Negate,
    /// a null of the other's type
    Null,
}

/// A dyad that goes down to atoms.
pub type Dyad<'a> = &'a mut dyn FnMut(&mut dyn Ctx, Value, Value) -> R;

/// Plain symbols (or whatever the domain holds) for an enumeration; a table in memory for one that is elsewhere.
pub fn plain(v: Value) -> R {
    Ok(match v {
        Value::Enum(e) => e.value(),
        Value::Vector(v) if matches!(v.data, Data::Enum(..)) => v.resolved(),
        Value::Mapped(m) => m.load()?,
        v => v,
    })
}

/// True for what a leaf works on.
pub fn is_leaf(v: &Value) -> bool {
    Operand::of(v).is_some()
}

/// Applies a dyad to two values that are not both atoms or vectors of basic types: goes one level down and calls
/// `f` for each pair. `'length` where lists differ in length, `'type` for functions.
pub fn atomic_dyad(ctx: &mut dyn Ctx, x: Value, y: Value, missing: Missing, f: Dyad) -> R {
    let _level = Level::down()?;
    let (x, y) = (plain(x)?, plain(y)?);
    if is_leaf(&x) && is_leaf(&y) {
        return f(ctx, x, y);
    }
    match (x, y) {
        (Value::Dict(x), Value::Dict(y)) => dicts(ctx, &x, &y, missing, f),
        (Value::Dict(x), y) if !matches!(y, Value::Table(_)) || x.as_keyed().is_some() => {
            let values = f(ctx, x.values.clone(), y)?;
            Ok(Value::dict(Dict { keys: x.keys.clone(), values, sorted: x.sorted }))
        }
        (x, Value::Dict(y)) if !matches!(x, Value::Table(_)) || y.as_keyed().is_some() => {
            let values = f(ctx, x, y.values.clone())?;
            Ok(Value::dict(Dict { keys: y.keys.clone(), values, sorted: y.sorted }))
        }
        (Value::Table(x), y) => table_left(ctx, &x, y, f),
        (x, Value::Table(y)) => {
            let columns = columns(&y, |c| f(ctx, x.clone(), c))?;
            Ok(Value::table(Table { names: y.names.clone(), columns, sorted: false }))
        }
        (x, y) if x.is_list() && y.is_list() => {
            if x.count() != y.count() {
                return Err(QError::length());
            }
            items(ctx, x.count(), |ctx, i| f(ctx, x.at(i), y.at(i)), &x, &y)
        }
        (x, y) if x.is_list() && is_leaf(&y) => {
            items(ctx, x.count(), |ctx, i| f(ctx, x.at(i), y.clone()), &x, &y)
        }
        (x, y) if y.is_list() && is_leaf(&x) => {
            items(ctx, y.count(), |ctx, i| f(ctx, x.clone(), y.at(i)), &x, &y)
        }
        _ => Err(QError::type_()),
    }
}

/// Results of the items. Without an item, the other operand's type is not lost: `()+1` is `()`.
fn items(
    ctx: &mut dyn Ctx,
    n: usize,
    mut f: impl FnMut(&mut dyn Ctx, usize) -> R,
    _x: &Value,
    _y: &Value,
) -> R {
    let mut out = Vec::with_capacity(n);
    for i in 0..n {
        if i % 1024 == 0 {
            ctx.check()?;
        }
        out.push(f(ctx, i)?);
    }
    Ok(Value::from_items(out))
}

fn columns(t: &Table, mut f: impl FnMut(Value) -> R) -> R<Vec<Value>> {
    t.columns.iter().map(|c| f(c.clone())).collect()
}

fn table_left(ctx: &mut dyn Ctx, x: &Table, y: Value, f: Dyad) -> R {
    let columns = match &y {
        Value::Table(y) => {
            if x.len() != y.len() {
                return Err(QError::length());
            }
            let mut names = x.names.to_vec();
            let mut columns = Vec::with_capacity(names.len());
            for (name, c) in x.names.iter().zip(&x.columns) {
                columns.push(match y.column(*name) {
                    Some(d) => f(ctx, c.clone(), d.clone())?,
                    None => c.clone(),
                });
            }
            for (name, d) in y.names.iter().zip(&y.columns) {
                if x.position(*name).is_none() {
                    names.push(*name);
                    columns.push(d.clone());
                }
            }
            return Ok(Value::table(Table { names: names.into(), columns, sorted: false }));
        }
        Value::Dict(d) if d.keys.at(0).as_sym().is_some() => {
            let mut columns = Vec::with_capacity(x.columns.len());
            for (name, c) in x.names.iter().zip(&x.columns) {
                columns.push(match d.get(*name) {
                    Some(v) => f(ctx, c.clone(), v)?,
                    None => c.clone(),
                });
            }
            columns
        }
        y => columns(x, |c| f(ctx, c, y.clone()))?,
    };
    Ok(Value::table(Table { names: x.names.clone(), columns, sorted: false }))
}

/// How the entries of two dictionaries meet.
struct Union {
    /// places of the entries that both have
    both: (Vec<u32>, Vec<u32>),
    /// places of the left one's entries that the right one lacks
    left: Vec<u32>,
    /// places of the right one's entries that the left one lacks
    right: Vec<u32>,
}

fn union(x: &Value, y: &Value) -> Union {
    let n = x.count();
    let groups = Groups::of_column(&x.clone().append(y));
    let mut out = Union { both: (Vec::new(), Vec::new()), left: Vec::new(), right: Vec::new() };
    let mut met = vec![false; n];
    for (j, &id) in groups.ids.iter().enumerate().skip(n) {
        let first = groups.firsts[id as usize] as usize;
        if first < n {
            met[first] = true;
            out.both.0.push(first as u32);
            out.both.1.push((j - n) as u32);
        } else if first == j {
            out.right.push((j - n) as u32);
        }
    }
    out.left = (0..n as u32).filter(|&i| !met[i as usize]).collect();
    out
}

fn dicts(ctx: &mut dyn Ctx, x: &Arc<Dict>, y: &Arc<Dict>, missing: Missing, f: Dyad) -> R {
    if same_keys(&x.keys, &y.keys) {
        let values = f(ctx, x.values.clone(), y.values.clone())?;
        return Ok(Value::dict(Dict { keys: x.keys.clone(), values, sorted: x.sorted }));
    }
    if x.as_keyed().is_some() != y.as_keyed().is_some() {
        return Err(QError::type_());
    }
    let u = union(&x.keys, &y.keys);
    let keys = x.keys.clone().plain().append(&y.keys.gather(&u.right));
    let values = match (&x.values, &y.values) {
        (Value::Table(a), Value::Table(b)) => {
            let mut names: Vec<Sym> = a.names.to_vec();
            names.extend(b.names.iter().filter(|n| a.position(**n).is_none()));
            let mut columns = Vec::with_capacity(names.len());
            for name in &names {
                let (c, d) = (a.column(*name), b.column(*name));
                columns.push(match (c, d) {
                    (Some(c), Some(d)) => merged(ctx, c, d, &u, missing, f)?,
                    (Some(c), None) => c.clone().plain().append(&c.nulls(u.right.len())),
                    (None, Some(d)) => {
                        let mut rows = vec![u32::MAX; a.len() + u.right.len()];
                        u.both.0.iter().zip(&u.both.1).for_each(|(i, j)| rows[*i as usize] = *j);
                        u.right.iter().enumerate().for_each(|(k, j)| rows[a.len() + k] = *j);
                        d.gather(&rows)
                    }
                    (None, None) => return Err(QError::type_()),
                });
            }
            Value::table(Table { names: names.into(), columns, sorted: false })
        }
        (a, b) => merged(ctx, a, b, &u, missing, f)?,
    };
    Ok(Value::dict(Dict { keys, values, sorted: false }))
}

fn same_keys(x: &Value, y: &Value) -> bool {
    match (x, y) {
        (Value::Vector(a), Value::Vector(b)) => {
            Arc::ptr_eq(a, b) || matches!((&a.data, &b.data), (Data::Sym(a), Data::Sym(b)) if a[..] == b[..])
        }
        (Value::Table(a), Value::Table(b)) => Arc::ptr_eq(a, b),
        (Value::List(a), Value::List(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

/// The values of a union of keys: keys of the left in order, then keys of the right alone.
fn merged(ctx: &mut dyn Ctx, x: &Value, y: &Value, u: &Union, missing: Missing, f: Dyad) -> R {
    let both = f(ctx, x.gather(&u.both.0), y.gather(&u.both.1))?;
    let (left, right) = (x.gather(&u.left), y.gather(&u.right));
    let (left, right) = match missing {
        Missing::Keep => (left, right),
        Missing::Negate => {
            let right = f(ctx, Value::Bool(false), right)?;
            (left, right)
        }
        Missing::Null => {
            let (l, r) = (y.nulls(left.count()), x.nulls(right.count()));
            (f(ctx, left, l)?, f(ctx, r, right)?)
        }
    };
    let n = x.count();
    let mut places = vec![0u32; n + right.count()];
    u.both.0.iter().enumerate().for_each(|(k, i)| places[*i as usize] = k as u32);
    let at = both.count();
    u.left.iter().enumerate().for_each(|(k, i)| places[*i as usize] = (at + k) as u32);
    (0..right.count()).for_each(|k| places[n + k] = (at + left.count() + k) as u32);
    Ok(both.append(&left).append(&right).gather(&places))
}

/// Applies a monad to a value that is no atom or vector of a basic type: goes one level down and calls `f`.
pub fn atomic_monad(ctx: &mut dyn Ctx, x: Value, f: &mut dyn FnMut(&mut dyn Ctx, Value) -> R) -> R {
    let _level = Level::down()?;
    match plain(x)? {
        x if is_leaf(&x) => f(ctx, x),
        Value::List(l) => {
            let mut out = Vec::with_capacity(l.len());
            for (i, item) in l.iter().enumerate() {
                if i % 1024 == 0 {
                    ctx.check()?;
                }
                out.push(f(ctx, item.clone())?);
            }
            Ok(Value::from_items(out))
        }
        Value::Dict(d) => {
            let values = f(ctx, d.values.clone())?;
            Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: d.sorted }))
        }
        Value::Table(t) => {
            let columns = columns(&t, |c| f(ctx, c))?;
            Ok(Value::table(Table { names: t.names.clone(), columns, sorted: false }))
        }
        _ => Err(QError::type_()),
    }
}
