//! Tiers that are declared: the header says what is missing of data that nobody has seen.

use kvalue::{Dict, Value};

use crate::{
    ask::{Asker, counting, eventually},
    cluster::Cluster,
    data::{TRADES, sample},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_tier_is_missing_until_it_comes() {
    let db = sample();
    let mut cluster = Cluster::with(2, &[], &[("QMESH_RC_EXPECT", ":hdb;region=far:hdb")], &db);
    let (rcs, db) = (cluster.addresses("rc"), db.display().to_string());
    let far = [("KXI_SG_RC_ADDR", rcs.as_str()), ("QMESH_DB", db.as_str()), ("QMESH_LABELS", "region=far")];
    cluster.add("da-9", &far);
    let all = cluster.names();
    all.iter().filter(|name| *name != "da-9").for_each(|name| cluster.start(name));
    cluster.ready(&["rc-0", "rc-1", "gw-0", "gw-1"]).await;
    let asker = Asker::to(cluster.qipc("gw-0")).await;
    let count = async |completeness: &str| {
        let opts = [("timeout", Value::from(2_000_i64)), ("completeness", Value::sym(completeness))];
        let answer = asker.call_with(".kxi.getData", counting("trade", vec![]), Dict::of(opts)).await;
        answer.expect("an answer")
    };
    let best = eventually("an answer of what is there", async || {
        let best = count("best").await;
        (best.rc == 0).then_some(best)
    })
    .await;
    assert_eq!((best.n(), best.header.get("coverage")), (TRADES, Some(Value::sym("declared"))), "{best:?}");
    let missing = format!("{:?}", best.header.get("missing"));
    assert!(missing.contains("far"), "{missing}");
    let late = count("complete").await;
    assert_eq!(late.rc, 100, "{late:?}");
    assert!(late.ai.contains("region=far") && late.ai.contains("tier hdb, which is declared"), "{late:?}");
    cluster.start("da-9");
    eventually("an answer of all", async || {
        let whole = count("complete").await;
        (whole.rc == 0).then(|| assert_eq!(whole.n(), 2 * TRADES))
    })
    .await;
}
