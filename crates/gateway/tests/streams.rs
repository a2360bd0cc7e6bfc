//! Large answers: passed on in pieces, bounded memory, slow clients, lost aggregators.

mod common;

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::*;
use kvalue::{Value, Vector};
use qipc::Raw;
use sg::{Msg, msg};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::timeout,
};

/// What an aggregator may send before it gets credit.
const START: usize = 2 << 20;
const CHUNK: usize = 256 << 10;

type Requests = &'static Mutex<Vec<msg::Request>>;

/// A gateway whose coordinator keeps requests for the test's aggregator.
async fn keeping() -> (Gw, RcProcess, Requests) {
    let kept: Requests = Box::leak(Box::default());
    let (gw, rc) = Gw::with(|_, _, request| kept.lock().unwrap().push(request)).await;
    (gw, rc, kept)
}

async fn taken(kept: Requests, n: usize) -> Vec<msg::Request> {
    timeout(SOON, async {
        while kept.lock().unwrap().len() < n {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        kept.lock().unwrap().clone()
    })
    .await
    .expect("requests")
}

fn table(rows: usize) -> Value {
    let px: Vec<f64> = (0..rows).map(|i| i as f64 / 8.0).collect();
    let columns = [
        ("sym", Value::syms((0..rows).map(|i| format!("s{}", i % 7)))),
        ("px", Value::from(Vector::floats(px))),
    ];
    kvalue::Table::of(columns).unwrap().into()
}

/// Streams an answer under credit; the most that was ever sent beyond what was credited.
async fn stream(
    link: &link::Sender,
    heard: &mut mpsc::UnboundedReceiver<Msg>,
    request: &msg::Request,
    object: &Bytes,
) {
    link.send(head(request, object.len())).unwrap();
    let (mut sent, mut may) = (0, START);
    while sent < object.len() {
        let n = CHUNK.min(object.len() - sent).min(may - sent);
        if n == 0 {
            match timeout(SOON, heard.recv()).await.expect("credit in time") {
                Some(Msg::Credit(credit)) if credit.corr == request.corr => may += credit.bytes as usize,
                Some(Msg::Stop(_)) | None => return,
                Some(_) => {}
            }
            continue;
        }
        link.send(data(request, sent, object.slice(sent..sent + n))).unwrap();
        sent += n;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_answer_arrives_whole_over_qipc_octets_and_json() {
    let (gw, _rc, kept) = keeping().await;
    let (link, mut heard, _stop) = aggregator(gw.qipc).await;
    let rows = 800_000;
    let value = table(rows);
    let object = Raw::of(&value).0;
    assert!(object.len() > 4 * START);

    let client = gw.client().await;
    let asked = call(".kxi.getData", Value::empty_dict(), Value::Null);
    let (answered, ()) = tokio::join!(client.sync(&asked), async {
        let request = taken(kept, 1).await[0].clone();
        stream(&link, &mut heard, &request, &object).await;
    });
    let (header, payload) = parts(&answered.unwrap());
    assert_eq!(rc_of(&header), 0);
    assert!(payload == value, "the table that was sent");

    let accept = [("accept", "application/octet-stream")];
    let (answered, ()) = tokio::join!(http(gw.http, "GET", "/data?table=t", &accept, ""), async {
        let request = taken(kept, 2).await[1].clone();
        stream(&link, &mut heard, &request, &object).await;
    });
    assert_eq!(
        (answered.status, &answered.headers["content-type"]),
        (200, &"application/octet-stream".parse().unwrap())
    );
    assert_eq!(answered.headers["content-length"], answered.body.len().to_string());
    let message = qipc::Message::parse(answered.body, &qipc::Limits::client()).unwrap();
    assert_eq!(message.ty, qipc::MessageType::Response);
    let (header, payload) = parts(&message.decode(&qipc::Limits::client()).unwrap().unwrap());
    assert_eq!(header.get("http"), Some(Value::sym("octet-stream")));
    assert!(payload == value, "the table that was sent");

    let (answered, ()) = tokio::join!(get(gw.http, "/data?table=t"), async {
        let request = taken(kept, 3).await[2].clone();
        stream(&link, &mut heard, &request, &object).await;
    });
    let json = answered.json();
    let got = json["payload"].as_array().unwrap();
    assert_eq!((answered.status, got.len()), (200, rows));
    assert_eq!(got[12_345], serde_json::json!({"sym": "s4", "px": 12_345.0 / 8.0}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_holds_back_only_its_own_answer_and_the_gateway_only_a_window_of_it() {
    let (gw, _rc, kept) = keeping().await;
    let (link, mut heard, _stop) = aggregator(gw.qipc).await;
    let total = 64 << 20;
    let object = Raw::of(&Vector::longs(vec![7; total / 8]).into()).0;
    // This client asks and reads nothing.
    let mut slow = tokio::net::TcpStream::connect(gw.qipc).await.unwrap();
    slow.write_all(b"slow:\x06\0").await.unwrap();
    slow.read_u8().await.unwrap();
    let asked = call(".kxi.getData", Value::empty_dict(), Value::Null);
    slow.write_all(&frame(&asked).to_bytes()).await.unwrap();
    let first = taken(kept, 1).await[0].clone();
    link.send(head(&first, object.len())).unwrap();
    let (mut sent, mut may) = (0, START);
    loop {
        while sent < may.min(object.len()) {
            let n = CHUNK.min(may - sent);
            link.send(data(&first, sent, object.slice(sent..sent + n))).unwrap();
            sent += n;
        }
        match timeout(Duration::from_millis(500), heard.recv()).await {
            Ok(Some(Msg::Credit(credit))) => may += credit.bytes as usize,
            Ok(other) => panic!("{other:?}"),
            Err(_) => break,
        }
    }
    // What went out sits in socket buffers; the gateway holds a window.
    assert!(sent < total / 2, "{sent} bytes were taken for a client that reads nothing");

    let client = gw.client().await;
    let (answered, ()) = tokio::join!(timeout(SOON, client.sync(&asked)), async {
        let second = taken(kept, 2).await[1].clone();
        link.send(answer(&second, &Value::from(1i64))).unwrap();
    });
    assert_eq!(parts(&answered.expect("not held up").unwrap()).1, Value::from(1i64));

    // Now it leaves: the aggregator is told to stop.
    drop(slow);
    let stopped = timeout(SOON, async {
        loop {
            match heard.recv().await.expect("link up") {
                Msg::Stop(stop) => break stop.corr,
                Msg::Credit(_) => {}
                other => panic!("{other:?}"),
            }
        }
    });
    assert_eq!(stopped.await.expect("told to stop"), first.corr);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_at_the_stall_limit() {
    let kept: Requests = Box::leak(Box::default());
    let rc = RcProcess::start(|_, _, request| kept.lock().unwrap().push(request)).await;
    let gw = Gw::start(&[rc.addr], &[("QMESH_GW_STALL", "400")]).await;
    gw.ready().await;
    let (link, mut heard, _stop) = aggregator(gw.qipc).await;
    let object = Raw::of(&Vector::longs(vec![7; 8 << 20]).into()).0;
    for http in [false, true] {
        let seen = kept.lock().unwrap().len();
        let mut slow = tokio::net::TcpStream::connect(if http { gw.http } else { gw.qipc }).await.unwrap();
        let asked = if http {
            Bytes::from_static(
                b"GET /data?table=t HTTP/1.1\r\nhost: gw\r\naccept: application/octet-stream\r\n\r\n",
            )
        } else {
            slow.write_all(b"slow:\x06\0").await.unwrap();
            slow.read_u8().await.unwrap();
            frame(&call(".kxi.getData", Value::empty_dict(), Value::Null)).to_bytes()
        };
        slow.write_all(&asked).await.unwrap();
        let request = taken(kept, seen + 1).await[seen].clone();
        let started = Instant::now();
        timeout(SOON, stream(&link, &mut heard, &request, &object)).await.expect("stopped");
        assert!(started.elapsed() < Duration::from_secs(10));
        let mut rest = Vec::new();
        let _ = timeout(SOON, slow.read_to_end(&mut rest)).await.expect("closed");
        assert!(rest.len() < object.len(), "http: {http}");
    }
}

#[tokio::test]
async fn an_aggregator_lost_before_the_first_byte_is_an_answer_and_after_it_the_end() {
    let (gw, _rc, kept) = keeping().await;
    let asked = call(".kxi.getData", Value::empty_dict(), Value::Null);
    let client = gw.client().await;
    for with_bytes in [false, true] {
        let seen = kept.lock().unwrap().len();
        let (link, _heard, stop) = aggregator(gw.qipc).await;
        let (answered, ()) = tokio::join!(timeout(SOON, client.sync(&asked)), async {
            let request = taken(kept, seen + 1).await[seen].clone();
            link.send(head(&request, 10 << 20)).unwrap();
            if with_bytes {
                link.send(data(&request, 0, vec![0; CHUNK].into())).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            stop.cancel();
        });
        match (with_bytes, answered.expect("an end")) {
            (false, Ok(answer)) => assert_eq!(rc_of(&parts(&answer).0), 101),
            (true, Err(qipc::net::CallError::Closed(_))) => {}
            (_, other) => panic!("{other:?}"),
        }
    }
    assert_eq!(gw.metric("qmesh_gw_cut_answers_total").await, 1.0);
}

#[tokio::test]
async fn an_answer_too_long_for_an_old_client_is_a_failure_in_time() {
    let (gw, _rc, kept) = keeping().await;
    let (link, mut heard, _stop) = aggregator(gw.qipc).await;
    let opts = qipc::net::ConnectOptions { capability: 3, ..Default::default() };
    let auth = qipc::net::Credentials::new("u", "p");
    let client = qipc::net::Client::connect(&gw.qipc.to_string(), &auth, &opts).await.unwrap();
    let asked = call(".kxi.getData", Value::empty_dict(), Value::Null);
    let (answered, ()) = tokio::join!(timeout(SOON, client.sync(&asked)), async {
        let request = taken(kept, 1).await[0].clone();
        link.send(head(&request, 3 << 30)).unwrap();
    });
    let (header, payload) = parts(&answered.unwrap().unwrap());
    assert_eq!((rc_of(&header), payload), (104, Value::list([])));
    assert!(matches!(timeout(SOON, heard.recv()).await, Ok(Some(Msg::Stop(_)))));
}

#[tokio::test]
async fn a_large_answer_waits_for_its_turn_among_pipelined_calls() {
    let (gw, _rc, kept) = keeping().await;
    let (link, mut heard, _stop) = aggregator(gw.qipc).await;
    let object = Raw::of(&Vector::longs(vec![7; 1 << 20]).into()).0;
    let client = gw.client().await;
    let asked = call(".kxi.getData", Value::empty_dict(), Value::Null);
    let (first, second, ()) = tokio::join!(client.sync(&asked), client.sync(&asked), async {
        let requests = taken(kept, 2).await;
        let streamed = stream(&link, &mut heard, &requests[1], &object);
        let mut streamed = Box::pin(streamed);
        assert!(timeout(Duration::from_millis(300), &mut streamed).await.is_err(), "held back by its window");
        link.send(answer(&requests[0], &Value::from(1i64))).unwrap();
        timeout(SOON, streamed).await.expect("goes on");
    });
    assert_eq!(parts(&first.unwrap()).1, Value::from(1i64));
    assert_eq!(parts(&second.unwrap()).1.count(), 1 << 20);
}

#[tokio::test]
async fn a_payload_too_long_for_json_is_413_and_its_aggregator_stops() {
    let kept: Requests = Box::leak(Box::default());
    let rc = RcProcess::start(|_, _, request| kept.lock().unwrap().push(request)).await;
    let gw = Gw::start(&[rc.addr], &[("QMESH_GW_MAX_JSON", "1M")]).await;
    gw.ready().await;
    let (link, mut heard, _stop) = aggregator(gw.qipc).await;
    let (answered, ()) = tokio::join!(get(gw.http, "/data?table=t"), async {
        let request = taken(kept, 1).await[0].clone();
        link.send(head(&request, 4 << 20)).unwrap();
    });
    let json = answered.json();
    assert_eq!((answered.status, json["header"]["rc"].as_i64()), (413, Some(104)), "{json}");
    assert!(json["header"]["ai"].as_str().unwrap().contains("QMESH_GW_MAX_JSON"), "{json}");
    assert!(matches!(timeout(SOON, heard.recv()).await, Ok(Some(Msg::Stop(_)))));
}
