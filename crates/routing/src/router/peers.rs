//! Processes come, change and go.
//!
//! Rules kept: a registration that is refused is told why and costs nobody else anything; the same name with
//! another running process is refused while the first lives, the same process takes its old link's place; a
//! lost replica frees its portions, safe ones to be tried elsewhere; a lost Agg has its requests done again.

use std::{collections::BTreeSet, sync::Arc};

use kvalue::Sym;
use sg::{
    Ac, Failure, Purview, Rc, TimeRange,
    msg::{Covered, LeasesOver, RegisterAgg, RegisterDap, Registered, Status, UpdateDap},
    purview::TableKind,
};

use super::{Peer, Router};
use crate::{
    coverage::{Touched, source::rank},
    event::{Action, Note, PeerId, PeerRole},
    fleet::{Dap, Fleet, Lease, LeaseKey, LeaseState},
    request::{Hedge, Place},
};

impl Router {
    pub(super) fn up(&mut self, peer: PeerId, info: Peer) {
        if info.role == PeerRole::Gw {
            // It is told the state even where nothing has changed.
            let status = self.status();
            self.send(peer, status);
        }
        let rc = info.role == PeerRole::Rc;
        self.peers.insert(peer, info);
        if rc {
            self.up_rc(peer);
        }
    }

    pub(super) fn down(&mut self, peer: PeerId) {
        let Some(info) = self.peers.remove(&peer) else { return };
        self.leaving.remove(&peer);
        match info.role {
            PeerRole::Gw => self.lose_gw(peer),
            PeerRole::Agg => self.lose_agg(peer),
            PeerRole::Dap => self.lose_dap(peer),
            PeerRole::Rc => self.lose_rc(peer),
        }
    }

    pub(super) fn refuse(&mut self, peer: PeerId, why: String) {
        self.note(Note::Warning { text: why.clone() });
        self.actions.push(Action::Refuse { peer, why });
        self.down(peer);
    }

    // ---- DAPs -------------------------------------------------------------------------------------------

    pub(super) fn register_dap(&mut self, peer: PeerId, m: RegisterDap) {
        let Some((instance, address)) = self.peers.get(&peer).map(|p| (p.instance, p.address.clone())) else {
            return;
        };
        self.says((&address, instance), &m.purview);
        if self.leaving.contains(&peer) {
            return self.refuse(peer, LEAVES.into());
        }
        if self.hands_over() {
            // Taken and given away in one go, it would be nobody's until it has registered again.
            return self.refuse(peer, STOPS.into());
        }
        if let Some((claimed, owner, later)) = self.claimed_by_peer(&m.purview) {
            if !later {
                let why = format!(
                    "a data process named {} is connected to coordinator {owner} already: give this one another KXI_NAME, or stop the other",
                    m.purview.name
                );
                return self.refuse(peer, why);
            }
            // The replica has moved here; the old owner releases the replica on hearing so.
            self.lose_dap(claimed);
        }
        if let Some(other) = self.fleet.named(&m.purview.name).filter(|other| *other != peer) {
            let theirs = self.peers.get(&other).map(|p| p.instance);
            if theirs != Some(instance) {
                let why = format!(
                    "a data process named {} is connected already: give this one another KXI_NAME, or stop the other",
                    m.purview.name
                );
                return self.refuse(peer, why);
            }
            let later = self.fleet.get(other).is_some_and(|d| d.purview.epoch > m.purview.epoch);
            if later {
                // Messages on the replica's two links arrive in no order: the later registration is in force.
                let why = format!("data process {} has registered by another link since", m.purview.name);
                return self.refuse(peer, why);
            }
            // The same process by another link. The old one may be dead and not noticed to be, or be the one that
            // is left when this one is lost: then it registers by it again.
            self.lose_dap(other);
        }
        if m.running.len() > Fleet::FROM_BEFORE {
            let why = format!(
                "registration lists {} running portions, at most {}",
                m.running.len(),
                Fleet::FROM_BEFORE
            );
            return self.refuse(peer, why);
        }
        if self.fleet.get(peer).is_some() {
            // A second registration on one link: as if the link had been new.
            self.lose_dap(peer);
        }
        let purview = Arc::new(m.purview);
        let Some(apis) = self.apis.provide(&purview.apis, self.settings.max_apis) else {
            let why = format!("more than {} APIs: raise QMESH_RC_MAX_APIS", self.settings.max_apis);
            return self.refuse(peer, why);
        };
        let touched = match self.coverage.register(peer, &purview) {
            Ok(touched) => touched,
            Err(refusal) => {
                self.apis.withdraw(&purview.apis);
                return self.refuse(peer, refusal.to_string());
            }
        };
        let Some(source) = self.coverage.source_of(peer) else { return };
        let mut dap = Dap::new(purview.clone(), source, apis, self.now);
        dap.available = m.available;
        dap.address = address;
        for r in &m.running {
            let key = LeaseKey { corr: r.corr, attempt: r.attempt, portion: r.portion };
            // What it ran for an earlier link is not waited for here: it counts until it says that it ended. It
            // may read what any earlier version of the purview held.
            dap.running.insert(key, Lease::from_before(self.now));
        }
        self.fleet.insert(peer, dap);
        for r in m.running {
            self.still_running(peer, LeaseKey { corr: r.corr, attempt: r.attempt, portion: r.portion });
        }
        self.announced(peer, &purview, touched);
        self.is_registered(peer);
    }

    /// A DAP that has just registered still runs a portion from before: a waiting portion is leased to the DAP again, a
    /// portion running elsewhere by now may come from either replica, any other portion is cancelled.
    fn still_running(&mut self, peer: PeerId, key: LeaseKey) {
        let seq = self.live_attempt(key.corr, key.attempt);
        let place = seq.and_then(|seq| Some(self.requests.get(&seq)?.portion(key.portion.0)?.place.clone()));
        match (seq, place) {
            (Some(seq), Some(Place::Waiting(_))) => {
                self.unqueue(seq, key.portion.0);
                self.adopt(seq, key, peer);
            }
            (_, Some(Place::Leased(_) | Place::Delivered { .. })) => {}
            _ => {
                let LeaseKey { corr, attempt, portion } = key;
                self.send(peer, sg::msg::CancelRun { corr, attempt, portion });
            }
        }
    }

    pub(super) fn update_dap(&mut self, peer: PeerId, m: UpdateDap) {
        let Some(dap) = self.fleet.get(peer) else { return self.stray(".sgrc.updateDAP") };
        let old = dap.purview.clone();
        if m.purview.version < old.version || m.purview.epoch != old.epoch || m.purview.name != old.name {
            return self.stray(".sgrc.updateDAP");
        }
        if *old == m.purview {
            if dap.available != m.available {
                self.fleet.update(peer, |d| d.available = m.available);
                self.tell_replica(peer, false);
            }
            self.send(peer, Registered { epoch: old.epoch, version: old.version });
            return self.serve(peer);
        }
        let purview = Arc::new(m.purview);
        let Some(apis) = self.apis.provide(&purview.apis, self.settings.max_apis) else {
            let why = format!("more than {} APIs: raise QMESH_RC_MAX_APIS", self.settings.max_apis);
            return self.refuse(peer, why);
        };
        self.apis.withdraw(&old.apis);
        let touched = match self.coverage.register(peer, &purview) {
            Ok(touched) => touched,
            Err(refusal) => {
                // The DAP is still known by its old purview, and is lost with it.
                self.apis.withdraw(&purview.apis);
                self.apis.provide(&old.apis, usize::MAX);
                return self.refuse(peer, refusal.to_string());
            }
        };
        let source = self.coverage.source_of(peer);
        self.fleet.update(peer, |d| {
            d.set_purview(purview.clone());
            d.apis = apis;
            d.available = m.available;
            d.source = source.unwrap_or(d.source);
        });
        self.announced(peer, &purview, touched);
    }

    fn announced(&mut self, peer: PeerId, purview: &Purview, touched: Touched) {
        self.note(Note::DapRegistered { dap: purview.name.clone(), version: purview.version });
        self.status_changed = true;
        // Before anything is said of it.
        self.tell_replica(peer, true);
        self.send(peer, Registered { epoch: purview.epoch, version: purview.version });
        self.coverage_changed(touched);
        self.leases_over(peer);
        if let Some(source) = self.fleet.get(peer).map(|d| d.source) {
            self.mesh.may_be_of_use(source, peer);
        }
        self.serve(peer);
    }

    /// Waiting portions are planned again, newer tiers learn what older ones hold now.
    pub(super) fn coverage_changed(&mut self, touched: Touched) {
        self.forget_at = self.coverage.next_forget(self.settings.forget_after);
        for source in touched.forgotten {
            self.note(Note::SourceForgotten { source });
        }
        let coverage = &self.coverage;
        self.queue.sweep(|source| coverage.source(source).is_some());
        self.mesh.ours.sweep(|source| coverage.source(source).is_some());
        self.found.changed = true;
        self.replan_waiting(&touched.domains);
        self.unbind(&touched.domains);
        for domain in &touched.domains {
            self.tell_covered(*domain);
        }
    }

    pub(super) fn forget_lost(&mut self) {
        let touched = self.coverage.forget(self.now.saturating_sub(self.settings.forget_after));
        self.coverage_changed(touched);
    }

    pub(super) fn lose_dap(&mut self, peer: PeerId) {
        let Some(dap) = self.fleet.remove(peer) else { return };
        self.apis.withdraw(&dap.purview.apis);
        self.status_changed = true;
        self.mesh.retry_ignored = true;
        let name = dap.name().clone();
        let wanted = dap.running.values().filter(|l| l.state == LeaseState::Running).count();
        let touched = self.coverage.lose(peer, self.now);
        match dap.owner {
            None => {
                self.note(Note::DapLost { dap: name.clone(), running: wanted });
                self.tell_gone(&name, dap.source);
                let offers = self.mesh.offers.iter().filter(|(_, o)| o.dap == peer);
                let offers: Vec<i64> = offers.map(|(id, _)| *id).collect();
                offers.into_iter().for_each(|offer| self.take_back(offer));
            }
            Some((owner, _)) => {
                if let Some(node) = self.mesh.nodes.get_mut(&owner) {
                    node.replicas.remove(&name);
                }
                self.reown(dap.source);
            }
        }
        self.coverage_changed(touched);
        for (key, lease) in dap.running.into_iter().filter(|(_, l)| l.state == LeaseState::Running) {
            if let Some(primary) = lease.primary {
                self.lost_lent(primary, key, peer, &name);
                continue;
            }
            let Some(seq) = self.live_attempt(key.corr, key.attempt) else { continue };
            self.run_lost(seq, key.portion.0, peer, &name);
        }
    }

    fn run_lost(&mut self, seq: u64, portion: u32, peer: PeerId, name: &Sym) {
        let p = self.requests.get_mut(&seq).and_then(|r| r.portions.get_mut(portion as usize));
        let Some(p) = p else { return };
        if p.hedge == Some(Hedge::Leased(peer)) {
            p.hedge = None;
            return;
        }
        if p.place == Place::Leased(peer) && !self.fall_back(seq, portion) {
            let ai = format!("data process {name} was lost while it ran portion {portion}");
            self.try_again(seq, portion, Failure::new(Rc::CONN, Ac::CONN, ai), false);
        }
    }

    /// Tells a DAP once no lease reads a purview version below the present version.
    pub(super) fn leases_over(&mut self, peer: PeerId) {
        let Some(dap) = self.fleet.get(peer) else { return };
        let version = dap.purview.version;
        let over = dap.oldest_version().is_none_or(|oldest| oldest >= version);
        let over = over || sg::mutation::on("rc-leases-over-early");
        if over && dap.leases_over < version {
            self.fleet.update(peer, |d| d.leases_over = version);
            self.send(peer, LeasesOver { version });
        }
    }

    /// Tells replicas of newer tiers over which stretch older tiers of their label set hold each table now: what all
    /// connected replicas of a source hold counts.
    fn tell_covered(&mut self, domain: crate::coverage::DomainId) {
        let Some(d) = self.coverage.domain(domain) else { return };
        let sources: Vec<_> = d.sources.iter().filter_map(|s| self.coverage.source(*s)).collect();
        let mut told = Vec::new();
        for newer in sources.iter().filter(|s| rank(&s.tier) > 0) {
            for (peer, purview) in &newer.replicas {
                for table in purview.tables.iter().filter(|t| t.kind == TableKind::Partitioned) {
                    let older = sources.iter().filter(|s| rank(&s.tier) < rank(&newer.tier));
                    let held = older.filter(|s| s.is_live()).filter_map(|s| {
                        let of = |p: &Purview| {
                            let held = p.table(&table.name).filter(|t| !t.range.is_empty());
                            held.map(|t| t.range)
                        };
                        // One replica that does not hold the table yet holds everything back.
                        let all = s.replicas.values().map(|p| of(p)).collect::<Option<Vec<TimeRange>>>()?;
                        // What one replica lacks is not covered. None where they have nothing in common.
                        let (first, rest) = all.split_first()?;
                        rest.iter().try_fold(*first, |a, b| a.intersect(*b))
                    });
                    let Some((from, until)) = joined(held.collect()) else { continue };
                    if until <= table.range.start() {
                        continue;
                    }
                    let known = self.fleet.get(*peer).and_then(|d| d.covered.get(&table.name)).copied();
                    if known != Some((from, until)) {
                        told.push((*peer, Covered { table: table.name.clone(), until, from }));
                    }
                }
            }
        }
        for (peer, covered) in told {
            let Covered { table, until, from } = covered.clone();
            if self.fleet.update(peer, |d| d.covered.insert(table, (from, until))).is_some() {
                self.send(peer, covered);
            }
        }
    }

    // ---- Aggs and GWs -----------------------------------------------------------------------------------

    pub(super) fn register_agg(&mut self, peer: PeerId, m: RegisterAgg) {
        let Some(info) = self.peers.get(&peer) else { return };
        let (name, address) = (info.name.clone(), info.address.clone());
        self.aggs.insert(peer, name.clone(), address, m.agg_fns);
        self.status_changed = true;
        self.mesh.aggs_changed = true;
        self.note(Note::AggRegistered { agg: name });
    }

    fn lose_agg(&mut self, peer: PeerId) {
        let Some(agg) = self.aggs.remove(peer) else { return };
        self.status_changed = true;
        self.mesh.aggs_changed = true;
        self.dial_again(&agg.name, &agg.address);
        let requests = self.sorted(|r| r.agg == Some(peer));
        self.note(Note::AggLost { agg: agg.name.clone(), requests: requests.len() });
        for seq in requests {
            self.redo(seq, &format!("aggregator {} was lost", agg.name));
        }
    }

    fn lose_gw(&mut self, peer: PeerId) {
        self.questions.retain(|_, q| q.gw != peer);
        for seq in self.sorted(|r| r.gw == peer) {
            self.drop_request(seq, "the gateway that asked is gone");
        }
    }

    // ---- leaving ----------------------------------------------------------------------------------------

    /// From now on others are asked; what comes before the GWs have heard of it is still served.
    pub(super) fn leave(&mut self) {
        self.drain_at.get_or_insert(self.now + self.settings.drain_grace);
        self.status_changed = true;
    }

    /// A data process is on its way out: nothing new is given to it from here on, by anybody.
    pub(super) fn dap_leaves(&mut self, peer: PeerId) {
        if self.peers.get(&peer).is_none_or(|p| p.role != PeerRole::Dap) || !self.leaving.insert(peer) {
            return;
        }
        if self.fleet.update(peer, |d| d.leaving = true).is_none() {
            return;
        }
        self.tell_replica(peer, false);
        let offers = self.mesh.offers.iter().filter(|(_, o)| o.dap == peer);
        let offers: Vec<i64> = offers.map(|(id, _)| *id).collect();
        offers.into_iter().for_each(|offer| self.take_back(offer));
    }

    /// Ends the links of data processes that are on their way out, each once it runs nothing.
    pub(super) fn let_go(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        let idle = |peer: &&PeerId| self.fleet.get(**peer).is_some_and(|d| d.running.is_empty());
        let idle: Vec<PeerId> = self.leaving.iter().filter(idle).copied().collect();
        for peer in idle {
            self.actions.push(Action::Refuse { peer, why: LEAVES.into() });
            self.down(peer);
        }
    }

    /// True where this coordinator leaves, and a peer can take the owned data processes.
    fn hands_over(&self) -> bool {
        self.drain_at.is_some() && self.mesh.nodes.values().any(|n| n.ready && !n.leaving)
    }

    /// A leaving coordinator gives each idle data process to a peer.
    pub(super) fn hand_over(&mut self) {
        if !self.hands_over() {
            return;
        }
        let hurries = sg::mutation::on(crate::mutations::DRAIN_HURRIES);
        let is_idle = |d: &Dap| d.running.is_empty() && d.reserved == 0;
        let own = self.fleet.iter().filter(|(_, d)| d.owner.is_none() && (is_idle(d) || hurries));
        let idle: Vec<PeerId> = own.map(|(peer, _)| peer).collect();
        for peer in idle {
            self.actions.push(Action::Refuse { peer, why: STOPS.into() });
            self.down(peer);
        }
    }

    pub(super) fn sorted(&self, which: impl Fn(&crate::request::Request) -> bool) -> BTreeSet<u64> {
        self.requests.iter().filter(|(_, r)| which(r)).map(|(seq, _)| *seq).collect()
    }

    fn status(&self) -> Status {
        Status {
            ready: self.is_ready() && self.drain_at.is_none(),
            daps: self.fleet.own() as i32,
            aggs: self.aggs.len() as i32,
            apis: self.apis.live().into_iter().chain(super::builtin_apis::apis()).collect(),
            assembly: self.settings.assembly.clone(),
        }
    }

    /// Tells every GW the state, once per event that may have changed it.
    pub(super) fn tell_status(&mut self) {
        if !std::mem::take(&mut self.status_changed) {
            return;
        }
        let gws: Vec<PeerId> =
            self.peers.iter().filter(|(_, p)| p.role == PeerRole::Gw).map(|(id, _)| *id).collect();
        if gws.is_empty() {
            return;
        }
        let status = self.status();
        for gw in gws {
            self.send(gw, status.clone());
        }
    }
}

/// The stretch up to the latest end that these hold without a gap.
fn joined(mut held: Vec<TimeRange>) -> Option<(i64, i64)> {
    held.sort_unstable_by_key(|r| (r.end(), r.start()));
    let last = held.pop()?;
    let mut from = last.start();
    // The one that reaches nearest may begin earliest or not: each that touches may move the start.
    while let Some(earlier) = held.iter().filter(|r| r.end() >= from).map(|r| r.start()).min()
        && earlier < from
    {
        from = earlier;
    }
    Some((from, last.end()))
}

/// Why a coordinator that leaves ends the link of a data process.
const STOPS: &str = "this coordinator is stopping";

/// Why the link of a data process that is on its way out ends.
const LEAVES: &str = "it is no longer among the data processes that this coordinator looks for";
