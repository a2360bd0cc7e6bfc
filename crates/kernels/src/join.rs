//! Joins as row maps: for each left row the right row it meets, or [`NO_ROW`].
//!
//! A map goes through [`take::take_rows`](crate::take::take_rows), which gives nulls for [`NO_ROW`]: that is a left
//! join's right half. Keys compare exactly and must have one type on both sides.

use kvalue::{Symbols, Table, Value};

use crate::{
    KernelError, Selection, ids, order,
    search::first_rows,
    selection::NO_ROW,
    take::{concat, nulls},
};

/// The numbers of the left and of the right rows' keys: equal where all keys are equal.
fn key_ids(left: &[Value], right: &[Value]) -> Result<(Vec<u32>, Vec<u32>), KernelError> {
    if left.len() != right.len() {
        return Err(KernelError::Length {
            what: "right key columns".into(),
            got: right.len(),
            expected: left.len(),
        });
    }
    let rows = left.first().map_or(0, Value::count) + right.first().map_or(0, Value::count);
    let mut all = ids::Ids { ids: vec![0; rows], count: 1 };
    for (l, r) in left.iter().zip(right) {
        let both = concat(&[l.clone(), r.clone()])?;
        if both.count() != rows {
            return Err(KernelError::Length { what: "key column".into(), got: both.count(), expected: rows });
        }
        all = ids::combine(all, ids::of_column(&both, &Selection::All(rows)));
    }
    let right_ids = all.ids.split_off(left.first().map_or(0, Value::count));
    Ok((all.ids, right_ids))
}

/// For each left row the first right row with equal keys: the map of `lj`; `ij` keeps the rows that have one.
pub fn equi(left: &[Value], right: &[Value]) -> Result<Vec<u32>, KernelError> {
    let (left, right) = key_ids(left, right)?;
    let first = first_rows(&right);
    Ok(left.iter().map(|id| first.get(id).copied().unwrap_or(NO_ROW)).collect())
}

/// For each left row the last right row with equal keys whose `right_on` is not above the row's `left_on`: the map
/// of `aj`. The right side need not be sorted; of rows with equal `right_on` the last one counts.
pub fn asof(
    left: &[Value],
    left_on: &Value,
    right: &[Value],
    right_on: &Value,
) -> Result<Vec<u32>, KernelError> {
    let (left_times, right_times) = order::common_keys(left_on, right_on).ok_or_else(|| {
        KernelError::types("aj", &[left_on, right_on], "the last columns must have one type")
    })?;
    let (left, right) = match left.is_empty() && right.is_empty() {
        true => (vec![0; left_times.len()], vec![0; right_times.len()]),
        false => key_ids(left, right)?,
    };
    for (what, got, expected) in [
        ("left time column", left_times.len(), left.len()),
        ("right time column", right_times.len(), right.len()),
    ] {
        if got != expected {
            return Err(KernelError::Length { what: what.into(), got, expected });
        }
    }
    let mut sorted: Vec<(u32, u64, u32)> =
        right.iter().zip(&right_times).zip(0..).map(|((&id, &time), row)| (id, time, row)).collect();
    sorted.sort_unstable();
    let find = |(&id, &time): (&u32, &u64)| {
        let after = sorted.partition_point(|&(i, t, _)| (i, t) <= (id, time));
        match after.checked_sub(1).and_then(|at| sorted.get(at)) {
            Some(&(i, _, row)) if i == id => row,
            _ => NO_ROW,
        }
    };
    Ok(left.iter().zip(&left_times).map(find).collect())
}

/// Tables end to end with the union of their columns, in order of first appearance; nulls where a table has not
/// the column: q's `uj` of tables without keys. `'type` where a column has two types.
pub fn union_columns(tables: &[&Table]) -> Result<Table, KernelError> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in tables.iter().flat_map(|t| t.names().iter()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut columns = Vec::with_capacity(names.len());
    for name in &names {
        let own = |t: &Table| t.position(name).map(|i| t.columns()[i].clone());
        let ty = tables.iter().filter_map(|t| own(t)).find_map(|c| c.as_vector().map(kvalue::Vector::ty));
        let parts: Vec<Value> = tables.iter().map(|t| own(t).unwrap_or_else(|| nulls(ty, t.len()))).collect();
        columns.push(concat(&parts)?);
    }
    Ok(Table::new(names.into_iter().collect::<Symbols>(), columns)?)
}

#[cfg(test)]
mod tests {
    use kvalue::{Type, Vector, types::NULL_LONG};
    use proptest::prelude::*;

    use super::*;
    use crate::take::take_rows;

    fn longs(items: &[i64]) -> Value {
        Value::from(Vector::longs(items.to_vec()))
    }

    fn seconds(items: &[i32]) -> Value {
        Value::from(Vector::new(Type::Second, items.to_vec()))
    }

    #[test]
    fn asof_as_documented() {
        // ref/aj.md
        let map = asof(
            &[Value::syms(["msft", "ibm", "ge"])],
            &seconds(&[36_061, 36_063, 36_064]),
            &[Value::syms(["ibm", "msft", "msft", "ibm"])],
            &seconds(&[36_060, 36_060, 36_060, 36_062]),
        );
        assert_eq!(take_rows(&longs(&[100, 99, 101, 98]), &map.unwrap()), longs(&[101, 98, NULL_LONG]));
    }

    #[test]
    fn left_join_as_documented() {
        // ref/lj.md
        let map = equi(
            &[longs(&[1, 2, 3]), Value::syms(["I", "J", "K"])],
            &[longs(&[1, 3]), Value::syms(["I", "K"])],
        );
        assert_eq!(map.unwrap(), [0, NO_ROW, 1]);
    }

    #[test]
    fn union_as_documented() {
        // ref/uj.md
        let s = Table::of([("a", longs(&[1, 2])), ("b", longs(&[2, 3])), ("c", longs(&[5, 7]))]).unwrap();
        let t =
            Table::of([("a", longs(&[1])), ("b", longs(&[2])), ("c", longs(&[10])), ("d", Value::str("A"))]);
        let u = union_columns(&[&s, &t.unwrap()]).unwrap();
        assert_eq!(u.column("c"), Some(&longs(&[5, 7, 10])));
        assert_eq!(u.column("d"), Some(&Value::str("  A")));
    }

    #[test]
    fn keys_of_two_types_or_lengths_are_refused() {
        assert!(equi(&[longs(&[1])], &[Value::syms(["a"])]).is_err());
        assert!(equi(&[longs(&[1])], &[]).is_err());
        assert!(equi(&[longs(&[1]), longs(&[1, 2])], &[longs(&[1]), longs(&[1])]).is_err());
        assert!(asof(&[longs(&[1])], &longs(&[1, 2]), &[longs(&[1])], &longs(&[1])).is_err());
        assert!(asof(&[], &longs(&[1]), &[], &Value::syms(["a"])).is_err());
    }

    proptest! {
        #[test]
        fn asof_agrees_with_looking_at_every_row(
            left in prop::collection::vec((0i64..3, 0i64..9), 0..12),
            right in prop::collection::vec((0i64..3, 0i64..9), 0..12),
        ) {
            let column = |rows: &[(i64, i64)], second: bool| {
                longs(&rows.iter().map(|r| if second { r.1 } else { r.0 }).collect::<Vec<_>>())
            };
            let map = asof(&[column(&left, false)], &column(&left, true), &[column(&right, false)], &column(&right, true));
            let expected: Vec<u32> = left.iter().map(|l| {
                let met = right.iter().enumerate().filter(|(_, r)| r.0 == l.0 && r.1 <= l.1);
                met.max_by_key(|(i, r)| (r.1, *i)).map_or(NO_ROW, |(i, _)| i as u32)
            }).collect();
            prop_assert_eq!(map.unwrap(), expected);
        }
    }
}
