//! filter: a list of `(op;column;value)`, nested by `and`, `or`, `not`.
//!
//! A single condition may stand without the list around it. Operands stay as they came: what they mean is known
//! only when the column's type is.

use std::borrow::Cow;

use kernels::compare::Op;
use kvalue::{Type, Value};
use sg::Failure;

use crate::{
    display,
    q_functions::{Word, word},
    query::Filter,
};

/// Deepest nesting of and, or, not.
const MAX_DEPTH: usize = 32;
/// Most conditions of one request.
const MAX_CONDITIONS: usize = 4096;

const CONDITION: &str = "(op;column;value) with op one of = <> < > <= >= in within like";

pub(super) fn parse(value: Option<&Value>) -> Result<Filter, Failure> {
    let Some(value) = value else { return Ok(Filter::none()) };
    let mut left = MAX_CONDITIONS;
    filter(value, 0, &mut left)
}

fn filter(value: &Value, depth: usize, left: &mut usize) -> Result<Filter, Failure> {
    if depth > MAX_DEPTH {
        return Err(Failure::arg(format!("filter is nested deeper than {MAX_DEPTH} levels: flatten it")));
    }
    let Some(items) = parts(value) else {
        return Err(Failure::arg(format!(
            "filter must be a list of conditions {CONDITION}, got {}",
            display::value(value)
        )));
    };
    match items.first().and_then(word) {
        None => Ok(Filter::All(all(&items, depth, left)?)),
        Some(Word::Name(name)) => match &*name.text() {
            name @ ("and" | "&") => Ok(Filter::All(some(name, &items[1..], depth, left)?)),
            name @ ("or" | "|") => Ok(Filter::Any(some(name, &items[1..], depth, left)?)),
            "not" | "~" => match &items[1..] {
                [one] => Ok(Filter::Not(Box::new(filter(one, depth + 1, left)?))),
                others => Err(Failure::arg(format!(
                    "not in filter takes one condition, got {}: join several with and, or",
                    others.len()
                ))),
            },
            name => condition(name, &items, left),
        },
        Some(Word::Unknown) => Err(Failure::arg(format!(
            "filter has a function that is not recognised where an operator is expected: send it by name, {CONDITION}"
        ))),
    }
}

fn all(items: &[Value], depth: usize, left: &mut usize) -> Result<Vec<Filter>, Failure> {
    items.iter().map(|item| filter(item, depth + 1, left)).collect()
}

fn some(name: &str, items: &[Value], depth: usize, left: &mut usize) -> Result<Vec<Filter>, Failure> {
    if items.is_empty() {
        return Err(Failure::arg(format!("{name} in filter has no conditions: give one at least")));
    }
    all(items, depth, left)
}

fn condition(name: &str, items: &[Value], left: &mut usize) -> Result<Filter, Failure> {
    *left = left.checked_sub(1).ok_or_else(|| {
        Failure::arg(format!("filter has more than {MAX_CONDITIONS} conditions: use in for lists of values"))
    })?;
    let op: Op = name.parse().map_err(|_| {
        Failure::arg(format!(
            "`{name}` in filter is no operator: use one of = <> < > <= >= in within like and or not"
        ))
    })?;
    let [_, column, operand] = items else {
        return Err(Failure::arg(format!(
            "a condition with {name} in filter has {} parts: it must be {CONDITION}",
            items.len()
        )));
    };
    let column = column.as_name().filter(|c| !c.is_null()).ok_or_else(|| {
        Failure::arg(format!(
            "a condition with {name} in filter has {} where its column's name is expected",
            display::value(column)
        ))
    })?;
    Ok(Filter::Condition { op, column, operand: operand.clone() })
}

/// The parts of a list. A list of one kind of atom arrives as a vector.
fn parts(value: &Value) -> Option<Cow<'_, [Value]>> {
    match value {
        Value::List(l) => Some(Cow::Borrowed(l.items())),
        Value::Vector(v) if v.ty() == Type::Symbol => Some(v.iter().map(Value::Atom).collect()),
        _ => None,
    }
}
