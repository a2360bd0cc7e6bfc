//! NUL-terminated names: where they end, which is the one thing a symbol vector's length cannot be computed from.
//!
//! Names are mostly a few bytes long, so that eight bytes at a time find an end sooner than what is made for long
//! texts; many names are counted at the speed of memory first.

/// From this many names on they are counted before they are looked at.
const MANY: usize = 256;
/// Bytes counted at a time.
const BLOCK: usize = 4096;
/// Words that are looked at before a text is taken for a long one.
const SHORT: usize = 2;

/// The highest bit of each byte of the word that is NUL.
fn nuls(word: [u8; 8]) -> u64 {
    const LOW: u64 = u64::from_le_bytes([0x7f; 8]);
    let word = u64::from_le_bytes(word);
    !(((word & LOW) + LOW) | word | LOW)
}

fn first(nuls: u64) -> usize {
    nuls.trailing_zeros() as usize / 8
}

fn count_in(nuls: u64) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    // Each byte is 0 or 1: the highest byte of the product is their sum.
    ((nuls >> 7).wrapping_mul(ONES) >> 56) as usize
}

/// The first NUL.
pub fn find(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().take(SHORT).enumerate() {
        let nuls = nuls(*word);
        if nuls != 0 {
            return Some(i * 8 + first(nuls));
        }
    }
    match words.len() {
        n if n <= SHORT => rest.iter().position(|&b| b == 0).map(|i| n * 8 + i),
        _ => memchr::memchr(0, &bytes[SHORT * 8..]).map(|i| SHORT * 8 + i),
    }
}

/// Number of NULs.
pub fn count(bytes: &[u8]) -> usize {
    if bytes.len() >= BLOCK {
        return memchr::memchr_iter(0, bytes).count();
    }
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().map(|word| count_in(nuls(*word))).sum::<usize>() + rest.iter().filter(|&&b| b == 0).count()
}

/// Bytes that the first `n` NUL-terminated names take; `None` where there are fewer.
pub fn names(bytes: &[u8], n: usize) -> Option<usize> {
    let (mut missing, mut at) = (n, 0);
    if n >= MANY {
        for block in bytes.chunks(BLOCK) {
            let found = memchr::memchr_iter(0, block).count();
            if found >= missing {
                break;
            }
            (missing, at) = (missing - found, at + block.len());
        }
    }
    if missing == 0 {
        return Some(at);
    }
    let (words, rest) = bytes[at..].as_chunks::<8>();
    for word in words {
        let mut nuls = nuls(*word);
        let found = count_in(nuls);
        if found >= missing {
            // Without the lowest bits that are set.
            (1..missing).for_each(|_| nuls &= nuls - 1);
            return Some(at + first(nuls) + 1);
        }
        (missing, at) = (missing - found, at + 8);
    }
    let last = rest.iter().enumerate().filter(|(_, b)| **b == 0).nth(missing - 1)?.0;
    Some(at + last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(bytes: &[u8], n: usize) -> Option<usize> {
        match n {
            0 => Some(0),
            n => bytes.iter().enumerate().filter(|(_, b)| **b == 0).nth(n - 1).map(|(i, _)| i + 1),
        }
    }

    #[test]
    fn ends_are_those_that_a_plain_loop_finds() {
        // Bytes at which arithmetic on whole words could go wrong, in all places of a word.
        let odd = [0u8, 1, 0x7f, 0x80, 0x81, 0xff, b'a', 0];
        let mut state = 7u64;
        for len in (0..70).chain([255, 256, 257]) {
            for _ in 0..50 {
                let bytes: Vec<u8> = (0..len)
                    .map(|_| {
                        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                        odd[(state >> 61) as usize]
                    })
                    .collect();
                let all = bytes.iter().filter(|&&b| b == 0).count();
                assert_eq!(find(&bytes), bytes.iter().position(|&b| b == 0), "{bytes:?}");
                assert_eq!(count(&bytes), all, "{bytes:?}");
                for n in [0, 1, 2, all / 2, all, all + 1] {
                    assert_eq!(names(&bytes, n), slow(&bytes, n), "{n} in {bytes:?}");
                }
            }
        }
    }

    #[test]
    fn many_names_are_found_across_blocks() {
        let mut text = vec![b'a'; 10_000];
        for i in [0, 4095, 4096, 9_999] {
            text[i] = 0;
        }
        for n in 0..6 {
            assert_eq!(names(&text, n), slow(&text, n), "{n}");
        }
        assert_eq!((find(&text[1..]), count(&text)), (Some(4094), 4));
        let many: Vec<u8> = (0..30_000).map(|i| if i % 3 == 2 { 0 } else { 0x80 }).collect();
        for n in [MANY - 1, MANY, 1365, 1366, 5_000, 9_999, 10_000, 10_001] {
            assert_eq!(names(&many, n), slow(&many, n), "{n}");
        }
        assert_eq!(count(&many), 10_000);
    }
}
