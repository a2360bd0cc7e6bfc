//! Tables in partitions, each a day's, a month's, … rows.

use std::{any::Any, sync::Arc};

use crate::{
    QError, R,
    value::{Mapped, Sym, Value},
};

/// A table that lies in partitions, each a day's, a month's, … rows: what a source of such tables gives.
pub trait Partitioned: std::fmt::Debug + Send + Sync {
    /// Name of the table.
    fn name(&self) -> Sym;
    /// Name of the virtual column whose value the partition gives: `date`, `month`, `year`, `int`.
    fn field(&self) -> Sym;
    /// The partitions' values, ascending: a vector of dates, months or longs.
    fn values(&self) -> Value;
    /// Column names without the virtual one.
    fn names(&self) -> Vec<Sym>;
    /// Rows of the partition at this position of [`Self::values`].
    fn rows(&self, partition: usize) -> R<usize>;
    /// A column of a partition.
    fn column(&self, partition: usize, name: Sym) -> R;
    /// The concrete source, for those who know it.
    fn source(&self) -> Option<&dyn Any> {
        None
    }
}

/// A partitioned table as a value: `Value::Mapped(Arc::new(Parted(source)))`.
#[derive(Debug, Clone)]
pub struct Parted(pub Arc<dyn Partitioned>);

impl Mapped for Parted {
    fn name(&self) -> Sym {
        self.0.name()
    }

    fn names(&self) -> Vec<Sym> {
        std::iter::once(self.0.field()).chain(self.0.names()).collect()
    }

    fn stored(&self) -> Vec<Sym> {
        self.0.names()
    }

    fn len(&self) -> R<usize> {
        (0..self.0.values().count()).map(|i| self.0.rows(i)).sum()
    }

    fn column(&self, _name: Sym) -> R {
        Err(QError::new("par"))
    }

    fn load(&self) -> R {
        Err(QError::new("par"))
    }

    fn head(&self, n: usize) -> R {
        let names = self.names();
        let mut columns = vec![Value::empty_list(); names.len()];
        let values = self.0.values();
        let last = values.count().checked_sub(1).ok_or_else(QError::length)?;
        for at in 0..=last {
            let rows = self.0.rows(at)?;
            // An empty partition is read only where no other gives the columns their types.
            if rows == 0 && at < last {
                continue;
            }
            for (column, name) in columns.iter_mut().zip(&names) {
                let more = match *name == self.0.field() {
                    true => values.at(at).repeat(rows),
                    false => self.0.column(at, *name)?,
                };
                let more = if rows > n { more.slice(0, n) } else { more };
                *column = std::mem::replace(column, Value::Nil).append(&more);
            }
            if columns.first().is_some_and(|c| c.count() >= n) {
                break;
            }
        }
        Ok(Value::table(crate::value::Table::new(names, columns)?))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
