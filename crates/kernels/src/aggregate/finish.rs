//! From states to q's result: one item a group, of the type q gives.

use kvalue::{
    Type, Value, Vector,
    types::{NULL_FLOAT, NULL_REAL},
};

use super::{
    function::{Function, PartialColumns, result_type},
    state::{State, Sums},
    sums::Product,
};
use crate::{KernelError, take};

/// The aggregate's value for each group. `inputs` are the types of its columns (`None`: general list), as for
/// [`result_type`].
pub fn finish(f: Function, state: &PartialColumns, inputs: &[Option<Type>]) -> Result<Value, KernelError> {
    let ty = result_type(f, inputs)?;
    let state = State::new(f, state)?;
    if state.len() == 0 {
        return Ok(take::nulls(ty, 0));
    }
    Ok(match f {
        Function::Count => Value::from(Vector::longs(state.longs(0)?.to_vec())),
        Function::All | Function::Any => {
            Value::from(Vector::booleans(state.booleans(0)?.iter().map(|b| b != 0).collect()))
        }
        Function::Min | Function::Max | Function::First | Function::Last | Function::Distinct => {
            state.column(0).clone()
        }
        Function::Sum => sum(ty, state.sums(0)?),
        Function::Wsum => floats(float_sums(state.sums(0)?)),
        Function::Avg => {
            let sums = float_sums(state.sums(0)?);
            floats(sums.zip(state.longs(2)?.iter()).map(|(sum, n)| sum / n as f64))
        }
        Function::Wavg => {
            let (sums, weights) = (float_sums(state.sums(0)?), float_sums(state.sums(2)?));
            floats(sums.zip(weights).map(|(sum, weight)| sum / weight))
        }
        Function::Prd => product(ty, &state)?,
        Function::Var | Function::Svar | Function::Dev | Function::Sdev => {
            let (n, m2) = (state.longs(0)?, state.floats(3)?);
            floats(n.iter().zip(m2.iter()).map(|(n, m2)| variance(f, n, m2)))
        }
        Function::Cov | Function::Scov => {
            let (n, mxy) = (state.longs(0)?, state.floats(7)?);
            floats(n.iter().zip(mxy.iter()).map(|(n, mxy)| mxy / divisor(f == Function::Scov, n)))
        }
        Function::Cor => {
            let (mxx, myy, mxy) = (state.floats(5)?, state.floats(6)?, state.floats(7)?);
            floats(mxx.iter().zip(myy.iter()).zip(mxy.iter()).map(|((x, y), xy)| correlation(x, y, xy)))
        }
    })
}

/// Floats with q's own null for every NaN.
fn floats(items: impl Iterator<Item = f64>) -> Value {
    Value::from(Vector::floats(items.map(|x| if x.is_nan() { NULL_FLOAT } else { x }).collect()))
}

fn float_sums(sums: Sums) -> impl Iterator<Item = f64> {
    let all: Vec<f64> = match sums {
        Sums::Whole(sums) => sums.into_iter().map(|s| s as f64).collect(),
        Sums::Float(sums) => sums.into_iter().map(|s| s.value()).collect(),
    };
    all.into_iter()
}

/// Sums wrap at the width of their type, as q's do.
fn sum(ty: Option<Type>, sums: Sums) -> Value {
    match (ty, sums) {
        (Some(ty), Sums::Whole(sums)) if ty.physical() == kvalue::Physical::I32 => {
            Value::from(Vector::new(ty, sums.into_iter().map(|s| s as i32).collect()))
        }
        (Some(ty), Sums::Whole(sums)) if ty.physical() == kvalue::Physical::I64 => {
            Value::from(Vector::new(ty, sums.into_iter().map(|s| s as i64).collect()))
        }
        (ty, sums) => of_float_type(ty, float_sums(sums)),
    }
}

fn of_float_type(ty: Option<Type>, items: impl Iterator<Item = f64>) -> Value {
    match ty {
        Some(Type::Real) => {
            let real = |x: f64| if x.is_nan() { NULL_REAL } else { x as f32 };
            Value::from(Vector::new(Type::Real, items.map(real).collect()))
        }
        Some(Type::Datetime) => Value::from(Vector::new(Type::Datetime, items.collect::<Vec<f64>>())),
        _ => floats(items),
    }
}

fn product(ty: Option<Type>, state: &State<'_>) -> Result<Value, KernelError> {
    if !state.is_whole(0) {
        let (mantissas, exponents) = (state.floats(0)?, state.longs(1)?);
        let all = mantissas.iter().zip(exponents.iter());
        let values = all.map(|(mantissa, exponent)| Product { mantissa, exponent }.value());
        return Ok(of_float_type(ty, values));
    }
    let all = state.longs(0)?;
    Ok(match ty {
        Some(ty) if ty.physical() == kvalue::Physical::I32 => {
            Value::from(Vector::new(ty, all.iter().map(|x| x as i32).collect()))
        }
        Some(ty) if ty.physical() == kvalue::Physical::I64 => Value::from(Vector::new(ty, all.to_vec())),
        ty => of_float_type(ty, all.iter().map(|x| x as f64)),
    })
}

/// What a sum of squared deviations is divided by: 0 for no item, and for one item of a sample, which makes
/// the result null.
fn divisor(sample: bool, n: i64) -> f64 {
    (n - i64::from(sample)).max(0) as f64
}

fn variance(f: Function, n: i64, m2: f64) -> f64 {
    let sample = matches!(f, Function::Svar | Function::Sdev);
    // Rounding may leave a sum of squares a hair below zero.
    let variance = if m2 < 0.0 { 0.0 } else { m2 } / divisor(sample, n);
    if matches!(f, Function::Dev | Function::Sdev) { variance.sqrt() } else { variance }
}

fn correlation(mxx: f64, myy: f64, mxy: f64) -> f64 {
    let product = mxx * myy;
    // One root of the product makes a column correlate with itself to exactly 1; two where it does not fit.
    let scale = if product.is_normal() { product.sqrt() } else { mxx.sqrt() * myy.sqrt() };
    mxy / scale
}
