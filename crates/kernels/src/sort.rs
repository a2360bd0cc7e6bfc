//! Ascending and descending permutations: stable, nulls lowest.
//!
//! q's `iasc`, `idesc`, `xasc`, `xdesc`: rows that are equal in every column keep their order, also descending.

use kvalue::Value;

use crate::{KernelError, order, selection::MAX_ROWS};

/// The permutation that sorts by the first column, then the second, ...; column `i` descending where `desc[i]`
/// is true (a missing entry means ascending). `'length` where columns differ in length.
pub fn iasc(columns: &[Value], desc: &[bool]) -> Result<Vec<u32>, KernelError> {
    let Some(first) = columns.first() else { return Ok(Vec::new()) };
    let n = first.count();
    if n > MAX_ROWS {
        return Err(KernelError::Rows(n));
    }
    if let Some(odd) = columns.iter().find(|c| c.count() != n) {
        return Err(KernelError::Length { what: "sort column".into(), got: odd.count(), expected: n });
    }
    let mut keys: Vec<Vec<u64>> = columns.iter().map(order::keys).collect();
    for (i, column) in keys.iter_mut().enumerate() {
        if desc.get(i).copied().unwrap_or(false) {
            column.iter_mut().for_each(|k| *k = !*k);
        }
    }
    Ok(permutation(&keys, n))
}

fn permutation(keys: &[Vec<u64>], n: usize) -> Vec<u32> {
    let (first, rest) = match keys.split_first() {
        Some((first, rest)) => (first, rest),
        None => return (0..n as u32).collect(),
    };
    let ascends = first.is_sorted();
    if ascends && rest.is_empty() {
        return (0..n as u32).collect();
    }
    // The row number as last key makes the unstable (faster) sort stable.
    let mut items: Vec<(u64, u32)> = first.iter().copied().zip(0..n as u32).collect();
    if rest.is_empty() {
        items.sort_unstable();
    } else {
        items.sort_unstable_by(|a, b| {
            let (x, y) = (a.1 as usize, b.1 as usize);
            let by_rest = || rest.iter().map(|k| k[x].cmp(&k[y])).find(|o| o.is_ne());
            a.0.cmp(&b.0).then_with(|| by_rest().unwrap_or_else(|| x.cmp(&y)))
        });
    }
    items.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use kvalue::{Vector, types::NULL_LONG};
    use proptest::prelude::*;

    use super::*;

    fn longs(items: &[i64]) -> Value {
        Value::from(Vector::longs(items.to_vec()))
    }

    #[test]
    fn documented_examples() {
        // ref/asc.md, ref/desc.md, ref/rank.md
        let l = longs(&[2, 1, 3, 4, 2, 1, 2]);
        assert_eq!(iasc(std::slice::from_ref(&l), &[]).unwrap(), [1, 5, 0, 4, 6, 2, 3]);
        assert_eq!(iasc(&[l], &[true]).unwrap(), [3, 2, 0, 4, 6, 1, 5]);
        assert_eq!(iasc(&[longs(&[2, 7, 3, 2, 5])], &[]).unwrap(), [0, 3, 2, 4, 1]);
    }

    #[test]
    fn nulls_come_first_and_symbols_by_bytes() {
        assert_eq!(iasc(&[longs(&[1, NULL_LONG, -5])], &[]).unwrap(), [1, 2, 0]);
        assert_eq!(iasc(&[Value::syms(["b", "B", "", "a"])], &[]).unwrap(), [2, 1, 3, 0]);
    }

    #[test]
    fn columns_of_other_lengths_are_refused() {
        assert!(iasc(&[longs(&[1]), longs(&[1, 2])], &[]).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_a_stable_sort_of_rows(
            rows in prop::collection::vec((0i64..4, prop::sample::select(vec!["", "a", "b"]), -2.0f64..2.0), 0..30),
            desc in prop::array::uniform3(any::<bool>()),
        ) {
            let columns = [
                longs(&rows.iter().map(|r| r.0).collect::<Vec<_>>()),
                Value::syms(rows.iter().map(|r| r.1)),
                Value::from(Vector::floats(rows.iter().map(|r| r.2.round()).collect())),
            ];
            let mut expected: Vec<u32> = (0..rows.len() as u32).collect();
            let flip = |o: std::cmp::Ordering, d: bool| if d { o.reverse() } else { o };
            expected.sort_by(|&a, &b| {
                let (a, b) = (&rows[a as usize], &rows[b as usize]);
                flip(a.0.cmp(&b.0), desc[0])
                    .then(flip(a.1.cmp(b.1), desc[1]))
                    .then(flip(a.2.round().partial_cmp(&b.2.round()).unwrap(), desc[2]))
            });
            prop_assert_eq!(iasc(&columns, &desc).unwrap(), expected);
        }
    }
}
