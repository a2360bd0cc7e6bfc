//! Indexing and amending: `x[i;j]`, `@` and `.` on lists, dictionaries and tables. The rows `@` and `.` themselves are
//! the evaluator's; it calls what is here.
//!
//! `find` (positions of items) ← `at` (indexing) ← `set` (one item of a value) ← `amend`.

mod amend;
mod at;
mod find;
mod set;

pub use self::{
    amend::{amend_at, amend_dot, assign_index, assign_index_in, qualified},
    at::{at, index},
    find::{depth, find, pick, scan},
};
use crate::ctx::Def;

/// The family's primitives: none of its own, `@` and `.` belong to the evaluator.
pub static TABLE: &[Def] = &[];
