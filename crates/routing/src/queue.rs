//! Portions that wait for a replica, and whose turn is next.
//!
//! Rules kept: the next portion that a replica can serve is found without a look at other portions. Each source has a
//! line; a line has lanes, one per API and named replica; within a lane every replica of the lane can serve every
//! portion, except in lanes marked `partial`, where replicas hold different stretches and are asked one by one.
//!
//! Turns are fair per user (deficit round robin in its sorted form: start-time fair queueing): each source keeps how
//! much of its time each user has had, and the user who waits with the least is next. A new user begins at the count of
//! the user served last; one who was away keeps a little of what others had meanwhile ([`CREDIT`]), so that a burst of
//! one who asks for less than a fair share does not wait behind another's backlog, and nobody saves up for more. A
//! user's own portions go by priority, then request, then portion; the order is kept when a portion is tried again.
//! Tests: below, `tests/rules/fair.rs`.

use std::collections::{BTreeMap, BTreeSet};

use ahash::HashMap;
use kvalue::Sym;

use crate::{apis::ApiId, coverage::SourceId};

/// Place among a user's own portions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Order {
    /// priority, negated: the least goes first
    pub(crate) urgency: i32,
    /// number of the request in order of arrival
    pub(crate) seq: u64,
    pub(crate) portion: u32,
}

/// What a replica must be to serve a lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane {
    pub(crate) api: ApiId,
    /// the one replica asked for by name; null for any
    pub(crate) dap: Sym,
    /// true where some replica of the source does not hold what the portion needs
    pub(crate) partial: bool,
}

/// The portion whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// the user's share of the source's time so far, nanoseconds
    pub(crate) vtime: u64,
    pub(crate) order: Order,
}

impl Turn {
    /// Before which other this one goes; of equals the one whose request came first.
    fn key(&self) -> (u64, u64, u32) {
        (self.vtime, self.order.seq, self.order.portion)
    }
}

/// What a peer is told of those who wait.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) need: (ApiId, Sym),
    pub(crate) user: Sym,
    pub(crate) turn: Turn,
    pub(crate) waiting: usize,
}

#[derive(Debug, Default)]
struct LaneQueue {
    /// waiting users, by their used time when last updated; never more than the used time
    heads: BTreeSet<(u64, Sym)>,
    by_user: BTreeMap<Sym, (u64, BTreeSet<Order>)>,
}

#[derive(Debug)]
struct Line {
    /// what the user served last had had before
    floor: u64,
    vtimes: HashMap<Sym, u64>,
    lanes: BTreeMap<Lane, LaneQueue>,
}

impl Default for Line {
    fn default() -> Self {
        // As if much had been served before: credit lies below it.
        Line { floor: 1 << 40, vtimes: HashMap::default(), lanes: BTreeMap::new() }
    }
}

/// All waiting portions.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lines: HashMap<SourceId, Line>,
    len: usize,
    /// sources whose lines changed since they were last asked for; only noted while `watched`
    changed: Vec<SourceId>,
    watched: bool,
}

/// Of a source's time that others had while a user did not ask, so much may be had later: 100 ms.
const CREDIT: u64 = 100_000_000;

/// A floor beyond this, thousands of years of service, is a lie.
const MOST_FLOOR: u64 = 1 << 62;

/// Idle users whose used time is remembered, per source.
const REMEMBERED: usize = 1024;

impl Queue {
    /// Number of waiting portions.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a portion that any of `sources` may serve.
    pub(crate) fn push(&mut self, user: &Sym, order: Order, sources: &[SourceId], lane: &Lane) {
        for source in sources {
            let line = self.lines.entry(*source).or_default();
            let vtime = line.vtime(user);
            line.account(user, vtime);
            line.lanes.entry(lane.clone()).or_default().push(user, vtime, order);
            if self.watched {
                self.changed.push(*source);
            }
        }
        self.len += 1;
    }

    /// Takes a portion out, by what it was added with.
    pub(crate) fn remove(&mut self, user: &Sym, order: Order, sources: &[SourceId], lane: &Lane) {
        for source in sources {
            let Some(line) = self.lines.get_mut(source) else { continue };
            let vtime = line.vtime(user);
            if let Some(queue) = line.lanes.get_mut(lane) {
                queue.remove(user, vtime, order);
                if queue.by_user.is_empty() {
                    line.lanes.remove(lane);
                }
            }
            if self.watched {
                self.changed.push(*source);
            }
        }
        self.len -= 1;
    }

    /// A user got `cost` nanoseconds of a source.
    pub(crate) fn charge(&mut self, user: &Sym, source: SourceId, cost: u64) {
        self.lines.entry(source).or_default().charge(user, cost);
    }

    /// What a user has had of a source's time.
    pub(crate) fn vtime(&self, source: SourceId, user: &Sym) -> u64 {
        self.lines.get(&source).map_or_else(|| Line::default().floor, |l| l.vtime(user))
    }

    /// What the user whom a source served last had had before.
    pub(crate) fn floor(&self, source: SourceId) -> u64 {
        self.lines.get(&source).map_or_else(|| Line::default().floor, |l| l.floor)
    }

    /// A user who had had so much was served at a peer: who asks for less than a fair share there or here has
    /// had less than that.
    pub(crate) fn raise_floor(&mut self, source: SourceId, vtime: u64) {
        let line = self.lines.entry(source).or_default();
        line.floor = line.floor.max(vtime.min(MOST_FLOOR));
    }

    /// A peer tells a user's used time of a source: a user of several coordinators is one user to all coordinators.
    pub(crate) fn meet(&mut self, source: SourceId, user: &Sym, vtime: u64) {
        let line = self.lines.get_mut(&source);
        if let Some(known) = line.and_then(|l| l.vtimes.get_mut(user)) {
            *known = (*known).max(vtime.min(MOST_FLOOR));
        }
    }

    /// The portion of a source that goes first, of those a replica can serve: `lane` says whether it serves
    /// the lane at all, `portion` whether it holds what one portion of a partial lane needs.
    pub(crate) fn next(
        &self,
        source: SourceId,
        lane: impl Fn(&Lane) -> bool,
        portion: impl Fn(Order) -> bool,
    ) -> Option<Turn> {
        let line = self.lines.get(&source)?;
        let lanes = line.lanes.iter().filter(|(l, _)| lane(l));
        let turns = lanes.filter_map(|(l, queue)| line.turn(queue, |o| !l.partial || portion(o)));
        turns.map(|(turn, _)| turn).min_by_key(Turn::key)
    }

    /// For each API and named replica of a source: the portion that goes first, its user, how many wait; at
    /// most `most` are counted.
    pub(crate) fn heads(&self, source: SourceId, most: usize) -> Vec<Head> {
        let Some(line) = self.lines.get(&source) else { return Vec::new() };
        let mut heads: Vec<Head> = Vec::new();
        for (lane, queue) in &line.lanes {
            let Some((turn, user)) = line.turn(queue, |_| true) else { continue };
            let mut waiting = 0;
            for (_, orders) in queue.by_user.values() {
                waiting += orders.len();
                if waiting >= most {
                    break;
                }
            }
            let need = (lane.api, lane.dap.clone());
            let head = Head { need, user: user.clone(), turn, waiting: waiting.min(most) };
            match heads.iter_mut().find(|h| h.need == head.need) {
                Some(same) => {
                    let waiting = (same.waiting + head.waiting).min(most);
                    if head.turn.key() < same.turn.key() {
                        *same = head;
                    }
                    same.waiting = waiting;
                }
                None => heads.push(head),
            }
        }
        heads
    }

    /// From now on sources whose lines change are noted for [`Self::take_changed`]; or no longer.
    pub(crate) fn watch(&mut self, on: bool) {
        self.watched = on;
        self.changed.clear();
    }

    /// True where [`Self::take_changed`] has something.
    pub(crate) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Sources whose lines changed, each once.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<SourceId> {
        self.changed.drain(..).collect()
    }

    /// The source whose line changed last, of those noted.
    pub(crate) fn last_changed(&self) -> Option<SourceId> {
        self.changed.last().copied()
    }

    /// True where this portion goes first in its lane.
    pub(crate) fn is_head(&self, source: SourceId, order: Order) -> bool {
        let Some(line) = self.lines.get(&source) else { return false };
        line.lanes.values().any(|lane| line.turn(lane, |_| true).is_some_and(|(turn, _)| turn.order == order))
    }

    /// Portions that wait for a source.
    pub(crate) fn waiting(&self, source: SourceId) -> usize {
        let lanes = self.lines.get(&source).into_iter().flat_map(|l| l.lanes.values());
        lanes.flat_map(|lane| lane.by_user.values().map(|(_, orders)| orders.len())).sum()
    }

    /// True where portions wait for a source.
    pub(crate) fn waits(&self, source: SourceId) -> bool {
        self.lines.get(&source).is_some_and(|l| !l.lanes.is_empty())
    }

    /// Forgets the accounts of sources that are no longer known.
    pub(crate) fn sweep(&mut self, known: impl Fn(SourceId) -> bool) {
        self.lines.retain(|source, line| !line.lanes.is_empty() || known(*source));
    }

    /// Every waiting portion once, oldest first.
    pub(crate) fn all(&self) -> BTreeSet<(u64, u32)> {
        let lanes = self.lines.values().flat_map(|line| line.lanes.values());
        let orders = lanes.flat_map(|lane| lane.by_user.values().flat_map(|(_, orders)| orders));
        orders.map(|o| (o.seq, o.portion)).collect()
    }
}

impl Line {
    /// A user's used time; an unknown user begins at the count of the user served last.
    fn vtime(&self, user: &Sym) -> u64 {
        self.vtimes.get(user).map_or(self.floor, |vtime| (*vtime).max(self.floor - CREDIT))
    }

    fn account(&mut self, user: &Sym, vtime: u64) {
        match self.vtimes.get_mut(user) {
            Some(known) => *known = vtime,
            None => drop(self.vtimes.insert(user.clone(), vtime)),
        }
    }

    fn charge(&mut self, user: &Sym, cost: u64) {
        let vtime = self.vtime(user);
        self.floor = self.floor.max(vtime);
        self.account(user, vtime.saturating_add(cost));
        if self.vtimes.len() > 2 * REMEMBERED {
            let (floor, lanes) = (self.floor, &self.lanes);
            let waits = |user: &Sym| lanes.values().any(|lane| lane.by_user.contains_key(user));
            self.vtimes.retain(|user, vtime| *vtime > floor - CREDIT || waits(user));
            if self.vtimes.len() > REMEMBERED {
                self.vtimes.retain(|user, _| waits(user));
            }
        }
    }

    fn turn<'a>(&self, queue: &'a LaneQueue, fits: impl Fn(Order) -> bool) -> Option<(Turn, &'a Sym)> {
        let mut best: Option<(Turn, &Sym)> = None;
        for (told, user) in &queue.heads {
            if best.is_some_and(|(b, _)| *told > b.vtime) {
                break;
            }
            let Some((_, orders)) = queue.by_user.get(user) else { continue };
            let Some(order) = orders.iter().copied().find(|o| fits(*o)) else { continue };
            let vtime = self.vtimes.get(user).copied().unwrap_or(0).max(*told).max(self.floor - CREDIT);
            let turn = Turn { vtime, order };
            if best.is_none_or(|(b, _)| turn.key() < b.key()) {
                best = Some((turn, user));
            }
        }
        best
    }
}

impl LaneQueue {
    fn push(&mut self, user: &Sym, vtime: u64, order: Order) {
        let (told, orders) = self.by_user.entry(user.clone()).or_insert_with(|| (vtime, BTreeSet::new()));
        orders.insert(order);
        self.heads.insert((*told, user.clone()));
    }

    fn remove(&mut self, user: &Sym, vtime: u64, order: Order) {
        let Some((told, orders)) = self.by_user.get_mut(user) else { return };
        orders.remove(&order);
        self.heads.remove(&(*told, user.clone()));
        if orders.is_empty() {
            self.by_user.remove(user);
            return;
        }
        *told = vtime.max(*told);
        self.heads.insert((*told, user.clone()));
    }
}
