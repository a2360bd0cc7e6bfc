//! What clients asked, and what came of it: the side of a world that no process sees.

use std::collections::{BTreeMap, BTreeSet};

use qipc::Raw;
use routing::Nanos;
use sg::{Corr, Failure, Rc, TimeRange};

use crate::net::Proc;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// rows, by `.kxi.getData`
    Rows,
    /// count and sum by `.kxi.getData`
    Sums,
    /// `.kxi.ping`
    Ping,
    /// rows, by an API that may run only once
    Once,
    /// each row many times: a large answer
    Large,
    /// the coordinator's own `.qmesh.queries`
    Own,
    /// the end of another request, by `.qmesh.cancel`
    Cancel,
}

/// Nothing takes so long where all is well.
const LONG: Nanos = 30_000_000_000;

/// Why there is no answer of one vintage.
const OLDER: &str = "used reference data older than vintage";

/// The API that may run only once.
pub(crate) const ONCE: &str = ".custom.once";
/// The API with large answers.
pub(crate) const LARGE: &str = ".custom.large";
/// Times that each row is in a large answer.
pub(crate) const COPIES: usize = 500;

impl Kind {
    pub(crate) fn api(self) -> &'static str {
        match self {
            Kind::Rows | Kind::Sums => sg::api::GET_DATA,
            Kind::Ping => sg::api::PING,
            Kind::Once => ONCE,
            Kind::Large => LARGE,
            Kind::Own => ".qmesh.queries",
            Kind::Cancel => ".qmesh.cancel",
        }
    }
}

/// How a request ended for its client.
#[derive(Debug)]
pub(crate) enum End {
    /// with a result, encoded, of this attempt
    Answered { bytes: Vec<u8>, extra: Raw, attempt: i32 },
    /// with an error
    Failed { failure: Failure, own: bool },
    /// within a large answer: its connection was closed
    Cut,
    /// its client, or the gateway, went away before
    Gone,
}

/// A request as its client sees it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) corr: Corr,
    pub(crate) gw: Proc,
    pub(crate) user: usize,
    pub(crate) kind: Kind,
    pub(crate) range: TimeRange,
    /// label sets that were asked for, by number
    pub(crate) labels: Vec<usize>,
    pub(crate) region: Option<&'static str>,
    pub(crate) deadline: Nanos,
    /// accepts a part, with the missing data named
    pub(crate) best: bool,
    /// the request that this one is to end
    pub(crate) about: Option<Corr>,
    /// how long it was given
    pub(crate) time: Nanos,
    /// must succeed: asked when all was well again
    pub(crate) probe: bool,
    /// the gateway has taken an answer for it
    pub(crate) claimed: bool,
    pub(crate) end: Option<End>,
}

/// All requests, and the rules for their answers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) asked: Vec<Asked>,
    /// attempts whose coordinator knew of all data when it planned
    pub(crate) informed: BTreeMap<(Corr, i32), bool>,
    /// attempts of unsafe requests with a start told to the gateway
    pub(crate) told_started: BTreeSet<Corr>,
    /// no data process dies without a word: each coordinator that takes requests knows all data there is
    pub(crate) whole: bool,
    corrs: BTreeSet<Corr>,
    /// what ran of the API that may run only once, by request and label set
    ran_once: BTreeMap<(Corr, usize), Vec<TimeRange>>,
    /// sources of data that exist
    pub(crate) sources: usize,
    /// the first thing that went wrong
    pub(crate) violation: Option<String>,
    pub(crate) tally: Tally,
}

/// Counts, so that an idle simulation fails.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// requests that clients sent
    pub requests: u64,
    /// of those, answered with a result
    pub succeeded: u64,
    /// failed, by return code
    pub failed: BTreeMap<i16, u64>,
    /// answered by the gateway's own clock
    pub own: u64,
    /// answers cut after they began
    pub cut: u64,
    /// whose client or gateway went away
    pub gone: u64,
    /// answers larger than a message
    pub streamed: u64,
    /// portions that ran
    pub runs: u64,
    /// orders to data processes that had no place left, as their owner should have known
    pub too_much: u64,
    /// portions or requests tried again by coordinators
    pub retries: u64,
    /// requests sent to another coordinator by gateways
    pub resent: u64,
    /// times that an aggregator asked for portions again, because of older reference tables
    pub stale: u64,
    /// portions put in the place of others
    pub replaced: u64,
    /// times a newer tier was told what an older one holds
    pub covered: u64,
    /// rows purged from memory
    pub purged: u64,
    /// leases that ended before their replica did
    pub overruns: u64,
    /// processes that crashed or were stopped
    pub crashes: u64,
    /// sessions that were cut, and pairs that were parted
    pub cuts: u64,
    /// most portions that waited at once
    pub most_queued: u64,
    /// portions started on a replica of another coordinator
    pub lent: u64,
    /// processes that were told to end, and did so in order
    pub drained: u64,
    /// second sessions of processes that had one
    pub doubles: u64,
    /// requests ended by `.qmesh.cancel`
    pub cancelled: u64,
    /// answers that named what is missing
    pub partial: u64,
    /// worlds with three tiers
    pub tiers: u64,
    /// requests taken while a declared tier had not been seen
    pub declared: u64,
    /// requests that coordinators kept while a data process was found and not linked
    pub kept: u64,
    /// clocks that stepped back
    pub steps_back: u64,
    /// longest that a portion waited beside an idle replica of another coordinator, nanoseconds
    pub most_beside: u64,
    /// the longest time that a portion waited at a data process behind another, beside an idle one
    pub most_behind: u64,
    /// portions handed back by data processes that were asked to
    pub recalled: u64,
    /// messages and other events
    pub events: u64,
}

impl Tally {
    /// Adds another world's.
    pub fn add(&mut self, o: &Tally) {
        self.requests += o.requests;
        self.succeeded += o.succeeded;
        o.failed.iter().for_each(|(rc, n)| *self.failed.entry(*rc).or_default() += n);
        self.own += o.own;
        self.cut += o.cut;
        self.gone += o.gone;
        self.streamed += o.streamed;
        self.runs += o.runs;
        self.too_much += o.too_much;
        self.retries += o.retries;
        self.resent += o.resent;
        self.stale += o.stale;
        self.replaced += o.replaced;
        self.covered += o.covered;
        self.purged += o.purged;
        self.overruns += o.overruns;
        self.crashes += o.crashes;
        self.cuts += o.cuts;
        self.most_queued = self.most_queued.max(o.most_queued);
        self.lent += o.lent;
        self.drained += o.drained;
        self.doubles += o.doubles;
        self.cancelled += o.cancelled;
        self.partial += o.partial;
        self.tiers += o.tiers;
        self.declared += o.declared;
        self.kept += o.kept;
        self.steps_back += o.steps_back;
        self.most_beside = self.most_beside.max(o.most_beside);
        self.most_behind = self.most_behind.max(o.most_behind);
        self.recalled += o.recalled;
        self.events += o.events;
    }
}

impl Ledger {
    /// Nothing asked yet, in a world with this many sources.
    pub(crate) fn new(sources: usize) -> Ledger {
        Ledger { sources, ..Ledger::default() }
    }

    /// Something happened that must not.
    pub(crate) fn violation(&mut self, what: impl FnOnce() -> String) {
        self.violation.get_or_insert_with(what);
    }

    /// The gateway takes an answer for a request: the one it gets.
    pub(crate) fn claim(&mut self, job: usize, clock: Nanos) {
        let Some(asked) = self.asked.get_mut(job) else { return };
        let (corr, twice, late) = (asked.corr, asked.claimed || asked.end.is_some(), clock > asked.deadline);
        asked.claimed = true;
        let gone = matches!(asked.end, Some(End::Gone));
        if twice && !gone {
            self.violation(|| format!("request {corr} is answered twice"));
        } else if late {
            self.violation(|| format!("request {corr} is answered after its deadline"));
        }
    }

    /// A coordinator holds a request for answered: its gateway must have the answer by then, for nobody would
    /// make it again.
    pub(crate) fn over(&mut self, corr: Corr) {
        let asked = self.asked.iter().find(|a| a.corr == corr);
        let early = asked
            .is_some_and(|a| !matches!(a.kind, Kind::Own | Kind::Cancel) && !a.claimed && a.end.is_none());
        if early {
            self.violation(|| format!("request {corr} is over for its coordinator before it is answered"));
        }
    }

    /// A request that was claimed is over.
    pub(crate) fn end(&mut self, job: usize, end: End) {
        let Some(asked) = self.asked.get_mut(job) else { return };
        if asked.end.is_some() {
            if !matches!(asked.end, Some(End::Gone)) {
                let corr = asked.corr;
                self.violation(|| format!("request {corr} ends twice"));
            }
            return;
        }
        if let End::Failed { failure, .. } = &end
            && failure.ai.is_empty()
        {
            let corr = asked.corr;
            let rc = failure.rc;
            self.violation(|| format!("request {corr} failed with rc {} and no sentence", rc.0));
        }
        if let Some(asked) = self.asked.get_mut(job) {
            asked.end = Some(end);
        }
    }

    /// A failure is the answer.
    pub(crate) fn fail(&mut self, job: usize, clock: Nanos, failure: Failure, own: bool) {
        self.claim(job, clock);
        self.end(job, End::Failed { failure, own });
    }

    /// A client asks.
    pub(crate) fn asks(&mut self, asked: Asked) {
        self.corrs.insert(asked.corr);
        self.asked.push(asked);
    }

    /// True where a client asked it.
    pub(crate) fn knows(&self, corr: Corr) -> bool {
        self.corrs.contains(&corr)
    }

    /// A portion of the API that may run only once starts.
    pub(crate) fn runs_once(&mut self, corr: Corr, labels: usize, range: TimeRange) {
        if !self.told_started.contains(&corr) {
            self.violation(|| format!("request {corr} starts and its gateway has not been told"));
        }
        let ran = self.ran_once.entry((corr, labels)).or_default();
        let again = ran.iter().copied().find(|r| r.intersect(range).is_some_and(|both| !both.is_empty()));
        ran.push(range);
        if let Some(before) = again {
            self.violation(|| {
                format!(
                    "an API that is not safe ran twice for request {corr}: over {range} after {before} of label set {labels}"
                )
            });
        }
    }

    /// The world has come to rest: every request has ended as it may.
    pub(crate) fn check_ends(&mut self, calm: bool, moves: bool) {
        if self.tally.too_much > 3 + self.tally.runs / 100 {
            let (n, runs) = (self.tally.too_much, self.tally.runs);
            self.violation(|| format!("{n} orders beside {runs} were more than a data process takes"));
        }
        let all = std::mem::take(&mut self.asked);
        // Who may have been ended, and by whom.
        let ended: BTreeSet<(Corr, usize)> = all.iter().filter_map(|a| Some((a.about?, a.user))).collect();
        for asked in &all {
            self.tally.requests += 1;
            let Some(end) = &asked.end else {
                self.violation(|| format!("request {} was never answered: {asked:?}", asked.corr));
                continue;
            };
            match end {
                End::Answered { bytes, extra, attempt } => {
                    self.tally.succeeded += 1;
                    let key = (asked.corr, attempt % gateway::pending::RC_REDO);
                    let informed = self.informed.get(&key).copied().unwrap_or(false);
                    let data = !matches!(asked.kind, Kind::Own | Kind::Cancel);
                    if (asked.probe || self.whole) && data && !informed {
                        self.violation(|| {
                            format!("request {} is answered by a coordinator that does not know all data, although nothing kept it from knowing", asked.corr)
                        });
                    }
                    let wrong = match crate::check::missing(extra) {
                        Err(why) => Some(why),
                        Ok(missing) if !missing.is_empty() && (!asked.best || asked.probe) => {
                            Some(format!("it leaves out {missing:?}, which nobody allowed"))
                        }
                        Ok(missing) => {
                            self.tally.partial += u64::from(!missing.is_empty());
                            crate::check::answer(asked, bytes, &missing, informed).err()
                        }
                    };
                    if let Some(why) = wrong {
                        self.violation(|| {
                            format!("request {} has a wrong answer: {why}; {}", asked.corr, asked.show())
                        });
                    }
                }
                End::Failed { failure, own } => {
                    *self.tally.failed.entry(failure.rc.0).or_default() += 1;
                    self.tally.own += u64::from(*own);
                    let text = || format!("request {} failed: {failure:?}; {}", asked.corr, asked.show());
                    // A client that asked again has the same words from its data process.
                    let by_name = failure.rc == Rc::CANCELLED && failure.ai.starts_with("cancelled by ");
                    if by_name && ended.contains(&(asked.corr, asked.user)) {
                        self.tally.cancelled += 1;
                    } else if by_name {
                        self.violation(|| format!("nobody of its user asked for it, yet {}", text()));
                    } else if moves && !asked.probe && asked.kind == Kind::Once && failure.rc == Rc::CONN {
                        // Word of its end came by the old link after the registration by the new one; or a
                        // coordinator that was told to end reached its limit.
                    } else if !asked.probe && failure.rc == Rc::CONN && failure.ai.contains(OLDER) {
                        // It must not run again, or the tables changed each time that it did.
                    } else if asked.probe {
                        self.violation(|| format!("all was well, yet {}", text()));
                    } else if calm && *own {
                        self.violation(|| {
                            format!("the coordinator left the answer to the gateway: {}", text())
                        });
                    } else if asked.best && failure.rc == Rc::NOT_READY {
                        // There was nothing of what was asked.
                    } else if calm && (failure.rc != Rc::TIMEOUT || asked.time >= LONG) {
                        self.violation(|| format!("in fair weather {}", text()));
                    }
                }
                End::Cut => {
                    self.tally.cut += 1;
                    if calm || asked.probe {
                        self.violation(|| format!("the answer to {} was cut in fair weather", asked.corr));
                    }
                }
                End::Gone => self.tally.gone += 1,
            }
        }
        self.asked = all;
    }
}

impl Asked {
    /// For people.
    pub(crate) fn show(&self) -> String {
        format!(
            "{:?} over {} of label sets {:?} at {} by user {}",
            self.kind,
            self.range,
            self.labels,
            self.gw.name(),
            self.user
        )
    }
}
