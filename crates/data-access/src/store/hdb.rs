//! A kdb+ database on disk as tables to query.
//!
//! Each partition is a block whose instants are the partition's span; a splayed table is one block without
//! time. Only the columns a query asks for are touched.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ::hdb::{
    BlockCache, ColumnType, Database, Fingerprint, FoundColumn, HdbError, OpenOptions, PartIndex,
    PartitionRef, TableData, TableKind,
};
use ahash::HashMap;
use getdata::{Block, Column, ColumnKind, Parts, Source, TableSchema};
use kvalue::{Atom, Sym, Value};
use sg::{
    Ac, Failure, Rc, TimeRange,
    purview::{ColumnMeta, TablePurview},
};

use super::{Tables, type_number};
use crate::brief;

/// How long an opened partition serves further queries before its files are looked at again. Short queries in
/// number would otherwise spend their time asking the system about files that do not change.
const FRESH: Duration = Duration::from_millis(200);
/// Time for which unshrunk files are assumed: a query checks the files used by itself.
const WHOLE: Duration = Duration::from_millis(10);
/// Most opened partitions kept for further queries.
const MAX_OPEN: usize = 1024;

/// A snapshot of a database.
#[derive(Debug, Clone)]
pub struct HdbTables {
    db: Database,
    schemas: Arc<BTreeMap<Sym, Arc<TableSchema>>>,
    open: Arc<Open>,
}

/// Tables and partitions opened a moment ago, by table and folder. A path is hashed part by part, its text at once.
#[derive(Debug, Default)]
struct Open(Mutex<HashMap<Sym, HashMap<OsString, Opened>>>);

#[derive(Debug)]
struct Opened {
    since: Instant,
    checked: Instant,
    data: Arc<TableData>,
}

impl Open {
    fn get(
        &self,
        db: &Database,
        table: &Sym,
        partition: Option<&PartitionRef>,
    ) -> Result<Arc<TableData>, HdbError> {
        // A splayed table has no partition's folder.
        let folder = partition.map_or(OsStr::new(""), |p| p.path().as_os_str());
        let now = Instant::now();
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = tables.get_mut(table).and_then(|of| of.get_mut(folder))
            && now.duration_since(opened.since) < FRESH
            && opened.is_whole(now)
        {
            return Ok(opened.data.clone());
        }
        if tables.values().map(HashMap::len).sum::<usize>() >= MAX_OPEN {
            tables.clear();
        }
        let data = db.open_table(&table.text(), partition).map(Arc::new);
        let of = tables.entry(table.clone()).or_default();
        match &data {
            Ok(data) => {
                of.insert(folder.into(), Opened { since: now, checked: now, data: data.clone() });
            }
            Err(_) => _ = of.remove(folder),
        }
        data
    }
}

impl Open {
    /// What was opened a moment ago, without a look at a file, or a wait for one who looks.
    fn known(&self, table: &Sym, partition: Option<&PartitionRef>) -> Option<Arc<TableData>> {
        let folder = partition.map_or(OsStr::new(""), |p| p.path().as_os_str());
        let (tables, now) = (self.0.try_lock().ok()?, Instant::now());
        let opened = tables.get(table)?.get(folder)?;
        let fresh = now.duration_since(opened.since) < FRESH && now.duration_since(opened.checked) < WHOLE;
        fresh.then(|| opened.data.clone())
    }
}

impl Opened {
    fn is_whole(&mut self, now: Instant) -> bool {
        if now.duration_since(self.checked) < WHOLE {
            return true;
        }
        self.checked = now;
        self.data.check().is_ok()
    }
}

impl HdbTables {
    /// Opens a database root; `cache_bytes` bounds its decompressed blocks. An eighth of it is for those that are not
    /// in the cache: being made, being read, or dropped and not given back by the allocator yet.
    pub fn open(root: &Path, cache_bytes: u64) -> Result<Self, HdbError> {
        let kept = cache_bytes - cache_bytes / 8;
        let cache = Arc::new(BlockCache::new(usize::try_from(kept).unwrap_or(usize::MAX)));
        Ok(Self::over(Database::open(root, &OpenOptions { cache, ..OpenOptions::default() })?))
    }

    /// What is on disk now; the present snapshot stays as it is.
    pub fn reload(&self) -> Result<Self, HdbError> {
        Ok(Self::over(self.db.reload()?))
    }

    fn over(db: Database) -> Self {
        let partition = db.partition_kind().map(|kind| (Sym::new(kind.column()), kind.ty()));
        let schemas = db.tables().iter().map(|meta| {
            let columns =
                meta.columns.iter().map(|c| Column { name: Sym::new(&c.name), kind: kind(&c.ty) }).collect();
            let partition = partition.clone().filter(|_| meta.kind == TableKind::Partitioned);
            let name = Sym::new(&meta.name);
            let mut schema = TableSchema::timed(name.clone(), columns, partition);
            if meta.kind != TableKind::Partitioned {
                // Reference data: all of it belongs to every range.
                schema.time = None;
            }
            (name, Arc::new(schema))
        });
        HdbTables { schemas: Arc::new(schemas.collect()), db, open: Arc::default() }
    }

    /// An id that copies of this database share: what a look at its partitions finds.
    pub fn source_id(&self, fingerprint: &mut Fingerprint) -> Option<Sym> {
        fingerprint.look(&self.db).map(Sym::new)
    }

    /// True where another snapshot of the same root leads to the same files by the same schemas.
    pub fn is_same(&self, other: &HdbTables) -> bool {
        self.db.is_same(&other.db)
    }

    /// What the folder holds where it has no table, to be told at the start; `None` where there is one.
    pub fn without_tables(&self) -> Option<String> {
        if !self.db.tables().is_empty() || !self.db.problems().is_empty() {
            return None;
        }
        let root = self.db.root().display();
        Some(match ::hdb::folder::contents(self.db.root()) {
            Ok(Some(foreign)) => format!("{root} is no kdb+ database: {foreign}"),
            Ok(None) => format!("{root} is empty: its tables are served once they are saved there"),
            Err(error) => error.to_string(),
        })
    }

    /// What was found on disk but cannot be served.
    pub fn problems(&self) -> Vec<String> {
        self.db.problems().iter().map(HdbError::to_string).collect()
    }
}

fn kind(ty: &ColumnType) -> ColumnKind {
    match ty {
        ColumnType::Basic(ty) => ColumnKind::Basic(*ty),
        ColumnType::Nested(ty) => ColumnKind::Nested(*ty),
        ColumnType::Any => ColumnKind::Any,
        ColumnType::Unreadable(why) => ColumnKind::Unreadable(why.clone()),
    }
}

impl Tables for HdbTables {
    fn purviews(&self) -> Vec<TablePurview> {
        let purview = |meta: &::hdb::TableMeta| {
            let schema = self.schemas.get(meta.name.as_bytes())?;
            let spans: Option<Vec<(i64, i64)>> =
                self.db.partitions(&meta.name).iter().map(PartitionRef::span).collect();
            let spans = spans.unwrap_or_default();
            let range = match (spans.first(), spans.last()) {
                (Some((start, _)), Some((_, end))) => TimeRange::new(*start, *end)?,
                _ => TimeRange::ALL,
            };
            let mut cuts: Vec<i64> = spans.iter().skip(1).map(|s| s.0).collect();
            cuts.dedup();
            let newest = cuts.len().saturating_sub(TablePurview::MAX_CUTS);
            let columns = meta.columns.iter().zip(&schema.columns).map(|(stored, c)| ColumnMeta {
                name: c.name.clone(),
                ty: type_number(&c.kind),
                attr: Sym::new(stored.attr.letter()),
            });
            Some(TablePurview {
                name: schema.name.clone(),
                kind: match meta.kind {
                    TableKind::Partitioned => sg::purview::TableKind::Partitioned,
                    TableKind::Splayed => sg::purview::TableKind::Splayed,
                    TableKind::Basic => sg::purview::TableKind::Basic,
                },
                range,
                cuts: cuts.split_off(newest),
                time_column: schema.time.clone().unwrap_or_default(),
                columns: columns.collect(),
            })
        };
        self.db.tables().iter().filter_map(purview).collect()
    }

    fn source(&self, table: &Sym) -> Option<Box<dyn Source>> {
        let schema = self.schemas.get(table)?.clone();
        Some(Box::new(HdbSource { db: self.db.clone(), schema, open: self.open.clone() }))
    }
}

struct HdbSource {
    db: Database,
    schema: Arc<TableSchema>,
    open: Arc<Open>,
}

impl Source for HdbSource {
    fn schema(&self) -> &TableSchema {
        &self.schema
    }

    fn blocks(&self, range: TimeRange) -> Result<Vec<Box<dyn Block>>, Failure> {
        let open = |partition: Option<&PartitionRef>| {
            let data = match brief::may_open() {
                true => self.open.get(&self.db, &self.schema.name, partition).map_err(failure)?,
                false => self.open.known(&self.schema.name, partition).ok_or_else(brief::wants_to_open)?,
            };
            let (partition, time) = (partition.cloned(), self.schema.time.clone());
            Ok(Box::new(HdbBlock { data, partition, time, used: RefCell::default() }) as Box<dyn Block>)
        };
        // Only the schema of a partitioned table has a virtual column.
        if self.schema.partition.is_none() {
            return Ok(vec![open(None)?]);
        }
        let partitions = self.db.partitions_of(&self.schema.name.text());
        partitions.iter().filter(|p| span(p).intersect(range).is_some()).map(|p| open(Some(p))).collect()
    }
}

/// The instants of a partition; all instants for a partition not made by time.
fn span(partition: &PartitionRef) -> TimeRange {
    partition.span().and_then(|(start, end)| TimeRange::new(start, end)).unwrap_or(TimeRange::ALL)
}

struct HdbBlock {
    data: Arc<TableData>,
    partition: Option<PartitionRef>,
    time: Option<Sym>,
    /// columns this query has read, few: others in the shared `data` may be torn without harm to it
    used: RefCell<Vec<(Sym, FoundColumn)>>,
}

impl HdbBlock {
    /// Does something with a column, which is looked up once.
    fn with<T>(
        &self,
        name: &Sym,
        what: impl FnOnce(&TableData, &FoundColumn) -> Result<T, HdbError>,
    ) -> Result<T, Failure> {
        let known = self.used.borrow().iter().position(|(n, _)| n == name);
        let at = match known {
            Some(at) => at,
            None => {
                let found = match brief::may_open() || self.data.has_found(&name.text()) {
                    true => self.data.find(&name.text()).map_err(failure)?,
                    false => return Err(brief::wants_to_open()),
                };
                let mut used = self.used.borrow_mut();
                used.push((name.clone(), found));
                used.len() - 1
            }
        };
        what(&self.data, &self.used.borrow()[at].1).map_err(failure)
    }
}

impl Block for HdbBlock {
    fn rows(&self) -> Result<usize, Failure> {
        self.data.rows().map_err(failure)
    }

    fn column(&self, name: &Sym, rows: Range<usize>) -> Result<Value, Failure> {
        self.with(name, |data, found| data.read(found, rows))
    }

    fn time_range(&self) -> TimeRange {
        self.partition.as_ref().map_or(TimeRange::ALL, span)
    }

    fn partition(&self) -> Option<Atom> {
        self.partition.as_ref().map(|p| p.kind.atom(p.value))
    }

    /// As the file claims by `s#`, which is believed as q believes it.
    fn is_time_sorted(&self) -> bool {
        let sorted = |time: &Sym| {
            self.with(time, |data, found| Ok(matches!(data.attr(found), kvalue::Attr::Sorted)))
                .unwrap_or(false)
        };
        self.time.as_ref().is_some_and(sorted)
    }

    fn ascending_in(
        &self,
        rows: &Range<usize>,
        from: Option<i64>,
        to: Option<i64>,
    ) -> Result<Option<Range<usize>>, Failure> {
        let Some(time) = &self.time else { return Ok(None) };
        self.with(time, |data, found| {
            if matches!(data.attr(found), kvalue::Attr::Sorted) {
                return Ok(Some(rows.clone()));
            }
            Ok(data.ascending(found, rows)?.map(|landmarks| landmarks.around(rows, from, to)))
        })
    }

    fn parts(&self, column: &Sym) -> Result<Option<Box<dyn Parts>>, Failure> {
        let index = self.with(column, |data, found| data.parted_by(found))?;
        Ok(index.map(|index| Box::new(HdbParts(index)) as Box<dyn Parts>))
    }

    fn check(&self) -> Result<(), Failure> {
        self.used.borrow().iter().try_for_each(|(_, column)| column.check()).map_err(failure)
    }
}

struct HdbParts(Arc<PartIndex>);

impl Parts for HdbParts {
    fn rows_of(&self, symbol: &[u8]) -> Option<Range<usize>> {
        self.0.range_of(symbol)
    }
}

/// An error of the database as a caller is told it.
fn failure(error: HdbError) -> Failure {
    Failure::new(Rc::APP_DB, Ac::DATA, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> HdbTables {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/kdb-hdb");
        HdbTables::open(Path::new(root), 64 << 20).unwrap()
    }

    #[test]
    fn the_purview_spans_the_partitions_that_hold_a_table() {
        let purviews = sample().purviews();
        let of = |name: &str| purviews.iter().find(|t| t.name == name).unwrap();
        assert_eq!(
            of("trade").range.to_string(),
            "[2015.01.07D00:00:00.000000000, 2015.01.09D00:00:00.000000000)"
        );
        assert_eq!(of("trade").cuts.len(), 1);
        assert_eq!(
            of("quote").range.to_string(),
            "[2015.01.07D00:00:00.000000000, 2015.01.08D00:00:00.000000000)"
        );
        assert_eq!(of("trade").columns[1].attr, "p");
    }

    /// Where orders are read, nothing may wait for a disk.
    #[test]
    fn what_may_open_no_file_reads_what_others_have_opened_and_nothing_else() {
        let tables = sample();
        let source = tables.source(&"trade".into()).unwrap();
        let read = |column: &str| {
            let blocks = source.blocks(TimeRange::ALL)?;
            blocks[0].column(&column.into(), 0..10)
        };
        let (outcome, wanted) = brief::without_opening(|| read("price"));
        assert!(outcome.is_err() && wanted);
        for _ in 0..20 {
            assert!(read("price").is_ok());
            // A slow machine may need more than the time that what was opened is believed in.
            let (known, wanted) = brief::without_opening(|| read("price"));
            let (other, wanted_other) = brief::without_opening(|| read("size"));
            assert!(other.is_err() && wanted_other, "its file was never opened");
            if known.is_ok() && !wanted {
                return;
            }
        }
        panic!("what was opened is never read");
    }

    #[test]
    fn blocks_are_the_partitions_of_the_range() {
        let source = sample().source(&"trade".into()).unwrap();
        let rows: Vec<usize> =
            source.blocks(TimeRange::ALL).unwrap().iter().map(|b| b.rows().unwrap()).collect();
        assert_eq!(rows, [196_519, 437_171]);
        assert!(sample().source(&"nosuch".into()).is_none());
    }

    #[test]
    fn the_rows_of_a_symbol_in_a_range_are_found_as_a_look_at_each_time_finds_them() {
        let tables = sample();
        let source = tables.source(&"trade".into()).unwrap();
        let block = &source.blocks(TimeRange::ALL).unwrap()[1];
        for symbol in ["MSFT", "AAPL", "DELL"] {
            let rows = block.parts(&"sym".into()).unwrap().unwrap().rows_of(symbol.as_bytes()).unwrap();
            let times = block.column(&"time".into(), rows).unwrap();
            let times = times.as_vector().unwrap().as_buf::<i64>().unwrap().to_vec();
            let (first, last) = (times[0], times[times.len() - 1]);
            // Ranges of nothing, of a few rows and of nearly all, which begin and end on a row or beside one.
            let places = [0, 1, 100, 2047, 2048, 2049, 9_999, 20_480, times.len() - 2, times.len() - 1];
            let mut bounds: Vec<i64> = places.iter().flat_map(|&at| [times[at], times[at] + 1]).collect();
            bounds.extend([first - 1, last + 2]);
            for (from, to) in bounds.iter().flat_map(|&from| bounds.iter().map(move |&to| (from, to))) {
                let Some(range) = TimeRange::new(from, to) else { continue };
                let args = kvalue::Dict::of([
                    ("table", Value::sym("trade")),
                    ("filter", Value::list([Value::syms(["=", "sym", symbol])])),
                    ("agg", Value::sym("time")),
                ]);
                let query = getdata::Query::parse(&args, &getdata::ParseOptions::default()).unwrap();
                let bound = query.bind(source.schema()).unwrap();
                let never = kernels::error::Uninterrupted;
                let partial = getdata::joined(&getdata::execute(&bound, &*source, range, &never).unwrap());
                let found = qipc::decode(partial, &qipc::Limits::internal()).unwrap();
                let wanted: Vec<i64> = times.iter().copied().filter(|t| (from..to).contains(t)).collect();
                let wanted = Value::from(kvalue::Vector::timestamps(wanted));
                assert_eq!(found.as_table().unwrap().columns()[0], wanted, "{symbol} in {range}");
            }
        }
    }
}
