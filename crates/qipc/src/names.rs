//! Where NUL-terminated names end: the one thing a symbol vector's length cannot be computed from.

/// Bytes that the first `n` NUL-terminated names take; `None` where there are fewer.
///
/// Counting NULs in blocks goes at the speed of memory, where finding them one by one does not.
pub(crate) fn nth_nul(bytes: &[u8], n: usize) -> Option<usize> {
    const BLOCK: usize = 4096;
    if n == 0 {
        return Some(0);
    }
    let mut missing = n;
    let mut start = 0;
    for block in bytes.chunks(BLOCK) {
        let found = memchr::memchr_iter(0, block).count();
        if found >= missing {
            return memchr::memchr_iter(0, block).nth(missing - 1).map(|i| start + i + 1);
        }
        missing -= found;
        start += block.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::nth_nul;

    #[test]
    fn nth_nul_is_found_across_blocks() {
        let mut text = vec![b'a'; 10_000];
        for i in [0, 4095, 4096, 9_999] {
            text[i] = 0;
        }
        let ends = [0, 1, 4096, 4097, 10_000].map(Some);
        for (n, end) in ends.into_iter().enumerate() {
            assert_eq!(nth_nul(&text, n), end, "{n}");
        }
        assert_eq!(nth_nul(&text, 5), None);
    }
}
