//! Sides of the benches of the q interpreter.
//!
//! | file | what |
//! | --- | --- |
//! | `data` | the columns, as files that all sides read |
//! | `queries` | queries over 10 million rows |
//! | `vectors` | primitives over long vectors, and a copy of their bytes |
//! | `scalar` | loops of scalar code |
//! | `start` | how soon a program has ended |

pub(crate) mod data;
pub(crate) mod queries;
pub(crate) mod scalar;
pub(crate) mod start;
pub(crate) mod vectors;

use std::time::Instant;

use qlang::{host::Closed, session::Session};

use crate::error::Error;

/// An interpreter without a world; 0 threads: as many as there are processors.
fn session(threads: usize) -> Session {
    let mut session = Session::new(Box::new(Closed::default()));
    let all = || std::thread::available_parallelism().map_or(1, |n| n.get());
    session.threads(if threads == 0 { all() } else { threads });
    session
}

/// Milliseconds that an input takes, and the number of rows of its value.
fn timed(session: &mut Session, text: &str) -> Result<(f64, usize), Error> {
    let start = Instant::now();
    let value = session.run(text).map_err(|e| Error::Other(format!("{text}: {e}")))?;
    let taken = start.elapsed().as_secs_f64() * 1e3;
    Ok((taken, value.count()))
}
