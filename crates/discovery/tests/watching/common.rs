//! Sources under test, and waiting for what they say.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use discovery::{
    Feed, Options, Snapshot, Source,
    kubernetes::{Matching, Select, client::Pods},
};
use testkit::api_server::{ApiServer, pod};
use tokio_util::sync::CancellationToken;

/// Patience with what should take milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn options() -> Options {
    Options {
        quiet: Duration::from_secs(60),
        relist: Duration::ZERO,
        dns: Duration::from_millis(10),
        call: Duration::from_secs(5),
        backoff_min: Duration::from_millis(5),
        backoff_max: Duration::from_millis(50),
        ..Options::default()
    }
}

pub(crate) fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 5050))
}

/// Pods of the fake that match `role=rc`.
pub(crate) fn pods(server: &ApiServer, options: &Options) -> Feed {
    select(server, options, Select::Selector("role=rc".into()))
}

pub(crate) fn select(server: &ApiServer, options: &Options, select: Select) -> Feed {
    let uri = format!("http://{}", server.addr()).parse().expect("an address is a URI");
    let client = Pods::new(kube::Config::new(uri), Some("test".into()), options.call).expect("a client");
    let source = Matching { pods: client, select, assembly_key: "insights.kx.com/app".into() };
    Box::new(source).follow(options, CancellationToken::new())
}

/// Puts a pod that matches, uid and address made from its number.
pub(crate) fn put(server: &ApiServer, n: u8, ready: bool) {
    put_as(server, n, "rc", ready);
}

pub(crate) fn put_as(server: &ApiServer, n: u8, role: &str, ready: bool) {
    server.put(pod(&format!("rc-{n}"), &format!("uid-{n}"), &[("role", role)], addr(n), ready));
}

/// The last bytes of the addresses, those not ready with a minus.
pub(crate) fn shown(snapshot: &Snapshot) -> Vec<i16> {
    let mut out: Vec<i16> = snapshot
        .endpoints
        .iter()
        .map(|e| match (e.addr, e.ready) {
            (SocketAddr::V4(a), true) => i16::from(a.ip().octets()[3]),
            (SocketAddr::V4(a), false) => -i16::from(a.ip().octets()[3]),
            (SocketAddr::V6(_), _) => 0,
        })
        .collect();
    out.sort_unstable_by_key(|n| n.abs());
    out
}

/// Waits until the set is this.
pub(crate) async fn until(feed: &Feed, expected: &[i16]) -> Arc<Snapshot> {
    let mut sets = feed.sets();
    let wanted = sets.wait_for(|s| s.synced && shown(s) == expected);
    match tokio::time::timeout(PATIENCE, wanted).await {
        Ok(Ok(snapshot)) => snapshot.clone(),
        _ => panic!("{:?} where {expected:?} was due; {:?}", shown(&feed.now()), feed.health()),
    }
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < until, "{what} did not come to hold");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
