//! The fields that every request carries several times, read and written as bytes.
//!
//! A peer may send them in another form that q holds for the same (a list with 8-byte count, a general list of
//! symbols): these give `None` then, and the caller decodes the object. Tests: below and `msg/tests.rs`.

use bytes::BufMut;
use kvalue::{Sym, Type, nul};

use super::PlannedPortion;
use crate::{LabelSet, PortionId, TimeRange};

const LIST: u8 = 0;
const INTS: u8 = 6;
const CHARS: u8 = 10;
const SYMBOLS: u8 = 11;
const TIMESTAMPS: u8 = 12;
const TABLE: u8 = 98;
const DICT: u8 = 99;
/// What a table of portions begins with: its columns' names, and the header of the list of them.
const PORTIONS: &[u8] = b"\x62\0\x63\x0b\0\x05\0\0\0id\0labels\0table\0startTS\0endTS\0\0\0\x05\0\0\0";
/// Attribute bit of a list whose count takes 8 bytes.
const LARGE_COUNT: u8 = 0x80;

/// Type, count and bytes behind the header of a list.
fn list(object: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (header, items) = object.split_first_chunk::<6>()?;
    let [ty, attr, count @ ..] = *header;
    (attr & LARGE_COUNT == 0).then_some((ty, u32::from_le_bytes(count) as usize, items))
}

/// Levels of lists in lists whose length is told here.
const DEEPEST: usize = 8;

/// Bytes that the object takes which begins here. `None` where it is damaged, or of a kind that no message of this
/// project has. That keys and values, or columns, are equally many is for whoever reads them.
pub(super) fn len(bytes: &[u8]) -> Option<usize> {
    len_within(bytes, DEEPEST)
}

fn len_within(bytes: &[u8], deepest: usize) -> Option<usize> {
    let (&ty, rest) = bytes.split_first()?;
    let len = match ty {
        0xf5 => 2 + nul::find(rest)?,
        SYMBOLS => {
            let (_, count, names) = list(bytes)?;
            6 + nul::names(names, count)?
        }
        LIST => {
            let (_, count, _) = list(bytes)?;
            let mut at = 6;
            for _ in 0..count {
                at += len_within(&bytes[at..], deepest.checked_sub(1)?)?;
            }
            at
        }
        DICT => {
            let keys = 1 + len_within(rest, deepest.checked_sub(1)?)?;
            keys + len_within(&bytes[keys..], deepest.checked_sub(1)?)?
        }
        TABLE => match rest {
            [_, DICT, ..] => 2 + len_within(&bytes[2..], deepest.checked_sub(1)?)?,
            _ => return None,
        },
        1..=19 => {
            let (_, count, _) = list(bytes)?;
            6 + count.checked_mul(width(ty)?)?
        }
        _ => 1 + width(ty.wrapping_neg())?,
    };
    (len <= bytes.len()).then_some(len)
}

/// Bytes of an item of this type, where all have equally many.
fn width(ty: u8) -> Option<usize> {
    Type::from_number(ty)?.width()
}

/// A text.
pub(super) fn text(object: &[u8]) -> Option<&[u8]> {
    match list(object)? {
        (CHARS, count, text) if text.len() == count => Some(text),
        _ => None,
    }
}

/// A text that begins here, and the bytes it takes.
pub(super) fn text_at(rest: &[u8]) -> Option<(&[u8], usize)> {
    match list(rest)? {
        (CHARS, count, text) => Some((text.get(..count)?, 6 + count)),
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
fn names(object: &[u8]) -> Option<(Names<'_>, &[u8])> {
    let (SYMBOLS, count, _) = list(object)? else { return None };
    let (names, rest) = object.split_at(len(object)?);
    Some((Names { bytes: &names[6..], count }, rest))
}

/// So many names, each ended by NUL.
struct Names<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl Iterator for Names<'_> {
    type Item = Sym;

    fn next(&mut self) -> Option<Sym> {
        let end = self.bytes.iter().position(|b| *b == 0)?;
        let name = Sym::new(&self.bytes[..end]);
        (self.bytes, self.count) = (&self.bytes[end + 1..], self.count - 1);
        Some(name)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Names<'_> {}

/// A dictionary of symbols to symbols.
pub(super) fn labels(object: &[u8]) -> Option<LabelSet> {
    labels_and_rest(object).and_then(|(labels, rest)| rest.is_empty().then_some(labels))
}

/// A dictionary of symbols to symbols, and what follows it.
fn labels_and_rest(object: &[u8]) -> Option<(LabelSet, &[u8])> {
    let [DICT, keys @ ..] = object else { return None };
    let (keys, rest) = names(keys)?;
    let (values, rest) = names(rest)?;
    (keys.len() == values.len()).then(|| (LabelSet::new(keys.zip(values)), rest))
}

/// As [`labels`], of a dictionary that begins here, and the bytes it takes.
pub(super) fn labels_at(bytes: &[u8]) -> Option<(LabelSet, usize)> {
    labels_and_rest(bytes).map(|(labels, rest)| (labels, bytes.len() - rest.len()))
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
    out.put_slice(PORTIONS);
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
    let rest = object.strip_prefix(PORTIONS)?;
    let column = |rest, ty| match list(rest)? {
        (found, 1, rest) if found == ty => Some(rest),
        _ => None,
    };
    let (id, rest) = column(rest, INTS)?.split_first_chunk::<4>()?;
    let (labels, rest) = labels_and_rest(column(rest, LIST)?)?;
    let (mut table, rest) = names(rest)?;
    let (Some(table), 0) = (table.next(), table.len()) else { return None };
    let (start, rest) = column(rest, TIMESTAMPS)?.split_first_chunk::<8>()?;
    let (end, rest) = column(rest, TIMESTAMPS)?.split_first_chunk::<8>()?;
    let range = TimeRange::new(i64::from_le_bytes(*start), i64::from_le_bytes(*end))?;
    rest.is_empty().then(|| PlannedPortion { id: PortionId(u32::from_le_bytes(*id)), labels, table, range })
}

#[cfg(test)]
mod tests {
    use kvalue::{Table, Value, Vector};
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
            Value::syms(["", "a", "bc"]),
            Value::syms([""; 0]),
            Value::empty_dict(),
            LabelSet::parse("a=1,b=2").unwrap().to_value(),
            Value::list([Value::sym("a"), Value::list([Value::from(1.5), Value::str("")])]),
            Table::of([("a", Value::syms(["x"])), ("b", Vector::longs(vec![1]).into())]).unwrap().into(),
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
        for ty in [LIST, 1, 2, CHARS, SYMBOLS, TIMESTAMPS] {
            assert_eq!(len(&[ty, 0, 0xff, 0xff, 0xff, 0xff, b'x', 0]), None, "a count that lies, type {ty}");
        }
        let nested = |levels| [&[LIST, 0, 1, 0, 0, 0].repeat(levels)[..], &[0xff, 1]].concat();
        assert_eq!(len(&nested(DEEPEST)), Some(6 * DEEPEST + 2));
        assert_eq!(len(&nested(DEEPEST + 1)), None, "left to the parser, as is what no message has:");
        for other in [[3u8, 0], [100, 0], [127, 99], [0x80, 0]] {
            assert_eq!(len(&other), None);
        }
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
