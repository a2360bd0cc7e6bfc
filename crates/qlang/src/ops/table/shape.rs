//! Names, keys and order of columns and rows: cols, keys, xkey, xcol, xcols, xasc, xdesc, xgroup, ungroup, meta.

use std::sync::Arc;

use kvalue::Attr;

use super::names::{change, columns_of, named, positions, rekey, symbols};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Dict, Groups, Sym, Table, Value, Vector, sort_rows},
};

/// `cols t`: column names, keys first.
pub fn cols(ctx: &mut dyn Ctx, t: Value) -> R {
    let t = named(ctx, t)?;
    if let Value::Mapped(m) = &t {
        return Ok(Value::syms(m.names()));
    }
    Ok(Value::syms(columns_of(&t)?.0.names.to_vec()))
}

/// `keys t`: names of key columns.
pub fn keys(ctx: &mut dyn Ctx, t: Value) -> R {
    let t = named(ctx, t)?;
    if matches!(t, Value::Mapped(_)) {
        return Ok(Value::syms(Vec::new()));
    }
    let (table, n) = columns_of(&t)?;
    Ok(Value::syms(table.names[..n].to_vec()))
}

/// `` `a`b xkey t ``: these columns first, as keys.
pub fn xkey(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let names = symbols(&x)?;
    change(ctx, y, |_, t| {
        let (table, _) = columns_of(&t)?;
        Ok(rekey(first_columns(&table, &names)?, names.len()))
    })
}

/// The table with these columns first.
fn first_columns(table: &Table, names: &[Sym]) -> R<Table> {
    let mut order = positions(table, names)?;
    order.extend((0..table.names.len()).filter(|i| !names.contains(&table.names[*i])));
    Ok(Table {
        names: order.iter().map(|&i| table.names[i]).collect(),
        columns: order.iter().map(|&i| table.columns[i].clone()).collect(),
        sorted: false,
    })
}

/// `` `a`b xcol t ``: new names for the first columns; with a dictionary, for the columns it names.
pub fn xcol(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let t = named(ctx, y)?;
    let (mut table, n) = columns_of(&t)?;
    drop(t);
    let mut names = table.names.to_vec();
    match &x {
        Value::Dict(d) => {
            let old = symbols(&d.keys)?;
            let new = symbols(&d.values)?;
            for (at, new) in positions(&table, &old)?.into_iter().zip(new) {
                names[at] = new;
            }
        }
        _ => {
            let new = symbols(&x)?;
            if new.len() > names.len() {
                return Err(QError::length());
            }
            names[..new.len()].copy_from_slice(&new);
        }
    }
    let own = Arc::make_mut(&mut table);
    own.names = names.into();
    Ok(rekey(Arc::unwrap_or_clone(table), n))
}

/// `` `a`b xcols t ``: these columns first.
pub fn xcols(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let t = named(ctx, y)?;
    let (table, n) = columns_of(&t)?;
    if n > 0 {
        return Err(QError::type_());
    }
    Ok(Value::table(first_columns(&table, &symbols(&x)?)?))
}

/// `` `a`b xasc t ``: rows ascending by these columns.
pub fn xasc(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    order(ctx, x, y, false)
}

/// `` `a`b xdesc t ``: rows descending by these columns.
pub fn xdesc(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    order(ctx, x, y, true)
}

fn order(ctx: &mut dyn Ctx, x: Value, y: Value, down: bool) -> R {
    let names = symbols(&x)?;
    change(ctx, y, |_, t| {
        let (table, n) = columns_of(&t)?;
        let at = positions(&table, &names)?;
        let Some(&first) = at.first() else { return Ok(t) };
        if !down && at.len() == 1 && table.columns[first].attr() == Attr::Sorted {
            return Ok(t);
        }
        let by: Vec<(&Value, bool)> = at.iter().map(|&i| (&table.columns[i], down)).collect();
        let rows = sort_rows(&by, table.len());
        let mut columns: Vec<Value> = table.columns.iter().map(|c| c.gather(&rows)).collect();
        if !down {
            let column = std::mem::replace(&mut columns[first], Value::Nil);
            columns[first] = with_attr(column, Attr::Sorted);
        }
        Ok(rekey(Table { names: table.names.clone(), columns, sorted: false }, n))
    })
}

/// A vector with an attribute that the caller knows to hold.
pub fn with_attr(column: Value, attr: Attr) -> Value {
    match column {
        Value::Vector(mut v) => {
            match Arc::get_mut(&mut v) {
                Some(own) => own.attr = attr,
                None => v = Arc::new(Vector::clone(&v).with_attr(attr)),
            }
            Value::Vector(v)
        }
        other => other,
    }
}

/// `` `a xgroup t ``: keyed by these columns, the others as lists; groups in order of first appearance.
pub fn xgroup(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let names = symbols(&x)?;
    let t = named(ctx, y)?;
    let (table, _) = columns_of(&t)?;
    let at = positions(&table, &names)?;
    let keys: Vec<&Value> = at.iter().map(|&i| &table.columns[i]).collect();
    let groups = Groups::of(&keys, table.len());
    let (rows, starts) = groups.sorted_rows();
    let key_columns = keys.iter().map(|k| k.gather(&groups.firsts)).collect();
    let mut value_names = Vec::new();
    let mut value_columns = Vec::new();
    for (i, name) in table.names.iter().enumerate().filter(|(i, _)| !at.contains(i)) {
        let sorted = table.columns[i].gather(&rows);
        let lists = starts.windows(2).map(|w| sorted.slice(w[0] as usize, (w[1] - w[0]) as usize));
        value_names.push(*name);
        value_columns.push(Value::list(lists.collect()));
        ctx.check()?;
    }
    let k = Value::table(Table::new(names, key_columns)?);
    Ok(Value::dict(Dict::new(k, Value::table(Table::new(value_names, value_columns)?))?))
}

/// `ungroup t`: one row for each item of the rows' lists.
pub fn ungroup(ctx: &mut dyn Ctx, t: Value) -> R {
    let t = named(ctx, t)?;
    let (table, _) = columns_of(&t)?;
    let n = table.len();
    // The lengths of the lists in each row; rows without any list stay.
    let mut lengths: Vec<Option<usize>> = vec![None; n];
    let nested: Vec<bool> = table.columns.iter().map(|c| matches!(c, Value::List(_))).collect();
    for (column, _) in table.columns.iter().zip(&nested).filter(|(_, n)| **n) {
        let Value::List(items) = column else { continue };
        for (length, item) in lengths.iter_mut().zip(items.iter()) {
            if item.is_atom() {
                continue;
            }
            match length {
                Some(l) if *l != item.count() => return Err(QError::length()),
                _ => *length = Some(item.count()),
            }
        }
    }
    let mut rows = Vec::new();
    for (i, l) in lengths.iter().enumerate() {
        rows.extend(std::iter::repeat_n(i as u32, l.unwrap_or(1)));
    }
    ctx.reserve(rows.len().saturating_mul(8 * table.columns.len()))?;
    let mut columns = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let Value::List(items) = column else {
            columns.push(column.gather(&rows));
            continue;
        };
        let mut joined = Value::empty_list();
        for (item, length) in items.iter().zip(&lengths) {
            let part = if item.is_atom() { item.repeat(length.unwrap_or(1)) } else { item.clone() };
            joined = if joined.count() == 0 { part.plain() } else { joined.append(&part) };
        }
        columns.push(joined);
    }
    Ok(Value::table(Table::new(table.names.clone(), columns)?))
}

/// `meta t`: type, foreign key and attribute of each column.
pub fn meta(ctx: &mut dyn Ctx, t: Value) -> R {
    let t = named(ctx, t)?;
    let (names, columns) = match &t {
        Value::Mapped(m) => {
            let names = m.names();
            let columns = mapped_columns(m.as_ref(), &names)?;
            (names, columns)
        }
        t => {
            let (table, _) = columns_of(t)?;
            (table.names.to_vec(), table.columns.clone())
        }
    };
    let types: Vec<u8> = columns.iter().map(letter).collect();
    let domains = columns
        .iter()
        .map(|c| match c {
            Value::Vector(v) => match &v.data {
                Data::Enum(domain, _) if matches!(domain.list, Value::Nil) || is_key(ctx, domain.name) => {
                    domain.name
                }
                _ => Sym::NULL,
            },
            _ => Sym::NULL,
        })
        .collect();
    let attrs = columns.iter().map(|c| attr_name(c.attr())).collect();
    let k = Table::new(vec![Sym::new("c")], vec![Value::syms(names)])?;
    let v = Table::new(
        vec![Sym::new("t"), Sym::new("f"), Sym::new("a")],
        vec![Value::string(types), Value::syms(domains), Value::syms(attrs)],
    )?;
    Ok(Value::dict(Dict::new(Value::table(k), Value::table(v))?))
}

/// True where the name is a keyed table: enumerations over it are foreign keys.
fn is_key(ctx: &dyn Ctx, name: Sym) -> bool {
    ctx.global(name).is_some_and(|v| v.as_keyed().is_some())
}

fn mapped_columns(m: &dyn crate::value::Mapped, names: &[Sym]) -> R<Vec<Value>> {
    use super::parted::Parted;
    if let Some(Parted(p)) = m.as_any().downcast_ref::<Parted>() {
        let values = p.values();
        let last = values.count().checked_sub(1).ok_or_else(QError::length)?;
        return names
            .iter()
            .map(|n| if *n == p.field() { Ok(values.slice(0, 1).plain()) } else { p.column(last, *n) })
            .collect();
    }
    names.iter().map(|n| m.column(*n)).collect()
}

/// The letter of a column: small for atoms, capital for lists of one type, blank for a mixture.
pub fn letter(column: &Value) -> u8 {
    match column {
        Value::Vector(v) => match v.data {
            Data::Enum(ref d, _) if matches!(d.list, Value::Nil) => b'j',
            _ => v.ty.letter() as u8,
        },
        Value::List(l) => match l.first() {
            Some(Value::Vector(v)) => {
                let same = l.iter().all(|x| matches!(x, Value::Vector(o) if o.ty == v.ty));
                if same { v.ty.letter().to_ascii_uppercase() as u8 } else { b' ' }
            }
            _ => b' ',
        },
        _ => b' ',
    }
}

/// The symbol of an attribute.
pub fn attr_name(attr: Attr) -> Sym {
    Sym::new(match attr {
        Attr::None => "",
        Attr::Sorted => "s",
        Attr::Unique => "u",
        Attr::Parted => "p",
        Attr::Grouped => "g",
    })
}
