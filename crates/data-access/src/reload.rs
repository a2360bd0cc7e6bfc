//! Looks at the database folder again and again: new partitions are served, removed ones are not, and the id by
//! which replicas know each other follows.
//!
//! A query keeps the snapshot it began with. A look that fails leaves the present snapshot serving. Replicas look at
//! times of their own, so for a moment they give different ids: a coordinator knows a source by every id given by a
//! running replica, and a replica that starts in that moment is refused until the other replicas have looked as well.
//! Tests: here and `crates/qmesh/tests/mesh/copies.rs`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::hdb::{Fingerprint, HdbError};
use kvalue::Sym;
use tokio_util::sync::CancellationToken;

use crate::{shared::Shared, store::hdb::HdbTables};

/// A database folder as it was last looked at.
#[derive(Debug)]
pub struct Disk {
    tables: HdbTables,
    /// `None` where the id of the data is declared
    fingerprint: Option<Fingerprint>,
    id: Option<Sym>,
}

impl Disk {
    /// What is open now, and its id; none where it holds no tables yet, or where `identify` is not wanted.
    pub fn new(tables: HdbTables, identify: bool) -> (Disk, Option<Sym>) {
        let mut fingerprint = identify.then(Fingerprint::default);
        let id = fingerprint.as_mut().and_then(|f| tables.source_id(f));
        (Disk { tables, fingerprint, id: id.clone() }, id)
    }

    /// The tables as they are served.
    pub fn tables(&self) -> HdbTables {
        self.tables.clone()
    }

    /// What is there now; `None` where it is what was there before. Listing folders may block on a slow disk.
    fn look(&mut self) -> Result<Option<(HdbTables, Option<Sym>)>, HdbError> {
        let now = self.tables.reload()?;
        // An emptied database keeps the id of its last content.
        let id = self.fingerprint.as_mut().and_then(|f| now.source_id(f)).or_else(|| self.id.clone());
        if id == self.id && now.is_same(&self.tables) {
            return Ok(None);
        }
        self.tables = now;
        self.id = id;
        Ok(Some((self.tables.clone(), self.id.clone())))
    }
}

/// Looks every `period` until shutdown.
pub async fn watch(shared: Arc<Shared>, disk: Disk, period: Duration, shutdown: CancellationToken) {
    let disk = Arc::new(Mutex::new(disk));
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(period) => {}
        }
        let of = disk.clone();
        let look = move || of.lock().unwrap_or_else(PoisonError::into_inner).look();
        match tokio::task::spawn_blocking(look).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some((tables, id)))) => {
                tracing::info!(source = ?id, "the database changed on disk");
                shared.replace_tables(Arc::new(tables), id);
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the database cannot be read again; the last state is served");
            }
            Err(error) => tracing::error!(%error, "reading the database again ended in a bug of qmesh"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ::hdb::{
        PartitionValue,
        save::{SaveOptions, save_down},
    };
    use kvalue::{Table, Vector};

    use super::*;
    use crate::store::Tables as _;

    fn save(root: &Path, day: i64, rows: i64) {
        let x = Vector::longs((0..rows).collect::<Vec<i64>>());
        let table = Table::new(["x"].into_iter().collect(), vec![x.into()]).unwrap();
        let options = SaveOptions { overwrite: true, ..SaveOptions::default() };
        save_down(root, PartitionValue::date(day), "t", &table, &options).unwrap();
    }

    fn open(root: &Path) -> (Disk, Option<Sym>) {
        Disk::new(HdbTables::open(root, 0).unwrap(), true)
    }

    #[test]
    fn the_id_follows_the_database_and_every_look_that_comes_later_finds_the_same() {
        let root = tempfile::tempdir().unwrap();
        let (mut first, id) = open(root.path());
        assert_eq!(id, None, "an empty database is like any other");
        save(root.path(), 1, 2);
        let (_, one) = first.look().unwrap().expect("a partition appeared");
        assert!(one.is_some() && first.look().unwrap().is_none());

        let (mut late, same) = open(root.path());
        assert_eq!(same, one);
        save(root.path(), 2, 3);
        let (_, two) = first.look().unwrap().expect("another");
        assert_ne!(two, one);
        assert_eq!(late.look().unwrap().expect("another").1, two);
        save(root.path(), 2, 4);
        let (tables, three) = first.look().unwrap().expect("rows were added");
        assert_eq!(tables.purviews(), late.tables().purviews());
        assert_ne!(three, two);
    }

    #[test]
    fn a_declared_id_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        save(root.path(), 1, 2);
        let (mut disk, id) = Disk::new(HdbTables::open(root.path(), 0).unwrap(), false);
        assert_eq!(id, None);
        save(root.path(), 2, 2);
        assert_eq!(disk.look().unwrap().expect("a partition appeared").1, None);
    }
}
