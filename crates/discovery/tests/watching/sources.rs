//! What every source promises, asked of each.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use discovery::{
    Feed, Source,
    fixed::{Addressed, Addresses, Resolve},
};
use testkit::api_server::{ApiServer, Mood};
use tokio_util::sync::CancellationToken;

use crate::common::{addr, eventually, options, pods, put, until};

/// A world that a source looks at.
trait World {
    fn watch(&self) -> Feed;
    fn appear(&self, n: u8);
    fn vanish(&self, n: u8);
    fn fail(&self);
    fn heal(&self);
}

struct Cluster(ApiServer);

impl World for Cluster {
    fn watch(&self) -> Feed {
        pods(&self.0, &options())
    }
    fn appear(&self, n: u8) {
        put(&self.0, n, true);
    }
    fn vanish(&self, n: u8) {
        self.0.remove(&format!("uid-{n}"));
    }
    fn fail(&self) {
        self.0.be(Mood::Gone);
    }
    fn heal(&self) {
        self.0.be(Mood::Well);
    }
}

/// What the name `rc:5050` stands for; `None` while the resolver is gone.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<(BTreeSet<SocketAddr>, bool)>>);

impl Names {
    fn with<T>(&self, f: impl FnOnce(&mut (BTreeSet<SocketAddr>, bool)) -> T) -> T {
        f(&mut self.0.lock().expect("no test panics in here"))
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> Addresses<'a> {
        assert_eq!(name, "rc:5050");
        let answer = self.with(|(addrs, gone)| match gone {
            true => Err(io::Error::other("resolver gone")),
            false => Ok(addrs.iter().copied().collect()),
        });
        Box::pin(async move { answer })
    }
}

impl World for Names {
    fn watch(&self) -> Feed {
        let source = Addressed::by(vec!["rc:5050".into()], Arc::new(self.clone()));
        Box::new(source).follow(&options(), CancellationToken::new())
    }
    fn appear(&self, n: u8) {
        self.with(|(addrs, _)| addrs.insert(addr(n)));
    }
    fn vanish(&self, n: u8) {
        self.with(|(addrs, _)| addrs.remove(&addr(n)));
    }
    fn fail(&self) {
        self.with(|(_, gone)| *gone = true);
    }
    fn heal(&self) {
        self.with(|(_, gone)| *gone = false);
    }
}

fn worlds() -> [Box<dyn World>; 2] {
    [Box::new(Cluster(ApiServer::start().expect("a port"))), Box::new(Names::default())]
}

#[tokio::test]
async fn what_is_there_is_found_and_what_comes_and_goes_is_followed() {
    for world in worlds() {
        world.appear(1);
        let feed = world.watch();
        assert!(!feed.health().synced);
        until(&feed, &[1]).await;
        world.appear(2);
        world.appear(3);
        until(&feed, &[1, 2, 3]).await;
        world.vanish(2);
        until(&feed, &[1, 3]).await;
    }
}

#[tokio::test]
async fn a_source_that_fails_keeps_what_it_knew_says_so_and_heals_by_itself() {
    for world in worlds() {
        world.appear(1);
        let feed = world.watch();
        until(&feed, &[1]).await;
        eventually("freshness", || feed.health().fresh).await;
        world.fail();
        world.appear(2);
        world.vanish(1);
        eventually("staleness", || !feed.health().fresh && feed.health().failures > 2).await;
        assert!(feed.health().line().contains("STALE"), "{}", feed.health().line());
        until(&feed, &[1]).await;
        world.heal();
        until(&feed, &[2]).await;
        eventually("freshness", || feed.health().fresh).await;
        assert!(!feed.health().line().contains("STALE"), "{}", feed.health().line());
    }
}

#[tokio::test]
async fn a_source_that_fails_from_the_start_is_found_later() {
    for world in worlds() {
        world.fail();
        world.appear(1);
        let feed = world.watch();
        eventually("a failure", || feed.health().failures > 0).await;
        assert!(!feed.now().synced);
        world.heal();
        until(&feed, &[1]).await;
    }
}

#[tokio::test]
async fn only_a_source_that_knows_of_processes_says_that_an_absent_one_leaves() {
    let [cluster, names] = worlds();
    for world in [&cluster, &names] {
        world.appear(1);
    }
    assert!(until(&cluster.watch(), &[1]).await.absent_leaves);
    assert!(!until(&names.watch(), &[1]).await.absent_leaves);
}

#[tokio::test]
async fn addresses_of_lists_are_found_each_once() {
    let list = vec!["127.0.0.1:5050".to_string(), "127.0.0.1:5051".into(), "127.0.0.1:5050".into()];
    let feed = Box::new(Addressed::new(list)).follow(&options(), CancellationToken::new());
    eventually("two addresses", || feed.now().endpoints.len() == 2).await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_leaves_the_others_found() {
    let list = vec!["127.0.0.1:5050".to_string(), "no port".into()];
    let feed = Box::new(Addressed::new(list)).follow(&options(), CancellationToken::new());
    eventually("one address", || feed.now().endpoints.len() == 1).await;
    eventually("a sentence", || feed.health().trouble.is_some_and(|t| t.contains("no port"))).await;
}
