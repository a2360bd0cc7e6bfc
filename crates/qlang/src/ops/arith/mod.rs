//! Atomic arithmetic, comparison and mathematics.
//!
//! | file | what |
//! | --- | --- |
//! | `types` | which type two types give |
//! | `clock` | temporal numbers from one clock to another |
//! | `lanes` | typed loops |
//! | `numbers` | what is done to two numbers |
//! | `leaf` | dyads on atoms and vectors |
//! | `shape` | lists, dictionaries and tables |
//! | `monads` | atomic monads |
//! | `matrix` | products, inverses and least squares |
//! | `random` | roll, deal, permute |

pub mod clock;
pub mod lanes;
mod leaf;
pub mod matrix;
pub mod monads;
pub mod numbers;
pub mod random;
pub mod shape;
pub mod types;

use self::shape::Missing;
pub use self::{
    monads::{abs, ceiling, exp, floor, is_null, log, neg, not, reciprocal, signum, sqrt},
    shape::{atomic_dyad, atomic_monad},
    types::Verb,
};
use crate::{
    R,
    ctx::{Ctx, Def},
    value::Value,
};

/// `x verb y`, down to atoms. `'type` by q's tables, `'length` for lists of different lengths.
#[inline]
pub fn dyad(ctx: &mut dyn Ctx, verb: Verb, x: Value, y: Value) -> R {
    match numbers::atoms(verb, &x, &y) {
        Some(v) => Ok(v),
        None => other(ctx, verb, x, y),
    }
}

fn other(ctx: &mut dyn Ctx, verb: Verb, x: Value, y: Value) -> R {
    if shape::is_leaf(&x) && shape::is_leaf(&y) {
        return leaf::leaf(ctx, verb, x, y);
    }
    let missing = match verb {
        Verb::Subtract => Missing::Negate,
        verb if verb.is_comparison() => Missing::Null,
        _ => Missing::Keep,
    };
    atomic_dyad(ctx, x, y, missing, &mut |ctx, x, y| dyad(ctx, verb, x, y))
}

macro_rules! dyads {
    ($($(#[$doc:meta])* $name:ident $verb:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
            dyad(ctx, Verb::$verb, x, y)
        }
    )*};
}
dyads! {
    /// `x+y`
    add Add;
    /// `x-y`
    subtract Subtract;
    /// `x*y`
    multiply Multiply;
    /// `x%y`: floats
    divide Divide;
    /// `x&y`, `x and y`
    lesser Lesser;
    /// `x|y`, `x or y`
    greater Greater;
    /// `x=y`, within the tolerance
    equal Equal;
    /// `x<>y`
    not_equal NotEqual;
    /// `x<y`
    less Less;
    /// `x>y`
    more More;
    /// `x<=y`
    at_most AtMost;
    /// `x>=y`
    at_least AtLeast;
    /// `x mod y`
    modulo Mod;
    /// `x div y`
    div Div;
    /// `x xbar y`
    xbar Xbar;
    /// `x xexp y`
    xexp Xexp;
    /// `x xlog y`
    xlog Xlog;
    /// `x^y`: `y` with `x` for its nulls
    fill Fill;
}

/// The family's primitives.
pub static TABLE: &[Def] = &[
    Def::operator("+", add),
    Def::operator("-", subtract),
    Def::operator("*", multiply),
    Def::operator("%", divide),
    Def::operator("&", lesser),
    Def::operator("|", greater),
    Def::operator("=", equal),
    shown(Def::operator("<>", not_equal), "~="),
    Def::operator("<", less),
    Def::operator(">", more),
    shown(Def::operator("<=", at_most), "~>"),
    shown(Def::operator(">=", at_least), "~<"),
    Def::operator("^", fill),
    shown(Def::operator("and", lesser), "&"),
    shown(Def::operator("or", greater), "|"),
    Def::dyad("mod", modulo),
    Def::operator("div", div),
    Def::dyad("xbar", xbar),
    Def::operator("xexp", xexp),
    Def::dyad("xlog", xlog),
    Def::unary("neg", "-:", neg),
    Def::unary("not", "~:", not),
    Def::unary("null", "^:", is_null),
    Def::unary("floor", "_:", floor),
    Def::monad("ceiling", ceiling),
    Def::unary("abs", "abs", abs),
    Def::monad("signum", signum),
    Def::unary("reciprocal", "%:", reciprocal),
    Def::unary("sqrt", "sqrt", sqrt),
    Def::unary("exp", "exp", exp),
    Def::unary("log", "log", log),
    Def::unary("sin", "sin", monads::sin),
    Def::unary("cos", "cos", monads::cos),
    Def::unary("tan", "tan", monads::tan),
    Def::unary("asin", "asin", monads::asin),
    Def::unary("acos", "acos", monads::acos),
    Def::unary("atan", "atan", monads::atan),
    Def::operator("mmu", matrix::mmu),
    Def::unary("inv", "inv", matrix::inv),
    Def::operator("lsq", matrix::lsq),
    Def::monad("rand", random::rand),
];

const fn shown(mut def: Def, text: &'static str) -> Def {
    def.text = text;
    def
}

#[cfg(test)]
mod tests;
