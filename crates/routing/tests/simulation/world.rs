//! A world: processes, links, what happens to them, and the router in the middle.

use std::collections::{BTreeMap, BTreeSet};

use kvalue::{Atom, Dict, Sym, Value};
use routing::{Action, Event, MILLI, Nanos, PeerId, PeerRole, Router, SECOND, Settings};
use sg::{
    Ac, Corr, InstanceId, LabelSet, Msg, PortionId, Rc, TimeRange,
    msg::{Cancel, Done, Finished, Got, Idle, RegisterAgg, RegisterDap, Request, UpdateDap},
};

use crate::{
    agg::{Agg, Part},
    check::{self, DATA, Tally},
    dap::{Dap, ONCE},
    gw::{Asked, End, Gw, Requests},
    net::{Order, Rng},
};

/// What a world goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storm {
    /// nothing but delays
    Calm,
    /// days end: tiles move
    EndOfDay,
    /// processes crash, links break, partials are lost, clients go away, days end
    Wild,
    /// the coordinator crashes
    Restart,
}

/// One of the processes around the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Dap(usize),
    Agg(usize),
    Gw(usize),
}

/// Something to happen.
#[derive(Debug)]
enum Happens {
    Dial(Who, u64),
    UpAtRc(u64),
    ToRc(u64, Msg),
    ToProcess(u64, Msg),
    DownAtRc(u64),
    DownAtProcess(u64),
    Tick,
    RunEnds(usize, u64, (Corr, i32, PortionId)),
    Partial { agg: usize, life: u64, key: (Corr, i32), portion: PortionId, part: Part },
    Answer { corr: Corr, gw: usize, life: u64, rc: Rc, ai: String, parts: Vec<Part> },
    Ask,
    OwnTimeout(Corr),
    Mischief,
    Restart(Who),
    Reload(usize),
    Purge(usize, i64),
    RcBack,
}

#[derive(Debug)]
struct Link {
    who: Who,
    life: u64,
    rc_life: u64,
    to_rc: Order,
    to_process: Order,
    /// the end has been decided
    cut: bool,
    up_at_rc: bool,
}

pub(crate) struct World {
    now: Nanos,
    rng: Rng,
    storm: Storm,
    loud: bool,
    agenda: BTreeMap<(Nanos, u64), Happens>,
    next: u64,
    router: Option<Router>,
    rc_life: u64,
    links: BTreeMap<u64, Link>,
    direct: BTreeMap<(usize, usize), Order>,
    daps: Vec<Dap>,
    aggs: Vec<Agg>,
    gws: Vec<Gw>,
    /// per label set up to where disk holds data
    disk: BTreeMap<LabelSet, i64>,
    requests: Requests,
    /// (label set, tier) the coordinator has heard of
    heard: BTreeSet<(LabelSet, Sym)>,
    once: BTreeMap<(Corr, LabelSet), Vec<TimeRange>>,
    left_to_ask: usize,
    tally: Tally,
    ticks: BTreeSet<Nanos>,
}

const LABELS: [&str; 3] = ["amer", "emea", "apac"];

impl World {
    pub(crate) fn new(seed: u64, storm: Storm, loud: bool) -> Self {
        let mut rng = Rng::new(seed);
        let mut daps = Vec::new();
        let mut disk = BTreeMap::new();
        for region in &LABELS[..rng.between(1, 3) as usize] {
            let labels = LabelSet::new([("region", *region)]);
            let until = rng.between(20, 60) as i64 * 10;
            disk.insert(labels.clone(), until);
            for (tier, start, end) in [("hdb", DATA.0, until), ("rdb", until, DATA.1)] {
                for i in 0..rng.between(1, 3) {
                    daps.push(Dap {
                        name: format!("{tier}-{region}-{i}").into(),
                        alive: false,
                        instance: InstanceId(rng.guid()),
                        labels: labels.clone(),
                        tier: tier.into(),
                        capacity: if rng.chance(20) { 2 } else { 1 },
                        range: TimeRange::new(start, end).unwrap(),
                        version: 1,
                        purged: start,
                        epoch: 0,
                        link: None,
                        running: BTreeMap::new(),
                        life: 0,
                        slow: if rng.chance(10) { 10 } else { 1 },
                    });
                }
            }
        }
        let aggs = (0..rng.between(1, 3)).map(|i| Agg {
            name: format!("agg-{i}").into(),
            alive: false,
            life: 0,
            link: None,
            jobs: BTreeMap::new(),
            over: BTreeSet::new(),
        });
        let aggs = aggs.collect();
        let gws = (0..rng.between(1, 2)).map(|i| Gw {
            name: format!("gw-{i}").into(),
            alive: false,
            life: 0,
            link: None,
        });
        let gws = gws.collect();
        let left_to_ask = rng.between(20, 80) as usize;
        World {
            now: 0,
            rng,
            storm,
            loud,
            agenda: BTreeMap::new(),
            next: 1,
            router: Some(Router::new(Self::settings())),
            rc_life: 0,
            links: BTreeMap::new(),
            direct: BTreeMap::new(),
            daps,
            aggs,
            gws,
            disk,
            requests: Requests::new(),
            heard: BTreeSet::new(),
            once: BTreeMap::new(),
            left_to_ask,
            tally: Tally::default(),
            ticks: BTreeSet::new(),
        }
    }

    fn settings() -> Settings {
        Settings { custody_wait: 300 * MILLI, forget_after: 3600 * SECOND, ..Settings::default() }
    }

    fn everybody(&self) -> Vec<Who> {
        let daps = (0..self.daps.len()).map(Who::Dap);
        let aggs = (0..self.aggs.len()).map(Who::Agg);
        daps.chain(aggs).chain((0..self.gws.len()).map(Who::Gw)).collect()
    }

    /// Runs the world to its end.
    pub(crate) fn run(mut self) -> Tally {
        for who in self.everybody() {
            let at = self.rng.below(20 * MILLI);
            self.at(at, Happens::Restart(who));
        }
        self.at(60 * MILLI, Happens::Ask);
        if self.storm != Storm::Calm {
            let first = self.rng.between(100 * MILLI, 300 * MILLI);
            self.at(first, Happens::Mischief);
        }
        while let Some(((at, _), what)) = self.agenda.pop_first() {
            self.now = at;
            self.tally.steps += 1;
            if self.loud {
                eprintln!("{:>12} {what:?}", at / 1_000);
            }
            self.happen(what);
            if let Some(router) = &self.router {
                router.check_invariants();
                self.tally.most_queued = self.tally.most_queued.max(router.stats().queued);
            }
        }
        let router = self.router.as_ref().expect("the coordinator is back at the end");
        assert!(router.is_quiet(), "after quiet something is left: {:?}", router.stats());
        assert_eq!(router.stats().daps, self.daps.len(), "all data processes are registered at the end");
        self.tally.retries += router.stats().retries;
        self.tally.overruns += router.stats().overruns;
        check::all(&self.requests, &mut self.tally);
        self.tally
    }

    fn at(&mut self, at: Nanos, what: Happens) {
        self.next += 1;
        self.agenda.insert((at, self.next), what);
    }

    fn after(&mut self, delay: Nanos, what: Happens) {
        self.at(self.now + delay, what);
    }

    fn happen(&mut self, what: Happens) {
        match what {
            Happens::Dial(who, life) => self.dial(who, life),
            Happens::UpAtRc(id) => self.up_at_rc(id),
            Happens::ToRc(id, msg) => {
                if self.links[&id].rc_life == self.rc_life && self.links[&id].up_at_rc {
                    self.hear(&msg);
                    self.router_event(Event::Message { peer: PeerId(id), msg });
                }
            }
            Happens::ToProcess(id, msg) => self.at_process(id, msg),
            Happens::DownAtRc(id) => {
                let link = self.links.get_mut(&id).unwrap();
                if link.rc_life == self.rc_life && std::mem::replace(&mut link.up_at_rc, false) {
                    self.router_event(Event::Down { peer: PeerId(id) });
                }
            }
            Happens::DownAtProcess(id) => self.down_at_process(id),
            Happens::Tick => {
                self.ticks.remove(&self.now);
                self.router_event(Event::Tick);
            }
            Happens::RunEnds(dap, life, key) => self.run_ends(dap, life, key),
            Happens::Partial { agg, life, key, portion, part } => self.partial(agg, life, key, portion, part),
            Happens::Answer { corr, gw, life, rc, ai, parts } => self.answer(corr, gw, life, rc, ai, parts),
            Happens::Ask => self.ask(),
            Happens::OwnTimeout(corr) => {
                let at = self.now;
                let asked = self.requests.get_mut(&corr).unwrap();
                if asked.end.is_none() {
                    asked.end = Some(End::Own { at });
                }
            }
            Happens::Mischief => self.mischief(),
            Happens::Restart(who) => self.restart(who),
            Happens::Reload(dap) => self.reload(dap),
            Happens::Purge(dap, until) => self.move_start(dap, until),
            Happens::RcBack => {
                self.router = Some(Router::new(Self::settings()));
            }
        }
    }

    // ---- the router -------------------------------------------------------------------------------------

    fn router_event(&mut self, event: Event) {
        let Some(router) = &mut self.router else { return };
        router.handle(event, self.now);
        let actions: Vec<Action> = router.drain().collect();
        let wakeup = router.next_wakeup();
        for action in actions {
            match action {
                Action::Send { to, msg } => {
                    self.watch(&msg);
                    self.send_to_process(to.0, msg);
                }
                Action::Refuse { peer, why } => {
                    // Only a restarted process whose old link is not yet known to be dead is ever refused.
                    assert!(why.contains("is connected already"), "refused: {why}");
                    self.cut(peer.0);
                }
                Action::Note(_) => {}
            }
        }
        if let Some(at) = wakeup {
            let at = at.max(self.now);
            if self.ticks.insert(at) {
                self.at(at, Happens::Tick);
            }
        }
    }

    fn watch(&mut self, msg: &Msg) {
        match msg {
            Msg::Replace(_) => self.tally.replaced += 1,
            Msg::Covered(_) => self.tally.covered += 1,
            _ => {}
        }
    }

    fn hear(&mut self, msg: &Msg) {
        match msg {
            Msg::RegisterDap(m) => {
                self.heard.insert((m.purview.labels.clone(), m.purview.tier.clone()));
            }
            Msg::Request(m) => {
                let all: BTreeSet<(LabelSet, Sym)> =
                    self.daps.iter().map(|d| (d.labels.clone(), d.tier.clone())).collect();
                let informed = all == self.heard;
                if let Some(asked) = self.requests.get_mut(&m.corr) {
                    asked.informed = informed;
                }
            }
            _ => {}
        }
    }

    // ---- links ------------------------------------------------------------------------------------------

    fn life(&self, who: Who) -> (bool, u64) {
        match who {
            Who::Dap(i) => (self.daps[i].alive, self.daps[i].life),
            Who::Agg(i) => (self.aggs[i].alive, self.aggs[i].life),
            Who::Gw(i) => (self.gws[i].alive, self.gws[i].life),
        }
    }

    fn set_link(&mut self, who: Who, link: Option<u64>) {
        match who {
            Who::Dap(i) => self.daps[i].link = link,
            Who::Agg(i) => self.aggs[i].link = link,
            Who::Gw(i) => self.gws[i].link = link,
        }
    }

    fn link_of(&self, who: Who) -> Option<u64> {
        match who {
            Who::Dap(i) => self.daps[i].link,
            Who::Agg(i) => self.aggs[i].link,
            Who::Gw(i) => self.gws[i].link,
        }
    }

    fn dial(&mut self, who: Who, life: u64) {
        if self.life(who) != (true, life) || self.link_of(who).is_some() {
            return;
        }
        if self.router.is_none() {
            let wait = self.rng.between(20 * MILLI, 80 * MILLI);
            return self.after(wait, Happens::Dial(who, life));
        }
        let id = self.next;
        self.next += 1;
        let link = Link {
            who,
            life,
            rc_life: self.rc_life,
            to_rc: Order::default(),
            to_process: Order::default(),
            cut: false,
            up_at_rc: false,
        };
        self.links.insert(id, link);
        self.set_link(who, Some(id));
        let delay = self.rng.delay();
        let at = self.links.get_mut(&id).unwrap().to_rc.arrival(self.now, delay);
        self.at(at, Happens::UpAtRc(id));
        match who {
            Who::Dap(i) => {
                let running = self.daps[i].owned_by(id);
                let purview = self.daps[i].purview();
                self.send_to_rc(id, RegisterDap { available: true, purview, running });
            }
            Who::Agg(_) => self.send_to_rc(id, RegisterAgg { agg_fns: agg_fns(), outstanding: 0 }),
            Who::Gw(i) => self.resend(i, id),
        }
    }

    fn up_at_rc(&mut self, id: u64) {
        let link = self.links.get_mut(&id).unwrap();
        if link.rc_life != self.rc_life || self.router.is_none() {
            return;
        }
        link.up_at_rc = true;
        let (role, name, instance) = match link.who {
            Who::Dap(i) => (PeerRole::Dap, self.daps[i].name.clone(), self.daps[i].instance),
            Who::Agg(i) => (PeerRole::Agg, self.aggs[i].name.clone(), InstanceId([i as u8; 16])),
            Who::Gw(i) => (PeerRole::Gw, self.gws[i].name.clone(), InstanceId([i as u8; 16])),
        };
        self.router_event(Event::Up { peer: PeerId(id), role, address: name.clone(), name, instance });
    }

    fn send_to_rc(&mut self, id: u64, msg: impl Into<Msg>) {
        let delay = self.rng.delay();
        let link = self.links.get_mut(&id).unwrap();
        if !link.cut {
            let at = link.to_rc.arrival(self.now, delay);
            self.at(at, Happens::ToRc(id, msg.into()));
        }
    }

    fn send_to_process(&mut self, id: u64, msg: Msg) {
        let delay = self.rng.delay();
        let Some(link) = self.links.get_mut(&id).filter(|l| !l.cut) else { return };
        let at = link.to_process.arrival(self.now, delay);
        self.at(at, Happens::ToProcess(id, msg));
    }

    /// A link ends: each side hears of it after what was sent before.
    fn cut(&mut self, id: u64) {
        let (a, b) = (self.rng.delay(), self.rng.delay());
        let link = self.links.get_mut(&id).unwrap();
        if std::mem::replace(&mut link.cut, true) {
            return;
        }
        let (at_rc, at_process) = (link.to_rc.arrival(self.now, a), link.to_process.arrival(self.now, b));
        self.at(at_rc, Happens::DownAtRc(id));
        self.at(at_process, Happens::DownAtProcess(id));
    }

    fn down_at_process(&mut self, id: u64) {
        let (who, life) = (self.links[&id].who, self.links[&id].life);
        if self.life(who) != (true, life) || self.link_of(who) != Some(id) {
            return;
        }
        self.set_link(who, None);
        if let Who::Gw(gw) = who {
            self.gw_lost_rc(gw);
        }
        let wait = self.rng.between(5 * MILLI, 40 * MILLI);
        self.after(wait, Happens::Dial(who, life));
    }

    fn at_process(&mut self, id: u64, msg: Msg) {
        let (who, life) = (self.links[&id].who, self.links[&id].life);
        if self.life(who) != (true, life) || self.link_of(who) != Some(id) {
            return;
        }
        match (who, msg) {
            (Who::Dap(i), Msg::Run(run)) => {
                let once = run.api == ONCE;
                let (corr, labels, range) = (run.corr, run.labels.clone(), run.range);
                let key = (run.corr, run.attempt, run.portion);
                match self.daps[i].order(id, run) {
                    Err(done) => self.send_to_rc(id, done),
                    Ok(()) => {
                        if once {
                            let ran = self.once.entry((corr, labels)).or_default();
                            assert!(
                                ran.iter().all(|r| r.intersect(range).is_none()),
                                "{corr} ran twice over {range} though its API is not safe"
                            );
                            ran.push(range);
                        }
                        let takes = self.rng.between(MILLI, 15 * MILLI) * self.daps[i].slow;
                        let takes = if self.rng.chance(2) { takes + 3 * SECOND } else { takes };
                        let life = self.daps[i].life;
                        self.after(takes, Happens::RunEnds(i, life, key));
                    }
                }
            }
            (Who::Dap(i), Msg::CancelRun(m)) => {
                let key = (m.corr, m.attempt, m.portion);
                if let Some(work) = self.daps[i].running.get_mut(&key) {
                    work.cancelled = true;
                    let stops = self.rng.between(100_000, 5 * MILLI);
                    let life = self.daps[i].life;
                    self.after(stops, Happens::RunEnds(i, life, key));
                }
            }
            (Who::Dap(i), Msg::Covered(m)) => {
                let wait = self.rng.between(MILLI, 50 * MILLI);
                self.after(wait, Happens::Purge(i, m.until));
            }
            (Who::Dap(i), Msg::LeasesOver(m)) => {
                let dap = &mut self.daps[i];
                if m.version >= dap.version {
                    dap.purged = dap.purged.max(dap.range.start());
                }
            }
            (Who::Agg(i), Msg::Plan(m)) => {
                for portion in self.aggs[i].plan(id, &m) {
                    self.send_to_rc(id, Got { corr: m.corr, attempt: m.attempt, portion });
                }
                self.conclude(i, (m.corr, m.attempt));
            }
            (Who::Agg(i), Msg::Replace(m)) => {
                self.aggs[i].replace(&m);
                self.conclude(i, (m.corr, m.attempt));
            }
            (Who::Agg(i), Msg::Abandon(m)) => self.aggs[i].abandon((m.corr, m.attempt)),
            (Who::Gw(_), Msg::Started(m)) => {
                if let Some(asked) = self.requests.get_mut(&m.corr) {
                    asked.started = true;
                }
            }
            (Who::Gw(i), Msg::Answer(m)) => {
                let life = self.gws[i].life;
                self.answer(m.corr, i, life, m.rc, m.ai, Vec::new());
            }
            _ => {}
        }
    }

    // ---- data processes and aggregators -----------------------------------------------------------------

    fn run_ends(&mut self, i: usize, life: u64, key: (Corr, i32, PortionId)) {
        if self.life(Who::Dap(i)) != (true, life) {
            return;
        }
        let Some(work) = self.daps[i].running.remove(&key) else { return };
        let (corr, attempt, portion) = key;
        let rc = if work.cancelled { Rc::CANCELLED } else { Rc::OK };
        let part = Part { rc, labels: work.run.labels.clone(), held: work.held };
        let agg = self.aggs.iter().position(|a| a.name == work.run.agg);
        let lost = self.storm == Storm::Wild && self.rng.chance(2);
        if let Some(agg) = agg.filter(|_| !lost) {
            let delay = self.rng.delay();
            let at = self.direct.entry((i, agg)).or_default().arrival(self.now, delay);
            let life = self.aggs[agg].life;
            self.at(at, Happens::Partial { agg, life, key: (corr, attempt), portion, part });
        }
        let (version, epoch, slots) = (self.daps[i].version, self.daps[i].epoch, self.daps[i].slots());
        if let Some(link) = self.daps[i].link {
            let (ac, ai) = if rc == Rc::OK { (Ac::OK, "") } else { (Ac::CANCELLED, "cancelled") };
            self.send_to_rc(link, Done { corr, attempt, portion, rc, ac, ai: ai.into(), version });
            self.send_to_rc(link, Idle { epoch, slots });
        }
    }

    fn partial(&mut self, i: usize, life: u64, key: (Corr, i32), portion: PortionId, part: Part) {
        if self.life(Who::Agg(i)) != (true, life) {
            return;
        }
        if self.aggs[i].partial(key, portion, part)
            && let Some(link) = self.aggs[i].link
        {
            self.send_to_rc(link, Got { corr: key.0, attempt: key.1, portion });
        }
        self.conclude(i, key);
    }

    fn conclude(&mut self, i: usize, key: (Corr, i32)) {
        let Some(ready) = self.aggs[i].ready(key) else { return };
        let (corr, attempt) = key;
        if let Some(gw) = self.gws.iter().position(|g| g.name == ready.gw) {
            let (delay, life) = (self.rng.delay(), self.gws[gw].life);
            let (rc, parts) = (ready.rc, ready.parts);
            let ai = if rc == Rc::OK { String::new() } else { "a portion failed".into() };
            self.after(delay, Happens::Answer { corr, gw, life, rc, ai, parts });
        }
        if let Some(link) = self.aggs[i].link {
            let ac = if ready.rc == Rc::OK { Ac::OK } else { Ac::CANCELLED };
            self.send_to_rc(link, Finished { corr, attempt, rc: ready.rc, ac, ai: String::new() });
        }
    }

    // ---- gateways and clients ---------------------------------------------------------------------------

    fn ask(&mut self) {
        if self.left_to_ask == 0 {
            return;
        }
        self.left_to_ask -= 1;
        let wait = if self.rng.chance(30) { 0 } else { self.rng.between(0, 25 * MILLI) };
        self.after(wait, Happens::Ask);
        let up: Vec<usize> = (0..self.gws.len()).filter(|i| self.gws[*i].link.is_some()).collect();
        if up.is_empty() {
            return;
        }
        let gw = *self.rng.pick(&up);
        let api =
            *self.rng.pick(&[sg::api::GET_DATA, sg::api::GET_DATA, sg::api::GET_DATA, sg::api::PING, ONCE]);
        let known: Vec<LabelSet> = self.disk.keys().cloned().collect();
        let label = self.rng.chance(40).then(|| *self.rng.pick(&LABELS));
        let labels: Vec<LabelSet> = known
            .into_iter()
            .filter(|l| label.is_none_or(|v| l.get(&"region".into()) == Some(&v.into())))
            .collect();
        let label = label.filter(|_| !labels.is_empty());
        let labels = if labels.is_empty() { self.disk.keys().cloned().collect() } else { labels };
        let start = self.rng.between(0, 900) as i64;
        let range = match self.rng.below(4) {
            0 => TimeRange::ALL,
            1 => TimeRange::new(start, TimeRange::MAX).unwrap(),
            _ => TimeRange::new(start, start + self.rng.between(1, 400) as i64).unwrap(),
        };
        let timeout = match self.storm {
            Storm::Calm => 60 * SECOND,
            _ => self.rng.between(200 * MILLI, 3 * SECOND),
        };
        let corr = Corr(self.rng.guid());
        let deadline = self.now + timeout;
        let asked = Asked {
            gw,
            api,
            range,
            labels,
            label,
            deadline,
            attempt: 0,
            started: false,
            end: None,
            late_answers: 0,
            disturbed: false,
            informed: true,
        };
        self.requests.insert(corr, asked);
        self.at(deadline, Happens::OwnTimeout(corr));
        let link = self.gws[gw].link.unwrap();
        self.send_request(corr, link);
        if self.storm == Storm::Wild && self.rng.chance(3) {
            let attempt = 0;
            self.requests.get_mut(&corr).unwrap().end = Some(End::Dropped);
            self.send_to_rc(link, Cancel { corr, attempt });
        }
    }

    fn send_request(&mut self, corr: Corr, link: u64) {
        let asked = &self.requests[&corr];
        let mut args = vec![
            ("startTS", Value::Atom(Atom::Timestamp(asked.range.start()))),
            ("endTS", Value::Atom(Atom::Timestamp(asked.range.end()))),
        ];
        if asked.api != sg::api::PING {
            args.push(("table", Value::sym("trade")));
        }
        if let Some(label) = asked.label {
            args.push(("labels", Dict::of([("region", Value::sym(label))]).into()));
        }
        let request = Request {
            corr,
            attempt: asked.attempt,
            left: (asked.deadline - self.now) as i64,
            api: asked.api.into(),
            user: "u".into(),
            opts: qipc::Raw::of(&Value::empty_dict()),
            args: sg::args::encode(args),
        };
        self.send_to_rc(link, request);
    }

    fn answer(&mut self, corr: Corr, gw: usize, life: u64, rc: Rc, ai: String, parts: Vec<Part>) {
        if self.life(Who::Gw(gw)) != (true, life) {
            return;
        }
        let at = self.now;
        let asked = self.requests.get_mut(&corr).unwrap();
        match asked.end {
            None => asked.end = Some(End::Answered { rc, ai, parts, at }),
            Some(_) => asked.late_answers += 1,
        }
    }

    /// The coordinator is gone for this gateway: what may be moved is sent again when it is back.
    fn gw_lost_rc(&mut self, gw: usize) {
        let at = self.now;
        for asked in self.requests.values_mut().filter(|a| a.gw == gw && a.end.is_none()) {
            asked.disturbed = true;
            if asked.api == ONCE {
                let (rc, ai) = (Rc::CONN, "coordinator lost".to_string());
                asked.end = Some(End::Answered { rc, ai, parts: Vec::new(), at });
            }
        }
    }

    fn resend(&mut self, gw: usize, link: u64) {
        let open: Vec<Corr> =
            self.requests.iter().filter(|(_, a)| a.gw == gw && a.end.is_none()).map(|(c, _)| *c).collect();
        for corr in open {
            self.requests.get_mut(&corr).unwrap().attempt += 1;
            self.send_request(corr, link);
        }
    }

    // ---- trouble ----------------------------------------------------------------------------------------

    fn mischief(&mut self) {
        if self.left_to_ask == 0 {
            // The storm is over: everything may come to rest.
            return;
        }
        let wait = self.rng.between(20 * MILLI, 150 * MILLI);
        self.after(wait, Happens::Mischief);
        match self.storm {
            Storm::Calm => {}
            Storm::EndOfDay => self.day_ends(),
            Storm::Restart => {
                if self.rng.chance(25) && self.router.is_some() {
                    self.rc_crashes();
                }
            }
            Storm::Wild => {
                let who = *self.rng.pick(&self.everybody());
                match self.rng.below(10) {
                    0..4 => self.crash(who),
                    4..8 => {
                        if let Some(link) = self.link_of(who) {
                            if let Who::Gw(_) = who {
                                self.disturb();
                            }
                            self.cut(link);
                        }
                    }
                    _ => self.day_ends(),
                }
            }
        }
    }

    fn disturb(&mut self) {
        self.requests.values_mut().filter(|a| a.end.is_none()).for_each(|a| a.disturbed = true);
    }

    fn crash(&mut self, who: Who) {
        if !self.life(who).0 {
            return;
        }
        if let Some(link) = self.link_of(who) {
            self.cut(link);
        }
        self.set_link(who, None);
        match who {
            Who::Dap(i) => {
                self.daps[i].alive = false;
                self.daps[i].running.clear();
            }
            Who::Agg(i) => {
                self.aggs[i].alive = false;
                self.aggs[i].jobs.clear();
            }
            Who::Gw(i) => {
                self.gws[i].alive = false;
                let mine = self.requests.values_mut().filter(|a| a.gw == i && a.end.is_none());
                mine.for_each(|a| a.end = Some(End::Dropped));
            }
        }
        let wait = self.rng.between(10 * MILLI, 300 * MILLI);
        self.after(wait, Happens::Restart(who));
    }

    fn restart(&mut self, who: Who) {
        let life = match who {
            Who::Dap(i) => {
                let instance = InstanceId(self.rng.guid());
                let disk = self.disk[&self.daps[i].labels];
                let dap = &mut self.daps[i];
                // From disk what is there now; into memory the tickerplant's log of the present day.
                let (start, end) = if dap.tier == "hdb" { (DATA.0, disk) } else { (disk, DATA.1) };
                dap.alive = true;
                dap.life += 1;
                dap.instance = instance;
                dap.range = TimeRange::new(start, end).unwrap();
                dap.purged = start;
                dap.version = 1;
                dap.epoch = 0;
                dap.life
            }
            Who::Agg(i) => {
                self.aggs[i].alive = true;
                self.aggs[i].life += 1;
                self.aggs[i].over.clear();
                self.aggs[i].life
            }
            Who::Gw(i) => {
                self.gws[i].alive = true;
                self.gws[i].life += 1;
                self.gws[i].life
            }
        };
        self.after(0, Happens::Dial(who, life));
    }

    fn rc_crashes(&mut self) {
        self.disturb();
        self.router = None;
        self.rc_life += 1;
        self.heard.clear();
        let links: Vec<u64> = self.links.iter().filter(|(_, l)| !l.cut).map(|(id, _)| *id).collect();
        links.into_iter().for_each(|id| self.cut(id));
        let wait = self.rng.between(10 * MILLI, 100 * MILLI);
        self.after(wait, Happens::RcBack);
    }

    /// A day's data is on disk: the processes that serve the disk notice, each in its time.
    fn day_ends(&mut self) {
        let all: Vec<LabelSet> = self.disk.keys().cloned().collect();
        let labels = self.rng.pick(&all).clone();
        let until = (self.disk[&labels] + self.rng.between(1, 5) as i64 * 10).min(900);
        self.disk.insert(labels.clone(), until);
        for i in 0..self.daps.len() {
            if self.daps[i].labels == labels && self.daps[i].tier == "hdb" {
                let wait = self.rng.between(MILLI, 100 * MILLI);
                self.after(wait, Happens::Reload(i));
            }
        }
    }

    fn reload(&mut self, i: usize) {
        let until = self.disk[&self.daps[i].labels];
        let dap = &mut self.daps[i];
        if dap.alive && dap.range.end() < until {
            dap.range = TimeRange::new(DATA.0, until).unwrap();
            dap.version += 1;
            self.update(i);
        }
    }

    /// The older tier holds more: the start of what is in memory moves; rows go when no lease reads them.
    fn move_start(&mut self, i: usize, until: i64) {
        let dap = &mut self.daps[i];
        if dap.alive && dap.range.start() < until {
            dap.range = TimeRange::new(until, DATA.1).unwrap();
            dap.version += 1;
            self.update(i);
        }
    }

    fn update(&mut self, i: usize) {
        let purview = self.daps[i].purview();
        if let Some(link) = self.daps[i].link {
            self.send_to_rc(link, UpdateDap { available: true, purview });
        }
    }
}

fn agg_fns() -> Vec<sg::Api> {
    [sg::api::AGG_RAZE, sg::api::AGG_GET_DATA, sg::api::AGG_PREVIEW]
        .iter()
        .filter_map(|name| sg::Api::from_value(&Value::sym(name)))
        .collect()
}
