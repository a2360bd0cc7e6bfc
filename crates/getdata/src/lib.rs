//! `.kxi.getData` as a library: from arguments to rows, without sockets.
//!
//! | module | what |
//! | --- | --- |
//! | [`schema`], [`source`] | what a data process gives to be queried |
#![forbid(unsafe_code)]

pub mod schema;
pub mod source;

pub use schema::{Column, ColumnKind, TableSchema};
pub use source::{Block, MemoryBlock, MemorySource, Parts, Source};
