//! DAPs, Aggs and GWs that come, change and go.

use routing::{PeerRole, SECOND, Settings};
use sg::{
    InstanceId, Msg,
    msg::{RegisterDap, Status},
};

use crate::mesh::{Mesh, purview, times};

fn statuses(mesh: &Mesh) -> Vec<Status> {
    let all = mesh.sent.iter().filter_map(|(_, m)| match m {
        Msg::Status(s) => Some(s.clone()),
        _ => None,
    });
    all.collect()
}

#[test]
fn a_gateway_is_told_the_state_when_it_comes_and_when_it_changes() {
    let mut mesh = Mesh::new();
    let before = statuses(&mesh).len();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let after = statuses(&mesh);
    assert_eq!(after.len(), before + 1);
    let last = after.last().unwrap();
    assert_eq!((last.ready, last.daps, last.aggs), (true, 1, 1));
    assert!(last.apis.iter().any(|a| a.name == sg::api::GET_DATA && a.safe));
    mesh.get(vec![]);
    assert_eq!(statuses(&mesh).len(), after.len(), "requests change nothing in it");
}

#[test]
fn overlapping_sources_of_one_tier_are_refused_naming_both() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let mut other = purview("b", "region=amer", "hdb", 5, 15);
    other.source = "another".into();
    let refused = mesh.dap(other);
    let (peer, why) = &mesh.refused[0];
    assert_eq!(*peer, refused);
    assert!(why.contains("b (source another) and a (source hdb of region=amer from 0)"), "{why}");
    assert!(
        why.contains("table trade of region=amer in tier hdb over [2000.01.01D00:00:00.000000005,"),
        "{why}"
    );
    assert_eq!(mesh.router.stats().daps, 1);
    let corr = mesh.get(times(0, 8));
    assert_eq!(mesh.runs(corr).len(), 1, "the first serves on");
}

#[test]
fn sources_that_meet_do_not_overlap() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.dap(purview("b", "region=amer", "hdb", 10, 20));
    mesh.dap(purview("c", "region=emea", "hdb", 0, 20));
    assert!(mesh.refused.is_empty(), "{:?}", mesh.refused);
}

#[test]
fn a_name_is_taken_while_its_process_lives() {
    let mut mesh = Mesh::new();
    let first = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let mut p = purview("a", "region=amer", "hdb", 0, 10);
    p.instance = InstanceId([2; 16]);
    let second = mesh.dap(p.clone());
    assert_eq!(mesh.refused[0].0, second);
    assert!(mesh.refused[0].1.contains("a data process named a is connected already"));
    mesh.down(first);
    mesh.dap(p);
    assert_eq!((mesh.refused.len(), mesh.router.stats().daps), (1, 1));
}

#[test]
fn the_same_process_on_a_new_link_takes_its_old_place() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let back = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    assert!(mesh.refused.is_empty());
    assert_eq!(mesh.router.stats().daps, 1);
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.runs(corr)[0].0, back);
}

#[test]
fn a_process_with_two_links_registers_by_the_one_that_is_left() {
    let mut mesh = Mesh::new();
    let mut p = purview("a", "region=amer", "hdb", 0, 10);
    let first = mesh.dap(p.clone());
    p.epoch += 1;
    let second = mesh.dap(p.clone());
    // It sees the second end before the coordinator does.
    p.epoch += 1;
    mesh.say(first, RegisterDap { available: true, purview: p, running: Vec::new() });
    assert_eq!((mesh.refused.len(), mesh.router.stats().daps), (0, 1));
    mesh.down(second);
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.runs(corr)[0].0, first);
}

/// Two links carry messages in no order, and the process obeys its latest registration.
#[test]
fn an_earlier_registration_of_a_process_that_comes_late_by_another_link_is_refused() {
    let mut mesh = Mesh::new();
    let p = purview("a", "region=amer", "hdb", 0, 10);
    let later = mesh.dap(sg::Purview { epoch: 2, ..p.clone() });
    let earlier = mesh.dap(p);
    assert_eq!(mesh.refused.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), [earlier]);
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.runs(corr)[0].0, later);
}

#[test]
fn what_a_lost_source_held_stays_wanted_until_it_is_back() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("h", "region=amer", "hdb", 0, 100));
    let rdb = mesh.dap(purview("r", "region=amer", "rdb", 100, 300));
    mesh.down(rdb);
    let corr = mesh.get(times(0, 200));
    assert_eq!(mesh.portions(corr).len(), 2);
    assert_eq!((mesh.runs(corr).len(), mesh.router.stats().queued), (1, 1));
    let back = mesh.dap(purview("r", "region=amer", "rdb", 100, 300));
    assert_eq!(mesh.runs(corr)[1].0, back);
}

#[test]
fn rows_lost_from_memory_stay_wanted_until_disk_has_them_or_time_passes() {
    for disk in [true, false] {
        let mut mesh = Mesh::with(Settings { forget_after: 5 * SECOND, ..Settings::default() });
        let hdb = mesh.dap(purview("h", "region=amer", "hdb", 0, 100));
        let rdb = mesh.dap(purview("r", "region=amer", "rdb", 100, 300));
        mesh.down(rdb);
        let mut fresh = purview("r", "region=amer", "rdb", 150, 300);
        fresh.source = "rdb of region=amer from 100".into();
        fresh.instance = InstanceId([2; 16]);
        mesh.dap(fresh);
        let corr = mesh.get(times(100, 200));
        assert_eq!((mesh.runs(corr).len(), mesh.router.stats().queued), (1, 1), "100 to 150 is missing");
        if disk {
            let mut p = purview("h", "region=amer", "hdb", 0, 150);
            p.version = 2;
            mesh.update(hdb, p);
        } else {
            mesh.pass(6 * SECOND);
        }
        assert_eq!(mesh.runs(corr)[1].0, hdb);
    }
}

#[test]
fn a_replica_behind_its_source_gets_only_what_it_holds() {
    let mut mesh = Mesh::new();
    let ahead = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let behind = mesh.dap(purview("b", "region=amer", "hdb", 0, 10));
    let mut p = purview("a", "region=amer", "hdb", 0, 20);
    p.version = 2;
    mesh.update(ahead, p);
    let first = mesh.get(times(0, 20));
    let second = mesh.get(times(0, 20));
    let third = mesh.get(times(0, 10));
    assert_eq!(mesh.runs(first)[0].0, ahead);
    assert_eq!(mesh.runs(second).len(), 0, "b lacks the last part");
    assert_eq!(mesh.runs(third)[0].0, behind);
}

#[test]
fn end_of_day_goes_in_order_and_leaves_no_gap() {
    let mut mesh = Mesh::new();
    let hdbs = ["h0", "h1"].map(|n| mesh.dap(purview(n, "region=amer", "hdb", 0, 100)));
    let rdb = mesh.dap(purview("r", "region=amer", "rdb", 100, 300));
    let reading = mesh.get(times(120, 130));
    for (i, name) in ["h0", "h1"].iter().enumerate() {
        assert_eq!(mesh.said(".qm.covered").len(), 0, "not before every replica has the day");
        let mut p = purview(name, "region=amer", "hdb", 0, 200);
        p.version = 2;
        mesh.update(hdbs[i], p);
    }
    let [(to, Msg::Covered(m))] = &mesh.said(".qm.covered")[..] else { panic!() };
    assert_eq!((*to, m.from, m.until, m.table.text().as_ref()), (rdb, 0, 200, "trade"));
    let mut p = purview("r", "region=amer", "rdb", 200, 300);
    (p.source, p.version) = ("rdb of region=amer from 100".into(), 2);
    mesh.update(rdb, p);
    let registered = mesh
        .said(".qm.registered")
        .iter()
        .any(|(to, m)| *to == rdb && matches!(m, Msg::Registered(r) if r.version == 2));
    assert!(registered);
    let over = |mesh: &Mesh| mesh.said(".qm.leasesOver").iter().filter(|(to, _)| *to == rdb).count();
    assert_eq!(over(&mesh), 0, "a lease still reads what is to be purged");
    let run = mesh.runs(reading)[0].1.clone();
    mesh.complete(rdb, &run);
    assert_eq!(over(&mesh), 1);
    let corr = mesh.get(times(120, 250));
    assert_eq!(mesh.portions(corr).len(), 2);
}

/// The end alone would say that the older tier holds what lies between.
#[test]
fn an_offer_says_from_where_on_older_tiers_hold_a_table_without_a_gap() {
    let mut mesh = Mesh::new();
    let rdb = mesh.dap(purview("r", "region=amer", "rdb", 100, 400));
    let hdb = mesh.dap(purview("h", "region=amer", "hdb", 200, 300));
    let offers = |mesh: &Mesh| -> Vec<(i64, i64)> {
        let said = mesh.said(".qm.covered");
        let to_rdb = said.iter().filter(|(to, _)| *to == rdb);
        let offers = to_rdb.filter_map(|(_, m)| match m {
            Msg::Covered(m) => Some((m.from, m.until)),
            _ => None,
        });
        offers.collect()
    };
    assert_eq!(offers(&mesh), [(200, 300)]);
    let mut p = purview("h", "region=amer", "hdb", 0, 300);
    p.version = 2;
    mesh.update(hdb, p);
    assert_eq!(offers(&mesh).last(), Some(&(0, 300)), "told again though it ends where it ended");
}

#[test]
fn a_coordinator_that_did_not_see_the_start_move_tells_that_the_old_leases_are_over_too() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("first", "region=amer", "hdb", 0, 100));
    assert_eq!(mesh.said(".qm.leasesOver").len(), 0, "nothing was before a first version");
    // It moved under an earlier coordinator, which was lost before it could say so.
    let mut p = purview("r", "region=amer", "rdb", 200, 300);
    (p.version, p.epoch) = (2, 2);
    let rdb = mesh.up(PeerRole::Dap, "r", 1);
    let (corr, attempt, portion) = (sg::Corr([7; 16]), 0, sg::PortionId(0));
    let running = vec![sg::msg::Running { corr, attempt, portion }];
    mesh.say(rdb, RegisterDap { available: true, purview: p, running });
    assert_eq!(mesh.said(".qm.leasesOver").len(), 0, "what still runs may read what is to be purged");
    mesh.say(rdb, sg::msg::Idle { epoch: 2, slots: 1 });
    let [(to, Msg::LeasesOver(m))] = &mesh.said(".qm.leasesOver")[..] else { panic!("not told once") };
    assert_eq!((*to, m.version), (rdb, 2));
}

#[test]
fn replicas_of_one_source_may_rename_it_together() {
    let mut mesh = Mesh::new();
    let daps = ["a", "b"].map(|n| mesh.dap(purview(n, "region=amer", "hdb", 0, 10)));
    for (i, name) in ["a", "b"].iter().enumerate() {
        let mut p = purview(name, "region=amer", "hdb", 0, 20);
        (p.source, p.version) = ("another fingerprint".into(), 2);
        mesh.update(daps[i], p);
    }
    assert!(mesh.refused.is_empty(), "{:?}", mesh.refused);
    let mut third = purview("c", "region=amer", "hdb", 0, 20);
    third.source = "another fingerprint".into();
    mesh.dap(third);
    assert_eq!((mesh.refused.len(), mesh.router.stats().daps), (0, 3));
}

#[test]
fn too_many_sources_are_refused_and_lost_ones_forgotten_first() {
    let mut mesh = Mesh::with(Settings { max_sources: 2, ..Settings::default() });
    let first = mesh.dap(purview("a", "region=a", "hdb", 0, 10));
    mesh.dap(purview("b", "region=b", "hdb", 0, 10));
    mesh.dap(purview("c", "region=c", "hdb", 0, 10));
    assert!(mesh.refused[0].1.contains("QMESH_RC_MAX_SOURCES"), "{:?}", mesh.refused);
    mesh.down(first);
    mesh.dap(purview("c", "region=c", "hdb", 0, 10));
    assert_eq!((mesh.refused.len(), mesh.router.stats().daps), (1, 2));
}

#[test]
fn a_coordinator_is_not_ready_until_those_an_earlier_one_knew_had_time_to_come_back() {
    let mut mesh = Mesh::with(Settings { settle: 100 * SECOND, ..Settings::default() });
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    assert!(!statuses(&mesh).is_empty() && statuses(&mesh).iter().all(|s| !s.ready), "{:?}", statuses(&mesh));
    assert!(mesh.router.stats().settling);
    mesh.pass(100 * SECOND);
    assert_eq!(statuses(&mesh).last().map(|s| (s.ready, s.daps)), Some((true, 1)));
    assert!(!mesh.router.stats().settling);
}

#[test]
fn a_peer_that_never_registers_costs_nothing() {
    let mut mesh = Mesh::new();
    let peer = mesh.up(PeerRole::Dap, "x", 1);
    mesh.down(peer);
    let peer = mesh.up(PeerRole::Dap, "x", 1);
    let p = purview("x", "region=amer", "hdb", 0, 10);
    mesh.update(peer, p.clone());
    assert_eq!(mesh.router.stats().daps, 0, "an update needs a registration");
    mesh.say(peer, RegisterDap { available: true, purview: p, running: vec![] });
    assert_eq!(mesh.router.stats().daps, 1);
}
