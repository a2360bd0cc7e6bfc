//! The pods of gateways, coordinators and aggregators that have a trouble: a few words each, of those alone.
//!
//! Rule kept: a resource is looked at again where the words of a pod change, and for no other event of a pod.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use operator_api::names::Role;

use crate::kinds::OwnPod;

/// Namespace and name.
type Place = (String, String);

/// Pods with a trouble.
#[derive(Default)]
pub struct OwnPods(Mutex<State>);

#[derive(Default)]
struct State {
    troubled: BTreeMap<Place, OwnPod>,
    /// What a list that is being read has shown, by scope.
    listing: HashMap<Option<String>, HashSet<Place>>,
}

impl OwnPods {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch saw a pod. The resource to look at again, as namespace and name, where the words changed.
    pub fn saw(&self, pod: &Pod) -> Option<Place> {
        let seen = OwnPod::of(pod)?;
        let place = (pod.metadata.namespace.clone()?, pod.metadata.name.clone()?);
        let mut state = self.state();
        for (scope, listed) in &mut state.listing {
            if scope.as_ref().is_none_or(|scope| *scope == place.0) {
                listed.insert(place.clone());
            }
        }
        let resource = (place.0.clone(), seen.gateway.clone());
        let before = match seen.trouble.is_some() {
            true => state.troubled.insert(place, seen.clone()),
            false => state.troubled.remove(&place),
        };
        (before.and_then(|pod| pod.trouble) != seen.trouble).then_some(resource)
    }

    /// A watch saw a pod go.
    pub fn gone(&self, namespace: &str, name: &str) -> Option<Place> {
        let gone = self.state().troubled.remove(&(namespace.into(), name.into()))?;
        Some((namespace.into(), gone.gateway))
    }

    /// A watch begins to list pods anew.
    pub fn relist(&self, scope: Option<String>) {
        self.state().listing.insert(scope, HashSet::new());
    }

    /// It has listed all. Resources whose troubled pods are gone.
    pub fn listed(&self, scope: &Option<String>) -> Vec<Place> {
        let mut state = self.state();
        let Some(listed) = state.listing.remove(scope) else { return Vec::new() };
        let mut resources = Vec::new();
        state.troubled.retain(|place, pod| {
            let stays = listed.contains(place) || scope.as_ref().is_some_and(|scope| *scope != place.0);
            if !stays {
                resources.push((place.0.clone(), pod.gateway.clone()));
            }
            stays
        });
        resources
    }

    /// Troubles of one role's pods, a sentence each, in the order of the pods' names.
    pub fn troubles(&self, namespace: &str, gateway: &str, role: Role) -> Vec<String> {
        let state = self.state();
        let from = (namespace.to_owned(), String::new());
        let here = state.troubled.range(from..).take_while(|((in_, _), _)| in_ == namespace);
        let ours = here.filter(|(_, pod)| pod.gateway == gateway && pod.role == role);
        ours.filter_map(|((_, name), pod)| Some(format!("pod {name}: {}", pod.trouble.as_ref()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use serde_json::json;

    fn pod(name: &str, code: Option<i32>) -> Pod {
        let state = match code {
            Some(code) => json!({ "terminated": { "exitCode": code } }),
            None => json!({ "running": {} }),
        };
        serde_json::from_value(json!({
            "metadata": { "name": name, "namespace": "ns", "labels": {
                "app.kubernetes.io/name": "sg-gateway", "app.kubernetes.io/instance": "g",
            } },
            "status": { "containerStatuses": [{
                "name": "gw", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state,
            }] },
        }))
        .expect("a pod")
    }

    /// Against a plain map of what each pod was last: whatever comes in whatever order, troubles are those of the pods
    /// that are there, and the resource is named exactly where the words changed.
    #[test]
    fn troubles_are_those_of_the_pods_that_are_there() {
        let seed: u64 = rand::rng().random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let (pods, mut plain) = (OwnPods::default(), BTreeMap::<String, Option<i32>>::new());
        for step in 0..3_000 {
            let name = format!("p{}", random.random_range(0..6));
            let code = random.random_bool(0.6).then(|| random.random_range(1..3));
            match random.random_range(0..10) {
                0 => {
                    // The watch broke off; some pods went meanwhile.
                    pods.relist(None);
                    plain.retain(|_, _| random.random_bool(0.7));
                    plain.iter().for_each(|(name, code)| _ = pods.saw(&pod(name, *code)));
                    pods.listed(&None);
                }
                1 | 2 => {
                    let before = plain.remove(&name).flatten();
                    let woken = pods.gone("ns", &name).is_some();
                    assert_eq!(woken, before.is_some(), "seed {seed}, step {step}");
                }
                _ => {
                    let before = plain.insert(name.clone(), code).flatten();
                    let woken = pods.saw(&pod(&name, code)).is_some();
                    assert_eq!(woken, before != code, "seed {seed}, step {step}");
                }
            }
            let wanted: Vec<String> = plain
                .iter()
                .filter_map(|(name, code)| {
                    Some(format!("pod {name}: container gw ended with exit code {}", (*code)?))
                })
                .collect();
            assert_eq!(pods.troubles("ns", "g", Role::Gateway), wanted, "seed {seed}, step {step}");
            assert!(pods.troubles("ns", "h", Role::Gateway).is_empty());
        }
    }
}
