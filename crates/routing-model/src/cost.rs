//! What a decision of the router costs on this machine: real time, the best of many, for rows of the
//! performance page. That it does not grow with what is known is tested in `routing/tests/scale.rs`.

use std::time::Instant;

use kvalue::{Dict, Sym, Value};
use routing::{Action, Event, MILLI, PeerId, PeerRole, Router, SECOND, Settings};
use sg::{
    Ac, Api, Corr, Failure, InstanceId, LabelSet, Msg, Purview, Rc, TimeRange,
    msg::{Cancel, Done, Idle, RegisterAgg, RegisterDap, Request, Run},
    purview::{TableKind, TablePurview},
};

use crate::rows::Row;

const GW: PeerId = PeerId(1);
const AGG: PeerId = PeerId(2);
const DAPS: u64 = 10;

fn say(router: &mut Router, peer: PeerId, msg: impl Into<Msg>) {
    router.handle(Event::Message { peer, msg: msg.into() }, MILLI);
    router.drain();
}

fn mesh(label_sets: u64, replicas: u64) -> Router {
    let settings = Settings { max_queued: 200_000, max_requests: 200_000, settle: 0, ..Settings::default() };
    let mut router = Router::new(settings, InstanceId([0; 16]), 0);
    let up = |router: &mut Router, peer: PeerId, role| {
        let name = Sym::new(format!("p{}", peer.0));
        let event =
            Event::Up { peer, role, name: name.clone(), instance: InstanceId([0; 16]), address: name };
        router.handle(event, 0);
    };
    up(&mut router, GW, PeerRole::Gw);
    up(&mut router, AGG, PeerRole::Agg);
    let agg_fns = Api::from_value(&Value::sym(sg::api::AGG_GET_DATA)).into_iter().collect();
    say(&mut router, AGG, RegisterAgg { agg_fns, outstanding: 0 });
    for n in 0..label_sets * replicas {
        let (set, peer) = (n / replicas, PeerId(DAPS + n));
        up(&mut router, peer, PeerRole::Dap);
        let table = TablePurview {
            name: "trade".into(),
            kind: TableKind::Partitioned,
            range: TimeRange::ALL,
            cuts: Vec::new(),
            time_column: Sym::null(),
            columns: Vec::new(),
        };
        let purview = Purview {
            name: format!("dap-{n}").into(),
            instance: InstanceId([0; 16]),
            epoch: 1,
            source: format!("s{set}").into(),
            assembly: Sym::null(),
            labels: LabelSet::new([("set", format!("v{set}"))]),
            tier: "hdb".into(),
            version: 1,
            tables: vec![table],
            apis: sg::api::builtin(),
            capacity: 1,
        };
        say(&mut router, peer, RegisterDap { available: true, purview, running: Vec::new() });
    }
    router
}

fn request(set: Option<&str>) -> Request {
    let labels = set.map(|set| ("labels", Dict::of([("set", Value::sym(set))]).into()));
    Request {
        corr: Corr::random(),
        attempt: 0,
        left: (60 * SECOND) as i64,
        api: sg::api::GET_DATA.into(),
        user: "ann".into(),
        opts: sg::args::encode::<&str>([]),
        args: sg::args::encode([("table", Value::sym("trade"))].into_iter().chain(labels)),
    }
}

fn runs(router: &mut Router) -> Vec<(PeerId, Run)> {
    let sent = router.drain().filter_map(|action| match action {
        Action::Send { to, msg: Msg::Run(run) } => Some((to, run)),
        _ => None,
    });
    sent.collect()
}

fn free(router: &mut Router, dap: PeerId, run: &Run, rc: Rc) {
    let (corr, attempt, portion) = (run.corr, run.attempt, run.portion);
    say(router, dap, Done::of((corr, attempt, portion), 1, Failure::new(rc, Ac::OK, String::new())));
}

/// Planning and starting a request, microseconds: of one label set, and of all.
fn planning(label_sets: u64, replicas: u64, set: Option<&str>) -> f64 {
    let mut router = mesh(label_sets, replicas);
    let mut best = f64::MAX;
    for _ in 0..300 {
        let request = request(set);
        let corr = request.corr;
        let began = Instant::now();
        router.handle(Event::Message { peer: GW, msg: request.into() }, MILLI);
        best = best.min(began.elapsed().as_secs_f64() * 1e6);
        let runs = runs(&mut router);
        say(&mut router, GW, Cancel { corr, attempt: 0 });
        for (dap, run) in runs {
            free(&mut router, dap, &run, Rc::CANCELLED);
            say(&mut router, dap, Idle { epoch: 1, slots: 1 });
        }
    }
    best
}

/// With this many waiting: a dispatch decision in microseconds, and bytes for each of them.
fn queue(waiting: usize) -> (f64, f64) {
    let mut router = mesh(1, 1);
    let dap = PeerId(DAPS);
    router.handle(Event::Message { peer: GW, msg: request(Some("v0")).into() }, MILLI);
    let Some((_, mut run)) = runs(&mut router).pop() else { return (f64::MAX, f64::MAX) };
    let before = resident();
    for _ in 0..waiting {
        say(&mut router, GW, request(Some("v0")));
    }
    let bytes = resident().saturating_sub(before) as f64 / waiting.max(1) as f64;
    let mut best = f64::MAX;
    for _ in 0..100 {
        free(&mut router, dap, &run, Rc::OK);
        let idle = Msg::from(Idle { epoch: 1, slots: 1 });
        let began = Instant::now();
        router.handle(Event::Message { peer: dap, msg: idle }, MILLI);
        best = best.min(began.elapsed().as_secs_f64() * 1e6);
        match runs(&mut router).pop() {
            Some((_, next)) => run = next,
            None => return (f64::MAX, bytes),
        }
    }
    (best, bytes)
}

/// Bytes that this process has in memory; 0 where the system does not say.
fn resident() -> usize {
    const PAGE: usize = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * PAGE
}

/// The costs that the design bounds.
pub fn rows() -> Vec<Row> {
    let row = |what: &str, measured: f64, bound: f64, unit| Row {
        what: what.into(),
        measured,
        baseline: bound,
        bound,
        at_most: true,
        unit,
    };
    let (decision, bytes) = queue(100_000);
    vec![
        row(
            "plan and start a request for 1 of 100 label sets, 1,000 DAPs",
            planning(100, 10, Some("v7")),
            100.0,
            "µs",
        ),
        row(
            "plan and start a request for all 100 label sets, 1,000 DAPs",
            planning(100, 10, None),
            100.0,
            "µs",
        ),
        row("dispatch decision with 100,000 portions waiting", decision, 5.0, "µs"),
        row("memory of a waiting portion, its request included", bytes, 1024.0, "bytes"),
    ]
}
