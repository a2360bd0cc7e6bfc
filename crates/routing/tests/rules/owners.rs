//! Who owns a data process among several coordinators, and what one that joins knows of them all.

use routing::{Event, PeerRole, Settings};
use sg::{
    Ac, Failure, InstanceId, PortionId, Purview, Rc,
    msg::{Done, Idle, RegisterDap, Running},
};

use crate::{
    mesh::{LEFT, Mesh, purview},
    net::{Net, amer},
};

#[test]
fn the_later_registration_of_a_data_process_holds() {
    let mut net = Net::new(2);
    let old = net.dap(0, amer("a"));
    let mut again = amer("a");
    again.epoch = 2;
    net.dap(1, again);
    assert_eq!(net.rcs[0].refused.iter().filter(|(peer, _)| *peer == old).count(), 1);
    let corr = net.get(0);
    assert_eq!(net.rcs[1].runs(corr).len(), 1, "it is served by its present owner");
}

#[test]
fn a_registration_that_is_not_the_latest_is_refused() {
    let mut net = Net::new(2);
    let mut later = amer("a");
    later.epoch = 5;
    net.dap(0, later);
    let dap = net.dap(1, amer("a"));
    let (peer, why) = net.rcs[1].refused[0].clone();
    assert_eq!(peer, dap);
    assert!(why.contains("connected to coordinator rc-0 already"), "{why}");
}

#[test]
fn a_name_is_taken_while_its_process_lives_at_another_coordinator() {
    let mut net = Net::new(2);
    net.dap(0, amer("a"));
    let mut other = amer("a");
    (other.instance, other.epoch) = (InstanceId([9; 16]), 7);
    net.dap(1, other);
    assert!(net.rcs[1].refused[0].1.contains("give this one another KXI_NAME"));
    assert_eq!(net.rcs[0].refused.len(), 0);
}

#[test]
fn of_two_that_took_one_name_at_a_time_all_come_to_the_same() {
    let mut net = Net::new(3);
    let mut other = amer("a");
    other.instance = InstanceId([0; 16]);
    // Registered at both before either has heard of it.
    net.rcs[0].dap(amer("a"));
    net.rcs[1].dap(other);
    net.pump();
    assert_eq!((net.rcs[0].refused.len(), net.rcs[1].refused.len()), (1, 0), "the smaller instance stays");
    let corr = net.get(2);
    assert_eq!(net.rcs[1].runs(corr).len(), 1);
}

#[test]
fn of_two_sources_that_overlap_at_two_coordinators_the_same_one_stays_everywhere() {
    let mut net = Net::new(3);
    let source = |name: &str, source: &str| {
        let mut p = amer(name);
        p.source = source.into();
        p
    };
    net.rcs[0].dap(source("z", "zebra"));
    net.rcs[1].dap(source("a", "ant"));
    net.pump();
    assert_eq!((net.rcs[0].refused.len(), net.rcs[1].refused.len()), (1, 0));
    assert!(net.rcs[0].refused[0].1.contains("both hold table trade"), "{:?}", net.rcs[0].refused);
    for rc in 0..3 {
        let corr = net.get(rc);
        assert_eq!(net.rcs[rc].portions(corr).len(), 1);
    }
}

#[test]
fn a_source_takes_the_place_of_a_rival_that_is_gone() {
    let mut net = Net::new(2);
    let ant = net.dap(1, {
        let mut p = amer("a");
        p.source = "ant".into();
        p
    });
    net.rcs[1].down(ant);
    net.pump();
    let mut zebra = amer("z");
    zebra.source = "zebra".into();
    net.dap(0, zebra);
    let corr = net.get(1);
    assert_eq!(net.rcs[0].runs(corr).len(), 1);
}

#[test]
fn a_coordinator_that_joins_knows_what_the_mesh_lost_before() {
    let mut net = Net::new(1);
    net.dap(0, amer("hdb"));
    let rdb = net.dap(0, purview("rdb", "region=amer", "rdb", 10, 20));
    net.rcs[0].down(rdb);
    net.join(Settings { settle: 0, ..Settings::default() });
    net.pump();
    let corr = net.get(1);
    assert_eq!(net.rcs[1].portions(corr).len(), 2, "what the lost process held is still wanted");
    net.pass(LEFT);
    let (rc, _, ai) = net.rcs[1].failure(corr);
    assert_eq!(rc, Rc::TIMEOUT.0);
    assert!(ai.contains("of tier rdb, which has no replica connected"), "{ai}");
    assert!(ai.contains("hdb of coordinator rc-0"), "{ai}");
}

/// A process that keeps its rows in memory begins anew where its last run ended: what either run held is wanted.
#[test]
fn a_coordinator_that_joins_knows_what_each_lost_run_of_a_process_held() {
    let mut net = Net::new(1);
    net.dap(0, amer("hdb"));
    for (run, start, end) in [(1, 10, 15), (2, 15, 20)] {
        let mut rdb = purview("rdb", "region=amer", "rdb", start, end);
        (rdb.source, rdb.instance) = ("rdb of amer".into(), InstanceId([run; 16]));
        let rdb = net.dap(0, rdb);
        net.rcs[0].down(rdb);
    }
    net.join(Settings { settle: 0, ..Settings::default() });
    net.pump();
    let asked = [net.get(0), net.get(1)];
    let planned = [0, 1].map(|rc: usize| net.rcs[rc].portions(asked[rc]));
    assert_eq!(planned[0], planned[1]);
    assert!(planned[0].iter().any(|(_, start, _)| *start == 15), "{planned:?}");
}

#[test]
fn a_coordinator_learns_from_its_peers_before_it_takes_requests() {
    let mut net = Net::new(1);
    net.dap(0, amer("hdb"));
    net.join(Settings::default());
    net.rcs[1].event(Event::PeersTried);
    assert!(net.rcs[1].router.stats().settling, "its peer has not told it anything yet");
    net.pump();
    assert!(!net.rcs[1].router.stats().settling);
    let mut alone = Mesh::with(Settings::default());
    alone.event(Event::PeersTried);
    assert!(alone.router.stats().settling, "alone, it waits for processes that come back");
    alone.pass(Settings::default().settle);
    assert!(!alone.router.stats().settling);
}

#[test]
fn what_only_a_third_coordinator_owns_is_known_to_one_that_cannot_ask_it() {
    let mut net = Net::new(2);
    net.dap(0, amer("hdb"));
    let rdb = || purview("rdb", "region=amer", "rdb", 10, 20);
    net.dap(1, rdb());
    net.join(Settings { settle: 0, ..Settings::default() });
    // The third is dead, which its peer has not noticed yet.
    net.cut(1, 2);
    net.pump();
    let corr = net.get(2);
    assert_eq!(net.rcs[2].portions(corr).len(), 2, "what it owned is wanted");
    net.cut(0, 1);
    let back = net.dap(0, Purview { epoch: 2, ..rdb() });
    assert!(net.rcs[0].runs(corr).iter().any(|(at, _)| *at == back), "served where it registers again");
}

/// What a third one owns since the links came up is told too: it may die before it is linked here.
#[test]
fn what_a_third_coordinator_owns_later_is_known_to_one_that_has_no_link_to_it() {
    let mut net = Net::new(3);
    net.dap(0, amer("hdb"));
    net.cut(1, 2);
    let rdb = || purview("rdb", "region=amer", "rdb", 10, 20);
    net.dap(1, rdb());
    let corr = net.get(2);
    assert_eq!(net.rcs[2].portions(corr).len(), 2, "what it owns is wanted, not left out");
    net.cut(0, 1);
    let corr = net.get(2);
    assert_eq!(net.rcs[2].portions(corr).len(), 2, "and so it is when it is dead");
    let back = net.dap(0, Purview { epoch: 2, ..rdb() });
    assert!(net.rcs[0].runs(corr).iter().any(|(at, _)| *at == back), "served where it registers again");
}

/// Replicas of what is known already are not told again by everybody.
#[test]
fn a_further_replica_of_a_source_is_told_by_its_owner_alone() {
    let mut net = Net::new(3);
    net.dap(1, amer("a"));
    let said = |net: &Net| net.rcs[0].said(".qm.mesh.purviews").len();
    let before = said(&net);
    net.dap(1, amer("b"));
    assert_eq!(said(&net), before);
}

#[test]
fn what_a_clock_shows_at_the_start_does_not_end_the_wait_for_processes_that_come_back() {
    let settle = Settings::default().settle;
    let mut alone = Mesh::starts_at(1_000 * settle, Settings::default());
    alone.event(Event::PeersTried);
    alone.pass(settle - 1);
    assert!(alone.router.stats().settling, "the wait counts from the start, not from the clock's zero");
    alone.pass(1);
    assert!(!alone.router.stats().settling);
}

#[test]
fn a_replica_gets_nothing_more_until_what_it_ran_from_before_has_ended() {
    let mut net = Net::new(2);
    let first = net.dap(1, amer("a"));
    net.rcs[1].down(first);
    net.pump();
    let corr = net.get(0);
    assert_eq!(net.rcs[0].router.stats().queued, 1);
    // It comes back with a run of that very portion, which its owner has to take for a stranger's.
    let back = net.rcs[1].up(PeerRole::Dap, "a", 1);
    let (mut purview, portion) = (amer("a"), PortionId(0));
    (purview.epoch, purview.capacity) = (2, 4);
    let running = vec![Running { corr, attempt: 0, portion }];
    net.rcs[1].say(back, RegisterDap { available: true, purview, running });
    net.pump();
    assert_eq!(net.rcs[1].said(".qm.cancelRun").len(), 1);
    assert_eq!(net.rcs[1].runs(corr).len(), 0, "its end could not be told from that of the run before");
    let stopped = Done::of((corr, 0, portion), 1, Failure::new(Rc::CANCELLED, Ac::CANCELLED, "stopped"));
    net.rcs[1].say(back, stopped.with(Idle { epoch: 2, slots: 4 }));
    net.pump();
    let run = net.rcs[1].runs(corr)[0].1.clone();
    net.complete(1, back, 0, &run);
    assert_eq!(net.rcs[0].router.stats().succeeded, 1);
    net.quiet();
}

#[test]
fn a_coordinator_that_leaves_takes_no_data_process_from_one_that_stays() {
    let mut net = Net::new(2);
    net.dap(0, amer("a"));
    net.rcs[1].event(Event::Drain);
    net.pump();
    let mut again = amer("a");
    again.epoch = 2;
    let there = net.dap(1, again);
    assert_eq!(net.rcs[1].refused.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), [there]);
    assert!(net.rcs[0].refused.is_empty(), "its owner keeps it");
    let corr = net.get(0);
    assert_eq!(net.rcs[0].runs(corr).len(), 1);
}
