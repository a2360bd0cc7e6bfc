//! One list behind another: the join of atoms and lists. What dictionaries and tables make of `,` is in `ops::list`.

use std::sync::Arc;

use kvalue::Attr;

use super::{
    Sym,
    core::{Data, Domain, List, Value, Vector},
};
use crate::{QError, R};

/// `a,b` for atoms and lists: a vector where both are of one type, else a general list. Appends in place where nobody
/// else holds `a`. An empty list takes the type of the other one.
pub fn concat(a: Value, b: Value) -> R {
    let (a, b) = (as_list(a), as_list(b));
    match (a, b) {
        (a, b) if b.count() == 0 && a.count() > 0 => Ok(a),
        (Value::List(a), b) if a.is_empty() => Ok(dropped(b)),
        (Value::Vector(a), Value::Vector(b)) => vectors(a, b),
        (Value::Vector(a), b) if a.is_empty() => Ok(dropped(b)),
        (a, b) => lists(a, b),
    }
}

/// Appends one item to a list in place, whatever the item is: `list,enlist item`.
pub fn push(list: Value, item: Value) -> R {
    if item.as_scalar().is_some() || matches!(item, Value::Enum(_)) {
        return concat(list, item);
    }
    match as_list(list) {
        Value::List(l) if l.is_empty() => Ok(Value::from_items(vec![item])),
        Value::Vector(v) if v.is_empty() => Ok(Value::from_items(vec![item])),
        list => lists(list, Value::list(vec![item])),
    }
}

/// A list as it is; anything else as the only item of one.
fn as_list(v: Value) -> Value {
    match v {
        Value::Vector(_) | Value::List(_) => v,
        Value::Enum(ref e) => {
            Value::vector(kvalue::Type::Symbol, Data::Enum(e.domain.clone(), vec![e.index].into()))
        }
        other => match other.as_scalar() {
            Some(_) => Value::from_items(vec![other]),
            None => Value::list(vec![other]),
        },
    }
}

/// The first list of a join keeps its attribute only if the other lists are empty.
fn dropped(v: Value) -> Value {
    match v {
        Value::Vector(mut v) if v.attr != Attr::None => {
            Arc::make_mut(&mut v).attr = Attr::None;
            Value::Vector(v)
        }
        v => v,
    }
}

fn vectors(mut a: Arc<Vector>, b: Arc<Vector>) -> R {
    if a.is_empty() {
        return Ok(match (&a.data, &b.data) {
            (Data::Enum(domain, _), Data::Sym(_)) if domain.list.is_list() => {
                Value::vector(a.ty, Data::Enum(domain.clone(), codes_of(domain, &b)?.into()))
            }
            _ => dropped(Value::Vector(b)),
        });
    }
    if b.is_empty() {
        return Ok(Value::Vector(a));
    }
    let attr = kept_attribute(&a, &b);
    match (&a.data, &b.data) {
        (Data::Enum(x, _), Data::Enum(y, _)) if x.name != y.name => {
            return lists(a.resolved(), b.resolved());
        }
        (Data::Enum(domain, _), Data::Sym(_)) if domain.list.is_list() => {
            let codes = codes_of(domain, &b)?;
            if let Data::Enum(_, items) = &mut Arc::make_mut(&mut a).data {
                items.to_mut().extend_from_slice(&codes);
                items.settle();
            }
            return Ok(dropped(Value::Vector(a)));
        }
        (Data::Sym(_), Data::Enum(..)) => {
            return match b.resolved() {
                Value::Vector(b) if !matches!(b.data, Data::Enum(..)) => vectors(a, b),
                b => lists(Value::Vector(a), b),
            };
        }
        _ if a.number() != b.number() => return lists(Value::Vector(a), Value::Vector(b)),
        _ => {}
    }
    let target = Arc::make_mut(&mut a);
    target.attr = attr;
    macro_rules! extend {
        ($($layout:ident)*) => {
            match (&mut target.data, &b.data) {
                $((Data::$layout(x), Data::$layout(y)) => { x.to_mut().extend_from_slice(y); x.settle(); })*
                (Data::Enum(domain, x), Data::Enum(other, y)) => {
                    // domains only grow: the longer one fits the codes of both
                    if other.list.count() > domain.list.count() {
                        *domain = other.clone();
                    }
                    x.to_mut().extend_from_slice(y);
                    x.settle();
                }
                _ => return Err(QError::type_()),
            }
        };
    }
    extend!(Bool Guid U8 I16 I32 I64 F32 F64 Sym);
    Ok(Value::Vector(a))
}

/// The attribute that `a` keeps with `b` behind it: `g` always, `s` while the order lasts (for one more item, what
/// appending row by row needs), nothing else.
fn kept_attribute(a: &Vector, b: &Vector) -> Attr {
    match a.attr {
        Attr::Grouped => Attr::Grouped,
        Attr::Sorted => {
            let ordered = match (&a.data, &b.data) {
                (Data::I64(x), Data::I64(y)) => follows(x, y),
                (Data::I32(x), Data::I32(y)) => follows(x, y),
                (Data::I16(x), Data::I16(y)) => follows(x, y),
                (Data::U8(x), Data::U8(y)) => follows(x, y),
                (Data::F64(x), Data::F64(y)) => x.last() <= y.first() && y.windows(2).all(|w| w[0] <= w[1]),
                (Data::Sym(x), Data::Sym(y)) if y.len() == 1 => {
                    x.last().zip(y.first()).is_some_and(|(x, y)| super::sym::order(*x, *y).is_le())
                }
                _ => false,
            };
            if ordered { Attr::Sorted } else { Attr::None }
        }
        Attr::Unique if b.len() == 1 => {
            // scanning for every appended item would make a loop of appends quadratic: short lists only
            let item = b.at(0);
            let fresh = a.len() <= 1000 && (0..a.len()).all(|i| !super::order::identical(&a.at(i), &item));
            if fresh { Attr::Unique } else { Attr::None }
        }
        _ => Attr::None,
    }
}

fn follows<T: Ord>(a: &[T], b: &[T]) -> bool {
    a.last() <= b.first() && b.windows(2).all(|w| w[0] <= w[1])
}

/// Codes of symbols in an enumeration's domain; `'cast` for a symbol that is not in it.
pub(crate) fn codes_of(domain: &Domain, symbols: &Vector) -> R<Vec<i64>> {
    let Data::Sym(symbols) = &symbols.data else { return Err(QError::cast()) };
    let names = match &domain.list {
        Value::Vector(v) => v.clone(),
        _ => return Err(QError::cast()),
    };
    let Data::Sym(names) = &names.data else { return Err(QError::cast()) };
    let find = |s: &Sym| names.iter().position(|n| n == s).map(|i| i as i64);
    if symbols.len() <= 8 {
        return symbols
            .iter()
            .map(|s| find(s).or(s.is_null().then_some(i64::MIN)).ok_or_else(QError::cast))
            .collect();
    }
    let mut index = ahash::HashMap::default();
    for (i, n) in names.iter().enumerate() {
        index.entry(*n).or_insert(i as i64);
    }
    symbols
        .iter()
        .map(|s| index.get(s).copied().or(s.is_null().then_some(i64::MIN)).ok_or_else(QError::cast))
        .collect()
}

/// Two lists as a general list.
fn lists(a: Value, b: Value) -> R {
    let mut out = match a {
        Value::List(l) => l,
        a => Arc::new(List::new(a.items())),
    };
    let list = Arc::make_mut(&mut out);
    match b {
        Value::List(b) => list.to_mut().extend(b.iter().cloned()),
        b => list.to_mut().extend(b.items()),
    }
    list.settle();
    Ok(Value::List(out))
}
