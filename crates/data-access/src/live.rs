//! What keeps the in-memory tier's tiles in step with the older tiers.
//!
//! An older tier that covers a table up to an instant lets the in-memory tier begin there; what is before is
//! purged once no lease on the old purview is left. So an instant is served by one tier at any time, and by
//! none never (design, mesh §3).

use std::{sync::Arc, time::Duration};

use kvalue::time::DAY;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Options,
    eod::EndOfDay,
    shared::{OwnerSays, Shared},
    store::memory::MemoryTables,
    tick::Subscription,
};

/// Starts the tasks of an in-memory tier; none for a database on disk.
pub fn start(
    shared: &Arc<Shared>,
    options: &Options,
    owner_says: mpsc::UnboundedReceiver<OwnerSays>,
    shutdown: &CancellationToken,
    tasks: &mut JoinSet<()>,
) {
    if let Some(memory) = shared.memory.clone() {
        let eod = EndOfDay::new(memory.clone(), options.save_dir.clone(), options.save_compress);
        tasks.spawn(follow(shared.clone(), memory.clone(), owner_says, shutdown.clone()));
        match &options.tickerplant {
            Some(address) => {
                // Until it has subscribed and replayed, its rows are incomplete.
                shared.set_available(false);
                let subscription = Subscription::new(shared.clone(), memory, address.clone(), eod);
                tasks.spawn(subscription.run(shutdown.clone()));
            }
            None => {
                tasks.spawn(by_the_clock(eod, shutdown.clone()));
            }
        }
    }
}

/// Without a tickerplant to say so, a day ends at midnight UTC and a little for what is on its way.
async fn by_the_clock(eod: EndOfDay, shutdown: CancellationToken) {
    const ON_ITS_WAY: Duration = Duration::from_secs(5);
    loop {
        let now = kvalue::time::now();
        let today = now.div_euclid(DAY);
        let left = Duration::from_nanos(((today + 1) * DAY - now).max(0) as u64);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(left + ON_ITS_WAY) => eod.run(today as i32).await,
        }
    }
}

async fn follow(
    shared: Arc<Shared>,
    memory: MemoryTables,
    mut owner_says: mpsc::UnboundedReceiver<OwnerSays>,
    shutdown: CancellationToken,
) {
    loop {
        let said = tokio::select! {
            () = shutdown.cancelled() => return,
            said = owner_says.recv() => said,
        };
        let Some(said) = said else { return };
        match obey(&memory, &said, shared.version()) {
            Step::None => {}
            Step::Moved => {
                tracing::info!(?said, "an older tier took over");
                shared.purview_changed();
            }
            Step::Purged(Ok(rows)) => {
                let left: u64 = memory.row_counts().iter().map(|(_, n)| n).sum();
                shared.metrics.records_after_purge.set(left as i64);
                tracing::info!(rows, left, "purged what an older tier serves");
            }
            Step::Purged(Err(failure)) => {
                tracing::error!(why = failure.ai, "purge failed; rows stay in memory");
            }
        }
    }
}

/// What came of a word of the owner's.
#[derive(Debug)]
pub enum Step {
    /// nothing
    None,
    /// a table begins later: the purview has changed
    Moved,
    /// rows before the tables' starts are gone, this many; or why not
    Purged(Result<u64, sg::Failure>),
}

/// Does what the owner says of the tables; `version` is that of the purview now. A start moves when an older
/// tier has taken over; rows go only when no lease on an earlier purview is left.
pub fn obey(memory: &MemoryTables, said: &OwnerSays, version: i64) -> Step {
    match said {
        OwnerSays::Covered(covered) if memory.move_start(&covered.table, covered.until) => {
            if sg::mutation::on("dap-purges-at-once") {
                return Step::Purged(memory.purge());
            }
            Step::Moved
        }
        OwnerSays::LeasesOver(leases) if leases.version >= version => Step::Purged(memory.purge()),
        _ => Step::None,
    }
}
