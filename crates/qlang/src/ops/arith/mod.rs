//! arith: see the files beside.

use crate::ctx::Def;

/// The family's primitives.
pub static TABLE: &[Def] = &[];
