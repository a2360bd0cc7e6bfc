//! The benches. A new one is a line of [`ALL`], a function here, and its markers in `docs/performance.md`.

use testkit::Separate;

use super::report::{Bound, Row};
use super::worker::Worker;
use super::{setting, turns};
use crate::error::Error;
use crate::shell::Shell;

/// One bench.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Takes the number of turns.
    pub(super) run: fn(usize) -> Result<Vec<Row>, Error>,
}

/// All benches, in the order they run.
pub(super) const ALL: [Case; 7] = [
    Case {
        name: "codec",
        what: "decode and encode 1,000,000 trades; against kdb_codec, kola and a copy of the bytes",
        run: codec,
    },
    Case {
        name: "ping",
        what: ".kxi.ping through GW, RC, DAP, Agg and GW, one client; against a chain of plain TCP tasks",
        run: ping,
    },
    Case { name: "rate", what: "small getData from 64 clients; against the same chain saturated", run: rate },
    Case {
        name: "large",
        what: "a 100 MB answer from 4 portions; against the same bytes through as many hops",
        run: large,
    },
    Case { name: "gateway-memory", what: "memory of the GW under 100 MB answers", run: gateway_memory },
    Case {
        name: "group-by",
        what: "group-by over the real database, warm, until the client has the answer; against DuckDB and Polars",
        run: group_by,
    },
    Case {
        name: "data-memory",
        what: "memory of a DAP that serves a database ten times its cache",
        run: data_memory,
    },
];

/// Turns before the count begins: caches, connections and processors' clocks are warm after that.
const WARMUP: usize = 5;

fn group_by(count: usize) -> Result<Vec<Row>, Error> {
    let mesh = setting::mesh(|up| up)?;
    let parquet = setting::work()?.join("trade.parquet");
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

fn codec(count: usize) -> Result<Vec<Row>, Error> {
    let dir = setting::work()?;
    setting::bench()?.arg("codec-files").arg(&dir).run()?;
    let bench = |side: &str| Worker::start(side, &setting::bench()?.arg(side).arg(&dir));
    let kdb_codec = Worker::start("kdb_codec", &setting::kdb_codec()?.arg(&dir))?;
    let kola = Worker::start("kola", &setting::python("codec")?.arg(&dir))?;
    let mut sides = [bench("codec")?, bench("copy")?, kdb_codec, kola];
    let series = turns::take(&mut sides, WARMUP, count)?;
    let mut rows = Vec::new();
    for (prefix, columns) in [("", "all columns"), ("fixed: ", "columns of fixed width")] {
        for work in ["decode", "encode"] {
            let metric = format!("{prefix}{work}, ms");
            let row = |n: usize, bound| {
                let series: (&turns::Series, &turns::Series) = (&series[0], &series[n]);
                Row::compare(&format!("{work}, {columns}"), sides[n].name(), &metric, series, bound)
            };
            // Five times as fast as the faster client: as each of them. Half the rate of the copy.
            rows.extend([row(2, Bound::AtMost(0.2))?, row(3, Bound::AtMost(0.2))?]);
            rows.push(row(1, if prefix.is_empty() { Bound::None } else { Bound::AtMost(2.0) })?);
        }
        // Nothing was only put off: decoding and then reading each item once.
        let metric = format!("{prefix}decode and read all, ms");
        let what = format!("decode and read every item, {columns}");
        rows.push(Row::compare(&what, "copy", &metric, (&series[0], &series[1]), Bound::None)?);
    }
    Ok(rows)
}

/// The load side `bench load` for a mesh, and for a chain with this many sources.
fn load(
    mesh: std::net::SocketAddr,
    request: &str,
    sources: usize,
    more: &[&str],
) -> Result<[Worker; 2], Error> {
    let side = || -> Result<Shell, Error> {
        let shell = setting::bench()?.args(["load", "--request", request, "--mesh", &mesh.to_string()]);
        Ok(shell.args(more))
    };
    let chain = side()?.args(["--chain", &sources.to_string()]);
    Ok([Worker::start("qmesh", &side()?)?, Worker::start("chain", &chain)?])
}

fn ping(count: usize) -> Result<Vec<Row>, Error> {
    let mesh = setting::mesh(|up| up)?;
    let mut sides = load(mesh.qipc(), "ping", 1, &["--requests", "1000"])?;
    let series = turns::take(&mut sides, WARMUP, count)?;
    let compare = |metric, bound| {
        Row::compare(".kxi.ping, one client", "chain", metric, (&series[0], &series[1]), Bound::AtMost(bound))
    };
    Ok(vec![compare("p50, µs", 2.0)?, compare("p99, µs", 3.0)?])
}

fn rate(count: usize) -> Result<Vec<Row>, Error> {
    let mesh = setting::mesh(|up| up)?;
    let mut sides = load(mesh.qipc(), "small", 1, &["--clients", "64"])?;
    let series = turns::take(&mut sides, WARMUP, count)?;
    let (what, sides) = ("getData of one symbol in one minute, 64 clients", (&series[0], &series[1]));
    Ok(vec![Row::compare(what, "chain", "requests/s", sides, Bound::AtLeast(0.6))?])
}

fn large(count: usize) -> Result<Vec<Row>, Error> {
    let days = setting::days("large", LARGE_DAYS, &[])?;
    let mesh = setting::mesh_of(&days, |up| up)?;
    let mut sides = load(mesh.qipc(), "raw", LARGE_DAYS.0, &[])?;
    let series = turns::take(&mut sides, WARMUP, count)?;
    let what = "all rows of 4 databases of a day each";
    Ok(vec![Row::compare(what, "chain", "MB/s", (&series[0], &series[1]), Bound::AtLeast(0.7))?])
}

/// Databases and rows of each: 100 MB on the wire together.
const LARGE_DAYS: (usize, usize) = (4, 850_000);
/// What the GW may hold of an answer: its window, here its default, as configured and as frames on their way in.
const WINDOW_MIB: f64 = 2.0 * 2.0;
/// What a process may need besides: stacks, connections, what its allocator keeps.
const SLACK_MIB: f64 = 8.0;

fn gateway_memory(count: usize) -> Result<Vec<Row>, Error> {
    let separate = Separate::new(setting::qmesh()?);
    let days = setting::days("large", LARGE_DAYS, &[])?;
    let mut mesh = days.iter().fold(separate, |mesh, day| mesh.db(day, "")).start()?;
    let process = mesh.process("gw-0").map(|p| p.id()).unwrap_or_default();
    let idle = setting::memory(process)?;
    let mut side = [watch(mesh.qipc(), "raw", process)?];
    let series = turns::take(&mut side, 0, count)?.remove(0);
    let what = format!("anonymous memory of the GW ({idle:.0} MiB idle) while 100 MB pass through");
    Ok(vec![Row::limit(&what, "idle + window + 8", "peak, MiB", &series, idle + WINDOW_MIB + SLACK_MIB)?])
}

fn watch(mesh: std::net::SocketAddr, request: &str, process: u32) -> Result<Worker, Error> {
    let shell = setting::bench()?.args(["load", "--request", request, "--mesh", &mesh.to_string()]);
    Worker::start("qmesh", &shell.args(["--watch", &process.to_string()]))
}

/// Days and rows of each, about 28 bytes a row unpacked: 160 MiB.
const CACHED_DAYS: (usize, usize) = (6, 1_000_000);
/// A tenth of it.
const CACHE_MIB: usize = 16;

fn data_memory(count: usize) -> Result<Vec<Row>, Error> {
    let days = setting::days("cached", CACHED_DAYS, &["--compressed", "--together"])?;
    let separate = Separate::new(setting::qmesh()?).env("QMESH_CACHE_BYTES", &format!("{CACHE_MIB}M"));
    let mut mesh = days.iter().fold(separate, |mesh, day| mesh.db(day, "")).start()?;
    let process = mesh.process("da-0-0").map(|p| p.id()).unwrap_or_default();
    let idle = setting::memory(process)?;
    let mut rows = Vec::new();
    for (request, what, answers) in
        [("group-by", "group-by over it", 0.0), ("raw", "all of it as one answer", 1.0)]
    {
        let mut side = [watch(mesh.qipc(), request, process)?];
        let series = turns::take(&mut side, 0, count.min(5))?.remove(0);
        let answer = answers * series.quartiles("answer, MiB")?[1];
        let what =
            format!("anonymous memory of the DAP ({idle:.0} MiB idle), {what} ({answer:.0} MiB returned)");
        let bound = idle + CACHE_MIB as f64 + answer + SLACK_MIB;
        rows.push(Row::limit(&what, "idle + cache + returned + 8", "peak, MiB", &series, bound)?);
    }
    Ok(rows)
}
