//! Order: `iasc idesc asc desc rank xrank`, and searching in what is in order: `bin binr`.

use std::sync::Arc;

use kvalue::Attr;

use super::basic::memory;
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Dict, Table, Value, sort_rows},
};

/// Positions that bring a list, a dictionary's values or a table's rows in order; stable both ways.
fn grade(x: &Value, down: bool) -> R<Vec<u32>> {
    match x {
        Value::Vector(v) if v.attr == Attr::Sorted && !down => Ok((0..v.len() as u32).collect()),
        Value::Vector(_) | Value::List(_) => Ok(sort_rows(&[(x, down)], x.count())),
        Value::Dict(d) => grade(&d.values, down),
        Value::Table(t) => {
            let columns: Vec<(&Value, bool)> = t.columns.iter().map(|c| (c, down)).collect();
            Ok(sort_rows(&columns, t.len()))
        }
        _ => Err(QError::type_()),
    }
}

fn graded(x: Value, down: bool) -> R {
    let x = memory(x)?;
    let rows = grade(&x, down)?;
    if let Value::Dict(d) = &x {
        return Ok(d.keys.gather(&rows));
    }
    Ok(Value::longs(rows.into_iter().map(i64::from).collect()))
}

/// The positions (for a dictionary: the keys) that bring the items in ascending order.
pub fn iasc(_: &mut dyn Ctx, x: Value) -> R {
    graded(x, false)
}

/// The positions that bring the items in descending order.
pub fn idesc(_: &mut dyn Ctx, x: Value) -> R {
    graded(x, true)
}

/// The items in ascending order, with the attribute that says so.
pub fn asc(_: &mut dyn Ctx, x: Value) -> R {
    let x = memory(x)?;
    if let Value::Vector(mut v) = x {
        if v.attr == Attr::Sorted {
            return Ok(Value::Vector(v));
        }
        if let Some(sorted) = crate::value::sorted(&v, false) {
            return Ok(Value::Vector(Arc::new(sorted.with_attr(Attr::Sorted))));
        }
        let rows = grade(&Value::Vector(v.clone()), false)?;
        let gathered = v.gather(&rows);
        v = Arc::new(match gathered.data {
            Data::Enum(..) => gathered,
            _ => gathered.with_attr(Attr::Sorted),
        });
        return Ok(Value::Vector(v));
    }
    let rows = grade(&x, false)?;
    Ok(match x.gather(&rows) {
        Value::List(mut l) => {
            Arc::make_mut(&mut l).attr = Attr::Sorted;
            Value::List(l)
        }
        Value::Vector(mut v) => {
            Arc::make_mut(&mut v).attr = Attr::Sorted;
            Value::Vector(v)
        }
        Value::Table(t) => first_marked(&t),
        Value::Dict(d) => match &d.values {
            Value::Table(t) => {
                Value::dict(Dict { keys: d.keys.clone(), values: first_marked(t), sorted: false })
            }
            Value::Vector(v) if !matches!(v.data, Data::Enum(..)) => {
                let values = crate::value::Vector::clone(v).with_attr(Attr::Sorted);
                Value::dict(Dict {
                    keys: d.keys.clone(),
                    values: Value::Vector(Arc::new(values)),
                    sorted: false,
                })
            }
            _ => Value::Dict(d),
        },
        other => other,
    })
}

/// A table in order of all its columns: the only one is sorted, the first of several parted.
fn first_marked(t: &Arc<Table>) -> Value {
    let mut own = Table::clone(t);
    let attr = if own.columns.len() == 1 { Attr::Sorted } else { Attr::Parted };
    if let Some(Value::Vector(v)) = own.columns.first_mut() {
        Arc::make_mut(v).attr = attr;
    }
    Value::table(own)
}

/// The items in descending order.
pub fn desc(_: &mut dyn Ctx, x: Value) -> R {
    let x = memory(x)?;
    if let Value::Vector(v) = &x
        && let Some(sorted) = crate::value::sorted(v, true)
    {
        return Ok(Value::Vector(Arc::new(sorted)));
    }
    let rows = grade(&x, true)?;
    Ok(x.gather(&rows))
}

fn ranks(x: &Value) -> R<Vec<i64>> {
    let rows = grade(x, false)?;
    let mut out = vec![0i64; rows.len()];
    for (rank, &row) in rows.iter().enumerate() {
        out[row as usize] = rank as i64;
    }
    Ok(out)
}

/// The place of each item among all in order.
pub fn rank(_: &mut dyn Ctx, x: Value) -> R {
    let x = memory(x)?;
    let places = Value::longs(ranks(&x)?);
    Ok(match &x {
        Value::Dict(d) => Value::dict(Dict { keys: d.keys.clone(), values: places, sorted: false }),
        _ => places,
    })
}

/// `x xrank y`: the items of `y` in `x` buckets of equal size, by order.
pub fn xrank(_: &mut dyn Ctx, x: Value, y: Value) -> R {
    let y = memory(y)?;
    let buckets = x.as_index().ok_or_else(QError::type_)?;
    let n = y.count().max(1) as i64;
    let places = ranks(&y)?;
    let values = Value::longs(places.into_iter().map(|r| buckets.wrapping_mul(r).div_euclid(n)).collect());
    Ok(match &y {
        Value::Dict(d) => Value::dict(Dict { keys: d.keys.clone(), values, sorted: false }),
        _ => values,
    })
}
