//! A gateway between real sockets: a coordinator and an aggregator that do what a test says.
// Each test file uses its part, as if this were a crate.
#![allow(dead_code, unreachable_pub)]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use gateway::{Gateway, Options};
use kvalue::{Dict, Value};
use link::{Handler, Identity, LinkOptions, Pool, Role, Secrets, Sender};
use qipc::{
    Frame, Raw,
    net::{Client, ConnectOptions, Credentials},
};
use sg::{
    Api, Corr, Failure, InstanceId, Msg,
    config::Env,
    msg::{self, Chunk, Payload},
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Longer than anything here may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

type OnRequest = Arc<dyn Fn(&Rc, &Sender, msg::Request) + Send + Sync>;

/// A coordinator that calls back for each request and records cancellations.
pub struct Rc {
    pub on_request: Mutex<OnRequest>,
    pub cancels: Mutex<Vec<Corr>>,
    pub gateways: Mutex<Vec<Sender>>,
    pub ready: bool,
    /// the one it is for; null for all
    pub assembly: kvalue::Sym,
    /// requests whose answers came
    pub answered: Mutex<Vec<Corr>>,
}

pub fn apis() -> Vec<Api> {
    sg::api::builtin().into_iter().chain(Api::from_value(&Value::sym(".c.f"))).collect()
}

impl Handler for Rc {
    fn up(&self, link: &Sender) {
        self.gateways.lock().unwrap().push(link.clone());
        let (ready, assembly) = (self.ready, self.assembly.clone());
        link.send(msg::Status { ready, daps: 1, aggs: 1, apis: apis(), assembly }).unwrap();
    }

    fn message(&self, link: &Sender, msg: Msg) {
        match msg {
            Msg::Request(request) => {
                let then = self.on_request.lock().unwrap().clone();
                then(self, link, request);
            }
            Msg::Answered(answered) => self.answered.lock().unwrap().push(answered.corr),
            Msg::Cancel(cancel) => self.cancels.lock().unwrap().push(cancel.corr),
            other => panic!("{other:?}"),
        }
    }

    fn down(&self, _: &Sender, _: &str) {}
}

pub fn identity(role: Role, name: &str) -> Arc<Identity> {
    let instance = InstanceId::random();
    Arc::new(Identity {
        role,
        name: name.into(),
        instance,
        address: kvalue::Sym::null(),
        secrets: Secrets::none(),
    })
}

pub fn link_options() -> LinkOptions {
    LinkOptions { backoff_max: Duration::from_millis(100), ..LinkOptions::default() }
}

/// A running coordinator.
pub struct RcProcess {
    pub rc: Arc<Rc>,
    pub addr: SocketAddr,
    pub stop: CancellationToken,
    task: JoinHandle<()>,
}

impl RcProcess {
    pub async fn start(on_request: impl Fn(&Rc, &Sender, msg::Request) + Send + Sync + 'static) -> Self {
        // One that may be stopped and come back where it was.
        let addr = testkit::ports::local(testkit::ports::port());
        Self::start_at(&addr.to_string(), on_request).await
    }

    pub async fn start_at(
        addr: &str,
        on_request: impl Fn(&Rc, &Sender, msg::Request) + Send + Sync + 'static,
    ) -> Self {
        Self::start_for(kvalue::Sym::null(), addr, on_request).await
    }

    /// One that is for an assembly.
    pub async fn start_for(
        assembly: kvalue::Sym,
        addr: &str,
        on_request: impl Fn(&Rc, &Sender, msg::Request) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let rc = Arc::new(Rc {
            on_request: Mutex::new(Arc::new(on_request)),
            cancels: Mutex::default(),
            gateways: Mutex::default(),
            ready: true,
            assembly,
            answered: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let served =
            link::serve(listener, identity(Role::Rc, "rc"), link_options(), rc.clone(), stop.clone());
        RcProcess { rc, addr, stop, task: tokio::spawn(served) }
    }

    /// Stops it and waits until its links are down.
    pub async fn kill(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// The aggregator's handler: what the gateway says to it.
pub struct Agg {
    said: mpsc::UnboundedSender<Msg>,
}

impl Handler for Agg {
    fn up(&self, _: &Sender) {}
    fn message(&self, _: &Sender, msg: Msg) {
        let _ = self.said.send(msg);
    }
    fn down(&self, _: &Sender, _: &str) {}
}

/// A link of an aggregator to the gateway, and what the gateway says on it.
pub async fn aggregator(gw: SocketAddr) -> (Sender, mpsc::UnboundedReceiver<Msg>, CancellationToken) {
    let (said, heard) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let pool = Pool::new(identity(Role::Agg, "agg"), link_options(), Arc::new(Agg { said }), stop.clone());
    let link = pool.get(&gw.to_string().as_str().into()).await.unwrap();
    (link, heard, stop)
}

/// A running gateway.
pub struct Gw {
    pub qipc: SocketAddr,
    pub http: SocketAddr,
    pub stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Gw {
    pub async fn start(rcs: &[SocketAddr], vars: &[(&str, &str)]) -> Gw {
        let rcs: Vec<String> = rcs.iter().map(SocketAddr::to_string).collect();
        let base = [
            ("KXI_SG_RC_ADDR".to_owned(), rcs.join(",")),
            ("GATEWAY_QIPC_PORT".into(), "0".into()),
            ("GATEWAY_HTTP_PORT".into(), "0".into()),
            ("QMESH_GW_DRAIN".into(), "500".into()),
        ];
        let vars = vars.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        let mut options = Options::from_env(&Env::of(base.into_iter().chain(vars))).unwrap();
        options.bind = vec!["127.0.0.1".into()];
        options.links = link_options();
        let gateway = Gateway::bind(options).await.unwrap();
        let (qipc, http) = (gateway.qipc_addr(), gateway.http_addr());
        let stop = CancellationToken::new();
        let running = gateway.run(stop.clone());
        let task = tokio::spawn(async move { running.await.expect("coordinators can be looked for") });
        Gw { qipc, http, stop, task }
    }

    /// A gateway with one coordinator that does this, once it is ready.
    pub async fn with(
        on_request: impl Fn(&Rc, &Sender, msg::Request) + Send + Sync + 'static,
    ) -> (Gw, RcProcess) {
        let rc = RcProcess::start(on_request).await;
        let gw = Gw::start(&[rc.addr], &[]).await;
        gw.ready().await;
        (gw, rc)
    }

    pub async fn ready(&self) {
        tokio::time::timeout(SOON, async {
            while get(self.http, "/readyz").await.status != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("ready");
    }

    pub async fn client(&self) -> Client {
        let auth = Credentials::new("user", "pass");
        Client::connect(&self.qipc.to_string(), &auth, &ConnectOptions::default()).await.unwrap()
    }

    /// The value of a metric, by the beginning of its line.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = get(self.http, "/metrics").await.text();
        let line = text.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub async fn kill(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await.expect("stops").unwrap();
    }
}

/// A whole answer with this value.
pub fn answer(request: &msg::Request, value: &Value) -> msg::Answer {
    msg::Answer {
        corr: request.corr,
        attempt: request.attempt,
        rc: sg::Rc::OK,
        ac: sg::Ac::OK,
        ai: String::new(),
        extra: Raw::of(&Dict::of([("agg", Value::sym(":127.0.0.1:5060"))]).into()),
        payload: Payload::of(value),
    }
}

/// A failure as an answer.
pub fn failure(request: &msg::Request, failure: Failure) -> msg::Answer {
    msg::Answer {
        rc: failure.rc,
        ac: failure.ac,
        ai: failure.ai,
        extra: Raw::of(&Value::empty_dict()),
        payload: Payload::empty(),
        ..answer(request, &Value::Null)
    }
}

/// Answers with the arguments, or with the options where the API is `.c.f`.
pub fn echo(_: &Rc, link: &Sender, request: msg::Request) {
    let object = if request.api == ".c.f" { &request.opts } else { &request.args };
    let mut reply = answer(&request, &Value::Null);
    reply.payload = Payload(vec![object.0.clone()]);
    link.send(reply).unwrap();
}

/// The head of a large answer.
pub fn head(request: &msg::Request, total: usize) -> msg::AnswerHead {
    let msg::Answer { corr, attempt, rc, ac, ai, extra, .. } = answer(request, &Value::Null);
    msg::AnswerHead { corr, attempt, rc, ac, ai, extra, total: total as i64 }
}

/// Bytes of a large answer.
pub fn data(request: &msg::Request, offset: usize, chunk: Bytes) -> msg::AnswerData {
    msg::AnswerData {
        corr: request.corr,
        attempt: request.attempt,
        offset: offset as i64,
        chunk: Chunk(vec![chunk]),
    }
}

pub fn dict(pairs: &[(&str, Value)]) -> Value {
    Dict::of(pairs.iter().cloned()).into()
}

/// `(api; args; callback; opts)`
pub fn call(api: &str, args: Value, opts: Value) -> Value {
    Value::list([Value::sym(api), args, Value::sym(""), opts])
}

/// Header and payload of an answer.
pub fn parts(answer: &Value) -> (Dict, Value) {
    let Value::List(list) = answer else { panic!("{answer:?}") };
    (list.items()[0].as_dict().expect("a header").clone(), list.items()[1].clone())
}

pub fn rc_of(header: &Dict) -> i64 {
    header.get("rc").and_then(|v| v.as_i64()).expect("rc")
}

pub fn frame(value: &Value) -> Frame {
    Frame::of_value(qipc::MessageType::Sync, value).unwrap()
}

/// An HTTP response.
pub struct Response {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub body: Bytes,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

pub async fn get(addr: SocketAddr, path: &str) -> Response {
    http(addr, "GET", path, &[], "").await
}

pub async fn post(addr: SocketAddr, path: &str, body: &str) -> Response {
    http(addr, "POST", path, &[("content-type", "application/json")], body).await
}

pub async fn http(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    use http_body_util::{BodyExt, Full};
    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut request = hyper::Request::builder().method(method).uri(path).header("host", "gw");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
    let response = tokio::time::timeout(SOON, sender.send_request(request)).await.expect("in time").unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    driver.abort();
    Response { status: parts.status.as_u16(), headers: parts.headers, body }
}
