//! Links to each place of a set that changes: coordinators that come and go, pods that are found.
//!
//! | the place | what happens |
//! | --- | --- |
//! | is new and ready | it is dialled, and dialled again whenever its link is lost |
//! | is not ready | no new dial; an open link goes on; a place never dialled costs nothing |
//! | is absent, and absence means leaving | the link is drained: [`Handler::leaving`], then closed at the limit |
//! | is absent, without meaning | no new dial; an open link goes on |
//! | leads to this very process | left alone |
//! | leads to a process that is linked already | left alone until that link is gone |
//!
//! Tests: `tests/links/follow.rs`.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sg::InstanceId;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Handler, Identity, LinkError, LinkOptions, Role, Sender,
    dial::{Backoff, open, pause},
    live,
};

/// Where a process may be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// unique name, never reused
    pub key: Arc<str>,
    /// display name
    pub name: Arc<str>,
    /// where it is dialled
    pub addr: SocketAddr,
    /// false: no new dial
    pub ready: bool,
}

/// A set of places.
pub trait Places: Send + Sync + 'static {
    /// All of them now, one after the other: there may be ten thousand, and each change is a new set.
    fn places(&self) -> impl Iterator<Item = Place>;
    /// False while not all of them are known yet.
    fn synced(&self) -> bool;
    /// True where absence means that the process is on its way out.
    fn absent_leaves(&self) -> bool;
}

/// How the places of a set fare. Cheap to clone.
#[derive(Clone)]
pub struct Followed(Arc<Follower>);

/// How a place fares, to whoever asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// a dial has been tried, with any result
    pub tried: bool,
    /// the process that answered there last
    pub instance: Option<InstanceId>,
    /// the process at the place has a wrong role
    pub stranger: bool,
    /// why there is no link, if so
    pub trouble: Option<String>,
}

/// What is wanted of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// a link
    Link,
    /// the link it has, if it has one
    Keep,
    /// its process is leaving
    Drain,
}

/// How a place fares.
#[derive(Debug, Clone, Default)]
struct Fate {
    name: String,
    linked: bool,
    /// it was dialled, with whatever outcome
    tried: bool,
    /// it is this very process
    myself: bool,
    /// the last process at the place, and whether its role is wrong
    instance: Option<InstanceId>,
    other_role: bool,
    trouble: Option<String>,
}

struct Follower {
    role: Role,
    identity: Arc<Identity>,
    opts: LinkOptions,
    handler: Arc<dyn Handler>,
    fates: Mutex<BTreeMap<Arc<str>, Fate>>,
    tried: watch::Sender<bool>,
    /// counts changes of fates
    changes: watch::Sender<u64>,
}

/// Keeps links to the places of a set, where processes of `role` are expected, until `shutdown`.
pub fn follow<P: Places>(
    sets: watch::Receiver<Arc<P>>,
    role: Role,
    identity: Arc<Identity>,
    opts: LinkOptions,
    handler: Arc<dyn Handler>,
    shutdown: CancellationToken,
) -> Followed {
    let (tried, changes) = (watch::Sender::new(false), watch::Sender::new(0));
    let fates = Mutex::default();
    let follower = Arc::new(Follower { role, identity, opts, handler, fates, tried, changes });
    tokio::spawn(follower.clone().run(sets, shutdown));
    Followed(follower)
}

impl Followed {
    /// Waits until the set is known and each place that was ready in it has been dialled once.
    pub async fn tried(&self) {
        let mut tried = self.0.tried.subscribe();
        // The sender lives as long as this handle.
        let _ = tried.wait_for(|t| *t).await;
    }

    /// How each place fares that was ever to be dialled, by its key.
    pub fn standings(&self) -> BTreeMap<Arc<str>, Standing> {
        let standing = |f: &Fate| Standing {
            tried: f.tried,
            instance: f.instance,
            stranger: f.myself || f.other_role,
            trouble: f.trouble.clone().filter(|_| !f.linked),
        };
        self.0.fates(|fates| fates.iter().map(|(key, f)| (key.clone(), standing(f))).collect())
    }

    /// Counts changes of how places fare.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Places that there is a link to.
    pub fn linked(&self) -> usize {
        self.0.fates(|f| f.values().filter(|f| f.linked).count())
    }

    /// Places that should have a link and have none, with why: `name (address): reason`.
    pub fn troubles(&self) -> Vec<String> {
        let trouble = |f: &Fate| f.trouble.as_ref().map(|why| format!("{}: {why}", f.name));
        self.0.fates(|f| f.values().filter(|f| !f.linked && !f.myself).filter_map(trouble).collect())
    }
}

struct Task {
    wish: watch::Sender<Wish>,
    addr: SocketAddr,
    /// the last round in which its place was in the set
    seen: u64,
}

impl Follower {
    async fn run<P: Places>(self: Arc<Self>, mut sets: watch::Receiver<Arc<P>>, shutdown: CancellationToken) {
        let mut tasks: HashMap<Arc<str>, Task> = HashMap::new();
        let mut running: JoinSet<Arc<str>> = JoinSet::new();
        let mut first: Option<Vec<Arc<str>>> = None;
        let mut round = 0;
        loop {
            let set = sets.borrow_and_update().clone();
            let mut ready = (set.synced() && first.is_none()).then(Vec::new);
            round += 1;
            for place in set.places() {
                if let Some(keys) = ready.as_mut().filter(|_| place.ready) {
                    keys.push(place.key.clone());
                }
                let wish = if place.ready { Wish::Link } else { Wish::Keep };
                match tasks.get_mut(&place.key) {
                    Some(task) if task.addr == place.addr => {
                        task.seen = round;
                        task.wish.send_if_modified(|w| std::mem::replace(w, wish) != wish);
                    }
                    known => {
                        // A moved place is dialled at the new address, once ready.
                        if let Some(task) = known {
                            task.seen = round;
                            task.wish.send_replace(Wish::Drain);
                        }
                        if !place.ready {
                            continue;
                        }
                        let (tell, told) = watch::channel(wish);
                        tasks.insert(place.key.clone(), Task { wish: tell, addr: place.addr, seen: round });
                        self.fate(&place.key, |f| {
                            *f = Fate { name: format!("{} ({})", place.name, place.addr), ..Fate::default() };
                        });
                        let (this, stop) = (self.clone(), shutdown.child_token());
                        running.spawn(async move {
                            this.keep(&place, told, stop).await;
                            place.key
                        });
                    }
                }
            }
            let absent = if set.absent_leaves() { Wish::Drain } else { Wish::Keep };
            for (key, task) in tasks.iter().filter(|(_, task)| task.seen != round) {
                // Without a link there is nothing to keep: its task ends, and it is forgotten.
                let linked = self.fates(|f| f.get(key).is_some_and(|f| f.linked));
                let wish = if linked { absent } else { Wish::Drain };
                task.wish.send_if_modified(|w| std::mem::replace(w, wish) != wish);
            }
            // Not held while there is nothing to do.
            drop(set);
            first = first.or(ready);
            self.look_whether_tried(&first);
            let ended = tokio::select! {
                () = shutdown.cancelled() => break,
                changed = sets.changed() => match changed {
                    Ok(()) => None,
                    // The source ended: what is known stays.
                    Err(_) => {
                        self.tried.send_replace(true);
                        shutdown.cancelled().await;
                        break;
                    }
                },
                ended = running.join_next(), if !running.is_empty() => ended,
                () = tokio::time::sleep(Duration::from_millis(20)), if !*self.tried.borrow() => None,
            };
            if let Some(Ok(key)) = ended
                && tasks.get(&key).is_some_and(|t| t.wish.is_closed())
            {
                tasks.remove(&key);
                self.fates(|f| f.remove(&key));
            }
        }
        while running.join_next().await.is_some() {}
    }

    fn look_whether_tried(&self, first: &Option<Vec<Arc<str>>>) {
        let Some(first) = first else { return };
        let tried = self.fates(|f| first.iter().all(|key| f.get(key).is_none_or(|f| f.tried)));
        self.tried.send_if_modified(|t| tried && !std::mem::replace(t, true));
    }

    /// A link to one place for as long as it is wanted.
    async fn keep(&self, place: &Place, mut wish: watch::Receiver<Wish>, stop: CancellationToken) {
        let mut backoff = Backoff::new(&self.opts);
        let mut known: Option<InstanceId> = None;
        loop {
            let wanted = tokio::select! {
                () = stop.cancelled() => return,
                wanted = wish.wait_for(|w| *w != Wish::Keep) => wanted.map_or(Wish::Drain, |w| *w),
            };
            if wanted == Wish::Drain {
                return;
            }
            // The last process seen at this place is linked already, by its own dial.
            if known.is_some_and(|instance| self.handler.has(&instance)) {
                self.fate(&place.key, |f| (f.tried, f.trouble) = (true, None));
                self.rest(Duration::from_millis(200).min(self.opts.backoff_max), &mut wish, &stop).await;
                continue;
            }
            // Boxed: a place that waits for its next dial is not to hold the room of a link.
            let outcome = Box::pin(self.session(place, &mut wish, &stop, &mut known)).await;
            let trouble = match &outcome {
                Err(LinkError::Stopping) => return,
                Err(LinkError::Myself { .. }) => {
                    self.fate(&place.key, |f| (f.tried, f.myself, f.trouble) = (true, true, None));
                    tracing::debug!(place = %place.name, addr = %place.addr, "is this very process");
                    let gone = wish.wait_for(|w| *w == Wish::Drain);
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ = gone => {}
                    }
                    return;
                }
                Err(LinkError::Duplicate { .. }) => None,
                Err(error) => Some(error.to_string()),
                Ok(_) => None,
            };
            self.fate(&place.key, |f| (f.tried, f.linked, f.trouble) = (true, false, trouble));
            let wait = backoff.judge(place.addr, outcome);
            self.rest(wait, &mut wish, &stop).await;
        }
    }

    /// Waits, unless the wish changes.
    async fn rest(&self, wait: Duration, wish: &mut watch::Receiver<Wish>, stop: &CancellationToken) {
        tokio::select! {
            () = pause(wait, stop) => {}
            _ = wish.wait_for(|w| *w == Wish::Drain) => {}
        }
    }

    /// One link from its dial to its end; how long it lasted.
    async fn session(
        &self,
        place: &Place,
        wish: &mut watch::Receiver<Wish>,
        stop: &CancellationToken,
        known: &mut Option<InstanceId>,
    ) -> Result<Duration, LinkError> {
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(LinkError::Stopping),
            opened = open(place.addr, &self.identity, &self.opts) => opened?,
        };
        let peer = &opened.peer;
        *known = Some(peer.instance);
        let other_role = peer.role != self.role;
        self.fate(&place.key, |f| (f.instance, f.other_role) = (Some(peer.instance), other_role));
        let unwanted = |why: String| LinkError::Unwanted { peer: place.addr.to_string(), why };
        if peer.role != self.role {
            let (is, wanted) = (peer.role.name(), self.role.name());
            return Err(unwanted(format!(
                "it is a process of role {is} where one of role {wanted} is looked for"
            )));
        }
        if !self.handler.wants(peer) {
            return Err(LinkError::Duplicate { peer: place.addr.to_string() });
        }
        let since = Instant::now();
        let up: Mutex<Option<Sender>> = Mutex::default();
        let end = stop.child_token();
        let run = live::run(opened, &self.opts, &self.handler, &end, |link| {
            *up.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
            self.fate(&place.key, |f| (f.tried, f.linked, f.trouble) = (true, true, None));
        });
        let mut run = std::pin::pin!(run);
        tokio::select! {
            _ = &mut run => return Ok(since.elapsed()),
            // Also where the set is gone.
            _ = wish.wait_for(|w| *w == Wish::Drain) => {}
        }
        let link = up.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(link) = link {
            tracing::info!(peer = %link.peer(), "peer is leaving; its link is drained");
            self.handler.leaving(&link);
        }
        if timeout(self.opts.drain, &mut run).await.is_err() {
            end.cancel();
            run.await;
        }
        Ok(since.elapsed())
    }

    fn fates<T>(&self, with: impl FnOnce(&mut BTreeMap<Arc<str>, Fate>) -> T) -> T {
        with(&mut self.fates.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fate(&self, key: &Arc<str>, with: impl FnOnce(&mut Fate)) {
        self.fates(|f| with(f.entry(key.clone()).or_default()));
        self.changes.send_modify(|n| *n += 1);
    }
}

impl std::fmt::Debug for Followed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Followed({} linked)", self.linked())
    }
}
