//! Nothing waits behind a busy replica while another is idle: it is asked back.

use kvalue::{Dict, Value};
use routing::{MILLI, PeerId};
use sg::{Corr, Msg, Purview, Rc, msg::Run};

use crate::{
    mesh::{Mesh, purview},
    net::{Net, amer},
};

/// One that holds several portions at a time.
fn roomy(name: &str) -> Purview {
    let mut p = amer(name);
    p.capacity = 4;
    p
}

/// Portions asked back, and from whom.
fn recalled(mesh: &Mesh) -> Vec<(PeerId, Corr)> {
    let recalls = mesh.sent.iter().filter_map(|(to, msg)| match msg {
        Msg::Recall(m) => Some((*to, m.corr)),
        _ => None,
    });
    recalls.collect()
}

/// Long portions: the replica has shown that they take this.
fn warm(mesh: &mut Mesh, takes: u64) {
    let corr = mesh.get(vec![]);
    let (dap, run) = mesh.runs(corr)[0].clone();
    mesh.pass(takes);
    mesh.complete(dap, &run);
    mesh.answered(&run);
}

fn on(mesh: &Mesh, corr: Corr) -> Vec<PeerId> {
    mesh.runs(corr).iter().map(|(to, _)| *to).collect()
}

/// As [`roomy`], with a day more.
fn moved(name: &str) -> Purview {
    let mut p = purview(name, "region=amer", "hdb", 0, 12);
    (p.capacity, p.version) = (4, 2);
    p
}

/// At the end of a day one replica holds what is new, and soon the others do.
#[test]
fn a_portion_that_no_other_could_run_is_asked_back_when_another_holds_the_same() {
    let mut net = Net::new(2);
    let a = net.dap(0, moved("a"));
    let b = net.dap(0, roomy("b"));
    warm(&mut net.rcs[0], 10 * MILLI);
    net.pump();
    let asked = [net.get(0), net.get(0), net.get(1)];
    assert!(asked.iter().all(|corr| on(&net.rcs[0], *corr) == [a]), "only that one has all of it");
    assert_eq!(recalled(&net.rcs[0]), []);
    net.rcs[0].update(b, moved("b"));
    net.pump();
    assert_eq!(recalled(&net.rcs[0]), [(a, asked[2])], "one for one that is idle, and that is a peer's");
    let waiting = net.rcs[0].runs(asked[2])[0].1.clone();
    net.rcs[0].done(a, &waiting, Rc::QUEUE, 2);
    net.pump();
    assert_eq!(on(&net.rcs[0], asked[2]), [a, b]);
}

fn one(mut p: Purview) -> Purview {
    p.capacity = 1;
    p
}

/// A peer had no use for it as long as it lacked the new day.
#[test]
fn a_replica_that_was_declined_is_offered_again_once_it_holds_more() {
    let mut net = Net::new(2);
    let a = net.dap(0, one(moved("a")));
    let b = net.dap(0, one(roomy("b")));
    net.pump();
    let (first, waits) = (net.get(0), net.get(1));
    net.pass(5 * MILLI);
    assert_eq!(on(&net.rcs[0], first), [a]);
    assert_eq!(on(&net.rcs[0], waits), [], "one is busy, one lacks what it reads");
    assert!(net.rcs[0].router.stats().declined > 0);
    net.rcs[0].update(b, one(moved("b")));
    net.pump();
    assert_eq!(on(&net.rcs[0], waits), [b]);
}

/// Offer and decline crossed the word of what it holds now.
#[test]
fn a_replica_that_was_declined_for_what_it_lacked_before_is_offered_again() {
    let mut net = Net::new(2);
    net.dap(0, one(moved("a")));
    let b = net.dap(0, one(roomy("b")));
    net.get(0);
    let waits = net.rcs[1].get(vec![]);
    net.deliver(1);
    let offered = |net: &Net| net.rcs[0].router.stats().offers;
    assert_eq!((offered(&net), net.rcs[0].router.stats().declined), (1, 0));
    net.rcs[0].update(b, one(moved("b")));
    net.pump();
    assert_eq!((offered(&net), net.rcs[0].router.stats().declined), (2, 1));
    assert_eq!(on(&net.rcs[0], waits), [b]);
}

/// While one replica still lacks the new day, those that have it do for each other.
#[test]
fn a_portion_is_asked_back_for_an_idle_replica_that_holds_what_it_reads() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(moved("a"));
    let c = mesh.dap(roomy("c"));
    warm(&mut mesh, 10 * MILLI);
    let asked = [mesh.get(vec![]), mesh.get(vec![])];
    assert!(asked.iter().all(|corr| on(&mesh, *corr) == [a]), "only that one has all of it");
    assert_eq!(recalled(&mesh), [], "{c:?} is idle and could not run it");
    let b = mesh.dap(moved("b"));
    assert_eq!(recalled(&mesh), [(a, asked[1])]);
    let waiting = mesh.runs(asked[1])[0].1.clone();
    mesh.done(a, &waiting, Rc::QUEUE, 1);
    assert_eq!(on(&mesh, asked[1]), [a, b]);

    // Both that have it are busy when the third has got it: what waits is not bound, before and after.
    let behind = mesh.get(vec![]);
    let busy = on(&mesh, behind)[0];
    assert!([a, b].contains(&busy));
    assert_eq!(recalled(&mesh).len(), 1);
    mesh.update(c, moved("c"));
    assert_eq!(recalled(&mesh)[1..], [(busy, behind)]);
}

#[test]
fn a_portion_behind_a_busy_replica_is_asked_back_when_another_falls_idle() {
    let mut mesh = Mesh::new();
    let (a, b) = (mesh.dap(roomy("a")), mesh.dap(roomy("b")));
    warm(&mut mesh, 10 * MILLI);
    let asked = [mesh.get(vec![]), mesh.get(vec![]), mesh.get(vec![])];
    let (busy, first) = mesh.runs(asked[0])[0].clone();
    let (short, second) = mesh.runs(asked[1])[0].clone();
    assert!(busy != short && on(&mesh, asked[2]).len() == 1, "{a:?}, {b:?}: one each, and one behind");
    let behind = on(&mesh, asked[2])[0];
    let (ends, run) = if behind == busy { (short, second) } else { (busy, first) };
    assert_eq!(recalled(&mesh), [], "none is idle");
    mesh.complete(ends, &run);
    assert_eq!(recalled(&mesh), [(behind, asked[2])]);
    let waiting = mesh.runs(asked[2])[0].1.clone();
    mesh.done(behind, &waiting, Rc::QUEUE, 1);
    assert_eq!(on(&mesh, asked[2]), [behind, ends]);
    assert_eq!((mesh.router.stats().recalled, mesh.router.stats().retries), (1, 0));
}

#[test]
fn one_portion_is_asked_back_for_each_idle_replica_and_each_once() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(roomy("a"));
    warm(&mut mesh, 10 * MILLI);
    let asked: Vec<Corr> = (0..4).map(|_| mesh.get(vec![])).collect();
    let b = mesh.dap(roomy("b"));
    assert_eq!(recalled(&mesh), [(a, asked[3])], "the last, which would wait longest");
    mesh.pass(MILLI);
    assert_eq!(recalled(&mesh).len(), 1);
    let run = mesh.runs(asked[3])[0].1.clone();
    mesh.done(a, &run, Rc::QUEUE, 1);
    assert_eq!(on(&mesh, asked[3]), [a, b]);
    assert_eq!(recalled(&mesh).len(), 1, "nobody is idle any more");
    let run = mesh.runs(asked[3])[1].1.clone();
    mesh.complete(b, &run);
    assert_eq!(recalled(&mesh)[1..], [(a, asked[2])]);
}

#[test]
fn one_that_has_begun_goes_on_where_it_is() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(roomy("a"));
    warm(&mut mesh, 10 * MILLI);
    let asked = [mesh.get(vec![]), mesh.get(vec![])];
    mesh.dap(roomy("b"));
    assert_eq!(recalled(&mesh), [(a, asked[1])]);
    for corr in asked {
        let run = mesh.runs(corr)[0].1.clone();
        mesh.complete(a, &run);
        mesh.answered(&run);
    }
    assert!(mesh.router.is_quiet());
    assert_eq!(asked.map(|corr| mesh.runs(corr).len()), [1, 1]);
}

#[test]
fn what_is_short_is_asked_back_only_after_a_while() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(roomy("a"));
    warm(&mut mesh, MILLI / 20);
    let asked = [mesh.get(vec![]), mesh.get(vec![])];
    mesh.dap(roomy("b"));
    assert_eq!(recalled(&mesh), [], "it is likely to begin sooner than it could be handed back");
    let due = mesh.router.next_wakeup().unwrap();
    assert!(due <= mesh.now + MILLI / 5, "{due}");
    mesh.pass(MILLI / 5);
    assert_eq!(recalled(&mesh), [(a, asked[1])]);
}

#[test]
fn a_portion_for_one_replica_only_stays_there() {
    let mut mesh = Mesh::new();
    mesh.dap(roomy("a"));
    warm(&mut mesh, 10 * MILLI);
    let scope = || vec![("scope", Dict::of([("dap", Value::sym("a"))]).into())];
    mesh.get(scope());
    mesh.get(scope());
    mesh.dap(roomy("b"));
    assert_eq!(recalled(&mesh), []);
}

#[test]
fn a_replica_that_hands_back_what_it_was_asked_for_still_gets_several() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(roomy("a"));
    warm(&mut mesh, 10 * MILLI);
    let asked = [mesh.get(vec![]), mesh.get(vec![])];
    let b = mesh.dap(roomy("b"));
    let run = mesh.runs(asked[1])[0].1.clone();
    mesh.done(a, &run, Rc::QUEUE, 1);
    let more = [mesh.get(vec![]), mesh.get(vec![])];
    let mut all: Vec<PeerId> = more.iter().flat_map(|corr| on(&mesh, *corr)).collect();
    all.sort_unstable();
    assert_eq!(all, [a, b], "one behind each");
}

/// One that hangs, as a process does whose end is not known yet, would keep the idle one for itself.
#[test]
fn a_replica_that_does_not_answer_keeps_no_other_from_being_asked() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(roomy("a"));
    warm(&mut mesh, 10 * MILLI);
    let hung = [mesh.get(vec![]), mesh.get(vec![])];
    let b = mesh.dap(roomy("b"));
    assert_eq!(recalled(&mesh), [(a, hung[1])]);
    // It takes others meanwhile, one of which comes to wait behind another.
    let more = [mesh.get(vec![]), mesh.get(vec![])];
    assert_eq!(on(&mesh, more[0]), [b]);
    mesh.dap(roomy("c"));
    assert_eq!(recalled(&mesh).len(), 1, "one is idle, and one portion is on its way back");
    mesh.pass(5 * MILLI);
    let asked = recalled(&mesh)[1];
    assert_eq!(asked, (on(&mesh, more[1])[0], more[1]));
}

// ---- in a mesh ------------------------------------------------------------------------------------------

/// Two coordinators, a roomy replica each, both busy, and one portion more behind the first one's.
fn two() -> (Net, [PeerId; 2], [Corr; 3]) {
    let mut net = Net::new(2);
    let daps = [net.dap(0, roomy("a")), net.dap(1, roomy("b"))];
    for (rc, dap) in daps.iter().enumerate() {
        let corr = net.get(rc);
        let run = net.rcs[rc].runs(corr)[0].1.clone();
        net.pass(10 * MILLI);
        net.complete(rc, *dap, rc, &run);
    }
    let asked = [net.get(0), net.get(0), net.get(0)];
    (net, daps, asked)
}

fn runs(net: &Net, rc: usize, corr: Corr) -> Vec<Run> {
    net.rcs[rc].runs(corr).into_iter().map(|(_, run)| run).collect()
}

#[test]
fn an_owner_asks_back_what_an_idle_replica_of_a_peer_could_run() {
    let (mut net, daps, asked) = two();
    let (own, far) = (runs(&net, 0, asked[0])[0].clone(), runs(&net, 1, asked[1])[0].clone());
    let behind = runs(&net, 0, asked[2])[0].clone();
    net.complete(1, daps[1], 0, &far);
    assert_eq!(recalled(&net.rcs[0]), [(daps[0], asked[2])]);
    net.rcs[0].done(daps[0], &behind, Rc::QUEUE, 1);
    net.pump();
    let moved = runs(&net, 1, asked[2])[0].clone();
    net.complete(1, daps[1], 0, &moved);
    net.complete(0, daps[0], 0, &own);
    net.quiet();
}

#[test]
fn a_portion_of_a_peer_that_is_asked_back_is_placed_anew_by_its_primary() {
    let (mut net, daps, asked) = two();
    let (own, far) = (runs(&net, 0, asked[0])[0].clone(), runs(&net, 1, asked[1])[0].clone());
    // Nothing is idle: the peer's request takes a place behind what runs there already.
    let lent = net.get(1);
    let behind = runs(&net, 1, lent)[0].clone();
    let behind_own = runs(&net, 0, asked[2])[0].clone();
    net.complete(0, daps[0], 0, &own);
    net.complete(0, daps[0], 0, &behind_own);
    assert_eq!(recalled(&net.rcs[1]), [(daps[1], lent)]);
    net.rcs[1].done(daps[1], &behind, Rc::QUEUE, 1);
    net.pump();
    let moved = runs(&net, 0, lent)[0].clone();
    net.complete(0, daps[0], 1, &moved);
    net.complete(1, daps[1], 0, &far);
    net.quiet();
}

/// A peer that has used an idle replica believes that none is left, and hears when there is one again, however soon.
#[test]
fn a_peer_hears_of_a_replica_that_is_idle_again_though_the_number_is_what_it_was() {
    let mut net = Net::new(2);
    let daps = [net.dap(0, purview("a", "region=amer", "hdb", 0, 10)), net.dap(1, amer("b"))];
    net.pass(5 * MILLI);
    net.get(0);
    let far = net.get(0);
    let run = runs(&net, 1, far)[0].clone();
    net.complete(1, daps[1], 0, &run);
    let again = net.get(0);
    assert_eq!((runs(&net, 1, again).len(), net.rcs[1].router.stats().offers), (1, 0), "asked for at once");
}
