//! One QIPC connection: a client's, or an internal link's that comes in on the same port.
//!
//! One task reads requests and writes answers. Many requests may be outstanding; answers to synchronous ones
//! leave in their order. A malformed request costs its sender an error; what breaks the framing costs the
//! connection. When the client is gone its requests are cancelled.

use std::{io, sync::Arc, time::Duration};

use kvalue::{Sym, Value};
use prometheus_client::metrics::gauge::Gauge;
use qipc::{
    Body, Frame, Message, MessageType,
    net::{Connection, ReadError, Reader, Writer},
};
use sg::{Corr, Failure, Msg, header::RequestHeader, msg::Hello};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    call::{Ask, Call, Heard},
    gateway::Gate,
    outbox::{Outbox, Reply},
    reply::{Answer, Job, Reads, Sink, StreamReply},
};

/// Replies written by one system call where they are small.
const BATCH: usize = 128;
/// Time a connection that is being closed has for reading its last error.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Once the gateway stops, a connection closes when its client has nothing outstanding and has been silent for so long:
/// what was under way is read and answered. Right behind an answer many clients ask again, and many ask on a beat of
/// tens of milliseconds: this is neither.
const QUIET: Duration = Duration::from_millis(37);
/// Between two looks whether all is answered.
const LOOK: Duration = Duration::from_millis(5);
/// A client that is never silent is heard for this part of the time for requests in flight; then its connection closes
/// behind an answer.
const BUSY: u32 = 2;
/// And so long for the handshake and for the first message of a connection, which may be an aggregator that comes with an answer.
pub(crate) const FIRST: Duration = Duration::from_secs(1);

/// Runs a connection to its end; `links` where internal links are taken too.
///
/// Once `shutdown` is cancelled the connection closes as soon as its client is silent ([`QUIET`]) and all that it asked
/// is answered; at `end` it closes in any case.
pub(crate) async fn serve(
    gate: Arc<Gate>,
    connection: Connection,
    counted: Counted,
    links: bool,
    shutdown: CancellationToken,
    end: CancellationToken,
) {
    let (user, peer, capability) = (Sym::new(&connection.user), connection.peer, connection.capability);
    let (mut reader, writer) = connection.split();
    let first = tokio::select! {
        biased;
        first = reader.next() => first,
        () = stopping_for(FIRST, &shutdown) => return,
        () = end.cancelled() => return,
    };
    if let Ok(Some(message)) = &first
        && links
        && let Some(hello) = hello(message)
    {
        drop(counted);
        let (identity, opts, hub) = (gate.identity.clone(), gate.links.clone(), gate.hub.clone());
        return link::upgrade(reader, writer, hello, identity, opts, hub, end).await;
    }
    tracing::debug!(%peer, %user, capability, "client connected");
    let outbox = Arc::new(Outbox::new(gate.limits.max_outstanding));
    outbox.write_by(writer);
    let compressed = gate.limits.compress.suits(capability, peer.ip());
    let reads = Reads { capability, peer, compressed };
    let client = Client { gate: gate.clone(), outbox: outbox.clone(), user, reads };
    let why = tokio::select! {
        biased;
        // First: what is answered at the last moment is still written.
        written = write(&gate, &outbox) => match written {
            Ok(()) => "closed after its last answer".to_owned(),
            Err(e) => e.to_string(),
        },
        why = client.read(reader, first, &shutdown) => why,
        () = end.cancelled() => "the gateway is stopping".to_owned(),
    };
    for corr in outbox.close() {
        gate.hub.gone(&corr);
    }
    tracing::debug!(%peer, why, "client disconnected");
}

/// Ends when the gateway has been stopping for so long.
pub(crate) async fn stopping_for(time: Duration, shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(time).await;
}

/// Counts a connected client, or a socket before its handshake, until dropped.
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(clients: &Gauge) -> Self {
        clients.inc();
        Counted(clients.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The hello of an internal link.
fn hello(message: &Message) -> Option<Hello> {
    const NAME: &[u8] = b"\xf5.qm.hello\0";
    let Body::Object(raw) = &message.body else { return None };
    if message.ty != MessageType::Async || raw.0.get(6..6 + NAME.len()) != Some(NAME) {
        return None;
    }
    match Msg::decode(raw) {
        Ok(Msg::Hello(hello)) => Some(hello),
        _ => None,
    }
}

struct Client {
    gate: Arc<Gate>,
    outbox: Arc<Outbox>,
    user: Sym,
    reads: Reads,
}

impl Client {
    /// Takes requests until the client closes; the reason it ended.
    async fn read(
        &self,
        mut reader: Reader,
        first: Result<Option<Message>, ReadError>,
        shutdown: &CancellationToken,
    ) -> String {
        let mut next = first;
        let mut stopping = None;
        loop {
            match next {
                Ok(None) => return "the client closed".into(),
                Ok(Some(message)) => self.take(message),
                Err(ReadError::Body { ty, source }) => {
                    self.gate.hub.metrics().malformed.inc();
                    match ty {
                        MessageType::Sync => self.error(&source.to_string()),
                        _ => self.unheard("asynchronous message", &source.to_string()),
                    }
                }
                Err(ReadError::Header(e)) => {
                    // Where the next message begins is not known: one last error, then the end.
                    self.gate.hub.metrics().malformed.inc();
                    self.unheard("message", &format!("{e}; the connection is closed"));
                    self.error(&e.to_string());
                    self.outbox.finish();
                    tokio::time::sleep(LAST_WORDS).await;
                    return e.to_string();
                }
                Err(e) => return e.to_string(),
            }
            if !self.outbox.room().await {
                return "closed".into();
            }
            if shutdown.is_cancelled()
                && stopping.get_or_insert_with(Instant::now).elapsed() > self.gate.drain / BUSY
            {
                // The writer ends the connection when all that was read is answered.
                self.outbox.drain();
            }
            next = tokio::select! {
                biased;
                next = reader.next() => next,
                () = self.silent(shutdown) => {
                    self.outbox.drain();
                    return std::future::pending().await;
                }
            };
        }
    }

    /// Ends when the gateway is stopping, all that the client asked is answered, and nothing came for [`QUIET`].
    async fn silent(&self, shutdown: &CancellationToken) {
        shutdown.cancelled().await;
        while !self.outbox.is_idle() {
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(QUIET).await;
    }

    fn take(&self, message: Message) {
        let Body::Object(object) = message.body else { return };
        let asked = Ask::parse(&object.0, &self.gate.limits.client);
        match (message.ty, asked) {
            (MessageType::Response, _) => {}
            (MessageType::Sync, Ok(Ask::Probe(value))) => self.fill(&value),
            (MessageType::Sync, Err(e)) => {
                self.gate.hub.metrics().malformed.inc();
                self.error(&e.to_string());
            }
            (MessageType::Async, Ok(Ask::Probe(_))) => {}
            (MessageType::Async, Err(error)) => {
                self.gate.hub.metrics().malformed.inc();
                match Heard::of(&object.0, &self.gate.limits.client) {
                    Some(heard) => self.call_back(heard, &error.to_string()),
                    // The protocol has no other way to report it.
                    None => self.unheard("asynchronous message", &error.to_string()),
                }
            }
            (ty, Ok(Ask::Call(call))) => self.call(ty, call),
        }
    }

    fn call(&self, ty: MessageType, call: Call) {
        let corr = Corr::random();
        let time = call.opts.timeout.unwrap_or(self.gate.limits.timeout);
        let opts = match self.reads.compressed {
            true => call.opts.to_raw_packed(),
            false => call.opts.to_raw(),
        };
        let header =
            RequestHeader { rcv_ts: kvalue::time::now(), corr, api: call.api, http: None, opts: call.opts };
        let sink = match ty {
            MessageType::Sync => {
                let ticket = self.outbox.reserve(Some(corr));
                Sink::Sync(self.outbox.clone(), ticket, self.reads)
            }
            _ => {
                self.outbox.expect(corr);
                Sink::Async(self.outbox.clone(), call.callback, self.reads)
            }
        };
        let job = Job {
            header,
            user: self.user.clone(),
            opts,
            args: call.args,
            sink,
            since: std::time::Instant::now(),
        };
        self.gate.hub.submit(job, time);
    }

    /// Answers an asynchronous request that is no call and names a callback.
    fn call_back(&self, heard: Heard, why: &str) {
        let corr = Corr::random();
        let Heard { api, callback, opts } = heard;
        self.outbox.expect(corr);
        let job = Job {
            user: self.user.clone(),
            opts: opts.to_raw(),
            header: RequestHeader { rcv_ts: kvalue::time::now(), corr, api, http: None, opts },
            args: qipc::Raw::of(&Value::empty_dict()),
            sink: Sink::Async(self.outbox.clone(), callback, self.reads),
            since: std::time::Instant::now(),
        };
        let metrics = self.gate.hub.metrics();
        metrics.asked(false);
        job.complete(Answer::failed(Failure::arg(why)), metrics);
    }

    fn unheard(&self, what: &str, why: &str) {
        self.gate.hub.metrics().unheard.tell(&self.user, self.reads.peer, what, why);
    }

    fn error(&self, text: &str) {
        let ticket = self.outbox.reserve(None);
        self.outbox.fill(ticket, Reply::Frame(Frame::of_error(text)));
    }

    fn fill(&self, value: &Value) {
        let ticket = self.outbox.reserve(None);
        match Frame::of_value(MessageType::Response, value) {
            Ok(frame) => self.outbox.fill(ticket, Reply::Frame(frame)),
            Err(e) => self.outbox.fill(ticket, Reply::Frame(Frame::of_error(&e.to_string()))),
        }
    }
}

/// Writes replies until the outbox ends.
async fn write(gate: &Gate, outbox: &Outbox) -> io::Result<()> {
    let mut frames = Vec::with_capacity(BATCH);
    loop {
        let (batch, writer) = outbox.next(BATCH).await;
        let Some(mut writer) = writer else { return Ok(()) };
        let Some(batch) = batch else { return writer.shutdown().await };
        for reply in batch {
            match reply {
                Reply::Frame(frame) => frames.push(frame),
                Reply::Stream(stream) => {
                    send(&mut writer, &mut frames).await?;
                    write_stream(gate, *stream, &mut writer).await?;
                }
            }
        }
        send(&mut writer, &mut frames).await?;
        outbox.write_by(writer);
    }
}

async fn send(writer: &mut Writer, frames: &mut Vec<Frame>) -> io::Result<()> {
    match frames.len() {
        0 => return Ok(()),
        1 => writer.send(frames.swap_remove(0)).await?,
        _ => writer.send_many(frames).await?,
    }
    frames.clear();
    Ok(())
}

/// Writes a message as its payload comes. Once its head is out it can only be completed or cut.
async fn write_stream(gate: &Gate, reply: StreamReply, writer: &mut Writer) -> io::Result<()> {
    let StreamReply { head, body, lost } = reply;
    let mut head = Some(head);
    loop {
        let next = match timeout(gate.limits.stall, body.next()).await {
            Ok(next) => next,
            Err(_) => Err(format!("nothing came from the aggregator for {:?}", gate.limits.stall)),
        };
        match next {
            Ok(Some(chunks)) => {
                let frame: Vec<_> = head.take().into_iter().chain(chunks).collect();
                writer.send(Frame(frame)).await?;
                body.passed();
            }
            Ok(None) => return Ok(()),
            Err(why) if head.is_some() => {
                tracing::warn!(why, ?body, "answer lost before its first byte");
                return writer.send(lost).await;
            }
            Err(why) => {
                gate.hub.metrics().cut.inc();
                tracing::warn!(why, ?body, "answer cut: its client's connection is closed");
                return Err(io::Error::other(why));
            }
        }
    }
}
