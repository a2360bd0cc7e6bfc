//! A real-time tier takes each row of a tickerplant once: from its log, live, and across lost connections; at
//! end of day it saves what any kdb+ reader can read.

mod common;

use std::sync::{Arc, Mutex};

use common::{options, start};
use kvalue::{Atom, Table, Type, Value, Vector};
use qipc::{
    Body, Limits, MessageType, Raw,
    net::{AcceptOptions, Listener, Writer},
};
use tokio::sync::mpsc;

/// A tickerplant: keeps a log, tells subscribers how long it is, publishes, and drops them when told to.
struct Tickerplant {
    addr: String,
    log: Arc<Mutex<Log>>,
    out: mpsc::UnboundedSender<Option<Value>>,
}

struct Log {
    path: std::path::PathBuf,
    messages: i64,
}

fn schema() -> Table {
    Table::of([
        ("time", Value::from(Vector::empty(Type::Timespan))),
        ("sym", Value::from(Vector::empty(Type::Symbol))),
        ("price", Value::from(Vector::empty(Type::Float))),
    ])
    .unwrap()
}

fn upd(n: i64) -> Value {
    let rows = Value::list([
        Vector::new::<i64>(Type::Timespan, vec![n * 1_000_000_000, n * 1_000_000_000 + 1]).into(),
        Value::syms(["b", "a"]),
        Vector::floats(vec![n as f64, n as f64 + 0.5]).into(),
    ]);
    Value::list([Value::sym("upd"), Value::sym("trade"), rows])
}

impl Tickerplant {
    async fn start(dir: &std::path::Path) -> Self {
        let path = dir.join("sym2024.01.02");
        std::fs::write(&path, data_access::tick::log::head()).unwrap();
        let log = Arc::new(Mutex::new(Log { path, messages: 0 }));
        let (out, mut published) = mpsc::unbounded_channel::<Option<Value>>();
        let listener = Listener::bind("127.0.0.1:0", AcceptOptions::default(), 10).await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let shared = log.clone();
        tokio::spawn(async move {
            loop {
                let connection = listener.accept().await.handshake(|_, _| true).await.unwrap();
                let (mut reader, mut writer) = connection.split();
                let Ok(Some(message)) = reader.next().await else { continue };
                let Body::Object(raw) = &message.body else { continue };
                assert_eq!(
                    raw.decode(&Limits::internal()).unwrap(),
                    Value::str("(.u.sub[`;`];`.u `i`L)"),
                    "as r.q subscribes"
                );
                Self::subscribed(&shared, &mut writer).await;
                while let Some(Some(message)) = published.recv().await {
                    writer.send_message(MessageType::Async, &message).await.unwrap();
                }
            }
        });
        Tickerplant { addr, log, out }
    }

    async fn subscribed(log: &Arc<Mutex<Log>>, writer: &mut Writer) {
        let pairs = Value::list([Value::list([Value::sym("trade"), schema().into()])]);
        let state = {
            let log = log.lock().unwrap();
            Value::list([Value::from(log.messages), Value::sym(format!(":{}", log.path.display()))])
        };
        writer.send_message(MessageType::Response, &Value::list([pairs, state])).await.unwrap();
    }

    fn publish(&self, message: Value, live: bool) {
        {
            use std::io::Write;
            let mut log = self.log.lock().unwrap();
            let mut file = std::fs::OpenOptions::new().append(true).open(&log.path).unwrap();
            file.write_all(&Raw::of(&message).0).unwrap();
            log.messages += 1;
        }
        if live {
            self.out.send(Some(message)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_once_from_log_live_and_after_a_lost_connection() {
    let dir = tempfile::tempdir().unwrap();
    let tickerplant = Tickerplant::start(dir.path()).await;
    (0..3).for_each(|n| tickerplant.publish(upd(n), false));
    let dap = start(options(&[("QMESH_TICKERPLANT", &tickerplant.addr)])).await;
    dap.wait_for_rows("trade", 6).await;
    tickerplant.publish(upd(3), true);
    dap.wait_for_rows("trade", 8).await;
    // The connection goes; rows are logged meanwhile; the subscriber comes back by itself.
    tickerplant.out.send(None).unwrap();
    tickerplant.publish(upd(4), false);
    dap.wait_for_rows("trade", 10).await;
    tickerplant.publish(upd(5), true);
    dap.wait_for_rows("trade", 12).await;
    let prices = dap.get_data(vec![("table", Value::sym("trade"))]).await;
    let prices: Vec<Value> = (0..12).map(|i| prices.column("price").unwrap().index(i)).collect();
    let expected: Vec<Value> =
        (0..6).flat_map(|n| [f64::from(n), f64::from(n) + 0.5]).map(Value::from).collect();
    assert_eq!(prices, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn end_of_day_saves_a_parted_partition() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("db");
    let tickerplant = Tickerplant::start(dir.path()).await;
    let save_dir = db.display().to_string();
    std::fs::create_dir(&db).unwrap();
    (0..3).for_each(|n| tickerplant.publish(upd(n), false));
    let dap =
        start(options(&[("QMESH_TICKERPLANT", &tickerplant.addr), ("QMESH_SAVE_DIR", &save_dir)])).await;
    dap.wait_for_rows("trade", 6).await;
    let today = kvalue::time::now().div_euclid(kvalue::time::DAY) as i32;
    let end = Value::list([Value::sym(".u.end"), Value::Atom(Atom::Date(today))]);
    tickerplant.out.send(Some(end)).unwrap();
    let partition = db.join(kvalue::time::text(&Atom::Date(today))).join("trade/.d");
    for _ in 0..500 {
        if partition.exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let saved = start(options(&[("QMESH_DB", &save_dir)])).await;
    let by_sym = saved
        .get_data(vec![
            ("table", Value::sym("trade")),
            ("groupBy", Value::syms(["sym"])),
            ("agg", Value::list([Value::syms(["n", "count", "price"]), Value::syms(["s", "sum", "price"])])),
        ])
        .await;
    assert_eq!(by_sym.column("sym"), Some(&Value::syms(["a", "b"])));
    assert_eq!(by_sym.column("n"), Some(&Vector::longs(vec![3, 3]).into()));
    assert_eq!(by_sym.column("s"), Some(&Vector::floats(vec![4.5, 3.0]).into()));
    // Nobody has said that an older tier covers the day: it is served on from memory.
    assert_eq!(dap.rows("trade").await, 6);
}
