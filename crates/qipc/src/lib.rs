//! The q wire protocol: a sans-io codec and, in [`net`], an async client and server.
//!
//! | module | what |
//! | --- | --- |
//! | [`limits`] | what a peer may make us do |
//! | [`error`] | what can be wrong with bytes and values |
//! | `parse` | the grammar of an object, once, for all who walk it |
//! | `decode`, `encode` | bytes to values and back; bulk data is shared, not copied |
//! | `scan` | objects looked at without being decoded |
//! | [`message`] | the header, and a message as it was received |
//! | `compress`, `stream_compress` | kdb+'s own compression: of a message, of its parts in different places |
//! | `frame` | an outgoing message as segments |
//! | [`net`] | handshake, reader, writer, pipelined client, listener |
//!
//! How the parts are meant to be used:
//! * A message that is only passed on stays [`Raw`]: [`list_items`] and [`table_view`] cut it into byte ranges,
//!   [`frame_of`] puts ranges together again, and nothing large is copied on the way.
//! * [`net::Reader`] checks headers, not plain little-endian bodies: those are checked by whoever looks inside.
//! * An error for a body ([`net::ReadError::Body`]) leaves the connection in step; all others end it.
//! * What an old peer cannot read is found by [`check_capability`] and [`check_message_len`];
//!   [`net::Writer::send_message`] and [`net::Client`] call them, [`net::Writer::send`] takes frames as they are.
//!
//! Objects are kept little-endian: big-endian ones are converted as they come in. Facts about the wire are
//! from `qipc-spec.md`, checked against messages that KX's C API re-encodes byte for byte
//! (`tests/data/qipc-vectors.json`).
#![forbid(unsafe_code)]

pub mod error;
pub mod limits;
pub mod message;
mod parse;

#[cfg(feature = "net")]
pub mod net;

mod compress;
mod decode;
mod encode;
mod frame;
mod raw;
mod scan;
mod stream_compress;

pub use compress::{compress, decompress, decompress_body};
pub use decode::{decode, decode_as, named_values};
pub use encode::{
    check_capability, check_message_len, encode, encode_into, encode_message, encoded_len, list_header,
};
pub use error::{DecodeError, EncodeError, QError};
pub use frame::{Frame, frame_of};
pub use limits::Limits;
pub use message::{Body, Header, Message, MessageType, Packing, error_message, header};
pub use parse::Endian;
pub use raw::Raw;
pub use scan::{ColumnView, NamedItem, TableView, list_items, named_items, object_len, table_view};
pub use stream_compress::{Packer, packed_head};
