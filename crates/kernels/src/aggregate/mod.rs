//! Aggregates over any cut of the data.
//!
//! Each aggregate is three steps: [`accumulate`] makes one *partial state* a group from rows, [`merge`] joins the
//! states of several cuts, [`finish`] makes q's value of each. States are plain q vectors
//! ([`Function::state`] names them), so they travel as columns of a table. The law that everything here keeps,
//! and `aggregate/tests.rs` checks: for any cut of the rows, accumulate-merge-finish equals accumulate-finish
//! over all of them; floats to the last digits, everything else exactly.
//!
//! Nulls are as in q: `avg sum prd min max` and the statistics pass over them (pairs with either null for the
//! dyadic ones), `count first last distinct` do not, `all` and `any` take them as true. Nothing but nulls gives
//! sum 0, product 1, minimum infinity, maximum minus infinity, average and statistics null.

mod accumulate;
mod drive;
mod finish;
mod function;
mod items;
mod merge;
mod moments;
mod state;
mod sums;

pub use accumulate::accumulate;
pub use finish::finish;
pub use function::{Function, PartialColumns, result_type};
pub use merge::merge;

#[cfg(test)]
mod tests;
