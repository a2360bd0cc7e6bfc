//! Sorting of whole numbers by their digits: positions or the numbers themselves, stable, in time that grows with the
//! count of numbers and the width of their range, not with a logarithm.
//!
//! Ranges up to 16 bits are counted. Up to 32 bits, number and position are packed in one word and sorted from the last
//! digit on. Wider ranges are first parted by their leading digit into runs that fit the processor's cache.

/// Bits of a digit: so many streams of writes the processor's address cache still serves.
const DIGIT: u32 = 11;
/// Below this many numbers comparing is faster.
const FEW: usize = 1 << 10;

/// Lowest number and the bits that the range takes; `None` for no number.
fn range(keys: &[i64]) -> Option<(i64, u32)> {
    let first = *keys.first()?;
    let (low, high) = keys.iter().fold((first, first), |(l, h), &x| (l.min(x), h.max(x)));
    Some((low, 64 - high.abs_diff(low).leading_zeros()))
}

/// Passes for so many bits and the bits of each.
fn passes(bits: u32) -> (u32, u32) {
    let n = bits.div_ceil(DIGIT).max(1);
    (n, bits.div_ceil(n).max(1))
}

/// The positions in the order of their numbers, equal ones in the order of positions; descending where `down`.
pub(super) fn grade(keys: &[i64], down: bool) -> Vec<u32> {
    let n = keys.len();
    let in_order = if down { keys.is_sorted_by(|a, b| a >= b) } else { keys.is_sorted() };
    if in_order {
        return (0..n as u32).collect();
    }
    if n < FEW {
        let mut rows: Vec<u32> = (0..n as u32).collect();
        if down {
            rows.sort_by(|&a, &b| keys[b as usize].cmp(&keys[a as usize]));
        } else {
            rows.sort_by_key(|&r| keys[r as usize]);
        }
        return rows;
    }
    let Some((low, bits)) = range(keys) else { return Vec::new() };
    let top = if bits == 64 { u64::MAX } else { (1u64 << bits) - 1 };
    let code = |k: i64| {
        let c = k.wrapping_sub(low) as u64;
        if down { top - c } else { c }
    };
    if bits <= 16 && n >= 1 << bits.saturating_sub(4) {
        return counted(keys.iter().map(|&k| code(k) as usize), n, 1 << bits);
    }
    if bits <= 32 {
        let mut packed: Vec<u64> = keys.iter().enumerate().map(|(i, &k)| code(k) << 32 | i as u64).collect();
        digits(&mut packed, bits, |p| p >> 32);
        return packed.into_iter().map(|p| p as u32).collect();
    }
    let mut pairs: Vec<(u64, u32)> = keys.iter().enumerate().map(|(i, &k)| (code(k), i as u32)).collect();
    parted(&mut pairs, |p| p.0);
    pairs.into_iter().map(|p| p.1).collect()
}

/// The positions in the order of several columns of numbers, the first one first; `true` is descending.
pub(super) fn grade_all(columns: &[(Vec<i64>, bool)], n: usize) -> Vec<u32> {
    let ranges: Vec<(i64, u32)> = columns.iter().map(|(c, _)| range(c).unwrap_or((0, 0))).collect();
    if n < 2 || ranges.iter().map(|r| r.1).sum::<u32>() <= 63 {
        // all columns side by side in one number
        let mut keys = vec![0i64; n];
        for ((column, down), (low, bits)) in columns.iter().zip(ranges) {
            let top = (1i64 << bits) - 1;
            keys.iter_mut().zip(column).for_each(|(k, &x)| {
                let code = x.wrapping_sub(low);
                *k = *k << bits | if *down { top - code } else { code };
            });
        }
        return grade(&keys, false);
    }
    // stable sorts from the last column to the first
    let mut rows: Option<Vec<u32>> = None;
    for (column, down) in columns.iter().rev() {
        rows = Some(match rows {
            None => grade(column, *down),
            Some(rows) => {
                let keys: Vec<i64> = rows.iter().map(|&r| column[r as usize]).collect();
                grade(&keys, *down).into_iter().map(|i| rows[i as usize]).collect()
            }
        });
    }
    rows.unwrap_or_default()
}

/// Positions by codes below `span`: each code's places are known once the codes are counted.
fn counted(codes: impl Iterator<Item = usize> + Clone, n: usize, span: usize) -> Vec<u32> {
    let mut next = vec![0u32; span + 1];
    codes.clone().for_each(|c| next[c + 1] += 1);
    for i in 1..next.len() {
        next[i] += next[i - 1];
    }
    let mut rows = vec![0u32; n];
    for (row, c) in codes.enumerate() {
        let place = &mut next[c];
        rows[*place as usize] = row as u32;
        *place += 1;
    }
    rows
}

/// Words in the order of `bits` bits of their codes, by digits from the last to the first. The digits of all passes
/// are counted in one reading.
fn digits<T: Copy + Default>(words: &mut Vec<T>, bits: u32, code: impl Fn(T) -> u64 + Copy) {
    let (count, width) = passes(bits);
    let n = words.len();
    let mask = (1u64 << width) - 1;
    let mut counts = vec![0u32; (count as usize) << width];
    for &w in words.iter() {
        let mut c = code(w);
        for pass in 0..count as usize {
            counts[pass << width | (c & mask) as usize] += 1;
            c >>= width;
        }
    }
    let mut other = vec![T::default(); n];
    for pass in 0..count {
        let next = &mut counts[(pass as usize) << width..(pass as usize + 1) << width];
        if next.iter().any(|&c| c as usize == n) {
            continue;
        }
        let mut sum = 0;
        for c in next.iter_mut() {
            sum += std::mem::replace(c, sum);
        }
        let shift = pass * width;
        for &w in words.iter() {
            let place = &mut next[(code(w) >> shift & mask) as usize];
            other[*place as usize] = w;
            *place += 1;
        }
        std::mem::swap(words, &mut other);
    }
}

/// Items in the order of wide keys: parted by the leading digit of their range, each part again by the leading digit
/// of its own, until the digits that are left are few or the part fits the cache.
fn parted<T: Copy + Default>(items: &mut [T], key: impl Fn(T) -> u64 + Copy) {
    let mut spare = vec![T::default(); items.len()];
    part(items, &mut spare, key);
}

fn part<T: Copy + Default>(items: &mut [T], spare: &mut [T], key: impl Fn(T) -> u64 + Copy) {
    let n = items.len();
    if n < 128 {
        items.sort_by_key(|t| key(*t));
        return;
    }
    let (low, high) = items.iter().fold((u64::MAX, 0), |(l, h), &t| (l.min(key(t)), h.max(key(t))));
    let bits = 64 - (high - low).leading_zeros();
    if bits == 0 {
        return;
    }
    // small parts get few digits, so that some items are left in each
    let width = n.ilog2().saturating_sub(4).clamp(1, DIGIT).min(bits);
    let shift = bits - width;
    let digit = |t: T| ((key(t) - low) >> shift) as usize & ((1 << width) - 1);
    let mut counts = vec![0u32; 1 << width];
    items.iter().for_each(|&t| counts[digit(t)] += 1);
    let mut next = counts.clone();
    let mut sum = 0;
    for c in &mut next {
        sum += std::mem::replace(c, sum);
    }
    for &t in items.iter() {
        let place = &mut next[digit(t)];
        spare[*place as usize] = t;
        *place += 1;
    }
    let mut at = 0;
    for c in counts {
        let end = at + c as usize;
        part(&mut spare[at..end], &mut items[at..end], key);
        at = end;
    }
    items.copy_from_slice(spare);
}

/// The numbers in ascending order.
pub(super) fn sort(keys: &mut Vec<i64>) {
    if keys.is_sorted() {
        return;
    }
    if keys.len() < FEW {
        keys.sort_unstable();
        return;
    }
    let Some((low, bits)) = range(keys) else { return };
    if bits <= 16 {
        let mut counts = vec![0usize; 1 << bits];
        keys.iter().for_each(|&k| counts[k.wrapping_sub(low) as usize] += 1);
        let mut at = 0;
        for (c, n) in counts.into_iter().enumerate() {
            keys[at..at + n].fill(low.wrapping_add(c as i64));
            at += n;
        }
        return;
    }
    let code = |k: i64| k.wrapping_sub(low) as u64;
    if bits <= 33 {
        digits(keys, bits, code);
    } else {
        parted(keys, code);
    }
}
