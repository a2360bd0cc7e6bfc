//! The index that kdb+ keeps behind a parted enumeration in a file: distinct codes with a hash, and where each starts.
//!
//! The layout and the hash are those measured on files of kdb+ (64-bit codes); where they are not known to be kdb+'s
//! (nulls, very large codes) no index is written.

/// Largest code whose hash was verified on real files.
const MAX_CODE: i64 = 1 << 21;

/// First rows of the runs of equal codes, with the codes; `None` where no index may be written.
pub(super) fn runs(codes: &[i64]) -> Option<Vec<(i64, usize)>> {
    let mut runs: Vec<(i64, usize)> = Vec::new();
    for (row, &code) in codes.iter().enumerate() {
        if runs.last().is_none_or(|(last, _)| *last != code) {
            runs.push((code, row));
        }
    }
    let mut seen: Vec<i64> = runs.iter().map(|r| r.0).collect();
    seen.sort_unstable();
    let unique = seen.windows(2).all(|w| w[0] != w[1]);
    let known = seen.first().is_none_or(|&c| c >= 0) && seen.last().is_none_or(|&c| c < MAX_CODE);
    (unique && known).then_some(runs)
}

/// The bytes behind codes that end at `end`.
pub(super) fn bytes(end: usize, rows: usize, runs: &[(i64, usize)]) -> Vec<u8> {
    let capacity = runs.len().next_power_of_two();
    let slots = 2 * capacity;
    // Header and codes of the distinct values, 8 bytes of nothing before and behind them, the hash; then the rows.
    let (unique, values) = (8, 8 + 16);
    let hash = values + capacity * 8 + 8;
    let ranges = hash + slots * 8;
    let offsets = ranges + 16;
    let mut out = vec![0u8; offsets + (runs.len() + 1) * 8];
    debug_assert_eq!(end % 8, 0);
    let total = out.len();
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);

    put(unique, &[order_of(ranges - unique), 0, 0x14, 0x02]);
    put(unique + 8, &(runs.len() as u64).to_le_bytes());
    let mut table = vec![-1i64; slots];
    for (i, (code, _)) in runs.iter().enumerate() {
        put(values + i * 8, &code.to_le_bytes());
        let mut slot = (((*code as u32).wrapping_mul(0x9e37_79b1) >> 11) as usize) & (slots - 1);
        while table[slot] != -1 {
            slot = (slot + 1) % slots;
        }
        table[slot] = i as i64;
    }
    for (i, value) in table.iter().enumerate() {
        put(hash + i * 8, &value.to_le_bytes());
    }
    put(ranges, &[order_of(total - ranges), 0, 0x07, 0x00]);
    put(ranges + 8, &(runs.len() as u64 + 1).to_le_bytes());
    for (i, start) in runs.iter().map(|r| r.1).chain([rows]).enumerate() {
        put(offsets + i * 8, &(start as u64).to_le_bytes());
    }
    out
}

/// kdb+'s allocator rounds to 16 bytes times a power of two, which it notes in an object's first byte.
fn order_of(bytes: usize) -> u8 {
    (0..48).find(|m| 16usize << m >= bytes).unwrap_or(48)
}
