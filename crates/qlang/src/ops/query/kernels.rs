//! Aggregates of columns for all groups at once: one pass over the rows, no list for each group.

use std::borrow::Cow;

use kvalue::Type;

use crate::value::{Data, Groups, Scalar, Value, Vector};

/// A number as aggregates see it.
trait Number: Copy + PartialOrd {
    fn is_null(self) -> bool;
    fn float(self) -> f64;
}

macro_rules! number {
    ($($t:ty: $null:expr),*) => {$(
        impl Number for $t {
            #[inline]
            fn is_null(self) -> bool {
                let null: fn($t) -> bool = $null;
                null(self)
            }
            #[inline]
            fn float(self) -> f64 {
                self as f64
            }
        }
    )*};
}
number!(u8: |_| false, i16: |x| x == i16::MIN, i32: |x| x == i32::MIN, i64: |x| x == i64::MIN,
    f32: |x| x.is_nan(), f64: |x| x.is_nan());

/// Which group each row is in, and how many groups there are.
#[derive(Clone, Copy)]
pub struct Assigned<'a> {
    /// the group of each row
    pub ids: &'a [u32],
    /// number of groups
    pub n: usize,
}

impl<'a> From<&'a Groups> for Assigned<'a> {
    fn from(g: &'a Groups) -> Assigned<'a> {
        Assigned { ids: &g.ids, n: g.len() }
    }
}

/// Rows in each group.
pub fn counts(g: Assigned) -> Vec<i64> {
    let mut out = vec![0i64; g.n];
    g.ids.iter().for_each(|&id| out[id as usize] += 1);
    out
}

/// The last row of each group.
pub fn lasts(g: Assigned) -> Vec<u32> {
    let mut out = vec![0u32; g.n];
    g.ids.iter().enumerate().for_each(|(row, &id)| out[id as usize] = row as u32);
    out
}

/// An aggregate of one column; `None` where the function or the type has no plan here.
pub fn monadic(word: &str, column: &Value, g: Assigned) -> Option<Value> {
    match word {
        "count" => return Some(Value::longs(counts(g))),
        "last" => return Some(column.gather(&lasts(g))),
        _ => {}
    }
    let Value::Vector(v) = column else { return None };
    if v.len() != g.ids.len() {
        return None;
    }
    match word {
        "sum" => sum(v, g),
        "min" => extreme(v, g, true),
        "max" => extreme(v, g, false),
        "avg" => {
            let x = floats(v)?;
            let (sums, counts) = sums(&x, g);
            Some(Value::floats(sums.iter().zip(&counts).map(|(s, &n)| s / n as f64).collect()))
        }
        "var" | "dev" | "svar" | "sdev" => {
            let x = floats(v)?;
            let (moments, counts) = products(&x, &x, g);
            Some(Value::floats(spread(&moments, &counts, word)))
        }
        "all" | "any" => {
            let Data::Bool(bits) = &v.data else { return None };
            let all = word == "all";
            let mut out = vec![all; g.n];
            for (&id, &b) in g.ids.iter().zip(bits.iter()) {
                let slot = &mut out[id as usize];
                *slot = if all { *slot & b } else { *slot | b };
            }
            Some(Value::bools(out))
        }
        _ => None,
    }
}

/// Variances or deviations from sums of squared distances.
fn spread(moments: &[f64], counts: &[i64], word: &str) -> Vec<f64> {
    let of = |(m, &n): (&f64, &i64)| {
        let n = if word.starts_with('s') { n - 1 } else { n };
        if n <= 0 {
            return f64::NAN;
        }
        let var = m / n as f64;
        if word.ends_with("dev") { var.sqrt() } else { var }
    };
    moments.iter().zip(counts).map(of).collect()
}

/// An aggregate of two columns; `None` where the function or the types have no plan here.
pub fn dyadic(word: &str, x: &Value, y: &Value, g: Assigned) -> Option<Value> {
    let (Value::Vector(a), Value::Vector(b)) = (x, y) else { return None };
    if a.len() != g.ids.len() || b.len() != g.ids.len() {
        return None;
    }
    if word == "wsum" && !matches!((a.ty, b.ty), (Type::Float, _) | (_, Type::Float)) {
        return None;
    }
    match word {
        "wavg" | "wsum" => {
            let (w, x) = (floats(a)?, floats(b)?);
            let mut acc = vec![(0f64, 0f64); g.n];
            for ((&id, &w), &x) in g.ids.iter().zip(w.iter()).zip(x.iter()) {
                let ok = !(w.is_nan() || x.is_nan());
                let slot = &mut acc[id as usize];
                slot.0 += if ok { w } else { 0.0 };
                slot.1 += if ok { w * x } else { 0.0 };
            }
            let of = |&(w, s): &(f64, f64)| if word == "wavg" { s / w } else { s };
            Some(Value::floats(acc.iter().map(of).collect()))
        }
        "cov" | "scov" | "cor" => {
            let (x, y) = (floats(a)?, floats(b)?);
            let (xy, n) = products(&x, &y, g);
            if word != "cor" {
                let less = i64::from(word == "scov");
                let of = |(m, &n): (&f64, &i64)| if n > less { m / (n - less) as f64 } else { f64::NAN };
                return Some(Value::floats(xy.iter().zip(&n).map(of).collect()));
            }
            // Pairs with a null on either side count for neither deviation.
            let (x, y) = paired(x, y);
            let (xx, _) = products(&x, &x, g);
            let (yy, _) = products(&y, &y, g);
            Some(Value::floats((0..g.n).map(|i| xy[i] / (xx[i] * yy[i]).sqrt()).collect()))
        }
        _ => None,
    }
}

fn paired<'a>(x: Cow<'a, [f64]>, y: Cow<'a, [f64]>) -> (Cow<'a, [f64]>, Cow<'a, [f64]>) {
    if !x.iter().chain(y.iter()).any(|v| v.is_nan()) {
        return (x, y);
    }
    let either =
        |(&a, &b): (&f64, &f64)| if a.is_nan() || b.is_nan() { (f64::NAN, f64::NAN) } else { (a, b) };
    let (a, b): (Vec<f64>, Vec<f64>) = x.iter().zip(y.iter()).map(either).unzip();
    (a.into(), b.into())
}

/// Sums and numbers of what is not null.
fn sums(x: &[f64], g: Assigned) -> (Vec<f64>, Vec<i64>) {
    let mut acc = vec![(0f64, 0i64); g.n];
    for (&id, &x) in g.ids.iter().zip(x) {
        let slot = &mut acc[id as usize];
        slot.0 += if x.is_nan() { 0.0 } else { x };
        slot.1 += i64::from(!x.is_nan());
    }
    acc.into_iter().unzip()
}

/// Sums of products of distances from the means, over pairs without a null, and how many pairs.
fn products(x: &[f64], y: &[f64], g: Assigned) -> (Vec<f64>, Vec<i64>) {
    let mut acc = vec![(0f64, 0f64, 0i64); g.n];
    for ((&id, &x), &y) in g.ids.iter().zip(x).zip(y) {
        let ok = !(x.is_nan() || y.is_nan());
        let slot = &mut acc[id as usize];
        slot.0 += if ok { x } else { 0.0 };
        slot.1 += if ok { y } else { 0.0 };
        slot.2 += i64::from(ok);
    }
    let means: Vec<(f64, f64)> = acc.iter().map(|a| (a.0 / a.2 as f64, a.1 / a.2 as f64)).collect();
    let mut out = vec![0f64; g.n];
    for ((&id, &x), &y) in g.ids.iter().zip(x).zip(y) {
        let (mx, my) = means[id as usize];
        let p = (x - mx) * (y - my);
        out[id as usize] += if p.is_nan() && (x.is_nan() || y.is_nan()) { 0.0 } else { p };
    }
    (out, acc.into_iter().map(|a| a.2).collect())
}

/// A numeric column as floats, nulls as NaN.
fn floats(v: &Vector) -> Option<Cow<'_, [f64]>> {
    fn of<T: Number>(items: &[T]) -> Cow<'static, [f64]> {
        items.iter().map(|&x| if x.is_null() { f64::NAN } else { x.float() }).collect()
    }
    if !v.ty.is_numeric() {
        return None;
    }
    Some(match &v.data {
        Data::F64(x) => Cow::Borrowed(&x[..]),
        Data::F32(x) => of(x),
        Data::I64(x) => of(x),
        Data::I32(x) => of(x),
        Data::I16(x) => of(x),
        Data::U8(x) => of(x),
        Data::Bool(x) => x.iter().map(|&b| f64::from(u8::from(b))).collect(),
        _ => return None,
    })
}

fn sum(v: &Vector, g: Assigned) -> Option<Value> {
    fn whole<T: Number>(items: &[T], g: Assigned, long: impl Fn(T) -> i64) -> Vec<i64> {
        let mut acc = vec![0i64; g.n];
        for (&id, &x) in g.ids.iter().zip(items) {
            let slot = &mut acc[id as usize];
            *slot = slot.wrapping_add(if x.is_null() { 0 } else { long(x) });
        }
        acc
    }
    let ints = |sums: Vec<i64>| Data::I32(sums.into_iter().map(|x| x as i32).collect());
    Some(match (&v.data, v.ty) {
        (Data::F64(x), Type::Float) => Value::floats(sums(x, g).0),
        (Data::F32(_), _) => {
            let wide = floats(v)?;
            Value::vector(v.ty, Data::F32(sums(&wide, g).0.into_iter().map(|x| x as f32).collect()))
        }
        (Data::I64(x), Type::Long | Type::Timespan) => {
            Value::vector(v.ty, Data::I64(whole(x, g, |x| x).into()))
        }
        (Data::I32(x), Type::Int | Type::Minute | Type::Second | Type::Time) => {
            Value::vector(v.ty, ints(whole(x, g, i64::from)))
        }
        (Data::I16(x), _) => Value::vector(Type::Int, ints(whole(x, g, i64::from))),
        (Data::Bool(x), _) => {
            let bytes: Vec<u8> = x.iter().map(|&b| u8::from(b)).collect();
            Value::vector(Type::Int, ints(whole(&bytes, g, i64::from)))
        }
        _ => return None,
    })
}

fn extreme(v: &Vector, g: Assigned, least: bool) -> Option<Value> {
    fn go<T: Number>(items: &[T], g: Assigned, start: T, least: bool) -> Vec<T> {
        let mut acc = vec![start; g.n];
        if least {
            for (&id, &x) in g.ids.iter().zip(items) {
                let slot = &mut acc[id as usize];
                *slot = if !x.is_null() && x < *slot { x } else { *slot };
            }
        } else {
            for (&id, &x) in g.ids.iter().zip(items) {
                let slot = &mut acc[id as usize];
                *slot = if x > *slot { x } else { *slot };
            }
        }
        acc
    }
    let data = match &v.data {
        Data::F64(x) => {
            Data::F64(go(x, g, if least { f64::INFINITY } else { f64::NEG_INFINITY }, least).into())
        }
        Data::F32(x) => {
            Data::F32(go(x, g, if least { f32::INFINITY } else { f32::NEG_INFINITY }, least).into())
        }
        Data::I64(x) => Data::I64(go(x, g, if least { i64::MAX } else { -i64::MAX }, least).into()),
        Data::I32(x) => Data::I32(go(x, g, if least { i32::MAX } else { -i32::MAX }, least).into()),
        Data::I16(x) => Data::I16(go(x, g, if least { i16::MAX } else { -i16::MAX }, least).into()),
        _ => return None,
    };
    // A group of nothing but nulls is left to the general way, which knows what its type gives.
    let only_nulls = match (&data, Scalar::null(v.ty)) {
        (Data::F64(x), _) => x.iter().any(|x| x.is_infinite()),
        (Data::F32(x), _) => x.iter().any(|x| x.is_infinite()),
        (Data::I64(x), _) => x.iter().any(|&x| x == i64::MAX || x == -i64::MAX),
        (Data::I32(x), _) => x.iter().any(|&x| x == i32::MAX || x == -i32::MAX),
        (Data::I16(x), _) => x.iter().any(|&x| x == i16::MAX || x == -i16::MAX),
        _ => false,
    };
    (!only_nulls).then(|| Value::vector(v.ty, data))
}
