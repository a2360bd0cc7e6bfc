//! Anything q can send: [`Value`] and its compound parts.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Atom, Attr, ShapeError, Sym, Symbols, Type, Vector};

/// A q value. Cloning is cheap: bulk data is shared.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `::`, the generic null (type 101, code 0)
    Null,
    /// one value of a basic type
    Atom(Atom),
    /// many values of one basic type
    Vector(Vector),
    /// general list, type 0
    List(List),
    /// dictionary (99) or sorted dictionary (127); a keyed table is a dictionary of two tables
    Dict(Arc<Dict>),
    /// table, type 98
    Table(Arc<Table>),
    /// function, projection, composition, iterator (100-112): carried, never looked into
    Opaque(Opaque),
}

/// A general list: items of any kind.
#[derive(Debug, Clone, Default)]
pub struct List {
    items: Arc<[Value]>,
    attr: Attr,
}

impl List {
    /// A list of these items.
    pub fn new(items: impl Into<Arc<[Value]>>) -> Self {
        List { items: items.into(), attr: Attr::None }
    }

    /// The same items with another attribute byte.
    #[must_use]
    pub fn with_attr(mut self, attr: Attr) -> Self {
        self.attr = attr;
        self
    }

    /// The attribute.
    pub fn attr(&self) -> Attr {
        self.attr
    }

    /// The items.
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items
    }
}

/// Keys and values of equal count.
#[derive(Debug, Clone, PartialEq)]
pub struct Dict {
    keys: Value,
    values: Value,
    sorted: bool,
}

impl Dict {
    /// Keys and values; an error where their counts differ or one has no count.
    pub fn new(keys: Value, values: Value) -> Result<Self, ShapeError> {
        if keys.count() != values.count() {
            return Err(ShapeError::Length {
                what: "dictionary values".into(),
                got: values.count(),
                expected: keys.count(),
            });
        }
        Ok(Dict { keys, values, sorted: false })
    }

    /// Marks the dictionary as sorted: wire type 127.
    #[must_use]
    pub fn with_sorted(mut self, sorted: bool) -> Self {
        self.sorted = sorted;
        self
    }

    /// Symbol keys with values of any kind, as an untyped list: how headers and arguments travel.
    pub fn of<K: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Self {
        let (keys, values): (Vec<K>, Vec<Value>) = pairs.into_iter().unzip();
        Dict {
            keys: Value::Vector(Vector::syms(keys)),
            values: Value::List(List::new(values)),
            sorted: false,
        }
    }

    /// The keys.
    pub fn keys(&self) -> &Value {
        &self.keys
    }

    /// The values.
    pub fn values(&self) -> &Value {
        &self.values
    }

    /// True for wire type 127.
    pub fn is_sorted(&self) -> bool {
        self.sorted
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.keys.count()
    }

    /// True where there is no pair.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a symbol key; the first one where the key occurs twice.
    pub fn get(&self, key: &str) -> Option<Value> {
        let at = match self.keys.as_vector().and_then(Vector::as_symbols) {
            // Without making a symbol of each.
            Some(names) => names.iter().position(|name| name == key.as_bytes())?,
            None => {
                (0..self.keys.count()).find(|&i| self.keys.index(i).as_sym().is_some_and(|s| s == key))?
            }
        };
        Some(self.values.index(at))
    }

    /// Keys as symbols with their values; keys that are no symbols (or strings) are passed over.
    pub fn pairs(&self) -> impl Iterator<Item = (Sym, Value)> + '_ {
        (0..self.keys.count()).filter_map(|i| Some((self.keys.index(i).as_name()?, self.values.index(i))))
    }

    /// Both sides as tables, where this is a keyed table.
    pub fn as_keyed_table(&self) -> Option<(&Table, &Table)> {
        match (&self.keys, &self.values) {
            (Value::Table(k), Value::Table(v)) => Some((k, v)),
            _ => None,
        }
    }
}

/// Named columns of equal length.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    names: Symbols,
    columns: Arc<[Value]>,
    attr: Attr,
}

impl Table {
    /// Names and columns. An error where counts differ or a column is no list.
    pub fn new(names: Symbols, columns: impl Into<Arc<[Value]>>) -> Result<Self, ShapeError> {
        let columns = columns.into();
        if names.len() != columns.len() {
            return Err(ShapeError::Length {
                what: "table columns".into(),
                got: columns.len(),
                expected: names.len(),
            });
        }
        for (i, column) in columns.iter().enumerate() {
            let what = || format!("column `{}`", String::from_utf8_lossy(names.get(i)));
            if !matches!(column, Value::Vector(_) | Value::List(_) | Value::Table(_)) {
                return Err(ShapeError::Type {
                    what: what(),
                    expected: "a list".into(),
                    got: column.type_name().into(),
                });
            }
            if column.count() != columns[0].count() {
                return Err(ShapeError::Length {
                    what: what(),
                    got: column.count(),
                    expected: columns[0].count(),
                });
            }
        }
        Ok(Table { names, columns, attr: Attr::None })
    }

    /// As [`Self::new`] from pairs.
    pub fn of<K: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Result<Self, ShapeError> {
        let (names, columns): (Vec<K>, Vec<Value>) = pairs.into_iter().unzip();
        Table::new(names.into_iter().collect(), columns)
    }

    /// The same table with another attribute byte.
    #[must_use]
    pub fn with_attr(mut self, attr: Attr) -> Self {
        self.attr = attr;
        self
    }

    /// The attribute.
    pub fn attr(&self) -> Attr {
        self.attr
    }

    /// Column names.
    pub fn names(&self) -> &Symbols {
        &self.names
    }

    /// Columns in the order of the names.
    pub fn columns(&self) -> &[Value] {
        &self.columns
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, Value::count)
    }

    /// True where there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Position of a column.
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Value> {
        self.position(name.as_bytes()).map(|i| &self.columns[i])
    }

    /// Names and columns together.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Value)> + '_ {
        self.names.iter().zip(self.columns.iter())
    }

    /// The rows of `range`, sharing storage. Panics where the range is out of bounds.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        let columns: Vec<Value> = self.columns.iter().map(|c| c.slice(range.clone())).collect();
        Table { names: self.names.clone(), columns: columns.into(), attr: Attr::None }
    }
}

/// A function in its wire form: the whole little-endian object, type byte first. Never evaluated here.
#[derive(Debug, Clone, PartialEq)]
pub struct Opaque {
    bytes: Bytes,
}

impl Opaque {
    /// Wraps a validated object of type 100-112. The codec is the only maker.
    pub fn new(bytes: Bytes) -> Self {
        Opaque { bytes }
    }

    /// The object as it travels.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// q's type number; 0 where the object is empty.
    pub fn type_number(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }
}

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
        Value::Dict(Arc::new(Dict { keys: Value::list([]), values: Value::list([]), sorted: false }))
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
                Value::Dict(Arc::new(Dict {
                    keys: Value::Vector(Vector::symbols(t.names().clone())),
                    values: Value::list(row),
                    sorted: false,
                }))
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
    fn a_table_refuses_columns_of_other_lengths() {
        let err = Table::of([
            ("a", Value::from(Vector::longs(vec![1, 2]))),
            ("b", Value::from(Vector::longs(vec![1]))),
        ])
        .unwrap_err();
        assert_eq!(err.to_string(), "length: column `b` has 1 items where 2 are needed");
    }

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

    #[test]
    fn dict_of_pairs_finds_its_keys() {
        let d = Dict::of([("a", Value::from(1i64)), ("b", Value::sym("x"))]);
        assert_eq!(d.get("b"), Some(Value::sym("x")));
        assert_eq!(d.get("c"), None);
    }
}
