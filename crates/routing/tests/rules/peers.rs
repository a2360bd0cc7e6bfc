//! Several coordinators as one router: who starts what, who waits where, what a loss costs.

use kvalue::Value;
use routing::{Event, MILLI, PeerId, PeerRole, SECOND, Settings};
use sg::{
    Corr, Msg, Rc,
    msg::{RegisterDap, Run},
};

use crate::{
    mesh::{LEFT, UNSAFE, labels, purview, with_unsafe},
    net::{Net, amer},
};

#[test]
fn replicas_of_all_coordinators_serve_one_request() {
    let mut net = Net::new(2);
    let near = net.dap(0, amer("a"));
    let far = net.dap(1, purview("e", "region=emea", "hdb", 0, 10));
    let corr = net.get(0);
    assert_eq!(net.rcs[0].portions(corr).len(), 2);
    let own = net.rcs[0].runs(corr)[0].clone();
    let lent = net.rcs[1].runs(corr)[0].clone();
    assert_eq!((own.0, lent.0), (near, far));
    assert_eq!(lent.1.agg.text(), "agg-0:1", "the partial goes to the primary's Agg");
    net.rcs[0].complete(near, &own.1);
    net.complete(1, far, 0, &lent.1);
    assert_eq!(net.rcs[0].router.stats().succeeded, 1);
    net.quiet();
}

#[test]
fn an_idle_replica_of_a_peer_is_used_before_waiting() {
    let mut net = Net::new(2);
    net.dap(0, amer("a"));
    let far = net.dap(1, amer("b"));
    net.get(0);
    let second = net.get(0);
    assert_eq!(net.rcs[1].runs(second)[0].0, far);
    assert_eq!(net.rcs[0].router.stats().tried, 1);
    // The peer does not know who asks, so the Agg is told.
    let told = (net.rcs[0].plans(second).len(), net.rcs[1].lone(second).len());
    assert_eq!(told, (1, 0));
}

#[test]
fn an_idle_replica_of_a_peer_is_used_before_a_place_beside_a_running_portion() {
    let mut net = Net::new(2);
    let with_room = |name: &str| {
        let mut p = amer(name);
        p.capacity = 4;
        p
    };
    let near = net.dap(0, with_room("a"));
    let far = net.dap(1, with_room("b"));
    let asked = [net.get(0), net.get(0), net.get(0)];
    let on = |corr| net.rcs.iter().flat_map(|m| m.runs(corr)).map(|(to, _)| to).collect::<Vec<_>>();
    assert_eq!(net.rcs[0].runs(asked[0])[0].0, near);
    assert_eq!(net.rcs[1].runs(asked[1])[0].0, far);
    assert_eq!(on(asked[2]).len(), 1, "none is idle anywhere: a place that is free is taken");
}

#[test]
fn a_portion_waits_at_its_primary_until_an_owner_offers_a_replica() {
    let mut net = Net::new(2);
    let dap = net.dap(1, amer("a"));
    let first = net.get(1);
    let second = net.get(0);
    assert_eq!((net.rcs[0].router.stats().queued, net.rcs[1].router.stats().queued), (1, 0));
    let run = net.rcs[1].runs(first)[0].1.clone();
    net.complete(1, dap, 1, &run);
    let run = net.rcs[1].runs(second)[0].1.clone();
    assert_eq!(net.rcs[1].router.stats().offers, 1);
    net.complete(1, dap, 0, &run);
    net.quiet();
}

#[test]
fn the_older_request_goes_first_wherever_it_waits() {
    let mut net = Net::new(2);
    let dap = net.dap(1, amer("a"));
    let running = net.get(1);
    net.pass(MILLI);
    let at_peer = net.get(0);
    net.pass(5 * MILLI);
    let own = net.get(1);
    let run = net.rcs[1].runs(running)[0].1.clone();
    net.complete(1, dap, 1, &run);
    assert_eq!((net.rcs[1].runs(at_peer).len(), net.rcs[1].runs(own).len()), (1, 0));
    let run = net.rcs[1].runs(at_peer)[0].1.clone();
    net.complete(1, dap, 0, &run);
    assert_eq!(net.rcs[1].runs(own).len(), 1);
}

#[test]
fn a_hint_that_is_out_of_date_costs_a_refusal_and_no_more() {
    let mut net = Net::new(2);
    let dap = net.dap(1, amer("a"));
    // Both see it idle; the owner's own request takes it while the peer's is on the way.
    let far = net.rcs[0].get(vec![]);
    let own = net.rcs[1].get(vec![]);
    net.pump();
    assert_eq!(net.rcs[0].router.stats().refused, 1);
    assert_eq!(net.rcs[0].router.stats().queued, 1);
    let run = net.rcs[1].runs(own)[0].1.clone();
    net.complete(1, dap, 1, &run);
    assert_eq!(net.rcs[1].runs(far).len(), 1);
}

#[test]
fn a_lost_peer_loses_nothing_that_had_not_begun() {
    let mut net = Net::new(2);
    net.dap(0, with_unsafe(amer("a")));
    net.dap(1, with_unsafe(amer("b")));
    let ask = |net: &mut Net| {
        let corr = net.rcs[0].ask(UNSAFE, vec![], vec![]);
        net.pump();
        corr
    };
    let [own, far, waits] = [ask(&mut net), ask(&mut net), ask(&mut net)];
    assert_eq!(net.rcs[1].runs(far).len(), 1);
    net.cut(0, 1);
    assert_eq!(net.rcs[0].failure(far).0, Rc::CONN.0, "it ran there and must not run twice");
    assert_eq!(net.rcs[0].answers(waits).len(), 0);
    assert_eq!(net.rcs[1].said(".qm.cancelRun").len(), 1, "nobody waits for it any more");
    let (dap, run) = net.rcs[0].runs(own)[0].clone();
    net.complete(0, dap, 0, &run);
    assert_eq!(net.rcs[0].runs(waits).len(), 1);
}

#[test]
fn a_safe_portion_of_a_lost_peer_runs_elsewhere() {
    let mut net = Net::new(2);
    net.dap(0, amer("a"));
    net.dap(1, amer("b"));
    let own = net.get(0);
    let far = net.get(0);
    net.cut(0, 1);
    let (dap, run) = net.rcs[0].runs(own)[0].clone();
    net.complete(0, dap, 0, &run);
    assert_eq!(net.rcs[0].runs(far).len(), 1);
}

#[test]
fn what_may_have_started_at_a_lost_peer_is_not_started_again_unless_safe() {
    let mut net = Net::new(2);
    net.dap(1, with_unsafe(amer("b")));
    // Asked, and lost before the answer.
    let corr = net.rcs[0].ask(UNSAFE, vec![], vec![]);
    assert_eq!(net.rcs[0].said(".qm.mesh.try").len(), 1);
    assert_eq!(net.rcs[0].said(".qm.started").len(), 1, "the gateway hears of it first");
    net.cut(0, 1);
    let (rc, _, ai) = net.rcs[0].failure(corr);
    assert_eq!(rc, Rc::CONN.0);
    assert!(ai.contains("coordinator rc-1 was lost when it was asked to start portion 0"), "{ai}");
}

#[test]
fn a_partial_that_overtakes_the_word_of_its_start_counts() {
    let mut net = Net::new(2);
    let dap = net.dap(1, amer("b"));
    let corr = net.rcs[0].get(vec![]);
    // The try arrives; what the owner answers is still on the way.
    let (_, ask) = net.rcs[0].said(".qm.mesh.try")[0].clone();
    let link = net.links[&(1, 0)];
    net.rcs[1].say(link, ask);
    net.read[0] = net.rcs[0].sent.len();
    let run = net.rcs[1].runs(corr)[0].1.clone();
    net.rcs[0].got(&run);
    net.rcs[0].answered(&run);
    net.rcs[1].done(dap, &run, Rc::OK, run.version);
    net.rcs[1].idle(dap, &run);
    net.pump();
    assert_eq!(net.rcs[0].router.stats().succeeded, 1);
    net.quiet();
}

#[test]
fn a_request_that_is_over_stops_what_runs_for_it_at_peers() {
    let mut net = Net::new(2);
    let dap = net.dap(1, amer("b"));
    let corr = net.get(0);
    let gw = net.rcs[0].gw;
    net.rcs[0].say(gw, sg::msg::Cancel { corr, attempt: 0 });
    net.pump();
    let stopped = net.rcs[1].said(".qm.cancelRun");
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0].0, dap);
    let run = net.rcs[1].runs(corr)[0].1.clone();
    net.rcs[1].done(dap, &run, Rc::CANCELLED, run.version);
    net.rcs[1].idle(dap, &run);
    net.quiet();
}

#[test]
fn a_portion_planned_on_purviews_that_moved_is_refused_and_planned_again() {
    let mut net = Net::new(2);
    let hdb = net.dap(1, amer("hdb"));
    net.dap(1, purview("rdb", "region=amer", "rdb", 10, 20));
    // The older tier takes in what the newer one held; the request is planned before the peer hears of it.
    let corr = net.rcs[0].get(vec![]);
    let moved = |name, tier, start, end, source: &str| {
        let mut p = purview(name, "region=amer", tier, start, end);
        (p.version, p.source) = (2, source.into());
        p
    };
    net.rcs[1].update(hdb, moved("hdb", "hdb", 0, 20, "hdb of region=amer from 0"));
    net.pump();
    assert!(net.rcs[0].router.stats().refused > 0, "{:?}", net.rcs[0].router.stats());
    let runs: Vec<Run> = net.rcs[1].runs(corr).into_iter().map(|(_, run)| run).collect();
    let mut spans: Vec<(i64, i64)> = runs.iter().map(|r| (r.range.start(), r.range.end())).collect();
    spans.sort_unstable();
    assert!(spans.windows(2).all(|w| w[0].1 == w[1].0), "{spans:?}");
    assert_eq!(runs.iter().find(|r| r.version == 2).map(|r| r.version), Some(2), "the hdb runs as it is now");
}

#[test]
fn an_offer_that_nobody_answers_is_taken_back() {
    let mut net = Net::new(2);
    let dap = net.dap(1, amer("a"));
    let running = net.get(1);
    net.get(0);
    net.pass(MILLI);
    let own = net.get(1);
    let run = net.rcs[1].runs(running)[0].1.clone();
    net.rcs[1].complete(dap, &run);
    assert_eq!(net.rcs[1].router.stats().offers, 1, "offered, and the peer does not hear of it");
    let offer_wait = Settings::default().offer_wait;
    net.rcs[1].pass(offer_wait);
    assert_eq!(net.rcs[1].runs(own).len(), 1);
}

#[test]
fn a_timeout_names_the_replica_and_its_coordinator() {
    let mut net = Net::new(2);
    net.dap(1, amer("a"));
    let corr = net.get(0);
    net.pass(LEFT);
    let (_, _, ai) = net.rcs[0].failure(corr);
    assert!(
        ai.contains("portion 0 (region=amer,") && ai.contains("still runs on a of coordinator rc-1"),
        "{ai}"
    );
}

#[test]
fn aggs_of_peers_are_dialled_and_given_up_with_them() {
    let mut net = Net::new(2);
    let agg = net.rcs[1].new_agg("agg-far");
    net.pump();
    assert_eq!(net.rcs[0].dialled, ["agg-far:1"]);
    net.rcs[1].down(agg);
    net.pump();
    assert!(net.rcs[0].dialled.is_empty());
}

#[test]
fn a_coordinator_that_leaves_hands_its_data_processes_over() {
    let mut net = Net::new(2);
    let dap = net.dap(0, amer("a"));
    let running = net.get(0);
    net.rcs[0].event(Event::Drain);
    net.pump();
    assert_eq!(net.rcs[0].refused.len(), 0, "it still runs something");
    let run = net.rcs[0].runs(running)[0].1.clone();
    net.complete(0, dap, 0, &run);
    assert_eq!(net.rcs[0].refused[0].0, dap);
    assert!(net.rcs[0].router.is_drained());
    net.pass(SECOND);
    let late = net.get(0);
    assert_eq!(net.rcs[0].failure(late).0, Rc::NOT_READY.0);
    let statuses = net.rcs[0].said(".qm.status");
    assert!(matches!(statuses.last(), Some((_, Msg::Status(s))) if !s.ready));
}

#[test]
fn a_data_process_that_moves_goes_on_with_what_it_runs() {
    let mut net = Net::new(2);
    let old = net.dap(0, amer("a"));
    let corr = net.get(1);
    let run = net.rcs[0].runs(corr)[0].1.clone();
    net.rcs[0].down(old);
    net.pump();
    let peer = net.rcs[1].up(PeerRole::Dap, "a", 1);
    let mut again = amer("a");
    again.epoch = 2;
    let running = sg::msg::Running { corr, attempt: run.attempt, portion: run.portion };
    net.rcs[1].say(peer, RegisterDap { available: true, purview: again, running: vec![running] });
    net.pump();
    assert_eq!(net.rcs[1].runs(corr).len(), 0, "it is not started a second time");
    net.complete(1, peer, 1, &run);
    assert_eq!(net.rcs[1].router.stats().succeeded, 1);
}

#[test]
fn a_portion_for_one_named_replica_waits_for_its_owner() {
    let mut net = Net::new(2);
    net.dap(0, amer("a"));
    let b = net.dap(1, amer("b"));
    let scope = || vec![("scope", kvalue::Dict::of([("dap", Value::sym("b"))]).into())];
    let first = net.rcs[0].get(scope());
    net.pump();
    let second = net.rcs[0].get(scope());
    net.pump();
    assert_eq!((net.rcs[1].runs(first).len(), net.rcs[1].runs(second).len()), (1, 0));
    let run = net.rcs[1].runs(first)[0].1.clone();
    net.complete(1, b, 0, &run);
    assert_eq!(net.rcs[1].runs(second).len(), 1);
}

#[test]
fn labels_of_peers_data_are_known_here() {
    let mut net = Net::new(2);
    net.dap(1, purview("e", "region=emea", "hdb", 0, 10));
    let corr = net.rcs[0].get(vec![labels(vec![("region", Value::sym("emea"))])]);
    net.pump();
    assert_eq!(net.rcs[1].runs(corr).len(), 1);
}

#[test]
fn requests_of_all_coordinators_are_listed_and_ended_by_any() {
    let mut net = Net::new(3);
    net.dap(0, amer("a"));
    let here = net.get(0);
    let there = net.get(1);
    let listed = net.rcs[2].ask(".qmesh.queries", vec![], vec![]);
    net.pump();
    let answer = net.rcs[2].answers(listed).pop().expect("answered").payload.into_bytes();
    let table = qipc::decode(answer, &qipc::Limits::internal()).unwrap();
    let table = table.as_table().unwrap().clone();
    assert_eq!(table.len(), 2);
    let cancel = |net: &mut Net, corr: Corr| {
        let asked = net.rcs[2].ask(".qmesh.cancel", vec![("corr", Value::str(corr.to_string()))], vec![]);
        net.pump();
        let answer = net.rcs[2].answers(asked).pop().expect("answered").payload.into_bytes();
        qipc::decode(answer, &qipc::Limits::internal()).unwrap().as_bool()
    };
    assert_eq!(cancel(&mut net, there), Some(true));
    assert_eq!(net.rcs[1].failure(there).0, Rc::CANCELLED.0);
    assert_eq!(cancel(&mut net, there), Some(false), "it is over");
    net.rcs[2].user = "bob".into();
    assert_eq!(cancel(&mut net, here), Some(false), "it is another user's");
    assert_eq!(net.rcs[0].answers(here).len(), 0);
}

#[test]
fn a_peer_that_does_not_answer_a_question_is_left_out() {
    let mut net = Net::new(2);
    let asked = net.rcs[0].ask(".qmesh.queries", vec![], vec![]);
    net.rcs[0].pass(SECOND);
    assert_eq!(net.rcs[0].answers(asked).len(), 1);
    assert!(net.rcs[0].router.is_quiet());
}

#[test]
fn an_explanation_names_owners_and_reasons() {
    let mut net = Net::new(2);
    net.dap(1, amer("b"));
    let args = kvalue::Dict::of([("table", Value::sym("trade"))]);
    let call = vec![("api", Value::sym(sg::api::GET_DATA)), ("args", args.into())];
    let asked = net.rcs[0].ask(".qmesh.explain", call.clone(), vec![]);
    let explained = |net: &Net, corr| {
        let answer = net.rcs[0].answers(corr).pop().expect("answered").payload.into_bytes();
        let value = qipc::decode(answer, &qipc::Limits::internal()).unwrap();
        let portions = value.as_dict().unwrap().get("portions").unwrap();
        let row = portions.index(0).as_dict().unwrap().clone();
        (row.get("rc").unwrap().as_sym().unwrap().to_string(), row.get("why").unwrap().as_text().unwrap())
    };
    let (rc, why) = explained(&net, asked);
    assert_eq!(rc, "rc-1");
    assert!(String::from_utf8_lossy(&why).contains("rc-1 says that 1 are"), "{why:?}");
    net.get(0);
    let asked = net.rcs[0].ask(".qmesh.explain", call, vec![]);
    let (_, why) = explained(&net, asked);
    assert!(String::from_utf8_lossy(&why).contains("it would wait: of 1 replicas"), "{why:?}");
}

#[test]
fn a_replica_that_leaves_gets_nothing_new_from_other_coordinators_either() {
    let mut net = Net::new(2);
    let leaving = net.dap(1, purview("a", "region=amer", "hdb", 0, 10));
    let other = net.dap(1, purview("b", "region=amer", "hdb", 0, 10));
    let first = net.get(0);
    let run = net.rcs[1].runs(first)[0].clone();
    let (busy, idle) = if run.0 == leaving { (leaving, other) } else { (other, leaving) };
    net.rcs[1].event(Event::Leaving { peer: busy });
    net.pump();
    let (second, third) = (net.get(0), net.get(0));
    assert_eq!(net.rcs[1].runs(second)[0].0, idle);
    net.complete(1, busy, 0, &run.1);
    net.pass(SECOND / 10);
    assert!(net.rcs[1].runs(third).is_empty(), "the one that leaves is idle, and of no use to anybody");
    let run = net.rcs[1].runs(second)[0].1.clone();
    net.complete(1, idle, 0, &run);
    let run = net.rcs[1].runs(third)[0].1.clone();
    net.complete(1, idle, 0, &run);
    net.quiet();
}

/// Two coordinators with a replica each: that of the first runs a slow portion, that of the second is idle.
fn slow_one() -> (Net, Corr, PeerId, PeerId) {
    let settings = || Settings { settle: 0, hedge_percent: 300, ..Settings::default() };
    let mut net = Net::new(0);
    (0..2).for_each(|_| net.join(settings()));
    net.pump();
    let own = net.dap(0, purview("a", "region=amer", "hdb", 0, 10));
    for _ in 0..4 {
        let corr = net.get(0);
        let run = net.rcs[0].runs(corr)[0].1.clone();
        net.rcs[0].now += 10 * MILLI;
        net.complete(0, own, 0, &run);
    }
    let other = net.dap(1, purview("b", "region=amer", "hdb", 0, 10));
    net.pass(MILLI);
    let corr = net.get(0);
    assert_eq!(net.rcs[0].runs(corr)[0].0, own);
    (net, corr, own, other)
}

/// What the second run reads must be what the first one reads: the owner's account, as the try saw it, decides.
#[test]
fn a_second_run_is_refused_where_tiles_move_while_it_is_asked_for() {
    let (mut net, corr, own, other) = slow_one();
    // The try is on its way when the sources of the owner change.
    net.rcs[0].pass(31 * MILLI);
    let tried = net.rcs[0].said(".qm.mesh.try").len();
    assert_eq!(tried, 1, "a second run is asked for");
    let mut moved = purview("b", "region=amer", "hdb", 0, 8);
    moved.version = 2;
    net.rcs[1].update(other, moved);
    net.pump();
    assert!(net.rcs[1].runs(corr).is_empty(), "it would leave instants out");
    assert_eq!(net.rcs[1].said(".qm.mesh.refused").len(), 1);
    let run = net.rcs[0].runs(corr)[0].1.clone();
    net.complete(0, own, 0, &run);
    assert_eq!(net.rcs[0].router.stats().succeeded, 5);
}

#[test]
fn a_second_run_starts_at_a_peer_where_nothing_has_moved() {
    let (mut net, corr, own, other) = slow_one();
    net.pass(31 * MILLI);
    let (second, run) = net.rcs[1].runs(corr)[0].clone();
    assert_eq!(second, other);
    net.complete(1, second, 0, &run);
    let first = net.rcs[0].runs(corr)[0].1.clone();
    assert_eq!(net.rcs[0].said(".qm.cancelRun").len(), 1, "the first partial ends the other run");
    net.rcs[0].done(own, &first, Rc::CANCELLED, 1);
    net.rcs[0].idle(own, &first);
    net.pump();
    net.quiet();
}

/// Both of its runs are at one peer, which hears which of them is meant.
#[test]
fn a_second_run_that_ends_at_a_peer_does_not_take_the_first_with_it() {
    let mut net = Net::new(0);
    (0..2).for_each(|_| net.join(Settings { settle: 0, hedge_percent: 300, ..Settings::default() }));
    net.pump();
    for name in ["a", "b"] {
        net.dap(1, purview(name, "region=amer", "hdb", 0, 10));
    }
    for _ in 0..4 {
        let corr = net.get(0);
        let (dap, run) = net.rcs[1].runs(corr)[0].clone();
        net.rcs.iter_mut().for_each(|rc| rc.now += 10 * MILLI);
        net.complete(1, dap, 0, &run);
        net.pass(MILLI);
    }
    let corr = net.get(0);
    net.pass(60 * MILLI);
    let [(slow, first), (fast, second)] = &net.rcs[1].runs(corr)[..] else { panic!("it runs twice") };
    let (slow, first, fast, second) = (*slow, first.clone(), *fast, second.clone());
    let waits = net.get(0);
    let stopped: Vec<PeerId> = net.rcs[1].said(".qm.cancelRun").iter().map(|(to, _)| *to).collect();
    assert_eq!(stopped, [fast]);
    net.rcs[1].done(fast, &second, Rc::CANCELLED, 1);
    net.rcs[1].idle(fast, &second);
    net.pump();
    net.pass(2 * MILLI);
    let (dap, run) = net.rcs[1].runs(waits)[0].clone();
    assert_eq!(dap, fast);
    net.complete(1, fast, 0, &run);
    net.complete(1, slow, 0, &first);
    net.quiet();
}
