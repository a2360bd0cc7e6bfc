//! What is measured with the model, and what is to be reached: one row each, for tests (short runs) and the
//! performance page (long ones).

use std::fmt;

use routing::{Nanos, Settings};

use crate::{
    ideal,
    mesh::Mesh,
    setup::{Service, Setup, User},
    trace::{Outcome, Trace},
};

/// A number and its bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// what was measured
    pub what: String,
    /// what came out
    pub measured: f64,
    /// what it is compared with
    pub baseline: f64,
    /// bound of `measured`
    pub bound: f64,
    /// true where `measured` must not exceed its bound, false where it must reach it
    pub at_most: bool,
    /// of the numbers
    pub unit: &'static str,
}

impl Row {
    /// How near the bound is: above 1 it is not kept.
    fn strain(&self) -> f64 {
        if self.at_most { self.measured / self.bound } else { self.bound / self.measured }
    }

    /// True where the bound is kept.
    pub fn is_met(&self) -> bool {
        if self.at_most { self.measured <= self.bound } else { self.measured >= self.bound }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { what, measured, baseline, bound, unit, .. } = self;
        let sign = if self.at_most { "at most" } else { "at least" };
        write!(f, "{what}: {measured:.2} {unit}, baseline {baseline:.2}, {sign} {bound:.2}")
    }
}

/// Of the same row of several seeds the worst: the value nearest to the bound, or farthest beyond the bound.
fn worst(seeds: &[u64], row: impl Fn(u64) -> Row) -> Option<Row> {
    let rows = seeds.iter().map(|seed| row(*seed));
    rows.max_by(|a, b| a.strain().total_cmp(&b.strain()))
}

fn millis(time: Nanos) -> f64 {
    time as f64 / 1e6
}

fn play(setup: &Setup) -> (Trace, Outcome) {
    let trace = Trace::of(setup);
    let out = Mesh::new(setup, &trace, &Settings::default()).run();
    (trace, out)
}

/// The five setups of the design: p99 wait before start against an ideal central queue.
pub fn waits(requests: usize, seeds: &[u64]) -> Vec<Row> {
    let row = |(name, setup): &(&str, Setup), seed| {
        let setup = Setup { requests, seed, ..setup.clone() };
        let (trace, mesh) = play(&setup);
        let ideal = ideal::run(&setup, &trace).wait(0.99);
        Row {
            what: format!("p99 wait before start, {name}"),
            measured: millis(mesh.wait(0.99)),
            baseline: millis(ideal),
            bound: millis(ideal + ideal / 4 + 2 * setup.round_trip),
            at_most: true,
            unit: "ms",
        }
    };
    Setup::five().iter().filter_map(|five| worst(seeds, |seed| row(five, seed))).collect()
}

/// Throughput of replicas that have always something to do, as part of what they could do alone.
pub fn scaling(requests: usize, seeds: &[u64]) -> Vec<Row> {
    let row = |(rcs, replicas): (usize, usize), seed| {
        let mut setup = Setup { seed, ..Setup::new(rcs, replicas, 4.0, Service::Constant) };
        setup.requests = requests.max(200 * setup.all_replicas());
        let (_, mesh) = play(&setup);
        let alone = setup.requests as f64 * setup.mean as f64 / setup.all_replicas() as f64;
        Row {
            what: format!("throughput of {} replicas over {rcs} coordinators", setup.all_replicas()),
            measured: alone / mesh.until as f64,
            baseline: 1.0,
            bound: 0.95,
            at_most: false,
            unit: "of linear",
        }
    };
    let sizes = [(1, 1), (1, 8), (2, 8), (4, 8), (8, 8)];
    sizes.into_iter().filter_map(|size| worst(seeds, |seed| row(size, seed))).collect()
}

/// One of eight replicas is ten times slower, load half of what the other seven can do.
pub fn slow_replica(requests: usize, seeds: &[u64]) -> Vec<Row> {
    let rows = |seed| {
        let healthy = Setup { requests, seed, ..Setup::new(2, 4, 0.5 * 7.0 / 8.0, Service::Exponential) };
        let slow = Setup { slow: 10.0, ..healthy.clone() };
        let ((_, good), (_, bad)) = (play(&healthy), play(&slow));
        let p99 = millis(good.time(0.99));
        let time = Row {
            what: "p99 with one of 8 replicas 10× slow".into(),
            measured: millis(bad.time(0.99)),
            baseline: p99,
            bound: 1.5 * p99,
            at_most: true,
            unit: "ms",
        };
        let extra = Row {
            what: "second runs for each request, one of 8 replicas 10× slow".into(),
            measured: bad.extra_starts as f64 / requests as f64,
            baseline: 0.0,
            bound: 0.05,
            at_most: true,
            unit: "",
        };
        [time, extra]
    };
    let all: Vec<[Row; 2]> = seeds.iter().map(|seed| rows(*seed)).collect();
    let of = |i: usize| {
        let rows = all.iter().map(|rows| rows[i].clone());
        rows.max_by(|a, b| a.strain().total_cmp(&b.strain()))
    };
    [of(0), of(1)].into_iter().flatten().collect()
}

/// One user of eleven asks ten times as much as each other; all together ask for 1.5 times what there is.
pub fn greedy_user(requests: usize, seeds: &[u64]) -> Vec<Row> {
    let row = |seed| {
        let ten = (0..10).map(|i| User { name: format!("user-{i}"), share: 1.0 });
        let mut with = Setup { seed, ..Setup::new(4, 8, 1.5, Service::Exponential) };
        with.users = ten.chain([User { name: "greedy".into(), share: 10.0 }]).collect();
        with.requests = requests;
        let modest = |user: usize| user < 10;
        let (all, crowded) = play(&with);
        // The very requests of the others, alone.
        let few = Trace(all.0.iter().filter(|a| modest(a.user)).cloned().collect());
        let quiet = Mesh::new(&with, &few, &Settings::default()).run();
        let alone = millis(quiet.time_of(&few, modest, 0.99));
        Row {
            what: "p99 of ten users beside one who asks 10×, demand 1.5× capacity".into(),
            measured: millis(crowded.time_of(&all, modest, 0.99)),
            baseline: alone,
            bound: 1.2 * alone,
            at_most: true,
            unit: "ms",
        }
    };
    worst(seeds, row).into_iter().collect()
}

/// Cost of exchanging idle replicas and waiting portions among coordinators: processor time of all decisions, encoding
/// and decoding of mesh messages included, as a share of elapsed time, at a hundred requests a second per coordinator.
pub fn gossip(rcs: usize, replicas: usize, seconds: f64) -> Vec<Row> {
    const EACH_A_SECOND: f64 = 100.0;
    let mut setup = Setup::new(rcs, replicas, 1.0, Service::Exponential);
    setup.load = EACH_A_SECOND * setup.mean as f64 / 1e9 / replicas as f64;
    setup.requests = (EACH_A_SECOND * rcs as f64 * seconds) as usize;
    let trace = Trace::of(&setup);
    let mut mesh = Mesh::new(&setup, &trace, &Settings::default());
    mesh.timed = true;
    let out = mesh.run();
    vec![Row {
        what: format!(
            "a core's time for all decisions and gossip of a coordinator, {rcs} with {} replicas, \
             {EACH_A_SECOND} requests/s each ({:.1} messages between coordinators for each)",
            setup.all_replicas(),
            out.messages_a_request()
        ),
        measured: out.busy as f64 / out.until as f64 / rcs as f64,
        baseline: 0.0,
        bound: 0.05,
        at_most: true,
        unit: "of a core",
    }]
}
