//! A table object written column by column, each column from several parts.
//!
//! Every byte is copied when its part is found: the parts may lie in mapped files, which must not be read from where
//! a fault cannot be told. A long part is a segment as it is; short ones are copied once more, together. Columns of one
//! type stay vectors; anything else becomes a general list. Tests: below, `raze`, `tests/oracle.rs`.

use std::{cell::Cell, ops::Range};

use bytes::{BufMut, Bytes, BytesMut};
use kvalue::{Codes, Domain, Symbols, Type, Value};
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
    put_names(names.len(), &mut out, |out| out.put_slice(&names.to_wire()));
    out
}

fn put_names(count: usize, out: &mut BytesMut, put: impl FnOnce(&mut BytesMut)) {
    out.put_slice(&[TABLE, 0, DICT]);
    list_header(Type::Symbol.number(), 0, count as u64, out);
    put(out);
    list_header(0, 0, count as u64, out);
}

/// The columns of an answer, written part by part as rows are found: what was read for a part can go as soon as it is
/// written, so that an answer is in memory once.
#[derive(Debug)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    /// short parts of all columns as they came, which spares each of them a buffer of its own
    short: Vec<u8>,
}

#[derive(Debug)]
struct Column {
    /// type of a column whose parts are vectors of it, or have no rows; `None` for a general list
    ty: Option<Type>,
    /// most answers have no other
    first: Option<Part>,
    /// the others
    more: Vec<Part>,
}

/// Rows of a column, and their encoded items.
#[derive(Debug)]
struct Part {
    rows: usize,
    items: Items,
}

#[derive(Debug)]
enum Items {
    /// place among the short ones
    Short(Range<usize>),
    Long(Bytes),
}

/// What is shorter than this shares a segment.
const WORTH_A_SEGMENT: usize = 16 << 10;
/// Short parts take no more than this together: a buffer that grows is in memory twice meanwhile.
const SHORT_PARTS: usize = 4 * WORTH_A_SEGMENT;

impl Items {
    fn len(&self) -> usize {
        match self {
            Items::Short(at) => at.len(),
            Items::Long(items) => items.len(),
        }
    }
}

impl Columns {
    /// Columns of these types, without rows.
    pub(crate) fn new(types: impl Iterator<Item = Option<Type>>) -> Self {
        let columns = types.map(|ty| Column { ty, first: None, more: Vec::new() });
        Columns { columns: columns.collect(), short: Vec::new() }
    }

    /// Appends rows to a column.
    pub(crate) fn push(&mut self, column: usize, part: &Value) -> Result<(), Failure> {
        let Columns { columns, short } = self;
        let Column { ty, first, more } = &mut columns[column];
        let mut room = Room { short, worth: WORTH_A_SEGMENT };
        room.worth = room.worth.min(SHORT_PARTS.saturating_sub(room.short.len()));
        let items = match ty {
            Some(ty) => vector_items(*ty, part, room)?,
            None => room.keep(list_items(part)?),
        };
        let part = Part { rows: part.count(), items };
        match first {
            None => *first = Some(part),
            Some(_) => more.push(part),
        }
        Ok(())
    }

    /// The parts of each column in the opposite order, each as it is.
    pub(crate) fn reverse(&mut self) {
        for Column { first, more, .. } in &mut self.columns {
            if let (Some(first), Some(last)) = (first, more.last_mut()) {
                std::mem::swap(first, last);
                let between = more.len() - 1;
                more[..between].reverse();
            }
        }
    }

    /// The table with these names.
    pub(crate) fn table<'a>(self, names: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Segments {
        /// Most bytes of the header of a list.
        const HEADER: usize = 10;
        let Columns { columns, short } = self;
        let mut segments = vec![];
        // All of a short answer; a long one leaves in segments meanwhile.
        let named: usize = names.clone().map(|name| name.len() + 1).sum();
        let parts = columns.iter().flat_map(|c| c.first.iter().chain(&c.more)).map(|part| part.items.len());
        let items: usize = parts.filter(|len| *len < WORTH_A_SEGMENT).sum();
        let room = named + items + HEADER * (3 + columns.len());
        let mut out = BytesMut::with_capacity(room.min(2 * WORTH_A_SEGMENT));
        put_names(names.len(), &mut out, |out| {
            for name in names {
                out.put_slice(name);
                out.put_u8(0);
            }
        });
        for Column { ty, first, more } in columns {
            let count: usize = first.iter().chain(&more).map(|part| part.rows).sum();
            list_header(ty.map_or(0, Type::number), 0, count as u64, &mut out);
            for Part { items, .. } in first.into_iter().chain(more) {
                match items {
                    Items::Short(at) => out.put_slice(&short[at]),
                    Items::Long(items) if items.len() < WORTH_A_SEGMENT => out.put_slice(&items),
                    Items::Long(items) => {
                        if !out.is_empty() {
                            segments.push(out.split().freeze());
                        }
                        segments.push(items);
                    }
                }
                if out.len() >= WORTH_A_SEGMENT {
                    segments.push(out.split().freeze());
                }
            }
        }
        if !out.is_empty() {
            segments.push(out.freeze());
        }
        segments
    }
}

/// Where items go: to the short ones, or into a buffer of their own from `worth` bytes on.
struct Room<'a> {
    short: &'a mut Vec<u8>,
    worth: usize,
}

impl Room<'_> {
    fn put(self, items: &[u8]) -> Items {
        match items.len() < self.worth {
            true => self.append(items),
            false => Items::Long(Bytes::copy_from_slice(items)),
        }
    }

    /// As [`Self::put`], of items that have a buffer of their own.
    fn keep(self, items: Bytes) -> Items {
        match items.len() < self.worth {
            true => self.append(&items),
            false => Items::Long(items),
        }
    }

    fn append(self, items: &[u8]) -> Items {
        let start = self.short.len();
        self.short.extend_from_slice(items);
        Items::Short(start..self.short.len())
    }
}

fn vector_items(ty: Type, part: &Value, room: Room<'_>) -> Result<Items, Failure> {
    match part {
        Value::Vector(v) if v.ty() == ty => {
            Ok(match (v.as_symbols().map(|s| (s, s.as_enumerated())), v.as_bytes()) {
                (Some((_, Some((domain, codes)))), _) => names_of(domain, codes, room),
                (Some((symbols, None)), _) => room.put(&symbols.to_wire()),
                (None, Some(bytes)) => room.put(bytes),
                (None, None) => room.put(&[]),
            })
        }
        other if other.count() == 0 => Ok(room.put(&[])),
        other => Err(failure::internal(format!(
            "a part of a {ty} column is a {}: it should have been checked before",
            other.type_name()
        ))),
    }
}

/// A short name with NUL as one machine word; `len` 0 for a longer name.
#[derive(Clone, Copy, Default)]
struct Short {
    word: [u8; 8],
    len: u8,
}

impl Short {
    fn of(name: &[u8]) -> Self {
        let mut word = [0; 8];
        match word.get_mut(..name.len()) {
            Some(start) if name.len() < 8 => {
                start.copy_from_slice(name);
                Short { word, len: name.len() as u8 + 1 }
            }
            _ => Short::default(),
        }
    }
}

thread_local! {
    /// What names are written into before it is known how long they are; what it holds from before is written over.
    static NAMES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Memory for names beyond this is not kept.
const NAMES_KEPT: usize = 64 << 10;

/// The names of enumerated symbols, each with its NUL. Short names are written as whole words, of which the next
/// one overwrites the rest.
fn names_of(domain: &Domain, codes: &Codes, room: Room<'_>) -> Items {
    let rows = codes.len();
    // A table of the domain's names pays where most of them are needed.
    let known = if domain.len() <= rows { domain.len() } else { 0 };
    let short: Vec<Short> = (0..known).map(|i| Short::of(domain.get(i as i64))).collect();
    // Room for names of five letters.
    let (mut out, expected) = (NAMES.take(), rows * 6 + 8);
    if out.len() < expected {
        out.resize(expected, 0);
    }
    let mut at = 0;
    let mut put = |code: i64| {
        let entry = usize::try_from(code).ok().and_then(|c| short.get(c)).copied().unwrap_or_default();
        if entry.len > 0
            && let Some(slot) = out.get_mut(at..at + 8)
        {
            slot.copy_from_slice(&entry.word);
            at += usize::from(entry.len);
            return;
        }
        let name = domain.get(code);
        let end = at + name.len() + 1;
        if out.len() < end + 8 {
            out.resize(end * 2 + 8, 0);
        }
        out[at..end - 1].copy_from_slice(name);
        out[end - 1] = 0;
        at = end;
    };
    match codes {
        Codes::I32(b) => b.iter().for_each(|c| put(i64::from(c))),
        Codes::I64(b) => b.iter().for_each(&mut put),
    }
    let names = room.put(&out[..at]);
    if out.len() <= NAMES_KEPT {
        NAMES.set(out);
    }
    names
}

fn list_items(part: &Value) -> Result<Bytes, Failure> {
    let mut out = BytesMut::with_capacity(qipc::encoded_len(part));
    match part {
        Value::List(l) => l.items().iter().try_for_each(|item| qipc::encode_into(item, &mut out)),
        other => (0..other.count()).try_for_each(|i| qipc::encode_into(&other.index(i), &mut out)),
    }
    .map_err(failure::encode)?;
    Ok(out.freeze())
}

/// The segments as one run of bytes.
pub fn joined(segments: &[Bytes]) -> Bytes {
    match segments {
        [one] => one.clone(),
        several => several.concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kvalue::{Vector, types::NULL_INT};
    use qipc::Limits;

    use super::*;

    #[test]
    fn enumerated_symbols_are_written_as_their_names() {
        let names = ["a", "", "seven77", "eight888", "a name that is much longer than a word", "bc"];
        let domain = Arc::new(Domain::new("sym".into(), &names.into_iter().collect()));
        for rows in [0usize, 3, 7, 5_000, 50_000] {
            let codes: Vec<i32> =
                (0..rows).map(|i| if i % 7 == 6 { NULL_INT } else { (i * 5 % 6) as i32 }).collect();
            let symbols =
                Symbols::enumerated(domain.clone(), Codes::I32(codes.into_iter().collect())).unwrap();
            let plain: Symbols = symbols.iter().collect();
            let column = Value::Vector(Vector::symbols(symbols));
            let header = [&b"s"[..], b"n"];
            let longs = Value::from(Vector::longs((0..rows as i64).collect()));
            let mut columns = Columns::new([Some(Type::Symbol), Some(Type::Long)].into_iter());
            // Found from the end, as a limit of the last rows finds them.
            for part in [rows / 2..rows, rows / 3..rows / 2, 0..rows / 3] {
                columns.push(0, &column.slice(part.clone())).unwrap();
                columns.push(1, &longs.slice(part)).unwrap();
            }
            columns.reverse();
            let object = joined(&columns.table(header.into_iter()));
            let back = qipc::decode(object, &Limits::internal()).unwrap();
            let back = back.as_table().unwrap();
            assert_eq!(back.columns()[0], Value::Vector(Vector::symbols(plain)), "{rows} rows");
            assert_eq!(back.columns()[1], longs);
        }
    }
}
