//! Tables in partitions: the partitions needed by a query, and the columns read.

use std::{any::Any, sync::Arc};

pub use crate::ops::table::parted::{Parted, Partitioned};

use super::{
    filter::{conditions, filter},
    scope::{Rows, Scope},
    tree::names_in,
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Mapped, Sym, Table, Value},
};

/// One partition as a table elsewhere.
#[derive(Debug)]
struct Part {
    table: Arc<dyn Partitioned>,
    at: usize,
}

impl Mapped for Part {
    fn name(&self) -> Sym {
        self.table.name()
    }

    fn names(&self) -> Vec<Sym> {
        std::iter::once(self.table.field()).chain(self.table.names()).collect()
    }

    fn len(&self) -> R<usize> {
        self.table.rows(self.at)
    }

    fn column(&self, name: Sym) -> R {
        if name == self.table.field() {
            return Ok(self.table.values().at(self.at).repeat(self.table.rows(self.at)?));
        }
        self.table.column(self.at, name)
    }

    fn load(&self) -> R {
        let names = self.names();
        let columns = names.iter().map(|n| self.column(*n)).collect::<R<Vec<_>>>()?;
        Ok(Value::table(Table::new(names, columns)?))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The partitions that the leading conditions on the partition field leave, and the conditions that remain.
pub fn prune(ctx: &mut dyn Ctx, table: &Arc<dyn Partitioned>, c: &Value) -> R<(Vec<usize>, Vec<Value>)> {
    let field = table.field();
    let columns = table.names();
    let values = table.values();
    let mut scope = Scope::of_table(Arc::new(Table::new(vec![field], vec![values])?));
    let mut rest = conditions(c)?;
    while let Some(first) = rest.first() {
        let (mut on_field, mut on_other) = (false, false);
        names_in(first, &mut |name| {
            let end = name.bytes().iter().position(|&b| b == b'.').filter(|&d| d > 0);
            let name = end.map_or(name, |e| Sym::new(&name.bytes()[..e]));
            on_field |= name == field;
            on_other |= columns.contains(&name) || name.bytes() == b"i";
        });
        if !on_field || on_other {
            break;
        }
        filter(ctx, &mut scope, &Value::list(vec![first.clone()]))?;
        rest.remove(0);
    }
    Ok((scope.row_numbers().into_iter().map(|r| r as usize).collect(), rest))
}

/// One partition's rows that fulfil the conditions.
pub fn part(ctx: &mut dyn Ctx, table: &Arc<dyn Partitioned>, at: usize, rest: &[Value]) -> R<Scope> {
    let mut scope = Scope::of_mapped(Arc::new(Part { table: table.clone(), at }))?;
    filter(ctx, &mut scope, &Value::list(rest.to_vec()))?;
    Ok(scope)
}

/// The rows that fulfil the conditions, of all partitions, with the columns that the phrases name; all columns
/// where `phrases` is `None`.
pub fn gather(
    ctx: &mut dyn Ctx,
    table: &Arc<dyn Partitioned>,
    c: &Value,
    phrases: Option<&[&Value]>,
) -> R<Scope> {
    let (partitions, rest) = prune(ctx, table, c)?;
    let all: Vec<Sym> = std::iter::once(table.field()).chain(table.names()).collect();
    let mut numbers_too = false;
    let wanted: Vec<Sym> = match phrases {
        None => all,
        Some(trees) => {
            let mut found = Vec::new();
            for tree in trees {
                names_in(tree, &mut |name| {
                    let end = name.bytes().iter().position(|&b| b == b'.').filter(|&d| d > 0);
                    let name = end.map_or(name, |e| Sym::new(&name.bytes()[..e]));
                    numbers_too |= name.bytes() == b"i";
                    if all.contains(&name) && !found.contains(&name) {
                        found.push(name);
                    }
                });
            }
            if found.is_empty() {
                found.push(table.field());
            }
            found
        }
    };
    let mut columns: Vec<Value> = vec![Value::empty_list(); wanted.len()];
    let mut numbers = Value::empty_list();
    for at in partitions.iter().copied() {
        ctx.check()?;
        let mut scope = part(ctx, table, at, &rest)?;
        if scope.is_empty() {
            continue;
        }
        if numbers_too {
            numbers = numbers.append(&scope.virtual_i());
        }
        for (column, name) in columns.iter_mut().zip(&wanted) {
            let Some(position) = scope.position(*name) else { return Err(QError::new(name.text())) };
            let more = scope.column(position)?;
            *column = std::mem::replace(column, Value::Nil).append(&more);
        }
    }
    // Where no row is left, the columns keep their types: those of the last partition.
    if columns.first().is_none_or(|c| c.count() == 0) {
        let last = table.values().count().checked_sub(1);
        if let Some(last) = last {
            let mut scope = part(ctx, table, last, &[])?;
            scope.look_at(Rows::Run(0, 0));
            for (column, name) in columns.iter_mut().zip(&wanted) {
                if let Some(position) = scope.position(*name) {
                    *column = scope.column(position)?;
                }
            }
        }
    }
    let scope = Scope::of_table(Arc::new(Table::new(wanted, columns)?));
    Ok(if numbers_too { scope.numbered(numbers) } else { scope })
}
