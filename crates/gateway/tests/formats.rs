//! REST: each outcome in each format, codings in and out, names of KDB-X.

mod common;

use std::io::{Read, Write};

use common::*;
use kvalue::{Table, Value, Vector};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use sg::Failure;

const STRUCT: &str = "application/struct-text";
const OCTETS: &str = "application/octet-stream";
const NDJSON: &str = "application/x-ndjson";
const ARROW: &str = "application/vnd.apache.arrow.stream";

fn table() -> Value {
    let t = Table::of([
        ("sym", Value::syms(["a", "b,c"])),
        ("n", Vector::longs(vec![1, i64::MIN]).into()),
        ("t", Vector::timestamps(vec![0, 1]).into()),
    ]);
    t.unwrap().into()
}

async fn as_(gw: &Gw, path: &str, accept: &str) -> Response {
    http(gw.http, "GET", path, &[("accept", accept)], "").await
}

#[tokio::test]
async fn a_table_comes_in_every_format() {
    let (gw, _rc) = Gw::with(|_, link, request| link.send(answer(&request, &table())).unwrap()).await;
    let text = as_(&gw, "/data", STRUCT).await;
    assert_eq!((text.status, text.headers["content-type"].to_str().unwrap()), (200, STRUCT));
    let json = text.json();
    assert_eq!((&json["header"]["http"], &json["header"]["rc"]), (&json!("struct-text"), &json!(0)));
    assert_eq!(json["payload"]["count"], 2);
    assert_eq!(
        json["payload"]["columns"][1],
        json!({"name": "n", "type": "longs", "values": ["1", ""], "order": [1, 0]})
    );
    let csv = as_(&gw, "/data", "text/csv").await;
    assert_eq!(
        csv.text(),
        "sym,n,t\na,1,2000-01-01T00:00:00.000000000\n\"b,c\",,2000-01-01T00:00:00.000000001\n"
    );
    let header: serde_json::Value =
        serde_json::from_str(csv.headers["qmesh-header"].to_str().unwrap()).unwrap();
    assert_eq!((&header["rc"], &header["http"]), (&json!(0), &json!("csv")));
    let lines = as_(&gw, "/data", NDJSON).await.text();
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["sym"].is_string()));
    let arrow = as_(&gw, "/data", ARROW).await;
    assert_eq!((arrow.status, &arrow.body[..4]), (200, &[0xff; 4][..]));
    for (path, accept) in [("/data", "text/html"), ("/data", "*/*;q=0"), ("/no/api", "image/png")] {
        let refused = as_(&gw, path, accept).await;
        let json = refused.json();
        assert_eq!((refused.status, &json["header"]["rc"], &json["payload"]), (406, &json!(12), &json!([])));
        assert!(json["error"].as_str().unwrap().contains("text/csv"), "{json}");
    }
}

#[tokio::test]
async fn what_a_format_cannot_hold_is_refused_in_words() {
    let (gw, _rc) = Gw::with(|_, link, request| link.send(answer(&request, &1i64.into())).unwrap()).await;
    let refused = as_(&gw, "/data", ARROW).await;
    let why = refused.json()["error"].as_str().unwrap().to_owned();
    assert!(refused.status == 406 && why.contains("not a table"), "{why}");
    assert_eq!(as_(&gw, "/data", "text/csv").await.text(), "value\n1\n");
}

/// A failure: how it is asked for, and its status.
const FAILURES: [(&str, &str, &str, u16); 10] = [
    ("GET", "/nobody/knows", "", 404),
    ("GET", "/", "", 404),
    ("GET", "/api/v0/tables", "", 404),
    ("POST", "/data", "{table", 400),
    ("POST", "/data", "[1]", 400),
    ("POST", "/data", r#"{"startTS":"yesterday"}"#, 400),
    ("POST", "/data", "LONG", 413),
    ("PUT", "/data", "{}", 405),
    ("POST", "/api/v0/query/sql", "{}", 400),
    ("GET", "/data?table=%ff", "", 400),
];

/// Every failure in every format has header, payload and, in JSON, the sentence beside them.
#[tokio::test]
async fn failures_keep_the_format_that_was_asked_for() {
    let rc = RcProcess::start(|_, link, request| {
        link.send(failure(&request, Failure::table_not_found("nope"))).unwrap();
    })
    .await;
    let gw = Gw::start(&[rc.addr], &[("QMESH_GW_MAX_BODY", "2K")]).await;
    gw.ready().await;
    let lone = Gw::start(&["127.0.0.1:1".parse().unwrap()], &[("QMESH_GW_RC_WAIT", "1")]).await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    for case in 0..1_000 {
        let accept = ["application/json", OCTETS, STRUCT, "text/csv", NDJSON, ARROW][case % 6];
        let (addr, method, path, body, status) = match rng.random_range(0..FAILURES.len() + 2) {
            0 => (gw.http, "GET", "/data?table=nope", "", 400),
            1 if case < 100 => (lone.http, "GET", "/data?table=t", "", 503),
            n => {
                let (method, path, body, status) = FAILURES[n % FAILURES.len()];
                (gw.http, method, path, body, status)
            }
        };
        let long = "x".repeat(3000);
        let body = if body == "LONG" { &long } else { body };
        let got = http(addr, method, path, &[("accept", accept)], body).await;
        assert_eq!(got.status, status, "{accept} {method} {path} {body}");
        if accept == OCTETS {
            assert_eq!(got.headers["content-type"], OCTETS);
            let message = qipc::Message::parse(got.body, &qipc::Limits::client()).unwrap();
            let (header, payload) = parts(&message.decode(&qipc::Limits::client()).unwrap().unwrap());
            assert!(rc_of(&header) != 0 && payload == Value::list([]), "{path}");
            continue;
        }
        let json = got.json();
        let ai = json["header"]["ai"].as_str().unwrap();
        assert!(!ai.is_empty() && json["error"] == ai, "{accept} {path} {json}");
        assert!(json["header"]["refVintage"].is_i64() && json["header"]["rc"] != 0);
        match accept {
            STRUCT => {
                assert_eq!(json["payload"], json!({"columns": [], "count": 0}));
                assert_eq!(json["header"]["bt"], json!([]));
            }
            _ => assert_eq!(json["payload"], json!([])),
        }
        let own = matches!(accept, "text/csv" | NDJSON | ARROW);
        assert_eq!(got.headers.contains_key("qmesh-header"), own, "{accept}");
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    e.write_all(plain).unwrap();
    e.finish().unwrap()
}

/// Posts bytes that are no text.
async fn post_bytes(gw: &Gw, coding: &str, body: Vec<u8>) -> Response {
    use http_body_util::{BodyExt, Full};
    let stream = tokio::net::TcpStream::connect(gw.http).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = hyper::Request::post("/data").header("host", "gw").header("content-encoding", coding);
    let response =
        sender.send_request(request.body(Full::new(bytes::Bytes::from(body))).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    driver.abort();
    Response { status: parts.status.as_u16(), headers: parts.headers, body }
}

#[tokio::test]
async fn bodies_come_and_go_compressed() {
    let rc = RcProcess::start(echo).await;
    let gw = Gw::start(&[rc.addr], &[("QMESH_GW_MAX_BODY", "64K")]).await;
    gw.ready().await;
    let text = "x".repeat(20_000);
    let body = json!({"table": "t", "note": text}).to_string();
    let taken = post_bytes(&gw, "gzip", gzip(body.as_bytes())).await;
    assert_eq!(taken.json()["payload"]["note"], json!(text));
    let bomb = post_bytes(&gw, "gzip", gzip(&vec![b' '; 10 << 20])).await;
    assert_eq!((bomb.status, bomb.json()["header"]["rc"].as_i64()), (413, Some(104)));
    assert_eq!(post_bytes(&gw, "gzip", b"{}".to_vec()).await.status, 400);
    for coding in ["zstd", "br", "gzip, gzip", "deflate"] {
        let refused = post_bytes(&gw, coding, gzip(b"{}")).await;
        assert_eq!((refused.status, refused.headers["accept-encoding"].to_str().unwrap()), (415, "gzip"));
    }
    for (accept, coding) in [("gzip", Some("gzip")), ("gzip, zstd", Some("zstd")), ("br", None)] {
        for format in ["application/json", OCTETS] {
            let headers = [("accept-encoding", accept), ("accept", format)];
            let got = http(gw.http, "POST", "/data", &headers, &body).await;
            assert_eq!(got.headers.get("content-encoding").map(|v| v.to_str().unwrap()), coding);
            let mut plain = Vec::new();
            match coding {
                Some("gzip") => {
                    flate2::read::GzDecoder::new(&got.body[..]).read_to_end(&mut plain).unwrap();
                }
                Some(_) => plain = zstd::stream::decode_all(&got.body[..]).unwrap(),
                None => plain = got.body.to_vec(),
            }
            assert!(plain.len() > 20_000 && (coding.is_none() || got.body.len() < 2_000));
        }
    }
    let none = http(gw.http, "GET", "/data", &[("accept-encoding", "identity;q=0")], "").await;
    assert_eq!(none.status, 406);
    let short = http(gw.http, "GET", "/data", &[("accept-encoding", "gzip")], "").await;
    assert!(!short.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn names_of_kdb_x_are_served_under_their_own_name() {
    let (gw, _rc) = Gw::with(|_, link, request| {
        let mut said = answer(&request, &Value::Null);
        let args = qipc::Raw(request.args.0.clone()).decode(&qipc::Limits::client()).unwrap();
        said.payload = sg::msg::Payload::of(&Value::list([Value::sym(request.api.text().as_ref()), args]));
        link.send(said).unwrap();
    })
    .await;
    for (path, asked, known) in [
        ("/api/v0/query/simple", ".query.simple", ".kxi.getData"),
        ("/api/v0/query/preview", ".query.preview", ".kxi.preview"),
        ("/servicegateway/qe/api/v0/query/simple", ".query.simple", ".kxi.getData"),
        ("/servicegateway/qe/data", ".kxi.getData", ".kxi.getData"),
    ] {
        let json = post(gw.http, path, r#"{"table":"t","limit":[3]}"#).await.json();
        assert_eq!((&json["header"]["api"], &json["payload"][0]), (&json!(asked), &json!(known)), "{path}");
    }
    let scoped = post(gw.http, "/api/v0/query/simple?assembly=fin", r#"{"table":"t"}"#).await.json();
    assert_eq!(scoped["payload"][1]["scope"], json!({"assembly": "fin"}));
    let sql = post(gw.http, "/api/v0/query/sql", "{}").await;
    assert_eq!((&sql.json()["header"]["rc"], &sql.json()["header"]["ac"]), (&json!(12), &json!(17)));
    let client = gw.client().await;
    let call_of = |api| call(api, dict(&[("table", Value::sym("t"))]), Value::empty_dict());
    let (header, payload) = parts(&client.sync(&call_of(".query.simple")).await.unwrap());
    assert_eq!(header.get("api"), Some(Value::sym(".query.simple")));
    assert_eq!(payload.index(0), Value::sym(".kxi.getData"));
    assert_eq!(rc_of(&parts(&client.sync(&call_of(".query.sql")).await.unwrap()).0), 12);
}
