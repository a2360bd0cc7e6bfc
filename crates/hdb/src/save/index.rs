//! The index kdb+ keeps behind a parted enumerated column: distinct codes with a hash, and where each starts.
//!
//! Rule: the bytes are those kdb+ writes, but for bytes kdb+ leaves to chance, which are 0 here; where the
//! hash is not known to be kdb+'s (nulls, very large codes) no index is written. Tests: `tests/save.rs`.

use crate::format::part::{Layout, Part, layout};

/// Largest code whose hash was verified on real files.
const MAX_CODE: i64 = 1 << 21;

/// The runs of equal codes; `None` where no index may be written: a code in two runs, null, or too large.
pub(super) fn runs(codes: &[i64]) -> Option<Vec<Part>> {
    let mut runs: Vec<Part> = Vec::new();
    for (row, &code) in codes.iter().enumerate() {
        match runs.last_mut() {
            Some((last, range)) if *last == code => range.end = row + 1,
            _ => runs.push((code, row..row + 1)),
        }
    }
    let mut seen: Vec<i64> = runs.iter().map(|r| r.0).collect();
    seen.sort_unstable();
    let unique = seen.windows(2).all(|w| w[0] != w[1]);
    let known = seen.first().is_none_or(|&c| c >= 0) && seen.last().is_none_or(|&c| c < MAX_CODE);
    (unique && known).then_some(runs)
}

/// All bytes behind the data, for `rows` codes of `width` bytes that end at `data_end`.
pub(super) fn bytes(width: u64, data_end: u64, rows: usize, runs: &[Part]) -> Vec<u8> {
    let l: Layout = layout(width, data_end, runs.len() as u64);
    let mut out = vec![0u8; (l.end - data_end) as usize];
    let mut put = |at: u64, bytes: &[u8]| {
        let at = (at - data_end) as usize;
        out[at..at + bytes.len()].copy_from_slice(bytes);
    };

    put(l.unique, &[order_of(l.ranges - l.unique), 0, 0x14, 0x02]);
    put(l.unique + 8, &(runs.len() as u64).to_le_bytes());
    for (i, (code, _)) in (0u64..).zip(runs) {
        put(l.values + i * width, &code.to_le_bytes()[..width as usize]);
    }

    let mut slots = vec![-1i64; l.slots as usize];
    for (i, (code, _)) in (0i64..).zip(runs) {
        let mut slot = slot_of(*code, l.slots);
        while slots[slot] != -1 {
            slot = (slot + 1) % slots.len();
        }
        slots[slot] = i;
    }
    for (i, value) in (0u64..).zip(&slots) {
        put(l.hash + i * 8, &value.to_le_bytes());
    }

    put(l.ranges, &[order_of(l.end - l.ranges), 0, 0x07, 0x00]);
    put(l.ranges + 8, &(runs.len() as u64 + 1).to_le_bytes());
    let starts = runs.iter().map(|r| r.1.start).chain([rows]);
    for (i, start) in (0u64..).zip(starts) {
        put(l.offsets + i * 8, &(start as u64).to_le_bytes());
    }
    out
}

/// kdb+'s allocator rounds to 16 bytes times a power of two, which it notes in an object's first byte.
fn order_of(bytes: u64) -> u8 {
    (0..48).find(|m| 16u64 << m >= bytes).unwrap_or(48)
}

fn slot_of(code: i64, slots: u64) -> usize {
    let mixed = (code as u32).wrapping_mul(0x9e37_79b1);
    (u64::from(mixed >> 11) & (slots - 1)) as usize
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::format::{header, image::Image};

    /// The bytes of an index that kdb+ leaves to chance, cleared: byte 1 of each object header, the room
    /// behind the values, and what lies between data and index.
    fn cleared(mut index: Vec<u8>, data_end: u64, width: u64, unique: u64) -> Vec<u8> {
        let l = layout(width, data_end, unique);
        let at = |x: u64| (x - data_end) as usize;
        index[..at(l.unique)].fill(0);
        index[at(l.unique) + 1] = 0;
        index[at(l.ranges) + 1] = 0;
        index[at(l.values + unique * width)..at(l.hash)].fill(0);
        index
    }

    #[test]
    fn the_indexes_kdb_wrote_are_made_again_byte_for_byte() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/kdb-hdb");
        for file in ["2015.01.07/trade/sym", "2015.01.08/trade/sym", "2015.01.07/quote/sym"] {
            let image = Image::open(&root.join(file), &Default::default()).unwrap();
            let header = header::read(&image).unwrap();
            let codes = image.read(header.start..header.data_end()).unwrap();
            let codes: Vec<i64> =
                codes.chunks(4).map(|c| i64::from(i32::from_le_bytes(c.try_into().unwrap()))).collect();
            let runs = runs(&codes).unwrap();
            let ours = bytes(4, header.data_end(), codes.len(), &runs);
            let theirs = image.read(header.data_end()..image.len()).unwrap().to_vec();
            let unique = runs.len() as u64;
            assert_eq!(ours, cleared(theirs, header.data_end(), 4, unique), "{file}");
        }
    }

    #[test]
    fn scattered_null_and_huge_codes_have_no_index() {
        assert!(runs(&[1, 2, 1]).is_none());
        assert!(runs(&[i64::MIN, 0]).is_none());
        assert!(runs(&[MAX_CODE]).is_none());
        assert_eq!(runs(&[5, 5, 0]), Some(vec![(5, 0..2), (0, 2..3)]));
    }
}
