//! The dyads on atoms and vectors: which kind of number two operands meet in, and the loop over it.

use std::sync::Arc;

use kvalue::{
    Attr, Physical, Type,
    types::{NULL_INT, NULL_LONG, NULL_SHORT},
};

use super::{
    clock,
    lanes::{Lane, Operand, Source, shaped, zip, zip_into},
    numbers::{self, int, long},
    types::{self, Verb},
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Sym, Value, order},
};

/// Where two operands' results go: the length of the result, `None` for an atom.
fn length(a: &Operand, b: &Operand) -> R<Option<usize>> {
    match (a.len(), b.len()) {
        (Some(a), Some(b)) if a != b => Err(QError::length()),
        (a, b) => Ok(a.or(b)),
    }
}

/// `x verb y` for atoms and vectors of basic types; the caller has looked that they are.
pub(super) fn leaf(ctx: &mut dyn Ctx, verb: Verb, x: Value, y: Value) -> R {
    let (Some(a), Some(b)) = (Operand::of(&x), Operand::of(&y)) else { return Err(QError::type_()) };
    let n = length(&a, &b)?;
    let ty = types::of(verb, a.ty(), b.ty()).ok_or_else(QError::type_)?;
    match verb {
        Verb::Add | Verb::Subtract | Verb::Multiply | Verb::Divide => arithmetic(ctx, verb, x, y, ty),
        Verb::Xexp | Verb::Xlog => run(ctx, x, y, ty, |o| o.floats(None), |x, y| numbers::float(verb, x, y)),
        Verb::Lesser | Verb::Greater => bound(ctx, verb, x, y, ty),
        Verb::Mod | Verb::Div | Verb::Xbar => rounding(ctx, verb, &a, &b, ty, n),
        Verb::Fill => fill(ctx, &a, &b, ty, n),
        _ => compare(ctx, verb, &a, &b, n),
    }
}

/// A loop whose numbers are of the result's layout: in place where nobody else holds an operand.
fn run<C: Lane>(
    ctx: &mut dyn Ctx,
    mut x: Value,
    mut y: Value,
    ty: Type,
    lift: impl for<'a> Fn(&Operand<'a>) -> Source<'a, C>,
    f: impl Fn(C, C) -> C + Copy + Sync,
) -> R {
    let (Some(a), Some(b)) = (Operand::of(&x), Operand::of(&y)) else { return Err(QError::type_()) };
    let n = length(&a, &b)?;
    let (left, right) = (
        matches!((&a, lift(&a)), (Operand::Vector(_), Source::Same(_))),
        matches!((&b, lift(&b)), (Operand::Vector(_), Source::Same(_))),
    );
    if left
        && let Value::Vector(v) = &mut x
        && let Some(v) = Arc::get_mut(v)
        && let Some(items) = C::owned(&mut v.data)
        && let Some(b) = Operand::of(&y)
    {
        zip_into(ctx, items, &lift(&b), f)?;
        (v.ty, v.attr) = (ty, Attr::None);
        return Ok(x);
    }
    if right
        && let Value::Vector(v) = &mut y
        && let Some(v) = Arc::get_mut(v)
        && let Some(items) = C::owned(&mut v.data)
        && let Some(a) = Operand::of(&x)
    {
        zip_into(ctx, items, &lift(&a), move |y, x| f(x, y))?;
        (v.ty, v.attr) = (ty, Attr::None);
        return Ok(y);
    }
    let (Some(a), Some(b)) = (Operand::of(&x), Operand::of(&y)) else { return Err(QError::type_()) };
    let out = zip(ctx, n.unwrap_or(1), &lift(&a), &lift(&b), f)?;
    Ok(shaped(ty, out, n))
}

fn is_float(ty: Type) -> bool {
    matches!(ty.physical(), Physical::F32 | Physical::F64)
}

fn arithmetic(ctx: &mut dyn Ctx, verb: Verb, x: Value, y: Value, ty: Type) -> R {
    let (Some(a), Some(b)) = (Operand::of(&x), Operand::of(&y)) else { return Err(QError::type_()) };
    let (ta, tb) = (a.ty(), b.ty());
    let differ = ta.is_temporal() && tb.is_temporal() && ta != tb;
    if verb == Verb::Divide {
        let clock = if differ { clock::common(ta, tb) } else { None };
        return run(ctx, x, y, ty, |o| o.floats(clock), |x, y| x / y);
    }
    let floating = is_float(ta) || is_float(tb);
    // The difference of two instants is taken between them, not between their times of day.
    let clock = match (differ, ty) {
        (true, Type::Timespan) if clock::is_instant(ta) && clock::is_instant(tb) => Some(Type::Timestamp),
        (true, ty) => Some(ty),
        _ => None,
    };
    macro_rules! three {
        ($lift:expr, $add:expr, $sub:expr, $mul:expr) => {
            match verb {
                Verb::Add => run(ctx, x, y, ty, $lift, $add),
                Verb::Subtract => run(ctx, x, y, ty, $lift, $sub),
                _ => run(ctx, x, y, ty, $lift, $mul),
            }
        };
    }
    match ty.physical() {
        Physical::I32 if floating && !differ => through_floats(ctx, verb, &a, &b, ty, None),
        Physical::I64 if floating && !differ => through_floats(ctx, verb, &a, &b, ty, None),
        Physical::I32 if differ => through_longs(ctx, verb, &a, &b, ty, clock),
        Physical::I32 => three!(|o| o.ints(), int::add, int::sub, int::mul),
        Physical::I64 => three!(|o| o.longs(clock), long::add, long::sub, long::mul),
        Physical::F32 => three!(|o| o.reals(), |x, y| x + y, |x, y| x - y, |x, y| x * y),
        _ => {
            let days = if ty == Type::Datetime { Some(ty) } else { None };
            three!(|o| o.floats(days), |x, y| x + y, |x, y| x - y, |x, y| x * y)
        }
    }
}

/// Computed in longs, on the clock given, then cut to the result's layout.
fn through_longs(
    ctx: &mut dyn Ctx,
    verb: Verb,
    a: &Operand,
    b: &Operand,
    ty: Type,
    clock: Option<Type>,
) -> R {
    let n = length(a, b)?;
    let (x, y, len) = (a.longs(clock), b.longs(clock), n.unwrap_or(1));
    let f = move |x, y| numbers::whole(verb, x, y);
    Ok(match ty.physical() {
        Physical::U8 if ty == Type::Boolean => {
            shaped(ty, zip(ctx, len, &x, &y, move |x, y| f(x, y) != 0)?, n)
        }
        Physical::U8 => shaped(ty, zip(ctx, len, &x, &y, move |x, y| f(x, y) as u8)?, n),
        Physical::I16 => shaped(ty, zip(ctx, len, &x, &y, move |x, y| short_of(f(x, y)))?, n),
        Physical::I32 => shaped(ty, zip(ctx, len, &x, &y, move |x, y| int_of(f(x, y)))?, n),
        _ => shaped(ty, zip(ctx, len, &x, &y, f)?, n),
    })
}

/// Computed in floats, then rounded to the result's layout.
fn through_floats(
    ctx: &mut dyn Ctx,
    verb: Verb,
    a: &Operand,
    b: &Operand,
    ty: Type,
    clock: Option<Type>,
) -> R {
    let n = length(a, b)?;
    let (x, y, len) = (a.floats(clock), b.floats(clock), n.unwrap_or(1));
    let f = move |x, y| numbers::float(verb, x, y);
    Ok(match ty.physical() {
        Physical::U8 if ty == Type::Boolean => {
            shaped(ty, zip(ctx, len, &x, &y, move |x, y| f(x, y) != 0.0)?, n)
        }
        Physical::U8 => shaped(ty, zip(ctx, len, &x, &y, move |x, y| f(x, y).round() as u8)?, n),
        Physical::I16 => shaped(ty, zip(ctx, len, &x, &y, move |x, y| short_of(long_of(f(x, y))))?, n),
        Physical::I32 => shaped(ty, zip(ctx, len, &x, &y, move |x, y| int_of(long_of(f(x, y))))?, n),
        Physical::F32 => shaped(ty, zip(ctx, len, &x, &y, move |x, y| f(x, y) as f32)?, n),
        Physical::F64 => shaped(ty, zip(ctx, len, &x, &y, f)?, n),
        _ => shaped(ty, zip(ctx, len, &x, &y, move |x, y| long_of(f(x, y)))?, n),
    })
}

fn short_of(n: i64) -> i16 {
    if n == NULL_LONG { NULL_SHORT } else { n as i16 }
}

fn int_of(n: i64) -> i32 {
    if n == NULL_LONG { NULL_INT } else { n as i32 }
}

fn long_of(x: f64) -> i64 {
    if x.is_nan() { NULL_LONG } else { x.round() as i64 }
}

/// `&` and `|`.
fn bound(ctx: &mut dyn Ctx, verb: Verb, x: Value, y: Value, ty: Type) -> R {
    let (Some(a), Some(b)) = (Operand::of(&x), Operand::of(&y)) else { return Err(QError::type_()) };
    let (ta, tb) = (a.ty(), b.ty());
    let clock = (ta.is_temporal() && tb.is_temporal() && ta != tb).then_some(ty);
    macro_rules! two {
        ($t:ty, $least:expr, $most:expr) => {
            match verb {
                Verb::Lesser => {
                    run::<$t>(ctx, x, y, ty, |o| o.same().unwrap_or(Source::One(<$t>::default())), $least)
                }
                _ => run::<$t>(ctx, x, y, ty, |o| o.same().unwrap_or(Source::One(<$t>::default())), $most),
            }
        };
    }
    if ta == tb
        || ta.physical() == tb.physical() && ta != Type::Boolean && tb != Type::Boolean && clock.is_none()
    {
        return match ty.physical() {
            _ if ty == Type::Boolean => two!(bool, |x, y| x & y, |x, y| x | y),
            Physical::U8 => two!(u8, Ord::min, Ord::max),
            Physical::I16 => two!(i16, Ord::min, Ord::max),
            Physical::I32 => two!(i32, Ord::min, Ord::max),
            Physical::I64 => two!(i64, Ord::min, Ord::max),
            Physical::F32 => two!(f32, numbers::lesser_real, numbers::greater_real),
            _ => two!(f64, numbers::lesser, numbers::greater),
        };
    }
    if is_float(ty) || is_float(ta) || is_float(tb) {
        return through_floats(ctx, verb, &a, &b, ty, clock);
    }
    through_longs(ctx, verb, &a, &b, ty, clock)
}

fn rounding(ctx: &mut dyn Ctx, verb: Verb, a: &Operand, b: &Operand, ty: Type, n: Option<usize>) -> R {
    let (ta, tb) = (a.ty(), b.ty());
    let differ = ta.is_temporal() && tb.is_temporal() && ta != tb;
    if is_float(ta) || is_float(tb) || is_float(ty) {
        let clock = (differ && verb == Verb::Mod).then_some(ty);
        if verb == Verb::Div && !is_float(ty) {
            let (x, y) = (a.floats(None), b.floats(None));
            let out = zip(ctx, n.unwrap_or(1), &x, &y, |x, y| long_of((x / y).floor()))?;
            return Ok(narrowed(ty, out, n));
        }
        return through_floats(ctx, verb, a, b, ty, clock);
    }
    match verb {
        Verb::Mod if differ => through_longs(ctx, verb, a, b, ty, Some(ty)),
        // The width of a bar is a length of time: in the units of what is rounded.
        Verb::Xbar if differ && clock::unit(ta).is_some() && clock::unit(tb).is_some() => {
            let (from, to) = (clock::unit(ta).unwrap_or(1), clock::unit(tb).unwrap_or(1));
            let scale = move |w: i64| match w {
                NULL_LONG => NULL_LONG,
                w => (i128::from(w) * i128::from(from) / i128::from(to)).clamp(0, i64::MAX.into()) as i64,
            };
            let widths: Vec<i64> =
                a.longs(None).collect(a.len().unwrap_or(1)).into_iter().map(scale).collect();
            let x = match (a.len(), widths.first()) {
                (None, Some(w)) => Source::One(*w),
                _ => Source::Same(&widths[..]),
            };
            let out = zip(ctx, n.unwrap_or(1), &x, &b.longs(None), numbers::xbar_long)?;
            Ok(narrowed(ty, out, n))
        }
        verb => through_longs(ctx, verb, a, b, ty, None),
    }
}

/// Longs cut to the layout of a type.
fn narrowed(ty: Type, items: Vec<i64>, n: Option<usize>) -> Value {
    match ty.physical() {
        Physical::I32 => shaped(ty, items.into_iter().map(int_of).collect::<Vec<i32>>(), n),
        _ => shaped(ty, items, n),
    }
}

/// `x^y`: `y`, with `x` where it is null.
fn fill(ctx: &mut dyn Ctx, a: &Operand, b: &Operand, ty: Type, n: Option<usize>) -> R {
    let len = n.unwrap_or(1);
    macro_rules! same {
        ($t:ty, $null:expr) => {
            if let (Some(x), Some(y)) = (a.same::<$t>(), b.same::<$t>()) {
                let null = $null;
                return Ok(shaped(ty, zip(ctx, len, &x, &y, move |x, y| if null(y) { x } else { y })?, n));
            }
        };
    }
    if a.ty() == b.ty() {
        match ty {
            Type::Boolean => same!(bool, |_: bool| false),
            Type::Char => same!(u8, |c: u8| c == b' '),
            Type::Byte => same!(u8, |_: u8| false),
            Type::Symbol => same!(Sym, Sym::is_null),
            Type::Guid => same!([u8; 16], |g: [u8; 16]| g == [0; 16]),
            _ => {}
        }
        same!(i16, |x: i16| x == NULL_SHORT);
        same!(i32, |x: i32| x == NULL_INT);
        same!(i64, |x: i64| x == NULL_LONG);
        same!(f32, f32::is_nan);
        same!(f64, f64::is_nan);
    }
    let clock = (a.ty().is_temporal() && b.ty().is_temporal() && a.ty() != b.ty()).then_some(ty);
    if is_float(ty) || is_float(a.ty()) || is_float(b.ty()) {
        return through_floats(ctx, Verb::Fill, a, b, ty, clock);
    }
    through_longs(ctx, Verb::Fill, a, b, ty, clock)
}

fn compare(ctx: &mut dyn Ctx, verb: Verb, a: &Operand, b: &Operand, n: Option<usize>) -> R {
    let (ta, tb, len) = (a.ty(), b.ty(), n.unwrap_or(1));
    macro_rules! with {
        ($x:expr, $y:expr, $eq:expr, $lt:expr) => {{
            let (x, y, eq, lt) = ($x, $y, $eq, $lt);
            let out = match verb {
                Verb::Equal => zip(ctx, len, &x, &y, eq)?,
                Verb::NotEqual => zip(ctx, len, &x, &y, move |x, y| !eq(x, y))?,
                Verb::Less => zip(ctx, len, &x, &y, lt)?,
                Verb::More => zip(ctx, len, &x, &y, move |x, y| lt(y, x))?,
                Verb::AtMost => zip(ctx, len, &x, &y, move |x, y| !lt(y, x))?,
                _ => zip(ctx, len, &x, &y, move |x, y| !lt(x, y))?,
            };
            return Ok(shaped(Type::Boolean, out, n));
        }};
    }
    macro_rules! same {
        ($t:ty) => {
            if let (Some(x), Some(y)) = (a.same::<$t>(), b.same::<$t>()) {
                with!(x, y, |x: $t, y: $t| x == y, |x: $t, y: $t| x < y)
            }
        };
    }
    let clock = (ta.is_temporal() && tb.is_temporal() && ta != tb).then(|| clock::common(ta, tb)).flatten();
    if clock.is_none() {
        if let (Some(x), Some(y)) = (a.same::<f64>(), b.same::<f64>()) {
            with!(x, y, numbers::same, numbers::less)
        }
        same!(i64);
        same!(i32);
        same!(bool);
        same!(u8);
        same!(i16);
        same!([u8; 16]);
        if let (Some(x), Some(y)) = (a.same::<Sym>(), b.same::<Sym>()) {
            with!(x, y, |x: Sym, y: Sym| x == y, |x: Sym, y: Sym| order(x, y).is_lt())
        }
    }
    if is_float(clock.unwrap_or(ta)) || is_float(clock.unwrap_or(tb)) {
        with!(a.floats(clock), b.floats(clock), numbers::same, numbers::less)
    }
    with!(a.longs(clock), b.longs(clock), |x: i64, y: i64| x == y, |x: i64, y: i64| x < y)
}
