//! The tables a DAP serves, as a snapshot that a query keeps for as long as it runs.

pub mod hdb;
pub mod memory;

use getdata::Source;
use kvalue::Sym;
use sg::purview::TablePurview;

/// A consistent set of tables.
pub trait Tables: Send + Sync {
    /// What is served of each table, for the purview.
    fn purviews(&self) -> Vec<TablePurview>;

    /// One table to query; `None` for a name that is not served.
    fn source(&self, table: &Sym) -> Option<Box<dyn Source>>;
}

/// The type number by which metadata knows a column: 0 for lists.
fn type_number(kind: &getdata::ColumnKind) -> i16 {
    kind.basic().map_or(0, |ty| i16::from(ty.number()))
}
