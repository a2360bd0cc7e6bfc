//! Worlds of end of day: no accepted row is ever unreachable, and every day that has ended leaves memory.

/// Worlds of every test run.
const SEEDS: u64 = 1_500;

#[test]
fn no_accepted_row_is_ever_unreachable() {
    let mut total = simulation::DaysTally::default();
    let mut broken = Vec::new();
    for seed in 0..SEEDS {
        match simulation::day_world(seed) {
            Ok(tally) => {
                total.accepted += tally.accepted;
                total.late += tally.late;
                total.failed += tally.failed;
                total.refused += tally.refused;
                total.moved += tally.moved;
                total.purged += tally.purged;
                total.restarts += tally.restarts;
            }
            Err(why) => broken.push(why),
        }
    }
    let shown = broken.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(broken.is_empty(), "{} of {SEEDS} seeds break a rule; the first:\n{shown}", broken.len());
    // Worlds in which nothing happens would prove nothing.
    let t = &total;
    assert!(t.accepted > 30 * SEEDS && t.failed > SEEDS && t.late > SEEDS && t.restarts > SEEDS, "{t:?}");
    assert!(t.refused > SEEDS && t.moved > SEEDS && t.purged > 10 * SEEDS, "{t:?}");
}
