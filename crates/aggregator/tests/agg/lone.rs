//! The only partial of a request: it brings what a plan would say.

use std::time::Duration;

use aggregator::core::{Action, Bounds, Event, Snapshot};
use sg::{
    Corr, LabelSet, Rc,
    msg::{Abandon, LonePlan, Partial, Plan},
};

use crate::core::{C, SECOND, agg, failed, partial, plan};

/// What comes with the only partial of a request.
fn lone_plan() -> Box<LonePlan> {
    let Plan { left, api, agg_fn, gw, opts, args, .. } = plan(C, &[]);
    let rc = sg::InstanceId([1; 16]);
    Box::new(LonePlan { rc, left, api, agg_fn, gw, labels: LabelSet::default(), opts, args })
}

pub(crate) fn lone(partial: Partial) -> Event<&'static str> {
    Event::Lone("rc", lone_plan(), partial)
}

#[test]
fn the_only_partial_of_a_request_needs_no_plan() {
    let mut agg = agg(Bounds::default());
    let Some(Action::Aggregate(job)) = agg.take(lone(partial(C, 0, 10))).pop() else {
        panic!("not complete")
    };
    let asked = &job.asked;
    assert_eq!((asked.key, asked.rc, asked.gw.text().as_ref()), ((C, 0), "rc", "gw:5040"));
    assert_eq!((asked.deadline, job.parts.len(), job.labels.len()), (10 * SECOND, 1, 1));
    assert_eq!(agg.snapshot(), Snapshot { outstanding: 1, held: 10, early: 0 });
    assert_eq!(agg.says(lone(partial(C, 0, 10))), ["dropped Late"], "a second run");
    assert!(agg.plan(C, &[1, 2]).is_empty(), "cut anew in vain: it is answered");
    agg.says(Event::Released((C, 0)));
    assert_eq!(agg.says(lone(partial(C, 0, 10))), ["dropped Late"]);
    assert_eq!(agg.snapshot(), Snapshot::default());
}

#[test]
fn what_was_cut_anew_is_not_answered_by_its_only_partial_of_before() {
    let mut agg = agg(Bounds { early_time: Duration::from_secs(1), ..Bounds::default() });
    agg.plan(C, &[1, 2]);
    assert!(agg.says(lone(partial(C, 0, 10))).is_empty(), "nobody waits for it");
    assert_eq!(agg.partial(C, 1), ["got 1 to rc"]);
    assert_eq!(agg.partial(C, 2), ["got 2 to rc", "aggregate 1,2"]);
    agg.says(Event::Released((C, 0)));
    agg.now += 2 * SECOND;
    assert_eq!(agg.says(Event::Tick), ["dropped Unknown"]);
    assert_eq!(agg.snapshot(), Snapshot::default());
}

#[test]
fn a_planned_portion_may_come_with_a_plan_too() {
    let mut agg = agg(Bounds::default());
    agg.plan(C, &[0, 1]);
    assert_eq!(agg.says(lone(partial(C, 0, 10))), ["got 0 to rc"]);
    assert_eq!(agg.says(lone(partial(C, 0, 10))), ["dropped Duplicate"]);
    assert_eq!(agg.partial(C, 1), ["got 1 to rc", "aggregate 0,1"]);
}

#[test]
fn a_failed_only_partial_fails_the_request_unless_it_may_be_tried_again() {
    let mut agg = agg(Bounds { requests: 1, memory: 100, ..Bounds::default() });
    assert_eq!(agg.says(lone(failed(C, 0, Rc::CONN))), ["dropped Retryable"]);
    assert_eq!(agg.snapshot(), Snapshot::default(), "nothing is kept of it");
    assert_eq!(agg.says(lone(failed(C, 0, Rc::APP))), ["fail rc 5 with 0 parts: portion 0 says no"]);
    let other = Corr([2; 16]);
    let said = agg.says(lone(partial(other, 0, 10)));
    assert!(said[0].starts_with("fail rc 11") && said[0].contains("QMESH_AGG_REQUESTS"), "{said:?}");
    [C, other].into_iter().for_each(|corr| _ = agg.says(Event::Released((corr, 0))));
    let said = agg.says(lone(partial(Corr([3; 16]), 0, 101)));
    assert!(said[0].contains("QMESH_AGG_MEMORY"), "{said:?}");
    agg.says(Event::Released((Corr([3; 16]), 0)));
    agg.says(Event::Abandon(Abandon { corr: Corr([4; 16]), attempt: 0 }));
    assert_eq!(agg.says(lone(partial(Corr([4; 16]), 0, 10))), ["dropped Late"], "nobody wants it any more");
    assert_eq!(agg.snapshot(), Snapshot::default());
}
