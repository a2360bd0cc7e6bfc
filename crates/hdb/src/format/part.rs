//! The index behind a parted column, and [`PartIndex`], the verified form queries use.
//!
//! Rule: an index is never believed. Its structure is checked when the column is opened (the row count hangs
//! on it), its content against the data before it is used: an index that lies would give wrong rows. Tests:
//! `tests/vectors.rs`, `tests/real.rs`.

use std::{ops::Range, sync::Arc};

use ahash::HashMap;
use kvalue::{Buf, Codes, Domain, Sym};

use super::{
    header::{Header, Shape},
    i64_at,
    image::Image,
};
use crate::HdbError;

/// A code and its rows.
pub(crate) type Part = (i64, Range<usize>);

/// Where the parts of a `p#` index lie, in plain offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// header U: `.. .. 14 02`, 0, number of values
    pub(crate) unique: u64,
    /// the distinct values
    pub(crate) values: u64,
    /// slots of the hash
    pub(crate) hash: u64,
    /// number of slots
    pub(crate) slots: u64,
    /// header O: `.. .. 07 00`, 0, number of offsets
    pub(crate) ranges: u64,
    /// first row of each part, last the row count
    pub(crate) offsets: u64,
    /// end of the file
    pub(crate) end: u64,
}

/// The layout of an index of `unique` values behind `rows` indices of `width` bytes that end at `data_end`.
pub(crate) fn layout(width: u64, data_end: u64, unique: u64) -> Layout {
    let cap = unique.next_power_of_two().max(8 / width);
    let slots = 2 * cap;
    let (start, gap) = if width == 4 { (data_end.next_multiple_of(8), 0) } else { (data_end + 8, 8) };
    let values = start + 16;
    let hash = values + cap * width + gap;
    let ranges = hash + slots * 8;
    let offsets = ranges + 16;
    Layout { unique: start, values, hash, slots, ranges, offsets, end: offsets + (unique + 1) * 8 }
}

/// Checks that an index of the right structure follows the data; gives its layout and number of values.
pub(crate) fn check(image: &Image, header: &Header) -> Result<(Layout, u64), HdbError> {
    let corrupt = |found: String, expected: String| HdbError::corrupt(image.path(), found, expected);
    let empty = layout(header.width, header.data_end(), 0);
    let head = read(image, empty.unique, 16)?;
    let unique = i64_at(&head, 8).unwrap_or(-1);
    if head[2..8] != [0x14, 0x02, 0, 0, 0, 0] {
        return Err(corrupt(
            format!("{:02x?} behind {} rows", &head[..8], header.rows),
            "the header of the values of a parted index (.. .. 14 02 00 00 00 00)".into(),
        ));
    }
    let unique = u64::try_from(unique).ok().filter(|&u| u <= header.rows).ok_or_else(|| {
        corrupt(format!("a parted index of {unique} values"), format!("0 to {}, the rows", header.rows))
    })?;
    let layout = layout(header.width, header.data_end(), unique);
    let head = read(image, layout.ranges, 16)?;
    if head[2..8] != [0x07, 0, 0, 0, 0, 0] || i64_at(&head, 8) != Some(unique as i64 + 1) {
        return Err(corrupt(
            format!("{head:02x?} behind the hash"),
            format!("the header of {} offsets of a parted index", unique + 1),
        ));
    }
    let ends = read(image, layout.offsets + unique * 8, 8)?;
    if i64_at(&ends, 0) != Some(header.rows as i64) {
        return Err(corrupt(
            format!("a parted index that ends at row {}", i64_at(&ends, 0).unwrap_or(-1)),
            format!("row {}", header.rows),
        ));
    }
    Ok((layout, unique))
}

fn read(image: &Image, at: u64, len: u64) -> Result<bytes::Bytes, HdbError> {
    image.read(at..at.saturating_add(len))
}

/// Codes and first rows as the file's index has them; `None` where they are not increasing from 0.
pub(crate) fn stored(
    image: &Image,
    header: &Header,
    (layout, unique): (Layout, u64),
) -> Result<Option<Vec<Part>>, HdbError> {
    let torn = |e: kvalue::ShapeError| HdbError::corrupt(image.path(), e.to_string(), "whole values");
    let values = read(image, layout.values, unique * header.width)?;
    let values = match header.width {
        4 => Codes::I32(Buf::new(values).map_err(torn)?),
        _ => Codes::I64(Buf::new(values).map_err(torn)?),
    };
    let offsets = Buf::<i64>::new(read(image, layout.offsets, (unique + 1) * 8)?).map_err(torn)?.to_vec();
    let sound = offsets.first() == Some(&0) && offsets.windows(2).all(|w| w[0] < w[1]);
    Ok(sound.then(|| {
        let ranges = offsets.windows(2).map(|w| w[0] as usize..w[1] as usize);
        (0..unique as usize).map(|i| values.get(i)).zip(ranges).collect()
    }))
}

/// Rows of each value of a column whose equal values are neighbours.
#[derive(Debug)]
pub struct PartIndex {
    domain: Arc<Domain>,
    parts: Vec<Part>,
    by_code: HashMap<i64, usize>,
}

impl PartIndex {
    /// The index of `codes`, by one pass; `None` where a value occurs in two places.
    pub(crate) fn scan(domain: Arc<Domain>, codes: &Codes) -> Option<PartIndex> {
        let mut parts: Vec<Part> = Vec::new();
        let mut push = |row: usize, code: i64| match parts.last_mut() {
            Some((last, range)) if *last == code => range.end = row + 1,
            _ => parts.push((code, row..row + 1)),
        };
        match codes {
            Codes::I32(b) => b.iter().enumerate().for_each(|(row, c)| {
                push(row, if c == kvalue::types::NULL_INT { -1 } else { i64::from(c) });
            }),
            Codes::I64(b) => b.iter().enumerate().for_each(|(row, c)| {
                push(row, if c == kvalue::types::NULL_LONG { -1 } else { c });
            }),
        }
        let by_code: HashMap<i64, usize> = parts.iter().enumerate().map(|(i, p)| (p.0, i)).collect();
        (by_code.len() == parts.len()).then_some(PartIndex { domain, parts, by_code })
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The rows that hold a symbol; `None` where no row does.
    pub fn range_of(&self, symbol: &[u8]) -> Option<Range<usize>> {
        let code = if symbol.is_empty() { -1 } else { i64::from(self.domain.find(symbol)?) };
        // A domain may name the empty symbol too.
        let code = if symbol.is_empty() && !self.by_code.contains_key(&-1) {
            i64::from(self.domain.find(symbol)?)
        } else {
            code
        };
        self.by_code.get(&code).map(|&i| self.parts[i].1.clone())
    }

    /// Each symbol with its rows, in the order of the rows.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = (Sym, Range<usize>)> + '_ {
        self.parts.iter().map(|(code, range)| (Sym::new(self.domain.get(*code)), range.clone()))
    }

    /// Number of distinct symbols.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// True for a column without rows.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

/// True where the column has an index of the form checked here.
pub(crate) fn has_index(header: &Header) -> bool {
    header.attr == kvalue::Attr::Parted && matches!(header.shape, Shape::Enum { .. })
}
