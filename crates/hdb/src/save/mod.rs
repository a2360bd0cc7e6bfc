//! Saving tables as kdb+ does at end of day: enumerated, sorted, parted, splayed, optionally compressed.
//!
//! Rules: the enumeration file is extended first, under the lock kdb+ takes, and never rewritten; columns are written
//! and synced in a directory that readers skip; one rename publishes the directory, so that a reader sees a whole table
//! or none. Tests: `tests/save.rs`.

mod columns;
pub(crate) mod domain;
mod heap;
pub(crate) mod image;
mod index;
mod order;
mod savable;

use std::{
    collections::HashSet,
    fs::File,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use kvalue::{Attr, Symbols, Table, Value};

use crate::{Algorithm, HdbError, PartitionValue, format::symbols, scan};

pub use savable::{ENUMERATION, column, column_name, folded, folds_case, item, table_name};

/// Compression of columns, as q's `.z.zd: lbs alg level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// Blocks have 2 to this power bytes: 12 to 20 (q's documentation uses 17).
    pub block_bits: u8,
    /// The algorithm. kdb+ reads snappy from 3.4, lz4 from 3.6, zstd from 4.1.
    pub algorithm: Algorithm,
    /// zlib 0 to 9, lz4 0 to 16 (written here by its fast encoder whatever the level), zstd -7 to 22, else 0.
    pub level: i8,
}

/// Which kdb+ must be able to read what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Target {
    /// 3.0 and later: 32-bit enumerations; nested columns of one-byte items only
    Kdb30,
    /// 3.6 (2018) and later: 64-bit enumerations, any nested column
    #[default]
    Kdb36,
}

/// How a table is saved.
#[derive(Debug, Clone)]
pub struct SaveOptions {
    /// Name of the enumeration file in the root that symbol columns go into (default `sym`).
    pub enumeration_domain: String,
    /// Column to sort by first and to mark `p#` (symbols) or `s#` (other types); moved to the front.
    pub parted: Option<String>,
    /// Further columns to sort by, in this order; rows that are equal in all keep their order.
    pub sort: Vec<String>,
    /// Compression of all columns; names with a dot and `.d` stay plain, as in kdb+.
    pub compress: Option<Compression>,
    /// Replaces an existing table by one exchange of directories.
    pub overwrite: bool,
    /// Oldest kdb+ that must read it.
    pub target: Target,
}

impl Default for SaveOptions {
    fn default() -> Self {
        SaveOptions {
            enumeration_domain: ENUMERATION.into(),
            parted: None,
            sort: Vec::new(),
            compress: None,
            overwrite: false,
            target: Target::default(),
        }
    }
}

/// What a save did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaveReport {
    /// Directories of the tables, in the order they were given.
    pub paths: Vec<PathBuf>,
    /// Rows written, all tables together.
    pub rows: usize,
    /// Symbols added to the enumeration.
    pub symbols_added: usize,
    /// Bytes of the files written.
    pub bytes: u64,
}

/// Saves one table into a partition; see [`save_partition`].
pub fn save_down(
    root: &Path,
    partition: PartitionValue,
    table: &str,
    data: &Table,
    options: &SaveOptions,
) -> Result<SaveReport, HdbError> {
    save_partition(root, partition, &[(table, data)], options)
}

/// Saves tables into a partition. Where the partition is new, all of them appear at once; in one that exists
/// each appears by itself. In a segmented database the segment is that of `.Q.par`: value modulo segments.
pub fn save_partition(
    root: &Path,
    partition: PartitionValue,
    tables: &[(&str, &Table)],
    options: &SaveOptions,
) -> Result<SaveReport, HdbError> {
    std::fs::create_dir_all(root).map_err(HdbError::io("create", root))?;
    let segments = scan::segments(root)?;
    let parent = match segments.len() {
        0 => root.to_path_buf(),
        n => segments[partition.value.rem_euclid(n as i64) as usize].clone(),
    };
    let place = parent.join(partition.dir_name());
    let mut report = SaveReport::default();
    for (name, data) in tables {
        validate(name, data, Some(partition.kind.column()), options)?;
        refuse_existing(&place.join(name), options)?;
    }
    let work = Workspace::new(&parent, &partition.dir_name())?;
    for (name, data) in tables {
        write_table(root, &work.0.join(name), name, data, options, &mut report)?;
        report.paths.push(place.join(name));
    }
    sync_dir(&work.0)?;
    let whole = rustix::fs::renameat_with(
        rustix::fs::CWD,
        &work.0,
        rustix::fs::CWD,
        &place,
        rustix::fs::RenameFlags::NOREPLACE,
    );
    if whole.is_err() {
        // The partition exists (or this file system has no such rename): table by table.
        std::fs::create_dir_all(&place).map_err(HdbError::io("create", &place))?;
        for (name, _) in tables {
            publish(&work.0.join(name), &place.join(name), options)?;
        }
        sync_dir(&place)?;
    }
    sync_dir(&parent)?;
    Ok(report)
}

/// Saves a splayed table into the root.
pub fn save_splayed(
    root: &Path,
    table: &str,
    data: &Table,
    options: &SaveOptions,
) -> Result<SaveReport, HdbError> {
    std::fs::create_dir_all(root).map_err(HdbError::io("create", root))?;
    validate(table, data, None, options)?;
    let place = root.join(table);
    refuse_existing(&place, options)?;
    let mut report = SaveReport { paths: vec![place.clone()], ..SaveReport::default() };
    let work = Workspace::new(root, table)?;
    let made = work.0.join(table);
    write_table(root, &made, table, data, options, &mut report)?;
    publish(&made, &place, options)?;
    sync_dir(root)?;
    Ok(report)
}

/// A directory that readers pass over, removed with what is left in it.
struct Workspace(PathBuf);

impl Workspace {
    fn new(parent: &Path, what: &str) -> Result<Self, HdbError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // kdb+ and this crate ignore names that end in `$`.
        let path = parent.join(format!("{what}-{}-{number}$", std::process::id()));
        if path.exists() {
            // Of a process that died with this number.
            std::fs::remove_dir_all(&path).map_err(HdbError::io("remove", &path))?;
        }
        std::fs::create_dir(&path).map_err(HdbError::io("create", &path))?;
        Ok(Workspace(path))
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(dir = %self.0.display(), %error, "leftovers of a save stay; remove them");
        }
    }
}

fn refuse_existing(place: &Path, options: &SaveOptions) -> Result<(), HdbError> {
    if place.exists() && (!options.overwrite || is_of_another(place)?) {
        return Err(HdbError::Exists { path: place.into() });
    }
    Ok(())
}

/// True where what is there has this name only because the disk folds names: it is another table.
fn is_of_another(place: &Path) -> Result<bool, HdbError> {
    let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else { return Ok(false) };
    let listed = std::fs::read_dir(parent).map_err(HdbError::io("list", parent))?;
    Ok(!listed.filter_map(Result::ok).any(|entry| entry.file_name() == name))
}

/// Gives a finished directory its name. An existing one changes places with it and is removed with the
/// workspace.
fn publish(made: &Path, place: &Path, options: &SaveOptions) -> Result<(), HdbError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    if options.overwrite && place.exists() {
        return renameat_with(CWD, made, CWD, place, RenameFlags::EXCHANGE)
            .map_err(|e| HdbError::io("replace", place)(e.into()));
    }
    // Over a directory that is not empty this fails: nobody's table is lost to a race.
    std::fs::rename(made, place).map_err(|e| match e.kind() {
        std::io::ErrorKind::DirectoryNotEmpty | std::io::ErrorKind::AlreadyExists => {
            HdbError::Exists { path: place.into() }
        }
        _ => HdbError::io("rename into", place)(e),
    })
}

fn sync_dir(dir: &Path) -> Result<(), HdbError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(HdbError::io("sync", dir))
}

fn validate(
    table: &str,
    data: &Table,
    virtual_column: Option<&str>,
    options: &SaveOptions,
) -> Result<(), HdbError> {
    let refuse = |column: &str, reason: String| {
        Err(HdbError::Unsavable { table: table.into(), column: column.into(), reason })
    };
    if let Err(why) = table_name(table.as_bytes()) {
        return refuse("(all)", why);
    }
    let domain = &options.enumeration_domain;
    if let Err(why) = savable::plain(domain.as_bytes()) {
        return refuse("(all)", format!("the enumeration {domain:?}: {why}"));
    }
    if domain == table {
        return refuse("(all)", "its name is that of the enumeration; use another".into());
    }
    if data.columns().is_empty() {
        return refuse("(all)", "a table without columns cannot be splayed; give it one".into());
    }
    let mut seen = HashSet::new();
    for (name, _) in data.iter() {
        let text = String::from_utf8_lossy(name);
        if let Err(why) = column_name(name, virtual_column) {
            return refuse(&text, why);
        }
        if !seen.insert(name) {
            return refuse(&text, "the name occurs twice; rename one".into());
        }
    }
    for column in options.parted.iter().chain(&options.sort) {
        if data.column(column).is_none() {
            return refuse(column, "it is to be sorted by but is not in the table".into());
        }
    }
    if let Some(c) = options.compress {
        let levels = match c.algorithm {
            Algorithm::Zlib => 0..=9,
            Algorithm::Lz4 => 0..=16,
            Algorithm::Zstd => -7..=22,
            _ => 0..=0,
        };
        if !(12..=20).contains(&c.block_bits) || !levels.contains(&c.level) {
            return refuse(
                "(all)",
                format!(
                    "compression {} {} {} is out of range; use blocks of 2^12 to 2^20 and level {levels:?}",
                    c.block_bits,
                    c.algorithm.number(),
                    c.level
                ),
            );
        }
    }
    Ok(())
}

/// Writes all files of a table into a directory that does not exist yet; `.d` last.
fn write_table(
    root: &Path,
    dir: &Path,
    table: &str,
    data: &Table,
    options: &SaveOptions,
    report: &mut SaveReport,
) -> Result<(), HdbError> {
    let unsavable = |column: &[u8], reason: String| HdbError::Unsavable {
        table: table.into(),
        column: String::from_utf8_lossy(column).into_owned(),
        reason,
    };
    std::fs::create_dir(dir).map_err(HdbError::io("create", dir))?;

    // In order of appearance in the table as given, before it is sorted: as .Q.en does.
    let symbol_columns: Vec<&Symbols> =
        data.columns().iter().filter_map(|c| c.as_vector()?.as_symbols()).collect();
    let mut codes = Vec::new();
    if !symbol_columns.is_empty() {
        let (all, added) = domain::enumerate(&root.join(&options.enumeration_domain), &symbol_columns)?;
        codes = all;
        report.symbols_added += added;
    }
    let mut codes = codes.into_iter();

    let keys: Vec<&str> = options.parted.iter().chain(&options.sort).map(String::as_str).collect();
    let permutation = order::permutation(data, &keys)
        .map_err(|column| unsavable(column.as_bytes(), "nested columns cannot be sorted by".into()))?;

    let mut names: Vec<&[u8]> = data.names().iter().collect();
    if let Some(parted) = &options.parted
        && let Some(at) = names.iter().position(|n| *n == parted.as_bytes())
    {
        let name = names.remove(at);
        names.insert(0, name);
    }
    let sorted_by = keys.first().copied();
    for (name, column) in data.iter() {
        let text = symbols::leaf(dir, name)?;
        let first_key = sorted_by == Some(text);
        let compress = options.compress.filter(|_| !text.contains('.'));
        let sink = columns::Sink { dir, name: text, compress, target: options.target };
        report.bytes += match column {
            Value::Vector(v) if v.as_symbols().is_some() => {
                let codes = order::apply(codes.next().unwrap_or_default(), permutation.as_deref());
                let parted = options.parted.as_deref() == Some(text);
                sink.enumerated(&options.enumeration_domain, &codes, parted)?
            }
            Value::Vector(v) => {
                let bytes = order::apply_fixed(v, permutation.as_deref());
                // A vector that came sorted stays so only unmoved; the first key is sorted by construction.
                let claims = v.attr() == Attr::Sorted && permutation.is_none() && order::ascending(v);
                let attr = if first_key || claims { Attr::Sorted } else { Attr::None };
                sink.fixed(v.ty(), attr, &bytes)?
            }
            Value::List(list) => {
                let items = order::apply_items(list.items(), permutation.as_deref());
                sink.nested(&items).map_err(|e| match e {
                    columns::NestedError::Io(e) => e,
                    columns::NestedError::Value(reason) => unsavable(name, reason),
                })?
            }
            other => {
                return Err(unsavable(
                    name,
                    format!("a {} is no column of a splayed table", other.type_name()),
                ));
            }
        };
    }
    report.bytes += columns::write_names(&dir.join(".d"), &names)?;
    report.rows += data.len();
    sync_dir(dir)
}
