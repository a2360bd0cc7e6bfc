//! An Agg between a fake RC, a fake DAP and a fake GW, over real sockets.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use aggregator::{Aggregator, Options};
use kvalue::{Sym, Value};
use link::{Handler, Identity, LinkOptions, Pool, Role, Secrets, Sender, serve};
use qipc::{Limits, Raw};
use sg::{
    Ac, Corr, InstanceId, LabelSet, Msg, PortionId, Rc, TimeRange,
    msg::{Partial, Payload, Plan, PlannedPortion},
};
use tokio::{net::TcpListener, sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

/// A peer that keeps what it hears.
pub(crate) struct Peer {
    pub(crate) addr: SocketAddr,
    pub(crate) heard: Arc<Heard>,
    pub(crate) stop: CancellationToken,
}

#[derive(Default)]
pub(crate) struct Heard {
    messages: Mutex<Vec<Msg>>,
    links: Mutex<Vec<Sender>>,
    changed: Notify,
}

impl Handler for Heard {
    fn up(&self, link: &Sender) {
        self.links.lock().unwrap().push(link.clone());
        self.changed.notify_waiters();
    }
    fn message(&self, _: &Sender, msg: Msg) {
        self.messages.lock().unwrap().push(msg);
        self.changed.notify_waiters();
    }
    fn down(&self, link: &Sender, _: &str) {
        self.links.lock().unwrap().retain(|l| l.id() != link.id());
    }
}

impl Heard {
    /// The first message that fits, taken out; others stay.
    pub(crate) async fn next<T>(&self, what: &str, fits: impl Fn(&Msg) -> Option<T>) -> T {
        let late = Instant::now() + PATIENCE;
        loop {
            {
                let mut messages = self.messages.lock().unwrap();
                let found = messages.iter().enumerate().find_map(|(i, m)| fits(m).map(|t| (i, t)));
                if let Some((i, t)) = found {
                    messages.remove(i);
                    return t;
                }
                assert!(Instant::now() < late, "no {what} within {PATIENCE:?}; there is {messages:?}");
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
    }

    pub(crate) async fn link(&self) -> Sender {
        let late = Instant::now() + PATIENCE;
        loop {
            if let Some(link) = self.links.lock().unwrap().first() {
                return link.clone();
            }
            assert!(Instant::now() < late, "no link within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn count(&self, fits: impl Fn(&Msg) -> bool) -> usize {
        self.messages.lock().unwrap().iter().filter(|m| fits(m)).count()
    }
}

/// Takes the message out of its variant.
macro_rules! is {
    ($variant:ident) => {
        |m: &Msg| match m {
            Msg::$variant(m) => Some(m.clone()),
            _ => None,
        }
    };
}
pub(crate) use is;

fn identity(role: Role, name: &str, addr: SocketAddr) -> Arc<Identity> {
    Arc::new(Identity {
        role,
        name: name.into(),
        instance: InstanceId::random(),
        address: addr.to_string().into(),
        secrets: Secrets::of(["the secret of this mesh"]),
    })
}

impl Peer {
    pub(crate) async fn start(role: Role, name: &str) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (heard, stop) = (Arc::<Heard>::default(), CancellationToken::new());
        let identity = identity(role, name, addr);
        tokio::spawn(serve(listener, identity, LinkOptions::default(), heard.clone(), stop.clone()));
        Peer { addr, heard, stop }
    }

    pub(crate) fn address(&self) -> Sym {
        self.addr.to_string().into()
    }
}

/// All of them.
pub(crate) struct Mesh {
    pub(crate) rc: Peer,
    pub(crate) gw: Peer,
    /// the RC's link to the Agg
    pub(crate) plans: Sender,
    /// a DAP's link to the Agg
    pub(crate) dap: Sender,
    pub(crate) agg: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) stop: CancellationToken,
    pool: Arc<Pool>,
}

impl Mesh {
    pub(crate) async fn start() -> Mesh {
        Mesh::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Mesh {
        let (rc, gw) = (Peer::start(Role::Rc, "rc").await, Peer::start(Role::Gw, "gw").await);
        let stop = CancellationToken::new();
        let mut options = Options { rc: vec![rc.addr.to_string()], ..options };
        options.process.http_port = Some(0);
        options.process.secrets = Secrets::of(["the secret of this mesh"]);
        let agg = Aggregator::bind(options).await.unwrap();
        let (addr, http) = (agg.local_addr(), agg.http_addr().unwrap());
        tokio::spawn(agg.run(stop.clone()));
        let plans = rc.heard.link().await;
        let heard = Arc::<Heard>::default();
        let dap = identity(Role::Da, "dap", addr);
        let pool = Pool::new(dap, LinkOptions::default(), heard, stop.clone());
        let dap = pool.get(&addr.to_string().into()).await.unwrap();
        Mesh { rc, gw, plans, dap, agg: addr, http, stop, pool }
    }

    /// Another link of a DAP would be the same one: links are shared.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(crate) fn plan(&self, corr: Corr, agg_fn: &str, portions: u32) -> Plan {
        let portion = |id| PlannedPortion {
            id: PortionId(id),
            labels: LabelSet::default(),
            table: "trade".into(),
            range: TimeRange::ALL,
        };
        Plan {
            corr,
            attempt: 0,
            epoch: 0,
            left: 20_000_000_000,
            api: ".kxi.ping".into(),
            agg_fn: agg_fn.into(),
            gw: self.gw.address(),
            opts: Raw::of(&Value::empty_dict()),
            args: Raw::of(&Value::empty_dict()),
            portions: (0..portions).map(portion).collect(),
        }
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.stop.cancel();
        self.rc.stop.cancel();
        self.gw.stop.cancel();
    }
}

pub(crate) fn partial(corr: Corr, id: u32, value: &Value) -> Partial {
    Partial {
        corr,
        attempt: 0,
        portion: PortionId(id),
        rc: Rc::OK,
        ac: Ac::OK,
        ai: String::new(),
        extra: Raw::of(&Value::empty_dict()),
        lone: None,
        payload: Payload::of(value),
    }
}

pub(crate) fn decoded(payload: Payload) -> Value {
    qipc::decode(payload.into_bytes(), &Limits::internal()).unwrap()
}
