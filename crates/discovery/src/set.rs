//! What a source knows now: changes in, whether the set of endpoints differs out. Sans-io.
//!
//! Rules kept: what has vanished while nobody watched is gone after [`Set::replace`]; a change that does not
//! touch an endpoint (a pod's status says much) is no change; no more than the limit is ever kept. Tests: here.

use std::{collections::BTreeMap, sync::Arc};

use crate::endpoint::{Endpoint, Found, Skip};

/// Everything found, by key.
#[derive(Debug, Clone)]
pub struct Set {
    limit: usize,
    found: BTreeMap<Arc<str>, Result<Arc<Endpoint>, Skip>>,
    /// found, but beyond the limit
    beyond: usize,
}

impl Set {
    /// Nothing known; at most `limit` things later.
    pub fn new(limit: usize) -> Set {
        Set { limit, found: BTreeMap::new(), beyond: 0 }
    }

    /// Things kept.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// True with nothing kept.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Something is there, or is now as this says. True where the endpoints differ.
    pub fn put(&mut self, found: Found) -> bool {
        let Found { key, what } = found;
        let full = self.found.len() >= self.limit;
        match self.found.get_mut(&key) {
            Some(known) => {
                let same = match (&*known, &what) {
                    (Ok(a), Ok(b)) => **a == *b,
                    (Err(a), Err(b)) => a == b,
                    _ => false,
                };
                let differs = !same && (known.is_ok() || what.is_ok());
                if !same {
                    *known = what.map(Arc::new);
                }
                differs
            }
            None if full => {
                self.beyond += 1;
                false
            }
            None => {
                let differs = what.is_ok();
                self.found.insert(key, what.map(Arc::new));
                differs
            }
        }
    }

    /// Something is gone. True where the endpoints differ.
    pub fn remove(&mut self, key: &str) -> bool {
        match self.found.remove(key) {
            Some(known) => known.is_ok(),
            None => {
                // Most likely an endpoint beyond the limit.
                self.beyond = self.beyond.saturating_sub(1);
                false
            }
        }
    }

    /// What is known is now this and nothing else. True where the endpoints differ. Endpoints that stay as
    /// they are stay the same allocation.
    pub fn replace(&mut self, mut now: Set) -> bool {
        let mut differs = false;
        for (key, what) in &mut now.found {
            let Ok(new) = what else { continue };
            match self.found.get(key) {
                Some(Ok(old)) if *old == *new => *new = old.clone(),
                _ => differs = true,
            }
        }
        let endpoints = |set: &Set| set.found.values().filter(|w| w.is_ok()).count();
        differs |= endpoints(self) != endpoints(&now);
        *self = now;
        differs
    }

    /// The endpoints, in the order of their keys.
    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        let found = || self.found.values().filter_map(|w| w.as_ref().ok());
        let mut out = Vec::with_capacity(found().count());
        out.extend(found().cloned());
        out
    }

    /// What was found and is no endpoint: how many, by reason.
    pub fn skipped(&self) -> BTreeMap<Skip, usize> {
        let mut out = BTreeMap::new();
        for skip in self.found.values().filter_map(|w| w.as_ref().err()) {
            *out.entry(*skip).or_default() += 1;
        }
        if self.beyond > 0 {
            out.insert(Skip::TooMany, self.beyond);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(key: &str, port: u16) -> Found {
        Found::endpoint(Endpoint {
            key: key.into(),
            name: key.into(),
            addr: ([127, 0, 0, 1], port).into(),
            ready: true,
            assembly: None,
        })
    }

    fn skipped(key: &str, skip: Skip) -> Found {
        Found { key: key.into(), what: Err(skip) }
    }

    fn keys(set: &Set) -> Vec<String> {
        set.endpoints().iter().map(|e| e.key.to_string()).collect()
    }

    #[test]
    fn only_changes_of_endpoints_are_changes() {
        let mut set = Set::new(10);
        assert!(!set.put(skipped("a", Skip::NoAddress)));
        assert!(!set.put(skipped("a", Skip::NoPort)));
        assert!(set.put(found("a", 1)));
        assert!(!set.put(found("a", 1)));
        assert!(set.put(found("a", 2)));
        assert!(set.put(skipped("a", Skip::Terminating)));
        assert!(!set.remove("a"));
        assert!(!set.remove("never there"));
    }

    #[test]
    fn what_vanished_while_nobody_watched_is_gone_after_a_list() {
        let mut set = Set::new(10);
        let mut list = |names: &[&str]| {
            let mut now = Set::new(10);
            names.iter().for_each(|n| _ = now.put(found(n, 1)));
            (set.replace(now), keys(&set))
        };
        assert_eq!(list(&["a", "b"]), (true, vec!["a".into(), "b".into()]));
        assert_eq!(list(&["b", "a"]), (false, vec!["a".into(), "b".into()]));
        assert_eq!(list(&["b"]), (true, vec!["b".into()]));
        assert_eq!(list(&["c"]), (true, vec!["c".into()]));
        assert_eq!(list(&[]), (true, vec![]));
    }

    #[test]
    fn no_more_than_the_limit_is_kept_and_the_rest_is_counted() {
        let mut set = Set::new(2);
        for name in ["a", "b", "c", "d"] {
            set.put(found(name, 1));
        }
        assert_eq!((keys(&set), set.skipped()), (vec!["a".into(), "b".into()], [(Skip::TooMany, 2)].into()));
        set.remove("d");
        assert_eq!(set.skipped()[&Skip::TooMany], 1);
    }
}
