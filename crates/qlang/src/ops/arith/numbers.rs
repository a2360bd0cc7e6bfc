//! What the dyads do to two numbers of one layout: integers with null, floats with NaN for null.

use std::cmp::Ordering;

use kvalue::types::{NULL_INT, NULL_LONG};

use super::{lanes::float_of_long, types::Verb};
use crate::value::Value;

/// Relative difference up to which floats count as equal.
const TOLERANCE: f64 = 1.0 / (1u64 << 43) as f64;

macro_rules! integers {
    ($($name:ident, $t:ty, $null:expr;)*) => {$(
        /// Integers with null: null in, null out; overflow wraps.
        pub mod $name {
            /// Sum.
            #[inline(always)]
            pub fn add(x: $t, y: $t) -> $t {
                if (x == $null) | (y == $null) { $null } else { x.wrapping_add(y) }
            }
            /// Difference.
            #[inline(always)]
            pub fn sub(x: $t, y: $t) -> $t {
                if (x == $null) | (y == $null) { $null } else { x.wrapping_sub(y) }
            }
            /// Product.
            #[inline(always)]
            pub fn mul(x: $t, y: $t) -> $t {
                if (x == $null) | (y == $null) { $null } else { x.wrapping_mul(y) }
            }
        }
    )*};
}
integers! { int, i32, super::NULL_INT; long, i64, super::NULL_LONG; }

/// Floor division; null where an operand is null or the divisor 0.
#[inline(always)]
pub fn div_long(x: i64, y: i64) -> i64 {
    if x == NULL_LONG || y == NULL_LONG || y == 0 {
        return NULL_LONG;
    }
    let (q, r) = (x / y, x % y);
    q - i64::from(r != 0 && (r < 0) != (y < 0))
}

/// What floor division leaves: of the divisor's sign.
#[inline(always)]
pub fn mod_long(x: i64, y: i64) -> i64 {
    if x == NULL_LONG || y == NULL_LONG || y == 0 {
        return NULL_LONG;
    }
    let r = x % y;
    if r != 0 && (r < 0) != (y < 0) { r + y } else { r }
}

/// The multiple of `x` at or below `y`.
#[inline(always)]
pub fn xbar_long(x: i64, y: i64) -> i64 {
    match div_long(y, x) {
        NULL_LONG => NULL_LONG,
        n => n.wrapping_mul(x),
    }
}

/// As [`mod_long`].
#[inline(always)]
pub fn mod_float(x: f64, y: f64) -> f64 {
    x - y * (x / y).floor()
}

/// As [`xbar_long`].
#[inline(always)]
pub fn xbar_float(x: f64, y: f64) -> f64 {
    x * (y / x).floor()
}

/// `exp y * log x`; 1 for an exponent of zero.
pub fn xexp(x: f64, y: f64) -> f64 {
    match (x, y) {
        (x, _) if x < 0.0 || x.is_nan() => f64::NAN,
        (_, 0.0) => 1.0,
        (x, y) => (y * x.ln()).exp(),
    }
}

/// The logarithm of `y` to base `x`.
pub fn xlog(x: f64, y: f64) -> f64 {
    y.ln() / x.ln()
}

/// Equal within the tolerance; null equals null.
#[inline(always)]
pub fn same(x: f64, y: f64) -> bool {
    let (a, b) = (x.abs(), y.abs());
    let far = (x - y).abs();
    let most = if a > b { a } else { b };
    (x == y) | ((far <= TOLERANCE * most) & (far < f64::INFINITY)) | (x.is_nan() & y.is_nan())
}

/// Less, and not equal within the tolerance; null is below all.
#[inline(always)]
pub fn less(x: f64, y: f64) -> bool {
    ((x < y) | (x.is_nan() & !y.is_nan())) & !same(x, y)
}

/// The lesser float, null below all.
#[inline(always)]
pub fn lesser(x: f64, y: f64) -> f64 {
    if (x < y) | x.is_nan() { x } else { y }
}

/// The greater float, null below all.
#[inline(always)]
pub fn greater(x: f64, y: f64) -> f64 {
    if (x > y) | y.is_nan() { x } else { y }
}

/// As [`lesser`].
#[inline(always)]
pub fn lesser_real(x: f32, y: f32) -> f32 {
    if (x < y) | x.is_nan() { x } else { y }
}

/// As [`greater`].
#[inline(always)]
pub fn greater_real(x: f32, y: f32) -> f32 {
    if (x > y) | y.is_nan() { x } else { y }
}

/// What a comparison says of an order.
pub fn says(verb: Verb, o: Ordering) -> bool {
    match verb {
        Verb::Equal => o.is_eq(),
        Verb::NotEqual => o.is_ne(),
        Verb::Less => o.is_lt(),
        Verb::More => o.is_gt(),
        Verb::AtMost => o.is_le(),
        _ => o.is_ge(),
    }
}

/// Two atoms of the commonest types without a detour; `None` for the others.
#[inline]
pub fn atoms(verb: Verb, x: &Value, y: &Value) -> Option<Value> {
    match (x, y) {
        (Value::Long(x), Value::Long(y)) => long_atoms(verb, *x, *y),
        (Value::Float(x), Value::Float(y)) => Some(float_atoms(verb, *x, *y)),
        (Value::Float(x), Value::Long(y)) => Some(float_atoms(verb, *x, float_of_long(*y))),
        (Value::Long(x), Value::Float(y)) if verb != Verb::Div => {
            Some(float_atoms(verb, float_of_long(*x), *y))
        }
        (Value::Int(x), Value::Int(y)) => match verb {
            Verb::Add => Some(Value::Int(int::add(*x, *y))),
            Verb::Subtract => Some(Value::Int(int::sub(*x, *y))),
            Verb::Multiply => Some(Value::Int(int::mul(*x, *y))),
            _ if verb.is_comparison() => Some(Value::Bool(says(verb, x.cmp(y)))),
            _ => None,
        },
        // The other side's type decides, but for `div`, which keeps the left one's.
        (Value::Int(x), Value::Long(y)) if verb != Verb::Div => long_atoms(verb, widened(*x), *y),
        (Value::Long(x), Value::Int(y)) => long_atoms(verb, *x, widened(*y)),
        (Value::Bool(x), Value::Long(y)) if verb != Verb::Div => long_atoms(verb, i64::from(*x), *y),
        (Value::Long(x), Value::Bool(y)) => long_atoms(verb, *x, i64::from(*y)),
        (Value::Timestamp(x), Value::Timestamp(y)) | (Value::Timespan(x), Value::Timespan(y))
            if verb.is_comparison() =>
        {
            Some(Value::Bool(says(verb, x.cmp(y))))
        }
        (Value::Date(x), Value::Date(y))
        | (Value::Time(x), Value::Time(y))
        | (Value::Second(x), Value::Second(y))
        | (Value::Minute(x), Value::Minute(y))
        | (Value::Month(x), Value::Month(y))
            if verb.is_comparison() =>
        {
            Some(Value::Bool(says(verb, x.cmp(y))))
        }
        (Value::Bool(x), Value::Bool(y)) => match verb {
            Verb::Lesser => Some(Value::Bool(*x & *y)),
            Verb::Greater => Some(Value::Bool(*x | *y)),
            _ if verb.is_comparison() => Some(Value::Bool(says(verb, x.cmp(y)))),
            _ => None,
        },
        (Value::Char(x), Value::Char(y)) if verb.is_comparison() => Some(Value::Bool(says(verb, x.cmp(y)))),
        (Value::Sym(x), Value::Sym(y)) if verb.is_comparison() => {
            Some(Value::Bool(says(verb, crate::value::order(*x, *y))))
        }
        _ => None,
    }
}

/// An int as a long, null kept.
#[inline(always)]
fn widened(n: i32) -> i64 {
    if n == NULL_INT { NULL_LONG } else { i64::from(n) }
}

#[inline(always)]
fn long_atoms(verb: Verb, x: i64, y: i64) -> Option<Value> {
    Some(match verb {
        Verb::Add => Value::Long(long::add(x, y)),
        Verb::Subtract => Value::Long(long::sub(x, y)),
        Verb::Multiply => Value::Long(long::mul(x, y)),
        Verb::Divide | Verb::Xexp | Verb::Xlog => {
            return Some(float_atoms(verb, float_of_long(x), float_of_long(y)));
        }
        Verb::Lesser => Value::Long(x.min(y)),
        Verb::Greater => Value::Long(x.max(y)),
        Verb::Mod => Value::Long(mod_long(x, y)),
        Verb::Div => Value::Long(div_long(x, y)),
        Verb::Xbar => Value::Long(xbar_long(x, y)),
        Verb::Fill => Value::Long(if y == NULL_LONG { x } else { y }),
        _ => Value::Bool(says(verb, x.cmp(&y))),
    })
}

#[inline(always)]
fn float_atoms(verb: Verb, x: f64, y: f64) -> Value {
    match verb {
        Verb::Equal => Value::Bool(same(x, y)),
        Verb::NotEqual => Value::Bool(!same(x, y)),
        Verb::Less => Value::Bool(less(x, y)),
        Verb::More => Value::Bool(less(y, x)),
        Verb::AtMost => Value::Bool(!less(y, x)),
        Verb::AtLeast => Value::Bool(!less(x, y)),
        verb => Value::Float(float(verb, x, y)),
    }
}

/// A verb of two floats whose result is a float.
#[inline(always)]
pub fn float(verb: Verb, x: f64, y: f64) -> f64 {
    match verb {
        Verb::Add => x + y,
        Verb::Subtract => x - y,
        Verb::Multiply => x * y,
        Verb::Divide => x / y,
        Verb::Lesser => lesser(x, y),
        Verb::Greater => greater(x, y),
        Verb::Mod => mod_float(x, y),
        Verb::Div => (x / y).floor(),
        Verb::Xbar => xbar_float(x, y),
        Verb::Xexp => xexp(x, y),
        Verb::Xlog => xlog(x, y),
        _ => {
            if y.is_nan() {
                x
            } else {
                y
            }
        }
    }
}

/// A verb of two longs whose result is a long.
#[inline(always)]
pub fn whole(verb: Verb, x: i64, y: i64) -> i64 {
    match verb {
        Verb::Add => long::add(x, y),
        Verb::Subtract => long::sub(x, y),
        Verb::Multiply => long::mul(x, y),
        Verb::Lesser => x.min(y),
        Verb::Greater => x.max(y),
        Verb::Mod => mod_long(x, y),
        Verb::Div => div_long(x, y),
        Verb::Xbar => xbar_long(x, y),
        _ => {
            if y == NULL_LONG {
                x
            } else {
                y
            }
        }
    }
}
