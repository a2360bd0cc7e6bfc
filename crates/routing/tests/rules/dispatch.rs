//! Queue, leases, and which replica is taken.

use kvalue::{Dict, Value};
use routing::MILLI;
use sg::{
    Ac, Failure, Msg, Rc,
    msg::{Done, Idle},
};

use crate::mesh::{Mesh, UNSAFE, labels, purview, with_unsafe};

#[test]
fn the_plan_is_sent_before_any_portion() {
    let mut mesh = Mesh::new();
    let hdb = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.dap(purview("b", "region=emea", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let names: Vec<&str> = mesh.sent.iter().rev().take(3).map(|(_, m)| m.name()).collect();
    assert_eq!(names, [".qm.run", ".qm.run", ".qm.plan"]);
    let (to, run) = &mesh.runs(corr)[0];
    assert_eq!((*to, run.agg.text().as_ref(), run.version, run.epoch), (hdb, "agg-0:1", 1, 1));
    assert_eq!((&run.lone, &mesh.plans(corr)[0].gw), (&None, &"gw:1".into()));
}

#[test]
fn the_only_portion_of_a_request_brings_the_plan_with_it() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.plans(corr), []);
    let (_, run) = &mesh.runs(corr)[0];
    let lone = run.lone.as_ref().expect("it is the only one");
    assert_eq!((lone.rc, lone.gw.text().as_ref()), (sg::InstanceId([99; 16]), "gw:1"));
    assert_eq!(lone.agg_fn, sg::api::AGG_GET_DATA);
    // Tried again as it was: still the only one.
    mesh.done(dap, run, Rc::CONN, 1);
    mesh.idle(dap, run);
    assert_eq!((mesh.lone(corr).len(), mesh.plans(corr).len()), (2, 0));
}

#[test]
fn a_replica_runs_one_portion_at_a_time_and_the_oldest_waits_least() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let asked = [mesh.get(vec![]), mesh.get(vec![]), mesh.get(vec![])];
    assert_eq!(mesh.router.stats().queued, 2);
    for corr in asked {
        let runs = mesh.runs(corr);
        assert_eq!(runs.len(), 1, "each in its turn");
        mesh.complete(dap, &runs[0].1);
        mesh.answered(&runs[0].1);
    }
    assert!(mesh.router.is_quiet());
    assert_eq!(mesh.router.stats().succeeded, 3);
}

#[test]
fn the_end_of_a_portion_says_which_places_are_free() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let (first, second, third) = (mesh.get(vec![]), mesh.get(vec![]), mesh.get(vec![]));
    let done = |mesh: &mut Mesh, corr, epoch, slots| {
        let run = mesh.runs(corr)[0].1.clone();
        let done = Done::of((corr, run.attempt, run.portion), 1, Failure::new(Rc::OK, Ac::OK, ""));
        mesh.say(dap, done.with(Idle { epoch, slots }));
    };
    done(&mut mesh, first, 1, 1);
    assert_eq!(mesh.runs(second).len(), 1, "at once");
    // Of another registration: that is no word of now.
    done(&mut mesh, second, 7, 1);
    assert_eq!(mesh.runs(third).len(), 0);
    // Said again with an end that is known already.
    done(&mut mesh, second, 1, 1);
    assert_eq!(mesh.runs(third).len(), 1);
}

#[test]
fn a_replica_with_more_capacity_gets_more() {
    let mut mesh = Mesh::new();
    let mut p = purview("a", "region=amer", "hdb", 0, 10);
    p.capacity = 2;
    mesh.dap(p);
    let asked = [mesh.get(vec![]), mesh.get(vec![]), mesh.get(vec![])];
    assert_eq!(asked.map(|corr| mesh.runs(corr).len()), [1, 1, 0]);
}

#[test]
fn the_replica_that_runs_least_is_taken() {
    let mut mesh = Mesh::new();
    let with_room = |name: &str| {
        let mut p = purview(name, "region=amer", "hdb", 0, 10);
        p.capacity = 4;
        p
    };
    let (a, b) = (mesh.dap(with_room("a")), mesh.dap(with_room("b")));
    let asked = [mesh.get(vec![]), mesh.get(vec![]), mesh.get(vec![])];
    let run = asked.iter().flat_map(|corr| mesh.runs(*corr)).find(|(to, _)| *to == a).unwrap().1;
    mesh.complete(a, &run);
    let next = mesh.get(vec![]);
    let other = mesh.get(vec![]);
    let on =
        |to| [asked[0], asked[1], asked[2], next, other].iter().filter(|c| mesh.runs(**c)[0].0 == to).count();
    assert!(on(a) >= 2 && on(b) >= 2, "{} and {}", on(a), on(b));
}

#[test]
fn one_that_has_run_something_for_long_is_not_taken_while_another_is_idle() {
    let mut mesh = Mesh::new();
    let with_room = |name: &str| {
        let mut p = purview(name, "region=amer", "hdb", 0, 10);
        p.capacity = 4;
        p
    };
    mesh.dap(with_room("a"));
    mesh.dap(with_room("b"));
    let corr = mesh.get(vec![]);
    let busy = mesh.runs(corr)[0].0;
    mesh.pass(2_000 * MILLI);
    let short = mesh.get(vec![]);
    let (idle, run) = mesh.runs(short)[0].clone();
    mesh.complete(idle, &run);
    mesh.answered(&run);
    // The busy one was used longest ago, longer than after which a slow one is tried again.
    mesh.pass(5_000 * MILLI);
    let next = mesh.get(vec![]);
    let on: Vec<_> = mesh.runs(next).iter().map(|(to, _)| *to).collect();
    assert!(idle != busy && on == [idle], "{on:?}, busy is {busy:?}");
}

#[test]
fn a_replica_that_hands_a_portion_back_gets_one_at_a_time_until_it_has_completed_some() {
    let mut mesh = Mesh::new();
    let mut p = purview("a", "region=amer", "hdb", 0, 10);
    p.capacity = 4;
    let dap = mesh.dap(p);
    let (long, short) = (mesh.get(vec![]), mesh.get(vec![]));
    let (long_run, short_run) = (mesh.runs(long)[0].1.clone(), mesh.runs(short)[0].1.clone());
    mesh.done(dap, &short_run, Rc::QUEUE, 1);
    let third = mesh.get(vec![]);
    assert_eq!(
        (mesh.runs(short).len(), mesh.runs(third).len()),
        (1, 0),
        "nothing is put behind the long one"
    );
    assert_eq!((mesh.router.stats().handed_back, mesh.router.stats().retries), (1, 0));
    mesh.complete(dap, &long_run);
    assert_eq!((mesh.runs(short).len(), mesh.runs(third).len()), (2, 1), "it completed one: it gets two");
}

#[test]
fn a_portion_handed_back_goes_to_an_idle_replica_at_once() {
    let mut mesh = Mesh::new();
    let mut p = purview("a", "region=amer", "hdb", 0, 10);
    p.capacity = 4;
    let a = mesh.dap(p.clone());
    let (_long, short) = (mesh.get(vec![]), mesh.get(vec![]));
    let run = mesh.runs(short)[0].1.clone();
    p.name = "b".into();
    p.instance = sg::InstanceId([9; 16]);
    let b = mesh.dap(p);
    mesh.done(a, &run, Rc::QUEUE, 1);
    assert_eq!(mesh.runs(short).iter().map(|(to, _)| *to).collect::<Vec<_>>(), [a, b]);
}

#[test]
fn nothing_is_put_behind_a_portion_that_overruns() {
    let mut mesh = Mesh::new();
    let mut p = purview("a", "region=amer", "hdb", 0, 10);
    p.capacity = 4;
    let dap = mesh.dap(p);
    let hung = mesh.get(vec![]);
    let run = mesh.runs(hung)[0].1.clone();
    mesh.pass(11_000 * MILLI);
    assert_eq!(mesh.router.stats().overruns, 1);
    let next = mesh.get(vec![]);
    assert_eq!(mesh.runs(next).len(), 0, "it may hang: another replica is waited for");
    mesh.complete(dap, &run);
    assert_eq!(mesh.runs(next).len(), 1);
}

#[test]
fn a_portion_waits_for_its_own_source_only() {
    let mut mesh = Mesh::new();
    let amer = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    let first = mesh.get(vec![]);
    let second = mesh.get(vec![]);
    assert_eq!((mesh.runs(first).len(), mesh.runs(second).len()), (2, 0));
    let run = mesh.runs(first).into_iter().find(|(to, _)| *to == amer).unwrap().1;
    mesh.complete(amer, &run);
    let now: Vec<_> = mesh.runs(second).into_iter().map(|(to, _)| to).collect();
    assert_eq!(now, [amer]);
}

/// What waits for a replica that is lost stays first in line, and in nobody's way.
#[test]
fn a_portion_that_lacks_a_replica_holds_up_no_other() {
    let mut mesh = Mesh::new();
    let amer = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let emea = mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    mesh.down(amer);
    let both = mesh.get(vec![]);
    let run = mesh.runs(both)[0].clone();
    assert_eq!((mesh.runs(both).len(), run.0), (1, emea), "the other half runs at once");
    let later = mesh.get(vec![labels(vec![("region", Value::sym("emea"))])]);
    mesh.complete(emea, &run.1);
    assert_eq!(mesh.runs(later)[0].0, emea);
    let amer = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    assert_eq!(mesh.runs(both)[1].0, amer, "and it has not lost its place");
}

#[test]
fn a_queued_portion_leaves_when_a_replica_registers() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.get(vec![]);
    let waiting = mesh.get(vec![]);
    let mut p = purview("b", "region=amer", "hdb", 0, 10);
    p.source = "hdb of region=amer from 0".into();
    let second = mesh.dap(p);
    assert_eq!(mesh.runs(waiting)[0].0, second);
}

#[test]
fn a_queued_portion_leaves_when_a_replica_becomes_available() {
    let mut mesh = Mesh::new();
    let p = purview("a", "region=amer", "hdb", 0, 10);
    let dap = mesh.dap(p.clone());
    mesh.say(dap, sg::msg::UpdateDap { available: false, purview: p.clone() });
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.runs(corr).len(), 0);
    mesh.update(dap, p);
    assert_eq!(mesh.runs(corr).len(), 1);
}

#[test]
fn among_idle_replicas_the_least_recently_used_is_taken() {
    let mut mesh = Mesh::new();
    let daps: Vec<_> = ["a", "b", "c"].map(|n| mesh.dap(purview(n, "region=amer", "hdb", 0, 10))).to_vec();
    let mut used = Vec::new();
    for _ in 0..6 {
        mesh.now += MILLI;
        let corr = mesh.get(vec![]);
        let (dap, run) = mesh.runs(corr)[0].clone();
        mesh.now += MILLI;
        mesh.complete(dap, &run);
        mesh.answered(&run);
        used.push(dap);
    }
    assert_eq!(used[..3], daps[..]);
    assert_eq!(used[3..], daps[..]);
}

#[test]
fn a_slow_replica_gets_little_and_is_tried_again_later() {
    let mut mesh = Mesh::new();
    let daps = ["a", "b", "c"].map(|n| mesh.dap(purview(n, "region=amer", "hdb", 0, 10)));
    let slow = daps[0];
    let mut to_slow = 0;
    for i in 0..60 {
        mesh.now += MILLI;
        let corr = mesh.get(vec![]);
        let (dap, run) = mesh.runs(corr)[0].clone();
        mesh.now += if dap == slow { 20 * MILLI } else { 2 * MILLI };
        mesh.complete(dap, &run);
        mesh.answered(&run);
        to_slow += usize::from(dap == slow && i >= 15);
    }
    assert!(to_slow <= 3, "the slow one got {to_slow} of 45");
    mesh.pass(6_000 * MILLI);
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.runs(corr)[0].0, slow, "after a while it may show that it has recovered");
}

#[test]
fn a_named_process_is_waited_for() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.dap(purview("b", "region=amer", "hdb", 0, 10));
    let scope = || vec![("scope", Dict::of([("dap", Value::sym("a"))]).into())];
    let first = mesh.get(scope());
    let second = mesh.get(scope());
    assert_eq!((mesh.runs(first)[0].0, mesh.runs(second).len()), (a, 0));
    let run = mesh.runs(first)[0].1.clone();
    mesh.complete(a, &run);
    assert_eq!(mesh.runs(second)[0].0, a);
}

#[test]
fn the_gateway_hears_that_an_unsafe_request_started() {
    let mut mesh = Mesh::new();
    mesh.dap(with_unsafe(purview("a", "region=amer", "hdb", 0, 10)));
    mesh.get(vec![]);
    assert_eq!(mesh.said(".qm.started").len(), 0, "a safe one may be sent again anyway");
    let corr = mesh.ask(UNSAFE, vec![], vec![]);
    assert_eq!(mesh.said(".qm.started").len(), 0, "it has not started yet");
    let (dap, run) = {
        let Some((to, Msg::Run(run))) = mesh.sent.iter().find(|(_, m)| m.name() == ".qm.run") else {
            panic!()
        };
        (*to, run.clone())
    };
    mesh.complete(dap, &run);
    assert_eq!(mesh.runs(corr).len(), 1);
    assert_eq!(mesh.said(".qm.started").len(), 1);
}

#[test]
fn requests_go_to_the_agg_with_the_fewest() {
    let mut mesh = Mesh::new();
    mesh.new_agg("agg-1");
    let mut p = purview("a", "region=amer", "hdb", 0, 10);
    p.capacity = 100;
    mesh.dap(p);
    for _ in 0..10 {
        mesh.get(vec![]);
    }
    let runs = mesh.said(".qm.run");
    let to_second = |msg: &&&(routing::PeerId, Msg)| matches!(&msg.1, Msg::Run(run) if run.agg == "agg-1:1");
    assert_eq!(runs.iter().filter(to_second).count(), 5);
}

#[test]
fn a_portion_refused_as_busy_waits_until_the_replica_is_idle() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let run = mesh.runs(corr)[0].1.clone();
    mesh.done(dap, &run, Rc::QUEUE, 1);
    assert_eq!(mesh.runs(corr).len(), 1, "it is not asked again at once");
    mesh.idle(dap, &run);
    assert_eq!(mesh.runs(corr).len(), 2);
}

#[test]
fn a_replica_that_says_busy_to_everything_is_left_alone_for_a_while() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    while let Some((_, run)) = mesh.runs(corr).pop()
        && mesh.router.stats().ejected == 0
    {
        assert!(mesh.runs(corr).len() <= 16, "bounded by more than the deadline");
        mesh.done(dap, &run, Rc::QUEUE, 1);
        mesh.idle(dap, &run);
    }
    assert_eq!((mesh.runs(corr).len(), mesh.router.stats().queued), (16, 1), "it waits for another replica");
    mesh.pass(1_000 * MILLI);
    assert_eq!(mesh.runs(corr).len(), 17, "it may have recovered");
    let run = mesh.runs(corr)[16].1.clone();
    mesh.complete(dap, &run);
    mesh.answered(&run);
    assert!(mesh.router.is_quiet());
}

#[test]
fn a_replica_that_hands_many_back_behind_a_long_portion_goes_on_when_that_has_ended() {
    let mut mesh = Mesh::new();
    let mut roomy = purview("a", "region=amer", "hdb", 0, 10);
    roomy.capacity = 32;
    let dap = mesh.dap(roomy);
    let long = mesh.get(vec![]);
    let behind: Vec<_> = (0..31).map(|_| mesh.get(vec![])).collect();
    for corr in &behind {
        let run = mesh.runs(*corr)[0].1.clone();
        mesh.done(dap, &run, Rc::QUEUE, 1);
    }
    assert_eq!((mesh.router.stats().queued, mesh.router.stats().ejected), (31, 0), "it is busy with one");
    let run = mesh.runs(long)[0].1.clone();
    mesh.complete(dap, &run);
    assert!(mesh.router.stats().queued < 31, "none waits while it is idle");
}
