//! What a bad client does costs it an error or its connection; a well-behaved one never notices.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use kvalue::{Dict, Value};
use qipc::{Frame, MessageType};
use testkit::Up;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use crate::{
    ask::{Asker, PATIENCE, eventually, qmesh},
    cluster::up,
    data::{TRADES, sample},
};

/// A client that asks and asks, and is right every time.
struct Good {
    looks: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Good {
    async fn start(addr: SocketAddr) -> Good {
        let (looks, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let asker = Asker::to(addr).await;
        let task = tokio::spawn({
            let (looks, stop) = (looks.clone(), stop.clone());
            async move {
                while !stop.load(Ordering::SeqCst) {
                    assert_eq!(asker.count("trade", vec![]).await.n(), TRADES);
                    looks.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Good { looks, stop, task }
    }

    async fn goes_on(&self, after: &str) {
        let from = self.looks.load(Ordering::SeqCst);
        eventually(&format!("right answers after {after}"), async || {
            assert!(!self.task.is_finished(), "the good client met an error: {after}");
            (self.looks.load(Ordering::SeqCst) > from + 2).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.expect("every answer was right");
    }
}

async fn raw(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.expect("a connection")
}

/// A connection behind its handshake.
async fn shaken(addr: SocketAddr) -> TcpStream {
    let mut stream = raw(addr).await;
    stream.write_all(b"mallory:\x03\0").await.expect("a handshake");
    stream.read_u8().await.expect("the gateway's version");
    stream
}

/// A sync message of this length field and body.
fn message(len: u32, compressed: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![1, 1, compressed, 0];
    out.extend(len.to_le_bytes());
    out.extend(body);
    out
}

fn honest(body: &[u8]) -> Vec<u8> {
    message(8 + body.len() as u32, 0, body)
}

/// Sends bytes and reads until there is an error message or the end; what came.
async fn costs_an_error_or_the_connection(addr: SocketAddr, what: &str, bytes: &[u8]) {
    let mut stream = shaken(addr).await;
    // The gateway may close before all is written.
    let _ = stream.write_all(bytes).await;
    let mut head = [0; 9];
    match tokio::time::timeout(PATIENCE, stream.read_exact(&mut head)).await {
        // A response whose object is a q error.
        Ok(Ok(_)) => assert_eq!((head[1], head[8]), (2, 0x80), "{what}: {head:?}"),
        Ok(Err(_closed)) => {}
        Err(_) => panic!("{what}: neither an error nor the end"),
    }
}

/// A request for all rows of `trade`.
fn everything() -> Vec<u8> {
    let args = Dict::of([("table", Value::sym("trade"))]);
    let call = Value::list([Value::sym(".kxi.getData"), args.into(), Value::sym(""), Value::empty_dict()]);
    Frame::of_value(MessageType::Sync, &call).expect("a frame").0.iter().flatten().copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_cost_their_sender_only() {
    let mesh = up(Up::new(qmesh()).db(sample(), "")).await;
    let good = Good::start(mesh.qipc()).await;
    let addr = mesh.qipc();
    let lists: Vec<u8> = [0u8, 0, 1, 0, 0, 0].repeat(100_000);
    let mut longs = vec![7, 0];
    longs.extend(1_000_000_000u32.to_le_bytes());
    let attacks: [(&str, Vec<u8>); 9] = [
        ("a length of 4 GB", message(u32::MAX, 0, &[])),
        ("a length shorter than the header", message(4, 0, &[])),
        ("a list nested 100,000 deep", honest(&lists)),
        ("a vector that claims more than is there", honest(&longs)),
        ("a type that does not exist", honest(&[0x60, 1, 2, 3])),
        ("no object at all", honest(&[])),
        ("a byte order that does not exist", vec![9, 1, 0, 0, 9, 0, 0, 0, 0xff]),
        (
            "compressed data that claims 2 GB",
            message(20, 1, &[0xff, 0xff, 0xff, 0x7f, 0, 1, 2, 3, 4, 5, 6, 7]),
        ),
        ("compressed data that points nowhere", message(20, 1, &[64, 0, 0, 0, 0xff, 9, 9, 9, 9, 9, 9, 9])),
    ];
    for (what, bytes) in &attacks {
        costs_an_error_or_the_connection(addr, what, bytes).await;
        good.goes_on(what).await;
    }

    // Before the handshake is over: what is no handshake is cut at its longest length.
    let mut babbler = raw(addr).await;
    let _ = babbler.write_all(&[b'x'; 1 << 20]).await;
    let mut rest = Vec::new();
    let cut = tokio::time::timeout(PATIENCE, babbler.read_to_end(&mut rest)).await;
    assert!(cut.is_ok() && rest.is_empty(), "a handshake without end: {cut:?}");
    // HTTP to the QIPC port, QIPC to the HTTP port, half a handshake: held open while the good client goes on.
    let mut lost = raw(addr).await;
    lost.write_all(b"GET /data HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("written");
    let mut strayed = raw(mesh.http()).await;
    strayed.write_all(b"mallory:\x03\0\x01\x01\0\0").await.expect("written");
    let mut half = raw(addr).await;
    half.write_all(b"mallory").await.expect("written");
    good.goes_on("protocols at the wrong port").await;
    good.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_quitters_and_crowds_cost_others_nothing() {
    let mesh = up(Up::new(qmesh()).db(sample(), "")).await;
    let good = Good::start(mesh.qipc()).await;
    let addr = mesh.qipc();

    // They ask for all rows and read none of them.
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut stream = shaken(addr).await;
        stream.write_all(&everything()).await.expect("written");
        stream.readable().await.expect("the answer begins");
        slow.push(stream);
    }
    good.goes_on("slow readers").await;

    // They go when the answer has begun.
    for _ in 0..8 {
        let mut stream = shaken(addr).await;
        stream.write_all(&everything()).await.expect("written");
        let mut some = vec![0; 64 << 10];
        stream.read_exact(&mut some).await.expect("the answer begins");
    }
    good.goes_on("clients that quit").await;

    // They ask and go before there is an answer.
    for _ in 0..50 {
        let mut stream = shaken(addr).await;
        stream.write_all(&everything()).await.expect("written");
    }
    good.goes_on("clients that do not wait").await;

    let mut crowd = Vec::new();
    for n in 0..250 {
        crowd.push(shaken(addr).await);
        if n % 50 == 0 {
            good.goes_on("a crowd").await;
        }
    }
    let crowd_of_silent: Vec<TcpStream> = {
        let mut all = Vec::new();
        for _ in 0..250 {
            all.push(raw(addr).await);
        }
        all
    };
    good.goes_on("a crowd that says nothing").await;
    drop((crowd, crowd_of_silent));

    // One that was slow reads on: its answer is whole.
    let mut late = slow.pop().expect("a slow reader");
    let mut head = [0; 8];
    late.read_exact(&mut head).await.expect("the head of the answer");
    let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    assert!(len > 10 << 20, "all rows are more than {len} bytes");
    let mut body = vec![0; len - 8];
    let whole = tokio::time::timeout(PATIENCE, late.read_exact(&mut body)).await;
    assert!(matches!(whole, Ok(Ok(_))), "{whole:?}");
    good.goes_on("a slow reader that catches up").await;
    good.end().await;
}
