//! What every world's data is: rows that are known, so that an answer is checked row by row.
//!
//! Each label set has a row every [`STEP`] instants of [`DATA`]; its `x` names label set and instant, so that no
//! two rows of a world are alike.

use std::sync::Arc;

use data_access::store::Tables;
use getdata::{Column, ColumnKind, MemoryBlock, MemorySource, Source, TableSchema};
use kvalue::{Atom, Sym, Table, Type, Value, Vector};
use sg::{
    TimeRange,
    purview::{TableKind, TablePurview},
};

/// The instants for which data exists.
pub(crate) const DATA: (i64, i64) = (0, 1_000);
/// Distance of two rows of a label set.
pub(crate) const STEP: i64 = 5;
/// Instants of a partition on disk.
pub(crate) const PARTITION: i64 = 10;
/// Label sets.
pub(crate) const REGIONS: [&str; 3] = ["ldn", "nyc", "tok"];
/// The one table.
pub(crate) const TABLE: &str = "trade";

/// The row of a label set at an instant.
pub(crate) fn x(labels: usize, instant: i64) -> i64 {
    labels as i64 * 10_000 + instant
}

/// Instants of the rows in a range.
pub(crate) fn instants(range: TimeRange) -> impl Iterator<Item = i64> {
    (DATA.0..DATA.1).step_by(STEP as usize).filter(move |t| range.contains(*t))
}

/// The rows of a label set in a range.
pub(crate) fn rows(labels: usize, range: TimeRange) -> Value {
    let times: Vec<i64> = instants(range).collect();
    let xs = times.iter().map(|t| x(labels, *t)).collect();
    let table =
        Table::of([("time", Value::from(Vector::timestamps(times))), ("x", Vector::longs(xs).into())]);
    table.map_or(Value::Null, Value::from)
}

fn schema() -> TableSchema {
    let columns = [("time", Type::Timestamp), ("x", Type::Long)];
    let columns = columns.map(|(name, ty)| Column { name: name.into(), kind: ColumnKind::Basic(ty) });
    TableSchema::timed(TABLE.into(), columns.to_vec(), Some(("date".into(), Type::Date)))
}

/// The partitions on disk of a label set, as a database process has opened them.
pub(crate) struct Disk {
    source: MemorySource,
    from: i64,
    until: i64,
}

impl Disk {
    /// All partitions of a range.
    pub(crate) fn open(labels: usize, (from, until): (i64, i64)) -> Arc<Disk> {
        let starts = (from..until).step_by(PARTITION as usize);
        let blocks = starts.filter_map(|start| {
            let range = TimeRange::new(start, start + PARTITION)?;
            let table = rows(labels, range).as_table()?.clone();
            Some(MemoryBlock { table, range, partition: Some(Atom::Date(0)), is_time_sorted: true })
        });
        let blocks = blocks.collect();
        Arc::new(Disk { source: MemorySource { schema: schema(), blocks }, from, until })
    }
}

impl Tables for Disk {
    fn purviews(&self) -> Vec<TablePurview> {
        let range = TimeRange::new(self.from, self.until).unwrap_or(TimeRange::ALL);
        vec![TablePurview {
            name: TABLE.into(),
            kind: TableKind::Partitioned,
            range,
            cuts: (self.from..self.until).step_by(PARTITION as usize).skip(1).collect(),
            time_column: "time".into(),
            columns: Vec::new(),
        }]
    }

    fn source(&self, table: &Sym) -> Option<Box<dyn Source>> {
        (*table == TABLE).then(|| {
            let MemorySource { schema, blocks } = &self.source;
            Box::new(MemorySource { schema: schema.clone(), blocks: blocks.clone() }) as Box<dyn Source>
        })
    }
}
