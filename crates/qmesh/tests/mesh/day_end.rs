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

/// A database that holds yesterday, two replicas that serve it, and a real-time tier that saves into `save_dir`.
/// `slow`: how often the second replica looks at its folder, in milliseconds.
fn mesh(db: &Path, save_dir: &Path, tickerplant: &str, yesterday: i64, slow: &str) -> Cluster {
    let options = save::SaveOptions { parted: Some("sym".into()), ..save::SaveOptions::default() };
    let table = rows(yesterday, 0, YESTERDAY);
    save::save_down(db, PartitionValue::date(yesterday), "trade", &table, &options).expect("a partition");
    let (db, save_dir) = (db.display().to_string(), save_dir.display().to_string());
    let mut cluster = Cluster::new();
    cluster.first_coordinator(&[]);
    ["gw-0", "agg-0"].iter().for_each(|name| cluster.add(name, &[]));
    for (name, period) in [("hdb-0", "200"), ("hdb-1", slow)] {
        cluster.add(name, &[("QMESH_DB", &db), ("QMESH_RELOAD_FREQ", period)]);
    }
    let rdb = [("KXI_SC", "rdb"), ("QMESH_TICKERPLANT", tickerplant), ("QMESH_SAVE_DIR", save_dir.as_str())];
    cluster.add("rdb-0", &rdb);
    for name in ["rdb-0", "hdb-0", "hdb-1", "rc-0", "agg-0", "gw-0"] {
        cluster.start(name);
    }
    cluster
}

/// Publishes the day that is to end, and waits until the mesh counts it.
async fn publish_today(cluster: &mut Cluster, tickerplant: &Tickerplant, today: i64) -> Asker {
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
    asker
}

fn day_ends(today: i64) -> Value {
    Value::list([Value::sym(".u.end"), Value::Atom(Atom::Date(today as i32))])
}

/// True where the in-memory tier begins at midnight and has purged the old day since: what is left is of the new one, of
/// which there are `new` rows at most. It may have purged before, of what the older tier held when it began.
fn has_let_go(cluster: &mut Cluster, midnight: i64, new: i64) -> bool {
    let start = cluster.metric("rdb-0", "kxi_da_purview_start");
    let left = cluster.metric("rdb-0", "kxi_da_records_after_purge");
    start.is_some_and(|s| (s - midnight as f64).abs() < 1e6)
        && left.is_some_and(|rows| rows > 0.0 && rows <= new as f64)
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
    let mut cluster = mesh(&db, &db, &tickerplant.addr, today - 1, "200");
    let asker = publish_today(&mut cluster, &tickerplant, today).await;

    let seen = Arc::new(Watch::default());
    seen.published.store(YESTERDAY + TODAY, Ordering::SeqCst);
    let watchers: Vec<_> =
        (0..2).map(|_| tokio::spawn(watch(cluster.qipc(), midnight, seen.clone()))).collect();
    eventually("looks before", async || (seen.looks.load(Ordering::SeqCst) > 3).then_some(())).await;

    tickerplant.send(day_ends(today));
    // The new day goes on while the old one moves, until the in-memory tier has let go of it.
    let mut next_day = 0;
    eventually("the in-memory tier to let go of the day", async || {
        seen.published.fetch_add(BATCH, Ordering::SeqCst);
        tickerplant.send(upd(rows(today + 1, next_day, BATCH)));
        next_day += BATCH;
        has_let_go(&mut cluster, midnight, next_day).then_some(())
    })
    .await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_away_while_the_day_ended_serves_it_when_it_is_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let (db, today) = (dir.path().join("db"), kvalue::time::now().div_euclid(DAY));
    let midnight = (today + 1) * DAY;
    let tickerplant = Tickerplant::start("trade", schema()).await;
    let mut cluster = mesh(&db, &db, &tickerplant.addr, today - 1, "200");
    let asker = publish_today(&mut cluster, &tickerplant, today).await;
    // One replica is down while the day ends, and comes back in the midst of it.
    cluster.kill("hdb-1");
    tickerplant.send(day_ends(today));
    tickerplant.send(upd(rows(today + 1, 0, BATCH)));
    let total = YESTERDAY + TODAY + BATCH;
    let saved = db.join(kvalue::time::text(&Atom::Date(today as i32))).join("trade/.d");
    eventually("the day on disk", async || {
        let n = asker.count("trade", vec![("endTS", instant(midnight))]).await.n();
        assert_eq!(n, YESTERDAY + TODAY, "rows before midnight");
        saved.exists().then_some(())
    })
    .await;
    cluster.start("hdb-1");
    eventually("the in-memory tier to let go of the day", async || {
        let n = asker.count("trade", vec![("endTS", instant(midnight))]).await.n();
        assert_eq!(n, YESTERDAY + TODAY, "rows before midnight");
        has_let_go(&mut cluster, midnight, BATCH).then_some(())
    })
    .await;
    // Each replica serves the day alone.
    for name in ["hdb-0", "hdb-1"] {
        eventually(name, async || cluster.page(name, "/readyz").filter(|p| p.0 == 200)).await;
    }
    for name in ["hdb-0", "hdb-1"] {
        cluster.kill(name);
        for _ in 0..5 {
            assert_eq!(asker.count("trade", vec![]).await.n(), total, "without {name}");
        }
        cluster.start(name);
        eventually(name, async || cluster.page(name, "/readyz").filter(|p| p.0 == 200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_cannot_be_saved_is_served_on_from_memory() {
    let dir = tempfile::tempdir().expect("a folder");
    let (db, today) = (dir.path().join("db"), kvalue::time::now().div_euclid(DAY));
    let midnight = (today + 1) * DAY;
    // A folder where the file of symbols would be.
    let blocked = dir.path().join("blocked");
    std::fs::create_dir_all(blocked.join("sym")).expect("a folder");
    let tickerplant = Tickerplant::start("trade", schema()).await;
    let mut cluster = mesh(&db, &blocked, &tickerplant.addr, today - 1, "200");
    let asker = publish_today(&mut cluster, &tickerplant, today).await;
    tickerplant.send(day_ends(today));
    tickerplant.send(upd(rows(today + 1, 0, BATCH)));
    let says = |log: Vec<String>, what: &str| log.iter().any(|line| line.contains(what)).then_some(());
    eventually("the failure in its log", async || says(cluster.log("rdb-0"), "is not saved")).await;
    eventually("the rows of the new day", async || {
        let all = asker.count("trade", vec![]).await.n();
        (all == YESTERDAY + TODAY + BATCH).then_some(())
    })
    .await;
    assert_eq!(asker.count("trade", vec![("endTS", instant(midnight))]).await.n(), YESTERDAY + TODAY);
    // What was in the way goes: the day is saved without another end of day.
    std::fs::remove_dir(blocked.join("sym")).expect("an empty folder");
    eventually("the day to be saved", async || says(cluster.log("rdb-0"), "end of day saved")).await;
    assert_eq!(asker.count("trade", vec![("endTS", instant(midnight))]).await.n(), YESTERDAY + TODAY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_has_not_seen_the_day_holds_the_hand_over_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let (db, today) = (dir.path().join("db"), kvalue::time::now().div_euclid(DAY));
    let midnight = (today + 1) * DAY;
    let tickerplant = Tickerplant::start("trade", schema()).await;
    let mut cluster = mesh(&db, &db, &tickerplant.addr, today - 1, "0");
    let asker = publish_today(&mut cluster, &tickerplant, today).await;
    tickerplant.send(day_ends(today));
    let until = |cluster: &mut Cluster, name: &str| cluster.metric(name, "kxi_da_purview_end");
    let exact = async || {
        let n = asker.count("trade", vec![]).await.n();
        assert_eq!(n, YESTERDAY + TODAY);
    };
    eventually("one replica to announce the day", async || {
        exact().await;
        until(&mut cluster, "hdb-0").is_some_and(|end| (end - midnight as f64).abs() < 1e6).then_some(())
    })
    .await;
    for _ in 0..20 {
        exact().await;
        let start = cluster.metric("rdb-0", "kxi_da_purview_start").expect("the metric");
        assert!(start < midnight as f64 - 1e6, "handed over though a replica has not seen the day");
    }
    // The other one sees the day when it starts anew.
    cluster.kill("hdb-1");
    cluster.start("hdb-1");
    eventually("the in-memory tier to let go of the day", async || {
        exact().await;
        let start = cluster.metric("rdb-0", "kxi_da_purview_start");
        start.is_some_and(|s| (s - midnight as f64).abs() < 1e6).then_some(())
    })
    .await;
    exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_lost_while_the_day_moves_costs_no_row_and_no_purge() {
    let dir = tempfile::tempdir().expect("a folder");
    let (db, today) = (dir.path().join("db"), kvalue::time::now().div_euclid(DAY));
    let midnight = (today + 1) * DAY;
    let tickerplant = Tickerplant::start("trade", schema()).await;
    let mut cluster = mesh(&db, &db, &tickerplant.addr, today - 1, "200");
    publish_today(&mut cluster, &tickerplant, today).await;
    tickerplant.send(day_ends(today));
    tickerplant.send(upd(rows(today + 1, 0, BATCH)));
    let saved = db.join(kvalue::time::text(&Atom::Date(today as i32))).join("trade/.d");
    eventually("the day on disk", async || saved.exists().then_some(())).await;
    cluster.replace_coordinator();
    let asker = Asker::to(cluster.qipc()).await;
    eventually("the in-memory tier to let go of the day", async || {
        if let Ok(answer) = asker.call(".kxi.getData", counting("trade", vec![])).await {
            match answer.rc {
                0 => assert_eq!(answer.n(), YESTERDAY + TODAY + BATCH),
                _ => assert!(answer.is_retryable(), "{answer:?}"),
            }
        }
        has_let_go(&mut cluster, midnight, BATCH).then_some(())
    })
    .await;
    eventually("the new coordinator to be ready", async || {
        let answer = asker.call(".kxi.getData", counting("trade", vec![])).await.ok()?;
        (answer.rc == 0).then(|| assert_eq!(answer.n(), YESTERDAY + TODAY + BATCH))
    })
    .await;
}
