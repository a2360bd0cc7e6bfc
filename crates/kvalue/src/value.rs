//! Anything q can send: [`Value`] and its compound parts. What can be asked of any value is in `access`.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Atom, Attr, ShapeError, Sym, Symbols, Vector};

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
        Ok(Self::paired(keys, values))
    }

    /// Keys and values that are known to be of equal count.
    pub(crate) fn paired(keys: Value, values: Value) -> Self {
        Dict { keys, values, sorted: false }
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
        Self::paired(Value::Vector(Vector::syms(keys)), Value::List(List::new(values)))
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
    fn dict_of_pairs_finds_its_keys() {
        let d = Dict::of([("a", Value::from(1i64)), ("b", Value::sym("x"))]);
        assert_eq!(d.get("b"), Some(Value::sym("x")));
        assert_eq!(d.get("c"), None);
    }
}
