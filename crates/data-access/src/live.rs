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
    handover::{DayBook, Decision},
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
        shared.set_end_of_day(eod.clone());
        let eod = eod.told_to(shared.clone());
        tasks.spawn(follow(shared.clone(), memory.clone(), eod.clone(), owner_says, shutdown.clone()));
        tasks.spawn(save_again(eod.clone(), shutdown.clone()));
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

/// Without a tickerplant to say so, a day ends at midnight UTC and a little for what is on its way. The clock may
/// leap or step back: it is looked at again and again, and only midnights that it has passed count.
async fn by_the_clock(eod: EndOfDay, shutdown: CancellationToken) {
    const ON_ITS_WAY: Duration = Duration::from_secs(5);
    const LOOK_EVERY: Duration = Duration::from_secs(30);
    let settled = |now: i64| now.saturating_sub(ON_ITS_WAY.as_nanos() as i64);
    let mut today = settled(kvalue::time::now()).div_euclid(DAY);
    loop {
        let left = (today + 1) * DAY - settled(kvalue::time::now());
        let left = Duration::from_nanos(left.max(0) as u64).min(LOOK_EVERY);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(left) => {}
        }
        let day = settled(kvalue::time::now()).div_euclid(DAY);
        if day > today {
            eod.run((day - 1) as i32).await;
            today = day;
        }
    }
}

/// Tries again to save what is unsaved. The wait is no matter of the wall clock.
async fn save_again(eod: EndOfDay, shutdown: CancellationToken) {
    loop {
        let wait = eod.book().wait();
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        if !eod.unsaved().is_empty() {
            eod.save().await;
        }
    }
}

async fn follow(
    shared: Arc<Shared>,
    memory: MemoryTables,
    eod: EndOfDay,
    mut owner_says: mpsc::UnboundedReceiver<OwnerSays>,
    shutdown: CancellationToken,
) {
    loop {
        let said = tokio::select! {
            () = shutdown.cancelled() => return,
            said = owner_says.recv() => said,
        };
        let Some(said) = said else { return };
        let step = obey(&memory, &mut eod.book(), &said, shared.version());
        match step {
            Step::None => {}
            Step::Moved => {
                tracing::info!(?said, "an older tier took over");
                shared.purview_changed();
            }
            Step::Refused { moved, why } => {
                tracing::warn!(?said, why, "hand-over refused; these rows stay in memory and served");
                if moved {
                    shared.purview_changed();
                }
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
    /// a table begins later in part, or not at all, and why: what would go is nowhere else
    Refused {
        /// it begins later
        moved: bool,
        /// the gap
        why: String,
    },
    /// rows before the tables' starts are gone, this many; or why not
    Purged(Result<u64, sg::Failure>),
}

/// Does what the owner says of the tables; `version` is that of the purview now. A start moves when an older
/// tier has taken over, as [`DayBook::decide`] finds; rows go only when no lease on an earlier purview is left.
pub fn obey(memory: &MemoryTables, book: &mut DayBook, said: &OwnerSays, version: i64) -> Step {
    match said {
        OwnerSays::Covered(offer) => {
            book.offered(offer);
            let decision = memory.hand_over(&offer.table, |start, days| book.decide(offer, start, days));
            match decision {
                Decision::Move(_) if sg::mutation::on("dap-purges-at-once") => Step::Purged(memory.purge()),
                Decision::Move(_) => Step::Moved,
                Decision::Refuse(to, why) => Step::Refused { moved: to.is_some(), why },
                Decision::Stay => Step::None,
            }
        }
        OwnerSays::LeasesOver(leases) if leases.version >= version => {
            let purged = memory.purge();
            for table in memory.names() {
                if let Some(start) = memory.start(&table) {
                    book.purged(&table, start);
                }
            }
            Step::Purged(purged)
        }
        _ => Step::None,
    }
}
