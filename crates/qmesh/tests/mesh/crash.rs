//! A process of any kind is killed under a steady stream of safe requests and comes back.
//!
//! Every request gets exactly one answer: a result, or an error that says to try again. Each worker asks for
//! another symbol each time and knows its count, so that an answer that is lost, doubled or given to the wrong
//! question is seen.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use kvalue::Value;
use tokio::task::JoinSet;

use crate::{
    ask::{Asker, counting, eventually, of_sym, rows_by_symbol},
    cluster::Cluster,
    data::{TRADES, sample},
};

const WORKERS: usize = 4;

#[derive(Default)]
struct Tally {
    right: AtomicUsize,
    /// errors that say to try again
    again: AtomicUsize,
    /// connections that the gateway lost, and refusals of one that knows no coordinator
    cut: AtomicUsize,
    stop: AtomicBool,
}

impl Tally {
    fn right(&self) -> usize {
        self.right.load(Ordering::SeqCst)
    }
}

struct Stream {
    tally: Arc<Tally>,
    workers: JoinSet<()>,
}

impl Stream {
    async fn start(cluster: &Cluster) -> Stream {
        let addr = cluster.qipc();
        let counts = Arc::new(rows_by_symbol(addr).await);
        let tally = Arc::new(Tally::default());
        let mut workers = JoinSet::new();
        for first in 0..WORKERS {
            workers.spawn(worker(addr, counts.clone(), tally.clone(), first));
        }
        let stream = Stream { tally, workers };
        stream.goes_on("before anything happens").await;
        stream
    }

    /// Waits until every worker has had some more right answers.
    async fn goes_on(&self, when: &str) {
        let from = self.tally.right();
        let enough = || (self.tally.right() >= from + 8 * WORKERS).then_some(());
        eventually(&format!("right answers {when}"), async || enough()).await;
    }

    /// Ends the stream: errors that say to try again, and lost connections.
    async fn end(mut self) -> (usize, usize) {
        self.tally.stop.store(true, Ordering::SeqCst);
        while let Some(worker) = self.workers.join_next().await {
            worker.expect("a worker met what it must not");
        }
        (self.tally.again.load(Ordering::SeqCst), self.tally.cut.load(Ordering::SeqCst))
    }
}

async fn worker(addr: SocketAddr, counts: Arc<HashMap<String, i64>>, tally: Arc<Tally>, first: usize) {
    let mut names: Vec<&String> = counts.keys().collect();
    names.sort();
    let mut asker = Asker::to(addr).await;
    for name in names.iter().cycle().skip(first) {
        if tally.stop.load(Ordering::SeqCst) {
            return;
        }
        match asker.call(".kxi.getData", counting("trade", vec![of_sym(name)])).await {
            Ok(answer) if answer.rc == 0 => {
                assert_eq!(answer.n(), counts[*name], "{name}");
                tally.right.fetch_add(1, Ordering::SeqCst);
            }
            Ok(answer) => {
                assert!(answer.is_retryable(), "{answer:?}");
                tally.again.fetch_add(1, Ordering::SeqCst);
                // As a client that tries again does: not in a busy loop.
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            Err(qipc::net::CallError::Remote(error)) => {
                assert!(error.to_string().contains("No Resource Coordinator"), "{error}");
                tally.cut.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            Err(qipc::net::CallError::Closed(_)) => {
                tally.cut.fetch_add(1, Ordering::SeqCst);
                asker = Asker::to(addr).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_one_of_two_replicas_costs_no_safe_request() {
    let mut cluster = Cluster::over(&sample());
    let stream = Stream::start(&cluster).await;
    for name in ["da-0", "da-1"] {
        cluster.kill(name);
        stream.goes_on("with one replica").await;
        cluster.start(name);
        eventually("the replica", async || cluster.page(name, "/readyz").filter(|p| p.0 == 200)).await;
        stream.goes_on("with two replicas again").await;
    }
    assert_eq!(stream.end().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_one_of_two_aggregators_costs_no_safe_request() {
    let mut cluster = Cluster::over(&sample());
    eventually("both aggregators", async || {
        let ready = |p: Option<(u16, String)>| p.is_some_and(|p| p.0 == 200);
        (ready(cluster.page("agg-0", "/readyz")) && ready(cluster.page("agg-1", "/readyz"))).then_some(())
    })
    .await;
    let stream = Stream::start(&cluster).await;
    for name in ["agg-0", "agg-1"] {
        cluster.kill(name);
        stream.goes_on("with one aggregator").await;
        cluster.start(name);
        eventually("the aggregator", async || cluster.page(name, "/readyz").filter(|p| p.0 == 200)).await;
        stream.goes_on("with two aggregators again").await;
    }
    assert_eq!(stream.end().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_coordinator_is_told_and_all_is_well_when_it_is_back() {
    let mut cluster = Cluster::over(&sample());
    let stream = Stream::start(&cluster).await;
    cluster.kill("rc-0");
    let told = |t: &Tally| t.again.load(Ordering::SeqCst) + t.cut.load(Ordering::SeqCst) >= WORKERS;
    eventually("answers that say so", async || told(&stream.tally).then_some(())).await;
    cluster.add("rc-0", &[]);
    cluster.start("rc-0");
    stream.goes_on("with the coordinator back").await;
    stream.end().await;
    // Nothing is left of the outage: a fresh stream meets no error.
    let all_back = async |cluster: &mut Cluster| {
        for name in ["da-0", "da-1", "agg-0", "agg-1"] {
            eventually(name, async || cluster.page(name, "/readyz").filter(|p| p.0 == 200)).await;
        }
    };
    all_back(&mut cluster).await;
    let stream = Stream::start(&cluster).await;
    assert_eq!(stream.end().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_a_lost_gateway_connect_again_and_all_is_well() {
    let mut cluster = Cluster::over(&sample());
    let stream = Stream::start(&cluster).await;
    cluster.kill("gw-0");
    cluster.start("gw-0");
    stream.goes_on("with the gateway back").await;
    let (_, cut) = stream.end().await;
    assert!(cut >= WORKERS, "every connection was cut once at least, {cut}");
    let stream = Stream::start(&cluster).await;
    assert_eq!(stream.end().await, (0, 0));
}

/// Asks for every row, again and again; right answers, and those that ended otherwise.
async fn reader_of_everything(addr: SocketAddr, tally: Arc<Tally>) {
    let mut asker = Asker::to(addr).await;
    while !tally.stop.load(Ordering::SeqCst) {
        match asker.call(".kxi.getData", vec![("table", Value::sym("trade"))]).await {
            Ok(answer) if answer.rc == 0 => {
                assert_eq!(answer.table().len() as i64, TRADES);
                tally.right.fetch_add(1, Ordering::SeqCst);
            }
            Ok(answer) => {
                assert!(answer.is_retryable(), "{answer:?}");
                tally.again.fetch_add(1, Ordering::SeqCst);
            }
            // The only honest end of an answer whose head is sent already.
            Err(qipc::net::CallError::Closed(_)) => {
                tally.cut.fetch_add(1, Ordering::SeqCst);
                asker = Asker::to(addr).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_are_whole_or_end_with_the_connection_when_an_aggregator_dies() {
    let mut cluster = Cluster::over(&sample());
    rows_by_symbol(cluster.qipc()).await;
    let tally = Arc::new(Tally::default());
    let mut workers = JoinSet::new();
    for _ in 0..2 {
        workers.spawn(reader_of_everything(cluster.qipc(), tally.clone()));
    }
    let goes_on = async |when: &str| {
        let from = tally.right();
        let enough = || (tally.right() >= from + 4).then_some(());
        eventually(when, async || enough()).await;
    };
    goes_on("large answers").await;
    for name in ["agg-0", "agg-1", "da-0", "da-1"] {
        cluster.kill(name);
        goes_on(&format!("large answers without {name}")).await;
        cluster.start(name);
        eventually(name, async || cluster.page(name, "/readyz").filter(|p| p.0 == 200)).await;
        goes_on(&format!("large answers with {name} back")).await;
    }
    tally.stop.store(true, Ordering::SeqCst);
    while let Some(worker) = workers.join_next().await {
        worker.expect("a worker met what it must not");
    }
}
