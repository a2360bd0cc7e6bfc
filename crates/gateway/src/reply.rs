//! From an answer of the mesh to what the client reads: header, frame, or stream.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

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

/// What a client can read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reads {
    /// its capability
    pub capability: u8,
    /// its address
    pub peer: SocketAddr,
    /// long answers are to be compressed
    pub compressed: bool,
}

/// Where an answer goes.
pub(crate) enum Sink {
    /// A synchronous QIPC call.
    Sync(Arc<Outbox>, Ticket, Reads),
    /// An asynchronous QIPC call; null for no callback.
    Async(Arc<Outbox>, Sym, Reads),
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
    /// what its bytes are
    pub form: Form,
}

/// What the bytes of a result are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// the payload
    Plain,
    /// the payload, from where nothing is compressed: by a coordinator
    Unasked,
    /// a compressed stream that stands for a payload of so many bytes, from an Agg that was asked for it
    Packed(u64),
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
    /// its sentence, of a failure
    pub error: Option<String>,
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
        Answer { rc, ac, ai, extra: Vec::new(), content: Content::nothing(), form: Form::Plain }
    }
}

/// What `http` of a response header says of KX's structured text.
pub(crate) const STRUCT_TEXT: &str = "struct-text";

/// The field that clients of structured text read a backtrace from; there is none of a mesh.
pub(crate) fn backtrace() -> Pair {
    (Sym::new("bt"), Raw::of(&kvalue::Value::list([])).0)
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
            Sink::Sync(outbox, ticket, reads) => {
                let reply = self.reply(MessageType::Response, &[], answer, *reads);
                metrics.compressed.inc_by(reply.is_compressed().into());
                outbox.fill(*ticket, reply);
            }
            Sink::Async(outbox, callback, reads) => {
                if callback.is_null() && rc != Rc::OK.0 {
                    let what = format!("asynchronous call of {} without a callback", self.header.api);
                    metrics.unheard.tell(&self.user, reads.peer, &what, &answer.ai);
                }
                let reply = (!callback.is_null()).then(|| {
                    let name = symbol(callback);
                    let reply = self.reply(MessageType::Async, &[name], answer, *reads);
                    metrics.compressed.inc_by(reply.is_compressed().into());
                    reply
                });
                outbox.call_back(&self.header.corr, reply);
            }
            Sink::Rest(sender) => {
                let mut answer = answer;
                if answer.rc != Rc::OK && self.header.http == Some(STRUCT_TEXT) {
                    answer.extra.push(backtrace());
                }
                let header = self.respond(&answer);
                let error = (answer.rc != Rc::OK).then(|| answer.ai.clone());
                let failure = Failure { rc: answer.rc, ac: answer.ac, ai: String::new() };
                let answered =
                    Answered { header, error, status: failure.http_status(), content: answer.content };
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

    fn reply(&self, ty: MessageType, before: &[Bytes], answer: Answer, reads: Reads) -> Reply {
        let header = self.respond(&answer);
        match (answer.content, answer.form) {
            (Content::Whole(payload), Form::Packed(plain)) => {
                let len = payload.0.iter().map(|part| part.len() as u64).sum();
                let Some(start) = qipc::packed_head(ty, &list_head(before, &header), plain, len) else {
                    return Reply::Frame(self.whole_reply(ty, before, Answer::failed(no_place())));
                };
                Reply::Frame(Frame(std::iter::once(start).chain(payload.0).collect()))
            }
            (Content::Whole(payload), form) => {
                let frame = whole(ty, before, &header, payload.0);
                Reply::Frame(if reads.compressed && form == Form::Unasked {
                    compressed(frame)
                } else {
                    frame
                })
            }
            (Content::Stream(body), form) => {
                let head = list_head(before, &header);
                let plain = if let Form::Packed(plain) = form { plain } else { body.total() };
                let object = head.len() as u64 + plain;
                if let Err(e) = qipc::check_message_len(object + 8, reads.capability) {
                    let ai = format!(
                        "{e}; connect with a client of capability 5 or more, or ask for less at once"
                    );
                    let failed = Answer::failed(Failure::new(Rc::LIMIT, Ac::LIMIT, ai));
                    return Reply::Frame(self.whole_reply(ty, before, failed));
                }
                let lost = self.whole_reply(ty, before, Answer::failed(agg_lost("its aggregator was lost")));
                let start = match form {
                    Form::Packed(plain) => qipc::packed_head(ty, &head, plain, body.total()),
                    Form::Plain | Form::Unasked => {
                        Some([&qipc::header(ty, object)[..], &head].concat().into())
                    }
                };
                match start {
                    Some(head) => Reply::Stream(Box::new(StreamReply { head, body, lost })),
                    None => Reply::Frame(self.whole_reply(ty, before, Answer::failed(no_place()))),
                }
            }
        }
    }

    fn whole_reply(&self, ty: MessageType, before: &[Bytes], answer: Answer) -> Frame {
        let header = self.respond(&answer);
        whole(ty, before, &header, Payload::empty().0)
    }
}

/// A header that no stream can follow. Fields that every header of a success has make up for it: see the test.
fn no_place() -> Failure {
    let ai =
        "the compressed answer cannot follow its header; set QMESH_GW_COMPRESS=never and please report this";
    Failure::new(Rc::ERR, Ac::INTERNAL, ai)
}

/// A whole message compressed, where kdb+ would do it and it is short enough to be done at once.
fn compressed(frame: Frame) -> Frame {
    const UP_TO: usize = 1 << 20;
    let len: usize = frame.0.iter().map(Bytes::len).sum();
    let packed = (len <= UP_TO).then(|| qipc::compress(&frame.0.concat())).flatten();
    packed.map_or(frame, |message| Frame(vec![message]))
}

/// A message of `(before…; header; payload)` with the payload's segments as they are.
pub(crate) fn whole(ty: MessageType, before: &[Bytes], header: &Bytes, payload: Vec<Bytes>) -> Frame {
    /// Below this, copying costs less than another segment.
    const SHARE_FROM: usize = 4096;
    let head_len = list_head_len(before, header);
    let payload_len: usize = payload.iter().map(Bytes::len).sum();
    let copied = if payload_len < SHARE_FROM { payload_len } else { 0 };
    let mut out = BytesMut::with_capacity(8 + head_len + copied);
    out.put_slice(&qipc::header(ty, (head_len + payload_len) as u64));
    put_list_head(before, header, &mut out);
    if payload_len < SHARE_FROM {
        payload.iter().for_each(|segment| out.put_slice(segment));
        return Frame(vec![out.freeze()]);
    }
    Frame(std::iter::once(out.freeze()).chain(payload).collect())
}

/// The list up to its payload.
fn list_head(before: &[Bytes], header: &Bytes) -> BytesMut {
    let mut out = BytesMut::with_capacity(list_head_len(before, header));
    put_list_head(before, header, &mut out);
    out
}

fn list_head_len(before: &[Bytes], header: &Bytes) -> usize {
    6 + before.iter().map(Bytes::len).sum::<usize>() + header.len()
}

fn put_list_head(before: &[Bytes], header: &Bytes, out: &mut BytesMut) {
    out.put_slice(&qipc::list_header(before.len() as u32 + 2));
    before.iter().for_each(|item| out.put_slice(item));
    out.put_slice(header);
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

    /// True where long answers are to come compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        matches!(self, Sink::Sync(_, _, reads) | Sink::Async(_, _, reads) if reads.compressed)
    }

    /// True for REST.
    pub(crate) fn is_rest(&self) -> bool {
        matches!(self, Sink::Rest(_))
    }
}

#[cfg(test)]
mod tests {
    use kvalue::Value;
    use qipc::Limits;
    use sg::opts::Opts;

    use super::*;

    /// Whatever a header of a success holds, a compressed payload can follow it.
    #[test]
    fn a_compressed_payload_can_follow_every_header() {
        let payload = Raw::of(&kvalue::Vector::longs(vec![7; 1000]).into()).0;
        let mut packer = qipc::Packer::new(usize::MAX);
        packer.push(&payload).expect("it may be as long as it likes");
        let stream = packer.finish();
        for n in 0..2_000u64 {
            let seed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            let mut corr = [0u8; 16];
            corr[..8].copy_from_slice(&seed);
            corr[8..].copy_from_slice(&(!n).wrapping_mul(0xd6e8_feb8_6659_fd93).to_le_bytes());
            let mut opts = Opts::default();
            for field in 0..n % 4 {
                let name = Sym::new(format!("{}{field}", ["app", "orc", "a", "z"][(n % 4) as usize]));
                opts.set(name, Raw::of(&Value::str(&format!("{seed:?}")[..(n % 20) as usize])).0);
            }
            let header = RequestHeader {
                rcv_ts: i64::from_le_bytes(seed),
                corr: sg::Corr(corr),
                api: ".kxi.getData".into(),
                http: None,
                opts,
            };
            let extra = [(Sym::new("refVintage"), Raw::of(&(n as i64 + 1).into()).0)];
            let header =
                header.respond(Outcome { rc: Rc::OK, ac: Ac::OK, ai: "", extra: &extra[..(n % 2) as usize] });
            let callback = symbol(&Sym::new("cb"));
            for before in [&[][..], &[callback]] {
                let head = list_head(before, &header);
                let start = qipc::packed_head(
                    MessageType::Response,
                    &head,
                    payload.len() as u64,
                    stream.len() as u64,
                );
                let message = [&start.expect("it can follow")[..], &stream].concat();
                let read = qipc::decompress(&message.into(), &Limits::client()).expect("it can be read");
                assert_eq!(read[8..], [&head[..], &payload].concat());
            }
        }
    }
}
