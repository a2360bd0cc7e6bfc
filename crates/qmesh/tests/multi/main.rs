//! Several coordinators, gateways and aggregators as their users meet them: the `qmesh` program as processes.
//!
//! | file | what it shows |
//! | --- | --- |
//! | [`whole`] | coordinators that find each other answer as one, by lists and by pods |
//! | [`losses`] | killed, stopped, added and taken away under load, what the rules promise holds |
//! | [`liars`] | data processes that register what they do not serve |
//! | [`declared`] | data that should be there and was never seen is missing |
//! | [`bad`] | peers that speak garbage, another version, too slowly, or by a bad network |
//!
//! Waiting is always for a condition, never for a time; limits are generous because machines are shared.
#![cfg(unix)]
#![allow(unreachable_pub)] // the files share what they need
#![allow(dead_code)] // and take from the files of the single-coordinator tests what they need

#[path = "../mesh/ask.rs"]
mod ask;
mod bad;
mod cluster;
#[path = "../mesh/data.rs"]
mod data;
mod declared;
mod liars;
mod load;
mod losses;
mod whole;
