//! The `qmesh` command: every process of the data plane, all of them in one (`up`), and a client (`query`).
//!
//! Exit codes: 0 success, 1 the work failed, 2 the command line or the configuration is wrong.
#![deny(unsafe_code)]

mod allocator;

use std::{io::Write, process::ExitCode};

use clap::Parser;

fn main() -> ExitCode {
    // An interpreter starts in milliseconds: nothing of the mesh is made ready for it, and its flags are q's.
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("q") {
        return ExitCode::from(qhost::run(arguments.collect()));
    }
    let cli = qmesh::cli::Cli::parse();
    if matches!(cli.command, qmesh::cli::Command::DataAccess(_)) {
        allocator::give_back_soon();
    }
    match qmesh::cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where nobody reads it the exit code says it.
            let _ = writeln!(std::io::stderr(), "qmesh: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
