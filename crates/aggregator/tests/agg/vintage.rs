//! All partials of one answer used the same vintage of reference tables.

use aggregator::core::{Action, Bounds, Event, Snapshot};
use kvalue::{Dict, Value, Vector};
use qipc::{Limits, Raw};
use sg::{
    Msg, PortionId, Rc,
    api::AGG_RAZE,
    msg::{Partial, PlannedPortion, Replace},
};

use crate::{
    core::{C, SECOND, agg, failed, give_up, partial, plan, replace, with_partials},
    fakes::{self, Mesh, is},
};

fn of(vintage: i64, id: u32) -> Event<&'static str> {
    let extra = Raw::of(&Dict::of([("refVintage", Value::from(vintage))]).into());
    Event::Partial(Partial { extra, ..partial(C, id, 10) })
}

#[test]
fn older_vintages_are_asked_for_again_when_all_partials_are_there() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1, 2, 3]);
    assert_eq!(agg.says(of(6, 0)), ["got 0 to rc"]);
    assert_eq!(agg.says(of(7, 1)), ["got 1 to rc"], "not all are there");
    assert_eq!(agg.partial(C, 2), ["got 2 to rc"], "this one says none, and does not count");
    assert_eq!(
        agg.says(of(5, 3)),
        ["got 3 to rc", "dropped Stale", "dropped Stale", "stale 0,3 for 7 to rc"]
    );
    assert_eq!(agg.snapshot().held, 20, "what is older is not held");
    assert!(agg.says(replace(1, 0, &[4])).is_empty());
    assert!(agg.says(replace(2, 3, &[5, 6])).is_empty());
    assert_eq!(agg.says(of(7, 4)), ["got 4 to rc"]);
    assert_eq!(agg.says(of(7, 5)), ["got 5 to rc"]);
    match &agg.take(of(7, 6))[..] {
        [Action::Got(..), Action::Aggregate(job)] => {
            assert_eq!(job.parts.iter().map(|p| p.portion.0).collect::<Vec<_>>(), [4, 1, 2, 5, 6]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_vintage_and_none_at_all_are_answered_at_once() {
    for said in [Some(7), Some(i64::MIN), Some(-i64::MAX), None] {
        let mut agg = agg(Bounds::default());
        agg.plan(C, &[0, 1]);
        let second = said.map_or_else(|| Event::Partial(partial(C, 1, 10)), |vintage| of(vintage, 1));
        agg.says(of(7, 0));
        assert_eq!(agg.says(second), ["got 1 to rc", "aggregate 0,1"], "{said:?}");
    }
}

#[test]
fn a_late_partial_of_a_portion_that_was_older_is_nobody_s() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1]);
    agg.says(of(1, 0));
    assert_eq!(agg.says(of(2, 1)).last().unwrap(), "stale 0 for 2 to rc");
    assert_eq!(agg.says(of(2, 0)), ["dropped Duplicate"], "before the replacement");
    assert!(agg.says(of(2, 2)).is_empty(), "the new one may come before it too");
    assert_eq!(agg.says(replace(1, 0, &[2])), ["got 2 to rc", "aggregate 2,1"]);
}

#[test]
fn a_vintage_that_moves_on_meanwhile_makes_the_others_old() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1]);
    agg.says(of(1, 0));
    agg.says(of(2, 1));
    agg.says(replace(1, 0, &[2]));
    assert_eq!(agg.says(of(3, 2)), ["got 2 to rc", "dropped Stale", "stale 1 for 3 to rc"]);
    agg.says(replace(2, 1, &[3]));
    assert_eq!(agg.says(of(3, 3)), ["got 3 to rc", "aggregate 2,3"]);
}

#[test]
fn the_newest_counts_only_while_its_partial_is_there() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1]);
    agg.says(of(9, 0));
    agg.says(replace(1, 0, &[2]));
    agg.says(of(8, 1));
    assert_eq!(agg.says(of(8, 2)), ["got 2 to rc", "aggregate 2,1"]);
}

#[test]
fn older_portions_that_are_given_up_are_named_as_missing() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1]);
    agg.says(of(1, 0));
    agg.says(of(2, 1));
    match &agg.take(give_up(&[0]))[..] {
        [Action::Aggregate(job)] => {
            assert_eq!((job.parts.len(), job.missing[0].id), (1, PortionId(0)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failure_needs_no_vintage() {
    let mut agg = agg(Bounds::default());
    agg.says(Event::Plan("rc", with_partials(&[0, 1, 2])));
    agg.says(of(1, 0));
    agg.says(of(2, 1));
    let said = agg.says(Event::Partial(failed(C, 2, Rc::APP)));
    assert!(said[1].starts_with("fail rc 5 with 3 parts"), "{said:?}");
}

#[test]
fn what_waits_for_a_newer_vintage_is_not_held_past_its_deadline() {
    let mut agg = agg(Bounds::default());
    agg.says(Event::Plan("rc", plan(C, &[0, 1])));
    agg.says(of(1, 0));
    agg.says(of(2, 1));
    agg.now = 11 * SECOND;
    assert_eq!(agg.says(Event::Tick), ["undelivered 1 rc 100 to rc"]);
    assert_eq!(agg.snapshot(), Snapshot::default());
}

/// By sockets: the coordinator is asked, and the answer says the one vintage that it is of.
#[tokio::test]
async fn the_coordinator_is_asked_for_older_portions_and_the_answer_says_one_vintage() {
    let mesh = Mesh::start().await;
    let rows = |n: i64| Value::from(Vector::longs(vec![n]));
    let of = |vintage: i64, id, n| {
        let extra = Raw::of(&Dict::of([("refVintage", Value::from(vintage))]).into());
        Partial { extra, ..fakes::partial(C, id, &rows(n)) }
    };
    let plan = mesh.plan(C, AGG_RAZE, 2);
    let again = PlannedPortion { id: PortionId(2), ..plan.portions[0].clone() };
    mesh.plans.send(plan).unwrap();
    mesh.dap.send(of(4, 0, 1)).unwrap();
    mesh.dap.send(of(5, 1, 2)).unwrap();
    let stale = mesh.rc.heard.next("older portions", is!(Stale)).await;
    assert_eq!((stale.corr, stale.portions, stale.vintage), (C, vec![PortionId(0)], 5));
    let old = PortionId(0);
    mesh.plans.send(Replace { corr: C, attempt: 0, epoch: 1, old, new: vec![again] }).unwrap();
    mesh.dap.send(of(5, 2, 3)).unwrap();
    let answer = mesh.gw.heard.next("answer", is!(Answer)).await;
    let extra = answer.extra.decode(&Limits::internal()).unwrap();
    assert_eq!(extra.as_dict().unwrap().get("refVintage"), Some(5i64.into()));
    assert_eq!(fakes::decoded(answer.payload), Value::from(Vector::longs(vec![3, 2])));
}
