//! The vocabulary that all processes share.
//!
//! | module | what |
//! | --- | --- |
//! | [`codes`] | `rc`, `ac`, [`Failure`] and its HTTP status |
//! | [`range`] | [`TimeRange`], half-open and never backwards |
//! | [`labels`] | [`LabelSet`] of a source, [`LabelQuery`] of a request |
#![forbid(unsafe_code)]

pub mod codes;
pub mod labels;
pub mod range;

pub use codes::{Ac, Failure, Rc};
pub use labels::{LabelQuery, LabelSet};
pub use range::TimeRange;
