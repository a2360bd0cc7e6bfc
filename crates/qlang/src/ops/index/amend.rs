//! Amending: `@[d;i;f]`, `@[d;i;f;y]`, `.[d;i;f]`, `.[d;i;f;y]` and indexed assignment, on values, on globals by name
//! and on files. What nobody else holds is changed in place.

use std::sync::Arc;

use super::{
    at::is_all,
    find::{depth, find},
    set,
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Dict, Sym, Table, Value, order},
};

/// What happens to the item at the end of the path.
#[derive(Clone, Copy)]
struct Change<'a> {
    /// `None` for assignment
    f: Option<&'a Value>,
    y: Option<&'a Value>,
}

impl<'a> Change<'a> {
    fn new(f: Option<&'a Value>, y: Option<&'a Value>) -> Change<'a> {
        let assigns = |f: &Value| matches!(f, Value::Prim(p) if matches!(p.word, ":" | "::"));
        match (f, y) {
            (Some(f), Some(y)) if assigns(f) => Change { f: None, y: Some(y) },
            (f, y) => Change { f, y },
        }
    }

    fn with(self, y: Option<&'a Value>) -> Change<'a> {
        Change { f: self.f, y }
    }

    fn apply(self, ctx: &mut dyn Ctx, old: Value) -> R {
        match (self.f, self.y) {
            (None, y) => Ok(y.cloned().unwrap_or(old)),
            (Some(f), Some(y)) => ctx.apply(f, vec![old, y.clone()]),
            (Some(f), None) => ctx.apply(f, vec![old]),
        }
    }

    /// True where the old item can be handed over: a join that cannot fail then grows the item in place.
    fn consumes(self) -> bool {
        match self.f {
            None => true,
            Some(Value::Prim(p)) => p.word == ",",
            Some(_) => false,
        }
    }

    /// True for functions that work item by item, so that many items may be changed at once.
    fn is_atomic(self) -> bool {
        matches!(self.f, Some(Value::Prim(p)) if matches!(p.word, "+" | "-" | "*" | "%" | "&" | "|" | "neg" | "abs" | "not"))
    }
}

/// `@[d;i;f]` (no `y`) and `@[d;i;f;y]`: the amended value, or the name where `d` names a global or a file.
pub fn amend_at(ctx: &mut dyn Ctx, d: Value, i: Value, f: Value, y: Option<Value>) -> R {
    amend(ctx, d, &[i], Some(&f), y.as_ref())
}

/// `.[d;i;f]` (no `y`) and `.[d;i;f;y]`; the items of `i` are the path.
pub fn amend_dot(ctx: &mut dyn Ctx, d: Value, i: Value, f: Value, y: Option<Value>) -> R {
    let path = match &i {
        Value::Nil | Value::Hole => Vec::new(),
        i => i.items(),
    };
    amend(ctx, d, &path, Some(&f), y.as_ref())
}

/// `target[i;j;…] f: y` for a value; `f` is left out for plain assignment.
pub fn assign_index(
    ctx: &mut dyn Ctx,
    mut target: Value,
    index: &[Value],
    f: Option<&Value>,
    y: Value,
) -> R<Value> {
    assign_index_in(ctx, &mut target, index, f, &y)?;
    Ok(target)
}

/// As [`assign_index`], in place: after an error the target still holds its value, perhaps changed in part.
pub fn assign_index_in(
    ctx: &mut dyn Ctx,
    target: &mut Value,
    index: &[Value],
    f: Option<&Value>,
    y: &Value,
) -> R<()> {
    walk(ctx, target, index, Change::new(f, Some(y)))
}

/// The full name of a global that code in the current namespace calls `name`.
pub fn qualified(ctx: &dyn Ctx, name: Sym) -> Sym {
    let context = ctx.context();
    if context.is_null() || name.bytes().first() == Some(&b'.') {
        return name;
    }
    let mut full = vec![b'.'];
    full.extend_from_slice(context.bytes());
    full.push(b'.');
    full.extend_from_slice(name.bytes());
    Sym::new(full)
}

fn amend(ctx: &mut dyn Ctx, mut d: Value, path: &[Value], f: Option<&Value>, y: Option<&Value>) -> R {
    let change = Change::new(f, y);
    let Value::Sym(name) = d else {
        if d.is_function() {
            return Err(QError::type_());
        }
        walk(ctx, &mut d, path, change)?;
        return Ok(d);
    };
    if name.bytes().first() == Some(&b':') {
        return in_file(ctx, name, path, change);
    }
    let full = qualified(ctx, name);
    let Some(mut value) = ctx.take_global(full) else {
        if path.is_empty() && change.f.is_none() {
            ctx.set_global(full, change.y.cloned().unwrap_or(Value::Nil))?;
            return Ok(Value::Sym(name));
        }
        return Err(QError::new(name.text()));
    };
    // the value goes back even after an error: a global does not vanish
    let done = walk(ctx, &mut value, path, change);
    ctx.set_global(full, value)?;
    done.map(|()| Value::Sym(name))
}

/// A file's value, amended and written back.
fn in_file(ctx: &mut dyn Ctx, name: Sym, path: &[Value], change: Change) -> R {
    let word = |ctx: &mut dyn Ctx, w: &str| ctx.lookup(Sym::new(w)).ok_or_else(QError::nyi);
    let appends = matches!(change.f, Some(Value::Prim(p)) if p.word == ",");
    if path.is_empty()
        && appends
        && let (Some(y), Ok(upsert)) = (change.y, word(ctx, "upsert"))
    {
        return ctx.apply(&upsert, vec![Value::Sym(name), y.clone()]);
    }
    let get = word(ctx, "get")?;
    let set = word(ctx, "set")?;
    if path.is_empty() && change.f.is_none() {
        return ctx.apply(&set, vec![Value::Sym(name), change.y.cloned().unwrap_or(Value::Nil)]);
    }
    // `@[`:folder;`column;…]`: the column's file by itself.
    if let [Value::Sym(column), rest @ ..] = path {
        let folder = String::from_utf8_lossy(&name.bytes()[1..]).into_owned();
        let is_dir = ctx.host().files().stat(folder.trim_end_matches('/'))?.is_some_and(|s| s.is_dir);
        if is_dir {
            let file = Sym::new(format!(":{}/{}", folder.trim_end_matches('/'), column.text()));
            in_file(ctx, file, rest, change)?;
            return Ok(Value::Sym(name));
        }
    }
    let mut value = ctx.apply(&get, vec![Value::Sym(name)])?;
    if let Value::Mapped(m) = &value {
        value = m.load()?;
    }
    let plain = || String::from_utf8_lossy(&name.bytes()[1..]).into_owned();
    let enumerated = matches!(&value, Value::Vector(v) if matches!(v.data, Data::Enum(..)));
    let done = walk(ctx, &mut value, path, change);
    let whole = path.is_empty();
    if (enumerated && !whole) || done.as_ref().is_err_and(|e| e.text() == "type") {
        return Err(QError::new(format!("type/attr error amending file {}", plain())));
    }
    done?;
    ctx.apply(&set, vec![Value::Sym(name), value])
}

/// Item `k` of what is amended with: of a list its item, anything else for every index.
fn share(y: Option<&Value>, k: usize) -> Option<Value> {
    y.map(|y| if y.is_list() || matches!(y, Value::Table(_)) { y.at(k) } else { y.clone() })
}

fn conform(y: Option<&Value>, n: usize) -> R<()> {
    match y {
        Some(y) if (y.is_list() || matches!(y, Value::Table(_))) && y.count() != n => Err(QError::length()),
        _ => Ok(()),
    }
}

fn walk(ctx: &mut dyn Ctx, t: &mut Value, path: &[Value], change: Change) -> R<()> {
    let [i, rest @ ..] = path else {
        let old = if change.consumes() { std::mem::replace(t, Value::Nil) } else { t.clone() };
        *t = change.apply(ctx, old)?;
        return Ok(());
    };
    match i {
        i if is_all(i) => all(ctx, t, rest, change),
        Value::Vector(_) | Value::List(_) if whole_key(t, i) => one(ctx, t, i, rest, change),
        Value::Vector(_) | Value::List(_) | Value::Table(_) => many(ctx, t, i, rest, change),
        i => one(ctx, t, i, rest, change),
    }
}

/// True where a list is one key of a dictionary whose keys are lists, or one row of a keyed table.
fn whole_key(t: &Value, i: &Value) -> bool {
    let Value::Dict(d) = t else { return false };
    match &d.keys {
        Value::List(l) => l.first().is_some_and(|first| {
            let level = depth(first);
            level > 0 && depth(i) <= level
        }),
        Value::Table(k) => k.names.len() == i.count() && depth(i) == 1 && k.names.len() > 1,
        _ => false,
    }
}

fn all(ctx: &mut dyn Ctx, t: &mut Value, rest: &[Value], change: Change) -> R<()> {
    match t {
        Value::Dict(d) => {
            let d = Arc::make_mut(d);
            let y = change.y.map(|y| match y {
                Value::Dict(y) => y.values.clone(),
                y => y.clone(),
            });
            all(ctx, &mut d.values, rest, change.with(y.as_ref()))
        }
        Value::Vector(_) | Value::List(_) => {
            let at = Value::longs((0..t.count() as i64).collect());
            many(ctx, t, &at, rest, change)
        }
        Value::Table(table) => {
            if rest.is_empty() {
                let new = change.apply(ctx, t.clone())?;
                *t = new;
                return Ok(());
            }
            let rows = table.len() as i64;
            let at = Value::longs((0..rows).collect());
            match &rest[0] {
                // a whole column at once
                Value::Sym(name) => {
                    let table = Arc::make_mut(table);
                    let c = table.position(*name).ok_or_else(|| QError::new(name.text()))?;
                    let path: Vec<Value> = std::iter::once(at).chain(rest[1..].iter().cloned()).collect();
                    walk(ctx, &mut table.columns[c], &path, change)
                }
                _ => many(ctx, t, &at, rest, change),
            }
        }
        _ => {
            *t = change.apply(ctx, t.clone())?;
            Ok(())
        }
    }
}

fn many(ctx: &mut dyn Ctx, t: &mut Value, i: &Value, rest: &[Value], change: Change) -> R<()> {
    let n = i.count();
    conform(change.y, n)?;
    if rest.is_empty() {
        if let Value::Dict(d) = t
            && i.is_list()
            && n > 4
            && d.as_keyed().is_none()
            && bulk_entries(ctx, d, i, change)?
        {
            return Ok(());
        }
        if let Value::Vector(v) = t
            && let Some(at) = i.to_longs()
        {
            if change.f.is_none()
                && let Some(y) = change.y
                && set::elements(v, &at, y)?
            {
                return Ok(());
            }
            if change.is_atomic() && n > 8 && distinct(&at, v.len()) {
                let old = Value::Vector(Arc::new(v.gather(&at)));
                let new = change.apply(ctx, old)?;
                return if set::elements(v, &at, &new)? { Ok(()) } else { Err(QError::type_()) };
            }
        }
    }
    let mut path = Vec::with_capacity(1 + rest.len());
    for k in 0..n {
        if k & 0xffff == 0xffff {
            ctx.check()?;
        }
        path.clear();
        path.push(i.at(k));
        path.extend_from_slice(rest);
        let y = share(change.y, k);
        order::deeper(|| walk(ctx, t, &path, change.with(y.as_ref()))).ok_or_else(QError::stack)??;
    }
    Ok(())
}

/// True where positions are in range and no position comes twice.
fn distinct(at: &[i64], n: usize) -> bool {
    let mut seen = vec![false; n];
    at.iter().all(|&i| match usize::try_from(i).ok().and_then(|i| seen.get_mut(i)) {
        Some(cell) => !std::mem::replace(cell, true),
        None => false,
    })
}

/// Many keys of a dictionary at once: one search for all keys, new keys appended. False where keys and index are not of
/// one type: then each key is taken by itself.
fn bulk_entries(ctx: &mut dyn Ctx, d: &mut Arc<Dict>, i: &Value, change: Change) -> R<bool> {
    let (Value::Vector(keys), Value::Vector(index)) = (&d.keys, i) else { return Ok(false) };
    if keys.ty != index.ty || matches!(keys.data, Data::Enum(..)) || d.sorted {
        return Ok(false);
    }
    let n = keys.len();
    let Value::Vector(found) = find(&d.keys, i)? else { return Ok(false) };
    let Data::I64(found) = &found.data else { return Ok(false) };
    let mut at = found.to_vec();
    let new: Vec<usize> = (0..at.len()).filter(|&k| at[k] >= n as i64).collect();
    let d = Arc::make_mut(d);
    if !new.is_empty() {
        let fresh = i.gather(&new);
        let groups = crate::value::Groups::of_column(&fresh);
        for (k, id) in new.iter().zip(&groups.ids) {
            at[*k] = n as i64 + i64::from(*id);
        }
        let nulls = match &d.values {
            Value::List(l) if l.is_empty() => Value::list(vec![Value::empty_list(); groups.len()]),
            values => values.nulls(groups.len()),
        };
        if let (Value::Vector(v), Some(y), true) = (&d.values, change.y, change.f.is_none()) {
            // refuse before the keys have grown
            let other = match y {
                Value::Vector(w) => w.number() != v.number() && v.number() != 20,
                y => set::check(&d.values, y).is_err(),
            };
            if other {
                return Err(QError::type_());
            }
        }
        let fresh = fresh.gather(&groups.firsts);
        d.keys = crate::value::concat(std::mem::replace(&mut d.keys, Value::Nil), fresh)?;
        let values = std::mem::replace(&mut d.values, Value::Nil);
        d.values = match (values, nulls) {
            (Value::List(l), nulls) if l.is_empty() => nulls,
            (Value::Table(t), Value::Table(n)) => {
                let columns = t.columns.iter().zip(&n.columns);
                let columns = columns.map(|(a, b)| crate::value::concat(a.clone(), b.clone()));
                Value::table(Table {
                    names: t.names.clone(),
                    columns: columns.collect::<R<Vec<_>>>()?,
                    sorted: false,
                })
            }
            (values, nulls) => crate::value::concat(values, nulls)?,
        };
    }
    many(ctx, &mut d.values, &Value::longs(at), &[], change)?;
    Ok(true)
}

fn one(ctx: &mut dyn Ctx, t: &mut Value, i: &Value, rest: &[Value], change: Change) -> R<()> {
    match t {
        Value::Vector(v) => {
            let at = i.as_index().ok_or_else(QError::type_)?;
            if !rest.is_empty() {
                return Err(QError::type_());
            }
            let at = usize::try_from(at).map_err(|_| QError::length())?;
            if at >= v.len() {
                return Err(QError::length());
            }
            let new = change.apply(ctx, v.at(at))?;
            set::element(v, at, &new)
        }
        Value::List(l) => {
            let at = i.as_index().ok_or_else(QError::type_)?;
            let at = usize::try_from(at).map_err(|_| QError::length())?;
            if at >= l.len() {
                return Err(QError::length());
            }
            if rest.is_empty() {
                let old = if change.consumes() { set::take(l, at)? } else { l[at].clone() };
                let new = change.apply(ctx, old)?;
                set::put(l, at, new);
                set::settled(t);
                return Ok(());
            }
            let mut item = set::take(l, at)?;
            let done = walk(ctx, &mut item, rest, change);
            set::put(l, at, item);
            done
        }
        Value::Dict(d) => in_dict(ctx, Arc::make_mut(d), i, rest, change),
        Value::Table(table) => in_table(ctx, Arc::make_mut(table), i, rest, change),
        Value::Mapped(m) => {
            let mut loaded = m.load()?;
            walk(ctx, &mut loaded, &path(i.clone(), rest), change)?;
            *t = loaded;
            Ok(())
        }
        _ => Err(QError::type_()),
    }
}

fn path(first: Value, rest: &[Value]) -> Vec<Value> {
    std::iter::once(first).chain(rest.iter().cloned()).collect()
}

fn in_dict(ctx: &mut dyn Ctx, d: &mut Dict, key: &Value, rest: &[Value], change: Change) -> R<()> {
    let n = d.keys.count();
    let found = match &d.keys {
        Value::List(l) if l.is_empty() => n,
        Value::Vector(v) if v.is_empty() => n,
        keys => match find(keys, key)? {
            Value::Long(at) => at as usize,
            _ => return Err(QError::type_()),
        },
    };
    if found < n {
        let at = Value::Long(found as i64);
        return walk(ctx, &mut d.values, &path(at, rest), change);
    }
    // a new entry begins as the null of the values
    let mut value = match &d.values {
        Value::Vector(v) => v.at(usize::MAX),
        Value::List(l) if l.is_empty() => Value::empty_list(),
        values => values.at(usize::MAX),
    };
    walk(ctx, &mut value, rest, change)?;
    if let (Value::Table(_), Value::Table(v)) = (&d.keys, &d.values)
        && !matches!(value, Value::Dict(_))
        && v.names.len() == 1
        && value.is_atom()
    {
        value = Value::from_items(vec![value]);
    }
    set::entry(d, key, value)
}

fn in_table(ctx: &mut dyn Ctx, t: &mut Table, i: &Value, rest: &[Value], change: Change) -> R<()> {
    if let Some(name) = i.as_sym() {
        let rows = t.len();
        let at = match t.position(name) {
            Some(at) => at,
            None if rest.is_empty() && change.f.is_none() => {
                let column = change.y.cloned().unwrap_or(Value::Nil);
                let column = extended(column, rows)?;
                let mut names = t.names.to_vec();
                names.push(name);
                t.names = names.into();
                t.columns.push(column);
                return Ok(());
            }
            None => return Err(QError::new(name.text())),
        };
        if !rest.is_empty() {
            return walk(ctx, &mut t.columns[at], rest, change);
        }
        let old = if change.f.is_none() { Value::Nil } else { t.columns[at].clone() };
        let new = extended(change.apply(ctx, old)?, rows)?;
        t.columns[at] = new;
        return Ok(());
    }
    let row = i.as_index().ok_or_else(QError::type_)?;
    let row = usize::try_from(row).map_err(|_| QError::length())?;
    if row >= t.len() {
        return Err(QError::length());
    }
    let at = Value::Long(row as i64);
    match rest {
        [] => {
            let new = change.apply(ctx, t.row(row))?;
            let cells = set::cells(&t.names, &new)?;
            for (column, cell) in t.columns.iter().zip(&cells) {
                set::check(column, cell)?;
            }
            for (column, cell) in t.columns.iter_mut().zip(&cells) {
                walk(ctx, column, std::slice::from_ref(&at), Change { f: None, y: Some(cell) })?;
            }
            Ok(())
        }
        [c, rest @ ..] => match c {
            c if is_all(c) => {
                let names = Value::syms(t.names.to_vec());
                cells_of_row(ctx, t, &at, &names, rest, change)
            }
            Value::Vector(_) | Value::List(_) => cells_of_row(ctx, t, &at, c, rest, change),
            c => {
                let name = c.as_sym().ok_or_else(QError::type_)?;
                let c = t.position(name).ok_or_else(|| QError::new(name.text()))?;
                walk(ctx, &mut t.columns[c], &path(at, rest), change)
            }
        },
    }
}

fn cells_of_row(
    ctx: &mut dyn Ctx,
    t: &mut Table,
    row: &Value,
    names: &Value,
    rest: &[Value],
    change: Change,
) -> R<()> {
    let y = change.y.map(|y| match y {
        Value::Dict(y) => y.values.clone(),
        y => y.clone(),
    });
    conform(y.as_ref(), names.count())?;
    for k in 0..names.count() {
        let name = names.at(k).as_sym().ok_or_else(QError::type_)?;
        let c = t.position(name).ok_or_else(|| QError::new(name.text()))?;
        let y = share(y.as_ref(), k);
        walk(ctx, &mut t.columns[c], &path(row.clone(), rest), change.with(y.as_ref()))?;
    }
    Ok(())
}

/// A column for a table of `rows` rows; an atom is repeated.
fn extended(column: Value, rows: usize) -> R {
    let column = if column.is_atom() { column.repeat(rows) } else { column };
    if column.count() == rows { Ok(column) } else { Err(QError::length()) }
}
