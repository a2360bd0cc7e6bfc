//! The router among sockets: events from links and timers in, messages out.
//!
//! One lock holds the router and the links together, so that what the router decides leaves in the order it
//! decided; it is held for a few microseconds and never across a wait. A task of its own would cost each
//! message a switch of threads instead.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use link::{Handler, Role, Sender};
use routing::{Action, Event, MILLI, Nanos, Note, PeerId, PeerRole, Router, Settings, Stats};
use sg::{Msg, Rc, msg::Refused};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// What the coordinator's tasks share.
pub(crate) struct Shared {
    state: Mutex<State>,
    started: Instant,
    /// the timer is to look again
    sooner: Notify,
    metrics: std::sync::OnceLock<Metrics>,
}

struct State {
    router: Router,
    links: HashMap<PeerId, Sender>,
    /// when the timer wakes by itself
    armed: Nanos,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        let state = State { router: Router::new(settings), links: HashMap::new(), armed: Nanos::MAX };
        Shared {
            state: Mutex::new(state),
            started: Instant::now(),
            sooner: Notify::new(),
            metrics: std::sync::OnceLock::new(),
        }
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

    fn state(&self) -> MutexGuard<'_, State> {
        // The router leaves no half-made state where a panic could happen; going on beats standing still.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, event: Event) {
        let mut state = self.state();
        self.step(&mut state, event);
    }

    fn step(&self, state: &mut State, event: Event) {
        state.router.handle(event, self.now());
        let State { router, links, .. } = &mut *state;
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
                Action::Note(note) => self.note(note),
            }
        }
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
            Note::Ended { corr, api, rc, ai, took, portions } => {
                if let Some(metrics) = self.metrics.get() {
                    metrics.complete.observe(took as f64 / 1e9);
                }
                let millis = took as f64 / MILLI as f64;
                match rc {
                    Rc::OK => tracing::debug!(%corr, %api, millis, portions, "request done"),
                    _ => tracing::info!(%corr, %api, rc = rc.0, ai, millis, portions, "request failed"),
                }
            }
            Note::Retry { corr, why } => tracing::info!(%corr, why, "tried again"),
            Note::DapRegistered { dap, version } => tracing::info!(%dap, version, "data process registered"),
            Note::DapLost { dap, running } => tracing::warn!(%dap, running, "data process lost"),
            Note::AggRegistered { agg } => tracing::info!(%agg, "aggregator registered"),
            Note::AggLost { agg, requests } => tracing::warn!(%agg, requests, "aggregator lost"),
            Note::SourceForgotten { source } => {
                tracing::warn!(%source, "what a lost process held is no longer waited for");
            }
            Note::Stray { what } => tracing::debug!(message = what, "message fits no state"),
            Note::Warning { text } => tracing::warn!("{text}"),
        }
    }
}

impl Handler for Shared {
    fn up(&self, link: &Sender) {
        let role = match link.peer().role {
            Role::Gw => PeerRole::Gw,
            Role::Agg => PeerRole::Agg,
            Role::Da => PeerRole::Dap,
            Role::Rc => {
                let why = "coordinators do not mesh yet: run one per gateway";
                let _ = link.send(Refused { why: why.into() });
                return link.close(why);
            }
        };
        let peer = PeerId(link.id().0);
        let who = link.peer();
        let event = Event::Up {
            peer,
            role,
            name: who.name.clone(),
            instance: who.instance,
            address: who.address.clone(),
        };
        let mut state = self.state();
        state.links.insert(peer, link.clone());
        self.step(&mut state, event);
    }

    fn message(&self, link: &Sender, msg: Msg) {
        self.handle(Event::Message { peer: PeerId(link.id().0), msg });
    }

    fn down(&self, link: &Sender, _: &str) {
        let peer = PeerId(link.id().0);
        let mut state = self.state();
        state.links.remove(&peer);
        self.step(&mut state, Event::Down { peer });
    }
}
