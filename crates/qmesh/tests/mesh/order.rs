//! Processes started in any order find each other; what is missing is said until it is there.

use crate::{
    ask::{Asker, counting, eventually},
    cluster::Cluster,
    data::{TRADES, sample},
};

fn four() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.first_coordinator(&[]);
    ["gw-0", "agg-0"].iter().for_each(|name| cluster.add(name, &[]));
    cluster.add("da-0", &[("QMESH_DB", &sample().display().to_string())]);
    cluster
}

/// Asks until the whole mesh answers; every answer before that must say that it may be tried again.
async fn becomes_whole(cluster: &Cluster) {
    let asker = Asker::to(cluster.qipc()).await;
    let n = eventually("an answer of the whole mesh", async || {
        match asker.call(".kxi.getData", counting("trade", vec![])).await {
            Ok(answer) if answer.rc == 0 => Some(answer.n()),
            Ok(answer) => {
                assert!(answer.is_retryable(), "{answer:?}");
                None
            }
            Err(error) => {
                assert!(error.to_string().contains("No Resource Coordinator"), "{error}");
                None
            }
        }
    })
    .await;
    assert_eq!(n, TRADES);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coordinator_may_come_last() {
    let mut cluster = four();
    cluster.start("gw-0");
    let asker = Asker::to(cluster.qipc()).await;
    let error = asker.call(".kxi.ping", vec![]).await.expect_err("nobody can answer").to_string();
    assert!(
        error.contains("No Resource Coordinator connections are available and ready for service"),
        "{error}"
    );
    assert_eq!(cluster.page("gw-0", "/healthz").map(|p| p.0), Some(200));
    assert_eq!(cluster.page("gw-0", "/readyz").map(|p| p.0), Some(503));
    cluster.start("da-0");
    cluster.start("agg-0");
    cluster.start("rc-0");
    becomes_whole(&cluster).await;
    for name in ["gw-0", "rc-0", "agg-0", "da-0"] {
        assert_eq!(cluster.page(name, "/readyz").map(|p| p.0), Some(200), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_data_processes_the_answer_says_no_resources_connected() {
    let mut cluster = four();
    cluster.start("rc-0");
    cluster.start("gw-0");
    let asker = Asker::to(cluster.qipc()).await;
    let no_resources = async |asker: &Asker| {
        eventually("an answer of a coordinator", async || {
            asker.call(".kxi.getData", counting("trade", vec![])).await.ok()
        })
        .await
    };
    let answer = no_resources(&asker).await;
    assert_eq!((answer.rc, answer.ac, answer.ai.as_str()), (58, 20, "No resources connected"));
    cluster.start("agg-0");
    eventually("the aggregator", async || cluster.page("agg-0", "/readyz").filter(|p| p.0 == 200)).await;
    let answer = no_resources(&asker).await;
    assert_eq!((answer.rc, answer.ac, answer.ai.as_str()), (58, 20, "No resources connected"));
    cluster.start("da-0");
    becomes_whole(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_aggregator_the_answer_comes_at_once_and_may_be_tried_again() {
    let mut cluster = four();
    cluster.start("da-0");
    cluster.start("rc-0");
    cluster.start("gw-0");
    eventually("the data process", async || cluster.page("da-0", "/readyz").filter(|p| p.0 == 200)).await;
    eventually("the gateway", async || cluster.page("gw-0", "/readyz").filter(|p| p.0 == 200)).await;
    let asker = Asker::to(cluster.qipc()).await;
    let answer = asker.get(counting("trade", vec![])).await;
    assert!(answer.is_retryable(), "{answer:?}");
    assert_ne!(answer.rc, i64::from(sg::Rc::TIMEOUT.0), "it waited for its deadline: {answer:?}");
    assert!(answer.ai.contains("ggregator"), "{}", answer.ai);
    cluster.start("agg-0");
    becomes_whole(&cluster).await;
}
