//! Coordinators that come, go and come back; the end of the gateway.

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::*;
use kvalue::Value;
use sg::msg;
use tokio::time::timeout;

fn ping() -> Value {
    call(".kxi.ping", Value::empty_dict(), Value::Null)
}

#[tokio::test]
async fn requests_are_spread_over_coordinators() {
    let counts: [Arc<AtomicUsize>; 2] = Default::default();
    let [a, b] = counts.clone();
    let counting = |count: Arc<AtomicUsize>| {
        move |rc: &Rc, link: &link::Sender, request| {
            count.fetch_add(1, Ordering::Relaxed);
            echo(rc, link, request);
        }
    };
    let rcs = [RcProcess::start(counting(a)).await, RcProcess::start(counting(b)).await];
    let gw = Gw::start(&[rcs[0].addr, rcs[1].addr], &[]).await;
    timeout(SOON, async {
        while !get(gw.http, "/readyz?verbose").await.text().contains("ready: 2") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("both ready");
    let client = gw.client().await;
    for _ in 0..10 {
        client.sync(&ping()).await.unwrap();
    }
    assert_eq!(counts.map(|c| c.load(Ordering::Relaxed)), [5, 5]);
}

#[tokio::test]
async fn a_request_waits_for_a_coordinator_that_comes_back() {
    let (gw, rc) = Gw::with(|_, link, request| {
        link.send(msg::Started { corr: request.corr, attempt: request.attempt }).unwrap();
    })
    .await;
    let client = gw.client().await;
    let ping = ping();
    let mut asked = Box::pin(client.sync(&ping));
    assert!(timeout(Duration::from_millis(200), &mut asked).await.is_err(), "no answer yet");
    let addr = rc.addr.to_string();
    rc.kill().await;
    let again = RcProcess::start_at(&addr, |rc, link, request| {
        assert!(request.attempt > 0, "another attempt");
        echo(rc, link, request);
    })
    .await;
    let (header, _) = parts(&timeout(SOON, asked).await.expect("answered after the restart").unwrap());
    assert_eq!(rc_of(&header), 0);
    assert_eq!(gw.metric("qmesh_gw_resent_total").await, 1.0);
    drop(again);
}

#[tokio::test]
async fn what_may_have_run_and_is_not_safe_fails_when_its_coordinator_is_lost() {
    let (gw, rc) = Gw::with(|_, link, request| {
        link.send(msg::Started { corr: request.corr, attempt: request.attempt }).unwrap();
    })
    .await;
    let client = gw.client().await;
    let unsafe_call = call(".c.f", Value::empty_dict(), Value::Null);
    let mut asked = Box::pin(client.sync(&unsafe_call));
    assert!(timeout(Duration::from_millis(200), &mut asked).await.is_err(), "no answer yet");
    rc.kill().await;
    let (header, _) = parts(&timeout(SOON, asked).await.unwrap().unwrap());
    assert_eq!(rc_of(&header), 101, "{header:?}");
    assert_eq!(get(gw.http, "/readyz").await.status, 503);
}

#[tokio::test]
async fn a_gateway_that_stops_answers_what_is_in_flight() {
    let (gw, _rc) = Gw::with(|_, _, _| {}).await;
    let client = gw.client().await;
    let ping = ping();
    let mut asked = Box::pin(client.sync(&ping));
    assert!(timeout(Duration::from_millis(200), &mut asked).await.is_err(), "no answer yet");
    let (answered, ()) = tokio::join!(timeout(SOON, asked), gw.kill());
    match answered.unwrap() {
        Ok(answer) => assert_eq!(rc_of(&parts(&answer).0), 101),
        Err(e) => panic!("{e}"),
    }
}

/// Until it hears so, a coordinator answers for a request: its aggregator may be lost with the answer.
#[tokio::test]
async fn a_coordinator_hears_when_the_answer_of_an_aggregator_has_come() {
    let (asked, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let (gw, rc) = Gw::with(move |_, _, request| asked.send(request).unwrap()).await;
    let (agg, _heard, _stop) = aggregator(gw.qipc).await;
    let client = gw.client().await;
    let ping = ping();
    let asked = async { client.sync(&ping).await.unwrap() };
    let answered = async {
        let request = requests.recv().await.unwrap();
        assert!(rc.rc.answered.lock().unwrap().is_empty());
        agg.send(answer(&request, &Value::from(1i64))).unwrap();
        request.corr
    };
    let (reply, corr) = tokio::join!(asked, answered);
    assert_eq!(rc_of(&parts(&reply).0), 0);
    timeout(SOON, async {
        while rc.rc.answered.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the coordinator hears of it");
    assert_eq!(rc.rc.answered.lock().unwrap()[..], [corr]);
}

#[tokio::test]
async fn requests_of_an_assembly_go_to_its_coordinator_and_hard_ones_to_no_other() {
    let fin = RcProcess::start_for("fin".into(), "127.0.0.1:0", |_, link, request| {
        link.send(answer(&request, &Value::sym("fin"))).unwrap();
    })
    .await;
    let all = RcProcess::start(|_, link, request| {
        link.send(answer(&request, &Value::sym("all"))).unwrap();
    })
    .await;
    let gw = Gw::start(&[fin.addr, all.addr], &[("KXI_SCOPE_AFFINITY", "hard")]).await;
    timeout(SOON, async {
        while !get(gw.http, "/readyz?verbose").await.text().contains("ready: 2") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("both ready");
    let client = gw.client().await;
    let ask = async |scope: &[(&str, Value)]| {
        let args = dict(&[("scope", dict(scope))]);
        parts(&client.sync(&call(".kxi.ping", args, Value::Null)).await.unwrap())
    };
    let assembly = |name: &str| ("assembly", Value::sym(name));
    for _ in 0..3 {
        assert_eq!(ask(&[assembly("fin")]).await.1, Value::sym("fin"));
        assert_eq!(ask(&[assembly("ops"), ("affinity", Value::sym("soft"))]).await.1, Value::sym("all"));
    }
    let (header, _) = ask(&[assembly("ops")]).await;
    assert_eq!(rc_of(&header), 58, "{header:?}");
    assert!(format!("{header:?}").contains("assembly ops"), "{header:?}");
}
