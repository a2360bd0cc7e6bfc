//! Portions that used older reference tables than others of their request run again.

use kvalue::Value;
use routing::{PeerId, SECOND, Settings};
use sg::{
    Corr, Msg, PortionId,
    msg::{Replace, Run, Stale},
};

use crate::mesh::{Mesh, UNSAFE, labels, purview, with_unsafe};

/// A request of two label sets whose partials are all there.
struct Asked {
    mesh: Mesh,
    daps: [PeerId; 2],
    corr: Corr,
}

fn asked(settings: Settings, api: &str, opts: Vec<(&str, Value)>) -> Asked {
    let mut mesh = Mesh::with(Settings { settle: 0, ..settings });
    let daps = ["amer", "emea"]
        .map(|region| mesh.dap(with_unsafe(purview(region, &format!("region={region}"), "hdb", 0, 10))));
    let corr = mesh.ask(api, vec![("table", Value::sym("trade")), labels(vec![])], opts);
    let mut asked = Asked { mesh, daps, corr };
    let runs = asked.mesh.runs(corr);
    assert_eq!(runs.len(), 2);
    runs.iter().for_each(|(dap, run)| asked.mesh.complete(*dap, run));
    asked
}

impl Asked {
    fn run(&self, n: usize) -> Run {
        self.mesh.runs(self.corr)[n].1.clone()
    }

    fn stale(&mut self, portions: &[u32]) {
        let (corr, attempt, agg) = (self.corr, self.run(0).attempt, self.mesh.agg);
        let portions = portions.iter().map(|id| PortionId(*id)).collect();
        self.mesh.say(agg, Stale { corr, attempt, portions, vintage: 7 });
    }

    fn replaced(&self) -> Vec<Replace> {
        let all = self.mesh.sent.iter().filter_map(|(_, msg)| match msg {
            Msg::Replace(m) => Some(m.clone()),
            _ => None,
        });
        all.collect()
    }

    /// Portions that the Agg was told not to wait for, by message.
    fn given_up(&self) -> Vec<Vec<PortionId>> {
        let all = self.mesh.sent.iter().filter_map(|(_, msg)| match msg {
            Msg::GiveUp(m) => Some(m.missing.iter().map(|p| p.id).collect()),
            _ => None,
        });
        all.collect()
    }
}

fn get() -> Asked {
    asked(Settings::default(), sg::api::GET_DATA, vec![])
}

#[test]
fn an_older_portion_is_put_under_a_new_id_and_runs_again() {
    let mut a = get();
    a.stale(&[0]);
    let [replace] = &a.replaced()[..] else { panic!("the Agg hears of it") };
    assert_eq!((replace.old, replace.new.len(), replace.epoch), (PortionId(0), 1, 1));
    let (old, new) = (a.run(0), a.run(2));
    assert_eq!(replace.new[0].id, new.portion);
    assert_eq!((old.portion, new.portion), (PortionId(0), PortionId(2)));
    assert_eq!((new.range, &new.labels), (old.range, &old.labels));
    let order: Vec<_> = a.mesh.sent.iter().map(|(_, m)| m.name()).collect();
    let last = |name| order.iter().rposition(|n| *n == name);
    assert!(last(".qm.replace") < last(".qm.run"), "{order:?}");
    let dap = a.daps[0];
    a.mesh.complete(dap, &new);
    a.mesh.answered(&new);
    assert_eq!(a.mesh.router.stats().succeeded, 1);
    assert!(a.mesh.router.is_quiet());
}

#[test]
fn word_of_custody_that_is_overtaken_changes_nothing() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let mut a = Asked { mesh, daps: [dap, dap], corr };
    let old = a.run(0);
    // The Agg had the partial before the data process said so.
    a.stale(&[0, 0]);
    let planned = &a.mesh.plans(corr)[..];
    assert_eq!(planned.len(), 1, "named twice, put anew once");
    assert_eq!(planned[0].portions[0].id, PortionId(1));
    a.mesh.got(&old);
    a.mesh.done(dap, &old, sg::Rc::OK, 1);
    a.mesh.idle(dap, &old);
    let new = a.run(1);
    a.mesh.complete(dap, &new);
    a.mesh.answered(&new);
    assert!(a.mesh.router.is_quiet());
    assert_eq!(a.mesh.router.stats().succeeded, 1);
}

#[test]
fn older_portions_of_an_unsafe_api_are_an_error_that_says_so() {
    let mut a = asked(Settings::default(), UNSAFE, vec![]);
    a.stale(&[1]);
    let (rc, ac, ai) = a.mesh.failure(a.corr);
    assert_eq!((rc, ac), (101, 105));
    for part in ["1 of 2 portions", "region=emea", "vintage 7", ".custom.once is not registered as safe"] {
        assert!(ai.contains(part), "{ai}");
    }
    assert_eq!(a.mesh.runs(a.corr).len(), 2, "nothing ran again");
    assert_eq!(a.mesh.said(".qm.abandon").len(), 1);
    assert!(a.mesh.router.is_quiet());
}

#[test]
fn runs_for_a_newer_vintage_are_bounded_and_lie_further_and_further_apart() {
    let mut a = asked(Settings { max_retry: 2, ..Settings::default() }, sg::api::GET_DATA, vec![]);
    a.stale(&[0, 1]);
    assert_eq!(a.mesh.runs(a.corr).len(), 4, "both at once, counted as one retry");
    for n in [2, 3] {
        let run = a.run(n);
        let dap = a.mesh.runs(a.corr)[n].0;
        a.mesh.complete(dap, &run);
    }
    a.stale(&[2]);
    assert_eq!(a.mesh.runs(a.corr).len(), 4, "it rests");
    a.mesh.pass(SECOND / 10);
    let (dap, run) = a.mesh.runs(a.corr)[4].clone();
    a.mesh.complete(dap, &run);
    a.stale(&[run.portion.0]);
    let (rc, _, ai) = a.mesh.failure(a.corr);
    assert!(rc == 101 && ai.contains("given up after 2 retries (KXI_SG_MAX_RETRY)"), "{rc} {ai}");
    assert!(a.mesh.router.is_quiet());
}

#[test]
fn a_client_that_takes_what_there_is_does_without_older_portions_in_the_end() {
    let opts = vec![("completeness", Value::sym("best"))];
    let mut a = asked(Settings { max_retry: 0, ..Settings::default() }, sg::api::GET_DATA, opts);
    a.stale(&[0]);
    assert_eq!(a.given_up(), [[PortionId(0)]]);
    let run = a.run(1);
    a.mesh.answered(&run);
    assert!(a.mesh.router.is_quiet());
}

/// A partial had come before its data process was lost; the Agg kept it when it heard that nobody waits for it, and
/// then had to let go of it.
#[test]
fn an_older_portion_that_was_given_up_meanwhile_is_named_once_more() {
    let mut mesh = Mesh::new();
    let daps =
        ["amer", "emea"].map(|region| mesh.dap(purview(region, &format!("region={region}"), "hdb", 0, 10)));
    let opts = vec![("completeness", Value::sym("best"))];
    let corr = mesh.ask(sg::api::GET_DATA, vec![("table", Value::sym("trade")), labels(vec![])], opts);
    let mut a = Asked { mesh, daps, corr };
    let (given_up, there) = (a.run(1).portion, a.run(0));
    a.mesh.down(a.daps[1]);
    a.mesh.complete(a.daps[0], &there);
    assert_eq!(a.given_up(), [vec![given_up]]);
    a.stale(&[given_up.0]);
    assert_eq!(a.given_up(), [vec![given_up], vec![given_up]], "the Agg still waits for it");
    assert_eq!(a.mesh.runs(corr).len(), 2, "it does not run again");
    a.mesh.answered(&there);
    assert!(a.mesh.router.is_quiet());
}

#[test]
fn what_is_said_of_others_requests_and_portions_is_ignored() {
    let mut a = get();
    a.stale(&[9]);
    let other = a.mesh.new_agg("agg-1");
    let (corr, attempt) = (a.corr, a.run(0).attempt);
    a.mesh.say(other, Stale { corr, attempt, portions: vec![PortionId(0)], vintage: 7 });
    let agg = a.mesh.agg;
    a.mesh.say(agg, Stale { corr, attempt: 5, portions: vec![PortionId(0)], vintage: 7 });
    a.mesh.say(agg, Stale { corr, attempt, portions: vec![], vintage: 7 });
    assert!(a.replaced().is_empty());
    assert_eq!(a.mesh.router.stats().strays, 2);
}

#[test]
fn a_request_whose_older_portions_rest_ends_at_its_deadline_and_says_what_it_waits_for() {
    let mut a = get();
    a.stale(&[0]);
    let (dap, run) = a.mesh.runs(a.corr)[2].clone();
    a.mesh.complete(dap, &run);
    a.mesh.down(a.daps[0]);
    a.stale(&[run.portion.0]);
    a.mesh.pass(crate::mesh::LEFT);
    let (rc, _, ai) = a.mesh.failure(a.corr);
    assert!(rc == 100 && ai.contains("1 of 2 portions missing"), "{rc} {ai}");
    assert!(a.mesh.router.is_quiet());
}
