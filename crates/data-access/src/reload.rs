//! Looks at the database folder again and again: new partitions are served, removed ones are not.
//!
//! A query keeps the snapshot it began with. A look that fails leaves the present snapshot serving.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    shared::Shared,
    store::{Tables, hdb::HdbTables},
};

/// Looks every `period` until shutdown.
pub async fn watch(
    shared: Arc<Shared>,
    mut tables: HdbTables,
    period: Duration,
    shutdown: CancellationToken,
) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(period) => {}
        }
        // Listing folders may block on a slow disk.
        let current = tables.clone();
        let looked = tokio::task::spawn_blocking(move || current.reload()).await;
        match looked {
            Ok(Ok(now)) => {
                if now.purviews() != tables.purviews() {
                    tracing::info!("the database changed on disk");
                    shared.replace_tables(Arc::new(now.clone()));
                    tables = now;
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the database cannot be read again; the last state is served")
            }
            Err(error) => tracing::error!(%error, "reading the database again ended in a bug of qmesh"),
        }
    }
}
