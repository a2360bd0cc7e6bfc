//! Partitioned tables: a folder of columns for each date, month, year or number.

use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};

use kvalue::{Type, time};

use super::{domains::Domains, path, splayed::Folder};
use crate::{
    QError, R,
    host::Files,
    ops::table::parted::Partitioned,
    value::{Data, Sym, Value},
};

/// What partitions are made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Date,
    Month,
    Year,
    Int,
}

impl Field {
    /// Name of the virtual column.
    pub(super) fn name(self) -> Sym {
        Sym::new(match self {
            Field::Date => "date",
            Field::Month => "month",
            Field::Year => "year",
            Field::Int => "int",
        })
    }

    /// Field and value of a folder's name; `None` where it is no partition. Four digits count as a year: whether
    /// they are one is decided with all names in sight.
    pub(super) fn parse(name: &str) -> Option<(Field, i64)> {
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let number = |s: &str| digits(s).then(|| s.parse::<i64>().ok()).flatten();
        let parts: Vec<&str> = name.split('.').collect();
        match parts[..] {
            [y, m, d] if (y.len(), m.len(), d.len()) == (4, 2, 2) => {
                let days = time::days_from_civil(number(y)?, number(m)? as u32, number(d)? as u32)?;
                Some((Field::Date, days))
            }
            [y, m] if (y.len(), m.len()) == (4, 2) => {
                let (y, m) = (number(y)?, number(m)?);
                (1..=12).contains(&m).then_some((Field::Month, (y - 2000) * 12 + m - 1))
            }
            [n] if n.len() == 4 => Some((Field::Year, number(n)?)),
            [n] => Some((Field::Int, number(n)?)),
            _ => None,
        }
    }

    /// These values as q has them.
    pub(super) fn vector(self, values: &[i64]) -> Value {
        let ints = || values.iter().map(|v| i32::try_from(*v)).collect::<Result<Vec<i32>, _>>();
        let of = |ty, ints: Vec<i32>| Value::vector(ty, Data::I32(ints.into()));
        match (self, ints()) {
            (Field::Date, Ok(ints)) => of(Type::Date, ints),
            (Field::Month, Ok(ints)) => of(Type::Month, ints),
            (Field::Year | Field::Int, Ok(ints)) => of(Type::Int, ints),
            (_, Err(_)) => Value::longs(values.to_vec()),
        }
    }
}

/// One partition.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) value: i64,
    /// the folder that holds the partition: the root or a segment, as q shows it
    pub(super) segment: String,
    /// name of the partition's folder
    pub(super) leaf: String,
    /// where it is
    pub(super) path: String,
}

/// A database in partitions.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) field: Field,
    /// the partitions in view, ascending
    pub(super) places: Vec<Place>,
    /// all partitions
    pub(super) all: Vec<Place>,
    /// the segments of `par.txt`, as q shows them
    pub(super) segments: Vec<String>,
    pub(super) files: Arc<dyn Files>,
    pub(super) domains: Arc<Domains>,
}

impl Base {
    /// The partitions in view as q has them.
    pub(super) fn values(&self) -> Value {
        values(self.field, &self.places)
    }

    /// The folder of a table in a partition.
    pub(super) fn folder(&self, at: usize, table: Sym) -> R<Folder> {
        let place = self.places.get(at).ok_or_else(QError::length)?;
        let table = table.text();
        let leaf = path::plain(&table)?;
        Ok(Folder {
            path: path::join(&place.path, leaf),
            shown: path::join(&path::join(&place.segment, &place.leaf), leaf),
            files: self.files.clone(),
            domains: self.domains.clone(),
        })
    }
}

/// The values of partitions as q has them.
pub(super) fn values(field: Field, places: &[Place]) -> Value {
    field.vector(&places.iter().map(|p| p.value).collect::<Vec<_>>())
}

/// A table of a database in partitions.
#[derive(Debug)]
pub(super) struct PartTable {
    pub(super) base: Arc<Base>,
    pub(super) name: Sym,
    pub(super) names: Vec<Sym>,
    /// empty columns for partitions that lack the table, where `.Q.bv` has found them
    pub(super) fill: Option<Vec<Value>>,
    /// rows of each partition, as far as counted
    pub(super) rows: Mutex<Vec<Option<usize>>>,
}

impl PartTable {
    /// The table of this name with these columns.
    pub(super) fn new(base: Arc<Base>, name: Sym, names: Vec<Sym>, fill: Option<Vec<Value>>) -> PartTable {
        let rows = Mutex::new(vec![None; base.places.len()]);
        PartTable { base, name, names, fill, rows }
    }

    fn is_missing(&self, folder: &Folder) -> R<bool> {
        Ok(self.fill.is_some() && self.base.files.stat(&folder.path)?.is_none())
    }
}

impl Partitioned for PartTable {
    fn name(&self) -> Sym {
        self.name
    }

    fn field(&self) -> Sym {
        self.base.field.name()
    }

    fn values(&self) -> Value {
        self.base.values()
    }

    fn names(&self) -> Vec<Sym> {
        self.names.clone()
    }

    fn rows(&self, partition: usize) -> R<usize> {
        let known =
            self.rows.lock().unwrap_or_else(PoisonError::into_inner).get(partition).copied().flatten();
        if let Some(n) = known {
            return Ok(n);
        }
        let folder = self.base.folder(partition, self.name)?;
        let n = match self.is_missing(&folder)? {
            true => 0,
            false => self.names.first().map_or(Ok(0), |first| folder.rows(*first))?,
        };
        if let Some(slot) = self.rows.lock().unwrap_or_else(PoisonError::into_inner).get_mut(partition) {
            *slot = Some(n);
        }
        Ok(n)
    }

    fn column(&self, partition: usize, name: Sym) -> R {
        let at = self.names.iter().position(|n| *n == name).ok_or_else(|| QError::new(name.text()))?;
        let folder = self.base.folder(partition, self.name)?;
        if self.is_missing(&folder)? {
            return Ok(self.fill.as_ref().and_then(|f| f.get(at)).cloned().unwrap_or_else(Value::empty_list));
        }
        folder.column(name)
    }

    fn source(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
