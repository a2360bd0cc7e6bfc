//! getData row by row over atoms: slow, plain, and sharing nothing with what it is compared to.

use std::cmp::Ordering;

use kvalue::{Atom, Type, Value, atom::Scalar, time::DAY};

use crate::{
    data::Row,
    request::{Agg, Cond, DATE, Request, name, result_names, ty},
};

pub(crate) fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Atom(x), Value::Atom(y)) => match (x, y) {
            (Atom::Symbol(x), Atom::Symbol(y)) => x.as_bytes().cmp(y.as_bytes()),
            (Atom::Guid(x), Atom::Guid(y)) => x.cmp(y),
            _ => match (x.scalar().unwrap(), y.scalar().unwrap()) {
                (Scalar::Integer(x), Scalar::Integer(y)) => x.cmp(&y),
                (Scalar::Float(x), Scalar::Float(y)) => match (x.is_nan(), y.is_nan()) {
                    (true, true) => Ordering::Equal,
                    (true, false) => Ordering::Less,
                    (false, true) => Ordering::Greater,
                    _ => x.partial_cmp(&y).unwrap(),
                },
                other => panic!("{other:?}"),
            },
        },
        _ => a.as_text().cmp(&b.as_text()),
    }
}

pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|i| matches(rest, &text[i..])),
        ([b'?', rest @ ..], [_, text @ ..]) => matches(rest, text),
        ([p, rest @ ..], [t, text @ ..]) => p == t && matches(rest, text),
        _ => false,
    }
}

pub(crate) fn cell(row: &Row, day: i64, column: usize) -> Value {
    if column == DATE { Value::Atom(Atom::Date(day as i32)) } else { row[column].clone() }
}

pub(crate) fn passes(cond: &Cond, row: &Row, day: i64) -> bool {
    match cond {
        Cond::And(all) => all.iter().all(|c| passes(c, row, day)),
        Cond::Or(any) => any.iter().any(|c| passes(c, row, day)),
        Cond::Not(one) => !passes(one, row, day),
        Cond::Test(column, op, values) => {
            let x = cell(row, day, *column);
            let o = || order(&x, &values[0]);
            match *op {
                "=" => o().is_eq(),
                "<>" => o().is_ne(),
                "<" => o().is_lt(),
                ">" => o().is_gt(),
                "<=" => o().is_le(),
                ">=" => o().is_ge(),
                "in" => values.iter().any(|v| order(&x, v).is_eq()),
                "within" => o().is_ge() && order(&x, &values[1]).is_le(),
                "like" => matches(&values[0].as_text().unwrap(), x.as_name().unwrap().as_bytes()),
                other => panic!("{other}"),
            }
        }
    }
}

/// A row's instant: its time, held inside its day.
pub(crate) fn held(row: &Row, day: i64) -> i64 {
    match &row[0] {
        Value::Atom(Atom::Timestamp(t)) => (*t).clamp(day * DAY, (day + 1) * DAY - 1),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn wanted(request: &Request, row: &Row, day: i64) -> bool {
    let in_range = request.range.is_none_or(|(from, to)| {
        let t = held(row, day);
        from <= t && t < to
    });
    let in_slice = request.slice.is_none_or(|(from, to)| match row[0].as_i64() {
        Some(t) => (from..to).contains(&t.rem_euclid(DAY)),
        None => false,
    });
    in_range && in_slice && request.filter.iter().all(|c| passes(c, row, day))
}

pub(crate) fn float(v: &Value) -> Option<f64> {
    let Value::Atom(a) = v else { return None };
    if a.is_null() {
        return None;
    }
    match a.scalar()? {
        Scalar::Integer(n) => n.map(|n| n as f64),
        Scalar::Float(x) => Some(x),
    }
}

pub(crate) fn integer(v: &Value) -> Option<i128> {
    v.as_i64().map(i128::from)
}

pub(crate) fn aggregate(f: &str, a: usize, rows: &[(&Row, i64)], b: usize) -> Value {
    let ty_a = ty(a);
    let cells: Vec<Value> = rows.iter().map(|(r, day)| cell(r, *day, a)).collect();
    let others: Vec<Value> = rows.iter().map(|(r, day)| cell(r, *day, b)).collect();
    let is_null = |v: &Value| matches!(v, Value::Atom(a) if a.is_null());
    let is_float = matches!(ty_a, Some(Type::Real | Type::Float | Type::Datetime));
    let null_float = f64::NAN;
    match f {
        "count" => Value::from(cells.len() as i64),
        "first" | "last" => {
            let none = match ty_a {
                Some(t) => Value::Atom(Atom::null(t)),
                None => Value::list([]),
            };
            let found = if f == "first" { cells.first() } else { cells.last() };
            found.cloned().unwrap_or(none)
        }
        "distinct" => {
            let mut seen: Vec<Value> = Vec::new();
            for c in cells {
                if !seen.iter().any(|s| order(s, &c).is_eq()) {
                    seen.push(c);
                }
            }
            Value::list(seen)
        }
        "min" | "max" => {
            let t = ty_a.unwrap();
            let some = cells.iter().filter(|c| !is_null(c));
            let best =
                if f == "min" { some.min_by(|x, y| order(x, y)) } else { some.max_by(|x, y| order(x, y)) };
            let ends = |low: Atom, high: Atom| Value::Atom(if f == "min" { high } else { low });
            best.cloned().unwrap_or_else(|| match (t, Atom::infinity(t)) {
                (Type::Boolean, _) => ends(Atom::Boolean(false), Atom::Boolean(true)),
                (Type::Byte, _) => ends(Atom::Byte(0), Atom::Byte(255)),
                (_, Some(high)) => match high.scalar() {
                    Some(Scalar::Integer(Some(n))) => ends(Atom::from_i64(t, -n), high),
                    _ => ends(Atom::from_f64(t, f64::NEG_INFINITY), high),
                },
                _ => panic!("{t}"),
            })
        }
        "sum" if is_float => Value::from(cells.iter().filter_map(float).sum::<f64>()),
        "sum" => {
            let sum: i128 = cells.iter().filter_map(integer).sum();
            match ty_a {
                Some(Type::Long) => Value::from(sum as i64),
                _ => Value::from(sum as i32),
            }
        }
        "avg" => {
            let n = cells.iter().filter(|c| !is_null(c)).count();
            let sum = match is_float {
                true => cells.iter().filter_map(float).sum::<f64>(),
                false => cells.iter().filter_map(integer).sum::<i128>() as f64,
            };
            Value::from(sum / n as f64)
        }
        "all" => Value::from(cells.iter().all(|c| float(c) != Some(0.0))),
        "any" => Value::from(cells.iter().any(|c| float(c) != Some(0.0))),
        "wavg" | "wsum" => {
            let pairs: Vec<(i128, i128)> =
                cells.iter().zip(&others).filter_map(|(w, x)| Some((integer(w)?, integer(x)?))).collect();
            let sum: i128 = pairs.iter().map(|(w, x)| w * x).sum();
            let weight: i128 = pairs.iter().map(|(w, _)| w).sum();
            Value::from(if f == "wsum" { sum as f64 } else { sum as f64 / weight as f64 })
        }
        "var" | "cov" => {
            let pairs: Vec<(f64, f64)> = match f {
                "var" => cells.iter().filter_map(float).map(|x| (x, x)).collect(),
                _ => cells.iter().zip(&others).filter_map(|(x, y)| Some((float(x)?, float(y)?))).collect(),
            };
            if pairs.is_empty() {
                return Value::from(null_float);
            }
            let n = pairs.len() as f64;
            let (mx, my) =
                (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
            Value::from(pairs.iter().map(|(x, y)| (x - mx) * (y - my)).sum::<f64>() / n)
        }
        other => panic!("{other}"),
    }
}

/// Rows of the result in order, and whether the limit cut any.
pub(crate) fn reference(request: &Request, sources: &[Vec<Vec<Row>>]) -> (Vec<Vec<Value>>, bool) {
    let mut rows: Vec<(&Row, i64)> = Vec::new();
    for days in sources {
        for (day, of_day) in days.iter().enumerate() {
            rows.extend(of_day.iter().map(|r| (r, day as i64)).filter(|(r, day)| wanted(request, r, *day)));
        }
    }
    let index: Vec<usize> =
        result_names(request).iter().filter_map(|n| (0..=DATE).find(|c| name(*c) == n)).collect();
    let is_functions = matches!(request.agg, Agg::Functions(_));
    let mut out: Vec<Vec<Value>> = Vec::new();
    if request.group.is_empty() && !is_functions {
        out = rows.iter().map(|(r, day)| index.iter().map(|c| cell(r, *day, *c)).collect()).collect();
    } else {
        type Group<'a> = (Vec<Value>, Vec<(&'a Row, i64)>);
        let mut groups: Vec<Group<'_>> = Vec::new();
        if request.group.is_empty() {
            groups.push((Vec::new(), Vec::new()));
        }
        for (r, day) in rows {
            let key: Vec<Value> = request.group.iter().map(|c| cell(r, day, *c)).collect();
            let same = |k: &Vec<Value>| k.iter().zip(&key).all(|(a, b)| order(a, b).is_eq());
            match groups.iter_mut().find(|(k, _)| same(k)) {
                Some((_, rows)) => rows.push((r, day)),
                None => groups.push((key, vec![(r, day)])),
            }
        }
        groups.sort_by(|(a, _), (b, _)| {
            a.iter().zip(b).map(|(x, y)| order(x, y)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        });
        for (key, rows) in groups {
            let made: Vec<Value> = match &request.agg {
                Agg::Functions(functions) => {
                    functions.iter().map(|(f, a, b)| aggregate(f, *a, &rows, *b)).collect()
                }
                _ => index[request.group.len()..].iter().map(|c| aggregate("last", *c, &rows, 0)).collect(),
            };
            out.push([key, made].concat());
        }
    }
    fill(request, &mut out);
    if request.sort {
        out.sort_by(|a, b| order_any(a.last().unwrap(), b.last().unwrap()));
    }
    let n = out.len();
    let kept = window(request, n);
    let cut = kept.len() < n;
    (out[kept].to_vec(), cut)
}

/// The rows of `n` that the limit leaves.
pub(crate) fn window(request: &Request, n: usize) -> std::ops::Range<usize> {
    match request.limit.as_deref() {
        None => 0..n,
        Some([k]) if *k >= 0 => 0..n.min(*k as usize),
        Some([k]) => n.saturating_sub(k.unsigned_abs() as usize)..n,
        Some(pair) => n.min(pair[0] as usize)..n.min((pair[0] + pair[1]) as usize),
    }
}

/// Lists (of `distinct`) sort item by item.
pub(crate) fn order_any(a: &Value, b: &Value) -> Ordering {
    let is_list = |v: &Value| matches!(v, Value::List(_));
    if is_list(a) || is_list(b) {
        let items = (0..a.count().min(b.count())).map(|i| order_any(&a.index(i), &b.index(i)));
        return items.into_iter().find(|o| o.is_ne()).unwrap_or(a.count().cmp(&b.count()));
    }
    order(a, b)
}

pub(crate) fn fill(request: &Request, rows: &mut [Vec<Value>]) {
    let Some(fill) = request.fill else { return };
    let width = rows.first().map_or(0, Vec::len);
    for c in request.group.len()..width {
        let mut last: Option<Value> = None;
        for row in rows.iter_mut() {
            let null = match &row[c] {
                Value::Atom(a) => a.is_null(),
                list => list.count() == 0,
            };
            if !null {
                last = Some(row[c].clone());
            } else if fill == "forward" {
                row[c] = last.clone().unwrap_or_else(|| row[c].clone());
            } else if let Value::Atom(a) = &row[c]
                && (a.ty().is_numeric() || a.ty().is_temporal())
            {
                row[c] = Value::Atom(Atom::from_i64(a.ty(), 0));
            }
        }
    }
}
