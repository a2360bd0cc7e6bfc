//! Messages to a socket.
//!
//! Header and body leave in one system call wherever the socket takes them: PyKX gives a connection up whose
//! header comes in two segments. Small frames are joined, large ones written from where they lie.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    time::Duration,
};

use bytes::Bytes;
use kvalue::Value;
use tokio::{io::AsyncWriteExt, net::tcp::OwnedWriteHalf};

use super::connection::Shared;
use crate::{Frame, MessageType, check_capability, check_message_len};

/// Up to this many bytes, frames are joined into one buffer and written at once.
const JOIN_UP_TO: usize = 16 << 10;
/// Most segments in one system call.
const MOST_SEGMENTS: usize = 64;
/// Most bytes in one system call, so that none holds the reactor for long.
const MOST_PER_WRITE: usize = 1 << 20;

/// The sending half of a connection. Dropping it closes this direction.
pub struct Writer {
    half: OwnedWriteHalf,
    capability: u8,
    stall: Duration,
    joined: Vec<u8>,
    /// A send was dropped or failed half way: what follows would be read as the rest of it.
    cut: bool,
    _shared: Shared,
}

impl Writer {
    pub(super) fn new(half: OwnedWriteHalf, capability: u8, stall: Duration, shared: Shared) -> Self {
        Writer { half, capability, stall, joined: Vec::new(), cut: false, _shared: shared }
    }

    /// The protocol version that both ends speak.
    pub fn capability(&self) -> u8 {
        self.capability
    }

    /// The other end.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.half.peer_addr().map(super::connection::plain)
    }

    /// Our end.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.half.local_addr()
    }

    /// Writes one frame.
    ///
    /// A frame may also be a part of a message: the caller can write a header for a length and then that many
    /// bytes over several calls. Dropping the future before its end leaves the connection unusable: later
    /// sends give an error.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] where the peer has read nothing for [`crate::Limits::write_stall`].
    pub async fn send(&mut self, frame: Frame) -> io::Result<()> {
        self.send_segments(&frame.0).await
    }

    /// Writes as much of a small frame as the socket takes at once, and gives the rest of it, which must be sent before
    /// anything else. A frame that is not small is given back as it is.
    pub fn send_now(&mut self, frame: Frame) -> io::Result<Option<Frame>> {
        let len = frame.len();
        if len > JOIN_UP_TO || self.cut {
            return Ok(Some(frame));
        }
        let one = match &frame.0[..] {
            [one] => &one[..],
            several => {
                self.joined.clear();
                several.iter().for_each(|segment| self.joined.extend_from_slice(segment));
                &self.joined[..]
            }
        };
        Ok(match self.write_now(one)? {
            0 => Some(frame),
            n if n == len => None,
            n => Some(Frame(vec![Bytes::copy_from_slice(&one[n..])])),
        })
    }

    /// Writes as much of a small message as the socket takes at once; the rest must be sent before anything else. Gives
    /// the number of bytes written, 0 also where the message is not small.
    pub fn write_now(&self, message: &[u8]) -> io::Result<usize> {
        if message.len() > JOIN_UP_TO || self.cut {
            return Ok(0);
        }
        match self.half.try_write(message) {
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
            outcome => outcome,
        }
    }

    /// Writes several frames, in as few system calls as they need.
    pub async fn send_many(&mut self, frames: &[Frame]) -> io::Result<()> {
        if let [one] = frames
            && let [_] = &one.0[..]
        {
            return self.send_segments(&one.0).await;
        }
        if frames.iter().map(Frame::len).sum::<usize>() <= JOIN_UP_TO {
            let segments = frames.iter().flat_map(|f| &f.0);
            return self.send_joined(segments).await;
        }
        // Large segments among small ones: joining the small ones in between would copy for nothing.
        let all: Vec<Bytes> = frames.iter().flat_map(|f| f.0.iter().cloned()).collect();
        self.send_segments(&all).await
    }

    /// Writes the message of a value. An error, with nothing written, where the peer's protocol version
    /// cannot carry it.
    pub async fn send_message(&mut self, ty: MessageType, value: &Value) -> io::Result<()> {
        let unfit = |e| io::Error::new(io::ErrorKind::InvalidInput, e);
        check_capability(value, self.capability).map_err(unfit)?;
        let frame = Frame::of_value(ty, value).map_err(unfit)?;
        check_message_len(frame.len() as u64, self.capability).map_err(unfit)?;
        self.send(frame).await
    }

    /// Does nothing: nothing is held back.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.half.flush().await
    }

    /// Closes this direction: the peer sees the end of the stream.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.half.shutdown().await
    }

    async fn send_segments(&mut self, segments: &[Bytes]) -> io::Result<()> {
        if segments.len() > 1 && segments.iter().map(Bytes::len).sum::<usize>() <= JOIN_UP_TO {
            return self.send_joined(segments.iter()).await;
        }
        self.begin()?;
        let mut queue = Queue { segments, offset: 0 };
        while !queue.skip_empty() {
            let mut slices = [IoSlice::new(&[]); MOST_SEGMENTS];
            let n = queue.slices(&mut slices);
            let written = match &slices[..n] {
                // The call for one segment is the cheaper one.
                [one] => self.half.try_write(one),
                several => self.half.try_write_vectored(several),
            };
            match written {
                Ok(written) => {
                    queue.advance(written);
                    tokio::task::consume_budget().await;
                }
                Err(e) => self.wait(e).await?,
            }
        }
        self.cut = false;
        Ok(())
    }

    async fn send_joined<'a>(&mut self, segments: impl Iterator<Item = &'a Bytes>) -> io::Result<()> {
        self.begin()?;
        self.joined.clear();
        for segment in segments {
            self.joined.extend_from_slice(segment);
        }
        let mut written = 0;
        while written < self.joined.len() {
            match self.half.try_write(&self.joined[written..]) {
                Ok(n) => written += n,
                Err(e) => self.wait(e).await?,
            }
        }
        self.cut = false;
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.cut, true) {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "an earlier message was cut half way; open a new connection",
            ));
        }
        Ok(())
    }

    /// After a write that could not go on: waits for room, or gives the error back.
    async fn wait(&mut self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock => match tokio::time::timeout(self.stall, self.half.writable()).await {
                Ok(ready) => ready,
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("the peer has read nothing for write_stall = {:?}", self.stall),
                )),
            },
            _ => Err(error),
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer(capability {})", self.capability)
    }
}

/// Segments that are not written yet: the first one from `offset` on.
struct Queue<'a> {
    segments: &'a [Bytes],
    offset: usize,
}

impl<'a> Queue<'a> {
    /// Steps over what is done; true where nothing is left.
    fn skip_empty(&mut self) -> bool {
        while let [first, rest @ ..] = self.segments {
            if self.offset < first.len() {
                return false;
            }
            (self.segments, self.offset) = (rest, 0);
        }
        true
    }

    /// The next bytes, as many as one system call takes; gives the number of slices.
    fn slices(&self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut n, mut room, mut offset) = (0, MOST_PER_WRITE, self.offset);
        for (segment, slot) in self.segments.iter().zip(slices) {
            let bytes = &segment[offset..];
            let bytes = &bytes[..bytes.len().min(room)];
            *slot = IoSlice::new(bytes);
            (n, room, offset) = (n + 1, room - bytes.len(), 0);
            if room == 0 {
                break;
            }
        }
        n
    }

    fn advance(&mut self, mut written: usize) {
        while let [first, rest @ ..] = self.segments {
            let left = first.len() - self.offset;
            if written < left {
                self.offset += written;
                return;
            }
            written -= left;
            (self.segments, self.offset) = (rest, 0);
        }
    }
}
