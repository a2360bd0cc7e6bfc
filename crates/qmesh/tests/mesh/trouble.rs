//! What is missing is waited for until the deadline and then named; what hangs is cut, and others take its work.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use kvalue::{Dict, Value};

use crate::{
    ask::{Answer, Asker, at, counting, eventually, of_sym},
    cluster::Cluster,
    data::{DAYS, QUOTES, TRADES, copy_of, sample},
};

async fn whole(cluster: &Cluster) -> Asker {
    let asker = Asker::to(cluster.qipc()).await;
    eventually("the whole mesh", async || {
        let answer = asker.call(".kxi.getData", counting("trade", vec![])).await.ok()?;
        (answer.rc == 0 && answer.n() == TRADES).then_some(())
    })
    .await;
    asker
}

/// A gateway over a database per day, one replica each.
fn per_day(days: &[tempfile::TempDir; 2]) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.first_coordinator(&[]);
    ["gw-0", "agg-0"].iter().for_each(|name| cluster.add(name, &[]));
    for (name, dir) in ["da-0", "da-1"].iter().zip(days) {
        cluster.add(name, &[("QMESH_DB", &dir.path().display().to_string())]);
    }
    ["rc-0", "gw-0", "agg-0", "da-0", "da-1"].iter().for_each(|name| cluster.start(name));
    cluster
}

async fn within(asker: &Asker, millis: i64, args: Vec<(&str, Value)>) -> Answer {
    let opts = Dict::of([("timeout", Value::from(millis))]);
    asker.call_with(".kxi.getData", args, opts).await.unwrap_or_else(|e| panic!("no answer: {e}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_stretch_of_time_is_named_at_the_deadline_and_answered_if_it_comes_back_before() {
    let days = [copy_of(&[DAYS[0].0]), copy_of(&[DAYS[1].0])];
    let mut cluster = per_day(&days);
    let asker = whole(&cluster).await;
    cluster.kill("da-1");
    // The loss is noticed when the count can no longer be had. On a busy machine the coordinator's word may come
    // later than the gateway's own deadline, which knows no ranges: then it is asked again.
    let missing = eventually("an answer that names the lost range", async || {
        let answer = within(&asker, 400, counting("trade", vec![])).await;
        (answer.rc != 0 && answer.ai.contains("2015.01.08")).then_some(answer)
    })
    .await;
    assert_eq!(missing.rc, i64::from(sg::Rc::TIMEOUT.0), "{missing:?}");
    // What does not need it is served, at once.
    let first = vec![("endTS", at("2015.01.08"))];
    assert_eq!(within(&asker, 5_000, counting("trade", first)).await.n(), DAYS[0].1);
    assert_eq!(asker.count("quote", vec![]).await.n(), QUOTES);
    // What needs it waits, and is answered when it is back.
    let waiting = tokio::spawn({
        let asker = Asker::to(cluster.qipc()).await;
        async move { within(&asker, 30_000, counting("trade", vec![])).await.n() }
    });
    cluster.start("da-1");
    assert_eq!(waiting.await.expect("an answer"), TRADES);
}

/// Stops or continues a process that this test started.
fn signal(cluster: &mut Cluster, name: &str, signal: &str) {
    let id = cluster.id(name).to_string();
    let status = Command::new("kill").args([signal, &id]).status().expect("kill runs");
    assert!(status.success(), "kill {signal} {id}");
}

/// Heartbeats that notice a silent peer within a second or two.
const QUICK: [(&str, &str); 2] = [("KXI_SAPI_HB_FREQ", "300"), ("KXI_SAPI_HB_TOL", "3")];

fn quick() -> Cluster {
    let db = sample().display().to_string();
    let mut cluster = Cluster::new();
    cluster.first_coordinator(&QUICK);
    ["gw-0", "agg-0", "agg-1"].iter().for_each(|name| cluster.add(name, &QUICK));
    for name in ["da-0", "da-1"] {
        cluster.add(name, &[QUICK[0], QUICK[1], ("QMESH_DB", &db)]);
    }
    for name in ["rc-0", "gw-0", "agg-0", "agg-1", "da-0", "da-1"] {
        cluster.start(name);
    }
    cluster
}

/// A process hangs: no socket closes, nothing answers. Requests that were on it are done elsewhere when the
/// heartbeats notice, within their deadline.
async fn hangs(name: &str) {
    let mut cluster = quick();
    let asker = whole(&cluster).await;
    for name in ["agg-0", "agg-1", "da-0", "da-1"] {
        eventually(name, async || cluster.page(name, "/readyz").filter(|p| p.0 == 200)).await;
    }
    signal(&mut cluster, name, "-STOP");
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(within(&asker, 30_000, counting("trade", vec![])).await.n(), TRADES);
    }
    assert!(began.elapsed() < Duration::from_secs(25), "it was not noticed: {:?}", began.elapsed());
    signal(&mut cluster, name, "-CONT");
    eventually(name, async || cluster.page(name, "/readyz").filter(|p| p.0 == 200)).await;
    for sym in ["AAPL", "IBM", "MSFT"] {
        assert!(asker.count("trade", vec![of_sym(sym)]).await.n() > 0);
    }
    assert_eq!(asker.count("trade", vec![]).await.n(), TRADES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_hangs_is_cut_and_the_other_takes_its_work() {
    hangs("da-0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregator_that_hangs_is_cut_and_the_other_takes_its_work() {
    hangs("agg-0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_hangs_unnoticed_costs_one_request_its_deadline_and_no_more() {
    // The default heartbeat notices nothing for a minute: the lease alone must keep it from taking more.
    let mut cluster = Cluster::over(&sample());
    let asker = whole(&cluster).await;
    for name in ["da-0", "da-1"] {
        eventually(name, async || cluster.page(name, "/readyz").filter(|p| p.0 == 200)).await;
    }
    signal(&mut cluster, "da-0", "-STOP");
    let mut failed = Vec::new();
    for _ in 0..20 {
        let answer = within(&asker, 2_000, counting("trade", vec![])).await;
        match answer.rc {
            0 => assert_eq!(answer.n(), TRADES),
            _ => failed.push(answer),
        }
    }
    assert!(failed.len() <= 1, "{failed:?}");
    assert!(failed.iter().all(|a| a.rc == i64::from(sg::Rc::TIMEOUT.0)), "{failed:?}");
    signal(&mut cluster, "da-0", "-CONT");
    assert_eq!(asker.count("trade", vec![]).await.n(), TRADES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_of_the_same_name_is_refused_and_the_first_serves_on() {
    let mut cluster = Cluster::over(&sample());
    let asker = whole(&cluster).await;
    for name in ["da-0", "da-1"] {
        eventually(name, async || cluster.page(name, "/readyz").filter(|p| p.0 == 200)).await;
    }
    let db = sample().display().to_string();
    cluster.add("twin-0", &[("QMESH_DB", &db), ("KXI_NAME", "da-0")]);
    cluster.start("twin-0");
    let (status, page) = eventually("the refusal", async || {
        cluster.page("twin-0", "/readyz?verbose").filter(|(_, page)| page.contains("connected already"))
    })
    .await;
    assert_eq!(status, 503, "{page}");
    assert!(page.contains("da-0") && page.contains("KXI_NAME"), "{page}");
    assert_eq!(cluster.page("da-0", "/readyz").map(|p| p.0), Some(200));
    assert_eq!(asker.count("trade", vec![]).await.n(), TRADES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_comes_back_never_gives_a_part_for_the_whole() {
    let days = [copy_of(&[DAYS[0].0]), copy_of(&[DAYS[1].0])];
    let mut cluster = per_day(&days);
    let asker = whole(&cluster).await;
    for _ in 0..2 {
        cluster.replace_coordinator();
        eventually("all of it again", async || {
            let answer = asker.call(".kxi.getData", counting("trade", vec![])).await.ok()?;
            (answer.rc == 0).then(|| assert_eq!(answer.n(), TRADES, "a part was given for the whole"))
        })
        .await;
    }
}
