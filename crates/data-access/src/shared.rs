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
    msg::{Covered, Idle, LeasesOver, RegisterDap, Registered, UpdateDap},
    purview::TablePurview,
};
use tokio::sync::{Notify, mpsc};

use crate::{
    brief::Brief,
    core::{Core, Depth},
    eod::EndOfDay,
    handover::Unsaved,
    intake::Refusals,
    metrics::Metrics,
    owner::{Due, Guard, Owned},
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

/// Who a DAP is; but for the id nothing of it changes while it runs.
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
    /// id shared by replicas at the start; later ids follow the content of the database, see [`Shared::replace_tables`]
    pub id: Sym,
}

/// What is served, as it was last told.
#[derive(Debug, PartialEq)]
struct Served {
    source: Sym,
    tables: Vec<TablePurview>,
}

/// The shared state.
pub struct Shared {
    /// who this is
    pub source: Source,
    /// in-memory tables, where there are any
    pub memory: Option<MemoryTables>,
    /// query threads
    pub worker: Worker,
    /// which portions need none
    pub brief: Brief,
    /// default timeout of direct calls
    pub timeout: Duration,
    /// counters
    pub metrics: Metrics,
    /// what was said of refused batches
    pub refusals: Refusals,
    tables: RwLock<Arc<dyn Tables>>,
    registered: Mutex<Served>,
    version: AtomicI64,
    available: AtomicBool,
    owned: Owned<Sender>,
    /// something was put behind what the query thread does
    pub(crate) waiting: Notify,
    /// true where the present owner has taken the registration in
    accepted: AtomicBool,
    /// why a coordinator would not have this DAP, until one does
    refusal: Mutex<Option<String>>,
    owner_says: mpsc::UnboundedSender<OwnerSays>,
    end_of_day: std::sync::OnceLock<EndOfDay>,
}

impl Shared {
    /// Whose unsaved days the page of readiness names.
    pub fn set_end_of_day(&self, eod: EndOfDay) {
        let _ = self.end_of_day.set(eod);
    }

    /// Days that have ended and are not on disk.
    pub fn unsaved(&self) -> Vec<Unsaved> {
        self.end_of_day.get().map(EndOfDay::unsaved).unwrap_or_default()
    }

    /// A DAP over these tables; `owner_says` hears what owners say about its purview.
    pub fn new(
        source: Source,
        tables: Arc<dyn Tables>,
        memory: Option<MemoryTables>,
        worker: Worker,
        depth: Depth,
        timeout: Duration,
        owner_says: mpsc::UnboundedSender<OwnerSays>,
    ) -> Self {
        let served = Served { source: source.id.clone(), tables: tables.purviews() };
        let shared = Shared {
            source,
            memory,
            worker,
            brief: Brief::default(),
            timeout,
            metrics: Metrics::default(),
            refusals: Refusals::default(),
            registered: Mutex::new(served),
            tables: RwLock::new(tables),
            version: AtomicI64::new(1),
            available: AtomicBool::new(true),
            waiting: Notify::new(),
            owned: Owned::new(Core::new(depth)),
            accepted: AtomicBool::new(false),
            refusal: Mutex::new(None),
            owner_says,
            end_of_day: std::sync::OnceLock::new(),
        };
        shared.metrics.show(&shared.purview());
        shared
    }

    /// The tables as they are now.
    pub fn tables(&self) -> Arc<dyn Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The tables and the version of the purview: an order for this version may read these tables. They are
    /// taken before the version, and put in place after it was raised, so that nobody reads later tables than
    /// those that the order was planned on.
    pub fn snapshot(&self) -> (Arc<dyn Tables>, i64) {
        let tables = self.tables();
        (tables, self.version())
    }

    /// Puts another snapshot in place, and tells the owner where what is served changed. `source` is the id of the
    /// data now, `None` where it stays: coordinators know a source by all ids that its running replicas gave it.
    pub fn replace_tables(&self, tables: Arc<dyn Tables>, source: Option<Sym>) {
        let changed = self.note(tables.purviews(), source);
        *self.tables.write().unwrap_or_else(PoisonError::into_inner) = tables;
        if changed {
            self.tell_owner();
        }
    }

    /// Tells the owner the purview, if it differs from what was told before.
    pub fn purview_changed(&self) {
        if self.note(self.tables().purviews(), None) {
            self.tell_owner();
        }
    }

    /// True where there is something to tell; raises the version where what is served changed.
    fn note(&self, tables: Vec<TablePurview>, source: Option<Sym>) -> bool {
        let mut registered = lock(&self.registered);
        let now = Served { source: source.unwrap_or_else(|| registered.source.clone()), tables };
        if *registered == now {
            return false;
        }
        // Orders planned before rows were added to a partition are still good.
        if registered.tables != now.tables {
            self.version.fetch_add(1, Ordering::SeqCst);
        }
        *registered = now;
        true
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
        let epoch = self.core().epoch();
        self.purview_of(epoch)
    }

    fn purview_of(&self, epoch: i64) -> Purview {
        let capacity = self.core().capacity();
        let (source, tables) = {
            let served = lock(&self.registered);
            (served.source.clone(), served.tables.clone())
        };
        Purview {
            name: self.source.name.clone(),
            instance: self.source.instance,
            epoch,
            source,
            assembly: self.source.assembly.clone(),
            labels: self.source.labels.clone(),
            tier: self.source.tier.clone(),
            version: self.version(),
            tables,
            apis: sg::api::builtin(),
            capacity,
        }
    }

    /// Rows held in memory per table.
    pub fn memory_rows(&self) -> BTreeMap<Sym, u64> {
        self.memory.as_ref().map(|m| m.row_counts().into_iter().collect()).unwrap_or_default()
    }

    /// The core, locked for a moment: in which nothing may be sent to the owner but by [`Self::tell`].
    pub fn core(&self) -> Guard<'_, Sender> {
        self.owned.core()
    }

    /// A link to a coordinator is up: it is registered with, now or once nothing runs for the present owner.
    pub fn owned_by(&self, link: &Sender) {
        self.register(self.owned.link_up(link));
    }

    /// Nothing runs: the next owner's turn, if one waits. True where there was one.
    pub fn hand_over(&self) -> bool {
        let due = self.owned.hand_over();
        let is_due = due.is_some();
        self.register(due);
        is_due
    }

    /// Tells the owner of free places; where nothing is held it is the next owner's turn. Then no order is refused as
    /// busy, and a registration says that nothing runs, to whoever is the owner then.
    pub fn places_free(&self, is_empty: bool, idle: Option<Idle>) {
        if is_empty && self.hand_over() {
            return;
        }
        if let Some(idle) = idle {
            self.to_owner(idle);
        }
    }

    /// Takes no more work, and waits until what runs has ended, or `limit`.
    pub async fn drain(&self, limit: Duration) {
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        let end = std::time::Instant::now() + limit;
        self.set_available(false);
        // Messages sent before the owner heard of the drain are still taken.
        tokio::time::sleep(2 * LOOK_EVERY).await;
        while std::time::Instant::now() < end && self.core().runs() > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Registers with a coordinator, where that is due.
    fn register(&self, due: Option<Due<Sender>>) {
        let Some(Due { link, epoch, running }) = due else { return };
        let purview = self.purview_of(epoch);
        self.say(&link, RegisterDap { available: self.is_available(), purview, running });
    }

    /// A link to a coordinator went down, and why.
    pub fn lost(&self, link: &Sender, why: &str) {
        let (was_owner, due) = self.owned.link_down(link);
        if was_owner {
            self.accepted.store(false, Ordering::SeqCst);
            if let Some(refusal) = why.strip_prefix(link::REFUSED) {
                *lock(&self.refusal) = Some(refusal.to_string());
            }
        }
        self.register(due);
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
        self.tell(self.owned.owner(), msg);
    }

    /// The same, to the owner that the core was found to have.
    pub fn tell(&self, owner: Option<Sender>, msg: impl Into<Msg>) {
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
