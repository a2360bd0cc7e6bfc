//! The plain bytes of a kdb+ file as a value: plain vectors, enumerations, nested columns, serialised objects.
//!
//! Rules: counts in headers are believed only where an index follows the data, because kdb+ leaves them stale or 0;
//! bulk data is a view of the mapped bytes where its alignment allows.

use std::sync::Arc;

use bytes::Bytes;
use kvalue::{Attr, Type};

use super::heap;
use crate::{
    QError, R, convert,
    value::{Buf, Data, Domain, Element, Sym, Value, Vector},
};

/// Where data starts in page-form files.
pub(super) const PAGE: usize = 4096;
/// Where the object header stands in page-form files.
pub(super) const PAGE_HEADER: usize = 4080;

/// What a file's bytes do not hold themselves.
pub(super) trait Beside {
    /// The file's path, for messages.
    fn shown(&self) -> &str;
    /// The plain bytes of the file of this name with a suffix (`#`, `##`).
    fn companion(&self, suffix: &str) -> R<Bytes>;
    /// The enumeration domain of this name.
    fn domain(&self, name: Sym) -> R<Arc<Domain>>;
}

/// The value that a file's bytes stand for.
pub(super) fn read(bytes: &Bytes, beside: &dyn Beside) -> R {
    match bytes.get(..2) {
        Some([0xff, 0x01]) => serialised(bytes, beside),
        Some([0xfe, 0x20]) => plain(bytes, beside),
        Some([0xfe, _]) => enum32(bytes, beside),
        Some([0xfd, 0x20]) => page(bytes, beside),
        _ => Err(bad(beside, "no file of kdb+")),
    }
}

/// An error that names the file.
pub(super) fn bad(beside: &dyn Beside, what: &str) -> QError {
    QError::new(format!("{}: {what}", beside.shown()))
}

pub(super) fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    Some(i64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The bytes `at..at+len`; `None` beyond the end.
pub(super) fn part(bytes: &Bytes, at: usize, len: usize) -> Option<Bytes> {
    let end = at.checked_add(len)?;
    (end <= bytes.len()).then(|| bytes.slice(at..end))
}

/// A serialised object behind `ff 01`.
fn serialised(bytes: &Bytes, beside: &dyn Beside) -> R {
    if bytes.get(2) == Some(&0x0b) {
        return symbols(bytes, beside);
    }
    let object =
        qipc::decode(bytes.slice(2..), &qipc::Limits::internal()).map_err(|e| bad(beside, &e.to_string()))?;
    convert::from_kvalue(&object)
}

/// The names of a symbol vector's file, to its end: appends do not count them.
pub(super) fn symbols(bytes: &Bytes, beside: &dyn Beside) -> R {
    let names = bytes.get(8..).ok_or_else(|| bad(beside, "a cut symbol vector"))?;
    let attr = Attr::from_number(bytes[3]).unwrap_or(Attr::None);
    if names.is_empty() {
        return Ok(Value::syms(Vec::new()));
    }
    let Some(names) = names.strip_suffix(&[0]) else {
        return Err(bad(beside, "a last symbol without end"));
    };
    let names = names.split(|b| *b == 0).map(Sym::new).collect::<Vec<_>>();
    Ok(Value::Vector(Arc::new(Vector::new(Type::Symbol, Data::Sym(names.into())).with_attr(attr))))
}

/// Elements of a layout: a view where the bytes are aligned, else a copy.
fn elements<T: Element, const W: usize>(bytes: Bytes, from: fn([u8; W]) -> T) -> Buf<T> {
    match Buf::map(bytes.clone()) {
        Some(view) => view,
        None => {
            bytes.chunks_exact(W).map(|c| from(c.try_into().unwrap_or([0; W]))).collect::<Vec<T>>().into()
        }
    }
}

/// A vector of a type of fixed width over these bytes.
pub(super) fn fixed(ty: Type, attr: Attr, bytes: Bytes) -> Value {
    use kvalue::Physical;
    let data = match ty.physical() {
        Physical::U8 if ty == Type::Boolean => {
            Data::Bool(bytes.iter().map(|b| *b != 0).collect::<Vec<_>>().into())
        }
        Physical::U8 => Data::U8(elements(bytes, |[b]: [u8; 1]| b)),
        Physical::I16 => Data::I16(elements(bytes, i16::from_le_bytes)),
        Physical::I32 => Data::I32(elements(bytes, i32::from_le_bytes)),
        Physical::I64 => Data::I64(elements(bytes, i64::from_le_bytes)),
        Physical::F32 => Data::F32(elements(bytes, f32::from_le_bytes)),
        Physical::F64 => Data::F64(elements(bytes, f64::from_le_bytes)),
        Physical::Guid => Data::Guid(elements(bytes, |g: [u8; 16]| g)),
        Physical::Symbol => Data::Sym(Vec::new().into()),
    };
    Value::Vector(Arc::new(Vector::new(ty, data).with_attr(attr)))
}

/// Indices of an enumeration; 32-bit ones are widened.
pub(super) fn enumerated(domain: Arc<Domain>, attr: Attr, width: usize, bytes: Bytes) -> Value {
    let codes: Buf<i64> = match width {
        8 => elements(bytes, i64::from_le_bytes),
        _ => elements(bytes, i32::from_le_bytes)
            .iter()
            .map(|&c| if c == i32::MIN { i64::MIN } else { i64::from(c) })
            .collect::<Vec<_>>()
            .into(),
    };
    Value::Vector(Arc::new(Vector::new(Type::Symbol, Data::Enum(domain, codes)).with_attr(attr)))
}

/// Bytes of the elements from `start` on, by the rule for counts.
fn rows(
    bytes: &Bytes,
    beside: &dyn Beside,
    (attr, count): (Attr, i64),
    start: usize,
    width: usize,
) -> R<Bytes> {
    let room = bytes.len().checked_sub(start).ok_or_else(|| bad(beside, "a cut header"))?;
    match attr {
        Attr::None | Attr::Sorted if room.is_multiple_of(width) => Ok(bytes.slice(start..)),
        Attr::None | Attr::Sorted => Err(bad(beside, "a torn write: no whole number of elements")),
        _ => usize::try_from(count)
            .ok()
            .and_then(|n| part(bytes, start, n.checked_mul(width)?))
            .ok_or_else(|| bad(beside, "a count that the file does not hold")),
    }
}

fn attr_of(byte: u8, beside: &dyn Beside) -> R<Attr> {
    Attr::from_number(byte).ok_or_else(|| bad(beside, "an unknown attribute"))
}

/// `fe 20`, type, attribute, reference count, count; data at 16.
fn plain(bytes: &Bytes, beside: &dyn Beside) -> R {
    let (Some(&ty), Some(&attr), Some(count)) = (bytes.get(2), bytes.get(3), i64_at(bytes, 8)) else {
        return Err(bad(beside, "a cut header"));
    };
    let attr = attr_of(attr, beside)?;
    if let Some((t, width)) = Type::from_number(ty).and_then(|t| Some((t, t.width()?))) {
        return Ok(fixed(t, attr, rows(bytes, beside, (attr, count), 16, width)?));
    }
    let item = ty.checked_sub(77).and_then(Type::from_number).and_then(|t| Some((t, t.width()?)));
    let Some((t, width)) = item else { return Err(bad(beside, "an unknown type")) };
    let ends = rows(bytes, beside, (attr, count), 16, 8)?;
    heap::by_ends(t, width, &ends, &beside.companion("#")?, beside)
}

/// `fe`, the domain's name, attribute, count; 32-bit indices. A long name moves the header.
fn enum32(bytes: &Bytes, beside: &dyn Beside) -> R {
    let cut = || bad(beside, "a cut header");
    let head = &bytes[..bytes.len().min(PAGE)];
    let nul = memchr::memchr(0, &head[1..]).ok_or_else(cut)? + 1;
    let name = Sym::new(&head[1..nul]);
    let count_at = 16 + 8 * ((nul.max(3) - 3) / 8);
    let (Some(&attr), Some(count)) = (head.get(count_at - 5), i64_at(head, count_at)) else {
        return Err(cut());
    };
    let attr = attr_of(attr, beside)?;
    let codes = rows(bytes, beside, (attr, count), count_at + 8, 4)?;
    Ok(enumerated(beside.domain(name)?, attr, 4, codes))
}

/// `fd 20`, a name at 16, the object header at 4080, data at 4096.
fn page(bytes: &Bytes, beside: &dyn Beside) -> R {
    let (Some(object), Some(count)) = (bytes.get(PAGE_HEADER..PAGE), i64_at(bytes, PAGE_HEADER + 8)) else {
        return Err(bad(beside, "a cut header"));
    };
    let attr = attr_of(object[3], beside)?;
    match object[2] {
        20 => {
            let name = bytes[16..PAGE_HEADER].split(|b| *b == 0).next().unwrap_or_default();
            let codes = rows(bytes, beside, (attr, count), PAGE, 8)?;
            Ok(enumerated(beside.domain(Sym::new(name))?, attr, 8, codes))
        }
        77 => {
            let references = rows(bytes, beside, (attr, count), PAGE, 8)?;
            heap::read(&references, beside)
        }
        ty => match Type::from_number(ty).and_then(|t| Some((t, t.width()?))) {
            Some((t, width)) => Ok(fixed(t, attr, rows(bytes, beside, (attr, count), PAGE, width)?)),
            None => Err(bad(beside, "an unknown type")),
        },
    }
}

/// Rows of a column by the first page of its file and its plain size; `None` where the file must be read for that.
pub(super) fn rows_of(head: &[u8], len: u64) -> R<Option<usize>> {
    let counted = |at: usize, start: u64, width: Option<usize>| -> Option<usize> {
        let width = width? as u64;
        match Attr::from_number(*head.get(at + 3)?)? {
            Attr::None | Attr::Sorted => Some((len.checked_sub(start)? / width) as usize),
            _ => usize::try_from(i64_at(head, at + 8)?).ok(),
        }
    };
    let width = |ty: u8| Type::from_number(ty).and_then(Type::width);
    Ok(match head.get(..2) {
        Some([0xfe, 0x20]) => {
            let ty = head.get(2).copied().unwrap_or(0);
            counted(0, 16, if ty >= 77 { Some(8) } else { width(ty) })
        }
        Some([0xfd, 0x20]) if head.len() == PAGE => match head[PAGE_HEADER + 2] {
            20 | 77 => counted(PAGE_HEADER, PAGE as u64, Some(8)),
            ty => counted(PAGE_HEADER, PAGE as u64, width(ty)),
        },
        _ => None,
    })
}
