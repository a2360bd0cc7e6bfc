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
        let packed: Vec<u64> = keys.iter().enumerate().map(|(i, &k)| code(k) << 32 | i as u64).collect();
        return digits(packed, 32, bits).into_iter().map(|p| p as u32).collect();
    }
    let pairs: Vec<(u64, u32)> = keys.iter().enumerate().map(|(i, &k)| (code(k), i as u32)).collect();
    parted(pairs, |p| p.0).into_iter().map(|p| p.1).collect()
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

/// Words in the order of `bits` bits from bit `from` on, by digits from the last to the first.
fn digits(mut words: Vec<u64>, from: u32, bits: u32) -> Vec<u64> {
    let (count, width) = passes(bits);
    let mut other = vec![0u64; words.len()];
    for pass in 0..count {
        let shift = from + pass * width;
        if pass_over(&words, &mut other, |w| (w >> shift) as usize & ((1 << width) - 1), width) {
            std::mem::swap(&mut words, &mut other);
        }
    }
    words
}

/// One pass of a sort by digits; false (and nothing written) where all digits are the same.
fn pass_over<T: Copy>(from: &[T], to: &mut [T], digit: impl Fn(T) -> usize, width: u32) -> bool {
    let mut next = [0u32; 1 << DIGIT];
    let next = &mut next[..1 << width];
    from.iter().for_each(|&w| next[digit(w)] += 1);
    let mut sum = 0;
    for c in next.iter_mut() {
        if *c as usize == from.len() {
            return false;
        }
        let count = *c;
        *c = sum;
        sum += count;
    }
    for &w in from {
        let place = &mut next[digit(w)];
        to[*place as usize] = w;
        *place += 1;
    }
    true
}

/// Items in the order of wide keys: parted by the leading digit of their range, each part again by the leading digit
/// of its own, until the digits that are left are few or the part fits the cache.
fn parted<T: Copy + Default>(mut items: Vec<T>, key: impl Fn(T) -> u64 + Copy) -> Vec<T> {
    let mut spare = vec![T::default(); items.len()];
    part(&mut items, &mut spare, key);
    items
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
    if bits <= 2 * DIGIT || n <= 1 << 13 {
        let (count, width) = passes(bits);
        let mut swapped = false;
        for pass in 0..count {
            let digit = |t: T| ((key(t) - low) >> (pass * width)) as usize & ((1 << width) - 1);
            swapped ^= if swapped {
                pass_over(spare, items, digit, width)
            } else {
                pass_over(items, spare, digit, width)
            };
        }
        if swapped {
            items.copy_from_slice(spare);
        }
        return;
    }
    let shift = bits - DIGIT;
    let digit = |t: T| ((key(t) - low) >> shift) as usize & ((1 << DIGIT) - 1);
    let mut counts = vec![0u32; 1 << DIGIT];
    items.iter().for_each(|&t| counts[digit(t)] += 1);
    if !pass_over(items, spare, digit, DIGIT) {
        spare.copy_from_slice(items);
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
pub(super) fn sort(keys: &mut [i64]) {
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
    if bits <= 33 {
        let codes: Vec<u64> = keys.iter().map(|&k| k.wrapping_sub(low) as u64).collect();
        let sorted = digits(codes, 0, bits);
        keys.iter_mut().zip(sorted).for_each(|(k, c)| *k = low.wrapping_add(c as i64));
        return;
    }
    let codes: Vec<u64> = keys.iter().map(|&k| k.wrapping_sub(low) as u64).collect();
    let sorted = parted(codes, |c| c);
    keys.iter_mut().zip(sorted).for_each(|(k, c)| *k = low.wrapping_add(c as i64));
}
