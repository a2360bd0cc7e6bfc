//! How soon a program has started, done next to nothing and ended.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{error::Error, worker};

/// Runs of each turn, of which the median counts.
const RUNS: usize = 20;

/// Times a program with these arguments.
pub(crate) fn serve(program: &Path, args: &[String]) -> Result<(), Error> {
    worker::serve(|| {
        let mut taken = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let start = Instant::now();
            let status = Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).status();
            let status = status.map_err(Error::io(program.display().to_string()))?;
            if !status.success() {
                return Err(Error::Other(format!("{} ended with {status}", program.display())));
            }
            taken.push(start.elapsed().as_secs_f64() * 1e3);
        }
        Ok(vec![("start, ms", worker::quantile(&mut taken, 0.5))])
    })
}
