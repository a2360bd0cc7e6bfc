//! Who asks what, and when.

use std::collections::BTreeSet;

use kvalue::{Dict, Value};
use qipc::Raw;
use routing::{MILLI, Nanos, SECOND};
use sg::{Corr, TimeRange};

use super::World;
use crate::{
    data::{self, REGIONS},
    gw::Gw,
    ledger::{Asked, Kind},
    net::{Happens, Proc},
};

const USERS: u64 = 3;

/// What a request sends beside its name.
pub(crate) struct Asking {
    pub(crate) opts: Raw,
    pub(crate) args: Raw,
}

impl Asking {
    pub(crate) fn of(asked: &Asked) -> Asking {
        let mut args = Vec::new();
        if let Some(corr) = asked.about {
            args.push(("corr", Value::Atom(kvalue::Atom::Guid(corr.0))));
        } else if asked.kind != Kind::Own {
            args.push(("startTS", Value::Atom(kvalue::Atom::Timestamp(asked.range.start()))));
            args.push(("endTS", Value::Atom(kvalue::Atom::Timestamp(asked.range.end()))));
            if let Some(region) = asked.region {
                args.push(("labels", Dict::of([("region", Value::sym(region))]).into()));
            }
            if asked.kind != Kind::Ping {
                args.push(("table", Value::sym(data::TABLE)));
            }
        }
        if asked.kind == Kind::Sums {
            let triple = |new: &str, f: &str| Value::syms([new, f, "x"]);
            args.push(("agg", Value::list([triple("n", "count"), triple("s", "sum")])));
        }
        let opts = match asked.best {
            true => Dict::of([("completeness", Value::sym("best"))]).into(),
            false => Value::empty_dict(),
        };
        Asking { opts: Raw::of(&opts), args: sg::args::encode(args) }
    }
}
/// What a client is about to ask.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    gw: usize,
    kind: Kind,
    region: Option<&'static str>,
    range: TimeRange,
    time: Nanos,
    best: bool,
    about: Option<(Corr, usize)>,
    probe: bool,
}

impl Ask {
    /// All there is, of everything.
    fn new(gw: usize, kind: Kind, time: Nanos) -> Ask {
        let range = TimeRange::ALL;
        Ask { gw, kind, region: None, range, time, best: false, about: None, probe: false }
    }
}

impl World {
    pub(super) fn ask(&mut self) {
        if self.left_to_ask == 0 {
            if !self.quiet {
                self.quiet = true;
                self.net.after(0, Happens::Calm);
            }
            return;
        }
        self.left_to_ask -= 1;
        let burst = if self.hurry { 60 } else { 20 };
        let wait = if self.net.rng.chance(burst) { 0 } else { self.net.rng.between(0, 80 * MILLI) };
        self.net.after(wait, Happens::Ask);
        let up: Vec<usize> = self.gws.keys().copied().collect();
        let Some(gw) = self.net.rng.pick(&up) else { return };
        let kinds = [Kind::Rows, Kind::Rows, Kind::Rows, Kind::Sums, Kind::Ping, Kind::Once, Kind::Once];
        let kind = match self.net.rng.below(60) {
            0 | 1 => Kind::Large,
            2 => Kind::Own,
            3..6 => Kind::Cancel,
            _ => self.net.rng.pick(&kinds).unwrap_or(Kind::Rows),
        };
        let region =
            if self.net.rng.chance(40) { self.net.rng.pick(&REGIONS[..self.saved.len()]) } else { None };
        let start = self.net.rng.between(0, 900) as i64;
        let end = start + self.net.rng.between(1, 400) as i64;
        let range = match self.net.rng.below(4) {
            0 => Some(TimeRange::ALL),
            1 => TimeRange::new(start, TimeRange::MAX),
            _ => TimeRange::new(start, end),
        };
        let time = match (self.calm || self.gentle) && self.net.rng.chance(80) {
            true => 60 * SECOND,
            false => self.net.rng.between(200 * MILLI, 4 * SECOND),
        };
        let about = match kind {
            Kind::Cancel => {
                // Mostly one of its own user's that is in flight, at times another's.
                let open = self.ledger.asked.iter().rev().take(20).filter(|a| a.end.is_none());
                let open: Vec<(Corr, usize)> = open.map(|a| (a.corr, a.user)).collect();
                let Some(about) = self.net.rng.pick(&open) else { return };
                Some(about)
            }
            _ => None,
        };
        let best = matches!(kind, Kind::Rows | Kind::Sums | Kind::Large) && self.net.rng.chance(10);
        let ask = Ask { best, about, ..Ask::new(gw, kind, time) };
        let job = self.submit(Ask { region, range: range.unwrap_or(TimeRange::ALL), ..ask });
        if !self.calm && !self.gentle && self.net.rng.chance(4) {
            let leaves = self.net.rng.between(0, 60 * MILLI);
            self.net.after(leaves, Happens::ClientLeaves(job));
        }
    }

    pub(super) fn submit(&mut self, ask: Ask) -> usize {
        let Ask { gw, kind, region, range, time, best, about, probe } = ask;
        let labels = (0..self.saved.len()).filter(|l| region.is_none_or(|r| REGIONS[*l] == r)).collect();
        let corr = Corr(self.net.rng.guid());
        let any = self.net.rng.below(USERS) as usize;
        let user = about.map_or(any, |(_, user)| if self.net.rng.chance(80) { user } else { any });
        let deadline = self.net.clock(Proc::Gw(gw)) + time;
        let job = self.ledger.asked.len();
        let asked = Asked {
            corr,
            gw: Proc::Gw(gw),
            user,
            kind,
            range,
            labels,
            region,
            deadline,
            best,
            time,
            about: about.map(|(corr, _)| corr),
            probe,
            claimed: false,
            end: None,
        };
        let now = self.net.now;
        self.net.trace.note(now, || format!("client asks {} {}", crate::trace::short(corr), asked.show()));
        self.ledger.asks(asked);
        if let Some(gw) = self.gws.get_mut(&gw) {
            gw.submit(&mut self.net, &mut self.ledger, job);
        }
        job
    }

    /// All is well again: everything that is asked now is answered.
    pub(super) fn probe(&mut self) {
        let gws: BTreeSet<usize> = self.gws.keys().copied().collect();
        for gw in gws {
            if !self.gws.get(&gw).is_some_and(Gw::is_ready) {
                return self
                    .ledger
                    .violation(|| format!("gw-{gw} has no coordinator long after the trouble"));
            }
            // Where little may wait for its plan, a large partial that overtakes it is dropped.
            let large = if self.small { Kind::Rows } else { Kind::Large };
            let kind = self.net.rng.pick(&[Kind::Rows, Kind::Once, large]).unwrap_or(Kind::Rows);
            let best = kind == Kind::Rows && self.net.rng.chance(30);
            self.submit(Ask { probe: true, best, ..Ask::new(gw, kind, 60 * SECOND) });
        }
    }
}
