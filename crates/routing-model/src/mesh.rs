//! A trace played to real routers joined by links with a delay.
//!
//! The environment is as simple as possible: data processes and the one aggregator answer without delay, so that the
//! waits measured are those of the protocol between coordinators.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Instant,
};

use kvalue::{Sym, Value};
use qipc::Raw;
use routing::{Action, Event, Nanos, PeerId, PeerRole, Router, SECOND, Settings};
use sg::{
    Ac, Api, Corr, Failure, InstanceId, LabelSet, Msg, PortionId, Purview, Rc, TimeRange,
    msg::{Answered, Done, Got, Idle, RegisterAgg, RegisterDap, Request, Run},
    purview::{TableKind, TablePurview},
};

use crate::{
    setup::Setup,
    trace::{Outcome, Trace},
};

const GW: PeerId = PeerId(1);
const AGG: PeerId = PeerId(2);
const RCS: u64 = 10;
const DAPS: u64 = 1_000;

/// Bytes of a message before its object.
const HEADER: usize = 8;

/// The API that all call; its partials are rows.
const API: &str = ".model.work";

#[derive(Debug, Clone, PartialEq)]
enum What {
    Arrive(usize),
    /// from one coordinator to another
    Deliver(usize, usize, Box<Msg>),
    /// a run of a replica ends, if still current
    End(usize, u64),
    Tick(usize),
}

#[derive(Debug)]
struct Running {
    number: u64,
    request: usize,
    attempt: i32,
    portion: PortionId,
}

/// Routers, replicas and what is on the way.
pub struct Mesh<'a> {
    setup: &'a Setup,
    trace: &'a Trace,
    /// the coordinators
    pub routers: Vec<Router>,
    /// look at every invariant after every event: slow
    pub checked: bool,
    /// measure the real time that coordinators work, the encoding of what they tell each other included
    pub timed: bool,
    now: Nanos,
    events: BinaryHeap<Reverse<(Nanos, u64)>>,
    what: HashMap<u64, What>,
    next: u64,
    armed: Vec<Nanos>,
    replicas: Vec<Option<Running>>,
    starts: Vec<usize>,
    out: Outcome,
    users: Vec<Sym>,
}

impl<'a> Mesh<'a> {
    /// Coordinators that know each other and their replicas.
    pub fn new(setup: &'a Setup, trace: &'a Trace, settings: &Settings) -> Mesh<'a> {
        let named = |i: usize| Settings { name: format!("rc-{i}").into(), settle: 0, ..settings.clone() };
        let n = trace.0.len();
        let mut mesh = Mesh {
            setup,
            trace,
            routers: (0..setup.rcs).map(|i| Router::new(named(i), InstanceId([i as u8; 16]), 0)).collect(),
            checked: false,
            timed: false,
            now: 0,
            events: BinaryHeap::new(),
            what: HashMap::new(),
            next: 0,
            armed: vec![Nanos::MAX; setup.rcs],
            replicas: (0..setup.all_replicas()).map(|_| None).collect(),
            starts: vec![0; n],
            out: Outcome { waits: vec![0; n], times: vec![0; n], ..Outcome::default() },
            users: setup.users.iter().map(|u| u.name.as_str().into()).collect(),
        };
        for rc in 0..setup.rcs {
            mesh.up(rc, GW, PeerRole::Gw, "gw".into(), 0);
            mesh.up(rc, AGG, PeerRole::Agg, "agg".into(), 0);
            let agg_fns = vec![Api::from_value(&Value::sym(sg::api::AGG_RAZE)).unwrap_or_else(|| api(true))];
            mesh.say(rc, AGG, RegisterAgg { agg_fns, outstanding: 0 });
        }
        for rc in 0..setup.rcs {
            for other in (0..setup.rcs).filter(|o| *o != rc) {
                mesh.up(
                    rc,
                    PeerId(RCS + other as u64),
                    PeerRole::Rc,
                    format!("rc-{other}").into(),
                    other as u8 + 1,
                );
            }
        }
        for replica in 0..setup.all_replicas() {
            let (rc, peer) = (replica / setup.replicas, PeerId(DAPS + replica as u64));
            mesh.up(rc, peer, PeerRole::Dap, format!("dap-{replica}").into(), 0);
            let purview = purview(replica, setup.safe);
            mesh.say(rc, peer, RegisterDap { available: true, purview, running: Vec::new() });
        }
        mesh.settle();
        mesh
    }

    /// Delivers what is on the way, without arrivals.
    fn settle(&mut self) {
        let until = self.now + SECOND / 10;
        while self.events.peek().is_some_and(|Reverse((at, _))| *at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// Plays the trace to its end.
    pub fn run(mut self) -> Outcome {
        let began = self.now;
        for i in 0..self.trace.0.len() {
            self.at(began + self.trace.0[i].at, What::Arrive(i));
        }
        let mut left = self.trace.0.len();
        while left > 0 && !self.events.is_empty() {
            left -= self.step();
        }
        self.out.until = self.now - began;
        self.out.extra_starts = self.starts.iter().map(|n| n.saturating_sub(1)).sum();
        self.out
    }

    fn at(&mut self, at: Nanos, what: What) {
        self.next += 1;
        self.what.insert(self.next, what);
        self.events.push(Reverse((at, self.next)));
    }

    /// Number of requests that ended.
    fn step(&mut self) -> usize {
        let Some(Reverse((at, id))) = self.events.pop() else { return 0 };
        self.now = at;
        match self.what.remove(&id) {
            Some(What::Arrive(i)) => self.arrive(i),
            Some(What::Deliver(from, to, msg)) => {
                let msg = if self.timed { self.by_wire(&msg) } else { *msg };
                self.say(to, PeerId(RCS + from as u64), msg);
            }
            Some(What::End(replica, number)) => return self.end(replica, number, Rc::OK),
            Some(What::Tick(rc)) => {
                self.armed[rc] = Nanos::MAX;
                self.handle(rc, Event::Tick);
            }
            None => {}
        }
        0
    }

    fn arrive(&mut self, i: usize) {
        let arrival = &self.trace.0[i];
        let request = Request {
            corr: corr(i),
            attempt: 0,
            left: (100_000 * SECOND) as i64,
            api: API.into(),
            user: self.users[arrival.user].clone(),
            opts: sg::args::encode::<&str>([]),
            args: sg::args::encode([("table", Value::sym("trade"))]),
        };
        self.say(arrival.rc, GW, request);
    }

    fn up(&mut self, rc: usize, peer: PeerId, role: PeerRole, name: Sym, instance: u8) {
        let address = format!("{name}:1").into();
        self.handle(rc, Event::Up { peer, role, name, instance: InstanceId([instance; 16]), address });
    }

    fn say(&mut self, rc: usize, peer: PeerId, msg: impl Into<Msg>) {
        self.handle(rc, Event::Message { peer, msg: msg.into() });
    }

    /// What comes of a message that is encoded and decoded.
    fn by_wire(&mut self, msg: &Msg) -> Msg {
        let began = Instant::now();
        let object = msg.to_frame().to_bytes().slice(HEADER..);
        let back = Msg::decode(&Raw(object));
        self.out.busy += began.elapsed().as_nanos() as Nanos;
        back.unwrap_or_else(|e| panic!("{msg:?} does not come back: {e}"))
    }

    fn handle(&mut self, rc: usize, event: Event) {
        let began = self.timed.then(Instant::now);
        self.routers[rc].handle(event, self.now);
        let actions: Vec<Action> = self.routers[rc].drain().collect();
        self.out.busy += began.map_or(0, |began| began.elapsed().as_nanos() as Nanos);
        for action in actions {
            if let Action::Send { to, msg } = action {
                self.sent(rc, to, msg);
            }
        }
        if self.checked {
            self.routers[rc].check_invariants();
        }
        let due = self.routers[rc].next_wakeup().unwrap_or(Nanos::MAX);
        if due < self.armed[rc] {
            self.armed[rc] = due;
            self.at(due.max(self.now), What::Tick(rc));
        }
    }

    fn sent(&mut self, rc: usize, to: PeerId, msg: Msg) {
        if (RCS..RCS + self.setup.rcs as u64).contains(&to.0) {
            *self.out.messages.entry(msg.name()).or_default() += 1;
            let (to, at) = ((to.0 - RCS) as usize, self.now + self.setup.round_trip / 2);
            return self.at(at, What::Deliver(rc, to, Box::new(msg)));
        }
        let replica = to.0.checked_sub(DAPS).map(|r| r as usize);
        match (replica, msg) {
            (Some(replica), Msg::Run(run)) => self.start(replica, &run),
            (Some(replica), Msg::CancelRun(m)) => {
                let running = self.replicas[replica].as_ref();
                let number = running.filter(|r| corr(r.request) == m.corr).map(|r| r.number);
                if let Some(number) = number {
                    self.end(replica, number, Rc::CANCELLED);
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, replica: usize, run: &Run) {
        let request = number(run.corr);
        let arrival = &self.trace.0[request];
        let arrived = self.arrived(request);
        if self.starts[request] == 0 {
            self.out.waits[request] = self.now - arrived;
        }
        self.starts[request] += 1;
        let runs = (arrival.service as f64 * self.setup.slowness(replica)) as Nanos;
        self.next += 1;
        let number = self.next;
        assert!(self.replicas[replica].is_none(), "replica {replica} was given two portions at a time");
        self.replicas[replica] =
            Some(Running { number, request, attempt: run.attempt, portion: run.portion });
        self.at(self.now + runs, What::End(replica, number));
    }

    fn arrived(&self, request: usize) -> Nanos {
        SECOND / 10 + self.trace.0[request].at
    }

    fn end(&mut self, replica: usize, number: u64, rc: Rc) -> usize {
        let Some(running) = self.replicas[replica].take_if(|r| r.number == number) else { return 0 };
        let Running { request, attempt, portion, .. } = running;
        let (corr, owner, dap) =
            (corr(request), replica / self.setup.replicas, PeerId(DAPS + replica as u64));
        let first = rc == Rc::OK && self.out.times[request] == 0;
        if first {
            self.out.times[request] = (self.now - self.arrived(request)).max(1);
            let primary = self.trace.0[request].rc;
            self.say(primary, AGG, Got { corr, attempt, portion });
            self.say(
                primary,
                GW,
                Answered { corr, attempt, rc: Rc::OK, ai: String::new(), took: 0, bytes: 0 },
            );
        }
        let ac = if rc == Rc::OK { Ac::OK } else { Ac::CANCELLED };
        self.say(owner, dap, Done::of((corr, attempt, portion), 1, Failure::new(rc, ac, String::new())));
        self.say(owner, dap, Idle { epoch: 1, slots: 1 });
        usize::from(first)
    }
}

fn corr(request: usize) -> Corr {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(request as u64).to_be_bytes());
    Corr(bytes)
}

fn number(corr: Corr) -> usize {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&corr.0[..8]);
    u64::from_be_bytes(bytes) as usize
}

fn api(safe: bool) -> Api {
    Api {
        name: API.into(),
        description: String::new(),
        params: Vec::new(),
        returns: 98,
        agg_fn: sg::api::AGG_RAZE.into(),
        safe,
        custom: true,
    }
}

fn purview(replica: usize, safe: bool) -> Purview {
    Purview {
        name: format!("dap-{replica}").into(),
        instance: InstanceId([1; 16]),
        epoch: 1,
        source: "source".into(),
        assembly: Sym::null(),
        labels: LabelSet::default(),
        tier: "hdb".into(),
        version: 1,
        tables: vec![TablePurview {
            name: "trade".into(),
            kind: TableKind::Partitioned,
            range: TimeRange::ALL,
            cuts: Vec::new(),
            time_column: Sym::null(),
            columns: Vec::new(),
        }],
        apis: vec![api(safe)],
        capacity: 1,
    }
}
