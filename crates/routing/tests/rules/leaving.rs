//! Data processes whose pod has gone from what is looked for: they may not know it themselves.

use routing::{Event, PeerRole};
use sg::{
    InstanceId, Rc,
    msg::{RegisterDap, UpdateDap},
};

use crate::mesh::{Mesh, purview};

fn two() -> (Mesh, [routing::PeerId; 2]) {
    let mut mesh = Mesh::new();
    let daps = ["a", "b"].map(|n| mesh.dap(purview(n, "region=amer", "hdb", 0, 10)));
    (mesh, daps)
}

#[test]
fn one_that_leaves_gets_nothing_new_and_its_link_ends_when_it_runs_nothing() {
    let (mut mesh, [a, b]) = two();
    let first = mesh.get(vec![]);
    let (on, run) = mesh.runs(first)[0].clone();
    assert_eq!(on, a);
    mesh.event(Event::Leaving { peer: a });
    assert!(mesh.refused.is_empty(), "what it runs may end");
    let (second, third) = (mesh.get(vec![]), mesh.get(vec![]));
    assert_eq!(mesh.runs(second)[0].0, b);
    mesh.complete(a, &run);
    assert_eq!(mesh.refused.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), [a]);
    assert!(mesh.runs(third).is_empty(), "it waits for the other");
    mesh.answered(&run);
    let run = mesh.runs(second)[0].1.clone();
    mesh.complete(b, &run);
    mesh.answered(&run);
    assert_eq!(mesh.runs(third)[0].0, b);
}

#[test]
fn an_idle_one_is_let_go_at_once() {
    let (mut mesh, [a, b]) = two();
    mesh.event(Event::Leaving { peer: b });
    assert_eq!(mesh.refused.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), [b]);
    assert_eq!(mesh.router.stats().daps, 1);
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.runs(corr)[0].0, a);
}

/// It is not asked, for it may know nothing of it.
#[test]
fn what_it_says_of_itself_changes_nothing() {
    let (mut mesh, [a, b]) = two();
    let corr = mesh.get(vec![]);
    let run = mesh.runs(corr)[0].1.clone();
    mesh.event(Event::Leaving { peer: a });
    let mut moved = purview("a", "region=amer", "hdb", 0, 10);
    moved.version = 2;
    mesh.say(a, UpdateDap { available: true, purview: moved });
    let next = mesh.get(vec![]);
    assert_eq!(mesh.runs(next)[0].0, b);
    mesh.complete(a, &run);
    assert_eq!(mesh.refused.len(), 1);
}

#[test]
fn one_that_registers_when_it_is_gone_already_is_refused() {
    let mut mesh = Mesh::new();
    let dap = mesh.up(PeerRole::Dap, "a", 1);
    mesh.event(Event::Leaving { peer: dap });
    let purview = sg::Purview { instance: InstanceId([1; 16]), ..purview("a", "region=amer", "hdb", 0, 10) };
    mesh.say(dap, RegisterDap { available: true, purview, running: Vec::new() });
    assert_eq!((mesh.refused.len(), mesh.router.stats().daps), (1, 0));
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.failure(corr).0, Rc::NOT_READY.0);
}
