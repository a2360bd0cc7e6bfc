//! Second runs of portions that take long.

use routing::{MILLI, PeerId, SECOND, Settings};
use sg::{Corr, Rc, msg::Run};

use crate::mesh::{Mesh, UNSAFE, purview, with_unsafe};

/// Two replicas that usually take ten milliseconds, and a budget that one request fills.
fn mesh() -> Mesh {
    let mut mesh = Mesh::with(Settings { settle: 0, hedge_percent: 300, ..Settings::default() });
    mesh.dap(with_unsafe(purview("a", "region=amer", "hdb", 0, 10)));
    mesh.dap(with_unsafe(purview("b", "region=amer", "hdb", 0, 10)));
    for _ in 0..4 {
        let corr = mesh.get(vec![]);
        let (dap, run) = mesh.runs(corr)[0].clone();
        mesh.now += 10 * MILLI;
        mesh.complete(dap, &run);
        mesh.answered(&run);
    }
    mesh
}

/// A request whose first run is slow, and both its runs.
fn twice(mesh: &mut Mesh) -> (Corr, (PeerId, Run), (PeerId, Run)) {
    let corr = mesh.get(vec![]);
    mesh.pass(31 * MILLI);
    let runs = mesh.runs(corr);
    assert_eq!(runs.len(), 2, "it runs on the other too");
    assert_ne!(runs[0].0, runs[1].0);
    (corr, runs[0].clone(), runs[1].clone())
}

#[test]
fn a_slow_portion_runs_a_second_time_and_the_first_partial_ends_the_other() {
    let mut mesh = mesh();
    let (_, (slow, first), (fast, second)) = twice(&mut mesh);
    mesh.done(fast, &second, Rc::OK, 1);
    mesh.idle(fast, &second);
    mesh.got(&second);
    mesh.answered(&second);
    let stopped = mesh.said(".qm.cancelRun");
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0].0, slow);
    mesh.done(slow, &first, Rc::CANCELLED, 1);
    mesh.idle(slow, &first);
    assert!(mesh.router.is_quiet());
    assert_eq!((mesh.router.stats().hedges, mesh.router.stats().succeeded), (1, 5));
}

#[test]
fn a_second_run_that_fails_costs_nothing() {
    let mut mesh = mesh();
    let (corr, (slow, first), (fast, second)) = twice(&mut mesh);
    mesh.done(fast, &second, Rc::APP, 1);
    mesh.idle(fast, &second);
    assert_eq!(mesh.answers(corr).len(), 0);
    mesh.complete(slow, &first);
    mesh.answered(&first);
    assert!(mesh.router.is_quiet());
}

#[test]
fn a_first_run_that_is_lost_leaves_the_second() {
    let mut mesh = mesh();
    let (corr, (slow, _), (fast, second)) = twice(&mut mesh);
    mesh.down(slow);
    assert_eq!(mesh.runs(corr).len(), 2, "it is not started a third time");
    mesh.complete(fast, &second);
    mesh.answered(&second);
    assert!(mesh.router.is_quiet());
}

#[test]
fn an_unsafe_portion_runs_once_however_slow() {
    let mut mesh = mesh();
    let corr = mesh.ask(UNSAFE, vec![], vec![]);
    mesh.pass(5 * SECOND);
    assert_eq!(mesh.runs(corr).len(), 1);
}

#[test]
fn no_second_run_takes_the_place_of_a_portion_that_waits() {
    let mut mesh = mesh();
    let slow = mesh.get(vec![]);
    let other = mesh.get(vec![]);
    let waits = mesh.get(vec![]);
    mesh.pass(100 * MILLI);
    let counts = [slow, other, waits].map(|corr| mesh.runs(corr).len());
    assert_eq!(counts, [1, 1, 0]);
}

#[test]
fn second_runs_keep_to_their_budget() {
    let settings = Settings { settle: 0, hedge_percent: 5, ..Settings::default() };
    let mut mesh = Mesh::with(settings);
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.dap(purview("b", "region=amer", "hdb", 0, 10));
    for i in 0..200 {
        let corr = mesh.get(vec![]);
        mesh.pass(if i % 10 > 0 { 10 * MILLI } else { 200 * MILLI });
        for (dap, run) in mesh.runs(corr) {
            mesh.complete(dap, &run);
            mesh.answered(&run);
        }
    }
    let hedges = mesh.router.stats().hedges;
    assert!((1..=4).contains(&hedges), "{hedges} second runs of 200");
}

#[test]
fn a_second_run_ends_for_a_portion_that_has_to_wait() {
    let mut mesh = mesh();
    let (_, (slow, first), (fast, second)) = twice(&mut mesh);
    let waits = mesh.get(vec![]);
    let stopped: Vec<PeerId> = mesh.said(".qm.cancelRun").iter().map(|(to, _)| *to).collect();
    assert_eq!((stopped, mesh.router.stats().gave_way), (vec![fast], 1));
    mesh.done(fast, &second, Rc::CANCELLED, 1);
    mesh.idle(fast, &second);
    let run = mesh.runs(waits)[0].clone();
    assert_eq!(run.0, fast);
    for (dap, run) in [(slow, first), run] {
        mesh.complete(dap, &run);
        mesh.answered(&run);
    }
    assert!(mesh.router.is_quiet());
}
