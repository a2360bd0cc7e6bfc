//! Window joins: aggregates of the other table's rows in a window of time for each row.

use super::{
    asof::Buckets,
    names::{columns_of, named, positions, rekey, symbols},
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Sym, Table, Value},
};

/// `wj[w;c;t;(q;(f;c);…)]`: the rows in the window and the one prevailing at its start.
pub fn wj(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    join(ctx, args, true)
}

/// As [`wj`], without the prevailing row.
pub fn wj1(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    join(ctx, args, false)
}

fn numbers(column: &Value) -> R<Vec<i64>> {
    let Value::Vector(v) = column else {
        return column.items().iter().map(|x| x.as_int().ok_or_else(QError::type_)).collect();
    };
    Ok(match &v.data {
        Data::I64(x) => x.to_vec(),
        Data::I32(x) => x.iter().map(|&x| i64::from(x)).collect(),
        Data::I16(x) => x.iter().map(|&x| i64::from(x)).collect(),
        // Datetimes and floats by bits that order as the numbers do.
        Data::F64(x) => x.iter().map(|&x| float_code(x)).collect(),
        Data::F32(x) => x.iter().map(|&x| float_code(f64::from(x))).collect(),
        _ => return Err(QError::type_()),
    })
}

fn float_code(f: f64) -> i64 {
    if f.is_nan() {
        return i64::MIN;
    }
    let bits = (f + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn join(ctx: &mut dyn Ctx, args: Vec<Value>, prevailing: bool) -> R {
    let [w, c, t, q] = <[Value; 4]>::try_from(args).map_err(|_| QError::rank())?;
    let names = symbols(&c)?;
    let t = named(ctx, t)?;
    let (x, keys) = columns_of(&t)?;
    let spec = q.items();
    let (q, phrases) = spec.split_first().ok_or_else(QError::type_)?;
    let q = named(ctx, q.clone())?;
    let (y, _) = columns_of(&q)?;
    if w.count() != 2 {
        return Err(QError::length());
    }
    let (begin, end) = (numbers(&w.at(0))?, numbers(&w.at(1))?);
    if begin.len() != x.len() || end.len() != x.len() {
        return Err(QError::length());
    }
    let (&time, equal) = names.split_last().ok_or_else(QError::length)?;
    let outer: Vec<&Value> = positions(&x, equal)?.iter().map(|&i| &x.columns[i]).collect();
    let inner: Vec<&Value> = positions(&y, equal)?.iter().map(|&i| &y.columns[i]).collect();
    let b = Buckets::of(&outer, &inner, x.len(), y.len());
    let times = numbers(&y.columns[positions(&y, &[time])?[0]])?;
    let times: Vec<i64> = b.rows.iter().map(|&r| times[r as usize]).collect();
    let windows: Vec<(u32, u32)> = (0..x.len())
        .map(|i| {
            let g = b.outer[i] as usize;
            let (from, to) = (b.starts[g] as usize, b.starts[g + 1] as usize);
            let group = &times[from..to];
            let last = group.partition_point(|&t| t <= end[i]);
            let first = if prevailing {
                // The row at or before the start of the window, or the first one.
                group.partition_point(|&t| t <= begin[i]).saturating_sub(1)
            } else {
                group.partition_point(|&t| t < begin[i])
            };
            ((from + first.min(last)) as u32, (from + last) as u32)
        })
        .collect();
    let mut out_names: Vec<Sym> = x.names.to_vec();
    let mut out = x.columns.clone();
    for phrase in phrases {
        let items = phrase.items();
        let (f, columns) = items.split_first().ok_or_else(QError::type_)?;
        let column_names =
            columns.iter().map(Value::as_sym).collect::<Option<Vec<Sym>>>().ok_or_else(QError::type_)?;
        let sorted: Vec<Value> =
            positions(&y, &column_names)?.iter().map(|&i| y.columns[i].gather(&b.rows)).collect();
        let column = match fast(f, &sorted, &windows) {
            Some(column) => column,
            None => {
                let mut values = Vec::with_capacity(windows.len());
                for &(from, to) in &windows {
                    let args =
                        sorted.iter().map(|c| c.slice(from as usize, (to - from) as usize).plain()).collect();
                    values.push(ctx.apply(f, args)?);
                    ctx.check()?;
                }
                Value::from_items(values)
            }
        };
        let name = column_names.last().copied().ok_or_else(QError::type_)?;
        match out_names.iter().position(|n| *n == name) {
            Some(at) => out[at] = column,
            None => {
                out_names.push(name);
                out.push(column);
            }
        }
    }
    Ok(rekey(Table::new(out_names, out)?, keys))
}

/// Plain aggregates of plain columns, without a list for each window.
fn fast(f: &Value, columns: &[Value], windows: &[(u32, u32)]) -> Option<Value> {
    let Value::Prim(p) = f else { return None };
    let [Value::Vector(v)] = columns else { return None };
    let span = |&(from, to): &(u32, u32)| from as usize..to as usize;
    if p.word == "count" {
        return Some(Value::longs(windows.iter().map(|w| span(w).len() as i64).collect()));
    }
    macro_rules! folds {
        ($items:expr, $layout:ident, $null:expr, $low:expr, $high:expr, $is_null:expr) => {{
            let fold = |start, f: fn(_, _) -> _| -> Value {
                let each = |w| $items[span(w)].iter().filter(|x| !$is_null(x)).fold(start, |a, &x| f(a, x));
                Value::vector(v.ty, Data::$layout(windows.iter().map(each).collect()))
            };
            match p.word {
                "max" => Some(fold($low, |a, x| if x > a { x } else { a })),
                "min" => Some(fold($high, |a, x| if x < a { x } else { a })),
                "first" => {
                    let each = |w| $items[span(w)].first().copied().unwrap_or($null);
                    Some(Value::vector(v.ty, Data::$layout(windows.iter().map(each).collect())))
                }
                "last" => {
                    let each = |w| $items[span(w)].last().copied().unwrap_or($null);
                    Some(Value::vector(v.ty, Data::$layout(windows.iter().map(each).collect())))
                }
                "avg" => {
                    let each = |w| {
                        let (n, s) = $items[span(w)]
                            .iter()
                            .filter(|x| !$is_null(x))
                            .fold((0usize, 0f64), |(n, s), &x| (n + 1, s + x as f64));
                        s / n as f64
                    };
                    Some(Value::floats(windows.iter().map(each).collect()))
                }
                _ => None,
            }
        }};
    }
    match &v.data {
        Data::F64(items) => {
            if p.word == "sum" && v.ty == kvalue::Type::Float {
                let each = |w| items[span(w)].iter().filter(|x| !x.is_nan()).sum::<f64>();
                return Some(Value::floats(windows.iter().map(each).collect()));
            }
            if p.word == "avg" && v.ty != kvalue::Type::Float {
                return None;
            }
            folds!(items, F64, f64::NAN, f64::NEG_INFINITY, f64::INFINITY, |x: &&f64| x.is_nan())
        }
        Data::I64(items) => {
            if p.word == "sum" && v.ty == kvalue::Type::Long {
                let each = |w| {
                    items[span(w)].iter().filter(|x| **x != i64::MIN).fold(0i64, |a, &x| a.wrapping_add(x))
                };
                return Some(Value::longs(windows.iter().map(each).collect()));
            }
            if p.word == "avg" && v.ty != kvalue::Type::Long {
                return None;
            }
            folds!(items, I64, i64::MIN, -i64::MAX, i64::MAX, |x: &&i64| **x == i64::MIN)
        }
        _ => None,
    }
}
