//! REST: paths, methods, bodies, formats, statuses, health, CORS.

mod common;

use std::time::Duration;

use common::*;
use kvalue::{Table, Value, Vector};
use serde_json::json;
use sg::{Failure, Rc as Code, codes::Ac};

#[tokio::test]
async fn arguments_arrive_typed_and_the_answer_is_json() {
    let (gw, _rc) = Gw::with(echo).await;
    let body = r#"{"table":"trade","startTS":"2024-11-02T00:00:00","filter":[["=","sym","A"]],"opts":{"logCorr":"x","appId":5}}"#;
    let response = post(gw.http, "/data", body).await;
    assert_eq!(
        (response.status, &response.headers["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let json = response.json();
    assert_eq!(
        json["payload"],
        json!({"table": "trade", "startTS": "2024-11-02T00:00:00.000000000", "filter": [["=", "sym", "A"]]})
    );
    let header = &json["header"];
    assert_eq!(header["logCorr"], "x");
    assert_eq!(header["http"], "json");
    assert_eq!(header["api"], ".kxi.getData");
    assert_eq!((&header["appId"], &header["cast"]), (&json!(5), &json!(true)));
    assert_eq!(header["rc"], 0);
    assert_eq!(header["refVintage"], json!(-i64::MAX));
    let order: Vec<&str> = header.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(order[..5], ["rcvTS", "corr", "logCorr", "http", "api"]);
    assert_eq!(gw.metric("kxi_sg_http_requests_total").await, 1.0);
    assert_eq!(gw.metric("kxi_sg_http_responses_total").await, 1.0);
}

#[tokio::test]
async fn every_form_of_a_path_and_of_a_body_is_taken() {
    let (gw, _rc) = Gw::with(echo).await;
    for (path, api) in [
        ("/data", ".kxi.getData"),
        ("/meta", ".kxi.getMeta"),
        ("/v3/meta", ".kxi.getMeta"),
        ("/api/v3/meta", ".kxi.getMeta"),
        ("/kxi/ping", ".kxi.ping"),
        ("/api/v1/kxi/ping", ".kxi.ping"),
        ("/c/f", ".c.f"),
        ("/c.f?x=1", ".c.f"),
    ] {
        let header = get(gw.http, path).await.json()["header"].clone();
        assert_eq!(header["api"], api, "{path}");
        assert_eq!(header["version"], if path.contains("v3") { json!(3) } else { json!(null) }, "{path}");
    }
    let lenient = post(gw.http, "/data", "{table: 'taxi', /* all */ }").await;
    assert_eq!(lenient.json()["payload"], json!({"table": "taxi"}));
    let query = get(gw.http, "/data?table=taxi;limit=-5").await;
    assert_eq!(query.json()["payload"], json!({"table": "taxi", "limit": -5}));
    let curl = http(
        gw.http,
        "POST",
        "/data",
        &[("content-type", "application/x-www-form-urlencoded")],
        "{\"table\":\"t\"}",
    )
    .await;
    assert_eq!(curl.json()["payload"], json!({"table": "t"}));
    let both = post(gw.http, "/data?table=a;limit=1", r#"{"table":"b"}"#).await;
    assert_eq!(both.json()["payload"], json!({"limit": 1, "table": "b"}));
}

#[tokio::test]
async fn octets_are_the_message_a_qipc_client_would_get() {
    let (gw, _rc) = Gw::with(echo).await;
    let accept = [("accept", "application/octet-stream"), ("content-type", "application/json")];
    let response = http(gw.http, "POST", "/data", &accept, r#"{"table":"t"}"#).await;
    assert_eq!(
        (response.status, &response.headers["content-type"]),
        (200, &"application/octet-stream".parse().unwrap())
    );
    let message = qipc::Message::parse(response.body, &qipc::Limits::client()).unwrap();
    let (header, payload) = parts(&message.decode(&qipc::Limits::client()).unwrap().unwrap());
    assert_eq!((rc_of(&header), payload), (0, dict(&[("table", Value::sym("t"))])));
}

#[tokio::test]
async fn failures_have_their_status_and_keep_header_and_payload() {
    let (gw, _rc) = Gw::with(|_, link, request| {
        let code = |rc, ac| Failure::new(rc, ac, "why");
        let said = match request.left {
            _ if request.api == ".kxi.getData" => Failure::table_not_found("quote"),
            _ if request.api == ".kxi.ping" => Failure::not_ready(),
            _ if request.api == ".kxi.getMeta" => code(Code::TIMEOUT, Ac::TIMEOUT),
            _ => code(Code::ERR, Ac::INTERNAL),
        };
        link.send(failure(&request, said)).unwrap();
    })
    .await;
    for (path, status, rc) in
        [("/data", 400, 56), ("/kxi/ping", 503, 58), ("/meta", 504, 100), ("/c/f", 500, 10)]
    {
        let response = get(gw.http, path).await;
        let json = response.json();
        assert_eq!(
            (response.status, json["header"]["rc"].as_i64(), &json["payload"]),
            (status, Some(rc), &json!([])),
            "{path}"
        );
    }
    let octets = http(gw.http, "GET", "/data", &[("accept", "application/octet-stream")], "").await;
    let message = qipc::Message::parse(octets.body, &qipc::Limits::client()).unwrap();
    assert_eq!(
        (octets.status, rc_of(&parts(&message.decode(&qipc::Limits::client()).unwrap().unwrap()).0)),
        (400, 56)
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_with_a_fitting_status() {
    let rc = RcProcess::start(echo).await;
    let gw = Gw::start(&[rc.addr], &[("QMESH_GW_MAX_BODY", "2K")]).await;
    gw.ready().await;
    let bad_time = post(gw.http, "/data", r#"{"table":"t","startTS":"yesterday"}"#).await;
    let json = bad_time.json();
    assert_eq!((bad_time.status, &json["header"]["rc"], &json["header"]["ac"]), (400, &json!(5), &json!(23)));
    assert!(json["header"]["ai"].as_str().unwrap().contains("startTS `yesterday`"), "{json}");
    assert_eq!(json["payload"], json!([]));
    let bad_opts = post(gw.http, "/data", r#"{"opts":{"timeout":"soon"}}"#).await;
    assert_eq!((bad_opts.status, &bad_opts.json()["header"]["rc"]), (400, &json!(5)));

    let xml = [("content-type", "application/xml")];
    let long = format!(r#"{{"table":"{}"}}"#, "x".repeat(3000));
    for (response, status, word) in [
        (post(gw.http, "/data", "{table").await, 400, "not JSON"),
        (post(gw.http, "/data", "[1]").await, 400, "must be a JSON object"),
        (post(gw.http, "/data", &format!("{{a:{}", "[".repeat(1000))).await, 400, "not JSON"),
        (post(gw.http, "/data", &long).await, 413, "QMESH_GW_MAX_BODY"),
        (http(gw.http, "POST", "/data", &xml, "<a/>").await, 415, "application/xml"),
        (http(gw.http, "PUT", "/data", &[], "{}").await, 405, "GET or POST"),
        (get(gw.http, "/nobody/knows").await, 404, "/nobody/knows"),
        (get(gw.http, "/").await, 404, "names no API"),
        (get(gw.http, "/data?table=%ff").await, 400, "UTF-8"),
    ] {
        let why = response.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(
            response.status == status && why.contains(word),
            "{} {why}, expected {status} {word}",
            response.status
        );
    }
    assert_eq!(post(gw.http, "/data", r#"{"table":"t"}"#).await.status, 200, "and the next one is served");
}

#[tokio::test]
async fn tables_of_an_answer_are_rows() {
    let (gw, _rc) = Gw::with(|_, link, request| {
        let table = Table::of([
            ("sym", Value::syms(["a", "b"])),
            ("time", Value::from(Vector::timestamps(vec![0, i64::MIN]))),
            ("px", Value::from(Vector::floats(vec![0.5, f64::INFINITY]))),
        ]);
        link.send(answer(&request, &table.unwrap().into())).unwrap();
    })
    .await;
    let rows = json!([
        {"sym": "a", "time": "2000-01-01T00:00:00.000000000", "px": 0.5},
        {"sym": "b", "time": null, "px": null},
    ]);
    assert_eq!(get(gw.http, "/data").await.json()["payload"], rows);
}

#[tokio::test]
async fn health_says_whether_requests_can_be_taken() {
    let gw = Gw::start(&["127.0.0.1:1".parse().unwrap()], &[]).await;
    assert_eq!(get(gw.http, "/healthz").await.status, 200);
    let ready = get(gw.http, "/readyz?verbose").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("No Resource Coordinator"), "{}", ready.text());
    let refused = get(gw.http, "/data").await;
    assert_eq!(refused.status, 503);
    assert!(refused.json()["error"].as_str().unwrap().starts_with("No Resource Coordinator"));
    assert!(get(gw.http, "/metrics").await.text().contains("kxi_sg_connected_clients 0"));
    let level = http(gw.http, "POST", "/log?level=loud", &[], "").await;
    assert_eq!(level.status, 400);
}

#[tokio::test]
async fn metrics_have_a_port_and_a_path_of_their_own_if_asked_for() {
    let own = testkit::ports::local(testkit::ports::port());
    let port = own.port().to_string();
    let vars = [("KXI_SG_METRICS_PORT", port.as_str()), ("KXI_SG_METRICS_ENDPOINT", "/stats")];
    let gw = Gw::start(&["127.0.0.1:1".parse().unwrap()], &vars).await;
    for addr in [gw.http, own] {
        assert!(get(addr, "/stats").await.text().contains("kxi_sg_pending"), "{addr}");
        assert_eq!(get(addr, "/healthz").await.status, 200);
    }
}

#[tokio::test]
async fn browsers_of_listed_origins_may_call() {
    let rc = RcProcess::start(echo).await;
    let vars = [("KXI_SG_CORS_ENABLED", "true"), ("KXI_SG_CORS_ORIGINS", "https://a.example")];
    let gw = Gw::start(&[rc.addr], &vars).await;
    gw.ready().await;
    let asked = |method: &'static str, origin: &'static str| {
        let addr = gw.http;
        async move { http(addr, method, "/data", &[("origin", origin)], "").await }
    };
    let preflight = asked("OPTIONS", "https://a.example").await;
    assert_eq!(
        (preflight.status, &preflight.headers["access-control-allow-origin"]),
        (204, &"https://a.example".parse().unwrap())
    );
    assert_eq!(
        asked("GET", "https://a.example").await.headers["access-control-allow-origin"],
        "https://a.example"
    );
    assert!(asked("GET", "https://b.example").await.headers.get("access-control-allow-origin").is_none());
    assert_eq!(asked("OPTIONS", "https://b.example").await.status, 403);
}

#[tokio::test]
async fn a_rest_client_that_leaves_cancels_its_request() {
    use tokio::io::AsyncWriteExt;
    let (gw, rc) = Gw::with(|_, _, _| {}).await;
    let mut socket = tokio::net::TcpStream::connect(gw.http).await.unwrap();
    socket.write_all(b"GET /data?table=t HTTP/1.1\r\nhost: gw\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(socket);
    tokio::time::timeout(SOON, async {
        while rc.rc.cancels.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("cancelled");
}

/// A limit is not the client's fault: it is told to try again, by the status it knows for that.
#[tokio::test]
async fn limits_of_admission_are_429_and_say_to_try_again() {
    let rc = RcProcess::start(|_, link, request| {
        if request.api != ".c.f" {
            let ai =
                "100000 requests are in flight, the limit of QMESH_RC_MAX_REQUESTS: try again in a moment";
            link.send(failure(&request, Failure::new(Code::QUEUE, Ac::LIMIT, ai))).unwrap();
        }
    })
    .await;
    let gw = Gw::start(&[rc.addr], &[("QMESH_GW_MAX_PENDING", "1")]).await;
    gw.ready().await;
    let refused = |response: Response, limit: &str| {
        let json = response.json();
        assert_eq!(
            (response.status, &json["header"]["rc"], &json["header"]["ac"]),
            (429, &json!(11), &json!(107))
        );
        let ai = json["header"]["ai"].as_str().unwrap();
        assert!(ai.contains(limit) && ai.contains("try again"), "{ai}");
        assert_eq!(json["payload"], json!([]));
    };
    refused(get(gw.http, "/data?table=t").await, "QMESH_RC_MAX_REQUESTS");
    let held = tokio::spawn(get(gw.http, "/c/f"));
    tokio::time::timeout(SOON, async {
        while gw.metric("kxi_sg_pending").await < 1.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("one is held");
    refused(get(gw.http, "/data?table=t").await, "QMESH_GW_MAX_PENDING");
    held.abort();
}
