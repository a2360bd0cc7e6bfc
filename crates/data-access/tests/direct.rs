//! A data process answers direct calls from its own data, and mistakes with sentences.

mod common;

use common::{options, start};
use kvalue::{Value, Vector};

const DB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/kdb-hdb");

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_served_by_itself() {
    let dap = start(options(&[("QMESH_DB", DB)])).await;
    let agg = Value::list([Value::syms(["n", "count", "price"])]);
    let table = dap.get_data(vec![("table", Value::sym("trade")), ("agg", agg)]).await;
    assert_eq!(table.column("n").unwrap().index(0), Value::from(196_519i64 + 437_171));
    let (header, payload) = dap.call(".kxi.ping", vec![]).await;
    assert_eq!((header.get("rc").unwrap().as_i64(), payload), (Some(0), Value::from(true)));
    let sample = dap.call(".kxi.preview", vec![("table", Value::sym("quote"))]).await.1;
    assert_eq!(sample.count(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_explained_and_cost_nobody_else() {
    let dap = start(options(&[("QMESH_DB", DB)])).await;
    let refused = |answer: (kvalue::Dict, Value)| {
        let text = answer.0.get("ai").and_then(|v| v.as_text()).unwrap_or_default();
        (answer.0.get("rc").and_then(|v| v.as_i64()), String::from_utf8(text).unwrap())
    };
    let (rc, ai) = refused(dap.call(".kxi.getData", vec![("table", Value::sym("nosuch"))]).await);
    assert_eq!((rc, ai.contains("table=nosuch")), (Some(56), true), "{ai}");
    let (rc, ai) = refused(dap.call(".kxi.nosuch", vec![]).await);
    assert_eq!((rc, ai.contains(".kxi.nosuch is no API")), (Some(12), true), "{ai}");
    let (rc, ai) = refused(
        dap.call(".kxi.preview", vec![("table", Value::sym("trade")), ("agg", Value::sym("x"))]).await,
    );
    assert_eq!((rc, ai.contains("`agg` is no argument")), (Some(5), true), "{ai}");
    let err = dap.client.sync(&Value::str("select from trade")).await.unwrap_err().to_string();
    assert!(err.contains("send (api; args; callback; opts)"), "{err}");
    let upd = Value::list([Value::sym("upd"), Value::sym("trade"), Vector::longs(vec![1]).into()]);
    let err = dap.client.sync(&upd).await.unwrap_err().to_string();
    assert!(err.contains("one of tier rdb"), "{err}");
    assert_eq!(dap.call(".kxi.ping", vec![]).await.1, Value::from(true), "still serving");
}

/// The first line of what /readyz answers.
async fn readiness(vars: &[(&str, &str)]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let port = testkit::ports::port();
    let mut options = options(vars);
    options.process.http_port = Some(port);
    let _dap = start(options).await;
    let mut page = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("the page");
    page.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await.expect("a request");
    let mut answer = String::new();
    page.read_to_string(&mut answer).await.expect("an answer");
    answer.lines().next().unwrap_or_default().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_to_be_found_is_ready_and_one_that_must_register_is_not() {
    // Coordinators dial only pods that are ready: were it not, neither side would ever begin.
    let found = readiness(&[("QMESH_DB", DB)]).await;
    assert!(found.contains("200"), "{found}");
    let registers = readiness(&[("QMESH_DB", DB), ("KXI_SG_RC_ADDR", "127.0.0.1:1")]).await;
    assert!(registers.contains("503"), "{registers}");
}
