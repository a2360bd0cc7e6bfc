//! As-of joins: for each row the last row of the other table with the same keys whose time is not later.

use std::sync::Arc;

use super::{
    join::attach,
    lookup::{plain, shared_groups},
    names::{columns_of, named, positions, rekey, symbols},
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Groups, NO_ROW, Sym, Table, Value, float_order, sort_rows},
};

/// Times as numbers that compare as the times do.
pub enum Times {
    /// integral types
    Ints(Vec<i64>),
    /// floats
    Floats(Vec<f64>),
}

impl Times {
    /// The times of a column; symbols and lists by their order among both columns are not times: `'type`.
    pub fn of(column: &Value) -> R<Times> {
        let Value::Vector(v) = column else {
            return if column.count() == 0 { Ok(Times::Ints(Vec::new())) } else { Err(QError::type_()) };
        };
        Ok(match &v.data {
            Data::Bool(x) => Times::Ints(x.iter().map(|&b| i64::from(b)).collect()),
            Data::U8(x) => Times::Ints(x.iter().map(|&b| i64::from(b)).collect()),
            Data::I16(x) => Times::Ints(x.iter().map(|&b| i64::from(b)).collect()),
            Data::I32(x) => Times::Ints(x.iter().map(|&b| i64::from(b)).collect()),
            Data::I64(x) => Times::Ints(x.to_vec()),
            Data::F32(x) => Times::Floats(x.iter().map(|&b| f64::from(b)).collect()),
            Data::F64(x) => Times::Floats(x.to_vec()),
            _ => return Err(QError::type_()),
        })
    }
}

/// The rows of one table by equality keys, each group's neighbours in the order of the table.
pub struct Buckets {
    /// group of each row of the other table
    pub outer: Vec<u32>,
    /// rows of this table, group by group
    pub rows: Vec<u32>,
    /// where each group begins
    pub starts: Vec<u32>,
}

impl Buckets {
    /// Buckets of `inner`'s rows for `outer`'s.
    pub fn of(outer: &[&Value], inner: &[&Value], outer_rows: usize, inner_rows: usize) -> Buckets {
        if outer.is_empty() {
            return Buckets {
                outer: vec![0; outer_rows],
                rows: (0..inner_rows as u32).collect(),
                starts: vec![0, inner_rows as u32],
            };
        }
        let mut groups = shared_groups(outer, inner);
        let outer = groups.ids.split_off(inner_rows);
        let (rows, starts) = Groups { ids: groups.ids, firsts: groups.firsts }.sorted_rows();
        Buckets { outer, rows, starts }
    }
}

/// For each row of `x` the last row of its bucket that is not later.
fn last_not_later<T: Copy>(x: &[T], y: &[T], b: &Buckets, later: impl Fn(T, T) -> bool) -> Vec<u32> {
    // Rows mostly come in the order of time: each bucket remembers where its last search ended.
    let mut hints: Vec<u32> = b.starts.clone();
    let mut out = Vec::with_capacity(x.len());
    for (&time, &group) in x.iter().zip(&b.outer) {
        let g = group as usize;
        let (Some(&from), Some(&to)) = (b.starts.get(g), b.starts.get(g + 1)) else {
            out.push(NO_ROW);
            continue;
        };
        let at = |k: u32| y[b.rows[k as usize] as usize];
        let (mut low, mut high) = (from, to);
        let hint = hints[g];
        if hint > from && !later(at(hint - 1), time) {
            low = hint;
            // Steps that double, from the last place on.
            let mut step = 1;
            while low + step < to && !later(at(low + step - 1), time) {
                low += step;
                step *= 2;
            }
            high = (low + step).min(to);
        } else if hint > from {
            high = hint - 1;
        }
        while low < high {
            let mid = low + (high - low) / 2;
            if later(at(mid), time) { high = mid } else { low = mid + 1 }
        }
        hints[g] = low;
        out.push(if low > from { b.rows[low as usize - 1] } else { NO_ROW });
    }
    out
}

/// For each row of `x` the row of `y` that an as-of join takes.
pub fn asof_rows(x: &Table, y: &Table, names: &[Sym]) -> R<Vec<u32>> {
    let (&time, keys) = names.split_last().ok_or_else(QError::length)?;
    let outer: Vec<&Value> = positions(x, keys)?.iter().map(|&i| &x.columns[i]).collect();
    let inner: Vec<&Value> = positions(y, keys)?.iter().map(|&i| &y.columns[i]).collect();
    let buckets = Buckets::of(&outer, &inner, x.len(), y.len());
    let a = &x.columns[positions(x, &[time])?[0]];
    let b = &y.columns[positions(y, &[time])?[0]];
    if let (Value::Vector(p), Value::Vector(q)) = (a, b) {
        match (&p.data, &q.data) {
            (Data::I64(p), Data::I64(q)) => return Ok(last_not_later(p, q, &buckets, |b, a| b > a)),
            (Data::I32(p), Data::I32(q)) => return Ok(last_not_later(p, q, &buckets, |b, a| b > a)),
            (Data::Sym(_) | Data::Enum(..), _) => {
                let both = plain(b).plain().append(&plain(a));
                let order = sort_rows(&[(&both, false)], both.count());
                let mut rank = vec![0i64; both.count()];
                let mut next = 0;
                for w in 0..order.len() {
                    if w > 0
                        && crate::value::value_order(
                            &both.at(order[w] as usize),
                            &both.at(order[w - 1] as usize),
                        )
                        .is_ne()
                    {
                        next += 1;
                    }
                    rank[order[w] as usize] = next;
                }
                let (q, p) = rank.split_at(b.count());
                return Ok(last_not_later(p, q, &buckets, |b, a| b > a));
            }
            _ => {}
        }
    }
    match (Times::of(a)?, Times::of(b)?) {
        (Times::Ints(p), Times::Ints(q)) => Ok(last_not_later(&p, &q, &buckets, |b, a| b > a)),
        (p, q) => {
            let floats = |t: Times| match t {
                Times::Ints(x) => x.into_iter().map(|x| x as f64).collect(),
                Times::Floats(x) => x,
            };
            Ok(last_not_later(&floats(p), &floats(q), &buckets, |b, a| float_order(b, a).is_gt()))
        }
    }
}

fn join(ctx: &mut dyn Ctx, args: Vec<Value>, take_time: bool, fill: bool) -> R {
    let [c, x, y] = <[Value; 3]>::try_from(args).map_err(|_| QError::rank())?;
    let names = symbols(&c)?;
    let x = named(ctx, x)?;
    let y = named(ctx, y)?;
    let (x, keys) = columns_of(&x)?;
    let (y, _) = columns_of(&y)?;
    let rows = asof_rows(&x, &y, &names)?;
    let time = names.last().copied();
    let keep: Vec<usize> = (0..y.names.len())
        .filter(|&i| !names.contains(&y.names[i]) || (take_time && Some(y.names[i]) == time))
        .collect();
    let right = Table {
        names: keep.iter().map(|&i| y.names[i]).collect(),
        columns: keep.iter().map(|&i| y.columns[i].clone()).collect(),
        sorted: false,
    };
    let answer = attach(&x, &right, &rows, fill)?;
    Ok(rekey(answer, keys))
}

/// `aj[c;x;y]`: rows of `x` with the values of `y` as of their times.
pub fn aj(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    join(ctx, args, false, false)
}

/// As [`aj`], with the time of the row of `y`.
pub fn aj0(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    join(ctx, args, true, false)
}

/// As [`aj`], but nulls of `y` do not overwrite.
pub fn ajf(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    join(ctx, args, false, true)
}

/// As [`aj0`], but nulls of `y` do not overwrite.
pub fn ajf0(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    join(ctx, args, true, true)
}

/// `t asof d`: the values of the last row of `t` at or before each key, without the key columns.
pub fn asof(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let x = named(ctx, x)?;
    let (t, _) = columns_of(&x)?;
    let (keys, single) = match &y {
        Value::Dict(d) if d.as_keyed().is_none() => {
            let names = symbols(&d.keys)?;
            let columns = d.values.items().iter().map(|v| Value::from_items(vec![v.clone()])).collect();
            (Arc::new(Table::new(names, columns)?), true)
        }
        other => (columns_of(other)?.0, false),
    };
    let rows = asof_rows(&keys, &t, &keys.names)?;
    let keep: Vec<usize> = (0..t.names.len()).filter(|&i| !keys.names.contains(&t.names[i])).collect();
    let answer = Table {
        names: keep.iter().map(|&i| t.names[i]).collect(),
        columns: keep.iter().map(|&i| t.columns[i].gather(&rows)).collect(),
        sorted: false,
    };
    Ok(if single { answer.row(0) } else { Value::table(answer) })
}
