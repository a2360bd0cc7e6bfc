//! Ends, counts, shapes: `til count enlist first last reverse type raze flip where group distinct`, and neighbours.

use std::sync::Arc;

use kvalue::Type;

use super::join::join;
use crate::{
    QError, R,
    ctx::Ctx,
    map_data,
    value::{Data, Dict, Groups, NullOf, Sym, Table, Value, Vector, firsts, order},
};

/// A table on disk as one in memory; anything else as it is.
pub(super) fn memory(x: Value) -> R {
    match x {
        Value::Mapped(m) => m.load(),
        x => Ok(x),
    }
}

/// `til n`: the longs below `n`. `'domain` for a negative one, `'type` for no integer.
pub fn til(ctx: &mut dyn Ctx, x: Value) -> R {
    let n = x.as_index().ok_or_else(QError::type_)?;
    let n = usize::try_from(n).map_err(|_| QError::domain())?;
    ctx.reserve(n.saturating_mul(8))?;
    Ok(Value::longs((0..n as i64).collect()))
}

/// Number of items, entries or rows; 1 for an atom.
pub fn count(_: &mut dyn Ctx, x: Value) -> R {
    let n = match &x {
        Value::Mapped(m) => m.len()?,
        x => x.count(),
    };
    Ok(Value::Long(n as i64))
}

/// The list of its arguments; a dictionary of symbol keys becomes a table of one row.
pub fn enlist(_: &mut dyn Ctx, args: Vec<Value>) -> R {
    Ok(Value::from_items(args))
}

/// First item, value or row; the null of the type where there is none; an atom itself.
pub fn first(_: &mut dyn Ctx, x: Value) -> R {
    Ok(memory(x)?.at(0))
}

/// Last item, value or row.
pub fn last(_: &mut dyn Ctx, x: Value) -> R {
    let x = memory(x)?;
    Ok(x.at(x.count().wrapping_sub(1)))
}

/// The items in reverse order.
pub fn reverse(_: &mut dyn Ctx, x: Value) -> R {
    Ok(memory(x)?.reversed())
}

/// q's type number as a short.
pub fn type_of(_: &mut dyn Ctx, x: Value) -> R {
    Ok(Value::Short(i16::from(x.number())))
}

/// `x~y`.
pub fn matches(_: &mut dyn Ctx, x: Value, y: Value) -> R {
    Ok(Value::Bool(order::matches(&x, &y)))
}

/// Items of a list joined, one level of nesting less; an atom as a list.
pub fn raze(ctx: &mut dyn Ctx, x: Value) -> R {
    let items = match x {
        Value::Vector(_) => return Ok(x),
        Value::Dict(d) => return raze(ctx, d.values.clone()),
        Value::List(l) => l,
        Value::Table(t) => {
            let rows = (0..t.len()).map(|i| t.row(i)).collect::<Vec<_>>();
            return fold(ctx, rows.into_iter());
        }
        Value::Mapped(m) => return raze(ctx, m.load()?),
        atom => return Ok(Value::from_items(vec![atom])),
    };
    if let Some(v) = flat(&items) {
        ctx.reserve(v.len().saturating_mul(8))?;
        return Ok(Value::Vector(Arc::new(v)));
    }
    if items.iter().all(|v| !matches!(v, Value::Dict(_) | Value::Table(_) | Value::Mapped(_)))
        && !items.is_empty()
    {
        return flat_list(&items);
    }
    fold(ctx, items.iter().cloned())
}

fn fold(ctx: &mut dyn Ctx, mut items: impl Iterator<Item = Value>) -> R {
    let Some(mut all) = items.next() else { return Ok(Value::empty_list()) };
    for item in items {
        all = join(ctx, all, item)?;
    }
    Ok(all)
}

/// Vectors of one type (and empty lists) end to end.
fn flat(items: &[Value]) -> Option<Vector> {
    let first = items.iter().find_map(|v| match v {
        Value::Vector(v) if !v.is_empty() => Some(v),
        _ => None,
    })?;
    if matches!(first.data, Data::Enum(..)) {
        return None;
    }
    let mut n = 0;
    for item in items {
        match item {
            Value::Vector(v) if v.is_empty() || v.number() == first.number() => n += v.len(),
            Value::List(l) if l.is_empty() => {}
            item if item.as_scalar().is_some_and(|(ty, _)| ty == first.ty) => n += 1,
            _ => return None,
        }
    }
    macro_rules! layouts {
        ($($l:ident)*) => {
            match &first.data {
                $(Data::$l(_) => {
                    let mut out = Vec::with_capacity(n);
                    for item in items {
                        match item {
                            Value::Vector(v) => {
                                if let Data::$l(d) = &v.data {
                                    out.extend_from_slice(d);
                                }
                            }
                            item => {
                                if let Some((_, crate::value::Scalar::$l(x))) = item.as_scalar() {
                                    out.push(x);
                                }
                            }
                        }
                    }
                    Data::$l(out.into())
                })*
                Data::Enum(..) => return None,
            }
        };
    }
    Some(Vector::new(first.ty, layouts!(Bool Guid U8 I16 I32 I64 F32 F64 Sym)))
}

/// Lists of different types end to end.
fn flat_list(items: &[Value]) -> R {
    if let [only] = items {
        return Ok(if only.is_atom() { Value::from_items(vec![only.clone()]) } else { only.clone() });
    }
    let mut all = Value::empty_list();
    for item in items {
        all = crate::value::concat(all, item.clone())?;
    }
    Ok(all)
}

/// Rows for columns: of a list of lists, a dictionary of columns, a table. Atoms among the items are repeated; `'rank`
/// where no item is a list, `'length` where lengths differ.
pub fn flip(ctx: &mut dyn Ctx, x: Value) -> R {
    match x {
        Value::Table(t) => {
            let values = Value::list(t.columns.clone());
            Ok(Value::dict(Dict { keys: Value::syms(t.names.to_vec()), values, sorted: false }))
        }
        Value::Mapped(m) => {
            let names = m.names();
            let columns = names.iter().map(|n| m.column(*n)).collect::<R<Vec<_>>>()?;
            Ok(Value::dict(Dict { keys: Value::syms(names), values: Value::list(columns), sorted: false }))
        }
        Value::Dict(d) => match elsewhere(&d) {
            Some(of) => {
                let mapped = ctx.lookup(Sym::new(".mapped")).ok_or_else(QError::rank)?;
                ctx.apply(&mapped, vec![d.keys.clone(), of])
            }
            None => flip_dict(&d),
        },
        Value::List(l) => {
            let Some(n) = common_length(&l)? else { return Err(QError::rank()) };
            if let Some(v) = flip_vectors(&l, n) {
                return Ok(v);
            }
            let row = |i: usize| {
                Value::from_items(l.iter().map(|c| if c.is_atom() { c.clone() } else { c.at(i) }).collect())
            };
            Ok(Value::list((0..n).map(row).collect()))
        }
        _ => Err(QError::rank()),
    }
}

/// The folder or the name that all columns of a dictionary are said to lie in: its flip is a table on disk.
fn elsewhere(d: &Dict) -> Option<Value> {
    let (Value::Vector(k), Value::Vector(v)) = (&d.keys, &d.values) else { return None };
    let (Data::Sym(_), Data::Sym(places)) = (&k.data, &v.data) else { return None };
    let first = places.first()?;
    places.iter().all(|p| p == first).then_some(Value::Sym(*first))
}

fn flip_dict(d: &Dict) -> R {
    if d.as_keyed().is_some() {
        return Err(QError::nyi());
    }
    let names = match &d.keys {
        Value::Vector(v) => match &v.data {
            Data::Sym(names) => names.to_vec(),
            Data::Enum(..) => (0..v.len()).filter_map(|i| v.at(i).as_sym()).collect(),
            _ => return Err(QError::type_()),
        },
        _ => return Err(QError::type_()),
    };
    let columns = match &d.values {
        Value::List(l) => l.to_vec(),
        Value::Table(t) => (0..t.len()).map(|i| t.row(i)).collect(),
        _ => return Err(QError::rank()),
    };
    let Some(n) = common_length(&columns)? else { return Err(QError::rank()) };
    let columns = columns.into_iter().map(|c| if is_column(&c) { c } else { c.repeat(n) }).collect();
    Ok(Value::table(Table { names: names.into(), columns, sorted: false }))
}

fn is_column(v: &Value) -> bool {
    v.is_list() || matches!(v, Value::Table(_)) || v.as_keyed().is_some()
}

/// The length that all lists among the items share; `None` where no item is a list.
fn common_length(items: &[Value]) -> R<Option<usize>> {
    let mut n = None;
    for item in items.iter().filter(|v| is_column(v)) {
        match n {
            None => n = Some(item.count()),
            Some(n) if n != item.count() => return Err(QError::length()),
            Some(_) => {}
        }
    }
    Ok(n)
}

/// Vectors of one type, transposed without boxing.
fn flip_vectors(items: &[Value], n: usize) -> Option<Value> {
    let Value::Vector(first) = items.first()? else { return None };
    macro_rules! layouts {
        ($($l:ident)*) => {
            match &first.data {
                $(Data::$l(_) => {
                    let mut columns = Vec::with_capacity(items.len());
                    for item in items {
                        match item {
                            Value::Vector(v) if v.ty == first.ty => match &v.data {
                                Data::$l(d) => columns.push(&d[..]),
                                _ => return None,
                            },
                            _ => return None,
                        }
                    }
                    (0..n)
                        .map(|i| {
                            let row: Vec<_> = columns.iter().map(|c| c[i]).collect();
                            Value::vector(first.ty, Data::$l(row.into()))
                        })
                        .collect()
                })*
                Data::Enum(..) => return None,
            }
        };
    }
    Some(Value::list(layouts!(Bool Guid U8 I16 I32 I64 F32 F64 Sym)))
}

/// Positions of the true items; positions repeated as often as whole numbers say; keys for a dictionary.
pub fn where_(ctx: &mut dyn Ctx, x: Value) -> R {
    match &x {
        Value::Vector(v) => {
            if let Data::Bool(bits) = &v.data {
                let n = bits.iter().filter(|b| **b).count();
                let mut out = vec![0i64; n + 1];
                let mut at = 0;
                for (i, &b) in bits.iter().enumerate() {
                    // written always, counted only where true: no branch to guess
                    out[at] = i as i64;
                    at += usize::from(b);
                }
                out.truncate(n);
                return Ok(Value::longs(out));
            }
            let counts = x.to_longs().ok_or_else(QError::type_)?;
            repeated(ctx, &counts).map(Value::longs)
        }
        Value::List(l) if l.is_empty() => Ok(Value::longs(Vec::new())),
        Value::Dict(d) => {
            let at = where_(ctx, d.values.clone())?;
            Ok(crate::ops::index::pick(&d.keys, &at))
        }
        x if x.as_index().is_some() => repeated(ctx, &[x.as_index().unwrap_or(0)]).map(Value::longs),
        _ => Err(QError::type_()),
    }
}

fn repeated(ctx: &mut dyn Ctx, counts: &[i64]) -> R<Vec<i64>> {
    let total = counts.iter().fold(0usize, |n, &c| n.saturating_add(usize::try_from(c).unwrap_or(0)));
    ctx.reserve(total.saturating_mul(8))?;
    let mut out = Vec::with_capacity(total);
    for (i, &c) in counts.iter().enumerate() {
        for _ in 0..c.max(0) {
            out.push(i as i64);
        }
    }
    Ok(out)
}

/// Each distinct item with its positions; for a dictionary each distinct value with its keys.
pub fn group(ctx: &mut dyn Ctx, x: Value) -> R {
    let x = memory(x)?;
    match &x {
        Value::Dict(d) if d.as_keyed().is_none() => {
            let Value::Dict(g) = group(ctx, d.values.clone())? else { return Err(QError::type_()) };
            let values = g.values.items().iter().map(|at| crate::ops::index::pick(&d.keys, at)).collect();
            return Ok(Value::dict(Dict {
                keys: g.keys.clone(),
                values: Value::list(values),
                sorted: false,
            }));
        }
        Value::Dict(_) => return Err(QError::type_()),
        x if x.is_atom() => return Err(QError::type_()),
        _ => {}
    }
    ctx.reserve(x.count().saturating_mul(16))?;
    let groups = Groups::of_column(&x);
    let (rows, starts) = groups.sorted_rows();
    let values = starts
        .windows(2)
        .map(|w| Value::longs(rows[w[0] as usize..w[1] as usize].iter().map(|&r| i64::from(r)).collect()))
        .collect();
    Ok(Value::dict(Dict { keys: keys_of(&x, &groups.firsts), values: Value::list(values), sorted: false }))
}

/// The first items of classes; a general list stays one where its items are lists.
fn keys_of(x: &Value, firsts: &[u32]) -> Value {
    x.gather(firsts)
}

/// The items without repetition, in the order of first appearance.
pub fn distinct(_: &mut dyn Ctx, x: Value) -> R {
    without_repetition(x)
}

fn without_repetition(x: Value) -> R {
    match &x {
        Value::Mapped(m) => without_repetition(m.load()?),
        Value::Dict(d) if d.as_keyed().is_none() => without_repetition(d.values.clone()),
        Value::Vector(v) if v.attr == kvalue::Attr::Unique => Ok(x),
        Value::Vector(_) | Value::List(_) | Value::Table(_) => {
            let at = firsts(&x);
            if at.len() == x.count() {
                return Ok(x.plain());
            }
            Ok(x.gather(&at))
        }
        Value::Dict(_) => Err(QError::type_()),
        _ => Err(QError::type_()),
    }
}

fn shifted<T: NullOf>(items: &[T], by: i64, ty: Type) -> Vec<T> {
    let n = items.len();
    let gap = usize::try_from(by.unsigned_abs()).unwrap_or(n).min(n);
    let mut out = Vec::with_capacity(n);
    if by >= 0 {
        out.resize(gap, T::null_of(ty));
        out.extend_from_slice(&items[..n - gap]);
    } else {
        out.extend_from_slice(&items[gap..]);
        out.resize(n, T::null_of(ty));
    }
    out
}

/// Items moved `by` places towards the end, nulls moved in.
fn shift(x: Value, by: i64) -> R {
    Ok(match memory(x)? {
        Value::Vector(v) => Value::vector(v.ty, map_data!(&v.data, items => shifted(items, by, v.ty).into())),
        Value::List(l) => {
            let n = l.len() as i64;
            let at: Vec<i64> = (0..n).map(|i| i.saturating_sub(by)).collect();
            let null = l.first().map_or_else(Value::empty_list, Value::null_like);
            let item = |i: &i64| usize::try_from(*i).ok().and_then(|i| l.get(i)).unwrap_or(&null).clone();
            Value::from_items(at.iter().map(item).collect())
        }
        Value::Dict(d) => {
            let values = shift(d.values.clone(), by)?;
            Value::dict(Dict { keys: d.keys.clone(), values, sorted: false })
        }
        Value::Table(t) => {
            let columns = t.columns.iter().map(|c| shift(c.clone(), by)).collect::<R<Vec<_>>>()?;
            Value::table(Table { names: t.names.clone(), columns, sorted: false })
        }
        _ => return Err(QError::type_()),
    })
}

/// The item before each item.
pub fn prev(_: &mut dyn Ctx, x: Value) -> R {
    shift(x, 1)
}

/// The item after each item.
pub fn next(_: &mut dyn Ctx, x: Value) -> R {
    shift(x, -1)
}

/// The item `x` places before each item of `y`.
pub fn xprev(_: &mut dyn Ctx, x: Value, y: Value) -> R {
    shift(y, x.as_index().ok_or_else(QError::type_)?)
}

/// True where an item does not match the one before it; true for the first.
pub fn differ(_: &mut dyn Ctx, x: Value) -> R {
    changes_of(&x)
}

fn changes_of(x: &Value) -> R {
    fn changes<T: Copy>(items: &[T], same: impl Fn(T, T) -> bool) -> Vec<bool> {
        let mut out = Vec::with_capacity(items.len());
        if !items.is_empty() {
            out.push(true);
            out.extend(items.windows(2).map(|w| !same(w[0], w[1])));
        }
        out
    }
    let out = match x {
        Value::Vector(v) => match &v.data {
            Data::Bool(d) => changes(d, |a, b| a == b),
            Data::Guid(d) => changes(d, |a, b| a == b),
            Data::U8(d) => changes(d, |a, b| a == b),
            Data::I16(d) => changes(d, |a, b| a == b),
            Data::I32(d) => changes(d, |a, b| a == b),
            Data::I64(d) | Data::Enum(_, d) => changes(d, |a, b| a == b),
            Data::Sym(d) => changes(d, |a, b| a == b),
            Data::F32(d) => changes(d, |a, b| order::close(f64::from(a), f64::from(b))),
            Data::F64(d) => changes(d, order::close),
        },
        Value::List(l) => (0..l.len()).map(|i| i == 0 || !order::matches(&l[i], &l[i - 1])).collect(),
        Value::Table(t) => {
            let mut out = vec![false; t.len()];
            for c in &t.columns {
                if let Value::Vector(v) = changes_of(c)?
                    && let Data::Bool(bits) = &v.data
                {
                    out.iter_mut().zip(bits.iter()).for_each(|(o, b)| *o |= *b);
                }
            }
            out
        }
        Value::Dict(d) => {
            let values = changes_of(&d.values)?;
            return Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: false }));
        }
        Value::Mapped(m) => return changes_of(&m.load()?),
        _ => return Err(QError::type_()),
    };
    Ok(Value::bools(out))
}

/// The keys of a dictionary, the integers below a number, the name of a vector's type or of an enumeration's domain.
/// Names of globals and files are not for here: see `ops::marks`.
pub fn key(ctx: &mut dyn Ctx, x: Value) -> R {
    match &x {
        Value::Dict(d) => Ok(d.keys.clone()),
        Value::Vector(v) => Ok(Value::Sym(match &v.data {
            Data::Enum(domain, _) => domain.name,
            _ => Sym::new(v.ty.name()),
        })),
        Value::Enum(e) => Ok(Value::Sym(e.domain.name)),
        Value::List(l) if l.is_empty() => Ok(Value::Sym(Sym::NULL)),
        n if n.as_index().is_some() => til(ctx, x),
        Value::Table(t) => Ok(Value::syms(t.names.to_vec())),
        _ => Err(QError::type_()),
    }
}
