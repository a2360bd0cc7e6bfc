//! The router: events in, actions out.
//!
//! | file | what |
//! | --- | --- |
//! | [`self`] | state, the way of an event, timers |
//! | `peers` | registrations and losses of DAPs, Aggs and GWs |
//! | `admission` | a request comes: refusals, plan, Agg |
//! | `dispatch` | portions to replicas, from the request or the queue |
//! | `lifecycle` | reports of DAPs and Aggs on portions; retries |
//! | `replan` | waiting portions after coverage changed |
//! | `vintage` | portions that used older reference tables than others of their request |
//! | `found` | requests while a purview is unknown |
//! | `completion` | the one terminal outcome of a request; clean-up |
//! | `ownership_sync` | owned replicas, exchanged among coordinators |
//! | `demand` | idle replicas and waiting portions, exchanged among coordinators |
//! | `remote_dispatch` | own portions on replicas of peers |
//! | `remote_serve` | portions of peers on own replicas; turns |
//! | `recall` | recall of queued portions while a replica is idle |
//! | `hedge` | second runs of slow portions |
//! | `explain` | where a call would run, and why |
//! | `mesh_query` | queries answered by all coordinators together |
//! | `builtin_apis` | other APIs answered by the coordinator itself |
//! | `invariants` | invariants after every event |
//!
//! States, events and rules with their tests: `LIFECYCLE.md` beside `src`.

mod admission;
mod builtin_apis;
mod completion;
mod demand;
mod dispatch;
mod explain;
mod found;
mod hedge;
mod invariants;
mod lifecycle;
mod mesh_query;
mod ownership_sync;
mod peers;
mod recall;
mod remote_dispatch;
mod remote_serve;
mod replan;
mod vintage;

pub use invariants::{Beside, check_mesh, check_quiet_mesh, waiting_beside_idle};

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ahash::HashMap;
use kvalue::Sym;
use sg::{Corr, InstanceId, Msg};

use crate::{
    Settings, Stats,
    aggs::Aggs,
    apis::Apis,
    coverage::{Coverage, SourceId},
    event::{Action, Event, Nanos, Note, PeerId, PeerRole},
    fleet::{Fleet, LeaseKey},
    found::FoundAll,
    mesh::Mesh,
    names::Names,
    queue::Queue,
    request::Request,
    trace::Traces,
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
    /// this portion runs longer than usual
    Slow(u32),
    /// this portion is to be planned again
    Again(u32),
}

/// The coordinator's brain: see the module's documentation.
#[derive(Debug)]
pub struct Router {
    settings: Settings,
    /// this run of the coordinator
    own: InstanceId,
    peers: BTreeMap<PeerId, Peer>,
    coverage: Coverage,
    fleet: Fleet,
    apis: Apis,
    aggs: Aggs,
    queue: Queue,
    names: Names,
    traces: Traces,
    /// by number in order of arrival; boxed, because a table that doubles has both its sizes in memory for a
    /// moment, and its empty places are as large as a request
    requests: HashMap<u64, Box<Request>>,
    by_corr: HashMap<Corr, u64>,
    /// data processes that discovery has found
    found: FoundAll,
    /// requests kept while a purview is unknown
    kept: BTreeSet<u64>,
    /// of those, what asks one by its name
    kept_named: BTreeSet<u64>,
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
    /// data processes that are on their way out and may still run something
    leaving: BTreeSet<PeerId>,
    /// it is to stop; from then on it refuses new requests
    drain_at: Option<Nanos>,
    mesh: Mesh,
    /// questions to peers
    questions: BTreeMap<i64, mesh_query::Question>,
    next_question: i64,
    /// hundredths of second runs that may be started
    hedges: u32,
    /// portions that run twice, and some that no longer do
    seconds: Vec<(u64, u32)>,
    /// sources to be looked at then, because what waits behind another had only just been given
    recall_at: BTreeMap<SourceId, Nanos>,
    /// portions asked back, and until when their replica may hand them back, in that order
    recalls: VecDeque<(Nanos, PeerId, LeaseKey)>,
    /// data processes that are left alone, and until when
    rests: BTreeSet<(Nanos, PeerId)>,
    stats: Stats,
}

impl Router {
    /// The router of a coordinator that starts `now` without peers or replicas. The settling time counts from `now`.
    pub fn new(settings: Settings, own: InstanceId, now: Nanos) -> Self {
        Router {
            own,
            peers: BTreeMap::new(),
            coverage: Coverage::new(settings.max_sources, &settings.expected),
            fleet: Fleet::new(settings.probe_after),
            apis: Apis::default(),
            aggs: Aggs::default(),
            queue: Queue::default(),
            names: Names::default(),
            traces: Traces::default(),
            requests: HashMap::default(),
            by_corr: HashMap::default(),
            found: FoundAll::new(settings.looks),
            kept: BTreeSet::new(),
            kept_named: BTreeSet::new(),
            timers: BTreeSet::new(),
            forget_at: None,
            settle_at: (settings.settle > 0 && !sg::mutation::on(crate::mutations::SETTLE_SKIPPED))
                .then_some(now.saturating_add(settings.settle)),
            next: 0,
            now,
            actions: Vec::new(),
            status_changed: false,
            leaving: BTreeSet::new(),
            drain_at: None,
            mesh: Mesh::default(),
            questions: BTreeMap::new(),
            next_question: 0,
            hedges: 0,
            seconds: Vec::new(),
            recall_at: BTreeMap::new(),
            recalls: VecDeque::new(),
            rests: BTreeSet::new(),
            stats: Stats::default(),
            settings,
        }
    }

    /// Takes in an event. The resulting actions are in [`Self::drain`]. A clock that runs backwards stands still here.
    pub fn handle(&mut self, event: Event, now: Nanos) {
        self.now = self.now.max(now);
        match event {
            Event::Up { peer, role, name, instance, address } => {
                self.up(peer, Peer { role, name, instance, address });
            }
            Event::Message { peer, msg } => self.message(peer, msg),
            Event::Down { peer } => self.down(peer),
            Event::Leaving { peer } => self.dap_leaves(peer),
            Event::Found { places, synced, trouble } => self.found(places, synced, trouble),
            Event::PeersTried => self.peers_tried(),
            Event::Drain => self.leave(),
            Event::Tick => {}
        }
        self.run_timers();
        self.begin_kept();
        self.let_go();
        self.hand_over();
        // Whose replicas are known of now may be idle for what waits.
        self.retry_ignored();
        self.ask_back();
        self.tell_peers();
        self.tell_status();
    }

    /// The actions since the last call, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Action> {
        self.actions.drain(..)
    }

    /// When a [`Event::Tick`] is due, if at all.
    pub fn next_wakeup(&self) -> Option<Nanos> {
        let timer = self.timers.first().map(|(at, _, _)| *at);
        let offer = self.mesh.offers.values().next().map(|o| o.until);
        let offer = offer.filter(|_| !sg::mutation::on(crate::mutations::OFFER_FOR_EVER));
        let question = self.questions.values().map(|q| q.until).min();
        let recall = self.recall_at.values().min().copied();
        let unanswered = self.recalls.front().map(|(due, ..)| *due);
        let rest = self.rests.first().map(|(at, _)| *at);
        [timer, self.forget_at, self.settle_at, self.mesh.flush_at, offer, question, recall, unanswered, rest]
            .into_iter()
            .flatten()
            .min()
    }

    /// True where [`Event::Drain`] came and nothing is left to be done here.
    pub fn is_drained(&self) -> bool {
        self.drain_at.is_some() && self.is_quiet()
    }

    /// Counters and gauges.
    pub fn stats(&self) -> Stats {
        Stats {
            queued: self.queue.len(),
            requests: self.requests.len(),
            daps: self.fleet.own(),
            peers: self.mesh.nodes.len(),
            peer_daps: self.fleet.len() - self.fleet.own(),
            aggs: self.aggs.len(),
            settling: self.settle_at.is_some(),
            untried: !self.found.is_tried(),
            unlinked: self.found.unlinked(),
            kept: self.kept.len(),
            gws: self.peers.values().filter(|p| p.role == PeerRole::Gw).count(),
            ..self.stats
        }
    }

    fn message(&mut self, peer: PeerId, msg: Msg) {
        let Some(role) = self.peers.get(&peer).map(|p| p.role) else { return self.stray(msg.name()) };
        match (role, msg) {
            (PeerRole::Gw, Msg::Request(m)) => self.request(peer, m),
            (PeerRole::Gw, Msg::Answered(m)) => self.answer_came(peer, &m),
            (PeerRole::Gw, Msg::Cancel(m)) => self.cancel_from_gw(peer, &m),
            (PeerRole::Dap, Msg::RegisterDap(m)) => self.register_dap(peer, m),
            (PeerRole::Dap, Msg::UpdateDap(m)) => self.update_dap(peer, m),
            (PeerRole::Dap, Msg::Done(m)) => self.done(peer, m),
            (PeerRole::Dap, Msg::Idle(m)) => self.idle(peer, &m),
            (PeerRole::Agg, Msg::RegisterAgg(m)) => self.register_agg(peer, m),
            (PeerRole::Agg, Msg::Got(m)) => self.got(peer, &m),
            (PeerRole::Agg, Msg::Undelivered(m)) => self.undelivered(peer, &m),
            (PeerRole::Agg, Msg::Stale(m)) => self.stale(peer, m),
            (PeerRole::Rc, Msg::MeshPurviews(m)) => self.purviews(peer, m),
            (PeerRole::Rc, Msg::MeshIdle(m)) => self.idle_hint(peer, &m),
            (PeerRole::Rc, Msg::MeshDemand(m)) => self.demand(peer, m),
            (PeerRole::Rc, Msg::MeshTry(m)) => self.asked_to_start(peer, m),
            (PeerRole::Rc, Msg::MeshStarted(m)) => self.started(peer, &m),
            (PeerRole::Rc, Msg::MeshRefused(m)) => self.refused(peer, &m),
            (PeerRole::Rc, Msg::MeshOffer(m)) => self.offered(peer, &m),
            (PeerRole::Rc, Msg::MeshDecline(m)) => self.declined(peer, &m),
            (PeerRole::Rc, Msg::MeshDone(m)) => self.ended_at_peer(peer, m),
            (PeerRole::Rc, Msg::MeshAsk(m)) => self.asked(peer, &m),
            (PeerRole::Rc, Msg::MeshReply(m)) => self.replied(peer, m),
            (PeerRole::Rc, Msg::MeshCancel(m)) => self.no_longer_wanted(peer, &m),
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
        self.offers_over();
        self.questions_over();
        self.rests_over();
        if self.mesh.flush_at.is_some_and(|at| at <= self.now) {
            self.flush_hints();
        }
        while let Some(&(at, seq, due)) = self.timers.first()
            && at <= self.now
        {
            self.timers.pop_first();
            match due {
                Due::Answer => self.time_out(seq),
                Due::Custody(portion) => self.custody_late(seq, portion),
                Due::Slow(portion) => self.run_twice(seq, portion),
                Due::Again(portion) => self.rested(seq, portion),
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
