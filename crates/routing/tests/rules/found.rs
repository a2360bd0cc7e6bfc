//! Data processes that were found: while nobody knows what one of them holds, no answer is taken for complete.

use kvalue::{Dict, Value};
use routing::{Event, Fate, PeerId, PeerRole, Place, SECOND, Settings};
use sg::{Corr, InstanceId, Msg, Purview, Rc, msg::GiveUp, msg::RegisterDap};

use crate::{
    mesh::{LEFT, Mesh, labels, purview, times},
    net::Net,
};

/// One that looks for data processes.
fn looks() -> Mesh {
    Mesh::with(Settings { settle: 0, looks: true, ..Settings::default() })
}

/// A pod of this name, ready: processes of [`Mesh`] are reached at their name's port 1.
fn pod(name: &str, fate: Fate) -> Place {
    let address = format!("{name}:1").into();
    Place { key: format!("uid-{name}").into(), name: name.into(), address, ready: true, fate }
}

fn trouble() -> Fate {
    Fate::Trouble("did not prove the mesh's secret".into())
}

fn found(mesh: &mut Mesh, places: Vec<Place>) {
    mesh.event(Event::Found { places, synced: true, trouble: String::new() });
}

fn ready(mesh: &Mesh) -> bool {
    let stats = mesh.router.stats();
    !stats.settling && !stats.untried
}

fn best(mesh: &mut Mesh) -> Corr {
    let opts = vec![("completeness", Value::sym("best"))];
    mesh.ask(sg::api::GET_DATA, vec![("table", Value::sym("trade"))], opts)
}

fn given_up(mesh: &Mesh) -> Vec<GiveUp> {
    let of = |m: &Msg| if let Msg::GiveUp(m) = m { Some(m.clone()) } else { None };
    mesh.sent.iter().filter_map(|(_, m)| of(m)).collect()
}

fn amer() -> Purview {
    purview("a", "region=amer", "hdb", 0, 10)
}

fn emea() -> Purview {
    purview("e", "region=emea", "hdb", 0, 10)
}

/// One data process is registered, another was found and is refused.
fn half() -> (Mesh, PeerId) {
    let mut mesh = looks();
    found(&mut mesh, vec![pod("a", Fate::Untried), pod("e", trouble())]);
    let a = mesh.dap(amer());
    (mesh, a)
}

#[test]
fn half_of_the_data_is_never_taken_for_all_of_it() {
    let (mut mesh, _) = half();
    let corr = mesh.get(vec![]);
    assert!(mesh.runs(corr).is_empty() && mesh.answers(corr).is_empty());
    mesh.pass(LEFT - LEFT / 50);
    let (rc, _, ai) = mesh.failure(corr);
    assert_eq!(rc, Rc::TIMEOUT.0);
    assert!(ai.contains("e at e:1: did not prove the mesh's secret"), "{ai}");
    assert!(mesh.router.is_quiet(), "{:?}", mesh.router.stats());
}

#[test]
fn what_was_kept_begins_when_all_are_registered() {
    let mut mesh = looks();
    found(&mut mesh, vec![pod("a", Fate::Untried), pod("e", trouble()), pod("f", trouble())]);
    mesh.dap(amer());
    let corr = mesh.get(vec![]);
    mesh.dap(emea());
    assert!(mesh.runs(corr).is_empty(), "one is still unknown");
    mesh.dap(purview("f", "region=apac", "hdb", 0, 10));
    let runs = mesh.runs(corr);
    assert_eq!(runs.len(), 3);
    runs.iter().for_each(|(dap, run)| mesh.complete(*dap, run));
    mesh.answered(&runs[0].1);
    assert!(mesh.router.is_quiet(), "{:?}", mesh.router.stats());
}

#[test]
fn one_that_goes_is_no_longer_waited_for() {
    let (mut mesh, _) = half();
    let corr = mesh.get(vec![]);
    found(&mut mesh, vec![pod("a", Fate::Untried)]);
    assert_eq!(mesh.runs(corr).len(), 1);
}

#[test]
fn one_that_was_never_ready_or_holds_no_data_is_not_missing() {
    let mut mesh = looks();
    let unready = Place { ready: false, ..pod("e", trouble()) };
    found(&mut mesh, vec![pod("a", Fate::Untried), unready, pod("gw", Fate::NoData)]);
    mesh.dap(amer());
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.runs(corr).len(), 1);
}

#[test]
fn one_that_was_ready_and_is_not_any_more_is_still_missing() {
    let (mut mesh, _) = half();
    found(&mut mesh, vec![pod("a", Fate::Untried), Place { ready: false, ..pod("e", trouble()) }]);
    let corr = mesh.get(vec![]);
    assert!(mesh.runs(corr).is_empty());
}

#[test]
fn what_one_held_that_was_registered_once_is_known_though_its_link_is_lost() {
    let (mut mesh, _) = half();
    let e = mesh.dap(emea());
    mesh.down(e);
    found(&mut mesh, vec![pod("a", Fate::Untried), pod("e", trouble())]);
    let amer = mesh.get(vec![labels(vec![("region", Value::sym("amer"))])]);
    assert_eq!(mesh.runs(amer).len(), 1, "its label set is known: this is of another");
    let all = mesh.get(vec![]);
    assert_eq!(mesh.portions(all).len(), 2, "its own portion waits");
}

#[test]
fn the_next_process_at_an_address_is_another_pod() {
    let mut mesh = looks();
    found(&mut mesh, vec![pod("a", Fate::Untried), pod("e", Fate::Untried)]);
    mesh.dap(amer());
    mesh.dap(emea());
    // Its pod is gone, nobody has noticed that its link is dead, and its address is another's now.
    let new = Place { key: "uid-new".into(), ..pod("e", trouble()) };
    found(&mut mesh, vec![pod("a", Fate::Untried), new]);
    let corr = mesh.get(vec![]);
    assert!(mesh.runs(corr).is_empty());
}

#[test]
fn a_process_that_is_known_by_its_run_needs_no_address() {
    let mut mesh = looks();
    let elsewhere = |fate| Place { address: "10.0.0.7:5080".into(), ..pod("a", fate) };
    found(&mut mesh, vec![elsewhere(Fate::Untried)]);
    mesh.dap(amer());
    let corr = mesh.get(vec![]);
    assert!(mesh.runs(corr).is_empty());
    found(&mut mesh, vec![elsewhere(Fate::Linked(InstanceId([1; 16])))]);
    assert_eq!(mesh.runs(corr).len(), 1);
}

#[test]
fn a_coordinator_is_not_ready_before_it_has_tried_each() {
    let mut mesh = looks();
    assert!(!ready(&mesh), "nothing was told yet");
    mesh.event(Event::Found { places: vec![], synced: false, trouble: "no route to host".into() });
    assert!(!ready(&mesh));
    found(&mut mesh, vec![pod("a", Fate::Untried), pod("e", Fate::Untried)]);
    mesh.dap(amer());
    assert!(!ready(&mesh));
    found(&mut mesh, vec![pod("a", Fate::Untried), pod("e", trouble())]);
    assert!(ready(&mesh), "it has tried: what it lacks it says");
    found(&mut mesh, vec![pod("a", Fate::Untried), pod("e", trouble()), pod("f", Fate::Untried)]);
    assert!(ready(&mesh), "one that comes later is no reason to take no requests");
}

#[test]
fn what_is_not_listed_yet_may_hold_anything() {
    let mut mesh = looks();
    mesh.dap(amer());
    let corr = mesh.get(vec![]);
    assert!(mesh.runs(corr).is_empty());
    mesh.event(Event::Found { places: vec![], synced: false, trouble: "no route to host".into() });
    mesh.pass(LEFT - LEFT / 50);
    assert!(mesh.failure(corr).2.contains("no route to host"), "{:?}", mesh.failure(corr));
}

#[test]
fn a_best_answer_goes_without_it_and_names_what_may_be_missing() {
    let (mut mesh, a) = half();
    let corr = best(&mut mesh);
    let said = given_up(&mesh);
    assert!(said[0].missing[0].labels.is_empty() && !said[0].declared, "{said:?}");
    let run = mesh.runs(corr)[0].1.clone();
    mesh.complete(a, &run);
    mesh.answered(&run);
    assert!(mesh.router.is_quiet(), "{:?}", mesh.router.stats());
}

#[test]
fn an_api_or_a_table_that_nobody_has_may_be_of_one_that_is_unlinked() {
    let (mut mesh, _) = half();
    let api = mesh.ask(".custom.other", vec![], vec![]);
    let (rc, _, ai) = mesh.failure(api);
    assert_eq!(rc, Rc::NOT_READY.0);
    assert!(ai.contains("e at e:1"), "{ai}");
    let table = mesh.ask(sg::api::GET_DATA, vec![("table", Value::sym("fx"))], vec![]);
    assert!(mesh.answers(table).is_empty(), "it is waited for");
    mesh.dap(emea());
    assert!(mesh.failure(table).2.contains("Table not found"));
}

#[test]
fn one_data_process_by_name_is_asked_whatever_others_there_are() {
    let (mut mesh, _) = half();
    let scope = |dap: &str| ("scope", Value::from(Dict::of([("dap", Value::sym(dap))])));
    let named = mesh.get(vec![scope("a")]);
    assert_eq!(mesh.runs(named).len(), 1);
    let unknown = mesh.get(vec![scope("e")]);
    assert!(mesh.answers(unknown).is_empty(), "it may be the one that is unlinked");
}

#[test]
fn arguments_named_like_labels_are_labels_once_these_are_known() {
    let mut mesh = looks();
    found(&mut mesh, vec![pod("a", Fate::Untried), pod("e", trouble())]);
    mesh.dap(purview("a", "", "hdb", 0, 10));
    let corr = mesh.get(vec![("region", Value::sym("emea"))]);
    mesh.dap(emea());
    assert_eq!(mesh.portions(corr).len(), 1);
}

/// It said what it holds, and was refused: its name is taken.
#[test]
fn what_a_refused_one_says_that_it_holds_is_missing_only_where_nobody_else_has_it() {
    for (theirs, args, waits) in [
        (purview("a", "region=amer", "hdb", 2, 8), vec![], false),
        (purview("a", "region=amer", "hdb", 2, 12), vec![], true),
        (purview("a", "region=amer", "hdb", 2, 12), times(0, 5), true),
        (purview("a", "region=amer", "hdb", 20, 30), times(0, 5), false),
        (purview("a", "region=emea", "hdb", 0, 10), vec![], true),
        (
            purview("a", "region=emea", "hdb", 0, 10),
            vec![labels(vec![("region", Value::sym("amer"))])],
            false,
        ),
    ] {
        let (mut mesh, _) = half();
        let purview = Purview { instance: InstanceId([7; 16]), ..theirs };
        let said = format!("{} {:?} {args:?}", purview.labels, purview.tables[0].range);
        let peer = mesh.up(PeerRole::Dap, "e", 7);
        mesh.say(peer, RegisterDap { available: true, purview, running: Vec::new() });
        assert!(mesh.refused[0].1.contains("named a is connected already"), "{:?}", mesh.refused);
        let corr = mesh.get(args);
        assert_eq!(mesh.runs(corr).is_empty(), waits, "{said}");
    }
}

#[test]
fn one_that_a_peer_owns_is_not_missing() {
    let mut net = Net::new(1);
    net.dap(0, amer());
    net.join(Settings { settle: 2 * SECOND, looks: true, ..Settings::default() });
    net.rcs[1].event(Event::Found {
        places: vec![pod("a", Fate::Elsewhere), pod("e", trouble())],
        synced: true,
        trouble: String::new(),
    });
    net.rcs[1].event(Event::PeersTried);
    net.pump();
    assert_eq!(net.rcs[1].router.stats().unlinked, 1, "the peer has one of them");
    let corr = net.get(1);
    assert!(net.rcs[0].runs(corr).is_empty());
    net.dap(0, emea());
    assert_eq!(net.rcs[1].router.stats().unlinked, 0);
    assert_eq!(net.rcs[0].runs(corr).len(), 2);
}

/// Whatever is found, registers, is lost or goes, in whatever order: a request that takes nothing less than all begins
/// only where each process that was ever found ready, and is there, has been registered.
#[test]
fn in_no_order_of_events_is_a_part_taken_for_the_whole() {
    for seed in 0..2_000_u64 {
        let mut rng = seed;
        let mut below = |n: u64| {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (rng >> 33) % n
        };
        let mut mesh = looks();
        let names = ["a", "b", "c", "d"];
        // there, ready once, registered once, its link
        let mut pods = [(false, false, false, None::<PeerId>); 4];
        for step in 0..12 {
            let i = below(4) as usize;
            match below(5) {
                0 => pods[i].0 = true,
                1 if below(3) == 0 => {
                    pods[i].3.take().into_iter().for_each(|peer| mesh.down(peer));
                    pods[i] = (false, false, false, None);
                }
                2 if pods[i].0 && pods[i].3.is_none() => {
                    let mut of = purview(names[i], &format!("n={}", names[i]), "hdb", 0, 10);
                    of.instance = InstanceId([i as u8 + 1; 16]);
                    of.epoch = step + 2;
                    pods[i].3 = Some(mesh.dap(of));
                    // Before it is found nobody can say which pod it is of; when it is, it is seen by its link.
                    pods[i].2 |= true;
                }
                3 => {
                    if let Some(peer) = pods[i].3.take() {
                        mesh.down(peer);
                    }
                }
                _ => {}
            }
            let unready: Vec<bool> = (0..4).map(|_| below(4) == 0).collect();
            let there = (0..4).filter(|i| pods[*i].0);
            let places: Vec<Place> = there
                .map(|i| Place {
                    ready: !unready[i],
                    ..pod(names[i], if unready[i] { Fate::Untried } else { trouble() })
                })
                .collect();
            places.iter().for_each(|p| {
                let i = names.iter().position(|n| p.name == *n).unwrap();
                pods[i].1 |= p.ready;
            });
            found(&mut mesh, places);
            let lacks = pods.iter().any(|(there, ready, known, _)| *there && *ready && !known);
            let corr = mesh.get(vec![]);
            let connected = mesh.router.stats().daps > 0;
            if lacks && connected {
                assert!(mesh.runs(corr).is_empty(), "seed {seed}, step {step}: {pods:?}");
            } else if connected {
                let waiting = mesh.answers(corr).is_empty() && mesh.portions(corr).is_empty();
                assert!(!waiting, "seed {seed}, step {step}: nothing is unknown, and it is kept: {pods:?}");
            }
        }
    }
}

/// The limit of known replicas leaves one out: what it holds is missing, not nothing.
#[test]
fn what_a_replica_beyond_the_limit_holds_is_missing() {
    let mut net = Net::new(1);
    net.dap(0, amer());
    net.dap(0, emea());
    net.join(Settings { settle: 0, max_replicas: 1, ..Settings::default() });
    net.pump();
    let corr = net.get(1);
    net.rcs[1].pass(LEFT - LEFT / 50);
    let (rc, _, ai) = net.rcs[1].failure(corr);
    assert_eq!(rc, Rc::TIMEOUT.0);
    assert!(ai.contains("which has no replica connected"), "{ai}");
}
