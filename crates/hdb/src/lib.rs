//! kdb+ databases on disk: read by mapping, written at end of day.
//!
//! Reads splayed, partitioned (date, month, year, int) and segmented (`par.txt`) tables: enumerated symbols,
//! compressed columns, nested and string columns, attributes and the index behind `p#`. Columns are mapped
//! and shared, never copied where they are uncompressed; decompressed blocks live in a bounded cache.
//!
//! | module | what |
//! | --- | --- |
//! | `error` | [`HdbError`] |
//! | `map` | mapping that survives files which shrink; the only unsafe code |
//! | `cache` | [`BlockCache`] |
//! | `format` | containers, headers, symbol files, nested heaps, part indexes |
//! | `schema`, `partition` | what a table and a partition are |
//! | `domain`, `column`, `landmarks`, `handles` | enumerations, opened column files and what is known of their rows, what snapshots share |
//! | `table` | [`TableData`]: reading one splayed directory |
//! | [`folder`] | what a folder is that is no database |
//! | `scan`, `database` | what is in a root; [`Database`] |
//! | [`mod@file`] | one file by itself: read, written, extended |
//! | [`save`] | writing tables as kdb+ does at end of day |
//!
//! What of the formats was verified on files written by kdb+: plain vectors, 32-bit and 64-bit enumerations,
//! the `p#` index, stored, q-compressed and zlib blocks, both nested forms. By published or inferred facts only:
//! snappy, lz4 and zstd blocks, wide items in the old nested form, full symbol vectors in heaps.
#![deny(unsafe_code)]

mod cache;
mod column;
mod database;
mod domain;
mod error;
pub mod file;
mod fingerprint;
pub mod folder;
mod format;
mod handles;
mod landmarks;
mod map;
mod partition;
pub mod save;
mod scan;
mod schema;
mod table;

pub use cache::{BlockCache, CacheStats, DEFAULT_CACHE_BYTES};
pub use database::{Database, OpenOptions, PartitionRef};
pub use error::HdbError;
pub use fingerprint::Fingerprint;
pub use format::{codec::Algorithm, part::PartIndex};
pub use landmarks::Landmarks;
pub use partition::{PartitionKind, PartitionValue};
pub use schema::{ColumnMeta, ColumnType, TableKind, TableMeta};
pub use table::{FoundColumn, TableData};
