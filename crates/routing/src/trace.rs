//! Traces of requests, hop by hop: of requests in flight and of the last finished requests, for
//! `.qmesh.explain` by `corr`.
//!
//! Rule kept: traces are bounded, in requests and in portions per request. Test: `tests/rules/legs.rs`.

use std::collections::VecDeque;

use ahash::HashMap;
use kvalue::{Atom, Dict, Sym, Table, Value, Vector};
use sg::{Corr, LabelSet, Rc, TimeRange};

use crate::event::{MILLI, Nanos, PeerId};

/// The last run of a portion.
#[derive(Debug, Clone)]
pub(crate) struct RunTrace {
    pub(crate) by: PeerId,
    /// when it was given to the replica
    pub(crate) since: Nanos,
    /// time and bytes reported by the replica, once done
    pub(crate) cost: Option<Cost>,
    /// when the Agg had the partial; 0 for not yet
    pub(crate) got: Nanos,
}

/// Time and bytes that somebody says something took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) took: Nanos,
    pub(crate) bytes: u64,
}

impl Cost {
    /// What a message says; nothing below zero.
    pub(crate) fn said(took: i64, bytes: i64) -> Cost {
        let natural = |n: i64| u64::try_from(n).unwrap_or(0);
        Cost { took: natural(took), bytes: natural(bytes) }
    }
}

/// A portion and its last run.
#[derive(Debug)]
pub(crate) struct PortionTrace {
    pub(crate) id: u32,
    pub(crate) labels: LabelSet,
    pub(crate) range: TimeRange,
    /// replica that ran it last; null where none has
    pub(crate) dap: Sym,
    pub(crate) run: Option<RunTrace>,
}

/// A request, ended or not.
#[derive(Debug)]
pub(crate) struct RequestTrace {
    pub(crate) corr: Corr,
    /// attempt as data processes and Agg know it
    pub(crate) attempt: i32,
    pub(crate) user: Sym,
    pub(crate) api: Sym,
    pub(crate) gw: Sym,
    pub(crate) agg: Sym,
    /// how it ended; none while it is in flight
    pub(crate) end: Option<(Rc, String)>,
    pub(crate) arrived: Nanos,
    /// when it ended, or now
    pub(crate) until: Nanos,
    /// bytes of options and arguments
    pub(crate) asked: u64,
    /// what its GW says of the whole
    pub(crate) answer: Option<Cost>,
    pub(crate) portions: Vec<PortionTrace>,
    /// portions beyond those
    pub(crate) more: usize,
}

/// Most portions that are remembered of a request.
pub(crate) const MOST_PORTIONS: usize = 256;

/// The last requests that ended, the newest `most`.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// the oldest first
    requests: VecDeque<RequestTrace>,
    /// how many there were before these
    gone: u64,
    /// the number of each, from the first there ever was
    numbers: HashMap<Corr, u64>,
}

impl Traces {
    /// Remembers one, and forgets the oldest beyond `most`.
    pub(crate) fn add(&mut self, way: RequestTrace, most: usize) {
        if let Some(known) = self.get_mut(way.corr) {
            *known = way;
            return;
        }
        if most == 0 {
            return;
        }
        while self.requests.len() >= most {
            let oldest = self.requests.pop_front();
            oldest.into_iter().for_each(|way| _ = self.numbers.remove(&way.corr));
            self.gone += 1;
        }
        self.numbers.insert(way.corr, self.gone + self.requests.len() as u64);
        self.requests.push_back(way);
    }

    fn place(&self, corr: Corr) -> Option<usize> {
        self.numbers.get(&corr).map(|number| (number - self.gone) as usize)
    }

    pub(crate) fn get(&self, corr: Corr) -> Option<&RequestTrace> {
        self.requests.get(self.place(corr)?)
    }

    fn get_mut(&mut self, corr: Corr) -> Option<&mut RequestTrace> {
        let place = self.place(corr)?;
        self.requests.get_mut(place)
    }

    /// A replica says, after the end, what its run cost.
    pub(crate) fn ran(&mut self, (corr, attempt, portion): (Corr, i32, u32), by: PeerId, cost: Cost) {
        let way = self.get_mut(corr).filter(|w| w.attempt == attempt);
        let stretch = way.and_then(|w| w.portions.iter_mut().find(|s| s.id == portion));
        if let Some(run) = stretch.and_then(|s| s.run.as_mut()).filter(|r| r.by == by) {
            run.cost = Some(cost);
        }
    }

    /// Its GW has said what the whole took.
    pub(crate) fn answered(&mut self, corr: Corr, cost: Cost) {
        if let Some(way) = self.get_mut(corr) {
            way.answer = Some(cost);
        }
    }
}

/// One row of the answer.
struct Leg<'a> {
    leg: &'static str,
    of: Option<&'a PortionTrace>,
    process: &'a Sym,
    bytes: Option<u64>,
    time: Option<Nanos>,
}

impl RequestTrace {
    /// As `.qmesh.explain` shows it.
    pub(crate) fn to_value(&self) -> Value {
        let legs = self.legs();
        let syms = |f: &dyn Fn(&Leg) -> Vec<u8>| Value::syms(legs.iter().map(f));
        let times = |f: &dyn Fn(&PortionTrace) -> i64| {
            Vector::timestamps(legs.iter().map(|l| l.of.map_or(i64::MIN, f)).collect())
        };
        let longs = |f: &dyn Fn(&Leg) -> Option<i64>| {
            Vector::longs(legs.iter().map(|l| f(l).unwrap_or(i64::MIN)).collect())
        };
        let labels = |l: &Leg| l.of.map_or_else(Value::empty_dict, |s| s.labels.to_value());
        let columns = [
            ("leg", syms(&|l| l.leg.as_bytes().to_vec())),
            ("portion", longs(&|l| l.of.map(|s| i64::from(s.id))).into()),
            ("labels", Value::list(legs.iter().map(labels).collect::<Vec<_>>())),
            ("startTS", times(&|s| s.range.start()).into()),
            ("endTS", times(&|s| s.range.end()).into()),
            ("process", syms(&|l| l.process.as_bytes().to_vec())),
            ("bytes", longs(&|l| l.bytes.map(|n| i64::try_from(n).unwrap_or(i64::MAX))).into()),
            ("ms", Vector::floats(legs.iter().map(|l| l.time.map_or(f64::NAN, millis)).collect()).into()),
        ];
        let (rc, ai) = match &self.end {
            Some((rc, ai)) => (i64::from(rc.0), ai.as_str()),
            None => (i64::MIN, "in flight"),
        };
        Dict::of([
            ("corr", Value::Atom(Atom::Guid(self.corr.0))),
            ("api", Value::from(self.api.clone())),
            ("user", self.user.clone().into()),
            ("rc", rc.into()),
            ("ai", Value::str(ai)),
            ("ms", millis(self.until.saturating_sub(self.arrived)).into()),
            ("legs", Table::of(columns).map_or(Value::Null, Value::from)),
            ("more", (self.more as i64).into()),
        ])
        .into()
    }

    fn legs(&self) -> Vec<Leg<'_>> {
        let here = self.until.saturating_sub(self.arrived);
        let outside = self.answer.filter(|_| self.end.is_some()).map(|a| a.took.saturating_sub(here));
        let leg = |leg, of, process, bytes, time| Leg { leg, of, process, bytes, time };
        let mut legs = vec![leg("gw-rc", None, &self.gw, Some(self.asked), outside)];
        for s in &self.portions {
            let Some(run) = &s.run else {
                legs.push(leg("rc-dap", Some(s), &s.dap, None, None));
                continue;
            };
            let waited = run.since.saturating_sub(self.arrived);
            legs.push(leg("rc-dap", Some(s), &s.dap, Some(self.asked), Some(waited)));
            let (took, bytes) = (run.cost.map(|c| c.took), run.cost.map(|c| c.bytes));
            legs.push(leg("dap", Some(s), &s.dap, bytes, took));
            let way = run.got.checked_sub(run.since).filter(|_| run.got > 0);
            let way = way.zip(took).map(|(all, took)| all.saturating_sub(took));
            legs.push(leg("dap-agg", Some(s), &self.agg, bytes, way));
        }
        let last = self.portions.iter().filter_map(|s| s.run.as_ref().map(|r| r.got)).max();
        let last = last.filter(|got| *got > 0 && self.answer.is_some());
        let time = last.map(|got| self.until.saturating_sub(got));
        legs.push(leg("agg-gw", None, &self.agg, self.answer.map(|a| a.bytes), time));
        legs
    }
}

fn millis(time: Nanos) -> f64 {
    time as f64 / MILLI as f64
}
