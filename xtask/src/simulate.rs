//! `cargo xtask simulate`: seeds of the simulation, any of them.
//!
//! The worlds are a program of their own, for the chores must build while the cores under test do not.

use crate::{error::Error, shell::Shell};

/// What to simulate.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// how many
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// print every event of every world, one world after the other
    #[arg(long)]
    trace: bool,
    /// build with optimisation: worth it from some ten thousand seeds
    #[arg(long)]
    release: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let mut shell = Shell::cargo().args(["run", "--quiet", "--package", "simulation", "--bin", "simulate"]);
    if options.release {
        shell = shell.arg("--release");
    }
    shell = shell.args(["--", "--from", &options.from.to_string(), "--seeds", &options.seeds.to_string()]);
    if options.trace {
        shell = shell.arg("--trace");
    }
    // What was wrong is on the screen.
    shell.run().map_err(|error| match error {
        Error::Failed { .. } => Error::Reported,
        other => other,
    })
}
