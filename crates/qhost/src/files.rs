//! Files: where q code may read and write, and reading them.

use std::{
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use hdb::{BlockCache, HdbError, file};
use qlang::{
    QError, R,
    host::{Access, Capabilities, Files, Stat},
};

/// The file system, as far as q code may see it.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) capabilities: Arc<Capabilities>,
    /// set while a remote caller is served who may see files below the start folder only (`-u`)
    pub(crate) confined: Arc<AtomicBool>,
    pub(crate) start: PathBuf,
    pub(crate) cache: Arc<BlockCache>,
}

/// q's text of a system's error about a path.
pub(crate) fn reported(path: &str, e: &std::io::Error) -> QError {
    let text = e.to_string();
    let reason = text.split(" (os error").next().unwrap_or(&text);
    QError::new(format!("{path}. OS reports: {reason}"))
}

/// q's text of an error of reading or writing a file.
pub(crate) fn failed(path: &str, e: HdbError) -> QError {
    match e {
        HdbError::Io { source, .. } => reported(path, &source),
        e => QError::new(e.to_string()),
    }
}

impl Disk {
    /// The path, where it may be read.
    pub(crate) fn readable(&self, path: &str) -> R<PathBuf> {
        let at = PathBuf::from(path);
        let within = |folder: &Path| inside(folder, &at);
        let allowed = match &self.capabilities.files {
            Access::Off => false,
            Access::On => true,
            Access::Within(folders) => folders.iter().any(|f| within(Path::new(f))),
        };
        if !allowed || (self.confined.load(Ordering::Relaxed) && !within(&self.start)) {
            return Err(QError::access());
        }
        Ok(at)
    }

    /// The path, where it may be changed.
    pub(crate) fn writable(&self, path: &str) -> R<PathBuf> {
        if !self.capabilities.write {
            return Err(QError::access());
        }
        self.readable(path)
    }
}

/// True where a path, links followed as far as it exists, lies in a folder.
fn inside(folder: &Path, path: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    let Ok(here) = std::env::current_dir() else { return false };
    let whole = here.join(path);
    // What does not exist yet has no links: only its existing part is followed, and it may not climb.
    let mut known = whole.as_path();
    while !known.exists() {
        match (known.parent(), known.components().next_back()) {
            (Some(parent), Some(Component::Normal(_))) => known = parent,
            _ => return false,
        }
    }
    known.canonicalize().is_ok_and(|k| k.starts_with(&folder))
}

impl Files for Disk {
    fn map(&self, path: &str) -> R<Bytes> {
        let at = self.readable(path)?;
        let special = std::fs::metadata(&at).is_ok_and(|m| !m.is_file() && !m.is_dir());
        if special {
            return std::fs::read(&at).map(Bytes::from).map_err(|e| reported(path, &e));
        }
        file::read(&at, &self.cache).map_err(|e| failed(path, e))
    }

    fn head(&self, path: &str, n: usize) -> R<(Bytes, u64)> {
        file::head(&self.readable(path)?, n, &self.cache).map_err(|e| failed(path, e))
    }

    fn stat(&self, path: &str) -> R<Option<Stat>> {
        match std::fs::metadata(self.readable(path)?) {
            Ok(meta) => Ok(Some(Stat { is_dir: meta.is_dir(), size: meta.len() })),
            Err(e)
                if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(e) => Err(reported(path, &e)),
        }
    }

    fn list(&self, path: &str) -> R<Vec<String>> {
        let at = self.readable(path)?;
        let at = if at.as_os_str().is_empty() { PathBuf::from(".") } else { at };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(at).map_err(|e| reported(path, &e))? {
            let entry = entry.map_err(|e| reported(path, &e))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}
