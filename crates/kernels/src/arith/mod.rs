//! Arithmetic over atoms, vectors and lists: `+ - * % & |` and `neg`.
//!
//! Types follow q's tables (`types.rs`). An integral null makes the result null; overflow wraps at the width of the
//! result; infinities of integers are plain numbers, as in q. Temporal operands of different types meet on the
//! result's clock: `2000.11.22 + 03:44:55.666` counts both in nanoseconds. `&` takes null as the lowest, as
//! comparison does. Tests: `arith/tests.rs`.

mod types;

use kvalue::{
    Physical, Type, Value, Vector,
    types::{NULL_FLOAT, NULL_INT, NULL_LONG, NULL_REAL, NULL_SHORT},
};

use crate::{KernelError, order::order_floats, temporal};
use types::Verb;

/// `a + b`. `'type` by q's table, `'length` for lists of different lengths.
pub fn add(a: &Value, b: &Value) -> Result<Value, KernelError> {
    dyad(Verb::Add, a, b)
}

/// `a - b`.
pub fn sub(a: &Value, b: &Value) -> Result<Value, KernelError> {
    dyad(Verb::Subtract, a, b)
}

/// `a * b`.
pub fn mul(a: &Value, b: &Value) -> Result<Value, KernelError> {
    dyad(Verb::Multiply, a, b)
}

/// `a % b`: always floats.
pub fn div(a: &Value, b: &Value) -> Result<Value, KernelError> {
    dyad(Verb::Divide, a, b)
}

/// `a & b`: the lesser.
pub fn min2(a: &Value, b: &Value) -> Result<Value, KernelError> {
    dyad(Verb::Lesser, a, b)
}

/// `a | b`: the greater.
pub fn max2(a: &Value, b: &Value) -> Result<Value, KernelError> {
    dyad(Verb::Greater, a, b)
}

/// `neg a`.
pub fn neg(a: &Value) -> Result<Value, KernelError> {
    if let Value::List(l) = a {
        return Ok(Value::list(l.items().iter().map(neg).collect::<Result<Vec<_>, _>>()?));
    }
    let refuse = || KernelError::types("neg", &[a], "it takes numbers and temporal types");
    let from = type_of(a).ok_or_else(refuse)?;
    let ty = types::of_negation(from).ok_or_else(refuse)?;
    let out = match numbers(a, from, ty) {
        Numbers::Float(items) => of_floats(ty, items.iter().map(|x| -x)),
        Numbers::Whole(items) => of_whole(ty, items.iter().map(|n| n.map(i64::wrapping_neg))),
    };
    Ok(shaped(out, matches!(a, Value::Atom(_))))
}

/// An operand's items in the kind of number the result is computed in.
enum Numbers {
    /// `None` is null
    Whole(Vec<Option<i64>>),
    /// NaN is null
    Float(Vec<f64>),
}

fn type_of(v: &Value) -> Option<Type> {
    match v {
        Value::Atom(a) => Some(a.ty()),
        Value::Vector(v) => Some(v.ty()),
        _ => None,
    }
}

fn dyad(verb: Verb, a: &Value, b: &Value) -> Result<Value, KernelError> {
    if matches!(a, Value::List(_)) || matches!(b, Value::List(_)) {
        return itemwise(verb, a, b);
    }
    let refuse =
        || KernelError::types(verb.name(), &[a, b], "it takes numbers and temporal types that combine");
    let (ta, tb) = type_of(a).zip(type_of(b)).ok_or_else(refuse)?;
    let ty = types::of(verb, ta, tb).ok_or_else(refuse)?;
    if let (Value::Vector(x), Value::Vector(y)) = (a, b)
        && x.len() != y.len()
    {
        let what = format!("right operand of {}", verb.name());
        return Err(KernelError::Length { what, got: y.len(), expected: x.len() });
    }
    let both_atoms = matches!((a, b), (Value::Atom(_), Value::Atom(_)));
    // A ratio of two temporals of different types is taken on their common clock.
    let clock = match (verb, ta.is_temporal() && tb.is_temporal()) {
        (Verb::Divide, true) => temporal::common(ta, tb).unwrap_or(ty),
        // The difference of two instants is taken between them, not between their times of day.
        (Verb::Add | Verb::Subtract, true) if ta == tb => ta,
        _ => ty,
    };
    let (x, y) = match (verb, ty.physical()) {
        (Verb::Divide, _) => (numbers(a, ta, clock).floats(), numbers(b, tb, clock).floats()),
        (_, Physical::F32 | Physical::F64) => {
            (numbers(a, ta, clock).floats(), numbers(b, tb, clock).floats())
        }
        _ => (numbers(a, ta, clock), numbers(b, tb, clock)),
    };
    let len = if matches!(a, Value::Atom(_)) { b.count() } else { a.count() };
    let out = match (x, y) {
        (Numbers::Whole(x), Numbers::Whole(y)) => {
            of_whole(ty, zip(&x, &y, len).map(|(x, y)| whole(verb, x, y)))
        }
        (x, y) => {
            let (x, y) = (x.into_floats(), y.into_floats());
            let all = zip(&x, &y, len).map(|(x, y)| float(verb, x, y));
            match ty.physical() {
                Physical::F32 | Physical::F64 => of_floats(ty, all),
                // A real met a type that counts in whole numbers: the nearest one.
                _ => of_whole(ty, all.map(|x| (!x.is_nan()).then(|| x.round() as i64))),
            }
        }
    };
    Ok(shaped(out, both_atoms))
}

/// Pairs of items; a single one stands for all.
fn zip<'a, T: Copy>(x: &'a [T], y: &'a [T], len: usize) -> impl Iterator<Item = (T, T)> + 'a {
    let at = |items: &'a [T], i: usize| if items.len() == 1 { items[0] } else { items[i] };
    (0..len).map(move |i| (at(x, i), at(y, i)))
}

fn itemwise(verb: Verb, a: &Value, b: &Value) -> Result<Value, KernelError> {
    let is_one = |v: &Value| !matches!(v, Value::List(_) | Value::Vector(_));
    let len = if is_one(a) { b.count() } else { a.count() };
    if !is_one(a) && !is_one(b) && b.count() != len {
        let what = format!("right operand of {}", verb.name());
        return Err(KernelError::Length { what, got: b.count(), expected: len });
    }
    let item = |v: &Value, i: usize| if is_one(v) { v.clone() } else { v.index(i) };
    let items = (0..len).map(|i| dyad(verb, &item(a, i), &item(b, i))).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::list(items))
}

fn whole(verb: Verb, x: Option<i64>, y: Option<i64>) -> Option<i64> {
    match verb {
        // `None` is below every number, as null is.
        Verb::Lesser => x.min(y),
        Verb::Greater => x.max(y),
        Verb::Add => Some(x?.wrapping_add(y?)),
        Verb::Subtract => Some(x?.wrapping_sub(y?)),
        Verb::Multiply | Verb::Divide => Some(x?.wrapping_mul(y?)),
    }
}

fn float(verb: Verb, x: f64, y: f64) -> f64 {
    match verb {
        Verb::Add => x + y,
        Verb::Subtract => x - y,
        Verb::Multiply => x * y,
        Verb::Divide => x / y,
        Verb::Lesser => {
            if order_floats(x, y).is_le() {
                x
            } else {
                y
            }
        }
        Verb::Greater => {
            if order_floats(x, y).is_ge() {
                x
            } else {
                y
            }
        }
    }
}

impl Numbers {
    fn into_floats(self) -> Vec<f64> {
        match self {
            Numbers::Float(items) => items,
            Numbers::Whole(items) => items.into_iter().map(|n| n.map_or(f64::NAN, |n| n as f64)).collect(),
        }
    }

    fn floats(self) -> Numbers {
        Numbers::Float(self.into_floats())
    }
}

/// An operand's items, on the clock of `to` where both types are temporal.
fn numbers(v: &Value, from: Type, to: Type) -> Numbers {
    let single;
    let vector = match v {
        Value::Atom(a) => {
            single = Vector::repeat(a, 1);
            &single
        }
        Value::Vector(v) => v,
        _ => return Numbers::Whole(Vec::new()),
    };
    let moves = from != to && from.is_temporal() && to.is_temporal();
    macro_rules! whole {
        ($t:ty, $null:expr) => {{
            let items = vector.as_buf::<$t>();
            let items = items.iter().flat_map(|b| b.iter()).map(|x| (Some(x) != $null).then(|| i64::from(x)));
            match (moves, to) {
                (true, Type::Datetime) => {
                    let days = |n: Option<i64>| n.map_or(f64::NAN, |n| temporal::to_datetime(n, from));
                    Numbers::Float(items.map(days).collect())
                }
                (true, _) => {
                    Numbers::Whole(items.map(|n| n.map(|n| temporal::convert(n, from, to))).collect())
                }
                _ => Numbers::Whole(items.collect()),
            }
        }};
    }
    match vector.physical() {
        Physical::U8 => whole!(u8, None),
        Physical::I16 => whole!(i16, Some(NULL_SHORT)),
        Physical::I32 => whole!(i32, Some(NULL_INT)),
        Physical::I64 => whole!(i64, Some(NULL_LONG)),
        Physical::F32 => {
            Numbers::Float(vector.as_buf::<f32>().iter().flat_map(|b| b.iter()).map(f64::from).collect())
        }
        Physical::F64 => {
            let items = vector.as_buf::<f64>();
            let items = items.iter().flat_map(|b| b.iter());
            if moves {
                let clock = |x: f64| (!x.is_nan()).then(|| temporal::from_datetime(x, to));
                return Numbers::Whole(items.map(clock).collect());
            }
            Numbers::Float(items.collect())
        }
        Physical::Guid | Physical::Symbol => Numbers::Whole(Vec::new()),
    }
}

/// A vector of an integral type: numbers wrap at its width.
fn of_whole(ty: Type, items: impl Iterator<Item = Option<i64>>) -> Vector {
    match ty.physical() {
        Physical::U8 => Vector::new(ty, items.map(|n| n.unwrap_or_default() as u8).collect::<Vec<u8>>()),
        Physical::I16 => {
            Vector::new(ty, items.map(|n| n.map_or(NULL_SHORT, |n| n as i16)).collect::<Vec<i16>>())
        }
        Physical::I32 => {
            Vector::new(ty, items.map(|n| n.map_or(NULL_INT, |n| n as i32)).collect::<Vec<i32>>())
        }
        Physical::I64 => Vector::new(ty, items.map(|n| n.unwrap_or(NULL_LONG)).collect::<Vec<i64>>()),
        _ => of_floats(ty, items.map(|n| n.map_or(f64::NAN, |n| n as f64))),
    }
}

fn of_floats(ty: Type, items: impl Iterator<Item = f64>) -> Vector {
    match ty {
        Type::Real => {
            let real = |x: f64| if x.is_nan() { NULL_REAL } else { x as f32 };
            Vector::new(ty, items.map(real).collect::<Vec<f32>>())
        }
        _ => {
            let ty = if ty == Type::Datetime { ty } else { Type::Float };
            Vector::new(ty, items.map(|x| if x.is_nan() { NULL_FLOAT } else { x }).collect::<Vec<f64>>())
        }
    }
}

fn shaped(v: Vector, is_atom: bool) -> Value {
    if is_atom { Value::Atom(v.get(0)) } else { Value::from(v) }
}

#[cfg(test)]
mod tests;
