//! Orders from a coordinator: take them, run them, answer the Agg, tell the owner.
//!
//! The link's reader hands a `run` to the core, which starts or refuses it. A query thread executes it on a
//! snapshot of the tables, sends the partial to the Agg, then says that the portion is done and the DAP idle.
//! Nothing on that way waits for the reactor, except for a link to an Agg that is not up yet. What is said to
//! the owner is said under the core's lock, so that it hears of refusals and of idleness in their order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use link::{Handler, Pool, Sender};
use qipc::Raw;
use sg::{
    Ac, Failure, Msg, Rc, api,
    msg::{Collector, LonePlan, Partial, Payload, Recall, Run},
    opts::{EMPTY_DICT, LogCorr},
};
use tokio_util::sync::CancellationToken;

use crate::{
    apis::{self, Call, Wanted},
    brief::{BUDGET, Within, without_opening},
    cancel::{Cancel, Stop},
    core::{Order, Ticket},
    shared::{OwnerSays, Shared},
    store::Tables,
    worker::guarded,
};

/// What happens on the links to coordinators.
pub struct Orders {
    shared: Arc<Shared>,
    aggs: Arc<Pool>,
    runtime: tokio::runtime::Handle,
}

impl Orders {
    /// Takes orders for this DAP and answers over these links.
    pub fn new(shared: Arc<Shared>, aggs: Arc<Pool>, runtime: tokio::runtime::Handle) -> Self {
        Orders { shared, aggs, runtime }
    }

    fn run(&self, link: &Sender, run: Run) {
        let now = Instant::now();
        let deadline = now + Duration::from_nanos(run.left.max(0) as u64);
        // The run reads the snapshot of its version, however long the wait for a thread.
        let (tables, version) = self.shared.snapshot();
        let (ticket, cancel, is_shared) = {
            let mut core = self.shared.core();
            match core.order(link.id().0, &run, version, Cancel::until(deadline), now) {
                Order::Start(ticket, cancel) => (ticket, cancel, core.is_shared()),
                Order::Refuse(done) => {
                    tracing::debug!(corr = %run.corr, why = done.ai, "portion refused");
                    if link.send(done).is_err() {
                        tracing::debug!(corr = %run.corr, "coordinator lost before it heard of a refusal");
                    }
                    return;
                }
            }
        };
        let (shared, aggs, runtime) = (self.shared.clone(), self.aggs.clone(), self.runtime.clone());
        let job = Job { shared, aggs, runtime, tables, run, ticket, cancel };
        // A ping reads nothing: a thread would only cost it time.
        let brief =
            job.run.api == api::PING || !is_shared && self.shared.brief.expects(&job.run.api, &job.run.table);
        let Some(job) = (if brief { job.execute_briefly(now) } else { Some(job) }) else { return };
        self.shared.worker.run(move || job.execute());
        if is_shared {
            self.shared.waiting.notify_one();
        }
    }

    /// Hands a portion back that another data process has time for.
    fn recall(&self, order: &Recall) {
        let (idle, is_empty) = {
            let mut core = self.shared.core();
            let Some((done, idle)) = core.recall(order, self.shared.version()) else { return };
            tracing::debug!(corr = %done.corr, portion = done.portion.0, "portion handed back as asked");
            self.shared.tell(core.owned_by(), done);
            (idle, core.runs() == 0)
        };
        self.shared.places_free(is_empty, idle);
    }
}

/// Hands back what waits behind a long portion, until shutdown.
pub async fn hand_back(shared: Arc<Shared>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = shared.waiting.notified() => {}
        }
        loop {
            let next = shared.core().next_look(Instant::now());
            let Some(at) = next else { break };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(at.into()) => {}
            }
            let mut core = shared.core();
            for done in core.overdue(shared.version(), Instant::now()) {
                tracing::debug!(corr = %done.corr, portion = done.portion.0, "portion handed back");
                shared.tell(core.owned_by(), done);
            }
        }
    }
}

impl Handler for Orders {
    fn up(&self, link: &Sender) {
        tracing::info!(coordinator = %link.peer(), "registering");
        self.shared.owned_by(link);
    }

    fn message(&self, link: &Sender, msg: Msg) {
        match msg {
            Msg::Run(run) => self.run(link, run),
            Msg::CancelRun(order) => self.shared.core().cancel(&order),
            Msg::Recall(order) => self.recall(&order),
            Msg::Registered(m) => self.shared.heard(OwnerSays::Registered(m)),
            Msg::LeasesOver(m) => self.shared.heard(OwnerSays::LeasesOver(m)),
            Msg::Covered(m) => self.shared.heard(OwnerSays::Covered(m)),
            other => {
                tracing::debug!(message = other.name(), "coordinator sent what a data process does not take")
            }
        }
    }

    fn down(&self, link: &Sender, why: &str) {
        match why {
            link::STOPPING => tracing::info!(coordinator = %link.peer(), why, "coordinator left"),
            _ => tracing::warn!(coordinator = %link.peer(), why, "coordinator lost"),
        }
        self.shared.lost(link, why);
    }
}

/// One portion on its way through the DAP.
struct Job {
    shared: Arc<Shared>,
    aggs: Arc<Pool>,
    runtime: tokio::runtime::Handle,
    tables: Arc<dyn Tables>,
    run: Run,
    ticket: Ticket,
    cancel: Arc<Cancel>,
}

/// What a portion cost, for explanations.
#[derive(Clone, Copy)]
struct Cost {
    took: std::time::Duration,
    bytes: usize,
}

impl Job {
    /// On a query thread.
    fn execute(self) {
        let started = Instant::now();
        if self.shared.core().begin(&self.run, self.ticket, started) {
            let worker = &self.shared.worker;
            let outcome =
                self.answer(started, &worker.freeing(&*self.cancel)).map(|answer| worker.lend(answer));
            self.deliver(started, outcome);
        }
    }

    /// Runs on the thread that read the order; gives the job back where the run would take too long there.
    fn execute_briefly(self, started: Instant) -> Option<Job> {
        if !self.shared.core().begin(&self.run, self.ticket, started) {
            return None;
        }
        let within = Within::budget(&self.cancel, started);
        let (outcome, opens) = without_opening(|| self.answer(started, &within));
        if opens {
            return Some(self);
        }
        if outcome.is_err() && within.overran() {
            self.shared.brief.learn(&self.run.api, &self.run.table, BUDGET);
            return Some(self);
        }
        self.deliver(started, outcome);
        None
    }

    fn answer(&self, started: Instant, stop: &dyn Stop) -> Result<Payload, Failure> {
        if let Some(why) = self.cancel.why_at(started) {
            return Err(why);
        }
        let call = Call {
            api: self.run.api.clone(),
            range: self.run.range,
            opts: self.run.opts.clone(),
            args: self.run.args.clone(),
            labels: self.shared.source.labels.clone(),
        };
        guarded(|| apis::run(&self.tables, &call, Wanted::Partial, stop))
    }

    /// Sends the outcome, and the end of the portion.
    fn deliver(self, started: Instant, outcome: Result<Payload, Failure>) {
        let took = started.elapsed();
        self.shared.metrics.executed(took, outcome.is_ok());
        if outcome.is_ok() {
            self.shared.brief.learn(&self.run.api, &self.run.table, took);
        }
        tracing::debug!(
            corr = %self.run.corr,
            logCorr = %LogCorr { corr: self.run.corr, opts: &self.run.opts },
            portion = self.run.portion.0,
            api = %self.run.api,
            table = %self.run.table,
            micros = took.as_micros() as u64,
            outcome = outcome.as_ref().err().map_or("ok", |f| f.ai.as_str()),
            "portion executed"
        );
        let cost = |bytes| Cost { took, bytes };
        if let Err(failure) = &outcome
            && !agg_wants(&self.run, failure)
        {
            return self.finish(outcome.map(|_| ()), cost(0));
        }
        let cost = cost(outcome.as_ref().map_or(0, Payload::len));
        let (outcome, payload) = match outcome {
            Ok(payload) => (Ok(()), payload),
            Err(failure) => (Err(failure), Payload::empty()),
        };
        let left = self.cancel.deadline().saturating_duration_since(started + took);
        let message = partial_of(&self.run, outcome.as_ref().err(), payload, left);
        match self.aggs.get_now(&self.run.agg) {
            Some(agg) => {
                let sent = agg.send(message).map_err(|e| unreachable_agg(&self.run, &e.to_string()));
                self.finish(outcome.and(sent), cost);
            }
            None => {
                let runtime = self.runtime.clone();
                runtime.spawn(async move {
                    let sent = match self.aggs.get(&self.run.agg).await {
                        Ok(agg) => agg.send(message).map_err(|e| e.to_string()),
                        Err(error) => Err(error.to_string()),
                    };
                    let sent = sent.map_err(|why| unreachable_agg(&self.run, &why));
                    self.finish(outcome.and(sent), cost);
                });
            }
        }
    }

    /// Tells the owner that the portion is done, and which places are free.
    fn finish(&self, outcome: Result<(), Failure>, cost: Cost) {
        let (idle, is_empty) = {
            let mut core = self.shared.core();
            let (done, idle) = core.ended(&self.run, self.shared.version(), outcome);
            let (mut done, idle) = core.told_together(done, idle, core.has_next_owner());
            done.took = i64::try_from(cost.took.as_nanos()).unwrap_or(i64::MAX);
            done.bytes = i64::try_from(cost.bytes).unwrap_or(i64::MAX);
            self.shared.tell(core.owned_by(), done);
            (idle, core.runs() == 0)
        };
        self.shared.places_free(is_empty, idle);
    }
}

/// The owner hears of every failure and answers or tries again; the Agg needs to know of a lasting one only
/// where the client wants the other partials back.
pub fn agg_wants(run: &Run, failure: &Failure) -> bool {
    let opts = run.opts.decode(&qipc::Limits::internal());
    let wanted = opts.ok().and_then(|o| o.as_dict()?.get("sendPartials")?.as_bool()).unwrap_or(false);
    wanted && !failure.rc.is_retryable()
}

/// The failure of a portion whose partial cannot be sent.
pub fn unreachable_agg(run: &Run, why: &str) -> Failure {
    Failure::new(Rc::CONN, Ac::CONN, format!("aggregator {} cannot be reached: {why}", run.agg))
}

/// What the Agg is sent of a portion, with so much time left until its deadline.
pub fn partial(run: &Run, outcome: &Result<Payload, Failure>, left: Duration) -> Msg {
    match outcome {
        Ok(payload) => partial_of(run, None, payload.clone(), left),
        Err(failure) => partial_of(run, Some(failure), Payload::empty(), left),
    }
}

fn partial_of(run: &Run, failure: Option<&Failure>, payload: Payload, left: Duration) -> Msg {
    let lone = run.lone.as_ref().map(|Collector { rc, agg_fn, gw }| LonePlan {
        rc: *rc,
        left: i64::try_from(left.as_nanos()).unwrap_or(i64::MAX),
        api: run.api.clone(),
        agg_fn: agg_fn.clone(),
        gw: gw.clone(),
        labels: run.labels.clone(),
        opts: run.opts.clone(),
        args: run.args.clone(),
    });
    let code = failure.cloned().unwrap_or_else(|| Failure::new(Rc::OK, Ac::OK, ""));
    Partial {
        corr: run.corr,
        attempt: run.attempt,
        portion: run.portion,
        rc: code.rc,
        ac: code.ac,
        ai: code.ai,
        extra: Raw(Bytes::from_static(&EMPTY_DICT)),
        lone: lone.map(Box::new),
        payload,
    }
    .into()
}
