//! Result types of the atomic dyads, from the "range and domains" tables of the KX reference pages.
//!
//! One row a left type, one column a right type, both in the order of [`Type::ALL`]; a dot is `'type`.

use kvalue::Type;

type Rows = [&'static [u8; 18]; 18];

const ADD: Rows = [
    b"i.iiijef..pmdznuvt",
    b"..................",
    b"i.iiijef..pmdznuvt",
    b"i.iiijef..pmdznuvt",
    b"i.iiijef..pmdznuvt",
    b"j.jjjjef..pmdznuvt",
    b"e.eeeeef..pmdznuvt",
    b"f.fffffff.ffzzffff",
    b".......f..pmdznuvt",
    b"..................",
    b"p.pppppfp.n...pppp",
    b"m.mmmmmfm..i..pppp",
    b"d.dddddzd...i.pppp",
    b"z.zzzzzzz....fpzzz",
    b"n.nnnnnfn.ppppnnnn",
    b"u.uuuuufu.pppznuvt",
    b"v.vvvvvfv.pppznvvt",
    b"t.tttttft.pppznttt",
];

const MULTIPLY: Rows = [
    b"i.iiijef..pmdznuvt",
    b"..................",
    b"i.iiijef..pmdznuvt",
    b"i.iiijef..pmdznuvt",
    b"i.iiijef..pmdznuvt",
    b"j.jjjjef..pmdznuvt",
    b"e.eeeeef..pmdznuvt",
    b"f.fffffff.ffzzffff",
    b".......f..pmdznuvt",
    b"..................",
    b"p.pppppfp.........",
    b"m.mmmmmfm.........",
    b"d.dddddzd.........",
    b"z.zzzzzzz.........",
    b"n.nnnnnfn.........",
    b"u.uuuuufu.........",
    b"v.vvvvvfv.........",
    b"t.tttttft.........",
];

const LESSER: Rows = [
    b"b.xhijefc.pmdznuvt",
    b"..................",
    b"x.xhijefc.pmdznuvt",
    b"h.hhijefc.pmdznuvt",
    b"i.iiijefc.pmdznuvt",
    b"j.jjjjefc.pmdznuvt",
    b"e.eeeeefc.pmdznuvt",
    b"f.ffffffc.pmdznuvt",
    b"c.ccccccc.pmdznuvt",
    b"..................",
    b"p.ppppppp.ppppnuvt",
    b"m.mmmmmmm.pmd.....",
    b"d.ddddddd.pddz....",
    b"z.zzzzzzz.p.zznuvt",
    b"n.nnnnnnn.n..nnnnn",
    b"u.uuuuuuu.u..unuvt",
    b"v.vvvvvvv.v..vnvvt",
    b"t.ttttttt.t..tnttt",
];

const MOD: Rows = [
    b"i.iiijef..pmdznuvt",
    b"..................",
    b"i.iiijef..pmdznuvt",
    b"i.iiijef..pmdznuvt",
    b"i.iiijef..pmdznuvt",
    b"j.jjjjef..pmdznuvt",
    b"f.fffffff.ffzzffff",
    b"f.fffffff.ffzzffff",
    b".......f..pmdznuvt",
    b"..................",
    b"n.nnnnnfn.n.......",
    b"i.iiiiifi..i......",
    b"i.iiiiifi...i.....",
    b"f.fffffff....f....",
    b"n.nnnnnfn.....nnnn",
    b"u.uuuuufu.....nuvt",
    b"v.vvvvvfv.....nvvt",
    b"t.tttttft.....nttt",
];

/// An atomic dyad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // named as the reference pages name them
pub enum Verb {
    Add,
    Subtract,
    Multiply,
    Divide,
    Lesser,
    Greater,
    Equal,
    NotEqual,
    Less,
    More,
    AtMost,
    AtLeast,
    Mod,
    Div,
    Xbar,
    Xexp,
    Xlog,
    Fill,
}

impl Verb {
    /// True for `= <> < > <= >=`.
    pub fn is_comparison(self) -> bool {
        matches!(self, Verb::Equal | Verb::NotEqual | Verb::Less | Verb::More | Verb::AtMost | Verb::AtLeast)
    }
}

/// Place of a type in [`Type::ALL`].
pub fn place(ty: Type) -> usize {
    let n = usize::from(ty.number());
    if n <= 2 { n - 1 } else { n - 2 }
}

fn look(rows: &Rows, a: Type, b: Type) -> Option<Type> {
    Type::from_letter(char::from(rows[place(a)][place(b)]))
}

/// True for every type that is laid out as a number.
pub fn is_number_like(ty: Type) -> bool {
    !matches!(ty, Type::Guid | Type::Symbol)
}

/// The type of `a verb b`; `None` where q signals `'type`.
pub fn of(verb: Verb, a: Type, b: Type) -> Option<Type> {
    let numbers = is_number_like(a) && is_number_like(b);
    match verb {
        // A char may stand on the right of a minus, where it may not of a plus.
        Verb::Subtract if b == Type::Char && look(&ADD, a, b).is_none() && a.is_numeric() => {
            Some(if matches!(a, Type::Boolean | Type::Byte | Type::Short) { Type::Int } else { a })
        }
        // Not in KX's table; kdb+ takes it.
        Verb::Subtract if matches!((a, b), (Type::Timestamp, Type::Date) | (Type::Date, Type::Timestamp)) => {
            Some(Type::Timespan)
        }
        Verb::Add | Verb::Subtract => look(&ADD, a, b),
        Verb::Multiply => look(&MULTIPLY, a, b),
        Verb::Divide | Verb::Xlog => numbers.then_some(Type::Float),
        Verb::Xexp => (a.is_numeric() && b.is_numeric()).then_some(Type::Float),
        Verb::Lesser | Verb::Greater => look(&LESSER, a, b),
        Verb::Fill if a == b => Some(a),
        Verb::Fill => look(&LESSER, a, b),
        Verb::Mod => look(&MOD, a, b),
        Verb::Div if !numbers => None,
        Verb::Div => Some(match a {
            Type::Boolean | Type::Byte | Type::Short | Type::Char => Type::Int,
            Type::Real => Type::Float,
            a => a,
        }),
        Verb::Xbar if !numbers => None,
        Verb::Xbar => Some(match (a, b) {
            (_, b) if b.is_temporal() => b,
            (Type::Real | Type::Float | Type::Datetime, _) | (_, Type::Real | Type::Float) => Type::Float,
            (Type::Long | Type::Timespan | Type::Timestamp, _) | (_, Type::Long) => Type::Long,
            _ => Type::Int,
        }),
        _ if a == b => Some(Type::Boolean),
        _ if !numbers => None,
        _ if a.is_temporal() && b.is_temporal() => super::clock::common(a, b).map(|_| Type::Boolean),
        _ => Some(Type::Boolean),
    }
}

/// `b g x h i j e f c s p m d z n u v t` of the atomic monads; a dot is `'type`.
pub fn of_monad(row: &[u8; 18], a: Type) -> Option<Type> {
    Type::from_letter(char::from(row[place(a)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_of_the_tables_is_a_type() {
        for row in ADD.iter().chain(&MULTIPLY).chain(&LESSER).chain(&MOD) {
            assert!(row.iter().all(|c| *c == b'.' || Type::from_letter(char::from(*c)).is_some()));
        }
    }

    #[test]
    fn a_place_is_that_of_the_list_of_all_types() {
        for (i, ty) in Type::ALL.into_iter().enumerate() {
            assert_eq!(place(ty), i);
        }
    }
}
