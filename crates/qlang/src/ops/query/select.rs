//! `select` and `exec` over a scope of columns.

use std::sync::Arc;

use super::{
    aggregate,
    grouping::{Grouped, as_column},
    phrases::{By, Phrases},
    scope::Scope,
    tree::eval_in,
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Dict, Groups, Sym, Table, Value},
};

/// The answer of a select or an exec over the rows in scope; `keys` is the number of key columns of the table.
pub fn select(ctx: &mut dyn Ctx, scope: &mut Scope, keys: usize, by: By, phrases: Phrases) -> R {
    match (by, phrases) {
        (By::None, Phrases::All) => Ok(rekey(scope.table()?, keys)),
        (By::None, Phrases::Columns(names, trees)) => {
            Ok(Value::table(plain_columns(ctx, scope, names, &trees)?))
        }
        (By::Distinct, Phrases::All) => Ok(rekey(distinct(scope.table()?), keys)),
        (By::Distinct, Phrases::Columns(names, trees)) => {
            Ok(Value::table(distinct(plain_columns(ctx, scope, names, &trees)?)))
        }
        (By::Distinct | By::None | By::Exec, Phrases::Tree(tree)) => eval_in(ctx, &tree, scope),
        (By::Exec, Phrases::All) => last_row(scope),
        (By::Exec, Phrases::Columns(names, trees)) => {
            let mut values = vec![Value::Nil; trees.len()];
            for (i, tree) in trees.iter().enumerate() {
                values[i] = eval_in(ctx, tree, scope)?;
            }
            Ok(Value::dict(Dict::new(Value::syms(names), Value::from_items(values))?))
        }
        (By::Columns(by_names, by_trees), Phrases::Tree(tree)) => {
            let mut g = Grouped::by(ctx, scope, by_names, &by_trees)?;
            let values = phrase(ctx, scope, &mut g, &tree)?;
            Ok(Value::dict(Dict::new(Value::table(key_table(&g)?), values)?))
        }
        (By::Columns(by_names, by_trees), phrases) => {
            let mut g = Grouped::by(ctx, scope, by_names, &by_trees)?;
            let values = grouped_columns(ctx, scope, &mut g, phrases)?;
            Ok(Value::dict(Dict::new(Value::table(key_table(&g)?), Value::table(values))?))
        }
        (By::Tree(by), phrases) => {
            let mut g = Grouped::by(ctx, scope, vec![Sym::NULL], std::slice::from_ref(&by))?;
            let values = match phrases {
                Phrases::Tree(tree) => phrase(ctx, scope, &mut g, &tree)?,
                other => Value::table(grouped_columns(ctx, scope, &mut g, other)?),
            };
            let keys = g.keys.pop().ok_or_else(QError::length)?;
            Ok(Value::dict(Dict::new(sorted_key(keys), values)?))
        }
    }
}

/// A column of ascending distinct keys, marked as sorted.
fn sorted_key(keys: Value) -> Value {
    match keys {
        Value::Vector(mut v) if !matches!(v.data, crate::value::Data::Enum(..)) => {
            Arc::make_mut(&mut v).attr = kvalue::Attr::Sorted;
            Value::Vector(v)
        }
        other => other,
    }
}

fn key_table(g: &Grouped) -> R<Table> {
    let mut columns = g.keys.clone();
    if columns.len() == 1 {
        columns = columns.into_iter().map(sorted_key).collect();
    }
    Table::new(g.names.clone(), columns)
}

/// One phrase for all groups, as a column.
fn phrase(ctx: &mut dyn Ctx, scope: &mut Scope, g: &mut Grouped, tree: &Value) -> R {
    if let Some(v) = aggregate::planned(ctx, scope, g, tree)? {
        return Ok(v);
    }
    if g.is_empty() {
        // No group tells the type of the answer; the phrase over no rows does.
        let v = eval_in(ctx, tree, scope)?;
        return Ok(if v.is_atom() { v.repeat(0) } else { Value::empty_list() });
    }
    let by_row = match tree {
        Value::Sym(name) => scope.name(*name)?,
        tree => aggregate::uniform(ctx, scope, &g.groups, tree)?,
    };
    if let Some(column) = by_row.filter(|c| matches!(c, Value::Vector(_)) && c.count() == scope.len()) {
        let (places, starts) = g.places(scope)?;
        let sorted = column.gather(places);
        let lists = starts.windows(2).map(|w| sorted.slice(w[0] as usize, (w[1] - w[0]) as usize));
        return Ok(Value::list(lists.map(Value::plain).collect()));
    }
    let values = g.eval(ctx, scope, tree)?;
    Ok(Value::from_items(values))
}

fn grouped_columns(ctx: &mut dyn Ctx, scope: &mut Scope, g: &mut Grouped, phrases: Phrases) -> R<Table> {
    let (names, trees) = match phrases {
        Phrases::Columns(names, trees) => (names, trees),
        _ => return last_of_groups(scope, g),
    };
    let mut columns = Vec::with_capacity(trees.len());
    for tree in &trees {
        columns.push(phrase(ctx, scope, g, tree)?);
    }
    Table::new(names, columns)
}

/// `by` without columns: the last row of each group, key columns left out.
fn last_of_groups(scope: &mut Scope, g: &mut Grouped) -> R<Table> {
    let mut last = vec![0u32; g.len()];
    for (place, &id) in g.groups.ids.iter().enumerate() {
        last[id as usize] = place as u32;
    }
    let mut names = Vec::new();
    let mut columns = Vec::new();
    for (at, name) in scope.names().clone().iter().enumerate() {
        if !g.names.contains(name) {
            names.push(*name);
            columns.push(scope.column(at)?.gather(&last));
        }
    }
    Table::new(names, columns)
}

/// Columns of phrases without groups: lists of one length, atoms repeated; one row where all are atoms.
fn plain_columns(ctx: &mut dyn Ctx, scope: &mut Scope, names: Vec<Sym>, trees: &[Value]) -> R<Table> {
    let mut columns = Vec::with_capacity(trees.len());
    for tree in trees {
        columns.push(eval_in(ctx, tree, scope)?);
    }
    let is_list = |v: &Value| v.is_list() || matches!(v, Value::Table(_));
    let n = columns.iter().find(|c| is_list(c)).map_or(1, Value::count);
    let columns = columns
        .into_iter()
        .map(|c| match c {
            Value::Dict(d) if d.as_keyed().is_none() && d.len() == n => Ok(d.values.clone()),
            c if is_list(&c) => as_column(c, n),
            c => Ok(c.repeat(n)),
        })
        .collect::<R<Vec<_>>>()?;
    Table::new(names, columns)
}

fn last_row(scope: &mut Scope) -> R {
    let n = scope.len();
    let table = scope.table()?;
    if n == 0 {
        return Ok(table.row(usize::MAX));
    }
    Ok(table.row(n - 1))
}

/// The distinct rows of a table, in order of first appearance.
pub fn distinct(table: Table) -> Table {
    let groups = Groups::of(&table.columns.iter().collect::<Vec<_>>(), table.len());
    if groups.len() == table.len() {
        return table;
    }
    let columns = table.columns.iter().map(|c| c.gather(&groups.firsts)).collect();
    Table { names: table.names, columns, sorted: false }
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
