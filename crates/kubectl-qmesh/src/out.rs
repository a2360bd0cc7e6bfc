//! Printing: a reader that is gone (`| head`) ends the program quietly, as it ends other tools.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};

/// The status that a shell shows for a program ended by SIGPIPE.
const CLOSED: i32 = 141;

/// Print to standard output.
pub(crate) fn print(text: Arguments<'_>) {
    let mut out = stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(CLOSED),
        Err(error) => {
            eprintln!("kubectl qmesh: standard output: {error}");
            std::process::exit(2);
        }
        Ok(()) => {}
    }
}

/// As `println!`.
macro_rules! say {
    ($($text:tt)*) => { $crate::out::print(format_args!("{}\n", format_args!($($text)*))) };
}
pub(crate) use say;
