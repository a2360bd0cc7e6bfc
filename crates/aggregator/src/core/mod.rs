//! The Agg's brain, sans-io: which partials belong to which request, when a request is complete, what is held.
//!
//! `handle(event, now) → actions`: no clock, socket, task or random number inside. `L` is whatever stands for
//! the link a plan came by; it is only handed back.
//!
//! Rules kept (design: mesh §2, §4):
//! * work is keyed by (corr, attempt); one partial per portion, the first wins;
//! * a request is complete with all portions of the plan, replacements in place of replaced portions; partials are
//!   joined in the order of the plan;
//! * the only partial of a request brings what a plan would say, and is answered by itself; where a plan came all the
//!   same, that counts;
//! * partials wait for the plan or replacement naming the portion, bounded in bytes and in time; partials of answered
//!   requests are dropped and counted;
//! * `got` is said as soon as a partial is stored, and never for a failure that the RC may still try again;
//! * an answer that a lost link to its GW may have taken with it is reported to the RC, which has it done again;
//! * all partials of an answer used the same vintage of reference tables: where all are there and some are older,
//!   those are dropped and the RC is asked for their portions again; partials that say no vintage do not count;
//! * what is held is bounded; the request that goes beyond the bound fails, naming it;
//! * nothing is held past its deadline.
//!
//! Tests: `tests/agg/core.rs`.

mod collecting;
mod recent;
mod store;
mod unplanned;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ahash::HashMap;
use bytes::Bytes;
use qipc::Raw;
use sg::{
    Ac, Corr, Failure, LabelSet, PortionId, Rc,
    msg::{Abandon, GiveUp, LonePlan, Partial, Plan, PlannedPortion, Replace},
    opts::EMPTY_DICT,
};

pub(crate) use self::collecting::wants_partials;
use self::{
    collecting::Collecting,
    recent::{Handed, Recent},
    store::{Room, Stored, store},
    unplanned::Unplanned,
};

/// Nanoseconds on the local monotonic clock.
pub type Nanos = u64;

/// One attempt of a request.
pub type Key = (Corr, i32);

/// What is bounded, and where.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// bytes of partials held for all requests (`QMESH_AGG_MEMORY`)
    pub memory: usize,
    /// bytes of partials that wait for their plan (`QMESH_AGG_EARLY_BYTES`)
    pub early_bytes: usize,
    /// time a partial waits for its plan (`QMESH_AGG_EARLY_TIME`)
    pub early_time: Duration,
    /// requests open at once (`QMESH_AGG_REQUESTS`)
    pub requests: usize,
    /// time that ids of answered requests are remembered (`KXI_SG_REQ_DEL_FREQ`)
    pub remember: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            memory: 4 << 30,
            early_bytes: 256 << 20,
            early_time: Duration::from_secs(10),
            requests: 65_536,
            remember: Duration::from_secs(10),
        }
    }
}

/// What happens to the core.
#[derive(Debug)]
pub enum Event<L> {
    /// a plan came by this link
    Plan(L, Plan),
    /// a portion is cut again
    Replace(Replace),
    /// a DAP's answer to a portion
    Partial(Partial),
    /// a DAP's answer to the only portion of a request that the RC at this link planned
    Lone(L, Box<LonePlan>, Partial),
    /// these portions will not come
    GiveUp(GiveUp),
    /// a request is to be forgotten
    Abandon(Abandon),
    /// the answer, or the head of a large one, is about to be handed to this link to its GW. Said before it is,
    /// so that a link that is lost meanwhile counts
    Handing(Key, u64),
    /// what was held of a request is gone: it was answered, or given up
    Released(Key),
    /// a link to a GW is gone
    GwDown(u64),
    /// time has passed
    Tick,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Action<L> {
    /// say that a partial is in custody
    Got(L, Key, PortionId),
    /// aggregate and answer; what is held stays counted until [`Event::Released`]
    Aggregate(Job<L>),
    /// answer with a failure
    Fail(Job<L>, Failure),
    /// ask the RC to have these portions run again: the dropped partials used reference tables older than this vintage
    Stale(L, Key, Vec<PortionId>, i64),
    /// tell the RC that a request has no answer from here, or one that may be lost
    Undelivered(L, Key, Failure),
    /// stop whatever is still done for it: nobody wants the answer
    Stop(Key),
    /// a partial was not taken
    Dropped(Dropped),
}

/// Why a partial was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// its request was answered, abandoned or has passed its deadline
    Late,
    /// its portion has one already, or was replaced
    Duplicate,
    /// no plan came for it in time
    Unknown,
    /// too much waits for plans already
    EarlyFull,
    /// the DAP failed in a way that the RC may try again
    Retryable,
    /// it had been taken, and used older reference tables than others of its request
    Stale,
}

/// What a plan says of a request, but for its portions.
#[derive(Debug, PartialEq)]
pub struct Asked<L> {
    /// request and attempt
    pub key: Key,
    /// link of the RC that planned it
    pub rc: L,
    /// API
    pub api: kvalue::Sym,
    /// aggregation function
    pub agg_fn: kvalue::Sym,
    /// GW that gets the answer
    pub gw: kvalue::Sym,
    /// header options
    pub opts: Raw,
    /// arguments
    pub args: Raw,
    /// after this nobody waits for it
    pub deadline: Nanos,
}

/// A request with what came for it.
#[derive(Debug, PartialEq)]
pub struct Job<L> {
    /// the request
    pub asked: Arc<Asked<L>>,
    /// partials in answer order
    pub parts: Vec<Part>,
    /// label sets of its portions, each once
    pub labels: Vec<LabelSet>,
    /// portions that the answer does without
    pub missing: Vec<PlannedPortion>,
    /// expected tiers are declared, for all label sets
    pub declared: bool,
}

/// One partial.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// its portion
    pub portion: PortionId,
    /// further header fields
    pub extra: Raw,
    /// the encoded result
    pub payload: Bytes,
}

/// A request that is being aggregated or answered.
struct Working<L> {
    /// bytes still held for it
    bytes: usize,
    deadline: Nanos,
    rc: L,
    /// link to the GW that its answer was handed to
    gw: Option<u64>,
}

/// Numbers to be shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// requests that wait for partials or are being aggregated or answered
    pub outstanding: usize,
    /// bytes of partials held, those that wait for a plan included
    pub held: usize,
    /// bytes of partials that wait for a plan
    pub early: usize,
}

/// The Agg's state.
pub struct Core<L> {
    bounds: Bounds,
    collecting: HashMap<Key, Collecting<L>>,
    working: HashMap<Key, Working<L>>,
    deadlines: BTreeSet<(Nanos, Key)>,
    unplanned: Unplanned,
    recent: Recent<L>,
    held: usize,
}

/// What the RC is told of answers that were handed to a link that is gone.
const GW_LOST: &str = "the link to the gateway was lost after the answer was handed to it";

impl<L: Clone> Core<L> {
    /// Nothing to do.
    pub fn new(bounds: Bounds) -> Self {
        Core {
            unplanned: Unplanned::new(bounds.early_bytes, nanos(bounds.early_time)),
            recent: Recent::new(nanos(bounds.remember)),
            bounds,
            collecting: HashMap::default(),
            working: HashMap::default(),
            deadlines: BTreeSet::new(),
            held: 0,
        }
    }

    /// Takes an event; what is to be done is appended to `out`, in order.
    pub fn handle(&mut self, event: Event<L>, now: Nanos, out: &mut Vec<Action<L>>) {
        match event {
            Event::Plan(rc, plan) => self.plan(rc, plan, now, out),
            Event::Replace(replace) => self.replace(replace, now, out),
            Event::GiveUp(given) => self.give_up(given, out),
            Event::Partial(partial) => self.partial(partial, now, out),
            Event::Lone(rc, plan, partial) => self.lone(rc, *plan, partial, now, out),
            Event::Abandon(Abandon { corr, attempt }) => self.abandon((corr, attempt), now, out),
            Event::Handing(key, gw) => {
                if let Some(working) = self.working.get_mut(&key) {
                    working.gw = Some(gw);
                }
            }
            Event::Released(key) => self.released(key, now),
            Event::GwDown(gw) => self.gw_down(gw, now, out),
            Event::Tick => self.tick(now, out),
        }
    }

    /// True while somebody waits for the answer of a request that is being aggregated or answered.
    pub fn is_wanted(&self, key: &Key, now: Nanos) -> bool {
        self.working.get(key).is_some_and(|w| now < w.deadline)
    }

    /// Numbers to be shown.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            outstanding: self.collecting.len() + self.working.len(),
            held: self.held + self.unplanned.bytes(),
            early: self.unplanned.bytes(),
        }
    }

    fn plan(&mut self, rc: L, plan: Plan, now: Nanos, out: &mut Vec<Action<L>>) {
        let key = (plan.corr, plan.attempt);
        // A plan is sent once; a second one of an attempt would count what has been answered again.
        if self.collecting.contains_key(&key) || self.is_begun(&key) {
            return;
        }
        let deadline = now.saturating_add(u64::try_from(plan.left).unwrap_or(0));
        let open = Collecting::new(rc, plan, deadline);
        let Some(open) = self.admit(key, open, out) else { return };
        self.collecting.insert(key, open);
        self.deadlines.insert((deadline, key));
        self.take_early(key, now, out);
        self.complete(key, out);
    }

    /// True where the request is being aggregated, or is over.
    fn is_begun(&self, key: &Key) -> bool {
        self.working.contains_key(key) || self.recent.contains(key)
    }

    /// The request, if there is a place for it; else it fails.
    fn admit(&mut self, key: Key, open: Collecting<L>, out: &mut Vec<Action<L>>) -> Option<Collecting<L>> {
        let limit = self.bounds.requests;
        if self.collecting.len() + self.working.len() < limit {
            return Some(open);
        }
        let ai = format!(
            "limit: this aggregator has {limit} requests open (QMESH_AGG_REQUESTS); try again, or start more aggregators"
        );
        self.begin_work(key, open, Some(Failure::new(Rc::QUEUE, Ac::LIMIT, ai)), out);
        None
    }

    /// The only partial of a request, with what is to be known of it.
    fn lone(&mut self, rc: L, plan: LonePlan, partial: Partial, now: Nanos, out: &mut Vec<Action<L>>) {
        let key = (partial.corr, partial.attempt);
        if self.collecting.contains_key(&key) {
            // The portion was replaced, or runs twice.
            return self.partial(partial, now, out);
        }
        if self.is_begun(&key) {
            return out.push(Action::Dropped(Dropped::Late));
        }
        let deadline = now.saturating_add(u64::try_from(plan.left).unwrap_or(0));
        let open = Collecting::lone(rc, key, partial.portion, plan, deadline);
        let Some(mut open) = self.admit(key, open, out) else { return };
        match store(&mut open, partial, self.room()) {
            Stored::Whole(bytes, portion) => {
                self.held += bytes;
                out.push(Action::Got(open.rc(), key, portion));
                let failure = open.take_failure();
                self.begin_work(key, open, failure, out);
            }
            Stored::Failed(failure) => self.begin_work(key, open, Some(failure), out),
            Stored::Dropped(why) => out.push(Action::Dropped(why)),
        }
    }

    /// Partials that came before the plan, or the replacement, that names their portion.
    fn take_early(&mut self, key: Key, now: Nanos, out: &mut Vec<Action<L>>) {
        for partial in self.unplanned.take(&key) {
            self.partial(partial, now, out);
        }
    }

    fn replace(&mut self, replace: Replace, now: Nanos, out: &mut Vec<Action<L>>) {
        let key = (replace.corr, replace.attempt);
        let Some(open) = self.collecting.get_mut(&key) else { return };
        self.held -= open.replace(replace);
        self.take_early(key, now, out);
        self.complete(key, out);
    }

    /// The client takes what there is: the answer does without some portions.
    fn give_up(&mut self, given: GiveUp, out: &mut Vec<Action<L>>) {
        let key = (given.corr, given.attempt);
        let Some(open) = self.collecting.get_mut(&key) else { return };
        open.give_up(given.missing, given.declared);
        self.complete(key, out);
    }

    fn partial(&mut self, partial: Partial, now: Nanos, out: &mut Vec<Action<L>>) {
        let key = (partial.corr, partial.attempt);
        let room = self.room();
        let Some(open) = self.collecting.get_mut(&key) else {
            let dropped = match self.is_begun(&key) {
                true => Some(Dropped::Late),
                false => self.unplanned.put(key, partial, now).err(),
            };
            out.extend(dropped.map(Action::Dropped));
            return;
        };
        match open.place(partial.portion) {
            collecting::Place::Free => {}
            collecting::Place::Taken => return out.push(Action::Dropped(Dropped::Duplicate)),
            collecting::Place::Unknown => {
                out.extend(self.unplanned.put(key, partial, now).err().map(Action::Dropped));
                return;
            }
        }
        match store(open, partial, room) {
            Stored::Whole(bytes, portion) => {
                self.held += bytes;
                out.push(Action::Got(open.rc(), key, portion));
                self.complete(key, out);
            }
            Stored::Failed(failure) => self.close(key, Some(failure), out),
            Stored::Dropped(why) => out.push(Action::Dropped(why)),
        }
    }

    /// What may still be held, and what is.
    fn room(&self) -> Room {
        Room { limit: self.bounds.memory, held: self.held, early: self.unplanned.bytes() }
    }

    /// Hands a request over whose portions are all there.
    fn complete(&mut self, key: Key, out: &mut Vec<Action<L>>) {
        let Some(open) = self.collecting.get_mut(&key).filter(|open| open.is_complete()) else { return };
        if let Some((vintage, stale, freed)) = open.drop_stale() {
            self.held -= freed;
            out.extend(stale.iter().map(|_| Action::Dropped(Dropped::Stale)));
            return out.push(Action::Stale(open.rc(), key, stale, vintage));
        }
        let failure = open.take_failure();
        self.close(key, failure, out);
    }

    /// A request waits for no partials any more.
    fn close(&mut self, key: Key, failure: Option<Failure>, out: &mut Vec<Action<L>>) {
        let Some(open) = self.collecting.remove(&key) else { return };
        self.deadlines.remove(&(open.deadline(), key));
        self.begin_work(key, open, failure, out);
    }

    /// From waiting for partials to being worked on; what is held stays counted.
    fn begin_work(
        &mut self,
        key: Key,
        open: Collecting<L>,
        failure: Option<Failure>,
        out: &mut Vec<Action<L>>,
    ) {
        let (bytes, deadline, rc) = (open.bytes(), open.deadline(), open.rc());
        self.working.insert(key, Working { bytes, deadline, rc, gw: None });
        let job = open.into_job();
        out.push(match failure {
            None => Action::Aggregate(job),
            Some(failure) => Action::Fail(job, failure),
        });
    }

    fn abandon(&mut self, key: Key, now: Nanos, out: &mut Vec<Action<L>>) {
        self.unplanned.forget(&key);
        if let Some(open) = self.collecting.remove(&key) {
            self.deadlines.remove(&(open.deadline(), key));
            self.held -= open.bytes();
        } else if let Some(working) = self.working.get_mut(&key) {
            // What is held for it is given back by whoever works on it.
            working.deadline = 0;
            out.push(Action::Stop(key));
        }
        // Its plan may even come after this: it is not wanted then.
        self.recent.add(key, None, now);
    }

    fn released(&mut self, key: Key, now: Nanos) {
        if let Some(Working { bytes, deadline, rc, gw }) = self.working.remove(&key) {
            self.held -= bytes;
            self.recent.add(key, gw.map(|gw| Handed { gw, rc, deadline }), now);
        }
    }

    /// What was handed to a link that is gone may have come through or not: only the GW knows, and it has told
    /// the RC of what came. The RC ignores those.
    fn gw_down(&mut self, gw: u64, now: Nanos, out: &mut Vec<Action<L>>) {
        let mut lost = self.recent.lost_with(gw, now);
        // In key order, so that a simulation can replay the run.
        let mut working = Vec::new();
        for (key, w) in self.working.iter_mut().filter(|(_, w)| w.gw == Some(gw)) {
            w.gw = None;
            working.extend((now < w.deadline).then(|| (w.rc.clone(), *key)));
        }
        working.sort_unstable_by_key(|(_, key)| *key);
        lost.extend(working);
        let failure = || Failure::new(Rc::CONN, Ac::CONN, GW_LOST);
        out.extend(lost.into_iter().map(|(rc, key)| Action::Undelivered(rc, key, failure())));
    }

    fn tick(&mut self, now: Nanos, out: &mut Vec<Action<L>>) {
        let expired = self.unplanned.expire(now);
        out.extend((0..expired).map(|_| Action::Dropped(Dropped::Unknown)));
        self.recent.expire(now);
        if sg::mutation::on("agg-forgets-deadline") {
            return;
        }
        while let Some(&(deadline, key)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now) {
            self.deadlines.remove(&(deadline, key));
            let Some(open) = self.collecting.remove(&key) else { continue };
            self.held -= open.bytes();
            self.recent.add(key, None, now);
            let ai = format!("the deadline passed with {}", open.missing());
            let failure = Failure::new(Rc::TIMEOUT, Ac::TIMEOUT, ai);
            out.push(Action::Undelivered(open.rc(), key, failure));
        }
    }

    /// Checks what must always hold; for tests and debug builds.
    pub fn check_invariants(&self) {
        let open: usize = self.collecting.values().map(Collecting::bytes).sum();
        let working: usize = self.working.values().map(|w| w.bytes).sum();
        assert_eq!(self.held, open + working, "held bytes are those of all requests");
        assert_eq!(self.deadlines.len(), self.collecting.len(), "each open request has a deadline");
        assert!(self.unplanned.bytes() <= self.bounds.early_bytes, "early partials are bounded");
        for (key, open) in &self.collecting {
            assert!(!open.is_complete(), "{key:?} is complete and still open");
            assert!(self.deadlines.contains(&(open.deadline(), *key)), "{key:?} has no deadline");
        }
    }
}

/// Up to this many bytes are copied out of the buffer they were read into before they are held: it holds the
/// messages of many, and would stay as long as the last of them.
const COPY_UP_TO: usize = 4096;

fn detached_bytes(bytes: Bytes) -> Bytes {
    if bytes.len() <= COPY_UP_TO { Bytes::copy_from_slice(&bytes) } else { bytes }
}

fn detached_raw(raw: Raw) -> Raw {
    if raw.0[..] == EMPTY_DICT {
        return Raw(Bytes::from_static(&EMPTY_DICT));
    }
    Raw(detached_bytes(raw.0))
}

fn detached(mut partial: Partial) -> Partial {
    partial.extra = detached_raw(partial.extra);
    partial.payload.0.iter_mut().for_each(|bytes| *bytes = detached_bytes(std::mem::take(bytes)));
    partial
}

fn nanos(time: Duration) -> Nanos {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
