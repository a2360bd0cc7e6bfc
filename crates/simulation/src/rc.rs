//! A coordinator: `routing::Router` among sessions, wired as `coordinator::shared` does.

use std::collections::{BTreeMap, BTreeSet};

use kvalue::Sym;
use routing::{Action, Event, Fate, MILLI, Nanos, Note, PeerId, PeerRole, Place, Router, SECOND, Settings};
use sg::{InstanceId, LabelSet, Msg, Purview, msg::Refused};

use crate::{
    ledger::Ledger,
    net::{Net, Proc},
};

/// A second session of a coordinator that comes later than this after the first means that it has lost the
/// first one; sooner, both ends have dialled each other.
const DIALLED_AT_ONCE: Nanos = 5 * SECOND;

/// A life of a coordinator.
pub(crate) struct Rc {
    me: Proc,
    router: Router,
    peers: BTreeMap<u64, Proc>,
    /// the session with each other coordinator, by the run of it, and since when
    mates: BTreeMap<InstanceId, (u64, Nanos)>,
    /// processes that it keeps a session with
    wanted: BTreeSet<Proc>,
    /// other coordinators that have not been tried yet
    untried: BTreeSet<Proc>,
    /// sources it has heard of
    heard: BTreeSet<(LabelSet, Sym)>,
    /// data processes that discovery has found, by their lives, and what came of dialling each
    found: BTreeMap<usize, (u64, Fate)>,
    /// sources of those
    found_sources: BTreeSet<(LabelSet, Sym)>,
    /// requests taken with knowledge of all data
    taken: Vec<(sg::Corr, i32)>,
    rcs: usize,
    settings: Settings,
}

impl Rc {
    pub(crate) fn start(net: &mut Net, ledger: &mut Ledger, me: Proc, rcs: usize, settings: Settings) -> Rc {
        let others: BTreeSet<Proc> = (0..rcs).map(Proc::Rc).filter(|p| *p != me).collect();
        for &other in &others {
            let delay = net.delay();
            net.dial(me, other, delay);
        }
        let mut rc = Rc {
            me,
            router: Router::new(settings.clone(), net.instance(me), net.clock(me)),
            peers: BTreeMap::new(),
            mates: BTreeMap::new(),
            wanted: others.clone(),
            untried: others,
            heard: BTreeSet::new(),
            found: BTreeMap::new(),
            found_sources: BTreeSet::new(),
            taken: Vec::new(),
            rcs,
            settings,
        };
        if rc.untried.is_empty() {
            rc.event(net, ledger, Event::PeersTried);
        }
        rc.event(net, ledger, Event::Tick);
        rc
    }

    fn event(&mut self, net: &mut Net, ledger: &mut Ledger, event: Event) {
        self.router.handle(event, net.clock(self.me));
        let actions: Vec<Action> = self.router.drain().collect();
        for action in actions {
            match action {
                Action::Send { to, msg } => {
                    match &msg {
                        Msg::Replace(_) => ledger.tally.replaced += 1,
                        Msg::Covered(_) => ledger.tally.covered += 1,
                        Msg::Started(m) => _ = ledger.told_started.insert(m.corr),
                        Msg::MeshStarted(_) => ledger.tally.lent += 1,
                        _ => {}
                    }
                    let _ = net.send(to.0, self.me, msg);
                }
                Action::Refuse { peer, why } => {
                    // Only one whose old session is not known to be dead yet, or that has moved to another
                    // coordinator, is ever refused.
                    let known = [
                        "has a newer link here",
                        "is connected already",
                        "has registered by another link since",
                        "is connected to coordinator",
                        "is another coordinator's now",
                        "this coordinator is stopping",
                    ];
                    if !known.iter().any(|k| why.contains(k)) {
                        ledger.violation(|| format!("a process that did nothing wrong is refused: {why}"));
                    }
                    let _ = net.send(peer.0, self.me, Refused { why });
                    self.peers.remove(&peer.0);
                    net.close(peer.0, self.me);
                }
                Action::Dial { address, .. } => {
                    if let Some(to) = Proc::at(&address)
                        && self.wanted.insert(to)
                    {
                        let delay = net.delay();
                        net.dial(self.me, to, delay);
                    }
                }
                Action::Undial { address } => {
                    if let Some(to) = Proc::at(&address) {
                        self.wanted.remove(&to);
                    }
                }
                Action::Note(Note::Ended { corr, rc: sg::Rc::OK, .. }) => ledger.over(corr),
                Action::Note(_) => {}
            }
        }
        if let Some(at) = self.router.next_wakeup() {
            net.wake(self.me, at);
        }
    }

    /// Discovery tells all data processes that are ready, and what they are sources of.
    pub(crate) fn found(
        &mut self,
        net: &mut Net,
        ledger: &mut Ledger,
        found: &[(usize, u64)],
        sources: BTreeSet<(LabelSet, Sym)>,
    ) {
        let Proc::Rc(me) = self.me else { return };
        let before = std::mem::take(&mut self.found);
        for &(i, life) in found {
            let known = before.get(&i).filter(|(of, _)| *of == life);
            let mine = i % self.rcs == me;
            let fate =
                known.map_or(if mine { Fate::Untried } else { Fate::Elsewhere }, |(_, fate)| fate.clone());
            if known.is_none() && mine {
                let delay = net.delay();
                net.dial(self.me, Proc::Dap(i), delay);
            }
            self.found.insert(i, (life, fate));
        }
        if self.found_sources.iter().any(|s| !sources.contains(s) && !self.heard.contains(s)) {
            // The data of the process is nowhere any more, and no purview was told.
            self.taken.drain(..).for_each(|taken| _ = ledger.informed.insert(taken, false));
        }
        self.found_sources = sources;
        self.tell_found(net, ledger);
    }

    fn tell_found(&mut self, net: &mut Net, ledger: &mut Ledger) {
        let place = |(i, (life, fate)): (&usize, &(u64, Fate))| {
            let (name, address) = (Proc::Dap(*i).name(), Proc::Dap(*i).address());
            let key = format!("{name}, life {life}").into();
            Place { key, name: name.into(), address, ready: true, fate: fate.clone() }
        };
        let places = self.found.iter().map(place).collect();
        self.event(net, ledger, Event::Found { places, synced: true, trouble: String::new() });
    }

    /// What came of dialling one that was found; it is dialled again where there is no link.
    fn fares(&mut self, net: &mut Net, ledger: &mut Ledger, to: Proc, fate: Fate) {
        let Proc::Dap(i) = to else { return };
        let Some(known) = self.found.get_mut(&i).filter(|(_, known)| *known != Fate::Elsewhere) else {
            return;
        };
        if matches!(fate, Fate::Trouble(_)) {
            let backoff = net.rng.between(5 * MILLI, 200 * MILLI);
            net.dial(self.me, to, backoff);
        }
        if known.1 != fate {
            known.1 = fate;
            self.tell_found(net, ledger);
        }
    }

    pub(crate) fn connected(&mut self, net: &mut Net, ledger: &mut Ledger, to: Proc, session: Option<u64>) {
        let dialled = matches!(to, Proc::Dap(_)) && self.settings.looks;
        if dialled && self.peers.values().any(|peer| *peer == to) {
            // It has dialled itself.
            if let Some(id) = session {
                net.close(id, self.me);
            }
            return;
        }
        match session {
            Some(id) if self.wanted.contains(&to) || matches!(to, Proc::Dap(_)) => {
                self.up(net, ledger, id, to);
            }
            Some(id) => net.close(id, self.me),
            None => self.redial(net, to),
        }
        if dialled {
            let fate = session.map(|id| Fate::Linked(net.peer_instance(id, self.me)));
            self.fares(net, ledger, to, fate.unwrap_or_else(|| Fate::Trouble("it does not answer".into())));
        }
        if self.untried.remove(&to) && self.untried.is_empty() {
            self.event(net, ledger, Event::PeersTried);
        }
    }

    fn redial(&mut self, net: &mut Net, to: Proc) {
        let linked = matches!(to, Proc::Rc(_)) && self.peers.values().any(|p| *p == to);
        if self.wanted.contains(&to) && !linked {
            let backoff = net.rng.between(5 * MILLI, 200 * MILLI);
            net.dial(self.me, to, backoff);
        }
    }

    pub(crate) fn up(&mut self, net: &mut Net, ledger: &mut Ledger, session: u64, peer: Proc) {
        if let Proc::Rc(_) = peer
            && !self.is_kept(net, ledger, session)
        {
            return net.close(session, self.me);
        }
        self.peers.insert(session, peer);
        let role = match peer {
            Proc::Gw(_) => PeerRole::Gw,
            Proc::Rc(_) => PeerRole::Rc,
            Proc::Agg(_) => PeerRole::Agg,
            Proc::Dap(_) => PeerRole::Dap,
        };
        let event = Event::Up {
            peer: PeerId(session),
            role,
            name: peer.name().into(),
            instance: net.peer_instance(session, self.me),
            address: peer.address(),
        };
        self.event(net, ledger, event);
    }

    /// Whether the session is the one to keep of two with the same coordinator: the session dialled by the lower
    /// instance, so that both ends choose alike. Then the other ends.
    fn is_kept(&mut self, net: &mut Net, ledger: &mut Ledger, session: u64) -> bool {
        let (own, theirs) = (net.instance(self.me), net.peer_instance(session, self.me));
        let clock = net.clock(self.me);
        if let Some((before, since)) = self.mates.get(&theirs).copied() {
            let lower = net.dialled(session, self.me) == (own.0 < theirs.0);
            if !lower && clock.saturating_sub(since) < DIALLED_AT_ONCE {
                return false;
            }
            ledger.tally.doubles += 1;
            self.forget(net, ledger, before);
            net.close(before, self.me);
        }
        self.mates.insert(theirs, (session, clock));
        true
    }

    fn forget(&mut self, net: &mut Net, ledger: &mut Ledger, session: u64) -> Option<Proc> {
        let peer = self.peers.remove(&session)?;
        self.mates.retain(|_, (of, _)| *of != session);
        self.event(net, ledger, Event::Down { peer: PeerId(session) });
        Some(peer)
    }

    /// It is to end in order.
    pub(crate) fn drain(&mut self, net: &mut Net, ledger: &mut Ledger) {
        self.event(net, ledger, Event::Drain);
    }

    pub(crate) fn message(&mut self, net: &mut Net, ledger: &mut Ledger, session: u64, msg: Msg) {
        if !self.peers.contains_key(&session) {
            return;
        }
        let mut hear = |p: &Purview| _ = self.heard.insert((p.labels.clone(), p.tier.clone()));
        match &msg {
            Msg::RegisterDap(m) => hear(&m.purview),
            Msg::MeshPurviews(m) => {
                m.replicas.iter().for_each(|r| hear(&r.purview));
                m.lost.iter().for_each(|l| hear(&l.purview));
            }
            Msg::Stale(_) => ledger.tally.stale += 1,
            Msg::Request(m) => {
                // What was declared is known, whether it was seen or not.
                let declared = !self.settings.expected.is_empty();
                let seen = self.heard.union(&self.found_sources).count() == ledger.sources;
                let informed = declared || seen;
                ledger.tally.declared += u64::from(self.heard.len() < ledger.sources && declared);
                ledger.informed.insert((m.corr, m.attempt), informed);
                if informed && !declared {
                    self.taken.push((m.corr, m.attempt));
                }
            }
            _ => {}
        }
        let before = self.router.stats().kept;
        self.event(net, ledger, Event::Message { peer: PeerId(session), msg });
        ledger.tally.kept += (self.router.stats().kept.saturating_sub(before)) as u64;
    }

    pub(crate) fn down(&mut self, net: &mut Net, ledger: &mut Ledger, session: u64, dialled: bool) {
        let Some(peer) = self.forget(net, ledger, session) else { return };
        if dialled || matches!(peer, Proc::Rc(_)) {
            self.redial(net, peer);
        }
        if self.settings.looks && !self.peers.values().any(|p| *p == peer) {
            self.fares(net, ledger, peer, Fate::Trouble("its link has ended".into()));
        }
    }

    pub(crate) fn wake(&mut self, net: &mut Net, ledger: &mut Ledger) {
        self.event(net, ledger, Event::Tick);
    }

    /// What must hold after every step.
    pub(crate) fn check(&self, ledger: &mut Ledger) -> Result<(), String> {
        // Panics where it does not hold; the world's runner names the seed.
        self.router.check_invariants();
        let stats = self.router.stats();
        ledger.tally.most_queued = ledger.tally.most_queued.max(stats.queued as u64);
        let Settings { max_requests, max_queued, .. } = self.settings;
        match stats.requests > max_requests || stats.queued > max_queued {
            true => Err(format!(
                "{} has {} requests and {} waiting portions, the limits are {max_requests} and {max_queued}",
                self.me.name(),
                stats.requests,
                stats.queued
            )),
            false => Ok(()),
        }
    }

    /// What must hold when everything has come to rest.
    pub(crate) fn check_quiet(&self) -> Result<(), String> {
        match self.router.is_quiet() {
            true => Ok(()),
            false => Err(format!("{} is not quiet: {:?}", self.me.name(), self.router.stats())),
        }
    }

    /// Which process it is.
    pub(crate) fn proc(&self) -> Proc {
        self.me
    }

    /// True where the session is up at this end.
    pub(crate) fn has(&self, session: u64) -> bool {
        self.peers.contains_key(&session)
    }

    /// The core.
    pub(crate) fn router(&self) -> &Router {
        &self.router
    }

    /// True where it takes requests.
    pub(crate) fn is_ready(&self) -> bool {
        !self.router.stats().settling && !self.router.stats().untried
    }

    /// Data processes it owns.
    pub(crate) fn daps(&self) -> usize {
        self.router.stats().daps
    }

    /// Adds its counts.
    pub(crate) fn count(&self, ledger: &mut Ledger) {
        ledger.tally.retries += self.router.stats().retries;
        ledger.tally.overruns += self.router.stats().overruns;
    }
}
