//! Links, threads and a clock around the core.
//!
//! A message is handled where it was read: lock, decide, unlock, act. So a small request crosses the Agg
//! without waiting for a task. What would hold a reader up for long goes to another thread, a bounded number
//! at a time. Tests: `tests/agg`.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use kvalue::Sym;
use link::{Handler, LinkId, Pool, Role, Sender};
use sg::{
    Ac, Failure, InstanceId, Msg, Rc,
    msg::{Answer, AnswerHead, Got, Partial, Payload, RegisterAgg, Stale, Undelivered},
};
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    core::{Action, Asked, Bounds, Core, Dropped, Event, Job, Key, Nanos, Part, wants_partials},
    functions::{self, Input, Output},
    metrics::Metrics,
    pack::pack,
    response_header::{self, Without},
    streams::{End, Streams},
};

/// Time between two looks at deadlines.
pub(crate) const TICK: Duration = Duration::from_millis(50);
/// Partials of up to this many bytes are aggregated where they were read: some 50 µs of work.
const HERE_UP_TO: usize = 64 << 10;
/// Answers longer than this are sent in pieces under credit.
const WHOLE_UP_TO: usize = 1 << 20;

pub(crate) struct Shell {
    core: Mutex<Core<Sender>>,
    started: Instant,
    metrics: Metrics,
    pool: OnceLock<Arc<Pool>>,
    streams: OnceLock<Arc<Streams>>,
    /// places for large aggregations
    places: Arc<Semaphore>,
    coordinators: AtomicUsize,
    /// links to them
    links: Mutex<HashMap<LinkId, Sender>>,
    /// it is to stop
    leaving: AtomicBool,
    /// longest answer that is compressed
    pack_up_to: usize,
    /// own address as told by the latest RC link, and before there was one
    address: RwLock<Sym>,
    myself: std::sync::Weak<Shell>,
}

/// How a request ends here.
struct Ending {
    asked: Arc<Asked<Sender>>,
    failure: Failure,
    extra: qipc::Raw,
    segments: Vec<Bytes>,
    /// the segments are a compressed stream
    packed: bool,
}

impl Shell {
    pub(crate) fn new(
        metrics: Metrics,
        bounds: Bounds,
        threads: usize,
        stall: Duration,
        pack_up_to: usize,
        local: SocketAddr,
    ) -> Arc<Self> {
        let shell = Arc::new_cyclic(|myself| Shell {
            core: Mutex::new(Core::new(bounds)),
            started: Instant::now(),
            metrics,
            pool: OnceLock::new(),
            streams: OnceLock::new(),
            places: Arc::new(Semaphore::new(threads)),
            coordinators: AtomicUsize::new(0),
            links: Mutex::default(),
            leaving: AtomicBool::new(false),
            pack_up_to,
            address: RwLock::new(local.to_string().into()),
            myself: myself.clone(),
        });
        let myself = shell.myself.clone();
        let on_end = move |key, end| {
            if let Some(shell) = myself.upgrade() {
                shell.streamed(key, end);
            }
        };
        let _ = shell.streams.set(Streams::new(stall, Box::new(on_end)));
        shell
    }

    /// Links to GWs come from here. To be said once, before any message.
    pub(crate) fn use_pool(&self, pool: Arc<Pool>) {
        let _ = self.pool.set(pool);
    }

    pub(crate) fn coordinators(&self) -> usize {
        self.coordinators.load(Ordering::Relaxed)
    }

    pub(crate) fn tick(&self) {
        self.event(Event::Tick);
        let snapshot = self.core().snapshot();
        self.metrics.show(snapshot);
    }

    /// Asks coordinators for no more, and waits until what is in flight is answered, or `limit`.
    pub(crate) async fn drain(&self, limit: Duration) {
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        let end = Instant::now() + limit;
        self.leaving.store(true, Ordering::Relaxed);
        let links: Vec<Sender> =
            self.links.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        links.iter().for_each(|rc| self.register(rc));
        // Messages sent before the coordinators heard of the drain still arrive.
        tokio::time::sleep(5 * LOOK_EVERY).await;
        // Large answers under way are among them.
        let busy = || self.core().snapshot().outstanding > 0;
        while Instant::now() < end && busy() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Tells a coordinator the capacity of this Agg: none while leaving, so that no request comes.
    fn register(&self, rc: &Sender) {
        let outstanding = i32::try_from(self.core().snapshot().outstanding).unwrap_or(i32::MAX);
        let agg_fns = match self.leaving.load(Ordering::Relaxed) {
            true => Vec::new(),
            false => functions::registered(),
        };
        // On a link that is down already, the next one registers.
        let _ = rc.send(RegisterAgg { agg_fns, outstanding });
    }

    fn core(&self) -> std::sync::MutexGuard<'_, Core<Sender>> {
        // A panic inside has been reported; going on serves all other requests.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Nanos {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn event(&self, event: Event<Sender>) {
        let mut actions = Vec::new();
        self.core().handle(event, self.now(), &mut actions);
        self.act(actions);
    }

    fn partial(&self, mut partial: Partial) {
        self.metrics.partial_bytes.inc_by(partial.payload.len() as u64);
        let Some(plan) = partial.lone.take() else { return self.event(Event::Partial(partial)) };
        // An RC whose link is gone has the request done again by another Agg, or is gone itself.
        let Some(rc) = self.coordinator(&plan.rc) else { return self.metrics.dropped(Dropped::Unknown) };
        self.metrics.requests.inc();
        self.event(Event::Lone(rc, plan, partial));
    }

    fn coordinator(&self, instance: &InstanceId) -> Option<Sender> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.values().find(|link| link.peer().instance == *instance).cloned()
    }

    /// The answer first: the client waits for it. Then the RC hears all at once, and nothing of portions whose
    /// answer is on its way already: the GW tells it of that.
    fn act(&self, actions: Vec<Action<Sender>>) {
        let mut gots = Vec::new();
        let mut handed: Vec<Key> = Vec::new();
        let mut stale = Vec::new();
        let mut undelivered: Vec<(Sender, Key, Failure)> = Vec::new();
        for action in actions {
            match action {
                Action::Got(rc, key, portion) => {
                    self.metrics.partials.inc();
                    gots.push((rc, Got { corr: key.0, attempt: key.1, portion }));
                }
                Action::Aggregate(job) => handed.extend(self.aggregate(job)),
                Action::Fail(job, failure) => self.fail(job, failure),
                Action::Stale(rc, (corr, attempt), portions, vintage) => {
                    stale.push((rc, Stale { corr, attempt, portions, vintage }));
                }
                Action::Undelivered(rc, key, failure) => {
                    tracing::debug!(corr = %key.0, ai = failure.ai, "request given up");
                    undelivered.push((rc, key, failure));
                }
                Action::Stop(key) => self.streams(|s| s.stop(&key)),
                Action::Dropped(why) => self.metrics.dropped(why),
            }
        }
        // A dead link's RC hears of everything again when it plans anew.
        gots.retain(|(_, got)| !handed.contains(&(got.corr, got.attempt)));
        gots.into_iter().for_each(|(rc, got)| _ = rc.send(got));
        stale.into_iter().for_each(|(rc, stale)| _ = rc.send(stale));
        tell(undelivered);
    }

    fn streams(&self, with: impl FnOnce(&Arc<Streams>)) {
        if let Some(streams) = self.streams.get() {
            with(streams);
        }
    }

    /// The request, where its answer was handed to the GW's link before this returns.
    fn aggregate(&self, mut job: Job<Sender>) -> Option<Key> {
        let bytes: usize = job.parts.iter().map(|p| p.payload.len()).sum();
        if bytes <= HERE_UP_TO {
            let outcome = self.apply(&mut job);
            return self.end(job, outcome);
        }
        let shell = self.myself.upgrade()?;
        tokio::spawn(async move {
            // Never closed, so a place always comes.
            let place = shell.places.clone().acquire_owned().await;
            if !shell.core().is_wanted(&job.asked.key, shell.now()) {
                return shell.event(Event::Released(job.asked.key));
            }
            let worker = shell.clone();
            let asked = job.asked.clone();
            let done = tokio::task::spawn_blocking(move || {
                let outcome = worker.apply(&mut job);
                drop(place);
                (job, outcome)
            });
            match done.await {
                Ok((job, outcome)) => shell.end(job, outcome),
                Err(error) => {
                    let ai = format!("aggregation could not be run: {error}");
                    let job = Job {
                        asked,
                        parts: Vec::new(),
                        labels: Vec::new(),
                        missing: Vec::new(),
                        declared: false,
                    };
                    shell.end(job, Err(Failure::new(Rc::ERR, Ac::INTERNAL, ai)))
                }
            };
        });
        None
    }

    /// Runs the aggregation function. The payloads are shared, not copied, and stay with the job for a client
    /// that wants the partials of a failure.
    fn apply(&self, job: &mut Job<Sender>) -> Result<Output, Failure> {
        let since = Instant::now();
        let asked = &job.asked;
        let partials = job.parts.iter().map(|p| p.payload.clone()).collect();
        let input =
            Input { api: &asked.api, args: &asked.args, opts: &asked.opts, labels: &job.labels, partials };
        let mut outcome = functions::run(&asked.agg_fn, input);
        if let Ok(output) = &mut outcome
            && sg::opts::wants_packed(&asked.opts)
            && let Some((stream, plain)) = pack(&output.segments, self.pack_up_to)
        {
            (output.segments, output.packed) = (vec![stream], Some(plain));
        }
        self.metrics.fn_time.observe(since.elapsed().as_secs_f64());
        outcome
    }

    fn end(&self, job: Job<Sender>, outcome: Result<Output, Failure>) -> Option<Key> {
        let output = match outcome {
            Ok(output) => output,
            Err(failure) => {
                self.fail(job, failure);
                return None;
            }
        };
        let extra = self.extra(&job, &output);
        let failure = Failure::new(Rc::OK, Ac::OK, "");
        let packed = output.packed.is_some();
        self.answer(Ending { asked: job.asked, failure, extra, segments: output.segments, packed })
    }

    fn fail(&self, job: Job<Sender>, failure: Failure) {
        self.metrics.failures.inc();
        let extra = self.extra(&job, &Output::default());
        let segments = match wants_partials(&job.asked.opts) {
            true => list(&job.parts),
            false => Payload::empty().0,
        };
        self.answer(Ending { asked: job.asked, failure, extra, segments, packed: false });
    }

    fn extra(&self, job: &Job<Sender>, output: &Output) -> qipc::Raw {
        let own = self.address.read().unwrap_or_else(PoisonError::into_inner).clone();
        response_header::fields(&own, &job.parts, Without::of(job), output)
    }

    /// Hands an answer to its GW; the request, where that is done before this returns.
    fn answer(&self, ending: Ending) -> Option<Key> {
        if let Some(link) = self.pool.get()?.get_now(&ending.asked.gw) {
            return self.answer_by(&link, ending);
        }
        let (key, gw) = (ending.asked.key, ending.asked.gw.clone());
        if !self.core().is_wanted(&key, self.now()) {
            self.release(key);
            return None;
        }
        let pool = self.pool.get()?.clone();
        let shell = self.myself.upgrade()?;
        tokio::spawn(async move {
            match pool.get(&gw).await {
                Ok(link) => _ = shell.answer_by(&link, ending),
                Err(error) => shell.undelivered(&ending.asked, &error.to_string()),
            }
        });
        None
    }

    fn answer_by(&self, link: &Sender, ending: Ending) -> Option<Key> {
        let Ending { asked, failure, extra, segments, packed } = ending;
        let (corr, attempt) = asked.key;
        let total: usize = segments.iter().map(Bytes::len).sum();
        let large = total > WHOLE_UP_TO;
        // Recorded before the send: a link lost right after the send may have lost the answer.
        if !self.handing(asked.key, link, !large) {
            return None;
        }
        log(&asked, &failure, total);
        let Failure { rc, ac, ai } = failure;
        if !large {
            let payload = match packed {
                true => Payload::of_stream(segments.concat().into()),
                false => Payload(segments),
            };
            let answer = Answer { corr, attempt, rc, ac, ai, extra, payload };
            if let Err(error) = link.send(answer) {
                self.undelivered(&asked, &error.to_string());
                return None;
            }
            return Some(asked.key);
        }
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        if let Err(error) = link.send(AnswerHead { corr, attempt, rc, ac, ai, extra, total }) {
            self.undelivered(&asked, &error.to_string());
            return None;
        }
        self.metrics.streams.inc();
        self.streams(|s| s.add(link, asked.key, segments));
        Some(asked.key)
    }

    fn undelivered(&self, asked: &Asked<Sender>, why: &str) {
        self.metrics.undelivered.inc();
        let ai = format!("the answer could not be handed to gateway {}: {why}", asked.gw);
        tracing::warn!(corr = %asked.key.0, ai, "answer lost");
        self.release(asked.key);
        tell(vec![(asked.rc.clone(), asked.key, Failure::new(Rc::CONN, Ac::CONN, ai))]);
    }

    fn streamed(&self, key: Key, end: End) {
        self.metrics.streams.dec();
        if matches!(end, End::Lost | End::Stalled) {
            self.metrics.undelivered.inc();
            tracing::warn!(corr = %key.0, ?end, "large answer not delivered to its end");
        }
        self.release(key);
    }

    /// The answer goes by this link, where somebody still wants it; with `all` nothing of it is left here then.
    fn handing(&self, key: Key, link: &Sender, all: bool) -> bool {
        let (now, mut core) = (self.now(), self.core());
        let wanted = core.is_wanted(&key, now);
        // Neither asks for anything to be done.
        if wanted {
            core.handle(Event::Handing(key, link.id().0), now, &mut Vec::new());
        }
        if all || !wanted {
            core.handle(Event::Released(key), now, &mut Vec::new());
        }
        wanted
    }

    /// Nothing is held for a request any more.
    fn release(&self, key: Key) {
        // Released requests ask for nothing to be done.
        self.core().handle(Event::Released(key), self.now(), &mut Vec::new());
    }
}

/// Most requests that one message names.
const AT_A_TIME: usize = 1_000;

/// Tells RCs of answers that did not reach their GW.
fn tell(undelivered: Vec<(Sender, Key, Failure)>) {
    let alike = |a: &(Sender, Key, Failure), b: &(Sender, Key, Failure)| a.0.id() == b.0.id() && a.2 == b.2;
    for chunk in undelivered.chunk_by(alike).flat_map(|alike| alike.chunks(AT_A_TIME)) {
        let Some((rc, _, Failure { rc: code, ac, ai })) = chunk.first() else { continue };
        let (corrs, attempts) = chunk.iter().map(|(_, key, _)| *key).unzip();
        // An RC whose link is gone as well has given its requests up.
        let _ = rc.send(Undelivered { corrs, attempts, rc: *code, ac: *ac, ai: ai.clone() });
    }
}

/// A general list of the partials, in answer order.
fn list(parts: &[Part]) -> Vec<Bytes> {
    let head = qipc::list_header(u32::try_from(parts.len()).unwrap_or(u32::MAX));
    let head = Bytes::copy_from_slice(&head);
    std::iter::once(head).chain(parts.iter().map(|p| p.payload.clone())).collect()
}

/// One line per request.
fn log(asked: &Asked<Sender>, failure: &Failure, bytes: usize) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    tracing::debug!(
        corr = %asked.key.0,
        logCorr = %sg::opts::LogCorr { corr: asked.key.0, opts: &asked.opts },
        attempt = asked.key.1,
        api = %asked.api,
        agg_fn = %asked.agg_fn,
        rc = failure.rc.0,
        ac = failure.ac.0,
        ai = failure.ai,
        bytes,
        "answered"
    );
}

impl Handler for Shell {
    fn up(&self, link: &Sender) {
        match link.peer().role {
            Role::Rc => {
                *self.address.write().unwrap_or_else(PoisonError::into_inner) = link.own_address().clone();
                self.coordinators.fetch_add(1, Ordering::Relaxed);
                self.metrics.coordinators.inc();
                self.links.lock().unwrap_or_else(PoisonError::into_inner).insert(link.id(), link.clone());
                self.register(link);
            }
            Role::Da => _ = self.metrics.daps.inc(),
            Role::Gw => _ = self.metrics.gateways.inc(),
            Role::Agg => link.close("an aggregator has no use for links from another"),
        }
    }

    fn message(&self, link: &Sender, msg: Msg) {
        match (link.peer().role, msg) {
            (Role::Da, Msg::Partial(partial)) => self.partial(partial),
            (Role::Rc, Msg::Plan(plan)) => {
                self.metrics.requests.inc();
                self.event(Event::Plan(link.clone(), plan));
            }
            (Role::Rc, Msg::GiveUp(given)) => self.event(Event::GiveUp(given)),
            (Role::Rc, Msg::Replace(replace)) => self.event(Event::Replace(replace)),
            (Role::Rc, Msg::Abandon(abandon)) => self.event(Event::Abandon(abandon)),
            (Role::Gw, Msg::Credit(credit)) => {
                let bytes = u64::try_from(credit.bytes).unwrap_or(0);
                self.streams(|s| s.credit(link.id(), &(credit.corr, credit.attempt), bytes));
            }
            (Role::Gw, Msg::Stop(stop)) => self.streams(|s| s.stop(&(stop.corr, stop.attempt))),
            (_, other) => {
                tracing::warn!(peer = %link.peer(), message = other.name(), "not a message for an aggregator from this role");
            }
        }
    }

    fn down(&self, link: &Sender, _why: &str) {
        match link.peer().role {
            Role::Rc => {
                self.links.lock().unwrap_or_else(PoisonError::into_inner).remove(&link.id());
                self.coordinators.fetch_sub(1, Ordering::Relaxed);
                self.metrics.coordinators.dec();
            }
            Role::Da => _ = self.metrics.daps.dec(),
            Role::Gw => {
                self.metrics.gateways.dec();
                self.event(Event::GwDown(link.id().0));
            }
            Role::Agg => {}
        }
        self.streams(|s| s.link_down(link.id()));
    }
}
