//! From the joined answer to the result: fill, sortCols, limit, outputTZ, in this order.
//!
//! `fill forward` goes by the joined order, label sets and portions one after another, before sorting. Group
//! columns are not filled: a group's null is its name.

use kernels::{fill, sort, take::table_rows};
use kvalue::{Sym, Table, Type, Value, Vector};
use sg::Failure;

use crate::{
    failure,
    query::{Fill, Query},
};

/// Makes the result of a joined table; says whether the limit cut rows.
pub(crate) fn finalize(query: &Query, table: Table, converted: bool) -> Result<(Table, bool), Failure> {
    let table = filled(query, table)?;
    let window = query.limit.map_or(0..table.len(), |limit| limit.window(table.len()));
    let cut = window.len() < table.len();
    let table = match order(query, &table)? {
        // Only the rows that stay are gathered.
        Some(order) => table_rows(&table, &order[window]),
        None if cut => table.slice(window),
        None => table,
    };
    if converted || query.output_tz.is_utc() {
        return Ok((table, cut));
    }
    let columns: Vec<Value> =
        table.iter().map(|(name, column)| localised(query, &Sym::new(name), column.clone())).collect();
    Ok((Table::new(table.names().clone(), columns).map_err(failure::malformed)?, cut))
}

fn filled(query: &Query, table: Table) -> Result<Table, Failure> {
    let fill = match query.fill {
        None => return Ok(table),
        Some(Fill::Zero) => fill::zero,
        Some(Fill::Forward) => fill::forward,
    };
    let columns: Vec<Value> = table
        .iter()
        .map(|(name, column)| match query.group_by.iter().any(|key| key.as_bytes() == name) {
            true => column.clone(),
            false => fill(column),
        })
        .collect();
    Table::new(table.names().clone(), columns).map_err(failure::malformed)
}

/// The permutation that sorts by `sortCols`; `None` where the order stays.
fn order(query: &Query, table: &Table) -> Result<Option<Vec<u32>>, Failure> {
    if query.sort_cols.is_empty() {
        return Ok(None);
    }
    let mut keys = Vec::with_capacity(query.sort_cols.len());
    for name in &query.sort_cols {
        let at = table
            .position(name.as_bytes())
            .ok_or_else(|| Failure::arg(format!("sortCols names `{name}`, which the result has not")))?;
        keys.push(table.columns()[at].clone());
    }
    sort::iasc(&keys, &[]).map(Some).map_err(failure::kernel)
}

/// A column in `outputTZ`, if the column is to be converted.
pub(crate) fn localised(query: &Query, name: &Sym, column: Value) -> Value {
    let zone = &query.output_tz;
    let wanted = query.output_tz_cols.is_empty() || query.output_tz_cols.contains(name);
    if zone.is_utc() || !wanted {
        return column;
    }
    match &column {
        Value::Vector(v) if v.ty() == Type::Timestamp => match v.as_buf::<i64>() {
            Some(buf) => Value::Vector(Vector::timestamps(buf.iter().map(|t| zone.from_utc(t)).collect())),
            None => column,
        },
        _ => column,
    }
}
