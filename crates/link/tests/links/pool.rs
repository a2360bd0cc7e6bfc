//! Links on demand.

use std::time::Duration;

use link::{LinkError, LinkOptions, Pool, Role};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::common::{Recorder, Server, identity, numbered, options};

#[tokio::test]
async fn all_who_ask_share_one_link_and_a_lost_one_is_opened_again() {
    let server = Server::start("gw", &["s"]).await;
    let (seen, stop) = (Recorder::new(), CancellationToken::new());
    let pool = Pool::new(identity(Role::Agg, "agg", &["s"]), options(), seen.clone(), stop.clone());
    let addr = server.addr.to_string().into();
    assert!(pool.get_now(&addr).is_none());
    let (a, b) = tokio::join!(pool.get(&addr), pool.get(&addr));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.id(), b.id());
    assert_eq!(pool.get_now(&addr).unwrap().id(), a.id());
    let at = server.stop().await;
    seen.lost(0).await;
    assert!(pool.get_now(&addr).is_none());
    let again = tokio::spawn({
        let (pool, addr) = (pool.clone(), addr.clone());
        async move { pool.get(&addr).await }
    });
    // Nobody listens yet: it is tried until the connect timeout.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let server = Server::with(at, identity(Role::Gw, "gw", &["s"]), options()).await;
    again.await.unwrap().unwrap().send(numbered(1)).unwrap();
    server.seen.until("a message", |r| r.count() == 1).await;
    stop.cancel();
}

#[tokio::test]
async fn an_address_without_a_process_is_an_error_in_time_for_all_who_ask() {
    let server = Server::start("gw", &[]).await;
    let addr = server.stop().await.to_string().into();
    let opts = LinkOptions { connect_timeout: Duration::from_millis(300), ..options() };
    let pool = Pool::new(identity(Role::Agg, "agg", &[]), opts, Recorder::new(), CancellationToken::new());
    let before = Instant::now();
    let (a, b) = tokio::join!(pool.get(&addr), pool.get(&addr));
    assert!(a.is_err() && b.unwrap_err().to_string().contains(addr.text().as_ref()));
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
}

#[tokio::test]
async fn a_refusal_is_told_at_once() {
    let server = Server::start("gw", &["another"]).await;
    let (seen, stop) = (Recorder::new(), CancellationToken::new());
    let pool = Pool::new(identity(Role::Agg, "agg", &["s"]), options(), seen, stop);
    let before = Instant::now();
    let err = pool.get(&server.addr.to_string().into()).await.unwrap_err();
    assert!(!err.is_transient() && err.to_string().contains("secret"), "{err}");
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
}

#[tokio::test]
async fn a_pool_has_a_bound() {
    let (a, b) = (Server::start("a", &[]).await, Server::start("b", &[]).await);
    let opts = LinkOptions { max_links: 1, ..options() };
    let pool = Pool::new(identity(Role::Agg, "agg", &[]), opts, Recorder::new(), CancellationToken::new());
    pool.get(&a.addr.to_string().into()).await.unwrap();
    let err = pool.get(&b.addr.to_string().into()).await.unwrap_err();
    assert!(matches!(err, LinkError::TooMany { limit: 1 }), "{err}");
}
