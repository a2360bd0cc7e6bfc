//! End of day through the mesh: rows move from the in-memory tier to the database on disk while clients count
//! them, and every count is exact.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use hdb::{PartitionValue, save};
use kvalue::{Atom, Table, Type, Value, Vector, time::DAY};

use crate::{
    ask::{Asker, counting, eventually},
    cluster::Cluster,
    tickerplant::Tickerplant,
};

const BATCH: i64 = 50;
const YESTERDAY: i64 = 700;
const TODAY: i64 = 40 * BATCH;

/// Rows `from..from + n` of a day: each a second after the one before.
fn rows(day: i64, from: i64, n: i64) -> Table {
    let ids = from..from + n;
    Table::of([
        (
            "time",
            Value::from(Vector::timestamps(ids.clone().map(|i| day * DAY + i * 1_000_000_000).collect())),
        ),
        ("sym", Value::syms(ids.clone().map(|i| ["c", "a", "b"][(i % 3) as usize]))),
        ("price", Vector::floats(ids.map(|i| i as f64).collect()).into()),
    ])
    .expect("a table")
}

fn schema() -> Table {
    Table::of([
        ("time", Value::from(Vector::empty(Type::Timestamp))),
        ("sym", Value::from(Vector::empty(Type::Symbol))),
        ("price", Value::from(Vector::empty(Type::Float))),
    ])
    .expect("a table")
}

fn upd(rows: Table) -> Value {
    Value::list([Value::sym("upd"), Value::sym("trade"), rows.into()])
}

fn instant(t: i64) -> Value {
    Value::Atom(Atom::Timestamp(t))
}

/// A database that holds yesterday, two replicas that serve it, and a real-time tier that saves into it.
fn mesh(db: &Path, tickerplant: &str, yesterday: i64) -> Cluster {
    let options = save::SaveOptions { parted: Some("sym".into()), ..save::SaveOptions::default() };
    let table = rows(yesterday, 0, YESTERDAY);
    save::save_down(db, PartitionValue::date(yesterday), "trade", &table, &options).expect("a partition");
    let db = db.display().to_string();
    let mut cluster = Cluster::new();
    cluster.first_coordinator(&[]);
    ["gw-0", "agg-0"].iter().for_each(|name| cluster.add(name, &[]));
    for name in ["hdb-0", "hdb-1"] {
        cluster.add(name, &[("QMESH_DB", &db), ("QMESH_RELOAD_FREQ", "200")]);
    }
    let rdb = [("KXI_SC", "rdb"), ("QMESH_TICKERPLANT", tickerplant), ("QMESH_SAVE_DIR", db.as_str())];
    cluster.add("rdb-0", &rdb);
    for name in ["rdb-0", "hdb-0", "hdb-1", "rc-0", "agg-0", "gw-0"] {
        cluster.start(name);
    }
    cluster
}

/// What a watcher of the hand-over has seen.
#[derive(Default)]
struct Watch {
    stop: AtomicBool,
    /// rows handed to the tickerplant so far
    published: AtomicI64,
    looks: AtomicI64,
}

/// Counts for as long as it lasts. Rows of the day that ends were all there before: their number never
/// changes. Rows of the new day are on their way: their number never falls, and is never more than there are.
async fn watch(cluster_addr: std::net::SocketAddr, midnight: i64, watch: Arc<Watch>) {
    let asker = Asker::to(cluster_addr).await;
    let mut least = YESTERDAY + TODAY;
    while !watch.stop.load(Ordering::SeqCst) {
        let all = asker.count("trade", vec![]).await.n();
        let most = watch.published.load(Ordering::SeqCst);
        assert!((least..=most).contains(&all), "{all} rows, expected {least} to {most}");
        least = all;
        let ended = asker.count("trade", vec![("endTS", instant(midnight))]).await.n();
        assert_eq!(ended, YESTERDAY + TODAY, "rows before midnight");
        let today = vec![("startTS", instant(midnight - DAY)), ("endTS", instant(midnight))];
        assert_eq!(asker.count("trade", today).await.n(), TODAY, "rows of the day that ends");
        watch.looks.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_end_of_day_no_row_is_lost_or_served_twice() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = dir.path().join("db");
    let today = kvalue::time::now().div_euclid(DAY);
    let midnight = (today + 1) * DAY;
    let tickerplant = Tickerplant::start("trade", schema()).await;
    let mut cluster = mesh(&db, &tickerplant.addr, today - 1);

    let asker = Asker::to(cluster.qipc()).await;
    for from in (0..TODAY).step_by(BATCH as usize) {
        tickerplant.send(upd(rows(today, from, BATCH)));
    }
    eventually("all rows of both tiers", async || {
        let answer = asker.call(".kxi.getData", counting("trade", vec![])).await.ok()?;
        (answer.rc == 0 && answer.n() == YESTERDAY + TODAY).then_some(())
    })
    .await;
    for name in ["hdb-0", "hdb-1"] {
        eventually(name, async || cluster.page(name, "/readyz").filter(|p| p.0 == 200)).await;
    }

    let seen = Arc::new(Watch::default());
    seen.published.store(YESTERDAY + TODAY, Ordering::SeqCst);
    let watchers: Vec<_> =
        (0..2).map(|_| tokio::spawn(watch(cluster.qipc(), midnight, seen.clone()))).collect();
    eventually("looks before", async || (seen.looks.load(Ordering::SeqCst) > 3).then_some(())).await;

    tickerplant.send(Value::list([Value::sym(".u.end"), Value::Atom(Atom::Date(today as i32))]));
    // The new day goes on while the old one moves, until the in-memory tier has let go of it.
    let mut next_day = 0;
    eventually("the in-memory tier to let go of the day", async || {
        seen.published.fetch_add(BATCH, Ordering::SeqCst);
        tickerplant.send(upd(rows(today + 1, next_day, BATCH)));
        next_day += BATCH;
        let purged = cluster.metric("rdb-0", "kxi_da_records_after_purge");
        let start = cluster.metric("rdb-0", "kxi_da_purview_start");
        let began = start.is_some_and(|s| (s - midnight as f64).abs() < 1e6);
        // A purge has left something: rows of the new day, fewer than the old day alone had.
        (began && purged.is_some_and(|rows| rows > 0.0)).then_some(())
    })
    .await;
    let left = cluster.metric("rdb-0", "kxi_da_records_after_purge").expect("the metric");
    assert!(left <= next_day as f64, "{left} rows left, {next_day} belong to the new day");
    let looks = seen.looks.load(Ordering::SeqCst);
    eventually("looks after", async || (seen.looks.load(Ordering::SeqCst) > looks + 6).then_some(())).await;
    seen.stop.store(true, Ordering::SeqCst);
    for watcher in watchers {
        watcher.await.expect("exact counts at every look");
    }

    let total = YESTERDAY + TODAY + next_day;
    eventually("every row of the new day", async || {
        let n = asker.count("trade", vec![]).await.n();
        assert!(n <= total, "{n} of {total}");
        (n == total).then_some(())
    })
    .await;
    // The day is served from disk now: without the in-memory tier it is still there.
    cluster.kill("rdb-0");
    let of_the_day = || vec![("startTS", instant(midnight - DAY)), ("endTS", instant(midnight))];
    eventually("the day from disk alone", async || {
        let answer = asker.call(".kxi.getData", counting("trade", of_the_day())).await.ok()?;
        (answer.rc == 0).then(|| assert_eq!(answer.n(), TODAY))
    })
    .await;
}
