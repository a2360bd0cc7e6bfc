//! The eight bytes before every object, and a message as it was received.

use bytes::{BufMut, Bytes, BytesMut};
use kvalue::Value;

use crate::{DecodeError, Limits, QError, Raw, parse::ERROR, parse::Endian};

/// Bytes of a message header.
pub const HEADER_LEN: usize = 8;

/// The longest message the 40-bit length can say (KX's "1TB limit").
pub const MAX_WIRE_LEN: u64 = (1 << 40) - 1;

/// What a message wants of its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum MessageType {
    /// No answer.
    Async = 0,
    /// One answer, in the order of the requests on the connection.
    Sync = 1,
    /// The answer.
    Response = 2,
}

impl MessageType {
    /// The type of this byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => MessageType::Async,
            1 => MessageType::Sync,
            2 => MessageType::Response,
            _ => return None,
        })
    }
}

/// How a message's body is packed: the third byte of its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// The object as it is.
    Plain,
    /// Compressed; the unpacked length has four bytes.
    Compressed,
    /// Compressed; the unpacked length has eight bytes.
    CompressedLarge,
}

/// A header taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Byte order of header and body.
    pub endian: Endian,
    /// Kind of message.
    pub ty: MessageType,
    /// How the body is packed.
    pub packing: Packing,
    /// Bytes of the whole message, these eight included.
    pub length: u64,
}

impl Header {
    /// Takes a header apart. An error where a byte cannot be, or the length is too short or over
    /// [`Limits::max_message`].
    pub fn parse(bytes: &[u8; HEADER_LEN], limits: &Limits) -> Result<Header, DecodeError> {
        let bad = |offset: usize, expected| DecodeError::BadMessage { offset, byte: bytes[offset], expected };
        let [_, _, _, high, len @ ..] = *bytes;
        let (endian, low) = match bytes[0] {
            0 => (Endian::Big, u32::from_be_bytes(len)),
            1 => (Endian::Little, u32::from_le_bytes(len)),
            _ => return Err(bad(0, "a message's byte order (0 or 1)")),
        };
        let ty = MessageType::from_byte(bytes[1]).ok_or(bad(1, "a message type (0, 1 or 2)"))?;
        let (packing, least) = match bytes[2] {
            0 => (Packing::Plain, 10),
            1 => (Packing::Compressed, 13),
            2 => (Packing::CompressedLarge, 17),
            _ => return Err(bad(2, "a packing (0 plain, 1 or 2 compressed)")),
        };
        let length = u64::from(high) << 32 | u64::from(low);
        if length < least {
            return Err(DecodeError::TooShort { length, least });
        }
        if length > limits.max_message {
            return Err(DecodeError::TooLarge { length, limit: limits.max_message });
        }
        Ok(Header { endian, ty, packing, length })
    }

    /// The header's bytes.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let packing = match self.packing {
            Packing::Plain => 0,
            Packing::Compressed => 1,
            Packing::CompressedLarge => 2,
        };
        let low = self.length as u32;
        let (order, [a, b, c, d]) = match self.endian {
            Endian::Little => (1, low.to_le_bytes()),
            Endian::Big => (0, low.to_be_bytes()),
        };
        [order, self.ty as u8, packing, (self.length >> 32) as u8, a, b, c, d]
    }
}

/// Header of a plain little-endian message whose object has this many bytes. The length field has 40 bits:
/// objects over [`MAX_WIRE_LEN`] − 8 have no header.
pub fn header(ty: MessageType, object_len: u64) -> [u8; HEADER_LEN] {
    let length = object_len + HEADER_LEN as u64;
    Header { endian: Endian::Little, ty, packing: Packing::Plain, length }.to_bytes()
}

/// A complete error response. The text is cut at the first NUL.
pub fn error_message(text: &str) -> Bytes {
    let text = text.split('\0').next().unwrap_or_default();
    let mut out = BytesMut::with_capacity(HEADER_LEN + text.len() + 2);
    out.put_slice(&header(MessageType::Response, text.len() as u64 + 2));
    out.put_u8(ERROR);
    out.put_slice(text.as_bytes());
    out.put_u8(0);
    out.freeze()
}

/// One received message, little-endian and decompressed.
#[derive(Debug, Clone)]
pub struct Message {
    /// Kind of message.
    pub ty: MessageType,
    /// What it carries.
    pub body: Body,
}

/// What a message carries.
#[derive(Debug, Clone)]
pub enum Body {
    /// An object, not yet looked at beyond its first byte.
    Object(Raw),
    /// The text of an error, without quote and NUL. Only in responses.
    Error(Bytes),
}

impl Message {
    /// A message from its plain, little-endian object.
    pub fn new(ty: MessageType, object: Bytes) -> Result<Message, DecodeError> {
        if object.first() != Some(&ERROR) {
            return Ok(Message { ty, body: Body::Object(Raw(object)) });
        }
        if ty != MessageType::Response {
            return Err(DecodeError::ErrorObject { offset: 0 });
        }
        match kvalue::nul::find(&object) {
            Some(end) if end + 1 == object.len() => {
                Ok(Message { ty, body: Body::Error(object.slice(1..end)) })
            }
            Some(end) => Err(DecodeError::Trailing { end: end + 1, len: object.len() }),
            None => Err(DecodeError::Truncated {
                what: "an error's text",
                offset: 1,
                needed: object.len() as u64,
                left: object.len() - 1,
            }),
        }
    }

    /// A message from all its bytes, of either byte order, compressed or not.
    pub fn parse(message: Bytes, limits: &Limits) -> Result<Message, DecodeError> {
        let truncated =
            |what, needed| DecodeError::Truncated { what, offset: 0, needed, left: message.len() };
        let head = message.first_chunk().ok_or(truncated("a message header", HEADER_LEN as u64))?;
        let head = Header::parse(head, limits)?;
        match head.length {
            n if n > message.len() as u64 => return Err(truncated("a message", n)),
            n if n < message.len() as u64 => {
                return Err(DecodeError::Trailing { end: n as usize, len: message.len() });
            }
            _ => {}
        }
        let plain = match head.packing {
            Packing::Plain => message,
            Packing::Compressed | Packing::CompressedLarge => crate::decompress(&message, limits)?,
        };
        Message::of_object(head, plain.slice(HEADER_LEN..), limits)
    }

    /// A message from its header and its plain object in the header's byte order.
    pub(crate) fn of_object(head: Header, object: Bytes, limits: &Limits) -> Result<Message, DecodeError> {
        // An error's text has no byte order.
        let object = match head.endian {
            Endian::Big if object.first() != Some(&ERROR) => crate::scan::to_little_endian(&object, limits)?,
            _ => object,
        };
        Message::new(head.ty, object)
    }

    /// The value, or the error the peer sent instead.
    pub fn decode(&self, limits: &Limits) -> Result<Result<Value, QError>, DecodeError> {
        match &self.body {
            Body::Object(raw) => raw.decode(limits).map(Ok),
            Body::Error(text) => Ok(Err(QError(text.clone()))),
        }
    }
}
