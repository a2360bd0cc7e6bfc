//! The stream of endpoint sets that consumers watch, and how its source fares.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::sync::watch;

use crate::{Endpoint, endpoint::Skip, set::Set};

/// The endpoints at one instant.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// in the order of their keys
    pub endpoints: Vec<Arc<Endpoint>>,
    /// false until the source has told all it knows for the first time
    pub synced: bool,
    /// found, and more than may be kept: nobody knows them
    pub beyond: usize,
    /// what an endpoint's absence means: true where the process is on its way out (its pod is gone, or left the
    /// selector), so that its session is drained; false where an address is merely not named now, which says
    /// nothing of the process
    pub absent_leaves: bool,
}

impl link::Places for Snapshot {
    fn places(&self) -> impl Iterator<Item = link::Place> {
        self.endpoints.iter().map(|e| link::Place {
            key: e.key.clone(),
            name: e.name.clone(),
            addr: e.addr,
            ready: e.ready,
        })
    }

    fn synced(&self) -> bool {
        self.synced
    }

    fn absent_leaves(&self) -> bool {
        self.absent_leaves
    }
}

/// A source's stream of sets, and its health. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    sets: watch::Receiver<Arc<Snapshot>>,
    health: Arc<Shared>,
}

/// How a source fares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// what it reads: `pods matching …`, `addresses …`
    pub source: String,
    /// true once it has told all it knows
    pub synced: bool,
    /// true where the last thing that happened was a success
    pub fresh: bool,
    /// why it is not fresh
    pub trouble: Option<String>,
    /// seconds since the source last said anything
    pub silent_seconds: u64,
    /// endpoints now
    pub endpoints: u64,
    /// those that are ready
    pub ready: u64,
    /// whole lists read
    pub lists: u64,
    /// single changes read
    pub events: u64,
    /// times it failed
    pub failures: u64,
    /// times it had gone quiet and was listed again
    pub quiet: u64,
    /// what was found and is no endpoint, a sentence each
    pub skipped: Vec<String>,
}

impl Health {
    /// A line for `/readyz?verbose`.
    pub fn line(&self) -> String {
        let Health { source, endpoints, ready, .. } = self;
        let mut text = format!("{source}: {endpoints} found, {ready} ready");
        if !self.synced {
            text.push_str(", not listed yet");
        }
        if !self.fresh {
            let trouble = self.trouble.as_deref().unwrap_or("no answer yet");
            text.push_str(&format!(
                "; STALE, last heard {} s ago, goes on with what is known: {trouble}",
                self.silent_seconds
            ));
        }
        for skipped in &self.skipped {
            text.push_str("; ");
            text.push_str(skipped);
        }
        text
    }
}

/// Counters a source keeps.
#[derive(Debug, Default)]
struct Shared {
    source: String,
    heard: Mutex<Option<Instant>>,
    started: Mutex<Option<Instant>>,
    trouble: Mutex<Option<String>>,
    skipped: Mutex<Vec<String>>,
    lists: AtomicU64,
    events: AtomicU64,
    failures: AtomicU64,
    quiet: AtomicU64,
}

/// The source's end of a [`Feed`].
#[derive(Debug)]
pub struct Publisher {
    sets: watch::Sender<Arc<Snapshot>>,
    health: Arc<Shared>,
    absent_leaves: bool,
}

/// A stream without a set yet.
pub fn feed(source: String, absent_leaves: bool) -> (Publisher, Feed) {
    let (tell, sets) = watch::channel(Arc::new(Snapshot { absent_leaves, ..Snapshot::default() }));
    let health = Arc::new(Shared { source, started: Mutex::new(Some(Instant::now())), ..Shared::default() });
    let feed = Feed { sets, health: health.clone() };
    (Publisher { sets: tell, health, absent_leaves }, feed)
}

impl Feed {
    /// The present set, and a wait for others.
    pub fn sets(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.sets.clone()
    }

    /// The present set.
    pub fn now(&self) -> Arc<Snapshot> {
        self.sets.borrow().clone()
    }

    /// How the source fares.
    pub fn health(&self) -> Health {
        let (now, of) = (self.now(), &self.health);
        let trouble = lock(&of.trouble).clone();
        let since = lock(&of.heard).or(*lock(&of.started));
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Health {
            source: of.source.clone(),
            synced: now.synced,
            fresh: now.synced && trouble.is_none(),
            trouble,
            silent_seconds: since.map_or(0, |at| at.elapsed().as_secs()),
            endpoints: now.endpoints.len() as u64,
            ready: now.endpoints.iter().filter(|e| e.ready).count() as u64,
            lists: count(&of.lists),
            events: count(&of.events),
            failures: count(&of.failures),
            quiet: count(&of.quiet),
            skipped: lock(&of.skipped).clone(),
        }
    }
}

impl Publisher {
    /// The set is this now.
    pub fn publish(&self, set: &Set) {
        let skipped = set.skipped();
        let beyond = skipped.get(&Skip::TooMany).copied().unwrap_or_default();
        let skipped = skipped.into_iter().map(|(skip, n)| format!("{n} {}", skip.why())).collect();
        *lock(&self.health.skipped) = skipped;
        let (endpoints, absent_leaves) = (set.endpoints(), self.absent_leaves);
        self.sets.send_replace(Arc::new(Snapshot { endpoints, synced: true, beyond, absent_leaves }));
    }

    /// A whole list was read.
    pub fn listed(&self) {
        self.health.lists.fetch_add(1, Ordering::Relaxed);
        self.heard();
    }

    /// A single change was read.
    pub fn changed(&self) {
        self.health.events.fetch_add(1, Ordering::Relaxed);
        self.heard();
    }

    /// The source said something.
    pub fn heard(&self) {
        *lock(&self.health.heard) = Some(Instant::now());
        *lock(&self.health.trouble) = None;
    }

    /// The source failed.
    pub fn failed(&self, why: &str) {
        self.health.failures.fetch_add(1, Ordering::Relaxed);
        *lock(&self.health.trouble) = Some(why.to_string());
    }

    /// The source has said nothing for too long.
    pub fn went_quiet(&self, why: &str) {
        self.health.quiet.fetch_add(1, Ordering::Relaxed);
        *lock(&self.health.trouble) = Some(why.to_string());
    }

    /// True where nobody watches any more.
    pub fn is_unwatched(&self) -> bool {
        self.sets.is_closed()
    }
}

/// Each change under these locks is one assignment: a panic elsewhere leaves nothing half-made.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
