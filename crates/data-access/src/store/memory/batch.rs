//! A batch as `upd` brings it, made into rows of a table's schema.
//!
//! Rule: what becomes a row can be saved as one at end of day (`hdb::save` says what can); anything else is
//! refused here, where the publisher still hears it. No part of a batch is left out in silence.

use std::sync::Arc;

use ::hdb::save;
use getdata::{Column, ColumnKind, TableSchema, schema::time_column};
use kvalue::{Atom, Attr, Sym, Table, Type, Value, Vector};
use sg::Failure;

/// Most columns of a table.
const MAX_COLUMNS: usize = 4096;

/// The virtual column of partitions saved at end of day.
const PARTITION: &str = "date";

/// What a table's batches must look like.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) schema: Arc<TableSchema>,
    /// Columns declared as `()` that no row has given a type yet.
    untyped: Arc<[bool]>,
    /// Declared by the assembly file: a tickerplant cannot change it.
    pub(super) is_fixed: bool,
}

/// The columns of a batch in the order in which they came.
struct Batch {
    /// `None` where the batch says no names.
    names: Option<Vec<Sym>>,
    values: Vec<Value>,
    is_row: bool,
}

impl Form {
    /// The form of a schema that the assembly file gives.
    pub(super) fn declared(mut schema: TableSchema) -> Result<Form, Failure> {
        check_names(&schema)?;
        if let Some(time) = &schema.time {
            let kind = schema.columns.iter().find(|c| c.name == *time).map(|c| &c.kind);
            match kind.and_then(ColumnKind::basic) {
                Some(ty) if has_instants(ty) => {}
                _ if schema.time == time_column(&schema.columns) => schema.time = None,
                _ => {
                    return Err(Failure::arg(format!(
                        "table {}: its time column {time} (prtnCol) must be a timestamp, date, datetime or time of day, it is {}",
                        schema.name,
                        kind.map_or("no column".into(), ToString::to_string)
                    )));
                }
            }
        }
        let untyped = vec![false; schema.columns.len()].into();
        Ok(Form { schema: Arc::new(dated(schema)), untyped, is_fixed: true })
    }

    /// The form that an empty table, or a first batch, gives to later ones.
    pub(super) fn of_data(name: &Sym, data: &Value) -> Result<Form, Failure> {
        let batch = Batch::of(name, data)?;
        let Some(names) = batch.names else {
            return Err(Failure::arg(format!(
                "table {name} is not known and a {} does not say its columns: declare it in the assembly file or send a table first",
                data.type_name()
            )));
        };
        let untyped = batch.values.iter().map(|v| is_untyped(v, batch.is_row)).collect();
        let kinds = batch.values.iter().map(|value| kind_of(value, batch.is_row));
        let columns = names.into_iter().zip(kinds).map(|(name, kind)| Column { name, kind }).collect();
        let schema = TableSchema { name: name.clone(), columns, time: None, partition: None };
        check_names(&schema)?;
        Ok(Form { schema: Arc::new(timed(schema)), untyped, is_fixed: false })
    }

    /// True where no row of this form can have a time.
    pub(super) fn is_timeless(&self) -> bool {
        self.schema.time.is_none() && !self.untyped.contains(&true)
    }

    /// This form extended by another declaration of the same table; `None` if the two contradict.
    pub(super) fn merged(&self, other: &Form) -> Option<Form> {
        let (held, offered) = (&self.schema.columns, &other.schema.columns);
        if held.len() != offered.len() || held.iter().zip(offered).any(|(a, b)| a.name != b.name) {
            return None;
        }
        let is_list = |kind: &ColumnKind| kind.basic().is_none();
        let mut merged = (*self.schema).clone();
        let mut untyped = self.untyped.to_vec();
        for (i, (a, b)) in held.iter().zip(offered).enumerate() {
            if a.kind == b.kind || other.untyped[i] || (is_list(&a.kind) && is_list(&b.kind)) {
                continue;
            }
            if !self.untyped[i] {
                return None;
            }
            merged.columns[i].kind = b.kind.clone();
            untyped[i] = false;
        }
        let schema = if merged == *self.schema { self.schema.clone() } else { Arc::new(timed(merged)) };
        Some(Form { schema, untyped: untyped.into(), is_fixed: self.is_fixed })
    }

    /// The rows of a batch, and the form that it makes more definite: columns without a type take that of the
    /// first values, as q's `insert` has it.
    pub(super) fn rows(&self, data: &Value) -> Result<(Table, Form), Failure> {
        let wrong = |why: String| Failure::arg(format!("upd of table {}: {why}", self.schema.name));
        let batch = Batch::of(&self.schema.name, data)?;
        let is_row = batch.is_row;
        let values = self.in_order(batch).map_err(wrong)?;
        let (schema, untyped) = self.refined(&values, is_row);
        let rows = rows_in(&schema, &values, is_row);
        let mut typed = Vec::with_capacity(values.len());
        for (column, value) in schema.columns.iter().zip(values) {
            let got = value.type_name();
            let fitted = fitted(&column.kind, value, is_row, rows).ok_or_else(|| {
                wrong(format!("column {} must be {}, got a {got}", column.name, column.kind))
            })?;
            save::column(&fitted).map_err(|why| wrong(format!("column {}: {why}", column.name)))?;
            typed.push(fitted);
        }
        let names = schema.columns.iter().map(|c| c.name.as_bytes()).collect();
        let table = Table::new(names, typed).map_err(|e| wrong(e.to_string()))?;
        Ok((table, Form { schema, untyped, is_fixed: self.is_fixed }))
    }

    /// The values of a batch in the order of the schema.
    fn in_order(&self, batch: Batch) -> Result<Vec<Value>, String> {
        let columns = &self.schema.columns;
        let Some(names) = batch.names else {
            if batch.values.len() != columns.len() {
                return Err(format!("{} columns came, expected {}", batch.values.len(), self.names()));
            }
            return Ok(batch.values);
        };
        let mut ordered = vec![None; columns.len()];
        for (i, (name, value)) in names.into_iter().zip(batch.values).enumerate() {
            // Most batches have the order of the schema.
            let here = columns.get(i).is_some_and(|c| c.name == name);
            let at = if here { Some(i) } else { columns.iter().position(|c| c.name == name) };
            let Some(at) = at else {
                return Err(format!(
                    "mismatch: column {name} is not in the schema ({}); leave it out, or declare the table with it",
                    self.names()
                ));
            };
            if ordered[at].replace(value).is_some() {
                return Err(format!("column {name} came twice"));
            }
        }
        let missing = |i: usize| format!("column {} is missing; expected {}", columns[i].name, self.names());
        ordered.into_iter().enumerate().map(|(i, value)| value.ok_or_else(|| missing(i))).collect()
    }

    /// Names of the columns that a batch must have.
    fn names(&self) -> String {
        self.schema.columns.iter().map(|c| c.name.text()).collect::<Vec<_>>().join(", ")
    }

    fn refined(&self, values: &[Value], is_row: bool) -> (Arc<TableSchema>, Arc<[bool]>) {
        let gives_type = |i: usize| self.untyped[i] && !is_untyped(&values[i], is_row);
        if !(0..values.len()).any(gives_type) {
            return (self.schema.clone(), self.untyped.clone());
        }
        let mut schema = (*self.schema).clone();
        let mut untyped = self.untyped.to_vec();
        for i in (0..values.len()).filter(|&i| gives_type(i)) {
            schema.columns[i].kind = kind_of(&values[i], is_row);
            untyped[i] = false;
        }
        (Arc::new(timed(schema)), untyped.into())
    }
}

impl Batch {
    fn of(table: &Sym, data: &Value) -> Result<Batch, Failure> {
        let is_atom = |v: &Value| matches!(v, Value::Atom(_));
        if matches!(data, Value::Vector(_) | Value::Dict(_))
            && data.count() > MAX_COLUMNS
            && keyed(data).is_none()
        {
            return Err(Failure::arg(format!(
                "upd of table {table}: {} columns came, a table has at most {MAX_COLUMNS}",
                data.count()
            )));
        }
        Ok(match data {
            Value::Table(t) => Batch::named([&**t]),
            Value::Dict(d) => match (keyed(data), d.keys()) {
                (Some((keys, values)), _) => Batch::named([keys, values]),
                (None, Value::Vector(names)) if names.ty() == Type::Symbol => {
                    let values: Vec<Value> = (0..d.len()).map(|i| d.values().index(i)).collect();
                    let is_row = values.iter().any(is_atom);
                    Batch { names: d.keys().as_names(), values, is_row }
                }
                _ => {
                    return Err(Failure::arg(format!(
                        "upd of table {table}: a dictionary is a batch where its keys are the column names, as symbols"
                    )));
                }
            },
            Value::List(l) => {
                let is_row = l.items().iter().any(is_atom);
                Batch { names: None, values: l.items().to_vec(), is_row }
            }
            Value::Vector(v) => {
                Batch { names: None, values: v.iter().map(Value::Atom).collect(), is_row: true }
            }
            other => {
                return Err(Failure::arg(format!(
                    "upd of table {table}: a {} is no batch of rows; send a table, a list of columns or one row",
                    other.type_name()
                )));
            }
        })
    }

    fn named<const N: usize>(tables: [&Table; N]) -> Batch {
        let columns = || tables.iter().flat_map(|t| t.iter());
        let names = columns().map(|(name, _)| Sym::new(name)).collect();
        Batch {
            names: Some(names),
            values: columns().map(|(_, value)| value.clone()).collect(),
            is_row: false,
        }
    }
}

/// Both sides of a keyed table.
fn keyed(data: &Value) -> Option<(&Table, &Table)> {
    data.as_dict()?.as_keyed_table()
}

/// Why a table of this schema could not be saved.
fn check_names(schema: &TableSchema) -> Result<(), Failure> {
    let table = &schema.name;
    save::table_name(table.as_bytes())
        .map_err(|why| Failure::arg(format!("table {:?} cannot be saved: {why}", table.text())))?;
    if schema.columns.is_empty() || schema.columns.len() > MAX_COLUMNS {
        return Err(Failure::arg(format!(
            "table {table} has {} columns, expected 1 to {MAX_COLUMNS}",
            schema.columns.len()
        )));
    }
    let mut seen = std::collections::HashSet::new();
    for Column { name, .. } in &schema.columns {
        save::column_name(name.as_bytes(), Some(PARTITION)).map_err(|why| {
            Failure::arg(format!("column {:?} of table {table} cannot be saved: {why}", name.text()))
        })?;
        if !seen.insert(name) {
            return Err(Failure::arg(format!("table {table} has column {name} twice; rename one")));
        }
    }
    Ok(())
}

/// True for types whose values are instants, or times of a day.
fn has_instants(ty: Type) -> bool {
    ty.is_temporal() && ty != Type::Month
}

/// The schema with the time column that the rule finds, and what follows from it.
fn timed(mut schema: TableSchema) -> TableSchema {
    let found = time_column(&schema.columns);
    let ty = |name: &Sym| schema.columns.iter().find(|c| c.name == *name).and_then(|c| c.kind.basic());
    schema.time = found.filter(|name| ty(name).is_some_and(has_instants));
    dated(schema)
}

/// A table with a time has the virtual column `date`, as it will have on disk, so that one query spans both.
fn dated(mut schema: TableSchema) -> TableSchema {
    schema.partition = schema.time.is_some().then(|| (PARTITION.into(), Type::Date));
    schema
}

/// True for `()`, which has no type of its own.
fn is_untyped(value: &Value, is_row: bool) -> bool {
    !is_row && matches!(value, Value::List(l) if l.is_empty())
}

/// What a column holds that begins with these values.
fn kind_of(value: &Value, is_row: bool) -> ColumnKind {
    match value {
        Value::Atom(a) => ColumnKind::Basic(a.ty()),
        Value::Vector(v) if is_row => ColumnKind::Nested(v.ty()),
        Value::Vector(v) => ColumnKind::Basic(v.ty()),
        Value::List(l) if !l.is_empty() && !is_row && l.items().iter().all(|i| i.as_text().is_some()) => {
            ColumnKind::Nested(Type::Char)
        }
        _ => ColumnKind::Any,
    }
}

/// Rows of a batch, by the first column whose number of values is beyond doubt.
fn rows_in(schema: &TableSchema, values: &[Value], is_row: bool) -> usize {
    let columns = || schema.columns.iter().zip(values);
    let basic = columns().find(|(column, _)| column.kind.basic().is_some());
    let list = || columns().find(|(_, value)| matches!(value, Value::List(_)));
    match basic.or_else(list) {
        Some((_, value)) if !is_row => value.count(),
        _ => 1,
    }
}

/// The values as a column of the declared kind; `None` where they are of another.
fn fitted(kind: &ColumnKind, value: Value, is_row: bool, rows: usize) -> Option<Value> {
    match (kind, value) {
        (ColumnKind::Basic(ty), Value::Atom(a)) if a.ty() == *ty => Some(Vector::repeat(&a, 1).into()),
        (ColumnKind::Basic(ty), Value::Vector(v)) if v.ty() == *ty => Some(v.with_attr(Attr::None).into()),
        // Languages other than q send a list of atoms where q has a vector.
        (ColumnKind::Basic(ty), Value::List(l)) => {
            let atom = |item: &Value| match item {
                Value::Atom(a) if a.ty() == *ty => Some(a.clone()),
                _ => None,
            };
            let atoms: Vec<Atom> = l.items().iter().map(atom).collect::<Option<_>>()?;
            Vector::from_atoms(*ty, &atoms).ok().map(Value::from)
        }
        (ColumnKind::Nested(ty), Value::Vector(v)) if v.ty() == *ty => Some(listed(v, is_row, rows)),
        (ColumnKind::Any, Value::Vector(v)) => Some(listed(v, is_row, rows)),
        (ColumnKind::Nested(Type::Char) | ColumnKind::Any, Value::Atom(Atom::Char(c))) => {
            Some(Value::list([Value::str([c])]))
        }
        (ColumnKind::Any, Value::Atom(a)) => Some(Value::list([Value::Atom(a)])),
        (ColumnKind::Nested(_) | ColumnKind::Any, Value::List(l)) if !is_row || l.len() == 1 => {
            Some(Value::List(l))
        }
        (ColumnKind::Any, item @ (Value::List(_) | Value::Dict(_) | Value::Table(_))) if is_row => {
            Some(Value::list([item]))
        }
        _ => None,
    }
}

/// A vector in a column of lists: one item of it, or the items of several rows where q made a vector of equal ones.
fn listed(vector: Vector, is_row: bool, rows: usize) -> Value {
    let is_one = is_row || vector.len() != rows || (rows == 1 && vector.ty() == Type::Char);
    match is_one {
        true => Value::list([Value::Vector(vector)]),
        false => Value::list(vector.iter().map(Value::Atom).collect::<Vec<_>>()),
    }
}
