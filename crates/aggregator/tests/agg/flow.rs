//! Requests through the process.

use aggregator::Options;
use kvalue::{Dict, Value, Vector};
use link::Role;
use qipc::{Limits, Raw};
use sg::{
    Ac, Corr, Msg, PortionId, Rc,
    api::{AGG_GET_DATA, AGG_PREVIEW, AGG_RAZE},
    msg::{Abandon, Partial, Payload, Plan},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::fakes::{Mesh, Peer, decoded, is, partial};

const C: Corr = Corr([1; 16]);

fn longs(items: &[i64]) -> Value {
    Vector::longs(items.to_vec()).into()
}

#[tokio::test]
async fn an_aggregator_registers_with_its_functions() {
    let mesh = Mesh::start().await;
    let registered = mesh.rc.heard.next("registration", is!(RegisterAgg)).await;
    let names: Vec<String> = registered.agg_fns.iter().map(|a| a.name.text().into_owned()).collect();
    assert_eq!(names, [AGG_RAZE, AGG_GET_DATA, AGG_PREVIEW]);
    assert_eq!(registered.outstanding, 0);
    assert_eq!(mesh.plans.peer().address, mesh.agg.to_string().as_str());
}

#[tokio::test]
async fn partials_become_one_answer_at_the_gateway_and_the_coordinator_hears_of_each() {
    let mesh = Mesh::start().await;
    mesh.plans.send(mesh.plan(C, AGG_RAZE, 2)).unwrap();
    mesh.dap.send(partial(C, 1, &longs(&[3, 4]))).unwrap();
    let got = mesh.rc.heard.next("got", is!(Got)).await;
    assert_eq!((got.corr, got.portion), (C, PortionId(1)));
    mesh.dap.send(partial(C, 0, &longs(&[1, 2]))).unwrap();
    let answer = mesh.gw.heard.next("answer", is!(Answer)).await;
    assert_eq!((answer.corr, answer.attempt, answer.rc), (C, 0, Rc::OK));
    assert_eq!(decoded(answer.payload), longs(&[1, 2, 3, 4]));
    let extra = answer.extra.decode(&Limits::internal()).unwrap();
    let extra = extra.as_dict().unwrap();
    assert_eq!(extra.get("agg"), Some(Value::sym(format!(":{}", mesh.agg))));
    assert_eq!(extra.get("refVintage"), Some((-i64::MAX).into()));
    assert_eq!(extra.get("limitApplied"), None);
}

/// The gateway says that the answer has come: the coordinator need not hear twice of what is in it.
#[tokio::test]
async fn the_partial_that_completes_an_answer_is_not_told_of() {
    let mesh = Mesh::start().await;
    let [linked, one, two] = [1, 2, 3].map(|n| Corr([n; 16]));
    for corr in [linked, one] {
        mesh.plans.send(mesh.plan(corr, AGG_RAZE, 1)).unwrap();
        mesh.dap.send(partial(corr, 0, &longs(&[1]))).unwrap();
        assert_eq!(mesh.gw.heard.next("answer", is!(Answer)).await.corr, corr);
    }
    mesh.plans.send(mesh.plan(two, AGG_RAZE, 2)).unwrap();
    mesh.dap.send(partial(two, 0, &longs(&[1]))).unwrap();
    let of = |corr| move |m: &Msg| matches!(m, Msg::Got(got) if got.corr == corr).then_some(());
    mesh.rc.heard.next("got of the last request", of(two)).await;
    assert_eq!(mesh.rc.heard.count(|m| of(one)(m).is_some()), 0);
}

/// The answer may be lost with the link: the coordinator is told, and has it done again.
#[tokio::test]
async fn a_gateway_link_that_is_lost_may_have_taken_answers_with_it() {
    let mesh = Mesh::start().await;
    mesh.plans.send(mesh.plan(C, AGG_RAZE, 1)).unwrap();
    mesh.dap.send(partial(C, 0, &longs(&[1]))).unwrap();
    mesh.gw.heard.next("answer", is!(Answer)).await;
    mesh.gw.heard.link().await.close("it breaks");
    let lost = mesh.rc.heard.next("what may be lost", is!(Undelivered)).await;
    assert_eq!((lost.corrs, lost.attempts, lost.rc), (vec![C], vec![0], Rc::CONN));
}

#[tokio::test]
async fn many_requests_at_once_are_each_answered_once() {
    let mesh = Mesh::start().await;
    let corr = |i: u32| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&i.to_le_bytes());
        Corr(id)
    };
    for i in 0..500 {
        mesh.plans.send(mesh.plan(corr(i), AGG_RAZE, 3)).unwrap();
        for id in [2, 0, 1] {
            mesh.dap.send(partial(corr(i), id, &longs(&[i64::from(i), i64::from(id)]))).unwrap();
        }
    }
    let mut seen = std::collections::HashSet::new();
    for _ in 0..500 {
        let answer = mesh.gw.heard.next("answer", is!(Answer)).await;
        let i = u32::from_le_bytes(answer.corr.0[..4].try_into().unwrap());
        assert!(seen.insert(i), "{i} twice");
        let i = i64::from(i);
        assert_eq!(decoded(answer.payload), longs(&[i, 0, i, 1, i, 2]));
    }
    let got = || mesh.rc.heard.count(|m| matches!(m, Msg::Got(_)));
    while got() < 1000 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_unknown_function_is_an_error_that_names_it_and_the_known_ones() {
    let mesh = Mesh::start().await;
    mesh.plans.send(mesh.plan(C, ".my.agg", 1)).unwrap();
    mesh.dap.send(partial(C, 0, &longs(&[1]))).unwrap();
    let answer = mesh.gw.heard.next("answer", is!(Answer)).await;
    assert_eq!((answer.rc, answer.ac), (Rc::NOT_SUPPORTED, Ac::API));
    assert!(answer.ai.contains(".my.agg") && answer.ai.contains(AGG_RAZE), "{}", answer.ai);
    assert_eq!(decoded(answer.payload), Value::list([]));
}

#[tokio::test]
async fn a_failed_portion_fails_the_request_and_partials_are_returned_where_wanted() {
    let mesh = Mesh::start().await;
    let failed = |corr| Partial {
        rc: Rc::APP,
        ac: Ac::ARG,
        ai: "no such column".into(),
        payload: Payload::empty(),
        ..partial(corr, 1, &Value::Null)
    };
    mesh.plans.send(mesh.plan(C, AGG_RAZE, 2)).unwrap();
    mesh.dap.send(failed(C)).unwrap();
    let answer = mesh.gw.heard.next("answer", is!(Answer)).await;
    assert_eq!((answer.rc, answer.ac, answer.ai.as_str()), (Rc::APP, Ac::ARG, "no such column"));
    assert_eq!(decoded(answer.payload), Value::list([]));

    let other = Corr([2; 16]);
    let opts = Raw::of(&Dict::of([("sendPartials", Value::from(true))]).into());
    mesh.plans.send(Plan { opts, ..mesh.plan(other, AGG_RAZE, 2) }).unwrap();
    mesh.dap.send(failed(other)).unwrap();
    mesh.dap.send(partial(other, 0, &longs(&[7]))).unwrap();
    let answer = mesh.gw.heard.next("answer", is!(Answer)).await;
    assert_eq!((answer.corr, answer.rc), (other, Rc::APP));
    assert_eq!(decoded(answer.payload), Value::list([longs(&[7]), Value::list([])]));
}

#[tokio::test]
async fn an_abandoned_request_is_not_answered() {
    let mesh = Mesh::start().await;
    let other = Corr([2; 16]);
    mesh.plans.send(mesh.plan(C, AGG_RAZE, 1)).unwrap();
    mesh.plans.send(Abandon { corr: C, attempt: 0 }).unwrap();
    mesh.plans.send(mesh.plan(other, AGG_RAZE, 1)).unwrap();
    // Its registration has been read when the partials are: the links are not ordered among each other.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    mesh.dap.send(partial(C, 0, &longs(&[1]))).unwrap();
    mesh.dap.send(partial(other, 0, &longs(&[2]))).unwrap();
    let answer = mesh.gw.heard.next("answer", is!(Answer)).await;
    assert_eq!(answer.corr, other);
    assert_eq!(mesh.gw.heard.count(|m| matches!(m, Msg::Answer(_))), 0);
}

#[tokio::test]
async fn a_gateway_that_cannot_be_reached_is_told_to_the_coordinator() {
    let mut options = Options::default();
    options.process.link.connect_timeout = std::time::Duration::from_millis(200);
    let mesh = Mesh::with(options).await;
    let nowhere = "127.0.0.1:1".into();
    mesh.plans.send(Plan { gw: nowhere, ..mesh.plan(C, AGG_RAZE, 1) }).unwrap();
    mesh.dap.send(partial(C, 0, &longs(&[1]))).unwrap();
    let lost = mesh.rc.heard.next("what could not be delivered", is!(Undelivered)).await;
    assert_eq!((lost.corrs, lost.attempts, lost.rc), (vec![C], vec![0], Rc::CONN));
    assert!(lost.ai.contains("127.0.0.1:1"), "{}", lost.ai);
}

#[tokio::test]
async fn messages_of_the_wrong_role_change_nothing() {
    let mesh = Mesh::start().await;
    mesh.dap.send(mesh.plan(C, AGG_RAZE, 1)).unwrap();
    mesh.plans.send(partial(C, 0, &longs(&[1]))).unwrap();
    mesh.plans.send(mesh.plan(C, AGG_RAZE, 1)).unwrap();
    mesh.dap.send(partial(C, 0, &longs(&[2]))).unwrap();
    let answer = mesh.gw.heard.next("answer", is!(Answer)).await;
    assert_eq!(decoded(answer.payload), longs(&[2]));
}

#[tokio::test]
async fn a_restarted_coordinator_gets_a_new_registration() {
    let mesh = Mesh::start().await;
    mesh.rc.heard.next("registration", is!(RegisterAgg)).await;
    mesh.plans.close("restart");
    let again = mesh.rc.heard.next("second registration", is!(RegisterAgg)).await;
    assert_eq!(again.agg_fns.len(), 3);
    let link = loop {
        let link = mesh.rc.heard.link().await;
        if link.id() != mesh.plans.id() {
            break link;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    link.send(mesh.plan(C, AGG_RAZE, 1)).unwrap();
    mesh.dap.send(partial(C, 0, &longs(&[1]))).unwrap();
    mesh.gw.heard.next("answer", is!(Answer)).await;
}

async fn get(addr: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn readiness_names_the_custom_file_and_metrics_count() {
    let warning = "KXI_CUSTOM_FILE is set to agg.q but no q engine is built in".to_string();
    let mesh = Mesh::with(Options { warnings: vec![warning], ..Options::default() }).await;
    mesh.plans.send(mesh.plan(C, AGG_RAZE, 1)).unwrap();
    mesh.dap.send(partial(C, 0, &longs(&[1]))).unwrap();
    mesh.gw.heard.next("answer", is!(Answer)).await;
    mesh.dap.send(partial(C, 0, &longs(&[1]))).unwrap();
    let ready = get(mesh.http, "/readyz?verbose").await;
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(ready.contains("coordinators linked: 1") && ready.contains("agg.q"), "{ready}");
    let late = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let metrics = get(mesh.http, "/metrics").await;
        let has = |line: &str| metrics.lines().any(|l| l == line);
        if has("kxi_agg_ipc_reqs_total 1")
            && has("qmesh_agg_partials_total 1")
            && has(r#"qmesh_agg_partials_dropped_total{why="late"} 1"#)
            && has("kxi_agg_fn_time_count 1")
            && has("qmesh_agg_outstanding 0")
        {
            break;
        }
        assert!(std::time::Instant::now() < late, "{metrics}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn without_a_coordinator_it_is_alive_but_not_ready() {
    let mesh = Mesh::start().await;
    mesh.rc.stop.cancel();
    let late = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !get(mesh.http, "/readyz").await.starts_with("HTTP/1.1 503") {
        assert!(std::time::Instant::now() < late, "still ready");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(get(mesh.http, "/healthz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn two_aggregators_live_in_one_process() {
    let (a, b) = tokio::join!(Mesh::start(), Mesh::start());
    assert_ne!(a.agg, b.agg);
    for mesh in [&a, &b] {
        mesh.plans.send(mesh.plan(C, AGG_RAZE, 1)).unwrap();
        mesh.dap.send(partial(C, 0, &longs(&[1]))).unwrap();
        mesh.gw.heard.next("answer", is!(Answer)).await;
    }
    // A gateway of another mesh's coordinator is as good as one's own.
    let other = Peer::start(Role::Gw, "another").await;
    let c = Corr([3; 16]);
    a.plans.send(Plan { gw: other.address(), ..a.plan(c, AGG_RAZE, 1) }).unwrap();
    a.dap.send(partial(c, 0, &longs(&[1]))).unwrap();
    other.heard.next("answer", is!(Answer)).await;
    assert!(a.pool().get_now(&a.agg.to_string().into()).is_some());
}
