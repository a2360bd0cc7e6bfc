//! An aggregator, by the rules of the real one: one partial per portion, the first wins; partials wait for
//! their plan; those of answered requests are dropped.

use std::collections::{BTreeMap, BTreeSet};

use kvalue::Sym;
use sg::{
    Corr, LabelSet, PortionId, Rc, TimeRange,
    msg::{Plan, Replace},
};

/// What a data process sent.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub rc: Rc,
    pub labels: LabelSet,
    pub held: Option<TimeRange>,
}

#[derive(Debug, Default)]
pub(crate) struct Job {
    pub plan: Option<(Sym, u64)>,
    pub wanted: BTreeSet<PortionId>,
    pub parts: BTreeMap<PortionId, Part>,
}

#[derive(Debug)]
pub(crate) struct Agg {
    pub name: Sym,
    pub alive: bool,
    pub life: u64,
    pub link: Option<u64>,
    pub jobs: BTreeMap<(Corr, i32), Job>,
    pub over: BTreeSet<(Corr, i32)>,
}

/// What a request came to.
#[derive(Debug)]
pub(crate) struct Ready {
    pub gw: Sym,
    pub rc: Rc,
    pub parts: Vec<Part>,
}

impl Agg {
    pub(crate) fn plan(&mut self, link: u64, m: &Plan) -> Vec<PortionId> {
        let job = self.jobs.entry((m.corr, m.attempt)).or_default();
        job.plan = Some((m.gw.clone(), link));
        job.wanted = m.portions.iter().map(|p| p.id).collect();
        job.parts.keys().copied().filter(|id| job.wanted.contains(id)).collect()
    }

    pub(crate) fn replace(&mut self, m: &Replace) {
        if let Some(job) = self.jobs.get_mut(&(m.corr, m.attempt)) {
            job.wanted.remove(&m.old);
            job.wanted.extend(m.new.iter().map(|p| p.id));
        }
    }

    /// True where it is taken into custody under a plan.
    pub(crate) fn partial(&mut self, key: (Corr, i32), portion: PortionId, part: Part) -> bool {
        if self.over.contains(&key) {
            return false;
        }
        let job = self.jobs.entry(key).or_default();
        let first = !job.parts.contains_key(&portion);
        job.parts.entry(portion).or_insert(part);
        first && job.wanted.contains(&portion)
    }

    pub(crate) fn abandon(&mut self, key: (Corr, i32)) {
        self.jobs.remove(&key);
        self.over.insert(key);
    }

    /// The request, once all its portions are there or one has failed.
    pub(crate) fn ready(&mut self, key: (Corr, i32)) -> Option<Ready> {
        let job = self.jobs.get(&key)?;
        let (gw, _) = job.plan.clone()?;
        let wanted = || job.wanted.iter().filter_map(|id| job.parts.get(id));
        let failed = wanted().find(|p| p.rc != Rc::OK).map(|p| p.rc);
        if failed.is_none() && wanted().count() < job.wanted.len() {
            return None;
        }
        let ready = Ready { gw, rc: failed.unwrap_or(Rc::OK), parts: wanted().cloned().collect() };
        self.abandon(key);
        Some(ready)
    }
}
