//! An open-loop load: requests begin on a beat, whether earlier ones have been answered or not, and each knows
//! its right answer.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use kvalue::{Dict, Value};
use tokio::task::JoinHandle;

use crate::ask::{Asker, counting, eventually, of_sym, rows_by_symbol};

/// Time between two requests.
const BEAT: Duration = Duration::from_millis(25);

#[derive(Default)]
pub struct Tally {
    asked: AtomicUsize,
    right: AtomicUsize,
    /// errors that say to try again
    again: Mutex<Vec<String>>,
    /// connections that ended under a request
    cut: AtomicUsize,
    stop: AtomicBool,
}

/// A running load on one gateway.
pub struct Load {
    pub tally: Arc<Tally>,
    task: JoinHandle<()>,
}

/// How a load ended.
#[derive(Debug)]
pub struct Outcome {
    pub right: usize,
    pub again: Vec<String>,
    pub cut: usize,
}

impl Load {
    /// Begins once the mesh behind the gateway is whole.
    pub async fn on(gateway: SocketAddr) -> Load {
        Load::of(gateway, None).await
    }

    /// The same, for what has this label `region` alone.
    pub async fn of(gateway: SocketAddr, region: Option<&'static str>) -> Load {
        let counts = Arc::new(rows_by_symbol(gateway).await);
        let tally = Arc::new(Tally::default());
        let task = tokio::spawn(beat(gateway, region, counts, tally.clone()));
        let load = Load { tally, task };
        load.goes_on("before anything happens").await;
        load
    }

    /// Waits until more requests, begun from now on, had right answers.
    pub async fn goes_on(&self, when: &str) {
        let from = self.tally.right.load(Ordering::SeqCst);
        let enough = || (self.tally.right.load(Ordering::SeqCst) >= from + 30).then_some(());
        eventually(&format!("right answers {when}"), async || enough()).await;
    }

    /// Waits until so many more requests have begun, answered or not.
    pub async fn asks_more(&self, n: usize) {
        let enough = self.tally.asked.load(Ordering::SeqCst) + n;
        let begun = || (self.tally.asked.load(Ordering::SeqCst) >= enough).then_some(());
        eventually("more requests", async || begun()).await;
    }

    /// Begins no more requests.
    pub fn asks_no_more(&self) {
        self.tally.stop.store(true, Ordering::SeqCst);
    }

    /// Ends it when every request has had its answer.
    pub async fn end(self) -> Outcome {
        self.asks_no_more();
        self.task.await.expect("a request met what it must not");
        let t = &self.tally;
        let again = t.again.lock().expect("no panic").clone();
        let (right, cut) = (t.right.load(Ordering::SeqCst), t.cut.load(Ordering::SeqCst));
        assert_eq!(t.asked.load(Ordering::SeqCst), right + again.len() + cut, "each request has one outcome");
        Outcome { right, again, cut }
    }
}

impl Outcome {
    /// Nothing but right answers.
    pub fn is_clean(&self) -> bool {
        self.again.is_empty() && self.cut == 0
    }
}

async fn beat(
    gateway: SocketAddr,
    region: Option<&'static str>,
    counts: Arc<HashMap<String, i64>>,
    tally: Arc<Tally>,
) {
    let mut names: Vec<String> = counts.keys().cloned().collect();
    names.sort();
    let mut asker = Arc::new(Asker::to(gateway).await);
    let mut beats = tokio::time::interval(BEAT);
    let mut flying = tokio::task::JoinSet::new();
    // Cuts that a new connection has been made for.
    let mut mended = 0;
    for name in names.iter().cycle() {
        if tally.stop.load(Ordering::SeqCst) {
            break;
        }
        beats.tick().await;
        tally.asked.fetch_add(1, Ordering::SeqCst);
        let (by, counts, of, name) = (asker.clone(), counts.clone(), tally.clone(), name.clone());
        flying.spawn(async move { ask(&by, region, &counts, &of, &name).await });
        while let Some(done) = flying.try_join_next() {
            done.expect("a request met what it must not");
        }
        let cut = tally.cut.load(Ordering::SeqCst);
        if cut > mended {
            mended = cut;
            asker = Arc::new(Asker::to(gateway).await);
        }
    }
    while let Some(done) = flying.join_next().await {
        done.expect("a request met what it must not");
    }
}

async fn ask(asker: &Asker, region: Option<&str>, counts: &HashMap<String, i64>, tally: &Tally, name: &str) {
    let again = |why: String| tally.again.lock().expect("no panic").push(why);
    let labels = region.map(|r| ("labels", Value::from(Dict::of([("region", Value::sym(r))]))));
    let more = [of_sym(name)].into_iter().chain(labels).collect();
    match asker.call(".kxi.getData", counting("trade", more)).await {
        Ok(answer) if answer.rc == 0 => {
            assert_eq!(answer.n(), counts[name], "{name}");
            tally.right.fetch_add(1, Ordering::SeqCst);
        }
        Ok(answer) => {
            assert!(answer.is_retryable(), "{answer:?}");
            again(answer.ai);
        }
        Err(qipc::net::CallError::Remote(error)) => {
            assert!(error.to_string().contains("No Resource Coordinator"), "{error}");
            again(error.to_string());
        }
        Err(qipc::net::CallError::Closed(_)) => _ = tally.cut.fetch_add(1, Ordering::SeqCst),
        Err(error) => panic!("{error}"),
    }
}
