//! [`TableData`]: one splayed directory (a partition of a table, or a splayed table) being read.
//!
//! Rule: a file is opened when its column is asked for, not before; every column handed out has as many
//! rows as the first one, or is an error. Tests: `tests/layouts.rs`, `tests/hostile.rs`.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use ahash::HashMap;
use kvalue::{Attr, Codes, Symbols, Table, Value, Vector};

use crate::{
    HdbError, Landmarks, PartIndex,
    column::Column,
    domain::{Pinned, PinnedTargets, Target},
    format::{image::Image, symbols},
    handles::Shared,
    schema::{ColumnMeta, TableMeta},
};

/// A table, or one partition of it, open for reading. Opened files are not checked for changes: share a `TableData`
/// among simultaneous queries only, so that changes on disk are seen.
#[derive(Debug)]
pub struct TableData {
    meta: Arc<TableMeta>,
    source: Source,
    /// files of the schema's columns that were looked up, by their place in it
    files: Box<[OnceLock<Option<Arc<Column>>>]>,
}

/// A column that was looked up in a [`TableData`], to be read in that one as often as a query needs it: a look-up
/// costs as much as a short read.
#[derive(Debug, Clone)]
pub struct FoundColumn {
    /// its place in the schema
    at: usize,
    /// `None` where the table is in memory, or older than the column
    file: Option<Arc<Column>>,
}

#[derive(Debug)]
enum Source {
    Splay(Splay),
    Memory(Table),
}

#[derive(Debug)]
struct Splay {
    shared: Arc<Shared>,
    dir: PathBuf,
    id: DirId,
    /// enumerations of this table's columns, the same for all of them
    pinned: PinnedTargets,
    listed: Option<Vec<String>>,
    open: Mutex<HashMap<String, Option<Arc<Column>>>>,
    rows: OnceLock<(String, usize)>,
}

/// Column names of a splayed directory; `None` where it has no `.d`.
pub(crate) fn listing(shared: &Shared, dir: &Path) -> Result<Option<Vec<String>>, HdbError> {
    let path = dir.join(".d");
    let image = match Image::open(&path, &shared.cache) {
        Ok(image) => image,
        Err(e) if e.is_not_found() => return Ok(None),
        Err(e) => return Err(e),
    };
    let names = symbols::parse(&path, &bytes::Bytes::copy_from_slice(&image.read(0..image.len())?))?;
    image.check()?;
    names.iter().map(|name| symbols::leaf(&path, name).map(str::to_owned)).collect::<Result<_, _>>().map(Some)
}

/// Identity of a directory, to recognise a replacement. Numbers of inodes are given again at once, so the time of birth
/// counts where the file system knows it; other times change with each new column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirId {
    dev: u64,
    ino: u64,
    born: Option<std::time::SystemTime>,
}

impl DirId {
    pub(crate) fn of(meta: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        DirId { dev: meta.dev(), ino: meta.ino(), born: meta.created().ok() }
    }
}

/// Identity of a directory; an error naming it where it is gone.
pub(crate) fn dir_id(dir: &Path) -> Result<DirId, HdbError> {
    match std::fs::metadata(dir) {
        Ok(meta) => Ok(DirId::of(&meta)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(HdbError::PartitionGone { path: dir.into() })
        }
        Err(e) => Err(HdbError::io("examine", dir)(e)),
    }
}

impl TableData {
    pub(crate) fn splay(shared: Arc<Shared>, dir: PathBuf, meta: Arc<TableMeta>) -> Result<Self, HdbError> {
        let id = dir_id(&dir)?;
        let listed = listing(&shared, &dir)?;
        let splay = Splay {
            shared,
            dir,
            id,
            pinned: PinnedTargets::default(),
            listed,
            open: Mutex::default(),
            rows: OnceLock::new(),
        };
        Ok(TableData::of(meta, Source::Splay(splay)))
    }

    pub(crate) fn memory(table: Table, meta: Arc<TableMeta>) -> Self {
        TableData::of(meta, Source::Memory(table))
    }

    fn of(meta: Arc<TableMeta>, source: Source) -> Self {
        let files = meta.columns.iter().map(|_| OnceLock::new()).collect();
        TableData { meta, source, files }
    }

    /// The schema columns are read through.
    pub fn meta(&self) -> &TableMeta {
        &self.meta
    }

    /// Number of rows: those of the first column that has a file.
    pub fn rows(&self) -> Result<usize, HdbError> {
        match &self.source {
            Source::Memory(table) => Ok(table.len()),
            Source::Splay(splay) => splay.rows(&self.meta).map(|(_, n)| *n),
        }
    }

    /// Looks a column up, for several reads of it.
    pub fn find(&self, name: &str) -> Result<FoundColumn, HdbError> {
        let at = self.meta.columns.iter().position(|c| c.name == name).ok_or_else(|| self.unknown(name))?;
        if let Some(file) = self.files[at].get() {
            return Ok(FoundColumn { at, file: file.clone() });
        }
        let file = match &self.source {
            Source::Memory(_) => None,
            Source::Splay(splay) => splay.column(name)?,
        };
        Ok(FoundColumn { at, file: self.files[at].get_or_init(|| file).clone() })
    }

    /// True where the column has been looked up before: to find it again opens no file.
    pub fn has_found(&self, name: &str) -> bool {
        let at = self.meta.columns.iter().position(|c| c.name == name);
        at.is_some_and(|at| self.files[at].get().is_some())
    }

    /// As [`Self::read`], of a column that is read once.
    pub fn column(&self, name: &str, rows: Range<usize>) -> Result<Value, HdbError> {
        self.read(&self.find(name)?, rows)
    }

    /// The values of a column of this table in `rows`: a vector that shares the mapping where the file is
    /// uncompressed, the asked part of decompressed blocks otherwise, a list where it is nested. Symbols come
    /// enumerated over the database's shared domain. A column that this partition is too old for reads as nulls.
    pub fn read(&self, found: &FoundColumn, rows: Range<usize>) -> Result<Value, HdbError> {
        let meta = &self.meta.columns[found.at];
        let splay = match &self.source {
            Source::Memory(table) => {
                let column = table.column(&meta.name).ok_or_else(|| self.unknown(&meta.name))?;
                check_range(Path::new(&self.meta.name), &rows, table.len())?;
                return Ok(column.slice(rows));
            }
            Source::Splay(splay) => splay,
        };
        let path = || splay.dir.join(&meta.name);
        let (first, n) = splay.rows(&self.meta)?;
        if rows.start > rows.end || rows.end > *n {
            return check_range(&path(), &rows, *n).map(|()| meta.ty.nulls(0));
        }
        let Some(column) = &found.file else {
            return nulls(&splay.domains(), &path(), meta, rows.len());
        };
        same_rows(column, first, *n)?;
        if column.is_untyped() {
            return Ok(meta.ty.nulls(0));
        }
        column.read(rows, &splay.domains())
    }

    /// Rows of each symbol of an enumerated column that is parted (or sorted) and truly so; `None` otherwise.
    pub fn parted(&self, name: &str) -> Result<Option<Arc<PartIndex>>, HdbError> {
        self.parted_by(&self.find(name)?)
    }

    /// As [`Self::parted`], of a column that was looked up.
    pub fn parted_by(&self, found: &FoundColumn) -> Result<Option<Arc<PartIndex>>, HdbError> {
        let (Source::Splay(splay), Some(column)) = (&self.source, &found.file) else { return Ok(None) };
        let (first, n) = splay.rows(&self.meta)?;
        same_rows(column, first, *n)?;
        column.parted(&splay.domains())
    }

    /// Landmarks of a column within `rows`, if a look has shown that the values ascend; `None` for other values, and
    /// for columns that cannot be looked at.
    pub fn ascending(&self, found: &FoundColumn, rows: &Range<usize>) -> Result<Option<Landmarks>, HdbError> {
        match (&self.source, &found.file) {
            (Source::Splay(splay), Some(column)) if rows.start <= rows.end && rows.end <= column.rows() => {
                column.ascending(rows, &splay.domains())
            }
            _ => Ok(None),
        }
    }

    /// The attribute of a column here, as its file claims it.
    pub fn column_attr(&self, name: &str) -> Result<Attr, HdbError> {
        Ok(self.attr(&self.find(name)?))
    }

    /// As [`Self::column_attr`], of a column that was looked up.
    pub fn attr(&self, found: &FoundColumn) -> Attr {
        match &self.source {
            Source::Memory(table) => match table.column(&self.meta.columns[found.at].name) {
                Some(Value::Vector(v)) => v.attr(),
                _ => Attr::None,
            },
            Source::Splay(_) => found.file.as_ref().map_or(Attr::None, |c| c.attr()),
        }
    }

    /// To be called after work on what [`Self::column`] gave: an error where a file that was read has shrunk
    /// meanwhile, so that what was computed from it must be thrown away.
    pub fn check(&self) -> Result<(), HdbError> {
        let Source::Splay(splay) = &self.source else { return Ok(()) };
        splay.lock().values().flatten().try_for_each(|column| column.check())
    }

    fn unknown(&self, name: &str) -> HdbError {
        HdbError::UnknownColumn {
            table: self.meta.name.clone(),
            column: name.into(),
            known: self.meta.column_names(),
        }
    }
}

impl FoundColumn {
    /// As [`TableData::check`] for one column: a query that shares the table checks its own columns.
    pub fn check(&self) -> Result<(), HdbError> {
        self.file.as_ref().map_or(Ok(()), |column| column.check())
    }
}

impl Splay {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Option<Arc<Column>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The column's file; `None` where this partition is older than the column.
    fn column(&self, name: &str) -> Result<Option<Arc<Column>>, HdbError> {
        if let Some(known) = self.lock().get(name) {
            return Ok(known.clone());
        }
        // Columns of one table must come from one directory, not some from it and some from its successor.
        if dir_id(&self.dir)? != self.id {
            return Err(HdbError::Replaced { path: self.dir.clone() });
        }
        let leaf = symbols::leaf(&self.dir, name.as_bytes())?;
        let path = self.dir.join(leaf);
        let column = self.shared.column(&path)?;
        if let Some(domain) = column.as_ref().and_then(|c| c.domain()) {
            self.confirm(column.as_ref(), domain, &path)?;
        }
        if column.is_none() && self.listed.as_ref().is_some_and(|l| l.iter().any(|c| c == name)) {
            // Removed with its whole directory, or alone?
            dir_id(&self.dir)?;
            return Err(HdbError::ColumnFileMissing { table: self.dir.clone(), column: name.into() });
        }
        self.lock().insert(name.into(), column.clone());
        Ok(column)
    }

    fn domains(&self) -> Pinned<'_> {
        self.shared.domains.pinned(&self.pinned)
    }

    /// An error where the codes of a column just opened may be of another enumeration than the one this table uses.
    /// The enumeration is looked at between two looks at the column: where both find the same file, it was there
    /// while the enumeration was. A domain that cannot be read is an error of those who read the column.
    fn confirm(&self, column: Option<&Arc<Column>>, domain: &str, path: &Path) -> Result<(), HdbError> {
        match self.domains().confirm(domain, path) {
            Err(e @ HdbError::Replaced { .. }) => return Err(e),
            Err(_) => return Ok(()),
            Ok(()) => {}
        }
        match self.shared.column(path)? {
            Some(now) if column.is_some_and(|c| c.is_same_file(&now)) => Ok(()),
            _ => Err(HdbError::Replaced { path: path.into() }),
        }
    }

    /// Name and rows of the first column that has a file.
    fn rows(&self, meta: &TableMeta) -> Result<&(String, usize), HdbError> {
        if let Some(known) = self.rows.get() {
            return Ok(known);
        }
        let own = self.listed.iter().flatten().map(String::as_str);
        let names = own.chain(meta.columns.iter().map(|c| c.name.as_str()));
        let mut missing = None;
        for name in names {
            match self.column(name) {
                Ok(Some(column)) => {
                    return Ok(self.rows.get_or_init(|| (name.into(), column.rows())));
                }
                Ok(None) => {}
                Err(e @ HdbError::ColumnFileMissing { .. }) => {
                    missing.get_or_insert(e);
                }
                Err(e) => return Err(e),
            }
        }
        Err(missing
            .unwrap_or_else(|| HdbError::corrupt(&self.dir, "no column file", "a file for each name in .d")))
    }
}

fn same_rows(column: &Column, first: &str, expected: usize) -> Result<(), HdbError> {
    if column.rows() == expected {
        return Ok(());
    }
    Err(HdbError::Length { column: column.path().into(), rows: column.rows(), other: first.into(), expected })
}

fn check_range(column: &Path, rows: &Range<usize>, n: usize) -> Result<(), HdbError> {
    if rows.start > rows.end || rows.end > n {
        return Err(HdbError::RowRange { column: column.into(), start: rows.start, end: rows.end, rows: n });
    }
    Ok(())
}

/// Nulls of the schema's type; symbols over the domain of the partitions that have the column.
fn nulls(domains: &Pinned<'_>, path: &Path, meta: &ColumnMeta, n: usize) -> Result<Value, HdbError> {
    if let (Some(kvalue::Type::Symbol), Some(domain)) = (meta.ty.basic(), &meta.domain)
        && let Target::Symbols(found) = domains.get(domain, path)?
    {
        let codes = Codes::I32(std::iter::repeat_n(kvalue::types::NULL_INT, n).collect());
        let symbols = Symbols::enumerated(found.domain, codes)
            .map_err(|e| HdbError::corrupt(path, e.to_string(), "null codes"))?;
        return Ok(Value::Vector(Vector::symbols(symbols)));
    }
    Ok(meta.ty.nulls(n))
}
