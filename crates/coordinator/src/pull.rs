//! The share of found data processes that this coordinator dials.
//!
//! Each data process is dialled by one coordinator, chosen by rendezvous hashing over ready coordinators: every
//! coordinator computes the same choice, and a coordinator that comes or goes moves only its own share. While two see
//! different sets both may dial; the data process obeys the later one. Tests: here.

use std::sync::Arc;

use discovery::{Endpoint, Feed, Snapshot};
use sg::InstanceId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

/// The places that `shared` should dial, of all that `found` knows; until `shutdown`.
pub(crate) fn assigned(
    found: &Feed,
    shared: Arc<Shared>,
    own: InstanceId,
    shutdown: CancellationToken,
) -> watch::Receiver<Arc<Snapshot>> {
    let (tell, told) = watch::channel(Arc::new(Snapshot { absent_leaves: true, ..Snapshot::default() }));
    let mut sets = found.sets();
    let mut mates = shared.mates();
    tokio::spawn(async move {
        loop {
            let all = sets.borrow_and_update().clone();
            let ready = mates.borrow_and_update().clone();
            let mine = |e: &&Arc<Endpoint>| ready.as_ref().is_some_and(|others| is_mine(&e.key, own, others));
            let endpoints: Vec<_> = all.endpoints.iter().filter(mine).cloned().collect();
            tell.send_if_modified(|now| {
                let differs = now.endpoints != endpoints || now.synced != all.synced;
                if differs {
                    *now = Arc::new(Snapshot { endpoints, absent_leaves: true, ..(*all).clone() });
                }
                differs
            });
            tokio::select! {
                () = shutdown.cancelled() => return,
                // The source ends with the process.
                changed = sets.changed() => if changed.is_err() { return },
                changed = mates.changed() => if changed.is_err() { return },
            }
        }
    });
    told
}

/// True where no other ready coordinator ranks higher for this process.
pub(crate) fn is_mine(key: &str, own: InstanceId, others: &[InstanceId]) -> bool {
    let ours = (rank(key, own), own.0);
    others.iter().all(|other| (rank(key, *other), other.0) < ours)
}

fn rank(key: &str, rc: InstanceId) -> u64 {
    // FNV-1a: the same in every process and version; then mixed, for its high bits are weak on short texts.
    let bytes = rc.0.iter().copied().chain(key.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(key: &str, rcs: &[InstanceId]) -> Vec<usize> {
        let is = |i: &usize| {
            let others: Vec<_> = rcs.iter().enumerate().filter(|(j, _)| j != i).map(|(_, rc)| *rc).collect();
            is_mine(key, rcs[*i], &others)
        };
        (0..rcs.len()).filter(is).collect()
    }

    fn rcs(n: u8) -> Vec<InstanceId> {
        (1..=n).map(|i| InstanceId([i; 16])).collect()
    }

    #[test]
    fn each_process_has_one_coordinator_and_they_share_evenly() {
        let rcs = rcs(4);
        let mut share = [0; 4];
        for n in 0..1000 {
            let owners = owner(&format!("uid-{n}"), &rcs);
            assert_eq!(owners.len(), 1, "uid-{n}: {owners:?}");
            share[owners[0]] += 1;
        }
        assert!(share.iter().all(|n| (180..320).contains(n)), "{share:?}");
    }

    #[test]
    fn a_coordinator_that_comes_takes_its_share_and_moves_nothing_else() {
        let (three, four) = (rcs(3), rcs(4));
        let keys: Vec<String> = (0..1000).map(|n| format!("uid-{n}")).collect();
        let moved: Vec<&String> = keys.iter().filter(|k| owner(k, &three) != owner(k, &four)).collect();
        assert!(moved.iter().all(|k| owner(k, &four) == [3]));
        assert!((180..320).contains(&moved.len()), "{}", moved.len());
    }
}
