//! The RC process: sockets and timers around the sans-io [`routing::Router`].
//!
//! DAPs, Aggs and GWs dial its port; each is a link of the crate `link`. It knows purviews and availability,
//! never data: arguments and header options pass through undecoded but for the few that route.
//!
//! | module | what |
//! | --- | --- |
//! | [`config`] | environment variables and [`Options`] |
//! | `expect` | the tiers that there should be, as text |
//! | `combining_lock` | a lock whose holder also does the queued work of other threads |
//! | `shared` | the router among links and timers |
//! | `found` | what the router hears of data processes that were found |
//! | `pull` | which data processes it dials |
//! | `metrics` | what `/metrics` shows |
//! | `process` | [`Coordinator`]: bind, then run until shutdown |
//!
//! Tests: beside each module, `tests/process.rs` over real sockets; the rules themselves in `routing`.
#![forbid(unsafe_code)]

mod combining_lock;
pub mod config;
mod expect;
mod found;
mod metrics;
mod process;
mod pull;
mod shared;

pub use config::{Options, VARS};
pub use process::{Coordinator, Error, Handle};
