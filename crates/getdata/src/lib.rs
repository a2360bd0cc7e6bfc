//! `.kxi.getData` as a library: from arguments to rows, without sockets.
//!
//! A request's arguments become a [`Query`]; bound to a table's schema ([`Bound`]) it runs on each portion of
//! the data ([`execute()`]) and gives a partial; partials are merged into the answer ([`merge()`]). The law: for any
//! cut of the data into portions the answer equals that over all of it in one place.
//!
//! What follows the order of rows (`first`, `last`, `distinct`, the last row of a group, rows as they are, a limit
//! without `sortCols`) follows the order in which portions are joined: by label set, then time, and as stored
//! within a portion. So it is the same under any cut where rows are stored by time, and under cuts between
//! partitions where they are not. Whatever does not follow the order is the same under any cut.
//!
//! | module | what |
//! | --- | --- |
//! | [`schema`], [`source`] | what a data process gives to be queried |
//! | [`query`], [`args`] | the request, and how it is read from arguments |
//! | [`bind`], `cast` | the request checked against a table |
//! | `chunk`, `time_range`, `select`, `groups` | the rows that are wanted, and the states of their groups |
//! | `execute`, `partial`, `wire` | a portion's partial and how it travels |
//! | [`raze`](mod@raze), `merge`, `finalize` | partials to one answer |
//! | `q_functions`, `display`, `clock`, `failure` | names of q's functions; values in messages; instants; errors |
#![forbid(unsafe_code)]

pub mod args;
pub mod bind;
pub mod query;
pub mod raze;
pub mod schema;
pub mod source;

mod cast;
mod chunk;
mod clock;
mod display;
mod execute;
mod failure;
mod finalize;
mod groups;
mod merge;
mod partial;
mod q_functions;
mod select;
mod time_range;
mod wire;

pub use args::ParseOptions;
pub use bind::Bound;
pub use execute::{execute, execute_whole};
pub use merge::{Merged, merge, merge_by_portion};
pub use query::{Agg, Aggregate, Fill, Filter, Limit, Query, Slice};
pub use schema::{Column, ColumnKind, TableSchema};
pub use source::{Block, MemoryBlock, MemorySource, Parts, Source};
pub use wire::{Segments, joined};
