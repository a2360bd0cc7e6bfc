//! Walks the items of an encoded list, vector or table, writing the simple ones and handing out the others.

use bytes::Bytes;
use kvalue::{Type, nul};
use qipc::{ColumnView, DecodeError, Limits};

use super::{Json, Rows, TABLE, cell, item_len};

/// Types whose JSON is written at once: atoms, strings, functions.
pub(super) fn is_leaf(object: &[u8]) -> bool {
    match object.first() {
        Some(&ty) => !matches!(ty, 0..=9 | 11..=19 | 98 | 99 | 127),
        None => true,
    }
}

/// Length of an atom or a string, which needs no walk.
pub(super) fn leaf_len(bytes: &[u8]) -> Option<usize> {
    let &ty = bytes.first()?;
    let len = match ty {
        // A string under 4 GiB.
        10 if bytes.get(1)? & 0x80 == 0 => 6 + u32::from_le_bytes(bytes.get(2..6)?.try_into().ok()?) as usize,
        0xf5 => 1 + nul::find(&bytes[1..])? + 1,
        _ => 1 + Type::from_number(ty.wrapping_neg()).filter(|_| ty >= 0x80)?.width()?,
    };
    (len <= bytes.len()).then_some(len)
}

/// Writes a leaf.
pub(super) fn put_leaf(object: &[u8], out: &mut Vec<u8>) {
    let Some((&ty, data)) = object.split_first() else { return out.extend_from_slice(b"null") };
    match ty {
        10 => {
            let header = if data.first().is_some_and(|attr| attr & 0x80 != 0) { 9 } else { 5 };
            cell::put_string(data.get(header..).unwrap_or_default(), out);
        }
        // A lambda: context, then its text as a char vector.
        100 => match nul::find(data).and_then(|end| data.get(end + 1 + 6..)) {
            Some(text) => cell::put_string(text, out),
            None => out.extend_from_slice(b"null"),
        },
        0xf5 => cell::put_string(data.strip_suffix(b"\0").unwrap_or(data), out),
        ty if ty >= 0x80 => match Type::from_number(ty.wrapping_neg()) {
            Some(ty) => cell::put(ty, data, &mut cell::Memo::default(), out),
            None => out.extend_from_slice(b"null"),
        },
        _ => out.extend_from_slice(b"null"),
    }
}

/// A position among items.
pub(super) struct Cursor {
    kind: Kind,
    data: Bytes,
    at: usize,
    left: u64,
    limits: Limits,
}

enum Kind {
    Fixed(Type, usize, cell::Memo),
    Symbols,
    General,
    Table(Box<Rows>),
}

impl Cursor {
    /// Over the items of a list, vector or table object. Validates the object.
    pub(super) fn open(object: &Bytes, limits: &Limits) -> Result<Cursor, DecodeError> {
        let len = qipc::object_len(object, limits)?;
        let object = object.slice(..len);
        if object[0] == TABLE {
            return Cursor::of_table(&object, limits);
        }
        let bad = DecodeError::BadMessage { offset: 0, byte: object[0], expected: "a list" };
        if object[0] > 19 {
            return Err(bad);
        }
        let large = object[1] & 0x80 != 0;
        let (header, count) = match large {
            false => (
                6,
                object.get(2..6).and_then(|b| b.try_into().ok()).map(|b| u64::from(u32::from_le_bytes(b))),
            ),
            true => (10, object.get(2..10).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes)),
        };
        let column = ColumnView {
            ty: object[0] as i8,
            attr: 0,
            count: count.ok_or(bad)?,
            data: object.slice(header..),
        };
        Cursor::of_column(&column, limits)
    }

    /// Over the cells of a validated column.
    pub(super) fn of_column(column: &ColumnView, limits: &Limits) -> Result<Cursor, DecodeError> {
        let kind = match (column.ty as u8, Type::from_number(column.ty as u8)) {
            (TABLE, _) => return Cursor::of_table(&column.data, limits),
            (0, _) => Kind::General,
            (_, Some(Type::Symbol)) => Kind::Symbols,
            (_, Some(ty)) => Kind::Fixed(ty, ty.width().unwrap_or(1), cell::Memo::default()),
            (byte, None) => return Err(DecodeError::BadMessage { offset: 0, byte, expected: "a list" }),
        };
        Ok(Cursor { kind, data: column.data.clone(), at: 0, left: column.count, limits: limits.clone() })
    }

    fn of_table(object: &Bytes, limits: &Limits) -> Result<Cursor, DecodeError> {
        let view = qipc::table_view(object, limits)?;
        let left = view.rows();
        let kind = Kind::Table(Box::new(Rows::new(&[view], limits)?));
        Ok(Cursor { kind, data: Bytes::new(), at: 0, left, limits: limits.clone() })
    }

    pub(super) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// The next item of a general list where it is a long, infinite or not; else it stays the next.
    pub(super) fn long(&mut self) -> Option<i64> {
        const LONG: u8 = 0xf9;
        let rest = self.data.get(self.at..)?;
        let (&ty, bytes) = rest.split_first()?;
        let n = i64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
        if !matches!(self.kind, Kind::General) || ty != LONG || self.left == 0 {
            return None;
        }
        self.at += 9;
        self.left -= 1;
        Some(n)
    }

    /// Writes the next item, or gives it where it is no leaf: the caller writes it.
    pub(super) fn put(&mut self, out: &mut Vec<u8>) -> Result<Option<Bytes>, DecodeError> {
        if self.left == 0 {
            out.extend_from_slice(b"null");
            return Ok(None);
        }
        self.left -= 1;
        match &mut self.kind {
            Kind::Fixed(ty, width, memo) => {
                let bytes = self.data.get(self.at..self.at + *width).unwrap_or_default();
                self.at += *width;
                cell::put(*ty, bytes, memo, out);
            }
            Kind::Symbols => {
                let rest = self.data.get(self.at..).unwrap_or_default();
                let end = nul::find(rest).unwrap_or(rest.len());
                cell::put_string(&rest[..end], out);
                self.at += end + 1;
            }
            Kind::General => {
                let rest = self.data.get(self.at..).unwrap_or_default();
                let len = item_len(rest, &self.limits)?;
                let item = self.at..self.at + len;
                self.at += len;
                if !is_leaf(rest) {
                    return Ok(Some(self.data.slice(item)));
                }
                put_leaf(&rest[..len], out);
            }
            Kind::Table(rows) => rows.put_row(out, &self.limits)?,
        }
        Ok(None)
    }
}

impl std::fmt::Debug for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Json({} levels open)", self.stack.len())
    }
}
