//! The files of one column.
//!
//! Rule: headers carry the true count, which every kdb+ reads right, though newer ones write 0. Tests:
//! `tests/save.rs`.

use std::path::Path;

use kvalue::{Atom, Attr, Type, Value};

use super::{Compression, Target, heap::HeapWriter, image::ImageWriter, index};
use crate::HdbError;

/// Where a column goes and how.
pub(super) struct Sink<'a> {
    pub(super) dir: &'a Path,
    pub(super) name: &'a str,
    pub(super) compress: Option<Compression>,
    pub(super) target: Target,
}

/// Why a nested column was not written.
pub(super) enum NestedError {
    /// the system
    Io(HdbError),
    /// the values, with the reason
    Value(String),
}

impl From<HdbError> for NestedError {
    fn from(e: HdbError) -> Self {
        NestedError::Io(e)
    }
}

const PAGE: usize = 4096;
const PAGE_HEADER: usize = 4080;
/// Longest domain name that fits the 32-bit form without moving its header.
const SHORT_NAME: usize = 9;

impl Sink<'_> {
    fn write(&self, suffix: &str, parts: &[&[u8]]) -> Result<u64, HdbError> {
        let path = self.dir.join(format!("{}{suffix}", self.name));
        let mut out = ImageWriter::create(&path, self.compress)?;
        for part in parts {
            out.write(part)?;
        }
        out.finish()
    }

    /// Elements of a fixed width.
    pub(super) fn fixed(&self, ty: Type, attr: Attr, bytes: &[u8]) -> Result<u64, HdbError> {
        let count = bytes.len() / ty.width().unwrap_or(1);
        self.write("", &[&plain_header(ty.number(), attr, count), bytes])
    }

    /// Codes over the named enumeration, with the parted index where it is asked for and can be.
    pub(super) fn enumerated(&self, domain: &str, codes: &[i64], parted: bool) -> Result<u64, HdbError> {
        let runs = if parted { index::runs(codes) } else { None };
        if parted && runs.is_none() {
            tracing::warn!(
                column = %self.dir.join(self.name).display(),
                "saved without p#: nulls or very large enumerations have no known index"
            );
        }
        let attr = if runs.is_some() { Attr::Parted } else { Attr::None };
        let narrow = self.target == Target::Kdb30 && domain.len() <= SHORT_NAME;
        let (width, header, data) = if narrow {
            let mut header = vec![0; 24];
            header[0] = 0xfe;
            header[1..=domain.len()].copy_from_slice(domain.as_bytes());
            header[11] = attr.number();
            header[16..24].copy_from_slice(&(codes.len() as u64).to_le_bytes());
            // 2^31 names do not fit a domain that is read here; a null is the smallest number of its width.
            let narrow = |&c: &i64| i32::try_from(c).unwrap_or(i32::MIN);
            (4, header, codes.iter().flat_map(|c| narrow(c).to_le_bytes()).collect::<Vec<u8>>())
        } else {
            let mut header = page(Some(domain), 20, attr, codes.len());
            header[PAGE_HEADER + 1] = 0;
            (8, header, codes.iter().flat_map(|c| c.to_le_bytes()).collect())
        };
        let end = (header.len() + data.len()) as u64;
        let behind = runs.map(|r| index::bytes(width, end, codes.len(), &r)).unwrap_or_default();
        self.write("", &[&header, &data, &behind])
    }

    /// Any value per row.
    pub(super) fn nested(&self, items: &[Value]) -> Result<u64, NestedError> {
        if items.is_empty() {
            // `()` serves every type, and old and new versions.
            return Ok(self.write("", &[&[0xff, 0x01, 0, 0, 0, 0, 0, 0]])?);
        }
        match self.target {
            Target::Kdb30 => self.nested_ends(items),
            Target::Kdb36 => self.nested_heap(items),
        }
    }

    fn nested_heap(&self, items: &[Value]) -> Result<u64, NestedError> {
        let mut heap = HeapWriter::default();
        let mut references = Vec::with_capacity(items.len() * 8);
        for (row, item) in items.iter().enumerate() {
            let wrong = |why| NestedError::Value(format!("the item of row {row} {why}"));
            let reference = heap.add(item, 0).map_err(wrong)?;
            references.extend_from_slice(&reference.to_le_bytes());
        }
        let mut header = page(None, 77, Attr::None, items.len());
        header[PAGE_HEADER + 1] = 1;
        let mut size = self.write("", &[&header, &references])?;
        let mut heap_header = page(None, 4, Attr::None, 0);
        heap_header[PAGE_HEADER + 1] = 0;
        size += self.write("#", &[&heap_header, &heap.bytes])?;
        if !heap.symbols.is_empty() {
            size += self.write("##", &[&names(&heap.symbols)])?;
        }
        Ok(size)
    }

    fn nested_ends(&self, items: &[Value]) -> Result<u64, NestedError> {
        let ty = items.iter().find_map(|i| i.as_vector().map(|v| v.ty())).unwrap_or(Type::Char);
        let refuse = |item: &Value| {
            NestedError::Value(format!(
                "kdb+ before 3.6 takes nested columns of one type of one byte here ({ty}), an item is a {}; \
                 save for 3.6 or later",
                item.type_name()
            ))
        };
        let (mut ends, mut data) = (Vec::with_capacity(items.len() * 8), Vec::new());
        for item in items {
            match item {
                Value::Vector(v) if v.ty() == ty && ty.width() == Some(1) => {
                    data.extend_from_slice(v.as_bytes().map(|b| &b[..]).unwrap_or_default());
                }
                Value::Atom(Atom::Char(c)) if ty == Type::Char => data.push(*c),
                other => return Err(refuse(other)),
            }
            ends.extend_from_slice(&(data.len() as u64).to_le_bytes());
        }
        let header = plain_header(77 + ty.number(), Attr::None, items.len());
        Ok(self.write("", &[&header, &ends])? + self.write("#", &[&data])?)
    }
}

fn plain_header(ty: u8, attr: Attr, count: usize) -> [u8; 16] {
    let mut header = [0; 16];
    header[..4].copy_from_slice(&[0xfe, 0x20, ty, attr.number()]);
    header[8..].copy_from_slice(&(count as u64).to_le_bytes());
    header
}

/// The first page of a page-form file.
fn page(name: Option<&str>, ty: u8, attr: Attr, count: usize) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    page[..2].copy_from_slice(&[0xfd, 0x20]);
    if let Some(name) = name {
        page[16..16 + name.len()].copy_from_slice(name.as_bytes());
    }
    page[PAGE_HEADER] = 0xfd;
    page[PAGE_HEADER + 2] = ty;
    page[PAGE_HEADER + 3] = attr.number();
    page[PAGE_HEADER + 8..].copy_from_slice(&(count as u64).to_le_bytes());
    page
}

/// A serialised symbol vector.
fn names<S: AsRef<[u8]>>(names: &[S]) -> Vec<u8> {
    let mut out = vec![0xff, 0x01, 0x0b, 0];
    out.extend_from_slice(&i32::try_from(names.len()).unwrap_or(0).to_le_bytes());
    for name in names {
        out.extend_from_slice(name.as_ref());
        out.push(0);
    }
    out
}

/// Writes `.d`.
pub(super) fn write_names(path: &Path, columns: &[&[u8]]) -> Result<u64, HdbError> {
    let mut out = ImageWriter::create(path, None)?;
    out.write(&names(columns))?;
    out.finish()
}
