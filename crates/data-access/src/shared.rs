//! What the tasks of a DAP share: its tables, its purview, its owner.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use kvalue::Sym;
use link::Sender;
use sg::{
    InstanceId, LabelSet, Msg, Purview,
    msg::{Covered, LeasesOver, RegisterDap, Registered, UpdateDap},
    purview::TablePurview,
};
use tokio::sync::mpsc;

use crate::{
    core::Core,
    metrics::Metrics,
    store::{Tables, memory::MemoryTables},
    worker::Worker,
};

/// What an owner says about the purview; whoever moves tiles (end of day) listens.
#[derive(Debug, Clone)]
pub enum OwnerSays {
    /// the registration or update was taken in
    Registered(Registered),
    /// no lease on older versions is left
    LeasesOver(LeasesOver),
    /// an older tier covers a table up to an instant
    Covered(Covered),
}

/// Who a DAP is; nothing of it changes while it runs.
#[derive(Debug, Clone)]
pub struct Source {
    /// process name
    pub name: Sym,
    /// this run of it
    pub instance: InstanceId,
    /// labels of its data
    pub labels: LabelSet,
    /// assembly the data belongs to, null for none
    pub assembly: Sym,
    /// tier
    pub tier: Sym,
    /// id that replicas share
    pub id: Sym,
}

/// The shared state.
pub struct Shared {
    /// who this is
    pub source: Source,
    /// in-memory tables, where there are any
    pub memory: Option<MemoryTables>,
    /// query threads
    pub worker: Worker,
    /// default timeout of direct calls
    pub timeout: Duration,
    /// counters
    pub metrics: Metrics,
    tables: RwLock<Arc<dyn Tables>>,
    registered: Mutex<Vec<TablePurview>>,
    version: AtomicI64,
    available: AtomicBool,
    core: Mutex<Core>,
    owner: Mutex<Option<Sender>>,
    /// true where the present owner has taken the registration in
    accepted: AtomicBool,
    /// why a coordinator would not have this DAP, until one does
    refusal: Mutex<Option<String>>,
    owner_says: mpsc::UnboundedSender<OwnerSays>,
}

impl Shared {
    /// A DAP over these tables; `owner_says` hears what owners say about its purview.
    pub fn new(
        source: Source,
        tables: Arc<dyn Tables>,
        memory: Option<MemoryTables>,
        worker: Worker,
        timeout: Duration,
        owner_says: mpsc::UnboundedSender<OwnerSays>,
    ) -> Self {
        let shared = Shared {
            source,
            memory,
            worker,
            timeout,
            metrics: Metrics::default(),
            registered: Mutex::new(tables.purviews()),
            tables: RwLock::new(tables),
            version: AtomicI64::new(1),
            available: AtomicBool::new(true),
            core: Mutex::new(Core::new(1)),
            owner: Mutex::new(None),
            accepted: AtomicBool::new(false),
            refusal: Mutex::new(None),
            owner_says,
        };
        shared.metrics.show(&shared.purview());
        shared
    }

    /// The tables as they are now.
    pub fn tables(&self) -> Arc<dyn Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another snapshot in place, and tells the owner where what is served changed.
    pub fn replace_tables(&self, tables: Arc<dyn Tables>) {
        *self.tables.write().unwrap_or_else(PoisonError::into_inner) = tables;
        self.purview_changed();
    }

    /// Tells the owner the purview, if it differs from what was told before.
    pub fn purview_changed(&self) {
        let now = self.tables().purviews();
        {
            let mut registered = lock(&self.registered);
            if *registered == now {
                return;
            }
            *registered = now;
            self.version.fetch_add(1, Ordering::SeqCst);
        }
        self.tell_owner();
    }

    /// Says whether the DAP takes work: not while it replays a log.
    pub fn set_available(&self, available: bool) {
        if self.available.swap(available, Ordering::SeqCst) != available {
            self.tell_owner();
        }
    }

    /// True where the DAP takes work.
    pub fn is_available(&self) -> bool {
        self.available.load(Ordering::SeqCst)
    }

    /// Version of the purview.
    pub fn version(&self) -> i64 {
        self.version.load(Ordering::SeqCst)
    }

    /// The purview as it is registered.
    pub fn purview(&self) -> Purview {
        Purview {
            name: self.source.name.clone(),
            instance: self.source.instance,
            epoch: self.core().epoch(),
            source: self.source.id.clone(),
            assembly: self.source.assembly.clone(),
            labels: self.source.labels.clone(),
            tier: self.source.tier.clone(),
            version: self.version(),
            tables: lock(&self.registered).clone(),
            apis: sg::api::builtin(),
            capacity: 1,
        }
    }

    /// Rows held in memory per table.
    pub fn memory_rows(&self) -> BTreeMap<Sym, u64> {
        self.memory.as_ref().map(|m| m.row_counts().into_iter().collect()).unwrap_or_default()
    }

    /// The core, locked for a moment.
    pub fn core(&self) -> MutexGuard<'_, Core> {
        lock(&self.core)
    }

    /// A link to a coordinator is up: register with it.
    pub fn register(&self, link: &Sender) {
        let (_, running) = self.core().owned_by(link.id().0);
        *lock(&self.owner) = Some(link.clone());
        let register = RegisterDap { available: self.is_available(), purview: self.purview(), running };
        self.say(link, register);
    }

    /// A link to a coordinator went down, and why.
    pub fn lost(&self, link: &Sender, why: &str) {
        self.core().lost(link.id().0);
        if let Some(refusal) = why.strip_prefix(link::REFUSED) {
            *lock(&self.refusal) = Some(refusal.to_string());
        }
        let mut owner = lock(&self.owner);
        if owner.as_ref().is_some_and(|o| o.id() == link.id()) {
            *owner = None;
            self.accepted.store(false, Ordering::SeqCst);
        }
    }

    /// True where a coordinator owns this DAP: it has taken the registration in.
    pub fn is_owned(&self) -> bool {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Why the coordinator would not have this DAP: its data overlaps another's, or its name is taken.
    pub fn refusal(&self) -> Option<String> {
        lock(&self.refusal).clone()
    }

    /// Sends to the present owner; without one the message is void.
    pub fn to_owner(&self, msg: impl Into<Msg>) {
        let owner = lock(&self.owner).clone();
        if let Some(owner) = owner {
            self.say(&owner, msg);
        }
    }

    /// Hands on what an owner said about the purview.
    pub fn heard(&self, what: OwnerSays) {
        if let OwnerSays::Registered(_) = what {
            self.accepted.store(true, Ordering::SeqCst);
            *lock(&self.refusal) = None;
        }
        // Nobody listens where there is no end of day: a database process.
        let _ = self.owner_says.send(what);
    }

    fn tell_owner(&self) {
        let purview = self.purview();
        self.metrics.show(&purview);
        self.to_owner(UpdateDap { available: self.is_available(), purview });
    }

    fn say(&self, link: &Sender, msg: impl Into<Msg>) {
        if let Err(error) = link.send(msg) {
            tracing::debug!(%error, "coordinator not told; it will be when the link is up again");
        }
    }
}

/// A lock whose holder panicked still guards consistent data here: every change is a single assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
