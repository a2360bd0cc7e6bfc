//! The production cores of all four processes in a world of simulated networks, clocks and trouble.
//!
//! A world is a pure function of its seed: number of processes, requests, slow messages, crashes. Everything that
//! decides is the code that runs in production: `gateway::pending` and `gateway::stream`, `routing::Router`,
//! `aggregator::core`, its functions and `fair_streams`, `data_access::core`, its APIs and in-memory tables. Simulated
//! is the environment of the cores: sockets, clocks, threads.
//!
//! After every step the invariants of whoever was touched hold; at the end everything is quiet, every request has
//! had its one answer in time, and each result has each row that was asked for exactly once. The rules, their
//! invariants and the defects that show them to be watched are in `docs/simulation.md`.
//!
//! | module | what |
//! | --- | --- |
//! | `rng` | seeded random numbers |
//! | `net` | sessions, clocks, the agenda |
//! | `data` | rows that are known |
//! | `gw`, `rc`, `agg`, `dap` | the processes: production cores, wired as their shells do |
//! | `ledger` | what clients asked and what came of it |
//! | `check` | whether an answer is right |
//! | `world` | what happens, and when |
//! | [`day_world`] | worlds of end of day alone: saves that fail, late rows, hand-overs |
//! | `trace` | what happened last |
//! | [`run`] and [`many`] | one seed, many seeds |
#![forbid(unsafe_code)]

mod agg;
mod check;
mod dap;
mod data;
mod days;
mod gw;
mod ledger;
mod many;
mod net;
mod rc;
mod rng;
mod trace;
mod world;

pub use days::{DaysTally, day_world};
pub use ledger::Tally;
pub use many::{Outcome, Violation, many, run};
