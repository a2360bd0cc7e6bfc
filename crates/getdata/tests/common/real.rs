//! A real kdb+ database as a source, whole or a share of each partition's rows.

use std::{ops::Range, path::Path, sync::LazyLock};

use getdata::{Block, Column, ColumnKind, Parts, Source, TableSchema};
use hdb::{ColumnType, Database, HdbError, OpenOptions, PartIndex, PartitionRef, TableData};
use kvalue::{Atom, Sym, Type, Value};
use sg::{Failure, TimeRange};

pub(crate) static DATABASE: LazyLock<Database> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/kdb-hdb");
    Database::open(&root, &OpenOptions::default()).unwrap()
});

/// 2015.01.07
pub(crate) const FIRST_DAY: i64 = 5485;

fn failure(e: HdbError) -> Failure {
    Failure::new(sg::Rc::APP_DB, sg::Ac::DATA, e.to_string())
}

/// Some rows of each partition of a table: what one label set holds.
pub(crate) struct Part {
    pub(crate) schema: TableSchema,
    /// The share of each partition's rows, from and to, in 1/16.
    share: (usize, usize),
}

struct Rows {
    data: TableData,
    partition: PartitionRef,
    rows: Range<usize>,
    whole: bool,
}

struct Index(std::sync::Arc<PartIndex>);

impl Parts for Index {
    fn rows_of(&self, symbol: &[u8]) -> Option<Range<usize>> {
        self.0.range_of(symbol)
    }
}

impl Part {
    pub(crate) fn of(table: &str, share: (usize, usize)) -> Self {
        let meta = DATABASE.table(table).unwrap();
        let columns = meta.columns.iter().map(|c| {
            let kind = match &c.ty {
                ColumnType::Basic(ty) => ColumnKind::Basic(*ty),
                other => panic!("{other:?}"),
            };
            Column { name: Sym::new(&c.name), kind }
        });
        let schema = TableSchema::timed(table.into(), columns.collect(), Some(("date".into(), Type::Date)));
        Part { schema, share }
    }
}

impl Source for Part {
    fn schema(&self) -> &TableSchema {
        &self.schema
    }

    fn blocks(&self, range: TimeRange) -> Result<Vec<Box<dyn Block>>, Failure> {
        let table = &*self.schema.name.text();
        let mut blocks: Vec<Box<dyn Block>> = Vec::new();
        for partition in DATABASE.partitions(table) {
            let (from, to) = partition.span().unwrap();
            if TimeRange::new(from, to).unwrap().intersect(range).is_none() {
                continue;
            }
            let data = DATABASE.open_table(table, Some(&partition)).map_err(failure)?;
            let n = data.rows().map_err(failure)?;
            let rows = n * self.share.0 / 16..n * self.share.1 / 16;
            blocks.push(Box::new(Rows { whole: rows.len() == n, data, partition, rows }));
        }
        Ok(blocks)
    }
}

impl Block for Rows {
    fn rows(&self) -> Result<usize, Failure> {
        Ok(self.rows.len())
    }

    fn column(&self, name: &Sym, rows: Range<usize>) -> Result<Value, Failure> {
        let start = self.rows.start;
        self.data.column(&name.text(), start + rows.start..start + rows.end).map_err(failure)
    }

    fn time_range(&self) -> TimeRange {
        let (from, to) = self.partition.span().unwrap();
        TimeRange::new(from, to).unwrap()
    }

    fn partition(&self) -> Option<Atom> {
        Some(Atom::Date(self.partition.value as i32))
    }

    fn parts(&self, column: &Sym) -> Result<Option<Box<dyn Parts>>, Failure> {
        if !self.whole {
            return Ok(None);
        }
        let index = self.data.parted(&column.text()).map_err(failure)?;
        Ok(index.map(|i| Box::new(Index(i)) as Box<dyn Parts>))
    }

    fn check(&self) -> Result<(), Failure> {
        self.data.check().map_err(failure)
    }
}
