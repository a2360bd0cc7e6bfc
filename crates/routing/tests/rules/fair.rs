//! Whose turn it is among those who wait.

use kvalue::Value;
use routing::MILLI;

use crate::mesh::{Mesh, purview};

/// Users in the order in which their requests run on the one replica, each for ten milliseconds.
fn order(mesh: &mut Mesh, asked: &[(sg::Corr, &'static str)]) -> Vec<&'static str> {
    let mut served = Vec::new();
    let mut done = std::collections::HashSet::new();
    while done.len() < asked.len() {
        let running = asked.iter().find(|(corr, _)| !done.contains(corr) && !mesh.runs(*corr).is_empty());
        let (corr, user) = *running.expect("one runs");
        let (dap, run) = mesh.runs(corr)[0].clone();
        mesh.now += 10 * MILLI;
        mesh.complete(dap, &run);
        mesh.answered(&run);
        done.insert(corr);
        served.push(user);
    }
    served
}

fn ask(mesh: &mut Mesh, user: &'static str, priority: i64) -> (sg::Corr, &'static str) {
    mesh.user = user.into();
    let args = vec![("table", Value::sym("trade"))];
    (mesh.ask(sg::api::GET_DATA, args, vec![("priority", priority.into())]), user)
}

#[test]
fn nobody_waits_behind_the_backlog_of_another_user() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let mut asked: Vec<_> = (0..6).map(|_| ask(&mut mesh, "heavy", 0)).collect();
    asked.push(ask(&mut mesh, "light", 0));
    asked.push(ask(&mut mesh, "light", 0));
    let served = order(&mut mesh, &asked);
    let light: Vec<usize> = (0..served.len()).filter(|i| served[*i] == "light").collect();
    assert!(light[0] <= 2 && light[1] <= 4, "{served:?}");
    assert!(mesh.router.is_quiet());
}

#[test]
fn one_who_was_away_has_little_credit() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let first: Vec<_> = (0..20).map(|_| ask(&mut mesh, "busy", 0)).collect();
    order(&mut mesh, &first);
    let mut asked: Vec<_> = (0..4).map(|_| ask(&mut mesh, "busy", 0)).collect();
    asked.extend((0..30).map(|_| ask(&mut mesh, "away", 0)));
    let served = order(&mut mesh, &asked);
    let busy = served[..20].iter().filter(|u| **u == "busy").count();
    assert_eq!(busy, 4, "a hundred milliseconds ahead, ten each: {served:?}");
}

#[test]
fn priority_orders_the_own_requests_of_a_user_only() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let running = ask(&mut mesh, "ann", 0);
    let low = ask(&mut mesh, "ann", -5);
    let usual = ask(&mut mesh, "ann", 0);
    let high = ask(&mut mesh, "ann", 9);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let all = [(running, "running"), (low, "low"), (usual, "usual"), (high, "high")];
        let now = all.iter().find(|((c, _), n)| !seen.contains(n) && !mesh.runs(*c).is_empty());
        let ((corr, _), name) = *now.expect("one runs");
        let (dap, run) = mesh.runs(corr)[0].clone();
        mesh.complete(dap, &run);
        mesh.answered(&run);
        seen.push(name);
    }
    assert_eq!(seen, ["running", "high", "usual", "low"]);
}

#[test]
fn a_priority_out_of_range_is_an_error() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let (corr, _) = ask(&mut mesh, "ann", 1_000);
    let (_, _, ai) = mesh.failure(corr);
    assert!(ai.contains("priority must be from -100 to 100"), "{ai}");
}
