//! Aggregates of columns for many groups at once: one pass over the rows, no list a group.

use kvalue::{
    Type,
    types::{INF_INT, INF_LONG, INF_SHORT, NULL_INT, NULL_LONG, NULL_SHORT},
};

use super::reduce::{self, correlation, divisor};
use crate::{
    R,
    ops::arith::{lanes::Operand, numbers, types::is_number_like},
    value::{Data, Value, Vector},
};

/// The aggregate of this word (`sum`, `avg`, `wavg`, …) of the rows of each group, one item a group.
///
/// `args` are the aggregate's arguments, all columns of as many rows as `ids`; `ids` are below `groups`. `None`
/// where this function does not know the word or the columns' types: evaluate group by group instead.
pub fn grouped(name: &str, args: &[&Value], ids: &[u32], groups: usize) -> Option<R> {
    if ids.iter().any(|&id| id as usize >= groups)
        || args.iter().any(|a| !a.is_list() || a.count() != ids.len())
    {
        return None;
    }
    let vector = |v: &Value| match v {
        Value::Vector(v) if is_number_like(v.ty) && !matches!(v.data, Data::Enum(..)) => Some(v.clone()),
        _ => None,
    };
    Some(Ok(match (name, args) {
        ("count", [_]) => Value::longs(counts(ids, groups).into_iter().map(|n| n as i64).collect()),
        ("first", [x]) => {
            let mut rows = vec![u32::MAX; groups];
            for (row, &id) in ids.iter().enumerate().rev() {
                rows[id as usize] = row as u32;
            }
            x.gather(&rows)
        }
        ("last", [x]) => {
            let mut rows = vec![u32::MAX; groups];
            for (row, &id) in ids.iter().enumerate() {
                rows[id as usize] = row as u32;
            }
            x.gather(&rows)
        }
        ("sum", [x]) => sum(&*vector(x)?, ids, groups)?,
        ("avg", [x]) => {
            let (sums, n) = float_sums(&*vector(x)?, ids, groups);
            Value::floats(sums.into_iter().zip(n).map(|(s, n)| s / n as f64).collect())
        }
        ("min", [x]) => extreme(&*vector(x)?, ids, groups, true)?,
        ("max", [x]) => extreme(&*vector(x)?, ids, groups, false)?,
        ("all", [x]) => truth(&*vector(x)?, ids, groups, true),
        ("any", [x]) => truth(&*vector(x)?, ids, groups, false),
        ("var" | "svar" | "dev" | "sdev", [x]) => deviation(name, &*vector(x)?, ids, groups)?,
        ("med", [x]) => median(&*vector(x)?, ids, groups),
        ("cov" | "scov" | "cor", [x, y]) if vector(x)?.ty.is_numeric() && vector(y)?.ty.is_numeric() => {
            pairs(name, &*vector(x)?, &*vector(y)?, ids, groups)?
        }
        ("wavg" | "wsum", [x, y]) => weighted(name, &*vector(x)?, &*vector(y)?, ids, groups),
        _ => return None,
    }))
}

/// The same for functions that give an item a row: `sums`, `deltas`, `mins`, `maxs`, `prev`, … within each group.
/// The result is in the order of the rows.
pub fn grouped_uniform(name: &str, args: &[&Value], ids: &[u32], groups: usize) -> Option<R> {
    let [Value::Vector(v)] = args else { return None };
    if ids.iter().any(|&id| id as usize >= groups) || v.len() != ids.len() {
        return None;
    }
    fn scan<T: Copy>(items: &[T], ids: &[u32], groups: usize, zero: T, f: impl Fn(T, T) -> T) -> Vec<T> {
        let mut all = vec![zero; groups];
        let step = |(x, id): (&T, &u32)| {
            let a = &mut all[*id as usize];
            *a = f(*a, *x);
            *a
        };
        items.iter().zip(ids).map(step).collect()
    }
    fn back<T: Copy>(items: &[T], ids: &[u32], groups: usize, zero: T, f: impl Fn(T, T) -> T) -> Vec<T> {
        let mut last = vec![zero; groups];
        let step = |(x, id): (&T, &u32)| {
            let a = &mut last[*id as usize];
            let out = f(*x, *a);
            *a = *x;
            out
        };
        items.iter().zip(ids).map(step).collect()
    }
    let ty = v.ty;
    let out = match (name, &v.data) {
        ("sums", Data::I64(b)) => (
            ty,
            Data::I64(
                scan(b, ids, groups, 0, |a, x| if x == NULL_LONG { a } else { a.wrapping_add(x) }).into(),
            ),
        ),
        ("sums", Data::I32(b)) => (
            ty,
            Data::I32(
                scan(b, ids, groups, 0, |a, x| if x == NULL_INT { a } else { a.wrapping_add(x) }).into(),
            ),
        ),
        ("sums", Data::F64(b)) => {
            (ty, Data::F64(scan(b, ids, groups, 0.0, |a, x| if x.is_nan() { a } else { a + x }).into()))
        }
        ("maxs", Data::I64(b)) => (ty, Data::I64(scan(b, ids, groups, -INF_LONG, Ord::max).into())),
        ("maxs", Data::F64(b)) => {
            (ty, Data::F64(scan(b, ids, groups, f64::NEG_INFINITY, |a, x| if x > a { x } else { a }).into()))
        }
        ("mins", Data::I64(b)) => (
            ty,
            Data::I64(
                scan(b, ids, groups, INF_LONG, |a, x| if x == NULL_LONG { a } else { a.min(x) }).into(),
            ),
        ),
        ("mins", Data::F64(b)) => {
            (ty, Data::F64(scan(b, ids, groups, f64::INFINITY, |a, x| if x < a { x } else { a }).into()))
        }
        ("deltas", Data::I64(b)) => (
            if ty == Type::Timestamp { Type::Timespan } else { ty },
            Data::I64(back(b, ids, groups, 0, numbers::long::sub).into()),
        ),
        ("deltas", Data::I32(b)) => (
            if matches!(ty, Type::Date | Type::Month) { Type::Int } else { ty },
            Data::I32(back(b, ids, groups, 0, numbers::int::sub).into()),
        ),
        ("deltas", Data::F64(b)) => (Type::Float, Data::F64(back(b, ids, groups, 0.0, |x, a| x - a).into())),
        ("prev", Data::I64(b)) => (ty, Data::I64(back(b, ids, groups, NULL_LONG, |_, a| a).into())),
        ("prev", Data::I32(b)) => (ty, Data::I32(back(b, ids, groups, NULL_INT, |_, a| a).into())),
        ("prev", Data::F64(b)) => (ty, Data::F64(back(b, ids, groups, f64::NAN, |_, a| a).into())),
        ("fills", Data::I64(b)) => {
            (ty, Data::I64(scan(b, ids, groups, NULL_LONG, |a, x| if x == NULL_LONG { a } else { x }).into()))
        }
        ("fills", Data::F64(b)) => {
            (ty, Data::F64(scan(b, ids, groups, f64::NAN, |a, x| if x.is_nan() { a } else { x }).into()))
        }
        _ => return None,
    };
    Some(Ok(Value::vector(out.0, out.1)))
}

fn counts(ids: &[u32], groups: usize) -> Vec<u32> {
    let mut out = vec![0; groups];
    ids.iter().for_each(|&id| out[id as usize] += 1);
    out
}

/// Folds the items of each group.
fn fold<T: Copy, A: Copy>(items: &[T], ids: &[u32], groups: usize, zero: A, f: impl Fn(A, T) -> A) -> Vec<A> {
    let mut out = vec![zero; groups];
    for (x, &id) in items.iter().zip(ids) {
        let a = &mut out[id as usize];
        *a = f(*a, *x);
    }
    out
}

fn sum(v: &Vector, ids: &[u32], groups: usize) -> Option<Value> {
    let ty = match v.ty {
        Type::Boolean | Type::Byte | Type::Short => Type::Int,
        ty if ty.is_numeric() || ty.is_temporal() => ty,
        _ => return None,
    };
    let ints = |sums: Vec<i32>| Data::I32(sums.into());
    let data =
        match &v.data {
            Data::Bool(b) => ints(fold(b, ids, groups, 0i32, |a, x| a + i32::from(x))),
            Data::U8(b) => ints(fold(b, ids, groups, 0i32, |a, x| a.wrapping_add(i32::from(x)))),
            Data::I16(b) => ints(fold(b, ids, groups, 0i32, |a, x| {
                if x == NULL_SHORT { a } else { a.wrapping_add(i32::from(x)) }
            })),
            Data::I32(b) => {
                ints(fold(b, ids, groups, 0i32, |a, x| if x == NULL_INT { a } else { a.wrapping_add(x) }))
            }
            Data::I64(b) => Data::I64(
                fold(b, ids, groups, 0i64, |a, x| if x == NULL_LONG { a } else { a.wrapping_add(x) }).into(),
            ),
            Data::F32(b) => {
                let sums = fold(b, ids, groups, 0f64, |a, x| if x.is_nan() { a } else { a + f64::from(x) });
                Data::F32(sums.into_iter().map(|x| x as f32).collect())
            }
            Data::F64(b) => {
                Data::F64(fold(b, ids, groups, 0f64, |a, x| if x.is_nan() { a } else { a + x }).into())
            }
            _ => return None,
        };
    Some(Value::vector(ty, data))
}

/// Sums as floats and numbers of items that are not null.
fn float_sums(v: &Vector, ids: &[u32], groups: usize) -> (Vec<f64>, Vec<u32>) {
    let mut n = vec![0u32; groups];
    match &v.data {
        Data::I64(b) => {
            let mut sums = vec![0i128; groups];
            for (&x, &id) in b.iter().zip(ids) {
                if x != NULL_LONG {
                    sums[id as usize] += i128::from(x);
                    n[id as usize] += 1;
                }
            }
            (sums.into_iter().map(|s| s as f64).collect(), n)
        }
        Data::F64(b) => (float_pass(b, ids, groups, &mut n), n),
        _ => {
            let items = Operand::Vector(v).floats(None).collect(v.len());
            (float_pass(&items, ids, groups, &mut n), n)
        }
    }
}

fn float_pass(items: &[f64], ids: &[u32], groups: usize, n: &mut [u32]) -> Vec<f64> {
    let mut sums = vec![0.0; groups];
    for (&x, &id) in items.iter().zip(ids) {
        if !x.is_nan() {
            sums[id as usize] += x;
            n[id as usize] += 1;
        }
    }
    sums
}

fn extreme(v: &Vector, ids: &[u32], groups: usize, least: bool) -> Option<Value> {
    macro_rules! whole {
        ($b:expr, $t:ty, $null:expr, $inf:expr) => {
            match least {
                true => fold($b, ids, groups, $inf, |a: $t, x: $t| if x == $null { a } else { a.min(x) }),
                false => fold($b, ids, groups, -$inf, |a: $t, x: $t| a.max(x)),
            }
            .into()
        };
    }
    macro_rules! real {
        ($b:expr, $t:ty) => {
            match least {
                true => fold($b, ids, groups, <$t>::INFINITY, |a: $t, x: $t| if x < a { x } else { a }),
                false => fold($b, ids, groups, -<$t>::INFINITY, |a: $t, x: $t| if x > a { x } else { a }),
            }
            .into()
        };
    }
    let data = match &v.data {
        Data::Bool(b) => {
            Data::Bool(fold(b, ids, groups, least, |a, x| if least { a & x } else { a | x }).into())
        }
        Data::U8(b) => match least {
            true => Data::U8(fold(b, ids, groups, u8::MAX, |a, x: u8| a.min(x)).into()),
            false => Data::U8(fold(b, ids, groups, 0, |a, x: u8| a.max(x)).into()),
        },
        Data::I16(b) => Data::I16(whole!(b, i16, NULL_SHORT, INF_SHORT)),
        Data::I32(b) => Data::I32(whole!(b, i32, NULL_INT, INF_INT)),
        Data::I64(b) => Data::I64(whole!(b, i64, NULL_LONG, INF_LONG)),
        Data::F32(b) => Data::F32(real!(b, f32)),
        Data::F64(b) => Data::F64(real!(b, f64)),
        _ => return None,
    };
    Some(Value::vector(v.ty, data))
}

fn truth(v: &Vector, ids: &[u32], groups: usize, all: bool) -> Value {
    let items: Vec<bool> = match &v.data {
        Data::Bool(b) => b.to_vec(),
        _ => Operand::Vector(v).floats(None).collect(v.len()).into_iter().map(|x| x != 0.0).collect(),
    };
    Value::bools(fold(&items, ids, groups, all, |a, x| if all { a & x } else { a | x }))
}

fn deviation(name: &str, v: &Vector, ids: &[u32], groups: usize) -> Option<Value> {
    let items = reduce::centred(v).ok()?;
    let mut n = vec![0u32; groups];
    let sums = float_pass(&items, ids, groups, &mut n);
    let means: Vec<f64> = sums.into_iter().zip(&n).map(|(s, &n)| s / f64::from(n)).collect();
    // Squares, and what is left of the sum of deviations: that corrects the mean's rounding.
    let mut all = vec![[0.0f64; 2]; groups];
    for (&x, &id) in items.iter().zip(ids) {
        if !x.is_nan() {
            let d = x - means[id as usize];
            let a = &mut all[id as usize];
            a[0] += d * d;
            a[1] += d;
        }
    }
    let sample = matches!(name, "svar" | "sdev");
    let root = matches!(name, "dev" | "sdev");
    let finish = |([m2, rest], n): ([f64; 2], u32)| {
        let m2 = m2 - rest * (rest / f64::from(n.max(1)));
        let variance = if m2 < 0.0 { 0.0 } else { m2 } / divisor(sample, n as usize);
        if root { variance.sqrt() } else { variance }
    };
    Some(Value::floats(all.into_iter().zip(n).map(finish).collect()))
}

fn pairs(name: &str, x: &Vector, y: &Vector, ids: &[u32], groups: usize) -> Option<Value> {
    let (x, y) = (reduce::centred(x).ok()?, reduce::centred(y).ok()?);
    let mut sums = vec![[0.0f64; 3]; groups];
    for ((&x, &y), &id) in x.iter().zip(y.iter()).zip(ids) {
        if !x.is_nan() && !y.is_nan() {
            let s = &mut sums[id as usize];
            s[0] += 1.0;
            s[1] += x;
            s[2] += y;
        }
    }
    let means: Vec<[f64; 2]> = sums.iter().map(|[n, x, y]| [x / n, y / n]).collect();
    let mut all = vec![[0.0f64; 5]; groups];
    for ((&x, &y), &id) in x.iter().zip(y.iter()).zip(ids) {
        if !x.is_nan() && !y.is_nan() {
            let [mx, my] = means[id as usize];
            let (dx, dy) = (x - mx, y - my);
            let a = &mut all[id as usize];
            a[0] += dx * dx;
            a[1] += dy * dy;
            a[2] += dx * dy;
            a[3] += dx;
            a[4] += dy;
        }
    }
    let finish = |([xx, yy, xy, rx, ry], [n, ..]): ([f64; 5], [f64; 3])| {
        let n1 = n.max(1.0);
        let (xx, yy, xy) = (xx - rx * (rx / n1), yy - ry * (ry / n1), xy - rx * (ry / n1));
        match name {
            "cor" => correlation(xx, yy, xy),
            name => xy / divisor(name == "scov", n as usize),
        }
    };
    Some(Value::floats(all.into_iter().zip(sums).map(finish).collect()))
}

fn weighted(name: &str, w: &Vector, y: &Vector, ids: &[u32], groups: usize) -> Value {
    let (w, y) =
        (Operand::Vector(w).floats(None).whole(w.len()), Operand::Vector(y).floats(None).whole(y.len()));
    let mut all = vec![[0.0f64; 2]; groups];
    for ((&w, &y), &id) in w.iter().zip(y.iter()).zip(ids) {
        if !w.is_nan() && !y.is_nan() {
            let a = &mut all[id as usize];
            a[0] += w * y;
            a[1] += w;
        }
    }
    Value::floats(all.into_iter().map(|[s, w]| if name == "wavg" { s / w } else { s }).collect())
}

fn median(v: &Vector, ids: &[u32], groups: usize) -> Value {
    let items = Operand::Vector(v).floats(None).collect(v.len());
    let mut starts = vec![0usize; groups + 1];
    ids.iter().for_each(|&id| starts[id as usize + 1] += 1);
    for g in 0..groups {
        starts[g + 1] += starts[g];
    }
    let mut next = starts.clone();
    let mut by_group = vec![0.0; items.len()];
    for (&x, &id) in items.iter().zip(ids) {
        by_group[next[id as usize]] = x;
        next[id as usize] += 1;
    }
    Value::floats((0..groups).map(|g| reduce::median(by_group[starts[g]..starts[g + 1]].to_vec())).collect())
}
