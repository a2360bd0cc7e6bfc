//! The rules of requests in flight, one by one, and all of them over random histories.

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
    assert!(matches!(&p.tick(100)[..], [Action::Fail { failure, .. }] if failure.ai.contains("no other")));
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
