//! The project's own chores: `cargo xtask test`, `bench`, `generate`.
//!
//! | module | what |
//! | --- | --- |
//! | `error` | what a chore can fail with |
//! | `tree` | where the repository and the caches are |
//! | `shell` | running another program, with its output shown and read |
//! | `test` | the steps of the test command and their summary |
//! | `generate` | the files of the tree that are made from code |
//! | `e2e` | the end-to-end tests on a real Kubernetes |
//! | `pages` | the README and the pages of `docs/`, executed |
//! | `dist` | the programs as they are published |
//! | `images` | an OCI archive for every process |
//! | `simulate` | worlds of the simulation, by seed |
//! | `q` | what judges the q interpreter: transcripts, checkouts of q code |
//! | `bench` | ratios against baselines that are measured in the same run |
#![forbid(unsafe_code)]

mod bench;
mod dist;
mod e2e;
mod error;
mod generate;
mod images;
mod pages;
mod q;
mod shell;
mod simulate;
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
    /// Run simulated worlds by seed; ends with `N seeds, V violations`.
    Simulate(simulate::Options),
    /// Play console transcripts on the q interpreter; closes with `N of M match`.
    Transcripts(q::Transcripts),
    /// Load each q file of a checkout in a fresh interpreter; closes with `N of M load`.
    Corpus(q::Corpus),
    /// Write the files that are made from code.
    Generate(generate::Options),
    /// The end-to-end tests on a real Kubernetes.
    E2e(e2e::Options),
    /// Execute the README and the pages of docs/: commands, programs, answers.
    Pages(pages::Options),
    /// Build the programs as they are published.
    Dist(dist::Options),
    /// Write an OCI image archive for every process; no container engine is needed.
    Images(images::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().chore {
        Chore::Test(options) => test::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Simulate(options) => simulate::run(&options),
        Chore::Transcripts(options) => q::transcripts(&options),
        Chore::Corpus(options) => q::corpus(&options),
        Chore::Generate(options) => generate::run(&options),
        Chore::E2e(options) => e2e::run(&options),
        Chore::Pages(options) => pages::run(&options),
        Chore::Dist(options) => dist::run(&options),
        Chore::Images(options) => images::run(&options),
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
