//! The `qmesh` command: every process of the data plane, all of them in one (`up`), and a client (`query`).
//!
//! Exit codes: 0 success, 1 the work failed, 2 the command line or the configuration is wrong.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

/// Large answers come and go: it gives their memory out again without new pages from the system, which cost more
/// than the copy into them, and gives back what nobody needs for a moment.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = qmesh::cli::Cli::parse();
    match qmesh::cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("qmesh: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
