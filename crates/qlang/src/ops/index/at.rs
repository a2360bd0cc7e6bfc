//! Indexing: any value by any index, at any depth.

use kvalue::Type;

use super::find::{find, pick};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Dict, Sym, Table, Value, order},
};

/// `x[i;j;…]`. An argument left out stands for all items; a list of indices gives a list of answers. Positions outside
/// give nulls. `'type` for an index that is none, `'rank` below an atom.
pub fn index(ctx: &mut dyn Ctx, x: &Value, args: &[Value]) -> R {
    match args {
        [] => Ok(x.clone()),
        [i] => at(ctx, x, i),
        [i, rest @ ..] => {
            if rest.iter().all(is_all) && !matches!(x, Value::Sym(_)) {
                return at(ctx, x, i);
            }
            match (x, i) {
                (Value::Table(t), i) => table_cells(ctx, t, i, rest),
                (Value::Mapped(m), i) => index(ctx, &mapped_columns(m.as_ref(), rest)?, &full(i, rest)),
                (_, i) if is_all(i) => {
                    let items = match x {
                        Value::Dict(d) => {
                            let values = index(ctx, &d.values, args)?;
                            return Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: false }));
                        }
                        Value::Vector(_) => return Err(QError::rank()),
                        x if x.is_atom() && !x.is_function() => return Err(QError::rank()),
                        x => x,
                    };
                    each_item(ctx, items, rest)
                }
                (x, Value::Vector(_) | Value::List(_)) => {
                    let parts = at(ctx, x, i)?;
                    match parts {
                        // rows of a keyed table's value, a dictionary's entries: each is indexed further
                        Value::Vector(_) if !x.is_function() => Err(QError::rank()),
                        parts => nested(ctx, &parts, i, rest),
                    }
                }
                (x, i) => {
                    let item = at(ctx, x, i)?;
                    deeper(ctx, &item, rest)
                }
            }
        }
    }
}

fn full(i: &Value, rest: &[Value]) -> Vec<Value> {
    std::iter::once(i.clone()).chain(rest.iter().cloned()).collect()
}

/// What an index of several positions found, indexed further: one level for each level of the index.
fn nested(ctx: &mut dyn Ctx, parts: &Value, i: &Value, rest: &[Value]) -> R {
    match i {
        Value::List(l) => {
            let mut out = Vec::with_capacity(l.len());
            for (k, i) in l.iter().enumerate() {
                out.push(match i {
                    Value::Vector(_) | Value::List(_) => nested(ctx, &parts.at(k), i, rest)?,
                    _ => deeper(ctx, &parts.at(k), rest)?,
                });
            }
            Ok(Value::from_items(out))
        }
        _ => each_item(ctx, parts, rest),
    }
}

fn deeper(ctx: &mut dyn Ctx, item: &Value, rest: &[Value]) -> R {
    if item.is_function() {
        return ctx.apply(item, rest.to_vec());
    }
    index(ctx, item, rest)
}

fn each_item(ctx: &mut dyn Ctx, items: &Value, rest: &[Value]) -> R {
    // a column of a rectangle of vectors: no item is boxed twice
    let n = items.count();
    let mut out = Vec::with_capacity(n);
    for k in 0..n {
        out.push(deeper(ctx, &items.at(k), rest)?);
    }
    if out.is_empty()
        && let Value::List(_) = items
    {
        return Ok(Value::empty_list());
    }
    Ok(Value::from_items(out))
}

/// True for what stands for all items: an argument left out, and `::`.
pub(super) fn is_all(i: &Value) -> bool {
    matches!(i, Value::Hole | Value::Nil)
}

/// `t[rows;columns…]`.
fn table_cells(ctx: &mut dyn Ctx, t: &Table, i: &Value, rest: &[Value]) -> R {
    if let Value::Sym(name) = i {
        let column = t.column(*name).ok_or_else(|| QError::new(name.text()))?;
        return index(ctx, column, rest);
    }
    if let Value::Sym(name) = &rest[0] {
        let column = t.column(*name).ok_or_else(|| QError::new(name.text()))?;
        let cells = if is_all(i) { column.clone() } else { at(ctx, column, i)? };
        return match &rest[1..] {
            [] => Ok(cells),
            more if is_all(i) || i.is_list() => each_item(ctx, &cells, more),
            more => index(ctx, &cells, more),
        };
    }
    if let (true, [Value::Vector(names)]) = (is_all(i), rest)
        && names.ty == Type::Symbol
    {
        let columns = (0..names.len()).map(|k| {
            let name = names.at(k).as_sym().unwrap_or(Sym::NULL);
            t.column(name).cloned().ok_or_else(|| QError::new(name.text()))
        });
        let table = Value::list(columns.collect::<R<Vec<_>>>()?);
        let n = t.len();
        return Ok(Value::from_items((0..n).map(|r| row_of(&table, r)).collect()));
    }
    let whole = Value::table(t.clone());
    let rows = if is_all(i) { whole } else { at(ctx, &whole, i)? };
    match i {
        Value::Vector(_) | Value::List(_) | Value::Hole | Value::Nil => each_item(ctx, &rows, rest),
        _ => index(ctx, &rows, rest),
    }
}

fn row_of(columns: &Value, row: usize) -> Value {
    Value::from_items(columns.items().iter().map(|c| c.at(row)).collect())
}

/// Of a mapped table only the columns that an index asks for are read.
fn mapped_columns(m: &dyn crate::value::Mapped, rest: &[Value]) -> R {
    match rest.first() {
        Some(Value::Sym(name)) => {
            let column = m.column(*name)?;
            Ok(Value::table(Table { names: vec![*name].into(), columns: vec![column], sorted: false }))
        }
        _ => m.load(),
    }
}

/// `x@i`: one level. A list of indices gives a list of the same shape.
pub fn at(ctx: &mut dyn Ctx, x: &Value, i: &Value) -> R {
    if is_all(i) {
        return Ok(x.clone());
    }
    match x {
        Value::Vector(_) | Value::List(_) => list_at(ctx, x, i),
        Value::Dict(d) => dict_at(d, i),
        Value::Table(t) => table_at(ctx, t, i),
        Value::Mapped(m) => match i {
            Value::Sym(name) => m.column(*name),
            _ => at(ctx, &m.load()?, i),
        },
        Value::Sym(name) => {
            let v = ctx.lookup(*name).ok_or_else(|| QError::new(name.text()))?;
            match v {
                Value::Sym(_) => Err(QError::type_()),
                v if v.is_function() => ctx.apply(&v, vec![i.clone()]),
                v => at(ctx, &v, i),
            }
        }
        f if f.is_function() => ctx.apply(f, vec![i.clone()]),
        _ => Err(QError::type_()),
    }
}

fn list_at(ctx: &mut dyn Ctx, x: &Value, i: &Value) -> R {
    if let Some(n) = i.as_index() {
        return Ok(x.at(usize::try_from(n).unwrap_or(usize::MAX)));
    }
    match i {
        Value::Vector(v) if v.ty == Type::Boolean => {
            // two items, picked by one bit each: longs would take eight bytes for every bit
            let Data::Bool(bits) = &v.data else { return Err(QError::type_()) };
            let at: Vec<u32> = bits.iter().map(|b| u32::from(*b)).collect();
            Ok(x.gather(&at))
        }
        Value::Vector(v) => match i.to_longs() {
            Some(at) => {
                ctx.reserve(at.len().saturating_mul(8))?;
                Ok(x.gather(&at))
            }
            None if matches!(v.data, Data::Enum(..)) => match v.resolved() {
                Value::Vector(r) if !matches!(r.data, Data::Enum(..)) => list_at(ctx, x, &Value::Vector(r)),
                _ => Err(QError::type_()),
            },
            None if v.is_empty() => Ok(x.gather::<u32>(&[])),
            None => Err(QError::type_()),
        },
        Value::List(l) if l.is_empty() => Ok(x.gather::<u32>(&[])),
        Value::List(l) => {
            let items = l.iter().map(|i| if is_all(i) { Ok(x.clone()) } else { list_at(ctx, x, i) });
            let items = order::deeper(|| items.collect::<R<Vec<_>>>()).ok_or_else(QError::stack)?;
            Ok(Value::from_items(items?))
        }
        Value::Dict(d) => {
            let values = list_at(ctx, x, &d.values)?;
            Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: false }))
        }
        Value::Table(t) => {
            let columns = t.columns.iter().map(|c| list_at(ctx, x, c)).collect::<R<Vec<_>>>()?;
            Ok(Value::table(Table { names: t.names.clone(), columns, sorted: false }))
        }
        // a list of dictionaries, indexed by a key of theirs, is no table
        _ => Err(QError::type_()),
    }
}

fn dict_at(d: &Dict, i: &Value) -> R {
    if d.sorted {
        return step_at(d, i);
    }
    // a dictionary as index keeps its keys
    if let (Value::Dict(by), Value::Vector(_) | Value::List(_)) = (i, &d.keys)
        && by.as_keyed().is_none()
    {
        let values = dict_at(d, &by.values)?;
        return Ok(Value::dict(Dict { keys: by.keys.clone(), values, sorted: false }));
    }
    if let (Value::Vector(_), Value::List(l)) = (&d.keys, i)
        && !l.is_empty()
    {
        return Ok(Value::from_items(l.iter().map(|i| dict_at(d, i)).collect::<R<Vec<_>>>()?));
    }
    let empty = d.keys.is_list() && d.is_empty();
    if empty {
        return Ok(match i {
            Value::Vector(_) | Value::List(_) => d.values.gather(&vec![0u32; i.count()]),
            _ => d.values.at(0),
        });
    }
    let at = find(&d.keys, i)?;
    Ok(pick(&d.values, &at))
}

/// The entry at or before the key: what a sorted dictionary or keyed table answers.
fn step_at(d: &Dict, i: &Value) -> R {
    let n = d.keys.count();
    let step = |key: &Value| -> usize {
        let (mut low, mut high) = (0, n);
        while low < high {
            let mid = (low + high) / 2;
            if order::compare(&d.keys.at(mid), key).is_le() {
                low = mid + 1;
            } else {
                high = mid;
            }
        }
        low.wrapping_sub(1)
    };
    match (&d.keys, i) {
        (Value::Table(k), i) => {
            let row = |key: &Value| -> R<Value> {
                // rows compare as their cells: bring the key into the form of a row
                match key {
                    Value::Dict(_) => Ok(key.clone()),
                    Value::Vector(_) | Value::List(_) if key.count() == k.names.len() => {
                        Ok(Value::dict(Dict::new(Value::syms(k.names.to_vec()), key.clone())?))
                    }
                    atom if k.names.len() == 1 => Ok(Value::dict(Dict::new(
                        Value::syms(k.names.to_vec()),
                        Value::from_items(vec![atom.clone()]),
                    )?)),
                    _ => Err(QError::length()),
                }
            };
            match i {
                Value::Table(t) => {
                    let at: Vec<i64> = (0..t.len()).map(|r| step(&t.row(r)) as i64).collect();
                    Ok(d.values.gather(&at))
                }
                // on a single key column a list is a list of keys
                Value::Vector(_) | Value::List(_) if k.names.len() == 1 && i.count() != 1 => {
                    let mut at = Vec::with_capacity(i.count());
                    for r in 0..i.count() {
                        at.push(step(&row(&i.at(r))?) as i64);
                    }
                    Ok(d.values.gather(&at))
                }
                i => Ok(d.values.at(step(&row(i)?))),
            }
        }
        (_, Value::Vector(_)) if super::find::depth(&d.keys) == 1 => {
            let at: Vec<i64> = (0..i.count()).map(|k| step(&i.at(k)) as i64).collect();
            Ok(d.values.gather(&at))
        }
        (_, Value::List(l)) => {
            Ok(Value::from_items(l.iter().map(|key| step_at(d, key)).collect::<R<Vec<_>>>()?))
        }
        (_, key) => Ok(d.values.at(step(key))),
    }
}

fn table_at(ctx: &mut dyn Ctx, t: &Table, i: &Value) -> R {
    if let Some(n) = i.as_index() {
        return Ok(t.row(usize::try_from(n).unwrap_or(usize::MAX)));
    }
    let column = |name: Sym| match t.column(name) {
        Some(c) => c.clone(),
        None => t.columns.first().map_or(Value::Nil, Value::null_like),
    };
    match i {
        Value::Sym(name) => Ok(column(*name)),
        Value::Enum(e) => match e.value().as_sym() {
            Some(name) => Ok(column(name)),
            None => Err(QError::type_()),
        },
        Value::Vector(v) if v.ty == Type::Symbol => {
            Ok(Value::list((0..v.len()).map(|k| column(v.at(k).as_sym().unwrap_or(Sym::NULL))).collect()))
        }
        Value::Vector(v) => match i.to_longs() {
            Some(rows) => {
                ctx.reserve(rows.len().saturating_mul(8 * t.columns.len()))?;
                let columns = t.columns.iter().map(|c| c.gather(&rows)).collect();
                Ok(Value::table(Table { names: t.names.clone(), columns, sorted: false }))
            }
            None if v.is_empty() => table_at(ctx, t, &Value::longs(Vec::new())),
            None => Err(QError::type_()),
        },
        Value::List(l) if l.is_empty() => table_at(ctx, t, &Value::longs(Vec::new())),
        Value::List(l) => {
            let items = l.iter().map(|i| table_at(ctx, t, i)).collect::<R<Vec<_>>>()?;
            Ok(Value::from_items(items))
        }
        Value::Dict(d) => {
            let values = table_at(ctx, t, &d.values)?;
            Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: false }))
        }
        _ => Err(QError::type_()),
    }
}
