//! Symbol columns: a test of names, asked once a name where the column is enumerated.

use std::cell::Cell;

use ahash::AHashSet;
use kvalue::{
    Atom, Codes, Domain, Symbols, Value, Vector,
    types::{NULL_INT, NULL_LONG},
};

use super::{
    op::{Op, atoms_of, pair_of},
    scan::{scan, scan_rows},
};
use crate::{KernelError, Selection, like::Pattern};

pub(super) fn select(
    column: &Value,
    v: &Vector,
    op: Op,
    operand: &Value,
    within: &Selection,
) -> Result<Selection, KernelError> {
    let refuse = || op.refuse(column, operand);
    let symbols = v.as_symbols().ok_or_else(refuse)?;
    let name = |a: &Atom| if let Atom::Symbol(s) = a { Ok(s.clone()) } else { Err(refuse()) };
    match op {
        Op::Like => {
            let pattern = operand.as_name().ok_or_else(refuse)?;
            let pattern = Pattern::new(pattern.as_bytes())?;
            Ok(by_name(symbols, within, |name| pattern.matches(name)))
        }
        Op::In => {
            let names = atoms_of(operand).ok_or_else(refuse)?;
            let names = names.iter().map(name).collect::<Result<Vec<_>, _>>()?;
            if let [only] = &names[..] {
                return Ok(equal(symbols, only.as_bytes(), false, within));
            }
            let set: AHashSet<&[u8]> = names.iter().map(|n| n.as_bytes()).collect();
            Ok(by_name(symbols, within, |name| set.contains(name)))
        }
        Op::Within => {
            let [low, high] = pair_of(column, operand)?;
            let (low, high) = (name(&low)?, name(&high)?);
            Ok(by_name(symbols, within, |name| low.as_bytes() <= name && name <= high.as_bytes()))
        }
        _ => {
            let Value::Atom(a) = operand else { return Err(refuse()) };
            let other = name(a)?;
            let other = other.as_bytes();
            Ok(match op {
                Op::Eq | Op::Ne => equal(symbols, other, op == Op::Ne, within),
                Op::Lt => by_name(symbols, within, |name| name < other),
                Op::Gt => by_name(symbols, within, |name| name > other),
                Op::Le => by_name(symbols, within, |name| name <= other),
                _ => by_name(symbols, within, |name| name >= other),
            })
        }
    }
}

fn equal(symbols: &Symbols, name: &[u8], negate: bool, within: &Selection) -> Selection {
    let Some((domain, codes)) = symbols.as_enumerated() else {
        return by_name(symbols, within, |other| (other == name) != negate);
    };
    let code = domain.find(name);
    match (code, codes) {
        // The null symbol is the null index, and the empty name where the domain has one.
        _ if name.is_empty() => by_name(symbols, within, |other| other.is_empty() != negate),
        (None, _) if negate => within.clone(),
        (None, _) => Selection::none(),
        (Some(code), Codes::I32(b)) => {
            // A code that 32 bits cannot hold is in no such column.
            let Ok(code) = i32::try_from(code) else {
                return by_name(symbols, within, |n| (n == name) != negate);
            };
            scan(b, within, |c| (c == code) != negate)
        }
        (Some(code), Codes::I64(b)) => {
            let code = i64::from(code);
            scan(b, within, |c| (c == code) != negate)
        }
    }
}

/// Rows whose name passes a test. Over an enumeration the answer is kept for each code.
fn by_name(symbols: &Symbols, within: &Selection, test: impl Fn(&[u8]) -> bool) -> Selection {
    match symbols.as_enumerated() {
        None => scan_rows(within, |row| test(symbols.get(row))),
        Some((domain, codes)) => {
            let answers = Answers::new(domain, test);
            match codes {
                Codes::I32(b) => {
                    scan(b, within, |c| answers.get(if c == NULL_INT { -1 } else { i64::from(c) }))
                }
                Codes::I64(b) => scan(b, within, |c| answers.get(if c == NULL_LONG { -1 } else { c })),
            }
        }
    }
}

/// A test's answer for each code, asked when first needed.
struct Answers<'a, F> {
    domain: &'a Domain,
    test: F,
    null: bool,
    known: Vec<Cell<Answer>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Unknown,
    No,
    Yes,
}

impl<'a, F: Fn(&[u8]) -> bool> Answers<'a, F> {
    fn new(domain: &'a Domain, test: F) -> Self {
        let null = test(b"");
        Answers { domain, null, known: vec![Cell::new(Answer::Unknown); domain.len()], test }
    }

    #[inline]
    fn get(&self, code: i64) -> bool {
        let Some(cell) = usize::try_from(code).ok().and_then(|c| self.known.get(c)) else { return self.null };
        match cell.get() {
            Answer::Yes => true,
            Answer::No => false,
            Answer::Unknown => {
                let yes = (self.test)(self.domain.get(code));
                cell.set(if yes { Answer::Yes } else { Answer::No });
                yes
            }
        }
    }
}
