//! The interpreter as a program by itself, for development: `qmesh q` is the same.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(qhost::run(std::env::args().skip(1).collect()))
}
