//! Requests in flight: which RC works on each, what happens when that RC is lost, and when time is up.
//!
//! Sans-io: no clock, socket or task inside. Callers bring `now` (nanoseconds on a monotonic clock) and carry out the
//! [`Action`]s. Rules kept: a request that was taken gets exactly one end (`Action::Deliver` or [`Action::Fail`]) by
//! its deadline, or is given up because its client is gone; it moves from a lost RC to another only if its API is safe
//! to run twice, for a `started` that was on its way may be lost with the link; a request goes to the RCs of its
//! assembly, in turn, and to other RCs as its affinity allows; a request without a ready RC is kept for a moment, then
//! refused; the first answer of any attempt wins, and the RC of the request is told of the answer: until then the RC
//! answers for the request, so that an answer lost in transit is sent again. Which RC is next is for `coordinators`.
//! Tests: `pending/tests.rs`.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

use ahash::HashMap;
use kvalue::Sym;
use sg::{
    Api, Corr, Failure,
    codes::{Ac, Rc},
    msg::Status,
};

mod coordinators;

use coordinators::Coordinators;

pub use coordinators::Affinity;

/// Nanoseconds on a monotonic clock.
pub type Nanos = u64;

/// A link to an RC, as a number.
pub type RcLink = u64;

/// The GW counts its attempts by one; an RC that does a request again by itself adds this, so the numbers of
/// two RCs never meet.
pub const RC_REDO: i32 = 1 << 16;

/// The sentence for a client when no RC is there (kdb Insights resilience page).
pub const NO_RC: &str = "No Resource Coordinator connections are available and ready for service";

/// What the caller has to do.
#[derive(Debug, PartialEq)]
pub enum Action<J> {
    /// Send the request to an RC.
    Send {
        /// where to
        link: RcLink,
        /// request
        corr: Corr,
        /// attempt to say
        attempt: i32,
        /// nanoseconds until its deadline
        left: Nanos,
        /// the request itself
        job: J,
    },
    /// Tell an RC to stop.
    Cancel {
        /// which
        link: RcLink,
        /// request
        corr: Corr,
        /// its attempt there
        attempt: i32,
    },
    /// Tell an RC that the Agg's answer has come: the request is over.
    Answered {
        /// which
        link: RcLink,
        /// request
        corr: Corr,
        /// attempt that was answered
        attempt: i32,
        /// return code of the answer
        rc: Rc,
        /// its sentence, of a failure
        ai: String,
        /// since the request was taken
        took: Nanos,
        /// bytes of the answer
        bytes: u64,
    },
    /// Answer the request with this failure: it is over.
    Fail {
        /// the request
        job: J,
        /// why
        failure: Failure,
    },
    /// No RC has become ready for the request while it was kept for one: refuse it, as at once.
    Refuse {
        /// the request
        job: J,
        /// why
        why: Refusal,
    },
}

/// Who answers a request.
#[derive(Debug, Clone, Copy)]
pub enum Answerer<'a> {
    /// the RC by itself: it has ended the request
    Rc(RcLink),
    /// an Agg, with this outcome
    Agg {
        /// return code
        rc: Rc,
        /// sentence of a failure
        ai: &'a str,
        /// bytes of its payload
        bytes: u64,
    },
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No RC is ready.
    NoRc,
    /// RCs are ready, but none of the only assembly that would do.
    NoneOfAssembly,
    /// As many requests are in flight as may be.
    Full {
        /// the limit
        limit: usize,
    },
}

struct Entry<J> {
    job: J,
    api: Sym,
    affinity: Affinity,
    since: Nanos,
    deadline: Nanos,
    attempt: i32,
    /// RC that has it; `None` while it waits for one
    link: Option<RcLink>,
    /// not sent to an RC yet: kept until this time
    kept: Option<Nanos>,
    started: bool,
    /// RCs that would not take it
    refusals: usize,
}

/// All requests in flight.
pub struct Pending<J> {
    entries: HashMap<Corr, Entry<J>>,
    /// earliest deadline first; entries of finished requests are swept when they outnumber the others
    deadlines: BinaryHeap<Reverse<(Nanos, Corr)>>,
    /// requests that wait for an RC, in order
    parked: VecDeque<Corr>,
    coordinators: Coordinators,
    apis: HashMap<Sym, Arc<Api>>,
    limit: usize,
    patience: Nanos,
}

impl<J: Clone> Pending<J> {
    /// Nothing in flight; at most `limit` requests later. One that comes while no RC is ready is kept for `patience`.
    pub fn new(limit: usize, patience: Nanos) -> Self {
        Pending {
            entries: HashMap::default(),
            deadlines: BinaryHeap::new(),
            parked: VecDeque::new(),
            coordinators: Coordinators::default(),
            apis: HashMap::default(),
            limit,
            patience,
        }
    }

    /// Requests in flight.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True with none in flight.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// RCs linked, and how many of them take requests.
    pub fn coordinators(&self) -> (usize, usize) {
        (self.coordinators.linked(), self.coordinators.ready())
    }

    /// Metadata of an API, as an RC last told it.
    pub fn api(&self, name: &Sym) -> Option<Arc<Api>> {
        self.apis.get(name).cloned()
    }

    /// A link to an RC is up; it is not ready until it says so.
    pub fn rc_up(&mut self, link: RcLink) {
        self.coordinators.up(link);
    }

    /// An RC told its state. What waited for an RC goes to it.
    pub fn rc_status(&mut self, link: RcLink, status: Status, now: Nanos) -> Vec<Action<J>> {
        let Status { ready, apis, assembly, .. } = status;
        if self.coordinators.set(link, ready, assembly) {
            self.apis.extend(apis.into_iter().map(|a| (a.name.clone(), Arc::new(a))));
        }
        let mut actions = Vec::new();
        for corr in std::mem::take(&mut self.parked) {
            let Some(affinity) = self.entries.get(&corr).map(|e| e.affinity.clone()) else { continue };
            match self.coordinators.next(&affinity) {
                Some(link) => actions.extend(self.send(corr, link, now)),
                None => self.parked.push_back(corr),
            }
        }
        actions
    }

    /// The process of an RC is on its way out: it gets nothing new, unless no other is ready. Then it still serves
    /// until it says otherwise: its successor may be a moment away.
    pub fn rc_leaving(&mut self, link: RcLink) {
        self.coordinators.leaving(link);
    }

    /// True where an RC has requests of ours.
    pub fn waits_for(&self, link: RcLink) -> bool {
        self.entries.values().any(|e| e.link == Some(link))
    }

    /// True where an RC is ready and no other is that stays.
    pub fn is_last(&self, link: RcLink) -> bool {
        self.coordinators.is_last(link)
    }

    /// An RC refuses a request before any start: the RC is stopping, or knows no replica for the request. Another ready
    /// RC gets the request, each RC at most once; `None` without another RC: the refusal is the answer.
    pub fn refused(&mut self, link: RcLink, corr: &Corr, attempt: i32, now: Nanos) -> Option<Action<J>> {
        let others = self.coordinators.others(link);
        let entry = self.entries.get_mut(corr)?;
        let present = entry.link == Some(link) && entry.attempt == attempt % RC_REDO;
        if !present || entry.started || entry.refusals + 1 >= self.coordinators.linked() || !others {
            return None;
        }
        let affinity = entry.affinity.clone();
        let mut another = || self.coordinators.next(&affinity).filter(|other| *other != link);
        let other = another().or_else(another)?;
        let entry = self.entries.get_mut(corr)?;
        entry.refusals += 1;
        entry.attempt = (entry.attempt + 1) % RC_REDO;
        self.send(*corr, other, now)
    }

    /// A link to an RC is lost: its requests move where that is safe.
    pub fn rc_down(&mut self, link: RcLink, now: Nanos) -> Vec<Action<J>> {
        self.coordinators.down(link);
        let mut theirs: Vec<Corr> =
            self.entries.iter().filter(|(_, e)| e.link == Some(link)).map(|(corr, _)| *corr).collect();
        // The order in the map is random; by deadline the outcome can be replayed.
        theirs.sort_unstable_by_key(|corr| (self.entries.get(corr).map(|e| e.deadline), *corr));
        let mut actions = Vec::new();
        for corr in theirs {
            let Some(entry) = self.entries.get_mut(&corr) else { continue };
            let safe = self.apis.get(&entry.api).is_some_and(|a| a.safe);
            // That no `started` came proves nothing: it may have been lost with the link.
            if !safe && (entry.started || !sg::mutation::on("gw-moves-unsafe")) {
                let api = entry.api.text().into_owned();
                let doing = if entry.started { "was running" } else { "may have been running" };
                let ai = format!(
                    "the coordinator was lost while {api} {doing}, and {api} is not marked safe to run \
                     twice: ask again if that is harmless"
                );
                actions.extend(self.fail(&corr, Failure::new(Rc::CONN, Ac::CONN, ai)));
                continue;
            }
            entry.link = None;
            entry.started = false;
            entry.attempt = (entry.attempt + 1) % RC_REDO;
            let affinity = entry.affinity.clone();
            match self.coordinators.next(&affinity) {
                Some(other) => actions.extend(self.send(corr, other, now)),
                None => self.parked.push_back(corr),
            }
        }
        actions
    }

    /// Takes a request: what to do at once, nothing where no RC is ready yet.
    pub fn submit(
        &mut self,
        corr: Corr,
        api: Sym,
        affinity: Affinity,
        deadline: Nanos,
        job: J,
        now: Nanos,
    ) -> Result<Option<Action<J>>, Refusal> {
        if self.entries.len() >= self.limit && !sg::mutation::on("gw-unbounded") {
            return Err(Refusal::Full { limit: self.limit });
        }
        let link = self.coordinators.next(&affinity);
        let kept = match (link, self.nobody()) {
            (Some(_), _) => None,
            (None, Refusal::NoRc) if self.patience > 0 => {
                Some(now.saturating_add(self.patience).min(deadline))
            }
            (None, refusal) => return Err(refusal),
        };
        let entry = Entry {
            job,
            api,
            affinity,
            since: now,
            deadline,
            attempt: 0,
            link: None,
            kept,
            started: false,
            refusals: 0,
        };
        self.entries.insert(corr, entry);
        self.deadlines.push(Reverse((deadline, corr)));
        if let Some(until) = kept {
            self.deadlines.push(Reverse((until, corr)));
            self.parked.push_back(corr);
        }
        self.sweep();
        Ok(link.and_then(|link| self.send(corr, link, now)))
    }

    /// Why there is no RC for a request.
    fn nobody(&self) -> Refusal {
        match self.coordinators.ready() {
            0 => Refusal::NoRc,
            _ => Refusal::NoneOfAssembly,
        }
    }

    /// The RC is about to dispatch the first portion of a request.
    pub fn started(&mut self, link: RcLink, corr: &Corr) {
        if let Some(entry) = self.entries.get_mut(corr)
            && entry.link == Some(link)
        {
            entry.started = true;
        }
    }

    /// An answer of any attempt came: the request to deliver it to, once, and what the RC that has the request
    /// is to be told: to stop if that is another attempt by now, or that the Agg's answer is here. `None` for a
    /// late or repeated answer, which is dropped.
    pub fn answered(
        &mut self,
        corr: &Corr,
        attempt: i32,
        by: Answerer,
        now: Nanos,
    ) -> Option<(J, Option<Action<J>>)> {
        if sg::mutation::on("gw-answers-twice") {
            return Some((self.entries.get(corr)?.job.clone(), None));
        }
        let entry = self.entries.remove(corr)?;
        let present = attempt % RC_REDO == entry.attempt;
        let tell = match by {
            _ if !present => entry.cancel(*corr),
            Answerer::Rc(_) => None,
            Answerer::Agg { rc, ai, bytes } => {
                let took = now.saturating_sub(entry.since);
                let told =
                    |link| Action::Answered { link, corr: *corr, attempt, rc, ai: ai.into(), took, bytes };
                entry.link.map(told)
            }
        };
        Some((entry.job.clone(), tell))
    }

    /// The client is gone: nobody waits for the answer.
    pub fn gone(&mut self, corr: &Corr) -> Option<Action<J>> {
        self.entries.remove(corr)?.cancel(*corr)
    }

    /// When [`Self::tick`] has something to do next.
    pub fn next_deadline(&mut self) -> Option<Nanos> {
        if sg::mutation::on("gw-forgets-deadline") {
            return None;
        }
        while let Some(Reverse((at, corr))) = self.deadlines.peek() {
            if self.entries.contains_key(corr) {
                return Some(*at);
            }
            self.deadlines.pop();
        }
        None
    }

    /// Fails what is past its deadline, and refuses what was kept for an RC for long enough.
    pub fn tick(&mut self, now: Nanos) -> Vec<Action<J>> {
        let mut actions = Vec::new();
        while let Some(at) = self.next_deadline()
            && at <= now
        {
            let Some(Reverse((_, corr))) = self.deadlines.pop() else { break };
            let Some(entry) = self.entries.get(&corr) else { continue };
            if entry.kept.is_some() {
                let why = self.nobody();
                let entry = self.entries.remove(&corr);
                actions.extend(entry.map(|entry| Action::Refuse { job: entry.job, why }));
                continue;
            }
            // The request has found an RC meanwhile.
            if entry.deadline > now {
                continue;
            }
            let ai = match self.entries.get(&corr).map(|e| (e.link, e.started)) {
                Some((None, _)) => {
                    "timeout: the coordinator was lost and no other became ready before the deadline"
                }
                Some((_, true)) => {
                    "timeout: no answer came before the deadline although the request had started; give it \
                     more time with opts `timeout` (ms), or ask for less"
                }
                _ => {
                    "timeout: the request had not started before its deadline; give it more time with opts \
                     `timeout` (ms)"
                }
            };
            actions.extend(self.fail(&corr, Failure::new(Rc::TIMEOUT, Ac::TIMEOUT, ai)));
        }
        actions
    }

    /// Fails everything: the process is stopping.
    pub fn fail_all(&mut self, failure: &Failure) -> Vec<Action<J>> {
        let mut all: Vec<Corr> = self.entries.keys().copied().collect();
        all.sort_unstable();
        all.iter().flat_map(|corr| self.fail(corr, failure.clone())).collect()
    }

    fn fail(&mut self, corr: &Corr, failure: Failure) -> Vec<Action<J>> {
        let Some(entry) = self.entries.remove(corr) else { return Vec::new() };
        let cancel = entry.cancel(*corr);
        cancel.into_iter().chain([Action::Fail { job: entry.job, failure }]).collect()
    }

    fn send(&mut self, corr: Corr, link: RcLink, now: Nanos) -> Option<Action<J>> {
        let entry = self.entries.get_mut(&corr)?;
        entry.link = Some(link);
        entry.kept = None;
        let (attempt, job) = (entry.attempt, entry.job.clone());
        Some(Action::Send { link, corr, attempt, left: entry.deadline.saturating_sub(now), job })
    }

    /// Keeps the heap in proportion to what is in flight.
    fn sweep(&mut self) {
        const SLACK: usize = 1024;
        if self.deadlines.len() > 2 * self.entries.len() + SLACK {
            let entries = &self.entries;
            self.deadlines.retain(|Reverse((_, corr))| entries.contains_key(corr));
        }
        if self.parked.len() > self.entries.len() {
            let entries = &self.entries;
            self.parked.retain(|corr| entries.contains_key(corr));
        }
    }
}

impl<J> Entry<J> {
    fn cancel(&self, corr: Corr) -> Option<Action<J>> {
        self.link.map(|link| Action::Cancel { link, corr, attempt: self.attempt })
    }
}

#[cfg(test)]
mod tests;
