//! The fields that every request carries several times, read and written as bytes.
//!
//! A peer may send them in another form that q holds for the same (a list with 8-byte count, a general list of
//! symbols): these give `None` then, and the caller decodes the object. Tests: below and `msg/tests.rs`.

use bytes::BufMut;
use kvalue::Sym;

use super::PlannedPortion;
use crate::{LabelSet, PortionId, TimeRange};

const LIST: u8 = 0;
const INTS: u8 = 6;
const CHARS: u8 = 10;
const SYMBOLS: u8 = 11;
const TIMESTAMPS: u8 = 12;
const TABLE: u8 = 98;
const DICT: u8 = 99;
/// Columns of a table of portions.
const PORTIONS: [&str; 5] = ["id", "labels", "table", "startTS", "endTS"];
/// Attribute bit of a list whose count takes 8 bytes.
const LARGE_COUNT: u8 = 0x80;

/// Type, count and bytes behind the header of a list.
fn list(object: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (header, items) = object.split_first_chunk::<6>()?;
    let [ty, attr, count @ ..] = *header;
    (attr & LARGE_COUNT == 0).then_some((ty, u32::from_le_bytes(count) as usize, items))
}

/// Bytes that the object takes which begins here, where its kind says that at once: an atom, or a vector of items of
/// one width. `None` for anything else, and where it is cut off.
pub(super) fn len(bytes: &[u8]) -> Option<usize> {
    let (ty, rest) = bytes.split_first()?;
    let len = match ty {
        0xff | 0xfc => 2,
        0xfe => 17,
        0xfb => 3,
        0xfa => 5,
        0xf9 => 9,
        0xf5 => 2 + memchr::memchr(0, rest)?,
        &(CHARS | TIMESTAMPS) => {
            let (ty, count, _) = list(bytes)?;
            let width = if ty == CHARS { 1 } else { 8 };
            6 + count.checked_mul(width)?
        }
        _ => return None,
    };
    (len <= bytes.len()).then_some(len)
}

/// A text.
pub(super) fn text(object: &[u8]) -> Option<&[u8]> {
    match list(object)? {
        (CHARS, count, text) if text.len() == count => Some(text),
        _ => None,
    }
}

/// Two timestamps.
pub(super) fn two_timestamps(object: &[u8]) -> Option<[i64; 2]> {
    let (TIMESTAMPS, 2, both) = list(object)? else { return None };
    let (first, second) = both.split_at_checked(8)?;
    Some([i64::from_le_bytes(first.try_into().ok()?), i64::from_le_bytes(second.try_into().ok()?)])
}

/// The names of a symbol vector, and what follows it.
fn symbols(object: &[u8]) -> Option<(Vec<Sym>, &[u8])> {
    let (SYMBOLS, count, mut rest) = list(object)? else { return None };
    // Each name takes a byte at least.
    let mut names = Vec::with_capacity(count.min(rest.len()));
    for _ in 0..count {
        let end = rest.iter().position(|b| *b == 0)?;
        names.push(Sym::new(&rest[..end]));
        rest = &rest[end + 1..];
    }
    Some((names, rest))
}

/// A dictionary of symbols to symbols.
pub(super) fn labels(object: &[u8]) -> Option<LabelSet> {
    let (DICT, inside) = object.split_first().map(|(ty, rest)| (*ty, rest))? else { return None };
    let (keys, rest) = symbols(inside)?;
    let (values, rest) = symbols(rest)?;
    (rest.is_empty() && keys.len() == values.len()).then(|| LabelSet::new(keys.into_iter().zip(values)))
}

/// As [`LabelSet::to_value`], encoded.
pub(super) fn put_labels(labels: &LabelSet, out: &mut Vec<u8>) {
    fn side<'a>(names: impl ExactSizeIterator<Item = &'a Sym>, out: &mut Vec<u8>) {
        out.put_slice(&[SYMBOLS, 0]);
        out.put_u32_le(names.len() as u32);
        for name in names {
            out.put_slice(name.as_bytes());
            out.put_u8(0);
        }
    }
    out.put_u8(DICT);
    side(labels.keys(), out);
    side(labels.values(), out);
}

fn put_list(ty: u8, count: usize, out: &mut Vec<u8>) {
    out.put_slice(&[ty, 0]);
    out.put_u32_le(count as u32);
}

/// A table of portions; the columns of none are typed as those of some.
pub(super) fn put_portions(portions: &[PlannedPortion], out: &mut Vec<u8>) {
    out.put_slice(&[TABLE, 0, DICT]);
    put_list(SYMBOLS, PORTIONS.len(), out);
    for name in PORTIONS {
        out.put_slice(name.as_bytes());
        out.put_u8(0);
    }
    put_list(LIST, PORTIONS.len(), out);
    put_list(INTS, portions.len(), out);
    portions.iter().for_each(|p| out.put_u32_le(p.id.0));
    put_list(LIST, portions.len(), out);
    portions.iter().for_each(|p| put_labels(&p.labels, out));
    put_list(SYMBOLS, portions.len(), out);
    for portion in portions {
        out.put_slice(portion.table.as_bytes());
        out.put_u8(0);
    }
    put_list(TIMESTAMPS, portions.len(), out);
    portions.iter().for_each(|p| out.put_i64_le(p.range.start()));
    put_list(TIMESTAMPS, portions.len(), out);
    portions.iter().for_each(|p| out.put_i64_le(p.range.end()));
}

/// A table of one portion, which most requests have.
pub(super) fn one_portion(object: &[u8]) -> Option<PlannedPortion> {
    let rest = object.strip_prefix(&[TABLE, 0, DICT])?;
    let (names, rest) = symbols(rest)?;
    if !names.iter().zip(PORTIONS).all(|(name, expected)| *name == expected) || names.len() != PORTIONS.len()
    {
        return None;
    }
    let column = |rest, ty| match list(rest)? {
        (found, 1, rest) if found == ty => Some(rest),
        _ => None,
    };
    let (LIST, 5, rest) = list(rest)? else { return None };
    let (id, rest) = column(rest, INTS)?.split_first_chunk::<4>()?;
    let rest = column(rest, LIST)?;
    let (DICT, inside) = rest.split_first().map(|(ty, rest)| (*ty, rest))? else { return None };
    let (keys, inside) = symbols(inside)?;
    let (values, rest) = symbols(inside)?;
    let (table, rest) = symbols(rest)?;
    let ([table], true) = (&table[..], keys.len() == values.len()) else { return None };
    let (start, rest) = column(rest, TIMESTAMPS)?.split_first_chunk::<8>()?;
    let (end, rest) = column(rest, TIMESTAMPS)?.split_first_chunk::<8>()?;
    let range = TimeRange::new(i64::from_le_bytes(*start), i64::from_le_bytes(*end))?;
    rest.is_empty().then(|| PlannedPortion {
        id: PortionId(u32::from_le_bytes(*id)),
        labels: LabelSet::new(keys.into_iter().zip(values)),
        table: table.clone(),
        range,
    })
}

#[cfg(test)]
mod tests {
    use kvalue::{Table, Type, Value, Vector};
    use qipc::Raw;

    use super::*;

    #[test]
    fn bytes_are_those_of_the_values_and_read_back() {
        for set in ["", "region=amer", "a=1,b=2,c=three"] {
            let set = LabelSet::parse(set).unwrap();
            let mut out = Vec::new();
            put_labels(&set, &mut out);
            assert_eq!(out[..], Raw::of(&set.to_value()).0[..], "{set}");
            assert_eq!(labels(&out), Some(set));
        }
        let range = Raw::of(&Value::from(Vector::timestamps(vec![3, i64::MAX]))).0;
        assert_eq!(two_timestamps(&range), Some([3, i64::MAX]));
        assert_eq!(text(&Raw::of(&Value::str("né")).0), Some("né".as_bytes()));
    }

    fn portion(id: u32, labels: &str, table: &str) -> PlannedPortion {
        let range = TimeRange::new(-5, 7).unwrap();
        PlannedPortion {
            id: PortionId(id),
            labels: LabelSet::parse(labels).unwrap(),
            table: table.into(),
            range,
        }
    }

    #[test]
    fn portions_are_the_bytes_of_their_table_and_one_is_read_back() {
        let one = portion(7, "region=amer,x=y", "trade");
        let two = [one.clone(), portion(8, "", "")];
        for portions in [&two[..1], &two[..], &two[1..]] {
            let times =
                |at: fn(&PlannedPortion) -> i64| Vector::timestamps(portions.iter().map(at).collect());
            let table = Table::of([
                ("id", Vector::new(Type::Int, portions.iter().map(|p| p.id.0 as i32).collect()).into()),
                ("labels", Value::list(portions.iter().map(|p| p.labels.to_value()).collect::<Vec<_>>())),
                ("table", Value::syms(portions.iter().map(|p| p.table.as_bytes()))),
                ("startTS", times(|p| p.range.start()).into()),
                ("endTS", times(|p| p.range.end()).into()),
            ]);
            let mut out = Vec::new();
            put_portions(portions, &mut out);
            assert_eq!(out[..], Raw::of(&table.unwrap().into()).0[..], "{portions:?}");
            let read = one_portion(&out);
            assert_eq!(read.as_ref(), Some(&portions[0]).filter(|_| portions.len() == 1));
            for cut in 0..out.len() {
                assert_eq!(one_portion(&out[..cut]), None, "cut at {cut}");
            }
        }
    }

    #[test]
    fn the_length_of_a_plain_object_is_that_of_its_bytes_whatever_follows() {
        let plain = [
            Value::from(true),
            Value::from(7i16),
            Value::from(7i32),
            Value::from(7i64),
            Value::Atom(kvalue::Atom::Guid([3; 16])),
            Value::sym(""),
            Value::sym("name"),
            Value::str("words"),
            Vector::timestamps(vec![3, 4]).into(),
        ];
        for value in plain {
            let mut bytes = Raw::of(&value).0.to_vec();
            let whole = bytes.len();
            for cut in 0..whole {
                assert_eq!(len(&bytes[..cut]), None, "{value:?} cut at {cut}");
            }
            bytes.extend_from_slice(b"\0more");
            assert_eq!(len(&bytes), Some(whole), "{value:?}");
        }
        assert_eq!(len(&Raw::of(&Value::empty_dict()).0), None, "left to the parser");
        let lying = [CHARS, 0, 0xff, 0xff, 0xff, 0xff, b'x'];
        assert_eq!(len(&lying), None);
    }

    #[test]
    fn damaged_bytes_are_not_read() {
        let set = Raw::of(&LabelSet::parse("a=1,b=2").unwrap().to_value()).0;
        let range = Raw::of(&Value::from(Vector::timestamps(vec![3, 4]))).0;
        let word = Raw::of(&Value::str("word")).0;
        for cut in 0..set.len() {
            assert_eq!(labels(&set[..cut]), None, "cut at {cut}");
        }
        for cut in 0..range.len() {
            assert_eq!(two_timestamps(&range[..cut]), None, "cut at {cut}");
        }
        for cut in 0..word.len() {
            assert_eq!(text(&word[..cut]), None, "cut at {cut}");
        }
        let mut lying = set.to_vec();
        lying[3..7].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(labels(&lying), None);
    }
}
