//! Schema of a table: [`TableMeta`], [`ColumnMeta`], [`ColumnType`].
//!
//! Rule: the latest partition with the table gives the one schema; older partitions are read through this schema. Only
//! the type of a column whose file is damaged there comes from an older one. Tests: `tests/layouts.rs`.

use kvalue::{Attr, Type, Value, Vector};

/// How a table is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// a directory in each partition
    Partitioned,
    /// one directory in the root
    Splayed,
    /// one serialised file in the root, read as a whole
    Basic,
}

impl TableKind {
    /// The word for messages.
    pub fn name(self) -> &'static str {
        match self {
            TableKind::Partitioned => "partitioned",
            TableKind::Splayed => "splayed",
            TableKind::Basic => "basic",
        }
    }
}

/// Type of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// one element of this type per row; symbols are enumerated on disk
    Basic(Type),
    /// a vector of this type per row, as the first row has it; strings are `Nested(Char)`
    Nested(Type),
    /// any value per row
    Any,
    /// no partition that was looked at has a readable file; why the latest one has none
    Unreadable(String),
}

impl ColumnType {
    /// The type of one element per row, where that is what the column holds.
    pub fn basic(&self) -> Option<Type> {
        match self {
            ColumnType::Basic(ty) => Some(*ty),
            _ => None,
        }
    }

    /// q's letter as `meta` prints it: upper case for nested vectors, a space where there is none.
    pub fn letter(&self) -> char {
        match self {
            ColumnType::Basic(ty) => ty.letter(),
            ColumnType::Nested(ty) => ty.letter().to_ascii_uppercase(),
            ColumnType::Any | ColumnType::Unreadable(_) => ' ',
        }
    }

    /// `n` nulls of the column: what a partition older than the column reads as.
    pub fn nulls(&self, n: usize) -> Value {
        match self {
            ColumnType::Basic(ty) => Value::Vector(Vector::repeat(&kvalue::Atom::null(*ty), n)),
            ColumnType::Nested(ty) => Value::list(vec![Value::Vector(Vector::empty(*ty)); n]),
            ColumnType::Any | ColumnType::Unreadable(_) => Value::list(vec![Value::list([]); n]),
        }
    }

    /// The type of the items of a value that was read as a column.
    pub(crate) fn of(value: &Value) -> ColumnType {
        match value {
            Value::Vector(v) => ColumnType::Basic(v.ty()),
            Value::List(l) => match l.items().first() {
                Some(Value::Vector(v)) => ColumnType::Nested(v.ty()),
                // kdb+ keeps a string of one letter as an atom.
                Some(Value::Atom(kvalue::Atom::Char(_))) => ColumnType::Nested(Type::Char),
                _ => ColumnType::Any,
            },
            _ => ColumnType::Any,
        }
    }
}

/// One column of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMeta {
    /// The name, also of its file.
    pub name: String,
    /// Type of the rows.
    pub ty: ColumnType,
    /// The attribute in the latest partition, none where that is damaged. Others may differ: ask `TableData::column_attr`.
    pub attr: Attr,
    /// The enumeration domain, or the table a link column points to.
    pub domain: Option<String>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMeta {
    /// The name.
    pub name: String,
    /// How it is stored.
    pub kind: TableKind,
    /// The columns in order, without the virtual column of a partitioned table.
    pub columns: Vec<ColumnMeta>,
}

impl TableMeta {
    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&ColumnMeta> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Names of all columns, for messages.
    pub fn column_names(&self) -> String {
        self.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}
