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
mod scan;
mod symbols;

use std::str::FromStr;

use kvalue::{Atom, Physical, Value, Vector};

pub use crate::order::{order, order_floats, order_values};
pub use atoms::holds;

use crate::{KernelError, Selection, take};

/// A relation between a column and an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `=`
    Eq,
    /// `<>`
    Ne,
    /// `<`
    Lt,
    /// `>`
    Gt,
    /// `<=`
    Le,
    /// `>=`
    Ge,
    /// `in`: equal to an item of the operand, a list
    In,
    /// `within`: between the two items of the operand, both included
    Within,
    /// `like`: matches the operand, a pattern
    Like,
}

impl Op {
    /// All relations.
    pub const EVERY: [Op; 9] = [Op::Eq, Op::Ne, Op::Lt, Op::Gt, Op::Le, Op::Ge, Op::In, Op::Within, Op::Like];

    /// q's name.
    pub const fn name(self) -> &'static str {
        match self {
            Op::Eq => "=",
            Op::Ne => "<>",
            Op::Lt => "<",
            Op::Gt => ">",
            Op::Le => "<=",
            Op::Ge => ">=",
            Op::In => "in",
            Op::Within => "within",
            Op::Like => "like",
        }
    }

    /// What the operand has to be, for a message.
    const fn wants(self) -> &'static str {
        match self {
            Op::In => "it takes a list of values that compare with the column's",
            Op::Within => "it takes a pair of values that compare with the column's",
            Op::Like => "it takes a column of symbols or strings and a pattern as a string",
            _ => "it takes values that compare with each other",
        }
    }

    /// The `'type` error of this relation.
    fn refuse(self, column: &Value, operand: &Value) -> KernelError {
        KernelError::types(self.name(), &[column, operand], self.wants())
    }
}

impl FromStr for Op {
    type Err = KernelError;

    fn from_str(name: &str) -> Result<Self, KernelError> {
        Op::EVERY.into_iter().find(|op| op.name() == name).ok_or_else(|| KernelError::Type {
            operation: "filter".into(),
            got: format!("`{name}`"),
            expected: "an operator is one of = <> < > <= >= in within like".into(),
        })
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

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

/// The items of a list operand as atoms; one atom as a list of itself.
fn atoms_of(operand: &Value) -> Option<Vec<Atom>> {
    match operand {
        Value::Atom(a) => Some(vec![a.clone()]),
        Value::Vector(v) => Some(v.iter().collect()),
        Value::List(l) => {
            let atom = |v: &Value| if let Value::Atom(a) = v { Some(a.clone()) } else { None };
            l.items().iter().map(atom).collect()
        }
        _ => None,
    }
}

/// The two bounds of `within`.
fn pair_of(column: &Value, operand: &Value) -> Result<[Atom; 2], KernelError> {
    let atoms = atoms_of(operand).ok_or_else(|| Op::Within.refuse(column, operand))?;
    let got = atoms.len();
    atoms.try_into().map_err(|_| KernelError::Length { what: "operand of within".into(), got, expected: 2 })
}

/// Rows of `within` by their position in it.
fn at_positions(within: &Selection, positions: &Selection) -> Selection {
    if let Selection::All(_) = within {
        return positions.clone();
    }
    let rows = within.to_rows();
    let mut out = crate::selection::Builder::default();
    for at in positions.iter() {
        let row = rows[at] as usize;
        out.push(row..row + 1);
    }
    out.finish()
}

/// Selects by a column made from the selected rows of another.
fn select_converted(
    column: &Value,
    within: &Selection,
    convert: impl FnOnce(&Value) -> Value,
    select: impl FnOnce(&Value, &Selection) -> Result<Selection, KernelError>,
) -> Result<Selection, KernelError> {
    let converted = convert(&take::take(column, within));
    let positions = select(&converted, &Selection::All(within.len()))?;
    Ok(at_positions(within, &positions))
}

#[cfg(test)]
mod tests;
