//! An outgoing message as segments that are never joined.

use bytes::{BufMut, Bytes, BytesMut};
use kvalue::Value;

use crate::{
    EncodeError,
    encode::{Sink, check_len, encoded_len, list_header, put_value},
    message::{HEADER_LEN, MessageType, header},
};

/// From this size on a buffer is a segment of its own; below, copying it costs less than another segment.
const SHARE_FROM: usize = 4096;

/// An outgoing message as segments, written with vectored IO. The first one holds the 8-byte header, at least.
#[derive(Debug, Clone, Default)]
pub struct Frame(pub Vec<Bytes>);

impl Frame {
    /// Bytes in all segments.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// True where there is no byte.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// A message that carries this value. Large vectors are shared, not copied.
    pub fn of_value(ty: MessageType, value: &Value) -> Result<Frame, EncodeError> {
        let len = encoded_len(value);
        check_len(len as u64)?;
        let mut segments = Segments::new(HEADER_LEN + len.min(SHARE_FROM));
        segments.small(&header(ty, len as u64));
        put_value(value, &mut segments, 1)?;
        Ok(segments.finish())
    }

    /// A message that carries this object.
    pub fn of_object(ty: MessageType, object: &Bytes) -> Frame {
        let mut segments = Segments::new(HEADER_LEN + object.len().min(SHARE_FROM));
        segments.small(&header(ty, object.len() as u64));
        segments.shared(object);
        segments.finish()
    }

    /// A response that carries an error.
    pub fn of_error(text: &str) -> Frame {
        Frame(vec![crate::error_message(text)])
    }

    /// All bytes in one buffer. Copies unless there is only one segment.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0[..] {
            [one] => one.clone(),
            all => all.concat().into(),
        }
    }
}

impl From<Bytes> for Frame {
    fn from(message: Bytes) -> Frame {
        Frame(vec![message])
    }
}

/// A message that carries the general list of these objects. Large ones are shared, not copied.
pub fn frame_of(ty: MessageType, items: &[Bytes]) -> Frame {
    let head = list_header(items.len() as u32);
    let len = head.len() + items.iter().map(Bytes::len).sum::<usize>();
    let mut segments = Segments::new(HEADER_LEN + len.min(SHARE_FROM));
    segments.small(&header(ty, len as u64));
    segments.small(&head);
    for item in items {
        segments.shared(item);
    }
    segments.finish()
}

/// Collects segments: small parts are joined, large buffers shared.
struct Segments {
    done: Vec<Bytes>,
    open: BytesMut,
}

impl Segments {
    fn new(capacity: usize) -> Self {
        Segments { done: Vec::new(), open: BytesMut::with_capacity(capacity) }
    }

    fn finish(mut self) -> Frame {
        if !self.open.is_empty() {
            self.done.push(self.open.freeze());
        }
        Frame(self.done)
    }
}

impl Sink for Segments {
    fn small(&mut self, bytes: &[u8]) {
        self.open.put_slice(bytes);
    }

    fn shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE_FROM {
            return self.open.put_slice(bytes);
        }
        if !self.open.is_empty() {
            self.done.push(self.open.split().freeze());
        }
        self.done.push(bytes.clone());
    }
}
