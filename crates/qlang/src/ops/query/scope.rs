//! What names mean inside a query: the columns of a table at some of its rows, and `i`.

use std::sync::Arc;

use crate::{
    QError, R,
    value::{Mapped, Sym, Table, Value},
};

/// Where columns come from.
#[derive(Clone)]
pub enum Source {
    /// a table in memory
    Table(Arc<Table>),
    /// a table elsewhere: a column is read when first asked for
    Mapped(Arc<dyn Mapped>),
}

/// Rows of the source that are looked at.
#[derive(Clone)]
pub enum Rows {
    /// all
    All,
    /// these, ascending
    Picked(Arc<Vec<u32>>),
    /// neighbours: first and number
    Run(usize, usize),
}

/// Columns at some rows.
pub struct Scope {
    source: Source,
    names: Arc<[Sym]>,
    total: usize,
    rows: Rows,
    /// columns as read, by position
    read: Vec<Option<Value>>,
    /// columns at the present rows, by position
    taken: Vec<Option<Value>>,
    /// row numbers that `i` stands for, where they are not the source's own
    numbers: Option<Value>,
}

impl Scope {
    /// All rows of a table.
    pub fn of_table(table: Arc<Table>) -> Scope {
        let n = table.len();
        let names = table.names.clone();
        Scope::new(Source::Table(table), names, n)
    }

    /// All rows of a table elsewhere.
    pub fn of_mapped(mapped: Arc<dyn Mapped>) -> R<Scope> {
        let names = mapped.names().into();
        let n = mapped.len()?;
        Ok(Scope::new(Source::Mapped(mapped), names, n))
    }

    fn new(source: Source, names: Arc<[Sym]>, total: usize) -> Scope {
        let width = names.len();
        let empty = vec![None; width];
        Scope { source, names, total, rows: Rows::All, read: empty.clone(), taken: empty, numbers: None }
    }

    /// The same with these numbers for `i`.
    #[must_use]
    pub fn numbered(mut self, numbers: Value) -> Scope {
        self.numbers = Some(numbers);
        self
    }

    /// Column names.
    pub fn names(&self) -> &Arc<[Sym]> {
        &self.names
    }

    /// Number of rows looked at.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::All => self.total,
            Rows::Picked(rows) => rows.len(),
            Rows::Run(_, n) => *n,
        }
    }

    /// True where no row is looked at.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows of the source.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The rows looked at.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The rows looked at, by number.
    pub fn row_numbers(&self) -> Vec<u32> {
        match &self.rows {
            Rows::All => (0..self.total as u32).collect(),
            Rows::Picked(rows) => rows.to_vec(),
            Rows::Run(from, n) => (*from as u32..(from + n) as u32).collect(),
        }
    }

    /// Looks at these rows of the source from now on.
    pub fn look_at(&mut self, rows: Rows) {
        self.rows = rows;
        self.taken.iter_mut().for_each(|c| *c = None);
    }

    /// Keeps the rows whose place among the present ones is named.
    pub fn narrow(&mut self, places: Vec<u32>) {
        let rows = match &self.rows {
            Rows::All => places,
            Rows::Picked(rows) => places.iter().map(|&p| rows[p as usize]).collect(),
            Rows::Run(from, _) => places.iter().map(|&p| p + *from as u32).collect(),
        };
        self.look_at(Rows::Picked(Arc::new(rows)));
    }

    /// Keeps `n` of the present rows from place `from` on.
    pub fn narrow_run(&mut self, from: usize, n: usize) {
        match &self.rows {
            Rows::All => self.look_at(Rows::Run(from, n)),
            Rows::Run(start, _) => {
                let start = start + from;
                self.look_at(Rows::Run(start, n));
            }
            Rows::Picked(_) => self.narrow((from as u32..(from + n) as u32).collect()),
        }
    }

    /// The position of a column.
    pub fn position(&self, name: Sym) -> Option<usize> {
        self.names.iter().position(|n| *n == name)
    }

    /// A column as it is in the source, all rows.
    pub fn whole(&mut self, at: usize) -> R {
        if let Some(v) = self.read.get(at).and_then(Option::as_ref) {
            return Ok(v.clone());
        }
        let name = *self.names.get(at).ok_or_else(QError::length)?;
        let column = match &self.source {
            Source::Table(t) => t.columns[at].clone(),
            Source::Mapped(m) => m.column(name)?,
        };
        self.read[at] = Some(column.clone());
        Ok(column)
    }

    /// A column at the present rows.
    pub fn column(&mut self, at: usize) -> R {
        if matches!(self.rows, Rows::All) {
            return self.whole(at);
        }
        if let Some(v) = self.taken.get(at).and_then(Option::as_ref) {
            return Ok(v.clone());
        }
        let whole = self.whole(at)?;
        let column = take(&whole, &self.rows);
        self.taken[at] = Some(column.clone());
        Ok(column)
    }

    /// The numbers of the present rows: `i`.
    pub fn virtual_i(&self) -> Value {
        if let Some(numbers) = &self.numbers {
            return take(numbers, &self.rows);
        }
        match &self.rows {
            Rows::All => Value::longs((0..self.total as i64).collect()),
            Rows::Picked(rows) => Value::longs(rows.iter().map(|&r| i64::from(r)).collect()),
            Rows::Run(from, n) => Value::longs((*from as i64..(from + n) as i64).collect()),
        }
    }

    /// All columns at the present rows.
    pub fn table(&mut self) -> R<Table> {
        let columns = (0..self.names.len()).map(|i| self.column(i)).collect::<R<Vec<_>>>()?;
        Ok(Table { names: self.names.clone(), columns, sorted: false })
    }

    /// The value of a name: a column at the present rows, or `i`; `None` where it is neither.
    pub fn name(&mut self, name: Sym) -> R<Option<Value>> {
        if let Some(at) = self.position(name) {
            return self.column(at).map(Some);
        }
        Ok((name.bytes() == b"i").then(|| self.virtual_i()))
    }
}

/// A column's items at these rows; sorted order survives, for rows are ascending.
pub fn take(column: &Value, rows: &Rows) -> Value {
    match rows {
        Rows::All => column.clone(),
        Rows::Picked(rows) => column.gather(rows),
        Rows::Run(from, n) => column.slice(*from, *n),
    }
}
