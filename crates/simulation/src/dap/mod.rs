//! A data process: `data_access::core`, its APIs and its in-memory tables, wired as `data_access::orders`,
//! `shared` and `live` do.
//!
//! | file | what |
//! | --- | --- |
//! | [`self`] | its links and its tiles |
//! | `work` | portions: taken, run, handed back |

mod work;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use data_access::{
    cancel::Cancel,
    core::{Core, Depth, Ticket},
    handover::DayBook,
    live::{self, Step},
    orders,
    shared::OwnerSays,
    store::{Tables, memory::MemoryTables},
};
use kvalue::{Sym, Value};
use qipc::Raw;
use routing::{MILLI, Nanos, SECOND};
use sg::{
    Api, Corr, Failure, InstanceId, LabelSet, Msg, PortionId, Purview,
    msg::{Payload, RegisterDap, Run, UpdateDap},
    purview::TablePurview,
};

use crate::{
    data::{self, Disk, TABLE},
    ledger::{LARGE, Ledger, ONCE},
    net::{Happens, Net, Pool, Proc, RunKey},
};

/// What a data process is, in every life.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// its label set, by number
    pub(crate) labels: usize,
    pub(crate) set: LabelSet,
    pub(crate) tier: &'static str,
    pub(crate) capacity: u32,
    /// runs one portion at a time, however many are held
    pub(crate) one_by_one: bool,
    /// how much longer than others it takes
    pub(crate) slow: u64,
}

struct Work {
    run: Run,
    /// as they were when the order came
    tables: Arc<dyn Tables>,
    cancel: Arc<Cancel>,
    ticket: Ticket,
    /// when the order came
    since: Nanos,
    deadline: Nanos,
    outcome: Option<Result<Payload, Failure>>,
}

/// A life of a data process.
pub(crate) struct Dap {
    me: Proc,
    life: u64,
    index: usize,
    held: Held,
    instance: InstanceId,
    core: Core,
    tables: Arc<dyn Tables>,
    memory: Option<MemoryTables>,
    /// what it knows of the days that others save
    book: DayBook,
    registered: Vec<TablePurview>,
    version: i64,
    /// when it last had another purview
    moved: Nanos,
    owner: Option<u64>,
    /// a coordinator that is to be the owner once nothing runs for the present one
    next_owner: Option<u64>,
    /// sessions with coordinators
    links: Vec<u64>,
    /// it was given work that no router knows of
    strangely_busy: bool,
    /// false while it ends in order
    available: bool,
    /// of a database: the version that an owner has last confirmed, and up to where its data reached
    confirmed: Option<i64>,
    until: i64,
    running: BTreeMap<RunKey, Work>,
    /// held behind what runs
    waiting: VecDeque<Work>,
    said: VecDeque<OwnerSays>,
    said_order: Nanos,
    aggs: Pool<(Run, Result<Payload, Failure>, Nanos)>,
    peers: BTreeMap<u64, Proc>,
    rcs: usize,
    rc: usize,
}

fn custom() -> Vec<Api> {
    let api = |name: &str, safe| Api {
        name: name.into(),
        description: String::new(),
        params: Vec::new(),
        returns: 98,
        agg_fn: sg::api::AGG_RAZE.into(),
        safe,
        custom: true,
    };
    vec![api(ONCE, false), api(LARGE, true)]
}

impl Dap {
    /// A life begins: from disk what is there, into memory what the tickerplant's log has of the present day.
    pub(crate) fn start(net: &mut Net, index: usize, rcs: usize, held: Held, saved: (i64, i64)) -> Dap {
        let me = Proc::Dap(index);
        let (life, rc, delay) = (net.state(me).1, net.rng.below(rcs as u64) as usize, net.delay());
        net.dial(me, Proc::Rc(rc), delay);
        let memory = (held.tier == "rdb").then(|| {
            let memory = MemoryTables::new(saved.1, 1 << 30);
            let range = sg::TimeRange::new(saved.1, data::DATA.1).unwrap_or(sg::TimeRange::ALL);
            let _ = memory.upd(&TABLE.into(), &data::rows(held.labels, range));
            memory
        });
        let tables: Arc<dyn Tables> = match &memory {
            Some(memory) => Arc::new(memory.clone()),
            None => Disk::open(held.labels, saved),
        };
        Dap {
            me,
            life,
            index,
            instance: net.instance(me),
            // What waits behind another has to be asked for.
            core: Core::new(Depth { capacity: held.capacity, patience: Duration::from_secs(1 << 20) }),
            registered: tables.purviews(),
            tables,
            memory,
            book: DayBook::new(false),
            version: 1,
            moved: 0,
            owner: None,
            next_owner: None,
            links: Vec::new(),
            strangely_busy: false,
            available: true,
            confirmed: None,
            until: saved.1,
            running: BTreeMap::new(),
            waiting: VecDeque::new(),
            said: VecDeque::new(),
            said_order: 0,
            aggs: Pool::new(),
            peers: BTreeMap::new(),
            held,
            rcs,
            rc,
        }
    }

    fn purview(&self) -> Purview {
        Purview {
            name: self.me.name().into(),
            instance: self.instance,
            epoch: self.core.epoch(),
            source: format!("{}-{}", self.held.tier, self.held.set).into(),
            assembly: Sym::null(),
            labels: self.held.set.clone(),
            tier: self.held.tier.into(),
            version: self.version,
            tables: self.registered.clone(),
            apis: sg::api::builtin().into_iter().chain(custom()).collect(),
            capacity: self.held.capacity,
        }
    }

    // ---- links ------------------------------------------------------------------------------------------

    pub(crate) fn connected(&mut self, net: &mut Net, ledger: &mut Ledger, to: Proc, session: Option<u64>) {
        if let Proc::Rc(_) = to {
            match session {
                Some(id) => self.up(net, id, to),
                None => self.next_rc(net),
            }
            return;
        }
        let (session, waiting) = self.aggs.connected(net, self.me, to, session);
        if let Some(id) = session {
            self.peers.insert(id, to);
        }
        for (run, outcome, deadline) in waiting {
            match session {
                Some(id) => self.deliver(net, ledger, id, (run, outcome, deadline)),
                None => self.finish(net, &run, Err(orders::unreachable_agg(&run, "nobody answers there"))),
            }
        }
    }

    fn next_rc(&mut self, net: &mut Net) {
        self.rc = (self.rc + 1) % self.rcs;
        let backoff = net.rng.between(5 * MILLI, 200 * MILLI);
        net.dial(self.me, Proc::Rc(self.rc), backoff);
    }

    /// A session with a coordinator, whoever opened it: it is the owner from now on, or, where something runs
    /// for the present one, once that has ended.
    pub(crate) fn up(&mut self, net: &mut Net, session: u64, peer: Proc) {
        self.peers.insert(session, peer);
        self.links.push(session);
        match self.core.runs() > 0 && self.owner.is_some() {
            true => self.next_owner = Some(session),
            false => self.register(net, session),
        }
    }

    fn register(&mut self, net: &mut Net, session: u64) {
        let (_, running) = self.core.owned_by(session);
        self.owner = Some(session);
        let (available, purview) = (self.available, self.purview());
        let _ = net.send(session, self.me, RegisterDap { available, purview, running });
    }

    /// Nothing runs: the next owner's turn, if one waits.
    fn hand_over(&mut self, net: &mut Net) -> bool {
        if self.core.runs() > 0 {
            return false;
        }
        let next = self.next_owner.take();
        next.iter().for_each(|session| self.register(net, *session));
        next.is_some()
    }

    pub(crate) fn down(&mut self, net: &mut Net, session: u64, dialled: bool) {
        let Some(peer) = self.peers.remove(&session) else { return };
        self.aggs.down(session);
        let Proc::Rc(_) = peer else { return };
        self.core.lost(session);
        self.links.retain(|link| *link != session);
        if dialled {
            self.next_rc(net);
        }
        if self.owner != Some(session) {
            self.next_owner = self.next_owner.filter(|next| *next != session);
            return;
        }
        self.owner = None;
        // Another linked coordinator may still consider itself the owner, by an outdated registration.
        let next = self.next_owner.take().or_else(|| self.links.last().copied());
        next.iter().for_each(|link| self.register(net, *link));
    }

    /// An order that a coordinator might give, of which its router knows nothing.
    pub(crate) fn strange_order(&self, corr: Corr) -> Run {
        Run {
            corr,
            attempt: 0,
            portion: PortionId(0),
            epoch: self.core.epoch(),
            left: SECOND as i64,
            api: sg::api::GET_DATA.into(),
            table: TABLE.into(),
            labels: self.held.set.clone(),
            range: sg::TimeRange::ALL,
            version: self.version,
            agg: Proc::Agg(0).address(),
            lone: None,
            opts: Raw::of(&Value::empty_dict()),
            args: sg::args::encode([("table", Value::sym(TABLE))]),
        }
    }

    /// Which process it is.
    pub(crate) fn proc(&self) -> Proc {
        self.me
    }

    /// The session with its owner.
    pub(crate) fn owner(&self) -> Option<u64> {
        self.owner
    }

    /// It is to end in order: it takes no more work.
    pub(crate) fn drain(&mut self, net: &mut Net) {
        self.available = false;
        let update = UpdateDap { available: false, purview: self.purview() };
        self.tell_owner(net, update);
    }

    /// True where nothing runs any more.
    pub(crate) fn is_drained(&self) -> bool {
        self.core.runs() == 0
    }

    fn tell_owner(&mut self, net: &mut Net, msg: impl Into<Msg>) {
        if let Some(owner) = self.owner {
            let _ = net.send(owner, self.me, msg);
        }
    }

    // ---- tiles ------------------------------------------------------------------------------------------

    /// What the owner says of tiles is done by a task of its own, in order.
    fn heard(&mut self, net: &mut Net, what: OwnerSays) {
        self.said.push_back(what);
        let delay = net.delay();
        self.said_order = self.said_order.max(net.now + delay);
        net.at(self.said_order, Happens::OwnerSaid(self.index, self.life));
    }

    pub(crate) fn obey(&mut self, net: &mut Net, ledger: &mut Ledger) {
        let Some(said) = self.said.pop_front() else { return };
        let Some(memory) = self.memory.clone() else { return };
        match live::obey(&memory, &mut self.book, &said, self.version) {
            Step::None | Step::Refused { moved: false, .. } => {}
            Step::Moved | Step::Refused { moved: true, .. } => self.purview_changed(net),
            Step::Purged(Ok(rows)) => ledger.tally.purged += rows,
            Step::Purged(Err(failure)) => ledger.violation(|| format!("a purge failed: {failure:?}")),
        }
    }

    /// Something else is on disk.
    pub(crate) fn reload(&mut self, net: &mut Net, saved: (i64, i64)) {
        if self.memory.is_none() {
            self.tables = Disk::open(self.held.labels, saved);
            self.until = saved.1;
            self.purview_changed(net);
        }
    }

    /// Up to where an owner knows that it holds data.
    pub(crate) fn confirmed(&self) -> i64 {
        self.confirmed.unwrap_or(data::DATA.0)
    }

    fn purview_changed(&mut self, net: &mut Net) {
        let now = self.tables.purviews();
        if self.registered == now {
            return;
        }
        self.registered = now;
        self.version += 1;
        self.moved = net.now;
        let update = UpdateDap { available: self.available, purview: self.purview() };
        self.tell_owner(net, update);
    }

    /// What must hold when everything has come to rest.
    pub(crate) fn check_quiet(&self) -> Result<(), String> {
        match self.running.is_empty()
            && self.waiting.is_empty()
            && self.core.slots() == self.held.capacity as i32
        {
            true => Ok(()),
            false => Err(format!("{} still runs {} portions", self.me.name(), self.running.len())),
        }
    }
}
