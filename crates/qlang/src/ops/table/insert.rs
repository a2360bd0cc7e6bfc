//! Rows into tables: insert, upsert, and the same for `,`.

use std::sync::Arc;

use super::{
    lookup::match_rows,
    names::{change, columns_of, full_name},
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Dict, NO_ROW, Sym, Table, Value, value_order},
};

/// `` `t insert x ``: rows at the end, the answer is their numbers. A key that is already there is an error.
pub fn insert(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let Value::Sym(name) = x else { return Err(QError::type_()) };
    let full = full_name(ctx, name);
    let old = ctx.lookup(name);
    let Some(old) = old else {
        // A table that is not there yet is made of the rows.
        let t = match y {
            Value::Table(_) => y,
            y if y.as_keyed().is_some() => y,
            _ => return Err(QError::new(name.text())),
        };
        let n = t.count();
        ctx.set_global(full, t)?;
        return Ok(Value::longs((0..n as i64).collect()));
    };
    let old = match old {
        Value::List(l) if l.is_empty() && matches!(y, Value::Table(_)) => y.slice(0, 0),
        Value::Mapped(_) => return Err(QError::type_()),
        old => old,
    };
    let (table, keys) = columns_of(&old)?;
    let rows = records(&table, y, false)?;
    let before = table.len();
    if keys > 0 {
        let own: Vec<&Value> = table.columns[..keys].iter().collect();
        let new: Vec<&Value> = rows[..keys].iter().collect();
        if match_rows(&new, &own).iter().any(|&r| r != NO_ROW) || doubled(&new) {
            return Err(QError::new("insert"));
        }
    }
    let added = rows.first().map_or(0, Value::count);
    drop(table);
    drop(old);
    let taken = ctx.take_global(full);
    let taken = match taken {
        Some(Value::List(l)) if l.is_empty() => None,
        other => other,
    };
    let new = match taken {
        Some(t) => add_rows(t, &rows)?,
        None => {
            return Err(QError::type_());
        }
    };
    ctx.set_global(full, new)?;
    Ok(Value::longs((before as i64..(before + added) as i64).collect()))
}

/// True where two rows of the key columns are equal.
fn doubled(keys: &[&Value]) -> bool {
    let n = keys.first().map_or(0, |k| k.count());
    crate::value::Groups::of(keys, n).len() < n
}

/// The table, keyed or not, with rows at its end; in place where nobody else holds it.
fn add_rows(t: Value, rows: &[Value]) -> R {
    match t {
        Value::Table(mut t) => {
            append_columns(Arc::make_mut(&mut t), rows);
            Ok(Value::Table(t))
        }
        Value::Dict(mut d) => {
            let own = Arc::make_mut(&mut d);
            own.sorted = false;
            let (Value::Table(k), Value::Table(v)) = (&mut own.keys, &mut own.values) else {
                return Err(QError::type_());
            };
            let n = k.names.len();
            append_columns(Arc::make_mut(k), &rows[..n]);
            append_columns(Arc::make_mut(v), &rows[n..]);
            Ok(Value::Dict(d))
        }
        _ => Err(QError::type_()),
    }
}

fn append_columns(table: &mut Table, rows: &[Value]) {
    table.sorted = false;
    for (column, more) in table.columns.iter_mut().zip(rows) {
        let own = std::mem::replace(column, Value::Nil);
        *column = own.append(more);
    }
}

/// `t upsert x`: rows that are new are added, those whose key is there replace it.
pub fn upsert(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    if let Value::Sym(name) = &x
        && name.bytes().first() != Some(&b':')
    {
        let full = full_name(ctx, *name);
        let Some(old) = ctx.lookup(*name) else {
            return match y {
                Value::Table(_) | Value::Dict(_) => {
                    let y = if y.number() == 99 && y.as_keyed().is_none() { row_table(&y)? } else { y };
                    ctx.set_global(full, y)?;
                    Ok(x)
                }
                _ => Err(QError::new(name.text())),
            };
        };
        let job = Upsert::plan(&old, y)?;
        drop(old);
        let taken = ctx.take_global(full).ok_or_else(|| QError::new(name.text()))?;
        let new = job.run(taken)?;
        ctx.set_global(full, new)?;
        return Ok(x);
    }
    if matches!(x, Value::Sym(_)) {
        // A file: grown at its end, in place where its form allows.
        let append = ctx.lookup(Sym::new(".append")).ok_or_else(QError::access)?;
        return ctx.apply(&append, vec![x, y]);
    }
    change(ctx, x, |_, t| upsert_value(t, y))
}

/// A table, keyed or not, with records added or replaced: what `,` and `upsert` give. In place where nobody else
/// holds the table.
pub fn upsert_value(t: Value, y: Value) -> R {
    let job = Upsert::plan(&t, y)?;
    job.run(t)
}

fn row_table(d: &Value) -> R {
    let Value::Dict(d) = d else { return Err(QError::type_()) };
    let names = super::names::symbols(&d.keys)?;
    let columns = d.values.items().iter().map(one_item).collect();
    Ok(Value::table(Table::new(names, columns)?))
}

/// A column of one row.
fn one_item(v: &Value) -> Value {
    Value::from_items(vec![v.clone()])
}

enum Upsert {
    /// the other value takes the place
    Replace(Value),
    /// rows at the end
    Add(Vec<Value>),
    /// columns of rows; for each the row it replaces, or [`NO_ROW`]; how many rows are new
    Merge(Vec<Value>, Vec<u32>),
    /// entries of a dictionary
    Entries(Arc<Dict>),
}

impl Upsert {
    fn plan(t: &Value, y: Value) -> R<Upsert> {
        match t {
            Value::List(l) if l.is_empty() => return Ok(Upsert::Replace(y)),
            Value::Dict(d) if d.as_keyed().is_none() => {
                let Value::Dict(y) = y else { return Err(QError::type_()) };
                return Ok(Upsert::Entries(y));
            }
            _ => {}
        }
        let (table, keys) = columns_of(t)?;
        let rows = records(&table, y, true)?;
        if keys == 0 {
            return Ok(Upsert::Add(rows));
        }
        let own: Vec<&Value> = table.columns[..keys].iter().collect();
        let new: Vec<&Value> = rows[..keys].iter().collect();
        let mut places = match_rows(&new, &own);
        // A key that comes twice among the new rows: the first makes the row, the later ones replace it.
        let n = places.len();
        let groups = crate::value::Groups::of(&new, n);
        let mut row_of_group = vec![NO_ROW; groups.len()];
        let mut next = table.len() as u32;
        for (place, &g) in places.iter_mut().zip(&groups.ids) {
            let slot = &mut row_of_group[g as usize];
            if *slot == NO_ROW {
                *slot = if *place == NO_ROW {
                    next += 1;
                    next - 1
                } else {
                    *place
                };
            }
            *place = *slot;
        }
        Ok(Upsert::Merge(rows, places))
    }

    fn run(self, t: Value) -> R {
        match self {
            Upsert::Replace(y) => Ok(y),
            Upsert::Add(rows) => match t {
                Value::Mapped(m) => add_rows(m.load()?, &rows),
                t => add_rows(t, &rows),
            },
            Upsert::Entries(y) => {
                let Value::Dict(d) = t else { return Err(QError::type_()) };
                let mut keys = d.keys.items();
                let mut values = d.values.items();
                for (k, v) in y.keys.items().into_iter().zip(y.values.items()) {
                    match keys.iter().position(|x| value_order(x, &k).is_eq()) {
                        Some(at) => values[at] = v,
                        None => {
                            keys.push(k);
                            values.push(v);
                        }
                    }
                }
                Ok(Value::dict(Dict::new(Value::from_items(keys), Value::from_items(values))?))
            }
            Upsert::Merge(rows, places) => {
                let Value::Dict(mut d) = t else { return Err(QError::type_()) };
                let own = Arc::make_mut(&mut d);
                own.sorted = false;
                let (Value::Table(k), Value::Table(v)) = (&mut own.keys, &mut own.values) else {
                    return Err(QError::type_());
                };
                let (before, width) = (k.len() as u32, k.names.len());
                // New rows by their first appearance; then every row's values go to its place, the last one wins.
                let mut seen = before;
                let fresh: Vec<u32> = (0..places.len() as u32)
                    .filter(|&i| {
                        let new = places[i as usize] == seen;
                        seen += u32::from(new);
                        new
                    })
                    .collect();
                if !fresh.is_empty() {
                    let new: Vec<Value> = rows.iter().map(|r| r.gather(&fresh)).collect();
                    append_columns(Arc::make_mut(k), &new[..width]);
                    append_columns(Arc::make_mut(v), &new[width..]);
                }
                if fresh.len() < places.len() {
                    for (column, new) in Arc::make_mut(v).columns.iter_mut().zip(&rows[width..]) {
                        let own = std::mem::replace(column, Value::Nil);
                        *column = super::lookup::put_rows(own, &places, new);
                    }
                }
                Ok(Value::Dict(d))
            }
        }
    }
}

/// What is to be inserted as columns in the order of the table's: from a table, a dictionary, a row, columns, or a
/// list of rows. `'mismatch` where columns do not match (`partial`: columns may be left out), `'length` for another
/// number, `'type` for a wrong type.
pub fn records(table: &Table, y: Value, partial: bool) -> R<Vec<Value>> {
    let width = table.names.len();
    let rows = match &y {
        Value::Table(_) | Value::Mapped(_) => by_name(table, &columns_of(&y)?.0, partial)?,
        Value::Dict(d) if d.as_keyed().is_some() => by_name(table, &columns_of(&y)?.0, partial)?,
        Value::Dict(_) => match row_table(&y)? {
            Value::Table(t) => by_name(table, &t, partial)?,
            _ => return Err(QError::type_()),
        },
        list if list.is_list() => {
            let items = list.items();
            let rows_of_rows = items.first().is_some_and(Value::is_list)
                && items.iter().all(|i| i.is_list() && i.count() == width)
                && !items.iter().zip(&table.columns).all(|(i, c)| fits(c, i));
            if rows_of_rows {
                return by_rows(table, &items);
            }
            if items.len() != width {
                return Err(QError::length());
            }
            if items.first().is_some_and(Value::is_atom) || !items.iter().any(Value::is_list) {
                items.iter().map(one_item).collect()
            } else {
                let n = items.iter().find(|i| i.is_list()).map_or(1, Value::count);
                items
                    .into_iter()
                    .map(|i| match i {
                        i if i.is_list() && i.count() != n => Err(QError::length()),
                        i if i.is_list() => Ok(i),
                        atom => Ok(atom.repeat(n)),
                    })
                    .collect::<R<Vec<_>>>()?
            }
        }
        atom if atom.is_atom() && width == 1 => vec![one_item(atom)],
        _ => return Err(QError::type_()),
    };
    table.columns.iter().zip(rows).map(|(c, r)| conform(c, r)).collect()
}

fn by_rows(table: &Table, items: &[Value]) -> R<Vec<Value>> {
    let rows = (0..table.names.len()).map(|j| Value::from_items(items.iter().map(|row| row.at(j)).collect()));
    table.columns.iter().zip(rows).map(|(c, r)| conform(c, r)).collect()
}

/// Columns by name; where `partial`, a column that is not given is nulls.
fn by_name(table: &Table, y: &Table, partial: bool) -> R<Vec<Value>> {
    if y.names.iter().any(|n| table.position(*n).is_none())
        || (!partial && y.names.len() != table.names.len())
    {
        return Err(QError::mismatch());
    }
    let n = y.len();
    let column = |(name, own): (&Sym, &Value)| y.column(*name).cloned().unwrap_or_else(|| own.nulls(n));
    Ok(table.names.iter().zip(&table.columns).map(column).collect())
}

/// True where a list can go under this column as it is.
fn fits(column: &Value, list: &Value) -> bool {
    match (column, list) {
        (Value::Vector(c), Value::Vector(l)) => c.ty == l.ty,
        (Value::Vector(_), Value::List(l)) => l.is_empty(),
        _ => true,
    }
}

/// New items in the form of the column: enumerated if the column is, of the column's type if typed.
fn conform(column: &Value, items: Value) -> R {
    let Value::Vector(c) = column else { return Ok(items) };
    match (&c.data, &items) {
        (Data::Enum(domain, _), _) => {
            if let Value::Vector(v) = &items
                && let Data::Enum(d, _) = &v.data
                && d.name == domain.name
            {
                return Ok(items);
            }
            let list = &domain.list;
            let rows = match &items {
                Value::Vector(v) => match_rows(&[&v.resolved()], &[list]),
                other => match_rows(&[other], &[list]),
            };
            let codes = items
                .items()
                .iter()
                .zip(rows)
                .map(|(item, row)| match row {
                    NO_ROW if item.as_sym().is_some_and(Sym::is_null) => Ok(list.count() as i64),
                    NO_ROW => Err(QError::cast()),
                    row => Ok(i64::from(row)),
                })
                .collect::<R<Vec<i64>>>()?;
            Ok(Value::vector(c.ty, Data::Enum(domain.clone(), codes.into())))
        }
        (_, Value::Vector(v)) if v.ty == c.ty => Ok(match v.data {
            Data::Enum(..) => v.resolved(),
            _ => items,
        }),
        (_, Value::List(l)) if l.is_empty() => Ok(items),
        _ => Err(QError::type_()),
    }
}
