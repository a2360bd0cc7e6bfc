//! The network, the clocks, and the agenda of what happens next.
//!
//! A session is one connection between two lives of processes. What is sent in one direction of a session
//! arrives in order; sessions race against each other. When a session breaks each end notices in its own time,
//! what was under way to it after that is lost; so a process may come back while its old session still looks
//! alive at the other end. A clock of a process starts anywhere and may jump.

mod pool;
mod proc;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};

use routing::{MILLI, Nanos};
use sg::{Corr, InstanceId, Msg, PortionId};

pub(crate) use pool::{Pool, Pooled};
pub(crate) use proc::Proc;
use sessions::Session;
pub(crate) use sessions::Side;

use crate::{rng::Rng, trace::Trace};

/// The longest that a message takes in a world whose network is even.
pub(crate) const EVEN: Nanos = 500_000;

/// A run of a portion.
pub(crate) type RunKey = (Corr, i32, PortionId);

/// What is on the agenda.
#[derive(Debug)]
pub(crate) enum Happens {
    Start(Proc),
    Connect {
        by: Proc,
        life: u64,
        to: Proc,
    },
    Up(u64, Side),
    Message(u64, Side, Box<Msg>),
    Down(u64, Side),
    Wake(Proc, u64),
    RunEnds(usize, u64, RunKey),
    OwnerSaid(usize, u64),
    AggregateEnds(usize, u64, (Corr, i32)),
    ClientReads(usize, u64, usize),
    ClientLeaves(usize),
    Ask,
    Trouble,
    Calm,
    Probe,
    Reload(usize),
    /// a coordinator hears which data processes there are
    Found(usize, u64),
    /// the mesh's secret reaches a process: the present one, and whether the one before is accepted still
    Secret(Proc, u64, bool),
    ClockJumps(Proc, i64),
    /// the other end of a session says that its process is about to end
    Leaving(u64, Side),
    /// a process that was told to end looks whether it may
    Drained(Proc, u64, Nanos),
    /// a process that ends in order does so, and comes back after a while
    Ends(Proc, u64, Nanos),
}

/// What the network knows of a process.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) alive: bool,
    pub(crate) life: u64,
    pub(crate) instance: Option<InstanceId>,
    /// what its clock is ahead of the world's
    offset: Nanos,
    wakes: BTreeSet<Nanos>,
}

/// Network, clocks, agenda.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) now: Nanos,
    pub(crate) rng: Rng,
    pub(crate) trace: Trace,
    agenda: BTreeMap<(Nanos, u64), Happens>,
    next: u64,
    sessions: BTreeMap<u64, Session>,
    next_session: u64,
    procs: BTreeMap<Proc, State>,
    /// pairs that cannot reach each other, and until when
    parted: BTreeMap<(Proc, Proc), Nanos>,
    /// how long a silent peer is believed in
    pub(crate) patience: Nanos,
    /// no message takes longer than [`EVEN`]
    pub(crate) even: bool,
    /// data processes have reference tables, which change until then
    pub(crate) vintages: Option<Nanos>,
    /// secrets that a process accepts; none is asked for where there are none
    pub(crate) secrets: BTreeMap<Proc, Vec<u64>>,
    /// messages are lost with their session, not in between: how many were
    pub(crate) lost: u64,
}

impl Net {
    pub(crate) fn new(rng: Rng, trace: Trace, patience: Nanos) -> Net {
        Net {
            now: 0,
            rng,
            trace,
            agenda: BTreeMap::new(),
            next: 0,
            sessions: BTreeMap::new(),
            next_session: 1,
            procs: BTreeMap::new(),
            parted: BTreeMap::new(),
            patience,
            even: false,
            vintages: None,
            secrets: BTreeMap::new(),
            lost: 0,
        }
    }

    /// How long a message is under way.
    pub(crate) fn delay(&mut self) -> Nanos {
        match self.even {
            true => self.rng.between(20_000, EVEN),
            false => self.rng.delay(),
        }
    }

    // ---- agenda -----------------------------------------------------------------------------------------

    pub(crate) fn at(&mut self, at: Nanos, what: Happens) {
        self.next += 1;
        self.agenda.insert((at.max(self.now), self.next), what);
    }

    pub(crate) fn after(&mut self, delay: Nanos, what: Happens) {
        self.at(self.now + delay, what);
    }

    /// The next thing that happens; time moves to it.
    pub(crate) fn next(&mut self) -> Option<Happens> {
        let ((at, _), what) = self.agenda.pop_first()?;
        self.now = at;
        Some(what)
    }

    // ---- processes and clocks ---------------------------------------------------------------------------

    pub(crate) fn state(&self, proc: Proc) -> (bool, u64) {
        self.procs.get(&proc).map_or((false, 0), |s| (s.alive, s.life))
    }

    pub(crate) fn is(&self, proc: Proc, life: u64) -> bool {
        self.state(proc) == (true, life)
    }

    pub(crate) fn is_alive(&self, proc: Proc) -> bool {
        self.state(proc).0
    }

    pub(crate) fn instance(&self, proc: Proc) -> InstanceId {
        self.procs.get(&proc).and_then(|s| s.instance).unwrap_or(InstanceId([0; 16]))
    }

    /// A process starts its next life, with a clock of its own.
    pub(crate) fn start(&mut self, proc: Proc) -> u64 {
        let (instance, offset) = (InstanceId(self.rng.guid()), self.rng.below(1_000_000 * MILLI));
        let state = self.procs.entry(proc).or_default();
        state.alive = true;
        state.life += 1;
        state.instance = Some(instance);
        state.offset = offset;
        state.wakes.clear();
        state.life
    }

    /// A process dies: its peers notice in their time.
    pub(crate) fn stop(&mut self, proc: Proc) {
        if let Some(state) = self.procs.get_mut(&proc) {
            state.alive = false;
        }
        for id in self.unbroken(proc) {
            self.cut(id);
        }
    }

    /// The process's own clock.
    pub(crate) fn clock(&self, proc: Proc) -> Nanos {
        self.now + self.procs.get(&proc).map_or(0, |s| s.offset)
    }

    /// A clock jumps ahead, or steps back, though not behind the world's beginning.
    pub(crate) fn jump(&mut self, proc: Proc, by: i64) {
        let Some(state) = self.procs.get_mut(&proc) else { return };
        state.offset = state.offset.saturating_add_signed(by);
        let life = state.life;
        self.after(0, Happens::Wake(proc, life));
    }

    /// The process wants to be woken when its clock says `at`.
    pub(crate) fn wake(&mut self, proc: Proc, at: Nanos) {
        let now = self.now;
        let Some(state) = self.procs.get_mut(&proc) else { return };
        let at = at.saturating_sub(state.offset).max(now);
        if state.wakes.insert(at) {
            let life = state.life;
            self.at(at, Happens::Wake(proc, life));
        }
    }

    pub(crate) fn woken(&mut self, proc: Proc) {
        let now = self.now;
        if let Some(state) = self.procs.get_mut(&proc) {
            state.wakes.retain(|at| *at > now);
        }
    }
}
