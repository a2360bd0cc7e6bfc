//! The rules of requests in flight, one by one, and all of them over random histories.

use super::*;

const A: RcLink = 1;
const B: RcLink = 2;
const BY_AGG: Answerer = Answerer::Agg { rc: Rc::OK, ai: "", bytes: 5 };
type P = Pending<&'static str>;

fn corr(n: u8) -> Corr {
    Corr([n; 16])
}

fn apis() -> Vec<Api> {
    let mut unsafe_one = Api::from_value(&kvalue::Value::sym(".c.f")).unwrap();
    unsafe_one.safe = false;
    sg::api::builtin().into_iter().chain([unsafe_one]).collect()
}

fn status(ready: bool, apis: Vec<Api>) -> Status {
    Status { ready, daps: 1, aggs: 1, apis, assembly: Sym::null() }
}

fn with(rcs: &[RcLink]) -> P {
    let mut p = P::new(100, 0);
    for &link in rcs {
        p.rc_up(link);
        assert_eq!(p.rc_status(link, status(true, apis()), 0), []);
    }
    p
}

fn submit(p: &mut P, n: u8, api: &str) -> RcLink {
    match p.submit(corr(n), api.into(), Affinity::default(), 100, "job", 10) {
        Ok(Some(Action::Send { link, attempt: 0, left: 90, .. })) => link,
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
    let mut p = P::new(1, 0);
    assert_eq!(p.submit(corr(1), ".kxi.ping".into(), Affinity::default(), 9, "job", 0), Err(Refusal::NoRc));
    p.rc_up(A);
    assert_eq!(
        p.submit(corr(1), ".kxi.ping".into(), Affinity::default(), 9, "job", 0),
        Err(Refusal::NoRc),
        "up is not ready"
    );
}

/// A gateway that has just started has no link yet: what its first clients ask waits for one, but not for long.
#[test]
fn a_request_that_comes_before_a_coordinator_waits_for_one_a_moment() {
    let mut p = P::new(3, 50);
    let ask = |p: &mut P, n, deadline| {
        p.submit(corr(n), ".kxi.ping".into(), Affinity::default(), deadline, "job", 10)
    };
    for (n, deadline) in [(1, 100), (2, 30), (3, 100)] {
        assert_eq!(ask(&mut p, n, deadline), Ok(None));
    }
    assert_eq!(ask(&mut p, 4, 100), Err(Refusal::Full { limit: 3 }), "it is bounded as others are");
    assert_eq!(p.next_deadline(), Some(30));
    assert_eq!(p.tick(29), []);
    assert_eq!(p.tick(30), [Action::Refuse { job: "job", why: Refusal::NoRc }], "not beyond its deadline");
    p.rc_up(A);
    assert_eq!(p.gone(&corr(3)), None, "nobody has it who is to be told");
    assert_eq!(sent_to(&p.rc_status(A, status(true, apis()), 40)), [(A, 0)]);
    assert_eq!(p.tick(60), [], "it has found one");
    assert!(matches!(p.tick(100)[..], [Action::Cancel { link: A, .. }, Action::Fail { .. }]));
    assert!(p.is_empty());
    // All coordinators are gone: as at the start.
    p.rc_down(A, 110);
    assert_eq!(p.submit(corr(5), ".kxi.ping".into(), Affinity::default(), 500, "job", 120), Ok(None));
    assert_eq!(p.tick(169), []);
    assert_eq!(p.tick(170), [Action::Refuse { job: "job", why: Refusal::NoRc }]);
    assert_eq!(p.next_deadline(), None);
}

/// Who will have no coordinator but those of an assembly is told so where others came.
#[test]
fn a_request_that_was_kept_is_refused_for_what_is_then_the_reason() {
    let mut p = P::new(3, 50);
    let hard = Affinity { assembly: "fin".into(), hard: true };
    assert_eq!(p.submit(corr(1), ".kxi.ping".into(), hard, 100, "job", 10), Ok(None));
    p.rc_up(A);
    assert_eq!(p.rc_status(A, status(true, apis()), 20), []);
    assert_eq!(p.tick(60), [Action::Refuse { job: "job", why: Refusal::NoneOfAssembly }]);
}

#[test]
fn requests_go_to_ready_coordinators_in_turn() {
    let mut p = with(&[A, B]);
    let order: Vec<_> = (0..4).map(|n| submit(&mut p, n, ".kxi.ping")).collect();
    assert_eq!(order, [A, B, A, B]);
    p.rc_status(A, status(false, vec![]), 0);
    assert_eq!(submit(&mut p, 9, ".kxi.ping"), B);
}

/// Requests of an assembly go to its coordinators in turn; the others serve them too, and are asked where there
/// is none, but for who will have no other.
#[test]
fn requests_of_an_assembly_go_to_its_coordinators() {
    const C: RcLink = 3;
    let mut p = with(&[A, B, C]);
    for (link, assembly) in [(B, "fin"), (C, "fin")] {
        p.rc_status(link, Status { assembly: assembly.into(), ..status(true, apis()) }, 0);
    }
    let mut id = 0;
    let mut ask = |p: &mut P, assembly: &str, hard| {
        id += 1;
        let affinity = Affinity { assembly: assembly.into(), hard };
        match p.submit(corr(id), ".kxi.ping".into(), affinity, 100, "job", 10) {
            Ok(Some(Action::Send { link, .. })) => Ok(link),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal),
        }
    };
    let fin: Vec<_> = (0..4).map(|_| ask(&mut p, "fin", true).unwrap()).collect();
    assert_eq!(fin, [B, C, B, C]);
    assert_eq!([ask(&mut p, "", false), ask(&mut p, "", false)], [Ok(A); 2], "theirs are kept for them");
    assert_eq!(ask(&mut p, "ops", false), Ok(A), "one that is for all serves any");
    assert_eq!(ask(&mut p, "ops", true), Err(Refusal::NoneOfAssembly));
    p.rc_down(A, 20);
    assert!(matches!(ask(&mut p, "ops", false), Ok(B | C)), "better another's than none");
    p.rc_down(B, 20);
    p.rc_down(C, 20);
    assert_eq!(ask(&mut p, "fin", true), Err(Refusal::NoRc));
}

#[test]
fn a_request_that_will_have_no_other_waits_for_a_coordinator_of_its_assembly() {
    let mut p = with(&[A]);
    let fin = || Status { assembly: "fin".into(), ..status(true, apis()) };
    p.rc_up(B);
    p.rc_status(B, fin(), 0);
    let hard = Affinity { assembly: "fin".into(), hard: true };
    let sent = p.submit(corr(1), ".kxi.ping".into(), hard, 100, "job", 10);
    assert!(matches!(sent, Ok(Some(Action::Send { link: B, .. }))));
    assert_eq!(p.rc_down(B, 20), [], "A will not do");
    assert_eq!(p.rc_status(A, status(true, vec![]), 21), []);
    p.rc_up(B + 1);
    assert_eq!(sent_to(&p.rc_status(B + 1, fin(), 22)), [(B + 1, 1)]);
}

#[test]
fn the_limit_refuses_by_name() {
    let mut p = P::new(1, 0);
    p.rc_up(A);
    p.rc_status(A, status(true, vec![]), 0);
    submit(&mut p, 1, ".kxi.ping");
    assert_eq!(
        p.submit(corr(2), ".kxi.ping".into(), Affinity::default(), 9, "job", 0),
        Err(Refusal::Full { limit: 1 })
    );
}

#[test]
fn the_first_answer_wins_and_later_ones_are_dropped() {
    let mut p = with(&[A]);
    submit(&mut p, 1, ".kxi.ping");
    assert_eq!(p.answered(&corr(1), 0, Answerer::Rc(A), 30), Some(("job", None)));
    assert_eq!(p.answered(&corr(1), 0, BY_AGG, 30), None);
    assert_eq!(p.tick(1_000), [], "no second end at the deadline");
}

/// Until then the coordinator answers for it: the aggregator, or its link, may be lost with the answer.
#[test]
fn the_coordinator_hears_of_an_answer_only_when_it_is_here() {
    let mut p = with(&[A, B]);
    assert_eq!(submit(&mut p, 1, ".kxi.ping"), A);
    let told = Action::Answered {
        link: A,
        corr: corr(1),
        attempt: 0,
        rc: Rc::OK,
        ai: String::new(),
        took: 20,
        bytes: 5,
    };
    assert_eq!(p.answered(&corr(1), 0, BY_AGG, 30), Some(("job", Some(told))));
    assert_eq!(p.answered(&corr(1), RC_REDO, BY_AGG, 30), None, "the second of two is dropped");
    assert_eq!(submit(&mut p, 2, ".kxi.ping"), B);
    assert_eq!(p.answered(&corr(2), 0, Answerer::Rc(B), 30), Some(("job", None)), "it answered by itself");
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
    assert_eq!((p.answered(&corr(1), 0, BY_AGG, 30), p.next_deadline()), (None, None));
}

/// That nothing is known to have started proves nothing: `started` may have been lost with the link.
#[test]
fn what_is_lost_with_its_coordinator_moves_only_if_it_is_safe() {
    let mut p = with(&[A, B]);
    assert_eq!((submit(&mut p, 1, ".c.f"), submit(&mut p, 2, ".kxi.ping")), (A, B));
    assert_eq!((submit(&mut p, 3, ".kxi.ping"), submit(&mut p, 4, ".c.f")), (A, B));
    assert_eq!(submit(&mut p, 5, ".c.f"), A);
    [1, 3].iter().for_each(|n| p.started(A, &corr(*n)));
    let actions = p.rc_down(A, 20);
    let failed =
        actions.iter().filter(|a| matches!(a, Action::Fail { failure, .. } if failure.rc == Rc::CONN));
    assert_eq!(failed.count(), 2);
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
    assert_eq!(sent_to(&p.rc_status(B, status(true, vec![]), 30)), [(B, 1)]);
    assert_eq!(p.rc_status(B, status(true, vec![]), 31), [], "sent once");
}

#[test]
fn a_waiting_request_fails_at_its_deadline() {
    let mut p = with(&[A]);
    submit(&mut p, 1, ".kxi.ping");
    p.rc_down(A, 20);
    assert!(matches!(&p.tick(100)[..], [Action::Fail { failure, .. }] if failure.ai.contains("no other")));
    p.rc_up(B);
    assert_eq!(p.rc_status(B, status(true, vec![]), 130), [], "nothing is left of it");
}

#[test]
fn an_answer_of_an_earlier_attempt_stops_the_later_one() {
    let mut p = with(&[A, B]);
    submit(&mut p, 1, ".kxi.ping");
    p.rc_down(A, 20);
    let (_, stop) = p.answered(&corr(1), 0, BY_AGG, 30).unwrap();
    assert_eq!(stop, Some(Action::Cancel { link: B, corr: corr(1), attempt: 1 }));
}

#[test]
fn a_retry_of_the_coordinator_itself_is_the_same_attempt_to_us() {
    let mut p = with(&[A]);
    submit(&mut p, 1, ".kxi.ping");
    let told = Action::Answered {
        link: A,
        corr: corr(1),
        attempt: RC_REDO,
        rc: Rc::OK,
        ai: String::new(),
        took: 20,
        bytes: 5,
    };
    assert_eq!(p.answered(&corr(1), RC_REDO, BY_AGG, 30), Some(("job", Some(told))));
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
        p.submit(Corr(id), ".kxi.ping".into(), Affinity::default(), 1_000_000, "job", 0).unwrap();
        p.answered(&Corr(id), 0, BY_AGG, 30).unwrap();
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
        let mut p: Pending<u32> = Pending::new(1000, 0);
        let (mut taken, mut ends) = (0u32, HashMap::<u32, u32>::default());
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
                    actions = p.rc_status(link, status(random(3) > 0, apis()), now);
                }
                2 if !up.is_empty() => {
                    let link = up.swap_remove(random(up.len() as u64) as usize);
                    actions = p.rc_down(link, now);
                }
                3 => {
                    if let Some((job, _)) =
                        p.answered(&id(random(u64::from(taken) + 1) as u32), 0, BY_AGG, 30)
                    {
                        *ends.entry(job).or_default() += 1;
                    }
                }
                4 if !up.is_empty() => {
                    p.started(up[0], &id(random(u64::from(taken) + 1) as u32));
                }
                5 => actions = p.tick(now),
                _ => {
                    let api = if random(2) == 0 { ".c.f" } else { ".kxi.ping" };
                    if p.submit(id(taken), api.into(), Affinity::default(), now + random(50), taken, now)
                        .is_ok()
                    {
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

#[test]
fn a_request_that_a_coordinator_refuses_goes_to_another_each_at_most_once() {
    let mut p = with(&[A, B]);
    assert_eq!(submit(&mut p, 7, ".kxi.ping"), A);
    let moved = p.refused(A, &corr(7), 0, 0);
    assert_eq!(sent_to(moved.as_slice()), [(B, 1)]);
    assert_eq!(p.refused(A, &corr(7), 0, 0), None, "a late refusal of the first attempt");
    assert_eq!(p.refused(B, &corr(7), 1, 0), None, "each has refused it by now");
}

#[test]
fn what_has_started_is_not_moved_by_a_refusal() {
    let mut p = with(&[A, B]);
    let link = submit(&mut p, 7, ".kxi.ping");
    p.started(link, &corr(7));
    assert_eq!(p.refused(link, &corr(7), 0, 0), None);
}

#[test]
fn a_coordinator_that_is_leaving_serves_on_while_there_is_no_other() {
    let mut p = with(&[A]);
    p.rc_leaving(A);
    assert_eq!((submit(&mut p, 7, ".kxi.ping"), p.coordinators()), (A, (1, 1)));
    assert!(p.answered(&corr(7), 0, BY_AGG, 30).is_some());
    assert!(p.is_last(A));
    p.rc_up(B);
    assert!(p.is_last(A), "its successor is linked and not ready yet");
    p.rc_status(B, status(true, Vec::new()), 0);
    assert!(!p.is_last(A));
    assert_eq!(submit(&mut p, 8, ".kxi.ping"), B);
    p.rc_status(A, status(false, Vec::new()), 0);
    p.rc_status(B, status(false, Vec::new()), 0);
    assert_eq!(p.coordinators(), (2, 0), "one that says that it stops is believed");
}

#[test]
fn a_coordinator_that_is_leaving_gets_nothing_new_and_may_still_answer() {
    let mut p = with(&[A, B]);
    assert_eq!(submit(&mut p, 7, ".kxi.ping"), A);
    p.rc_leaving(A);
    assert!(p.waits_for(A));
    p.rc_status(A, status(true, Vec::new()), 0);
    assert!((8..12).all(|n| submit(&mut p, n, ".kxi.ping") == B));
    assert!(p.answered(&corr(7), 0, BY_AGG, 30).is_some());
    assert!(!p.waits_for(A));
    assert_eq!(p.coordinators(), (2, 1));
}
