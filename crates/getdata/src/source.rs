//! What a data process gives to be queried: a [`Source`] of [`Block`]s, and one in memory.
//!
//! The rule on time that makes "every instant exactly once" true: **a row's instant is its time value, clamped
//! into its block's [`Block::time_range`]**; a null or missing time counts as the block's first instant. So a row
//! that lies in the partition of another day than its time says is served with its partition, once, however the
//! range is cut. Time of day types (timespan, time, second, minute) count from the block's first instant.
//! Tests: `tests/portions.rs`.

use std::ops::Range;

use kvalue::{Atom, Sym, Table, Value};
use sg::{Failure, TimeRange};

use crate::{failure::internal, schema::TableSchema};

/// One table of a data process.
pub trait Source {
    /// The table's schema: the same for every block.
    fn schema(&self) -> &TableSchema;

    /// The blocks that may hold rows of `range`, in stored order: partitions, or segments in memory.
    fn blocks(&self, range: TimeRange) -> Result<Vec<Box<dyn Block>>, Failure>;
}

/// A stretch of stored rows: a partition, a splayed table, a segment in memory.
pub trait Block: Send {
    /// Number of rows.
    fn rows(&self) -> Result<usize, Failure>;

    /// The values of a stored column in `rows`, as a vector or list of as many items.
    fn column(&self, name: &Sym, rows: Range<usize>) -> Result<Value, Failure>;

    /// The instants its rows are held to lie in. For time of day columns it starts at midnight.
    fn time_range(&self) -> TimeRange;

    /// The value of the virtual partition column.
    fn partition(&self) -> Option<Atom> {
        None
    }

    /// The rows of each symbol of a column whose equal values are neighbours, checked against the data; `None`
    /// where that is not so or not known.
    fn parts(&self, _column: &Sym) -> Result<Option<Box<dyn Parts>>, Failure> {
        Ok(None)
    }

    /// True where the time column is known to ascend, so that it may be searched by halving.
    fn is_time_sorted(&self) -> bool {
        false
    }

    /// Narrows `rows` to a range with all times from the first bound (as stored) to before the second, if the time
    /// column is known to ascend within `rows`; else `None`. Times may ascend within `rows` alone, for instance the
    /// rows of one symbol in a table sorted by symbol, then time. Distant bounds may leave all rows.
    fn ascending_in(
        &self,
        rows: &Range<usize>,
        _from: Option<i64>,
        _to: Option<i64>,
    ) -> Result<Option<Range<usize>>, Failure> {
        Ok(self.is_time_sorted().then(|| rows.clone()))
    }

    /// Called after work on what [`Self::column`] gave: an error where it was torn meanwhile.
    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Where each symbol of a parted column lies.
pub trait Parts {
    /// The rows that hold a symbol; `None` where no row does.
    fn rows_of(&self, symbol: &[u8]) -> Option<Range<usize>>;
}

/// A table in memory as one block.
#[derive(Debug, Clone)]
pub struct MemoryBlock {
    /// The rows, with the columns of the schema.
    pub table: Table,
    /// Instants they are held to lie in.
    pub range: TimeRange,
    /// Value of the virtual partition column, if the table has one.
    pub partition: Option<Atom>,
    /// True where the time column ascends.
    pub is_time_sorted: bool,
}

impl Block for MemoryBlock {
    fn rows(&self) -> Result<usize, Failure> {
        Ok(self.table.len())
    }

    fn column(&self, name: &Sym, rows: Range<usize>) -> Result<Value, Failure> {
        let column = self.table.position(name.as_bytes()).map(|i| &self.table.columns()[i]);
        match column {
            Some(column) if rows.start <= rows.end && rows.end <= column.count() => Ok(column.slice(rows)),
            Some(column) => Err(internal(format!(
                "rows {rows:?} of column `{name}` were asked for, it has {}",
                column.count()
            ))),
            None => Err(internal(format!("a block in memory lacks the column `{name}` of its schema"))),
        }
    }

    fn time_range(&self) -> TimeRange {
        self.range
    }

    fn partition(&self) -> Option<Atom> {
        self.partition.clone()
    }

    fn is_time_sorted(&self) -> bool {
        self.is_time_sorted
    }
}

/// Blocks in memory as a source.
#[derive(Debug, Clone)]
pub struct MemorySource {
    /// The schema of all blocks.
    pub schema: TableSchema,
    /// The blocks in stored order.
    pub blocks: Vec<MemoryBlock>,
}

impl Source for MemorySource {
    fn schema(&self) -> &TableSchema {
        &self.schema
    }

    fn blocks(&self, range: TimeRange) -> Result<Vec<Box<dyn Block>>, Failure> {
        let timeless = self.schema.time.is_none() && self.schema.partition.is_none();
        let wanted = self.blocks.iter().filter(|b| timeless || b.range.intersect(range).is_some());
        Ok(wanted.map(|b| Box::new(b.clone()) as Box<dyn Block>).collect())
    }
}
