//! The router among sockets: events from links and timers in, messages out.
//!
//! One lock holds the router and the links together, so that what the router decides leaves in the order it
//! decided; it is held for a few microseconds and never across a wait. Messages that arrive meanwhile are queued for
//! the holder ([`crate::combining_lock`]). A task of its own would cost each message a switch of threads instead.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ahash::HashMap;
use kvalue::Sym;
use link::{Handler, Identity, LinkOptions, Peer, Role, Sender};
use routing::{Action, Event, MILLI, Nanos, Note, PeerId, PeerRole, Place, Router, Settings, Stats};
use sg::{InstanceId, Msg, Rc, msg::Refused, opts::LogCorr};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    combining_lock::{CombiningLock, Guard},
    metrics::Metrics,
};

/// A second connection of a process that comes later than this after the first means that the process has lost
/// the first one; sooner, both ends have dialled each other.
const DIALLED_AT_ONCE: Duration = Duration::from_secs(5);

/// Time for data processes that were handed over to register with another coordinator.
const HAND_OVER: Duration = Duration::from_secs(1);

/// Messages of one link handled before queued messages of other links: some microseconds.
const IN_A_ROW: usize = 8;

/// A queued message of a link.
type Queued = (PeerId, Msg);

/// A process that is linked.
struct Linked {
    link: Sender,
    since: Instant,
    /// of a coordinator: it takes requests and is not about to leave
    ready: bool,
}

/// What dialling needs.
struct Dialling {
    identity: Arc<Identity>,
    opts: LinkOptions,
    shutdown: CancellationToken,
}

/// What the coordinator's tasks share.
pub(crate) struct Shared {
    own: InstanceId,
    myself: Weak<Shared>,
    dialling: std::sync::OnceLock<Dialling>,
    /// other coordinators that are ready; `None` until all peers have been tried, and while this one leaves
    mates: watch::Sender<Option<Vec<InstanceId>>>,
    peers_tried: AtomicBool,
    lock: CombiningLock<State, Queued>,
    started: Instant,
    /// the timer is to look again
    sooner: Notify,
    metrics: std::sync::OnceLock<Metrics>,
}

struct State {
    router: Router,
    links: HashMap<PeerId, Sender>,
    /// the links of each process, by the run of it
    processes: HashMap<InstanceId, Linked>,
    /// Aggs of other coordinators that the router wants linked
    dialled: HashMap<Sym, CancellationToken>,
    /// true once this one is to stop
    draining: bool,
    /// when the timer wakes by itself
    armed: Nanos,
}

impl Shared {
    pub(crate) fn new(settings: Settings, own: InstanceId) -> Arc<Self> {
        let state = State {
            router: Router::new(settings, own, 0),
            links: HashMap::default(),
            processes: HashMap::default(),
            dialled: HashMap::default(),
            draining: false,
            armed: Nanos::MAX,
        };
        Arc::new_cyclic(|myself| Shared {
            own,
            myself: myself.clone(),
            dialling: std::sync::OnceLock::new(),
            mates: watch::channel(None).0,
            peers_tried: AtomicBool::new(false),
            lock: CombiningLock::new(state),
            started: Instant::now(),
            sooner: Notify::new(),
            metrics: std::sync::OnceLock::new(),
        })
    }

    /// Links that the router asks for go out as this process. To be said once, before anything runs.
    pub(crate) fn dial_as(&self, identity: Arc<Identity>, opts: LinkOptions, shutdown: CancellationToken) {
        let _ = self.dialling.set(Dialling { identity, opts, shutdown });
    }

    /// Every coordinator that is configured or was found has been dialled once.
    pub(crate) fn peers_tried(&self) {
        self.peers_tried.store(true, Ordering::Relaxed);
        let mut state = self.state();
        self.step(&mut state, Event::PeersTried);
        self.tell_mates(&state);
    }

    /// What discovery knows of data processes.
    pub(crate) fn found(&self, places: Vec<Place>, synced: bool, trouble: String) {
        let mut state = self.state();
        self.step(&mut state, Event::Found { places, synced, trouble });
    }

    /// Coordinators among which data processes are shared; `None` while this one is to dial none.
    pub(crate) fn mates(&self) -> watch::Receiver<Option<Vec<InstanceId>>> {
        self.mates.subscribe()
    }

    /// Takes no new requests, hands its data processes over, and waits until nothing is left to do, or `limit`.
    pub(crate) async fn drain(&self, limit: Duration) {
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        {
            let mut state = self.state();
            state.draining = true;
            self.step(&mut state, Event::Drain);
            self.tell_mates(&state);
        }
        let end = Instant::now() + limit;
        while Instant::now() < end && !self.state().router.is_drained() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // The last messages are written before the links end. While this coordinator is linked, a peer without data
        // processes knows that it is not alone: handed-over data processes are on the way.
        let has_peers = self.state().processes.values().any(|l| l.link.peer().role == Role::Rc);
        let linger = if has_peers { HAND_OVER } else { LOOK_EVERY };
        tokio::time::sleep(linger.min(limit)).await;
    }

    fn tell_mates(&self, state: &State) {
        let now = (self.peers_tried.load(Ordering::Relaxed) && !state.draining).then(|| {
            let ready =
                |(id, l): (&InstanceId, &Linked)| (l.link.peer().role == Role::Rc && l.ready).then_some(*id);
            let mut ready: Vec<InstanceId> = state.processes.iter().filter_map(ready).collect();
            ready.sort_unstable_by_key(|id| id.0);
            ready
        });
        self.mates.send_if_modified(|mates| {
            let differs = *mates != now;
            *mates = now;
            differs
        });
    }

    pub(crate) fn measure_with(&self, metrics: Metrics) {
        // Set once, before anything runs.
        let _ = self.metrics.set(metrics);
    }

    pub(crate) fn stats(&self) -> Stats {
        self.state().router.stats()
    }

    fn now(&self) -> Nanos {
        self.started.elapsed().as_nanos() as Nanos
    }

    fn state(&self) -> Guard<'_, State, Queued, impl Fn(&mut State, Vec<Queued>)> {
        self.lock.lock(|state, queued| self.handle_queued(state, queued))
    }

    /// Handles messages queued while another thread held the lock.
    fn handle_queued(&self, state: &mut State, queued: Vec<Queued>) {
        let now = self.now();
        for (peer, msg) in queued {
            self.take_message(state, peer, msg, now);
        }
        self.arm(state);
    }

    fn take_message(&self, state: &mut State, peer: PeerId, msg: Msg, now: Nanos) {
        // A second link that was not wanted may still say something before it closes.
        let Some(link) = state.links.get(&peer) else { return };
        if let Msg::MeshPurviews(m) = &msg {
            let (ready, instance) = (m.ready && !m.leaving, link.peer().instance);
            if let Some(linked) = state.processes.get_mut(&instance) {
                linked.ready = ready;
            }
            self.tell_mates(state);
        }
        self.take(state, Event::Message { peer, msg }, now);
    }

    fn step(&self, state: &mut State, event: Event) {
        self.take(state, event, self.now());
        self.arm(state);
    }

    /// The router takes an event; what it asks for is done.
    fn take(&self, state: &mut State, event: Event, now: Nanos) {
        state.router.handle(event, now);
        let State { router, links, dialled, .. } = &mut *state;
        let actions = router.drain();
        for action in actions {
            match action {
                Action::Send { to, msg } => {
                    let Some(link) = links.get(&to) else { continue };
                    if let Err(error) = link.send(msg) {
                        // Its end is reported by the link itself.
                        tracing::debug!(peer = %link.peer(), %error, "message not sent");
                    }
                }
                Action::Refuse { peer, why } => {
                    if let Some(link) = links.get(&peer) {
                        let _ = link.send(Refused { why: why.clone() });
                        link.close(&why);
                    }
                }
                Action::Dial { name, address } => {
                    if let Some(stop) = self.dial(&name, &address)
                        && let Some(before) = dialled.insert(address, stop)
                    {
                        before.cancel();
                    }
                }
                Action::Undial { address } => {
                    if let Some(stop) = dialled.remove(&address) {
                        stop.cancel();
                    }
                }
                Action::Note(note) => self.note(note),
            }
        }
    }

    /// The timer is to wake when something is due.
    fn arm(&self, state: &mut State) {
        let due = state.router.next_wakeup().unwrap_or(Nanos::MAX);
        if due < state.armed {
            state.armed = due;
            self.sooner.notify_one();
        }
    }

    /// Wakes the router when something is due.
    pub(crate) async fn keep_time(&self, shutdown: CancellationToken) {
        loop {
            let armed = self.state().armed;
            let wait = match armed {
                Nanos::MAX => std::time::Duration::from_secs(3600),
                due => std::time::Duration::from_nanos(due.saturating_sub(self.now())),
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.sooner.notified() => continue,
                () = tokio::time::sleep(wait) => {}
            }
            let mut state = self.state();
            state.armed = Nanos::MAX;
            self.step(&mut state, Event::Tick);
        }
    }

    fn note(&self, note: Note) {
        match note {
            Note::Ended { corr, opts, api, rc, ai, took, portions } => {
                if let Some(metrics) = self.metrics.get() {
                    metrics.complete.observe(took as f64 / 1e9);
                }
                let millis = took as f64 / MILLI as f64;
                let log = LogCorr { corr, opts: &opts };
                match rc {
                    Rc::OK => tracing::debug!(%corr, logCorr = %log, %api, millis, portions, "request done"),
                    _ => tracing::info!(
                        %corr, logCorr = %log, %api, rc = rc.0, ai, millis, portions, "request failed"
                    ),
                }
            }
            Note::Retry { corr, opts, why } => {
                let log = LogCorr { corr, opts: &opts };
                tracing::info!(%corr, logCorr = %log, why, "tried again");
            }
            Note::DapRegistered { dap, version } => tracing::info!(%dap, version, "data process registered"),
            Note::DapLost { dap, running } => tracing::warn!(%dap, running, "data process lost"),
            Note::AggRegistered { agg } => tracing::info!(%agg, "aggregator registered"),
            Note::AggLost { agg, requests } => tracing::warn!(%agg, requests, "aggregator lost"),
            Note::SourceForgotten { source } => {
                tracing::warn!(%source, "what a lost process held is no longer waited for");
            }
            Note::PeerSynced { peer, replicas } => tracing::info!(%peer, replicas, "coordinator joined"),
            // Two that start dial each other: one of the two links is given up.
            Note::PeerLost { peer, replaced: true, .. } => {
                tracing::debug!(%peer, "a second link to this coordinator takes the place of the first");
            }
            Note::PeerLost { peer, replicas, .. } => tracing::warn!(%peer, replicas, "coordinator lost"),
            Note::Stray { what } => tracing::debug!(message = what, "message fits no state"),
            Note::Warning { text } => tracing::warn!("{text}"),
        }
    }
}

impl Shared {
    /// Keeps a link to an Agg of another coordinator until the token is cancelled.
    fn dial(&self, name: &Sym, address: &Sym) -> Option<CancellationToken> {
        let (of, handler) = (self.dialling.get()?, self.myself.upgrade()?);
        tracing::debug!(%name, %address, "dials an aggregator of another coordinator");
        let stop = of.shutdown.child_token();
        let to = vec![address.text().into_owned()];
        link::dial(to, link::Spread::First, of.identity.clone(), of.opts.clone(), handler, stop.clone());
        Some(stop)
    }

    /// Whether this link is kept of two links to the same coordinator: the link dialled by the lower instance, so that
    /// both ends choose alike.
    fn is_kept(&self, link: &Sender) -> bool {
        link.dialled() == (self.own.0 < link.peer().instance.0)
    }

    fn forget(&self, state: &mut State, link: &Sender) -> bool {
        let peer = PeerId(link.id().0);
        if state.links.remove(&peer).is_none() {
            return false;
        }
        let instance = link.peer().instance;
        if state.processes.get(&instance).is_some_and(|l| l.link.id() == link.id()) {
            state.processes.remove(&instance);
        }
        self.step(state, Event::Down { peer });
        true
    }
}

/// The address of a process. A dialled data process keeps the dialled address; a data process that dialled this
/// coordinator gets the address of the socket with the listening port. Discovery knows data processes by address, and
/// the advertised name may be a host name.
fn reached_at(link: &Sender, role: PeerRole) -> Sym {
    let who = link.peer();
    let port = || who.address.text().rsplit_once(':')?.1.parse::<u16>().ok();
    let socket = match role {
        PeerRole::Dap if link.dialled() => Some(who.socket),
        PeerRole::Dap => port().map(|port| SocketAddr::new(who.socket.ip(), port)),
        _ => None,
    };
    let canonical = |s: SocketAddr| SocketAddr::new(s.ip().to_canonical(), s.port());
    socket.map_or_else(|| who.address.clone(), |s| Sym::new(canonical(s).to_string()))
}

impl Handler for Shared {
    fn up(&self, link: &Sender) {
        let who = link.peer();
        let role = match who.role {
            Role::Gw => PeerRole::Gw,
            Role::Agg => PeerRole::Agg,
            Role::Da => PeerRole::Dap,
            Role::Rc => PeerRole::Rc,
        };
        let peer = PeerId(link.id().0);
        let event = Event::Up {
            peer,
            role,
            name: who.name.clone(),
            instance: who.instance,
            address: reached_at(link, role),
        };
        let mut state = self.state();
        if role == PeerRole::Rc
            && let Some(before) = state.processes.get(&who.instance)
        {
            let (before, since) = (before.link.clone(), before.since);
            if !self.is_kept(link) && since.elapsed() < DIALLED_AT_ONCE {
                return link.close("there is a link to this coordinator already");
            }
            self.forget(&mut state, &before);
            before.close("there is another link to this coordinator");
        }
        state.links.insert(peer, link.clone());
        let linked = Linked { link: link.clone(), since: Instant::now(), ready: false };
        state.processes.insert(who.instance, linked);
        self.step(&mut state, event);
    }

    fn message(&self, link: &Sender, msg: Msg) {
        self.messages(link, &mut std::iter::once(msg));
    }

    /// What came together is taken together.
    fn messages(&self, link: &Sender, batch: &mut dyn Iterator<Item = Msg>) {
        let peer = PeerId(link.id().0);
        let take = |state: &mut State, queued| self.handle_queued(state, queued);
        let Some(mut state) = self.lock.try_lock(take) else {
            return self.lock.submit(batch.map(|msg| (peer, msg)), take);
        };
        let mut now = self.now();
        for (n, msg) in batch.enumerate() {
            if n > 0 && n % IN_A_ROW == 0 {
                state.drain();
                now = self.now();
            }
            self.take_message(&mut state, peer, msg, now);
        }
        self.arm(&mut state);
    }

    fn down(&self, link: &Sender, _: &str) {
        let mut state = self.state();
        if self.forget(&mut state, link) && link.peer().role == Role::Rc {
            self.tell_mates(&state);
        }
    }

    fn wants(&self, peer: &Peer) -> bool {
        match (peer.role, self.state().processes.get(&peer.instance)) {
            (_, None) => true,
            // The other end sees two links, too, and keeps the same link.
            (Role::Rc, Some(linked)) => !linked.link.dialled() && self.own.0 < peer.instance.0,
            (_, Some(_)) => false,
        }
    }

    fn has(&self, instance: &InstanceId) -> bool {
        self.state().processes.contains_key(instance)
    }

    fn leaving(&self, link: &Sender) {
        // Its link ends when it runs nothing, or at the limit: what it still runs is worth waiting for.
        tracing::info!(peer = %link.peer(), "is leaving");
        let (peer, mut state) = (PeerId(link.id().0), self.state());
        if state.links.contains_key(&peer) {
            self.step(&mut state, Event::Leaving { peer });
        }
    }
}
