//! Inspection of encoded objects without a decode: length, items, columns, byte order.
//!
//! Gateway and coordinator forward the byte ranges, and `raze` joins the ranges. Skipped parts allocate nothing. Tests:
//! `tests/scan.rs`, `tests/properties.rs`.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use kvalue::{Attr, Symbols, Type, nul};

use crate::{
    DecodeError, Limits,
    parse::{Build, DICT, Endian, LARGE_COUNT, LIST, Parser, SORTED_DICT, TABLE, basic_type},
};

/// Length in bytes of the little-endian object that starts `bytes`. The object is validated, nothing is built.
pub fn object_len(bytes: &[u8], limits: &Limits) -> Result<usize, DecodeError> {
    let mut parser = Parser::new(bytes, Endian::Little, limits);
    parser.object(&mut Nothing, 1)?;
    Ok(parser.at())
}

/// The items of a general list as objects of their own, sharing the buffer.
///
/// A typed vector is accepted too, since q collapses a list of atoms of one type into one: its items become
/// atoms. Anything else is [`DecodeError::BadMessage`].
pub fn list_items(object: &Bytes, limits: &Limits) -> Result<Vec<Bytes>, DecodeError> {
    let mut parser = Parser::new(object, Endian::Little, limits);
    let byte = parser.byte("a list")?;
    let expected = "a list or a vector (0 to 19)";
    if byte != LIST && basic_type(byte).is_none() {
        return Err(DecodeError::BadMessage { offset: 0, byte, expected });
    }
    let header = parser.list_header(&mut Nothing)?;
    // The list is an object too, as when it is decoded.
    if header.count >= limits.max_objects {
        return Err(DecodeError::TooManyObjects { limit: limits.max_objects });
    }
    let Some(ty) = basic_type(byte) else {
        let mut items = Vec::with_capacity(header.count.min(1024));
        for _ in 0..header.count {
            let start = parser.at();
            parser.object(&mut Nothing, 2)?;
            items.push(object.slice(start..parser.at()));
        }
        parser.finish()?;
        return Ok(items);
    };
    let data = parser.elements(&mut Nothing, ty, header.count)?;
    parser.finish()?;
    Ok(atoms(ty, &object[data]))
}

/// Each element of a vector as an atom object; all share one allocation.
fn atoms(ty: Type, data: &[u8]) -> Vec<Bytes> {
    let code = ty.number().wrapping_neg();
    let elements: Vec<&[u8]> = match ty.width() {
        Some(width) => data.chunks_exact(width).collect(),
        None => data.split_inclusive(|&b| b == 0).collect(),
    };
    let mut all = BytesMut::with_capacity(data.len() + elements.len());
    for element in &elements {
        all.put_u8(code);
        all.put_slice(element);
    }
    let mut all = all.freeze();
    elements.iter().map(|e| all.split_to(e.len() + 1)).collect()
}

/// One pair of a [`named_items`] dictionary: where its name (without the NUL) and its value lie.
pub type NamedItem = (Range<usize>, Range<usize>);

/// The pairs of a dictionary of symbols to a general list, as most are that name things, in one walk; `None` for any
/// other object. Validates all of it.
pub fn named_items(object: &[u8], limits: &Limits) -> Result<Option<Vec<NamedItem>>, DecodeError> {
    let mut items = Vec::new();
    let is_named = named(object, &mut Nothing, limits, |pair| {
        if items.is_empty() {
            items.reserve(pair.of.min(64));
        }
        items.push((pair.name, pair.value));
    })?;
    Ok(is_named.then_some(items))
}

/// A pair of a dictionary that is walked: where its name (without the NUL) and its value lie, and what was built.
pub(crate) struct Pair<T> {
    /// how many there are
    of: usize,
    pub(crate) name: Range<usize>,
    value: Range<usize>,
    pub(crate) built: T,
}

/// Walks a dictionary of symbols to a general list; false for any other object.
pub(crate) fn named<B: Build>(
    object: &[u8],
    build: &mut B,
    limits: &Limits,
    mut each: impl FnMut(Pair<B::Out>),
) -> Result<bool, DecodeError> {
    const SYMBOLS: u8 = Type::Symbol as u8;
    let [DICT | SORTED_DICT, SYMBOLS, ..] = object else { return Ok(false) };
    let mut parser = Parser::new(object, Endian::Little, limits);
    parser.byte("a dictionary")?;
    parser.byte("names")?;
    let keys = parser.list_header(&mut Nothing)?;
    let names = parser.elements(&mut Nothing, Type::Symbol, keys.count)?;
    if object.get(parser.at()) != Some(&LIST) {
        return Ok(false);
    }
    parser.byte("values")?;
    let values = parser.list_header(&mut Nothing)?;
    if values.count != keys.count {
        let (got, expected) = (values.count as u64, keys.count as u64);
        return Err(DecodeError::Length { what: "dictionary values", offset: names.end, got, expected });
    }
    let mut name = names.start;
    for _ in 0..keys.count {
        let end = name + nul::find(&object[name..names.end]).unwrap_or(names.end - name);
        let value = parser.at();
        let (_, built) = parser.object(build, 3)?;
        each(Pair { of: keys.count, name: name..end, value: value..parser.at(), built });
        name = end + 1;
    }
    parser.finish()?;
    Ok(true)
}

/// A table object taken apart without decoding its columns.
#[derive(Debug, Clone)]
pub struct TableView {
    /// The table's attribute byte.
    pub attr: u8,
    /// Column names.
    pub names: Symbols,
    /// Columns in the order of the names, all of the same count.
    pub columns: Vec<ColumnView>,
}

impl TableView {
    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.columns.first().map_or(0, |c| c.count)
    }
}

/// One column of a [`TableView`].
#[derive(Debug, Clone)]
pub struct ColumnView {
    /// 0 for a general list, 1 to 19 for a vector, 98 for a nested table.
    pub ty: i8,
    /// The list's attribute byte, without the mark of an 8-byte count; 0 for a nested table.
    pub attr: u8,
    /// Number of items.
    pub count: u64,
    /// The items without the list's own header; for a nested table the whole object.
    pub data: Bytes,
}

/// Names and column ranges of a table object (type 98), sharing the buffer. Validates all of it.
pub fn table_view(object: &Bytes, limits: &Limits) -> Result<TableView, DecodeError> {
    let mut parser = Parser::new(object, Endian::Little, limits);
    let byte = parser.byte("a table")?;
    if byte != TABLE {
        return Err(DecodeError::BadMessage { offset: 0, byte, expected: "a table (0x62)" });
    }
    let (attr, count, names) = parser.table_names(&mut Nothing)?;
    let names = Symbols::packed(object.slice(names), count)?;
    let first = parser.at();
    let mut rows = 0;
    // Checked as a whole first, which holds the columns to one count, then cut.
    parser.list_body(&mut Nothing, count, 1, Some(&mut rows))?;
    parser.finish()?;
    let mut columns = Vec::with_capacity(count);
    let mut start = first;
    for _ in 0..count {
        let len = object_len(&object[start..], limits)?;
        columns.push(column(&object.slice(start..start + len), rows));
        start += len;
    }
    Ok(TableView { attr: attr.number(), names, columns })
}

/// A column of a validated object.
fn column(object: &Bytes, count: u64) -> ColumnView {
    let (ty, attr) = (object[0], object[1]);
    if ty == TABLE {
        return ColumnView { ty: TABLE as i8, attr: 0, count, data: object.clone() };
    }
    let header = if attr & LARGE_COUNT == 0 { 6 } else { 10 };
    ColumnView { ty: ty as i8, attr: attr & !LARGE_COUNT, count, data: object.slice(header..) }
}

/// A big-endian object as a little-endian one. The lengths are the same.
pub(crate) fn to_little_endian(object: &[u8], limits: &Limits) -> Result<Bytes, DecodeError> {
    let mut swap = Swap { out: object.to_vec() };
    Parser::new(object, Endian::Big, limits).whole(&mut swap)?;
    Ok(swap.out.into())
}

/// Builds nothing.
pub(crate) struct Nothing;

/// Turns each number around.
struct Swap {
    out: Vec<u8>,
}

impl Swap {
    fn numbers(&mut self, at: usize, width: usize, count: usize) {
        let run = &mut self.out[at..at + width * count];
        match width {
            2 => turn::<2>(run),
            4 => turn::<4>(run),
            8 => turn::<8>(run),
            _ => {}
        }
    }
}

fn turn<const N: usize>(run: &mut [u8]) {
    for number in run.as_chunks_mut::<N>().0 {
        number.reverse();
    }
}

/// A [`Build`] of unit values: only the numbers matter.
macro_rules! builds_nothing {
    ($ty:ty, $numbers:expr) => {
        impl Build for $ty {
            type Out = ();
            type Items = ();
            fn numbers(&mut self, at: usize, width: usize, count: usize) {
                #[allow(clippy::redundant_closure_call)]
                $numbers(self, at, width, count)
            }
            fn atom(&mut self, _: Type, _: Range<usize>) -> Result<(), DecodeError> {
                Ok(())
            }
            fn vector(&mut self, _: Type, _: Attr, _: usize, _: Range<usize>) -> Result<(), DecodeError> {
                Ok(())
            }
            fn items(&mut self, _: usize) {}
            fn push(&mut self, (): &mut (), (): ()) {}
            fn list(&mut self, _: Attr, (): ()) {}
            fn dict(&mut self, (): (), (): (), _: bool) -> Result<(), DecodeError> {
                Ok(())
            }
            fn table(&mut self, _: Attr, _: (usize, Range<usize>), (): ()) -> Result<(), DecodeError> {
                Ok(())
            }
            fn enter_function(&mut self) {}
            fn function(&mut self, _: Range<usize>, _: Option<u8>) {}
        }
    };
}
builds_nothing!(Nothing, |_: &mut Nothing, _, _, _| ());
builds_nothing!(Swap, Swap::numbers);
