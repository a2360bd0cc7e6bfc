//! What a data process does with portions: taken, run one by one or in parallel, handed back on request.

use std::time::{Duration, Instant};

use data_access::{
    apis::{self, Call, Wanted},
    cancel::Cancel,
    core::Order,
    orders,
    shared::OwnerSays,
};
use kvalue::{Dict, Table, Value, Vector};
use qipc::{Limits, Raw};
use routing::{MILLI, Nanos, SECOND};
use sg::{
    Ac, Failure, Msg, Rc,
    msg::{Payload, Recall, Run},
};

use super::{Dap, Work, custom};
use crate::{
    ledger::{COPIES, LARGE, Ledger, ONCE},
    net::{Happens, Net, Pooled, Proc, RunKey},
};

impl Dap {
    pub(crate) fn message(&mut self, net: &mut Net, ledger: &mut Ledger, session: u64, msg: Msg) {
        match msg {
            Msg::Run(run) => self.run(net, ledger, session, run),
            Msg::CancelRun(order) => {
                self.core.cancel(&order);
                let delay = net.rng.between(100_000, 5 * MILLI);
                let key = (order.corr, order.attempt, order.portion);
                net.after(delay, Happens::RunEnds(self.index, self.life, key));
            }
            Msg::Recall(order) => self.recall(net, ledger, &order),
            Msg::Registered(m) => {
                if m.version == self.version {
                    self.confirmed = Some(self.until);
                }
                self.heard(net, OwnerSays::Registered(m));
            }
            Msg::LeasesOver(m) => self.heard(net, OwnerSays::LeasesOver(m)),
            Msg::Covered(m) => self.heard(net, OwnerSays::Covered(m)),
            _ => {}
        }
    }

    fn run(&mut self, net: &mut Net, ledger: &mut Ledger, session: u64, run: Run) {
        let deadline = net.clock(self.me) + run.left.max(0) as Nanos;
        // What a real clock would say has no place in a world: the deadline is looked at below.
        let now = Instant::now();
        let cancel = Cancel::until(now + Duration::from_secs(1 << 20));
        match self.core.order(session, &run, self.version, cancel, now) {
            Order::Refuse(done) => {
                // Whoever gives it work knows how much it takes, but for what crosses on the way: an order and the word
                // that all places are free. Also for an owner whose router does not know the portion.
                let key = (done.corr, done.attempt, done.portion);
                let is_key = |w: &Work| (w.run.corr, w.run.attempt, w.run.portion) == key;
                let twice = self.running.contains_key(&key) || self.waiting.iter().any(is_key);
                let over = done.rc == Rc::QUEUE && !twice && !self.strangely_busy;
                ledger.tally.too_much += u64::from(over && ledger.knows(done.corr));
                let _ = net.send(session, self.me, done);
            }
            Order::Start(ticket, cancel) => {
                let work = Work {
                    tables: self.tables.clone(),
                    run,
                    cancel,
                    ticket,
                    since: net.now,
                    deadline,
                    outcome: None,
                };
                if self.running.len() + self.waiting.len() >= self.held.capacity as usize {
                    let (name, most) = (self.me.name(), self.held.capacity);
                    ledger.violation(|| format!("{name} holds more than {most} portions"));
                }
                if self.owner != Some(session) || work.run.epoch != self.core.epoch() {
                    let name = self.me.name();
                    ledger.violation(|| format!("{name} obeys one that is not its latest owner"));
                }
                if work.run.version != self.version {
                    let name = self.me.name();
                    ledger.violation(|| format!("{name} takes what was planned on another purview"));
                }
                self.strangely_busy |= !ledger.knows(work.run.corr);
                self.waiting.push_back(work);
                self.begin_next(net, ledger);
            }
        }
    }

    /// Runs what waits, as far as it may.
    fn begin_next(&mut self, net: &mut Net, ledger: &mut Ledger) {
        while !self.held.one_by_one || self.running.is_empty() {
            let Some(work) = self.waiting.pop_front() else { return };
            if self.core.begin(&work.run, work.ticket, Instant::now()) {
                self.begin(net, ledger, work);
            }
        }
    }

    fn begin(&mut self, net: &mut Net, ledger: &mut Ledger, work: Work) {
        let (run, name) = (&work.run, self.me.name());
        let key = (run.corr, run.attempt, run.portion);
        ledger.tally.runs += 1;
        if run.api == ONCE {
            ledger.runs_once(run.corr, self.held.labels, run.range);
        }
        if self.running.contains_key(&key) {
            ledger.violation(|| format!("{name} was given {key:?} while it runs it"));
        }
        // A query thread gets to it now or at the end: what is in memory may be other rows then.
        let outcome = net.rng.chance(50).then(|| self.execute(net, &work));
        let takes = match net.rng.below(50) {
            _ if work.cancel.why().is_some() => 100_000,
            0 => net.rng.between(200 * MILLI, 3_000 * MILLI),
            _ => net.rng.between(100_000, 12 * MILLI),
        };
        self.running.insert(key, Work { outcome, ..work });
        net.after(takes * self.held.slow, Happens::RunEnds(self.index, self.life, key));
    }

    /// Another data process has time for a portion.
    fn recall(&mut self, net: &mut Net, ledger: &mut Ledger, order: &Recall) {
        let Some((done, idle)) = self.core.recall(order, self.version) else { return };
        ledger.tally.recalled += 1;
        let key = (order.corr, order.attempt, order.portion);
        self.waiting.retain(|w| (w.run.corr, w.run.attempt, w.run.portion) != key);
        self.tell_owner(net, done);
        if !self.hand_over(net)
            && let Some(idle) = idle
        {
            self.tell_owner(net, idle);
        }
    }

    /// Portions that wait here behind another and that `mate` could run at once: the owner gave the portions, and both
    /// sides agreed on the purview.
    pub(crate) fn behind<'a>(&'a self, mate: &'a Dap) -> impl Iterator<Item = RunKey> + 'a {
        let same = (self.held.labels, self.held.tier) == (mate.held.labels, mate.held.tier);
        let could = same
            && !self.strangely_busy
            && mate.core.runs() == 0
            && mate.available
            && self.registered == mate.registered;
        let moved = self.moved.max(mate.moved);
        let wanted = move |w: &&Work| {
            could
                && w.cancel.why().is_none()
                && w.run.epoch == self.core.epoch()
                && w.since > moved + SECOND / 100
        };
        self.waiting.iter().filter(wanted).map(|w| (w.run.corr, w.run.attempt, w.run.portion))
    }

    /// True where something waits here behind another.
    pub(crate) fn is_stacked(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn execute(&self, net: &Net, work: &Work) -> Result<Payload, Failure> {
        if let Some(why) = work.cancel.why() {
            return Err(why);
        }
        if net.clock(self.me) >= work.deadline {
            return Err(Failure::new(
                Rc::TIMEOUT,
                Ac::TIMEOUT,
                "the deadline passed while the data process was reading",
            ));
        }
        let run = &work.run;
        let is_custom = custom().iter().any(|a| a.name == run.api);
        let call = Call {
            api: if is_custom { sg::api::GET_DATA.into() } else { run.api.clone() },
            range: run.range,
            opts: run.opts.clone(),
            args: run.args.clone(),
            labels: self.held.set.clone(),
        };
        let payload = apis::run(&work.tables, &call, Wanted::Partial, &*work.cancel)?;
        match run.api == LARGE {
            true => copies(payload),
            false => Ok(payload),
        }
    }

    pub(crate) fn run_ends(&mut self, net: &mut Net, ledger: &mut Ledger, key: RunKey) {
        let Some(work) = self.running.remove(&key) else { return };
        self.begin_next(net, ledger);
        let outcome = match (work.cancel.why(), &work.outcome) {
            (Some(why), _) => Err(why),
            (None, Some(outcome)) => outcome.clone(),
            (None, None) => self.execute(net, &work),
        };
        let (run, deadline) = (work.run, work.deadline);
        if let Err(failure) = &outcome
            && !orders::agg_wants(&run, failure)
        {
            let failure = failure.clone();
            return self.finish(net, &run, Err(failure));
        }
        let Some(agg) = Proc::at(&run.agg) else {
            return ledger.violation(|| format!("a portion names {} as its aggregator", run.agg));
        };
        if let Pooled::Now(session, ended) = self.aggs.get(net, self.me, agg, (run, outcome, deadline)) {
            self.deliver(net, ledger, session, ended);
        }
    }

    pub(super) fn deliver(
        &mut self,
        net: &mut Net,
        _ledger: &mut Ledger,
        session: u64,
        (run, outcome, deadline): (Run, Result<Payload, Failure>, Nanos),
    ) {
        let left = Duration::from_nanos(deadline.saturating_sub(net.clock(self.me)));
        let mut partial = orders::partial(&run, &outcome, left);
        if let (Some(vintage), Msg::Partial(partial)) = (self.vintage(net), &mut partial) {
            partial.extra = Raw::of(&Dict::of([("refVintage", Value::from(vintage))]).into());
        }
        let sent = net.send(session, self.me, partial);
        let sent = sent.map_err(|()| orders::unreachable_agg(&run, "the link is gone"));
        self.finish(net, &run, outcome.map(|_| ()).and(sent));
    }

    /// The version of its reference tables, which are told to all from one place and come to each in its time. Some
    /// have none.
    fn vintage(&self, net: &Net) -> Option<i64> {
        /// Between two versions.
        const EVERY: Nanos = 400 * MILLI;
        let until = net.vintages.filter(|_| self.index % 5 != 4)?;
        let late = [0, 2, 15, 40][self.index % 4] * MILLI;
        i64::try_from(net.now.saturating_sub(late).min(until) / EVERY).ok()
    }

    pub(super) fn finish(&mut self, net: &mut Net, run: &Run, outcome: Result<(), Failure>) {
        let (done, idle) = self.core.ended(run, self.version, outcome);
        let (done, idle) = self.core.told_together(done, idle, self.next_owner.is_some());
        self.tell_owner(net, done);
        if !self.hand_over(net)
            && let Some(idle) = idle
        {
            self.tell_owner(net, idle);
        }
    }
}

/// The rows of a partial, each many times.
fn copies(payload: Payload) -> Result<Payload, Failure> {
    let bug = |what: &str| Failure::new(Rc::ERR, Ac::INTERNAL, what.to_string());
    let value = qipc::decode(payload.into_bytes(), &Limits::internal()).map_err(|e| bug(&e.to_string()))?;
    let table = value.as_table().ok_or_else(|| bug("no table"))?;
    let column = table.column("x").and_then(|c| c.as_vector()).and_then(|v| v.as_buf::<i64>());
    let column = column.ok_or_else(|| bug("no column"))?;
    let longs: Vec<i64> = column.iter().flat_map(|x| std::iter::repeat_n(x, COPIES)).collect();
    let table = Table::of([("x", Value::from(Vector::longs(longs)))]).map_err(|e| bug(&e.to_string()))?;
    Ok(Payload(vec![Raw::of(&table.into()).0]))
}
