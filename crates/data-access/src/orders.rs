//! Orders from a coordinator: take them, run them, answer the Agg, tell the owner.
//!
//! The link's reader hands a `run` to the core, which starts or refuses it. A query thread executes it on a
//! snapshot of the tables, sends the partial to the Agg, then says that the portion is done and the DAP idle.
//! Nothing on that way waits for the reactor, except for a link to an Agg that is not up yet.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use link::{Handler, Pool, Sender};
use qipc::Raw;
use sg::{
    Ac, Failure, Msg, Rc, api,
    msg::{Partial, Payload, Run},
};

use crate::{
    apis::{self, Call, Wanted},
    cancel::Cancel,
    core::Order,
    shared::{OwnerSays, Shared},
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
        let deadline = Instant::now() + Duration::from_nanos(run.left.max(0) as u64);
        let order =
            self.shared.core().order(link.id().0, &run, self.shared.version(), Cancel::until(deadline));
        match order {
            Order::Refuse(done) => {
                tracing::debug!(corr = %run.corr, why = done.ai, "portion refused");
                if link.send(done).is_err() {
                    tracing::debug!(corr = %run.corr, "coordinator lost before it heard of a refusal");
                }
            }
            Order::Start(cancel) => {
                let job = Job {
                    shared: self.shared.clone(),
                    aggs: self.aggs.clone(),
                    runtime: self.runtime.clone(),
                    run,
                    cancel,
                };
                // A ping reads nothing: a thread would only cost it time.
                if job.run.api == api::PING {
                    job.execute();
                } else {
                    self.shared.worker.run(move || job.execute());
                }
            }
        }
    }
}

impl Handler for Orders {
    fn up(&self, link: &Sender) {
        tracing::info!(coordinator = %link.peer(), "registering");
        self.shared.register(link);
    }

    fn message(&self, link: &Sender, msg: Msg) {
        match msg {
            Msg::Run(run) => self.run(link, run),
            Msg::CancelRun(order) => self.shared.core().cancel(&order),
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
    run: Run,
    cancel: Arc<Cancel>,
}

impl Job {
    fn execute(self) {
        let started = Instant::now();
        let tables = self.shared.tables();
        let call = Call {
            api: self.run.api.clone(),
            range: self.run.range,
            opts: self.run.opts.clone(),
            args: self.run.args.clone(),
            label_names: self.shared.source.labels.iter().map(|(k, _)| k.clone()).collect(),
        };
        let outcome = match self.cancel.why() {
            Some(why) => Err(why),
            None => guarded(|| apis::run(&tables, &call, Wanted::Partial, &self.cancel)),
        };
        self.shared.metrics.executed(started.elapsed(), outcome.is_ok());
        tracing::debug!(
            corr = %self.run.corr,
            logCorr = %self.log_corr(),
            portion = self.run.portion.0,
            api = %self.run.api,
            table = %self.run.table,
            micros = started.elapsed().as_micros() as u64,
            outcome = outcome.as_ref().err().map_or("ok", |f| f.ai.as_str()),
            "portion executed"
        );
        if let Err(failure) = &outcome
            && !self.agg_wants(failure)
        {
            return self.finish(outcome.map(|_| ()));
        }
        let frame = partial(&self.run, &outcome).to_frame();
        let outcome = outcome.map(|_| ());
        match self.aggs.get_now(&self.run.agg) {
            Some(agg) => {
                let sent = agg.send_frame(frame).map_err(|e| unreachable_agg(&self.run, &e.to_string()));
                self.finish(outcome.and(sent));
            }
            None => {
                let runtime = self.runtime.clone();
                runtime.spawn(async move {
                    let sent = match self.aggs.get(&self.run.agg).await {
                        Ok(agg) => agg.send_frame(frame).map_err(|e| e.to_string()),
                        Err(error) => Err(error.to_string()),
                    };
                    let sent = sent.map_err(|why| unreachable_agg(&self.run, &why));
                    self.finish(outcome.and(sent));
                });
            }
        }
    }

    /// The client's log correlator, the request's id where it set none. Read only where the line is written.
    fn log_corr(&self) -> String {
        let opts = self.run.opts.decode(&qipc::Limits::internal()).ok();
        let text = opts.and_then(|o| o.as_dict()?.get("logCorr")?.as_name());
        text.map_or_else(|| self.run.corr.to_string(), |t| t.text().into_owned())
    }

    /// The owner hears of every failure and answers or tries again; the Agg needs to know of a lasting one only
    /// where the client wants the other partials back.
    fn agg_wants(&self, failure: &Failure) -> bool {
        let opts = self.run.opts.decode(&qipc::Limits::internal());
        let wanted = opts.ok().and_then(|o| o.as_dict()?.get("sendPartials")?.as_bool()).unwrap_or(false);
        wanted && !failure.rc.is_retryable()
    }

    /// Tells the owner that the portion is done and the DAP idle.
    fn finish(&self, outcome: Result<(), Failure>) {
        let (done, idle) = self.shared.core().ended(&self.run, self.shared.version(), outcome);
        self.shared.to_owner(done);
        self.shared.to_owner(idle);
    }
}

fn unreachable_agg(run: &Run, why: &str) -> Failure {
    Failure::new(Rc::CONN, Ac::CONN, format!("aggregator {} cannot be reached: {why}", run.agg))
}

fn partial(run: &Run, outcome: &Result<Payload, Failure>) -> Msg {
    let (code, payload) = match outcome {
        Ok(payload) => (Failure::new(Rc::OK, Ac::OK, ""), payload.clone()),
        Err(failure) => (failure.clone(), Payload::empty()),
    };
    Partial {
        corr: run.corr,
        attempt: run.attempt,
        portion: run.portion,
        rc: code.rc,
        ac: code.ac,
        ai: code.ai,
        extra: Raw::of(&kvalue::Value::empty_dict()),
        payload,
    }
    .into()
}
