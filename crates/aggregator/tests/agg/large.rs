//! Large answers: in pieces, under credit.

use std::time::Duration;

use aggregator::{
    Options,
    core::Bounds,
    fair_streams::{CHUNK, START_WINDOW},
};
use bytes::Bytes;
use kvalue::{Table, Value, Vector};
use sg::{
    Corr, Msg, Rc,
    api::{AGG_GET_DATA, AGG_RAZE},
    msg::{AnswerHead, Credit, Plan, Stop},
};

use crate::fakes::{Mesh, decoded, is, partial};

const A: Corr = Corr([1; 16]);
const B: Corr = Corr([2; 16]);

/// A table whose only column has this many longs.
fn rows(from: i64, n: i64) -> Value {
    Table::of([("x", Value::from(Vector::longs((from..from + n).collect())))]).unwrap().into()
}

/// Receives an answer to its end, giving credit for what came.
async fn receive(mesh: &Mesh, head: &AnswerHead) -> Value {
    qipc::decode(receive_bytes(mesh, head).await, &qipc::Limits::internal()).unwrap()
}

async fn receive_bytes(mesh: &Mesh, head: &AnswerHead) -> Bytes {
    let link = mesh.gw.heard.link().await;
    let corr = head.corr;
    let mut object = Vec::new();
    while (object.len() as i64) < head.total {
        let data = mesh
            .gw
            .heard
            .next("data", |m| match m {
                Msg::AnswerData(d) if d.corr == corr => Some(d.clone()),
                _ => None,
            })
            .await;
        assert_eq!(data.offset, object.len() as i64, "in order");
        object.extend(data.chunk.0.concat());
        link.send(Credit { corr, attempt: head.attempt, bytes: data.chunk.len() as i64 }).unwrap();
    }
    object.into()
}

async fn ask(mesh: &Mesh, corr: Corr, n: i64) -> AnswerHead {
    mesh.plans.send(mesh.plan(corr, AGG_RAZE, 2)).unwrap();
    mesh.dap.send(partial(corr, 1, &rows(n, n))).unwrap();
    mesh.dap.send(partial(corr, 0, &rows(0, n))).unwrap();
    mesh.gw
        .heard
        .next("head", |m| match m {
            Msg::AnswerHead(h) if h.corr == corr => Some(h.clone()),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_answer_arrives_whole_and_in_order() {
    let mesh = Mesh::start().await;
    let head = ask(&mesh, A, 1_000_000).await;
    assert_eq!(head.rc, Rc::OK);
    assert!(head.total > 16_000_000);
    assert_eq!(receive(&mesh, &head).await, rows(0, 2_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_is_sent_than_there_is_credit_for() {
    let mesh = Mesh::start().await;
    let head = ask(&mesh, A, 500_000).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let chunks = mesh.gw.heard.count(|m| matches!(m, Msg::AnswerData(_)));
    assert_eq!(chunks as u64, START_WINDOW / CHUNK as u64);
    assert_eq!(receive(&mesh, &head).await, rows(0, 1_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_up_neither_another_large_answer_nor_a_small_one() {
    let mesh = Mesh::start().await;
    let slow = ask(&mesh, A, 500_000).await;
    let quick = ask(&mesh, B, 400_000).await;
    assert_eq!(receive(&mesh, &quick).await, rows(0, 800_000));
    let small = Corr([3; 16]);
    mesh.plans.send(mesh.plan(small, AGG_RAZE, 1)).unwrap();
    mesh.dap.send(partial(small, 0, &rows(0, 10))).unwrap();
    let answer = mesh.gw.heard.next("small answer", is!(Answer)).await;
    assert_eq!((answer.corr, decoded(answer.payload)), (small, rows(0, 10)));
    assert_eq!(receive(&mesh, &slow).await, rows(0, 1_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_answer_frees_what_it_held() {
    let options =
        Options { bounds: Bounds { memory: 10_000_000, ..Bounds::default() }, ..Options::default() };
    let mesh = Mesh::with(options).await;
    ask(&mesh, A, 500_000).await;
    // 8 MB are held: another 8 MB do not fit.
    mesh.plans.send(mesh.plan(B, AGG_RAZE, 1)).unwrap();
    mesh.dap.send(partial(B, 0, &rows(0, 1_000_000))).unwrap();
    let refused = mesh.gw.heard.next("refusal", is!(Answer)).await;
    assert_eq!((refused.corr, refused.rc), (B, Rc::LIMIT));
    assert!(refused.ai.contains("QMESH_AGG_MEMORY"), "{}", refused.ai);
    mesh.gw.heard.link().await.send(Stop { corr: A, attempt: 0 }).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let head = ask(&mesh, Corr([3; 16]), 500_000).await;
    assert_eq!(receive(&mesh, &head).await, rows(0, 1_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_gateway_and_one_that_gives_no_credit_free_what_was_held() {
    let mut options = Options {
        bounds: Bounds { memory: 10_000_000, ..Bounds::default() },
        stream_stall: Duration::from_millis(1500),
        ..Options::default()
    };
    options.process.link.backoff_max = Duration::from_millis(100);
    let mesh = Mesh::with(options).await;
    ask(&mesh, A, 500_000).await;
    mesh.gw.heard.link().await.close("restart");
    // The aggregator has noticed: what it had handed to that link may be lost.
    mesh.rc.heard.next("what may be lost", is!(Undelivered)).await;
    let head = ask(&mesh, B, 500_000).await;
    assert_eq!(head.rc, Rc::OK);
    // No credit for B: after the stall there is room again.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let head = ask(&mesh, Corr([3; 16]), 500_000).await;
    assert_eq!(receive(&mesh, &head).await, rows(0, 1_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_get_data_are_cut_by_the_limit_over_all_partials() {
    let mesh = Mesh::start().await;
    let args = kvalue::Dict::of([("table", Value::sym("trade")), ("limit", Value::from(250_000i64))]);
    let args = qipc::Raw::of(&args.into());
    mesh.plans.send(Plan { args, ..mesh.plan(A, AGG_GET_DATA, 2) }).unwrap();
    mesh.dap.send(partial(A, 0, &rows(0, 200_000))).unwrap();
    mesh.dap.send(partial(A, 1, &rows(200_000, 200_000))).unwrap();
    let head = mesh.gw.heard.next("head", is!(AnswerHead)).await;
    let extra = head.extra.decode(&qipc::Limits::internal()).unwrap();
    assert_eq!(extra.as_dict().unwrap().get("limitApplied"), Some(true.into()));
    assert_eq!(receive(&mesh, &head).await, rows(0, 250_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_elsewhere_gets_its_answer_compressed_in_one_piece_or_in_many() {
    let mesh = Mesh::start().await;
    for (corr, n) in [(A, 1_000), (B, 3_000_000)] {
        let mut plan = mesh.plan(corr, AGG_RAZE, 2);
        plan.opts = sg::opts::Opts::default().to_raw_packed();
        mesh.plans.send(plan).unwrap();
        mesh.dap.send(partial(corr, 1, &rows(n, n))).unwrap();
        mesh.dap.send(partial(corr, 0, &rows(0, n))).unwrap();
        let (extra, stream) = mesh
            .gw
            .heard
            .next("an answer", |m| match m {
                Msg::AnswerHead(h) if h.corr == corr => Some((h.extra.clone(), Err(h.clone()))),
                Msg::Answer(a) if a.corr == corr => Some((a.extra.clone(), Ok(a.payload.clone()))),
                _ => None,
            })
            .await;
        let mut extra = sg::opts::pairs(&extra.0, &qipc::Limits::internal()).unwrap();
        let plain = sg::opts::take_packed(&mut extra).unwrap().expect("the length of the payload");
        let stream = match stream {
            Ok(payload) => payload.into_stream().expect("a byte vector").into_bytes(),
            Err(head) => receive_bytes(&mesh, &head).await,
        };
        assert!(stream.len() as u64 * 2 <= plain, "{} of {plain}", stream.len());
        let start = qipc::packed_head(qipc::MessageType::Response, &[1; 16], plain, stream.len() as u64);
        let message = [&start.unwrap()[..], &stream].concat();
        let read = qipc::decompress(&message.into(), &qipc::Limits::internal()).unwrap();
        assert_eq!(qipc::decode(read.slice(24..), &qipc::Limits::internal()).unwrap(), rows(0, 2 * n));
    }
}
