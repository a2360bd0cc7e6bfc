//! Attributes: set with a check that they hold, read, taken off.

use std::sync::Arc;

use kvalue::Attr;

use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Dict, Groups, Sym, Table, Value, Vector, firsts, float_order, order},
};

/// `` `s#x `` and kin: `x` with the attribute; `'s-fail`, `'u-fail` where it does not hold. On a table the first column
/// gets it, on a dictionary (which then answers by steps) the keys.
pub fn set(_: &mut dyn Ctx, name: Sym, x: Value) -> R {
    let attr = match name.bytes() {
        b"" => Attr::None,
        b"s" => Attr::Sorted,
        b"u" => Attr::Unique,
        b"p" => Attr::Parted,
        b"g" => Attr::Grouped,
        _ => return Err(QError::type_()),
    };
    put(attr, x)
}

fn put(attr: Attr, x: Value) -> R {
    match x {
        Value::Vector(mut v) => {
            if v.attr == attr {
                return Ok(Value::Vector(v));
            }
            check(attr, &Value::Vector(v.clone()))?;
            match Arc::get_mut(&mut v) {
                Some(own) => own.attr = attr,
                None => v = Arc::new(Vector::clone(&v).with_attr(attr)),
            }
            Ok(Value::Vector(v))
        }
        Value::List(mut l) => {
            check(attr, &Value::List(l.clone()))?;
            Arc::make_mut(&mut l).attr = attr;
            Ok(Value::List(l))
        }
        Value::Dict(d) => {
            let keys = match attr {
                Attr::Sorted if !is_sorted(&d.keys) => return Err(QError::s_fail()),
                Attr::Sorted if matches!(d.keys, Value::Table(_)) => first_column(Attr::Sorted, &d.keys)?,
                attr => match &d.keys {
                    Value::Table(_) => first_column(attr, &d.keys)?,
                    keys => put(attr, keys.clone())?,
                },
            };
            let sorted = attr == Attr::Sorted;
            Ok(Value::dict(Dict { keys, values: d.values.clone(), sorted }))
        }
        Value::Table(t) => {
            if attr == Attr::Sorted && !is_sorted(&Value::Table(t.clone())) {
                return Err(QError::s_fail());
            }
            first_column(attr, &Value::Table(t))
        }
        Value::Mapped(m) => put(attr, m.load()?),
        atom if attr == Attr::None => Ok(atom),
        _ => Err(QError::type_()),
    }
}

/// A table with the attribute on its first column; sorted by several columns, the first one is parted.
fn first_column(attr: Attr, t: &Value) -> R {
    let Value::Table(t) = t else { return Err(QError::type_()) };
    let mut own = Table::clone(t);
    let several = own.columns.len() > 1;
    let attr = if attr == Attr::Sorted && several { Attr::Parted } else { attr };
    if let Some(c) = own.columns.first_mut() {
        *c = put(attr, std::mem::replace(c, Value::Nil))?;
    }
    own.sorted = attr != Attr::None && several;
    Ok(Value::table(own))
}

fn check(attr: Attr, x: &Value) -> R<()> {
    match attr {
        Attr::None | Attr::Grouped => Ok(()),
        Attr::Sorted if is_sorted(x) => Ok(()),
        Attr::Sorted => Err(QError::s_fail()),
        Attr::Unique if firsts(x).len() == x.count() => Ok(()),
        Attr::Parted if is_parted(x) => Ok(()),
        Attr::Unique | Attr::Parted => Err(QError::u_fail()),
    }
}

/// True where each item stands beside its equals.
fn is_parted(x: &Value) -> bool {
    let groups = Groups::of_column(x);
    let runs = groups.ids.windows(2).filter(|w| w[0] != w[1]).count() + usize::from(!groups.ids.is_empty());
    runs == groups.len()
}

/// True where no item is less than the one before it.
pub fn is_sorted(x: &Value) -> bool {
    match x {
        Value::Vector(v) => {
            if v.attr == Attr::Sorted {
                return true;
            }
            match &v.data {
                Data::Bool(d) => d.is_sorted(),
                Data::Guid(d) => d.is_sorted(),
                Data::U8(d) => d.is_sorted(),
                Data::I16(d) => d.is_sorted(),
                Data::I32(d) => d.is_sorted(),
                Data::I64(d) => d.is_sorted(),
                Data::F32(d) => d.windows(2).all(|w| float_order(f64::from(w[0]), f64::from(w[1])).is_le()),
                Data::F64(d) => d.windows(2).all(|w| float_order(w[0], w[1]).is_le()),
                Data::Sym(d) => {
                    let mut ends: Vec<Sym> = Vec::new();
                    for s in d.iter() {
                        if ends.last() != Some(s) {
                            ends.push(*s);
                        }
                    }
                    crate::value::names(&ends).is_sorted()
                }
                Data::Enum(..) => match v.resolved() {
                    Value::Vector(r) if !matches!(r.data, Data::Enum(..)) => is_sorted(&Value::Vector(r)),
                    r => is_sorted(&Value::list(r.items())),
                },
            }
        }
        Value::List(l) => l.windows(2).all(|w| order::compare(&w[0], &w[1]).is_le()),
        Value::Table(t) => {
            if let [only] = &t.columns[..] {
                return is_sorted(only);
            }
            let columns: Vec<(&Value, bool)> = t.columns.iter().map(|c| (c, false)).collect();
            crate::value::sort_rows(&columns, t.len()).iter().enumerate().all(|(i, &r)| i == r as usize)
        }
        Value::Dict(d) => is_sorted(&d.values),
        _ => true,
    }
}

/// `attr x`: the attribute as a symbol.
pub fn attr(_: &mut dyn Ctx, x: Value) -> R {
    let attr = match &x {
        Value::Vector(v) => v.attr,
        Value::List(l) => l.attr,
        Value::Dict(d) if d.sorted => Attr::Sorted,
        Value::Table(t) if t.sorted => Attr::Sorted,
        _ => Attr::None,
    };
    Ok(Value::Sym(Sym::new(attr.letter())))
}
