//! Losses, deadlines, cancellation, limits.

use kvalue::Value;
use routing::{MILLI, SECOND, Settings};
use sg::{
    Ac, Failure, Msg, PortionId, Rc,
    msg::{Cancel, Done, Got, Idle, RegisterDap, Run, Running},
};

use crate::mesh::{LEFT, Mesh, UNSAFE, purview, range, with_unsafe};

#[test]
fn a_safe_portion_of_a_lost_replica_runs_on_another() {
    let mut mesh = Mesh::new();
    let daps = ["a", "b"].map(|n| mesh.dap(purview(n, "region=amer", "hdb", 0, 10)));
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.runs(corr)[0].0, daps[0]);
    mesh.down(daps[0]);
    assert_eq!(mesh.runs(corr)[1].0, daps[1]);
    assert_eq!(mesh.answers(corr).len(), 0);
    let run = mesh.runs(corr)[1].1.clone();
    mesh.complete(daps[1], &run);
    mesh.answered(&run);
    assert!(mesh.router.is_quiet());
}

#[test]
fn an_unsafe_portion_of_a_lost_replica_is_an_error() {
    let mut mesh = Mesh::new();
    let daps = ["a", "b"].map(|n| mesh.dap(with_unsafe(purview(n, "region=amer", "hdb", 0, 10))));
    let corr = mesh.ask(UNSAFE, vec![], vec![]);
    mesh.down(daps[0]);
    let (rc, _, ai) = mesh.failure(corr);
    assert_eq!(rc, Rc::CONN.0);
    assert!(ai.contains("data process a was lost") && ai.contains("not registered as safe"), "{ai}");
}

#[test]
fn a_portion_that_failed_for_good_fails_the_request_and_stops_the_others() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let e = mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let run = mesh.runs(corr)[0].1.clone();
    mesh.done(a, &run, Rc::APP_DB, 1);
    assert_eq!(mesh.failure(corr).2, "column price is torn");
    assert_eq!(mesh.said(".qm.abandon").len(), 1);
    assert!(mesh.said(".qm.cancelRun").iter().any(|(to, _)| *to == e));
    assert_eq!(mesh.router.stats().overruns, 1);
}

#[test]
fn with_send_partials_the_agg_answers_a_failure() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let args = vec![("table", Value::sym("trade"))];
    let corr = mesh.ask(sg::api::GET_DATA, args, vec![("sendPartials", true.into())]);
    let run = mesh.runs(corr)[0].1.clone();
    mesh.done(a, &run, Rc::APP_DB, 1);
    assert_eq!(mesh.answers(corr).len(), 0);
    mesh.pass(6 * SECOND);
    assert_eq!(mesh.failure(corr).2, "column price is torn", "unless the Agg says nothing");
}

#[test]
fn a_portion_whose_partial_never_arrives_is_tried_again() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let run = mesh.runs(corr)[0].1.clone();
    mesh.done(dap, &run, Rc::OK, 1);
    mesh.idle(dap, &run);
    mesh.pass(4 * SECOND);
    assert_eq!(mesh.runs(corr).len(), 1);
    mesh.pass(2 * SECOND);
    assert_eq!(mesh.runs(corr).len(), 2);
}

#[test]
fn a_partial_that_comes_after_all_ends_the_second_run() {
    let mut mesh = Mesh::new();
    let daps = ["a", "b"].map(|n| mesh.dap(purview(n, "region=amer", "hdb", 0, 10)));
    let corr = mesh.get(vec![]);
    mesh.down(daps[0]);
    let run = mesh.runs(corr)[1].1.clone();
    mesh.got(&run);
    let cancelled: Vec<_> = mesh.said(".qm.cancelRun").iter().map(|(to, _)| *to).collect();
    assert_eq!(cancelled, [daps[1]]);
    mesh.answered(&run);
    assert_eq!(mesh.router.stats().requests, 0);
}

/// One whose purview is never what it said is asked less and less often, then no more; the first refusal, which is in
/// the nature of things, costs no time.
#[test]
fn a_portion_that_is_refused_again_and_again_rests_in_between() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("liar", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let (began, mut at) = (mesh.now, vec![]);
    while mesh.answers(corr).is_empty() {
        let runs = mesh.runs(corr);
        if runs.len() > at.len() {
            at.push(mesh.now - began);
            let run = runs[at.len() - 1].1.clone();
            mesh.done(dap, &run, Rc::APP_RETRY2, run.version + 1);
            mesh.idle(dap, &run);
        } else {
            mesh.pass(MILLI / 10);
        }
        assert!(mesh.now - began < 2 * SECOND, "{at:?}");
    }
    assert!(mesh.failure(corr).2.contains("kept moving, last by liar"), "{:?}", mesh.failure(corr));
    assert_eq!(at[1], 0, "the first is planned again at once: {at:?}");
    let pauses: Vec<_> = at.windows(2).skip(1).map(|w| w[1] - w[0]).collect();
    assert!(pauses.iter().all(|p| *p >= MILLI / 2 && *p < 65 * MILLI), "{pauses:?}");
    assert!(pauses[..6].windows(2).all(|w| w[1] > w[0]), "each is longer: {pauses:?}");
    assert!(mesh.now - began > 100 * MILLI, "{at:?}");
    assert!(mesh.router.is_quiet());
}

/// It obeys its latest coordinator, and the earlier one has not heard of that: the portion has not begun, however
/// unsafe, and comes to the next owner of the data when that is known.
#[test]
fn a_portion_refused_by_one_that_obeys_another_waits_for_word_of_it() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(with_unsafe(purview("a", "region=amer", "hdb", 0, 10)));
    let corr = mesh.ask(UNSAFE, vec![], vec![]);
    for n in 0..6 {
        while mesh.runs(corr).len() == n {
            assert!(mesh.answers(corr).is_empty(), "{:?}", mesh.answers(corr));
            mesh.pass(MILLI / 10);
        }
        let run = mesh.runs(corr)[n].1.clone();
        let Run { corr, attempt, portion, version, .. } = run;
        let (rc, ac, ai) = (Rc::CONN, Ac::NOT_READY, "it obeys its latest coordinator");
        mesh.say(dap, Done::of((corr, attempt, portion), version, Failure::new(rc, ac, ai)));
        mesh.idle(dap, &run);
    }
    mesh.pass(SECOND / 10);
    let run = mesh.runs(corr)[6].1.clone();
    mesh.complete(dap, &run);
    mesh.answered(&run);
    assert_eq!(mesh.router.stats().succeeded, 1);
}

/// What rests is over with its request, and is in custody where an earlier run's partial comes after all.
#[test]
fn a_portion_that_rests_is_not_put_to_work_when_nobody_waits_for_it() {
    for cancelled in [true, false] {
        let mut mesh = Mesh::new();
        let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
        let corr = mesh.get(vec![]);
        for n in 0..2 {
            let run = mesh.runs(corr)[n].1.clone();
            mesh.done(dap, &run, Rc::APP_RETRY2, 2);
            mesh.idle(dap, &run);
        }
        let run = mesh.runs(corr)[1].1.clone();
        assert_eq!(mesh.runs(corr).len(), 2, "it rests");
        match cancelled {
            true => {
                let gw = mesh.gw;
                mesh.say(gw, sg::msg::Cancel { corr, attempt: 0 });
            }
            false => {
                mesh.got(&run);
                mesh.answered(&run);
            }
        }
        mesh.pass(SECOND);
        assert_eq!(mesh.runs(corr).len(), 2);
        assert!(mesh.router.is_quiet());
    }
}

#[test]
fn a_portion_refused_by_purview_version_is_cut_anew() {
    let mut mesh = Mesh::new();
    let hdb = mesh.dap(purview("h", "region=amer", "hdb", 0, 100));
    let rdb = mesh.dap(purview("r", "region=amer", "rdb", 100, 300));
    let corr = mesh.get(vec![]);
    let of = |mesh: &Mesh, dap| mesh.runs(corr).into_iter().rfind(|(to, _)| *to == dap).unwrap().1;
    let old = of(&mesh, rdb);
    let mut p = purview("h", "region=amer", "hdb", 0, 200);
    p.version = 2;
    mesh.update(hdb, p);
    let mut p = purview("r", "region=amer", "rdb", 200, 300);
    p.source = "rdb of region=amer from 100".into();
    p.version = 2;
    mesh.update(rdb, p);
    mesh.done(rdb, &old, Rc::APP_RETRY2, 2);
    let replaced = mesh.said(".qm.replace");
    let Some((_, Msg::Replace(m))) = replaced.first() else { panic!("the Agg hears of it") };
    assert_eq!((m.old, m.epoch), (old.portion, 1));
    let ranges: Vec<_> = m.new.iter().map(|p| (p.range.start(), p.range.end().min(300))).collect();
    assert_eq!(ranges, [(100, 200), (200, 300)]);
    assert_eq!(of(&mesh, rdb).version, 2);
    let first = mesh.runs(corr)[0].1.clone();
    mesh.complete(hdb, &first);
    assert_eq!(of(&mesh, hdb).range, range(100, 200));
}

#[test]
fn a_portion_tried_again_follows_tiles_that_moved_while_it_was_leased() {
    let mut mesh = Mesh::new();
    let hdb = mesh.dap(purview("h", "region=amer", "hdb", 0, 100));
    let rdb = mesh.dap(purview("r", "region=amer", "rdb", 100, 300));
    let corr = mesh.get(crate::mesh::times(100, 300));
    let old = mesh.runs(corr)[0].1.clone();
    let mut p = purview("h", "region=amer", "hdb", 0, 200);
    p.version = 2;
    mesh.update(hdb, p);
    let mut p = purview("r", "region=amer", "rdb", 200, 300);
    (p.source, p.version) = ("rdb of region=amer from 100".into(), 2);
    mesh.update(rdb, p);
    mesh.done(rdb, &old, Rc::CONN, 2);
    // The only portion was to bring the plan with it, and is not the only one any more.
    let planned: Vec<_> = mesh.plans(corr)[0].portions.iter().map(|p| (p.id.0, p.range)).collect();
    assert_eq!(planned, [(1, range(100, 200)), (2, range(200, 300))]);
    assert_eq!((mesh.lone(corr).len(), mesh.said(".qm.replace").len()), (1, 0));
    let ranges: Vec<_> = mesh.runs(corr)[1..].iter().map(|(to, r)| (*to, r.range)).collect();
    assert_eq!(ranges, [(hdb, range(100, 200))], "the newer part waits for its replica to be idle");
    mesh.idle(rdb, &old);
    assert_eq!(mesh.runs(corr)[2].1.range, range(200, 300));
}

#[test]
fn a_lost_agg_has_its_safe_requests_done_again_by_another() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(with_unsafe(purview("a", "region=amer", "hdb", 0, 10)));
    let corr = mesh.get(vec![]);
    let second = mesh.new_agg("agg-1");
    let first = mesh.agg;
    mesh.down(first);
    let old = mesh.runs(corr)[0].1.clone();
    assert_eq!(mesh.runs(corr).len(), 1, "its replica still runs the old attempt");
    assert_eq!(mesh.said(".qm.cancelRun").len(), 1);
    mesh.done(dap, &old, Rc::CANCELLED, 1);
    mesh.idle(dap, &old);
    let run = mesh.runs(corr)[1].1.clone();
    assert!(run.attempt > 100, "far from the attempts a gateway counts");
    assert_eq!(run.agg, "agg-1:1");
    mesh.agg = second;
    mesh.got(&old);
    assert_eq!(mesh.router.stats().requests, 1, "the abandoned attempt says nothing any more");
    mesh.complete(dap, &run);
    mesh.answered(&run);
    assert!(mesh.router.is_quiet());
}

#[test]
fn a_lost_agg_fails_an_unsafe_request_that_has_started() {
    let mut mesh = Mesh::new();
    mesh.dap(with_unsafe(purview("a", "region=amer", "hdb", 0, 10)));
    mesh.new_agg("agg-1");
    let started = mesh.ask(UNSAFE, vec![], vec![]);
    let waiting = mesh.ask(UNSAFE, vec![], vec![]);
    let third = mesh.ask(UNSAFE, vec![], vec![]);
    let first = mesh.agg;
    mesh.down(first);
    assert!(mesh.failure(started).2.contains("aggregator agg-0 was lost"));
    assert_eq!(
        (mesh.answers(waiting).len(), mesh.answers(third).len()),
        (0, 0),
        "what never started moves on"
    );
}

#[test]
fn without_an_aggregator_the_answer_is_immediate() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let agg = mesh.agg;
    mesh.down(agg);
    let corr = mesh.get(vec![]);
    let (rc, ac, ai) = mesh.failure(corr);
    assert_eq!((rc, ac), (58, 20));
    assert!(ai.contains("No aggregators connected"), "{ai}");
}

#[test]
fn at_the_deadline_the_answer_says_what_is_missing() {
    let mut mesh = Mesh::new();
    let hdb = mesh.dap(purview("h", "region=amer", "hdb", 0, 100));
    let rdb = mesh.dap(purview("r", "region=amer", "rdb", 100, 300));
    mesh.down(rdb);
    let corr = mesh.get(vec![]);
    let run = mesh.runs(corr)[0].1.clone();
    mesh.pass(LEFT - 201 * MILLI);
    assert_eq!(mesh.answers(corr).len(), 0);
    mesh.pass(2 * MILLI);
    let (rc, ac, ai) = mesh.failure(corr);
    assert_eq!((rc, ac), (100, 104));
    assert!(ai.contains("2 of 2 portions missing"), "{ai}");
    assert!(ai.contains("portion 0 (region=amer, [-0W") && ai.contains("still runs on h"), "{ai}");
    assert!(ai.contains("of tier rdb, which has no replica connected"), "{ai}");
    assert_eq!(mesh.router.stats().timeouts, 1);
    assert_eq!(mesh.said(".qm.cancelRun").len(), 1);
    let next = mesh.get(crate::mesh::times(0, 50));
    assert_eq!(mesh.runs(next).len(), 0, "an overrun replica is not idle");
    mesh.done(hdb, &run, Rc::CANCELLED, 1);
    mesh.idle(hdb, &run);
    assert_eq!(mesh.runs(next).len(), 1);
}

#[test]
fn an_overrun_replica_is_free_when_it_says_that_it_runs_nothing() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let epoch = mesh.runs(corr)[0].1.epoch;
    mesh.pass(LEFT);
    mesh.say(dap, Idle { epoch: epoch + 1, slots: 1 });
    assert!(!mesh.router.is_quiet(), "another epoch says nothing about this one");
    mesh.say(dap, Idle { epoch, slots: 1 });
    assert!(mesh.router.is_quiet());
}

#[test]
fn a_short_timeout_leaves_half_of_it_for_the_work() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.router.next_wakeup(), Some(mesh.now + LEFT - LEFT / 50));
    let gw = mesh.gw;
    mesh.say(gw, Cancel { corr, attempt: 0 });
    let request = sg::msg::Request {
        corr,
        attempt: 0,
        left: (20 * MILLI) as i64,
        api: sg::api::PING.into(),
        user: "u".into(),
        opts: sg::args::encode::<&str>([]),
        args: sg::args::encode::<&str>([]),
    };
    mesh.say(gw, request);
    assert_eq!(mesh.router.next_wakeup(), Some(mesh.now + 10 * MILLI));
}

#[test]
fn a_cancelled_request_leaves_nothing_behind() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let (running, waiting) = (mesh.get(vec![]), mesh.get(vec![]));
    let gw = mesh.gw;
    mesh.say(gw, Cancel { corr: waiting, attempt: 0 });
    mesh.say(gw, Cancel { corr: running, attempt: 0 });
    assert_eq!(mesh.said(".qm.abandon").len(), 2);
    assert_eq!(mesh.said(".qm.cancelRun").len(), 1);
    assert_eq!((mesh.answers(running).len(), mesh.answers(waiting).len()), (0, 0));
    let run = mesh.runs(running)[0].1.clone();
    mesh.done(dap, &run, Rc::CANCELLED, 1);
    mesh.idle(dap, &run);
    assert!(mesh.router.is_quiet());
}

#[test]
fn a_lost_gateway_has_its_requests_cancelled() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.get(vec![]);
    let gw = mesh.gw;
    mesh.down(gw);
    assert_eq!((mesh.router.stats().requests, mesh.said(".qm.abandon").len()), (0, 1));
}

#[test]
fn a_newer_attempt_replaces_the_older_and_a_repeated_one_is_ignored() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let args = || vec![("table", Value::sym("trade"))];
    mesh.request(corr, 0, sg::api::GET_DATA, args(), vec![]);
    assert_eq!(mesh.router.stats().accepted, 2);
    assert_eq!(mesh.said(".qm.abandon").len(), 0);
    mesh.request(corr, 1, sg::api::GET_DATA, args(), vec![]);
    assert_eq!(mesh.said(".qm.abandon").len(), 1, "the Agg is to forget the older one");
    assert_eq!(mesh.router.stats().requests, 1);
}

#[test]
fn limits_are_errors_that_name_themselves() {
    let settings = Settings { max_requests: 3, max_queued: 1, max_portions: 2, ..Settings::default() };
    let mut mesh = Mesh::with(settings);
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.get(vec![]);
    mesh.get(vec![]);
    let corr = mesh.get(vec![]);
    let (rc, _, ai) = mesh.failure(corr);
    assert_eq!(rc, Rc::QUEUE.0);
    assert!(ai.contains("QMESH_RC_MAX_QUEUE") && ai.contains("try again"), "{ai}");
    for (name, start) in [("b", 10), ("c", 20)] {
        mesh.dap(purview(name, "region=amer", "hdb", start, start + 10));
    }
    let corr = mesh.get(vec![]);
    let (rc, _, ai) = mesh.failure(corr);
    assert_eq!(rc, Rc::LIMIT.0);
    assert!(ai.contains("more than 2 portions"), "{ai}");
    mesh.get(crate::mesh::times(12, 13));
    mesh.get(crate::mesh::times(22, 23));
    let corr = mesh.get(crate::mesh::times(22, 23));
    assert!(mesh.failure(corr).2.contains("QMESH_RC_MAX_REQUESTS"));
}

#[test]
fn a_replica_that_comes_back_goes_on_with_what_it_runs() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    mesh.down(dap);
    assert_eq!(mesh.router.stats().queued, 1);
    let back = mesh.up(routing::PeerRole::Dap, "a", 1);
    let mut p = purview("a", "region=amer", "hdb", 0, 10);
    p.epoch = 2;
    let stranger = sg::Corr::random();
    let running = [corr, stranger].map(|corr| Running { corr, attempt: 0, portion: PortionId(0) });
    p.capacity = 2;
    mesh.say(back, RegisterDap { available: true, purview: p, running: running.to_vec() });
    assert_eq!(mesh.runs(corr).len(), 1, "it is not run twice");
    assert_eq!(mesh.said(".qm.cancelRun").len(), 1, "what nobody wants is stopped");
    let agg = mesh.agg;
    mesh.say(agg, Got { corr, attempt: 0, portion: PortionId(0) });
    let run = mesh.runs(corr)[0].1.clone();
    mesh.answered(&run);
    assert_eq!(mesh.router.stats().succeeded, 1);
}

#[test]
fn messages_that_fit_no_state_change_nothing() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let run = mesh.runs(corr)[0].1.clone();
    let (gw, agg) = (mesh.gw, mesh.agg);
    let before = mesh.sent.len();
    mesh.done(gw, &run, Rc::OK, 1);
    mesh.say(agg, Got { corr, attempt: 7, portion: PortionId(0) });
    mesh.say(agg, Got { corr, attempt: 0, portion: PortionId(9) });
    mesh.say(dap, Got { corr, attempt: 0, portion: PortionId(0) });
    mesh.say(routing::PeerId(99), Idle { epoch: 1, slots: 1 });
    assert_eq!(mesh.sent.len(), before);
    assert_eq!(mesh.router.stats().requests, 1);
    assert!(mesh.router.stats().strays >= 4);
}
