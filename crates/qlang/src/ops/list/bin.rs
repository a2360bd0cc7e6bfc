//! `bin` and `binr`: where an item would stand in a list that is in order.

use std::{borrow::Cow, cmp::Ordering, sync::Arc};

use super::basic::memory;
use crate::{
    QError, R,
    ctx::Ctx,
    ops::index::{depth, pick},
    value::{Data, Groups, Table, Value, Vector, concat, names, order},
};

/// `x bin y`: the position of the last item of `x` that is no more than `y`, -1 where there is none. For a dictionary
/// the key there. Tables agree in all columns but the last; the null position where no row does.
pub fn bin(_: &mut dyn Ctx, x: Value, y: Value) -> R {
    search(&memory(x)?, &memory(y)?, false)
}

/// `x binr y`: the position of the first item of `x` that is no less than `y`.
pub fn binr(_: &mut dyn Ctx, x: Value, y: Value) -> R {
    search(&memory(x)?, &memory(y)?, true)
}

fn search(x: &Value, y: &Value, right: bool) -> R {
    match x {
        Value::Vector(v) => in_vector(v, y, right),
        Value::List(l) => {
            let level = l.first().map_or(0, depth);
            in_list(l, y, level, right)
        }
        Value::Dict(d) => {
            let at = search(&d.values, y, right)?;
            Ok(pick(&d.keys, &at))
        }
        Value::Table(t) => in_table(t, y, right),
        _ => Err(QError::type_()),
    }
}

fn place(n: usize, right: bool, order_at: impl Fn(usize) -> Ordering) -> i64 {
    let (mut low, mut high) = (0, n);
    while low < high {
        let mid = (low + high) / 2;
        let o = order_at(mid);
        if o == Ordering::Less || (o == Ordering::Equal && !right) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if right { low as i64 } else { low as i64 - 1 }
}

fn in_list(l: &[Value], y: &Value, level: usize, right: bool) -> R {
    if y.is_list() && depth(y) > level {
        let parts = y.items();
        let parts = parts.iter().map(|y| in_list(l, y, level, right));
        let parts = order::deeper(|| parts.collect::<R<Vec<_>>>()).ok_or_else(QError::stack)??;
        return Ok(if parts.is_empty() { Value::longs(Vec::new()) } else { Value::from_items(parts) });
    }
    Ok(Value::Long(place(l.len(), right, |i| order::compare(&l[i], y))))
}

/// Elements as numbers in the order of the elements.
pub(super) fn keys(v: &Vector) -> Option<Cow<'_, [i64]>> {
    let float = |x: f64| {
        if x.is_nan() {
            return i64::MIN;
        }
        let bits = (x + 0.0).to_bits() as i64;
        bits ^ (((bits >> 63) as u64) >> 1) as i64
    };
    Some(match &v.data {
        Data::I64(d) => Cow::Borrowed(&d[..]),
        Data::Bool(d) => d.iter().map(|x| i64::from(*x)).collect(),
        Data::U8(d) => d.iter().map(|x| i64::from(*x)).collect(),
        Data::I16(d) => d.iter().map(|x| i64::from(*x)).collect(),
        Data::I32(d) => d.iter().map(|x| i64::from(*x)).collect(),
        Data::F32(d) => d.iter().map(|x| float(f64::from(*x))).collect(),
        Data::F64(d) => d.iter().map(|x| float(*x)).collect(),
        _ => return None,
    })
}

fn in_vector(v: &Arc<Vector>, y: &Value, right: bool) -> R {
    match y {
        Value::List(l) => {
            let parts = l.iter().map(|y| in_vector(v, y, right));
            let parts = order::deeper(|| parts.collect::<R<Vec<_>>>()).ok_or_else(QError::stack)??;
            Ok(if parts.is_empty() { Value::longs(Vec::new()) } else { Value::from_items(parts) })
        }
        Value::Vector(w) => {
            let (a, b) = (v.resolved(), w.resolved());
            let (Value::Vector(a), Value::Vector(b)) = (&a, &b) else { return Err(QError::type_()) };
            if a.ty != b.ty && !b.is_empty() && !a.is_empty() {
                return Err(QError::type_());
            }
            Ok(Value::longs(many(a, b, right)))
        }
        y if y.is_atom() => match in_vector(v, &y.repeat(1), right)? {
            Value::Vector(found) => Ok(found.at(0)),
            other => Ok(other),
        },
        _ => Err(QError::type_()),
    }
}

fn many(a: &Arc<Vector>, b: &Arc<Vector>, right: bool) -> Vec<i64> {
    if let (Some(x), Some(y)) = (keys(a), keys(b)) {
        return numbers(&x, &y, right);
    }
    match (&a.data, &b.data) {
        (Data::Sym(x), Data::Sym(y)) => {
            let (x, y) = (names(x), names(y));
            y.iter().map(|k| place(x.len(), right, |i| x[i].cmp(k))).collect()
        }
        (Data::Guid(x), Data::Guid(y)) => y.iter().map(|k| place(x.len(), right, |i| x[i].cmp(k))).collect(),
        _ => {
            let x = Value::Vector(a.clone()).items();
            (0..b.len())
                .map(|k| {
                    let y = b.at(k);
                    place(x.len(), right, |i| order::compare(&x[i], &y))
                })
                .collect()
        }
    }
}

/// Places of many numbers: in step with the list where the numbers ascend, by halving otherwise.
fn numbers(x: &[i64], y: &[i64], right: bool) -> Vec<i64> {
    let off = if right { 0 } else { -1 };
    let before = |a: i64, k: i64| if right { a < k } else { a <= k };
    if y.len() > 16 && y.len() * 8 > x.len() && y.is_sorted() && x.is_sorted() {
        let mut at = 0;
        return y
            .iter()
            .map(|&k| {
                while at < x.len() && before(x[at], k) {
                    at += 1;
                }
                at as i64 + off
            })
            .collect();
    }
    let mut out = Vec::with_capacity(y.len());
    let mut blocks = y.chunks_exact(LANES);
    for block in &mut blocks {
        // several numbers in step: while one waits for memory the others go on
        let (mut base, mut size) = ([0usize; LANES], x.len());
        while size > 1 {
            let half = size / 2;
            for (b, &k) in base.iter_mut().zip(block) {
                *b += if before(x[*b + half - 1], k) { half } else { 0 };
            }
            size -= half;
        }
        out.extend(base.iter().zip(block).map(|(&b, &k)| {
            let at = b + usize::from(size == 1 && before(x[b], k));
            at as i64 + off
        }));
    }
    out.extend(blocks.remainder().iter().map(|&k| x.partition_point(|&a| before(a, k)) as i64 + off));
    out
}

/// Numbers looked for at a time.
const LANES: usize = 8;

fn in_table(t: &Table, y: &Value, right: bool) -> R {
    let (columns, single) = match y {
        Value::Dict(d) => {
            let cells = t.names.iter().map(|n| d.get(*n).map(|v| v.repeat(1)).ok_or_else(QError::mismatch));
            (cells.collect::<R<Vec<_>>>()?, true)
        }
        Value::Table(u) => {
            let columns = t.names.iter().map(|n| u.column(*n).cloned().ok_or_else(QError::mismatch));
            (columns.collect::<R<Vec<_>>>()?, false)
        }
        _ => return Err(QError::type_()),
    };
    let (n, m) = (t.len(), columns.first().map_or(0, Value::count));
    let Some((last, equal)) = t.columns.split_last() else { return Err(QError::type_()) };
    let mut both = Vec::with_capacity(equal.len());
    for (a, b) in equal.iter().zip(&columns) {
        both.push(concat(a.clone(), b.clone())?);
    }
    let refs: Vec<&Value> = both.iter().collect();
    let groups = Groups::of(&refs, n + m);
    let (rows, starts) = groups.sorted_rows();
    let wanted = &columns[equal.len()];
    let sorted = last.items();
    let mut out = Vec::with_capacity(m);
    for k in 0..m {
        let id = groups.ids[n + k] as usize;
        // the rows of the class that are in the table come first
        let class = &rows[starts[id] as usize..starts[id + 1] as usize];
        let class = &class[..class.partition_point(|r| (*r as usize) < n)];
        let key = wanted.at(k);
        let at = place(class.len(), right, |i| order::compare(&sorted[class[i] as usize], &key));
        let row = usize::try_from(at).ok().and_then(|at| class.get(at));
        out.push(row.map_or(i64::MIN, |r| i64::from(*r)));
    }
    Ok(if single { Value::Long(out.first().copied().unwrap_or(i64::MIN)) } else { Value::longs(out) })
}
