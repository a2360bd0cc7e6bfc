//! The heap of a nested column as kdb+ 3.6 and later keep it: objects in the forms seen in real files only, compact
//! while the data has at most 95 bytes, full at offsets divisible by 16 otherwise.

use ahash::HashMap;
use kvalue::Type;
use zerocopy::IntoBytes;

use super::write::raw;
use crate::value::{Data, Sym, Value, Vector};

/// Most data bytes of a compact object.
const COMPACT: usize = 95;
/// Deepest nesting that is written.
const MAX_DEPTH: usize = 32;
/// Flag in a reference: the object is rebuilt when read.
const REBUILT: u64 = 1 << 56;

/// A heap being built.
#[derive(Default)]
pub(super) struct HeapWriter {
    /// bytes from the heap's offset 0 on
    pub(super) bytes: Vec<u8>,
    /// distinct symbols in order of appearance
    pub(super) symbols: Vec<Sym>,
    index: HashMap<Sym, i32>,
}

impl HeapWriter {
    /// Adds an object and gives its reference; `None` for a value that has no known form here.
    pub(super) fn add(&mut self, value: &Value, depth: usize) -> Option<u64> {
        if depth > MAX_DEPTH {
            return None;
        }
        match value {
            Value::Vector(v) => self.vector(v),
            Value::List(l) => {
                let items = l.iter().map(|item| self.add(item, depth + 1)).collect::<Option<Vec<u64>>>()?;
                Some(self.full(77, items.len(), items.as_bytes()))
            }
            Value::Dict(d) if !d.sorted => self.pair(99, &d.keys, &d.values, depth),
            Value::Table(t) if !t.sorted => {
                let names = Value::syms(t.names.to_vec());
                self.pair(98, &names, &Value::list(t.columns.clone()), depth)
            }
            Value::Enum(e) => self.add(&e.value(), depth),
            atom => {
                let (ty, _) = atom.as_scalar()?;
                let Value::Vector(v) = Value::from_items(vec![atom.clone()]) else { return None };
                let tag = 0x7f - ty.number();
                match &v.data {
                    Data::Sym(s) => {
                        let code = self.symbol(*s.first()?).to_le_bytes();
                        Some(self.compact(&[&[tag], &code]))
                    }
                    data => Some(self.compact(&[&[tag], raw(data)])),
                }
            }
        }
    }

    fn pair(&mut self, kind: u8, keys: &Value, values: &Value, depth: usize) -> Option<u64> {
        let parts = [self.add(keys, depth + 1)?, self.add(values, depth + 1)?];
        Some(self.full(kind, 2, parts.as_bytes()) | REBUILT)
    }

    fn symbol(&mut self, name: Sym) -> i32 {
        let next = self.symbols.len() as i32;
        let code = *self.index.entry(name).or_insert(next);
        if code == next {
            self.symbols.push(name);
        }
        code
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

    fn vector(&mut self, v: &Vector) -> Option<u64> {
        let codes: Vec<i32>;
        let (ty, data) = match &v.data {
            Data::Sym(symbols) => {
                codes = symbols.iter().map(|s| self.symbol(*s)).collect();
                (Type::Symbol, codes.as_bytes())
            }
            Data::Enum(..) => {
                let Value::Vector(plain) = std::sync::Arc::new(v.clone()).resolved() else { return None };
                return if matches!(plain.data, Data::Enum(..)) { None } else { self.vector(&plain) };
            }
            data => (v.ty, raw(data)),
        };
        if data.len() <= COMPACT {
            return Some(self.compact(&[&[0x7f + ty.number(), v.len() as u8], data]));
        }
        Some(self.full(ty.number(), v.len(), data))
    }
}
