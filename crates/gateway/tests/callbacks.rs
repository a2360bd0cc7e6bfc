//! QIPC: asynchronous messages that fail are called back wherever a callback can be read, and counted where not.

mod common;

use common::*;
use kvalue::{Table, Value, Vector};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sg::Failure;
use tokio::time::timeout;

fn bad_timeout() -> Value {
    dict(&[("timeout", Value::str("soon")), ("appId", 7i64.into())])
}

#[tokio::test]
async fn a_bad_asynchronous_call_is_called_back_with_rc_5() {
    let (gw, _rc) = Gw::with(echo).await;
    let client = gw.client().await;
    let mut incoming = client.incoming().unwrap();
    let get = || Value::sym(".kxi.getData");
    for (bad, word) in [
        (
            vec![get(), Value::sym("trade"), Value::sym("cb"), Value::empty_dict()],
            "args must be a dictionary",
        ),
        (vec![get(), Value::empty_dict(), Value::sym("cb"), bad_timeout()], "timeout"),
        (vec![get(), Value::empty_dict(), Value::str("cb"), 1i64.into()], "opts must be a dictionary"),
        (vec![1i64.into(), Value::empty_dict(), Value::sym("cb")], "type"),
        (vec![get(), Value::empty_dict(), Value::sym("cb"), Value::Null, Value::Null], "rank"),
    ] {
        client.asyn(&Value::list(bad.clone())).await.unwrap();
        let message = timeout(SOON, incoming.recv()).await.expect("called back").unwrap();
        let Ok(Ok(Value::List(list))) = message.decode(&qipc::Limits::client()) else {
            panic!("{message:?}")
        };
        let header = list.items()[1].as_dict().unwrap();
        let ai = header.get("ai").and_then(|v| v.as_text().map(|t| String::from_utf8_lossy(&t).into_owned()));
        assert_eq!((&list.items()[0], rc_of(header)), (&Value::sym("cb"), 5), "{bad:?}");
        assert!(ai.as_deref().is_some_and(|ai| ai.contains(word)), "{bad:?}: {ai:?}");
        assert_eq!(list.items()[2], Value::list([]));
    }
    assert_eq!(gw.metric("qmesh_gw_unheard_failures_total").await, 0.0);
}

#[tokio::test]
async fn a_publisher_is_told_where_to_publish() {
    let (gw, _rc) = Gw::with(echo).await;
    let client = gw.client().await;
    let rows = Table::of([("sym", Value::syms(["a"]))]).unwrap();
    for api in ["upd", ".u.upd", ".u.sub"] {
        let message = Value::list([Value::sym(api), Value::sym("trade"), rows.clone().into()]);
        let why = client.sync(&message).await.unwrap_err().to_string();
        assert!(why.contains("takes no rows") && why.contains("KXI_PORT"), "{why}");
        client.asyn(&message).await.unwrap();
    }
    let symbols = Value::syms([".u.sub", "trade", "AAPL"]);
    client.asyn(&symbols).await.unwrap();
    let _ = client.sync(&call(".kxi.ping", Value::empty_dict(), Value::Null)).await.unwrap();
    assert_eq!(gw.metric("qmesh_gw_unheard_failures_total").await, 4.0);
}

/// Messages of random elements: each is either answered through the callback that stands third, or counted.
#[tokio::test]
async fn whatever_fails_is_called_back_or_counted() {
    let (gw, _rc) = Gw::with(|_, link, request| {
        link.send(failure(&request, Failure::table_not_found("t"))).unwrap();
    })
    .await;
    let client = gw.client().await;
    let mut incoming = client.incoming().unwrap();
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let pool = [
        Value::sym(".kxi.getData"),
        Value::str(".kxi.ping"),
        Value::sym("upd"),
        Value::sym(""),
        Value::from(1i64),
        Value::Null,
        Value::list([]),
        Value::empty_dict(),
        dict(&[("table", Value::sym("t"))]),
        bad_timeout(),
        Value::from(Vector::longs(vec![1, 2])),
        Value::syms(["a", "b"]),
    ];
    let (mut called, mut counted) = (0, 0);
    for case in 0..1_200 {
        let mut items: Vec<Value> =
            (0..rng.random_range(0..6)).map(|_| pool.choose(&mut rng).unwrap().clone()).collect();
        let callback = format!("cb{case}");
        if items.len() > 2 && rng.random_bool(0.6) {
            items[2] = if rng.random_bool(0.5) { Value::sym(&callback) } else { Value::str(&callback) };
        }
        let is_feed = items.first() == Some(&Value::sym("upd"));
        let named = items.get(2).and_then(Value::as_name).filter(|n| !n.is_null() && !is_feed);
        // PyKX's question has an answer of its own and fails nowhere.
        client.asyn(&Value::list(items.clone())).await.unwrap();
        match named {
            Some(name) => {
                let message = timeout(SOON, incoming.recv()).await.unwrap_or_else(|_| panic!("{items:?}"));
                let Ok(Ok(Value::List(list))) = message.unwrap().decode(&qipc::Limits::client()) else {
                    panic!("{items:?}")
                };
                assert_eq!(list.items()[0].as_name(), Some(name), "{items:?}");
                assert_ne!(rc_of(list.items()[1].as_dict().unwrap()), 0);
                called += 1;
            }
            None => counted += 1,
        }
    }
    // Answered last of all, so that all before it have been.
    let _ = client.sync(&call(".kxi.ping", Value::empty_dict(), Value::Null)).await.unwrap();
    timeout(SOON, async {
        while gw.metric("qmesh_gw_unheard_failures_total").await < f64::from(counted) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("each is counted");
    assert_eq!(gw.metric("qmesh_gw_unheard_failures_total").await, f64::from(counted));
    assert!(called > 100 && counted > 100 && incoming.try_recv().is_err(), "{called} {counted}");
}
