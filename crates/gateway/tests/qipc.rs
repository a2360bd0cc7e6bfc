//! QIPC clients: calls, callbacks, pipelining, bad input, limits.

mod common;

use std::{sync::Mutex, time::Duration};

use common::*;
use kvalue::Value;
use qipc::net::CallError;
use sg::{Failure, msg};
use tokio::time::timeout;

fn remote(result: Result<Value, CallError>) -> String {
    match result {
        Err(CallError::Remote(e)) => e.text().into_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_gets_header_and_payload() {
    let (gw, _rc) = Gw::with(echo).await;
    let args = dict(&[("table", Value::sym("trade"))]);
    let opts = dict(&[("", Value::Null), ("appId", 7i64.into()), ("logCorr", Value::str("x"))]);
    let client = gw.client().await;
    let (header, payload) = parts(&client.sync(&call(".kxi.getData", args.clone(), opts)).await.unwrap());
    assert_eq!(payload, args);
    assert_eq!(rc_of(&header), 0);
    assert_eq!(header.get("api"), Some(Value::sym(".kxi.getData")));
    assert_eq!(header.get("appId"), Some(7i64.into()));
    assert_eq!(header.get("logCorr"), Some(Value::str("x")));
    assert_eq!(header.get("agg"), Some(Value::sym(":127.0.0.1:5060")));
    assert!(header.get("").is_none());
    assert_eq!(gw.metric("kxi_sg_ipc_requests_total").await, 1.0);
    assert_eq!(gw.metric("kxi_sg_ipc_responses_total").await, 1.0);
    assert_eq!(gw.metric("kxi_sg_pending").await, 0.0);
    gw.kill().await;
}

#[tokio::test]
async fn user_and_options_reach_the_coordinator() {
    let seen: &'static Mutex<Option<msg::Request>> = Box::leak(Box::default());
    let (gw, _rc) = Gw::with(|rc, link, request| {
        *seen.lock().unwrap() = Some(request.clone());
        echo(rc, link, request);
    })
    .await;
    let opts = dict(&[("timeout", 1500i32.into()), ("rc", 9i64.into())]);
    let answer = gw.client().await.sync(&call(".c.f", Value::empty_dict(), opts)).await.unwrap();
    assert_eq!(parts(&answer).1, dict(&[("timeout", 1500i32.into())]), "system fields are not a client's");
    let request = seen.lock().unwrap().take().unwrap();
    assert_eq!((request.user.text(), request.attempt), ("user".into(), 0));
    assert!((1..=1_500_000_000).contains(&request.left), "{}", request.left);
}

#[tokio::test]
async fn pipelined_calls_are_answered_in_order_whatever_order_the_answers_come_in() {
    let held: &'static Mutex<Vec<msg::Request>> = Box::leak(Box::default());
    let (gw, _rc) = Gw::with(|rc, link, request| {
        let mut held = held.lock().unwrap();
        held.push(request);
        if held.len() == 20 {
            held.drain(..).rev().for_each(|r| echo(rc, link, r));
        }
    })
    .await;
    let client = gw.client().await;
    let calls = (0..20i64).map(|i| {
        let client = &client;
        async move {
            let args = dict(&[("n", i.into())]);
            parts(&client.sync(&call(".kxi.ping", args.clone(), Value::empty_dict())).await.unwrap()).1
                == args
        }
    });
    let answered = timeout(SOON, futures::future::join_all(calls)).await.unwrap();
    assert!(answered.into_iter().all(|same| same));
}

#[tokio::test]
async fn an_asynchronous_call_is_answered_by_its_callback() {
    let (gw, _rc) = Gw::with(echo).await;
    let client = gw.client().await;
    let mut incoming = client.incoming().unwrap();
    let args = dict(&[("n", 1i64.into())]);
    let quiet = Value::list([Value::sym(".kxi.ping"), args.clone(), Value::sym(""), Value::empty_dict()]);
    client.asyn(&quiet).await.unwrap();
    let loud = Value::list([Value::str(".kxi.ping"), args.clone(), Value::str("cb"), Value::empty_dict()]);
    client.asyn(&loud).await.unwrap();
    let message = timeout(SOON, incoming.recv()).await.unwrap().unwrap();
    assert_eq!(message.ty, qipc::MessageType::Async);
    let Ok(Ok(Value::List(list))) = message.decode(&qipc::Limits::client()) else { panic!("{message:?}") };
    assert_eq!(list.items()[0], Value::sym("cb"));
    assert_eq!(rc_of(list.items()[1].as_dict().unwrap()), 0);
    assert_eq!(list.items()[2], args);
    // The connection still answers, and nothing came for the call without a callback.
    client.sync(&call(".kxi.ping", args, Value::empty_dict())).await.unwrap();
    assert!(incoming.try_recv().is_err());
}

#[tokio::test]
async fn failures_are_answers_with_codes_and_an_empty_payload() {
    let (gw, _rc) = Gw::with(|_, link, request| {
        link.send(failure(&request, Failure::table_not_found("nope"))).unwrap();
    })
    .await;
    let answer =
        gw.client().await.sync(&call(".kxi.getData", Value::empty_dict(), Value::Null)).await.unwrap();
    let (header, payload) = parts(&answer);
    assert_eq!((rc_of(&header), header.get("ac").and_then(|v| v.as_i64())), (56, Some(27)));
    assert_eq!(header.get("ai"), Some(Value::str("Table not found, table=nope")));
    assert_eq!(payload, Value::list([]));
}

#[tokio::test]
async fn bad_requests_get_a_sentence_and_cost_nobody_else_anything() {
    let (gw, _rc) = Gw::with(echo).await;
    let (client, other) = (gw.client().await, gw.client().await);
    let text = remote(client.sync(&Value::str("select from trade")).await);
    assert!(text.contains("this is a gateway") && text.contains("(api; args; callback; opts)"), "{text}");
    let args = remote(client.sync(&Value::list([Value::sym("f"), Value::from(1i64)])).await);
    assert!(args.contains("args must be a dictionary"), "{args}");
    let opts =
        remote(client.sync(&call("f", Value::empty_dict(), dict(&[("timeout", Value::str("soon"))]))).await);
    assert!(opts.contains("timeout must be milliseconds"), "{opts}");
    assert_eq!(client.sync(&Value::str("@[{2<count .s};(::);{0b}]")).await.unwrap(), Value::from(false));
    // Bytes that are no object, in a message of the right length.
    let garbage = [&qipc::header(qipc::MessageType::Sync, 3)[..], &[0, 0, 9]].concat();
    let answer = client.raw_sync(qipc::Frame(vec![garbage.into()])).await.unwrap();
    assert!(matches!(answer.body, qipc::Body::Error(_)), "{answer:?}");
    for client in [&client, &other] {
        client.sync(&call(".kxi.ping", Value::empty_dict(), Value::Null)).await.unwrap();
    }
    assert_eq!(gw.metric("qmesh_gw_malformed_total").await, 4.0);
}

#[tokio::test]
async fn a_message_over_the_limit_gets_an_error_and_the_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (gw, _rc) = Gw::with(echo).await;
    let mut socket = tokio::net::TcpStream::connect(gw.qipc).await.unwrap();
    socket.write_all(b"u:p\x06\0").await.unwrap();
    socket.read_u8().await.unwrap();
    socket.write_all(&qipc::header(qipc::MessageType::Sync, 3 << 30)).await.unwrap();
    let mut said = Vec::new();
    timeout(SOON, socket.read_to_end(&mut said)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&said).contains("max_message"), "{said:?}");
}

#[tokio::test]
async fn a_request_without_an_answer_fails_at_its_deadline_once() {
    let (gw, rc) = Gw::with(|_, link, request| {
        let (link, late) = (link.clone(), answer(&request, &Value::Null));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(600)).await;
            link.send(late).unwrap();
        });
    })
    .await;
    let client = gw.client().await;
    let opts = dict(&[("timeout", 200i64.into())]);
    let started = std::time::Instant::now();
    let (header, _) = parts(&client.sync(&call(".kxi.ping", Value::empty_dict(), opts)).await.unwrap());
    assert_eq!(rc_of(&header), 100, "{header:?}");
    assert!((200..2000).contains(&(started.elapsed().as_millis() as u64)), "{:?}", started.elapsed());
    assert_eq!(header.get("timeout"), Some(200i64.into()), "request fields are echoed");
    timeout(SOON, async {
        while gw.metric("qmesh_gw_late_answers_total").await < 1.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the late answer is dropped and counted");
    assert_eq!(rc.rc.cancels.lock().unwrap().len(), 1, "the coordinator is told");
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_requests() {
    let (gw, rc) = Gw::with(|_, _, _| {}).await;
    let client = gw.client().await;
    let calls: Vec<_> = (0..3)
        .map(|_| frame(&call(".kxi.ping", Value::empty_dict(), Value::Null)))
        .map(|f| client.raw_sync(f))
        .collect();
    let all = futures::future::join_all(calls);
    let _ = timeout(Duration::from_millis(200), all).await;
    drop(client);
    timeout(SOON, async {
        while rc.rc.cancels.lock().unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("three cancellations");
    assert_eq!(gw.metric("kxi_sg_pending").await, 0.0);
}

#[tokio::test]
async fn without_a_coordinator_the_error_is_kxs_own() {
    let gw = Gw::start(&["127.0.0.1:1".parse().unwrap()], &[]).await;
    let client = gw.client().await;
    let text = remote(client.sync(&call(".kxi.ping", Value::empty_dict(), Value::Null)).await);
    assert_eq!(text, "No Resource Coordinator connections are available and ready for service");
    let mut incoming = client.incoming().unwrap();
    let asked = Value::list([Value::sym(".kxi.ping"), Value::empty_dict(), Value::sym("cb"), Value::Null]);
    client.asyn(&asked).await.unwrap();
    let message = timeout(SOON, incoming.recv()).await.unwrap().unwrap();
    let Ok(Ok(Value::List(list))) = message.decode(&qipc::Limits::client()) else { panic!("{message:?}") };
    assert_eq!(rc_of(list.items()[1].as_dict().unwrap()), 58);
}

#[tokio::test]
async fn limits_on_connections_and_requests_in_flight_hold() {
    let rc = RcProcess::start(|_, _, _| {}).await;
    let vars =
        [("QMESH_GW_MAX_CONNECTIONS", "3"), ("QMESH_GW_MAX_PENDING", "2"), ("QMESH_GW_MAX_OUTSTANDING", "4")];
    let gw = Gw::start(&[rc.addr], &vars).await;
    gw.ready().await;
    let clients = [gw.client().await, gw.client().await, gw.client().await];
    let auth = qipc::net::Credentials::new("u", "p");
    let fourth =
        qipc::net::Client::connect(&gw.qipc.to_string(), &auth, &qipc::net::ConnectOptions::default()).await;
    assert!(fourth.is_err());
    assert_eq!(gw.metric("kxi_sg_connected_clients").await, 3.0, "before their first message");
    let ping = call(".kxi.ping", Value::empty_dict(), Value::Null);
    let ask = |i: usize| clients[i].sync(&ping);
    let mut waiting = Box::pin(futures::future::join(ask(0), ask(1)));
    assert!(timeout(Duration::from_millis(300), &mut waiting).await.is_err());
    let (header, _) = parts(&timeout(SOON, ask(2)).await.unwrap().unwrap());
    assert_eq!(rc_of(&header), 11, "{header:?}");
}

#[tokio::test]
async fn what_a_client_sends_while_the_gateway_is_told_to_stop_is_answered() {
    let (gw, _rc) = Gw::with(echo).await;
    let client = gw.client().await;
    let ask = call(".kxi.ping", Value::empty_dict(), Value::empty_dict());
    client.sync(&ask).await.unwrap();
    gw.stop.cancel();
    let (header, _) = parts(&client.sync(&ask).await.unwrap());
    assert_eq!(rc_of(&header), 0);
    // The connection ends behind that answer.
    gw.kill().await;
    assert!(client.sync(&ask).await.is_err());
}

#[tokio::test]
async fn an_answer_is_taken_from_an_aggregator_that_links_only_while_the_gateway_stops() {
    let held: &'static Mutex<Option<msg::Request>> = Box::leak(Box::default());
    let rc = RcProcess::start(|_, _, request| *held.lock().unwrap() = Some(request)).await;
    let gw = Gw::start(&[rc.addr], &[("QMESH_GW_DRAIN", "20000")]).await;
    gw.ready().await;
    let client = gw.client().await;
    let asked = tokio::spawn(async move {
        client.sync(&call(".kxi.ping", Value::empty_dict(), Value::empty_dict())).await
    });
    let request = timeout(SOON, async {
        loop {
            if let Some(request) = held.lock().unwrap().take() {
                return request;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let request = request.await.expect("the coordinator is asked");
    gw.stop.cancel();
    // As an aggregator does that has just started and never had an answer for this gateway.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let auth = qipc::net::Credentials::new("user", "");
    let late =
        qipc::net::Client::connect(&gw.qipc.to_string(), &auth, &qipc::net::ConnectOptions::default()).await;
    assert!(late.is_err(), "a client is told at once to go elsewhere");
    let (link, _heard, _stop) = timeout(SOON, aggregator(gw.qipc)).await.expect("the gateway takes its link");
    link.send(answer(&request, &7i64.into())).unwrap();
    let answered = timeout(SOON, asked).await.unwrap().unwrap().unwrap();
    assert_eq!(parts(&answered).1, 7i64.into());
    gw.kill().await;
}

#[tokio::test]
async fn a_client_that_never_pauses_does_not_keep_the_gateway_from_stopping() {
    let (gw, _rc) = Gw::with(echo).await;
    let client = gw.client().await;
    let ask = call(".kxi.ping", Value::empty_dict(), Value::empty_dict());
    let busy = tokio::spawn(async move {
        let mut answered = 0_u32;
        while let Ok(answer) = client.sync(&ask).await {
            assert_eq!(rc_of(&parts(&answer).0), 0);
            answered += 1;
        }
        answered
    });
    gw.kill().await;
    assert!(timeout(SOON, busy).await.unwrap().unwrap() > 0);
}
