//! An aggregator: `aggregator::core`, its functions and `turns`, wired as `aggregator::shell` does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aggregator::{
    core::{Action, Asked, Bounds, Core, Event, Job, Key, Part},
    fair_streams::FairStreams,
    functions::{self, Input, Output},
    response_header::{self, Without},
};
use bytes::Bytes;
use routing::{MILLI, Nanos};
use sg::{
    Ac, Failure, Msg, Rc,
    msg::{Answer, AnswerData, AnswerHead, Chunk, Got, Partial, Payload, RegisterAgg, Stale, Undelivered},
};

use crate::net::{Happens, Net, Pool, Pooled, Proc};

/// Time between two looks at deadlines.
const TICK: Nanos = 50 * MILLI;
/// Answers longer than this are sent in pieces under credit.
const WHOLE_UP_TO: usize = 1 << 20;
/// How long a gateway may give no credit.
const STALL: Nanos = 60_000 * MILLI;

struct Ending {
    asked: Arc<Asked<u64>>,
    failure: Failure,
    extra: qipc::Raw,
    segments: Vec<Bytes>,
}

/// A life of an aggregator.
pub(crate) struct Agg {
    me: Proc,
    life: u64,
    index: usize,
    core: Core<u64>,
    bounds: Bounds,
    peers: BTreeMap<u64, Proc>,
    pool: Pool<Ending>,
    /// large answers under way, by session
    turns: BTreeMap<u64, FairStreams>,
    /// being aggregated by another thread
    away: BTreeMap<Key, Job<u64>>,
    /// an answer made of several vintages
    mixed: Option<String>,
    rcs: usize,
    /// the coordinator it is registered with, or dials
    rc: usize,
}

impl Agg {
    pub(crate) fn start(net: &mut Net, index: usize, rcs: usize, bounds: Bounds) -> Agg {
        let me = Proc::Agg(index);
        let (life, rc, delay) = (net.state(me).1, net.rng.below(rcs as u64) as usize, net.delay());
        net.dial(me, Proc::Rc(rc), delay);
        Agg {
            me,
            life,
            index,
            core: Core::new(bounds.clone()),
            bounds,
            peers: BTreeMap::new(),
            pool: Pool::new(),
            turns: BTreeMap::new(),
            away: BTreeMap::new(),
            mixed: None,
            rcs,
            rc,
        }
    }

    pub(crate) fn connected(&mut self, net: &mut Net, to: Proc, session: Option<u64>) {
        if let Proc::Rc(_) = to {
            match session {
                Some(id) => self.up(net, id, to),
                None => self.next_rc(net),
            }
            return;
        }
        let (session, waiting) = self.pool.connected(net, self.me, to, session);
        if let Some(id) = session {
            self.up(net, id, to);
        }
        for ending in waiting {
            match session {
                Some(id) => _ = self.answer_by(net, id, ending),
                None => self.undelivered(net, &ending.asked, "nobody answers there"),
            }
        }
    }

    /// The one it was registered with is gone or does not answer: another.
    fn next_rc(&mut self, net: &mut Net) {
        self.rc = (self.rc + 1) % self.rcs;
        let backoff = net.rng.between(5 * MILLI, 200 * MILLI);
        net.dial(self.me, Proc::Rc(self.rc), backoff);
    }

    pub(crate) fn up(&mut self, net: &mut Net, session: u64, peer: Proc) {
        self.peers.insert(session, peer);
        if let Proc::Rc(_) = peer {
            let outstanding = self.core.snapshot().outstanding as i32;
            let _ = net.send(session, self.me, RegisterAgg { agg_fns: functions::registered(), outstanding });
        }
    }

    pub(crate) fn down(&mut self, net: &mut Net, session: u64, dialled: bool) {
        let Some(peer) = self.peers.remove(&session) else { return };
        self.pool.down(session);
        if let Proc::Gw(_) = peer {
            self.event(net, Event::GwDown(session));
        }
        if let Some(mut turns) = self.turns.remove(&session) {
            let mut lost = turns.clear();
            lost.sort_unstable();
            lost.into_iter().for_each(|key| self.release(net, key));
        }
        if let Proc::Rc(_) = peer
            && dialled
        {
            self.next_rc(net);
        }
    }

    pub(crate) fn wake(&mut self, net: &mut Net) {
        self.event(net, Event::Tick);
        let clock = net.clock(self.me);
        let stalled: Vec<Key> = self.turns.values_mut().flat_map(|t| t.stalled(clock, STALL)).collect();
        stalled.into_iter().for_each(|key| self.release(net, key));
    }

    pub(crate) fn message(&mut self, net: &mut Net, session: u64, msg: Msg) {
        match (self.peers.get(&session), msg) {
            (Some(Proc::Dap(_)), Msg::Partial(m)) => self.partial(net, m),
            (Some(Proc::Rc(_)), Msg::Plan(m)) => self.event(net, Event::Plan(session, m)),
            (Some(Proc::Rc(_)), Msg::Replace(m)) => self.event(net, Event::Replace(m)),
            (Some(Proc::Rc(_)), Msg::GiveUp(m)) => self.event(net, Event::GiveUp(m)),
            (Some(Proc::Rc(_)), Msg::Abandon(m)) => self.event(net, Event::Abandon(m)),
            (Some(Proc::Gw(_)), Msg::Credit(m)) => {
                let clock = net.clock(self.me);
                if let Some(turns) = self.turns.get_mut(&session) {
                    turns.credit(&(m.corr, m.attempt), m.bytes as u64, clock);
                    self.pump(net, session);
                }
            }
            (Some(Proc::Gw(_)), Msg::Stop(m)) => self.stop(net, (m.corr, m.attempt)),
            _ => {}
        }
    }

    fn partial(&mut self, net: &mut Net, mut partial: Partial) {
        let Some(plan) = partial.lone.take() else { return self.event(net, Event::Partial(partial)) };
        let planner = |s: &u64| net.peer_instance(*s, self.me) == plan.rc;
        let is_rc = |(s, p): (&u64, &Proc)| matches!(p, Proc::Rc(_)).then_some(*s);
        let rc = self.peers.iter().filter_map(is_rc).find(planner);
        if let Some(rc) = rc {
            self.event(net, Event::Lone(rc, plan, partial));
        }
    }

    fn event(&mut self, net: &mut Net, event: Event<u64>) {
        let mut actions = Vec::new();
        self.core.handle(event, net.clock(self.me), &mut actions);
        let (mut gots, mut handed, mut stale) = (Vec::new(), Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::Got(rc, (corr, attempt), portion) => gots.push((rc, Got { corr, attempt, portion })),
                Action::Aggregate(job) => handed.extend(self.aggregate(net, job)),
                Action::Fail(job, failure) => self.fail(net, job, failure),
                Action::Stale(rc, (corr, attempt), portions, vintage) => {
                    stale.push((rc, Stale { corr, attempt, portions, vintage }));
                }
                Action::Undelivered(rc, key, failure) => self.tell(net, rc, key, failure),
                Action::Stop(key) => self.stop(net, key),
                Action::Dropped(_) => {}
            }
        }
        gots.retain(|(_, got): &(u64, Got)| !handed.contains(&(got.corr, got.attempt)));
        gots.into_iter().for_each(|(rc, got)| _ = net.send(rc, self.me, got));
        stale.into_iter().for_each(|(rc, stale)| _ = net.send(rc, self.me, stale));
        self.arm(net);
    }

    fn arm(&mut self, net: &mut Net) {
        let snapshot = self.core.snapshot();
        if snapshot.outstanding + snapshot.early > 0 || self.turns.values().any(|t| !t.is_empty()) {
            // On a grid, so that few wakes are on the agenda at a time.
            let at = (net.clock(self.me) / TICK + 1) * TICK;
            net.wake(self.me, at);
        }
    }

    /// Of an answer that did not reach its gateway.
    fn tell(&mut self, net: &mut Net, rc: u64, (corr, attempt): Key, failure: Failure) {
        let Failure { rc: code, ac, ai } = failure;
        let (corrs, attempts) = (vec![corr], vec![attempt]);
        let _ = net.send(rc, self.me, Undelivered { corrs, attempts, rc: code, ac, ai });
    }

    /// The request, where its answer was handed to a session.
    fn aggregate(&mut self, net: &mut Net, job: Job<u64>) -> Option<Key> {
        // At times another thread does it, and something happens meanwhile.
        if net.rng.chance(10) {
            let delay = net.rng.between(MILLI, 20 * MILLI);
            net.after(delay, Happens::AggregateEnds(self.index, self.life, job.asked.key));
            self.away.insert(job.asked.key, job);
            return None;
        }
        self.apply(net, job)
    }

    pub(crate) fn aggregated(&mut self, net: &mut Net, key: Key) {
        let Some(job) = self.away.remove(&key) else { return };
        match self.core.is_wanted(&key, net.clock(self.me)) {
            true => _ = self.apply(net, job),
            false => self.event(net, Event::Released(key)),
        }
    }

    fn apply(&mut self, net: &mut Net, job: Job<u64>) -> Option<Key> {
        let asked = job.asked.clone();
        self.look_for_a_mix(&job);
        let partials = job.parts.iter().map(|p| p.payload.clone()).collect();
        let input =
            Input { api: &asked.api, args: &asked.args, opts: &asked.opts, labels: &job.labels, partials };
        match functions::run(&asked.agg_fn, input) {
            Ok(output) => {
                let extra =
                    response_header::fields(&self.me.address(), &job.parts, Without::of(&job), &output);
                let failure = Failure::new(Rc::OK, Ac::OK, "");
                self.answer(net, Ending { asked, failure, extra, segments: output.segments })
            }
            Err(failure) => {
                self.fail(net, job, failure);
                None
            }
        }
    }

    /// All partials of one answer used the same reference tables, where they say which.
    fn look_for_a_mix(&mut self, job: &Job<u64>) {
        let said = |part: &Part| {
            part.extra.decode(&qipc::Limits::internal()).ok()?.as_dict()?.get("refVintage")?.as_i64()
        };
        let said: BTreeSet<i64> = job.parts.iter().filter_map(said).collect();
        if said.len() > 1 {
            self.mixed = Some(format!("the answer to {} is made of vintages {said:?}", job.asked.key.0));
        }
    }

    fn fail(&mut self, net: &mut Net, job: Job<u64>, failure: Failure) {
        let extra =
            response_header::fields(&self.me.address(), &job.parts, Without::of(&job), &Output::default());
        let segments = Payload::empty().0;
        self.answer(net, Ending { asked: job.asked, failure, extra, segments });
    }

    fn answer(&mut self, net: &mut Net, ending: Ending) -> Option<Key> {
        let key = ending.asked.key;
        if !self.core.is_wanted(&key, net.clock(self.me)) {
            self.release(net, key);
            return None;
        }
        let Some(gw) = Proc::at(&ending.asked.gw) else {
            self.undelivered(net, &ending.asked.clone(), "it has no address");
            return None;
        };
        match self.pool.get(net, self.me, gw, ending) {
            Pooled::Now(session, ending) => self.answer_by(net, session, ending),
            Pooled::Later => None,
        }
    }

    fn answer_by(&mut self, net: &mut Net, session: u64, ending: Ending) -> Option<Key> {
        let Ending { asked, failure, extra, segments } = ending;
        let (corr, attempt) = asked.key;
        let total: usize = segments.iter().map(Bytes::len).sum();
        let Failure { rc, ac, ai } = failure;
        let clock = net.clock(self.me);
        self.core.handle(Event::Handing(asked.key, session), clock, &mut Vec::new());
        if total <= WHOLE_UP_TO {
            let answer = Answer { corr, attempt, rc, ac, ai, extra, payload: Payload(segments) };
            self.release(net, asked.key);
            if net.send(session, self.me, answer).is_err() {
                self.undelivered(net, &asked, "the link is gone");
                return None;
            }
            return Some(asked.key);
        }
        let head = AnswerHead { corr, attempt, rc, ac, ai, extra, total: total as i64 };
        if net.send(session, self.me, head).is_err() {
            self.undelivered(net, &asked, "the link is gone");
            return None;
        }
        self.turns.entry(session).or_default().add(asked.key, segments, clock);
        self.pump(net, session);
        Some(asked.key)
    }

    fn undelivered(&mut self, net: &mut Net, asked: &Asked<u64>, why: &str) {
        let ai = format!("the answer could not be handed to gateway {}: {why}", asked.gw);
        self.release(net, asked.key);
        self.tell(net, asked.rc, asked.key, Failure::new(Rc::CONN, Ac::CONN, ai));
    }

    fn pump(&mut self, net: &mut Net, session: u64) {
        let clock = net.clock(self.me);
        while let Some(piece) = self.turns.get_mut(&session).and_then(|t| t.next(clock)) {
            let (corr, attempt) = piece.key;
            let data = AnswerData { corr, attempt, offset: piece.offset as i64, chunk: Chunk(piece.bytes) };
            let _ = net.send(session, self.me, data);
            if piece.last {
                self.release(net, piece.key);
            }
        }
        self.arm(net);
    }

    fn stop(&mut self, net: &mut Net, key: Key) {
        if self.turns.values_mut().any(|t| t.remove(&key)) {
            self.release(net, key);
        }
    }

    fn release(&mut self, net: &mut Net, key: Key) {
        self.core.handle(Event::Released(key), net.clock(self.me), &mut Vec::new());
    }

    /// What must hold after every step.
    pub(crate) fn check(&self) -> Result<(), String> {
        // Panics where it does not hold; the world's runner names the seed.
        self.core.check_invariants();
        if let Some(mixed) = &self.mixed {
            return Err(mixed.clone());
        }
        let s = self.core.snapshot();
        let Bounds { memory, early_bytes, .. } = self.bounds;
        match s.held > memory || s.early > early_bytes {
            true => Err(format!("{} holds more than it may: {s:?} of {:?}", self.me.name(), self.bounds)),
            false => Ok(()),
        }
    }

    /// What must hold when everything has come to rest.
    pub(crate) fn check_quiet(&self) -> Result<(), String> {
        let s = self.core.snapshot();
        let streams = self.turns.values().filter(|t| !t.is_empty()).count();
        match s.outstanding + s.held + s.early + streams + self.away.len() {
            0 => Ok(()),
            _ => Err(format!("{} is not quiet: {s:?}, {streams} streams", self.me.name())),
        }
    }
}
