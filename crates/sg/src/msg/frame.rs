//! A message as a frame of segments, and back as a list of undecoded fields.

use bytes::{Bytes, BytesMut};
use qipc::{Frame, Limits, MessageType, Raw};

use super::field::Field;

/// What can be wrong with an internal message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MsgError {
    /// No list that begins with a name.
    #[error("internal message is no list that begins with a symbol")]
    NotAMessage,
    /// A name that no message has.
    #[error("internal message `{name}` is not known here; are both ends of the same version?")]
    Unknown {
        /// the name
        name: String,
    },
    /// A field is missing.
    #[error("internal message `{name}` lacks its field {field}")]
    Missing {
        /// message
        name: &'static str,
        /// field
        field: &'static str,
    },
    /// A field has another type or shape.
    #[error("internal message `{name}`: field {field}: {why}")]
    Field {
        /// message
        name: &'static str,
        /// field
        field: &'static str,
        /// what is wrong with it
        why: String,
    },
}

/// Collects fields; large payloads become segments of their own.
pub(super) struct Builder {
    done: Vec<Bytes>,
    current: BytesMut,
    /// where in `current` of the first segment the item count stands
    items: u32,
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        let mut current = BytesMut::with_capacity(256);
        current.extend_from_slice(&[0; HEAD]);
        current.extend_from_slice(&[0xf5]);
        current.extend_from_slice(name.as_bytes());
        current.extend_from_slice(&[0]);
        Builder { done: Vec::new(), current, items: 1 }
    }

    pub(super) fn field(&mut self, field: &impl Field) {
        self.items += 1;
        field.put(self);
    }

    /// Where small fields write themselves.
    pub(super) fn out(&mut self) -> &mut BytesMut {
        &mut self.current
    }

    /// Adds bytes as a segment of their own where they are worth it.
    pub(super) fn share(&mut self, bytes: &Bytes) {
        const WORTH_A_SEGMENT: usize = 4096;
        if bytes.len() < WORTH_A_SEGMENT {
            self.current.extend_from_slice(bytes);
            return;
        }
        if !self.current.is_empty() {
            self.done.push(std::mem::take(&mut self.current).freeze());
        }
        self.done.push(bytes.clone());
    }

    pub(super) fn finish(mut self) -> Frame {
        let mut head = match self.done.is_empty() {
            true => std::mem::take(&mut self.current),
            // The first segment is ours alone, so taking it back does not copy.
            false => BytesMut::from(std::mem::take(&mut self.done[0])),
        };
        let rest: usize = self.done.iter().map(Bytes::len).sum::<usize>() + self.current.len();
        let object = (head.len() - 8 + rest) as u64;
        head[..8].copy_from_slice(&qipc::header(MessageType::Async, object));
        head[8..HEAD].copy_from_slice(&qipc::list_header(self.items));
        match self.done.first_mut() {
            Some(first) => *first = head.freeze(),
            None => self.done.push(head.freeze()),
        }
        if !self.current.is_empty() {
            self.done.push(self.current.freeze());
        }
        Frame(self.done)
    }
}

/// Message header and list header.
const HEAD: usize = 8 + 6;

/// The fields of a received message, undecoded.
pub(super) struct Fields {
    items: std::vec::IntoIter<Bytes>,
}

impl Fields {
    /// The message's name and its fields.
    pub(super) fn open(object: &Raw) -> Result<(Bytes, Fields), MsgError> {
        let items = qipc::list_items(&object.0, &Limits::internal()).map_err(|_| MsgError::NotAMessage)?;
        let mut items = items.into_iter();
        let name = items.next().ok_or(MsgError::NotAMessage)?;
        match name.first() {
            Some(0xf5) if name.len() >= 2 => Ok((name.slice(1..name.len() - 1), Fields { items })),
            _ => Err(MsgError::NotAMessage),
        }
    }

    pub(super) fn take<F: Field>(&mut self, name: &'static str, field: &'static str) -> Result<F, MsgError> {
        let item = self.items.next().ok_or(MsgError::Missing { name, field })?;
        F::get(item).map_err(|why| MsgError::Field { name, field, why })
    }
}
