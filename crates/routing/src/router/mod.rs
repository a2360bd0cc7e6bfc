//! The router: events in, actions out.
//!
//! | file | what |
//! | --- | --- |
//! | [`self`] | state, the way of an event, timers |
//! | `peers` | registrations and losses of DAPs, Aggs and GWs |
//! | `accept` | a request comes: refusals, plan, Agg |
//! | `dispatch` | portions to replicas, from the request or the queue |
//! | `progress` | what DAPs and Aggs say of portions; retries |
//! | `replan` | waiting portions after coverage changed |
//! | `end` | the one terminal outcome of a request, and what it leaves behind |
//! | `own` | the APIs that the coordinator answers itself |
//! | `invariants` | what must hold after every event |
//!
//! States, events and rules with their tests: `LIFECYCLE.md` beside `src`.

mod accept;
mod dispatch;
mod end;
mod invariants;
mod own;
mod peers;
mod progress;
mod replan;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kvalue::Sym;
use sg::{Corr, InstanceId, Msg};

use crate::{
    Settings, Stats,
    aggs::Aggs,
    apis::Apis,
    coverage::Coverage,
    event::{Action, Event, Nanos, Note, PeerId, PeerRole},
    fleet::Fleet,
    queue::Queue,
    request::Request,
};

/// A process at the other end of a link.
#[derive(Debug)]
struct Peer {
    role: PeerRole,
    name: Sym,
    instance: InstanceId,
    address: Sym,
}

/// What is due at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// the request must be answered
    Answer,
    /// the Agg's `got` for this portion is late
    Custody(u32),
}

/// The coordinator's brain: see the module's documentation.
#[derive(Debug)]
pub struct Router {
    settings: Settings,
    peers: BTreeMap<PeerId, Peer>,
    coverage: Coverage,
    fleet: Fleet,
    apis: Apis,
    aggs: Aggs,
    queue: Queue,
    /// by number in order of arrival
    requests: HashMap<u64, Request>,
    by_corr: HashMap<Corr, u64>,
    timers: BTreeSet<(Nanos, u64, Due)>,
    /// when coverage forgets something, computed when it changes
    forget_at: Option<Nanos>,
    /// until when it is not ready, after its start
    settle_at: Option<Nanos>,
    next: u64,
    now: Nanos,
    actions: Vec<Action>,
    /// what the GWs were told last, and whether it may have changed
    status_changed: bool,
    stats: Stats,
}

impl Router {
    /// A router that knows nobody yet.
    pub fn new(settings: Settings) -> Self {
        Router {
            peers: BTreeMap::new(),
            coverage: Coverage::new(settings.max_sources),
            fleet: Fleet::new(settings.probe_after),
            apis: Apis::default(),
            aggs: Aggs::default(),
            queue: Queue::default(),
            requests: HashMap::new(),
            by_corr: HashMap::new(),
            timers: BTreeSet::new(),
            forget_at: None,
            settle_at: Some(settings.settle).filter(|at| *at > 0),
            next: 0,
            now: 0,
            actions: Vec::new(),
            status_changed: false,
            stats: Stats::default(),
            settings,
        }
    }

    /// Takes in an event. What is to be done about it is then in [`Self::drain`]. A clock that runs backwards
    /// stands still here.
    pub fn handle(&mut self, event: Event, now: Nanos) {
        self.now = self.now.max(now);
        match event {
            Event::Up { peer, role, name, instance, address } => {
                self.up(peer, Peer { role, name, instance, address });
            }
            Event::Message { peer, msg } => self.message(peer, msg),
            Event::Down { peer } => self.down(peer),
            Event::Tick => {}
        }
        self.run_timers();
        self.tell_status();
    }

    /// The actions since the last call, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Action> {
        self.actions.drain(..)
    }

    /// When a [`Event::Tick`] is due, if at all.
    pub fn next_wakeup(&self) -> Option<Nanos> {
        let timer = self.timers.first().map(|(at, _, _)| *at);
        [timer, self.forget_at, self.settle_at].into_iter().flatten().min()
    }

    /// Counters and gauges.
    pub fn stats(&self) -> Stats {
        Stats {
            queued: self.queue.len(),
            requests: self.requests.len(),
            daps: self.fleet.len(),
            aggs: self.aggs.len(),
            settling: self.settle_at.is_some(),
            gws: self.peers.values().filter(|p| p.role == PeerRole::Gw).count(),
            ..self.stats
        }
    }

    fn message(&mut self, peer: PeerId, msg: Msg) {
        let Some(role) = self.peers.get(&peer).map(|p| p.role) else { return self.stray(msg.name()) };
        match (role, msg) {
            (PeerRole::Gw, Msg::Request(m)) => self.request(peer, m),
            (PeerRole::Gw, Msg::Cancel(m)) => self.cancel_from_gw(peer, &m),
            (PeerRole::Dap, Msg::RegisterDap(m)) => self.register_dap(peer, m),
            (PeerRole::Dap, Msg::UpdateDap(m)) => self.update_dap(peer, m),
            (PeerRole::Dap, Msg::Done(m)) => self.done(peer, m),
            (PeerRole::Dap, Msg::Idle(m)) => self.idle(peer, &m),
            (PeerRole::Agg, Msg::RegisterAgg(m)) => self.register_agg(peer, m),
            (PeerRole::Agg, Msg::Got(m)) => self.got(peer, &m),
            (PeerRole::Agg, Msg::Finished(m)) => self.finished(peer, &m),
            (_, msg) => self.stray(msg.name()),
        }
    }

    fn run_timers(&mut self) {
        if self.settle_at.is_some_and(|at| at <= self.now) {
            self.settle_at = None;
            self.status_changed = true;
        }
        if self.forget_at.is_some_and(|at| at <= self.now) {
            self.forget_lost();
        }
        while let Some(&(at, seq, due)) = self.timers.first()
            && at <= self.now
        {
            self.timers.pop_first();
            match due {
                Due::Answer => self.time_out(seq),
                Due::Custody(portion) => self.custody_late(seq, portion),
            }
        }
    }

    fn send(&mut self, to: PeerId, msg: impl Into<Msg>) {
        self.actions.push(Action::Send { to, msg: msg.into() });
    }

    fn note(&mut self, note: Note) {
        self.actions.push(Action::Note(note));
    }

    fn stray(&mut self, what: &'static str) {
        self.stats.strays += 1;
        self.note(Note::Stray { what });
    }
}
