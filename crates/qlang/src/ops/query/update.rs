//! `update` and `delete` over a scope of columns.

use std::sync::Arc;

use kvalue::Attr;

use super::{
    grouping::{Grouped, as_column},
    phrases::{By, Phrases},
    scope::{Rows, Scope},
    tree::eval_in,
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Scalar, Sym, Table, Value},
};

/// What an update puts where.
pub struct Change {
    names: Vec<Sym>,
    values: Vec<Value>,
    rows: Rows,
}

/// The values of an update's phrases, checked against the table they will go into.
pub fn evaluate(ctx: &mut dyn Ctx, scope: &mut Scope, by: By, phrases: Phrases) -> R<Change> {
    let Phrases::Columns(names, trees) = phrases else {
        return Ok(Change { names: Vec::new(), values: Vec::new(), rows: Rows::All });
    };
    let mut values = Vec::with_capacity(trees.len());
    let by = match by {
        By::Columns(names, trees) => Some((names, trees)),
        By::Tree(tree) => Some((vec![Sym::NULL], vec![tree])),
        _ => None,
    };
    match by {
        Some((by_names, by_trees)) => {
            let mut g = Grouped::by(ctx, scope, by_names, &by_trees)?;
            for tree in &trees {
                values.push(spread(ctx, scope, &mut g, tree)?);
            }
        }
        None => {
            for tree in &trees {
                values.push(eval_in(ctx, tree, scope)?);
            }
        }
    }
    let n = scope.len();
    let all = matches!(scope.rows(), Rows::All);
    for (name, value) in names.iter().zip(values.iter_mut()) {
        if all {
            *value = as_column(std::mem::replace(value, Value::Nil), n)?;
        } else if let Some(at) = scope.position(*name) {
            let base = scope.whole(at)?;
            *value = fitting(&base, std::mem::replace(value, Value::Nil), n)?;
        } else if value.is_list() && value.count() != n {
            return Err(QError::length());
        }
    }
    Ok(Change { names, values, rows: scope.rows().clone() })
}

/// Puts the values of an update into the table they were made for.
pub fn apply(table: &mut Table, change: Change) {
    let total = table.len();
    table.sorted = false;
    let places = match &change.rows {
        Rows::Picked(rows) => Some(rows.to_vec()),
        Rows::Run(from, n) => Some((*from as u32..(from + n) as u32).collect()),
        Rows::All => None,
    };
    for (name, value) in change.names.into_iter().zip(change.values) {
        let at = table.position(name);
        let column = match (&places, at) {
            (None, _) => value,
            (Some(rows), Some(at)) => {
                put(std::mem::replace(&mut table.columns[at], Value::Nil), rows, &value)
            }
            (Some(rows), None) => put(nulls_like(&value, total), rows, &value),
        };
        match at {
            Some(at) => table.columns[at] = column,
            None => {
                table.names = table.names.iter().copied().chain([name]).collect();
                table.columns.push(column);
            }
        }
    }
}

/// Nulls of what a phrase gives, for the rows that are not updated.
fn nulls_like(value: &Value, n: usize) -> Value {
    match value {
        Value::Vector(_) => value.nulls(n),
        Value::List(_) => value.nulls(n),
        atom => atom.null_like().repeat(n),
    }
}

/// A phrase by groups, back in the rows' order: an atom for all rows of its group, a list row by row.
fn spread(ctx: &mut dyn Ctx, scope: &mut Scope, g: &mut Grouped, tree: &Value) -> R {
    let n = scope.len();
    if let Some(v) = super::aggregate::planned(ctx, scope, g, tree)? {
        return Ok(v.gather(&g.groups.ids));
    }
    if let Some(v) = super::aggregate::uniform(ctx, scope, &g.groups, tree)? {
        return Ok(v);
    }
    let values = g.eval(ctx, scope, tree)?;
    if values.iter().all(|v| !v.is_list() && !matches!(v, Value::Table(_))) && !values.is_empty() {
        return Ok(Value::from_items(values).gather(&g.groups.ids));
    }
    let (places, starts) = g.places(scope)?;
    let mut joined: Option<Value> = None;
    for (value, w) in values.into_iter().zip(starts.windows(2)) {
        let part = as_column(value, (w[1] - w[0]) as usize)?;
        joined = Some(match joined {
            None => part.plain(),
            Some(all) => all.append(&part),
        });
    }
    let Some(joined) = joined else { return Ok(Value::empty_list()) };
    if joined.count() != n {
        return Err(QError::length());
    }
    let mut back = vec![0u32; n];
    for (k, &place) in places.iter().enumerate() {
        back[place as usize] = k as u32;
    }
    Ok(joined.gather(&back))
}

/// A value that may go into rows of this column: a typed column takes only its own type, an enumeration codes.
fn fitting(base: &Value, value: Value, n: usize) -> R {
    let single = !(value.is_list() || matches!(value, Value::Table(_)));
    if !single && value.count() != n {
        return Err(QError::length());
    }
    let Value::Vector(v) = base else { return Ok(value) };
    if let Data::Enum(domain, _) = &v.data {
        let items = if single { vec![value.clone()] } else { value.items() };
        let codes = items.iter().map(|x| code_of(domain, x)).collect::<R<Vec<i64>>>()?;
        let coded = Value::vector(v.ty, Data::Enum(domain.clone(), codes.into()));
        return Ok(if single { coded.at(0) } else { coded });
    }
    match &value {
        Value::Vector(x) if x.number() == v.number() => Ok(value),
        Value::Vector(x) if matches!(x.data, Data::Enum(..)) && v.ty == x.ty => Ok(x.resolved()),
        Value::Enum(e) if v.ty == kvalue::Type::Symbol => Ok(e.value()),
        Value::List(l) if l.is_empty() && n == 0 => Ok(value),
        atom if atom.number() == -v.number() => Ok(value),
        _ => Err(QError::type_()),
    }
}

/// The column with these rows replaced.
fn put(base: Value, rows: &[u32], value: &Value) -> Value {
    let single = !(value.is_list() || matches!(value, Value::Table(_)));
    match base {
        Value::Vector(mut v) => {
            let own = Arc::make_mut(&mut v);
            if !rows.is_empty() {
                own.attr = Attr::None;
            }
            macro_rules! layouts {
                ($($l:ident),*) => {
                    match (&mut own.data, value) {
                        $((Data::$l(items), Value::Vector(x)) => {
                            if let Data::$l(new) = &x.data {
                                let items = items.to_mut();
                                rows.iter().zip(new.iter()).for_each(|(&r, &x)| items[r as usize] = x);
                            }
                        })*
                        $((Data::$l(items), atom) => {
                            if let Some((_, Scalar::$l(x))) = atom.as_scalar() {
                                let items = items.to_mut();
                                rows.iter().for_each(|&r| items[r as usize] = x);
                            }
                        })*
                        (Data::Enum(_, codes), Value::Vector(x)) => {
                            if let Data::Enum(_, new) = &x.data {
                                let codes = codes.to_mut();
                                rows.iter().zip(new.iter()).for_each(|(&r, &x)| codes[r as usize] = x);
                            }
                        }
                        (Data::Enum(_, codes), Value::Enum(e)) => {
                            let codes = codes.to_mut();
                            rows.iter().for_each(|&r| codes[r as usize] = e.index);
                        }
                        _ => {}
                    }
                };
            }
            layouts!(Bool, Guid, U8, I16, I32, I64, F32, F64, Sym);
            Value::Vector(v)
        }
        Value::List(mut l) => {
            let items = Arc::make_mut(&mut l).to_mut();
            for (k, &r) in rows.iter().enumerate() {
                items[r as usize] = if single { value.clone() } else { value.at(k) };
            }
            Value::List(l)
        }
        other => {
            let mut items = other.items();
            for (k, &r) in rows.iter().enumerate() {
                items[r as usize] = if single { value.clone() } else { value.at(k) };
            }
            Value::from_items(items)
        }
    }
}

/// The code of a value in an enumeration's domain; `'cast` where it is not in it.
fn code_of(domain: &Arc<crate::value::Domain>, value: &Value) -> R<i64> {
    if let Value::Enum(e) = value
        && e.domain.name == domain.name
    {
        return Ok(e.index);
    }
    let plain = match value {
        Value::Enum(e) => e.value(),
        other => other.clone(),
    };
    let list = domain.list.items();
    let found = list.iter().position(|x| crate::value::value_order(x, &plain).is_eq());
    found.map(|i| i as i64).ok_or_else(QError::cast)
}

/// The rows that are not in scope.
pub fn rows_left(scope: &Scope) -> Vec<u32> {
    let mut kept = vec![true; scope.total()];
    scope.row_numbers().iter().for_each(|&r| {
        if let Some(k) = kept.get_mut(r as usize) {
            *k = false;
        }
    });
    super::filter::set_places(&kept)
}

/// The table without these columns.
pub fn without(table: &Table, drop: &[Sym]) -> Table {
    let keep: Vec<usize> = (0..table.names.len()).filter(|&i| !drop.contains(&table.names[i])).collect();
    Table {
        names: keep.iter().map(|&i| table.names[i]).collect(),
        columns: keep.iter().map(|&i| table.columns[i].clone()).collect(),
        sorted: false,
    }
}
