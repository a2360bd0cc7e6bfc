//! The process over real sockets: registers what dials it, routes a request, heals, answers over HTTP.

use std::{sync::Arc, time::Duration};

use coordinator::{Coordinator, Handle, Options};
use kvalue::{Sym, Value};
use link::{Handler, Identity, LinkOptions, Role, Sender, Spread};
use sg::{
    Corr, InstanceId, LabelSet, Msg, Purview, Rc, TimeRange,
    config::Env,
    msg::{Answered, Done, Got, Idle, RegisterAgg, RegisterDap, Request},
    purview::{TableKind, TablePurview},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// What a peer of the coordinator saw.
#[derive(Debug)]
enum Seen {
    Up(Sender),
    Msg(Sender, Box<Msg>),
    Down,
}

struct Watch(mpsc::UnboundedSender<Seen>);

impl Handler for Watch {
    fn up(&self, link: &Sender) {
        let _ = self.0.send(Seen::Up(link.clone()));
    }
    fn message(&self, link: &Sender, msg: Msg) {
        let _ = self.0.send(Seen::Msg(link.clone(), Box::new(msg)));
    }
    fn down(&self, _: &Sender, _: &str) {
        let _ = self.0.send(Seen::Down);
    }
}

struct Peer(mpsc::UnboundedReceiver<Seen>);

impl Peer {
    fn dial(role: Role, name: &str, addr: String, stop: &CancellationToken) -> Peer {
        let (seen, events) = mpsc::unbounded_channel();
        let identity = Identity {
            role,
            name: name.into(),
            instance: InstanceId::random(),
            address: format!("{name}:1").into(),
            secrets: link::Secrets::none(),
        };
        let handler = Arc::new(Watch(seen));
        let links = LinkOptions::default();
        link::dial(vec![addr], Spread::First, Arc::new(identity), links, handler, stop.clone());
        Peer(events)
    }

    async fn next(&mut self) -> Seen {
        let event = tokio::time::timeout(Duration::from_secs(20), self.0.recv()).await;
        event.expect("something happens in time").expect("the link task lives")
    }

    async fn up(&mut self) -> Sender {
        loop {
            if let Seen::Up(link) = self.next().await {
                return link;
            }
        }
    }

    /// The next message of this name.
    async fn hears(&mut self, name: &str) -> (Sender, Msg) {
        loop {
            if let Seen::Msg(link, msg) = self.next().await
                && msg.name() == name
            {
                return (link, *msg);
            }
        }
    }
}

struct Rc0 {
    addr: String,
    http: String,
    handle: Handle,
    task: JoinHandle<Result<(), coordinator::Error>>,
    stop: CancellationToken,
}

async fn start(port: u16) -> Rc0 {
    start_with(port, |_| ()).await
}

async fn start_with(port: u16, change: impl FnOnce(&mut Options)) -> Rc0 {
    let env = Env::of([
        ("KXI_NAME", "rc-0".to_string()),
        ("KXI_PORT", port.to_string()),
        ("QMESH_HTTP_PORT", "0".into()),
        ("QMESH_RC_SETTLE", "0".into()),
    ]);
    let mut options = Options::from_env(&env).unwrap();
    options.process.bind = "127.0.0.1".into();
    change(&mut options);
    let coordinator = Coordinator::bind(options).await.unwrap();
    let stop = CancellationToken::new();
    Rc0 {
        addr: coordinator.local_addr().to_string(),
        http: coordinator.http_addr().unwrap().to_string(),
        handle: coordinator.handle(),
        task: tokio::spawn(coordinator.run(stop.clone())),
        stop,
    }
}

fn registration(name: &str) -> RegisterDap {
    let purview = Purview {
        name: name.into(),
        instance: InstanceId([0; 16]),
        epoch: 1,
        source: "s".into(),
        assembly: Sym::null(),
        labels: LabelSet::parse("region=amer").unwrap(),
        tier: "hdb".into(),
        version: 1,
        tables: vec![TablePurview {
            name: "trade".into(),
            kind: TableKind::Partitioned,
            range: TimeRange::new(0, 10).unwrap(),
            cuts: vec![],
            time_column: "time".into(),
            columns: vec![],
        }],
        apis: sg::api::builtin(),
        capacity: 1,
    };
    RegisterDap { available: true, purview, running: vec![] }
}

fn request(corr: Corr, api: &str, left: Duration) -> Request {
    Request {
        corr,
        attempt: 0,
        left: left.as_nanos() as i64,
        api: api.into(),
        user: "ann".into(),
        opts: sg::args::encode::<&str>([]),
        args: sg::args::encode([("table", Value::sym("trade"))]),
    }
}

async fn get(addr: &str, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let ask = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_request_goes_round_and_the_process_ends_when_told() {
    let rc = start(0).await;
    let peers = CancellationToken::new();
    let mut dap = Peer::dial(Role::Da, "hdb-0", rc.addr.clone(), &peers);
    let link = dap.up().await;
    link.send(registration("hdb-0")).unwrap();
    dap.hears(".qm.registered").await;
    let mut agg = Peer::dial(Role::Agg, "agg-0", rc.addr.clone(), &peers);
    let to_agg = agg.up().await;
    to_agg.send(RegisterAgg { agg_fns: fns(), outstanding: 0 }).unwrap();
    let mut gw = Peer::dial(Role::Gw, "gw-0", rc.addr.clone(), &peers);
    let to_rc = gw.up().await;
    loop {
        let (_, Msg::Status(status)) = gw.hears(".qm.status").await else { unreachable!() };
        assert!(status.ready);
        if (status.daps, status.aggs) == (1, 1) {
            break;
        }
    }
    let corr = Corr::random();
    to_rc.send(request(corr, sg::api::GET_DATA, Duration::from_secs(30))).unwrap();
    let (to_dap, Msg::Run(run)) = dap.hears(".qm.run").await else { unreachable!() };
    let lone = run.lone.expect("it is the only portion");
    assert_eq!((run.corr, run.agg.text().as_ref(), lone.gw.text().as_ref()), (corr, "agg-0:1", "gw-0:1"));
    let (attempt, portion) = (run.attempt, run.portion);
    let ok = sg::Failure::new(Rc::OK, sg::Ac::OK, "");
    to_dap.send(Done::of((corr, attempt, portion), 1, ok)).unwrap();
    to_dap.send(Idle { epoch: 1, slots: 1 }).unwrap();
    to_agg.send(Got { corr, attempt, portion }).unwrap();
    to_rc.send(Answered { corr, attempt, rc: Rc::OK, ai: String::new(), took: 0, bytes: 0 }).unwrap();
    for _ in 0..200 {
        if rc.handle.stats().succeeded == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((rc.handle.stats().succeeded, rc.handle.stats().requests), (1, 0));
    assert!(get(&rc.http, "/healthz").await.starts_with("HTTP/1.1 200"));
    let ready = get(&rc.http, "/readyz?verbose").await;
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains("1 data processes registered"), "{ready}");
    let metrics = get(&rc.http, "/metrics").await;
    assert!(
        metrics.contains("kxi_rc_reqs_total 1") && metrics.contains("kxi_rc_connected_daps 1"),
        "{metrics}"
    );
    rc.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), rc.task).await.expect("it ends").unwrap().unwrap();
    peers.cancel();
}

fn fns() -> Vec<sg::Api> {
    vec![sg::Api::from_value(&Value::sym(sg::api::AGG_GET_DATA)).unwrap()]
}

#[tokio::test]
async fn the_clock_answers_what_nobody_else_does() {
    let rc = start(0).await;
    let peers = CancellationToken::new();
    let mut dap = Peer::dial(Role::Da, "hdb-0", rc.addr.clone(), &peers);
    dap.up().await.send(registration("hdb-0")).unwrap();
    dap.hears(".qm.registered").await;
    let mut agg = Peer::dial(Role::Agg, "agg-0", rc.addr.clone(), &peers);
    agg.up().await.send(RegisterAgg { agg_fns: fns(), outstanding: 0 }).unwrap();
    let mut gw = Peer::dial(Role::Gw, "gw-0", rc.addr.clone(), &peers);
    let to_rc = gw.up().await;
    while rc.handle.stats().aggs == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A long one first: the timer must wake for the shorter that comes after it.
    to_rc.send(request(Corr::random(), sg::api::GET_DATA, Duration::from_secs(600))).unwrap();
    let corr = Corr::random();
    to_rc.send(request(corr, sg::api::GET_DATA, Duration::from_millis(300))).unwrap();
    let (_, Msg::Answer(answer)) = gw.hears(".qm.answer").await else { unreachable!() };
    assert_eq!((answer.corr, answer.rc), (corr, Rc::TIMEOUT));
    assert!(answer.ai.contains("1 of 1 portions missing"), "{}", answer.ai);
    rc.stop.cancel();
    peers.cancel();
}

#[tokio::test]
async fn after_a_restart_peers_register_again() {
    let rc = start(0).await;
    let peers = CancellationToken::new();
    let mut dap = Peer::dial(Role::Da, "hdb-0", rc.addr.clone(), &peers);
    dap.up().await.send(registration("hdb-0")).unwrap();
    dap.hears(".qm.registered").await;
    let port = rc.addr.rsplit_once(':').unwrap().1.parse().unwrap();
    rc.stop.cancel();
    rc.task.await.unwrap().unwrap();
    assert!(matches!(dap.next().await, Seen::Down));
    let again = start(port).await;
    dap.up().await.send(registration("hdb-0")).unwrap();
    dap.hears(".qm.registered").await;
    assert_eq!(again.handle.stats().daps, 1);
    again.stop.cancel();
    peers.cancel();
}

#[tokio::test]
async fn an_overlapping_data_process_is_refused_and_others_serve_on() {
    let rc = start(0).await;
    let peers = CancellationToken::new();
    let mut first = Peer::dial(Role::Da, "hdb-0", rc.addr.clone(), &peers);
    first.up().await.send(registration("hdb-0")).unwrap();
    first.hears(".qm.registered").await;
    let mut second = Peer::dial(Role::Da, "hdb-1", rc.addr.clone(), &peers);
    let mut other = registration("hdb-1");
    other.purview.source = "another".into();
    second.up().await.send(other).unwrap();
    loop {
        if let Seen::Down = second.next().await {
            break;
        }
    }
    assert_eq!(rc.handle.stats().daps, 1);
    rc.stop.cancel();
    peers.cancel();
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_its_variable() {
    let rc = start(0).await;
    let port = rc.addr.rsplit_once(':').unwrap().1;
    let env = Env::of([("KXI_PORT", port), ("QMESH_HTTP_PORT", "0")]);
    let mut options = Options::from_env(&env).unwrap();
    options.process.bind = "127.0.0.1".into();
    let Err(error) = Coordinator::bind(options).await else { panic!("bound twice") };
    assert!(error.to_string().contains("choose another with KXI_PORT"), "{error}");
    rc.stop.cancel();
}

/// A data process that waits to be found, with this secret.
async fn waits(name: &'static str, secret: &str, addr: &str, stop: &CancellationToken) -> (String, Peer) {
    let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let (seen, events) = mpsc::unbounded_channel();
    let identity = Identity {
        role: Role::Da,
        name: name.into(),
        instance: InstanceId::random(),
        // The advertised address may differ from the one that was dialled.
        address: format!("{name}:5080").into(),
        secrets: link::Secrets::of([secret]),
    };
    let (handler, links) = (Arc::new(Watch(seen)), LinkOptions::default());
    tokio::spawn(link::serve(listener, Arc::new(identity), links, handler, stop.clone()));
    (addr, Peer(events))
}

#[tokio::test]
async fn a_data_process_that_is_found_and_refused_is_missing_data_until_it_is_linked() {
    let (stop, refused) = (CancellationToken::new(), CancellationToken::new());
    let (a, mut first) = waits("da-0", "the mesh's own secret", "127.0.0.1:0", &stop).await;
    let (b, _second) = waits("da-1", "a secret of yesterday", "127.0.0.1:0", &refused).await;
    let found = vec![a, b.clone()];
    let rc = start_with(0, |options| {
        options.process.secrets = link::Secrets::of(["the mesh's own secret"]);
        options.process.link.backoff_max = Duration::from_millis(200);
        options.daps = Some(discovery::Find::Addresses(found));
    })
    .await;
    let link = first.up().await;
    link.send(registration("da-0")).unwrap();
    let until = |wanted: fn(&routing::Stats) -> bool| {
        let handle = rc.handle.clone();
        async move {
            let looks = async {
                while !wanted(&handle.stats()) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), looks).await.expect("it comes to that");
        }
    };
    until(|s| s.daps == 1 && !s.untried && s.unlinked == 1).await;
    let ready = get(&rc.http, "/readyz?verbose").await;
    assert!(ready.starts_with("HTTP/1.1 200"), "it has tried: {ready}");
    for said in ["1 data processes that are ready were never linked", &b, "did not prove the mesh's secret"] {
        assert!(ready.contains(said), "{said}: {ready}");
    }
    refused.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (_, mut second) = waits("da-1", "the mesh's own secret", &b, &stop).await;
    let mut other = registration("da-1");
    other.purview.labels = LabelSet::parse("region=emea").unwrap();
    second.up().await.send(other).unwrap();
    until(|s| s.daps == 2 && s.unlinked == 0).await;
    stop.cancel();
    rc.stop.cancel();
}
