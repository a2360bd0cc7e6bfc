//! Opts `completeness: best`: the answer does without what is missing, and names it.

use kvalue::Value;
use routing::SECOND;
use sg::{Corr, Msg, Rc, msg::GiveUp};

use crate::mesh::{LEFT, Mesh, purview};

fn ask(mesh: &mut Mesh, completeness: &str) -> Corr {
    let args = vec![("table", Value::sym("trade"))];
    mesh.ask(sg::api::GET_DATA, args, vec![("completeness", Value::sym(completeness))])
}

fn given_up(mesh: &Mesh) -> Vec<GiveUp> {
    let said = mesh.sent.iter().filter_map(|(_, m)| match m {
        Msg::GiveUp(m) => Some(m.clone()),
        _ => None,
    });
    said.collect()
}

#[test]
fn what_is_lost_when_asked_is_given_up_at_once() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let e = mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    mesh.down(e);
    let corr = ask(&mut mesh, "best");
    let missing: Vec<String> = given_up(&mesh)[0].missing.iter().map(|p| p.labels.to_string()).collect();
    assert_eq!(missing, ["region=emea"]);
    let (dap, run) = mesh.runs(corr)[0].clone();
    assert_eq!(dap, a);
    mesh.complete(a, &run);
    mesh.answered(&run);
    assert!(mesh.router.is_quiet());
}

#[test]
fn what_is_not_there_at_the_deadline_is_given_up_then() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let e = mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    let corr = ask(&mut mesh, "best");
    let runs = mesh.runs(corr);
    let run = runs.iter().find(|(to, _)| *to == a).unwrap().1.clone();
    mesh.complete(a, &run);
    assert_eq!(given_up(&mesh).len(), 0);
    mesh.pass(LEFT - LEFT / 50);
    assert_eq!(given_up(&mesh)[0].missing.len(), 1);
    assert_eq!(mesh.answers(corr).len(), 0, "the Agg answers");
    assert!(mesh.said(".qm.cancelRun").iter().any(|(to, _)| *to == e), "what still runs is stopped");
    mesh.answered(&run);
    assert_eq!(mesh.router.stats().requests, 0);
}

/// A replica that says it is done and whose partial nobody gets is tried again, and then done without.
#[test]
fn what_is_said_to_be_done_and_never_comes_is_given_up_in_the_end() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let liar = mesh.dap(purview("liar", "region=emea", "hdb", 0, 10));
    let corr = ask(&mut mesh, "best");
    let run = mesh.runs(corr).iter().find(|(to, _)| *to == a).unwrap().1.clone();
    mesh.complete(a, &run);
    let mut lies = 0;
    while given_up(&mesh).is_empty() {
        let told: Vec<_> = mesh.runs(corr).into_iter().filter(|(to, _)| *to == liar).collect();
        if let Some((_, run)) = told.get(lies) {
            lies += 1;
            mesh.done(liar, run, Rc::OK, 1);
            mesh.idle(liar, run);
        }
        mesh.pass(SECOND / 10);
        assert_eq!(mesh.answers(corr).len(), 0, "the Agg answers, without what never came");
        assert!(mesh.now < LEFT, "before the deadline");
    }
    assert!(lies > 1, "it was tried again");
    assert_eq!(given_up(&mesh)[0].missing[0].labels.to_string(), "region=emea");
    mesh.answered(&run);
    assert!(mesh.router.is_quiet());
}

#[test]
fn an_agg_that_does_not_answer_in_time_costs_a_timeout() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    let corr = ask(&mut mesh, "best");
    let run = mesh.runs(corr).iter().find(|(to, _)| *to == a).unwrap().1.clone();
    mesh.complete(a, &run);
    mesh.pass(LEFT - LEFT / 50);
    mesh.pass(LEFT / 100);
    assert_eq!(mesh.failure(corr).0, Rc::TIMEOUT.0);
}

#[test]
fn a_request_of_which_nothing_is_left_fails() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let e = mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    mesh.down(e);
    let args =
        vec![("table", Value::sym("trade")), crate::mesh::labels(vec![("region", Value::sym("emea"))])];
    let corr = mesh.ask(sg::api::GET_DATA, args, vec![("completeness", Value::sym("best"))]);
    let (rc, _, ai) = mesh.failure(corr);
    assert_eq!(rc, Rc::NOT_READY.0);
    assert!(ai.contains("region=emea"), "{ai}");
}

#[test]
fn without_the_option_what_is_lost_is_waited_for() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let e = mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    mesh.down(e);
    let corr = ask(&mut mesh, "complete");
    mesh.pass(SECOND);
    assert_eq!((given_up(&mesh).len(), mesh.answers(corr).len()), (0, 0));
    let wrong = ask(&mut mesh, "most");
    assert!(mesh.failure(wrong).2.contains("completeness must be complete or best"));
}
