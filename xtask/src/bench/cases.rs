//! The benches. A new one is a line of [`ALL`], a function here, and its markers in `docs/performance.md`.

use testkit::Separate;

use super::report::{Bound, Row};
use super::worker::Worker;
use super::{mesh, pods, q, setting, turns};
use crate::error::Error;
use crate::shell::Shell;
use crate::{dist, e2e, images, tree};

/// One bench.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Takes the number of turns.
    pub(super) run: fn(usize) -> Result<Vec<Row>, Error>,
}

/// All benches, in the order they run.
pub(super) const ALL: [Case; 14] = [
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
    Case {
        name: "routing",
        what: "waits, fairness and costs of the routing core in its queueing model; against an ideal central queue",
        run: routing,
    },
    Case {
        name: "coordinator-loss",
        what: "kill -9 of one coordinator of three at half load",
        run: mesh::coordinator_loss,
    },
    Case {
        name: "replicas",
        what: "group-by over the real database with one replica and with two, over as many coordinators",
        run: mesh::replicas,
    },
    Case {
        name: "q",
        what: "queries, vectors and loops of the q interpreter, its start; against Polars, DuckDB, numpy, CPython",
        run: q::run,
    },
    Case { name: "pods-memory", what: "memory of a coordinator that finds 10,000 pods", run: pods::memory },
    Case {
        name: "pods-latency",
        what: "a pod changes until GW and RC have the new set; against kubectl's watch of the same API server",
        run: pods_latency,
    },
    Case {
        name: "operator",
        what: "1,000 ServiceGateways against etcd and API server alone: rate, memory, silence, cost of a change",
        run: operator,
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
        let copied = if prefix.is_empty() { Bound::None } else { Bound::AtMost(2.0) };
        for work in ["decode", "encode"] {
            let metric = format!("{prefix}{work}, ms");
            let row = |n: usize, bound| {
                let series: (&turns::Series, &turns::Series) = (&series[0], &series[n]);
                Row::compare(&format!("{work}, {columns}"), sides[n].name(), &metric, series, bound)
            };
            // Five times as fast as the faster client: as each of them. Half the rate of the copy.
            rows.extend([row(2, Bound::AtMost(0.2))?, row(3, Bound::AtMost(0.2))?]);
            rows.push(row(1, copied)?);
        }
        // Nothing was only put off: decoding and then reading each item once, encoding with every byte copied.
        let metric = format!("{prefix}decode and read all, ms");
        let what = format!("decode and read every item, {columns}");
        rows.push(Row::compare(&what, "copy", &metric, (&series[0], &series[1]), Bound::None)?);
        let metric = format!("{prefix}encode into one buffer, ms");
        let what = format!("encode into one buffer, {columns}");
        // Columns of fixed width are a copy, whoever makes it.
        let faster = if prefix.is_empty() { Bound::AtMost(0.2) } else { Bound::None };
        for (n, bound) in [(2, faster), (3, faster), (1, copied)] {
            rows.push(Row::compare(&what, sides[n].name(), &metric, (&series[0], &series[n]), bound)?);
        }
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

#[cfg(target_os = "linux")]
fn pods_latency(count: usize) -> Result<Vec<Row>, Error> {
    super::latency::pods(count)
}

#[cfg(not(target_os = "linux"))]
fn pods_latency(_: usize) -> Result<Vec<Row>, Error> {
    Err(Error::Other("the bench pods-latency needs a cluster of its own, which is for Linux only".into()))
}

/// The model plays simulated time: it has no turns.
fn routing(_: usize) -> Result<Vec<Row>, Error> {
    let said = setting::bench()?.arg("routing").output()?;
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).ok()?;
        let number = |name: &str| row.get(name)?.as_f64();
        let (ours, baseline, bound) = (number("measured")?, number("baseline")?, number("bound")?);
        // A bound without a baseline is what the number is compared with.
        let theirs = if baseline == 0.0 { bound } else { baseline };
        let ratio = (bound / theirs * 100.0).round() / 100.0;
        let at_most = row.get("at_most")?.as_bool()?;
        let bound = if at_most { Bound::AtMost(ratio) } else { Bound::AtLeast(ratio) };
        Some(Row::stated(row.get("what")?.as_str()?, "", row.get("unit")?.as_str()?, ours, theirs, bound))
    };
    let rows = said.lines().map(|line| {
        row(line).ok_or_else(|| Error::Other(format!("the routing model said `{line}`, which is no row")))
    });
    rows.collect()
}

/// Seconds that the operator must write nothing.
const QUIET: u64 = 300;
/// Limits of memory and image size, MiB.
const OPERATOR_MIB: (f64, f64) = (40.0, 25.0);

/// One run says it: the operator's writes are its turns. It needs what the end-to-end tests need.
fn operator(_: usize) -> Result<Vec<Row>, Error> {
    let image = images::operator()?;
    let said = e2e::measure(&tree::target().join(dist::PROFILE), QUIET)?;
    let line = said.lines().last().unwrap_or_default();
    let odd = || Error::Other(format!("the end-to-end tests said `{said}`, expected a line of JSON"));
    let seen: serde_json::Value = serde_json::from_str(line).map_err(|_| odd())?;
    let number = |name: &str| seen[name].as_f64().ok_or_else(odd);
    let what = "1,000 gateways, 14 children and a status each";
    let mib = f64::from(1 << 20);
    let at_most = Bound::AtMost(1.0);
    let (resident, layers) = (number("resident")? / mib, image as f64 / mib);
    let mut rows = vec![
        Row::stated(
            what,
            "one client alone",
            "writes/s",
            number("rate")?,
            number("baseline")?,
            Bound::AtLeast(0.8),
        ),
        Row::stated("resident, all converged", "limit", "MiB", resident, OPERATOR_MIB.0, at_most),
        Row::stated(
            "written in 300 s of rest",
            "to converge",
            "writes",
            number("at_rest")?,
            number("written")?,
            Bound::AtMost(0.0),
        ),
        Row::stated("image", "limit", "MiB", layers, OPERATOR_MIB.1, at_most),
    ];
    for change in seen["changes"].as_array().into_iter().flatten() {
        let number = |name: &str| change[name].as_f64().ok_or_else(odd);
        let wanted = number("wanted")?;
        let (children, new) = (number("children")?, number("new")?);
        let what = match new == 0.0 {
            true => format!("a change in which {children} child differs"),
            false => format!("a change in which {children} children differ, {new} of them new"),
        };
        rows.push(Row::stated(
            &what,
            "children, status, look for each new name",
            "calls, reads included",
            number("calls")?,
            wanted,
            at_most,
        ));
        let trips = wanted * 1e3 / seen["baseline"].as_f64().ok_or_else(odd)?;
        let baseline = "as many of one client alone";
        rows.push(Row::stated(
            &what,
            baseline,
            "ms until the last is answered",
            number("ms")?,
            trips,
            Bound::None,
        ));
    }
    Ok(rows)
}
