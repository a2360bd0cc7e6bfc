//! Where the evaluator meets the primitives of indexing and matching.

use super::interp::Interp;
use crate::{
    R,
    ops::index as ops,
    value::{Value, order},
};

/// Equal as `~` has it.
pub(crate) fn matches(_: &Interp, x: &Value, y: &Value) -> bool {
    order::matches(x, y)
}

/// `x[i;j;…]` of data; [`Value::Nil`] stands for all.
pub(crate) fn index(ctx: &mut Interp, x: &Value, args: Vec<Value>) -> R {
    ops::index(ctx, x, &args)
}

/// `x . i`.
pub(crate) fn dot(ctx: &mut Interp, x: Value, i: Value) -> R {
    ops::index(ctx, &x, &i.items())
}

/// `@[x;i;f;y]`.
pub(crate) fn amend_at(ctx: &mut Interp, x: Value, i: Value, f: Value, y: Option<Value>) -> R {
    ops::amend_at(ctx, x, i, f, y)
}

/// `.[x;i;f;y]`.
pub(crate) fn amend_dot(ctx: &mut Interp, x: Value, path: Vec<Value>, f: Value, y: Option<Value>) -> R {
    ops::amend_dot(ctx, x, Value::list(path), f, y)
}
