//! A router with peers that say what a test tells them to.

use kvalue::{Dict, Sym, Value};
use routing::{Action, Event, MILLI, Nanos, PeerId, PeerRole, Router, Settings};
use sg::{
    Ac, Api, Corr, Failure, InstanceId, LabelSet, Msg, Purview, Rc, TimeRange,
    msg::{Answer, Answered, Done, Got, Idle, Plan, RegisterAgg, RegisterDap, Request, Run, UpdateDap},
    purview::{TableKind, TablePurview},
};

pub(crate) struct Mesh {
    pub(crate) router: Router,
    pub(crate) now: Nanos,
    next: u64,
    /// everything sent, in order
    pub(crate) sent: Vec<(PeerId, Msg)>,
    pub(crate) refused: Vec<(PeerId, String)>,
    /// Aggs of peers that links were asked for
    pub(crate) dialled: Vec<Sym>,
    pub(crate) user: Sym,
    pub(crate) gw: PeerId,
    pub(crate) agg: PeerId,
}

/// Time that requests have.
pub(crate) const LEFT: Nanos = 10_000 * MILLI;

/// A purview of one partitioned table `trade`.
pub(crate) fn purview(name: &str, labels: &str, tier: &str, start: i64, end: i64) -> Purview {
    Purview {
        name: name.into(),
        instance: InstanceId([1; 16]),
        epoch: 1,
        source: format!("{tier} of {labels} from {start}").into(),
        assembly: Sym::null(),
        labels: LabelSet::parse(labels).unwrap(),
        tier: tier.into(),
        version: 1,
        tables: vec![table("trade", TableKind::Partitioned, start, end)],
        apis: sg::api::builtin(),
        capacity: 1,
    }
}

pub(crate) fn table(name: &str, kind: TableKind, start: i64, end: i64) -> TablePurview {
    TablePurview {
        name: name.into(),
        kind,
        range: range(start, end),
        cuts: Vec::new(),
        time_column: Sym::null(),
        columns: Vec::new(),
    }
}

pub(crate) fn range(start: i64, end: i64) -> TimeRange {
    TimeRange::new(start, end).unwrap()
}

/// An API that is not registered as safe.
pub(crate) const UNSAFE: &str = ".custom.once";

pub(crate) fn with_unsafe(mut purview: Purview) -> Purview {
    purview.apis.push(Api::from_value(&Value::sym(UNSAFE)).unwrap());
    purview
}

impl Mesh {
    /// A router, a gateway and an aggregator.
    pub(crate) fn new() -> Mesh {
        Mesh::with(Settings { settle: 0, ..Settings::default() })
    }

    pub(crate) fn with(settings: Settings) -> Mesh {
        Mesh::starts_at(1_000, settings)
    }

    /// One whose clock shows this when it starts.
    pub(crate) fn starts_at(now: Nanos, settings: Settings) -> Mesh {
        let mut mesh = Mesh {
            router: Router::new(settings, InstanceId([99; 16]), now),
            now,
            next: 0,
            sent: Vec::new(),
            refused: Vec::new(),
            dialled: Vec::new(),
            user: "ann".into(),
            gw: PeerId(0),
            agg: PeerId(0),
        };
        mesh.gw = mesh.up(PeerRole::Gw, "gw", 0);
        mesh.agg = mesh.new_agg("agg-0");
        mesh
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.router.handle(event, self.now);
        for action in self.router.drain() {
            match action {
                Action::Send { to, msg } => self.sent.push((to, msg)),
                Action::Refuse { peer, why } => self.refused.push((peer, why)),
                Action::Dial { address, .. } => self.dialled.push(address),
                Action::Undial { address } => self.dialled.retain(|a| *a != address),
                Action::Note(_) => {}
            }
        }
        self.router.check_invariants();
    }

    pub(crate) fn say(&mut self, peer: PeerId, msg: impl Into<Msg>) {
        self.event(Event::Message { peer, msg: msg.into() });
    }

    pub(crate) fn up(&mut self, role: PeerRole, name: &str, instance: u8) -> PeerId {
        self.next += 1;
        let peer = PeerId(self.next);
        let (name, instance) = (Sym::new(name), InstanceId([instance; 16]));
        self.event(Event::Up { peer, role, address: format!("{name}:1").into(), name, instance });
        peer
    }

    pub(crate) fn down(&mut self, peer: PeerId) {
        self.event(Event::Down { peer });
    }

    pub(crate) fn pass(&mut self, time: Nanos) {
        self.now += time;
        self.event(Event::Tick);
    }

    pub(crate) fn new_agg(&mut self, name: &str) -> PeerId {
        let peer = self.up(PeerRole::Agg, name, 0);
        let names = [sg::api::AGG_RAZE, sg::api::AGG_GET_DATA, sg::api::AGG_PREVIEW];
        let agg_fns = names.iter().map(|n| Api::from_value(&Value::sym(n)).unwrap()).collect();
        self.say(peer, RegisterAgg { agg_fns, outstanding: 0 });
        peer
    }

    pub(crate) fn dap(&mut self, purview: Purview) -> PeerId {
        let peer = self.up(PeerRole::Dap, &purview.name.text(), purview.instance.0[0]);
        self.say(peer, RegisterDap { available: true, purview, running: Vec::new() });
        peer
    }

    pub(crate) fn update(&mut self, peer: PeerId, purview: Purview) {
        self.say(peer, UpdateDap { available: true, purview });
    }

    /// A getData of `trade` with these further arguments.
    pub(crate) fn get(&mut self, args: Vec<(&str, Value)>) -> Corr {
        let mut all = vec![("table", Value::sym("trade"))];
        all.extend(args);
        self.ask(sg::api::GET_DATA, all, vec![])
    }

    pub(crate) fn ask(&mut self, api: &str, args: Vec<(&str, Value)>, opts: Vec<(&str, Value)>) -> Corr {
        let corr = Corr::random();
        self.request(corr, 0, api, args, opts);
        corr
    }

    pub(crate) fn request(
        &mut self,
        corr: Corr,
        attempt: i32,
        api: &str,
        args: Vec<(&str, Value)>,
        opts: Vec<(&str, Value)>,
    ) {
        let gw = self.gw;
        let request = Request {
            corr,
            attempt,
            left: LEFT as i64,
            api: api.into(),
            user: self.user.clone(),
            opts: sg::args::encode(opts),
            args: sg::args::encode(args),
        };
        self.say(gw, request);
    }

    // ---- what was sent ----------------------------------------------------------------------------------

    pub(crate) fn runs(&self, corr: Corr) -> Vec<(PeerId, Run)> {
        let runs = self.sent.iter().filter_map(|(to, msg)| match msg {
            Msg::Run(run) if run.corr == corr => Some((*to, run.clone())),
            _ => None,
        });
        runs.collect()
    }

    pub(crate) fn plans(&self, corr: Corr) -> Vec<Plan> {
        let plans = self.sent.iter().filter_map(|(_, msg)| match msg {
            Msg::Plan(plan) if plan.corr == corr => Some(plan.clone()),
            _ => None,
        });
        plans.collect()
    }

    pub(crate) fn answers(&self, corr: Corr) -> Vec<Answer> {
        let answers = self.sent.iter().filter_map(|(_, msg)| match msg {
            Msg::Answer(answer) if answer.corr == corr => Some(answer.clone()),
            _ => None,
        });
        answers.collect()
    }

    /// The one failure that was answered.
    pub(crate) fn failure(&self, corr: Corr) -> (i16, i16, String) {
        match &self.answers(corr)[..] {
            [one] => (one.rc.0, one.ac.0, one.ai.clone()),
            other => panic!("one answer expected, got {other:?}"),
        }
    }

    pub(crate) fn said(&self, name: &str) -> Vec<&(PeerId, Msg)> {
        self.sent.iter().filter(|(_, msg)| msg.name() == name).collect()
    }

    /// The only portions of requests, which bring the plan with them, and whom they were given to.
    pub(crate) fn lone(&self, corr: Corr) -> Vec<(PeerId, Run)> {
        self.runs(corr).into_iter().filter(|(_, run)| run.lone.is_some()).collect()
    }

    /// Portions of a request as it was planned, as (labels, start, end), times beyond 10^6 shown as such.
    pub(crate) fn portions(&mut self, corr: Corr) -> Vec<(String, i64, i64)> {
        let short = |labels: &LabelSet, start: i64, end: i64| {
            (labels.to_string(), start.clamp(-1_000_000, 1_000_000), end.clamp(-1_000_000, 1_000_000))
        };
        if let Some(plan) = self.plans(corr).first() {
            let portions = plan.portions.iter();
            return portions.map(|p| short(&p.labels, p.range.start(), p.range.end())).collect();
        }
        if let Some((_, run)) = self.lone(corr).first() {
            return vec![short(&run.labels, run.range.start(), run.range.end())];
        }
        // The only one, which waits: nobody was told of it yet.
        let rows = self.legs(corr);
        let of = |column: &str, row: usize| rows.column(column).unwrap().index(row);
        let waits = |row: &usize| of("leg", *row).as_name().unwrap() == "rc-dap";
        let portion = |row| {
            let labels = LabelSet::from_value(&of("labels", row)).unwrap();
            short(&labels, of("startTS", row).as_i64().unwrap(), of("endTS", row).as_i64().unwrap())
        };
        (0..rows.len()).filter(waits).map(portion).collect()
    }

    /// `.qmesh.explain` of a request.
    pub(crate) fn explained(&mut self, corr: Corr) -> Value {
        let asked =
            self.ask(".qmesh.explain", vec![("corr", Value::Atom(kvalue::Atom::Guid(corr.0)))], vec![]);
        let answer = self.answers(asked).remove(0);
        assert_eq!(answer.rc, Rc::OK, "{}", answer.ai);
        qipc::decode(answer.payload.into_bytes(), &qipc::Limits::client()).unwrap()
    }

    /// The legs of an explanation.
    pub(crate) fn legs(&mut self, corr: Corr) -> kvalue::Table {
        self.explained(corr).as_dict().unwrap().get("legs").unwrap().as_table().unwrap().clone()
    }

    // ---- what peers say ---------------------------------------------------------------------------------

    pub(crate) fn done(&mut self, dap: PeerId, run: &Run, rc: Rc, version: i64) {
        let Run { corr, attempt, portion, .. } = *run;
        let ac = if rc == Rc::OK { Ac::OK } else { Ac::DATA };
        let ai = if rc == Rc::OK { String::new() } else { "column price is torn".into() };
        self.say(
            dap,
            Done {
                took: 3_000_000,
                bytes: 70,
                ..Done::of((corr, attempt, portion), version, Failure::new(rc, ac, ai))
            },
        );
    }

    pub(crate) fn idle(&mut self, dap: PeerId, run: &Run) {
        self.say(dap, Idle { epoch: run.epoch, slots: 1 });
    }

    pub(crate) fn got(&mut self, run: &Run) {
        let Run { corr, attempt, portion, .. } = *run;
        let agg = self.agg;
        self.say(agg, Got { corr, attempt, portion });
    }

    /// The answer is at the gateway.
    pub(crate) fn answered(&mut self, run: &Run) {
        let Run { corr, attempt, .. } = *run;
        let gw = self.gw;
        self.say(gw, Answered { corr, attempt, rc: Rc::OK, ai: String::new(), took: 9_000_000, bytes: 50 });
    }

    /// A portion goes its way to custody.
    pub(crate) fn complete(&mut self, dap: PeerId, run: &Run) {
        self.done(dap, run, Rc::OK, run.version);
        self.idle(dap, run);
        self.got(run);
    }
}

pub(crate) fn labels(pairs: Vec<(&str, Value)>) -> (&'static str, Value) {
    ("labels", Dict::of(pairs).into())
}

pub(crate) fn times(start: i64, end: i64) -> Vec<(&'static str, Value)> {
    vec![
        ("startTS", Value::Atom(kvalue::Atom::Timestamp(start))),
        ("endTS", Value::Atom(kvalue::Atom::Timestamp(end))),
    ]
}
