//! Finding items in a list: `?`, `bin`, `binr`.
//!
//! Exact comparison, as q has it for search: no tolerance, both zeros equal, null finds null.

use ahash::AHashMap;
use kvalue::Value;

use crate::{KernelError, Selection, ids, order, take::concat};

fn refuse(operation: &str, list: &Value, items: &Value) -> KernelError {
    KernelError::types(operation, &[list, items], "both must be lists of one type")
}

/// For each item its first position in `list`, or the list's count where it is not there: q's `list?items`.
/// `'type` where the two are lists of different types.
pub fn find(list: &Value, items: &Value) -> Result<Vec<i64>, KernelError> {
    let n = list.count();
    let both = concat(&[list.clone(), items.clone()]).map_err(|_| refuse("?", list, items))?;
    let ids = ids::of_column(&both, &Selection::All(both.count()));
    let mut first: Vec<i64> = vec![n as i64; ids.count];
    for (at, &id) in ids.ids.iter().enumerate().take(n).rev() {
        first[id as usize] = at as i64;
    }
    Ok(ids.ids.iter().skip(n).map(|&id| first[id as usize]).collect())
}

/// Whether each item is in `list`: q's `items in list` for two lists of one type.
pub fn contains(list: &Value, items: &Value) -> Result<Vec<bool>, KernelError> {
    let n = list.count() as i64;
    Ok(find(list, items)?.into_iter().map(|at| at < n).collect())
}

/// For each item the last position in the ascending `list` whose item is not above it; −1 before the first.
/// `'type` where the two are lists of different types.
pub fn bin(list: &Value, items: &Value) -> Result<Vec<i64>, KernelError> {
    let (list_keys, item_keys) = order::common_keys(list, items).ok_or_else(|| refuse("bin", list, items))?;
    let position = |key: &u64| list_keys.partition_point(|k| k <= key) as i64 - 1;
    Ok(item_keys.iter().map(position).collect())
}

/// For each item the first position in the ascending `list` whose item is not below it; the list's count after
/// the last. `'type` where the two are lists of different types.
pub fn binr(list: &Value, items: &Value) -> Result<Vec<i64>, KernelError> {
    let (list_keys, item_keys) =
        order::common_keys(list, items).ok_or_else(|| refuse("binr", list, items))?;
    Ok(item_keys.iter().map(|key| list_keys.partition_point(|k| k < key) as i64).collect())
}

/// The first row of each number, for joins.
pub(crate) fn first_rows(ids: &[u32]) -> AHashMap<u32, u32> {
    let mut first = AHashMap::with_capacity(ids.len());
    for (row, &id) in ids.iter().enumerate() {
        first.entry(id).or_insert(row as u32);
    }
    first
}

#[cfg(test)]
mod tests {
    use kvalue::Vector;
    use proptest::prelude::*;

    use super::*;

    fn longs(items: &[i64]) -> Value {
        Value::from(Vector::longs(items.to_vec()))
    }

    #[test]
    fn documented_examples() {
        // ref/find.md, ref/bin.md
        let w = longs(&[10, -8, 3, 5, -1, 2, 3]);
        assert_eq!(find(&w, &longs(&[-8, 3, 17])).unwrap(), [1, 2, 7]);
        assert_eq!(find(&Value::str("abcde"), &Value::str("d")).unwrap(), [3]);
        let even = longs(&[0, 2, 4, 6, 8, 10]);
        assert_eq!(bin(&even, &longs(&[-10, 0, 4, 5, 6, 20])).unwrap(), [-1, 0, 2, 2, 3, 5]);
        let l = longs(&[0, 1, 1, 2]);
        assert_eq!(bin(&l, &longs(&[0, 1, 2])).unwrap(), [0, 2, 3]);
        assert_eq!(binr(&l, &longs(&[0, 1, 2])).unwrap(), [0, 1, 3]);
        let strings = |s: [&str; 3]| Value::list(s.map(Value::str).to_vec());
        let fruit = strings(["apple", "banana", "coffee"]);
        assert_eq!(bin(&fruit, &strings(["anise", "berry", "curry"])).unwrap(), [-1, 1, 2]);
    }

    #[test]
    fn lists_of_two_types_are_refused() {
        let err = find(&longs(&[1]), &Value::syms(["a"])).unwrap_err().to_string();
        assert_eq!(
            err,
            "type: ? is not defined for long list and symbol list; both must be lists of one type"
        );
        assert!(bin(&longs(&[1]), &Value::from(Vector::floats(vec![1.0]))).is_err());
    }

    proptest! {
        #[test]
        fn find_and_bin_agree_with_a_linear_search(
            mut list in prop::collection::vec(-5i64..5, 0..12), items in prop::collection::vec(-6i64..6, 0..8),
        ) {
            let linear = |x: &i64| list.iter().position(|y| y == x).unwrap_or(list.len()) as i64;
            prop_assert_eq!(find(&longs(&list), &longs(&items)).unwrap(), items.iter().map(linear).collect::<Vec<_>>());
            list.sort_unstable();
            let last = |x: &i64| list.iter().filter(|y| *y <= x).count() as i64 - 1;
            prop_assert_eq!(bin(&longs(&list), &longs(&items)).unwrap(), items.iter().map(last).collect::<Vec<_>>());
            let first = |x: &i64| list.iter().filter(|y| *y < x).count() as i64;
            prop_assert_eq!(binr(&longs(&list), &longs(&items)).unwrap(), items.iter().map(first).collect::<Vec<_>>());
        }
    }
}
