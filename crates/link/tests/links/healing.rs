//! Links that come back.

use std::time::Duration;

use link::{LinkOptions, Role, Spread, dial};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpListener, net::TcpStream};
use tokio_util::sync::CancellationToken;

use crate::common::{Recorder, Server, identity, numbered, options};

#[tokio::test]
async fn a_link_comes_up_in_either_order_of_start_and_again_after_each_restart() {
    let server = Server::start("rc", &["s"]).await;
    let addr = server.stop().await;
    let (seen, stop) = (Recorder::new(), CancellationToken::new());
    let agg = identity(Role::Agg, "agg", &["s"]);
    dial(vec![addr.to_string()], Spread::First, agg, options(), seen.clone(), stop.clone());
    for n in 0..3 {
        let server = Server::with(addr, identity(Role::Rc, "rc", &["s"]), options()).await;
        seen.link(n).await.send(numbered(n as i64)).unwrap();
        server.seen.until("its message", |r| r.count() == 1).await;
        server.stop().await;
        seen.lost(n).await;
        assert_eq!(seen.up.lock().unwrap().len(), n + 1);
    }
    stop.cancel();
}

#[tokio::test]
async fn a_lost_coordinator_is_replaced_by_the_next_and_there_is_one_link_at_a_time() {
    let (a, b) = (Server::start("a", &[]).await, Server::start("b", &[]).await);
    let (seen, stop) = (Recorder::new(), CancellationToken::new());
    let addrs = vec![a.addr.to_string(), b.addr.to_string()];
    let agg = identity(Role::Agg, "agg", &[]);
    dial(addrs, Spread::First, agg, options(), seen.clone(), stop.clone());
    assert_eq!(seen.link(0).await.peer().name, "a");
    assert!(b.seen.up.lock().unwrap().is_empty());
    a.stop().await;
    assert_eq!(seen.link(1).await.peer().name, "b");
    stop.cancel();
    b.seen.lost(0).await;
}

#[tokio::test]
async fn all_means_a_link_to_each_process_however_many_addresses_lead_to_it() {
    let (a, b) = (Server::start("a", &[]).await, Server::start("b", &[]).await);
    let (seen, stop) = (Recorder::new(), CancellationToken::new());
    let twice = format!("localhost:{}", a.addr.port());
    let addrs = vec![a.addr.to_string(), twice, b.addr.to_string(), "no-such-host.invalid:1".into()];
    let gw = identity(Role::Gw, "gw", &[]);
    dial(addrs, Spread::All, gw, options(), seen.clone(), stop.clone());
    seen.link(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut names: Vec<String> =
        seen.up.lock().unwrap().iter().map(|l| l.peer().name.text().into_owned()).collect();
    names.sort();
    assert_eq!(names, ["a", "b"]);
    stop.cancel();
}

/// Passes bytes on until told to be silent, without closing anything.
async fn proxy(to: std::net::SocketAddr, silent: CancellationToken) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(to).await.unwrap();
            let ((nr, nw), (fr, fw)) = (near.into_split(), far.into_split());
            for (mut r, mut w) in [(nr, fw), (fr, nw)] {
                let silent = silent.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    loop {
                        tokio::select! {
                            () = silent.cancelled() => std::future::pending().await,
                            n = r.read(&mut buffer) => match n {
                                Ok(n) if n > 0 => if w.write_all(&buffer[..n]).await.is_err() { break },
                                _ => break,
                            }
                        }
                    }
                });
            }
        }
    });
    addr
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_cut_at_both_ends() {
    let opts = LinkOptions { heartbeat: Duration::from_millis(400), tolerance: 2, ..options() };
    let server =
        Server::with("127.0.0.1:0".parse().unwrap(), identity(Role::Rc, "rc", &[]), opts.clone()).await;
    let silent = CancellationToken::new();
    let addr = proxy(server.addr, silent.clone()).await;
    let (seen, stop) = (Recorder::new(), CancellationToken::new());
    let agg = identity(Role::Agg, "agg", &[]);
    dial(vec![addr.to_string()], Spread::First, agg, opts, seen.clone(), stop.clone());
    seen.link(0).await;
    tokio::time::sleep(Duration::from_millis(2400)).await;
    assert!(seen.down.lock().unwrap().is_empty(), "cut while heartbeats came: {:?}", seen.down.lock());
    silent.cancel();
    for end in [&seen, &server.seen] {
        let why = end.lost(0).await;
        assert!(why.contains("KXI_SAPI_HB_TOL"), "{why}");
    }
    stop.cancel();
}

#[tokio::test]
async fn ends_with_different_heartbeat_periods_do_not_cut_each_other() {
    let slow = LinkOptions { heartbeat: Duration::from_secs(60), ..options() };
    let quick = LinkOptions { heartbeat: Duration::from_millis(400), tolerance: 2, ..options() };
    let server = Server::with("127.0.0.1:0".parse().unwrap(), identity(Role::Rc, "rc", &[]), slow).await;
    let (seen, stop) = (Recorder::new(), CancellationToken::new());
    let agg = identity(Role::Agg, "agg", &[]);
    dial(vec![server.addr.to_string()], Spread::First, agg, quick, seen.clone(), stop.clone());
    seen.link(0).await;
    tokio::time::sleep(Duration::from_millis(2400)).await;
    assert!(seen.down.lock().unwrap().is_empty(), "{:?}", seen.down.lock());
    stop.cancel();
}
