//! A queueing model around the production routing core: how long portions wait in a mesh of coordinators,
//! against an ideal central queue that sees the same arrivals and the same service times.
//!
//! | module | what |
//! | --- | --- |
//! | [`setup`] | coordinators, replicas, load, distribution of service times, users |
//! | [`trace`] | the arrivals and service times of a setup, a pure function of its seed |
//! | [`mesh`] | the trace played to real [`routing::Router`]s joined by links with a delay |
//! | [`rows`] | what is measured, and what is to be reached |
//! | [`cost`] | what decisions cost in real time |
//! | [`ideal`] | the trace played to one queue that knows everything at once |
//!
//! Only coordinators are real; gateways, aggregators and data processes are what the router sees of them. Time
//! is simulated: a run measures the protocol, not the machine. Tests: `tests/waits.rs`; long runs:
//! `cargo xtask bench routing`.
#![forbid(unsafe_code)]

pub mod cost;
pub mod ideal;
pub mod mesh;
pub mod rows;
pub mod setup;
pub mod trace;

pub use mesh::Mesh;
pub use setup::{Service, Setup};
pub use trace::{Outcome, Trace};
