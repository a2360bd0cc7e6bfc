//! Classes of many different keys: the keys are first parted by their hash into runs whose tables fit the processor's
//! cache, so that no look-up waits for memory.

use super::{classes::Key, groups::Groups};

/// Runs that the keys are parted into, as a power of two: few enough for the processor to write to all at once.
const RUNS: u32 = 9;

/// From so many different keys on, parting pays.
pub(super) const MANY: usize = 1 << 17;

/// As `classify`, for many different keys.
pub(super) fn classify<K: Key>(keys: &[K], ids: bool) -> Groups {
    let run = |k: K| (k.mix() >> (64 - RUNS)) as usize;
    let mut starts = vec![0usize; (1 << RUNS) + 1];
    keys.iter().for_each(|&k| starts[run(k) + 1] += 1);
    for i in 1..starts.len() {
        starts[i] += starts[i - 1];
    }
    let mut next = starts.clone();
    let mut parted = vec![(K::default(), 0u32); keys.len()];
    for (i, &k) in keys.iter().enumerate() {
        let at = &mut next[run(k)];
        parted[*at] = (k, i as u32);
        *at += 1;
    }
    drop(next);

    // for each position the first position of its key
    let mut first = vec![0u32; keys.len()];
    let mut table: Vec<(K, u32)> = Vec::new();
    for w in starts.windows(2) {
        let part = &parted[w[0]..w[1]];
        let size = (part.len() * 2).next_power_of_two().max(8);
        let mask = size - 1;
        table.clear();
        table.resize(size, (K::default(), u32::MAX));
        for &(key, i) in part {
            // the leading bits of the hash chose the run
            let mut at = (key.mix() >> 16) as usize & mask;
            first[i as usize] = loop {
                let (k, f) = table[at];
                if f == u32::MAX {
                    table[at] = (key, i);
                    break i;
                }
                if k == key {
                    break f;
                }
                at = (at + 1) & mask;
            };
        }
    }
    drop((parted, table));

    // classes in the order of first appearance; a position's class is known before any later position asks for it
    let mut firsts = Vec::new();
    if !ids {
        firsts.extend(first.iter().enumerate().filter(|(i, f)| *i == **f as usize).map(|(i, _)| i as u32));
        return Groups { ids: Vec::new(), firsts };
    }
    for i in 0..first.len() {
        let f = first[i] as usize;
        first[i] = if f == i {
            firsts.push(i as u32);
            firsts.len() as u32 - 1
        } else {
            first[f]
        };
    }
    Groups { ids: first, firsts }
}
