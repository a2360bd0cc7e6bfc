//! What a folder or file is that somebody took for a database.
//!
//! Rules: a part of a database (one partition, one segment) is refused when it is opened, since its rows would be
//! served as if they were all, or as reference data of every day. A folder without tables is told apart: an empty
//! one may be filled by a save, a folder of foreign files never will be. Tests: `tests/folders.rs`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::PoisonError,
};

use crate::{
    Database, HdbError, OpenOptions,
    domain::DOMAIN_FILES,
    partition::{self, PartitionKind},
    scan::{self, Found},
};

/// Most names of a folder that are looked at.
const MOST_NAMES: usize = 10_000;

/// Kind of a folder given to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folder {
    /// It holds tables.
    Database,
    /// It holds nothing yet.
    Empty,
    /// It holds something else: what, and the way in.
    Foreign(String),
}

/// Looks at a folder that is to be served; an error where it cannot be opened or is a part of a database.
pub fn look(root: &Path) -> Result<Folder, HdbError> {
    let db = Database::open(root, &OpenOptions::default())?;
    // A table that is damaged is a table.
    if !db.tables().is_empty() || !db.problems().is_empty() {
        return Ok(Folder::Database);
    }
    Ok(contents(root)?.map_or(Folder::Empty, Folder::Foreign))
}

/// What a folder without tables holds, and the way in; `None` where it is empty.
pub fn contents(root: &Path) -> Result<Option<String>, HdbError> {
    let mut kinds: BTreeMap<FileKind, usize> = BTreeMap::new();
    let mut databases: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(root).map_err(HdbError::io("list", root))?.take(MOST_NAMES) {
        let entry = entry.map_err(HdbError::io("list", root))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name.ends_with('$') || name == "lost+found" {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            let inside = scan::scan(&path).is_ok_and(|f| !f.partitions.is_empty() || !f.splays.is_empty());
            if inside || path.join("par.txt").is_file() {
                databases.push(name);
            }
        } else if let Some(kind) = file_kind(&path) {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    databases.sort();
    if let Some(first) = databases.first() {
        return Ok(Some(format!(
            "no table is in it, but databases are: {}; give one of them, as {}",
            databases.join(", "),
            root.join(first).display()
        )));
    }
    let foreign: Vec<(FileKind, usize)> = kinds
        .into_iter()
        .filter(|(kind, _)| !matches!(kind, FileKind::Enumeration | FileKind::Script))
        .collect();
    let Some((kind, _)) = foreign.iter().max_by_key(|(_, n)| *n) else { return Ok(None) };
    let counted: Vec<String> = foreign
        .iter()
        .map(|(kind, n)| format!("{n} {}{}", kind.name(), if *n == 1 { "" } else { "s" }))
        .collect();
    Ok(Some(format!("no table is in it, but {}; {}", counted.join(", "), kind.way_in())))
}

/// Refuses what is no directory, by what it is.
pub(crate) fn check_is_folder(root: &Path) -> Result<(), HdbError> {
    let refuse = |found: String, next: String| Err(HdbError::NotADatabase { path: root.into(), found, next });
    let give = || "give the directory that q loads with \\l".to_string();
    match std::fs::metadata(root) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(meta) if meta.is_file() => match file_kind(root) {
            Some(kind) => {
                refuse(format!("it is a {}", kind.name()), format!("{} ({})", kind.way_in(), give()))
            }
            None => refuse("it is a file".into(), give()),
        },
        Ok(_) => refuse("it is neither a folder nor a file".into(), give()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let link = std::fs::symlink_metadata(root).is_ok();
            let found = if link { "it is a link that leads nowhere" } else { "it does not exist" };
            refuse(found.into(), give())
        }
        Err(e) => Err(HdbError::io("examine", root)(e)),
    }
}

/// True where a directory has the file of an enumeration.
fn has_enumeration(dir: &Path) -> bool {
    let names = std::fs::read_dir(dir).into_iter().flatten().take(MOST_NAMES).flatten();
    names.map(|e| e.path()).any(|p| p.is_file() && file_kind(&p) == Some(FileKind::Enumeration))
}

/// Refuses a single partition of a database: the tables of a partition look like splayed tables of a root.
pub(crate) fn refuse_partition(root: &Path, found: &Found) -> Result<(), HdbError> {
    if found.kind.is_some() || found.splays.is_empty() {
        return Ok(());
    }
    let Ok(real) = root.canonicalize() else { return Ok(()) };
    let name = real.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let (Some((kind, _)), Some(parent)) = (partition::parse(name), real.parent()) else { return Ok(()) };
    // A database of splayed tables may have the name of a day: then it has an enumeration of its own.
    if has_enumeration(&real) {
        return Ok(());
    }
    // A number is a partition only among others of a database.
    let is_number = matches!(kind, PartitionKind::Year | PartitionKind::Int);
    if is_number && !has_enumeration(parent) && !has_other_partition(parent, name) {
        return Ok(());
    }
    Err(HdbError::PartOfADatabase {
        path: root.into(),
        what: "one partition",
        why: "its rows would be given for every time range",
        whole: whole_of(parent),
    })
}

/// The database of a partition that lies in this directory: the one whose `par.txt` names it, or itself.
fn whole_of(parent: &Path) -> PathBuf {
    owner_of_segment(parent).unwrap_or_else(|| parent.into())
}

fn has_other_partition(parent: &Path, name: &str) -> bool {
    let names = std::fs::read_dir(parent).into_iter().flatten().take(MOST_NAMES).flatten();
    names.filter(|e| e.path().is_dir()).any(|e| {
        let other = e.file_name();
        other.to_str().is_some_and(|other| other != name && partition::parse(other).is_some())
    })
}

/// The directory above or beside, up to two levels up, whose `par.txt` names this one.
fn owner_of_segment(segment: &Path) -> Option<PathBuf> {
    let at = std::fs::metadata(segment).ok().map(|m| scan::place(&m))?;
    let names = |dir: &Path| {
        let segments = scan::segments(dir).unwrap_or_default();
        segments.iter().any(|s| std::fs::metadata(s).is_ok_and(|m| scan::place(&m) == at))
    };
    let mut above = segment.parent();
    for _ in 0..2 {
        let dir = above?;
        if names(dir) && scan::place(&std::fs::metadata(dir).ok()?) != at {
            return Some(dir.into());
        }
        let beside =
            std::fs::read_dir(dir).into_iter().flatten().take(MOST_NAMES).flatten().map(|e| e.path());
        let mut beside: Vec<PathBuf> =
            beside.filter(|p| p != segment && p.join("par.txt").is_file()).collect();
        beside.sort();
        if let Some(found) = beside.into_iter().find(|p| names(p)) {
            return Some(found);
        }
        above = dir.parent();
    }
    None
}

/// Refuses one segment of a database, where the database is found. A segment that has an enumeration of its own is
/// a database that somebody made of it.
pub(crate) fn refuse_segment(root: &Path, found: &Found) -> Result<(), HdbError> {
    if found.partitions.is_empty() || root.join("par.txt").exists() {
        return Ok(());
    }
    let Ok(real) = root.canonicalize() else { return Ok(()) };
    if has_enumeration(&real) {
        return Ok(());
    }
    match owner_of_segment(&real) {
        Some(whole) => Err(HdbError::PartOfADatabase {
            path: root.into(),
            what: "one segment of a database",
            why: "the rows of its other segments would be missing",
            whole,
        }),
        None => Ok(()),
    }
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FileKind {
    Csv,
    Parquet,
    Arrow,
    Log,
    Column,
    Table,
    Enumeration,
    Archive,
    Script,
    Other,
}

impl FileKind {
    fn name(self) -> &'static str {
        match self {
            FileKind::Csv => "CSV file",
            FileKind::Parquet => "Parquet file",
            FileKind::Arrow => "Arrow file",
            FileKind::Log => "tickerplant log",
            FileKind::Column => "column of a kdb+ table",
            FileKind::Table => "table saved as one file",
            FileKind::Enumeration => "enumeration of symbols",
            FileKind::Archive => "archive",
            FileKind::Script => "script",
            FileKind::Other => "file of another kind",
        }
    }

    fn way_in(self) -> &'static str {
        match self {
            FileKind::Csv => {
                "load it in `qmesh q` with `t:(\"PSF\";enlist\",\")0:`:FILE`, save it with `.Q.dpft[`:/data/hdb;2024.01.02;`sym;`t]`, and give /data/hdb"
            }
            FileKind::Parquet | FileKind::Arrow => {
                "convert it to CSV, load that in `qmesh q` with `0:`, save it with `.Q.dpft`, and give the folder saved to"
            }
            FileKind::Log => {
                "a log is replayed by a data process of tier rdb that is given the tickerplant (`--tickerplant HOST:PORT`); its days are served once they are saved"
            }
            FileKind::Column => {
                "a column lies in a table, a table in a database: give the folder above the table"
            }
            FileKind::Table => "give the folder that holds it",
            FileKind::Enumeration => "give the folder that holds it and the partitions",
            FileKind::Archive => "unpack it and give the folder with the partitions",
            FileKind::Script | FileKind::Other => "give the directory that q loads with \\l",
        }
    }
}

/// Kind of a file, by first bytes and name; `None` for an empty or unreadable file.
fn file_kind(path: &Path) -> Option<FileKind> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    // It may be an enumeration that a save of this process holds locked.
    let _guard = DOMAIN_FILES.read().unwrap_or_else(PoisonError::into_inner);
    let mut head = [0u8; 8];
    let mut file = File::open(path).ok().filter(|f| f.metadata().is_ok_and(|m| m.is_file()))?;
    let mut read = 0;
    while read < head.len() {
        match file.read(&mut head[read..]) {
            Ok(0) | Err(_) => break,
            Ok(n) => read += n,
        }
    }
    let head = &head[..read];
    let ends = |with: &[&str]| with.iter().any(|e| name.ends_with(e));
    Some(match head {
        [b'P', b'A', b'R', b'1', ..] => FileKind::Parquet,
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] => FileKind::Arrow,
        [0xff, 0x01, 0x00, ..] => FileKind::Log,
        [0xff, 0x01, 0x0b, ..] => FileKind::Enumeration,
        [0xff, 0x01, 0x62 | 0x63, ..] => FileKind::Table,
        [0xff, 0x01, ..] | [0xfe | 0xfd, 0x20, ..] => FileKind::Column,
        [b'k', b'x', b'z', b'i', b'p', ..] => FileKind::Column,
        _ if ends(&[".csv", ".csv.gz", ".tsv", ".psv"]) => FileKind::Csv,
        [0x1f, 0x8b, ..] | [b'P', b'K', 3, 4, ..] => FileKind::Archive,
        _ if ends(&[".q", ".k", ".s"]) || name == "par.txt" => FileKind::Script,
        [] => return None,
        _ => FileKind::Other,
    })
}
