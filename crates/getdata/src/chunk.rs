//! A run of rows of a block being looked at: its columns are read once, when first asked for.

use std::{cell::RefCell, ops::Range};

use kvalue::{Atom, Sym, Value, Vector};
use sg::Failure;

use crate::{
    failure::internal,
    schema::{ColumnKind, TableSchema},
    source::Block,
};

/// Rows of a block.
pub(crate) struct Chunk<'a> {
    schema: &'a TableSchema,
    block: &'a dyn Block,
    partition: Option<&'a Atom>,
    rows: Range<usize>,
    /// few
    read: RefCell<Vec<(Sym, Value)>>,
}

impl<'a> Chunk<'a> {
    pub(crate) fn new(
        schema: &'a TableSchema,
        block: &'a dyn Block,
        partition: Option<&'a Atom>,
        rows: Range<usize>,
    ) -> Self {
        Chunk { schema, block, partition, rows, read: RefCell::default() }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The values of a column, as many as there are rows and of the kind its schema says.
    pub(crate) fn column(&self, name: &Sym) -> Result<Value, Failure> {
        if let Some(column) = self.known(name) {
            return Ok(column);
        }
        let column = self.load(name)?;
        self.read.borrow_mut().push((name.clone(), column.clone()));
        Ok(column)
    }

    /// As [`Self::column`], for one look: what was not read before is not kept.
    pub(crate) fn glance(&self, name: &Sym) -> Result<Value, Failure> {
        self.known(name).map_or_else(|| self.load(name), Ok)
    }

    fn known(&self, name: &Sym) -> Option<Value> {
        self.read.borrow().iter().find(|(known, _)| known == name).map(|(_, column)| column.clone())
    }

    /// Reads a column.
    pub(crate) fn load(&self, name: &Sym) -> Result<Value, Failure> {
        if let Some(kind) = self.schema.stored(name) {
            return self.stored(name, kind);
        }
        if self.schema.is_virtual(name) {
            let atom = self.partition.ok_or_else(|| {
                internal(format!("a block of table `{}` does not say its {name}", self.schema.name))
            })?;
            return Ok(Value::Vector(Vector::repeat(atom, self.len())));
        }
        if self.schema.is_row_number(name) {
            return Ok(Vector::longs(self.rows.clone().map(|row| row as i64).collect::<Vec<i64>>()).into());
        }
        self.stored(name, &ColumnKind::Any)
    }

    /// Reads a stored column, which is of this kind.
    pub(crate) fn stored(&self, name: &Sym, kind: &ColumnKind) -> Result<Value, Failure> {
        let column = self.block.column(name, self.rows.clone())?;
        let fits = match (&column, kind.basic()) {
            (Value::Vector(v), Some(ty)) => v.ty() == ty,
            (Value::List(l), Some(_)) => l.is_empty(),
            (Value::Vector(_) | Value::List(_), None) => true,
            _ => false,
        };
        if !fits || column.count() != self.len() {
            let got = match &column {
                Value::Vector(v) => v.ty().name(),
                other => other.type_name(),
            };
            return Err(Failure::new(
                sg::Rc::APP_DB,
                sg::Ac::DATA,
                format!(
                    "column `{name}` of table `{}` holds {} of {got} in rows {} to {} of a part of the data, where its schema says {kind}",
                    self.schema.name,
                    column.count(),
                    self.rows.start,
                    self.rows.end,
                ),
            ));
        }
        // An empty column may have lost its type.
        Ok(if column.count() == 0 { kind.empty() } else { column })
    }
}
