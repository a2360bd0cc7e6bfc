//! First step: read what a resource refers to. Contents are cached until a watch reports a change.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use operator_api::referenced::{Content, Reference, ReferenceKind, Referenced};
use operator_api::spec::ServiceGatewaySpec;
use operator_api::uses::{Missing, resolve, uses};

use crate::api::Caller;
use crate::error::Error;

type Place = (String, Reference);

/// Contents of the objects that resources refer to, and which resources do.
#[derive(Default)]
pub struct Contents(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    known: HashMap<Place, Slot>,
    users: HashMap<Place, HashSet<String>>,
    of_user: HashMap<(String, String), Vec<Reference>>,
}

#[derive(Default)]
struct Slot {
    /// Counts the changes: an answer that was under way during one is not kept.
    epoch: u64,
    /// None: not read yet; Some(None): there is no such object.
    content: Option<Option<Content>>,
}

impl Contents {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch saw an object change or go: which resources care?
    pub fn changed(&self, namespace: &str, kind: ReferenceKind, name: &str) -> Vec<String> {
        let place = (namespace.to_owned(), Reference { kind, name: name.into() });
        let mut memory = self.memory();
        let Some(users) = memory.users.get(&place).map(|users| users.iter().cloned().collect()) else {
            return Vec::new();
        };
        if let Some(slot) = memory.known.get_mut(&place) {
            slot.epoch += 1;
            slot.content = None;
        }
        users
    }

    /// A watch begins anew, so that anything may have changed: who cares, as (namespace, name)?
    pub fn all_changed(&self, kind: ReferenceKind) -> Vec<(String, String)> {
        let mut memory = self.memory();
        for (_, slot) in memory.known.iter_mut().filter(|((_, reference), _)| reference.kind == kind) {
            slot.epoch += 1;
            slot.content = None;
        }
        let users = memory.users.iter().filter(|((_, reference), _)| reference.kind == kind);
        users
            .flat_map(|((namespace, _), names)| names.iter().map(|name| (namespace.clone(), name.clone())))
            .collect()
    }

    /// Replaces the set of objects used by a resource.
    pub fn uses(&self, namespace: &str, name: &str, references: Vec<Reference>) {
        let mut memory = self.memory();
        let user = (namespace.to_owned(), name.to_owned());
        let before = memory.of_user.remove(&user).unwrap_or_default();
        for reference in before.into_iter().filter(|reference| !references.contains(reference)) {
            let place = (namespace.to_owned(), reference);
            let nobody = memory.users.get_mut(&place).is_none_or(|users| {
                users.remove(name);
                users.is_empty()
            });
            if nobody {
                memory.users.remove(&place);
                memory.known.remove(&place);
            }
        }
        for reference in &references {
            memory.users.entry((namespace.into(), reference.clone())).or_default().insert(name.into());
        }
        if !references.is_empty() {
            memory.of_user.insert(user, references);
        }
    }

    fn epoch(&self, place: &Place) -> (u64, Option<Option<Content>>) {
        let mut memory = self.memory();
        let slot = memory.known.entry(place.clone()).or_default();
        (slot.epoch, slot.content.clone())
    }

    fn learn(&self, place: Place, epoch: u64, content: Option<Content>) {
        let mut memory = self.memory();
        if let Some(slot) = memory.known.get_mut(&place).filter(|slot| slot.epoch == epoch) {
            slot.content = Some(content);
        }
    }

    /// What is in an object; none where there is none.
    async fn content(&self, caller: &Caller, place: Place) -> Result<Option<Content>, Error> {
        let (epoch, known) = self.epoch(&place);
        if let Some(known) = known {
            return Ok(known);
        }
        let (namespace, reference) = &place;
        let content = match reference.kind {
            ReferenceKind::Secret => caller
                .get::<Secret>(namespace, &reference.name)
                .await?
                .map(|secret| Content::of_secret(&secret)),
            ReferenceKind::ConfigMap => caller
                .get::<ConfigMap>(namespace, &reference.name)
                .await?
                .map(|map| Content::of_config_map(&map)),
        };
        self.learn(place, epoch, content.clone());
        Ok(content)
    }
}

/// The objects found, the mesh's own secret aside, and the objects missing.
pub async fn dereference(
    caller: &Caller,
    contents: &Contents,
    namespace: &str,
    name: &str,
    spec: &ServiceGatewaySpec,
) -> Result<(Referenced, Vec<Missing>), Error> {
    let uses = uses(name, spec);
    let named = uses.iter().map(|one| one.reference.clone()).filter(Reference::can_exist);
    let named: BTreeSet<Reference> = named.collect();
    contents.uses(namespace, name, named.iter().cloned().collect());
    let mut there = BTreeMap::new();
    for reference in named {
        let content = contents.content(caller, (namespace.into(), reference.clone())).await?;
        there.extend(content.map(|content| (reference, content)));
    }
    Ok(resolve(namespace, spec, &uses, &there))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Reference {
        Reference { kind: ReferenceKind::Secret, name: "s".into() }
    }

    fn content() -> Content {
        Content::of_secret(&Secret::default())
    }

    #[test]
    fn an_answer_that_was_under_way_during_a_change_is_not_kept() {
        let contents = Contents::default();
        contents.uses("ns", "a", vec![reference()]);
        let place = ("ns".to_owned(), reference());
        let (epoch, _) = contents.epoch(&place);
        assert_eq!(contents.changed("ns", ReferenceKind::Secret, "s"), ["a"]);
        contents.learn(place.clone(), epoch, Some(content()));
        assert_eq!(contents.epoch(&place).1, None, "the old answer would hide the change for ever");
    }

    #[test]
    fn nobody_is_told_of_objects_that_nobody_uses_any_more() {
        let contents = Contents::default();
        contents.uses("ns", "a", vec![reference()]);
        contents.uses("ns", "b", vec![reference()]);
        contents.uses("ns", "a", vec![]);
        assert_eq!(contents.changed("ns", ReferenceKind::Secret, "s"), ["b"]);
        contents.uses("ns", "b", vec![]);
        assert!(contents.changed("ns", ReferenceKind::Secret, "s").is_empty());
        assert!(contents.memory().known.is_empty() && contents.memory().users.is_empty());
    }
}
