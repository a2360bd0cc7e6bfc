//! Answers that are compressed: by an aggregator, behind a header the gateway makes, or by the gateway itself.

mod common;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use common::*;
use kvalue::{Value, Vector};
use qipc::{Limits, Packer, Raw};
use sg::{
    msg::{self, Payload},
    opts::{PACKED, wants_packed},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Compresses well.
fn longs(n: i64) -> Value {
    Vector::longs((0..n).map(|i| i / 5).collect()).into()
}

fn stream_of(value: &Value) -> (Bytes, u64) {
    let object = Raw::of(value).0;
    let mut packer = Packer::new(object.len() / 2);
    packer.push(&object).expect("it halves");
    (packer.finish().into(), object.len() as u64)
}

/// What an aggregator says of a compressed payload, beside the usual.
fn packed(plain: u64) -> Raw {
    Raw::of(&dict(&[("agg", Value::sym(":127.0.0.1:5060")), (PACKED, (plain as i64).into())]))
}

async fn always(
    on_request: impl Fn(&Rc, &link::Sender, msg::Request) + Send + Sync + 'static,
) -> (Gw, RcProcess) {
    let rc = RcProcess::start(on_request).await;
    let gw = Gw::start(&[rc.addr], &[("QMESH_GW_COMPRESS", "always")]).await;
    gw.ready().await;
    (gw, rc)
}

/// The bytes of the answer to a call.
async fn raw(gw: &Gw, asked: &Value) -> Vec<u8> {
    let mut socket = TcpStream::connect(gw.qipc).await.unwrap();
    socket.write_all(b"user:pass\x03\0").await.unwrap();
    socket.read_u8().await.unwrap();
    socket.write_all(&frame(asked).0.concat()).await.unwrap();
    let mut message = vec![0; 8];
    socket.read_exact(&mut message).await.unwrap();
    let len = u32::from_le_bytes(message[4..8].try_into().unwrap()) as usize;
    message.resize(len, 0);
    socket.read_exact(&mut message[8..]).await.unwrap();
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_payload_follows_the_header_in_one_piece_and_in_many() {
    let agg: Arc<OnceLock<link::Sender>> = Arc::default();
    let answers = agg.clone();
    let (gw, _rc) = always(move |_, _, request| {
        let link = answers.get().expect("an aggregator");
        assert!(wants_packed(&request.opts));
        let n = if request.api == ".c.f" { 1_000_000 } else { 5_000 };
        let (stream, plain) = stream_of(&longs(n));
        if n > 5_000 {
            let head = msg::AnswerHead { extra: packed(plain), ..head(&request, stream.len()) };
            link.send(head).unwrap();
            for (i, chunk) in stream.chunks(100_000).enumerate() {
                link.send(data(&request, i * 100_000, Bytes::copy_from_slice(chunk))).unwrap();
            }
            return;
        }
        let payload = Payload::of_stream(stream);
        link.send(msg::Answer { extra: packed(plain), payload, ..answer(&request, &Value::Null) }).unwrap();
    })
    .await;
    // What it sends is less than it may send without credit.
    let (link, _heard, _stop) = aggregator(gw.qipc).await;
    agg.set(link).expect("once");
    let client = gw.client().await;
    for (api, n) in [(".kxi.getData", 5_000), (".c.f", 1_000_000)] {
        let asked = call(api, Value::empty_dict(), dict(&[("appId", 7i64.into())]));
        let (header, payload) = parts(&client.sync(&asked).await.unwrap());
        assert_eq!((rc_of(&header), payload), (0, longs(n)));
        assert_eq!(header.get("appId"), Some(7i64.into()));
        assert!(header.pairs().all(|(name, _)| !name.text().starts_with("qmesh")), "{header:?}");
        let message = raw(&gw, &asked).await;
        assert_eq!((message[2], message.len() < 3 * n as usize), (1, true), "compressed on the wire");
        assert!(qipc::decompress(&message.into(), &Limits::client()).is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_coordinator_answers_is_compressed_by_the_gateway() {
    let (gw, _rc) = always(|_, link, request| link.send(answer(&request, &longs(5_000))).unwrap()).await;
    let asked = call(".kxi.getData", Value::empty_dict(), Value::Null);
    assert_eq!(raw(&gw, &asked).await[2], 1);
    let (_, payload) = parts(&gw.client().await.sync(&asked).await.unwrap());
    assert_eq!(payload, longs(5_000));
    assert_eq!(gw.metric("qmesh_gw_compressed_total").await, 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_on_this_host_and_rest_get_plain_answers_and_nobody_else_is_asked_for_more() {
    let (here, _rc) = Gw::with(|_, link, request| {
        assert!(!wants_packed(&request.opts), "asked by the client itself");
        link.send(answer(&request, &longs(5_000))).unwrap();
    })
    .await;
    let asked = call(".kxi.getData", Value::empty_dict(), dict(&[("qmeshPack", true.into())]));
    assert_eq!(raw(&here, &asked).await[2], 0);

    let (gw, _rc) = always(|_, link, request| {
        let (stream, plain) = stream_of(&longs(5_000));
        let payload = Payload::of_stream(stream);
        let forced = msg::Answer { extra: packed(plain), payload, ..answer(&request, &Value::Null) };
        link.send(if wants_packed(&request.opts) { answer(&request, &Value::Null) } else { forced }).unwrap();
    })
    .await;
    let answered = post(gw.http, "/kxi/ping", "{}").await;
    assert!(answered.text().contains("not asked for"), "{}", answered.text());
}
