//! The coordinator's brain, sans-io: which replicas answer a request, when, and what happens if they do not.
//!
//! One pure state machine, [`Router`]: `(event, now) → actions`. It has no clock, socket, random number or task
//! inside, so that a seeded simulation (`tests/simulation.rs`) drives the very code that runs in production.
//!
//! | module | what |
//! | --- | --- |
//! | [`event`] | what goes in and comes out |
//! | [`settings`] | limits and choices |
//! | `coverage` | label sets × tables × time: which source serves which instant |
//! | `apis` | the APIs that DAPs register |
//! | `fleet` | replicas, leases, which idle one to take |
//! | `queue` | portions that wait |
//! | `aggs` | which Agg collects |
//! | `request` | a request in flight |
//! | [`router`] | the rules that move all of it |
//!
//! States, events and rules, each with its test: `LIFECYCLE.md`.
#![forbid(unsafe_code)]

mod aggs;
mod apis;
mod coverage;
pub mod event;
mod fleet;
mod queue;
mod request;
pub mod router;
pub mod settings;
mod stats;

pub use event::{Action, Event, MILLI, Nanos, Note, PeerId, PeerRole, SECOND};
pub use router::Router;
pub use settings::Settings;
pub use stats::Stats;
