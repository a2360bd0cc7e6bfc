//! What is in a database's directories: segments, partitions, splayed tables, serialised tables.
//!
//! Rule: names are looked at, files are not opened; what is no part of a database (scripts, hidden files,
//! names ending in `$`, foreign files) is passed over. Tests: `tests/layouts.rs`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    HdbError,
    partition::{self, PartitionKind},
};

/// Most segments in a `par.txt`.
const MAX_SEGMENTS: usize = 4096;
/// Longest `par.txt`.
const MAX_PAR_BYTES: u64 = 1 << 20;

/// One partition directory: tables by name, and whether each has a `.d`.
#[derive(Debug)]
pub(crate) struct PartitionDir {
    pub(crate) value: i64,
    pub(crate) path: PathBuf,
    pub(crate) tables: BTreeMap<String, bool>,
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
    Dir(String),
    File(String),
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
            Ok(meta) if meta.is_dir() => found.push(Entry::Dir(name)),
            Ok(meta) if meta.is_file() => found.push(Entry::File(name)),
            // Gone since it was listed, a dangling link, a socket.
            _ => {}
        }
    }
    Ok(found)
}

/// Looks through a database root and its segments.
pub(crate) fn scan(root: &Path) -> Result<Found, HdbError> {
    let meta = std::fs::metadata(root);
    if !meta.is_ok_and(|m| m.is_dir()) {
        return Err(HdbError::NotADatabase { path: root.into() });
    }
    if root.join(".d").is_file() {
        return Err(HdbError::Unsupported {
            path: root.into(),
            what: "one splayed table, not a database".into(),
            next: "give the directory above it",
        });
    }
    let mut found = Found::default();
    let mut named: Vec<(PartitionKind, i64, String, PathBuf)> = Vec::new();
    for entry in entries(root)? {
        match entry {
            Entry::Dir(name) => {
                let path = root.join(&name);
                if let Some((kind, value)) = partition::parse(&name) {
                    named.push((kind, value, name, path));
                } else if path.join(".d").is_file() {
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
            if let Entry::Dir(name) = entry
                && let Some((kind, value)) = partition::parse(&name)
            {
                let path = segment.join(&name);
                named.push((kind, value, name, path));
            }
        }
    }
    found.kind = one_kind(root, &named)?;
    for (_, value, _, path) in named {
        let tables = tables(&path)?;
        found.partitions.push(PartitionDir { value, path, tables });
    }
    // Stable: segments keep their order within a value.
    found.partitions.sort_by_key(|p| p.value);
    Ok(found)
}

/// The kind of all partitions; names of four digits are years only where all are.
fn one_kind(
    root: &Path,
    named: &[(PartitionKind, i64, String, PathBuf)],
) -> Result<Option<PartitionKind>, HdbError> {
    let Some((first, _, first_name, _)) = named.first() else { return Ok(None) };
    let number = |k: PartitionKind| matches!(k, PartitionKind::Year | PartitionKind::Int);
    if named.iter().all(|(kind, ..)| number(*kind)) {
        let years = named.iter().all(|(kind, ..)| *kind == PartitionKind::Year);
        return Ok(Some(if years { PartitionKind::Year } else { PartitionKind::Int }));
    }
    match named.iter().find(|(kind, ..)| kind != first) {
        None => Ok(Some(*first)),
        Some((_, _, other, _)) => Err(HdbError::MixedPartitions {
            path: root.into(),
            first: first_name.clone(),
            second: other.clone(),
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
    for (i, segment) in segments.iter().enumerate() {
        if !segment.is_dir() {
            return Err(HdbError::corrupt(
                &path,
                format!("line {}, {}, which is no directory", i + 1, lines[i]),
                "one segment directory per line, absolute or relative to the database root",
            ));
        }
        if segments[..i].contains(segment) {
            return Err(HdbError::corrupt(
                &path,
                format!("{} twice", lines[i]),
                "each segment once: its rows would count twice",
            ));
        }
    }
    Ok(segments)
}

fn tables(partition: &Path) -> Result<BTreeMap<String, bool>, HdbError> {
    let listed = match entries(partition) {
        // Removed since its parent was listed.
        Err(e) if e.is_not_found() => Vec::new(),
        other => other?,
    };
    let dirs = listed.into_iter().filter_map(|entry| match entry {
        Entry::Dir(name) => Some(name),
        Entry::File(_) => None,
    });
    Ok(dirs
        .map(|name| {
            let has_d = partition.join(&name).join(".d").is_file();
            (name, has_d)
        })
        .collect())
}
