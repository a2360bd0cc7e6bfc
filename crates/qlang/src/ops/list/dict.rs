//! `!` of two values: dictionaries, keys of tables. What negative numbers and symbols on the left mean is in
//! `ops::marks`.

use std::sync::Arc;

use super::{basic::memory, join::beside};
use crate::{
    QError, R,
    ctx::Ctx,
    ops::index::qualified,
    value::{Dict, Sym, Table, Value},
};

/// `x!y`: a dictionary of two lists, a keyed table of two tables; `n!t` makes the first `n` columns keys. `'length`
/// where counts differ.
pub fn bang(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    if let Some(n) = x.as_index() {
        return match y {
            Value::Sym(name) => {
                let full = qualified(ctx, name);
                let t = ctx.global(full).ok_or_else(|| QError::new(name.text()))?;
                let keyed = enkey(n, t)?;
                ctx.set_global(full, keyed)?;
                Ok(Value::Sym(name))
            }
            y => enkey(n, y),
        };
    }
    let (x, y) = (memory(x)?, memory(y)?);
    if x.is_atom() {
        return Err(QError::type_());
    }
    if y.is_atom() {
        // one value for every key
        return Ok(Value::dict(Dict { values: y.repeat(x.count()), keys: x, sorted: false }));
    }
    if matches!(y, Value::Dict(_)) && !matches!(x, Value::Dict(_)) && x.count() != y.count() {
        return Err(QError::length());
    }
    let y = match y {
        Value::Dict(d) if d.as_keyed().is_none() => d.values.clone(),
        y => y,
    };
    Ok(Value::dict(Dict::new(x, y)?))
}

/// The first `n` columns as keys; none for 0. `'length` where there are not so many.
pub fn enkey(n: i64, t: Value) -> R {
    let table = match &t {
        Value::Table(t) => t.clone(),
        Value::Dict(d) => match d.as_keyed() {
            Some((k, v)) => beside(k, v),
            None if n == 0 => return Ok(t),
            None => return Err(QError::type_()),
        },
        Value::Mapped(_) if n == 0 => return Ok(t),
        Value::Mapped(m) => return enkey(n, m.load()?),
        _ => return Err(QError::type_()),
    };
    if n == 0 {
        return Ok(Value::Table(table));
    }
    let n = usize::try_from(n).map_err(|_| QError::type_())?;
    if n > table.names.len() {
        return Err(QError::length());
    }
    let part = |names: &[Sym], columns: &[Value]| {
        Value::table(Table { names: Arc::from(names), columns: columns.to_vec(), sorted: false })
    };
    let keys = part(&table.names[..n], &table.columns[..n]);
    let values = part(&table.names[n..], &table.columns[n..]);
    Ok(Value::dict(Dict { keys, values, sorted: false }))
}
