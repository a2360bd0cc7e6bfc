//! Requests in flight: which RC works on each, what happens when that RC is lost, and when time is up.
//!
//! Sans-io: no clock, socket or task inside. Callers bring `now` (nanoseconds on a monotonic clock) and carry
//! out the [`Action`]s. Rules kept: a request that was taken gets exactly one end ([`Action::Deliver`] or
//! [`Action::Fail`]) by its deadline, or is given up because its client is gone; it moves to another RC only
//! while nothing of it had started or its API is safe to run twice; the first answer of any attempt wins.
//! Tests: below.

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
mod tests {
    use super::*;

    const A: RcLink = 1;
    const B: RcLink = 2;
    type P = Pending<&'static str>;

    fn corr(n: u8) -> Corr {
        Corr([n; 16])
    }

    fn apis() -> Vec<Api> {
        let mut unsafe_one = Api::from_value(&kvalue::Value::sym(".c.f")).unwrap();
        unsafe_one.safe = false;
        sg::api::builtin().into_iter().chain([unsafe_one]).collect()
    }

    fn with(rcs: &[RcLink]) -> P {
        let mut p = P::new(100);
        for &link in rcs {
            p.rc_up(link);
            assert_eq!(p.rc_status(link, true, apis(), 0), []);
        }
        p
    }

    fn submit(p: &mut P, n: u8, api: &str) -> RcLink {
        match p.submit(corr(n), api.into(), 100, "job", 10) {
            Ok(Action::Send { link, attempt: 0, left: 90, .. }) => link,
            other => panic!("{other:?}"),
        }
    }

    fn sent_to(actions: &[Action<&str>]) -> Vec<(RcLink, i32)> {
        let sends = actions.iter().map(|a| match a {
            Action::Send { link, attempt, .. } => (*link, *attempt),
            other => panic!("{other:?}"),
        });
        sends.collect()
    }

    #[test]
    fn without_a_ready_coordinator_a_request_is_refused() {
        let mut p = P::new(1);
        assert_eq!(p.submit(corr(1), ".kxi.ping".into(), 9, "job", 0), Err(Refusal::NoRc));
        p.rc_up(A);
        assert_eq!(p.submit(corr(1), ".kxi.ping".into(), 9, "job", 0), Err(Refusal::NoRc), "up is not ready");
    }

    #[test]
    fn requests_go_to_ready_coordinators_in_turn() {
        let mut p = with(&[A, B]);
        let order: Vec<_> = (0..4).map(|n| submit(&mut p, n, ".kxi.ping")).collect();
        assert_eq!(order, [A, B, A, B]);
        p.rc_status(A, false, vec![], 0);
        assert_eq!(submit(&mut p, 9, ".kxi.ping"), B);
    }

    #[test]
    fn the_limit_refuses_by_name() {
        let mut p = P::new(1);
        p.rc_up(A);
        p.rc_status(A, true, vec![], 0);
        submit(&mut p, 1, ".kxi.ping");
        assert_eq!(p.submit(corr(2), ".kxi.ping".into(), 9, "job", 0), Err(Refusal::Full { limit: 1 }));
    }

    #[test]
    fn the_first_answer_wins_and_later_ones_are_dropped() {
        let mut p = with(&[A]);
        submit(&mut p, 1, ".kxi.ping");
        assert_eq!(p.answered(&corr(1), 0), Some(("job", None)));
        assert_eq!(p.answered(&corr(1), 0), None);
        assert_eq!(p.tick(1_000), [], "no second end at the deadline");
    }

    #[test]
    fn a_request_fails_at_its_deadline_and_its_coordinator_is_told() {
        let mut p = with(&[A]);
        submit(&mut p, 1, ".kxi.ping");
        assert_eq!(p.next_deadline(), Some(100));
        assert_eq!(p.tick(99), []);
        match &p.tick(100)[..] {
            [Action::Cancel { link: A, .. }, Action::Fail { failure, .. }] => {
                assert_eq!(failure.rc, Rc::TIMEOUT)
            }
            other => panic!("{other:?}"),
        }
        assert_eq!((p.answered(&corr(1), 0), p.next_deadline()), (None, None));
    }

    #[test]
    fn what_had_not_started_moves_when_its_coordinator_is_lost() {
        let mut p = with(&[A, B]);
        assert_eq!(submit(&mut p, 1, ".c.f"), A);
        assert_eq!(sent_to(&p.rc_down(A, 20)), [(B, 1)]);
    }

    #[test]
    fn what_had_started_moves_only_if_it_is_safe() {
        let mut p = with(&[A, B]);
        assert_eq!((submit(&mut p, 1, ".c.f"), submit(&mut p, 2, ".kxi.ping")), (A, B));
        assert_eq!((submit(&mut p, 3, ".kxi.ping"), submit(&mut p, 4, ".c.f")), (A, B));
        [1, 3].iter().for_each(|n| p.started(A, &corr(*n)));
        let actions = p.rc_down(A, 20);
        let failed =
            actions.iter().filter(|a| matches!(a, Action::Fail { failure, .. } if failure.rc == Rc::CONN));
        assert_eq!(failed.count(), 1);
        assert!(actions.iter().any(|a| matches!(a, Action::Send { link: B, corr: c, .. } if *c == corr(3))));
        assert_eq!(p.len(), 3);
    }

    #[test]
    fn with_no_other_coordinator_a_movable_request_waits_for_one() {
        let mut p = with(&[A]);
        submit(&mut p, 1, ".kxi.ping");
        submit(&mut p, 2, ".kxi.ping");
        assert_eq!(p.rc_down(A, 20), []);
        assert_eq!(p.gone(&corr(2)), None);
        p.rc_up(B);
        assert_eq!(sent_to(&p.rc_status(B, true, vec![], 30)), [(B, 1)]);
        assert_eq!(p.rc_status(B, true, vec![], 31), [], "sent once");
    }

    #[test]
    fn a_waiting_request_fails_at_its_deadline() {
        let mut p = with(&[A]);
        submit(&mut p, 1, ".kxi.ping");
        p.rc_down(A, 20);
        assert!(
            matches!(&p.tick(100)[..], [Action::Fail { failure, .. }] if failure.ai.contains("no other"))
        );
        p.rc_up(B);
        assert_eq!(p.rc_status(B, true, vec![], 130), [], "nothing is left of it");
    }

    #[test]
    fn an_answer_of_an_earlier_attempt_stops_the_later_one() {
        let mut p = with(&[A, B]);
        submit(&mut p, 1, ".kxi.ping");
        p.rc_down(A, 20);
        let (_, stop) = p.answered(&corr(1), 0).unwrap();
        assert_eq!(stop, Some(Action::Cancel { link: B, corr: corr(1), attempt: 1 }));
    }

    #[test]
    fn a_retry_of_the_coordinator_itself_is_the_same_attempt_to_us() {
        let mut p = with(&[A]);
        submit(&mut p, 1, ".kxi.ping");
        assert_eq!(p.answered(&corr(1), RC_REDO), Some(("job", None)));
    }

    #[test]
    fn a_client_that_leaves_cancels_its_request() {
        let mut p = with(&[A]);
        submit(&mut p, 1, ".kxi.ping");
        assert_eq!(p.gone(&corr(1)), Some(Action::Cancel { link: A, corr: corr(1), attempt: 0 }));
        assert_eq!((p.gone(&corr(1)), p.len()), (None, 0));
    }

    #[test]
    fn finished_requests_leave_nothing_behind() {
        let mut p = with(&[A]);
        for round in 0..20_000u32 {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&round.to_le_bytes());
            p.submit(Corr(id), ".kxi.ping".into(), 1_000_000, "job", 0).unwrap();
            p.answered(&Corr(id), 0).unwrap();
        }
        assert!(p.deadlines.len() <= 1025, "{}", p.deadlines.len());
    }

    /// Whatever happens in whatever order, each request that was taken ends exactly once.
    #[test]
    fn every_request_ends_exactly_once_over_many_seeds() {
        for seed in 0..300u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut random = |n: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % n
            };
            let mut p: Pending<u32> = Pending::new(1000);
            let (mut taken, mut ends) = (0u32, HashMap::<u32, u32>::new());
            let (mut now, mut next_link, mut up) = (0, 10, Vec::new());
            let id = |n: u32| {
                let mut id = [0; 16];
                id[..4].copy_from_slice(&n.to_le_bytes());
                Corr(id)
            };
            for _ in 0..200 {
                now += random(5);
                let mut actions = Vec::new();
                match random(8) {
                    0 if up.len() < 3 => {
                        next_link += 1;
                        up.push(next_link);
                        p.rc_up(next_link);
                    }
                    1 if !up.is_empty() => {
                        let link = up[random(up.len() as u64) as usize];
                        actions = p.rc_status(link, random(3) > 0, apis(), now);
                    }
                    2 if !up.is_empty() => {
                        let link = up.swap_remove(random(up.len() as u64) as usize);
                        actions = p.rc_down(link, now);
                    }
                    3 => {
                        if let Some((job, _)) = p.answered(&id(random(u64::from(taken) + 1) as u32), 0) {
                            *ends.entry(job).or_default() += 1;
                        }
                    }
                    4 if !up.is_empty() => {
                        p.started(up[0], &id(random(u64::from(taken) + 1) as u32));
                    }
                    5 => actions = p.tick(now),
                    _ => {
                        let api = if random(2) == 0 { ".c.f" } else { ".kxi.ping" };
                        if p.submit(id(taken), api.into(), now + random(50), taken, now).is_ok() {
                            taken += 1;
                        }
                    }
                }
                for action in actions {
                    if let Action::Fail { job, .. } = action {
                        *ends.entry(job).or_default() += 1;
                    }
                }
            }
            for action in p.tick(now + 1_000) {
                if let Action::Fail { job, .. } = action {
                    *ends.entry(job).or_default() += 1;
                }
            }
            assert!(p.is_empty(), "seed {seed}");
            assert!((0..taken).all(|n| ends.get(&n) == Some(&1)), "seed {seed}: {ends:?} of {taken}");
        }
    }
}
