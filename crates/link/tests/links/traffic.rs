//! What goes over a live link.

use std::time::Duration;

use link::{LinkOptions, Role, SendError, Sender, Spread, dial};
use qipc::Raw;
use sg::{
    Ac, Corr, Msg, PortionId, Rc,
    msg::{AnswerData, Chunk, Partial, Payload},
};
use tokio_util::sync::CancellationToken;

use crate::common::{Recorder, Server, identity, numbered, options};

async fn pair(opts: LinkOptions) -> (Server, std::sync::Arc<Recorder>, Sender, CancellationToken) {
    let rc = identity(Role::Rc, "rc", &[]);
    let server = Server::with("127.0.0.1:0".parse().unwrap(), rc, opts.clone()).await;
    let (seen, stop) = (Recorder::new(), CancellationToken::new());
    let agg = identity(Role::Agg, "agg", &[]);
    dial(vec![server.addr.to_string()], Spread::First, agg, opts, seen.clone(), stop.clone());
    let link = seen.link(0).await;
    (server, seen, link, stop)
}

fn partial(bytes: usize) -> Partial {
    // A byte vector of this length, as an object.
    let mut object = vec![4, 0];
    object.extend((bytes as u32).to_le_bytes());
    object.resize(6 + bytes, 7);
    Partial {
        corr: Corr([1; 16]),
        attempt: 0,
        portion: PortionId(0),
        rc: Rc::OK,
        ac: Ac::OK,
        ai: String::new(),
        extra: Raw::of(&kvalue::Value::Null),
        lone: None,
        payload: Payload(vec![object.into()]),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_small_and_large_arrive_whole_and_in_order() {
    let (server, _, link, stop) = pair(options()).await;
    const N: i64 = 2000;
    for n in 0..N {
        link.send(numbered(n)).unwrap();
        if n % 500 == 0 {
            link.send(partial(3 << 20)).unwrap();
        }
    }
    server.seen.until("all messages", |r| r.count() == N as usize + 4).await;
    let messages = server.seen.messages.lock().unwrap();
    let mut next = 0;
    for msg in messages.iter() {
        match msg {
            Msg::Credit(m) => {
                assert_eq!(m.bytes, next);
                next += 1;
            }
            Msg::Partial(m) => assert_eq!((m.payload.len(), next % 500), ((3 << 20) + 6, 1)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(link.queued_bytes(), 0);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_peer_that_does_not_keep_up_is_cut_alone() {
    let (slow, slow_seen, slow_link, stop) = pair(LinkOptions { send_limit: 1 << 20, ..options() }).await;
    let (other, _, other_link, stop_other) = pair(options()).await;
    let held = slow.seen.gate.lock().unwrap();
    let mut sent = 0;
    let err = loop {
        match slow_link.send(partial(256 << 10)) {
            Ok(()) => sent += 1,
            Err(e) => break e,
        }
        assert!(sent < 10_000, "nothing bounds the queue");
    };
    assert_eq!(err, SendError::Full);
    assert_eq!(slow_link.send(numbered(1)), Err(SendError::Closed));
    other_link.send(numbered(1)).unwrap();
    drop(held);
    other.seen.until("the other link's message", |r| r.count() == 1).await;
    let why = slow_seen.lost(0).await;
    assert!(why.contains("QMESH_LINK_QUEUE"), "{why}");
    stop.cancel();
    stop_other.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_with_room_goes_through_while_other_messages_pass() {
    let (server, _, link, stop) = pair(LinkOptions { send_limit: 4 << 20, ..options() }).await;
    let data: bytes::Bytes = vec![1; 256 << 10].into();
    for i in 0..100 {
        let offset = i * data.len() as i64;
        let chunk = Chunk(vec![data.clone()]);
        let msg = Msg::from(AnswerData { corr: Corr([1; 16]), attempt: 0, offset, chunk });
        link.send_when_room(msg.to_frame()).await.unwrap();
        if i % 10 == 0 {
            link.send(numbered(i)).unwrap();
        }
    }
    server.seen.until("all of the stream", |r| r.count() == 110).await;
    stop.cancel();
}

#[tokio::test]
async fn what_was_queued_when_a_link_is_closed_still_arrives() {
    let (server, seen, link, stop) = pair(options()).await;
    (0..100).for_each(|n| link.send(numbered(n)).unwrap());
    link.close("enough");
    assert_eq!(link.send(numbered(100)), Err(SendError::Closed));
    server.seen.until("what was queued", |r| r.count() == 100).await;
    assert_eq!(seen.lost(0).await, "enough");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.seen.count(), 100);
    stop.cancel();
}

/// Sends back what comes; some of it takes a while.
struct Echo;

impl link::Handler for Echo {
    fn up(&self, _: &Sender) {}
    fn message(&self, link: &Sender, msg: Msg) {
        if matches!(&msg, Msg::Credit(m) if m.bytes % 300 == 0) {
            std::thread::sleep(Duration::from_millis(1));
        }
        link.send(msg).unwrap();
    }
    fn down(&self, _: &Sender, _: &str) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_while_a_batch_is_worked_on_leaves_at_its_end_in_order_and_whole() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let rc = identity(Role::Rc, "rc", &[]);
    tokio::spawn(link::serve(listener, rc, options(), std::sync::Arc::new(Echo), stop.clone()));
    let seen = Recorder::new();
    let agg = identity(Role::Agg, "agg", &[]);
    dial(vec![addr.to_string()], Spread::First, agg, options(), seen.clone(), stop.clone());
    let link = seen.link(0).await;
    // In bursts of several lengths, each back before the next begins: none waits for what comes later.
    let (mut sent, mut expected) = (0, Vec::new());
    for burst in [1, 2, 31, 32, 33, 64, 500, 1, 2000, 1] {
        for n in sent..sent + burst {
            expected.push(Msg::from(numbered(n)));
            link.send(numbered(n)).unwrap();
            if n % 200 == 199 {
                // Long enough to be taken apart elsewhere.
                expected.push(partial(1 << 20).into());
                link.send(partial(1 << 20)).unwrap();
            }
        }
        sent += burst;
        seen.until("the burst back", |r| r.count() == expected.len()).await;
    }
    assert!(*seen.messages.lock().unwrap() == expected);
    stop.cancel();
}
