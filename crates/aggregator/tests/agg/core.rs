//! The core's rules, one by one.

use std::time::Duration;

use aggregator::core::{Action, Bounds, Core, Event, Nanos, Snapshot};
use kvalue::{Dict, Value};
use qipc::Raw;
use sg::{
    Ac, Corr, LabelSet, PortionId, Rc, TimeRange,
    msg::{Abandon, Partial, Payload, Plan, PlannedPortion, Replace},
    opts::EMPTY_DICT,
};

pub(crate) const C: Corr = Corr([1; 16]);
pub(crate) const SECOND: Nanos = 1_000_000_000;

/// A core whose invariants are checked after each event.
pub(crate) struct Agg {
    core: Core<&'static str>,
    pub(crate) now: Nanos,
}

pub(crate) fn agg(bounds: Bounds) -> Agg {
    Agg { core: Core::new(bounds), now: 0 }
}

impl Agg {
    pub(crate) fn take(&mut self, event: Event<&'static str>) -> Vec<Action<&'static str>> {
        let mut out = Vec::new();
        self.core.handle(event, self.now, &mut out);
        self.core.check_invariants();
        out
    }

    /// What happens, in short.
    pub(crate) fn says(&mut self, event: Event<&'static str>) -> Vec<String> {
        self.take(event).iter().map(short).collect()
    }

    pub(crate) fn plan(&mut self, corr: Corr, ids: &[u32]) -> Vec<String> {
        self.says(Event::Plan("rc", plan(corr, ids)))
    }

    pub(crate) fn partial(&mut self, corr: Corr, id: u32) -> Vec<String> {
        self.says(Event::Partial(partial(corr, id, 10)))
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.core.snapshot()
    }
}

fn short(action: &Action<&'static str>) -> String {
    match action {
        Action::Got(rc, _, id) => format!("got {} to {rc}", id.0),
        Action::Aggregate(job) => {
            let ids: Vec<String> = job.parts.iter().map(|p| p.portion.0.to_string()).collect();
            format!("aggregate {}", ids.join(","))
        }
        Action::Fail(job, failure) => {
            format!("fail rc {} with {} parts: {}", failure.rc.0, job.parts.len(), failure.ai)
        }
        Action::Undelivered(rc, (corr, _), failure) => {
            format!("undelivered {} rc {} to {rc}", corr.0[0], failure.rc.0)
        }
        Action::Stale(rc, _, ids, vintage) => {
            let ids: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
            format!("stale {} for {vintage} to {rc}", ids.join(","))
        }
        Action::Stop(_) => "stop".into(),
        Action::Dropped(why) => format!("dropped {why:?}"),
    }
}

fn portion(id: u32) -> PlannedPortion {
    let range = TimeRange::new(i64::from(id), i64::from(id) + 1).unwrap();
    PlannedPortion { id: PortionId(id), labels: LabelSet::default(), table: "trade".into(), range }
}

pub(crate) fn plan(corr: Corr, ids: &[u32]) -> Plan {
    Plan {
        corr,
        attempt: 0,
        epoch: 0,
        left: 10 * SECOND as i64,
        api: ".kxi.getData".into(),
        agg_fn: ".sgagg.getData".into(),
        gw: "gw:5040".into(),
        opts: Raw(bytes::Bytes::from_static(&EMPTY_DICT)),
        args: Raw(bytes::Bytes::from_static(&EMPTY_DICT)),
        portions: ids.iter().map(|id| portion(*id)).collect(),
    }
}

pub(crate) fn partial(corr: Corr, id: u32, bytes: usize) -> Partial {
    Partial {
        corr,
        attempt: 0,
        portion: PortionId(id),
        rc: Rc::OK,
        ac: Ac::OK,
        ai: String::new(),
        extra: Raw(bytes::Bytes::from_static(&EMPTY_DICT)),
        lone: None,
        payload: Payload(vec![vec![id as u8; bytes].into()]),
    }
}

pub(crate) fn failed(corr: Corr, id: u32, rc: Rc) -> Partial {
    Partial { rc, ac: Ac::ARG, ai: format!("portion {id} says no"), ..partial(corr, id, 0) }
}

pub(crate) fn with_partials(ids: &[u32]) -> Plan {
    let opts = Dict::of([("sendPartials", Value::from(true))]);
    Plan { opts: Raw::of(&opts.into()), ..plan(C, ids) }
}

pub(crate) fn replace(epoch: i32, old: u32, new: &[u32]) -> Event<&'static str> {
    let new = new.iter().map(|id| portion(*id)).collect();
    Event::Replace(Replace { corr: C, attempt: 0, epoch, old: PortionId(old), new })
}

#[test]
fn a_request_is_aggregated_in_answer_order_when_its_last_partial_is_there() {
    let mut agg = agg(Bounds::default());
    assert!(agg.plan(C, &[2, 0, 1]).is_empty());
    assert_eq!(agg.partial(C, 0), ["got 0 to rc"]);
    assert_eq!(agg.partial(C, 1), ["got 1 to rc"]);
    assert_eq!(agg.snapshot(), Snapshot { outstanding: 1, held: 20, early: 0 });
    assert_eq!(agg.partial(C, 2), ["got 2 to rc", "aggregate 2,0,1"]);
    assert_eq!(agg.snapshot().held, 30, "held until it is answered");
    agg.says(Event::Released((C, 0)));
    assert_eq!(agg.snapshot(), Snapshot::default());
}

#[test]
fn the_first_partial_of_a_portion_counts_and_others_are_dropped() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1]);
    agg.partial(C, 0);
    let second = Partial { payload: Payload(vec![vec![9; 99].into()]), ..partial(C, 0, 1) };
    assert_eq!(agg.says(Event::Partial(second)), ["dropped Duplicate"]);
    let Some(Action::Aggregate(job)) = agg.take(Event::Partial(partial(C, 1, 10))).pop() else {
        panic!("not complete");
    };
    assert_eq!(&job.parts[0].payload[..], [0; 10]);
}

#[test]
fn partials_that_come_before_their_plan_wait_for_it() {
    let mut agg = agg(Bounds::default());
    assert!(agg.partial(C, 1).is_empty());
    assert_eq!(agg.partial(C, 1), ["dropped Duplicate"]);
    assert!(agg.partial(C, 0).is_empty());
    assert!(agg.snapshot().early > 20);
    assert_eq!(agg.plan(C, &[0, 1]), ["got 1 to rc", "got 0 to rc", "aggregate 0,1"]);
    assert_eq!(agg.snapshot(), Snapshot { outstanding: 1, held: 20, early: 0 });
}

#[test]
fn partials_without_a_plan_are_bounded_in_bytes() {
    let mut agg = agg(Bounds { early_bytes: 2000, ..Bounds::default() });
    assert!(agg.says(Event::Partial(partial(C, 0, 1000))).is_empty());
    assert_eq!(agg.says(Event::Partial(partial(C, 1, 1000))), ["dropped EarlyFull"]);
    assert_eq!(agg.says(Event::Partial(partial(Corr([2; 16]), 0, 1000))), ["dropped EarlyFull"]);
    assert_eq!(agg.plan(C, &[0]), ["got 0 to rc", "aggregate 0"]);
    assert!(agg.says(Event::Partial(partial(Corr([2; 16]), 0, 1000))).is_empty());
}

#[test]
fn partials_without_a_plan_are_bounded_in_time() {
    let mut agg = agg(Bounds { early_time: Duration::from_secs(10), ..Bounds::default() });
    agg.partial(C, 0);
    agg.now = 5 * SECOND;
    agg.partial(Corr([2; 16]), 0);
    agg.now = 10 * SECOND - 1;
    assert!(agg.says(Event::Tick).is_empty());
    agg.now = 10 * SECOND;
    assert_eq!(agg.says(Event::Tick), ["dropped Unknown"]);
    assert!(agg.plan(C, &[0]).is_empty(), "its partial is gone");
    assert_eq!(agg.plan(Corr([2; 16]), &[0]), ["got 0 to rc", "aggregate 0"]);
}

#[test]
fn what_waited_twice_for_one_request_waits_its_full_time_again() {
    let mut agg = agg(Bounds { early_time: Duration::from_secs(10), ..Bounds::default() });
    agg.partial(C, 0);
    agg.now = 9 * SECOND;
    agg.plan(C, &[0, 1]);
    // Portion 5 is of a replacement that has not come yet.
    agg.partial(C, 5);
    agg.now = 11 * SECOND;
    assert!(agg.says(Event::Tick).is_empty());
    assert_eq!(agg.says(replace(1, 1, &[5, 6])), ["got 5 to rc"]);
}

#[test]
fn replaced_portions_stand_where_the_old_one_stood() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1, 2]);
    agg.partial(C, 0);
    agg.partial(C, 2);
    assert!(agg.says(replace(1, 1, &[3, 4])).is_empty());
    assert_eq!(agg.partial(C, 4), ["got 4 to rc"]);
    assert_eq!(agg.partial(C, 1), ["dropped Duplicate"], "the old portion no longer counts");
    assert_eq!(agg.partial(C, 3), ["got 3 to rc", "aggregate 0,3,4,2"]);
}

#[test]
fn a_partial_of_a_replaced_portion_is_let_go() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1]);
    agg.partial(C, 0);
    assert!(agg.says(replace(1, 0, &[2])).is_empty());
    assert_eq!(agg.snapshot().held, 0);
    assert_eq!(agg.partial(C, 1), ["got 1 to rc"]);
    assert_eq!(agg.partial(C, 2), ["got 2 to rc", "aggregate 2,1"]);
}

#[test]
fn a_replacement_of_an_older_epoch_or_twice_changes_nothing() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1]);
    agg.says(replace(2, 0, &[2]));
    agg.says(replace(1, 1, &[3]));
    agg.says(replace(2, 0, &[4]));
    agg.partial(C, 1);
    assert_eq!(agg.partial(C, 2), ["got 2 to rc", "aggregate 2,1"]);
}

#[test]
fn a_replacement_by_nothing_completes_what_waited_for_it_alone() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1]);
    agg.partial(C, 0);
    assert_eq!(agg.says(replace(1, 1, &[])), ["aggregate 0"]);
}

#[test]
fn late_partials_of_answered_requests_are_dropped_and_remembered_for_a_while() {
    let mut agg = agg(Bounds { remember: Duration::from_secs(10), ..Bounds::default() });
    agg.plan(C, &[0]);
    agg.partial(C, 0);
    assert_eq!(agg.partial(C, 0), ["dropped Late"], "while it is being answered");
    agg.says(Event::Released((C, 0)));
    assert_eq!(agg.partial(C, 0), ["dropped Late"]);
    assert!(agg.plan(C, &[0]).is_empty(), "a second plan of an answered attempt");
    assert_eq!(agg.snapshot().outstanding, 0);
    agg.now = 10 * SECOND;
    agg.says(Event::Tick);
    assert!(agg.partial(C, 0).is_empty(), "forgotten: it waits for a plan");
}

#[test]
fn attempts_of_one_request_are_apart() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0]);
    agg.says(Event::Plan("other", Plan { attempt: 1, ..plan(C, &[0]) }));
    let second = Partial { attempt: 1, ..partial(C, 0, 5) };
    assert_eq!(agg.says(Event::Partial(second)), ["got 0 to other", "aggregate 0"]);
    assert_eq!(agg.partial(C, 0), ["got 0 to rc", "aggregate 0"]);
}

#[test]
fn an_abandoned_request_is_let_go_with_all_it_holds() {
    let mut agg = agg(Bounds::default());
    let abandon = || Event::Abandon(Abandon { corr: C, attempt: 0 });
    agg.plan(C, &[0, 1]);
    agg.partial(C, 0);
    assert!(agg.says(abandon()).is_empty());
    assert_eq!(agg.snapshot(), Snapshot::default());
    assert_eq!(agg.partial(C, 1), ["dropped Late"]);
    assert!(agg.plan(C, &[0]).is_empty());
    assert_eq!(agg.snapshot(), Snapshot::default(), "a plan that was overtaken by its abandon");
}

#[test]
fn abandoning_what_waits_for_its_plan_lets_it_go() {
    let mut agg = agg(Bounds::default());
    agg.partial(C, 0);
    agg.says(Event::Abandon(Abandon { corr: C, attempt: 0 }));
    assert_eq!(agg.snapshot(), Snapshot::default());
}

#[test]
fn abandoning_a_request_that_is_being_answered_stops_it() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0]);
    agg.partial(C, 0);
    assert!(agg.core.is_wanted(&(C, 0), 0));
    assert_eq!(agg.says(Event::Abandon(Abandon { corr: C, attempt: 0 })), ["stop"]);
    assert!(!agg.core.is_wanted(&(C, 0), 0));
    assert_eq!(agg.snapshot().held, 10, "given back by whoever works on it");
    agg.says(Event::Released((C, 0)));
    assert_eq!(agg.snapshot(), Snapshot::default());
}

#[test]
fn at_the_deadline_a_request_is_given_up_and_nothing_of_it_is_held() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1]);
    agg.partial(C, 0);
    agg.now = 10 * SECOND - 1;
    assert!(agg.says(Event::Tick).is_empty());
    agg.now = 10 * SECOND;
    let said = agg.take(Event::Tick);
    let [Action::Undelivered("rc", _, failure)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(failure.rc, Rc::TIMEOUT);
    assert!(failure.ai.contains("1 of 2") && failure.ai.contains("portions 1"), "{}", failure.ai);
    assert_eq!(agg.snapshot(), Snapshot::default());
    assert_eq!(agg.partial(C, 1), ["dropped Late"]);
}

/// What was handed to a link is not yet at the gateway: the coordinator has it done again where it is not.
#[test]
fn answers_that_went_by_a_lost_link_are_reported() {
    let mut agg = agg(Bounds::default());
    let corr = |n| Corr([n; 16]);
    for n in 1..=4 {
        agg.plan(corr(n), &[0]);
        agg.partial(corr(n), 0);
    }
    const GW: u64 = 7;
    agg.says(Event::Handing((corr(1), 0), GW));
    agg.says(Event::Released((corr(1), 0)));
    agg.says(Event::Handing((corr(2), 0), GW + 1));
    agg.says(Event::Released((corr(2), 0)));
    // A large one, on its way; and one that was not handed to anybody yet.
    agg.says(Event::Handing((corr(3), 0), GW));
    assert_eq!(agg.says(Event::GwDown(GW)), ["undelivered 1 rc 101 to rc", "undelivered 3 rc 101 to rc"]);
    agg.says(Event::Released((corr(3), 0)));
    assert_eq!(agg.says(Event::GwDown(GW)), [""; 0], "each is told once");
    agg.now = 9 * SECOND;
    agg.plan(corr(5), &[0]);
    agg.partial(corr(5), 0);
    agg.says(Event::Handing((corr(5), 0), GW));
    agg.says(Event::Released((corr(5), 0)));
    agg.now = 19 * SECOND;
    assert_eq!(agg.says(Event::GwDown(GW)), [""; 0], "nobody waits for it any more");
}

#[test]
fn an_aggregation_that_ends_after_the_deadline_is_not_wanted() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0]);
    agg.partial(C, 0);
    assert!(agg.core.is_wanted(&(C, 0), 10 * SECOND - 1));
    assert!(!agg.core.is_wanted(&(C, 0), 10 * SECOND));
}

#[test]
fn a_failed_partial_fails_its_request_at_once() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1, 2]);
    agg.partial(C, 0);
    let said = agg.says(Event::Partial(failed(C, 1, Rc::APP)));
    assert_eq!(said, ["fail rc 5 with 1 parts: portion 1 says no"]);
    assert_eq!(agg.partial(C, 2), ["dropped Late"]);
}

#[test]
fn failures_that_the_coordinator_may_try_again_are_left_to_it() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0]);
    for rc in [Rc::CONN, Rc::QUEUE, Rc::APP_RETRY2, Rc::NOT_READY, Rc::TIMEOUT, Rc::CANCELLED] {
        assert_eq!(agg.says(Event::Partial(failed(C, 0, rc))), ["dropped Retryable"], "{rc:?}");
    }
    assert_eq!(agg.partial(C, 0), ["got 0 to rc", "aggregate 0"]);
}

#[test]
fn where_the_client_wants_partials_all_are_waited_for_and_the_worst_failure_is_told() {
    let mut agg = agg(Bounds::default());
    agg.says(Event::Plan("rc", with_partials(&[0, 1, 2])));
    assert_eq!(agg.says(Event::Partial(failed(C, 1, Rc::APP))), ["got 1 to rc"]);
    assert_eq!(agg.says(Event::Partial(failed(C, 2, Rc::ERR))), ["got 2 to rc"]);
    assert_eq!(agg.partial(C, 0), ["got 0 to rc", "fail rc 10 with 3 parts: portion 2 says no"]);
}

#[test]
fn the_request_that_goes_beyond_the_memory_limit_fails_alone() {
    let mut agg = agg(Bounds { memory: 1000, ..Bounds::default() });
    let other = Corr([2; 16]);
    agg.plan(C, &[0, 1]);
    agg.plan(other, &[0, 1]);
    agg.says(Event::Partial(partial(other, 0, 400)));
    agg.says(Event::Partial(partial(C, 0, 500)));
    let said = agg.says(Event::Partial(partial(C, 1, 101)));
    assert!(said[0].starts_with("fail rc 104") && said[0].contains("QMESH_AGG_MEMORY"), "{said:?}");
    agg.says(Event::Released((C, 0)));
    let said = agg.says(Event::Partial(partial(other, 1, 600)));
    assert_eq!(said, ["got 1 to rc", "aggregate 0,1"]);
}

#[test]
fn requests_beyond_their_number_are_refused_with_advice() {
    let mut agg = agg(Bounds { requests: 1, ..Bounds::default() });
    agg.plan(C, &[0]);
    let said = agg.plan(Corr([2; 16]), &[0]);
    assert!(said[0].starts_with("fail rc 11") && said[0].contains("QMESH_AGG_REQUESTS"), "{said:?}");
    agg.says(Event::Released((Corr([2; 16]), 0)));
    agg.partial(C, 0);
    agg.says(Event::Released((C, 0)));
    assert!(agg.plan(Corr([3; 16]), &[0]).is_empty());
}

#[test]
fn random_events_keep_the_invariants_and_leave_nothing_behind() {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    for seed in 0..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let bounds = Bounds {
            memory: 3000,
            early_bytes: 2000,
            early_time: Duration::from_secs(3),
            requests: 4,
            remember: Duration::from_secs(3),
        };
        let mut agg = agg(bounds);
        let mut working = Vec::new();
        let mut answered = std::collections::HashSet::new();
        for _ in 0..200 {
            let corr = Corr([rng.random_range(0..6); 16]);
            let id = rng.random_range(0..5);
            let event = match rng.random_range(0..20) {
                0..=3 => Event::Plan("rc", plan(corr, &[0, 1, 2][..rng.random_range(1..=3)])),
                4..=10 => Event::Partial(partial(corr, id, rng.random_range(0..900))),
                11 => crate::lone::lone(failed(corr, id, [Rc::APP, Rc::CONN][rng.random_range(0..2)])),
                12 => crate::lone::lone(partial(corr, id, rng.random_range(0..900))),
                13 => Event::Partial(failed(corr, id, [Rc::APP, Rc::CONN][rng.random_range(0..2)])),
                14 => Event::Replace(Replace {
                    corr,
                    attempt: 0,
                    epoch: rng.random_range(1..4),
                    old: PortionId(id),
                    new: vec![portion(rng.random_range(0..5))],
                }),
                15 => Event::Abandon(Abandon { corr, attempt: 0 }),
                16..=17 if !working.is_empty() => {
                    Event::Released(working.swap_remove(rng.random_range(0..working.len())))
                }
                _ => {
                    agg.now += SECOND;
                    Event::Tick
                }
            };
            for action in agg.take(event) {
                if let Action::Aggregate(job) | Action::Fail(job, _) = action {
                    let key = job.asked.key;
                    let ids: Vec<u32> = job.parts.iter().map(|p| p.portion.0).collect();
                    let mut unique = ids.clone();
                    unique.sort_unstable();
                    unique.dedup();
                    assert_eq!(ids.len(), unique.len(), "seed {seed}: a portion twice in {ids:?}");
                    assert!(!working.contains(&key), "seed {seed}: {key:?} twice");
                    working.push(key);
                    answered.insert(key);
                }
            }
        }
        assert!(!answered.is_empty(), "seed {seed} answers nothing");
        working.into_iter().for_each(|key| _ = agg.take(Event::Released(key)));
        agg.now += 60 * SECOND;
        agg.take(Event::Tick);
        assert_eq!(agg.snapshot(), Snapshot::default(), "seed {seed}");
    }
}

pub(crate) fn give_up(ids: &[u32]) -> Event<&'static str> {
    let missing = ids.iter().map(|id| portion(*id)).collect();
    Event::GiveUp(sg::msg::GiveUp { corr: C, attempt: 0, missing, declared: true })
}

#[test]
fn an_answer_does_without_what_is_given_up_and_names_it() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1, 2]);
    agg.partial(C, 2);
    assert!(agg.says(give_up(&[0])).is_empty(), "one is still waited for");
    match &agg.take(Event::Partial(partial(C, 1, 10)))[..] {
        [Action::Got(..), Action::Aggregate(job)] => {
            assert_eq!(job.parts.iter().map(|p| p.portion.0).collect::<Vec<_>>(), [1, 2]);
            assert_eq!(job.missing.iter().map(|p| p.id.0).collect::<Vec<_>>(), [0]);
            assert!(job.declared, "as the coordinator says");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_came_before_it_was_given_up_stays_in_the_answer() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1]);
    agg.partial(C, 0);
    match &agg.take(give_up(&[0, 1]))[..] {
        [Action::Aggregate(job)] => assert_eq!((job.parts.len(), job.missing.len()), (1, 1)),
        other => panic!("{other:?}"),
    }
    assert_eq!(agg.partial(C, 1), ["dropped Late"]);
}
