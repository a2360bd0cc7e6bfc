//! The queueing model of the routing core: each row as one line of JSON.
//!
//! Time is simulated there but for the costs of decisions, so nothing takes turns: one run says it.

use routing_model::{cost, rows};

use crate::{error::Error, worker};

/// Prints the rows.
pub(crate) fn run(requests: usize, seeds: u64) -> Result<(), Error> {
    let seeds: Vec<u64> = (1..=seeds.max(1)).collect();
    // Memory first: later rows leave a heap behind that would be used again.
    let all = cost::rows()
        .into_iter()
        .chain(rows::waits(requests, &seeds))
        .chain(rows::scaling(requests / 4, &seeds))
        .chain(rows::slow_replica(requests, &seeds))
        .chain(rows::greedy_user(requests / 2, &seeds))
        .chain(rows::gossip(32, 31, 2.0));
    all.into_iter().try_for_each(|row| {
        let line = serde_json::json!({
            "what": row.what,
            "measured": row.measured,
            "baseline": row.baseline,
            "bound": row.bound,
            "at_most": row.at_most,
            "unit": row.unit,
        });
        worker::say(&line.to_string())
    })
}
