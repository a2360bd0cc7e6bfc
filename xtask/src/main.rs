//! The project's own chores: `cargo xtask test`, `bench`, `generate`.
//!
//! | module | what |
//! | --- | --- |
//! | `error` | what a chore can fail with |
//! | `tree` | where the repository and the caches are |
//! | `shell` | running another program, with its output shown and read |
//! | `test` | the steps of the test command and their summary |
//! | `generate` | the files of the tree that are made from code |
//! | `bench` | ratios against baselines that are measured in the same run |
#![forbid(unsafe_code)]

mod bench;
mod error;
mod generate;
mod shell;
mod test;
mod tree;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "qmesh's own chores")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run everything that proves the tree: formats, lints, docs, tests, clients, fuzz targets.
    Test(test::Options),
    /// Measure qmesh against baselines in the same run and write the table of docs/performance.md.
    Bench(bench::Options),
    /// Write the files that are made from code.
    Generate(generate::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().chore {
        Chore::Test(options) => test::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Generate(options) => generate::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Reported) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
