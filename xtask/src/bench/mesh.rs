//! Benches of several coordinators: one is killed under load, replicas are added.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use testkit::Nodes;
use testkit::ports::{local, port};

use super::report::{Bound, Row};
use super::worker::Worker;
use super::{setting, turns};
use crate::error::Error;

/// How long a mesh may take until it is whole, and again once a part of it has been killed.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many coordinators, each with one aggregator and so many replicas of the bundled database, and one gateway.
fn start(coordinators: usize, replicas: usize) -> Result<Nodes, Error> {
    let ports: Vec<u16> = (0..coordinators).map(|_| port()).collect();
    let list: Vec<String> = ports.iter().map(|p| local(*p).to_string()).collect();
    let (list, data) = (list.join(","), setting::data().display().to_string());
    let mut nodes = Nodes::new(setting::qmesh()?);
    for (i, own) in ports.iter().enumerate() {
        let (own, at) = (own.to_string(), local(*own).to_string());
        let rc = [("KXI_PORT", own.as_str()), ("QMESH_RC_PEERS", &list), ("QMESH_RC_SETTLE", "0")];
        nodes.add(&format!("rc-{i}"), &rc);
        nodes.add(&format!("agg-{i}"), &[("KXI_SG_RC_ADDR", &list)]);
        for replica in 0..replicas {
            // Its own coordinator first; the others when that one is lost.
            let places = format!("{at},{list}");
            let da = [("KXI_SG_RC_ADDR", places.as_str()), ("QMESH_DB", &data)];
            nodes.add(&format!("da-{i}-{replica}"), &da);
        }
    }
    nodes.add("gw-0", &[("KXI_SG_RC_ADDR", &list)]);
    nodes.start_all();
    whole(&nodes, coordinators)?;
    Ok(nodes)
}

/// Waits until every process says that it is ready, and the gateway has all coordinators.
fn whole(nodes: &Nodes, coordinators: usize) -> Result<(), Error> {
    let start = Instant::now();
    let ready = |name: &String| nodes.page(name, "/readyz").is_some_and(|(status, _)| status == 200);
    loop {
        let missing: Vec<String> = nodes.names().into_iter().filter(|name| !ready(name)).collect();
        let linked = nodes.metric("gw-0", "kxi_sg_connected_coordinators");
        if missing.is_empty() && linked == Some(coordinators as f64) {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            let missing = missing.join(", ");
            let why = format!("not ready within {PATIENCE:?}: {missing}; coordinators linked: {linked:?}");
            return Err(Error::Other(why));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Requests a second that many clients get.
fn rate(mesh: SocketAddr, request: &str, clients: &str, count: usize) -> Result<turns::Series, Error> {
    let mesh = mesh.to_string();
    let shell = setting::bench()?.args(["load", "--request", request, "--mesh", &mesh, "--clients", clients]);
    Ok(turns::take(&mut [Worker::start("qmesh", &shell)?], 2, count)?.remove(0))
}

pub(super) fn coordinator_loss(count: usize) -> Result<Vec<Row>, Error> {
    /// After so much of a turn the coordinator is killed.
    const INTO_THE_TURN: Duration = Duration::from_millis(1_500);
    let mut nodes = start(3, 1)?;
    let full = rate(nodes.qipc("gw-0"), "small", "32", 3)?.quartiles("requests/s")?[1];
    let half = full / 2.0;
    let mesh = nodes.qipc("gw-0").to_string();
    let shell = setting::bench()?.args(["open", "--request", "small", "--mesh", &mesh]);
    let mut side = Worker::start("qmesh", &shell.args(["--rate", &format!("{half:.0}")]))?;
    let before = side.sample()?;
    let (mut right, mut longest, mut asked) = (1.0_f64, 0.0_f64, 0.0);
    for turn in 0..count.min(5) {
        let name = format!("rc-{}", turn % 3);
        let sample = thread::scope(|scope| {
            let sampled = scope.spawn(|| side.sample());
            thread::sleep(INTO_THE_TURN);
            nodes.kill(&name);
            sampled.join().map_err(|_| Error::Other("the thread that measures has panicked".into()))?
        })?;
        let number = |metric: &str| sample.get(metric).copied().unwrap_or(f64::NAN);
        right = right.min(number("answered well, part of all"));
        longest = longest.max(number("longest, ms"));
        asked += number("asked");
        nodes.start(&name);
        whole(&nodes, 3)?;
    }
    let usual = before.get("longest, ms").copied().unwrap_or(f64::NAN);
    let what = format!("kill -9 of one of 3 coordinators at half load ({half:.0} requests/s)");
    Ok(vec![
        Row::stated(
            &format!("{what}: {asked:.0} requests of {} kills", count.min(5)),
            "all",
            "answered well, part of all",
            right,
            1.0,
            Bound::AtLeast(1.0),
        ),
        Row::stated(
            &format!("{what}: the longest of all, those in flight included ({usual:.0} ms without a kill)"),
            "a second",
            "ms",
            longest,
            1_000.0,
            Bound::AtMost(1.0),
        ),
    ])
}

pub(super) fn replicas(count: usize) -> Result<Vec<Row>, Error> {
    let measured = |coordinators: usize, replicas: usize| {
        let nodes = start(coordinators, replicas)?;
        rate(nodes.qipc("gw-0"), "group-by", "8", count.min(7))
    };
    let one = measured(1, 1)?;
    let mut rows = Vec::new();
    for (coordinators, replicas) in [(1, 2), (2, 1)] {
        let more = measured(coordinators, replicas)?;
        let all = coordinators * replicas;
        let what =
            format!("group-by with {all} replicas over {coordinators} coordinators, all on one machine");
        rows.push(Row::compare(&what, "1 replica", "requests/s", (&more, &one), Bound::None)?);
    }
    Ok(rows)
}
