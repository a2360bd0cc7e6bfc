//! A request is over when its answer is at the gateway: what is lost on the way there is done again.

use routing::PeerId;
use sg::{
    Ac, Corr, Rc,
    msg::{Answered, Run, Undelivered},
};

use crate::mesh::{Mesh, UNSAFE, purview, with_unsafe};

/// A request of one portion, which runs.
fn asked() -> (Mesh, PeerId, Corr, Run) {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let run = mesh.runs(corr)[0].1.clone();
    (mesh, dap, corr, run)
}

/// The message of an Agg whose answer may be lost.
fn undelivered(run: &Run) -> Undelivered {
    let ai = "the link to the gateway was lost after the answer was handed to it".into();
    Undelivered { corrs: vec![run.corr], attempts: vec![run.attempt], rc: Rc::CONN, ac: Ac::CONN, ai }
}

#[test]
fn a_request_is_over_when_its_answer_is_at_the_gateway() {
    let (mut mesh, dap, _, run) = asked();
    mesh.complete(dap, &run);
    assert_eq!(mesh.router.stats().requests, 1, "all is with the Agg, and may be lost with it");
    mesh.answered(&run);
    assert_eq!((mesh.router.stats().requests, mesh.router.stats().succeeded), (0, 1));
    assert!(mesh.router.is_quiet());
}

/// An Agg killed when it had sent all that the coordinator hears of, and its answer had not left it.
#[test]
fn an_agg_that_is_lost_with_its_answer_has_the_request_done_again() {
    let (mut mesh, dap, corr, run) = asked();
    mesh.complete(dap, &run);
    let other = mesh.new_agg("agg-1");
    mesh.down(mesh.agg);
    assert_eq!(mesh.answers(corr).len(), 0);
    let again = mesh.runs(corr)[1].1.clone();
    assert_ne!(again.attempt, run.attempt);
    mesh.agg = other;
    mesh.complete(dap, &again);
    mesh.answered(&again);
    assert!(mesh.router.is_quiet());
}

#[test]
fn an_agg_that_is_lost_with_the_answer_of_an_unsafe_request_is_an_error() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(with_unsafe(purview("a", "region=amer", "hdb", 0, 10)));
    let corr = mesh.ask(UNSAFE, vec![], vec![]);
    let run = mesh.runs(corr)[0].1.clone();
    mesh.complete(dap, &run);
    mesh.down(mesh.agg);
    let (rc, _, ai) = mesh.failure(corr);
    assert_eq!(rc, Rc::CONN.0);
    assert!(ai.contains("agg-0 was lost") && ai.contains("not safe"), "{ai}");
}

#[test]
fn an_answer_that_a_lost_link_may_have_taken_is_made_again_by_another_agg() {
    let (mut mesh, dap, corr, run) = asked();
    mesh.complete(dap, &run);
    let (first, other) = (mesh.agg, mesh.new_agg("agg-1"));
    mesh.say(first, undelivered(&run));
    let again = mesh.runs(corr)[1].1.clone();
    assert_eq!(again.agg.text(), "agg-1:1");
    mesh.say(first, undelivered(&run));
    assert_eq!(mesh.runs(corr).len(), 2, "of an attempt that is over nothing follows");
    mesh.agg = other;
    mesh.complete(dap, &again);
    mesh.answered(&again);
    assert!(mesh.router.is_quiet());
}

#[test]
fn the_second_run_of_an_answer_that_did_arrive_is_stopped() {
    let (mut mesh, dap, corr, run) = asked();
    mesh.complete(dap, &run);
    let agg = mesh.agg;
    mesh.say(agg, undelivered(&run));
    let again = mesh.runs(corr)[1].1.clone();
    mesh.answered(&run);
    assert_eq!((mesh.router.stats().requests, mesh.said(".qm.abandon").len()), (0, 1));
    assert_eq!(mesh.said(".qm.cancelRun").len(), 1);
    mesh.done(dap, &again, Rc::CANCELLED, 1);
    mesh.idle(dap, &again);
    assert!(mesh.router.is_quiet());
}

#[test]
fn with_one_agg_it_makes_the_answer_again_itself() {
    let (mut mesh, dap, corr, run) = asked();
    mesh.complete(dap, &run);
    let agg = mesh.agg;
    mesh.say(agg, undelivered(&run));
    assert_eq!(mesh.runs(corr)[1].1.agg, run.agg);
}

/// It comes by another link than what the Agg and the data process say.
#[test]
fn the_end_of_a_request_may_overtake_what_led_to_it() {
    let (mut mesh, dap, _, run) = asked();
    mesh.answered(&run);
    assert_eq!(mesh.router.stats().succeeded, 1);
    assert!(mesh.said(".qm.cancelRun").is_empty(), "it has ended: only its word is under way");
    mesh.complete(dap, &run);
    assert!(mesh.router.is_quiet());
}

#[test]
fn a_failure_by_the_agg_ends_the_request_and_stops_what_runs() {
    let mut mesh = Mesh::new();
    let daps = ["amer", "emea"].map(|r| mesh.dap(purview(r, &format!("region={r}"), "hdb", 0, 10)));
    let corr = mesh.get(vec![]);
    let run = mesh.runs(corr)[0].1.clone();
    let (gw, attempt) = (mesh.gw, run.attempt);
    mesh.say(gw, Answered { corr, attempt, rc: Rc::LIMIT, ai: "too much".into(), took: 0, bytes: 0 });
    assert_eq!((mesh.router.stats().requests, mesh.router.stats().failed), (0, 1));
    let stopped: Vec<_> = mesh.said(".qm.cancelRun").iter().map(|(to, _)| *to).collect();
    assert_eq!(stopped, daps);
}

#[test]
fn only_the_gateway_that_asked_ends_a_request() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let other = mesh.up(routing::PeerRole::Gw, "gw-1", 9);
    mesh.say(other, Answered { corr, attempt: 0, rc: Rc::OK, ai: String::new(), took: 0, bytes: 0 });
    let gw = mesh.gw;
    mesh.say(gw, Answered { corr, attempt: 1, rc: Rc::OK, ai: String::new(), took: 0, bytes: 0 });
    assert_eq!(mesh.router.stats().requests, 1, "nor does an attempt that it was not asked for");
}
