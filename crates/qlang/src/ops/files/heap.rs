//! Nested columns: references into a heap of objects (kdb+ 3.6 and later), and cumulative ends (before).
//!
//! Rule: an object is known by its own first byte; depth and number of objects are bounded, so that references in
//! circles or fans end as an error.

use std::sync::Arc;

use bytes::Bytes;
use kvalue::{Attr, Type};

use super::image::{self, Beside, PAGE, bad, fixed, i64_at, part};
use crate::{
    R,
    value::{Dict, Sym, Table, Value, Vector},
};

/// Deepest nesting in one item.
const MAX_DEPTH: usize = 64;
/// The low 56 bits of a reference.
const OFFSET: i64 = (1 << 56) - 1;

struct Heap<'a> {
    heap: Bytes,
    beside: &'a dyn Beside,
    symbols: Option<Arc<Vector>>,
    /// objects that may still be built below the item at hand
    left: usize,
}

/// The objects of these references, as one list.
pub(super) fn read(references: &Bytes, beside: &dyn Beside) -> R {
    let file = beside.companion("#")?;
    if file.len() < PAGE || file[..2] != [0xfd, 0x20] {
        return Err(bad(beside, "no heap of nested values beside it"));
    }
    let mut heap = Heap { heap: file.slice(PAGE..), beside, symbols: None, left: 0 };
    let mut items = Vec::with_capacity(references.len() / 8);
    for at in (0..references.len() / 8 * 8).step_by(8) {
        // The smallest object takes two bytes, so an item that shares nothing with itself has no more than this.
        heap.left = file.len() / 2;
        items.push(heap.object(i64_at(references, at).unwrap_or(-1) & OFFSET, 0)?);
    }
    Ok(Value::list(items))
}

impl Heap<'_> {
    fn bytes(&self, at: usize, len: usize) -> R<Bytes> {
        part(&self.heap, at, len).ok_or_else(|| bad(self.beside, "a nested value outside the heap"))
    }

    fn byte(&self, at: usize) -> R<u8> {
        Ok(self.bytes(at, 1)?[0])
    }

    fn fixed(&self, number: u8, attr: Attr, at: usize, count: usize) -> R {
        let ty = Type::from_number(number).and_then(|t| Some((t, t.width()?)));
        let (ty, width) = ty.ok_or_else(|| bad(self.beside, "a nested value of an unknown type"))?;
        Ok(fixed(ty, attr, self.bytes(at, count.saturating_mul(width))?))
    }

    fn object(&mut self, at: i64, depth: usize) -> R {
        self.left = self.left.checked_sub(1).ok_or_else(|| bad(self.beside, "a nested value in a circle"))?;
        if depth > MAX_DEPTH {
            return Err(bad(self.beside, "a value nested too deep"));
        }
        let at = usize::try_from(at).unwrap_or(usize::MAX - 64);
        match self.byte(at)? {
            0xfb => self.full(at, depth),
            0x8a => {
                let count = usize::from(self.byte(at + 1)?);
                self.symbol_vector(at + 2, count)
            }
            tag @ 0x80..=0x92 => {
                let count = usize::from(self.byte(at + 1)?);
                self.fixed(tag - 0x7f, Attr::None, at + 2, count)
            }
            0x93 => {
                let name = self.symbol(at + 1)?;
                let count = usize::from(self.byte(at + 5)?);
                let codes = self.bytes(at + 6, count * 8)?;
                Ok(image::enumerated(self.beside.domain(name)?, Attr::None, 8, codes))
            }
            0x74 => Ok(Value::Sym(self.symbol(at + 1)?)),
            tag @ 0x6c..=0x7e => Ok(self.fixed(0x7f - tag, Attr::None, at + 1, 1)?.at(0)),
            _ => Err(bad(self.beside, "a nested value of an unknown form")),
        }
    }

    /// `fb 00 type attribute`, reference count, count, data.
    fn full(&mut self, at: usize, depth: usize) -> R {
        let header = self.bytes(at, 16)?;
        let attr = Attr::from_number(header[3]).unwrap_or(Attr::None);
        let count = i64_at(&header, 8).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        let data = at + 16;
        match header[2] {
            77 => {
                let references = self.bytes(data, count.saturating_mul(8))?;
                Ok(Value::list(self.items(&references, depth)?))
            }
            kind @ (98 | 99) => {
                let references = self.bytes(data, 16)?;
                let mut parts = self.items(&references, depth)?.into_iter();
                let (keys, values) = (parts.next().unwrap_or(Value::Nil), parts.next().unwrap_or(Value::Nil));
                if kind == 99 {
                    return Ok(Value::dict(Dict::new(keys, values)?));
                }
                let names = keys.items().iter().map(|n| n.as_sym().unwrap_or(Sym::NULL)).collect::<Vec<_>>();
                Ok(Value::table(Table::new(names, values.items())?))
            }
            20 => {
                // The object does not say its domain; q's default is the only name it can mean.
                let codes = self.bytes(data, count.saturating_mul(8))?;
                Ok(image::enumerated(self.beside.domain(Sym::new("sym"))?, attr, 8, codes))
            }
            11 => self.symbol_vector(data, count),
            number => self.fixed(number, attr, data, count),
        }
    }

    fn items(&mut self, references: &Bytes, depth: usize) -> R<Vec<Value>> {
        (0..references.len())
            .step_by(8)
            .map(|at| self.object(i64_at(references, at).unwrap_or(-1) & OFFSET, depth + 1))
            .collect()
    }

    fn names(&mut self) -> R<Arc<Vector>> {
        if let Some(known) = &self.symbols {
            return Ok(known.clone());
        }
        let Value::Vector(names) = image::symbols(&self.beside.companion("##")?, self.beside)? else {
            return Err(bad(self.beside, "no symbols beside it"));
        };
        self.symbols = Some(names.clone());
        Ok(names)
    }

    fn symbol(&mut self, at: usize) -> R<Sym> {
        let code = self.bytes(at, 4)?;
        let code = u32::from_le_bytes([code[0], code[1], code[2], code[3]]) as usize;
        Ok(self.names()?.at(code).as_sym().unwrap_or(Sym::NULL))
    }

    fn symbol_vector(&mut self, at: usize, count: usize) -> R {
        self.bytes(at, count.saturating_mul(4))?;
        Ok(Value::syms((0..count).map(|i| self.symbol(at + i * 4)).collect::<R<Vec<_>>>()?))
    }
}

/// Items that end at these offsets of `data`; the last one against the size of the data says whether offsets count
/// bytes or elements.
pub(super) fn by_ends(ty: Type, width: usize, ends: &Bytes, data: &Bytes, beside: &dyn Beside) -> R {
    let n = ends.len() / 8;
    let end = |i: usize| i64_at(ends, i * 8).and_then(|e| usize::try_from(e).ok());
    let Some(last) = n.checked_sub(1) else { return Ok(Value::empty_list()) };
    let unit = match end(last) {
        Some(last) if last == data.len() => 1,
        Some(last) if last.checked_mul(width) == Some(data.len()) => width,
        _ => return Err(bad(beside, "ends that do not fit the data beside it")),
    };
    let mut items = Vec::with_capacity(n);
    let mut from = 0;
    for i in 0..n {
        let to = end(i).and_then(|e| e.checked_mul(unit)).unwrap_or(usize::MAX);
        if to < from || to > data.len() || !(to - from).is_multiple_of(width) {
            return Err(bad(beside, "ends that decrease"));
        }
        items.push(fixed(ty, Attr::None, data.slice(from..to)));
        from = to;
    }
    Ok(Value::list(items))
}
