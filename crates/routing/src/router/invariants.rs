//! What must hold after every event; tests and the simulation call it after each step.

use kvalue::Sym;
use sg::Corr;

use super::{Due, Router};
use crate::{fleet::LeaseState, request::Place};

impl Router {
    /// Panics, saying what is wrong, where the state contradicts itself or a rule:
    ///
    /// * no portion waits while a replica that can serve it is idle;
    /// * each portion is in one place, and the place lists the portion;
    /// * each request has its timer, each timer its request;
    /// * the Agg was told the plan of a request of several portions;
    /// * counts agree with what they count.
    pub fn check_invariants(&self) {
        self.fleet.check_invariants();
        for (peer, dap) in self.fleet.iter().filter(|(_, d)| d.free() > 0) {
            assert_eq!(self.turn_for(dap), None, "{} is idle while a portion it can serve waits", dap.name());
            if let Some(((to, _), noted)) = self.demand_for(peer, dap) {
                panic!("{} is idle while {noted:?} waits at {to:?}", dap.name());
            }
        }
        self.check_stacks();
        self.check_mesh_invariants();
        let queued = self.queue.all();
        assert_eq!(queued.len(), self.queue.len(), "queue length");
        let mut timers = 0;
        for (seq, request) in &self.requests {
            assert_eq!(self.by_corr.get(&request.corr), Some(seq), "index of {}", request.corr);
            assert!(
                self.timers.contains(&(request.answer_by, *seq, Due::Answer)),
                "timer of {}",
                request.corr
            );
            let counted = request.portions.iter().filter(|p| p.place != Place::Replaced).count();
            let told = request.told_plan || sg::mutation::on(crate::mutations::REPLACE_UNTOLD);
            assert!(told || counted <= 1, "the Agg has no plan of {counted} portions of {}", request.corr);
            timers += 1;
            timers += request.portions.iter().filter(|p| p.hedge_at.is_some()).count();
            let mut open = 0;
            for (id, portion) in (0u32..).zip(&request.portions) {
                let waiting = queued.contains(&(*seq, id));
                assert_eq!(waiting, matches!(portion.place, Place::Waiting(_)), "portion {id} and the queue");
                if let Some(at) = portion.hedge_at {
                    assert!(self.timers.contains(&(at, *seq, Due::Slow(id))), "watch over {id}");
                }
                if portion.hedge.is_some() {
                    let runs = matches!(portion.place, Place::Leased(_) | Place::Delivered { .. });
                    assert!(
                        runs || matches!(portion.place, Place::Tried(_)),
                        "portion {id} runs twice but not once"
                    );
                }
                let key = crate::fleet::LeaseKey {
                    corr: request.corr,
                    attempt: request.attempt,
                    portion: sg::PortionId(id),
                };
                match portion.place {
                    Place::Leased(peer) => {
                        let lease = self.fleet.get(peer).and_then(|d| d.running.get(&key));
                        assert!(
                            lease.is_some_and(|l| l.state == LeaseState::Running),
                            "portion {id} says it is leased"
                        );
                        open += 1;
                    }
                    Place::Delivered { until, .. } => {
                        assert!(self.timers.contains(&(until, *seq, Due::Custody(id))), "custody of {id}");
                        timers += 1;
                        open += 1;
                    }
                    Place::Tried(owner) => {
                        assert!(self.mesh.nodes.contains_key(&owner), "portion {id} was asked of nobody");
                        open += 1;
                    }
                    Place::Waiting(_) => open += 1,
                    Place::Resting(until) => {
                        assert!(self.timers.contains(&(until, *seq, Due::Again(id))), "rest of {id}");
                        timers += 1;
                        open += 1;
                    }
                    Place::Nowhere => panic!("portion {id} of {} is nowhere", request.corr),
                    Place::Got | Place::GivenUp | Place::Replaced => {}
                }
            }
            assert_eq!(open, request.open, "open portions of {}", request.corr);
        }
        self.check_kept();
        assert_eq!(timers, self.timers.len(), "timers without a request");
        assert_eq!(self.by_corr.len(), self.requests.len(), "index of requests");
        for order in &queued {
            assert!(self.requests.contains_key(&order.0), "queued portion without a request");
        }
        let with_agg = self.requests.values().filter(|r| r.agg.is_some()).count();
        assert_eq!(self.aggs.outstanding(), with_agg, "requests given to aggregators");
    }

    /// No portion waits behind another while a replica is idle, but for those asked back already, and for what has
    /// just been given and is short.
    fn check_stacks(&self) {
        for (_, dap) in self.fleet.iter() {
            let Some((_, key, _)) = self.to_recall(dap.source) else { continue };
            assert!(
                self.recall_at.get(&dap.source).is_some_and(|at| *at > self.now),
                "portion {} waits behind another while a replica of {} is idle",
                key.portion.0,
                dap.purview.source
            );
        }
    }

    /// What is known of peers agrees with itself.
    fn check_mesh_invariants(&self) {
        for (id, offer) in &self.mesh.offers {
            assert!(self.mesh.nodes.contains_key(&offer.to), "offer {id} is to nobody");
            assert!(offer.until > self.now, "offer {id} is kept longer than `offer_wait`");
            assert!(self.fleet.get(offer.dap).is_some(), "offer {id} is of a lost replica");
        }
        for (peer, dap) in self.fleet.iter() {
            let offered = self.mesh.offers.values().filter(|o| o.dap == peer).count();
            assert_eq!(dap.reserved, offered, "places of {} kept for offers", dap.name());
            for (key, lease) in dap.running.iter() {
                if let (Some(to), LeaseState::Running) = (lease.primary, lease.state) {
                    assert!(
                        self.mesh.lent.contains_key(&(to, *key, peer)),
                        "lease of {} for a peer",
                        dap.name()
                    );
                }
            }
            if let Some((owner, _)) = dap.owner {
                let known = self.mesh.nodes.get(&owner).and_then(|n| n.replicas.get(dap.name()));
                assert_eq!(known, Some(&peer), "{} and its owner", dap.name());
                let owners = self.mesh.owners.get(&dap.source);
                assert!(
                    owners.is_some_and(|o| dap.owner.is_some_and(|d| o.contains(&d))),
                    "owners of a source"
                );
            }
        }
        for (to, key, dap) in self.mesh.lent.keys() {
            let lease = self.fleet.get(*dap).and_then(|d| d.running.get(key));
            assert!(lease.is_some_and(|l| l.primary == Some(*to)), "a portion lent to {to:?} has no lease");
            assert!(self.mesh.nodes.contains_key(to), "a portion is lent to nobody");
        }
        for (source, demands) in &self.mesh.demands {
            assert!(!demands.is_empty(), "an empty demand of {source:?}");
            for ((from, _), noted) in demands {
                assert!(self.mesh.nodes.contains_key(from), "nobody waits for {source:?}");
                assert!(noted.waiting > 0, "a demand of none");
            }
        }
        for (peer, node) in &self.mesh.nodes {
            for (group, idle) in node.idle.iter().filter(|(_, idle)| **idle > 0) {
                let of_group = self.mesh.owners.iter().filter(|(_, o)| o.contains(&(*peer, *group)));
                for (source, _) in of_group {
                    let waits = self.next_for_peer(*source, (*peer, *group));
                    assert_eq!(
                        waits, None,
                        "{} says {idle} of group {group} are idle, and a portion waits",
                        node.name
                    );
                }
            }
        }
    }

    /// True where nothing is in flight: no request, no portion queued, no timer, nothing leased.
    pub fn is_quiet(&self) -> bool {
        self.requests.is_empty()
            && self.by_corr.is_empty()
            && self.timers.is_empty()
            && self.queue.len() == 0
            && self.aggs.outstanding() == 0
            && self.questions.is_empty()
            && self.mesh.offers.is_empty()
            && self.mesh.lent.is_empty()
            && self.fleet.iter().all(|(_, d)| d.running.is_empty())
    }
}

/// A portion waiting at one coordinator while another coordinator has an idle replica for the portion. The state is
/// allowed for two round trips after a change, while messages travel (design §3, rule 2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Beside {
    /// the request
    pub corr: Corr,
    /// its attempt
    pub attempt: i32,
    /// which of its portions
    pub portion: u32,
    /// the coordinator where it waits
    pub at: Sym,
    /// the replica that is idle
    pub replica: Sym,
    /// the coordinator that owns it
    pub owner: Sym,
}

impl std::fmt::Display for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Beside { corr, portion, at, replica, owner, .. } = self;
        write!(f, "portion {portion} of {corr} waits at {at} while {replica} of {owner} is idle")
    }
}

/// All portions that wait beside an idle replica of another coordinator. One that leaves counts as none: it
/// hands its replicas over.
pub fn waiting_beside_idle(routers: &[&Router]) -> Vec<Beside> {
    let mut found = Vec::new();
    let idle: Vec<_> = routers
        .iter()
        .filter(|o| o.drain_at.is_none())
        .flat_map(|o| o.fleet.iter().filter(|(_, d)| d.free() > 0).map(move |(_, d)| (o, d)))
        .collect();
    for router in routers.iter().filter(|r| r.queue.len() > 0 && !idle.is_empty()) {
        for (seq, id) in router.queue.all() {
            let Some(request) = router.requests.get(&seq) else { continue };
            let Some(portion) = request.portion(id) else { continue };
            for (owner, dap) in idle.iter().filter(|(o, _)| o.settings.name != router.settings.name) {
                let known = router.fleet.named(dap.name()).and_then(|at| router.fleet.get(at));
                let same = |k: &&crate::fleet::Dap| *k.purview == *dap.purview && k.owner.is_some();
                if known.filter(same).is_some_and(|k| router.suits(request, portion, k.source, k)) {
                    found.push(Beside {
                        corr: request.corr,
                        attempt: request.attempt,
                        portion: id,
                        at: router.settings.name.clone(),
                        replica: dap.name().clone(),
                        owner: owner.settings.name.clone(),
                    });
                }
            }
        }
    }
    found
}

/// What must hold over several routers of one mesh at any time, whatever is still on the way between them;
/// panics saying what does not:
///
/// * no data process is obeyed by two: each has one latest registration;
/// * a portion that an owner runs for a peer is wanted there, or word of its end is under way.
pub fn check_mesh(routers: &[&Router]) {
    let mut latest = std::collections::BTreeMap::new();
    for router in routers {
        for (_, dap) in router.fleet.iter().filter(|(_, d)| d.owner.is_none()) {
            let key = (dap.name().clone(), dap.purview.instance, dap.purview.epoch);
            let other = latest.insert(key, &router.settings.name);
            assert_eq!(other, None, "{} is registered twice under one epoch", dap.name());
        }
    }
}

/// What must hold besides [`check_mesh`] when nothing is on the way between routers, data processes and Aggs,
/// and each clock has passed every due time; panics saying what does not:
///
/// * no portion waits anywhere while a replica that can serve it is idle anywhere;
/// * who owns a data process is known to all alike, and nobody else claims it;
/// * nothing is asked, offered or lent that the other side does not know of.
pub fn check_quiet_mesh(routers: &[&Router]) {
    check_mesh(routers);
    if let Some(beside) = waiting_beside_idle(routers).first() {
        panic!("{beside}");
    }
    for router in routers {
        assert!(router.mesh.offers.is_empty(), "{} still offers a replica", router.settings.name);
        for request in router.requests.values() {
            for (id, portion) in request.portions.iter().enumerate() {
                let asked = matches!(portion.place, Place::Tried(_));
                assert!(!asked, "portion {id} of {} was asked for and not answered", request.corr);
            }
        }
        for node in router.mesh.nodes.values() {
            let Some(peer) = routers.iter().find(|r| r.settings.name == node.name) else { continue };
            assert_eq!(
                node.version, peer.mesh.ours.version,
                "{}'s account of {}",
                router.settings.name, node.name
            );
            for (_, dap) in peer.fleet.iter().filter(|(_, d)| d.owner.is_none()) {
                let known = node.replicas.contains_key(dap.name()) || node.ignored.contains_key(dap.name());
                assert!(known, "{} does not know {} of {}", router.settings.name, dap.name(), node.name);
            }
        }
    }
}
