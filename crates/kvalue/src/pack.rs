//! Enumerated symbols to names as the wire has them, at some nanoseconds a symbol.
//!
//! A column of a database leaves as names, so this is on the way of every answer. Nearly all names are
//! short: each is kept as sixteen bytes with its length, copied whole, and the next one overwrites what was
//! too much. Tests: here, against the plain way.

use crate::{Codes, Domain};

/// A name with its NUL and zeros up to byte 15, which holds the length, NUL included; 0 there for a name
/// that is too long.
pub(crate) type Short = [u8; 16];

const LEN: usize = 15;
/// The null symbol: one NUL.
const NULL: Short = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// All names of a domain.
pub(crate) fn shorts<'a>(names: impl Iterator<Item = &'a [u8]>) -> Box<[Short]> {
    names
        .map(|name| {
            let mut short = [0; 16];
            if name.len() < LEN {
                short[..name.len()].copy_from_slice(name);
                short[LEN] = name.len() as u8 + 1;
            }
            short
        })
        .collect()
}

/// Calls `each` with every code, null as a negative number.
fn for_each(codes: &Codes, each: impl FnMut(i64)) {
    match codes {
        Codes::I32(b) => b.iter().map(i64::from).for_each(each),
        Codes::I64(b) => b.iter().for_each(each),
    }
}

/// Bytes of the names, each with its NUL.
pub(crate) fn wire_len(domain: &Domain, shorts: &[Short], codes: &Codes) -> usize {
    let mut len = 0;
    for_each(codes, |code| {
        // A negative code is beyond any table.
        len += match shorts.get(code as usize).unwrap_or(&NULL)[LEN] {
            0 => domain.get(code).len() + 1,
            n => usize::from(n),
        };
    });
    len
}

/// The names one after another, each with its NUL.
pub(crate) fn pack(domain: &Domain, shorts: &[Short], codes: &Codes) -> Vec<u8> {
    let mut out = vec![0; wire_len(domain, shorts, codes) + size_of::<Short>()];
    let mut at = 0;
    for_each(codes, |code| {
        let short = shorts.get(code as usize).unwrap_or(&NULL);
        if short[LEN] == 0 {
            let name = domain.get(code);
            out[at..at + name.len()].copy_from_slice(name);
            // An earlier short name may have left its length byte here.
            out[at + name.len()] = 0;
            at += name.len() + 1;
        } else {
            out[at..at + size_of::<Short>()].copy_from_slice(short);
            at += usize::from(short[LEN]);
        }
    });
    out.truncate(at);
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{Codes, Domain, Symbols, types::NULL_INT, types::NULL_LONG};

    #[test]
    fn names_of_any_length_are_packed_as_one_by_one() {
        let names: Vec<String> = [0usize, 1, 4, 13, 14, 15, 16, 17, 100]
            .iter()
            .map(|&n| std::iter::repeat_n(char::from(b'a' + n as u8 % 26), n).collect())
            .collect();
        let domain = Arc::new(Domain::new("sym".into(), &names.iter().collect()));
        let codes: Vec<i64> = (0..2000).map(|i| (i * 7 + i / 9) % names.len() as i64).collect();
        let with_null = |null: i64| codes.iter().map(move |&c| if c == 3 { null } else { c });
        let narrow = Codes::I32(with_null(i64::from(NULL_INT)).map(|c| c as i32).collect());
        let wide = Codes::I64(with_null(NULL_LONG).collect());
        for codes in [narrow, wide] {
            let symbols = Symbols::enumerated(domain.clone(), codes).unwrap();
            let plain: Vec<u8> = symbols.iter().flat_map(|name| [name, &[0]].concat()).collect();
            assert_eq!(symbols.to_wire(), plain);
            assert_eq!(symbols.wire_len(), plain.len());
            let few = symbols.slice(3..5);
            assert_eq!(few.to_wire(), few.iter().flat_map(|n| [n, &[0]].concat()).collect::<Vec<u8>>());
            assert_eq!(few.wire_len(), few.to_wire().len());
        }
    }
}
