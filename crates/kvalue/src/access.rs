//! What can be asked of a value of any kind, and how values are made of others: type, count, items, and the views of a
//! value that callers hope it is.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Atom, Dict, List, Sym, Table, Type, Value, Vector};

impl Value {
    /// A symbol atom.
    pub fn sym(name: impl AsRef<[u8]>) -> Value {
        Value::Atom(Atom::Symbol(Sym::new(name)))
    }

    /// A char vector: q's string.
    pub fn str(text: impl AsRef<[u8]>) -> Value {
        Value::Vector(Vector::chars(Bytes::copy_from_slice(text.as_ref())))
    }

    /// A general list.
    pub fn list(items: impl Into<Arc<[Value]>>) -> Value {
        Value::List(List::new(items))
    }

    /// A symbol vector.
    pub fn syms<S: AsRef<[u8]>>(names: impl IntoIterator<Item = S>) -> Value {
        Value::Vector(Vector::syms(names))
    }

    /// `()!()`
    pub fn empty_dict() -> Value {
        Value::from(Dict::paired(Value::list([]), Value::list([])))
    }

    /// q's type number of this value: negative for an atom.
    pub fn type_number(&self) -> i8 {
        match self {
            Value::Null => 101,
            Value::Atom(a) => -(a.ty().number() as i8),
            Value::Vector(v) => v.ty().number() as i8,
            Value::List(_) => 0,
            Value::Dict(d) => {
                if d.is_sorted() {
                    127
                } else {
                    99
                }
            }
            Value::Table(_) => 98,
            Value::Opaque(o) => o.type_number() as i8,
        }
    }

    /// A name for error messages, for instance `symbol atom` or `long vector`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "generic null",
            Value::Atom(a) => a.ty().name(),
            Value::Vector(v) => match v.ty() {
                Type::Char => "string",
                Type::Symbol => "symbol vector",
                Type::Long => "long vector",
                Type::Float => "float vector",
                Type::Timestamp => "timestamp vector",
                Type::Boolean => "boolean vector",
                _ => "vector",
            },
            Value::List(_) => "general list",
            Value::Dict(d) if d.as_keyed_table().is_some() => "keyed table",
            Value::Dict(_) => "dictionary",
            Value::Table(_) => "table",
            Value::Opaque(_) => "function",
        }
    }

    /// q's `count`: 1 for an atom, pairs of a dictionary, rows of a table.
    pub fn count(&self) -> usize {
        match self {
            Value::Null | Value::Atom(_) | Value::Opaque(_) => 1,
            Value::Vector(v) => v.len(),
            Value::List(l) => l.len(),
            Value::Dict(d) => d.len(),
            Value::Table(t) => t.len(),
        }
    }

    /// Item `i`: an element as an atom, a list's item, a table's row as a dictionary; [`Value::Null`] beyond
    /// the end of a general list, the type's null beyond the end of a vector; the value itself otherwise.
    pub fn index(&self, i: usize) -> Value {
        match self {
            Value::Vector(v) => Value::Atom(v.get(i)),
            Value::List(l) => l.items().get(i).cloned().unwrap_or(Value::Null),
            Value::Dict(d) => d.values().index(i),
            Value::Table(t) => {
                let row: Vec<Value> = t.columns().iter().map(|c| c.index(i)).collect();
                let names = Value::Vector(Vector::symbols(t.names().clone()));
                Value::from(Dict::paired(names, Value::list(row)))
            }
            Value::Null | Value::Atom(_) | Value::Opaque(_) => self.clone(),
        }
    }

    /// The items of `range` of a list or table, sharing storage where the layout allows. Panics where the
    /// range is out of bounds; the value itself where it has no items.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Value {
        match self {
            Value::Vector(v) => Value::Vector(v.slice(range)),
            Value::List(l) => Value::list(&l.items()[range]),
            Value::Table(t) => Value::Table(Arc::new(t.slice(range))),
            other => other.clone(),
        }
    }

    /// The symbol of a symbol atom.
    pub fn as_sym(&self) -> Option<Sym> {
        match self {
            Value::Atom(Atom::Symbol(s)) => Some(s.clone()),
            _ => None,
        }
    }

    /// The text of a string (a char vector, or the char atom that a one-letter string becomes).
    pub fn as_text(&self) -> Option<Vec<u8>> {
        match self {
            Value::Vector(v) if v.ty() == Type::Char => v.as_bytes().map(|b| b.to_vec()),
            Value::Atom(Atom::Char(c)) => Some(vec![*c]),
            _ => None,
        }
    }

    /// A name given as a symbol or as text: clients send either.
    pub fn as_name(&self) -> Option<Sym> {
        self.as_sym().or_else(|| self.as_text().map(Sym::new))
    }

    /// Several names: a symbol vector, one name, or a general list of names.
    pub fn as_names(&self) -> Option<Vec<Sym>> {
        match self {
            Value::Vector(v) if v.ty() == Type::Symbol => {
                v.as_symbols().map(|s| s.iter().map(Sym::new).collect())
            }
            Value::List(l) => l.items().iter().map(Value::as_name).collect(),
            other => other.as_name().map(|n| vec![n]),
        }
    }

    /// The number of an integral or temporal atom; `None` for its null and for anything else.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Atom(Atom::Char(_)) => None,
            Value::Atom(a) => match a.scalar()? {
                crate::atom::Scalar::Integer(n) => n,
                crate::atom::Scalar::Float(_) => None,
            },
            _ => None,
        }
    }

    /// The truth of a boolean atom.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Atom(Atom::Boolean(b)) => Some(*b),
            _ => None,
        }
    }

    /// The dictionary inside.
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Value::Dict(d) => Some(d),
            _ => None,
        }
    }

    /// The table inside.
    pub fn as_table(&self) -> Option<&Table> {
        match self {
            Value::Table(t) => Some(t),
            _ => None,
        }
    }

    /// The vector inside.
    pub fn as_vector(&self) -> Option<&Vector> {
        match self {
            Value::Vector(v) => Some(v),
            _ => None,
        }
    }
}

macro_rules! from_atom {
    ($($t:ty),*) => {$(
        impl From<$t> for Value {
            fn from(x: $t) -> Value { Value::Atom(Atom::from(x)) }
        }
    )*};
}
from_atom!(bool, i16, i32, i64, f32, f64, Sym);

impl From<Atom> for Value {
    fn from(a: Atom) -> Value {
        Value::Atom(a)
    }
}
impl From<Vector> for Value {
    fn from(v: Vector) -> Value {
        Value::Vector(v)
    }
}
impl From<Dict> for Value {
    fn from(d: Dict) -> Value {
        Value::Dict(Arc::new(d))
    }
}
impl From<Table> for Value {
    fn from(t: Table) -> Value {
        Value::Table(Arc::new(t))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_as_symbol_string_or_char() {
        for v in [Value::sym("a"), Value::str("a"), Value::Atom(Atom::Char(b'a'))] {
            assert_eq!(v.as_name(), Some(Sym::new("a")), "{v:?}");
        }
        assert_eq!(Value::from(1i64).as_name(), None);
    }

    #[test]
    fn indexing_beyond_the_end_gives_null() {
        assert_eq!(Value::from(Vector::longs(vec![1])).index(5), Value::Atom(Atom::null(Type::Long)));
        assert_eq!(Value::list([]).index(0), Value::Null);
    }
}
