//! Rows of one table found in another by key columns; rows of a column replaced.

use std::sync::Arc;

use kvalue::Attr;

use crate::value::{Data, Groups, NO_ROW, Scalar, Value};

/// Enumerations as the values they stand for.
pub fn plain(column: &Value) -> Value {
    match column {
        Value::Vector(v) if matches!(v.data, Data::Enum(..)) => v.resolved(),
        other => other.clone(),
    }
}

/// The groups of the rows of `inner`, then of `outer`, by equal keys: numbers are shared.
pub fn shared_groups(outer: &[&Value], inner: &[&Value]) -> Groups {
    let joined: Vec<Value> = outer.iter().zip(inner).map(|(o, i)| end_to_end(i, o)).collect();
    let n = joined.first().map_or(0, Value::count);
    Groups::of(&joined.iter().collect::<Vec<_>>(), n)
}

/// Two key columns end to end, codes of one enumeration as codes.
fn end_to_end(a: &Value, b: &Value) -> Value {
    if let (Value::Vector(x), Value::Vector(y)) = (a, b)
        && let (Data::Enum(d, _), Data::Enum(e, _)) = (&x.data, &y.data)
        && d.name == e.name
    {
        return a.clone().plain().append(b);
    }
    let (a, b) = (plain(a).plain(), plain(b));
    if a.count() == 0 {
        return b;
    }
    match (&a, &b) {
        (Value::Vector(x), Value::Vector(y)) if x.ty != y.ty => {
            Value::list(a.items().into_iter().chain(b.items()).collect())
        }
        _ => a.append(&b),
    }
}

/// For each row of `outer` the first row of `inner` with the same keys, [`NO_ROW`] where there is none.
pub fn match_rows(outer: &[&Value], inner: &[&Value]) -> Vec<u32> {
    let n = inner.first().map_or(0, |c| c.count());
    let rows = outer.first().map_or(0, |c| c.count());
    if n == 0 {
        return vec![NO_ROW; rows];
    }
    let groups = shared_groups(outer, inner);
    groups.ids[n.min(groups.ids.len())..]
        .iter()
        .map(|&id| {
            let first = groups.firsts[id as usize];
            if (first as usize) < n { first } else { NO_ROW }
        })
        .collect()
}

/// The column with `new`'s items at these rows, in order: a later one wins. [`NO_ROW`] is passed over. A column of
/// another type becomes a general list.
pub fn put_rows(column: Value, rows: &[u32], new: &Value) -> Value {
    macro_rules! layouts {
        ($x:expr, $y:expr, $($l:ident),*) => {
            match (&mut $x.data, &$y.data) {
                $((Data::$l(items), Data::$l(fresh)) => {
                    let items = items.to_mut();
                    for (&r, &f) in rows.iter().zip(fresh.iter()) {
                        if let Some(slot) = items.get_mut(r as usize) {
                            *slot = f;
                        }
                    }
                    true
                })*
                (Data::Enum(d, codes), Data::Enum(e, fresh)) if d.name == e.name => {
                    let codes = codes.to_mut();
                    for (&r, &f) in rows.iter().zip(fresh.iter()) {
                        if let Some(slot) = codes.get_mut(r as usize) {
                            *slot = f;
                        }
                    }
                    true
                }
                _ => false,
            }
        };
    }
    match (column, new) {
        (Value::Vector(mut x), Value::Vector(y)) if x.ty == y.ty => {
            let own = Arc::make_mut(&mut x);
            own.attr = Attr::None;
            if layouts!(own, y, Bool, Guid, U8, I16, I32, I64, F32, F64, Sym) {
                return Value::Vector(x);
            }
            put_items(x.resolved().items(), rows, &y.resolved())
        }
        (Value::List(mut x), new) => {
            let items = Arc::make_mut(&mut x).to_mut();
            for (k, &r) in rows.iter().enumerate() {
                if let Some(slot) = items.get_mut(r as usize) {
                    *slot = new.at(k);
                }
            }
            Value::List(x)
        }
        (column, new) => put_items(column.items(), rows, new),
    }
}

fn put_items(mut items: Vec<Value>, rows: &[u32], new: &Value) -> Value {
    for (k, &r) in rows.iter().enumerate() {
        if let Some(slot) = items.get_mut(r as usize) {
            *slot = new.at(k);
        }
    }
    Value::from_items(items)
}

/// Which items are null.
pub fn nulls_of(column: &Value) -> Vec<bool> {
    let Value::Vector(v) = column else {
        return column.items().iter().map(is_null).collect();
    };
    macro_rules! layouts {
        ($($l:ident),*) => {
            match (&v.data, Scalar::null(v.ty)) {
                (Data::F32(items), _) => items.iter().map(|x| x.is_nan()).collect(),
                (Data::F64(items), _) => items.iter().map(|x| x.is_nan()).collect(),
                (Data::Bool(items), _) => vec![false; items.len()],
                (Data::U8(items), _) if v.ty == kvalue::Type::Byte => vec![false; items.len()],
                $((Data::$l(items), Scalar::$l(null)) => items.iter().map(|x| *x == null).collect(),)*
                (Data::Enum(domain, codes), _) => {
                    let n = domain.list.count() as i64;
                    let open = matches!(domain.list, Value::Nil);
                    codes.iter().map(|&c| c < 0 || (!open && c >= n)).collect()
                }
                (other, _) => vec![false; crate::each_data!(other, items => items.len())],
            }
        };
    }
    layouts!(Guid, U8, I16, I32, I64, Sym)
}

fn is_null(v: &Value) -> bool {
    match v {
        Value::Enum(e) => is_null(&e.value()),
        Value::Nil => true,
        v => v.as_scalar().is_some_and(|(ty, s)| match s {
            Scalar::F32(x) => x.is_nan(),
            Scalar::F64(x) => x.is_nan(),
            Scalar::Bool(_) => false,
            Scalar::U8(_) if ty == kvalue::Type::Byte => false,
            s => s == Scalar::null(ty),
        }),
    }
}
