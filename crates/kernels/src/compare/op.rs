//! The relations by name, and the shapes their operands take. Tests: `compare/tests.rs`.

use std::str::FromStr;

use kvalue::{Atom, Value};

use crate::KernelError;

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
    pub(super) fn refuse(self, column: &Value, operand: &Value) -> KernelError {
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

/// The items of a list operand as atoms; one atom as a list of itself.
pub(super) fn atoms_of(operand: &Value) -> Option<Vec<Atom>> {
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
pub(super) fn pair_of(column: &Value, operand: &Value) -> Result<[Atom; 2], KernelError> {
    let atoms = atoms_of(operand).ok_or_else(|| Op::Within.refuse(column, operand))?;
    let got = atoms.len();
    atoms.try_into().map_err(|_| KernelError::Length { what: "operand of within".into(), got, expected: 2 })
}
