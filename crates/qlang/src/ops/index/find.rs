//! Where an item is in a list: `x?y`, and what dictionaries are looked up by.
//!
//! What counts as one item follows from the list: the items of a vector are atoms, those of a list of vectors are
//! vectors. A `y` of that depth is looked up whole, a deeper one item by item.

use std::{
    cell::RefCell,
    sync::{Arc, Weak},
};

use crate::{
    QError, R,
    value::{Data, Dict, Finder, Groups, Scalar, Table, Value, Vector, order},
};

/// How deep the items of a list go: 0 for atoms, 1 for vectors, one more than its first item for a general list.
pub fn depth(v: &Value) -> usize {
    let mut v = v.clone();
    for level in 0..64 {
        v = match &v {
            Value::Vector(_) => return level + 1,
            Value::List(l) => match l.first() {
                Some(first) => first.clone(),
                None => return level + 1,
            },
            Value::Table(_) | Value::Mapped(_) => return level + 1,
            _ => return level,
        };
    }
    64
}

/// The position of the first item of `x` that is `y`, or of each item of `y`; the count of `x` where there is none.
/// For a dictionary the key of the value. `'type` where a vector is asked for items of another type.
pub fn find(x: &Value, y: &Value) -> R {
    match x {
        Value::Vector(v) => in_vector(v, y, &mut None),
        Value::List(l) => match l.first() {
            None => Ok(zeros(y)),
            Some(first) => {
                let level = depth(first);
                in_list(x, y, level, &mut None)
            }
        },
        Value::Dict(d) => {
            let at = find(&d.values, y)?;
            Ok(pick(&d.keys, &at))
        }
        Value::Table(t) => in_table(t, y),
        Value::Mapped(m) => find(&m.load()?, y),
        _ => Err(QError::type_()),
    }
}

/// Zero for each atom: what is found in an empty list.
fn zeros(y: &Value) -> Value {
    match y {
        Value::Vector(v) => Value::longs(vec![0; v.len()]),
        Value::List(l) => {
            order::deeper(|| Value::from_items(l.iter().map(zeros).collect())).unwrap_or(Value::Long(0))
        }
        Value::Table(t) => Value::longs(vec![0; t.len()]),
        _ => Value::Long(0),
    }
}

/// The items of a list at found positions, whatever their shape.
pub fn pick(list: &Value, at: &Value) -> Value {
    match at {
        Value::Long(i) => list.at(usize::try_from(*i).unwrap_or(usize::MAX)),
        Value::Vector(v) => match &v.data {
            Data::I64(i) => list.gather(i),
            _ => Value::Nil,
        },
        Value::List(l) if l.is_empty() => list.gather::<u32>(&[]),
        Value::List(l) => order::deeper(|| Value::from_items(l.iter().map(|i| pick(list, i)).collect()))
            .unwrap_or(Value::Nil),
        _ => Value::Nil,
    }
}

/// The two types look each other up: the same, and an enumeration with symbols.
fn fits(v: &Vector, y: &Value) -> bool {
    match y {
        Value::Enum(_) => v.ty == kvalue::Type::Symbol,
        Value::Vector(w) => v.ty == w.ty,
        y => y.as_scalar().is_some_and(|(ty, _)| ty == v.ty),
    }
}

fn in_vector(v: &Arc<Vector>, y: &Value, finder: &mut Option<Finder>) -> R {
    match y {
        Value::List(l) => {
            if l.is_empty() {
                return Ok(Value::longs(Vec::new()));
            }
            let found = l.iter().map(|item| in_vector(v, item, finder));
            let found = order::deeper(|| found.collect::<R<Vec<_>>>()).ok_or_else(QError::stack)??;
            Ok(Value::from_items(found))
        }
        Value::Vector(w) => {
            if w.is_empty() {
                return Ok(Value::longs(Vec::new()));
            }
            if !fits(v, y) {
                return Err(QError::type_());
            }
            if w.len() <= 2 && finder.is_none() {
                return Ok(Value::longs((0..w.len()).map(|i| scan(v, &w.at(i))).collect()));
            }
            let finder = finder.get_or_insert_with(|| Finder::new(&Value::Vector(v.clone())));
            finder.find(y).map(Value::longs).ok_or_else(QError::type_)
        }
        Value::Dict(d) => {
            let values = in_vector(v, &d.values, finder)?;
            Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: false }))
        }
        y if fits(v, y) => Ok(Value::Long(scan(v, y))),
        // the null of any type is looked for in no list of another type
        _ => Err(QError::type_()),
    }
}

/// A vector that is looked into again and again, and its index once it has been.
struct Known {
    vector: Weak<Vector>,
    asked: usize,
    index: Option<Finder>,
}

thread_local! {
    /// The indexed vectors (attribute `u`) that were looked into last. A weak pointer does not keep a vector, and a
    /// vector that is changed in place leaves its weak pointers behind: an index is never stale.
    static KNOWN: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// The position by the vector's index; `None` until a vector has been asked often enough to be worth one.
fn indexed(v: &Arc<Vector>, y: &Value) -> Option<i64> {
    KNOWN.with_borrow_mut(|known| {
        known.retain(|k| k.vector.strong_count() > 0);
        let at = match known.iter().position(|k| std::ptr::eq(k.vector.as_ptr(), Arc::as_ptr(v))) {
            Some(at) => at,
            None => {
                if known.len() == 16 {
                    known.remove(0);
                }
                known.push(Known { vector: Arc::downgrade(v), asked: 0, index: None });
                known.len() - 1
            }
        };
        let k = &mut known[at];
        k.asked += 1;
        if k.asked < 16 {
            return None;
        }
        let index = k.index.get_or_insert_with(|| Finder::new(&Value::Vector(v.clone()).plain()));
        Some(index.find_item(y))
    })
}

/// Position of an atom of the vector's type, by looking at each element (or by halving a sorted one).
pub fn scan(v: &Arc<Vector>, y: &Value) -> i64 {
    if v.attr == kvalue::Attr::Unique
        && v.len() > 64
        && let Some(at) = indexed(v, y)
    {
        return at;
    }
    fn first<T: Copy>(items: &[T], f: impl Fn(T) -> bool) -> i64 {
        items.iter().position(|x| f(*x)).unwrap_or(items.len()) as i64
    }
    fn halve<T: Copy + Ord>(items: &[T], y: T) -> i64 {
        let at = items.partition_point(|x| *x < y);
        if items.get(at) == Some(&y) { at as i64 } else { items.len() as i64 }
    }
    let sorted = v.attr == kvalue::Attr::Sorted && v.len() > 16;
    let scalar = match y {
        Value::Enum(e) => {
            if let Data::Enum(domain, codes) = &v.data
                && Arc::ptr_eq(domain, &e.domain)
            {
                return first(codes, |c| c == e.index || (c < 0 && e.index < 0));
            }
            return match e.value().as_scalar() {
                Some(_) => scan(v, &e.value()),
                None => v.len() as i64,
            };
        }
        y => y.as_scalar(),
    };
    let Some((_, scalar)) = scalar else { return v.len() as i64 };
    match (&v.data, scalar) {
        (Data::Bool(d), Scalar::Bool(y)) => first(d, |x| x == y),
        (Data::Guid(d), Scalar::Guid(y)) => first(d, |x| x == y),
        (Data::U8(d), Scalar::U8(y)) => memchr::memchr(y, d).unwrap_or(d.len()) as i64,
        (Data::I16(d), Scalar::I16(y)) => first(d, |x| x == y),
        (Data::I32(d), Scalar::I32(y)) if sorted => halve(d, y),
        (Data::I32(d), Scalar::I32(y)) => first(d, |x| x == y),
        (Data::I64(d), Scalar::I64(y)) if sorted => halve(d, y),
        (Data::I64(d), Scalar::I64(y)) => first(d, |x| x == y),
        (Data::F32(d), Scalar::F32(y)) => first(d, |x| order::same(f64::from(x), f64::from(y))),
        (Data::F64(d), Scalar::F64(y)) => first(d, |x| order::same(x, y)),
        (Data::Sym(d), Scalar::Sym(y)) => first(d, |x| x == y),
        (Data::Enum(..), Scalar::Sym(_)) => match v.resolved() {
            Value::Vector(r) if !matches!(r.data, Data::Enum(..)) => scan(&r, y),
            _ => v.len() as i64,
        },
        (Data::Enum(..), Scalar::I64(n)) => {
            let codes = v.resolved();
            match &codes {
                Value::Vector(r) => match &r.data {
                    Data::I64(d) => first(d, |x| x == n),
                    _ => v.len() as i64,
                },
                _ => v.len() as i64,
            }
        }
        _ => v.len() as i64,
    }
}

fn in_list(x: &Value, y: &Value, level: usize, finder: &mut Option<Finder>) -> R {
    let whole = match y {
        Value::List(l) if l.is_empty() => level > 0,
        Value::List(_) | Value::Vector(_) | Value::Table(_) | Value::Mapped(_) => depth(y) <= level,
        _ => true,
    };
    if whole {
        // an atom is no item of a list of lists
        if depth(y) < level && level > 0 && depth(y) == 0 {
            return Ok(Value::Long(x.count() as i64));
        }
        if let Some(f) = finder {
            return Ok(Value::Long(f.find_item(y)));
        }
        let Value::List(l) = x else { return Err(QError::type_()) };
        let at = l.iter().position(|item| order::identical(item, y) || plain_same(item, y));
        return Ok(Value::Long(at.unwrap_or(l.len()) as i64));
    }
    let n = y.count();
    if n > 4 && finder.is_none() {
        *finder = Some(Finder::new(x));
    }
    let mut out = Vec::with_capacity(n);
    for i in 0..n {
        out.push(order::deeper(|| in_list(x, &y.at(i), level, finder)).ok_or_else(QError::stack)??);
    }
    if out.is_empty() {
        return Ok(Value::longs(Vec::new()));
    }
    Ok(Value::from_items(out))
}

/// An item of an enumeration is the symbol it stands for.
fn plain_same(a: &Value, b: &Value) -> bool {
    matches!((a, b), (Value::Enum(_), Value::Sym(_)) | (Value::Sym(_), Value::Enum(_)))
        && a.as_sym() == b.as_sym()
}

/// The columns of the rows that `y` asks a table for, in the table's order, and whether it asks for one row.
fn columns_of(t: &Table, y: &Value) -> R<(Vec<Value>, bool)> {
    match y {
        Value::Dict(d) if d.as_keyed().is_none() => {
            let columns = t
                .names
                .iter()
                .map(|n| d.get(*n).map(|v| enlisted(&v)).ok_or_else(QError::mismatch))
                .collect::<R<Vec<_>>>()?;
            Ok((columns, true))
        }
        Value::Table(u) => {
            let columns = t
                .names
                .iter()
                .map(|n| u.column(*n).cloned().ok_or_else(QError::mismatch))
                .collect::<R<Vec<_>>>()?;
            Ok((columns, false))
        }
        Value::Mapped(m) => columns_of(t, &m.load()?),
        Value::Vector(_) | Value::List(_) => {
            let n = t.columns.len();
            let level = t.columns.iter().map(|c| depth(c).saturating_sub(1)).min().unwrap_or(0);
            let row = y.count() == n && y.items().iter().any(|item| depth(item) <= level);
            if row {
                return Ok((y.items().iter().map(enlisted).collect(), true));
            }
            let rows = y.items();
            if n == 1 && rows.iter().all(|r| depth(r) <= level) {
                return Ok((vec![y.clone()], false));
            }
            if rows.iter().any(|r| r.count() != n || r.is_atom()) {
                return Err(QError::length());
            }
            let columns = (0..n).map(|i| Value::from_items(rows.iter().map(|r| r.at(i)).collect())).collect();
            Ok((columns, false))
        }
        atom if t.columns.len() == 1 => Ok((vec![enlisted(atom)], true)),
        _ => Err(QError::length()),
    }
}

fn enlisted(v: &Value) -> Value {
    match v {
        Value::Dict(_) => Value::list(vec![v.clone()]),
        v => Value::from_items(vec![v.clone()]),
    }
}

/// The position of a row, or of each row, in a table.
fn in_table(t: &Table, y: &Value) -> R {
    let (columns, single) = columns_of(t, y)?;
    let n = t.len();
    let wanted = columns.first().map_or(0, Value::count);
    let found = rows(t, &columns, n, wanted)?;
    Ok(if single { Value::Long(found.first().copied().unwrap_or(n as i64)) } else { Value::longs(found) })
}

fn rows(t: &Table, columns: &[Value], n: usize, wanted: usize) -> R<Vec<i64>> {
    if let ([column], [keys]) = (&t.columns[..], columns) {
        if wanted == 1
            && let Value::Vector(v) = column
        {
            let key = keys.at(0);
            return if fits(v, &key) { Ok(vec![scan(v, &key)]) } else { Err(QError::type_()) };
        }
        return column_classes(column, keys);
    }
    if wanted == 1 {
        let key: Vec<Value> = columns.iter().map(|c| c.at(0)).collect();
        return Ok(vec![one_row(t, &key, n)?]);
    }
    // rows of both, as one list of pairs of classes: the first row of a class is the answer
    let mut both = Vec::with_capacity(columns.len());
    for (a, b) in t.columns.iter().zip(columns) {
        check_types(a, b)?;
        both.push(crate::value::concat(a.clone(), b.clone())?);
    }
    let refs: Vec<&Value> = both.iter().collect();
    let groups = Groups::of(&refs, n + wanted);
    Ok(groups.ids[n..].iter().map(|&id| i64::from(groups.firsts[id as usize]).min(n as i64)).collect())
}

fn check_types(a: &Value, b: &Value) -> R<()> {
    match (a, b) {
        (Value::Vector(v), Value::Vector(w)) if v.ty != w.ty && !v.is_empty() && !w.is_empty() => {
            Err(QError::type_())
        }
        _ => Ok(()),
    }
}

fn column_classes(column: &Value, keys: &Value) -> R<Vec<i64>> {
    check_types(column, keys)?;
    if column.count() == 0 {
        return Ok(vec![0; keys.count()]);
    }
    let finder = Finder::new(column);
    if let Some(found) = finder.find(keys) {
        return Ok(found);
    }
    Ok((0..keys.count()).map(|i| finder.find_item(&keys.at(i))).collect())
}

/// The first row whose cells are these: candidates come from the first column.
fn one_row(t: &Table, key: &[Value], n: usize) -> R<i64> {
    for (column, cell) in t.columns.iter().zip(key) {
        if let Value::Vector(v) = column
            && !v.is_empty()
            && !fits(v, cell)
        {
            return Err(QError::type_());
        }
    }
    let mut candidates: Option<Vec<u32>> = None;
    for (column, cell) in t.columns.iter().zip(key) {
        candidates = Some(match candidates {
            None => equal_rows(column, cell),
            Some(rows) => rows
                .into_iter()
                .filter(|&i| {
                    let item = column.at(i as usize);
                    order::identical(&item, cell) || plain_same(&item, cell)
                })
                .collect(),
        });
    }
    Ok(candidates.and_then(|c| c.first().copied()).map_or(n as i64, i64::from))
}

fn equal_rows(column: &Value, cell: &Value) -> Vec<u32> {
    fn all<T: Copy>(items: &[T], f: impl Fn(T) -> bool) -> Vec<u32> {
        items.iter().enumerate().filter(|(_, x)| f(**x)).map(|(i, _)| i as u32).collect()
    }
    if let (Value::Vector(v), Some((_, s))) = (column, cell.as_scalar()) {
        match (&v.data, s) {
            (Data::I32(d), Scalar::I32(y)) => return all(d, |x| x == y),
            (Data::I64(d), Scalar::I64(y)) => return all(d, |x| x == y),
            (Data::Sym(d), Scalar::Sym(y)) => return all(d, |x| x == y),
            _ => {}
        }
    }
    (0..column.count() as u32)
        .filter(|&i| {
            let item = column.at(i as usize);
            order::identical(&item, cell) || plain_same(&item, cell)
        })
        .collect()
}
