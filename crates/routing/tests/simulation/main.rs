//! The production router among simulated data processes, aggregators, gateways, links and clocks.
//!
//! Each seed is one world: it crashes and restarts processes, cuts and delays links, moves purviews at end of
//! day, cancels requests. After every event the router's own invariants are checked; at the end, what each
//! client got. A seed decides everything, so a failing one replays exactly:
//! `QMESH_SIM_SEED=17 cargo test -p routing --test simulation -- --nocapture`.
//!
//! | file | what |
//! | --- | --- |
//! | `net` | seeded random numbers, ordered links with delay |
//! | `dap`, `agg`, `gw` | the processes around the router, by the same rules as the real ones |
//! | `world` | what happens, and when |
//! | `check` | what must have come of it |

mod agg;
mod check;
mod dap;
mod gw;
mod net;
mod world;

use world::{Storm, World};

/// Runs worlds; a panic names the seed.
fn run(storm: Storm, seeds: std::ops::Range<u64>) {
    let only = std::env::var("QMESH_SIM_SEED").ok().and_then(|s| s.parse::<u64>().ok());
    let mut total = check::Tally::default();
    for seed in only.map_or(seeds, |s| s..s + 1) {
        let outcome = std::panic::catch_unwind(|| World::new(seed, storm, only.is_some()).run());
        match outcome {
            Ok(tally) => total.add(&tally),
            Err(panic) => {
                eprintln!("{storm:?} fails with QMESH_SIM_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    eprintln!("{storm:?}: {total:?}");
    if only.is_none() {
        total.must_have_tried(storm);
    }
}

#[test]
fn in_fair_weather_every_request_succeeds() {
    run(Storm::Calm, 0..100);
}

#[test]
fn while_purviews_move_every_instant_is_served_exactly_once() {
    run(Storm::EndOfDay, 1_000..1_150);
}

#[test]
fn whatever_is_lost_each_request_gets_one_right_answer_by_its_deadline() {
    run(Storm::Wild, 2_000..2_250);
}

#[test]
fn a_coordinator_that_restarts_goes_on() {
    run(Storm::Restart, 3_000..3_080);
}
