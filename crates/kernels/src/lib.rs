//! Columnar primitives over [`kvalue`] with q's null and type rules: the engine of getData.
//!
//! Everything works on whole columns ([`kvalue::Value`]) and on the rows a [`Selection`] names; nothing here does
//! I/O, keeps state between calls or starts threads. Values that come from outside are checked and refused with a
//! [`KernelError`]; a [`Selection`] and [`group::Groups`] are made here and must be used with the rows they were
//! made for.
//!
//! | module | what |
//! | --- | --- |
//! | [`selection`] | which rows: all, runs, or single ones |
//! | [`compare`] | filters: `= <> < > <= >= in within like` |
//! | [`take`] | rows out of columns and tables; columns and tables end to end |
//! | [`group`] | rows by equal keys; keys of several parts |
//! | [`aggregate`] | `avg`, `sum`, `var`, … as states that merge over any cut of the data |
//! | [`sort`], [`order`] | permutations; q's total order |
//! | [`search`], [`join`] | `?`, `bin`; row maps of `lj`, `ij`, `aj`; `uj` |
//! | [`arith`] | `+ - * % &` `\|` `neg` |
//! | [`fill`] | nulls to zero, or to the value before |
//! | [`like`] | q's text patterns |
//! | [`error`] | errors; how long work is interrupted between blocks |
//!
//! Imports point one way: `error`, `selection`, `temporal`, `like` ← `take`, `order`, `ids` ← `sort`, `compare`,
//! `group`, `search`, `join`, `fill`, `arith` ← `aggregate`.
#![forbid(unsafe_code)]

pub mod aggregate;
pub mod arith;
pub mod compare;
pub mod error;
pub mod fill;
pub mod group;
mod ids;
pub mod join;
pub mod like;
pub mod order;
pub mod search;
pub mod selection;
pub mod sort;
pub mod take;
mod temporal;

pub use error::{Cancelled, Interrupt, KernelError};
pub use selection::Selection;
