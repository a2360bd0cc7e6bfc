//! Benches of the q interpreter: queries and primitives over 10 million rows, loops of scalar code, how soon it starts.

use super::report::{Bound, Row};
use super::setting;
use super::turns::{self, Series};
use super::worker::Worker;
use crate::error::Error;
use crate::shell::Shell;
use crate::test::toolbox;

/// What the sides answer: the number they report it under, in words, and whether Polars has it too.
const QUERIES: [(&str, &str, bool); 16] = [
    ("1", "avg price, max size by sym", true),
    ("2", "count by ex", true),
    ("3", "one sym of 500", true),
    ("4", "sym in 50, price>100", true),
    ("5", "size wavg price by sym", true),
    ("6", "last price by 5 minutes, sym", true),
    ("7", "price=(max;price) fby sym", true),
    ("8", "aj of trades and quotes", true),
    ("9", "wj, 100,000 windows", false),
    ("10", "uj of two halves", true),
    ("11", "distinct sym, ex", true),
    ("12", "the 100 largest", true),
    ("13", "deltas price by sym", true),
    ("14", "dev and cor by sym", true),
    ("15", "sums size by sym", true),
    ("16", "cond like \"A*\" by ex", true),
];

/// Primitives, and whether the bandwidth of memory bounds them.
const VECTORS: [(&str, bool); 12] = [
    ("a+b", true),
    ("2.5*a", true),
    ("a>100", true),
    ("sum a", true),
    ("sums n", true),
    ("max n", true),
    ("asc a", false),
    ("iasc n", false),
    ("group codes", false),
    ("n in few", false),
    ("few?n", false),
    ("steps bin a", false),
];

const SCALAR: [&str; 3] = ["{x+1}/[1000000;0]", "fib 25", "{x,string y}/[\"\";til 100000]"];

/// Rounds before the count begins. A round takes seconds: fewer than elsewhere.
const WARMUP: usize = 1;
/// Most rounds that count.
const ROUNDS: usize = 7;

/// All rows.
pub(super) fn run(count: usize) -> Result<Vec<Row>, Error> {
    let count = count.min(ROUNDS);
    let dir = setting::work()?.join("q-columns");
    setting::bench()?.arg("q-table").arg(&dir).run()?;
    let bench = |args: &[&str]| -> Result<Shell, Error> { Ok(setting::bench()?.args(args)) };
    let mut rows = Vec::new();
    for (threads, said) in [("1", "one thread"), ("0", "all threads")] {
        let script = |side: &str| -> Result<Worker, Error> {
            Worker::start(side, &setting::python("q_queries")?.args([side, threads]).arg(&dir))
        };
        let ours = bench(&["q-queries", "--threads", threads])?.arg(&dir);
        let mut sides = [Worker::start("qmesh", &ours)?, script("polars")?, script("duckdb")?];
        let series = turns::take(&mut sides, WARMUP, count)?;
        for (name, what, polars) in QUERIES {
            let candidates: &[usize] = if polars { &[1, 2] } else { &[2] };
            let best = faster(&series, candidates, name)?;
            let what = format!("{name}: {what}, {said}");
            same_rows(&what, &series, candidates, &format!("{name} rows"))?;
            let row =
                Row::compare(&what, sides_name(best), name, (&series[0], &series[best]), Bound::AtMost(1.0))?;
            rows.push(row.unit("ms"));
        }
    }
    let numpy = setting::python("q_vectors")?.arg("numpy").arg(&dir);
    let mut sides = [
        Worker::start("qmesh", &bench(&["q-vectors"])?.arg(&dir))?,
        Worker::start("numpy", &numpy)?,
        Worker::start("copy", &bench(&["q-copy"])?)?,
    ];
    let series = turns::take(&mut sides, WARMUP, count)?;
    for (name, bound) in VECTORS {
        rows.push(
            Row::compare(name, "numpy", name, (&series[0], &series[1]), Bound::AtMost(1.0))?.unit("ms"),
        );
        if bound {
            let row = Row::compare(name, "memory moved", name, (&series[0], &series[2]), Bound::AtMost(1.5))?;
            rows.push(row.unit("ms"));
        }
    }
    let mut sides = [
        Worker::start("qmesh", &bench(&["q-scalar"])?)?,
        Worker::start("CPython", &setting::python("q_scalar")?)?,
    ];
    let series = turns::take(&mut sides, WARMUP, count)?;
    for name in SCALAR {
        rows.push(
            Row::compare(name, "CPython", name, (&series[0], &series[1]), Bound::AtMost(0.2))?.unit("ms"),
        );
    }
    let qmesh = bench(&["start"])?.arg(setting::qmesh()?).args(["q", "--eval", "1"]);
    let python = bench(&["start"])?.arg(toolbox::base_python()?).args(["-c", "1"]);
    let mut sides = [Worker::start("qmesh", &qmesh)?, Worker::start("python", &python)?];
    let series = turns::take(&mut sides, WARMUP, count)?;
    let what = "start, evaluate 1, end";
    rows.push(Row::compare(what, "python3 -c 1", "start, ms", (&series[0], &series[1]), Bound::AtMost(1.0))?);
    Ok(rows)
}

fn sides_name(side: usize) -> &'static str {
    ["qmesh", "Polars", "DuckDB"][side]
}

/// The side whose median is the least.
fn faster(series: &[Series], candidates: &[usize], metric: &str) -> Result<usize, Error> {
    let mut best = (candidates[0], f64::INFINITY);
    for &side in candidates {
        let median = series[side].quartiles(metric)?[1];
        if median < best.1 {
            best = (side, median);
        }
    }
    Ok(best.0)
}

/// Answers must have the same number of rows, or the sides were asked different things. Where one side gives a list a
/// group and the other a row an item, both are right.
fn same_rows(what: &str, series: &[Series], candidates: &[usize], metric: &str) -> Result<(), Error> {
    let ours = series[0].most(metric)?;
    for &side in candidates {
        let theirs = series[side].most(metric)?;
        let nested = ours < theirs && ["13:", "15:"].iter().any(|n| what.starts_with(n));
        if ours != theirs && !nested {
            let name = sides_name(side);
            return Err(Error::Other(format!("{what}: our answer has {ours} rows, that of {name} {theirs}")));
        }
    }
    Ok(())
}
