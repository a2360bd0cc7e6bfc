//! Result types of arithmetic, from the "range and domains" tables of the KX reference pages.
//!
//! One row a left type, one column a right type, both in the order of [`Type::ALL`]; a dot is `'type`.

use kvalue::Type;

/// What is done to two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Add,
    Subtract,
    Multiply,
    Divide,
    Lesser,
    Greater,
}

impl Verb {
    /// q's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Verb::Add => "+",
            Verb::Subtract => "-",
            Verb::Multiply => "*",
            Verb::Divide => "%",
            Verb::Lesser => "&",
            Verb::Greater => "|",
        }
    }
}

const ADD: [&str; 18] = [
    "i.iiijef..pmdznuvt",
    "..................",
    "i.iiijef..pmdznuvt",
    "i.iiijef..pmdznuvt",
    "i.iiijef..pmdznuvt",
    "j.jjjjef..pmdznuvt",
    "e.eeeeef..pmdznuvt",
    "f.fffffff.ffzzffff",
    ".......f..pmdznuvt",
    "..................",
    "p.pppppfp.n...pppp",
    "m.mmmmmfm..i..pppp",
    "d.dddddzd...i.pppp",
    "z.zzzzzzz....fpzzz",
    "n.nnnnnfn.ppppnnnn",
    "u.uuuuufu.pppznuvt",
    "v.vvvvvfv.pppznvvt",
    "t.tttttft.pppznttt",
];

const MULTIPLY: [&str; 18] = [
    "i.iiijef..pmdznuvt",
    "..................",
    "i.iiijef..pmdznuvt",
    "i.iiijef..pmdznuvt",
    "i.iiijef..pmdznuvt",
    "j.jjjjef..pmdznuvt",
    "e.eeeeef..pmdznuvt",
    "f.fffffff.ffzzffff",
    ".......f..pmdznuvt",
    "..................",
    "p.pppppfp.........",
    "m.mmmmmfm.........",
    "d.dddddzd.........",
    "z.zzzzzzz.........",
    "n.nnnnnfn.........",
    "u.uuuuufu.........",
    "v.vvvvvfv.........",
    "t.tttttft.........",
];

const LESSER: [&str; 18] = [
    "b.xhijefc.pmdznuvt",
    "..................",
    "x.xhijefc.pmdznuvt",
    "h.hhijefc.pmdznuvt",
    "i.iiijefc.pmdznuvt",
    "j.jjjjefc.pmdznuvt",
    "e.eeeeefc.pmdznuvt",
    "f.ffffffc.pmdznuvt",
    "c.ccccccc.pmdznuvt",
    "..................",
    "p.ppppppp.ppppnuvt",
    "m.mmmmmmm.pmd.....",
    "d.ddddddd.pddz....",
    "z.zzzzzzz.p.zznuvt",
    "n.nnnnnnn.n..nnnnn",
    "u.uuuuuuu.u..unuvt",
    "v.vvvvvvv.v..vnvvt",
    "t.ttttttt.t..tnttt",
];

/// `b g x h i j e f c s p m d z n u v t` of `neg`.
const NEGATE: &str = "i.ihijefi.pmdznuvt";

fn in_row(row: &str, ty: Type) -> Option<Type> {
    let at = Type::ALL.iter().position(|t| *t == ty)?;
    row.chars().nth(at).and_then(Type::from_letter)
}

/// The type of `a verb b`; `None` where q signals `'type`.
pub(super) fn of(verb: Verb, a: Type, b: Type) -> Option<Type> {
    let row = Type::ALL.iter().position(|t| *t == a)?;
    match verb {
        // A char may stand on the right of a minus, where it may not of a plus.
        Verb::Subtract if b == Type::Char && in_row(ADD[row], b).is_none() && a.is_numeric() => {
            Some(if matches!(a, Type::Boolean | Type::Byte | Type::Short) { Type::Int } else { a })
        }
        Verb::Add | Verb::Subtract => in_row(ADD[row], b),
        Verb::Multiply => in_row(MULTIPLY[row], b),
        Verb::Divide => {
            let divisible = |t: Type| !matches!(t, Type::Guid | Type::Symbol);
            (divisible(a) && divisible(b)).then_some(Type::Float)
        }
        Verb::Lesser | Verb::Greater => in_row(LESSER[row], b),
    }
}

/// The type of `neg a`.
pub(super) fn of_negation(a: Type) -> Option<Type> {
    in_row(NEGATE, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_of_the_tables_is_a_type() {
        for row in ADD.iter().chain(&MULTIPLY).chain(&LESSER).chain([&NEGATE]) {
            assert_eq!(row.len(), 18, "{row}");
            assert!(row.chars().all(|c| c == '.' || Type::from_letter(c).is_some()), "{row}");
        }
    }

    #[test]
    fn lesser_and_multiply_are_symmetric_save_where_the_pages_are_not() {
        for a in Type::ALL {
            for b in Type::ALL {
                let (ab, ba) = (of(Verb::Lesser, a, b), of(Verb::Lesser, b, a));
                assert_eq!(ab, ba, "{a} & {b}");
            }
        }
    }
}
