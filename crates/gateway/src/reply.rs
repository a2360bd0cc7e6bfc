//! From an answer of the mesh to what the client reads: header, frame, or stream.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use kvalue::Sym;
use qipc::{Frame, MessageType, Raw};
use sg::{
    Failure,
    codes::{Ac, Rc},
    header::{Outcome, RequestHeader},
    msg::Payload,
    opts::Pair,
};
use tokio::sync::oneshot;

use crate::{
    metrics::Metrics,
    outbox::{Outbox, Reply, Ticket},
    pending::NO_RC,
    stream::BodyReader,
};

/// One request in flight.
pub(crate) struct Job {
    /// what its response header says
    pub header: RequestHeader,
    /// who asks
    pub user: Sym,
    /// header options as they travel
    pub opts: Raw,
    /// arguments
    pub args: Raw,
    /// where the answer goes
    pub sink: Sink,
    /// when it came
    pub since: std::time::Instant,
}

/// Where an answer goes.
pub(crate) enum Sink {
    /// A synchronous QIPC call.
    Sync(Arc<Outbox>, Ticket, u8),
    /// An asynchronous QIPC call; null for no callback.
    Async(Arc<Outbox>, Sym, u8),
    /// A REST request; nothing where no RC is there for it.
    Rest(Mutex<Option<oneshot::Sender<Option<Answered>>>>),
}

/// An answer as it came from the mesh.
#[derive(Debug)]
pub(crate) struct Answer {
    /// return code
    pub rc: Rc,
    /// application code
    pub ac: Ac,
    /// sentence
    pub ai: String,
    /// further header fields
    pub extra: Vec<Pair>,
    /// result
    pub content: Content,
}

/// A result, whole or on its way.
#[derive(Debug)]
pub(crate) enum Content {
    /// all of it
    Whole(Payload),
    /// as it comes
    Stream(BodyReader),
}

/// An answer with its response header, for REST.
#[derive(Debug)]
pub(crate) struct Answered {
    /// encoded response header
    pub header: Bytes,
    /// HTTP status
    pub status: u16,
    /// result
    pub content: Content,
}

/// An answer that is written as its bytes come.
#[derive(Debug)]
pub(crate) struct StreamReply {
    /// everything before the payload: message header, list header, elements before it
    pub head: Bytes,
    /// the payload
    pub body: BodyReader,
    /// what to write instead if it is lost before anything was written
    pub lost: Frame,
}

impl Content {
    /// `()`: what comes with a failure.
    pub(crate) fn nothing() -> Self {
        Content::Whole(Payload::empty())
    }
}

impl Answer {
    /// A failure of this request.
    pub(crate) fn failed(failure: Failure) -> Self {
        let Failure { rc, ac, ai } = failure;
        Answer { rc, ac, ai, extra: Vec::new(), content: Content::nothing() }
    }
}

/// The failure of an answer whose Agg was lost while it came.
pub(crate) fn agg_lost(why: &str) -> Failure {
    let ai = format!("the answer was lost while it was being sent ({why}); ask again");
    Failure::new(Rc::CONN, Ac::CONN, ai)
}

impl Job {
    /// Ends the request with this answer.
    pub(crate) fn complete(&self, answer: Answer, metrics: &Metrics) {
        let (elapsed, rc, ac) = (self.since.elapsed(), answer.rc.0, answer.ac.0);
        metrics.answered(self.sink.is_rest(), elapsed, answer.rc);
        tracing::debug!(
            corr = %self.header.corr, logCorr = %self.header.log_corr(), api = %self.header.api, rc, ac,
            ai = answer.ai, ms = elapsed.as_secs_f64() * 1e3, "response"
        );
        match &self.sink {
            Sink::Sync(outbox, ticket, capability) => {
                outbox.fill(*ticket, self.reply(MessageType::Response, &[], answer, *capability));
            }
            Sink::Async(outbox, callback, capability) => {
                let reply = (!callback.is_null()).then(|| {
                    let name = symbol(callback);
                    self.reply(MessageType::Async, &[name], answer, *capability)
                });
                outbox.call_back(&self.header.corr, reply);
            }
            Sink::Rest(sender) => {
                let header = self.respond(&answer);
                let failure = Failure { rc: answer.rc, ac: answer.ac, ai: String::new() };
                let answered = Answered { header, status: failure.http_status(), content: answer.content };
                let sender = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
                // A client that has left drops the receiver; the answer goes with it.
                let _ = sender.map(|s| s.send(Some(answered)));
            }
        }
    }

    /// Ends the request because no RC is there, as the published system words it: an error instead of a header and
    /// a payload. An asynchronous call has no error reply: its callback is told.
    pub(crate) fn refuse(&self, metrics: &Metrics) {
        match &self.sink {
            Sink::Sync(outbox, ticket, _) => outbox.fill(*ticket, Reply::Frame(Frame::of_error(NO_RC))),
            Sink::Async(..) => {
                let failure = Failure::new(Rc::NOT_READY, Ac::NOT_READY, NO_RC);
                self.complete(Answer::failed(failure), metrics);
            }
            Sink::Rest(sender) => {
                let sender = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
                let _ = sender.map(|s| s.send(None));
            }
        }
    }

    fn respond(&self, answer: &Answer) -> Bytes {
        let Answer { rc, ac, ai, extra, .. } = answer;
        self.header.respond(Outcome { rc: *rc, ac: *ac, ai, extra })
    }

    fn reply(&self, ty: MessageType, before: &[Bytes], answer: Answer, capability: u8) -> Reply {
        let header = self.respond(&answer);
        match answer.content {
            Content::Whole(payload) => Reply::Frame(whole(ty, before, &header, payload.0)),
            Content::Stream(body) => {
                let head = list_head(before, &header);
                let object = head.len() as u64 + body.total();
                if let Err(e) = qipc::check_message_len(object + 8, capability) {
                    let ai = format!(
                        "{e}; connect with a client of capability 5 or more, or ask for less at once"
                    );
                    let failed = Answer::failed(Failure::new(Rc::LIMIT, Ac::LIMIT, ai));
                    return Reply::Frame(self.whole_reply(ty, before, failed));
                }
                let lost = self.whole_reply(ty, before, Answer::failed(agg_lost("its aggregator was lost")));
                let mut start = BytesMut::with_capacity(8 + head.len());
                start.put_slice(&qipc::header(ty, object));
                start.put_slice(&head);
                Reply::Stream(Box::new(StreamReply { head: start.freeze(), body, lost }))
            }
        }
    }

    fn whole_reply(&self, ty: MessageType, before: &[Bytes], answer: Answer) -> Frame {
        let header = self.respond(&answer);
        whole(ty, before, &header, Payload::empty().0)
    }
}

/// A message of `(before…; header; payload)` with the payload's segments as they are.
pub(crate) fn whole(ty: MessageType, before: &[Bytes], header: &Bytes, payload: Vec<Bytes>) -> Frame {
    /// Below this, copying costs less than another segment.
    const SHARE_FROM: usize = 4096;
    let head = list_head(before, header);
    let payload_len: usize = payload.iter().map(Bytes::len).sum();
    let copied = if payload_len < SHARE_FROM { payload_len } else { 0 };
    let mut out = BytesMut::with_capacity(8 + head.len() + copied);
    out.put_slice(&qipc::header(ty, (head.len() + payload_len) as u64));
    out.put_slice(&head);
    if payload_len < SHARE_FROM {
        payload.iter().for_each(|segment| out.put_slice(segment));
        return Frame(vec![out.freeze()]);
    }
    Frame(std::iter::once(out.freeze()).chain(payload).collect())
}

/// The list up to its payload.
fn list_head(before: &[Bytes], header: &Bytes) -> BytesMut {
    let size = 6 + before.iter().map(Bytes::len).sum::<usize>() + header.len();
    let mut out = BytesMut::with_capacity(size);
    out.put_slice(&qipc::list_header(before.len() as u32 + 2));
    before.iter().for_each(|item| out.put_slice(item));
    out.put_slice(header);
    out
}

fn symbol(name: &Sym) -> Bytes {
    let mut out = BytesMut::with_capacity(name.as_bytes().len() + 2);
    out.put_i8(-11);
    out.put_slice(name.as_bytes());
    out.put_u8(0);
    out.freeze()
}

impl Sink {
    /// Where the answer to a REST request goes, and where it comes from.
    pub(crate) fn rest() -> (Sink, oneshot::Receiver<Option<Answered>>) {
        let (sender, receiver) = oneshot::channel();
        (Sink::Rest(Mutex::new(Some(sender))), receiver)
    }

    /// True for REST.
    pub(crate) fn is_rest(&self) -> bool {
        matches!(self, Sink::Rest(_))
    }
}
