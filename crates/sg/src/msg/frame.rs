//! A message as a frame of segments, and back as a list of undecoded fields.

use std::cell::Cell;

use bytes::Bytes;
use qipc::{Frame, Limits, MessageType, Raw};

use super::{fastpath, field::Field};

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

/// A message on its way out.
pub enum Encoded<'a> {
    /// all of it, to be copied
    Small(&'a [u8]),
    /// with large parts, which are shared
    Large(Frame),
}

/// Collects fields; large payloads become segments of their own.
pub(super) struct Builder {
    done: Vec<Bytes>,
    current: Vec<u8>,
    /// where in `current` of the first segment the item count stands
    items: u32,
}

thread_local! {
    /// The buffer of the last message that was written here: the next one is written into it.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer that grew beyond this is not kept.
const KEEP: usize = 64 << 10;

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        let mut current = SCRATCH.take();
        current.clear();
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
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
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
            self.done.push(Bytes::copy_from_slice(&self.current));
            self.current.clear();
        }
        self.done.push(bytes.clone());
    }

    /// Gives the message to `to`.
    pub(super) fn finish<R>(mut self, to: impl FnOnce(Encoded<'_>) -> R) -> R {
        let rest: usize = self.done.iter().skip(1).map(Bytes::len).sum();
        let Some(first) = self.done.first_mut() else {
            head(&mut self.current, 0, self.items);
            let out = to(Encoded::Small(&self.current));
            if self.current.capacity() <= KEEP {
                SCRATCH.set(self.current);
            }
            return out;
        };
        // The buffer has one owner, so taking the buffer back does not copy.
        let mut begin = Vec::from(std::mem::take(first));
        head(&mut begin, rest + self.current.len(), self.items);
        *first = begin.into();
        if !self.current.is_empty() {
            self.done.push(self.current.into());
        }
        to(Encoded::Large(Frame(self.done)))
    }
}

/// Fills in the headers of a message that begins with `begin`, when all that follows is known.
fn head(begin: &mut [u8], rest: usize, items: u32) {
    let object = (begin.len() - 8 + rest) as u64;
    begin[..8].copy_from_slice(&qipc::header(MessageType::Async, object));
    begin[8..HEAD].copy_from_slice(&qipc::list_header(items));
}

/// Message header and list header.
const HEAD: usize = 8 + 6;

/// One object inside of a message, where it lies: most are read there, and only what is kept undecoded is shared.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    whole: &'a Bytes,
    start: usize,
    end: usize,
}

impl<'a> Object<'a> {
    /// Its bytes.
    pub(super) fn bytes(self) -> &'a [u8] {
        &self.whole[self.start..self.end]
    }

    /// Where it begins in the message.
    pub(super) fn start(self) -> usize {
        self.start
    }

    /// A share of the buffer, for longer than the message lives.
    pub(super) fn shared(self) -> Bytes {
        self.whole.slice(self.start..self.end)
    }
}

/// The fields of a received message, undecoded.
pub(super) enum Fields {
    /// one after the other in the message's bytes: `left` more, the next one at `at`. Where they are `open`, other
    /// bytes may follow the last
    InPlace { object: Bytes, at: usize, left: u32, open: bool },
    /// of a message whose items are all symbols, which q makes a vector
    Items(std::vec::IntoIter<Bytes>),
}

const LIST: u8 = 0;
/// Attribute bit of a list whose count takes 8 bytes.
const LARGE_COUNT: u8 = 0x80;

impl Fields {
    /// The message's name and its fields.
    pub(super) fn open(object: &Raw) -> Result<(Bytes, Fields), MsgError> {
        let mut fields = match object.0.first_chunk::<6>() {
            Some([LIST, attr, count @ ..]) if attr & LARGE_COUNT == 0 => {
                let left = u32::from_le_bytes(*count);
                Fields::InPlace { object: object.0.clone(), at: 6, left, open: false }
            }
            _ => {
                let items = qipc::list_items(&object.0, &Limits::internal());
                Fields::Items(items.map_err(|_| MsgError::NotAMessage)?.into_iter())
            }
        };
        let name = fields.next(false, |object| match object.bytes() {
            [0xf5, _, .., 0] | [0xf5, 0] => Some(object.whole.slice(object.start + 1..object.end - 1)),
            _ => None,
        });
        match name {
            Ok(Some(Some(name))) => Ok((name, fields)),
            _ => Err(MsgError::NotAMessage),
        }
    }

    /// The items of a list that is a field itself, and begins where `rest` does; it may end there or not.
    pub(super) fn list(rest: Object<'_>) -> Result<Fields, String> {
        match rest.bytes().first_chunk::<6>() {
            Some([LIST, attr, count @ ..]) if attr & LARGE_COUNT == 0 => {
                let left = u32::from_le_bytes(*count);
                Ok(Fields::InPlace { object: rest.whole.clone(), at: rest.start + 6, left, open: true })
            }
            _ => Err("not a list".into()),
        }
    }

    /// Where the last of them ends, known here or not.
    pub(super) fn end(mut self, name: &'static str) -> Result<usize, MsgError> {
        let odd = |why| MsgError::Field { name, field: "after the last known", why };
        while self.next(false, |_| ()).map_err(odd)?.is_some() {}
        match self {
            Fields::InPlace { at, .. } => Ok(at),
            Fields::Items(_) => Ok(0),
        }
    }

    /// True behind the last one.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Fields::InPlace { left, .. } => *left == 0,
            Fields::Items(items) => items.len() == 0,
        }
    }

    pub(super) fn take<F: Field>(&mut self, name: &'static str, field: &'static str) -> Result<F, MsgError> {
        let damaged = |why| MsgError::Field { name, field, why };
        if let Fields::InPlace { object, at, left, .. } = self
            && *left > 0
            && let Some((read, len)) = F::quick(Object { whole: object, start: *at, end: object.len() })
        {
            (*at, *left) = (*at + len, *left - 1);
            return Ok(read);
        }
        let read = self.next(F::OPAQUE, F::get).map_err(damaged)?;
        read.ok_or(MsgError::Missing { name, field })?.map_err(damaged)
    }

    /// Every byte of the message belongs to one of its items, known here or not.
    pub(super) fn finish(mut self, name: &'static str) -> Result<(), MsgError> {
        let odd = |why| MsgError::Field { name, field: "after the last known", why };
        while self.next(false, |_| ()).map_err(odd)?.is_some() {}
        match self {
            Fields::InPlace { object, at, .. } if at < object.len() => {
                Err(odd(format!("{} bytes follow the message", object.len() - at)))
            }
            _ => Ok(()),
        }
    }

    /// What `read` makes of the next item; `None` behind the last one. The error says why it is no object, which is
    /// not looked at where it is `opaque` and the last.
    fn next<T>(&mut self, opaque: bool, read: impl FnOnce(Object<'_>) -> T) -> Result<Option<T>, String> {
        match self {
            Fields::InPlace { left: 0, .. } => Ok(None),
            Fields::InPlace { object, at, left, open } => {
                let rest = &object[*at..];
                let len = if opaque && *left == 1 && !*open && !rest.is_empty() {
                    rest.len()
                } else if let Some(len) = fastpath::len(rest) {
                    len
                } else {
                    qipc::object_len(rest, &Limits::internal()).map_err(|e| e.to_string())?
                };
                let item = Object { whole: object, start: *at, end: *at + len };
                let out = read(item);
                (*at, *left) = (*at + len, *left - 1);
                Ok(Some(out))
            }
            Fields::Items(items) => {
                let Some(item) = items.next() else { return Ok(None) };
                Ok(Some(read(Object { whole: &item, start: 0, end: item.len() })))
            }
        }
    }
}
