//! The command line of qmesh.
//!
//! | module | what |
//! | --- | --- |
//! | [`cli`] | subcommands, flags, exit codes |
//! | [`serve`] | one process of the mesh, configured by its environment |
//! | [`up`] | all processes in one, on loopback |
//! | [`db_arg`] | `--db DIR[,label=value…]` |
//! | [`query`] | a client that prints tables |
//! | [`settings`] | the variables of all processes, and slips in their names |
//! | [`docs`] | pages generated from the code |
#![forbid(unsafe_code)]

pub mod cli;
pub mod db_arg;
pub mod docs;
pub mod failure;
pub mod query;
pub mod serve;
pub mod settings;
pub mod up;

pub use failure::Failure;
