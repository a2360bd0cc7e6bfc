//! One world: processes, events, and the checks after every step.
//!
//! | file | what |
//! | --- | --- |
//! | [`self`] | what a world is made of, and its course |
//! | `happen` | one step: who it is for |
//! | `lives` | processes start and end |
//! | `found` | what discovery tells coordinators, and secrets that arrive at different times |
//! | `clients` | who asks what |
//! | `trouble` | what goes wrong |
//! | `rules` | what must hold after every step, and at rest |

mod clients;
mod found;
mod happen;
mod lives;
mod rules;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};

use aggregator::core::Bounds;
use kvalue::Sym;
use routing::{Expected, MILLI, Nanos, SECOND, Settings};
use sg::LabelSet;

pub(crate) use clients::Asking;
use rules::Beside;
use trouble::Trouble;

use crate::{
    agg::Agg,
    dap::{Dap, Held},
    data::{self, REGIONS},
    gw::Gw,
    ledger::{Ledger, Tally},
    net::{Happens, Net, Proc, RunKey},
    rc::Rc,
    rng::Rng,
    trace::Trace,
};

/// Steps after which a world that does not come to rest is given up.
const MOST_STEPS: u64 = 400_000;

/// What of a label set is on disk.
#[derive(Debug, Clone, Copy)]
struct Saved {
    /// the old days, up to this instant
    old: i64,
    /// what the tier between memory and the old days holds, if there is one
    between: Option<(i64, i64)>,
}

/// The tiers of each label set, as somebody would declare them.
fn declared(held: &[Held]) -> Vec<Expected> {
    let mut tiers: BTreeMap<LabelSet, BTreeSet<&'static str>> = BTreeMap::new();
    held.iter().for_each(|h| _ = tiers.entry(h.set.clone()).or_default().insert(h.tier));
    let expected = |(labels, tiers): (_, BTreeSet<&str>)| Expected {
        labels,
        tiers: tiers.into_iter().map(Sym::new).collect(),
    };
    tiers.into_iter().map(expected).collect()
}

/// One world.
pub(crate) struct World {
    pub(crate) net: Net,
    pub(crate) ledger: Ledger,
    calm: bool,
    /// nothing happens that a client may notice
    gentle: bool,
    troubles: Vec<Trouble>,
    /// only coordinators die
    only_rcs: bool,
    gws: BTreeMap<usize, Gw>,
    rcs: BTreeMap<usize, Rc>,
    aggs: BTreeMap<usize, Agg>,
    daps: BTreeMap<usize, Dap>,
    /// how many of each there are
    counts: [usize; 3],
    held: Vec<Held>,
    /// what of each label set is on disk
    saved: Vec<Saved>,
    /// lives of processes that were told to end
    ending: BTreeSet<(Proc, u64)>,
    /// portions that wait beside an idle replica of another coordinator, and since when
    beside: BTreeMap<Beside, Nanos>,
    /// portions that wait at a data process behind another, beside which one is idle, and since when
    behind: BTreeMap<(RunKey, usize, usize), Nanos>,
    settings: Settings,
    bounds: Bounds,
    gw_limit: usize,
    /// limits are so low that they are met
    small: bool,
    left_to_ask: u64,
    hurry: bool,
    quiet: bool,
    /// coordinators look for data processes; when each of these is ready, by its life
    looks: bool,
    ready_at: BTreeMap<usize, Nanos>,
    /// the mesh's secret
    secret: u64,
}

impl World {
    pub(crate) fn new(seed: u64, loud: bool) -> World {
        let mut rng = Rng::new(seed);
        let calm = rng.chance(10);
        let mut troubles: Vec<Trouble> = trouble::ALL.into_iter().filter(|_| rng.chance(50)).collect();
        if troubles.is_empty() {
            troubles.push(Trouble::DayEnds);
        }
        let gentle = !calm && rng.chance(20);
        if gentle {
            troubles = trouble::GENTLE.into_iter().filter(|_| rng.chance(60)).collect();
        }
        let only_rcs = !calm && !gentle && rng.chance(15);
        if only_rcs {
            troubles = vec![Trouble::Crash, Trouble::Scale];
        }
        if calm {
            troubles.clear();
        }
        let counts = [rng.between(1, 2) as usize, Self::coordinators(&mut rng), rng.between(1, 3) as usize];
        let mut held = Vec::new();
        let sets = rng.between(1, 3) as usize;
        let mut saved = Vec::new();
        for (labels, region) in REGIONS.iter().enumerate().take(sets) {
            let old = rng.between(10, 60) as i64 * data::PARTITION;
            let between = rng.chance(30).then(|| {
                // Tiers overlap for a while.
                let from = old - rng.below(5) as i64 * data::PARTITION;
                (from, old + rng.between(1, 10) as i64 * data::PARTITION)
            });
            saved.push(Saved { old, between });
            let tiers = ["hdb", "idb", "rdb"].into_iter().filter(|t| *t != "idb" || between.is_some());
            for tier in tiers {
                let (capacity, one_by_one) = match rng.below(4) {
                    0 => (2, false),
                    1 => (4, true),
                    _ => (1, true),
                };
                for _ in 0..rng.between(1, if tier == "hdb" { 3 } else { 2 }) {
                    let slow = if rng.chance(10) { 10 } else { 1 };
                    let set = LabelSet::new([("region", *region)]);
                    held.push(Held { labels, set, tier, capacity, one_by_one, slow });
                }
            }
        }
        if calm || gentle {
            // What only a slow one holds may queue for longer than a client waits, and nobody is to blame.
            for i in 0..held.len() {
                let same = |h: &&Held| (h.labels, h.tier) == (held[i].labels, held[i].tier);
                if held.iter().filter(same).all(|h| h.slow > 1) {
                    held[i].slow = 1;
                }
            }
        }
        // Nothing else of a world depends on it, but what discovery itself does.
        let looks = seed % 3 == 1;
        if looks && !calm && !gentle && !only_rcs {
            troubles.push(Trouble::Secret);
        }
        let patience = rng.between(200 * MILLI, SECOND);
        let small = !calm && !gentle && rng.chance(15);
        // On a clock that stands still nothing is told in time.
        let even = rng.chance(40) && !troubles.contains(&Trouble::Clock);
        // Nothing else of a world depends on it, but that a coordinator need not wait until all have come:
        // for an answer that is right, not for one in fair weather.
        let expected = if seed % 5 == 4 { declared(&held) } else { Vec::new() };
        let settings = Settings {
            custody_wait: 300 * MILLI,
            forget_after: 3_600 * SECOND,
            settle: if (expected.is_empty() && !looks) || calm || gentle || only_rcs {
                2 * SECOND
            } else {
                0
            },
            looks,
            max_requests: if small { rng.between(3, 12) as usize } else { 100_000 },
            max_queued: if small { rng.between(12, 30) as usize } else { 100_000 },
            expected,
            ..Settings::default()
        };
        let bounds = match small {
            true => Bounds { early_bytes: 30_000, ..Bounds::default() },
            false => Bounds::default(),
        };
        let gw_limit = if small { rng.between(4, 12) as usize } else { 100_000 };
        let tiers = saved.iter().filter(|s| s.between.is_some()).count();
        let mut ledger = Ledger::new(sets * 2 + tiers);
        ledger.tally.tiers = u64::from(tiers > 0);
        ledger.whole = calm || gentle || only_rcs;
        let (left_to_ask, hurry) = (rng.between(20, 100), rng.chance(40));
        let mut net = Net::new(rng, Trace::new(loud), patience);
        net.even = even;
        // Nothing else of a world depends on it.
        net.vintages = (seed % 4 == 3).then_some(Nanos::MAX);
        World {
            net,
            ledger,
            calm,
            gentle,
            only_rcs,
            troubles,
            gws: BTreeMap::new(),
            rcs: BTreeMap::new(),
            aggs: BTreeMap::new(),
            daps: BTreeMap::new(),
            counts,
            held,
            saved,
            ending: BTreeSet::new(),
            beside: BTreeMap::new(),
            behind: BTreeMap::new(),
            settings,
            bounds,
            gw_limit,
            small,
            left_to_ask,
            hurry,
            quiet: false,
            looks,
            ready_at: BTreeMap::new(),
            secret: 0,
        }
    }

    /// Most rules are tried by one, some need several.
    fn coordinators(rng: &mut Rng) -> usize {
        match rng.below(10) {
            0..4 => 1,
            4..7 => 2,
            _ => rng.between(3, 4) as usize,
        }
    }

    /// The part of the label set present where a data process looks.
    fn on_disk(&self, held: &Held) -> (i64, i64) {
        let Saved { old, between } = self.saved[held.labels];
        match (held.tier, between) {
            ("idb", Some(between)) => between,
            ("hdb", _) | (_, None) => (data::DATA.0, old),
            (_, Some(between)) => between,
        }
    }

    fn everybody(&self) -> Vec<Proc> {
        let [gws, rcs, aggs] = self.counts;
        let gws = (0..gws).map(Proc::Gw).chain((0..rcs).map(Proc::Rc));
        gws.chain((0..aggs).map(Proc::Agg)).chain((0..self.held.len()).map(Proc::Dap)).collect()
    }

    /// Runs the world until it has come to rest or something is wrong.
    pub(crate) fn run(&mut self) {
        for who in self.everybody() {
            let at = self.net.rng.below(20 * MILLI);
            self.net.at(at, Happens::Start(who));
        }
        let begins = self.settings.settle + 100 * MILLI;
        self.net.at(begins, Happens::Ask);
        if !self.troubles.is_empty() {
            let first = self.net.rng.between(50 * MILLI, 300 * MILLI);
            self.net.at(begins + first, Happens::Trouble);
        }
        if self.only_rcs {
            // Long enough for some to come back, and to be asked at once.
            self.left_to_ask *= 3;
        }
        let mut steps = 0;
        while self.ledger.violation.is_none()
            && let Some(what) = self.net.next()
        {
            steps += 1;
            if steps > MOST_STEPS {
                let next = format!("{what:?}");
                return self.ledger.violation(|| format!("the world does not come to rest; next is {next}"));
            }
            if let Err(why) = self.happen(what).and_then(|touched| self.check(touched)) {
                self.ledger.violation(|| why);
            }
        }
        if self.ledger.violation.is_none() {
            self.rest();
        }
        self.ledger.tally.events = self.net.trace.count;
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.ledger.tally
    }
}
