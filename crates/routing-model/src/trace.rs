//! The arrivals and service times of a setup, and what became of them.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, rngs::StdRng};
use routing::Nanos;

use crate::setup::{Service, Setup};

/// One request of one portion.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// when it comes
    pub at: Nanos,
    /// to which coordinator
    pub rc: usize,
    /// index of the user who asks
    pub user: usize,
    /// how long it runs on a replica of usual speed
    pub service: Nanos,
}

/// All requests of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace(pub Vec<Arrival>);

impl Trace {
    /// The requests of a setup: Poisson arrivals, each to any coordinator.
    pub fn of(setup: &Setup) -> Trace {
        let mut rng = StdRng::seed_from_u64(setup.seed);
        let between = setup.mean as f64 / setup.load / setup.all_replicas() as f64;
        let shares: f64 = setup.users.iter().map(|u| u.share).sum();
        let mut at = 0.0;
        let arrivals = (0..setup.requests).map(|_| {
            at += between * exponential(&mut rng);
            let mut pick = rng.random::<f64>() * shares;
            let user = setup.users.iter().position(|u| {
                pick -= u.share;
                pick < 0.0
            });
            let times = match setup.service {
                Service::Constant => 1.0,
                Service::Exponential => exponential(&mut rng),
                Service::HeavyTail => heavy(&mut rng),
            };
            Arrival {
                at: at as Nanos,
                rc: rng.random_range(0..setup.rcs),
                user: user.unwrap_or(0),
                service: (setup.mean as f64 * times).max(1.0) as Nanos,
            }
        });
        Trace(arrivals.collect())
    }
}

fn exponential(rng: &mut StdRng) -> f64 {
    -(1.0 - rng.random::<f64>()).ln()
}

/// Pareto of shape 1.5 with mean 1, before it is cut off at 100.
fn heavy(rng: &mut StdRng) -> f64 {
    const SHAPE: f64 = 1.5;
    let least = (SHAPE - 1.0) / SHAPE;
    (least * (1.0 - rng.random::<f64>()).powf(-1.0 / SHAPE)).min(100.0)
}

/// What became of the requests of a trace, in its order.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// from arrival to the first start on a replica
    pub waits: Vec<Nanos>,
    /// from arrival to the first partial
    pub times: Vec<Nanos>,
    /// starts beyond one for each request
    pub extra_starts: usize,
    /// when the last ended
    pub until: Nanos,
    /// real time that coordinators worked, where it was measured
    pub busy: Nanos,
    /// messages between coordinators, by name
    pub messages: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// Messages between coordinators for each request.
    pub fn messages_a_request(&self) -> f64 {
        self.messages.values().sum::<u64>() as f64 / self.times.len().max(1) as f64
    }

    /// The wait that this part of the requests does not exceed.
    pub fn wait(&self, part: f64) -> Nanos {
        quantile(self.waits.iter().copied(), part)
    }

    /// The time that this part of the requests does not exceed.
    pub fn time(&self, part: f64) -> Nanos {
        quantile(self.times.iter().copied(), part)
    }

    /// The same of the requests of some users.
    pub fn time_of(&self, trace: &Trace, users: impl Fn(usize) -> bool, part: f64) -> Nanos {
        let of = trace.0.iter().zip(&self.times).filter(|(a, _)| users(a.user));
        quantile(of.map(|(_, t)| *t), part)
    }
}

/// The least value that this part of all does not exceed.
fn quantile(values: impl Iterator<Item = Nanos>, part: f64) -> Nanos {
    let mut sorted: Vec<Nanos> = values.collect();
    sorted.sort_unstable();
    let at = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0)
}
