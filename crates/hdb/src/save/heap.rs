//! Nested columns as kdb+ 3.6 and later keep them: references, a heap of objects, the symbols in it.
//!
//! Rule: objects in the forms seen in real files only: compact while the data has at most 95 bytes, full at
//! offsets divisible by 16 otherwise. Tests: `tests/save.rs`, `tests/vectors.rs`.

use std::collections::HashMap;

use kvalue::{Atom, Value, Vector};

use super::savable;

/// Most data bytes of a compact object.
pub(super) const COMPACT: usize = 95;
/// Deepest nesting that is written; the reader's own limit is larger.
pub(super) const MAX_DEPTH: usize = 32;
/// Flag in a reference: the object is rebuilt when read.
const REBUILT: u64 = 1 << 56;
const LIST: u8 = 77;
const TABLE: u8 = 98;
const DICT: u8 = 99;

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
            return Err(format!("is nested more than {MAX_DEPTH} deep; flatten it"));
        }
        match value {
            Value::Atom(atom) => Ok(self.atom(atom)),
            Value::Vector(vector) => self.vector(vector),
            Value::List(list) => self.list(list.items(), depth),
            Value::Dict(dict) if !dict.is_sorted() => {
                let parts = [self.add(dict.keys(), depth + 1)?, self.add(dict.values(), depth + 1)?];
                Ok(self.full(DICT, parts.len(), parts.map(u64::to_le_bytes).as_flattened()))
            }
            Value::Table(table) => {
                let names = self.vector(&Vector::symbols(table.names().clone()))?;
                let columns = self.list(table.columns(), depth + 1)?;
                Ok(self.full(TABLE, 2, [names, columns].map(u64::to_le_bytes).as_flattened()))
            }
            other => Err(savable::item(other).err().unwrap_or_else(|| format!("is a {}", other.type_name()))),
        }
    }

    fn list(&mut self, items: &[Value], depth: usize) -> Result<u64, String> {
        let items: Result<Vec<u64>, String> = items.iter().map(|item| self.add(item, depth + 1)).collect();
        let data: Vec<u8> = items?.iter().flat_map(|r| r.to_le_bytes()).collect();
        Ok(self.full(LIST, data.len() / 8, &data))
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
        savable::symbols_fit(vector)?;
        Ok(self.full(vector.ty().number(), vector.len(), data))
    }
}
