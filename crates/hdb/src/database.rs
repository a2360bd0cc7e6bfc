//! [`Database`]: a snapshot of the tables and partitions of a database root.
//!
//! Rule: a snapshot's list of tables and partitions never changes; [`Database::reload`] makes a new one that
//! shares opened columns and domains with the old. Tests: `tests/layouts.rs`, `tests/real.rs`.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use kvalue::{Attr, Table, Value};

use crate::{
    BlockCache, HdbError, TableData,
    column::serialised,
    domain::{DOMAIN_FILES, PinnedTargets},
    folder,
    format::image::Image,
    handles::Shared,
    map::FileId,
    partition::PartitionKind,
    scan::{self, Found, PartitionDir},
    schema::{ColumnMeta, ColumnType, TableKind, TableMeta},
    table::listing,
};

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Holds decompressed blocks; share one among all databases of a process to bound their sum.
    pub cache: Arc<BlockCache>,
    /// Most column files kept mapped between queries (default 16384). Linux allows a process 65530 mappings
    /// unless told otherwise, and a nested column takes two.
    pub max_open_columns: usize,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions { cache: Arc::default(), max_open_columns: 16384 }
    }
}

/// A database root as it was when opened or reloaded. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    kind: Option<PartitionKind>,
    /// In order of name; the same order as `entries`.
    metas: Vec<TableMeta>,
    entries: Vec<Entry>,
    problems: Vec<HdbError>,
}

#[derive(Debug)]
struct Entry {
    meta: Arc<TableMeta>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Partitions(Vec<PartitionRef>),
    Splay(PathBuf),
    /// with the file that was read, where a later change of it would show
    Memory(Table, Option<FileId>),
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Place::Partitions(a), Place::Partitions(b)) => a == b,
            (Place::Splay(a), Place::Splay(b)) => a == b,
            (Place::Memory(_, Some(a)), Place::Memory(_, Some(b))) => a == b,
            _ => false,
        }
    }
}

/// One partition directory. A value that lies in several segments has one for each.
#[derive(Debug, Clone)]
pub struct PartitionRef {
    /// Days since 2000.01.01, months since 2000.01, the year, or the number.
    pub value: i64,
    /// What partitions are made by.
    pub kind: PartitionKind,
    dir: Arc<PartitionDir>,
}

impl PartitionRef {
    /// The partition's directory.
    pub fn path(&self) -> &Path {
        &self.dir.path
    }

    /// First instant and the instant after the last; see [`PartitionKind::span`].
    pub fn span(&self) -> Option<(i64, i64)> {
        self.kind.span(self.value)
    }
}

impl PartialEq for PartitionRef {
    fn eq(&self, other: &Self) -> bool {
        (self.value, self.kind, &self.dir.path) == (other.value, other.kind, &other.dir.path)
    }
}

impl Eq for PartitionRef {}

impl Database {
    /// Opens a database root: splayed, partitioned (date, month, year, int) and segmented (`par.txt`) tables,
    /// and tables serialised as one file. Of each table only the headers of its latest partition are read.
    ///
    /// A folder that is a part of a database (one partition, one segment, one table) is refused.
    pub fn open(root: &Path, options: &OpenOptions) -> Result<Database, HdbError> {
        let found = scan::scan(root)?;
        folder::refuse_partition(root, &found)?;
        folder::refuse_segment(root, &found)?;
        Database::of(Arc::new(Shared::new(root, options)), found)
    }

    /// A new snapshot of the same root. Files that did not change stay mapped, their blocks cached; readers of
    /// the old snapshot go on with it.
    pub fn reload(&self) -> Result<Database, HdbError> {
        self.0.shared.prune();
        let found = scan::scan(&self.0.shared.root)?;
        Database::of(self.0.shared.clone(), found)
    }

    /// True where this snapshot and another one of the same root lead to the same data: the same schemas, the same
    /// directories, the same files of tables that are held in memory. Contents of columns are compared by readers.
    pub fn is_same(&self, other: &Database) -> bool {
        self.0.kind == other.0.kind
            && self.0.metas == other.0.metas
            && self.0.entries.iter().map(|e| &e.place).eq(other.0.entries.iter().map(|e| &e.place))
    }

    fn of(shared: Arc<Shared>, found: Found) -> Result<Database, HdbError> {
        let mut problems = Vec::new();
        let kind = found.kind;
        let mut entries = tables(&shared, found, &mut problems);
        entries.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
        for problem in &problems {
            tracing::warn!(root = %shared.root.display(), %problem, "part of the database cannot be served");
        }
        let metas = entries.iter().map(|e| TableMeta::clone(&e.meta)).collect();
        Ok(Database(Arc::new(Inner { shared, kind, metas, entries, problems })))
    }

    /// The root directory.
    pub fn root(&self) -> &Path {
        &self.0.shared.root
    }

    /// The tables in order of name, each with the schema of the latest partition that has it.
    pub fn tables(&self) -> &[TableMeta] {
        &self.0.metas
    }

    /// A table by name.
    pub fn table(&self, name: &str) -> Option<&TableMeta> {
        self.0.metas.iter().find(|m| m.name == name)
    }

    /// What partitions are made by; `None` for a database without any.
    pub fn partition_kind(&self) -> Option<PartitionKind> {
        self.0.kind
    }

    /// The partitions that hold a table, in ascending order of value; none for other tables.
    pub fn partitions(&self, table: &str) -> Vec<PartitionRef> {
        self.partitions_of(table).to_vec()
    }

    /// As [`Self::partitions`], without a copy of them all.
    pub fn partitions_of(&self, table: &str) -> &[PartitionRef] {
        match self.entry(table).map(|e| &e.place) {
            Some(Place::Partitions(partitions)) => partitions,
            _ => &[],
        }
    }

    /// Opens a table, or one partition of a partitioned one. Reads its `.d` and nothing else.
    pub fn open_table(&self, table: &str, partition: Option<&PartitionRef>) -> Result<TableData, HdbError> {
        let Some(entry) = self.entry(table) else {
            let known = self.0.metas.iter().map(|m| m.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(HdbError::UnknownTable { path: self.root().into(), table: table.into(), known });
        };
        let wrong =
            |next| Err(HdbError::WrongKind { table: table.into(), kind: entry.meta.kind.name(), next });
        match (&entry.place, partition) {
            (Place::Partitions(_), Some(p)) => {
                TableData::splay(self.0.shared.clone(), p.dir.path.join(table), entry.meta.clone())
            }
            (Place::Splay(dir), None) => {
                TableData::splay(self.0.shared.clone(), dir.clone(), entry.meta.clone())
            }
            (Place::Memory(data, _), None) => Ok(TableData::memory(data.clone(), entry.meta.clone())),
            (Place::Partitions(_), None) => wrong("say which partition to open"),
            (_, Some(_)) => wrong("open it without a partition"),
        }
    }

    /// What was found in the root but cannot be served, for a health page or a log.
    pub fn problems(&self) -> &[HdbError] {
        &self.0.problems
    }

    /// Column files held open, by this and every other snapshot of the root.
    pub fn open_columns(&self) -> usize {
        self.0.shared.open_columns()
    }

    fn entry(&self, table: &str) -> Option<&Entry> {
        self.0.entries.iter().find(|e| e.meta.name == table)
    }
}

fn tables(shared: &Arc<Shared>, found: Found, problems: &mut Vec<HdbError>) -> Vec<Entry> {
    let mut entries = Vec::new();
    if let Some(kind) = found.kind {
        entries = partitioned(shared, kind, found.partitions, problems);
    }
    for (name, dir) in found.splays {
        match schema(shared, &name, &dir, TableKind::Splayed) {
            Ok(meta) => entries.push(Entry { meta: Arc::new(meta), place: Place::Splay(dir) }),
            Err(e) => problems.push(e),
        }
    }
    for (name, path) in found.files {
        match basic(shared, &path) {
            Ok(Some((table, file))) => {
                let meta = Arc::new(basic_schema(&name, &table));
                entries.push(Entry { meta, place: Place::Memory(table, file) });
            }
            Ok(None) => {}
            Err(e) => problems.push(e),
        }
    }
    // q binds one name once; a partitioned table shadows what else has its name.
    let mut seen = HashSet::new();
    entries.retain(|e| seen.insert(e.meta.name.clone()));
    entries
}

fn partitioned(
    shared: &Arc<Shared>,
    kind: PartitionKind,
    partitions: Vec<PartitionDir>,
    problems: &mut Vec<HdbError>,
) -> Vec<Entry> {
    let mut holders: HashMap<String, Vec<PartitionRef>> = HashMap::new();
    let mut seen = HashSet::new();
    for dir in partitions.into_iter().map(Arc::new) {
        for (name, table) in &dir.tables {
            // A table linked into two segments of one partition is one table.
            if !seen.insert((dir.value, name.clone(), table.place)) {
                continue;
            }
            let holder = PartitionRef { value: dir.value, kind, dir: dir.clone() };
            holders.entry(name.clone()).or_default().push(holder);
        }
    }
    let mut entries = Vec::new();
    for (name, mut holders) in holders {
        let has_d = |p: &PartitionRef| p.dir.tables.get(&name).is_some_and(|t| t.has_d);
        // A later one without `.d` is still being written; an older one is read through the schema.
        let Some(latest) = holders.iter().rposition(has_d) else { continue };
        holders.truncate(latest + 1);
        let mut meta = None;
        for holder in holders.iter().rev().filter(|p| has_d(p)) {
            match schema(shared, &name, &holder.dir.path.join(&name), TableKind::Partitioned) {
                Ok(found) => {
                    meta = Some(found);
                    break;
                }
                Err(e) => problems.push(e),
            }
        }
        if let Some(mut meta) = meta {
            mend_schema(shared, &mut meta, &holders[..latest]);
            entries.push(Entry { meta: Arc::new(meta), place: Place::Partitions(holders) });
        }
    }
    entries
}

/// Most older partitions asked for the type of a column that is damaged in the latest one.
const MAX_OLDER: usize = 64;

/// A column damaged in the latest partition takes the type of the newest older partition, so that only the damaged
/// partitions give errors.
fn mend_schema(shared: &Arc<Shared>, meta: &mut TableMeta, older: &[PartitionRef]) {
    let damaged = meta.columns.iter_mut().filter(|c| matches!(c.ty, ColumnType::Unreadable(_)));
    for column in damaged {
        let readable = older.iter().rev().take(MAX_OLDER).find_map(|p| {
            let found = column_schema(shared, &p.dir.path.join(&meta.name), column.name.clone());
            (!matches!(found.ty, ColumnType::Unreadable(_))).then_some(found)
        });
        if let Some(found) = readable {
            *column = ColumnMeta { attr: Attr::None, ..found };
        }
    }
}

/// The schema of a splayed directory. A column that cannot be read is a column still.
fn schema(shared: &Arc<Shared>, name: &str, dir: &Path, kind: TableKind) -> Result<TableMeta, HdbError> {
    let listed = listing(shared, dir)?
        .ok_or_else(|| HdbError::corrupt(dir, "no .d", "a .d file that lists the columns"))?;
    let mut columns: Vec<ColumnMeta> = Vec::with_capacity(listed.len());
    for name in listed {
        if columns.iter().any(|c| c.name == name) {
            return Err(HdbError::corrupt(
                &dir.join(".d"),
                format!("column {name} twice"),
                "each column once",
            ));
        }
        columns.push(column_schema(shared, dir, name));
    }
    if columns.is_empty() {
        return Err(HdbError::corrupt(&dir.join(".d"), "no column", "at least one column name"));
    }
    Ok(TableMeta { name: name.into(), kind, columns })
}

fn column_schema(shared: &Arc<Shared>, dir: &Path, name: String) -> ColumnMeta {
    let read = || -> Result<(ColumnType, Attr, Option<String>), HdbError> {
        let column = shared
            .column(&dir.join(&name))?
            .ok_or_else(|| HdbError::ColumnFileMissing { table: dir.into(), column: name.clone() })?;
        let targets = PinnedTargets::default();
        Ok((column.ty(&shared.domains.pinned(&targets))?, column.attr(), column.domain().map(str::to_owned)))
    };
    match read() {
        Ok((ty, attr, domain)) => ColumnMeta { name, ty, attr, domain },
        Err(e) => {
            ColumnMeta { name, ty: ColumnType::Unreadable(e.to_string()), attr: Attr::None, domain: None }
        }
    }
}

/// The table in a serialised file; `None` where it holds something else.
fn basic(shared: &Arc<Shared>, path: &Path) -> Result<Option<(Table, Option<FileId>)>, HdbError> {
    // Any file of the root may be an enumeration that a save of this process holds locked.
    let _guard = DOMAIN_FILES.read().unwrap_or_else(PoisonError::into_inner);
    // A foreign file may look like anything; only what starts as a table is held to be one.
    let Ok(image) = Image::open(path, &shared.cache) else { return Ok(None) };
    let Ok(head) = image.head(3) else { return Ok(None) };
    const TABLE: u8 = 98;
    const DICT: u8 = 99;
    if head.len() < 3 || head[..2] != [0xff, 0x01] || ![TABLE, DICT].contains(&head[2]) {
        return Ok(None);
    }
    let value = serialised(&image)?;
    let file = image.is_still(image.id()).then(|| image.id());
    let table = match &value {
        Value::Table(table) => Some(Table::clone(table)),
        Value::Dict(dict) => dict.as_keyed_table().and_then(|(keys, values)| {
            let names = keys.names().iter().chain(values.names().iter()).collect();
            let columns: Vec<Value> = keys.columns().iter().chain(values.columns()).cloned().collect();
            Table::new(names, columns).ok()
        }),
        _ => None,
    };
    Ok(table.map(|table| (table, file)))
}

fn basic_schema(name: &str, table: &Table) -> TableMeta {
    let columns = table.iter().map(|(name, column)| ColumnMeta {
        name: String::from_utf8_lossy(name).into_owned(),
        ty: ColumnType::of(column),
        attr: column.as_vector().map_or(Attr::None, kvalue::Vector::attr),
        domain: None,
    });
    TableMeta { name: name.into(), kind: TableKind::Basic, columns: columns.collect() }
}
