//! `,`: lists end to end, entries over entries, rows under rows.

use std::sync::Arc;

use super::basic::memory;
use crate::{
    QError, R,
    ctx::Ctx,
    ops::index::{self, find},
    value::{Data, Dict, Sym, Table, Value, concat},
};

/// `x,y`. Lists: end to end, a vector where both are of one type. Dictionaries and keyed tables: the entries of `y`
/// over those of `x`. Tables: rows, `'mismatch` for other columns; a dictionary or a list of cells is one row.
pub fn join(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    match (x, y) {
        (x @ (Value::Vector(_) | Value::List(_)), y @ (Value::Vector(_) | Value::List(_))) => concat(x, y),
        (x @ Value::Mapped(_), y) => join(ctx, memory(x)?, y),
        (x, y @ Value::Mapped(_)) => join(ctx, x, memory(y)?),
        (Value::List(l), y @ (Value::Dict(_) | Value::Table(_))) if l.is_empty() => Ok(y),
        (x @ (Value::Dict(_) | Value::Table(_)), Value::List(l)) if l.is_empty() => Ok(x),
        (Value::Dict(x), Value::Dict(y)) => dicts(ctx, x, y),
        (Value::Table(x), Value::Table(y)) => tables(ctx, x, &y),
        (Value::Table(x), Value::Dict(y)) => match y.as_keyed() {
            Some((k, v)) => tables(ctx, x, &beside(k, v)),
            None => row(ctx, x, &Value::Dict(y)),
        },
        (Value::Dict(x), Value::Table(y)) => {
            let Some((k, v)) = x.as_keyed() else {
                // a row before rows
                let first = Value::from_items(vec![Value::Dict(x)]);
                return match first {
                    Value::Table(t) => tables(ctx, t, &y),
                    _ => Err(QError::mismatch()),
                };
            };
            let keyed = split(&y, &k.names, &v.names)?;
            dicts(ctx, x, Arc::new(keyed))
        }
        (Value::Table(x), y @ (Value::Vector(_) | Value::List(_))) => {
            if let Value::List(l) = &y
                && l.iter().all(|item| matches!(item, Value::Dict(_)))
            {
                let mut all = Value::Table(x);
                for item in l.iter() {
                    all = join(ctx, all, item.clone())?;
                }
                return Ok(all);
            }
            row(ctx, x, &y)
        }
        (Value::Dict(x), y @ (Value::Vector(_) | Value::List(_))) if x.as_keyed().is_some() => {
            let Some((k, v)) = x.as_keyed() else { return Err(QError::type_()) };
            let cells = y.items();
            if cells.len() != k.names.len() + v.names.len() {
                return Err(QError::length());
            }
            let one = |names: &Arc<[Sym]>, cells: &[Value]| {
                let columns = cells.iter().map(|c| Value::from_items(vec![c.clone()])).collect();
                Value::table(Table { names: names.clone(), columns, sorted: false })
            };
            let keys = one(&k.names, &cells[..k.names.len()]);
            let values = one(&v.names, &cells[k.names.len()..]);
            dicts(ctx, x, Arc::new(Dict { keys, values, sorted: false }))
        }
        (x, y) => concat(x, y),
    }
}

/// Key and value columns side by side.
pub fn beside(k: &Table, v: &Table) -> Arc<Table> {
    let names: Vec<Sym> = k.names.iter().chain(v.names.iter()).copied().collect();
    let columns = k.columns.iter().chain(&v.columns).cloned().collect();
    Arc::new(Table { names: names.into(), columns, sorted: false })
}

/// The columns of these names as a keyed table; `'mismatch` where one is missing.
fn split(t: &Table, keys: &Arc<[Sym]>, values: &Arc<[Sym]>) -> R<Dict> {
    let part = |names: &Arc<[Sym]>| -> R<Value> {
        let columns = names.iter().map(|n| t.column(*n).cloned().ok_or_else(QError::mismatch));
        Ok(Value::table(Table {
            names: names.clone(),
            columns: columns.collect::<R<Vec<_>>>()?,
            sorted: false,
        }))
    };
    if t.names.len() != keys.len() + values.len() {
        return Err(QError::mismatch());
    }
    Ok(Dict { keys: part(keys)?, values: part(values)?, sorted: false })
}

/// Rows of `y` under those of `x`; columns are found by name.
fn tables(ctx: &mut dyn Ctx, mut x: Arc<Table>, y: &Table) -> R {
    if x.names.len() != y.names.len() {
        return Err(QError::mismatch());
    }
    let columns =
        x.names.iter().map(|n| y.column(*n).cloned().ok_or_else(QError::mismatch)).collect::<R<Vec<_>>>()?;
    let own = Arc::make_mut(&mut x);
    own.sorted = false;
    for (a, b) in own.columns.iter_mut().zip(columns) {
        let column = std::mem::replace(a, Value::Nil);
        *a = join(ctx, column, b)?;
    }
    Ok(Value::Table(x))
}

/// One row under a table: a dictionary by names, a list of cells by position.
fn row(ctx: &mut dyn Ctx, x: Arc<Table>, y: &Value) -> R {
    let cells = match y {
        Value::Dict(d) => {
            if d.len() != x.names.len() {
                return Err(QError::mismatch());
            }
            let cells = x.names.iter().map(|n| d.get(*n).ok_or_else(QError::mismatch));
            cells.collect::<R<Vec<_>>>()?
        }
        y if y.count() == x.names.len() => y.items(),
        _ => return Err(QError::length()),
    };
    // cells that are lists make as many rows as they are long, as for `insert`; a lone list is a nested cell
    let columns: Vec<Value> = cells
        .into_iter()
        .zip(&x.columns)
        .map(|(cell, column)| match (&cell, column) {
            (c, Value::Vector(_)) if c.is_list() && matches!(y, Value::List(_)) => cell,
            _ => match cell {
                cell if cell.is_atom() => Value::from_items(vec![cell]),
                cell => Value::list(vec![cell]),
            },
        })
        .collect();
    if columns.windows(2).any(|w| w[0].count() != w[1].count()) {
        return Err(QError::length());
    }
    let y = Table { names: x.names.clone(), columns, sorted: false };
    tables(ctx, x, &y)
}

/// The entries of `y` over those of `x`: known keys get new values, new keys come behind.
fn dicts(ctx: &mut dyn Ctx, mut x: Arc<Dict>, y: Arc<Dict>) -> R {
    if y.is_empty() {
        return Ok(Value::Dict(x));
    }
    if x.is_empty() && !matches!(x.keys, Value::Table(_)) {
        return Ok(Value::Dict(y));
    }
    let (keys, values) = match (x.as_keyed(), y.as_keyed()) {
        (Some((xk, xv)), Some((yk, yv))) => (ordered(yk, &xk.names)?, ordered(yv, &xv.names)?),
        (Some((xk, xv)), None) => {
            // a dictionary is one row
            let row = Value::from_items(vec![Value::Dict(y.clone())]);
            let Value::Table(t) = row else { return Err(QError::mismatch()) };
            let d = split(&t, &xk.names, &xv.names)?;
            (d.keys, d.values)
        }
        (None, Some(_)) => return Err(QError::type_()),
        (None, None) => (y.keys.clone(), y.values.clone()),
    };
    let n = x.len();
    let mut at = positions(&x.keys, &keys)?;
    let new: Vec<usize> = (0..at.len()).filter(|&i| at[i] >= n as i64).collect();
    let fresh = keys.gather(&new);
    let groups = crate::value::Groups::of_column(&fresh);
    for (i, id) in new.iter().zip(&groups.ids) {
        at[*i] = n as i64 + i64::from(*id);
    }
    let first_new: Vec<usize> = groups.firsts.iter().map(|&k| new[k as usize]).collect();
    let own = Arc::make_mut(&mut x);
    if !first_new.is_empty() {
        own.keys = join(ctx, std::mem::replace(&mut own.keys, Value::Nil), keys.gather(&first_new))?;
        let more = values.gather(&first_new);
        let old = std::mem::replace(&mut own.values, Value::Nil);
        own.values = match (old, more) {
            (Value::Table(a), Value::Table(b)) => tables(ctx, a, &b)?,
            (a, b) => list_join(a, b)?,
        };
    }
    if first_new.len() < at.len() {
        own.values = overwrite(ctx, std::mem::replace(&mut own.values, Value::Nil), &at, &values)?;
    }
    own.sorted = false;
    Ok(Value::Dict(x))
}

/// Values end to end: general lists stay item by item.
fn list_join(a: Value, b: Value) -> R {
    match (a, b) {
        (Value::Vector(a), Value::List(b)) if !a.is_empty() => {
            let mut items = Value::Vector(a).items();
            items.extend(b.iter().cloned());
            Ok(Value::list(items))
        }
        (a, b) => concat(a, b),
    }
}

/// The same columns in this order; `'mismatch` for others.
fn ordered(t: &Arc<Table>, names: &Arc<[Sym]>) -> R {
    if t.names == *names {
        return Ok(Value::Table(t.clone()));
    }
    if t.names.len() != names.len() {
        return Err(QError::mismatch());
    }
    let columns = names.iter().map(|n| t.column(*n).cloned().ok_or_else(QError::mismatch));
    Ok(Value::table(Table { names: names.clone(), columns: columns.collect::<R<Vec<_>>>()?, sorted: false }))
}

/// Where each key is among the keys of a dictionary; keys of another type are in none.
fn positions(keys: &Value, wanted: &Value) -> R<Vec<i64>> {
    let n = keys.count() as i64;
    let same = match (keys, wanted) {
        (Value::Vector(a), Value::Vector(b)) => a.ty == b.ty,
        (Value::Table(_), Value::Table(_)) => true,
        _ => false,
    };
    if same && n > 0 {
        return match find(keys, wanted)? {
            Value::Vector(v) => match &v.data {
                Data::I64(at) => Ok(at.to_vec()),
                _ => Err(QError::type_()),
            },
            _ => Err(QError::type_()),
        };
    }
    if n == 0 {
        return Ok(vec![0; wanted.count()]);
    }
    let finder = crate::value::Finder::new(&Value::list(keys.items()));
    Ok((0..wanted.count()).map(|i| finder.find_item(&wanted.at(i))).collect())
}

/// Values at known positions replaced; a vector that gets other types becomes a general list.
fn overwrite(ctx: &mut dyn Ctx, old: Value, at: &[i64], new: &Value) -> R {
    match (old, new) {
        (Value::Table(mut t), Value::Table(n)) => {
            let own = Arc::make_mut(&mut t);
            for (a, b) in own.columns.iter_mut().zip(&n.columns) {
                *a = overwrite(ctx, std::mem::replace(a, Value::Nil), at, b)?;
            }
            Ok(Value::Table(t))
        }
        (Value::Vector(v), Value::Vector(w)) if v.number() == w.number() => {
            let positions = [Value::longs(at.to_vec())];
            index::assign_index(ctx, Value::Vector(v), &positions, None, new.clone())
        }
        (old, new) => {
            let mut items = old.items();
            for (k, &i) in at.iter().enumerate() {
                if let Some(place) = usize::try_from(i).ok().and_then(|i| items.get_mut(i)) {
                    *place = new.at(k);
                }
            }
            Ok(Value::from_items(items))
        }
    }
}

/// False where `x,y` is sure to succeed, so that `x` may be handed over without a copy to fall back on.
pub fn may_fail(x: &Value, y: &Value) -> bool {
    let enumerated = |v: &Value| {
        matches!(v, Value::Enum(_)) || matches!(v, Value::Vector(v) if matches!(v.data, Data::Enum(..)))
    };
    match (x, y) {
        (Value::Table(t), Value::Table(u)) => t.names != u.names || t.columns.iter().any(enumerated),
        (Value::Table(t), Value::Dict(d)) => {
            d.as_keyed().is_some()
                || d.len() != t.names.len()
                || t.columns.iter().any(enumerated)
                || t.names.iter().any(|n| d.get(*n).is_none())
        }
        (Value::Vector(_) | Value::List(_), y) => {
            enumerated(x) || matches!(y, Value::Dict(_) | Value::Table(_) | Value::Mapped(_))
        }
        (Value::Dict(x), Value::Dict(y)) => {
            x.as_keyed().is_some() || y.as_keyed().is_some() || enumerated(&x.values) || enumerated(&x.keys)
        }
        (x, _) => !x.is_atom() || enumerated(x),
    }
}
