//! What q's rules give for one group's rows, written row by row from the reference pages.

use super::*;

fn number(a: &Atom) -> Option<f64> {
    use kvalue::atom::Scalar;
    match a.scalar() {
        Some(Scalar::Integer(n)) => n.map(|n| n as f64),
        Some(Scalar::Float(x)) if x.is_nan() => None,
        Some(Scalar::Float(x)) => Some(x),
        None => None,
    }
}

fn mean(items: &[f64]) -> f64 {
    items.iter().sum::<f64>() / items.len() as f64
}

/// Both columns' numbers where neither is null.
pub(super) fn pairs(columns: &[Vec<Atom>]) -> impl Iterator<Item = (f64, f64)> {
    columns[0].iter().zip(&columns[1]).filter_map(|(x, y)| Some((number(x)?, number(y)?)))
}

pub(super) fn value(f: Function, columns: &[Vec<Atom>], ty: Type) -> Value {
    let items = &columns[0];
    let numbers: Vec<f64> = items.iter().filter_map(number).collect();
    let pairs: Vec<(f64, f64)> = match columns.len() {
        2 => pairs(columns).collect(),
        _ => numbers.iter().map(|&x| (x, x)).collect(),
    };
    let (xs, ys): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let cov = || {
        let (mx, my) = (mean(&xs), mean(&ys));
        pairs.iter().map(|(x, y)| (x - mx) * (y - my)).sum::<f64>() / pairs.len() as f64
    };
    let deviation = |items: &[f64]| {
        let m = mean(items);
        (items.iter().map(|x| (x - m).powi(2)).sum::<f64>() / items.len() as f64).sqrt()
    };
    let sample = pairs.len() as f64 / (pairs.len() as f64 - 1.0);
    let float = |x: f64| Value::from(x);
    match f {
        Function::Count => Value::from(items.len() as i64),
        Function::All => Value::from(items.iter().all(|a| number(a) != Some(0.0))),
        Function::Any => Value::from(items.iter().any(|a| number(a) != Some(0.0))),
        Function::First => Value::Atom(items[0].clone()),
        Function::Last => Value::Atom(items[items.len() - 1].clone()),
        Function::Distinct => {
            let mut seen: Vec<Atom> = Vec::new();
            for a in items {
                if !seen.contains(a) {
                    seen.push(a.clone());
                }
            }
            Value::from(Vector::from_atoms(items[0].ty(), &seen).unwrap())
        }
        Function::Min | Function::Max => {
            let sign = if f == Function::Min { 1.0 } else { -1.0 };
            let best = items.iter().filter(|a| number(a).is_some()).min_by(|a, b| {
                (sign * number(a).unwrap()).partial_cmp(&(sign * number(b).unwrap())).unwrap()
            });
            let empty = match (ty, sign > 0.0) {
                (Type::Boolean, least) => Atom::Boolean(least),
                (_, true) => Atom::infinity(ty).unwrap(),
                (Type::Float, false) => Atom::Float(-INF),
                (Type::Real, false) => Atom::Real(f32::NEG_INFINITY),
                (Type::Short, false) => Atom::Short(-i16::MAX),
                (Type::Int | Type::Date | Type::Time, false) => Atom::from_i64(ty, -i64::from(INF_INT)),
                (_, false) => Atom::from_i64(ty, -INF_LONG),
            };
            Value::Atom(best.cloned().unwrap_or(empty))
        }
        Function::Sum | Function::Prd => {
            let is_sum = f == Function::Sum;
            let result = result_type(f, &[Some(ty)]).unwrap().unwrap();
            if matches!(ty, Type::Float | Type::Real) {
                let x = if is_sum { numbers.iter().sum() } else { numbers.iter().product::<f64>() };
                return Value::Atom(Atom::from_f64(result, x));
            }
            let whole = items.iter().filter_map(|a| Value::Atom(a.clone()).as_i64());
            let total = if is_sum {
                whole.fold(0i64, i64::wrapping_add)
            } else {
                whole.fold(1i64, i64::wrapping_mul)
            };
            Value::Atom(Atom::from_i64(result, total))
        }
        Function::Avg => float(mean(&numbers)),
        Function::Var => float(cov()),
        Function::Svar => float(cov() * sample),
        Function::Dev => float(cov().sqrt()),
        Function::Sdev => float((cov() * sample).sqrt()),
        Function::Cov => float(cov()),
        Function::Scov => float(cov() * sample),
        Function::Cor => float(cov() / (deviation(&xs) * deviation(&ys))),
        Function::Wsum => float(pairs.iter().map(|(w, x)| w * x).sum()),
        Function::Wavg => float(pairs.iter().map(|(w, x)| w * x).sum::<f64>() / xs.iter().sum::<f64>()),
    }
}
