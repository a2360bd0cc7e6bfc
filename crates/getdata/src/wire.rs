//! A table object written column by column, each column from several parts.
//!
//! Every byte is copied once, into a segment of its column's size: the parts may lie in mapped files, which must
//! not be read from where a fault cannot be told. Columns of one type stay vectors; anything else becomes a
//! general list. Tests: `raze`, `tests/oracle.rs`.

use bytes::{BufMut, Bytes, BytesMut};
use kvalue::{Symbols, Type, Value};
use sg::Failure;

use crate::failure;

/// An encoded object as segments that follow each other.
pub type Segments = Vec<Bytes>;

const TABLE: u8 = 98;
const DICT: u8 = 99;
/// Attribute bit of a list whose count takes 8 bytes.
const LARGE_COUNT: u8 = 0x80;

/// The header of a list of `count` items.
pub(crate) fn list_header(ty: u8, attr: u8, count: u64, out: &mut BytesMut) {
    match u32::try_from(count) {
        Ok(n) => {
            out.put_slice(&[ty, attr]);
            out.put_u32_le(n);
        }
        Err(_) => {
            out.put_slice(&[ty, attr | LARGE_COUNT]);
            out.put_u64_le(count);
        }
    }
}

/// What stands before the columns of a table.
pub(crate) fn table_header(names: &Symbols) -> BytesMut {
    let mut out = BytesMut::with_capacity(32 + names.wire_len());
    out.put_slice(&[TABLE, 0, DICT]);
    list_header(Type::Symbol.number(), 0, names.len() as u64, &mut out);
    out.put_slice(&names.to_wire());
    list_header(0, 0, names.len() as u64, &mut out);
    out
}

/// A table of these columns, each given as its parts. `ty` is the type of a column whose parts are vectors of it
/// (or have no rows); `None` makes a general list.
pub(crate) fn table(names: &Symbols, columns: &[(Option<Type>, Vec<Value>)]) -> Result<Segments, Failure> {
    let mut segments = vec![];
    let mut head = table_header(names);
    for (ty, parts) in columns {
        let count: usize = parts.iter().map(Value::count).sum();
        list_header(ty.map_or(0, Type::number), 0, count as u64, &mut head);
        let mut out = match ty {
            Some(_) => BytesMut::with_capacity(head.len() + parts.iter().map(size_hint).sum::<usize>()),
            None => BytesMut::with_capacity(head.len() + parts.iter().map(qipc::encoded_len).sum::<usize>()),
        };
        out.put_slice(&head);
        head.clear();
        for part in parts {
            match ty {
                Some(ty) => put_vector(*ty, part, &mut out)?,
                None => put_items(part, &mut out)?,
            }
        }
        segments.push(out.freeze());
    }
    Ok(segments)
}

/// Bytes that a part will take; for enumerated symbols a guess, since to know is as much work as to write.
fn size_hint(part: &Value) -> usize {
    match part {
        Value::Vector(v) => match v.as_symbols() {
            Some(s) if s.as_enumerated().is_some() => s.len() * 6,
            Some(s) => s.wire_len(),
            None => v.wire_len(),
        },
        _ => 0,
    }
}

fn put_vector(ty: Type, part: &Value, out: &mut BytesMut) -> Result<(), Failure> {
    match part {
        Value::Vector(v) if v.ty() == ty => {
            match (v.as_symbols(), v.as_bytes()) {
                (Some(symbols), _) => put_symbols(symbols, out),
                (None, Some(bytes)) => out.put_slice(bytes),
                (None, None) => {}
            }
            Ok(())
        }
        other if other.count() == 0 => Ok(()),
        other => Err(failure::internal(format!(
            "a part of a {ty} column is a {}: it should have been checked before",
            other.type_name()
        ))),
    }
}

fn put_symbols(symbols: &Symbols, out: &mut BytesMut) {
    match symbols.as_enumerated() {
        None => out.put_slice(&symbols.to_wire()),
        Some((domain, codes)) => {
            // Rows of one name are often neighbours: its bytes are found once a run.
            let mut last = (i64::MIN, &b""[..]);
            for row in 0..codes.len() {
                let code = codes.get(row);
                if code != last.0 {
                    last = (code, domain.get(code));
                }
                out.put_slice(last.1);
                out.put_u8(0);
            }
        }
    }
}

fn put_items(part: &Value, out: &mut BytesMut) -> Result<(), Failure> {
    match part {
        Value::List(l) => l.items().iter().try_for_each(|item| qipc::encode_into(item, out)),
        other => (0..other.count()).try_for_each(|i| qipc::encode_into(&other.index(i), out)),
    }
    .map_err(failure::encode)
}

/// The segments as one run of bytes.
pub fn joined(segments: &[Bytes]) -> Bytes {
    match segments {
        [one] => one.clone(),
        several => several.concat().into(),
    }
}
