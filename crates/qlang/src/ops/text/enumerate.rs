//! Enumerations: `` `sym$x ``, `` `sym?x ``, `` `t!x ``.

use std::sync::Arc;

use ahash::HashMap;
use kvalue::Type;

use super::map::deep;
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Domain, EnumAtom, Sym, Table, Value},
};

/// The list that an enumeration over this global points into: a list itself, the only key column of a keyed table,
/// nothing (a link) for a table.
fn domain(ctx: &mut dyn Ctx, name: Sym) -> R<Arc<Domain>> {
    let list = match global(ctx, name).ok_or_else(|| QError::new(name.text()))? {
        v @ (Value::Vector(_) | Value::List(_)) => v,
        Value::Dict(d) => match &d.keys {
            Value::Table(k) => key_column(k)?,
            _ => return Err(QError::type_()),
        },
        Value::Table(_) | Value::Mapped(_) => Value::Nil,
        _ => return Err(QError::type_()),
    };
    Ok(Arc::new(Domain { name, list }))
}

fn key_column(keys: &Table) -> R {
    match keys.columns.as_slice() {
        [one] => Ok(one.clone()),
        _ => Ok(Value::table(keys.clone())),
    }
}

fn global(ctx: &mut dyn Ctx, name: Sym) -> Option<Value> {
    ctx.lookup(name).or_else(|| ctx.global(name))
}

/// `` `name$x ``: `x` as an enumeration over the global. `'cast` where an item is not there.
pub(super) fn over(ctx: &mut dyn Ctx, name: Sym, x: Value) -> R {
    let domain = domain(ctx, name)?;
    if matches!(domain.list, Value::Nil) {
        return Err(QError::type_());
    }
    if matches!(domain.list, Value::Table(_)) {
        let find = ctx.lookup(Sym::new("?")).ok_or_else(QError::nyi)?;
        let index = ctx.apply(&find, vec![domain.list.clone(), x])?;
        return link(ctx, name, index);
    }
    let index = index(&domain.list);
    deep(x, &mut |v| match codes(&v, &index, &domain.list)? {
        Codes::One(code) => Ok(Value::Enum(Arc::new(EnumAtom { domain: domain.clone(), index: code }))),
        Codes::Many(codes) => Ok(Value::vector(Type::Symbol, Data::Enum(domain.clone(), codes.into()))),
    })
    .map(|v| match v {
        Value::List(l) if l.is_empty() => {
            Value::vector(Type::Symbol, Data::Enum(domain.clone(), Vec::new().into()))
        }
        v => v,
    })
}

/// Where each item of a domain stands: by symbol, or by number for domains of numbers.
enum Index {
    Syms(HashMap<Sym, i64>),
    Numbers(HashMap<i64, i64>),
    Other,
}

fn index(list: &Value) -> Index {
    let list = match list {
        Value::Vector(v) => v.resolved(),
        l => l.clone(),
    };
    match &list {
        Value::Vector(v) => match &v.data {
            Data::Sym(d) => {
                let mut map = HashMap::with_capacity_and_hasher(d.len(), Default::default());
                for (i, s) in d.iter().enumerate() {
                    map.entry(*s).or_insert(i as i64);
                }
                Index::Syms(map)
            }
            _ if !matches!(v.ty, Type::Guid | Type::Float | Type::Real | Type::Datetime) => {
                let mut map = HashMap::default();
                for i in 0..v.len() {
                    if let Some(n) = v.at(i).as_int() {
                        map.entry(n).or_insert(i as i64);
                    }
                }
                Index::Numbers(map)
            }
            _ => Index::Other,
        },
        Value::List(l) if l.is_empty() => Index::Syms(HashMap::default()),
        _ => Index::Other,
    }
}

enum Codes {
    One(i64),
    Many(Vec<i64>),
}

fn codes(v: &Value, index: &Index, list: &Value) -> R<Codes> {
    let cast = QError::cast;
    let one = |x: &Value| -> R<i64> {
        match index {
            Index::Syms(map) => {
                let s = x.as_sym().ok_or_else(QError::type_)?;
                map.get(&s).copied().ok_or_else(cast)
            }
            Index::Numbers(map) => x.as_int().and_then(|n| map.get(&n).copied()).ok_or_else(cast),
            Index::Other => {
                let wanted = x.as_scalar();
                (0..list.count())
                    .find(|&i| list.at(i).as_scalar() == wanted)
                    .map(|i| i as i64)
                    .ok_or_else(cast)
            }
        }
    };
    let v = match v {
        Value::Vector(e) => e.resolved(),
        v => v.clone(),
    };
    match (&v, index) {
        (Value::Vector(x), Index::Syms(map)) => match &x.data {
            Data::Sym(d) => d
                .iter()
                .map(|s| map.get(s).copied())
                .collect::<Option<Vec<i64>>>()
                .map(Codes::Many)
                .ok_or_else(cast),
            _ if x.is_empty() => Ok(Codes::Many(Vec::new())),
            _ => Err(QError::type_()),
        },
        (Value::Vector(x), _) => {
            (0..x.len()).map(|i| one(&x.at(i))).collect::<R<Vec<i64>>>().map(Codes::Many)
        }
        (x, _) => one(x).map(Codes::One),
    }
}

/// `` `name?x `` where `name` is a global: `x` as an enumeration, after what is not yet there has been added to the
/// global. A global that is not there yet is made.
pub fn extend(ctx: &mut dyn Ctx, name: Sym, x: Value) -> R {
    let list = match global(ctx, name) {
        None => Value::syms(Vec::new()),
        Some(Value::List(l)) if l.is_empty() => Value::syms(Vec::new()),
        Some(Value::Vector(v)) => Value::Vector(v),
        Some(_) => return Err(QError::type_()),
    };
    let Value::Vector(mut vector) = list else { return Err(QError::type_()) };
    if let Data::Sym(_) = vector.data {
        let mut new = Vec::new();
        {
            let Data::Sym(known) = &vector.data else { return Err(QError::type_()) };
            let mut seen: ahash::HashSet<Sym> = known.iter().copied().collect();
            deep(x.clone(), &mut |v| {
                match &v {
                    Value::Sym(_) | Value::Enum(_) => {
                        let s = v.as_sym().ok_or_else(QError::type_)?;
                        if seen.insert(s) {
                            new.push(s);
                        }
                    }
                    Value::Vector(t) => match t.resolved() {
                        Value::Vector(r) => match &r.data {
                            Data::Sym(d) => new.extend(d.iter().copied().filter(|s| seen.insert(*s))),
                            _ if r.is_empty() => {}
                            _ => return Err(QError::type_()),
                        },
                        _ => return Err(QError::type_()),
                    },
                    _ => return Err(QError::type_()),
                }
                Ok(Value::Nil)
            })?;
        }
        if !new.is_empty() || global(ctx, name).is_none() {
            let grown = Arc::make_mut(&mut vector);
            grown.attr = if grown.attr == kvalue::Attr::Unique { grown.attr } else { kvalue::Attr::None };
            if let Data::Sym(d) = &mut grown.data {
                d.to_mut().extend(new);
                d.settle();
            }
            ctx.set_global(name, Value::Vector(vector))?;
        }
    } else {
        let mut items = Value::Vector(vector).items();
        for item in x.items() {
            if !items.iter().any(|i| i.as_scalar() == item.as_scalar()) {
                items.push(item);
            }
        }
        ctx.set_global(name, Value::from_items(items))?;
    }
    over(ctx, name, x)
}

/// `` `name!x ``: the indices `x` as an enumeration over the global, or as a link to the rows of a table.
pub fn link(ctx: &mut dyn Ctx, name: Sym, x: Value) -> R {
    let domain = match domain(ctx, name) {
        Ok(domain) => domain,
        Err(_) => Arc::new(Domain { name, list: Value::Nil }),
    };
    deep(x, &mut |v| match &v {
        Value::Vector(t) => match super::cast::to(Type::Long, Value::Vector(t.clone()))? {
            Value::Vector(codes) => match &codes.data {
                Data::I64(d) => Ok(Value::vector(Type::Symbol, Data::Enum(domain.clone(), d.clone()))),
                _ => Err(QError::type_()),
            },
            _ => Err(QError::type_()),
        },
        v => {
            let index = v.as_int().ok_or_else(QError::type_)?;
            Ok(Value::Enum(Arc::new(EnumAtom { domain: domain.clone(), index })))
        }
    })
}
