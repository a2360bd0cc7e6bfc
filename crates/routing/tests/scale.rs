//! The cost of a decision does not grow with what is known or waits: only with what is chosen.
//!
//! Times are compared with each other in one run, the best of many, so that a busy machine changes little.

use std::time::Instant;

use kvalue::{Dict, Sym, Value};
use routing::{Event, MILLI, PeerId, PeerRole, Router, SECOND, Settings};
use sg::{
    Ac, Api, Corr, Failure, InstanceId, LabelSet, Msg, Purview, Rc, TimeRange,
    msg::{Cancel, Done, Idle, RegisterAgg, RegisterDap, Request},
    purview::{TableKind, TablePurview},
};

const GW: PeerId = PeerId(1);
const AGG: PeerId = PeerId(2);

fn up(router: &mut Router, peer: PeerId, role: PeerRole) {
    let name = Sym::new(format!("p{}", peer.0));
    let event = Event::Up { peer, role, name: name.clone(), instance: InstanceId([0; 16]), address: name };
    router.handle(event, 0);
}

fn say(router: &mut Router, peer: PeerId, msg: impl Into<Msg>) {
    router.handle(Event::Message { peer, msg: msg.into() }, MILLI);
    router.drain();
}

/// `label_sets` times `replicas` DAPs.
fn mesh(label_sets: u64, replicas: u64) -> Router {
    let mut router = Router::new(
        Settings { max_queued: 200_000, max_requests: 200_000, ..Settings::default() },
        InstanceId([0; 16]),
        0,
    );
    up(&mut router, GW, PeerRole::Gw);
    up(&mut router, AGG, PeerRole::Agg);
    let agg_fns = vec![Api::from_value(&Value::sym(sg::api::AGG_GET_DATA)).unwrap()];
    say(&mut router, AGG, RegisterAgg { agg_fns, outstanding: 0 });
    for set in 0..label_sets {
        for replica in 0..replicas {
            let peer = PeerId(10 + set * replicas + replica);
            up(&mut router, peer, PeerRole::Dap);
            let purview = Purview {
                name: format!("dap-{set}-{replica}").into(),
                instance: InstanceId([0; 16]),
                epoch: 1,
                source: format!("s{set}").into(),
                assembly: Sym::null(),
                labels: LabelSet::new([("set", format!("v{set}"))]),
                tier: "hdb".into(),
                version: 1,
                tables: vec![TablePurview {
                    name: "trade".into(),
                    kind: TableKind::Partitioned,
                    range: TimeRange::new(0, 1_000).unwrap(),
                    cuts: vec![],
                    time_column: Sym::null(),
                    columns: vec![],
                }],
                apis: sg::api::builtin(),
                capacity: 1,
            };
            say(&mut router, peer, RegisterDap { available: true, purview, running: vec![] });
        }
    }
    assert_eq!(router.stats().daps as u64, label_sets * replicas);
    router
}

fn request(corr: Corr, set: &str) -> Request {
    let args = [("table", Value::sym("trade")), ("labels", Dict::of([("set", Value::sym(set))]).into())];
    Request {
        corr,
        attempt: 0,
        left: (60 * SECOND) as i64,
        api: sg::api::GET_DATA.into(),
        user: Sym::null(),
        opts: sg::args::encode::<&str>([]),
        args: sg::args::encode(args),
    }
}

/// Best time of planning one request for one label set, nanoseconds. The replica it got is freed again.
fn planning(router: &mut Router) -> u128 {
    let mut best = u128::MAX;
    for _ in 0..300 {
        let corr = Corr::random();
        let request = request(corr, "v0");
        let began = Instant::now();
        router.handle(Event::Message { peer: GW, msg: request.into() }, MILLI);
        best = best.min(began.elapsed().as_nanos());
        let ran = router.drain().find_map(|a| match a {
            routing::Action::Send { to, msg: Msg::Run(run) } => Some((to, run)),
            _ => None,
        });
        let (dap, run) = ran.expect("a replica is idle");
        say(router, GW, Cancel { corr, attempt: 0 });
        let (attempt, portion) = (run.attempt, run.portion);
        let cancelled = (Rc::CANCELLED, Ac::CANCELLED);
        say(
            router,
            dap,
            Done::of((corr, attempt, portion), 1, Failure::new(cancelled.0, cancelled.1, String::new())),
        );
        say(router, dap, Idle { epoch: 1, slots: 1 });
    }
    best
}

#[test]
fn planning_costs_what_is_chosen_not_what_is_known() {
    let few = planning(&mut mesh(1, 10));
    let many = planning(&mut mesh(100, 10));
    eprintln!("planning one label set: {few} ns of 10 DAPs, {many} ns of 1,000");
    assert!(many < few * 4, "{few} ns among 10 DAPs, {many} ns among 1,000");
}

/// What was dispatched by the last event.
fn dispatched(router: &mut Router) -> sg::msg::Run {
    let ran = router.drain().find_map(|a| match a {
        routing::Action::Send { msg: Msg::Run(run), .. } => Some(run),
        _ => None,
    });
    ran.expect("a portion was dispatched")
}

#[test]
fn a_dispatch_decision_does_not_grow_with_the_queue() {
    let decide = |waiting: usize| {
        let mut router = mesh(1, 1);
        let dap = PeerId(10);
        router.handle(Event::Message { peer: GW, msg: request(Corr::random(), "v0").into() }, MILLI);
        let mut run = dispatched(&mut router);
        for _ in 0..waiting {
            say(&mut router, GW, request(Corr::random(), "v0"));
        }
        assert_eq!(router.stats().queued, waiting);
        let mut best = u128::MAX;
        for _ in 0..50 {
            let (corr, attempt, portion) = (run.corr, run.attempt, run.portion);
            let (rc, ac, ai) = (Rc::OK, Ac::OK, String::new());
            say(&mut router, dap, Done::of((corr, attempt, portion), 1, Failure::new(rc, ac, ai)));
            let idle = Msg::from(Idle { epoch: 1, slots: 1 });
            let began = Instant::now();
            router.handle(Event::Message { peer: dap, msg: idle }, MILLI);
            best = best.min(began.elapsed().as_nanos());
            run = dispatched(&mut router);
        }
        assert_eq!(router.stats().queued, waiting - 50);
        best
    };
    let (few, many) = (decide(100), decide(50_000));
    eprintln!("dispatch: {few} ns with 100 waiting, {many} ns with 50,000");
    assert!(many < few * 4 + 5_000, "{few} ns with 100 waiting, {many} ns with 50,000");
}
