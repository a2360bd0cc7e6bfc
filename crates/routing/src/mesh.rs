//! Knowledge about peer coordinators: owned replicas, idle replicas, waiting portions.
//!
//! All of it is soft: a peer tells it anew when its link is new, and a hint that is out of date costs a
//! refusal, never a wrong answer. What keeps answers right is [`Ours::seen`]: a portion is started only where
//! the owner's account of the replicas is the one the portion was planned with.

use std::collections::{BTreeMap, BTreeSet};

use ahash::HashMap;
use kvalue::Sym;
use sg::{
    InstanceId, Purview, TimeRange,
    msg::{Demand, MeshReplica},
};

use crate::{
    apis::ApiId,
    coverage::SourceId,
    event::{Nanos, PeerId},
    fleet::LeaseKey,
};

/// A group of replicas as its owner numbers them.
pub(crate) type Group = i32;

/// Who needs a replica: which API, which one by name (null for any).
pub(crate) type Need = (ApiId, Sym);

/// Another coordinator.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: Sym,
    pub(crate) instance: InstanceId,
    /// its account is complete
    pub(crate) synced: bool,
    /// it takes requests
    pub(crate) ready: bool,
    /// it is about to leave
    pub(crate) leaving: bool,
    pub(crate) started: i64,
    /// version of its account as known here
    pub(crate) version: i64,
    /// its replicas by name
    pub(crate) replicas: BTreeMap<Sym, PeerId>,
    /// replicas that contradict what is known here, tried again when something is lost
    pub(crate) ignored: BTreeMap<Sym, MeshReplica>,
    /// idle replicas per group, as far as it said
    pub(crate) idle: HashMap<Group, usize>,
    /// addresses of its Aggs
    pub(crate) aggs: BTreeSet<Sym>,
    /// what it was told of who waits here
    pub(crate) told: HashMap<(Group, Need), (crate::queue::Order, usize)>,
    /// when it was last asked to start something
    pub(crate) tried: Nanos,
    /// how long it takes to answer an offer, measured
    pub(crate) round_trip: Nanos,
}

impl Node {
    pub(crate) fn new(name: Sym, instance: InstanceId) -> Self {
        Node {
            name,
            instance,
            synced: false,
            ready: false,
            leaving: false,
            started: 0,
            version: 0,
            replicas: BTreeMap::new(),
            ignored: BTreeMap::new(),
            idle: HashMap::default(),
            aggs: BTreeSet::new(),
            told: HashMap::default(),
            tried: 0,
            round_trip: 0,
        }
    }
}

/// A peer's portions that wait for replicas of ours.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    pub(crate) user: Sym,
    /// how much of the source's time the user has had
    pub(crate) vtime: u64,
    pub(crate) urgency: i32,
    /// when the request came, on our clock
    pub(crate) since: Nanos,
    pub(crate) waiting: usize,
    /// of those, for how many a replica is on offer
    pub(crate) offered: usize,
    /// replicas that were of no use
    pub(crate) declined: BTreeSet<PeerId>,
}

/// A replica kept for a peer.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) to: PeerId,
    pub(crate) dap: PeerId,
    /// of the replica's purview as it was offered
    pub(crate) version: i64,
    pub(crate) source: SourceId,
    pub(crate) need: Need,
    pub(crate) made: Nanos,
    pub(crate) until: Nanos,
}

/// What is told of our own replicas.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    /// counts changes of the account
    pub(crate) version: i64,
    /// version at which a source of ours changed last
    changed: HashMap<SourceId, i64>,
    /// idle replicas of each, as told
    pub(crate) told_idle: HashMap<SourceId, Told>,
}

/// How many idle replicas of a source peers believe there to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// as told
    pub(crate) most: usize,
    /// less what one of them has used since
    pub(crate) least: usize,
}

impl Told {
    /// True where `idle` of them is news to somebody.
    pub(crate) fn is_news(self, idle: usize) -> bool {
        match idle {
            0 => self.most > 0,
            _ => self.least == 0 || idle > 2 * self.most || 2 * idle < self.most,
        }
    }
}

impl Ours {
    /// The account changes; `source` is the one that now holds something else, if any does.
    pub(crate) fn bump(&mut self, source: Option<SourceId>) {
        self.version += 1;
        if let Some(source) = source {
            self.changed.insert(source, self.version);
        }
    }

    /// True where a portion planned with version `seen` of the account may run on the source.
    pub(crate) fn seen(&self, source: SourceId, seen: i64) -> bool {
        self.changed.get(&source).is_none_or(|at| *at <= seen)
    }

    pub(crate) fn sweep(&mut self, known: impl Fn(SourceId) -> bool) {
        self.changed.retain(|source, _| known(*source));
        self.told_idle.retain(|source, _| known(*source));
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Mesh {
    pub(crate) nodes: BTreeMap<PeerId, Node>,
    pub(crate) ours: Ours,
    /// which peers have replicas of a source
    pub(crate) owners: HashMap<SourceId, BTreeSet<(PeerId, Group)>>,
    /// who waits for replicas of ours
    pub(crate) demands: HashMap<SourceId, BTreeMap<(PeerId, Need), Noted>>,
    pub(crate) offers: BTreeMap<i64, Offer>,
    /// portions of peers that run here, and where; with table and range of portions runnable on any replica with the
    /// data
    pub(crate) lent: BTreeMap<(PeerId, LeaseKey, PeerId), Option<(Sym, TimeRange)>>,
    pub(crate) next_offer: i64,
    /// numbers of peers' replicas, which have no link here
    next_replica: u64,
    /// when hints may be told again
    pub(crate) tell_at: Nanos,
    /// when hints are due that wait for it
    pub(crate) flush_at: Option<Nanos>,
    /// addresses of Aggs asked for with `Dial`
    pub(crate) dialled: BTreeSet<Sym>,
    /// of those, the ones that are a peer's: what is linked beside them is our own
    pub(crate) borrowed: BTreeSet<Sym>,
    /// our own Aggs may be others than were told
    pub(crate) aggs_changed: bool,
    /// ready and leaving, as told
    pub(crate) told_state: (bool, bool),
    /// something was lost: what contradicted it may hold now
    pub(crate) retry_ignored: bool,
    /// each peer that is configured or was discovered has been tried once
    pub(crate) peers_tried: bool,
}

impl Mesh {
    /// True without any peer: then nothing of this costs anything.
    pub(crate) fn is_alone(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A number for a replica of a peer, apart from all links.
    pub(crate) fn number(&mut self) -> PeerId {
        self.next_replica += 1;
        PeerId(1 << 63 | self.next_replica)
    }

    /// Notes who waits at a peer; what it said before of the same need is replaced.
    pub(crate) fn note(&mut self, from: PeerId, source: SourceId, api: ApiId, row: Demand, now: Nanos) {
        let need = (api, row.dap.clone());
        let of_source = self.demands.entry(source).or_default();
        let waiting = usize::try_from(row.waiting).unwrap_or(0);
        if waiting == 0 {
            of_source.remove(&(from, need));
            if of_source.is_empty() {
                self.demands.remove(&source);
            }
            return;
        }
        let offered = of_source.get(&(from, need.clone())).map_or(0, |n| n.offered);
        let noted = Noted {
            user: row.user,
            vtime: row.vtime.max(0) as u64,
            urgency: row.priority.saturating_neg(),
            since: now.saturating_sub(row.waited.max(0) as u64),
            waiting,
            offered,
            declined: BTreeSet::new(),
        };
        of_source.insert((from, need), noted);
    }

    /// Takes an offer back; the demand it was for may be offered another replica.
    pub(crate) fn close(&mut self, offer: i64) -> Option<Offer> {
        let closed = self.offers.remove(&offer)?;
        let key = (closed.to, closed.need.clone());
        if let Some(noted) = self.demands.get_mut(&closed.source).and_then(|d| d.get_mut(&key)) {
            noted.offered = noted.offered.saturating_sub(1);
        }
        Some(closed)
    }

    /// One of the portions that were noted has been started.
    pub(crate) fn served(&mut self, offer: &Offer) {
        let key = (offer.to, offer.need.clone());
        let Some(of_source) = self.demands.get_mut(&offer.source) else { return };
        if let Some(noted) = of_source.get_mut(&key) {
            noted.waiting -= 1;
            if noted.waiting == 0 {
                of_source.remove(&key);
            }
        }
        if of_source.is_empty() {
            self.demands.remove(&offer.source);
        }
    }

    /// Drops a demand that turned out to be of no use.
    pub(crate) fn drop_demand(&mut self, source: SourceId, from: PeerId, need: &Need) {
        if let Some(of_source) = self.demands.get_mut(&source) {
            of_source.remove(&(from, need.clone()));
            if of_source.is_empty() {
                self.demands.remove(&source);
            }
        }
    }

    /// A replica holds something else now: it may be of use where it was not.
    pub(crate) fn may_be_of_use(&mut self, source: SourceId, dap: PeerId) {
        let of_source = self.demands.get_mut(&source).into_iter().flat_map(BTreeMap::values_mut);
        of_source.for_each(|noted| _ = noted.declined.remove(&dap));
    }

    /// The demand whose turn is next, of those a replica can serve.
    pub(crate) fn next_demand(
        &self,
        source: SourceId,
        dap: PeerId,
        fits: impl Fn(&Need) -> bool,
    ) -> Option<(&(PeerId, Need), &Noted)> {
        let of_source = self.demands.get(&source)?;
        let open = of_source.iter().filter(|((_, need), noted)| {
            noted.offered < noted.waiting && !noted.declined.contains(&dap) && fits(need)
        });
        open.min_by(|(_, a), (_, b)| match a.user == b.user {
            true => (a.urgency, a.since).cmp(&(b.urgency, b.since)),
            false => (a.vtime, a.since).cmp(&(b.vtime, b.since)),
        })
    }
}

/// Which of two claims on one name holds: that of the later registration of the same process; of different
/// processes the one with the smaller instance id, so that all come to the same.
pub(crate) fn prevails(claim: &Purview, over: &Purview) -> bool {
    if sg::mutation::on("rc-keeps-old-claim") {
        return false;
    }
    match claim.instance == over.instance {
        true if sg::mutation::on(crate::mutations::EARLIER_OWNER_STAYS) => claim.epoch < over.epoch,
        true => claim.epoch > over.epoch,
        false => claim.instance < over.instance,
    }
}
