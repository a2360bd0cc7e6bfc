//! Loops over numbers without a value per step.

use super::interp::Interp;
use crate::{R, value::Value};

/// `n f/x` of a lambda of arithmetic on longs; `None` where it is anything else.
pub(crate) fn repeat(_: &mut Interp, _: &Value, _: i64, _: &Value) -> Option<R> {
    None
}
