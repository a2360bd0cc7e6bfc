//! The coordinator's brain, sans-io: which replicas answer a request, when, and what happens if they do not.
//!
//! One pure state machine, [`Router`]: `(event, now) → actions`. It has no clock, socket, random number or task
//! inside, so that a seeded simulation (the crate `simulation`) drives the very code that runs in production.
//!
//! | module | what |
//! | --- | --- |
//! | [`event`] | what goes in and comes out |
//! | [`settings`] | limits and choices |
//! | `coverage` | label sets × tables × time: which source serves which instant |
//! | `apis` | the APIs that DAPs register |
//! | `found` | data processes that discovery has found, linked or not |
//! | `fleet` | replicas, leases, which idle one to take |
//! | `names` | names that requests repeat, each held once |
//! | `trace` | the way of a request, leg by leg: of those in flight and the last that ended |
//! | `queue` | portions that wait, fair per user |
//! | `mesh` | what is known of other coordinators |
//! | `aggs` | which Agg collects |
//! | `request` | a request in flight |
//! | [`mutations`] | deliberate defects, for the simulation only |
//! | [`router`] | the rules that move all of it |
//!
//! States, events and rules, each with its test: `LIFECYCLE.md`.
#![forbid(unsafe_code)]

mod aggs;
mod apis;
mod coverage;
pub mod event;
mod fleet;
mod found;
mod mesh;
pub mod mutations;
mod names;
mod queue;
mod request;
pub mod router;
pub mod settings;
mod stats;
mod trace;

pub use event::{Action, Event, Fate, MILLI, Nanos, Note, PeerId, PeerRole, Place, SECOND};
pub use router::{Beside, Router, check_mesh, check_quiet_mesh, waiting_beside_idle};
pub use settings::{Expected, Settings};
pub use stats::Stats;
