//! Nested columns of kdb+ 3.6 and later: references in `name`, a heap of objects in `name#`, the symbols
//! that occur in them in `name##`.
//!
//! Rule: an object is known by its own first byte, never by the reference's flags; depth and the number of
//! objects per item and call are bounded, so that references in circles or fans end as an error. Tests:
//! `tests/vectors.rs`, `tests/hostile.rs`.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use kvalue::{Atom, Attr, Buf, Codes, Dict, Domain, List, ShapeError, Symbols, Table, Type, Value, Vector};

use super::{header::PAGE, i64_at, image::Image, u32_at};
use crate::HdbError;

/// Deepest nesting of lists, dictionaries and tables in one item.
pub(crate) const MAX_DEPTH: usize = 64;
/// Most objects below the items themselves that are built for one call.
pub(crate) const MAX_OBJECTS: u64 = 1 << 22;

const FULL: u8 = 0xfb;
const FULL_HEADER: u64 = 16;
const LIST: u8 = 77;
const TABLE: u8 = 98;
const DICT: u8 = 99;
const ENUM: u8 = 20;
/// The low 56 bits of a reference.
const OFFSET: u64 = (1 << 56) - 1;

/// What a heap needs from outside: symbols of the column and the domains of the database.
pub(crate) trait Names {
    /// The distinct symbols of the column (`name##`).
    fn symbols(&self) -> Result<Arc<Domain>, HdbError>;
    /// Indices over an enumeration domain of the database as symbols.
    fn enumerated(&self, domain: &[u8], codes: Codes) -> Result<Symbols, HdbError>;
}

/// Reads objects of one heap.
pub(crate) struct Heap<'a> {
    image: &'a Image,
    names: &'a dyn Names,
    /// Objects that may still be built in this call.
    left: u64,
    /// And in this item: one that does not share parts with itself has fewer than the heap has room for.
    left_in_item: u64,
}

impl<'a> Heap<'a> {
    pub(crate) fn new(image: &'a Image, names: &'a dyn Names) -> Result<Self, HdbError> {
        let head = image.head(PAGE)?;
        if head.len() < PAGE as usize || head[..2] != [0xfd, 0x20] {
            return Err(HdbError::corrupt(
                image.path(),
                format!("{} bytes starting {:02x?}", image.len(), &head[..head.len().min(2)]),
                "a heap: a first page of 4096 bytes starting fd 20",
            ));
        }
        Ok(Heap { image, names, left: MAX_OBJECTS, left_in_item: 0 })
    }

    /// The objects of these references, as one list.
    pub(crate) fn list(&mut self, references: &Bytes) -> Result<Value, HdbError> {
        let items = self.items(references, 0)?;
        Ok(Value::List(List::new(items)))
    }

    fn items(&mut self, references: &Bytes, depth: usize) -> Result<Vec<Value>, HdbError> {
        let mut items = Vec::with_capacity(references.len() / 8);
        for at in (0..references.len() / 8 * 8).step_by(8) {
            let reference = i64_at(references, at).unwrap_or_default() as u64;
            if depth == 0 {
                // The smallest object takes two bytes.
                self.left_in_item = self.image.len() / 2;
            } else {
                self.spend(reference & OFFSET)?;
            }
            items.push(self.object(reference & OFFSET, depth)?);
        }
        Ok(items)
    }

    fn corrupt(&self, at: u64, found: impl std::fmt::Display, expected: &str) -> HdbError {
        HdbError::corrupt(self.image.path(), format!("{found} at heap offset {at}"), expected)
    }

    /// `len` heap bytes.
    fn bytes(&self, at: u64, len: u64) -> Result<Bytes, HdbError> {
        let start = at.checked_add(PAGE);
        match start.and_then(|s| Some((s, s.checked_add(len)?))) {
            Some((start, end)) if end <= self.image.len() => self.image.read(start..end),
            _ => Err(self.corrupt(
                at,
                format_args!("an object of {len} bytes"),
                &format!("objects within the heap of {} bytes", self.image.len().saturating_sub(PAGE)),
            )),
        }
    }

    /// Counts one object below an item.
    fn spend(&mut self, at: u64) -> Result<(), HdbError> {
        let left = self.left_in_item.checked_sub(1);
        self.left_in_item = left.ok_or_else(|| {
            self.corrupt(
                at,
                "an item of more objects than the heap has",
                "an item that does not repeat itself",
            )
        })?;
        let left = self.left.checked_sub(1);
        self.left = left.ok_or_else(|| HdbError::TooLarge {
            path: self.image.path().into(),
            what: "nested objects in the rows asked for",
            found: MAX_OBJECTS + 1,
            limit: "MAX_OBJECTS",
            value: MAX_OBJECTS,
        })?;
        Ok(())
    }

    fn object(&mut self, at: u64, depth: usize) -> Result<Value, HdbError> {
        if depth > MAX_DEPTH {
            return Err(self.corrupt(
                at,
                "nesting without end",
                &format!("at most {MAX_DEPTH} levels (MAX_DEPTH)"),
            ));
        }
        let tag = self.bytes(at, 1)?[0];
        match tag {
            FULL => self.full(at, depth),
            0x80..=0x92 if tag != 0x8a => self.compact_vector(at, tag - 0x7f),
            0x8a => {
                let count = u64::from(self.bytes(at + 1, 1)?[0]);
                let codes = self.bytes(at + 2, count * 4)?;
                Ok(Value::Vector(Vector::symbols(self.symbols(at, codes)?)))
            }
            0x93 => {
                let name = self.symbol(at, &self.bytes(at + 1, 4)?)?;
                let count = u64::from(self.bytes(at + 5, 1)?[0]);
                let codes = self.bytes(at + 6, count * 8)?;
                self.enumerated(at, &name, codes)
            }
            0x74 => {
                Ok(Value::Atom(Atom::Symbol(kvalue::Sym::new(self.symbol(at, &self.bytes(at + 1, 4)?)?))))
            }
            0x6c..=0x7e => {
                let ty = self.fixed_type(at, 0x7f - tag)?;
                let bytes = self.bytes(at + 1, ty.width().unwrap_or(1) as u64)?;
                Atom::from_le_bytes(ty, &bytes).map(Value::Atom).map_err(|e| self.shape(at, e))
            }
            _ => Err(self.corrupt(at, format_args!("tag 0x{tag:02x}"), "the tag of a q object")),
        }
    }

    fn fixed_type(&self, at: u64, number: u8) -> Result<Type, HdbError> {
        Type::from_number(number)
            .filter(|t| t.width().is_some())
            .ok_or_else(|| self.corrupt(at, format_args!("type {number}"), "a type of fixed width"))
    }

    fn shape(&self, at: u64, e: ShapeError) -> HdbError {
        self.corrupt(at, e, "a well-formed object")
    }

    fn compact_vector(&self, at: u64, number: u8) -> Result<Value, HdbError> {
        let ty = self.fixed_type(at, number)?;
        let count = u64::from(self.bytes(at + 1, 1)?[0]);
        let bytes = self.bytes(at + 2, count * ty.width().unwrap_or(1) as u64)?;
        Ok(Value::Vector(Vector::fixed(ty, bytes).map_err(|e| self.shape(at, e))?))
    }

    /// `fb 00 type attribute`, reference count, count, data.
    fn full(&mut self, at: u64, depth: usize) -> Result<Value, HdbError> {
        let header = self.bytes(at, FULL_HEADER)?;
        let (number, attr) = (header[2], header[3]);
        let count = i64_at(&header, 8).unwrap_or(-1);
        let attr = Attr::from_number(attr)
            .ok_or_else(|| self.corrupt(at, format_args!("attribute {attr}"), "0 to 4"))?;
        let room = self.image.len().saturating_sub(PAGE);
        let count = u64::try_from(count)
            .ok()
            .filter(|&n| n <= room)
            .ok_or_else(|| self.corrupt(at, format_args!("a count of {count}"), "0 to the heap's size"))?;
        let data = at + FULL_HEADER;
        match number {
            LIST => {
                let references = self.bytes(data, count * 8)?;
                Ok(Value::List(List::new(self.items(&references, depth + 1)?)))
            }
            TABLE | DICT => {
                let parts = self.items(&self.bytes(data, 16)?, depth + 1)?;
                let [keys, values] =
                    <[Value; 2]>::try_from(parts).map_err(|_| self.corrupt(at, "one part", "two parts"))?;
                if number == DICT {
                    return Ok(Value::from(Dict::new(keys, values).map_err(|e| self.shape(at, e))?));
                }
                let (Some(names), Value::List(columns)) =
                    (keys.as_vector().and_then(Vector::as_symbols), &values)
                else {
                    return Err(self.corrupt(at, "a table without names", "symbols and a list of columns"));
                };
                let table = Table::new(names.clone(), columns.items()).map_err(|e| self.shape(at, e))?;
                Ok(Value::from(table))
            }
            ENUM => {
                let codes = self.bytes(data, count * 8)?;
                // The object does not say its domain; q's default is the only name it can mean.
                self.enumerated(at, b"sym", codes)
            }
            11 => {
                let codes = self.bytes(data, count * 4)?;
                Ok(Value::Vector(Vector::symbols(self.symbols(at, codes)?)))
            }
            _ => {
                let ty = self.fixed_type(at, number)?;
                let bytes = self.bytes(data, count * ty.width().unwrap_or(1) as u64)?;
                Ok(Value::Vector(Vector::fixed(ty, bytes).map_err(|e| self.shape(at, e))?.with_attr(attr)))
            }
        }
    }

    fn symbol(&self, at: u64, code: &Bytes) -> Result<Vec<u8>, HdbError> {
        let i = u32_at(code, 0).unwrap_or(u32::MAX);
        let symbols = self.names.symbols()?;
        if i as usize >= symbols.len() {
            return Err(self.corrupt(
                at,
                format_args!("symbol number {i}"),
                &format!("one of the column's {} symbols", symbols.len()),
            ));
        }
        Ok(symbols.get(i64::from(i)).to_vec())
    }

    fn symbols(&self, at: u64, codes: Bytes) -> Result<Symbols, HdbError> {
        if codes.is_empty() {
            // A column whose symbol lists are all empty may have no file of names.
            return Ok(Symbols::default());
        }
        let codes = Buf::new(codes).map_err(|e| self.shape(at, e))?;
        Symbols::enumerated(self.names.symbols()?, Codes::I32(codes)).map_err(|e| self.shape(at, e))
    }

    fn enumerated(&self, at: u64, domain: &[u8], codes: Bytes) -> Result<Value, HdbError> {
        let codes = Buf::new(codes).map_err(|e| self.shape(at, e))?;
        Ok(Value::Vector(Vector::symbols(self.names.enumerated(domain, Codes::I64(codes))?)))
    }
}

/// Bytes of the references of `rows`.
pub(crate) fn reference_bytes(start: u64, rows: &Range<usize>) -> Range<u64> {
    start + rows.start as u64 * 8..start + rows.end as u64 * 8
}
