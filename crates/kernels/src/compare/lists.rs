//! Columns of strings and other lists, and columns of guids: item by item.
//!
//! A list column is compared by whole items, as a filter means it (`city = "Rome"`), where q's `=` would go into
//! the strings. Order and patterns are for text only.

use ahash::AHashSet;
use kvalue::{Atom, List, Value, Vector};

use super::{
    op::{Op, atoms_of, pair_of},
    scan::{at_positions, scan, scan_rows},
};
use crate::{KernelError, Selection, ids::bytes_of, like::Pattern};

/// An item's text: an empty list is an empty string.
fn text(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::List(l) if l.is_empty() => Some(Vec::new()),
        other => other.as_text(),
    }
}

/// Bytes that are equal where items match; text is text whatever its shape.
fn key(value: &Value) -> Vec<u8> {
    match text(value) {
        Some(text) => [b"\"", &text[..]].concat(),
        None => bytes_of(value),
    }
}

pub(super) fn select(
    column: &Value,
    items: &List,
    op: Op,
    operand: &Value,
    within: &Selection,
) -> Result<Selection, KernelError> {
    let refuse = || op.refuse(column, operand);
    let items = items.items();
    match op {
        Op::Eq | Op::Ne => {
            let wanted = key(operand);
            Ok(scan_rows(within, |row| (key(&items[row]) == wanted) == (op == Op::Eq)))
        }
        Op::In => {
            let wanted: AHashSet<Vec<u8>> = match operand {
                Value::List(l) => l.items().iter().map(key).collect(),
                one => [key(one)].into_iter().collect(),
            };
            Ok(scan_rows(within, |row| wanted.contains(&key(&items[row]))))
        }
        _ => {
            let texts: Vec<Vec<u8>> =
                within.iter().map(|row| text(&items[row]).ok_or_else(refuse)).collect::<Result<_, _>>()?;
            let positions = Selection::All(texts.len());
            let found = match op {
                Op::Like => {
                    let pattern = operand.as_name().ok_or_else(refuse)?;
                    let pattern = Pattern::new(pattern.as_bytes())?;
                    scan_rows(&positions, |i| pattern.matches(&texts[i]))
                }
                Op::Within => {
                    let Value::List(bounds) = operand else { return Err(refuse()) };
                    let [low, high] = bounds.items() else { return Err(refuse()) };
                    let (low, high) = (text(low).ok_or_else(refuse)?, text(high).ok_or_else(refuse)?);
                    scan_rows(&positions, |i| low <= texts[i] && texts[i] <= high)
                }
                _ => {
                    let other = text(operand).ok_or_else(refuse)?;
                    scan_rows(&positions, |i| holds(op, texts[i].cmp(&other)))
                }
            };
            Ok(at_positions(within, &found))
        }
    }
}

fn holds(op: Op, ordering: std::cmp::Ordering) -> bool {
    match op {
        Op::Eq | Op::In => ordering.is_eq(),
        Op::Ne => ordering.is_ne(),
        Op::Lt => ordering.is_lt(),
        Op::Gt => ordering.is_gt(),
        Op::Le => ordering.is_le(),
        _ => ordering.is_ge(),
    }
}

/// A char column against a pattern: each char is a text of one byte.
pub(super) fn select_chars(
    column: &Value,
    v: &Vector,
    operand: &Value,
    within: &Selection,
) -> Result<Selection, KernelError> {
    let refuse = || Op::Like.refuse(column, operand);
    let pattern = Pattern::new(operand.as_name().ok_or_else(refuse)?.as_bytes())?;
    let buf = v.as_buf::<u8>().ok_or_else(refuse)?;
    Ok(scan(&buf, within, |c: u8| pattern.matches(&[c])))
}

pub(super) fn select_guids(
    column: &Value,
    v: &Vector,
    op: Op,
    operand: &Value,
    within: &Selection,
) -> Result<Selection, KernelError> {
    let refuse = || op.refuse(column, operand);
    let guid = |a: &Atom| if let Atom::Guid(g) = a { Ok(*g) } else { Err(refuse()) };
    let buf = v.as_buf::<[u8; 16]>().ok_or_else(refuse)?;
    match op {
        Op::Like => Err(refuse()),
        Op::In => {
            let items = atoms_of(operand).ok_or_else(refuse)?;
            let set = items.iter().map(guid).collect::<Result<AHashSet<_>, _>>()?;
            Ok(scan(&buf, within, |x| set.contains(&x)))
        }
        Op::Within => {
            let [low, high] = pair_of(column, operand)?;
            let (low, high) = (guid(&low)?, guid(&high)?);
            Ok(scan(&buf, within, |x| low <= x && x <= high))
        }
        _ => {
            let Value::Atom(a) = operand else { return Err(refuse()) };
            let other = guid(a)?;
            Ok(scan(&buf, within, |x: [u8; 16]| holds(op, x.cmp(&other))))
        }
    }
}
