//! What the router hears of data processes that were found: which there are, and what came of dialling each.
//!
//! What follows from it, the router decides. Tests: below, `tests/process.rs`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use discovery::{Endpoint, Feed};
use kvalue::Sym;
use link::{Followed, Standing};
use routing::{Fate, Place};
use sg::InstanceId;
use tokio_util::sync::CancellationToken;

use crate::{pull::is_mine, shared::Shared};

/// Least time between two accounts while links come and go in a hurry: each is of all places.
const GATHER: Duration = Duration::from_millis(20);

/// Time between two looks at why nothing is known yet.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Tells the router of all changes, until `shutdown`.
pub(crate) fn tell(
    found: Feed,
    followed: Followed,
    shared: Arc<Shared>,
    own: InstanceId,
    shutdown: CancellationToken,
) {
    let (mut sets, mut mates, mut changes) = (found.sets(), shared.mates(), followed.changes());
    tokio::spawn(async move {
        loop {
            let set = sets.borrow_and_update().clone();
            let ready = mates.borrow_and_update().clone();
            changes.borrow_and_update();
            let standings = followed.standings();
            let of = |e: &Arc<Endpoint>| Place {
                key: Sym::new(&*e.key),
                name: Sym::new(&*e.name),
                address: Sym::new(e.addr.to_string()),
                ready: e.ready,
                fate: fate(e, own, ready.as_deref(), &standings),
            };
            let trouble = match set.beyond {
                0 => found.health().trouble.unwrap_or_default(),
                n => format!("{n} are more than may be kept: raise QMESH_DISC_MAX"),
            };
            let whole = set.synced && set.beyond == 0;
            shared.found(set.endpoints.iter().map(of).collect(), whole, trouble);
            tokio::select! {
                () = shutdown.cancelled() => return,
                // The source ends with the process, and so do the others.
                changed = sets.changed() => if changed.is_err() { return },
                changed = mates.changed() => if changed.is_err() { return },
                changed = changes.changed() => if changed.is_err() { return },
                // Why nothing was heard yet may be another reason by now.
                () = tokio::time::sleep(LOOK_AGAIN), if !set.synced => {}
            }
            // What was found is told at once; whatever else comes with it, with the next account.
            if !sets.has_changed().unwrap_or(false) {
                tokio::time::sleep(GATHER).await;
            }
        }
    });
}

/// What came of dialling a place. `others` are the coordinators that share them; none while this one dials nobody.
fn fate(
    place: &Endpoint,
    own: InstanceId,
    others: Option<&[InstanceId]>,
    standings: &BTreeMap<Arc<str>, Standing>,
) -> Fate {
    match standings.get(&place.key) {
        Some(Standing { stranger: true, .. }) => Fate::NoData,
        Some(Standing { trouble: Some(why), .. }) => Fate::Trouble(why.clone()),
        Some(Standing { tried: true, instance: Some(instance), .. }) => Fate::Linked(*instance),
        Some(Standing { tried: true, .. }) => Fate::Trouble("its link has ended".into()),
        _ => match others {
            Some(others) if !is_mine(&place.key, own, others) => Fate::Elsewhere,
            _ => Fate::Untried,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_dial_is_told_as_it_is() {
        let place = Endpoint {
            key: "u-1".into(),
            name: "hdb-0".into(),
            addr: ([10, 0, 0, 7], 5080).into(),
            ready: true,
            assembly: None,
        };
        let of = |standing: Option<Standing>, others: Option<&[InstanceId]>| {
            let standings = standing.map(|s| (place.key.clone(), s)).into_iter().collect();
            fate(&place, InstanceId([1; 16]), others, &standings)
        };
        let instance = Some(InstanceId([9; 16]));
        assert_eq!(of(None, Some(&[])), Fate::Untried);
        assert_eq!(of(None, None), Fate::Untried, "peers are tried first");
        let other =
            (2..20).map(|n| InstanceId([n; 16])).find(|o| !is_mine("u-1", InstanceId([1; 16]), &[*o]));
        assert_eq!(of(None, Some(&[other.unwrap()])), Fate::Elsewhere);
        let tried = Standing { tried: true, ..Standing::default() };
        assert!(matches!(of(Some(tried.clone()), Some(&[])), Fate::Trouble(_)));
        let refused = Standing { trouble: Some("refused".into()), instance, ..tried.clone() };
        assert_eq!(of(Some(refused.clone()), Some(&[])), Fate::Trouble("refused".into()));
        assert_eq!(of(Some(Standing { stranger: true, ..refused }), Some(&[])), Fate::NoData);
        assert_eq!(of(Some(Standing { instance, ..tried }), Some(&[])), Fate::Linked(InstanceId([9; 16])));
    }
}
