//! Tables by value or by name: `` `t `` in place of a table is changed in place and is the answer.

use std::sync::Arc;

use crate::{
    QError, R,
    ctx::Ctx,
    value::{Dict, Sym, Table, Value},
};

/// The full name of a variable as code in the current namespace means it.
pub fn full_name(ctx: &mut dyn Ctx, name: Sym) -> Sym {
    let context = ctx.context();
    if context.is_null() || name.bytes().first() == Some(&b'.') {
        return name;
    }
    Sym::new([b".", context.bytes(), b".", name.bytes()].concat())
}

/// The value that a name stands for; any other value as it is. Files are read.
pub fn named(ctx: &mut dyn Ctx, t: Value) -> R {
    match &t {
        Value::Sym(name) if name.bytes().first() == Some(&b':') => {
            let get = ctx.run("get")?;
            ctx.apply(&get, vec![t])
        }
        Value::Sym(name) => ctx.lookup(*name).ok_or_else(|| QError::new(name.text())),
        _ => Ok(t),
    }
}

/// Runs a change of a table: on the value, or on the variable (or file) of that name, which is then the answer.
pub fn change(ctx: &mut dyn Ctx, t: Value, f: impl FnOnce(&mut dyn Ctx, Value) -> R) -> R {
    let Value::Sym(name) = t else { return f(ctx, t) };
    if name.bytes().first() == Some(&b':') {
        let old = named(ctx, t.clone())?;
        let new = f(ctx, old)?;
        let set = ctx.run("set")?;
        return ctx.apply(&set, vec![t, new]);
    }
    let full = full_name(ctx, name);
    let old = named(ctx, t.clone())?;
    let new = f(ctx, old)?;
    ctx.set_global(full, new)?;
    Ok(t)
}

/// A table as columns, with the number of keys: tables in memory, keyed tables, tables elsewhere. `'type` for
/// anything else.
pub fn columns_of(t: &Value) -> R<(Arc<Table>, usize)> {
    match t {
        Value::Mapped(m) => match m.load()? {
            Value::Table(t) => Ok((t, 0)),
            _ => Err(QError::type_()),
        },
        Value::Table(t) => Ok((t.clone(), 0)),
        Value::Dict(d) => {
            let (k, t) = d.as_keyed().ok_or_else(QError::type_)?;
            let names: Vec<Sym> = k.names.iter().chain(t.names.iter()).copied().collect();
            let columns = k.columns.iter().chain(&t.columns).cloned().collect();
            Ok((Arc::new(Table { names: names.into(), columns, sorted: false }), k.names.len()))
        }
        _ => Err(QError::type_()),
    }
}

/// A table with its first `keys` columns as keys.
pub fn rekey(table: Table, keys: usize) -> Value {
    if keys == 0 || keys >= table.columns.len() {
        return Value::table(table);
    }
    let mut columns = table.columns;
    let values = columns.split_off(keys);
    let k = Table { names: table.names[..keys].to_vec().into(), columns, sorted: false };
    let v = Table { names: table.names[keys..].to_vec().into(), columns: values, sorted: false };
    Value::dict(Dict { keys: Value::table(k), values: Value::table(v), sorted: false })
}

/// Column names: a symbol, symbols, or an empty list.
pub fn symbols(v: &Value) -> R<Vec<Sym>> {
    if let Some(s) = v.as_sym() {
        return Ok(vec![s]);
    }
    if !v.is_list() {
        return Err(QError::type_());
    }
    v.items().iter().map(Value::as_sym).collect::<Option<Vec<Sym>>>().ok_or_else(QError::type_)
}

/// Positions of columns; fails with the name of the first missing column.
pub fn positions(table: &Table, names: &[Sym]) -> R<Vec<usize>> {
    names.iter().map(|n| table.position(*n).ok_or_else(|| QError::new(n.text()))).collect()
}
