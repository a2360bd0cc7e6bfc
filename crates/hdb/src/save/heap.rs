//! Nested columns as kdb+ 3.6 and later keep them: references, a heap of objects, the symbols in it.
//!
//! Rule: objects in the forms seen in real files only: compact while the data has at most 95 bytes, full at
//! offsets divisible by 16 otherwise. Tests: `tests/save.rs`, `tests/vectors.rs`.

use std::collections::HashMap;

use kvalue::{Atom, Type, Value, Vector};

/// Most data bytes of a compact object.
const COMPACT: usize = 95;
/// Deepest nesting that is written; the reader's own limit is larger.
const MAX_DEPTH: usize = 32;
/// Flag in a reference: the object is rebuilt when read.
const REBUILT: u64 = 1 << 56;
const LIST: u8 = 77;

/// A heap being built.
#[derive(Default)]
pub(super) struct HeapWriter {
    /// Heap bytes from its offset 0 on.
    pub(super) bytes: Vec<u8>,
    /// Distinct symbols in order of appearance.
    pub(super) symbols: Vec<Vec<u8>>,
    index: HashMap<Vec<u8>, i32>,
}

impl HeapWriter {
    /// Adds an object; gives its reference. The error says why the value cannot be an item.
    pub(super) fn add(&mut self, value: &Value, depth: usize) -> Result<u64, String> {
        if depth > MAX_DEPTH {
            return Err(format!("it is nested more than {MAX_DEPTH} deep; flatten it"));
        }
        match value {
            Value::Atom(atom) => Ok(self.atom(atom)),
            Value::Vector(vector) => self.vector(vector),
            Value::List(list) => {
                let items: Result<Vec<u64>, String> =
                    list.items().iter().map(|item| self.add(item, depth + 1)).collect();
                let data: Vec<u8> = items?.iter().flat_map(|r| r.to_le_bytes()).collect();
                Ok(self.full(LIST, list.len(), &data))
            }
            other => {
                Err(format!("an item is a {}; items can be atoms, vectors and lists", other.type_name()))
            }
        }
    }

    fn symbol(&mut self, name: &[u8]) -> i32 {
        if let Some(&i) = self.index.get(name) {
            return i;
        }
        let i = self.symbols.len() as i32;
        self.symbols.push(name.to_vec());
        self.index.insert(name.to_vec(), i);
        i
    }

    fn compact(&mut self, parts: &[&[u8]]) -> u64 {
        let at = self.bytes.len() as u64;
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        at | REBUILT
    }

    fn full(&mut self, ty: u8, count: usize, data: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(&[0xfb, 0, ty, 0, 1, 0, 0, 0]);
        self.bytes.extend_from_slice(&(count as u64).to_le_bytes());
        self.bytes.extend_from_slice(data);
        at
    }

    fn atom(&mut self, atom: &Atom) -> u64 {
        let tag = 0x7f - atom.ty().number();
        match atom {
            Atom::Symbol(name) => {
                let code = self.symbol(name.as_bytes()).to_le_bytes();
                self.compact(&[&[tag], &code])
            }
            _ => self.compact(&[&[tag], &atom.to_le_bytes()]),
        }
    }

    fn vector(&mut self, vector: &Vector) -> Result<u64, String> {
        let tag = 0x7f + vector.ty().number();
        let mut codes = Vec::new();
        let data: &[u8] = match (vector.as_symbols(), vector.as_bytes()) {
            (Some(symbols), _) => {
                for name in symbols.iter() {
                    codes.extend_from_slice(&self.symbol(name).to_le_bytes());
                }
                &codes
            }
            (None, Some(bytes)) => bytes,
            (None, None) => &[],
        };
        if data.len() <= COMPACT {
            return Ok(self.compact(&[&[tag, vector.len() as u8], data]));
        }
        if vector.ty() == Type::Symbol {
            // How kdb+ writes these was never seen: better refused than unreadable.
            return Err(format!(
                "an item has {} symbols; nested symbols are written up to {} per item",
                vector.len(),
                COMPACT / 4
            ));
        }
        Ok(self.full(vector.ty().number(), vector.len(), data))
    }
}
