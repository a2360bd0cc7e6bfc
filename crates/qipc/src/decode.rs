//! Bytes to values.
//!
//! Rule kept: bulk data is never copied. Vectors, symbol lists and functions are slices of the given buffer,
//! whatever their alignment; big-endian objects are first converted, once, as a whole.

use std::ops::Range;

use bytes::Bytes;
use kvalue::{Atom, Attr, Dict, List, Opaque, Symbols, Table, Type, Value, Vector};

use crate::{
    DecodeError, Limits,
    parse::{Build, Endian, Parser},
    scan,
};

/// The value of a little-endian object, which must fill `object` exactly. Shares the buffer.
pub fn decode(object: Bytes, limits: &Limits) -> Result<Value, DecodeError> {
    Parser::new(&object, Endian::Little, limits).whole(&mut Values { source: &object, inside_function: 0 })
}

/// As [`decode`], for an object of either byte order.
pub fn decode_as(object: Bytes, endian: Endian, limits: &Limits) -> Result<Value, DecodeError> {
    match endian {
        Endian::Little => decode(object, limits),
        Endian::Big => decode(scan::to_little_endian(&object, limits)?, limits),
    }
}

/// Gives each name of a little-endian dictionary of symbols to a general list with its value, in order; false, and
/// nothing, for any other object. The values share the buffer; the dictionary itself is not made, which costs as much
/// as a short one's values do. What was given before an error is not to be used.
pub fn named_values(
    object: &Bytes,
    limits: &Limits,
    mut each: impl FnMut(&[u8], Value),
) -> Result<bool, DecodeError> {
    let mut values = Values { source: object, inside_function: 0 };
    scan::named(object, &mut values, limits, |pair| each(&object[pair.name], pair.built))
}

/// Builds values over `source`, the very bytes that are parsed.
struct Values<'a> {
    source: &'a Bytes,
    /// Parts of a function are checked but become nothing of their own.
    inside_function: usize,
}

impl Build for Values<'_> {
    type Out = Value;
    type Items = Vec<Value>;

    fn numbers(&mut self, _: usize, _: usize, _: usize) {}

    fn atom(&mut self, ty: Type, data: Range<usize>) -> Result<Value, DecodeError> {
        if self.inside_function > 0 {
            return Ok(Value::Null);
        }
        Ok(Value::Atom(Atom::from_le_bytes(ty, &self.source[data])?))
    }

    fn vector(
        &mut self,
        ty: Type,
        attr: Attr,
        count: usize,
        data: Range<usize>,
    ) -> Result<Value, DecodeError> {
        if self.inside_function > 0 {
            return Ok(Value::Null);
        }
        let data = self.source.slice(data);
        let vector = match ty {
            Type::Symbol => Vector::symbols(Symbols::packed(data, count)?),
            _ => Vector::fixed(ty, data)?,
        };
        Ok(Value::Vector(vector.with_attr(attr)))
    }

    fn items(&mut self, count: usize) -> Vec<Value> {
        // The parser has seen two bytes for each item; growing in steps keeps the memory in proportion to
        // what has been read where most of them turn out not to be there.
        Vec::with_capacity(if self.inside_function > 0 { 0 } else { count.min(4096) })
    }

    fn push(&mut self, items: &mut Vec<Value>, item: Value) {
        if self.inside_function == 0 {
            items.push(item);
        }
    }

    fn list(&mut self, attr: Attr, items: Vec<Value>) -> Value {
        Value::List(List::new(items).with_attr(attr))
    }

    fn dict(&mut self, keys: Value, values: Value, sorted: bool) -> Result<Value, DecodeError> {
        if self.inside_function > 0 {
            return Ok(Value::Null);
        }
        Ok(Value::from(Dict::new(keys, values)?.with_sorted(sorted)))
    }

    fn table(
        &mut self,
        attr: Attr,
        (count, names): (usize, Range<usize>),
        columns: Vec<Value>,
    ) -> Result<Value, DecodeError> {
        if self.inside_function > 0 {
            return Ok(Value::Null);
        }
        let names = Symbols::packed(self.source.slice(names), count)?;
        Ok(Value::from(Table::new(names, columns)?.with_attr(attr)))
    }

    fn enter_function(&mut self) {
        self.inside_function += 1;
    }

    fn function(&mut self, whole: Range<usize>, unary: Option<u8>) -> Value {
        self.inside_function -= 1;
        match unary {
            Some(0) => Value::Null,
            _ if self.inside_function > 0 => Value::Null,
            _ => Value::Opaque(Opaque::new(self.source.slice(whole))),
        }
    }
}
