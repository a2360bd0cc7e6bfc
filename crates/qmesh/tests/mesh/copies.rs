//! Copies of one database know each other by what they hold, also while it grows; what only begins alike is told
//! apart.

use crate::{
    ask::{Asker, eventually},
    cluster::Cluster,
    data::{DAYS, TRADES, add_day, copy_of, sample},
};

/// How often these processes look at their folders, in milliseconds.
const LOOK: (&str, &str) = ("QMESH_RELOAD_FREQ", "200");

async fn joins(cluster: &Cluster, name: &str) {
    let what = format!("{name} is taken in");
    eventually(&what, async || cluster.page(name, "/readyz?verbose").filter(|(status, _)| *status == 200))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_starts_later_joins_those_that_saw_the_database_grow() {
    let (grows, whole, late) =
        (copy_of(&[DAYS[0].0]), copy_of(&[DAYS[0].0, DAYS[1].0]), copy_of(&[DAYS[0].0]));
    let mut cluster = Cluster::new();
    cluster.first_coordinator(&[]);
    ["gw-0", "agg-0"].iter().for_each(|name| cluster.add(name, &[]));
    for (name, db) in [("da-0", &grows), ("da-1", &whole), ("da-2", &late)] {
        cluster.add(name, &[("QMESH_DB", &db.path().display().to_string()), LOOK]);
    }
    ["rc-0", "gw-0", "agg-0", "da-0"].iter().for_each(|name| cluster.start(name));
    joins(&cluster, "da-0").await;

    add_day(grows.path(), DAYS[1].0, DAYS[1].0);
    let asker = Asker::to(cluster.qipc()).await;
    let all = async |asker: &Asker| {
        let asked = asker.call(".kxi.getData", crate::ask::counting("trade", vec![])).await.ok()?;
        (asked.rc == 0 && asked.n() == TRADES).then_some(())
    };
    eventually("the second day is served", async || all(&asker).await).await;

    // One has the day already, the other not yet: both are what the first was at some time.
    ["da-1", "da-2"].iter().for_each(|name| cluster.start(name));
    joins(&cluster, "da-1").await;
    joins(&cluster, "da-2").await;
    assert_eq!(asker.count("trade", vec![]).await.n(), TRADES);
    add_day(late.path(), DAYS[1].0, DAYS[1].0);

    // A coordinator that knows nothing of the past finds them alike.
    cluster.kill("rc-0");
    cluster.start("rc-0");
    for name in ["da-0", "da-1", "da-2"] {
        joins(&cluster, name).await;
    }
    eventually("all of it again", async || all(&asker).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_only_begins_alike_is_no_replica() {
    let other = copy_of(&[DAYS[0].0]);
    add_day(other.path(), DAYS[0].0, DAYS[1].0);
    let mut cluster = Cluster::over(&sample());
    joins(&cluster, "da-0").await;
    joins(&cluster, "da-1").await;
    cluster.add("odd-0", &[("QMESH_DB", &other.path().display().to_string())]);
    cluster.start("odd-0");
    let page = eventually("it is refused", async || {
        cluster.page("odd-0", "/readyz?verbose").filter(|(_, page)| page.contains("both hold table"))
    });
    let (status, page) = page.await;
    assert_eq!(status, 503, "{page}");
    let id = format!("{}-{}:", DAYS[0].0, DAYS[1].0);
    assert_eq!(page.matches(&id).count(), 2, "both ids are told: {page}");
}
