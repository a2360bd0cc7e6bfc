//! q tables in the formats of other tools: CSV, Arrow IPC streams, Parquet.
//!
//! Rule: what a format cannot hold is an error that names column, row and value, never another value. With
//! [`Loss::Allowed`] such values become nulls. The command line and the gateway write through this crate, so an
//! answer is the same whichever door it leaves by. The mapping is the table in `docs/getdata.md`.
//!
//! | module | what |
//! | --- | --- |
//! | [`mod@csv`] | comma-separated values |
//! | [`arrow`] | record batches, Arrow IPC streams |
//! | `parquet` | Parquet files, behind the feature `parquet` |
//! | [`structured`] | structured text of KX's VS Code extension |
//! | `shape` | the one type that all items of a general list have |
//! | `text` | ISO texts of q's atoms, nested values as JSON |
//!
//! Tests: `tests/formats.rs` reads every type and edge value back with independent readers.

pub mod arrow;
mod cells;
pub mod csv;
mod error;
#[cfg(feature = "parquet")]
pub mod parquet;
mod shape;
pub mod structured;
mod text;

pub use error::ExportError;
use kvalue::Value;

/// What becomes of a value that the format cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loss {
    /// An error names the value.
    #[default]
    Refused,
    /// It becomes a null, or U+FFFD where bytes are no UTF-8.
    Allowed,
}

/// Names and columns of a table, or of a keyed table with its keys first; `None` for any other value.
pub fn columns(payload: &Value) -> Option<Vec<(Vec<u8>, Value)>> {
    let of = |t: &kvalue::Table| t.iter().map(|(n, c)| (n.to_vec(), c.clone())).collect::<Vec<_>>();
    match payload {
        Value::Table(t) => Some(of(t)),
        Value::Dict(d) => d.as_keyed_table().map(|(k, v)| [of(k), of(v)].concat()),
        _ => None,
    }
}
