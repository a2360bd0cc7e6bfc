//! One number out of a vector: sums, products, least and greatest, moments. Blocks are added in a fixed order, so a
//! result does not depend on the number of threads.

use kvalue::{
    Type,
    types::{INF_INT, INF_LONG, INF_SHORT, NULL_INT, NULL_LONG, NULL_SHORT},
};

use crate::{
    QError, R,
    ctx::Ctx,
    ops::arith::{
        lanes::{Operand, shares},
        types::is_number_like,
    },
    value::{Data, Value, Vector},
};

/// Elements that are added up before their sum joins the others'.
const BLOCK: usize = 1 << 14;

/// The results of the blocks, in order; on several threads where there are many.
fn blocks<T: Sync, A: Send>(ctx: &dyn Ctx, items: &[T], f: impl Fn(&[T]) -> A + Sync) -> Vec<A> {
    let threads = shares(ctx, items.len());
    if threads <= 1 {
        return items.chunks(BLOCK).map(f).collect();
    }
    let each = items.len().div_ceil(threads).next_multiple_of(BLOCK);
    let f = &f;
    std::thread::scope(|s| {
        let parts: Vec<_> = items
            .chunks(each)
            .map(|part| s.spawn(move || part.chunks(BLOCK).map(f).collect::<Vec<A>>()))
            .collect();
        parts.into_iter().flat_map(|p| p.join().unwrap_or_default()).collect()
    })
}

/// Folds eight lanes side by side, so that the processor does not wait for each step.
#[inline(always)]
fn lanes<T: Copy, A: Copy>(items: &[T], zero: A, step: impl Fn(A, T) -> A, join: impl Fn(A, A) -> A) -> A {
    let mut all = [zero; 8];
    let (chunks, rest) = items.as_chunks::<8>();
    for chunk in chunks {
        for (a, x) in all.iter_mut().zip(chunk) {
            *a = step(*a, *x);
        }
    }
    for (a, x) in all.iter_mut().zip(rest) {
        *a = step(*a, *x);
    }
    all.into_iter().reduce(join).unwrap_or(zero)
}

/// The sum of longs without null, exact, and how many they are.
fn exact(ctx: &dyn Ctx, items: &[i64]) -> (i128, usize) {
    let parts = blocks(ctx, items, |part| {
        // Halves of 32 bits cannot overflow within a block.
        let high = lanes(part, 0i64, |a, x| a + if x == NULL_LONG { 0 } else { x >> 32 }, |a, b| a + b);
        let low =
            lanes(part, 0i64, |a, x| a + if x == NULL_LONG { 0 } else { x & 0xffff_ffff }, |a, b| a + b);
        let n = lanes(part, 0i64, |a, x| a + i64::from(x != NULL_LONG), |a, b| a + b);
        (high, low, n)
    });
    let (mut sum, mut n) = (0i128, 0usize);
    for (high, low, count) in parts {
        sum += (i128::from(high) << 32) + i128::from(low);
        n += count as usize;
    }
    (sum, n)
}

/// The sum of the floats that are not null, and how many they are.
pub fn float_sum(ctx: &dyn Ctx, items: &[f64]) -> (f64, usize) {
    let parts = blocks(ctx, items, |part| {
        // Nulls are rare: a block's plain sum is null where there is one (or infinities cancel), and good elsewhere.
        let plain = lanes(part, 0.0, |a, x: f64| a + x, |a, b| a + b);
        if !plain.is_nan() {
            return (plain, part.len());
        }
        let sum = lanes(part, 0.0, |a, x: f64| a + if x.is_nan() { 0.0 } else { x }, |a, b| a + b);
        let n = lanes(part, 0i64, |a, x: f64| a + i64::from(!x.is_nan()), |a, b| a + b);
        (sum, n as usize)
    });
    parts.into_iter().fold((0.0, 0), |(s, n), (t, m)| (s + t, n + m))
}

/// `sum` of a vector: `i.iiijef..pmdznuvt`.
pub fn sum(ctx: &dyn Ctx, v: &Vector) -> R {
    let ty = match v.ty {
        Type::Boolean | Type::Byte | Type::Short => Type::Int,
        ty if ty.is_numeric() || ty.is_temporal() => ty,
        _ => return Err(QError::type_()),
    };
    let ints = |n: i64| Value::vector(ty, Data::I32(vec![n as i32].into())).at(0);
    Ok(match &v.data {
        Data::Bool(b) => ints(
            blocks(ctx, b, |p| {
                p.chunks(128).map(|p| i64::from(p.iter().map(|b| u8::from(*b)).sum::<u8>())).sum::<i64>()
            })
            .into_iter()
            .sum(),
        ),
        Data::U8(b) => {
            ints(blocks(ctx, b, |p| p.iter().map(|b| i64::from(*b)).sum::<i64>()).into_iter().sum())
        }
        Data::I16(b) => ints(
            blocks(ctx, b, |p| {
                lanes(p, 0i64, |a, x| a + if x == NULL_SHORT { 0 } else { i64::from(x) }, |a, b| a + b)
            })
            .into_iter()
            .sum(),
        ),
        Data::I32(b) => ints(
            blocks(ctx, b, |p| {
                lanes(p, 0i64, |a, x| a + if x == NULL_INT { 0 } else { i64::from(x) }, |a, b| a + b)
            })
            .into_iter()
            .fold(0i64, i64::wrapping_add),
        ),
        Data::I64(b) => {
            let parts = blocks(ctx, b, |p| {
                lanes(p, 0i64, |a, x| a.wrapping_add(if x == NULL_LONG { 0 } else { x }), i64::wrapping_add)
            });
            Value::vector(ty, Data::I64(vec![parts.into_iter().fold(0, i64::wrapping_add)].into())).at(0)
        }
        Data::F32(b) => {
            let parts = blocks(ctx, b, |p| {
                lanes(p, 0.0f64, |a, x: f32| a + if x.is_nan() { 0.0 } else { f64::from(x) }, |a, b| a + b)
            });
            Value::Real(parts.into_iter().sum::<f64>() as f32)
        }
        Data::F64(b) => Value::vector(ty, Data::F64(vec![float_sum(ctx, b).0].into())).at(0),
        _ => return Err(QError::type_()),
    })
}

/// `prd` of a vector: types as for [`sum`].
pub fn product(v: &Vector) -> R {
    let ty = match v.ty {
        Type::Boolean | Type::Byte | Type::Short => Type::Int,
        ty if ty.is_numeric() || ty.is_temporal() => ty,
        _ => return Err(QError::type_()),
    };
    let a = Operand::Vector(v);
    let data = match &v.data {
        Data::F32(_) | Data::F64(_) => {
            let items = a.floats(None).collect(v.len());
            let all = items.iter().filter(|x| !x.is_nan()).product::<f64>();
            match ty {
                Type::Real => Data::F32(vec![all as f32].into()),
                _ => Data::F64(vec![all].into()),
            }
        }
        data => {
            let items = a.longs(None).collect(v.len());
            let all = items.iter().filter(|x| **x != NULL_LONG).fold(1i64, |a, x| a.wrapping_mul(*x));
            match data {
                Data::I64(_) => Data::I64(vec![all].into()),
                _ => Data::I32(vec![all as i32].into()),
            }
        }
    };
    Ok(Value::vector(ty, data).at(0))
}

/// `min` (or `max`) of a vector, nulls skipped; the type's infinity where there is nothing else.
pub fn extreme(ctx: &dyn Ctx, v: &Vector, least: bool) -> R {
    if !is_number_like(v.ty) {
        return Err(QError::type_());
    }
    macro_rules! whole {
        ($b:expr, $t:ty, $null:expr, $inf:expr, $wrap:ident) => {{
            let out = match least {
                true => blocks(ctx, $b, |p| {
                    lanes(p, $inf, |a: $t, x: $t| a.min(if x == $null { $inf } else { x }), Ord::min)
                })
                .into_iter()
                .fold($inf, Ord::min),
                false => blocks(ctx, $b, |p| lanes(p, -$inf, |a: $t, x: $t| a.max(x), Ord::max))
                    .into_iter()
                    .fold(-$inf, Ord::max),
            };
            Data::$wrap(vec![out].into())
        }};
    }
    macro_rules! real {
        ($b:expr, $t:ty, $wrap:ident) => {{
            let inf = <$t>::INFINITY;
            let low = |a: $t, x: $t| if x < a { x } else { a };
            let high = |a: $t, x: $t| if x > a { x } else { a };
            let out = match least {
                true => blocks(ctx, $b, |p| lanes(p, inf, low, low)).into_iter().fold(inf, low),
                false => blocks(ctx, $b, |p| lanes(p, -inf, high, high)).into_iter().fold(-inf, high),
            };
            Data::$wrap(vec![out].into())
        }};
    }
    let data = match &v.data {
        Data::Bool(b) => {
            Data::Bool(vec![if least { b.iter().all(|b| *b) } else { b.iter().any(|b| *b) }].into())
        }
        Data::U8(b) => Data::U8(
            vec![if least {
                b.iter().copied().min().unwrap_or(u8::MAX)
            } else {
                b.iter().copied().max().unwrap_or(0)
            }]
            .into(),
        ),
        Data::I16(b) => whole!(b, i16, NULL_SHORT, INF_SHORT, I16),
        Data::I32(b) => whole!(b, i32, NULL_INT, INF_INT, I32),
        Data::I64(b) => whole!(b, i64, NULL_LONG, INF_LONG, I64),
        Data::F32(b) => real!(b, f32, F32),
        Data::F64(b) => real!(b, f64, F64),
        _ => return Err(QError::type_()),
    };
    Ok(Value::vector(v.ty, data).at(0))
}

/// `avg` of a vector, nulls skipped.
pub fn mean(ctx: &dyn Ctx, v: &Vector) -> R<f64> {
    if !is_number_like(v.ty) {
        return Err(QError::type_());
    }
    Ok(match &v.data {
        Data::I64(b) => {
            let (sum, n) = exact(ctx, b);
            sum as f64 / n as f64
        }
        Data::F64(b) => {
            let (sum, n) = float_sum(ctx, b);
            sum / n as f64
        }
        Data::F32(_) => {
            let (sum, n) = float_sum(ctx, &Operand::Vector(v).floats(None).collect(v.len()));
            sum / n as f64
        }
        _ => {
            let (sum, n) = exact(ctx, &Operand::Vector(v).longs(None).collect(v.len()));
            sum as f64 / n as f64
        }
    })
}

/// Count, and sums of squared deviations.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moments {
    /// items that are not null
    pub n: usize,
    /// squared deviations' sum
    pub m2: f64,
}

/// A vector's numbers as floats from an origin in its own kind of number, so that timestamps lose nothing and equal
/// items have no variance at all.
pub fn centred(v: &Vector) -> R<std::borrow::Cow<'_, [f64]>> {
    if !is_number_like(v.ty) {
        return Err(QError::type_());
    }
    Ok(match &v.data {
        Data::F64(b) => std::borrow::Cow::Borrowed(b),
        Data::I64(b) => {
            let origin = b.iter().copied().find(|x| *x != NULL_LONG).unwrap_or(0);
            let far = |x: i64| match x.checked_sub(origin) {
                _ if x == NULL_LONG => f64::NAN,
                Some(d) => d as f64,
                None => (i128::from(x) - i128::from(origin)) as f64,
            };
            std::borrow::Cow::Owned(b.iter().map(|x| far(*x)).collect())
        }
        _ => std::borrow::Cow::Owned(Operand::Vector(v).floats(None).collect(v.len())),
    })
}

/// The moments of numbers, nulls skipped.
pub fn moments(ctx: &dyn Ctx, items: &[f64]) -> Moments {
    let (sum, n) = float_sum(ctx, items);
    let mean = sum / n as f64;
    let parts = blocks(ctx, items, |p| {
        let d = |x: f64| if x.is_nan() { 0.0 } else { x - mean };
        (
            lanes(p, 0.0, |a, x: f64| a + d(x) * d(x), |a, b| a + b),
            lanes(p, 0.0, |a, x: f64| a + d(x), |a, b| a + b),
        )
    });
    let (m2, rest) = parts.into_iter().fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d));
    // What is left of the sum of deviations corrects the mean's rounding.
    let m2: f64 = if n > 0 { m2 - rest * (rest / n as f64) } else { 0.0 };
    Moments { n, m2: if m2 < 0.0 { 0.0 } else { m2 } }
}

/// Count and sums of the deviations' products of pairs of which neither is null: `xx`, `yy`, `xy`.
pub fn pair_moments(x: &[f64], y: &[f64]) -> (usize, [f64; 3]) {
    let pairs = || x.iter().zip(y).filter(|(x, y)| !x.is_nan() && !y.is_nan());
    let (mut n, mut sx, mut sy) = (0usize, 0.0, 0.0);
    for (x, y) in pairs() {
        n += 1;
        sx += x;
        sy += y;
    }
    let (mx, my) = (sx / n as f64, sy / n as f64);
    let mut all = [0.0; 5];
    for (x, y) in pairs() {
        let (dx, dy) = (x - mx, y - my);
        for (a, d) in all.iter_mut().zip([dx * dx, dy * dy, dx * dy, dx, dy]) {
            *a += d;
        }
    }
    let [xx, yy, xy, rx, ry] = all;
    let n1 = (n as f64).max(1.0);
    (n, [xx - rx * (rx / n1), yy - ry * (ry / n1), xy - rx * (ry / n1)])
}

/// What a sum of squared deviations is divided by: 0 makes the result null.
pub fn divisor(sample: bool, n: usize) -> f64 {
    n.saturating_sub(usize::from(sample)) as f64
}

/// The correlation of deviations' products.
pub fn correlation(xx: f64, yy: f64, xy: f64) -> f64 {
    let product = xx * yy;
    // One root of the product makes a column correlate with itself to exactly 1; two where it does not fit.
    let scale = if product.is_normal() { product.sqrt() } else { xx.sqrt() * yy.sqrt() };
    xy / scale
}

/// The median: the mean of the middle one or two in q's order, null lowest.
pub fn median(mut items: Vec<f64>) -> f64 {
    let n = items.len();
    if n == 0 {
        return f64::NAN;
    }
    let order = |a: &f64, b: &f64| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal),
        (a, b) => b.cmp(&a),
    };
    let (low, high) = ((n - 1) / 2, n / 2);
    let (_, middle, above) = items.select_nth_unstable_by(low, order);
    let a = *middle;
    let b = if high == low { a } else { above.iter().copied().min_by(order).unwrap_or(a) };
    match (a.is_nan(), b.is_nan()) {
        (true, _) => b,
        (_, true) => a,
        _ => (a + b) / 2.0,
    }
}
