//! [`Bound`]: a query with its names and types checked against one table.
//!
//! Rule: whatever can be said before the first row is read is said here, by name: unknown columns with those the
//! table has, operands that cannot be compared, functions that a column's type has not. Tests: `tests/bind.rs`.

use kernels::{
    Selection,
    aggregate::{Function, result_type},
    compare::{self, Op},
};
use kvalue::{Sym, Type, Value};
use sg::Failure;

use crate::{
    cast::Context,
    query::{Agg, Aggregate, Filter, Query},
    schema::{Column, ColumnKind, TableSchema},
};

/// A query bound to a table's schema.
#[derive(Debug, Clone)]
pub struct Bound {
    pub(crate) query: Query,
    pub(crate) schema: TableSchema,
    pub(crate) filter: Filter,
    pub(crate) plan: Plan,
}

/// What is made of the selected rows.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    /// Rows as they are: (new name, column, what it holds).
    Rows(Vec<(Sym, Sym, ColumnKind)>),
    /// A state per group.
    Groups { keys: Vec<(Sym, ColumnKind)>, aggregates: Vec<BoundAggregate> },
}

/// An aggregate with the types of its columns; `None` stands for a general list.
#[derive(Debug, Clone)]
pub(crate) struct BoundAggregate {
    pub(crate) name: Sym,
    pub(crate) function: Function,
    pub(crate) columns: Vec<Sym>,
    pub(crate) inputs: Vec<Option<Type>>,
}

impl Query {
    /// Checks the query against a table.
    pub fn bind(&self, schema: &TableSchema) -> Result<Bound, Failure> {
        let plan = plan(self, schema)?;
        let filter = filter(&self.filter, schema, self.cast)?;
        let result = plan.result();
        for name in &self.sort_cols {
            result_column(&result, name, "sortCols")?;
        }
        for name in &self.output_tz_cols {
            let ty = result_column(&result, name, "outputTZCols")?;
            if ty != Some(Type::Timestamp) {
                return Err(Failure::arg(format!(
                    "outputTZCols names `{name}`, which is no timestamp column: only timestamps have a time zone"
                )));
            }
        }
        Ok(Bound { query: self.clone(), schema: schema.clone(), filter, plan })
    }
}

impl Bound {
    /// The query.
    pub fn query(&self) -> &Query {
        &self.query
    }
}

impl Plan {
    /// Names and types of the result.
    pub(crate) fn result(&self) -> Vec<(Sym, Option<Type>)> {
        match self {
            Plan::Rows(columns) => columns.iter().map(|(new, _, kind)| (new.clone(), kind.basic())).collect(),
            Plan::Groups { keys, aggregates } => {
                let keys = keys.iter().map(|(name, kind)| (name.clone(), kind.basic()));
                // Types were checked when the plan was made.
                let made = aggregates
                    .iter()
                    .map(|a| (a.name.clone(), result_type(a.function, &a.inputs).unwrap_or_default()));
                keys.chain(made).collect()
            }
        }
    }
}

fn result_column(result: &[(Sym, Option<Type>)], name: &Sym, arg: &str) -> Result<Option<Type>, Failure> {
    let found = result.iter().find(|(n, _)| n == name).map(|(_, ty)| *ty);
    found.ok_or_else(|| {
        let names: Vec<_> = result.iter().map(|(n, _)| n.text()).collect();
        Failure::arg(format!("{arg} names `{name}`, which the result has not: it has {}", names.join(", ")))
    })
}

/// What a named column holds.
fn column(schema: &TableSchema, name: &Sym, arg: &str) -> Result<ColumnKind, Failure> {
    match schema.kind(name) {
        Some(ColumnKind::Unreadable(why)) => Err(Failure::new(
            sg::Rc::APP_DB,
            sg::Ac::DATA,
            format!("column `{name}` of table `{}` cannot be read: {why}", schema.name),
        )),
        Some(kind) => Ok(kind),
        None => Err(Failure::arg(format!(
            "{arg} names the column `{name}`, which table `{}` has not: it has {}",
            schema.name,
            schema.names()
        ))),
    }
}

fn plan(query: &Query, schema: &TableSchema) -> Result<Plan, Failure> {
    let keys = query
        .group_by
        .iter()
        .map(|name| Ok((name.clone(), column(schema, name, "groupBy")?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let columns: Vec<(Sym, Sym)> = match &query.agg {
        Agg::All if keys.is_empty() => {
            let column = |c: &Column| match &c.kind {
                // For its error.
                ColumnKind::Unreadable(_) => {
                    Ok((c.name.clone(), c.name.clone(), column(schema, &c.name, "agg")?))
                }
                kind => Ok((c.name.clone(), c.name.clone(), kind.clone())),
            };
            return Ok(Plan::Rows(schema.columns.iter().map(column).collect::<Result<_, Failure>>()?));
        }
        Agg::All => schema.columns.iter().map(|c| (c.name.clone(), c.name.clone())).collect(),
        Agg::Columns(columns) => columns.clone(),
        Agg::Functions(functions) => return groups(schema, keys, functions),
    };
    if keys.is_empty() {
        let columns = columns.into_iter().map(|(new, name)| {
            let kind = column(schema, &name, "agg")?;
            Ok((new, name, kind))
        });
        return Ok(Plan::Rows(columns.collect::<Result<_, Failure>>()?));
    }
    // Groups without functions give their last row, as q's `select by` does.
    let last = columns
        .into_iter()
        .filter(|(new, name)| !(new == name && keys.iter().any(|(key, _)| key == name)))
        .map(|(new, name)| Aggregate { name: new, function: Function::Last, columns: vec![name] })
        .collect::<Vec<_>>();
    groups(schema, keys, &last)
}

fn groups(
    schema: &TableSchema,
    keys: Vec<(Sym, ColumnKind)>,
    functions: &[Aggregate],
) -> Result<Plan, Failure> {
    let mut aggregates = Vec::with_capacity(functions.len());
    for f in functions {
        if keys.iter().any(|(key, _)| key == &f.name) {
            return Err(Failure::arg(format!(
                "agg makes the column `{}`, which groupBy has too: give it another name",
                f.name
            )));
        }
        let kinds =
            f.columns.iter().map(|name| column(schema, name, "agg")).collect::<Result<Vec<_>, Failure>>()?;
        let inputs: Vec<Option<Type>> = kinds.iter().map(ColumnKind::basic).collect();
        result_type(f.function, &inputs).map_err(|e| {
            let columns: Vec<_> = f.columns.iter().map(Sym::text).collect();
            Failure::arg(format!(
                "agg `{}` cannot take {} of {}: {e}",
                f.name,
                f.function,
                columns.join(" and ")
            ))
        })?;
        aggregates.push(BoundAggregate {
            name: f.name.clone(),
            function: f.function,
            columns: f.columns.clone(),
            inputs,
        });
    }
    Ok(Plan::Groups { keys, aggregates })
}

fn filter(filter_: &Filter, schema: &TableSchema, cast: bool) -> Result<Filter, Failure> {
    let each = |all: &[Filter]| all.iter().map(|f| filter(f, schema, cast)).collect::<Result<Vec<_>, _>>();
    Ok(match filter_ {
        Filter::All(all) => Filter::All(each(all)?),
        Filter::Any(any) => Filter::Any(each(any)?),
        Filter::Not(not) => Filter::Not(Box::new(filter(not, schema, cast)?)),
        Filter::Condition { op, column: name, operand } => {
            let kind = column(schema, name, "filter")?;
            let operand = Context { op: *op, column: name, kind: &kind, cast }.operand(operand)?;
            comparable(*op, name, &kind, &operand)?;
            Filter::Condition { op: *op, column: name.clone(), operand }
        }
    })
}

/// Tries the condition on no rows: types that do not compare show there.
fn comparable(op: Op, name: &Sym, kind: &ColumnKind, operand: &Value) -> Result<(), Failure> {
    match compare::select(&kind.empty(), op, operand, &Selection::none()) {
        Ok(_) => Ok(()),
        Err(e) => Err(Failure::arg(format!("filter cannot compare the {kind} column `{name}`: {e}"))),
    }
}
