//! A gateway: one answer per request, the first of any attempt; it answers at the deadline itself.

use std::collections::BTreeMap;

use kvalue::Sym;
use routing::Nanos;
use sg::{Corr, LabelSet, Rc, TimeRange};

use crate::agg::Part;

/// How a request ended at the gateway.
#[derive(Debug)]
pub(crate) enum End {
    /// by aggregator or coordinator
    Answered { rc: Rc, ai: String, parts: Vec<Part>, at: Nanos },
    /// by the gateway's own clock
    Own { at: Nanos },
    /// the client or its gateway went away
    Dropped,
}

/// A request as the client sees it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub gw: usize,
    pub api: &'static str,
    pub range: TimeRange,
    pub labels: Vec<LabelSet>,
    pub label: Option<&'static str>,
    pub deadline: Nanos,
    pub attempt: i32,
    pub started: bool,
    pub end: Option<End>,
    pub late_answers: usize,
    /// the coordinator was lost, or its link to the gateway, while this was in flight
    pub disturbed: bool,
    /// the coordinator had heard of every source when this was planned
    pub informed: bool,
}

#[derive(Debug)]
pub(crate) struct Gw {
    pub name: Sym,
    pub alive: bool,
    pub life: u64,
    pub link: Option<u64>,
}

pub(crate) type Requests = BTreeMap<Corr, Asked>;
