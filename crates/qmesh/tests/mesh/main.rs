//! The mesh as its users meet it: the `qmesh` program as processes, real sockets, real data.
//!
//! | file | what it shows |
//! | --- | --- |
//! | [`tiles`] | databases that tile the time or differ by label answer as one |
//! | [`order`] | processes started in any order find each other |
//! | [`crash`] | a killed process of any kind costs no request its one answer |
//! | [`trouble`] | what is missing is named, what hangs is cut |
//! | [`day_end`] | rows move from memory to disk, never lost, never twice |
//! | [`overlap`] | two sources for the same instants are refused by name |
//! | [`copies`] | copies of one database know each other, also while it grows |
//! | [`hostile`] | what a bad client does is its own trouble |
//! | [`damage`] | damaged files cost an error that names them |
//! | [`corpus`] | each hostile input of `tests/hostile` gives its sentence |
//! | [`settings`] | what processes say of their settings while they run |
//! | [`command`] | the command line: forms of results, exit codes, sentences |
//!
//! Waiting is always for a condition, never for a time; limits are generous because machines are shared.
#![cfg(unix)]
#![allow(unreachable_pub)] // the files share what they need

mod ask;
mod cluster;
mod command;
mod copies;
mod corpus;
mod crash;
mod damage;
mod data;
mod day_end;
mod hostile;
mod order;
mod overlap;
mod settings;
mod tickerplant;
mod tiles;
mod trouble;
