//! The benches. A new one is a line of [`ALL`], a function here, and its markers in `docs/performance.md`.

use super::report::{Bound, Row};
use super::worker::Worker;
use super::{setting, turns};
use crate::error::Error;
use crate::tree;

/// One bench.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Takes the number of turns.
    pub(super) run: fn(usize) -> Result<Vec<Row>, Error>,
}

/// All benches, in the order they run.
pub(super) const ALL: [Case; 1] = [Case {
    name: "group-by",
    what: "group-by over the real database, warm, until the client has the answer; against DuckDB and Polars",
    run: group_by,
}];

/// Turns before the count begins: caches, connections and processors' clocks are warm after that.
const WARMUP: usize = 5;

fn group_by(count: usize) -> Result<Vec<Row>, Error> {
    let mesh = setting::mesh(|up| up)?;
    let dir = tree::target().join("xtask/bench");
    std::fs::create_dir_all(&dir).map_err(Error::file(&dir))?;
    let parquet = dir.join("trade.parquet");
    let script = |side: &str| -> Result<Worker, Error> {
        let shell = setting::python("group_by")?.arg(side).arg(&parquet);
        Worker::start(side, &shell.env("QMESH_QIPC_PORT", mesh.qipc().port().to_string()))
    };
    // The first side writes the Parquet file that the others read.
    let mut sides = [script("qmesh")?, script("duckdb")?, script("polars")?];
    let series = turns::take(&mut sides, WARMUP, count)?;
    let compare = |n: usize| {
        let name = sides[n].name();
        Row::compare(
            "by sym: avg, max, last",
            name,
            "milliseconds",
            (&series[0], &series[n]),
            Bound::AtMost(1.0),
        )
    };
    Ok(vec![compare(1)?, compare(2)?])
}
