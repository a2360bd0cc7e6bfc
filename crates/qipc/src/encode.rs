//! Values to bytes.
//!
//! The length is known before the first byte is written, so a buffer is allocated once; large vectors can
//! also leave as they are, as segments of a [`Frame`](crate::Frame). Enumerated symbols are written as
//! names: enumerations never travel.

use bytes::{BufMut, Bytes, BytesMut};
use kvalue::{Atom, Attr, Type, Value, Vector};

use crate::{
    EncodeError, Limits,
    message::{HEADER_LEN, MAX_WIRE_LEN, MessageType, header},
    parse::{DICT, LARGE_COUNT, LIST, SORTED_DICT, TABLE},
};

/// Twice what any decoder of ours reads, so that whatever was received can be wrapped and sent on.
const DEPTH_CEILING: usize = 2 * Limits::DEPTH_CEILING;

/// The little-endian object of a value, without message header.
pub fn encode(value: &Value) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::with_capacity(encoded_len(value));
    encode_into(value, &mut out)?;
    Ok(out.freeze())
}

/// As [`encode`], appended to `out`.
pub fn encode_into(value: &Value, out: &mut BytesMut) -> Result<(), EncodeError> {
    put_value(value, out, 1)
}

/// A whole message, header and object.
pub fn encode_message(ty: MessageType, value: &Value) -> Result<Bytes, EncodeError> {
    let len = encoded_len(value);
    check_len(len as u64)?;
    let mut out = BytesMut::with_capacity(HEADER_LEN + len);
    out.put_slice(&header(ty, len as u64));
    encode_into(value, &mut out)?;
    Ok(out.freeze())
}

/// Checks that an object of this many bytes fits a message.
pub(crate) fn check_len(object_len: u64) -> Result<(), EncodeError> {
    let (length, limit) = (object_len.saturating_add(HEADER_LEN as u64), MAX_WIRE_LEN);
    if length > limit {
        return Err(EncodeError::TooLarge { what: "a message", length, limit, capability: 6 });
    }
    Ok(())
}

/// Bytes that [`encode`] gives.
pub fn encoded_len(value: &Value) -> usize {
    match value {
        Value::Null => 2,
        Value::Atom(atom) => match (atom, atom.ty().width()) {
            (Atom::Symbol(s), _) => s.as_bytes().len() + 2,
            (_, width) => 1 + width.unwrap_or(1),
        },
        Value::Vector(v) => list_header_len(v.len()) + v.wire_len(),
        Value::List(l) => list_header_len(l.len()) + l.items().iter().map(encoded_len).sum::<usize>(),
        Value::Dict(d) => 1 + encoded_len(d.keys()) + encoded_len(d.values()),
        Value::Table(t) => {
            let names = list_header_len(t.names().len()) + t.names().wire_len();
            let columns = t.columns().iter().map(encoded_len).sum::<usize>();
            3 + names + list_header_len(t.columns().len()) + columns
        }
        Value::Opaque(f) => f.bytes().len(),
    }
}

/// Header of a little-endian general list of `n` items: the list is this and the items' objects.
pub fn list_header(n: u32) -> [u8; 6] {
    let [a, b, c, d] = n.to_le_bytes();
    [LIST, 0, a, b, c, d]
}

fn list_header_len(count: usize) -> usize {
    if u32::try_from(count).is_ok() { 6 } else { 10 }
}

/// Where encoded bytes go: one buffer, or segments that share large vectors.
pub(crate) trait Sink {
    /// A few bytes.
    fn small(&mut self, bytes: &[u8]);
    /// Many bytes, perhaps, in a buffer that can be shared.
    fn shared(&mut self, bytes: &Bytes);
}

impl Sink for BytesMut {
    fn small(&mut self, bytes: &[u8]) {
        self.put_slice(bytes);
    }
    fn shared(&mut self, bytes: &Bytes) {
        self.put_slice(bytes);
    }
}

fn put_list_header(ty: u8, attr: Attr, count: usize, out: &mut impl Sink) {
    match u32::try_from(count) {
        Ok(n) => {
            let [a, b, c, d] = n.to_le_bytes();
            out.small(&[ty, attr.number(), a, b, c, d]);
        }
        Err(_) => {
            out.small(&[ty, attr.number() | LARGE_COUNT]);
            out.small(&(count as u64).to_le_bytes());
        }
    }
}

fn put_vector(vector: &Vector, out: &mut impl Sink) {
    put_list_header(vector.ty().number(), vector.attr(), vector.len(), out);
    match (vector.as_symbols(), vector.as_bytes()) {
        (Some(symbols), _) => out.shared(&symbols.to_wire()),
        (None, Some(bytes)) => out.shared(bytes),
        (None, None) => {}
    }
}

fn put_atom(atom: &Atom, out: &mut impl Sink) {
    let mut buf = [0u8; 17];
    buf[0] = atom.ty().number().wrapping_neg();
    let mut put = |payload: &[u8]| {
        buf[1..=payload.len()].copy_from_slice(payload);
        out.small(&buf[..=payload.len()]);
    };
    match atom {
        Atom::Symbol(s) => {
            out.small(&[Type::Symbol.number().wrapping_neg()]);
            out.small(s.as_bytes());
            out.small(&[0]);
        }
        Atom::Boolean(b) => put(&[u8::from(*b)]),
        Atom::Guid(g) => put(g),
        Atom::Byte(b) | Atom::Char(b) => put(&[*b]),
        Atom::Short(n) => put(&n.to_le_bytes()),
        Atom::Int(n) | Atom::Month(n) | Atom::Date(n) | Atom::Minute(n) | Atom::Second(n) | Atom::Time(n) => {
            put(&n.to_le_bytes())
        }
        Atom::Long(n) | Atom::Timestamp(n) | Atom::Timespan(n) => put(&n.to_le_bytes()),
        Atom::Real(x) => put(&x.to_le_bytes()),
        Atom::Float(x) | Atom::Datetime(x) => put(&x.to_le_bytes()),
    }
}

/// Writes an object. `depth` is 1 for the outermost.
pub(crate) fn put_value(value: &Value, out: &mut impl Sink, depth: usize) -> Result<(), EncodeError> {
    if depth > DEPTH_CEILING {
        return Err(EncodeError::TooDeep { limit: DEPTH_CEILING });
    }
    match value {
        Value::Null => out.small(&[101, 0]),
        Value::Atom(atom) => put_atom(atom, out),
        Value::Vector(vector) => put_vector(vector, out),
        Value::List(list) => {
            put_list_header(LIST, list.attr(), list.len(), out);
            for item in list.items() {
                put_value(item, out, depth + 1)?;
            }
        }
        Value::Dict(dict) => {
            out.small(&[if dict.is_sorted() { SORTED_DICT } else { DICT }]);
            put_value(dict.keys(), out, depth + 1)?;
            put_value(dict.values(), out, depth + 1)?;
        }
        Value::Table(table) => {
            out.small(&[TABLE, table.attr().number(), DICT]);
            put_list_header(Type::Symbol.number(), Attr::None, table.names().len(), out);
            out.shared(&table.names().to_wire());
            put_list_header(LIST, Attr::None, table.columns().len(), out);
            for column in table.columns() {
                put_value(column, out, depth + 1)?;
            }
        }
        Value::Opaque(function) if function.bytes().is_empty() => return Err(EncodeError::EmptyFunction),
        Value::Opaque(function) => out.shared(function.bytes()),
    }
    Ok(())
}

/// Checks that a peer of this capability can read the value: timestamps and timespans need 1, guids 3,
/// vectors of 2^31 items 6.
pub fn check_capability(value: &Value, capability: u8) -> Result<(), EncodeError> {
    if capability >= 6 {
        return Ok(());
    }
    let needs = |ty: Type| match ty {
        Type::Timestamp | Type::Timespan => 1,
        Type::Guid => 3,
        _ => 0,
    };
    let typed = |ty: Type| match needs(ty) {
        needed if needed > capability => Err(EncodeError::Capability { ty: ty.name(), capability, needed }),
        _ => Ok(()),
    };
    let sized = |n: usize| match n as u64 {
        length if length > i32::MAX as u64 => {
            Err(EncodeError::TooLarge { what: "a vector", length, limit: i32::MAX as u64, capability })
        }
        _ => Ok(()),
    };
    match value {
        Value::Null | Value::Opaque(_) => Ok(()),
        Value::Atom(atom) => typed(atom.ty()),
        Value::Vector(vector) => typed(vector.ty()).and_then(|()| sized(vector.len())),
        Value::List(list) => {
            sized(list.len())?;
            list.items().iter().try_for_each(|item| check_capability(item, capability))
        }
        Value::Dict(dict) => {
            check_capability(dict.keys(), capability)?;
            check_capability(dict.values(), capability)
        }
        Value::Table(table) => table.columns().iter().try_for_each(|c| check_capability(c, capability)),
    }
}

/// Checks that a message of this length can go to a peer of this capability: 2^31−1 bytes below 5.
pub fn check_message_len(length: u64, capability: u8) -> Result<(), EncodeError> {
    let limit = if capability >= 5 { MAX_WIRE_LEN } else { i32::MAX as u64 };
    if length > limit {
        return Err(EncodeError::TooLarge { what: "a message", length, limit, capability });
    }
    Ok(())
}
