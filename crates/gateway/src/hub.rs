//! The centre of the gateway: requests from clients in, answers from the mesh back to whoever asked.
//!
//! Drives [`Pending`] with the real clock and the links; what it says is done here and nothing else. No lock
//! is held while something is sent or answered.

use std::{
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ahash::HashMap;
use kvalue::Sym;
use link::{Handler, Role, Sender, health::Readiness};
use memchr::memmem::Finder;
use qipc::Limits;
use sg::{
    Api, Corr, Failure, Msg,
    codes::{Ac, Rc},
    msg::{self, AnswerHead},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Bounds,
    header_cache,
    metrics::Metrics,
    names,
    pending::{Action, Affinity, Answerer, NO_RC, Nanos, Pending, Refusal},
    reply::{Answer, Content, Form, Job},
    stream::{Source, Streams},
};

/// The argument that says which coordinators will do, as its name lies in the arguments.
static SCOPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"scope\0"));

type Actions = Vec<Action<Arc<Job>>>;
/// The request of an answer, and the message to the request's coordinator.
type Claimed = (Arc<Job>, Option<Action<Arc<Job>>>);

/// The centre of the gateway.
pub(crate) struct Hub {
    myself: std::sync::Weak<Hub>,
    start: Instant,
    pending: Mutex<Pending<Arc<Job>>>,
    links: RwLock<HashMap<u64, Sender>>,
    streams: Arc<Streams>,
    metrics: Metrics,
    /// the timer's next look at deadlines, nanoseconds since `start`
    wake_at: AtomicU64,
    timer: Notify,
    stopping: AtomicBool,
    /// nothing more is taken
    closed: AtomicBool,
    /// bytes held of one large answer
    window: u64,
    internal: Limits,
    /// where a request says nothing: only coordinators of its assembly will do
    hard: bool,
}

impl Hub {
    /// A hub without links.
    pub(crate) fn new(metrics: Metrics, bounds: &Bounds, hard: bool) -> Arc<Hub> {
        let patience = u64::try_from(bounds.rc_wait.as_nanos()).unwrap_or(u64::MAX);
        Arc::new_cyclic(|myself| Hub {
            myself: myself.clone(),
            start: Instant::now(),
            pending: Mutex::new(Pending::new(bounds.max_pending, patience)),
            links: RwLock::default(),
            streams: Arc::default(),
            metrics,
            wake_at: AtomicU64::new(u64::MAX),
            timer: Notify::new(),
            stopping: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            window: bounds.window,
            internal: Limits::internal(),
            hard,
        })
    }

    /// The gateway's metrics.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes a request that has `time` until its deadline. Whoever waits gets exactly one answer.
    pub(crate) fn submit(&self, job: Job, time: Duration) {
        self.metrics.asked(job.sink.is_rest());
        let (corr, api) = (job.header.corr, job.header.api.clone());
        tracing::debug!(%corr, logCorr = %job.header.log_corr(), %api, "request");
        let now = self.now();
        let deadline = now.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        if let Some(failure) = names::refusal(&api) {
            return job.complete(Answer::failed(failure), &self.metrics);
        }
        let api = names::canonical(&api);
        let affinity = self.affinity(&job.args);
        let job = Arc::new(job);
        let (taken, due) = match self.closed.load(Ordering::Relaxed) {
            true => (Err(Refusal::NoRc), None),
            false => {
                let mut pending = self.pending();
                let taken = pending.submit(corr, api, affinity, deadline, job.clone(), now);
                self.metrics.pending.set(pending.len() as i64);
                (taken, pending.next_deadline())
            }
        };
        match taken {
            Ok(action) => {
                self.act(action.into_iter().collect());
                let due = due.unwrap_or(deadline);
                if self.wake_at.fetch_min(due, Ordering::AcqRel) > due {
                    self.timer.notify_one();
                }
            }
            Err(Refusal::Full { limit }) => {
                let ai =
                    format!("limit: {limit} requests are in flight here (QMESH_GW_MAX_PENDING); try again");
                job.complete(Answer::failed(Failure::new(Rc::QUEUE, Ac::LIMIT, ai)), &self.metrics);
            }
            Err(why) => self.refuse(&job, why),
        }
    }

    /// No coordinator is there for a request.
    fn refuse(&self, job: &Job, why: Refusal) {
        if why == Refusal::NoneOfAssembly {
            let ai = format!(
                "no coordinator for assembly {} is ready, and with scope.affinity hard no other will do: try \
                 again, or ask with soft",
                self.affinity(&job.args).assembly
            );
            let failure = Failure::new(Rc::NOT_READY, Ac::NOT_READY, ai);
            return job.complete(Answer::failed(failure), &self.metrics);
        }
        self.metrics.refused.inc();
        job.refuse(&self.metrics);
    }

    /// Which coordinators a request is for.
    fn affinity(&self, args: &qipc::Raw) -> Affinity {
        // Most calls have no `scope`: the text search is cheaper than a parse.
        let scope = SCOPE.find(&args.0).and_then(|_| sg::args::scope(args));
        let Some(scope) = scope else { return Affinity::default() };
        Affinity { assembly: scope.assembly, hard: scope.hard.unwrap_or(self.hard) }
    }

    /// The client of a request is gone.
    pub(crate) fn gone(&self, corr: &Corr) {
        let (action, len) = {
            let mut pending = self.pending();
            (pending.gone(corr), pending.len())
        };
        self.metrics.pending.set(len as i64);
        if let Some(action) = action {
            self.metrics.gone.inc();
            self.act(vec![action]);
        }
    }

    /// Metadata of an API, as an RC told it.
    pub(crate) fn api(&self, name: &Sym) -> Option<Arc<Api>> {
        self.pending().api(&names::canonical(name))
    }

    /// Whether requests can be taken, and why.
    pub(crate) fn readiness(&self) -> Readiness {
        let (linked, ready) = self.pending().coordinators();
        let mut why = vec![format!("coordinators linked: {linked}, ready: {ready}")];
        let stopping = self.stopping.load(Ordering::Relaxed);
        if stopping {
            why.push("the gateway is stopping".into());
        } else if ready == 0 {
            why.push(NO_RC.into());
        }
        Readiness { ready: ready > 0 && !stopping, why }
    }

    /// Fails requests at their deadlines until `shutdown`.
    pub(crate) async fn run_timer(&self, shutdown: CancellationToken) {
        loop {
            let (actions, next) = {
                let mut pending = self.pending();
                let actions = pending.tick(self.now());
                let next = pending.next_deadline().unwrap_or(u64::MAX);
                // Under the lock: a later request lowers the value, an earlier request is counted already.
                self.wake_at.store(next, Ordering::Release);
                self.metrics.pending.set(pending.len() as i64);
                (actions, next)
            };
            self.act(actions);
            let wait = Duration::from_nanos(next.saturating_sub(self.now())).min(Duration::from_secs(3600));
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = self.timer.notified() => {}
            }
        }
    }

    /// Is not ready from now on, waits up to `limit` for clients to be let go and for requests in flight, then takes
    /// no more and fails the rest.
    pub(crate) async fn drain(&self, limit: Duration) {
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        self.stopping.store(true, Ordering::Relaxed);
        let end = Instant::now() + limit;
        let idle = || self.metrics.clients.get() == 0 && self.pending().is_empty() && self.streams.is_empty();
        while Instant::now() < end && !idle() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.closed.store(true, Ordering::Relaxed);
        let failure = Failure::new(Rc::CONN, Ac::CONN, "the gateway is stopping; ask again");
        let actions = self.pending().fail_all(&failure);
        self.act(actions);
    }

    /// True where the link of a coordinator that is leaving is still needed.
    fn keeps(&self, link: u64) -> bool {
        let pending = self.pending();
        pending.waits_for(link) || pending.is_last(link)
    }

    fn now(&self) -> Nanos {
        self.start.elapsed().as_nanos() as Nanos
    }

    fn pending(&self) -> MutexGuard<'_, Pending<Arc<Job>>> {
        // A panic inside would be a bug of ours; going on with the other requests is better than none.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn link(&self, link: u64) -> Option<Sender> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).get(&link).cloned()
    }

    fn act(&self, actions: Actions) {
        for action in actions {
            match action {
                Action::Send { link, corr, attempt, left, job } => {
                    if attempt > 0 {
                        self.metrics.resent.inc();
                    }
                    let request = msg::Request {
                        corr,
                        attempt,
                        left: i64::try_from(left).unwrap_or(i64::MAX),
                        api: names::canonical(&job.header.api),
                        user: job.user.clone(),
                        opts: job.opts.clone(),
                        args: job.args.clone(),
                    };
                    // A link that does not take it is down, and says so next: the request moves then.
                    let _ = self.link(link).map(|l| l.send(request));
                }
                Action::Cancel { link, corr, attempt } => {
                    let _ = self.link(link).map(|l| l.send(msg::Cancel { corr, attempt }));
                }
                Action::Answered { link, corr, attempt, rc, ai, took, bytes } => {
                    let long = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                    let (took, bytes) = (long(took), long(bytes));
                    let _ =
                        self.link(link).map(|l| l.send(msg::Answered { corr, attempt, rc, ai, took, bytes }));
                }
                Action::Fail { job, failure } => job.complete(Answer::failed(failure), &self.metrics),
                Action::Refuse { job, why } => self.refuse(&job, why),
            }
        }
    }

    /// The request an answer is for, once, and what its coordinator is to be told after the client.
    fn claim(
        &self,
        link: &Sender,
        corr: &Corr,
        attempt: i32,
        (rc, ai, bytes): (Rc, &str, u64),
    ) -> Option<Claimed> {
        let by = match link.peer().role {
            Role::Rc => Answerer::Rc(link.id().0),
            _ => Answerer::Agg { rc, ai, bytes },
        };
        let (claimed, len) = {
            let mut pending = self.pending();
            (pending.answered(corr, attempt, by, self.now()), pending.len())
        };
        self.metrics.pending.set(len as i64);
        if claimed.is_none() {
            self.metrics.late.inc();
            tracing::debug!(%corr, attempt, "answer that nobody waits for any more is dropped");
        }
        claimed
    }

    fn extra(&self, raw: &qipc::Raw) -> Vec<sg::opts::Pair> {
        header_cache::fields(raw, &self.internal).unwrap_or_else(|error| {
            tracing::warn!(%error, "header fields of an answer are unreadable and left out");
            Vec::new()
        })
    }

    fn answer(&self, link: &Sender, m: msg::Answer) {
        if link.peer().role == Role::Rc && m.rc == Rc::NOT_READY {
            let elsewhere = self.pending().refused(link.id().0, &m.corr, m.attempt, self.now());
            if let Some(action) = elsewhere {
                tracing::debug!(corr = %m.corr, peer = %link.peer(), ai = m.ai, "refused; another coordinator gets it");
                return self.act(vec![action]);
            }
        }
        let bytes = m.payload.0.iter().map(|part| part.len() as u64).sum();
        let Some((job, tell)) = self.claim(link, &m.corr, m.attempt, (m.rc, &m.ai, bytes)) else { return };
        let mut extra = self.extra(&m.extra);
        let answer = match (packed(&job, &mut extra), link.peer().role) {
            (Ok(None), role) => {
                let form = if role == Role::Rc { Form::Unasked } else { Form::Plain };
                Answer { rc: m.rc, ac: m.ac, ai: m.ai, extra, content: Content::Whole(m.payload), form }
            }
            (Ok(Some(plain)), _) => match m.payload.into_stream() {
                Some(stream) => {
                    let (content, form) = (Content::Whole(stream), Form::Packed(plain));
                    Answer { rc: m.rc, ac: m.ac, ai: m.ai, extra, content, form }
                }
                None => Answer::failed(misread()),
            },
            (Err(failure), _) => Answer::failed(failure),
        };
        job.complete(answer, &self.metrics);
        self.act(tell.into_iter().collect());
    }

    fn answer_head(&self, link: &Sender, m: AnswerHead) {
        let (corr, attempt) = (m.corr, m.attempt);
        let stop = || link.send(msg::Stop { corr, attempt });
        let total = u64::try_from(m.total).unwrap_or(0);
        let Some((job, tell)) = self.claim(link, &corr, attempt, (m.rc, &m.ai, total)) else {
            let _ = stop();
            return;
        };
        let source = FromAgg { link: link.clone(), corr, attempt };
        let body = match total {
            0 => None,
            total => self.streams.open((corr, attempt), link.id().0, total, self.window, source),
        };
        let answer = match body {
            Some(body) => {
                let mut extra = self.extra(&m.extra);
                match packed(&job, &mut extra) {
                    Ok(plain) => {
                        let form = plain.map_or(Form::Plain, Form::Packed);
                        let content = Content::Stream(body);
                        Answer { rc: m.rc, ac: m.ac, ai: m.ai, extra, content, form }
                    }
                    Err(failure) => Answer::failed(failure),
                }
            }
            None => {
                let _ = stop();
                let ai = "the aggregator announced an answer without bytes, or one twice; please report this";
                Answer::failed(Failure::new(Rc::ERR, Ac::INTERNAL, ai))
            }
        };
        job.complete(answer, &self.metrics);
        self.act(tell.into_iter().collect());
    }
}

impl Handler for Hub {
    fn up(&self, link: &Sender) {
        self.links.write().unwrap_or_else(PoisonError::into_inner).insert(link.id().0, link.clone());
        tracing::info!(peer = %link.peer(), "link up");
        match link.peer().role {
            Role::Rc => {
                self.pending().rc_up(link.id().0);
                self.metrics.coordinators.inc();
            }
            Role::Agg => {
                self.metrics.aggregators.inc();
            }
            Role::Gw | Role::Da => link.close("a gateway has no use for links from this role"),
        }
    }

    fn message(&self, link: &Sender, msg: Msg) {
        match msg {
            Msg::Answer(m) => self.answer(link, m),
            Msg::AnswerHead(m) => self.answer_head(link, m),
            Msg::AnswerData(m) => {
                let offset = u64::try_from(m.offset).unwrap_or(u64::MAX);
                if !self.streams.push(&(m.corr, m.attempt), link.id().0, offset, m.chunk.0) {
                    self.metrics.late.inc();
                }
            }
            Msg::Started(m) => self.pending().started(link.id().0, &m.corr),
            Msg::Status(m) => {
                tracing::info!(peer = %link.peer(), ready = m.ready, daps = m.daps, aggs = m.aggs, "coordinator");
                let actions = self.pending().rc_status(link.id().0, m, self.now());
                self.act(actions);
            }
            other => {
                tracing::warn!(peer = %link.peer(), message = other.name(), "not a message for a gateway")
            }
        }
    }

    fn down(&self, link: &Sender, why: &str) {
        match why {
            link::STOPPING => tracing::info!(peer = %link.peer(), why, "link down"),
            _ => tracing::warn!(peer = %link.peer(), why, "link down"),
        }
        let id = link.id().0;
        self.links.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        match link.peer().role {
            Role::Rc => {
                self.metrics.coordinators.dec();
                let actions = self.pending().rc_down(id, self.now());
                self.act(actions);
            }
            Role::Agg => {
                self.metrics.aggregators.dec();
            }
            Role::Gw | Role::Da => {}
        }
        self.streams.link_down(id);
    }

    fn leaving(&self, link: &Sender) {
        self.pending().rc_leaving(link.id().0);
        tokio::spawn(let_go(self.myself.clone(), link.clone()));
    }
}

/// The length that a compressed answer stands for; an error where this client was to get a plain one.
fn packed(job: &Job, extra: &mut Vec<sg::opts::Pair>) -> Result<Option<u64>, Failure> {
    match sg::opts::take_packed(extra) {
        Some(None) => Ok(None),
        Some(plain) if job.sink.is_compressed() => Ok(plain),
        _ => Err(misread()),
    }
}

fn misread() -> Failure {
    let ai = "the aggregator sent a compressed answer in a form that was not asked for; please report this";
    Failure::new(Rc::ERR, Ac::INTERNAL, ai)
}

/// Closes the link of a coordinator that is leaving once nothing is waited for from it and another is ready.
async fn let_go(hub: std::sync::Weak<Hub>, link: Sender) {
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    while link.is_up() {
        match hub.upgrade() {
            Some(hub) if hub.keeps(link.id().0) => {}
            _ => return link.close("its process is leaving"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The Agg's end of a large answer, over its link.
struct FromAgg {
    link: Sender,
    corr: Corr,
    attempt: i32,
}

impl Source for FromAgg {
    fn credit(&self, bytes: u64) {
        let (corr, attempt) = (self.corr, self.attempt);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        // On a link that is down the answer fails by itself.
        let _ = self.link.send(msg::Credit { corr, attempt, bytes });
    }

    fn stop(&self) {
        let _ = self.link.send(msg::Stop { corr: self.corr, attempt: self.attempt });
    }
}
