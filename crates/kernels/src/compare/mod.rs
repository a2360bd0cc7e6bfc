//! Filtering: which rows of a column stand in a relation to an operand.
//!
//! q's rules: null equals null and is below everything; numbers of different types compare as numbers; temporal
//! values of different types on their common clock (see `temporal.rs`), temporal with numeric by the raw number;
//! floats tolerantly (2⁻⁴³ relative) for `= <> < > <= >= within`, exactly for `in`. Symbols compare by bytes;
//! enumerated ones are resolved once and then compared by code.
//!
//! Kinder than q in three places, because filters come from JSON and from people: a one-item list is taken as its
//! item; `in` takes a list of another numeric type; `like` takes several `*`. Tests: `compare/tests.rs`.

mod atoms;
mod interval;
mod lists;
mod numbers;
mod op;
mod scan;
mod symbols;

use kvalue::{Atom, Physical, Value, Vector};

pub use crate::order::{order, order_floats, order_values};
pub use atoms::holds;
pub use op::Op;

use crate::{KernelError, Selection};

/// The rows of `within` whose item stands in the relation `op` to `operand`.
///
/// `operand` is an atom, for `in` a list, for `within` a pair, for `like` a string; a list as long as the column is
/// compared item by item. `'type` where the types do not compare, `'length` where lengths do not fit.
pub fn select(column: &Value, op: Op, operand: &Value, within: &Selection) -> Result<Selection, KernelError> {
    if column.count() < within.end() {
        return Err(KernelError::Length {
            what: "filtered column".into(),
            got: column.count(),
            expected: within.end(),
        });
    }
    let single = single_item(op, operand);
    let operand = single.as_ref().unwrap_or(operand);
    match (column, op) {
        (Value::List(l), _) if l.is_empty() => Ok(Selection::none()),
        (Value::List(l), _) => lists::select(column, l, op, operand, within),
        (Value::Vector(v), Op::Eq | Op::Ne | Op::Lt | Op::Gt | Op::Le | Op::Ge)
            if matches!(operand, Value::Vector(_)) =>
        {
            item_by_item(column, v, op, operand, within)
        }
        (Value::Vector(v), _) => match v.physical() {
            Physical::Symbol => symbols::select(column, v, op, operand, within),
            Physical::Guid => lists::select_guids(column, v, op, operand, within),
            _ => numbers::select(column, v, op, operand, within),
        },
        _ => Err(op.refuse(column, operand)),
    }
}

/// Whether each item of the column stands in the relation: a boolean vector.
pub fn mask(column: &Value, op: Op, operand: &Value) -> Result<Value, KernelError> {
    let mut bits = vec![false; column.count()];
    for run in select(column, op, operand, &Selection::All(bits.len()))?.runs() {
        bits[run].fill(true);
    }
    Ok(Value::from(Vector::booleans(bits)))
}

/// The only item of a one-item operand, for the relations that take one value.
fn single_item(op: Op, operand: &Value) -> Option<Value> {
    match (op, operand) {
        (Op::In | Op::Within | Op::Like, _) => None,
        (_, Value::Vector(v)) if v.len() == 1 => Some(Value::Atom(v.get(0))),
        (_, Value::List(l)) if l.len() == 1 => Some(l.items()[0].clone()),
        _ => None,
    }
}

fn item_by_item(
    column: &Value,
    v: &Vector,
    op: Op,
    operand: &Value,
    within: &Selection,
) -> Result<Selection, KernelError> {
    let Value::Vector(other) = operand else { return Err(op.refuse(column, operand)) };
    // Types before lengths, and even where there is no row: a string against symbols is a mistake of type.
    holds(op, &Atom::null(v.ty()), &Atom::null(other.ty())).map_err(|_| op.refuse(column, operand))?;
    if other.len() != v.len() {
        return Err(KernelError::Length {
            what: format!("operand of {op}"),
            got: other.len(),
            expected: v.len(),
        });
    }
    let mut out = crate::selection::Builder::default();
    for row in within.iter() {
        if holds(op, &v.get(row), &other.get(row))? {
            out.push(row..row + 1);
        }
    }
    Ok(out.finish())
}

#[cfg(test)]
mod tests;
