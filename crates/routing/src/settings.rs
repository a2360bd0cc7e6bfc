//! The router's limits and choices, each with its default.

use kvalue::Sym;
use sg::LabelSet;

use crate::event::{MILLI, Nanos, SECOND};

/// Tiers that a label set is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// the label set
    pub labels: LabelSet,
    /// its tiers, such as `hdb`, `rdb`
    pub tiers: Vec<Sym>,
}

/// What the router is run with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// name of this coordinator, shown by getMeta
    pub name: Sym,
    /// the one assembly it is for, which gateways hear of; null for all
    pub assembly: Sym,
    /// when it started, nanoseconds since 2000.01.01, shown by getMeta
    pub started: i64,
    /// how often a portion or a request may be tried again
    pub max_retry: u32,
    /// requests in flight; one more is refused with rc QUEUE
    pub max_requests: usize,
    /// portions waiting for a replica; a request that needs one more is refused with rc QUEUE
    pub max_queued: usize,
    /// portions one request may be cut into; more is refused with rc LIMIT
    pub max_portions: usize,
    /// sources known at a time, those without a live replica included; the longest lost is forgotten first
    pub max_sources: usize,
    /// tiers that there should be: what of them has not been seen is missing
    pub expected: Vec<Expected>,
    /// data processes are looked for: [`crate::Event::Found`] tells which there are
    pub looks: bool,
    /// APIs known at a time; a registration with more is refused
    pub max_apis: usize,
    /// how long after a DAP's `done` the Agg's `got` may take
    pub custody_wait: Nanos,
    /// the least time before the deadline at which the answer that names what is missing is sent
    pub min_margin: Nanos,
    /// a replica unused for so long is tried again however slow it was
    pub probe_after: Nanos,
    /// how long what a lost replica held stays wanted while others of its source are connected without it
    pub forget_after: Nanos,
    /// how long after its start this coordinator is not ready: processes that an earlier one knew come back
    /// meanwhile, so that a part of the data is never taken for all of it
    pub settle: Nanos,
    /// how long a replica is kept for a peer to which it was offered
    pub offer_wait: Nanos,
    /// the least time between two accounts of idle replicas, or of who waits, to peers; the first of a quiet
    /// time goes at once
    pub coalesce: Nanos,
    /// how long requests are still taken after the stop signal: requests sent by gateways not told yet
    pub drain_grace: Nanos,
    /// replicas of peers known at a time; further ones are not used
    pub max_replicas: usize,
    /// second runs of slow portions of safe APIs, per hundred portions; 0 for none
    pub hedge_percent: u32,
    /// a portion is slow that has run this many times as long as is usual for its source and API
    pub hedge_after: u32,
    /// and at least for so long
    pub hedge_min: Nanos,
    /// requests that have ended and can still be explained, leg by leg
    pub max_explained: usize,
    /// divide getData among idle replicas of one source
    pub divide: bool,
    /// take top-level arguments named like a label as labels, with a warning
    pub old_labels: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            name: "rc".into(),
            assembly: Sym::null(),
            started: 0,
            max_retry: 3,
            max_requests: 100_000,
            max_queued: 100_000,
            max_portions: 10_000,
            max_sources: 10_000,
            expected: Vec::new(),
            looks: false,
            max_apis: 10_000,
            custody_wait: 5 * SECOND,
            min_margin: 50 * MILLI,
            probe_after: 5 * SECOND,
            forget_after: 600 * SECOND,
            settle: 6 * SECOND,
            offer_wait: 20 * MILLI,
            coalesce: MILLI,
            drain_grace: SECOND,
            max_replicas: 100_000,
            hedge_percent: 5,
            hedge_after: 3,
            hedge_min: 5 * MILLI,
            max_explained: 1_000,
            divide: true,
            old_labels: true,
        }
    }
}
