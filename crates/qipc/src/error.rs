//! What can be wrong with bytes that come in ([`DecodeError`]), values that go out ([`EncodeError`]) and what
//! the other side says ([`QError`]).

use bytes::Bytes;
use kvalue::ShapeError;

/// Bytes that are no q object, or more of one than the limits allow.
///
/// Offsets count from the start of the bytes that were handed to the decoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A byte that cannot stand where it stands.
    #[error("badmsg: byte 0x{byte:02x} at offset {offset} where {expected} is needed")]
    BadMessage {
        /// Where the byte is.
        offset: usize,
        /// The byte.
        byte: u8,
        /// What could stand there.
        expected: &'static str,
    },
    /// The bytes end inside an object.
    #[error(
        "badmsg: {what} at offset {offset} needs {needed} bytes but {left} are left; was the message cut?"
    )]
    Truncated {
        /// Part of the object that is cut.
        what: &'static str,
        /// Where the part begins.
        offset: usize,
        /// Bytes it needs at least.
        needed: u64,
        /// Bytes there are.
        left: usize,
    },
    /// Bytes after the end of the object.
    #[error(
        "badmsg: the object ends at offset {end} but the message has {len} bytes; its length field or a count is wrong"
    )]
    Trailing {
        /// Where the object ends.
        end: usize,
        /// Bytes there are.
        len: usize,
    },
    /// Parts that must be equally long are not.
    #[error("badmsg: {what} at offset {offset} has {got} items where {expected} are needed")]
    Length {
        /// The part.
        what: &'static str,
        /// Where it begins.
        offset: usize,
        /// Items it has.
        got: u64,
        /// Items it should have.
        expected: u64,
    },
    /// Nested deeper than [`crate::Limits::max_depth`].
    #[error("limit: object at offset {offset} is nested deeper than max_depth = {limit}")]
    TooDeep {
        /// Where the object begins.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// More objects than [`crate::Limits::max_objects`].
    #[error(
        "limit: the message has more objects than max_objects = {limit}; send vectors instead of lists of atoms"
    )]
    TooManyObjects {
        /// The limit.
        limit: usize,
    },
    /// Longer than [`crate::Limits::max_message`].
    #[error(
        "limit: a message of {length} bytes is over max_message = {limit}; ask for less at once or raise the limit"
    )]
    TooLarge {
        /// Length the message says, or has after decompression.
        length: u64,
        /// The limit.
        limit: u64,
    },
    /// A message length that cannot be.
    #[error("badmsg: the header says {length} bytes where at least {least} are needed")]
    TooShort {
        /// Length the header says.
        length: u64,
        /// Least length of such a message.
        least: u64,
    },
    /// A compressed body that does not unpack.
    #[error("badmsg: compressed data at offset {offset}: {what}")]
    Compression {
        /// Where in the compressed message.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// An error object (type −128) where a value is needed.
    #[error("badmsg: an error object at offset {offset}; errors travel only as the whole body of a response")]
    ErrorObject {
        /// Where it begins.
        offset: usize,
    },
    /// Parts that do not make a value.
    #[error("badmsg: {0}")]
    Shape(#[from] ShapeError),
}

/// A value that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A type the peer's protocol version does not have.
    #[error("type: a {ty} cannot be sent to a peer of capability {capability}; it needs {needed} or more")]
    Capability {
        /// The type.
        ty: &'static str,
        /// What was negotiated.
        capability: u8,
        /// What the type needs.
        needed: u8,
    },
    /// Longer than the peer's protocol version, or the wire, allows.
    #[error("limit: {what} of {length} is over {limit}, the most for a peer of capability {capability}")]
    TooLarge {
        /// What is too long.
        what: &'static str,
        /// Its length, in bytes or items.
        length: u64,
        /// The most there may be.
        limit: u64,
        /// What was negotiated.
        capability: u8,
    },
    /// Nested deeper than any decoder of ours would read.
    #[error("limit: the value is nested deeper than {limit} levels; flatten it before sending")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A function value without bytes, which the codec never makes.
    #[error("type: a function without bytes cannot be sent")]
    EmptyFunction,
}

/// The error a peer answered with: kdb+'s short text, such as `type` or `access`. Bytes of any encoding.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}", String::from_utf8_lossy(.0))]
pub struct QError(pub Bytes);

impl QError {
    /// An error of this text.
    pub fn new(text: &str) -> Self {
        QError(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// The text without the quote, bytes that are no UTF-8 replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl std::fmt::Debug for QError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}
