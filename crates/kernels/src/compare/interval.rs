//! Every comparison of a number with a constant is a test for an interval.
//!
//! For integers null is the lowest value of its width, so the order of the raw numbers is q's order. For floats
//! null (NaN) is carried as a flag beside the bounds.

use kvalue::atom::Scalar;

use super::op::Op;

/// Relative difference up to which floats count as equal.
pub(super) const TOLERANCE: f64 = 1.0 / (1u64 << 43) as f64;

/// Values from `low` to `high`, both included; none where `low > high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Whole {
    /// `i64::MIN` is null
    pub(super) low: i64,
    pub(super) high: i64,
}

const NULL: i64 = i64::MIN;

impl Whole {
    pub(super) const NONE: Whole = Whole { low: i64::MAX, high: i64::MIN };
    const ANY: Whole = Whole { low: i64::MIN, high: i64::MAX };

    /// The integers `x` for which `x op operand`. `Ne` is left to the caller: it is no interval.
    pub(super) fn of(op: Op, operand: Scalar) -> Whole {
        match operand {
            Scalar::Integer(n) => Whole::around(op, n.unwrap_or(NULL), n.unwrap_or(NULL)),
            Scalar::Float(x) if x.is_nan() => Whole::around(op, NULL, NULL),
            Scalar::Float(x) => {
                let near = if x.is_infinite() { 0.0 } else { TOLERANCE * x.abs() };
                let (low, high) = ((x - near).ceil(), (x + near).floor());
                // The least and the first too large for a long, as floats.
                let (first, beyond) = (i64::MIN as f64, -(i64::MIN as f64));
                match op {
                    Op::Lt | Op::Le if low >= beyond => Whole::ANY,
                    _ if low >= beyond => Whole::NONE,
                    Op::Lt | Op::Le if high <= first => Whole { low: NULL, high: NULL },
                    Op::Gt | Op::Ge if high <= first => Whole { low: NULL + 1, high: i64::MAX },
                    _ if high <= first => Whole::NONE,
                    _ => Whole::around(op, (low as i64).max(NULL + 1), high as i64),
                }
            }
        }
    }

    /// As [`Self::of`], where the operand equals the integers from `low` to `high` (which may be none: then `high`
    /// is the next below it and `low` the next above).
    fn around(op: Op, low: i64, high: i64) -> Whole {
        let below = || low.checked_sub(1).map_or(Whole::NONE, |high| Whole { low: NULL, high });
        let above = || high.checked_add(1).map_or(Whole::NONE, |low| Whole { low, high: i64::MAX });
        match op {
            Op::Lt => below(),
            Op::Le => Whole { low: NULL, high },
            Op::Gt => above(),
            Op::Ge => Whole { low, high: i64::MAX },
            _ => Whole { low, high },
        }
    }

    pub(super) fn intersect(self, other: Whole) -> Whole {
        Whole { low: self.low.max(other.low), high: self.high.min(other.high) }
    }
}

/// Floats from `low` to `high`, both included, and null where `null`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Float {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) null: bool,
}

impl Float {
    /// The floats `x` for which `x op operand`; `Ne` is left to the caller.
    pub(super) fn of(op: Op, operand: Scalar) -> Float {
        const INF: f64 = f64::INFINITY;
        let x = match operand {
            Scalar::Integer(n) => n.map_or(f64::NAN, |n| n as f64),
            Scalar::Float(x) => x,
        };
        if x.is_nan() {
            return match op {
                Op::Lt => Float { low: INF, high: -INF, null: false },
                Op::Gt => Float { low: -INF, high: INF, null: false },
                Op::Ge => Float { low: -INF, high: INF, null: true },
                _ => Float { low: INF, high: -INF, null: true },
            };
        }
        let near = if x.is_infinite() { 0.0 } else { TOLERANCE * x.abs() };
        let (low, high) = (x - near, x + near);
        match op {
            // Below minus infinity there is only null, above infinity nothing: the bounds cross.
            Op::Lt if low == -INF => Float { low: INF, high: -INF, null: true },
            Op::Gt if high == INF => Float { low: INF, high: -INF, null: false },
            Op::Lt => Float { low: -INF, high: low.next_down(), null: true },
            Op::Le => Float { low: -INF, high, null: true },
            Op::Gt => Float { low: high.next_up(), high: INF, null: false },
            Op::Ge => Float { low, high: INF, null: false },
            _ => Float { low, high, null: false },
        }
    }

    pub(super) fn intersect(self, other: Float) -> Float {
        Float { low: self.low.max(other.low), high: self.high.min(other.high), null: self.null && other.null }
    }

    #[inline(always)]
    pub(super) fn holds(self, x: f64) -> bool {
        ((x >= self.low) & (x <= self.high)) | (self.null & x.is_nan())
    }
}
