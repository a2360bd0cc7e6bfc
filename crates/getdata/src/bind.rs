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

/// A query bound to a table's schema, both as they lie.
#[derive(Debug, Clone)]
pub struct Bound<'a> {
    pub(crate) query: &'a Query,
    pub(crate) schema: &'a TableSchema,
    pub(crate) filter: Filter,
    /// true where the filter has a condition that the partition decides
    pub(crate) filters_partitions: bool,
    pub(crate) plan: Plan<'a>,
}

/// What is made of the selected rows.
#[derive(Debug, Clone)]
pub(crate) enum Plan<'a> {
    /// Rows as they are: (new name, column, its type; `None` stands for a general list).
    Rows(Vec<(&'a Sym, &'a Sym, Option<Type>)>),
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
    pub fn bind<'a>(&'a self, schema: &'a TableSchema) -> Result<Bound<'a>, Failure> {
        let plan = plan(self, schema)?;
        let filter = filter(&self.filter, schema, self.cast)?;
        if !self.sort_cols.is_empty() || !self.output_tz_cols.is_empty() {
            self.of_result(&plan.result())?;
        }
        let virtual_column = schema.partition.as_ref().filter(|(name, _)| schema.is_virtual(name));
        let filters_partitions = virtual_column.is_some_and(|(name, _)| has_condition_on(&filter, name));
        Ok(Bound { query: self, schema, filter, filters_partitions, plan })
    }

    /// Checks the arguments that name columns of the result.
    fn of_result(&self, result: &[(Sym, Option<Type>)]) -> Result<(), Failure> {
        for name in &self.sort_cols {
            result_column(result, name, "sortCols")?;
        }
        for name in &self.output_tz_cols {
            let ty = result_column(result, name, "outputTZCols")?;
            if ty != Some(Type::Timestamp) {
                return Err(Failure::arg(format!(
                    "outputTZCols names `{name}`, which is no timestamp column: only timestamps have a time zone"
                )));
            }
        }
        Ok(())
    }
}

fn has_condition_on(filter: &Filter, name: &Sym) -> bool {
    match filter {
        Filter::All(all) | Filter::Any(all) => all.iter().any(|f| has_condition_on(f, name)),
        Filter::Not(not) => has_condition_on(not, name),
        Filter::Condition { column, .. } => column == name,
    }
}

impl<'a> Bound<'a> {
    /// The query.
    pub fn query(&self) -> &'a Query {
        self.query
    }
}

impl Plan<'_> {
    /// Names and types of the result.
    fn result(&self) -> Vec<(Sym, Option<Type>)> {
        match self {
            Plan::Rows(columns) => columns.iter().map(|(new, _, ty)| (Sym::clone(new), *ty)).collect(),
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

fn plan<'a>(query: &'a Query, schema: &'a TableSchema) -> Result<Plan<'a>, Failure> {
    let keys = query
        .group_by
        .iter()
        .map(|name| Ok((name.clone(), column(schema, name, "groupBy")?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let columns: Vec<(&Sym, &Sym)> = match &query.agg {
        Agg::All if keys.is_empty() => {
            let column = |c: &'a Column| match &c.kind {
                // For its error.
                ColumnKind::Unreadable(_) => Ok((&c.name, &c.name, column(schema, &c.name, "agg")?.basic())),
                kind => Ok((&c.name, &c.name, kind.basic())),
            };
            let mut rows = Vec::with_capacity(schema.columns.len());
            for c in &schema.columns {
                rows.push(column(c)?);
            }
            return Ok(Plan::Rows(rows));
        }
        Agg::All => schema.columns.iter().map(|c| (&c.name, &c.name)).collect(),
        Agg::Columns(columns) => columns.iter().map(|(new, name)| (new, name)).collect(),
        Agg::Functions(functions) => return groups(schema, keys, functions),
    };
    if keys.is_empty() {
        let columns = columns.into_iter().map(|(new, name)| {
            let kind = column(schema, name, "agg")?;
            Ok((new, name, kind.basic()))
        });
        return Ok(Plan::Rows(columns.collect::<Result<_, Failure>>()?));
    }
    // Groups without functions give their last row, as q's `select by` does.
    let last = columns
        .into_iter()
        .filter(|(new, name)| !(new == name && keys.iter().any(|(key, _)| key == *name)))
        .map(|(new, name)| Aggregate {
            name: new.clone(),
            function: Function::Last,
            columns: vec![name.clone()],
        })
        .collect::<Vec<_>>();
    groups(schema, keys, &last)
}

fn groups<'a>(
    schema: &TableSchema,
    keys: Vec<(Sym, ColumnKind)>,
    functions: &[Aggregate],
) -> Result<Plan<'a>, Failure> {
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
    // Values of one type are equal or not, whatever the type: nearly all conditions are so.
    if matches!((op, kind, operand), (Op::Eq, ColumnKind::Basic(ty), Value::Atom(a)) if a.ty() == *ty) {
        return Ok(());
    }
    match compare::select(&kind.empty(), op, operand, &Selection::none()) {
        Ok(_) => Ok(()),
        Err(e) => Err(Failure::arg(format!("filter cannot compare the {kind} column `{name}`: {e}"))),
    }
}

#[cfg(test)]
mod tests {
    use kvalue::Atom;

    use super::*;

    #[test]
    fn values_of_each_type_can_be_equal() {
        for ty in Type::ALL {
            let operand = Value::Atom(Atom::null(ty));
            let column = ColumnKind::Basic(ty).empty();
            let found = compare::select(&column, Op::Eq, &operand, &Selection::none());
            assert!(found.is_ok(), "{ty}: {found:?}");
        }
    }
}
