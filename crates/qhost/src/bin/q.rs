//! The interpreter as a program by itself, for development: `qmesh q` is the same.

use std::process::ExitCode;

fn main() -> ExitCode {
    qhost::main(std::env::args().skip(1).collect())
}
