//! `([k:…]c:…)`: tables from named columns.

use crate::{
    QError, R,
    value::{Dict, Sym, Table, Value},
};

/// A table of key columns and columns: lists of one length, atoms repeated. `'rank` where all are atoms, `'length`
/// where lists differ. Columns of one name get numbers from 1.
pub fn table(keys: Vec<(Sym, Value)>, columns: Vec<(Sym, Value)>) -> R {
    let width = keys.len();
    let all: Vec<(Sym, Value)> = keys.into_iter().chain(columns).collect();
    let is_list = |v: &Value| v.is_list() || matches!(v, Value::Table(_) | Value::Mapped(_));
    let Some(n) = all.iter().find(|(_, v)| is_list(v)).map(|(_, v)| v.count()) else {
        return Err(QError::rank());
    };
    let mut names: Vec<Sym> = Vec::with_capacity(all.len());
    let mut values = Vec::with_capacity(all.len());
    for (name, value) in all {
        let value = if is_list(&value) {
            if value.count() != n {
                return Err(QError::length());
            }
            value
        } else {
            value.repeat(n)
        };
        names.push(free_name(&names, name));
        values.push(value);
    }
    if width == 0 {
        return Ok(Value::table(Table::new(names, values)?));
    }
    let value_columns = values.split_off(width);
    let value_names = names.split_off(width);
    let k = Table::new(names, values)?;
    if value_columns.is_empty() {
        return Ok(Value::table(k));
    }
    Ok(Value::dict(Dict::new(Value::table(k), Value::table(Table::new(value_names, value_columns)?))?))
}

/// The name, or the name with the first number that makes it new.
pub fn free_name(taken: &[Sym], name: Sym) -> Sym {
    if !taken.contains(&name) {
        return name;
    }
    (1..)
        .map(|k: usize| Sym::new([name.bytes(), k.to_string().as_bytes()].concat()))
        .find(|n| !taken.contains(n))
        .unwrap_or(name)
}
