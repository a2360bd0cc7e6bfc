//! What is in a database's directories: segments, partitions, splayed tables, serialised tables.
//!
//! Rules: names are looked at, files are not opened; what is no part of a database (scripts, hidden files,
//! names ending in `$`, foreign files) is passed over. A directory is told by device and inode, never by its path:
//! what several paths lead to counts once. Tests: `tests/layouts.rs`, `tests/places.rs`.

use std::{
    collections::{BTreeMap, HashSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{
    HdbError, folder,
    partition::{self, PartitionKind},
};

/// Most segments in a `par.txt`.
const MAX_SEGMENTS: usize = 4096;
/// Longest `par.txt`.
const MAX_PAR_BYTES: u64 = 1 << 20;

/// What a directory is, whatever path leads to it: device and inode.
pub(crate) type Place = (u64, u64);

pub(crate) fn place(meta: &std::fs::Metadata) -> Place {
    (meta.dev(), meta.ino())
}

/// One partition directory and its tables by name.
#[derive(Debug)]
pub(crate) struct PartitionDir {
    pub(crate) value: i64,
    pub(crate) path: PathBuf,
    pub(crate) tables: BTreeMap<String, TableDir>,
}

/// A table's directory in a partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableDir {
    /// `.d` is there
    pub(crate) has_d: bool,
    pub(crate) place: Place,
}

/// Everything found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) kind: Option<PartitionKind>,
    /// In ascending order of value, then of segment.
    pub(crate) partitions: Vec<PartitionDir>,
    /// Splayed tables in the root.
    pub(crate) splays: BTreeMap<String, PathBuf>,
    /// Other files in the root: domains, serialised tables, foreign ones.
    pub(crate) files: BTreeMap<String, PathBuf>,
}

enum Entry {
    Dir(String, Place),
    File(String),
}

/// A directory named as a partition.
struct Named {
    kind: PartitionKind,
    value: i64,
    name: String,
    path: PathBuf,
}

/// Partition directories in the order they are found, each once.
#[derive(Default)]
struct Partitions {
    named: Vec<Named>,
    seen: HashSet<(i64, Place)>,
}

impl Partitions {
    /// Takes a directory that is named as a partition; gives back the name of another one. A directory that was
    /// found before by another path counts once. Under another value it is another partition: so it was linked.
    fn take(&mut self, parent: &Path, name: String, at: Place) -> Option<String> {
        let Some((kind, value)) = partition::parse(&name) else { return Some(name) };
        if self.seen.insert((value, at)) {
            let path = parent.join(&name);
            self.named.push(Named { kind, value, name, path });
        } else {
            tracing::debug!(dir = %parent.join(&name).display(), "this partition was found by another path already");
        }
        None
    }
}

/// Names in a directory that may be part of a database, in order.
fn entries(dir: &Path) -> Result<Vec<Entry>, HdbError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(HdbError::io("list", dir))? {
        let entry = entry.map_err(HdbError::io("list", dir))?;
        let Ok(name) = entry.file_name().into_string() else {
            tracing::debug!(dir = %dir.display(), "a name that is no UTF-8 is passed over");
            continue;
        };
        if name.starts_with('.') || name.ends_with('$') {
            continue;
        }
        // Follows symbolic links: segments and tables are often linked in.
        match std::fs::metadata(entry.path()) {
            Ok(meta) if meta.is_dir() => found.push(Entry::Dir(name, place(&meta))),
            Ok(meta) if meta.is_file() => found.push(Entry::File(name)),
            // Gone since it was listed, a dangling link, a socket.
            _ => {}
        }
    }
    Ok(found)
}

/// Looks through a database root and its segments.
pub(crate) fn scan(root: &Path) -> Result<Found, HdbError> {
    folder::check_is_folder(root)?;
    if root.join(".d").is_file() {
        return Err(HdbError::Unsupported {
            path: root.into(),
            what: "one splayed table, not a database".into(),
            next: "give the directory above it",
        });
    }
    let mut found = Found::default();
    let mut partitions = Partitions::default();
    for entry in entries(root)? {
        match entry {
            Entry::Dir(name, at) => {
                let Some(name) = partitions.take(root, name, at) else { continue };
                let path = root.join(&name);
                if path.join(".d").is_file() {
                    found.splays.insert(name, path);
                } else {
                    tracing::debug!(dir = %path.display(), "neither a partition nor a splayed table");
                }
            }
            Entry::File(name) => {
                let script = [".q", ".k", ".s"].iter().any(|end| name.ends_with(end));
                if name != "par.txt" && !script && !name.ends_with('#') {
                    found.files.insert(name.clone(), root.join(name));
                }
            }
        }
    }
    for segment in segments(root)? {
        for entry in entries(&segment)? {
            if let Entry::Dir(name, at) = entry {
                partitions.take(&segment, name, at);
            }
        }
    }
    found.kind = one_kind(root, &partitions.named)?;
    for Named { value, path, .. } in partitions.named {
        let tables = tables(&path)?;
        found.partitions.push(PartitionDir { value, path, tables });
    }
    // Stable: segments keep their order within a value.
    found.partitions.sort_by_key(|p| p.value);
    Ok(found)
}

/// The kind of all partitions; names of four digits are years only where all are.
fn one_kind(root: &Path, named: &[Named]) -> Result<Option<PartitionKind>, HdbError> {
    let Some(first) = named.first() else { return Ok(None) };
    let number = |k: PartitionKind| matches!(k, PartitionKind::Year | PartitionKind::Int);
    if named.iter().all(|n| number(n.kind)) {
        let years = named.iter().all(|n| n.kind == PartitionKind::Year);
        return Ok(Some(if years { PartitionKind::Year } else { PartitionKind::Int }));
    }
    match named.iter().find(|n| n.kind != first.kind) {
        None => Ok(Some(first.kind)),
        Some(other) => Err(HdbError::MixedPartitions {
            path: root.into(),
            first: first.name.clone(),
            second: other.name.clone(),
        }),
    }
}

/// The directories named in `par.txt`, relative ones below the root; none where there is no such file.
pub(crate) fn segments(root: &Path) -> Result<Vec<PathBuf>, HdbError> {
    let path = root.join("par.txt");
    let len = match std::fs::metadata(&path) {
        Ok(meta) => meta.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(HdbError::io("examine", &path)(e)),
    };
    let too_large =
        |what, found, limit, value| Err(HdbError::TooLarge { path: path.clone(), what, found, limit, value });
    if len > MAX_PAR_BYTES {
        return too_large("a segment list", len, "MAX_PAR_BYTES", MAX_PAR_BYTES);
    }
    let text = std::fs::read_to_string(&path).map_err(HdbError::io("read", &path))?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    if lines.len() > MAX_SEGMENTS {
        return too_large("segments", lines.len() as u64, "MAX_SEGMENTS", MAX_SEGMENTS as u64);
    }
    let segments: Vec<PathBuf> =
        lines.iter().map(|line| root.join(line.strip_prefix(':').unwrap_or(line))).collect();
    let mut places: Vec<Place> = Vec::with_capacity(segments.len());
    for (i, segment) in segments.iter().enumerate() {
        let Some(at) = std::fs::metadata(segment).ok().filter(|m| m.is_dir()).map(|m| place(&m)) else {
            return Err(HdbError::corrupt(
                &path,
                format!("line {}, {}, which is no directory", i + 1, lines[i]),
                "one segment directory per line, absolute or relative to the database root",
            ));
        };
        if let Some(before) = places.iter().position(|p| *p == at) {
            let found = match lines[before] == lines[i] {
                true => format!("{} twice", lines[i]),
                false => format!(
                    "line {}, {}, which is the directory of line {}, {}",
                    i + 1,
                    lines[i],
                    before + 1,
                    lines[before]
                ),
            };
            return Err(HdbError::corrupt(&path, found, "each segment once: its rows would count twice"));
        }
        places.push(at);
    }
    Ok(segments)
}

fn tables(partition: &Path) -> Result<BTreeMap<String, TableDir>, HdbError> {
    let listed = match entries(partition) {
        // Removed since its parent was listed.
        Err(e) if e.is_not_found() => Vec::new(),
        other => other?,
    };
    let dirs = listed.into_iter().filter_map(|entry| match entry {
        Entry::Dir(name, at) => Some((name, at)),
        Entry::File(_) => None,
    });
    Ok(dirs
        .map(|(name, place)| {
            let has_d = partition.join(&name).join(".d").is_file();
            (name, TableDir { has_d, place })
        })
        .collect())
}
