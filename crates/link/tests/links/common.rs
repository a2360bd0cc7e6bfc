//! A handler that records, and ends of links with short times.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use link::{Handler, Identity, LinkOptions, Role, Secrets, Sender, serve};
use sg::{InstanceId, Msg, msg::Credit};
use tokio::{
    net::TcpListener,
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// Long enough for any of these tests on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) up: Mutex<Vec<Sender>>,
    pub(crate) down: Mutex<Vec<String>>,
    pub(crate) messages: Mutex<Vec<Msg>>,
    /// held, the reading task of each link stands still
    pub(crate) gate: Mutex<()>,
    changed: Notify,
}

impl Handler for Recorder {
    fn up(&self, link: &Sender) {
        self.up.lock().unwrap().push(link.clone());
        self.changed.notify_waiters();
    }
    fn message(&self, _: &Sender, msg: Msg) {
        drop(self.gate.lock().unwrap());
        self.messages.lock().unwrap().push(msg);
        self.changed.notify_waiters();
    }
    fn down(&self, _: &Sender, why: &str) {
        self.down.lock().unwrap().push(why.to_owned());
        self.changed.notify_waiters();
    }
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Recorder) -> bool) {
        let late = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < late, "{what}: not within {PATIENCE:?}; down: {:?}", self.down.lock());
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep(Duration::from_millis(5)) => {}
            }
        }
    }

    /// The n-th link that came up, counted from 0.
    pub(crate) async fn link(&self, n: usize) -> Sender {
        self.until(&format!("link {n} up"), |r| r.up.lock().unwrap().len() > n).await;
        self.up.lock().unwrap()[n].clone()
    }

    /// Why the n-th link that went down did.
    pub(crate) async fn lost(&self, n: usize) -> String {
        self.until(&format!("link {n} down"), |r| r.down.lock().unwrap().len() > n).await;
        self.down.lock().unwrap()[n].clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.messages.lock().unwrap().len()
    }
}

pub(crate) fn options() -> LinkOptions {
    LinkOptions {
        connect_timeout: Duration::from_secs(5),
        backoff_min: Duration::from_millis(5),
        backoff_max: Duration::from_millis(50),
        ..LinkOptions::default()
    }
}

pub(crate) fn identity(role: Role, name: &str, secrets: &[&str]) -> Arc<Identity> {
    Arc::new(Identity {
        role,
        name: name.into(),
        instance: InstanceId::random(),
        address: ":5060".into(),
        secrets: Secrets::of(secrets.iter().copied()),
    })
}

/// A port that takes links.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Recorder>,
    pub(crate) stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(name: &str, secrets: &[&str]) -> Server {
        // One that may be stopped and come back where it was.
        let addr = testkit::ports::local(testkit::ports::port());
        Server::with(addr, identity(Role::Rc, name, secrets), options()).await
    }

    pub(crate) async fn with(addr: SocketAddr, identity: Arc<Identity>, opts: LinkOptions) -> Server {
        let listener = bind(addr).await;
        let addr = listener.local_addr().unwrap();
        let (seen, stop) = (Recorder::new(), CancellationToken::new());
        let task = tokio::spawn(serve(listener, identity, opts, seen.clone(), stop.clone()));
        Server { addr, seen, stop, task }
    }

    /// Ends it and gives its address back.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.stop.cancel();
        self.task.await.unwrap();
        self.addr
    }
}

/// Binds, where the port may still be held by the socket of a server that has just ended.
async fn bind(addr: SocketAddr) -> TcpListener {
    let late = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(addr).await {
            Ok(listener) => return listener,
            Err(e) => assert!(Instant::now() < late, "{addr}: {e}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// A numbered message.
pub(crate) fn numbered(n: i64) -> Credit {
    Credit { corr: sg::Corr([7; 16]), attempt: 0, bytes: n }
}
