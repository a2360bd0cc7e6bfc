//! A gateway: `gateway::pending` and `gateway::stream` between clients and the mesh, wired as `gateway::hub` does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use gateway::{
    pending::{Action, Affinity, Answerer, Pending, RC_REDO, Refusal},
    stream::{BodyReader, Source, Streams},
};
use qipc::Raw;
use routing::{MILLI, Nanos};
use sg::{
    Ac, Corr, Failure, Msg, Rc,
    msg::{self, AnswerHead},
};

use crate::{
    ledger::{End, Ledger},
    net::{Happens, Net, Proc},
    world::Asking,
};

/// Bytes held of one large answer: the default of `KXI_SG_BUFFER_INITIAL`.
const WINDOW: u64 = 2 << 20;
/// How long a request is kept that comes while no coordinator is ready.
const PATIENCE: Nanos = 2_000 * MILLI;
/// How long a large answer may bring nothing.
const STALL: Nanos = 60_000 * MILLI;

type Outbox = Arc<Mutex<Vec<(u64, Msg)>>>;

struct ToAgg {
    session: u64,
    corr: Corr,
    attempt: i32,
    outbox: Outbox,
}

impl ToAgg {
    fn put(&self, msg: Msg) {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).push((self.session, msg));
    }
}

impl Source for ToAgg {
    fn credit(&self, bytes: u64) {
        self.put(msg::Credit { corr: self.corr, attempt: self.attempt, bytes: bytes as i64 }.into());
    }

    fn stop(&self) {
        self.put(msg::Stop { corr: self.corr, attempt: self.attempt }.into());
    }
}

struct Body {
    reader: BodyReader,
    attempt: i32,
    rc: Rc,
    ai: String,
    extra: Raw,
    bytes: Vec<u8>,
    since: Nanos,
}

/// A life of a gateway.
pub(crate) struct Gw {
    me: Proc,
    life: u64,
    pending: Pending<usize>,
    streams: Arc<Streams>,
    outbox: Outbox,
    /// sessions and who is at their other end
    peers: BTreeMap<u64, Proc>,
    bodies: BTreeMap<usize, Body>,
}

impl Gw {
    pub(crate) fn start(net: &mut Net, me: Proc, rcs: usize, limit: usize) -> Gw {
        let life = net.state(me).1;
        for i in 0..rcs {
            let delay = net.delay();
            net.dial(me, Proc::Rc(i), delay);
        }
        Gw {
            me,
            life,
            pending: Pending::new(limit, PATIENCE),
            streams: Arc::default(),
            outbox: Outbox::default(),
            peers: BTreeMap::new(),
            bodies: BTreeMap::new(),
        }
    }

    pub(crate) fn connected(&mut self, net: &mut Net, to: Proc, session: Option<u64>) {
        match session {
            Some(id) => self.up(id, to),
            None => self.redial(net, to),
        }
    }

    fn redial(&mut self, net: &mut Net, to: Proc) {
        let backoff = net.rng.between(5 * MILLI, 200 * MILLI);
        net.dial(self.me, to, backoff);
    }

    pub(crate) fn up(&mut self, session: u64, peer: Proc) {
        self.peers.insert(session, peer);
        if let Proc::Rc(_) = peer {
            self.pending.rc_up(session);
        }
    }

    pub(crate) fn down(&mut self, net: &mut Net, ledger: &mut Ledger, session: u64) {
        let Some(peer) = self.peers.remove(&session) else { return };
        if let Proc::Rc(_) = peer {
            let actions = self.pending.rc_down(session, net.clock(self.me));
            self.act(net, ledger, actions);
            if !self.peers.values().any(|p| *p == peer) {
                self.redial(net, peer);
            }
        }
        self.streams.link_down(session);
        let reading: Vec<usize> = self.bodies.keys().copied().collect();
        reading
            .into_iter()
            .for_each(|job| net.after(0, Happens::ClientReads(index(self.me), self.life, job)));
    }

    /// A client asks.
    pub(crate) fn submit(&mut self, net: &mut Net, ledger: &mut Ledger, job: usize) {
        let Some(asked) = ledger.asked.get(job) else { return };
        let (corr, api, deadline) = (asked.corr, asked.kind.api().into(), asked.deadline);
        let clock = net.clock(self.me);
        match self.pending.submit(corr, api, Affinity::default(), deadline, job, clock) {
            Ok(action) => self.act(net, ledger, action.into_iter().collect()),
            Err(Refusal::NoRc | Refusal::NoneOfAssembly) => ledger.fail(job, clock, no_rc(), false),
            Err(Refusal::Full { limit }) => {
                let ai = format!("{limit} requests are in flight here");
                ledger.fail(job, clock, Failure::new(Rc::QUEUE, Ac::LIMIT, ai), false);
            }
        }
        self.arm(net);
    }

    /// The client of a request goes away.
    pub(crate) fn gone(&mut self, net: &mut Net, ledger: &mut Ledger, job: usize) {
        let Some(asked) = ledger.asked.get(job) else { return };
        let action = self.pending.gone(&asked.corr);
        self.bodies.remove(&job);
        self.act(net, ledger, action.into_iter().collect());
        self.flush(net);
        ledger.end(job, End::Gone);
    }

    pub(crate) fn wake(&mut self, net: &mut Net, ledger: &mut Ledger) {
        let clock = net.clock(self.me);
        let actions = self.pending.tick(clock);
        self.act(net, ledger, actions);
        let stalled: Vec<usize> =
            self.bodies.iter().filter(|(_, b)| clock >= b.since + STALL).map(|(job, _)| *job).collect();
        for job in stalled {
            self.bodies.remove(&job);
            ledger.end(job, End::Cut);
        }
        self.flush(net);
        self.arm(net);
    }

    fn arm(&mut self, net: &mut Net) {
        let stall = self.bodies.values().map(|b| b.since + STALL).min();
        if let Some(at) = [self.pending.next_deadline(), stall].into_iter().flatten().min() {
            net.wake(self.me, at);
        }
    }

    fn act(&mut self, net: &mut Net, ledger: &mut Ledger, actions: Vec<Action<usize>>) {
        for action in actions {
            match action {
                Action::Send { link, corr, attempt, left, job } => {
                    ledger.tally.resent += u64::from(attempt > 0);
                    let Some(asked) = ledger.asked.get(job) else { continue };
                    let Asking { opts, args } = Asking::of(asked);
                    let request = msg::Request {
                        corr,
                        attempt,
                        left: left as i64,
                        api: asked.kind.api().into(),
                        user: format!("user-{}", asked.user).into(),
                        opts,
                        args,
                    };
                    // A session that is gone says so next.
                    let _ = net.send(link, self.me, request);
                }
                Action::Cancel { link, corr, attempt } => {
                    let _ = net.send(link, self.me, msg::Cancel { corr, attempt });
                }
                Action::Answered { link, corr, attempt, rc, ai, took, bytes } => {
                    let (took, bytes) = (took as i64, bytes as i64);
                    let _ = net.send(link, self.me, msg::Answered { corr, attempt, rc, ai, took, bytes });
                }
                Action::Fail { job, failure } => ledger.fail(job, net.clock(self.me), failure, true),
                Action::Refuse { job, .. } => ledger.fail(job, net.clock(self.me), no_rc(), false),
            }
        }
    }

    fn claim(
        &mut self,
        net: &mut Net,
        ledger: &mut Ledger,
        session: u64,
        (corr, attempt): (&Corr, i32),
        (rc, ai): (Rc, &str),
    ) -> Option<usize> {
        let by = match self.peers.get(&session) {
            Some(Proc::Rc(_)) => Answerer::Rc(session),
            _ => Answerer::Agg { rc, ai, bytes: 0 },
        };
        let (job, tell) = self.pending.answered(corr, attempt, by, net.clock(self.me))?;
        ledger.claim(job, net.clock(self.me));
        self.act(net, ledger, tell.into_iter().collect());
        Some(job)
    }

    pub(crate) fn message(&mut self, net: &mut Net, ledger: &mut Ledger, session: u64, msg: Msg) {
        match msg {
            Msg::Answer(m) => {
                if matches!(self.peers.get(&session), Some(Proc::Rc(_))) && m.rc == Rc::NOT_READY {
                    let clock = net.clock(self.me);
                    if let Some(action) = self.pending.refused(session, &m.corr, m.attempt, clock) {
                        self.act(net, ledger, vec![action]);
                        return self.arm(net);
                    }
                }
                if let Some(job) = self.claim(net, ledger, session, (&m.corr, m.attempt), (m.rc, &m.ai)) {
                    let bytes = m.payload.into_bytes().to_vec();
                    ledger.end(job, outcome(m.rc, m.ac, m.ai, bytes, m.extra, m.attempt));
                }
            }
            Msg::AnswerHead(m) => self.head(net, ledger, session, m),
            Msg::AnswerData(m) => {
                self.streams.push(&(m.corr, m.attempt), session, m.offset as u64, m.chunk.0);
                let reading = self.bodies.iter().filter(|(_, b)| b.attempt == m.attempt);
                let jobs: Vec<usize> = reading.map(|(job, _)| *job).collect();
                for job in jobs {
                    let delay = net.delay();
                    net.after(delay, Happens::ClientReads(index(self.me), self.life, job));
                }
            }
            Msg::Started(m) => self.pending.started(session, &m.corr),
            Msg::Status(m) => {
                let clock = net.clock(self.me);
                let actions = self.pending.rc_status(session, m, clock);
                self.act(net, ledger, actions);
            }
            _ => {}
        }
        self.flush(net);
        self.arm(net);
    }

    fn head(&mut self, net: &mut Net, ledger: &mut Ledger, session: u64, m: AnswerHead) {
        let (corr, attempt) = (m.corr, m.attempt);
        let source = ToAgg { session, corr, attempt, outbox: self.outbox.clone() };
        let Some(job) = self.claim(net, ledger, session, (&corr, attempt), (m.rc, &m.ai)) else {
            return source.stop();
        };
        let total = m.total.max(0) as u64;
        match self.streams.open((corr, attempt), session, total, WINDOW, source) {
            Some(reader) => {
                ledger.tally.streamed += 1;
                let (bytes, since) = (Vec::new(), net.clock(self.me));
                self.bodies
                    .insert(job, Body { reader, attempt, rc: m.rc, ai: m.ai, extra: m.extra, bytes, since });
            }
            None => ledger.violation(|| format!("the large answer to {corr} is announced twice")),
        }
    }

    /// A client reads what has come of a large answer.
    pub(crate) fn read(&mut self, net: &mut Net, ledger: &mut Ledger, job: usize) {
        let clock = net.clock(self.me);
        let Some(body) = self.bodies.get_mut(&job) else { return };
        loop {
            match body.reader.take() {
                None => break,
                Some(Ok(Some(chunks))) => {
                    chunks.iter().for_each(|c| body.bytes.extend_from_slice(c));
                    body.since = clock;
                    body.reader.passed();
                }
                Some(Ok(None)) => {
                    let Some(Body { attempt, rc, ai, bytes, extra, .. }) = self.bodies.remove(&job) else {
                        break;
                    };
                    ledger.end(job, outcome(rc, Ac::OK, ai, bytes, extra, attempt));
                    break;
                }
                Some(Err(why)) => {
                    let begun = !body.bytes.is_empty();
                    self.bodies.remove(&job);
                    let failure = Failure::new(Rc::CONN, Ac::CONN, why);
                    ledger.end(job, if begun { End::Cut } else { End::Failed { failure, own: false } });
                    break;
                }
            }
        }
        self.flush(net);
        self.arm(net);
    }

    fn flush(&mut self, net: &mut Net) {
        let out = std::mem::take(&mut *self.outbox.lock().unwrap_or_else(PoisonError::into_inner));
        out.into_iter().for_each(|(session, msg)| _ = net.send(session, self.me, msg));
    }

    /// A coordinator says that its process is about to end.
    pub(crate) fn leaving(&mut self, session: u64) {
        self.pending.rc_leaving(session);
    }

    /// What must hold after every step.
    pub(crate) fn check(&self, limit: usize) -> Result<(), String> {
        match self.pending.len() > limit {
            true => Err(format!(
                "{} has {} requests in flight, the limit is {limit}",
                self.me.name(),
                self.pending.len()
            )),
            false => Ok(()),
        }
    }

    /// What must hold when everything has come to rest.
    pub(crate) fn check_quiet(&self) -> Result<(), String> {
        let (pending, streams, bodies) = (self.pending.len(), self.streams.len(), self.bodies.len());
        match pending + streams + bodies {
            0 => Ok(()),
            _ => Err(format!(
                "{} holds {pending} requests, {streams} streams, {bodies} bodies",
                self.me.name()
            )),
        }
    }

    /// True where it would take a request.
    pub(crate) fn is_ready(&self) -> bool {
        self.pending.coordinators().1 > 0
    }
}

fn no_rc() -> Failure {
    Failure::new(Rc::NOT_READY, Ac::NOT_READY, gateway::pending::NO_RC)
}

fn index(gw: Proc) -> usize {
    match gw {
        Proc::Gw(i) | Proc::Rc(i) | Proc::Agg(i) | Proc::Dap(i) => i,
    }
}

fn outcome(rc: Rc, ac: Ac, ai: String, bytes: Vec<u8>, extra: Raw, attempt: i32) -> End {
    match rc {
        Rc::OK => End::Answered { bytes, extra, attempt: attempt % RC_REDO },
        rc => End::Failed { failure: Failure::new(rc, ac, ai), own: false },
    }
}
