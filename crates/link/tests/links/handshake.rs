//! Who becomes a peer, and who does not.

use std::time::Duration;

use link::{LinkOptions, Role, Spread, dial};
use qipc::{
    Body,
    net::{ConnectOptions, Credentials, connect},
};
use sg::{
    Msg,
    msg::{Hello, PROTOCOL, Refused},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::common::{Recorder, Server, identity, options};

/// Whether ends with these secrets become peers: both or neither.
async fn meets(ours: &[&str], theirs: &[&str], expected: bool) {
    let server = Server::start("rc", theirs).await;
    let seen = Recorder::new();
    let stop = CancellationToken::new();
    let addrs = vec![server.addr.to_string()];
    let agg = identity(Role::Agg, "agg", ours);
    let task = dial(addrs, Spread::First, agg, options(), seen.clone(), stop.clone());
    let both = async {
        seen.link(0).await;
        server.seen.link(0).await;
    };
    match expected {
        true => both.await,
        false => assert!(tokio::time::timeout(Duration::from_millis(400), both).await.is_err()),
    }
    for end in [&seen, &server.seen] {
        assert_eq!(!end.up.lock().unwrap().is_empty(), expected, "{ours:?} with {theirs:?}");
    }
    stop.cancel();
    task.await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn ends_with_a_common_secret_or_none_at_all_become_peers() {
    meets(&[], &[], true).await;
    meets(&["a secret"], &["a secret"], true).await;
}

#[tokio::test]
async fn ends_without_a_common_secret_do_not() {
    meets(&["a secret"], &["another"], false).await;
    meets(&["a secret"], &[], false).await;
    meets(&[], &["a secret"], false).await;
}

#[tokio::test]
async fn a_rotation_needs_no_order_of_processes() {
    meets(&["new", "old"], &["old"], true).await;
    meets(&["old"], &["new", "old"], true).await;
    meets(&["new", "old"], &["new"], true).await;
}

#[tokio::test]
async fn peers_know_each_other_and_where_to_dial() {
    let server = Server::start("rc-1", &[]).await;
    let seen = Recorder::new();
    let stop = CancellationToken::new();
    let agg = identity(Role::Agg, "agg-1", &[]);
    dial(vec![server.addr.to_string()], Spread::All, agg.clone(), options(), seen.clone(), stop.clone());
    let (ours, theirs) = (seen.link(0).await, server.seen.link(0).await);
    assert_eq!((ours.peer().role, ours.peer().name.text().as_ref()), (Role::Rc, "rc-1"));
    assert_eq!((theirs.peer().role, theirs.peer().instance), (Role::Agg, agg.instance));
    assert_eq!(theirs.peer().address, "127.0.0.1:5060");
    assert_eq!(*ours.own_address(), "127.0.0.1:5060");
    stop.cancel();
}

#[tokio::test]
async fn a_process_does_not_link_to_itself() {
    let rc = identity(Role::Rc, "rc", &[]);
    let server = Server::with("127.0.0.1:0".parse().unwrap(), rc.clone(), options()).await;
    let other = Server::start("other", &[]).await;
    let (seen, stop) = (Recorder::new(), CancellationToken::new());
    let addrs = vec![server.addr.to_string(), other.addr.to_string()];
    dial(addrs, Spread::All, rc, options(), seen.clone(), stop.clone());
    seen.link(0).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(seen.up.lock().unwrap().len(), 1);
    assert!(server.seen.up.lock().unwrap().is_empty());
    stop.cancel();
}

#[tokio::test]
async fn another_protocol_version_is_told_so() {
    let server = Server::start("rc", &[]).await;
    let (addr, options) = (server.addr.to_string(), ConnectOptions::default());
    let connection = connect(&addr, &Credentials::default(), &options).await.unwrap();
    let (mut reader, mut writer) = connection.split();
    let ours = identity(Role::Agg, "agg", &[]);
    let hello = Hello {
        protocol: PROTOCOL + 1,
        role: "agg".into(),
        name: "agg".into(),
        instance: ours.instance,
        address: "h:1".into(),
        nonce: ours.instance,
    };
    writer.send(Msg::from(hello).to_frame()).await.unwrap();
    let Body::Object(raw) = reader.next().await.unwrap().unwrap().body else { panic!("an error came") };
    let Ok(Msg::Refused(Refused { why })) = Msg::decode(&raw) else { panic!("{raw:?} came") };
    assert!(why.contains(&format!("protocol {}", PROTOCOL + 1)) && why.contains("same"), "{why}");
    assert!(reader.next().await.unwrap().is_none(), "the connection stays open");
}

#[tokio::test]
async fn strangers_cost_nothing_and_keep_nobody_out() {
    let opts = LinkOptions { connect_timeout: Duration::from_millis(300), ..options() };
    let rc = identity(Role::Rc, "rc", &["a secret"]);
    let server = Server::with("127.0.0.1:0".parse().unwrap(), rc, opts).await;
    let mut strangers = Vec::new();
    for garbage in [
        &b""[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"x\x06\0",
        b"x\x06\0\x01\0\0\0\xff\xff\xff\x7f\0\0",
        b"x\x06\0\x01\0\0\0\x0e\0\0\0\0\0\x07\0\0\0",
        b"x\x06\0\x01\x00\x00\x00\x0d\0\0\0\xf5abc\0",
        b"x\x06\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        strangers.push(stream);
    }
    let (seen, stop) = (Recorder::new(), CancellationToken::new());
    let agg = identity(Role::Agg, "agg", &["a secret"]);
    dial(vec![server.addr.to_string()], Spread::First, agg, options(), seen.clone(), stop.clone());
    server.seen.link(0).await;
    for mut stranger in strangers {
        let mut end = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stranger, &mut end);
        // An error is a reset, which is an end as well.
        let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("a stranger is kept");
    }
    assert_eq!(server.seen.up.lock().unwrap().len(), 1);
    stop.cancel();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_and_the_rest_lives_on() {
    let opts = LinkOptions { max_links: 1, ..options() };
    let rc = identity(Role::Rc, "rc", &[]);
    let server = Server::with("127.0.0.1:0".parse().unwrap(), rc, opts).await;
    let stop = CancellationToken::new();
    let addrs = vec![server.addr.to_string()];
    let start = |name: &str, stop: &CancellationToken| {
        let seen = Recorder::new();
        let agg = identity(Role::Agg, name, &[]);
        dial(addrs.clone(), Spread::First, agg, options(), seen.clone(), stop.clone());
        seen
    };
    let first_stop = stop.child_token();
    let first = start("first", &first_stop);
    first.link(0).await;
    let second = start("second", &stop);
    sleep(Duration::from_millis(200)).await;
    assert!(second.up.lock().unwrap().is_empty());
    assert!(first.down.lock().unwrap().is_empty());
    first_stop.cancel();
    second.link(0).await;
    stop.cancel();
}
