//! Atomic monads: sign and rounding, tests for zero and null, mathematics.

use std::sync::Arc;

use kvalue::{
    Attr, Physical, Type,
    types::{INF_LONG, NULL_INT, NULL_LONG, NULL_SHORT},
};

use super::{
    lanes::{Lane, Operand, Source, map, shaped, zip_into},
    shape::{atomic_monad, is_leaf},
    types::of_monad,
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Sym, Value},
};

/// A loop whose results are of the layout of the numbers: in place where nobody else holds the vector.
fn run<C: Lane>(
    ctx: &mut dyn Ctx,
    mut x: Value,
    ty: Type,
    lift: impl for<'a> Fn(&Operand<'a>) -> Source<'a, C>,
    f: impl Fn(C) -> C + Copy + Sync,
) -> R {
    let Some(a) = Operand::of(&x) else { return Err(QError::type_()) };
    let is_same = matches!((&a, lift(&a)), (Operand::Vector(_), Source::Same(_)));
    if is_same
        && let Value::Vector(v) = &mut x
        && let Some(v) = Arc::get_mut(v)
        && let Some(items) = C::owned(&mut v.data)
    {
        zip_into(ctx, items, &Source::One(C::default()), move |x, _| f(x))?;
        (v.ty, v.attr) = (ty, Attr::None);
        return Ok(x);
    }
    let Some(a) = Operand::of(&x) else { return Err(QError::type_()) };
    let n = a.len();
    let out = map(ctx, n.unwrap_or(1), &lift(&a), f)?;
    Ok(shaped(ty, out, n))
}

/// A loop to another layout.
fn to<C: Lane, O: Lane>(
    ctx: &mut dyn Ctx,
    a: &Operand,
    ty: Type,
    x: Source<C>,
    f: impl Fn(C) -> O + Copy + Sync,
) -> R {
    let out = map(ctx, a.len().unwrap_or(1), &x, f)?;
    Ok(shaped(ty, out, a.len()))
}

fn down(ctx: &mut dyn Ctx, x: Value, f: fn(&mut dyn Ctx, Value) -> R) -> R {
    atomic_monad(ctx, x, &mut |ctx, x| f(ctx, x))
}

fn typed(x: &Value, row: &[u8; 18]) -> R<Type> {
    Operand::of(x).and_then(|o| of_monad(row, o.ty())).ok_or_else(QError::type_)
}

/// The wrapping sign change and the absolute value keep null: both give it back as it is.
macro_rules! signed {
    ($(#[$doc:meta])* $name:ident, $whole:ident, $float:expr, $real:expr) => {
        $(#[$doc])*
        pub fn $name(ctx: &mut dyn Ctx, x: Value) -> R {
            match &x {
                Value::Long(n) => return Ok(Value::Long(n.$whole())),
                Value::Float(x) => return Ok(Value::Float($float(*x))),
                x if !is_leaf(x) => return down(ctx, x.clone(), $name),
                _ => {}
            }
            let ty = typed(&x, b"i.ihijefi.pmdznuvt")?;
            match ty.physical() {
                Physical::I16 => run(ctx, x, ty, |o| o.same().unwrap_or(Source::One(0)), |x: i16| x.$whole()),
                Physical::I32 => run(ctx, x, ty, |o| o.ints(), |x: i32| x.$whole()),
                Physical::I64 => run(ctx, x, ty, |o| o.longs(None), |x: i64| x.$whole()),
                Physical::F32 => run(ctx, x, ty, |o| o.reals(), $real),
                _ => run(ctx, x, ty, |o| o.floats(None), $float),
            }
        }
    };
}
signed!(
    /// `neg x`
    neg, wrapping_neg, |x: f64| -x, |x: f32| -x
);
signed!(
    /// `abs x`
    abs, wrapping_abs, f64::abs, f32::abs
);

/// `not x`: true for zero.
pub fn not(ctx: &mut dyn Ctx, x: Value) -> R {
    if let Value::Bool(b) = x {
        return Ok(Value::Bool(!b));
    }
    let Some(a) = Operand::of(&x) else { return down(ctx, x, not) };
    let ty = Type::Boolean;
    match a.ty().physical() {
        Physical::U8 if a.ty() == ty => {
            run(ctx, x, ty, |o| o.same().unwrap_or(Source::One(false)), |x: bool| !x)
        }
        Physical::U8 => to(ctx, &a, ty, a.same().unwrap_or(Source::One(0u8)), |x| x == 0),
        Physical::I16 => to(ctx, &a, ty, a.same().unwrap_or(Source::One(0i16)), |x| x == 0),
        Physical::I32 => to(ctx, &a, ty, a.ints(), |x| x == 0),
        Physical::I64 => to(ctx, &a, ty, a.longs(None), |x| x == 0),
        Physical::F32 | Physical::F64 => to(ctx, &a, ty, a.floats(None), |x| x == 0.0),
        _ => Err(QError::type_()),
    }
}

/// `null x`. An enumeration's item is null where it points nowhere.
pub fn is_null(ctx: &mut dyn Ctx, x: Value) -> R {
    match &x {
        Value::Nil => return Ok(Value::Bool(true)),
        Value::Enum(e) => return Ok(Value::Bool(e.index < 0)),
        Value::Vector(v) => {
            if let Data::Enum(_, codes) = &v.data {
                return Ok(Value::bools(codes.iter().map(|c| *c < 0).collect()));
            }
        }
        x if x.is_function() => return Ok(Value::Bool(false)),
        _ => {}
    }
    let Some(a) = Operand::of(&x) else { return down(ctx, x, is_null) };
    let ty = Type::Boolean;
    macro_rules! same {
        ($t:ty, $null:expr) => {
            to(ctx, &a, ty, a.same().unwrap_or(Source::One(<$t>::default())), $null)
        };
    }
    match a.ty() {
        Type::Boolean => same!(bool, |_: bool| false),
        Type::Byte => same!(u8, |_: u8| false),
        Type::Char => same!(u8, |c: u8| c == b' '),
        Type::Guid => same!([u8; 16], |g: [u8; 16]| g == [0; 16]),
        Type::Symbol => same!(Sym, Sym::is_null),
        other => match other.physical() {
            Physical::I16 => same!(i16, |x: i16| x == NULL_SHORT),
            Physical::I32 => same!(i32, |x: i32| x == NULL_INT),
            Physical::I64 => same!(i64, |x: i64| x == NULL_LONG),
            Physical::F32 => same!(f32, f32::is_nan),
            _ => same!(f64, f64::is_nan),
        },
    }
}

/// A rounded float as a long: null and the infinities become the long's.
fn whole(x: f64) -> i64 {
    if x.is_nan() { NULL_LONG } else { (x as i64).max(-INF_LONG) }
}

/// `floor x`; of text the lower case.
pub fn floor(ctx: &mut dyn Ctx, x: Value) -> R {
    let Some(a) = Operand::of(&x) else { return down(ctx, x, floor) };
    match a.ty() {
        Type::Short | Type::Int | Type::Long => Ok(x),
        Type::Real | Type::Float => to(ctx, &a, Type::Long, a.floats(None), |x| whole(x.floor())),
        Type::Char => {
            run(ctx, x, Type::Char, |o| o.same().unwrap_or(Source::One(0)), |c: u8| c.to_ascii_lowercase())
        }
        Type::Symbol => to(ctx, &a, Type::Symbol, a.same().unwrap_or(Source::One(Sym::NULL)), |s: Sym| {
            Sym::new(s.bytes().to_ascii_lowercase())
        }),
        _ => Err(QError::type_()),
    }
}

/// `ceiling x`
pub fn ceiling(ctx: &mut dyn Ctx, x: Value) -> R {
    let Some(a) = Operand::of(&x) else { return down(ctx, x, ceiling) };
    match a.ty() {
        Type::Short | Type::Int | Type::Long => Ok(x),
        Type::Real | Type::Float => to(ctx, &a, Type::Long, a.floats(None), |x| whole(x.ceil())),
        Type::Boolean | Type::Byte | Type::Char => to(ctx, &a, Type::Int, a.ints(), |x| x),
        _ => Err(QError::type_()),
    }
}

/// `signum x`: -1 for null, as it is below zero.
pub fn signum(ctx: &mut dyn Ctx, x: Value) -> R {
    let Some(a) = Operand::of(&x) else { return down(ctx, x, signum) };
    let ty = Type::Int;
    match a.ty().physical() {
        Physical::I32 => run(ctx, x, ty, |o| o.ints(), i32::signum),
        Physical::F32 | Physical::F64 => {
            to(ctx, &a, ty, a.floats(None), |x| i32::from(x > 0.0) - i32::from(x < 0.0 || x.is_nan()))
        }
        Physical::Guid | Physical::Symbol => Err(QError::type_()),
        _ => to(ctx, &a, ty, a.longs(None), |n| n.signum() as i32),
    }
}

/// A function of a float; a datetime stays one.
fn of_float(
    ctx: &mut dyn Ctx,
    x: Value,
    this: fn(&mut dyn Ctx, Value) -> R,
    f: impl Fn(f64) -> f64 + Copy + Sync,
) -> R {
    if let Value::Float(x) = x {
        return Ok(Value::Float(f(x)));
    }
    if !is_leaf(&x) {
        return down(ctx, x, this);
    }
    let ty = typed(&x, b"f.fffffff.fffzffff")?;
    run(ctx, x, ty, |o| o.floats(None), f)
}

macro_rules! floats {
    ($($(#[$doc:meta])* $name:ident $f:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(ctx: &mut dyn Ctx, x: Value) -> R {
            of_float(ctx, x, $name, $f)
        }
    )*};
}
floats! {
    /// `reciprocal x`
    reciprocal |x| 1.0 / x;
    /// `sqrt x`; null below zero
    sqrt f64::sqrt;
    /// `exp x`
    exp f64::exp;
    /// `log x`; null below zero
    log f64::ln;
    /// `sin x`
    sin f64::sin;
    /// `cos x`
    cos f64::cos;
    /// `tan x`
    tan f64::tan;
    /// `asin x`
    asin f64::asin;
    /// `acos x`
    acos f64::acos;
    /// `atan x`
    atan f64::atan;
}

/// The numbers of a vector or atom as floats; `None` for symbols, guids and everything else.
pub fn floats_of(v: &Value) -> Option<Vec<f64>> {
    let a = Operand::of(v)?;
    if matches!(a.ty(), Type::Symbol | Type::Guid) {
        return None;
    }
    Some(a.floats(None).collect(a.len().unwrap_or(1)))
}
