//! One relation between two atoms: what every faster path must agree with.

use std::cmp::Ordering;

use kvalue::{Atom, Type, Value, atom::Scalar};

use super::{interval::TOLERANCE, op::Op};
use crate::{KernelError, order::order_floats, temporal};

/// Whether `a op b` holds, by q's rules. `'type` where the types do not compare; `in` is exact equality, `within`
/// and `like` have no form for two atoms.
pub fn holds(op: Op, a: &Atom, b: &Atom) -> Result<bool, KernelError> {
    let refuse = || op.refuse(&Value::Atom(a.clone()), &Value::Atom(b.clone()));
    let ordering = match (a, b) {
        (Atom::Symbol(x), Atom::Symbol(y)) => x.as_bytes().cmp(y.as_bytes()),
        (Atom::Guid(x), Atom::Guid(y)) => x.cmp(y),
        (Atom::Symbol(_) | Atom::Guid(_), _) | (_, Atom::Symbol(_) | Atom::Guid(_)) => return Err(refuse()),
        _ if a.ty().is_temporal() && b.ty().is_temporal() && a.ty() != b.ty() => {
            let ty = temporal::common(a.ty(), b.ty()).ok_or_else(refuse)?;
            numbers(&on_clock(a, ty), &on_clock(b, ty), op != Op::In)
        }
        _ => numbers(a, b, op != Op::In),
    };
    Ok(match op {
        Op::Eq | Op::In => ordering.is_eq(),
        Op::Ne => ordering.is_ne(),
        Op::Lt => ordering.is_lt(),
        Op::Gt => ordering.is_gt(),
        Op::Le => ordering.is_le(),
        Op::Ge => ordering.is_ge(),
        Op::Within | Op::Like => return Err(refuse()),
    })
}

/// A temporal atom on another clock.
pub(super) fn on_clock(a: &Atom, ty: Type) -> Atom {
    match (a.scalar(), ty) {
        _ if a.ty() == ty => a.clone(),
        (Some(Scalar::Integer(n)), Type::Datetime) => {
            Atom::Datetime(n.map_or(f64::NAN, |n| temporal::to_datetime(n, a.ty())))
        }
        (Some(Scalar::Integer(Some(n))), _) => Atom::from_i64(ty, temporal::convert(n, a.ty(), ty)),
        (Some(Scalar::Float(x)), _) => Atom::from_i64(ty, temporal::from_datetime(x, ty)),
        _ => Atom::null(ty),
    }
}

fn numbers(a: &Atom, b: &Atom, tolerant: bool) -> Ordering {
    match (a.scalar(), b.scalar()) {
        (Some(Scalar::Integer(x)), Some(Scalar::Integer(y))) => x.cmp(&y),
        // Exactly: a long that a float cannot hold equals no float.
        (Some(Scalar::Integer(Some(x))), Some(Scalar::Float(y))) if !tolerant && !fits(x) => {
            order_floats(x as f64, y).then(Ordering::Less)
        }
        (Some(Scalar::Float(x)), Some(Scalar::Integer(Some(y)))) if !tolerant && !fits(y) => {
            order_floats(x, y as f64).then(Ordering::Greater)
        }
        (x, y) => {
            let (x, y) = (float(x), float(y));
            let close = tolerant && (x - y).abs() <= TOLERANCE * x.abs().max(y.abs());
            // Two infinities of one sign differ by NaN, which is not close: they are equal exactly.
            if close && x.is_finite() && y.is_finite() { Ordering::Equal } else { order_floats(x, y) }
        }
    }
}

/// True where a float holds this integer exactly.
pub(super) fn fits(n: i64) -> bool {
    n as f64 as i128 == i128::from(n)
}

fn float(s: Option<Scalar>) -> f64 {
    match s {
        Some(Scalar::Integer(Some(n))) => n as f64,
        Some(Scalar::Float(x)) => x,
        _ => f64::NAN,
    }
}
