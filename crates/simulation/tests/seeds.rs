//! A thousand worlds, and that a world is nothing but its seed. Others: `cargo xtask simulate --from S --seeds N`.

/// Worlds of every test run.
const SEEDS: u64 = 1_000;

#[test]
fn in_a_thousand_worlds_every_request_has_one_right_answer_in_time() {
    let outcome = simulation::many(0..SEEDS, || {}, |_| {});
    let shown: Vec<String> = outcome.violations.iter().take(3).map(ToString::to_string).collect();
    assert!(
        outcome.violations.is_empty(),
        "{} of {SEEDS} seeds break a rule; the first:\n{}",
        outcome.violations.len(),
        shown.join("\n\n")
    );
    // Worlds in which nothing happens would prove nothing.
    let t = &outcome.tally;
    assert!(t.succeeded * 2 > t.requests && t.requests > 20 * SEEDS, "{t:?}");
    assert!(t.most_queued > 10 && t.retries > SEEDS && t.overruns > SEEDS && t.replaced > SEEDS, "{t:?}");
    assert!(t.covered > SEEDS && t.purged > SEEDS && t.resent > SEEDS && t.streamed > SEEDS / 4, "{t:?}");
    assert!(t.stale > SEEDS / 4 && t.declared > SEEDS / 20, "{t:?}");
    assert!(t.crashes > SEEDS && t.cuts > SEEDS && t.own > 100 && t.gone > SEEDS, "{t:?}");
}

#[test]
fn a_world_is_a_pure_function_of_its_seed() {
    for seed in 0..30 {
        let (one, two) = (simulation::run(seed, false), simulation::run(seed, false));
        assert_eq!((one.digest, one.tally.events), (two.digest, two.tally.events), "seed {seed}");
    }
    assert_ne!(simulation::run(1, false).digest, simulation::run(2, false).digest);
}
