//! Each rule has a deliberate defect, and the simulation catches each: `docs/simulation.md` has the table.
//!
//! Run by `cargo test -p simulation --features mutations --test mutations`; without the feature the defects are
//! not in a build.

/// Seeds within which each must be caught. The rarest, `gw-moves-unsafe`, needs a coordinator that is lost in the instant
/// between a start and the word of it, and 2,928 seeds.
const WITHIN: u64 = 4_000;
/// Seeds run between two looks.
const AT_A_TIME: u64 = 16;

/// The defects, in the order of the table; those of the router alone are in [`routing::mutations::ALL`].
const DEFECTS: &[&str] = &[
    "gw-answers-twice",
    "rc-ends-before-answer",
    "gw-forgets-deadline",
    "rc-forgets-deadline",
    "agg-forgets-deadline",
    "rc-idle-serves-nobody",
    "rc-lease-stays",
    "dap-stays-busy",
    "agg-completes-early",
    "agg-takes-twice",
    "agg-forgets-early",
    "rc-custody-by-done",
    "rc-keeps-old-tiles",
    "rc-leases-over-early",
    "dap-purges-at-once",
    "rc-retries-unsafe",
    "gw-moves-unsafe",
    "gw-unbounded",
    "rc-queue-unbounded",
    "agg-early-unbounded",
    "agg-hides-missing",
    "agg-mixes-vintages",
    "dap-ignores-version",
    "dap-exceeds-capacity",
    "dap-obeys-anyone",
    "rc-keeps-old-claim",
    "rc-tells-demand-once",
];

/// Defects of end of day, which worlds of its own catch.
const DEFECTS_OF_DAYS: &[&str] = &["dap-never-saves-again", "dap-trusts-end-point", "dap-forgets-ended-days"];

/// All of them.
fn defects() -> impl Iterator<Item = &'static str> {
    DEFECTS.iter().chain(routing::mutations::ALL).copied()
}

#[test]
fn every_defect_is_caught() {
    let mut missed = Vec::new();
    for defect in defects() {
        let mut from = 0;
        let caught = loop {
            let seeds = from..from + AT_A_TIME;
            let outcome = simulation::many(seeds, || sg::mutation::set(Some(defect)), |_| {});
            if let Some(violation) = outcome.violations.into_iter().next() {
                break Some(violation);
            }
            from += AT_A_TIME;
            if from >= WITHIN {
                break None;
            }
        };
        match caught {
            Some(v) => println!("{defect}: seed {}: {}", v.seed, v.what.lines().last().unwrap_or_default()),
            None => missed.push(defect),
        }
    }
    assert!(missed.is_empty(), "not caught within {WITHIN} seeds: {missed:?}");
}

#[test]
fn every_defect_of_end_of_day_is_caught() {
    for defect in DEFECTS_OF_DAYS {
        sg::mutation::set(Some(defect));
        let caught = (0..WITHIN).find_map(|seed| simulation::day_world(seed).err());
        sg::mutation::set(None);
        println!("{defect}: {}", caught.as_deref().unwrap_or("not caught"));
        assert!(caught.is_some(), "{defect} is not caught within {WITHIN} seeds");
    }
}

#[test]
fn the_table_of_defects_is_the_list() {
    let page = include_str!("../../../docs/simulation.md");
    let missing: Vec<_> = defects()
        .chain(DEFECTS_OF_DAYS.iter().copied())
        .filter(|d| !page.contains(&format!("`{d}`")))
        .collect();
    assert!(missing.is_empty(), "docs/simulation.md does not name {missing:?}");
}
