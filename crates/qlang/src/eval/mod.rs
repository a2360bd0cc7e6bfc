//! The evaluator.

use crate::ctx::Def;

/// Primitives that need the evaluator itself.
pub static TABLE: &[Def] = &[];
