//! Messages from a socket.
//!
//! Small messages are slices of a shared read buffer, many of them per system call. A large one is read
//! straight into space of its own. Unpacking and turning around large bodies is done off the reactor.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::{io::AsyncReadExt, net::tcp::OwnedReadHalf, task::JoinHandle};

use super::{
    connection::Shared,
    quickack::Quickack,
    read_buffer::{ReadBuffer, Spare},
};
use crate::{
    DecodeError, Endian, Limits, Message, MessageType, Packing,
    message::{HEADER_LEN, Header},
};

/// Size of the shared read buffer.
const READ_BUFFER: usize = 64 << 10;
/// Messages longer than this have a buffer of their own.
const OWN_BUFFER_FROM: u64 = 32 << 10;
/// Bodies longer than this are unpacked and turned around on another thread.
const UNPACK_HERE: u64 = 64 << 10;

/// Why no message could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A header that cannot be, or a length over the limit: where the next message begins is not known.
    #[error("bad message header: {0}")]
    Header(DecodeError),
    /// A body that does not unpack or convert. The next message can be read.
    #[error("bad message body: {source}")]
    Body {
        /// Kind of the message: a sync one still waits for its answer.
        ty: MessageType,
        /// What is wrong.
        source: DecodeError,
    },
    /// The peer left inside a message.
    #[error("the peer left after {got} of {needed} bytes of a message")]
    Truncated {
        /// Bytes that came.
        got: u64,
        /// Bytes the header says; 8 where it did not come whole.
        needed: u64,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// True where nothing more can be read from this connection.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, ReadError::Body { .. })
    }
}

/// The receiving half of a connection.
pub struct Reader {
    half: OwnedReadHalf,
    buffer: BytesMut,
    large: Option<Large>,
    unpacking: Option<Unpacking>,
    limits: Limits,
    /// Nothing more comes: the peer has closed, or an error left the stream out of step.
    ended: bool,
    received: u64,
    spare: Spare,
    quickack: Quickack,
    _shared: Shared,
}

/// A message that is being read into its own buffer.
struct Large {
    head: Header,
    space: ReadBuffer,
}

struct Unpacking {
    ty: MessageType,
    job: JoinHandle<Result<Message, DecodeError>>,
}

impl Reader {
    pub(super) fn new(half: OwnedReadHalf, first: BytesMut, limits: Limits, shared: Shared) -> Self {
        Reader {
            half,
            buffer: first,
            large: None,
            unpacking: None,
            limits,
            ended: false,
            received: 0,
            spare: Spare::default(),
            quickack: Quickack::default(),
            _shared: shared,
        }
    }

    /// Bytes received so far, incomplete messages included: a peer in the middle of a long message is alive.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Sets limits from the next message on: an authenticated peer may send more.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Delays TCP acknowledgements from now on: see `net/quickack.rs`.
    pub fn delay_acks(&mut self) {
        self.quickack.later();
    }

    /// Keeps the memory of dropped large messages for later messages, within bounds. For authenticated peers; the
    /// caller calls [`Self::let_go`] now and then.
    pub fn keep_memory(&mut self) {
        self.spare.keep();
    }

    /// Frees the memory that is kept if no message needed it since the last call.
    pub fn let_go(&mut self) {
        self.spare.let_go();
    }

    /// The next message, decompressed and little-endian; `None` once the peer has closed between messages.
    ///
    /// Can be dropped at any await: nothing that came is lost. After a fatal error it gives `None`.
    pub async fn next(&mut self) -> Result<Option<Message>, ReadError> {
        let out = self.advance().await;
        if !matches!(&out, Ok(Some(_)) | Err(ReadError::Body { .. })) {
            self.ended = true;
        }
        out
    }

    /// The next message if received whole and plain, without a wait: for callers that poll other sources only before a
    /// wait. After `None` call [`Self::next`].
    pub fn next_buffered(&mut self) -> Option<Result<Message, ReadError>> {
        if self.ended || self.large.is_some() || self.unpacking.is_some() {
            return None;
        }
        let head = Header::parse(self.buffer.first_chunk()?, &self.limits).ok()?;
        let plain = matches!((head.packing, head.endian), (Packing::Plain, Endian::Little));
        if !plain || (self.buffer.len() as u64) < head.length {
            return None;
        }
        let object = self.buffer.split_to(head.length as usize).split_off(HEADER_LEN).freeze();
        Some(Message::new(head.ty, object).map_err(|source| ReadError::Body { ty: head.ty, source }))
    }

    async fn advance(&mut self) -> Result<Option<Message>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        loop {
            if let Some(unpacking) = &mut self.unpacking {
                let (ty, out) = (unpacking.ty, (&mut unpacking.job).await);
                self.unpacking = None;
                let out = out.map_err(io::Error::other)?;
                return out.map(Some).map_err(|source| ReadError::Body { ty, source });
            }
            if let Some((head, bytes)) = self.read_large().await? {
                if let Some(message) = self.finish(head, bytes)? {
                    return Ok(Some(message));
                }
                continue;
            }
            let Some(head) = self.buffer.first_chunk::<HEADER_LEN>() else {
                if !self.fill(HEADER_LEN).await? {
                    return match self.buffer.len() {
                        0 => Ok(None),
                        got => Err(ReadError::Truncated { got: got as u64, needed: HEADER_LEN as u64 }),
                    };
                }
                continue;
            };
            let head = Header::parse(head, &self.limits).map_err(ReadError::Header)?;
            if (self.buffer.len() as u64) < head.length {
                if head.length > OWN_BUFFER_FROM {
                    let space = ReadBuffer::new(head.length as usize, &self.buffer, &self.spare);
                    self.buffer.clear();
                    self.large = Some(Large { head, space });
                } else if !self.fill(head.length as usize).await? {
                    return Err(ReadError::Truncated { got: self.buffer.len() as u64, needed: head.length });
                }
                continue;
            }
            let bytes = self.buffer.split_to(head.length as usize).freeze();
            if let Some(message) = self.finish(head, bytes)? {
                return Ok(Some(message));
            }
        }
    }

    /// Reads what is there into the shared buffer, making room for a message of `whole` bytes. False at the
    /// end of the stream.
    async fn fill(&mut self, whole: usize) -> io::Result<bool> {
        let needed = whole.saturating_sub(self.buffer.len()).max(READ_BUFFER / 8);
        if self.buffer.capacity() - self.buffer.len() < needed {
            self.buffer.reserve(READ_BUFFER.max(needed));
        }
        let n = self.half.read_buf(&mut self.buffer).await?;
        self.received += n as u64;
        self.quickack.read(&self.half);
        Ok(n > 0)
    }

    /// Reads the rest of the large message that has begun; `None` where none has.
    async fn read_large(&mut self) -> Result<Option<(Header, Bytes)>, ReadError> {
        while let Some(Large { head, space }) = &mut self.large {
            if space.is_full() {
                break;
            }
            if space.read(&mut self.half).await? == 0 {
                return Err(ReadError::Truncated { got: space.filled() as u64, needed: head.length });
            }
        }
        Ok(self.large.take().map(|large| (large.head, large.space.into_bytes())))
    }

    /// The message of these bytes, or `None` where another thread has to prepare it first.
    fn finish(&mut self, head: Header, bytes: Bytes) -> Result<Option<Message>, ReadError> {
        let ty = head.ty;
        let ready = match (head.packing, head.endian) {
            (Packing::Plain, Endian::Little) => Message::new(ty, bytes.slice(HEADER_LEN..)),
            (Packing::Plain, _) if head.length <= UNPACK_HERE => Message::parse(bytes, &self.limits),
            // A compressed body stands for up to 129 times its length.
            (_, _) if head.length <= UNPACK_HERE / 128 => Message::parse(bytes, &self.limits),
            _ => {
                let limits = self.limits.clone();
                let job = tokio::task::spawn_blocking(move || Message::parse(bytes, &limits));
                self.unpacking = Some(Unpacking { ty, job });
                return Ok(None);
            }
        };
        ready.map(Some).map_err(|source| ReadError::Body { ty, source })
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader({} bytes buffered)", self.buffer.len())
    }
}
