//! Primitives by family: each family exports its rows as `TABLE`. Families know values and [`Ctx`](crate::ctx::Ctx),
//! not the evaluator.
pub mod aggregate;
pub mod arith;
pub mod files;
pub mod index;
pub mod list;
pub mod marks;
pub mod query;
pub mod table;
pub mod text;
