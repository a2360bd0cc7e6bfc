//! How often a portion runs again: a bounded number of times each, however many of one request are lost at once.

use kvalue::Value;
use routing::Settings;
use sg::Rc;

use crate::{
    mesh::{Mesh, labels, purview},
    net::Net,
};

#[test]
fn retries_are_bounded() {
    let mut mesh = Mesh::with(Settings { max_retry: 2, ..Settings::default() });
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    for _ in 0..3 {
        let run = mesh.runs(corr).last().unwrap().1.clone();
        mesh.done(dap, &run, Rc::CONN, 1);
        mesh.idle(dap, &run);
    }
    assert_eq!(mesh.runs(corr).len(), 3);
    let (rc, _, ai) = mesh.failure(corr);
    assert_eq!(rc, Rc::CONN.0);
    assert!(ai.contains("given up after 3 tries"), "{ai}");
}

/// Half of a mesh may be lost with one coordinator.
#[test]
fn all_portions_that_a_lost_peer_ran_run_again() {
    const REGIONS: [&str; 6] = ["r0", "r1", "r2", "r3", "r4", "r5"];
    let mut net = Net::new(2);
    let held = |region: &str, epoch| {
        let mut p = purview(region, &format!("region={region}"), "hdb", 0, 10);
        p.epoch = epoch;
        p
    };
    REGIONS.iter().for_each(|region| _ = net.dap(1, held(region, 1)));
    let corr =
        net.rcs[0].ask(sg::api::GET_DATA, vec![("table", Value::sym("trade")), labels(vec![])], vec![]);
    net.pump();
    assert_eq!(net.rcs[1].runs(corr).len(), REGIONS.len());
    net.cut(0, 1);
    assert!(net.rcs[0].answers(corr).is_empty(), "each may run again");
    for region in REGIONS {
        let dap = net.dap(0, held(region, 2));
        let (on, run) = net.rcs[0].runs(corr).last().expect("it runs here").clone();
        assert_eq!(on, dap);
        net.rcs[0].complete(dap, &run);
    }
    let run = net.rcs[0].runs(corr)[0].1.clone();
    net.rcs[0].answered(&run);
    assert_eq!(net.rcs[0].router.stats().succeeded, 1);
}
