//! Waits of the production core against an ideal central queue: short runs of what `cargo xtask bench` runs long.

use routing::Settings;
use routing_model::{Mesh, Setup, Trace, rows};

/// The core was tuned on the first.
const SEEDS: &[u64] = &[1, 2, 3];
fn check(rows: Vec<rows::Row>) {
    rows.iter().for_each(|row| eprintln!("{row}"));
    let missed: Vec<String> = rows.iter().filter(|r| !r.is_met()).map(ToString::to_string).collect();
    assert!(missed.is_empty(), "beyond the bound: {missed:#?}");
}

#[test]
fn portions_wait_little_longer_than_in_an_ideal_queue() {
    check(rows::waits(20_000, SEEDS));
}

#[test]
fn throughput_grows_with_replicas_and_coordinators() {
    check(rows::scaling(10_000, &[1]));
}

#[test]
fn one_slow_replica_costs_others_little() {
    check(rows::slow_replica(20_000, SEEDS));
}

#[test]
fn one_user_who_asks_ten_times_as_much_costs_others_little() {
    check(rows::greedy_user(20_000, SEEDS));
}

#[test]
fn what_coordinators_tell_each_other_survives_the_wire() {
    let rows = rows::gossip(4, 8, 0.2);
    assert!(rows.iter().all(|r| r.measured > 0.0), "nothing was measured: {rows:?}");
}

#[test]
fn every_invariant_holds_after_every_event() {
    for (name, setup) in Setup::five() {
        let setup = Setup { requests: 500, ..setup };
        let trace = Trace::of(&setup);
        let mut mesh = Mesh::new(&setup, &trace, &Settings::default());
        mesh.checked = true;
        let out = mesh.run();
        assert!(out.times.iter().all(|t| *t > 0), "{name}: a request has no answer");
    }
}
