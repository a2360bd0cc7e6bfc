//! Testing every selected row, 64 at a time: the tests of a block become one word of bits, and a block that is all
//! in or all out costs no more than its tests.

use kvalue::{Buf, Fixed};

use crate::{Selection, selection::Builder};

const BLOCK: usize = 64;

/// The rows of `within` whose element passes `test`.
pub(super) fn scan<T: Fixed>(buf: &Buf<T>, within: &Selection, test: impl Fn(T) -> bool) -> Selection {
    let le = buf.le();
    if let Selection::Rows(rows) = within {
        let passes = |row: &u32| test(T::from_le(le[*row as usize]));
        return Selection::Rows(rows.iter().copied().filter(passes).collect());
    }
    let mut out = Builder::default();
    for run in within.runs() {
        let (blocks, rest) = le[run.clone()].as_chunks::<BLOCK>();
        let mut row = run.start;
        for block in blocks {
            push_bits(&mut out, row, bits(block, &test));
            row += BLOCK;
        }
        for (i, &x) in rest.iter().enumerate() {
            if test(T::from_le(x)) {
                out.push(row + i..row + i + 1);
            }
        }
    }
    out.finish()
}

/// Rows of `within` by their position in it.
pub(super) fn at_positions(within: &Selection, positions: &Selection) -> Selection {
    if let Selection::All(_) = within {
        return positions.clone();
    }
    let rows = within.to_rows();
    let mut out = Builder::default();
    for at in positions.iter() {
        let row = rows[at] as usize;
        out.push(row..row + 1);
    }
    out.finish()
}

/// The rows of `within` that pass a test of the row number.
pub(super) fn scan_rows(within: &Selection, test: impl Fn(usize) -> bool) -> Selection {
    let mut out = Builder::default();
    for row in within.iter().filter(|&row| test(row)) {
        out.push(row..row + 1);
    }
    out.finish()
}

#[inline(always)]
fn bits<T: Fixed>(block: &[T::Le; BLOCK], test: &impl Fn(T) -> bool) -> u64 {
    let mut passed = [0u8; BLOCK];
    for (out, &x) in passed.iter_mut().zip(block) {
        *out = u8::from(test(T::from_le(x)));
    }
    let mut bits = 0;
    for (i, eight) in passed.as_chunks::<8>().0.iter().enumerate() {
        // The product gathers the low bits of eight bytes in its highest byte.
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= gathered << (8 * i);
    }
    bits
}

#[inline]
fn push_bits(out: &mut Builder, row: usize, mut bits: u64) {
    let mut at = row;
    while bits != 0 {
        let skip = bits.trailing_zeros() as usize;
        bits >>= skip;
        let run = bits.trailing_ones() as usize;
        at += skip;
        out.push(at..at + run);
        at += run;
        bits = if run == BLOCK { 0 } else { bits >> run };
    }
}
