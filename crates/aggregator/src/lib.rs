//! The Agg process: collects the partials of a request, aggregates them, answers the GW.
//!
//! | module | what |
//! | --- | --- |
//! | [`core`] | which partials belong together, what is held, sans-io |
//! | [`functions`] | the aggregation functions |
//! | [`response_header`] | header fields of the answer |
//! | [`fair_streams`], `streams` | large answers, in pieces, under credit |
//! | [`config`] | environment variables and options |
//! | `shell` | links, threads and clock around the core |
//! | `process` | binding and running |
//!
//! Partials are never decoded by the process itself: an aggregation function looks into what it needs.
#![forbid(unsafe_code)]

pub mod config;
pub mod core;
pub mod error;
pub mod fair_streams;
pub mod functions;
pub mod response_header;

mod metrics;
mod pack;
mod process;
mod shell;
mod streams;

pub use config::{Options, VARS};
pub use error::Error;
pub use process::{Aggregator, run};
