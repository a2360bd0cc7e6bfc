//! What all snapshots of a database share: opened columns, domains, the block cache.
//!
//! Rule: an opened column is used again only while its files are still the same ones (inode, size, times); at
//! most `max_open_columns` stay open, because the system bounds mappings per process. Tests:
//! `tests/layouts.rs`, `tests/changes.rs`.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{BlockCache, HdbError, OpenOptions, column::Column, domain::Domains, map::FileId};

/// State shared by the snapshots of one database.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) root: PathBuf,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) domains: Domains,
    max_open_columns: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    tick: u64,
    columns: HashMap<PathBuf, (u64, Arc<Column>)>,
}

impl Shared {
    pub(crate) fn new(root: &Path, options: &OpenOptions) -> Self {
        Shared {
            root: root.into(),
            cache: options.cache.clone(),
            domains: Domains::new(root, options.cache.clone()),
            max_open_columns: options.max_open_columns.max(1),
            open: Mutex::default(),
        }
    }

    /// The column at this path; `None` where there is no file.
    pub(crate) fn column(&self, path: &Path) -> Result<Option<Arc<Column>>, HdbError> {
        let now = match std::fs::metadata(path) {
            Ok(meta) => FileId::of(&meta),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(HdbError::io("examine", path)(e)),
        };
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let open = &mut *open;
            open.tick += 1;
            if let Some((used, column)) = open.columns.get_mut(path)
                && column.is_still(now)
            {
                *used = open.tick;
                return Ok(Some(column.clone()));
            }
        }
        let column = Arc::new(Column::open(path, &self.cache)?);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let tick = open.tick;
        open.columns.insert(path.into(), (tick, column.clone()));
        let dropped = open.shrink(self.max_open_columns);
        // Unmapping and freeing cached blocks take their time: not under the lock.
        drop(open);
        drop(dropped);
        Ok(Some(column))
    }

    /// Closes columns whose files are gone or others by now: a mapping keeps a deleted file's disk space.
    pub(crate) fn prune(&self) {
        let held: Vec<(PathBuf, Arc<Column>)> = {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.columns.iter().map(|(path, (_, column))| (path.clone(), column.clone())).collect()
        };
        let is_stale = |(path, column): &(PathBuf, Arc<Column>)| {
            !std::fs::metadata(path).is_ok_and(|meta| column.is_still(FileId::of(&meta)))
        };
        let stale: Vec<(PathBuf, Arc<Column>)> = held.into_iter().filter(is_stale).collect();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = Vec::new();
        for (path, column) in stale {
            // Opened anew since it was looked at: that one is good.
            if open.columns.get(&path).is_some_and(|(_, open)| Arc::ptr_eq(open, &column)) {
                dropped.extend(open.columns.remove(&path));
            }
        }
        drop(open);
        drop(dropped);
    }

    /// Number of columns held open.
    pub(crate) fn open_columns(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).columns.len()
    }
}

impl Open {
    /// Removes the longest unused eighth once there are more than `most`.
    fn shrink(&mut self, most: usize) -> Vec<Arc<Column>> {
        if self.columns.len() <= most {
            return Vec::new();
        }
        let mut ticks: Vec<u64> = self.columns.values().map(|(tick, _)| *tick).collect();
        ticks.sort_unstable();
        let surplus = self.columns.len() - most;
        let border = ticks[(surplus + most / 8).min(ticks.len() - 1)];
        let newest = self.tick;
        let old: Vec<PathBuf> = self
            .columns
            .iter()
            .filter(|(_, (tick, _))| *tick < border && *tick != newest)
            .map(|(path, _)| path.clone())
            .collect();
        old.iter().filter_map(|path| self.columns.remove(path)).map(|(_, column)| column).collect()
    }
}
