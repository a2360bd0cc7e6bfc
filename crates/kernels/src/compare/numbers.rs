//! Columns of numbers, chars and temporal values against constants.

use ahash::AHashSet;
use kvalue::{Atom, Attr, Buf, Fixed, Physical, Type, Value, Vector, atom::Scalar};

use super::{
    atoms::{fits, on_clock},
    interval::{Float, Whole},
    lists,
    op::{Op, atoms_of, pair_of},
    scan::{at_positions, scan},
};
use crate::{KernelError, Selection, order::float_key, take, temporal};

/// Sets up to this size are tested item by item.
const FEW: usize = 8;

pub(super) fn select(
    column: &Value,
    v: &Vector,
    op: Op,
    operand: &Value,
    within: &Selection,
) -> Result<Selection, KernelError> {
    match op {
        Op::Like if v.ty() == Type::Char => lists::select_chars(column, v, operand, within),
        Op::Like => Err(op.refuse(column, operand)),
        Op::In => select_in(column, v, operand, within),
        Op::Within => {
            let [low, high] = pair_of(column, operand)?;
            let refuse = || op.refuse(column, operand);
            match (on_column(v.ty(), &low), on_column(v.ty(), &high)) {
                (Meet::Never, _) | (_, Meet::Never) => Err(refuse()),
                (Meet::Here(low), Meet::Here(high)) => Ok(between(v, low, high, within)),
                _ => {
                    let above = select_one(column, v, Op::Ge, &low, within)?;
                    select_one(column, v, Op::Le, &high, &above)
                }
            }
        }
        _ => match operand {
            Value::Atom(a) => select_one(column, v, op, a, within),
            _ => Err(op.refuse(column, operand)),
        },
    }
}

/// On what a column's type and an atom meet.
enum Meet {
    /// the column's own numbers
    Here(Scalar),
    /// the column has to be moved to another clock first
    Elsewhere(Type),
    Never,
}

fn on_column(ty: Type, a: &Atom) -> Meet {
    let Some(scalar) = a.scalar() else { return Meet::Never };
    if a.ty() == ty || !(ty.is_temporal() && a.ty().is_temporal()) {
        return Meet::Here(scalar);
    }
    match temporal::common(ty, a.ty()) {
        Some(common) if common == ty => on_clock(a, ty).scalar().map_or(Meet::Never, Meet::Here),
        Some(common) => Meet::Elsewhere(common),
        None => Meet::Never,
    }
}

fn select_one(
    column: &Value,
    v: &Vector,
    op: Op,
    a: &Atom,
    within: &Selection,
) -> Result<Selection, KernelError> {
    match on_column(v.ty(), a) {
        Meet::Here(scalar) => Ok(against(v, op, scalar, within)),
        Meet::Elsewhere(common) => {
            let taken = take::take(column, within);
            let moved = moved(taken.as_vector().unwrap_or(v), common);
            let all = Selection::All(moved.len());
            let column = Value::Vector(moved.clone());
            let positions = select(&column, &moved, op, &Value::Atom(on_clock(a, common)), &all)?;
            Ok(at_positions(within, &positions))
        }
        Meet::Never => Err(op.refuse(column, &Value::Atom(a.clone()))),
    }
}

/// A temporal vector on another clock.
fn moved(v: &Vector, to: Type) -> Vector {
    let whole = |n: i64| temporal::convert(n, v.ty(), to);
    let numbers: Vec<i64> = match v.physical() {
        Physical::I32 => {
            v.as_buf::<i32>().map_or_else(Vec::new, |b| b.iter().map(|n| whole(i64::from(n))).collect())
        }
        Physical::I64 => v.as_buf::<i64>().map_or_else(Vec::new, |b| b.iter().map(whole).collect()),
        _ => {
            let clock = |x| temporal::from_datetime(x, to);
            v.as_buf::<f64>().map_or_else(Vec::new, |b| b.iter().map(clock).collect())
        }
    };
    match (to, to.physical()) {
        (Type::Datetime, _) => {
            let days = |a: Atom| match on_clock(&a, Type::Datetime) {
                Atom::Datetime(x) => x,
                _ => f64::NAN,
            };
            Vector::new(to, v.iter().map(days).collect::<Vec<f64>>())
        }
        (_, Physical::I32) => Vector::new(to, numbers.into_iter().map(|n| n as i32).collect::<Vec<i32>>()),
        _ => Vector::new(to, numbers),
    }
}

fn against(v: &Vector, op: Op, operand: Scalar, within: &Selection) -> Selection {
    if matches!(v.physical(), Physical::F32 | Physical::F64) {
        return in_floats(v, Float::of(op, operand), op == Op::Ne, within);
    }
    in_whole(v, Whole::of(op, operand), op == Op::Ne, within)
}

fn between(v: &Vector, low: Scalar, high: Scalar, within: &Selection) -> Selection {
    if matches!(v.physical(), Physical::F32 | Physical::F64) {
        let interval = Float::of(Op::Ge, low).intersect(Float::of(Op::Le, high));
        return in_floats(v, interval, false, within);
    }
    in_whole(v, Whole::of(Op::Ge, low).intersect(Whole::of(Op::Le, high)), false, within)
}

/// An integer layout: bounds of an interval are brought to its width once, outside the loop.
trait Narrow: Fixed + Ord {
    const LEAST: i64;
    const MOST: i64;
    /// True where the least value is null.
    const HAS_NULL: bool;
    fn cut(n: i64) -> Self;
}

macro_rules! narrow {
    ($($t:ty, $null:expr;)*) => {$(
        impl Narrow for $t {
            const LEAST: i64 = <$t>::MIN as i64;
            const MOST: i64 = <$t>::MAX as i64;
            const HAS_NULL: bool = $null;
            fn cut(n: i64) -> Self { n as $t }
        }
    )*};
}

narrow! { u8, false; i16, true; i32, true; i64, true; }

/// The interval in the layout's own numbers; `None` where it holds none of them.
fn narrowed<T: Narrow>(interval: Whole) -> Option<(T, T)> {
    let Whole { low, high } = interval;
    let lowest_number = if T::HAS_NULL { T::LEAST + 1 } else { T::LEAST };
    // Null, the least long, is the least of the layout; numbers below the layout's are cut to its first.
    let low = match low {
        i64::MIN => T::LEAST,
        low => low.max(lowest_number),
    };
    let high = match high {
        high if high >= lowest_number => high.min(T::MOST),
        _ if T::HAS_NULL => T::LEAST,
        _ => return None,
    };
    let is_empty = interval.low > interval.high || low > high;
    (!is_empty).then(|| (T::cut(low), T::cut(high)))
}

fn in_whole(v: &Vector, interval: Whole, negate: bool, within: &Selection) -> Selection {
    fn of<T: Narrow>(
        buf: Option<Buf<T>>,
        interval: Whole,
        negate: bool,
        sorted: bool,
        within: &Selection,
    ) -> Selection {
        let Some(buf) = buf else { return Selection::none() };
        match narrowed::<T>(interval) {
            None if negate => within.clone(),
            None => Selection::none(),
            Some((low, high)) if sorted && !negate => {
                let from = buf.le().partition_point(|&x| T::from_le(x) < low);
                let to = buf.le().partition_point(|&x| T::from_le(x) <= high);
                within.intersect(&Selection::range(from..to.max(from)))
            }
            Some((low, high)) => scan(&buf, within, |x| ((x >= low) & (x <= high)) != negate),
        }
    }
    let sorted = v.attr() == Attr::Sorted;
    match v.physical() {
        Physical::U8 => of::<u8>(v.as_buf(), interval, negate, sorted, within),
        Physical::I16 => of::<i16>(v.as_buf(), interval, negate, sorted, within),
        Physical::I32 => of::<i32>(v.as_buf(), interval, negate, sorted, within),
        _ => of::<i64>(v.as_buf(), interval, negate, sorted, within),
    }
}

fn in_floats(v: &Vector, interval: Float, negate: bool, within: &Selection) -> Selection {
    let test = |x: f64| interval.holds(x) != negate;
    match (v.as_buf::<f32>(), v.as_buf::<f64>()) {
        (Some(buf), _) => scan(&buf, within, |x| test(f64::from(x))),
        (_, Some(buf)) => scan(&buf, within, test),
        _ => Selection::none(),
    }
}

fn select_in(
    column: &Value,
    v: &Vector,
    operand: &Value,
    within: &Selection,
) -> Result<Selection, KernelError> {
    let refuse = || Op::In.refuse(column, operand);
    let atoms = atoms_of(operand).ok_or_else(refuse)?;
    let mut here: Vec<Scalar> = Vec::with_capacity(atoms.len());
    let mut elsewhere = Selection::none();
    for a in &atoms {
        match on_column(v.ty(), a) {
            Meet::Here(scalar) => here.push(scalar),
            Meet::Elsewhere(_) => elsewhere = elsewhere.union(&select_one(column, v, Op::Eq, a, within)?),
            Meet::Never => return Err(refuse()),
        }
    }
    let found = match v.physical() {
        Physical::U8 => in_whole_set::<u8>(v.as_buf(), &here, within),
        Physical::I16 => in_whole_set::<i16>(v.as_buf(), &here, within),
        Physical::I32 => in_whole_set::<i32>(v.as_buf(), &here, within),
        Physical::I64 => in_whole_set::<i64>(v.as_buf(), &here, within),
        _ => in_float_set(v, &here, within),
    };
    Ok(if elsewhere.is_empty() { found } else { found.union(&elsewhere) })
}

fn in_whole_set<T: Narrow + std::hash::Hash>(
    buf: Option<Buf<T>>,
    items: &[Scalar],
    within: &Selection,
) -> Selection {
    let Some(buf) = buf else { return Selection::none() };
    let exact = |s: &Scalar| match *s {
        Scalar::Float(x) if x.is_finite() && x.fract() != 0.0 => None,
        // Tolerance does not apply to `in`: a float is in only where it is the integer itself.
        Scalar::Float(x) if x.is_finite() && x.abs() < i64::MAX as f64 => {
            Some(Scalar::Integer(Some(x as i64)))
        }
        Scalar::Float(x) if !x.is_nan() => None,
        s => Some(s),
    };
    let items: Vec<T> = items
        .iter()
        .filter_map(exact)
        .filter_map(|s| narrowed::<T>(Whole::of(Op::Eq, s)))
        .filter(|(low, high)| low == high)
        .map(|(low, _)| low)
        .collect();
    if items.len() <= FEW {
        return scan(&buf, within, |x| items.iter().fold(false, |any, &item| any | (x == item)));
    }
    let set: AHashSet<T> = items.into_iter().collect();
    scan(&buf, within, |x| set.contains(&x))
}

fn in_float_set(v: &Vector, items: &[Scalar], within: &Selection) -> Selection {
    let key = |s: &Scalar| match *s {
        Scalar::Integer(Some(n)) => fits(n).then(|| float_key(n as f64)),
        Scalar::Integer(None) => Some(float_key(f64::NAN)),
        Scalar::Float(x) => Some(float_key(x)),
    };
    let set: AHashSet<u64> = items.iter().filter_map(key).collect();
    match (v.as_buf::<f32>(), v.as_buf::<f64>()) {
        (Some(buf), _) => scan(&buf, within, |x| set.contains(&float_key(f64::from(x)))),
        (_, Some(buf)) => scan(&buf, within, |x| set.contains(&float_key(x))),
        _ => Selection::none(),
    }
}
