//! Requests in flight: which RC works on each, what happens when that RC is lost, and when time is up.
//!
//! Sans-io: no clock, socket or task inside. Callers bring `now` (nanoseconds on a monotonic clock) and carry
//! out the [`Action`]s. Rules kept: a request that was taken gets exactly one end (`Action::Deliver` or
//! [`Action::Fail`]) by its deadline, or is given up because its client is gone; it moves to another RC only
//! while nothing of it had started or its API is safe to run twice; the first answer of any attempt wins.
//! Tests: `pending/tests.rs`.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
};

use kvalue::Sym;
use sg::{
    Api, Corr, Failure,
    codes::{Ac, Rc},
};

/// Nanoseconds on a monotonic clock.
pub(crate) type Nanos = u64;

/// A link to an RC, as a number.
pub(crate) type RcLink = u64;

/// The GW counts its attempts by one; an RC that does a request again by itself adds this, so the numbers of
/// two RCs never meet.
pub(crate) const RC_REDO: i32 = 1 << 16;

/// The sentence for a client when no RC is there (kdb Insights resilience page).
pub(crate) const NO_RC: &str = "No Resource Coordinator connections are available and ready for service";

/// What the caller has to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Action<J> {
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
    /// Answer the request with this failure: it is over.
    Fail {
        /// the request
        job: J,
        /// why
        failure: Failure,
    },
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No RC is ready.
    NoRc,
    /// As many requests are in flight as may be.
    Full {
        /// the limit
        limit: usize,
    },
}

struct Entry<J> {
    job: J,
    api: Sym,
    deadline: Nanos,
    attempt: i32,
    /// RC that has it; `None` while it waits for one
    link: Option<RcLink>,
    started: bool,
}

struct Coordinator {
    link: RcLink,
    ready: bool,
}

/// All requests in flight.
pub(crate) struct Pending<J> {
    entries: HashMap<Corr, Entry<J>, ahash::RandomState>,
    /// earliest deadline first; entries of finished requests are swept when they outnumber the others
    deadlines: BinaryHeap<Reverse<(Nanos, Corr)>>,
    /// requests that wait for an RC, in order
    parked: VecDeque<Corr>,
    coordinators: Vec<Coordinator>,
    turn: usize,
    apis: HashMap<Sym, Arc<Api>>,
    limit: usize,
}

impl<J: Clone> Pending<J> {
    /// Nothing in flight; at most `limit` requests later.
    pub(crate) fn new(limit: usize) -> Self {
        Pending {
            entries: HashMap::default(),
            deadlines: BinaryHeap::new(),
            parked: VecDeque::new(),
            coordinators: Vec::new(),
            turn: 0,
            apis: HashMap::new(),
            limit,
        }
    }

    /// Requests in flight.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// True with none in flight.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// RCs linked, and how many of them are ready.
    pub(crate) fn coordinators(&self) -> (usize, usize) {
        (self.coordinators.len(), self.coordinators.iter().filter(|c| c.ready).count())
    }

    /// Metadata of an API, as an RC last told it.
    pub(crate) fn api(&self, name: &Sym) -> Option<Arc<Api>> {
        self.apis.get(name).cloned()
    }

    /// A link to an RC is up; it is not ready until it says so.
    pub(crate) fn rc_up(&mut self, link: RcLink) {
        if self.coordinators.iter().all(|c| c.link != link) {
            self.coordinators.push(Coordinator { link, ready: false });
        }
    }

    /// An RC told its state. What waited for an RC goes to it.
    pub(crate) fn rc_status(
        &mut self,
        link: RcLink,
        ready: bool,
        apis: Vec<Api>,
        now: Nanos,
    ) -> Vec<Action<J>> {
        if let Some(c) = self.coordinators.iter_mut().find(|c| c.link == link) {
            c.ready = ready;
            self.apis.extend(apis.into_iter().map(|a| (a.name.clone(), Arc::new(a))));
        }
        let mut actions = Vec::new();
        while !self.parked.is_empty() {
            let Some(link) = self.next_rc() else { break };
            let Some(corr) = self.parked.pop_front() else { break };
            actions.extend(self.send(corr, link, now));
        }
        actions
    }

    /// A link to an RC is lost: its requests move where that is safe.
    pub(crate) fn rc_down(&mut self, link: RcLink, now: Nanos) -> Vec<Action<J>> {
        self.coordinators.retain(|c| c.link != link);
        let mut theirs: Vec<Corr> =
            self.entries.iter().filter(|(_, e)| e.link == Some(link)).map(|(corr, _)| *corr).collect();
        // The order in the map is random; by deadline the outcome can be replayed.
        theirs.sort_unstable_by_key(|corr| (self.entries.get(corr).map(|e| e.deadline), *corr));
        let mut actions = Vec::new();
        for corr in theirs {
            let Some(entry) = self.entries.get_mut(&corr) else { continue };
            let safe = self.apis.get(&entry.api).is_some_and(|a| a.safe);
            if entry.started && !safe {
                let api = entry.api.text().into_owned();
                let ai = format!(
                    "the coordinator was lost while {api} was running, and {api} is not marked safe to run \
                     twice: it may or may not have run; ask again if that is harmless"
                );
                actions.extend(self.fail(&corr, Failure::new(Rc::CONN, Ac::CONN, ai)));
                continue;
            }
            entry.link = None;
            entry.started = false;
            entry.attempt = (entry.attempt + 1) % RC_REDO;
            match self.next_rc() {
                Some(other) => actions.extend(self.send(corr, other, now)),
                None => self.parked.push_back(corr),
            }
        }
        actions
    }

    /// Takes a request.
    pub(crate) fn submit(
        &mut self,
        corr: Corr,
        api: Sym,
        deadline: Nanos,
        job: J,
        now: Nanos,
    ) -> Result<Action<J>, Refusal> {
        if self.entries.len() >= self.limit {
            return Err(Refusal::Full { limit: self.limit });
        }
        let link = self.next_rc().ok_or(Refusal::NoRc)?;
        self.entries.insert(
            corr,
            Entry { job: job.clone(), api, deadline, attempt: 0, link: Some(link), started: false },
        );
        self.deadlines.push(Reverse((deadline, corr)));
        self.sweep();
        Ok(Action::Send { link, corr, attempt: 0, left: deadline.saturating_sub(now), job })
    }

    /// The RC is about to dispatch the first portion of a request.
    pub(crate) fn started(&mut self, link: RcLink, corr: &Corr) {
        if let Some(entry) = self.entries.get_mut(corr)
            && entry.link == Some(link)
        {
            entry.started = true;
        }
    }

    /// An answer of any attempt came: the request to deliver it to, once, and an RC to stop if another one
    /// works on it by now. `None` for a late or repeated answer, which is dropped.
    pub(crate) fn answered(&mut self, corr: &Corr, attempt: i32) -> Option<(J, Option<Action<J>>)> {
        let entry = self.entries.remove(corr)?;
        let other = attempt % RC_REDO != entry.attempt;
        Some((entry.job.clone(), if other { entry.cancel(*corr) } else { None }))
    }

    /// The client is gone: nobody waits for the answer.
    pub(crate) fn gone(&mut self, corr: &Corr) -> Option<Action<J>> {
        self.entries.remove(corr)?.cancel(*corr)
    }

    /// When [`Self::tick`] has something to do next.
    pub(crate) fn next_deadline(&mut self) -> Option<Nanos> {
        while let Some(Reverse((at, corr))) = self.deadlines.peek() {
            if self.entries.contains_key(corr) {
                return Some(*at);
            }
            self.deadlines.pop();
        }
        None
    }

    /// Fails what is past its deadline.
    pub(crate) fn tick(&mut self, now: Nanos) -> Vec<Action<J>> {
        let mut actions = Vec::new();
        while let Some(at) = self.next_deadline()
            && at <= now
        {
            let Some(Reverse((_, corr))) = self.deadlines.pop() else { break };
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
    pub(crate) fn fail_all(&mut self, failure: &Failure) -> Vec<Action<J>> {
        let all: Vec<Corr> = self.entries.keys().copied().collect();
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
        let (attempt, job) = (entry.attempt, entry.job.clone());
        Some(Action::Send { link, corr, attempt, left: entry.deadline.saturating_sub(now), job })
    }

    /// The ready RCs in turn.
    fn next_rc(&mut self) -> Option<RcLink> {
        let n = self.coordinators.len();
        for i in 0..n {
            let at = (self.turn + i) % n;
            if self.coordinators[at].ready {
                self.turn = at + 1;
                return Some(self.coordinators[at].link);
            }
        }
        None
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
