//! The APIs that can be called, interned: a request compares a number, not a name.

use std::collections::BTreeSet;

use ahash::HashMap;
use kvalue::Sym;
use sg::Api;

/// An API among those known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ApiId(pub(crate) u32);

#[derive(Debug)]
struct Entry {
    api: Api,
    /// registrations by connected DAPs, and those of them that do not say `safe`
    providers: usize,
    unsafe_providers: usize,
}

/// All APIs that a DAP registered since the start.
#[derive(Debug, Default)]
pub(crate) struct Apis {
    by_name: HashMap<Sym, ApiId>,
    entries: Vec<Entry>,
}

impl Apis {
    /// Takes in a DAP's registrations; `None` where they would be more than `limit` APIs in all.
    pub(crate) fn provide(&mut self, apis: &[Api], limit: usize) -> Option<BTreeSet<ApiId>> {
        let names: BTreeSet<&Sym> = apis.iter().map(|a| &a.name).collect();
        let unknown = names.iter().filter(|n| !self.by_name.contains_key(**n)).count();
        if self.entries.len() + unknown > limit {
            return None;
        }
        let mut provided = BTreeSet::new();
        for api in apis {
            let id = *self.by_name.entry(api.name.clone()).or_insert(ApiId(self.entries.len() as u32));
            if id.0 as usize == self.entries.len() {
                self.entries.push(Entry { api: api.clone(), providers: 0, unsafe_providers: 0 });
            }
            if provided.insert(id) {
                let entry = &mut self.entries[id.0 as usize];
                entry.providers += 1;
                entry.unsafe_providers += usize::from(!api.safe);
                entry.api = api.clone();
            }
        }
        Some(provided)
    }

    /// Takes back what [`Self::provide`] took in.
    pub(crate) fn withdraw(&mut self, apis: &[Api]) {
        let mut seen = BTreeSet::new();
        for api in apis {
            let Some(id) = self.by_name.get(&api.name).filter(|id| seen.insert(**id)) else { continue };
            let entry = &mut self.entries[id.0 as usize];
            entry.providers = entry.providers.saturating_sub(1);
            entry.unsafe_providers = entry.unsafe_providers.saturating_sub(usize::from(!api.safe));
        }
    }

    /// The API of this name, if a DAP ever registered it.
    pub(crate) fn find(&self, name: &Sym) -> Option<ApiId> {
        self.by_name.get(name).copied()
    }

    /// Its metadata.
    pub(crate) fn get(&self, id: ApiId) -> Option<&Api> {
        self.entries.get(id.0 as usize).map(|e| &e.api)
    }

    /// True where every registration says that it may be run again.
    pub(crate) fn is_safe(&self, id: ApiId) -> bool {
        self.entries.get(id.0 as usize).is_some_and(|e| e.unsafe_providers == 0 && e.api.safe)
    }

    /// APIs that a connected DAP has, `safe` as it holds for all of them.
    pub(crate) fn live(&self) -> Vec<Api> {
        let live = self.entries.iter().filter(|e| e.providers > 0);
        live.map(|e| Api { safe: e.unsafe_providers == 0 && e.api.safe, ..e.api.clone() }).collect()
    }
}
