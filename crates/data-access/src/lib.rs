//! The DAP: a process that holds a slice of data and runs APIs on it.
//!
//! | module | what |
//! | --- | --- |
//! | [`config`] | environment variables and [`Options`] |
//! | [`assembly`] | labels and schemas from an assembly file |
//! | [`core`] | who may give work and what runs: sans-io |
//! | [`owner`] | whose it is, and who is to be its owner next |
//! | [`cancel`] | how a run is told to stop |
//! | [`worker`] | the query threads |
//! | [`brief`] | portions for which a query thread would cost too much |
//! | [`store`] | the tables: a database on disk, or memory |
//! | [`apis`] | getData, ping, preview on a snapshot of the tables |
//! | [`shared`] | what the tasks share: tables, purview, owner |
//! | [`orders`] | portions from a coordinator |
//! | [`direct`] | the port: publishers and direct calls |
//! | [`intake`] | batches on their way into memory |
//! | [`reload`] | new partitions on disk |
//! | [`tick`] | subscription to a tickerplant, replay of its log |
//! | [`eod`] | end of day: saving the in-memory tables |
//! | [`handover`] | what is saved, handed over and purged, and when: sans-io |
//! | [`live`] | tiles of the in-memory tier |
//! | [`metrics`] | counters |
//! | [`process`] | all of it as a process |
#![forbid(unsafe_code)]

pub mod apis;
pub mod assembly;
pub mod brief;
pub mod cancel;
pub mod config;
pub mod core;
pub mod direct;
pub mod eod;
pub mod handover;
pub mod intake;
pub mod live;
pub mod metrics;
pub mod orders;
pub mod owner;
pub mod process;
pub mod reload;
pub mod shared;
pub mod store;
pub mod tick;
pub mod worker;

pub use config::Options;
pub use process::{DataAccess, Error, Status};
