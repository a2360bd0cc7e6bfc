//! Files that are cut, spoilt or gone under a running mesh: an error that names the file, and nothing else.

use std::fs::{self, OpenOptions};

use kvalue::Value;
use testkit::Up;

use crate::{
    ask::{Answer, Asker, at, eventually, qmesh},
    cluster::up,
    data::{DAYS, QUOTES, TRADES, copy_of, sample},
};

async fn highest(asker: &Asker, table: &str, column: &str, day: Option<(&str, &str)>) -> Answer {
    let mut args = vec![
        ("table", Value::sym(table)),
        ("agg", Value::list([Value::syms(["top", "max", column]), Value::syms(["n", "count", column])])),
    ];
    if let Some((start, end)) = day {
        args.extend([("startTS", at(start)), ("endTS", at(end))]);
    }
    asker.get(args).await
}

fn names(answer: &Answer, parts: &[&str]) {
    assert_ne!(answer.rc, 0, "damage went unseen: {answer:?}");
    for part in parts {
        assert!(answer.ai.contains(part), "`{part}` is missing in: {}", answer.ai);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_column_costs_an_error_that_names_the_file() {
    let db = copy_of(&[DAYS[0].0, DAYS[1].0]);
    let mesh = up(Up::new(qmesh()).db(db.path(), "")).await;
    let asker = Asker::to(mesh.qipc()).await;
    let second_day = Some(("2015.01.08", "2015.01.09"));

    // Cut while both replicas have it mapped.
    for _ in 0..4 {
        assert_eq!(highest(&asker, "trade", "price", None).await.n(), TRADES);
    }
    let price = db.path().join(DAYS[0].0).join("trade/price");
    let whole = fs::metadata(&price).expect("a file").len();
    OpenOptions::new().write(true).open(&price).and_then(|f| f.set_len(whole / 2)).expect("cut");
    for _ in 0..4 {
        let cut = highest(&asker, "trade", "price", None).await;
        names(&cut, &[DAYS[0].0, "trade/price"]);
    }
    // Everything else is served.
    assert_eq!(highest(&asker, "trade", "price", second_day).await.n(), DAYS[1].1);
    assert_eq!(highest(&asker, "trade", "size", None).await.n(), TRADES);
    assert_eq!(asker.count("quote", vec![]).await.n(), QUOTES);

    // Files nobody has looked at yet: one spoilt, one gone.
    fs::write(db.path().join(DAYS[1].0).join("trade/ex"), b"this is no column of a database")
        .expect("spoilt");
    names(&highest(&asker, "trade", "ex", None).await, &[DAYS[1].0, "trade/ex"]);
    let first_day = Some(("2015.01.07", "2015.01.08"));
    assert_eq!(highest(&asker, "trade", "ex", first_day).await.n(), DAYS[0].1, "whole in that partition");
    fs::remove_file(db.path().join(DAYS[0].0).join("quote/bid")).expect("removed");
    names(&highest(&asker, "quote", "bid", None).await, &["column bid", "2015.01.07/quote"]);
    assert_eq!(highest(&asker, "quote", "ask", None).await.n(), QUOTES);

    // Mended as kdb+ would: written beside and renamed.
    let beside = price.with_file_name("price.new");
    fs::copy(sample().join(DAYS[0].0).join("trade/price"), &beside).expect("a copy");
    fs::rename(&beside, &price).expect("renamed");
    eventually("the mended column", async || {
        let answer = highest(&asker, "trade", "price", None).await;
        (answer.rc == 0).then(|| assert_eq!(answer.n(), TRADES))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_goes_away_is_an_error_then_no_longer_served() {
    let db = copy_of(&[DAYS[0].0, DAYS[1].0]);
    let mesh = up(Up::new(qmesh()).db(db.path(), "").env("QMESH_RELOAD_FREQ", "200")).await;
    let asker = Asker::to(mesh.qipc()).await;
    assert_eq!(asker.count("trade", vec![]).await.n(), TRADES);
    fs::remove_dir_all(db.path().join(DAYS[1].0)).expect("removed");
    eventually("the day to be gone", async || {
        let answer = highest(&asker, "trade", "price", None).await;
        match answer.rc {
            0 if answer.n() == DAYS[0].1 => Some(()),
            // What is open stays readable.
            0 => {
                assert_eq!(answer.n(), TRADES);
                None
            }
            _ => {
                let told = answer.ai.contains(DAYS[1].0) || answer.is_retryable();
                assert!(told, "{answer:?}");
                None
            }
        }
    })
    .await;
    assert_eq!(asker.count("quote", vec![]).await.n(), QUOTES);
    // A day that appears is served without a restart.
    let back = copy_of(&[DAYS[1].0]);
    let target = db.path().join(DAYS[1].0);
    let beside = db.path().join("incoming");
    fs::create_dir(&beside).expect("a folder");
    fs::create_dir(beside.join("trade")).expect("a folder");
    for file in fs::read_dir(back.path().join(DAYS[1].0).join("trade")).expect("a folder") {
        let file = file.expect("an entry");
        fs::copy(file.path(), beside.join("trade").join(file.file_name())).expect("a copy");
    }
    fs::rename(&beside, &target).expect("renamed");
    eventually("the day to be back", async || {
        let answer = asker.count("trade", vec![]).await;
        (answer.rc == 0 && answer.n() == TRADES).then_some(())
    })
    .await;
}
