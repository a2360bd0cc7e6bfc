//! One item of a value replaced in place, and entries added to dictionaries: with q's checks of types.

use std::sync::Arc;

use kvalue::Attr;

use super::find::find;
use crate::{
    QError, R,
    value::{Data, Dict, List, Scalar, Table, Value, Vector, push},
};

/// The attribute that is left once elements have changed: only an index that keeps up by itself.
fn changed(attr: Attr) -> Attr {
    if attr == Attr::Grouped { attr } else { Attr::None }
}

/// Element `i` of a vector becomes `v`: `'length` beyond the end, `'type` for another type, `'cast` for a symbol that
/// is not in the enumeration's domain.
pub(super) fn element(target: &mut Arc<Vector>, i: usize, v: &Value) -> R<()> {
    if i >= target.len() {
        return Err(QError::length());
    }
    if let Data::Enum(domain, _) = &target.data {
        let code = match v {
            Value::Enum(e) if e.domain.name == domain.name => e.index,
            Value::Sym(s) if s.is_null() => i64::MIN,
            Value::Sym(_) => match find(&domain.list, v)? {
                Value::Long(at) if (at as usize) < domain.list.count() => at,
                _ => return Err(QError::cast()),
            },
            Value::Long(n) if matches!(domain.list, Value::Nil) => *n,
            _ => return Err(QError::type_()),
        };
        let own = Arc::make_mut(target);
        own.attr = changed(own.attr);
        if let Data::Enum(_, codes) = &mut own.data {
            codes.to_mut()[i] = code;
        }
        return Ok(());
    }
    let v = if let Value::Enum(e) = v { e.value() } else { v.clone() };
    let Some((ty, scalar)) = v.as_scalar() else { return Err(QError::type_()) };
    if ty != target.ty {
        return Err(QError::type_());
    }
    let own = Arc::make_mut(target);
    own.attr = changed(own.attr);
    macro_rules! layouts {
        ($($l:ident)*) => {
            match (&mut own.data, scalar) {
                $((Data::$l(items), Scalar::$l(x)) => items.to_mut()[i] = x,)*
                _ => return Err(QError::type_()),
            }
        };
    }
    layouts!(Bool Guid U8 I16 I32 I64 F32 F64 Sym);
    Ok(())
}

/// Elements of a vector at many positions become those of `y`, an atom or a vector of the same type and as long as
/// the positions. False where the types do not fit: nothing is changed then.
pub(super) fn elements(target: &mut Arc<Vector>, at: &[i64], y: &Value) -> R<bool> {
    let n = target.len();
    let fits = match y {
        Value::Vector(v) => v.ty == target.ty && v.len() == at.len(),
        y => y.as_scalar().is_some_and(|(ty, _)| ty == target.ty),
    };
    if !fits || matches!(target.data, Data::Enum(..)) {
        return Ok(false);
    }
    if at.iter().any(|&i| usize::try_from(i).is_ok_and(|i| i >= n) || i < 0) {
        return Err(QError::length());
    }
    let scalar = y.as_scalar().map(|s| s.1);
    let source = if let Value::Vector(v) = y { Some(&v.data) } else { None };
    macro_rules! layouts {
        ($($l:ident)*) => {
            match &target.data {
                $(Data::$l(_) => {
                    let fresh = match (source, scalar) {
                        (Some(Data::$l(from)), _) => Some(&from[..]),
                        (None, Some(Scalar::$l(_))) => None,
                        _ => return Ok(false),
                    };
                    let own = Arc::make_mut(target);
                    own.attr = changed(own.attr);
                    let Data::$l(items) = &mut own.data else { return Ok(false) };
                    let items = items.to_mut();
                    match (fresh, scalar) {
                        (Some(from), _) => {
                            for (&i, &x) in at.iter().zip(from) {
                                items[i as usize] = x;
                            }
                        }
                        (None, Some(Scalar::$l(x))) => at.iter().for_each(|&i| items[i as usize] = x),
                        _ => return Ok(false),
                    }
                })*
                Data::Enum(..) => return Ok(false),
            }
        };
    }
    layouts!(Bool Guid U8 I16 I32 I64 F32 F64 Sym);
    Ok(true)
}

/// A general list whose items have become atoms of one type is a vector.
pub(super) fn settled(list: &mut Value) {
    let Value::List(l) = list else { return };
    let (Some(first), Some(last)) = (l.first(), l.last()) else { return };
    let kind = |v: &Value| v.as_scalar().map(|s| s.0);
    let one = match first {
        Value::Dict(_) => matches!(last, Value::Dict(_)),
        Value::Enum(_) => matches!(last, Value::Enum(_)),
        first => kind(first).is_some() && kind(first) == kind(last),
    };
    if one && (l.len() < 3 || l.iter().all(|item| item.number() == first.number())) {
        *list = Value::from_items(l.to_vec());
    }
}

/// Entry `key` with `value` added behind a dictionary; the types of its keys and values stay.
pub(super) fn entry(d: &mut Dict, key: &Value, value: Value) -> R<()> {
    match (&mut d.keys, &mut d.values) {
        (Value::Table(k), Value::Table(v)) => {
            let key = cells(&k.names, key)?;
            let value = cells(&v.names, &value)?;
            for (c, x) in k.columns.iter().zip(&key).chain(v.columns.iter().zip(&value)) {
                check(c, x)?;
            }
            let (k, v) = (Arc::make_mut(k), Arc::make_mut(v));
            append(k, key)?;
            append(v, value)
        }
        (keys, values) => {
            check(keys, key)?;
            if let Value::Table(t) = values {
                let row = cells(&t.names, &value)?;
                append(Arc::make_mut(t), row)?;
            } else {
                check(values, &value)?;
                *values = push(std::mem::replace(values, Value::Nil), value)?;
            }
            *keys = push(std::mem::replace(keys, Value::Nil), key.clone())?;
            Ok(())
        }
    }
}

/// `'type` where a vector would get an item of another type.
pub(super) fn check(list: &Value, item: &Value) -> R<()> {
    let Value::Vector(v) = list else { return Ok(()) };
    let fits = match (&v.data, item) {
        (Data::Enum(domain, _), Value::Enum(e)) => domain.name == e.domain.name,
        (Data::Enum(..), item) => item.as_scalar().is_some_and(|(ty, _)| ty == kvalue::Type::Symbol),
        (_, Value::Enum(e)) => e.value().as_scalar().is_some_and(|(ty, _)| ty == v.ty),
        (_, item) => item.as_scalar().is_some_and(|(ty, _)| ty == v.ty),
    };
    if fits { Ok(()) } else { Err(QError::type_()) }
}

/// The cells of a row in the order of these names: of a dictionary by key, of a list by position, an atom alone.
pub(super) fn cells(names: &[crate::value::Sym], row: &Value) -> R<Vec<Value>> {
    match row {
        Value::Dict(d) => names.iter().map(|n| d.get(*n).ok_or_else(QError::mismatch)).collect::<R<Vec<_>>>(),
        Value::Vector(_) | Value::List(_) => {
            if row.count() != names.len() {
                return Err(QError::length());
            }
            Ok(row.items())
        }
        Value::Table(t) if t.len() == 1 => cells(names, &t.row(0)),
        atom if names.len() == 1 => Ok(vec![atom.clone()]),
        _ => Err(QError::length()),
    }
}

/// A row behind a table.
pub(super) fn append(t: &mut Table, row: Vec<Value>) -> R<()> {
    t.sorted = false;
    for (column, cell) in t.columns.iter_mut().zip(row) {
        *column = push(std::mem::replace(column, Value::Nil), cell)?;
    }
    Ok(())
}

/// Item `i` of a general list taken out, to be put back changed.
pub(super) fn take(list: &mut Arc<List>, i: usize) -> R<Value> {
    let own = Arc::make_mut(list);
    match own.to_mut().get_mut(i) {
        Some(item) => Ok(std::mem::replace(item, Value::Nil)),
        None => Err(QError::length()),
    }
}

/// Puts an item back.
pub(super) fn put(list: &mut Arc<List>, i: usize, item: Value) {
    if let Some(place) = Arc::make_mut(list).to_mut().get_mut(i) {
        *place = item;
    }
}
