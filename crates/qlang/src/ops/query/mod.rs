//! Queries: functional select, exec, update and delete, and the evaluation of parse trees.
//!
//! `scope` (columns at rows) ← `tree` (parse trees) ← `filter` (where), `grouping` (by) ← `aggregate` ← `select`,
//! `update`.

pub mod aggregate;
pub mod fby;
pub mod filter;
pub mod grouping;
pub mod mapped;
pub mod order;
pub mod phrases;
pub mod quick;
pub mod reduce;
pub mod scope;
pub mod select;
pub mod tree;
pub mod update;

use std::sync::Arc;

pub use self::{
    select::rekey,
    tree::{eval_tree, unkeyed},
};

use self::{
    phrases::{By, Phrases},
    scope::Scope,
};
use crate::{
    QError, R,
    ctx::{Ctx, Def},
    value::{Data, Dict, Sym, Table, Value},
};

/// The family's primitives.
pub static TABLE: &[Def] = &[Def::dyad("fby", fby::fby)];

/// The table that a name or a value stands for: its columns in scope, and how many are keys.
fn open(ctx: &mut dyn Ctx, t: &Value) -> R<(Scope, usize)> {
    match t {
        Value::Sym(name) if name.bytes().first() == Some(&b':') => {
            let v = crate::ops::table::named(ctx, t.clone())?;
            open(ctx, &v)
        }
        Value::Sym(name) => {
            let v = ctx.lookup(*name).ok_or_else(|| QError::new(name.text()))?;
            if matches!(v, Value::Sym(_)) {
                return Err(QError::type_());
            }
            open(ctx, &v)
        }
        Value::Mapped(m) => Ok((Scope::of_mapped(m.clone())?, 0)),
        Value::Dict(d) if d.as_keyed().is_none() => Ok((Scope::of_table(dict_columns(d)?), 0)),
        other => {
            let (table, keys) = unkeyed(other).ok_or_else(QError::type_)?;
            Ok((Scope::of_table(table), keys))
        }
    }
}

/// A dictionary's values as columns: what `exec` and `select` see of it.
fn dict_columns(d: &Dict) -> R<Arc<Table>> {
    let names =
        d.keys.items().iter().map(Value::as_sym).collect::<Option<Vec<Sym>>>().ok_or_else(QError::type_)?;
    Ok(Arc::new(Table { names: names.into(), columns: d.values.items(), sorted: false }))
}

/// The partitioned table that a name or a value stands for.
fn parted(ctx: &mut dyn Ctx, t: &Value) -> Option<Arc<dyn mapped::Partitioned>> {
    let found = match t {
        Value::Sym(name) => ctx.lookup(*name)?,
        other => other.clone(),
    };
    let Value::Mapped(m) = &found else { return None };
    m.as_any().downcast_ref::<mapped::Parted>().map(|p| p.0.clone())
}

/// The trees whose names a query reads; `None` where it reads all columns.
fn needed<'a>(by: &'a By, phrases: &'a Phrases) -> Option<Vec<&'a Value>> {
    let mut trees: Vec<&Value> = match phrases {
        Phrases::All => return None,
        Phrases::Columns(_, trees) => trees.iter().collect(),
        Phrases::Tree(tree) => vec![tree],
    };
    match by {
        By::Columns(_, by) => trees.extend(by),
        By::Tree(by) => trees.push(by),
        _ => {}
    }
    Some(trees)
}

/// `?[t;c;b;a]`, with a limit of rows and an order as fifth and sixth: select and exec.
pub fn select(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    let [t, c, b, a, rest @ ..] = &args[..] else { return Err(QError::rank()) };
    let by = By::of(b)?;
    let phrases = Phrases::of(a)?;
    let source = parted(ctx, t);
    if let Some(table) = &source
        && rest.is_empty()
        && let Some(answer) = reduce::by_parts(ctx, table, c, &by, &phrases)?
    {
        return Ok(answer);
    }
    let (mut scope, keys) = match source {
        Some(table) => (mapped::gather(ctx, &table, c, needed(&by, &phrases).as_deref())?, 0),
        None => {
            let (mut scope, keys) = open(ctx, t)?;
            filter::filter(ctx, &mut scope, c)?;
            (scope, keys)
        }
    };
    let limit = rest.first().filter(|v| !matches!(v, Value::Hole | Value::Nil));
    let order = rest.get(1).filter(|v| !matches!(v, Value::Hole | Value::Nil));
    let rows_first = matches!((&by, &phrases), (By::None | By::Exec, _) | (By::Distinct, Phrases::Tree(_)));
    if rows_first {
        order::limit_scope(ctx, &mut scope, limit, order)?;
        return select::select(ctx, &mut scope, keys, by, phrases);
    }
    let answer = select::select(ctx, &mut scope, keys, by, phrases)?;
    order::limit_value(ctx, answer, limit, order)
}

/// `![t;c;b;a]`: update and delete. A name is changed in place and is the answer.
pub fn update(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    let [t, c, b, a] = &args[..] else { return Err(QError::rank()) };
    match t {
        Value::Sym(name) => update_name(ctx, *name, c, b, a),
        Value::Dict(d) if d.as_keyed().is_none() => update_dict(ctx, d, c, b, a),
        t => {
            let t = match t {
                Value::Mapped(m) => m.load()?,
                t => t.clone(),
            };
            let job = plan(ctx, &t, c, b, a)?;
            drop(args);
            Ok(job.run(t))
        }
    }
}

fn update_name(ctx: &mut dyn Ctx, name: Sym, c: &Value, b: &Value, a: &Value) -> R {
    let context = ctx.context();
    let local = Sym::new([b".", context.bytes(), b".", name.bytes()].concat());
    let rooted = context.is_null() || name.bytes().first() == Some(&b'.');
    let full = if !rooted && ctx.global(local).is_some() { local } else { name };
    let Some(value) = ctx.global(full).or_else(|| ctx.lookup(full)) else {
        return Err(QError::new(name.text()));
    };
    match &value {
        Value::Dict(d) if d.as_keyed().is_none() => {
            if let Some(names) = dropped(a)
                && name.bytes().first() == Some(&b'.')
                && is_namespace(name)
            {
                for n in names {
                    let full = match name.bytes() {
                        b"." => n,
                        ns => Sym::new([ns, b".", n.bytes()].concat()),
                    };
                    ctx.take_global(full);
                }
                return Ok(Value::Sym(name));
            }
            let changed = update_dict(ctx, d, c, b, a)?;
            ctx.set_global(full, changed)?;
        }
        _ => {
            let job = plan(ctx, &value, c, b, a)?;
            drop(value);
            let Some(taken) = ctx.take_global(full) else { return Err(QError::new(name.text())) };
            let taken = match taken {
                Value::Mapped(m) => m.load()?,
                t => t,
            };
            ctx.set_global(full, job.run(taken))?;
        }
    }
    Ok(Value::Sym(name))
}

/// `.` and `.a`, `.a.b`: names of namespaces rather than of a variable in one.
fn is_namespace(name: Sym) -> bool {
    name.bytes().first() == Some(&b'.')
}

/// The names that a delete's `a` lists.
fn dropped(a: &Value) -> Option<Vec<Sym>> {
    match a {
        Value::Vector(v) => match &v.data {
            Data::Sym(names) => Some(names.to_vec()),
            _ => None,
        },
        Value::Sym(name) => Some(vec![*name]),
        _ => None,
    }
}

fn update_dict(ctx: &mut dyn Ctx, d: &Arc<Dict>, c: &Value, b: &Value, a: &Value) -> R {
    if let Some(names) = dropped(a) {
        let keys = d.keys.items();
        let rows: Vec<u32> = (0..d.len() as u32)
            .filter(|&i| keys[i as usize].as_sym().is_none_or(|k| !names.contains(&k)))
            .collect();
        let values = match &d.values {
            Value::List(l) => Value::list(rows.iter().map(|&r| l[r as usize].clone()).collect()),
            v => v.gather(&rows),
        };
        return Ok(Value::dict(Dict { keys: d.keys.gather(&rows), values, sorted: false }));
    }
    let mut scope = Scope::of_table(dict_columns(d)?);
    filter::filter(ctx, &mut scope, c)?;
    let By::None = By::of(b)? else { return Err(QError::type_()) };
    let Phrases::Columns(names, trees) = Phrases::of(a)? else { return Err(QError::type_()) };
    let mut keys: Vec<Sym> = scope.names().to_vec();
    let mut values = d.values.items();
    for (name, tree) in names.into_iter().zip(&trees) {
        let v = tree::eval_in(ctx, tree, &mut scope)?;
        match keys.iter().position(|k| *k == name) {
            Some(at) => values[at] = v,
            None => {
                keys.push(name);
                values.push(v);
            }
        }
    }
    Ok(Value::dict(Dict::new(Value::syms(keys), Value::from_items(values))?))
}

/// What is to be done to a table, found before the table is touched.
enum Job {
    Change(update::Change, usize),
    DropRows(Vec<u32>, usize),
    DropColumns(Vec<Sym>, usize),
}

fn plan(ctx: &mut dyn Ctx, t: &Value, c: &Value, b: &Value, a: &Value) -> R<Job> {
    let (table, keys) = unkeyed(t).ok_or_else(QError::type_)?;
    let mut scope = Scope::of_table(table.clone());
    filter::filter(ctx, &mut scope, c)?;
    if let Some(names) = dropped(a).filter(|n| !n.is_empty()) {
        if let Some(unknown) = names.iter().find(|d| table.position(**d).is_none()) {
            return Err(QError::new(unknown.text()));
        }
        return Ok(Job::DropColumns(names, keys));
    }
    match Phrases::of(a)? {
        Phrases::Columns(names, trees) => {
            let change = update::evaluate(ctx, &mut scope, By::of(b)?, Phrases::Columns(names, trees))?;
            Ok(Job::Change(change, keys))
        }
        _ => Ok(Job::DropRows(update::rows_left(&scope), keys)),
    }
}

impl Job {
    fn run(self, t: Value) -> Value {
        let Some((mut table, _)) = unkeyed(&t) else { return t };
        drop(t);
        match self {
            Job::Change(change, keys) => {
                // A table that nobody else holds is changed in place, column by column.
                update::apply(Arc::make_mut(&mut table), change);
                rekey(Arc::unwrap_or_clone(table), keys)
            }
            Job::DropRows(rows, keys) => {
                let columns = table.columns.iter().map(|c| c.gather(&rows)).collect();
                rekey(Table { names: table.names.clone(), columns, sorted: false }, keys)
            }
            Job::DropColumns(names, keys) => {
                let gone = table.names[..keys].iter().filter(|k| names.contains(k)).count();
                rekey(update::without(&table, &names), keys - gone)
            }
        }
    }
}
