//! q's `raze` over encoded objects, joining column byte ranges without decoding them.
//!
//! Tables of the same columns are joined column by column; a table without rows takes the types of the others;
//! columns of two types become a general list, and only they are decoded. Vectors of a type are joined, atoms of
//! a type become a vector, general lists are joined; what does not fit together becomes a general list, as in q.
//! Dictionaries are joined key by key, the later value wins. Symbol columns are joined as bytes too: their names
//! end in NUL. Tests: here.

use bytes::{Bytes, BytesMut};
use kvalue::{Dict, Symbols, Table, Value, Vector};
use qipc::{ColumnView, Limits, TableView};
use sg::{Ac, Failure, Rc};

use crate::{
    failure,
    wire::{self, Segments},
};

const TABLE: u8 = 98;
const DICTS: [u8; 2] = [99, 127];

/// The partials as one object, in their order. A single partial is returned as is; a single atom becomes a vector of
/// length one, so that the type of an answer does not depend on the number of targets. Without partials: the empty
/// list.
pub fn raze(partials: Vec<Bytes>) -> Result<Segments, Failure> {
    let limits = Limits::internal();
    if let [one] = &partials[..] {
        return enlisted(checked(one, &limits)?);
    }
    if partials.is_empty() {
        return Ok(vec![Bytes::from_static(&[0; 6])]);
    }
    let first = |p: &Bytes| p.first().copied().unwrap_or_default();
    if partials.iter().all(|p| first(p) == TABLE) {
        return tables(&partials, &limits);
    }
    let values = partials
        .iter()
        .map(|p| qipc::decode(p.clone(), &limits).map_err(failure::decode))
        .collect::<Result<Vec<Value>, _>>()?;
    let is_dict = |v: &Value| matches!(v, Value::Dict(_));
    let value = match () {
        () if partials.iter().all(|p| DICTS.contains(&first(p))) => dicts(&values)?,
        () if values.iter().any(|v| is_dict(v) || matches!(v, Value::Table(_))) => {
            let kinds: Vec<&str> = values.iter().map(Value::type_name).collect();
            return Err(Failure::new(
                Rc::APP,
                Ac::TYPE,
                format!("partials of unlike kinds cannot be joined: {}", kinds.join(", ")),
            ));
        }
        () => lists(&values),
    };
    Ok(vec![qipc::encode(&value).map_err(failure::encode)?])
}

/// A vector of one where the object is an atom, else the object itself.
fn enlisted(one: &Bytes) -> Result<Segments, Failure> {
    const ATOMS: std::ops::RangeInclusive<i8> = -19..=-1;
    Ok(match one.split_first() {
        Some((&ty, payload)) if ATOMS.contains(&(ty as i8)) => {
            let mut vector = BytesMut::with_capacity(6 + payload.len());
            vector.extend_from_slice(&[(ty as i8).unsigned_abs(), 0, 1, 0, 0, 0]);
            vector.extend_from_slice(payload);
            vec![vector.freeze()]
        }
        _ => vec![one.clone()],
    })
}

/// The partial, which is one whole object: nobody has looked at it before.
fn checked<'a>(partial: &'a Bytes, limits: &Limits) -> Result<&'a Bytes, Failure> {
    let len = qipc::object_len(partial, limits).map_err(failure::decode)?;
    match partial.len() - len {
        0 => Ok(partial),
        more => Err(Failure::new(Rc::APP, Ac::TYPE, format!("{more} bytes follow the object of a partial"))),
    }
}

/// Tables of the same columns; one as it is.
pub fn tables_or_one(partials: Vec<Bytes>, limits: &Limits) -> Result<Segments, Failure> {
    match &partials[..] {
        [one] if one.first() == Some(&TABLE) => Ok(vec![checked(one, limits)?.clone()]),
        several => tables(several, limits),
    }
}

/// Tables of the same columns.
fn tables(partials: &[Bytes], limits: &Limits) -> Result<Segments, Failure> {
    let views = partials
        .iter()
        .map(|p| qipc::table_view(p, limits).map_err(failure::decode))
        .collect::<Result<Vec<TableView>, _>>()?;
    let Some(first) = views.first() else { return Ok(vec![Bytes::from_static(&[0; 6])]) };
    let mut orders: Vec<Vec<usize>> = Vec::with_capacity(views.len());
    for view in &views {
        orders.push(order(&first.names, &view.names)?);
    }
    let mut segments = Vec::new();
    let mut head = wire::table_header(&first.names);
    for i in 0..first.columns.len() {
        let parts: Vec<&ColumnView> =
            views.iter().zip(&orders).map(|(v, order)| &v.columns[order[i]]).collect();
        column(&parts, head, &mut segments, limits)?;
        head = BytesMut::new();
    }
    if !head.is_empty() {
        segments.push(head.freeze());
    }
    Ok(segments)
}

/// Where each name of the first table stands in another; an error naming the difference.
fn order(names: &Symbols, other: &Symbols) -> Result<Vec<usize>, Failure> {
    let found: Option<Vec<usize>> = names.iter().map(|name| other.iter().position(|o| o == name)).collect();
    found.filter(|f| f.len() == other.len()).ok_or_else(|| mismatch(names, other))
}

/// q's `'mismatch`.
pub(crate) fn mismatch(names: &Symbols, other: &Symbols) -> Failure {
    let list = |names: &Symbols| {
        names.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect::<Vec<_>>().join(", ")
    };
    Failure::new(
        Rc::APP,
        Ac::TYPE,
        format!(
            "mismatch: tables of the columns {} and of the columns {} cannot be joined; ask for columns that both have (agg), or for one label set",
            list(names),
            list(other)
        ),
    )
}

/// One column of all parts behind what stands in `head`.
fn column(
    parts: &[&ColumnView],
    mut head: BytesMut,
    segments: &mut Segments,
    limits: &Limits,
) -> Result<(), Failure> {
    let filled: Vec<&ColumnView> = parts.iter().copied().filter(|p| p.count > 0).collect();
    // Without rows anywhere a typed part knows more than an untyped one.
    let ty = match filled.first() {
        Some(first) => first.ty,
        None => parts.iter().map(|p| p.ty).find(|ty| *ty != 0).unwrap_or_default(),
    };
    let count: u64 = filled.iter().map(|p| p.count).sum();
    if ty != TABLE as i8 && filled.iter().all(|p| p.ty == ty) {
        wire::list_header(ty as u8, 0, count, &mut head);
        segments.push(head.freeze());
        segments.extend(filled.iter().map(|p| p.data.clone()));
        return Ok(());
    }
    let mut values = Vec::with_capacity(filled.len());
    for part in filled {
        let mut object = BytesMut::new();
        if part.ty != TABLE as i8 {
            wire::list_header(part.ty as u8, 0, part.count, &mut object);
        }
        object.extend_from_slice(&part.data);
        values.push(qipc::decode(object.freeze(), limits).map_err(failure::decode)?);
    }
    let joined = lists(&values);
    qipc::encode_into(&joined, &mut head).map_err(failure::encode)?;
    segments.push(head.freeze());
    Ok(())
}

/// Atoms and lists as one list: a vector where all are of one type.
pub(crate) fn lists(values: &[Value]) -> Value {
    let is_empty = |v: &Value| v.count() == 0;
    let ty = |v: &Value| match v {
        Value::Atom(a) => Some(a.ty()),
        Value::Vector(v) => Some(v.ty()),
        _ => None,
    };
    let filled: Vec<&Value> = values.iter().filter(|v| !is_empty(v)).collect();
    let Some(first) = filled.first() else {
        let typed = values.iter().find(|v| matches!(v, Value::Vector(_)));
        return typed.cloned().unwrap_or_else(|| Value::list([]));
    };
    if let Some(common) = ty(first)
        && filled.iter().all(|v| ty(v) == Some(common))
    {
        let vectors: Vec<Value> = filled.iter().map(|v| as_vector(v)).collect();
        if let Ok(joined) = kernels::take::concat(&vectors) {
            return joined;
        }
    }
    let items = filled.into_iter().flat_map(|v| match v {
        Value::List(l) => l.items().to_vec(),
        Value::Vector(_) | Value::Table(_) => (0..v.count()).map(|i| v.index(i)).collect(),
        other => vec![other.clone()],
    });
    Value::list(items.collect::<Vec<_>>())
}

fn as_vector(value: &Value) -> Value {
    match value {
        Value::Atom(a) => Value::Vector(Vector::repeat(a, 1)),
        other => other.clone(),
    }
}

/// Dictionaries key by key; keyed tables row by row.
fn dicts(values: &[Value]) -> Result<Value, Failure> {
    let all: Vec<&Dict> = values.iter().filter_map(Value::as_dict).collect();
    if all.iter().all(|d| d.as_keyed_table().is_some()) {
        return keyed(&all);
    }
    let keys = lists(&all.iter().map(|d| listed(d.keys())).collect::<Vec<_>>());
    let values = lists(&all.iter().map(|d| listed(d.values())).collect::<Vec<_>>());
    let (keys, values) = last_of_each(&keys, &values)?;
    Ok(Dict::new(keys, values).map_err(failure::malformed)?.into())
}

fn listed(value: &Value) -> Value {
    match value {
        Value::Table(_) => Value::list((0..value.count()).map(|i| value.index(i)).collect::<Vec<_>>()),
        other => other.clone(),
    }
}

fn keyed(all: &[&Dict]) -> Result<Value, Failure> {
    let sides: Vec<(&Table, &Table)> = all.iter().filter_map(|d| d.as_keyed_table()).collect();
    let keys: Vec<&Table> = sides.iter().map(|s| s.0).collect();
    let values: Vec<&Table> = sides.iter().map(|s| s.1).collect();
    let (keys, values) = (Value::from(join_tables(&keys)?), Value::from(join_tables(&values)?));
    let (keys, values) = last_of_each(&keys, &values)?;
    Ok(Dict::new(keys, values).map_err(failure::malformed)?.into())
}

/// Each key once, in the order of first appearance, with the value given last.
fn last_of_each(keys: &Value, values: &Value) -> Result<(Value, Value), Failure> {
    let all = kernels::Selection::All(keys.count());
    let groups = kernels::group::group(std::slice::from_ref(keys), &all).map_err(failure::kernel)?;
    let mut last = groups.first_row.clone();
    for (row, &group) in groups.ids(&all).iter().enumerate() {
        last[group as usize] = row as u32;
    }
    let keys = groups.keys(std::slice::from_ref(keys)).remove(0);
    Ok((keys, kernels::take::take_rows(values, &last)))
}

/// Decoded tables of the same columns end to end; columns of two types become general lists.
pub(crate) fn join_tables(tables: &[&Table]) -> Result<Table, Failure> {
    let Some(first) = tables.first() else { return Err(failure::internal("no tables to join")) };
    let orders =
        tables.iter().map(|t| order(first.names(), t.names())).collect::<Result<Vec<Vec<usize>>, _>>()?;
    let columns: Vec<Value> = (0..first.columns().len())
        .map(|i| {
            let parts: Vec<Value> =
                tables.iter().zip(&orders).map(|(t, order)| t.columns()[order[i]].clone()).collect();
            lists(&parts)
        })
        .collect();
    Table::new(first.names().clone(), columns).map_err(failure::malformed)
}
