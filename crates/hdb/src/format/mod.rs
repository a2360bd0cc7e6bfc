//! The forms of single files: containers, headers, symbol files, nested heaps, part indexes.

pub(crate) mod anymap;
pub(crate) mod codec;
pub(crate) mod container;
pub(crate) mod header;
pub(crate) mod image;
pub(crate) mod nested;
pub(crate) mod part;
pub(crate) mod symbols;

/// Little-endian numbers at an offset; `None` beyond the end.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes)
}

pub(crate) fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    bytes.get(at..at.checked_add(8)?).and_then(|b| b.try_into().ok()).map(i64::from_le_bytes)
}
