//! What a source says of its table: columns, time column, virtual partition column.
//!
//! Rule: the schema alone decides names and types of a result, so that a portion without rows looks like any
//! other. Tests: here, and through `bind`.

use kvalue::{Sym, Type, Value, Vector};

/// What a column holds, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnKind {
    /// one element of this type
    Basic(Type),
    /// a vector of this type; a string where it is char
    Nested(Type),
    /// any value
    Any,
    /// the column cannot be read, for this reason; a query of the column fails with the reason
    Unreadable(String),
}

impl ColumnKind {
    /// The type of one element per row; `None` where a row holds a list or anything.
    pub fn basic(&self) -> Option<Type> {
        match self {
            ColumnKind::Basic(ty) => Some(*ty),
            _ => None,
        }
    }

    /// A column of this kind without rows.
    pub fn empty(&self) -> Value {
        self.basic().map_or_else(|| Value::list([]), |ty| Value::Vector(Vector::empty(ty)))
    }
}

impl std::fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ColumnKind::Basic(ty) => write!(f, "{ty}"),
            ColumnKind::Nested(Type::Char) => f.write_str("string"),
            ColumnKind::Nested(ty) => write!(f, "list of {ty}"),
            ColumnKind::Any => f.write_str("mixed list"),
            ColumnKind::Unreadable(_) => f.write_str("unreadable"),
        }
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// its name
    pub name: Sym,
    /// what it holds
    pub kind: ColumnKind,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// its name
    pub name: Sym,
    /// stored columns in order
    pub columns: Vec<Column>,
    /// the column that `startTS` and `endTS` are about (`prtnCol`); `None` for a table without time, which is
    /// served whole whatever the range
    pub time: Option<Sym>,
    /// the virtual column of a partitioned table (`date`, `month`, `year`, `int`): in filters, groups and
    /// aggregates as any other, in the result only where it is asked for
    pub partition: Option<(Sym, Type)>,
}

/// Names that by custom are a table's time column, the first that is there wins.
const TIME_NAMES: [&str; 4] = ["time", "timestamp", "realTime", "ts"];

impl TableSchema {
    /// A schema whose time column is found by [`time_column`].
    pub fn timed(name: Sym, columns: Vec<Column>, partition: Option<(Sym, Type)>) -> Self {
        let time = time_column(&columns);
        TableSchema { name, columns, time, partition }
    }

    /// What a column holds, the virtual ones included.
    pub fn kind(&self, name: &Sym) -> Option<ColumnKind> {
        self.stored(name).cloned().or_else(|| {
            if self.is_row_number(name) {
                return Some(ColumnKind::Basic(Type::Long));
            }
            let (_, ty) = self.partition.as_ref().filter(|(virtual_name, _)| virtual_name == name)?;
            Some(ColumnKind::Basic(*ty))
        })
    }

    /// What a stored column holds; `None` for the virtual ones.
    pub fn stored(&self, name: &Sym) -> Option<&ColumnKind> {
        self.columns.iter().find(|c| &c.name == name).map(|c| &c.kind)
    }

    /// True for the virtual partition column, unless a stored one has its name.
    pub fn is_virtual(&self, name: &Sym) -> bool {
        self.partition.as_ref().is_some_and(|(n, _)| n == name) && self.stored(name).is_none()
    }

    /// True for q's virtual column `i`, unless a stored one has its name: the number of a row in its partition.
    pub fn is_row_number(&self, name: &Sym) -> bool {
        *name == "i" && self.stored(name).is_none()
    }

    /// All column names, for messages.
    pub fn names(&self) -> String {
        let stored = self.columns.iter().map(|c| c.name.text());
        let partition = self.partition.iter().map(|(n, _)| n.text());
        stored.chain(partition).collect::<Vec<_>>().join(", ")
    }
}

/// The time column that a table without a declared one is taken to have: one of a customary name (`time`,
/// `timestamp`, `realTime`, `ts`), else the first timestamp, else the first of another temporal type that
/// tells more than a day, else the first date.
pub fn time_column(columns: &[Column]) -> Option<Sym> {
    let of = |wanted: &dyn Fn(Type) -> bool| {
        let found = columns.iter().find(|c| c.kind.basic().is_some_and(wanted));
        found.map(|c| c.name.clone())
    };
    let named = TIME_NAMES.iter().find_map(|name| {
        let column = columns.iter().find(|c| c.name == *name)?;
        column.kind.basic().is_some_and(Type::is_temporal).then(|| column.name.clone())
    });
    named
        .or_else(|| of(&|ty| ty == Type::Timestamp))
        .or_else(|| of(&|ty| ty.is_temporal() && !matches!(ty, Type::Date | Type::Month)))
        .or_else(|| of(&|ty| ty == Type::Date))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, ty: Type) -> Column {
        Column { name: name.into(), kind: ColumnKind::Basic(ty) }
    }

    #[test]
    fn the_time_column_goes_by_name_then_by_type() {
        let chosen = |columns: &[Column]| time_column(columns).map(|s| s.text().into_owned());
        let day = column("day", Type::Date);
        let span = column("at", Type::Timespan);
        let stamp = column("seen", Type::Timestamp);
        let named = column("time", Type::Time);
        assert_eq!(chosen(&[day.clone(), span.clone(), stamp.clone(), named]).as_deref(), Some("time"));
        assert_eq!(chosen(&[day.clone(), span.clone(), stamp]).as_deref(), Some("seen"));
        assert_eq!(chosen(&[day.clone(), span]).as_deref(), Some("at"));
        assert_eq!(chosen(&[day]).as_deref(), Some("day"));
        assert_eq!(chosen(&[column("time", Type::Long)]), None);
    }

    #[test]
    fn a_stored_column_hides_the_virtual_one() {
        let schema = TableSchema::timed(
            "t".into(),
            vec![column("date", Type::Timestamp)],
            Some(("date".into(), Type::Date)),
        );
        assert_eq!(schema.kind(&"date".into()), Some(ColumnKind::Basic(Type::Timestamp)));
        assert!(!schema.is_virtual(&"date".into()));
        assert!(schema.is_row_number(&"i".into()));
        let stored = TableSchema::timed("t".into(), vec![column("i", Type::Symbol)], None);
        assert!(!stored.is_row_number(&"i".into()));
    }
}
