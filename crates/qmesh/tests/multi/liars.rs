//! Data processes that lie: they register what they do not serve, never complete, or refuse for ever. Their own
//! data is missing and is said to be; the rest of the mesh serves on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use kvalue::{Dict, Sym, Value};
use link::{Handler, Identity, LinkOptions, Role, Secrets, Sender, Spread};
use sg::{
    Ac, Failure, InstanceId, LabelSet, Msg, Purview, Rc, TimeRange,
    msg::{Done, Idle, RegisterDap, Run},
    purview::{TableKind, TablePurview},
};
use tokio_util::sync::CancellationToken;

use crate::{
    ask::{Asker, counting, eventually},
    cluster::Cluster,
    data::{TRADES, sample},
    load::Load,
};

/// What it does with a portion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// nothing, for ever
    Silence,
    /// it says that it is done, and has sent nobody anything
    Done,
    /// its purview is always another than that which the portion was planned with
    Moved,
}

impl Lie {
    /// What whoever asks for its data hears.
    fn told(self) -> &'static str {
        match self {
            Lie::Silence => "liar",
            Lie::Done => "was sent by liar but never reached aggregator",
            Lie::Moved => "purviews kept moving, last by liar",
        }
    }
}

/// A data process of a source of its own that lies.
struct Liar {
    lie: Lie,
    name: Sym,
    runs: AtomicUsize,
}

impl Liar {
    fn purview(&self) -> Purview {
        let trade = TablePurview {
            name: "trade".into(),
            kind: TableKind::Partitioned,
            range: TimeRange::ALL,
            cuts: Vec::new(),
            time_column: "time".into(),
            columns: Vec::new(),
        };
        Purview {
            name: self.name.clone(),
            instance: InstanceId([9; 16]),
            epoch: 1,
            source: "lies".into(),
            assembly: Sym::null(),
            labels: LabelSet::new([("region", "nowhere")]),
            tier: "hdb".into(),
            version: 1,
            tables: vec![trade],
            apis: sg::api::builtin(),
            capacity: 1,
        }
    }

    fn done(&self, run: &Run) -> Option<Done> {
        let (rc, ac, version) = match self.lie {
            Lie::Silence => return None,
            Lie::Done => (Rc::OK, Ac::OK, 1),
            Lie::Moved => (Rc::APP_RETRY2, Ac::NOT_READY, 2),
        };
        let (corr, attempt, portion) = (run.corr, run.attempt, run.portion);
        Some(Done::of((corr, attempt, portion), version, Failure::new(rc, ac, String::new())))
    }
}

impl Handler for Liar {
    fn up(&self, link: &Sender) {
        let register = RegisterDap { available: true, purview: self.purview(), running: Vec::new() };
        let _ = link.send(register);
    }

    fn message(&self, link: &Sender, msg: Msg) {
        if let Msg::Run(run) = msg {
            self.runs.fetch_add(1, Ordering::SeqCst);
            if let Some(done) = self.done(&run) {
                let _ = link.send(done);
                let _ = link.send(Idle { epoch: 1, slots: 1 });
            }
        }
    }

    fn down(&self, _: &Sender, _: &str) {}
}

async fn beside(lie: Lie) {
    let mut cluster = Cluster::with(3, &[], &[("QMESH_LABELS", "region=here")], &sample());
    cluster.start_all();
    cluster.ready(&["rc-0", "rc-1", "rc-2", "gw-0", "agg-0", "agg-1", "da-0", "da-1", "da-2"]).await;
    let liar = Arc::new(Liar { lie, name: "liar".into(), runs: AtomicUsize::new(0) });
    let identity = Identity {
        role: Role::Da,
        name: liar.name.clone(),
        instance: InstanceId([9; 16]),
        address: "127.0.0.1:1".into(),
        secrets: Secrets::none(),
    };
    let gateway = cluster.qipc("gw-0");
    // Its own label: what the others hold is asked for without it.
    let load = Load::of(gateway, Some("here")).await;
    let stop = CancellationToken::new();
    let to = vec![cluster.qipc("rc-1").to_string()];
    let opts = LinkOptions::default();
    link::dial(to, Spread::First, Arc::new(identity), opts, liar.clone(), stop.clone());
    let asker = Asker::to(gateway).await;
    let nowhere = || Value::from(Dict::of([("region", Value::sym("nowhere"))]));
    let wanting = || vec![("table", Value::sym("trade")), ("labels", nowhere())];
    // Its data is missing, in time, and whose it is is named.
    let refused = async || {
        let since = Instant::now();
        let opts = Dict::of([("timeout", Value::from(1_500_i64))]);
        let answer = asker.call_with(".kxi.getData", wanting(), opts).await.expect("an answer");
        assert_ne!(answer.rc, 0, "it serves nothing: {answer:?}");
        assert!(since.elapsed() < Duration::from_secs(10), "{answer:?} came late");
        answer
    };
    eventually("an order to the liar", async || {
        refused().await;
        (liar.runs.load(Ordering::SeqCst) > 0).then_some(())
    })
    .await;
    // Requests go to coordinators in turn: it is the same at those that it is not registered with.
    for _ in 0..3 {
        let answer = refused().await;
        assert!(answer.ai.contains(lie.told()), "{answer:?}");
    }
    // Whoever takes what there is has the rest, and reads what is missing.
    let best = [("timeout", Value::from(5_000_i64)), ("completeness", Value::sym("best"))];
    let counted = asker.call_with(".kxi.getData", counting("trade", vec![]), Dict::of(best)).await;
    let counted = counted.expect("an answer");
    assert_eq!(counted.n(), TRADES, "{counted:?}");
    let missing = format!("{:?}", counted.header.get("missing"));
    assert!(missing.contains("nowhere"), "{missing}");
    // It is seen from outside: an explanation names it, and the metric of leases that it did not honour.
    let explained = asker.call(
        ".qmesh.explain",
        vec![("api", Value::sym(".kxi.getData")), ("args", Dict::of(wanting()).into())],
    );
    let explained = format!("{:?}", explained.await.expect("an explanation").payload);
    assert!(explained.contains("liar"), "{explained}");
    if lie == Lie::Silence {
        eventually("its lease counted as overrun", async || {
            cluster.metric("rc-1", "qmesh_rc_overruns_total").filter(|n| *n >= 1.0)
        })
        .await;
    }
    // It refuses for ever: that must not be asked for ever.
    let runs = liar.runs.load(Ordering::SeqCst);
    assert!(runs < 1_000, "{runs} orders to one that never does any");
    load.goes_on("beside the liar").await;
    stop.cancel();
    let outcome = load.end().await;
    assert!(outcome.is_clean(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_process_that_never_completes_holds_up_its_own_data_only() {
    beside(Lie::Silence).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_process_that_says_done_and_sends_nothing_is_found_out() {
    beside(Lie::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_process_whose_purview_is_never_what_it_said_is_not_asked_for_ever() {
    beside(Lie::Moved).await;
}
