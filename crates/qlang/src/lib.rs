//! The q language: parser, evaluator, primitives, console formatter.
//!
//! Imports point one way:
//!
//! | module | what |
//! | --- | --- |
//! | `error` | [`QError`]: text, kind, backtrace |
//! | [`value`] | [`Value`] and its parts |
//! | [`host`] | what q takes from the world |
//! | [`ctx`] | what a primitive may ask of the evaluation; tables of primitives |
//! | [`syntax`] | text to tree |
//! | [`convert`] | values to and from the wire's form |
//! | [`mod@format`] | values as text |
//! | [`ops`] | primitives, by family |
//! | [`eval`] | the evaluator |
//! | [`registry`] | the table of all primitives |
//! | [`session`] | an interpreter as an embedding holds it |
#![forbid(unsafe_code)]

pub mod convert;
pub mod ctx;
mod error;
pub mod eval;
pub mod format;
pub mod host;
pub mod ops;
pub mod registry;
pub mod session;
pub mod syntax;
pub mod value;

pub use error::{Frame, Kind, QError, R};
pub use value::Value;
