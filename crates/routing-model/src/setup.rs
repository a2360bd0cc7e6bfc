//! What is modelled.

use routing::{MILLI, Nanos};

/// How long portions run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Service {
    /// all alike
    Constant,
    /// exponential
    Exponential,
    /// Pareto of shape 1.5, cut off at 100 times the mean
    HeavyTail,
}

/// A user of the mesh.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// name
    pub name: String,
    /// part of all requests, relative to that of others
    pub share: f64,
}

/// Coordinators, replicas and what is asked of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// coordinators
    pub rcs: usize,
    /// replicas that each owns; all hold the same
    pub replicas: usize,
    /// requests per second times mean service time, over all replicas
    pub load: f64,
    /// service times
    pub service: Service,
    /// their mean
    pub mean: Nanos,
    /// how often slower the first replica is than the others
    pub slow: f64,
    /// from one coordinator to another and back
    pub round_trip: Nanos,
    /// who asks
    pub users: Vec<User>,
    /// requests
    pub requests: usize,
    /// the API may run twice
    pub safe: bool,
    /// of the arrivals and service times
    pub seed: u64,
}

impl Setup {
    /// Portions of 10 ms on average, 0.3 ms between coordinators, one user.
    pub fn new(rcs: usize, replicas: usize, load: f64, service: Service) -> Setup {
        Setup {
            rcs,
            replicas,
            load,
            service,
            mean: 10 * MILLI,
            slow: 1.0,
            round_trip: 3 * MILLI / 10,
            users: vec![User { name: "ann".into(), share: 1.0 }],
            requests: 20_000,
            safe: true,
            seed: 1,
        }
    }

    /// The five of the design, each with its name.
    pub fn five() -> Vec<(&'static str, Setup)> {
        let slow = Setup { slow: 10.0, ..Setup::new(4, 8, 0.7, Service::Exponential) };
        vec![
            ("2 × 2, load 0.7, exponential", Setup::new(2, 2, 0.7, Service::Exponential)),
            ("4 × 8, load 0.8, exponential", Setup::new(4, 8, 0.8, Service::Exponential)),
            ("4 × 8, load 0.9, heavy tail", Setup::new(4, 8, 0.9, Service::HeavyTail)),
            ("8 × 4, load 0.9, constant", Setup::new(8, 4, 0.9, Service::Constant)),
            ("4 × 8, load 0.7, one replica 10× slow", slow),
        ]
    }

    /// Replicas of all coordinators.
    pub fn all_replicas(&self) -> usize {
        self.rcs * self.replicas
    }

    /// How often slower a replica is than most.
    pub fn slowness(&self, replica: usize) -> f64 {
        if replica == 0 { self.slow } else { 1.0 }
    }
}
