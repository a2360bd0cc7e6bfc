//! Pods of an API server that misbehaves in each way that pod-watching routers are known to have failed in.

use std::time::Duration;

use discovery::{
    Options,
    kubernetes::{COORDINATORS, INSTANCE_LABEL, Select},
};
use testkit::api_server::{ApiServer, Mood, pod};

use crate::common::{addr, eventually, options, pods, put, put_as, select, until};

fn server(ready: &[u8]) -> ApiServer {
    let server = ApiServer::start().expect("a port");
    ready.iter().for_each(|n| put(&server, *n, true));
    server
}

#[tokio::test]
async fn a_pod_that_is_not_ready_stays_known_and_is_marked() {
    let server = server(&[1, 2]);
    let feed = pods(&server, &options());
    until(&feed, &[1, 2]).await;
    put(&server, 1, false);
    until(&feed, &[-1, 2]).await;
    put(&server, 1, true);
    until(&feed, &[1, 2]).await;
}

#[tokio::test]
async fn a_pod_whose_labels_leave_the_selector_is_gone() {
    let server = server(&[1, 2]);
    let feed = pods(&server, &options());
    until(&feed, &[1, 2]).await;
    put_as(&server, 1, "other", true);
    until(&feed, &[2]).await;
    put_as(&server, 1, "rc", true);
    until(&feed, &[1, 2]).await;
}

#[tokio::test]
async fn a_terminating_pod_is_gone_before_it_is_deleted() {
    let server = server(&[1, 2]);
    let feed = pods(&server, &options());
    until(&feed, &[1, 2]).await;
    let mut leaving = pod("rc-1", "uid-1", &[("role", "rc")], addr(1), true);
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    server.put(leaving);
    until(&feed, &[2]).await;
    assert!(feed.health().line().contains("1 are terminating"), "{}", feed.health().line());
}

#[tokio::test]
async fn pods_that_come_and_go_in_a_hurry_make_few_sets_and_the_last_is_right() {
    let server = server(&[1]);
    let feed = pods(&server, &options());
    until(&feed, &[1]).await;
    let mut sets = feed.sets();
    sets.mark_unchanged();
    let counting = tokio::spawn(async move {
        let mut seen = 0;
        while sets.changed().await.is_ok() {
            seen += 1;
            let now = sets.borrow_and_update();
            if now.endpoints.len() == 1 && &*now.endpoints[0].key == "uid-200" {
                break;
            }
        }
        seen
    });
    (2..=200).for_each(|n| put(&server, n, true));
    (1..200).for_each(|n| server.remove(&format!("uid-{n}")));
    until(&feed, &[200]).await;
    let seen: usize = counting.await.expect("it counts");
    assert!(seen <= 40, "{seen} sets of 398 changes");
    assert_eq!(feed.health().events, 398);
}

#[tokio::test]
async fn a_pod_made_anew_under_its_name_and_address_is_another_endpoint() {
    let server = server(&[1]);
    let feed = pods(&server, &options());
    let before = until(&feed, &[1]).await;
    server.put(pod("rc-1", "uid-new", &[("role", "rc")], addr(1), true));
    server.remove("uid-1");
    eventually("another uid", || feed.now().endpoints.iter().map(|e| &*e.key).eq(["uid-new"])).await;
    assert_ne!(before.endpoints[0].key, feed.now().endpoints[0].key);
}

#[tokio::test]
async fn what_was_deleted_while_the_watch_was_down_is_gone_after_410() {
    let server = server(&[1, 2, 3]);
    let feed = pods(&server, &options());
    until(&feed, &[1, 2, 3]).await;
    server.remove_unseen("uid-1");
    server.be(Mood::Expiring);
    until(&feed, &[2, 3]).await;
    // While every watch is refused, lists alone keep it right.
    server.remove_unseen("uid-2");
    until(&feed, &[3]).await;
    server.be(Mood::Well);
    put(&server, 4, true);
    until(&feed, &[3, 4]).await;
}

#[tokio::test]
async fn a_watch_that_has_gone_quiet_is_noticed_and_listed_again() {
    let server = server(&[1]);
    let feed = pods(&server, &Options { quiet: Duration::from_millis(150), ..options() });
    until(&feed, &[1]).await;
    server.be(Mood::Silent);
    put(&server, 2, true);
    until(&feed, &[1, 2]).await;
    assert!(feed.health().quiet > 0);
}

#[tokio::test]
async fn a_server_that_hangs_is_left_in_time_and_asked_again() {
    let server = server(&[1]);
    let fast = Options { quiet: Duration::from_millis(100), call: Duration::from_millis(100), ..options() };
    let feed = pods(&server, &fast);
    until(&feed, &[1]).await;
    server.be(Mood::Hanging);
    eventually("staleness", || feed.health().trouble.is_some_and(|t| t.contains("did not answer"))).await;
    until(&feed, &[1]).await;
    server.be(Mood::Well);
    put(&server, 2, true);
    until(&feed, &[1, 2]).await;
}

#[tokio::test]
async fn whole_lists_come_on_a_period_whatever_the_watch_says() {
    let server = server(&[1, 2]);
    let feed = pods(&server, &Options { relist: Duration::from_millis(50), ..options() });
    until(&feed, &[1, 2]).await;
    server.remove_unseen("uid-1");
    until(&feed, &[2]).await;
    assert_eq!(feed.health().failures, 0);
}

#[tokio::test]
async fn a_busy_server_gets_the_patience_it_asks_for() {
    let server = server(&[1]);
    server.be(Mood::Busy(1));
    let feed = pods(&server, &options());
    eventually("a failure", || feed.health().trouble.is_some_and(|t| t.contains("429"))).await;
    let asked = server.requests().len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.requests().len(), asked, "asked again within the second it wanted");
    server.be(Mood::Well);
    until(&feed, &[1]).await;
}

#[tokio::test]
async fn missing_rights_say_which() {
    let server = server(&[]);
    server.be(Mood::Forbidden);
    let feed = pods(&server, &options());
    eventually("a sentence", || feed.health().line().contains("needs get, list and watch on pods")).await;
}

#[tokio::test]
async fn garbage_and_endless_events_change_nothing_and_end_with_a_list() {
    for mood in [Mood::Garbage, Mood::Endless] {
        let server = server(&[1, 2]);
        let feed = pods(&server, &options());
        until(&feed, &[1, 2]).await;
        server.be(mood);
        eventually("failures", || feed.health().failures > 1).await;
        until(&feed, &[1, 2]).await;
        server.remove_unseen("uid-1");
        server.be(Mood::Well);
        until(&feed, &[2]).await;
    }
}

#[tokio::test]
async fn many_pods_come_in_pages_and_appear_at_once() {
    let server = ApiServer::start().expect("a port");
    for n in 0..1200_u16 {
        let addr = ([10, 1, (n >> 8) as u8, n as u8], 5050).into();
        server.put(pod(&format!("p-{n}"), &format!("u-{n}"), &[("role", "rc")], addr, true));
    }
    let feed = pods(&server, &options());
    let mut sets = feed.sets();
    let first = sets.wait_for(|s| s.synced).await.expect("a set").clone();
    assert_eq!(first.endpoints.len(), 1200);
    assert!(server.requests().iter().filter(|r| r.contains("limit=500")).count() >= 3);
}

#[tokio::test]
async fn no_more_pods_than_the_limit_are_kept() {
    let server = server(&[1, 2, 3]);
    let feed = pods(&server, &Options { max: 2, ..options() });
    eventually("a set", || feed.now().endpoints.len() == 2).await;
    assert!(feed.health().line().contains("QMESH_DISC_MAX"), "{}", feed.health().line());
}

#[tokio::test]
async fn selectors_go_to_the_server_as_they_are() {
    let server = server(&[]);
    let selector = "app in (a, b),tier notin (x),!canary,k!=v";
    let feed = select(&server, &options(), Select::Selector(selector.into()));
    eventually("a request", || !server.requests().is_empty()).await;
    let encoded = "labelSelector=app%20in%20%28a%2C%20b%29%2Ctier%20notin%20%28x%29%2C%21canary%2Ck%21%3Dv";
    let asked = server.requests();
    assert!(asked[0].contains(encoded), "{asked:?}");
    drop(feed);
}

#[tokio::test]
async fn siblings_are_the_coordinators_of_the_same_installation() {
    let server = ApiServer::start().expect("a port");
    let named = |name: &str, n: u8, instance: &str| {
        let labels = [("app.kubernetes.io/name", "resource-coordinator"), (INSTANCE_LABEL, instance)];
        server.put(pod(name, &format!("uid-{n}"), &labels, addr(n), true));
    };
    named("one-rc-0", 1, "one");
    named("one-rc-1", 2, "one");
    named("two-rc-0", 3, "two");
    assert!(COORDINATORS.contains("resource-coordinator"));
    let feed = select(&server, &options(), Select::Siblings { pod: "one-rc-0".into() });
    until(&feed, &[1, 2]).await;
}
