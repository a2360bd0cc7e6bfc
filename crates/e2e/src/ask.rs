//! Clients outside the cluster: one question over REST or QIPC, or steady load whose every answer is checked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kvalue::{Dict, Value};
use qipc::net::{CallError, Client, ConnectOptions, Credentials};
use tokio::task::JoinHandle;

use crate::failure::{Failure, Outcome};
use crate::http;
use crate::world::World;

/// What a request of these tests gives the gateway, in milliseconds.
const TIMEOUT_MS: i64 = 15_000;

/// Codes and the one number of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) rc: i64,
    pub(crate) ai: String,
    /// Rows that were counted; none where the request failed.
    pub(crate) n: Option<i64>,
}

/// Count the rows of `trade` over REST.
pub(crate) fn count_by_rest(gateway: SocketAddr) -> Outcome<Counted> {
    let body = r#"{"table":"trade","agg":[["n","count","sym"]]}"#;
    let reply = http::send(gateway, "POST", "/data", &[("Content-Type", "application/json")], body)?;
    let answer = reply.json()?;
    let header = &answer["header"];
    let rc = header["rc"].as_i64().ok_or_else(|| Failure(format!("no rc in {}", reply.body)))?;
    let ai = header["ai"].as_str().unwrap_or_default().to_string();
    let payload = &answer["payload"];
    Ok(Counted { rc, ai, n: payload[0]["n"].as_i64().or_else(|| payload["n"][0].as_i64()) })
}

/// One persistent connection over QIPC.
pub(crate) struct Asker(Client);

impl Asker {
    /// Connect, once.
    pub(crate) async fn connect(gateway: SocketAddr) -> Outcome<Asker> {
        let options = ConnectOptions { connect_time: Duration::from_secs(5), ..ConnectOptions::default() };
        let credentials = Credentials::new("e2e", "");
        let client = Client::connect(&gateway.to_string(), &credentials, &options).await;
        client.map(Asker).map_err(|e| Failure(format!("{gateway}: {e}")))
    }

    /// True once the connection has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Count the rows of `trade`; the error is that of the connection.
    pub(crate) async fn count(&self) -> Result<Counted, CallError> {
        let args = Dict::of([
            ("table", Value::sym("trade")),
            ("agg", Value::list([Value::syms(["n", "count", "sym"])])),
        ]);
        let opts = Dict::of([("timeout", Value::from(TIMEOUT_MS))]);
        let answer = self.0.call(".kxi.getData", vec![args.into(), Value::sym(""), opts.into()]).await?;
        let header = answer.index(0);
        let field = |key: &str| header.as_dict().and_then(|header| header.get(key));
        let ai = field("ai").and_then(|v| v.as_text()).unwrap_or_default();
        let payload = answer.index(1);
        let column = payload.as_table().and_then(|table| table.column("n")).map(|column| column.index(0));
        Ok(Counted {
            rc: field("rc").and_then(|v| v.as_i64()).unwrap_or(-1),
            ai: String::from_utf8_lossy(&ai).into_owned(),
            n: column.and_then(|n| n.as_i64()),
        })
    }
}

/// Count over QIPC on a new connection.
pub(crate) fn count_by_qipc(world: &World, gateway: SocketAddr) -> Outcome<Counted> {
    let ask = async move {
        let asker = Asker::connect(gateway).await?;
        asker.count().await.map_err(|e| Failure(format!("{gateway}: {e}")))
    };
    // Spawned: the runtime's own threads are in the cluster's network.
    let done = world.runtime.block_on(world.runtime.spawn(ask));
    done.unwrap_or_else(|e| Err(Failure(e.to_string())))
}

/// What load has seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    /// Right answers.
    pub(crate) right: u64,
    /// Successes with another number than the right one: the worst that can happen.
    pub(crate) wrong: Vec<String>,
    /// Answers that are errors.
    pub(crate) errors: Vec<String>,
    /// Requests whose connection ended before their answer.
    pub(crate) cut: Vec<String>,
    /// Requests sent while the connection was closing: the end came at once ([`CROSSING`]), so no process had read the
    /// request, and the client asked again.
    pub(crate) crossed: Vec<String>,
    /// Longest time without a connection or an answer.
    pub(crate) longest: Duration,
}

/// A connection that ends so soon after a request was sent had been closed before the request came.
const CROSSING: Duration = Duration::from_millis(20);
/// Time for a client to see that its connection has ended.
const SETTLE: Duration = Duration::from_millis(2);

/// Clients that keep their connections, ask at a steady pace and connect again where they lose one, as a gateway that
/// stops makes them do: it answers what was sent to it and closes.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begin: `clients` connections, each with a question every `pace`, whose right answer is `rows`.
    pub(crate) fn start(
        world: &World,
        gateway: SocketAddr,
        clients: usize,
        pace: Duration,
        rows: i64,
    ) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let one = |_| {
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&seen));
            world.runtime.spawn(client(gateway, pace, rows, stop, seen))
        };
        let clients = (0..clients).map(one).collect();
        Load { stop, seen, clients }
    }

    /// What it has seen so far.
    pub(crate) fn so_far(&self) -> Seen {
        lock(&self.seen).clone()
    }

    /// Go on until `more` right answers came in from now on.
    pub(crate) fn settle(&self, more: u64) -> Outcome {
        let wanted = self.so_far().right + more;
        let start = Instant::now();
        while self.so_far().right < wanted {
            if start.elapsed() > Duration::from_secs(60) {
                return Err(Failure(format!("load does not go on: {:?}", self.so_far())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// End it: each client finishes the question it has asked.
    pub(crate) fn stop(self, world: &World) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            // Its panic would show as missing answers.
            let _ = world.runtime.block_on(client);
        }
        lock(&self.seen).clone()
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn client(
    gateway: SocketAddr,
    pace: Duration,
    rows: i64,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
) {
    let mut asker: Option<Asker> = None;
    let mut since = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let next = tokio::time::Instant::now() + pace;
        match asker.take() {
            None => match Asker::connect(gateway).await {
                Ok(connected) => {
                    asker = Some(connected);
                    continue;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            // Nothing was sent on the connection, so nothing is lost.
            Some(connected) if connected.is_closed() => continue,
            Some(connected) => {
                let sent = Instant::now();
                match connected.count().await {
                    Ok(answer) => {
                        asker = Some(connected);
                        note(&seen, answer, rows);
                    }
                    Err(error) => {
                        let after = sent.elapsed();
                        let what = format!("{error} after {after:?}");
                        match error {
                            CallError::Closed(_) if after < CROSSING => lock(&seen).crossed.push(what),
                            _ => lock(&seen).cut.push(what),
                        }
                    }
                }
                let mut seen = lock(&seen);
                seen.longest = seen.longest.max(since.elapsed());
                since = Instant::now();
            }
        }
        tokio::time::sleep_until(next).await;
        // On a busy machine the end of the connection may have come and not been seen yet.
        tokio::time::sleep(SETTLE).await;
    }
}

fn note(seen: &Mutex<Seen>, answer: Counted, rows: i64) {
    let mut seen = lock(seen);
    match answer {
        Counted { rc: 0, n: Some(n), .. } if n == rows => seen.right += 1,
        Counted { rc: 0, n, .. } => seen.wrong.push(format!("{n:?} instead of {rows}")),
        Counted { rc, ai, .. } => seen.errors.push(format!("rc {rc}: {ai}")),
    }
}
