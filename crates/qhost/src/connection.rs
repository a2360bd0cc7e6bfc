//! One connection: received bytes not used yet, bytes waiting to be sent.
//!
//! Rule: memory grows with received bytes up to a limit, never with a claimed length; a peer that does not read is
//! disconnected.

use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use qipc::{Header, Limits, MessageType, Packing};
use qlang::host::{Kind, Message};

use crate::stream::Stream;

/// Bytes of a message header.
const HEADER: usize = 8;
/// Bytes read at once.
const CHUNK: usize = 1 << 16;
/// Most bytes that may wait to be sent on one connection.
const MOST_QUEUED: u64 = 4 << 30;

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// nothing was said yet
    Hello,
    /// q's own
    Q,
    Http,
    WebSocket,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    input: BytesMut,
    output: VecDeque<Bytes>,
    /// bytes of the first message in `output` that are sent
    sent: usize,
    queued: u64,
    pub(crate) protocol: Protocol,
    /// what both sides of q's protocol can
    pub(crate) capability: u8,
    pub(crate) user: String,
    pub(crate) address: i32,
    pub(crate) since: Instant,
    is_local: bool,
    /// the peer has sent its last byte
    pub(crate) ended: bool,
    /// to be closed once all is sent
    pub(crate) closing: bool,
}

impl Connection {
    /// A connection over this socket.
    pub(crate) fn new(stream: Stream) -> io::Result<Connection> {
        stream.prepare()?;
        Ok(Connection {
            address: stream.address(),
            is_local: stream.is_local(),
            stream,
            input: BytesMut::new(),
            output: VecDeque::new(),
            sent: 0,
            queued: 0,
            protocol: Protocol::Hello,
            capability: 0,
            user: String::new(),
            since: Instant::now(),
            ended: false,
            closing: false,
        })
    }

    /// The socket, to be polled.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Bytes that came in and were not used.
    pub(crate) fn input(&self) -> &[u8] {
        &self.input
    }

    /// Takes the first bytes of the input.
    pub(crate) fn consume(&mut self, n: usize) -> BytesMut {
        self.input.split_to(n.min(self.input.len()))
    }

    /// Reads what is there; false where nothing was.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        let mut some = false;
        // A peer that sends without end does not keep the loop: after some chunks others have their turn.
        for _ in 0..64 {
            let len = self.input.len();
            // As much as the message at hand lacks, within bounds, so that long ones come in few reads.
            let want = self.lacking().clamp(CHUNK, 1 << 22);
            self.input.resize(len + want, 0);
            let got = self.stream.read(&mut self.input[len..]);
            self.input.truncate(len + *got.as_ref().unwrap_or(&0));
            match got {
                Ok(0) => {
                    self.ended = true;
                    return Ok(some);
                }
                Ok(n) => {
                    some = true;
                    if n < want {
                        return Ok(some);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(some),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(some)
    }

    fn lacking(&self) -> usize {
        if self.protocol != Protocol::Q {
            return 0;
        }
        match header(&self.input) {
            Some(Ok(h)) => (h.length as usize).saturating_sub(self.input.len()),
            _ => 0,
        }
    }

    /// The next whole message; an error where the peer sends what is none.
    pub(crate) fn next_message(&mut self) -> Result<Option<Message>, String> {
        let limits = Limits::client();
        let header = match header(&self.input) {
            None => return Ok(None),
            Some(Err(e)) => return Err(e),
            Some(Ok(h)) => h,
        };
        let length = header.length as usize;
        if self.input.len() < length {
            return Ok(None);
        }
        let whole = self.input.split_to(length).freeze();
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        let kind = match header.ty {
            MessageType::Async => Kind::Async,
            MessageType::Sync => Kind::Sync,
            MessageType::Response => Kind::Response,
        };
        let plain = match header.packing {
            Packing::Plain => whole,
            _ => qipc::decompress(&whole, &limits).map_err(|e| e.to_string())?,
        };
        let body = match header.endian {
            qipc::Endian::Little => plain.slice(HEADER..),
            qipc::Endian::Big => {
                match qipc::Message::parse(plain, &limits).map_err(|e| e.to_string())?.body {
                    qipc::Body::Object(object) => object.0,
                    qipc::Body::Error(text) => {
                        qlang::ops::files::ipc::error_body(&String::from_utf8_lossy(&text)).into()
                    }
                }
            }
        };
        Ok(Some(Message { kind, body }))
    }

    /// Queues a message of q's protocol, compressed where kdb+ would.
    pub(crate) fn queue_message(&mut self, kind: Kind, body: &[u8]) -> io::Result<()> {
        let ty = match kind {
            Kind::Async => MessageType::Async,
            Kind::Sync => MessageType::Sync,
            Kind::Response => MessageType::Response,
        };
        let length = (body.len() + HEADER) as u64;
        if qipc::check_message_len(length, self.capability).is_err() {
            return Err(io::Error::other("limit"));
        }
        let mut message = Vec::with_capacity(body.len() + HEADER);
        message.extend_from_slice(&qipc::header(ty, body.len() as u64));
        message.extend_from_slice(body);
        // A compressed error is not seen as one by some clients.
        let may_pack = self.capability > 0 && !self.is_local && body.first() != Some(&0x80);
        let packed = if may_pack { qipc::compress(&message) } else { None };
        self.queue(packed.unwrap_or_else(|| message.into()))
    }

    /// Queues bytes and sends what goes out at once.
    pub(crate) fn queue(&mut self, bytes: Bytes) -> io::Result<()> {
        self.queued += bytes.len() as u64;
        if self.queued > MOST_QUEUED {
            return Err(io::Error::other("the peer does not read what it is sent"));
        }
        self.output.push_back(bytes);
        self.drain()
    }

    /// Sends what goes out without waiting.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        while let Some(first) = self.output.front() {
            match self.stream.write(&first[self.sent..]) {
                Ok(n) => {
                    self.sent += n;
                    self.queued -= n as u64;
                    if self.sent >= first.len() {
                        self.output.pop_front();
                        self.sent = 0;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// True while something waits to be sent.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Bytes of each message that waits.
    pub(crate) fn waiting(&self) -> Vec<u64> {
        let sent = std::iter::once(self.sent).chain(std::iter::repeat(0));
        self.output.iter().zip(sent).map(|(m, sent)| (m.len() - sent) as u64).collect()
    }
}

fn header(input: &[u8]) -> Option<Result<Header, String>> {
    let bytes: &[u8; HEADER] = input.get(..HEADER)?.try_into().ok()?;
    Some(Header::parse(bytes, &Limits::client()).map_err(|e| e.to_string()))
}
