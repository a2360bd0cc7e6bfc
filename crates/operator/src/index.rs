//! The children and data-access pods that exist, a few words each. Fed by watches and by the answers of our own
//! calls, whichever is newer: an event that was under way while we wrote must not undo what the answer said.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use operator_api::selector::Selector;

use crate::kinds::{Kind, Seen};

/// A child: kind, namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What exists, and what we did about it.
#[derive(Default)]
pub struct Index(Mutex<State>);

#[derive(Default)]
struct State {
    children: HashMap<Key, Entry>,
    pods: HashMap<(String, String), BTreeMap<String, String>>,
    /// Children that we deleted or saw deleted, newest version of each: an older event does not bring them back.
    rebuilding: HashMap<(Kind, Option<String>), HashSet<Key>>,
    rebuilding_pods: HashMap<Option<String>, HashSet<(String, String)>>,
}

struct Entry {
    seen: Seen,
    applied: Option<Applied>,
}

/// What we applied, and how the child was right after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Applied {
    hash: u64,
    fingerprint: u64,
}

impl Index {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch saw a child. True where that is news.
    pub fn saw(&self, key: Key, seen: Seen) -> bool {
        let mut state = self.state();
        for ((kind, scope), kept) in &mut state.rebuilding {
            if *kind == key.kind && scope.as_ref().is_none_or(|scope| *scope == key.namespace) {
                kept.insert(key.clone());
            }
        }
        match state.children.get_mut(&key) {
            Some(entry) if entry.seen.uid == seen.uid && entry.seen.version >= seen.version => false,
            Some(entry) => {
                let same = entry.seen.uid == seen.uid;
                entry.seen = seen;
                entry.applied = entry.applied.filter(|_| same);
                true
            }
            None => {
                state.children.insert(key, Entry { seen, applied: None });
                true
            }
        }
    }

    /// A watch saw a child go.
    pub fn gone(&self, key: &Key, uid: &str) {
        let mut state = self.state();
        if state.children.get(key).is_some_and(|entry| entry.seen.uid == uid) {
            state.children.remove(key);
        }
    }

    /// A watch begins to list a kind anew.
    pub fn relist(&self, kind: Kind, scope: Option<String>) {
        self.state().rebuilding.insert((kind, scope), HashSet::new());
    }

    /// It has listed all: what was not among them is gone. Answers which those were.
    pub fn listed(&self, kind: Kind, scope: Option<String>) -> Vec<(Key, Seen)> {
        let mut state = self.state();
        let Some(kept) = state.rebuilding.remove(&(kind, scope.clone())) else { return Vec::new() };
        let gone: Vec<Key> = state
            .children
            .keys()
            .filter(|key| key.kind == kind && scope.as_ref().is_none_or(|scope| *scope == key.namespace))
            .filter(|key| !kept.contains(*key))
            .cloned()
            .collect();
        gone.into_iter()
            .filter_map(|key| state.children.remove(&key).map(|entry| (key, entry.seen)))
            .collect()
    }

    /// What is known of a child.
    pub fn get(&self, key: &Key) -> Option<Seen> {
        self.state().children.get(key).map(|entry| entry.seen.clone())
    }

    /// Is the child as we left it when we last applied something with this hash?
    pub fn unchanged(&self, key: &Key, hash: u64) -> bool {
        self.state().children.get(key).is_some_and(|entry| {
            entry.applied == Some(Applied { hash, fingerprint: entry.seen.fingerprint })
                && !entry.seen.deleting
        })
    }

    /// We applied something with this hash, and this is how the child is now.
    pub fn applied(&self, key: Key, hash: u64, seen: Seen) {
        let applied = Some(Applied { hash, fingerprint: seen.fingerprint });
        let mut state = self.state();
        for ((kind, scope), kept) in &mut state.rebuilding {
            if *kind == key.kind && scope.as_ref().is_none_or(|scope| *scope == key.namespace) {
                kept.insert(key.clone());
            }
        }
        let newer = state
            .children
            .get(&key)
            .filter(|entry| entry.seen.uid == seen.uid && entry.seen.version > seen.version)
            .map(|entry| entry.seen.clone());
        state.children.insert(key, Entry { seen: newer.unwrap_or(seen), applied });
    }

    /// We deleted a child.
    pub fn deleted(&self, key: &Key) {
        self.state().children.remove(key);
    }

    /// All children in a namespace that the ServiceGateway with this uid controls.
    pub fn owned(&self, namespace: &str, owner: &str) -> Vec<(Key, Seen)> {
        let state = self.state();
        let mut owned: Vec<_> = state
            .children
            .iter()
            .filter(|(key, entry)| key.namespace == namespace && entry.seen.owner.as_deref() == Some(owner))
            .map(|(key, entry)| (key.clone(), entry.seen.clone()))
            .collect();
        owned.sort_by(|(a, _), (b, _)| a.cmp(b));
        owned
    }

    /// How many children are known.
    pub fn len(&self) -> usize {
        self.state().children.len()
    }

    /// Is nothing known?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A watch saw a data-access pod.
    pub fn saw_pod(&self, namespace: String, name: String, labels: BTreeMap<String, String>) -> bool {
        let mut state = self.state();
        let key = (namespace, name);
        for (scope, kept) in &mut state.rebuilding_pods {
            if scope.as_ref().is_none_or(|scope| *scope == key.0) {
                kept.insert(key.clone());
            }
        }
        state.pods.insert(key, labels.clone()) != Some(labels)
    }

    /// A watch saw a data-access pod go.
    pub fn pod_gone(&self, namespace: &str, name: &str) {
        self.state().pods.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// A watch begins to list data-access pods anew.
    pub fn relist_pods(&self, scope: Option<String>) {
        self.state().rebuilding_pods.insert(scope, HashSet::new());
    }

    /// It has listed all. Answers the namespaces in which some are gone.
    pub fn listed_pods(&self, scope: &Option<String>) -> HashSet<String> {
        let mut state = self.state();
        let Some(kept) = state.rebuilding_pods.remove(scope) else { return HashSet::new() };
        let mut gone = HashSet::new();
        state.pods.retain(|key, _| {
            let stays = kept.contains(key) || scope.as_ref().is_some_and(|scope| *scope != key.0);
            if !stays {
                gone.insert(key.0.clone());
            }
            stays
        });
        gone
    }

    /// How many data-access pods of a namespace match.
    pub fn pods(&self, namespace: &str, selector: &Selector) -> usize {
        self.state()
            .pods
            .iter()
            .filter(|((in_, _), labels)| in_ == namespace && selector.matches(labels))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key { kind: Kind::Service, namespace: "ns".into(), name: "a-gw".into() }
    }

    fn seen(uid: &str, version: u64, fingerprint: u64) -> Seen {
        Seen {
            uid: uid.into(),
            version,
            owner: Some("owner".into()),
            owner_name: Some("a".into()),
            fingerprint,
            deleting: false,
            owns_replicas: false,
            rollout: None,
            trouble: None,
        }
    }

    #[test]
    fn a_child_is_unchanged_until_somebody_else_writes_it() {
        let index = Index::default();
        index.applied(key(), 7, seen("u", 10, 1));
        assert!(index.unchanged(&key(), 7));
        assert!(!index.unchanged(&key(), 8), "other content is to be applied");
        index.saw(key(), seen("u", 11, 1));
        assert!(
            index.unchanged(&key(), 7),
            "a new version with the same fingerprint is a write to its status"
        );
        index.saw(key(), seen("u", 12, 2));
        assert!(!index.unchanged(&key(), 7), "another writer");
    }

    #[test]
    fn an_event_older_than_the_answer_to_our_write_is_not_believed() {
        let index = Index::default();
        index.applied(key(), 7, seen("u", 10, 5));
        assert!(!index.saw(key(), seen("u", 9, 4)));
        assert!(index.unchanged(&key(), 7));
    }

    #[test]
    fn a_child_made_again_is_not_the_one_we_applied() {
        let index = Index::default();
        index.applied(key(), 7, seen("u", 10, 1));
        index.saw(key(), seen("v", 11, 1));
        assert!(!index.unchanged(&key(), 7));
    }

    #[test]
    fn what_a_new_list_does_not_hold_is_gone() {
        let index = Index::default();
        index.saw(key(), seen("u", 10, 1));
        let other = Key { name: "b-gw".into(), ..key() };
        index.saw(other.clone(), seen("w", 11, 1));
        index.relist(Kind::Service, None);
        index.saw(other.clone(), seen("w", 11, 1));
        let gone = index.listed(Kind::Service, None);
        assert_eq!(gone.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [key()]);
        assert_eq!(index.get(&key()), None);
        assert!(index.get(&other).is_some());
    }

    #[test]
    fn a_child_that_we_make_while_a_list_is_read_stays() {
        let index = Index::default();
        index.relist(Kind::Service, None);
        index.applied(key(), 7, seen("u", 10, 1));
        assert!(index.listed(Kind::Service, None).is_empty());
        assert!(index.unchanged(&key(), 7));
    }
}
