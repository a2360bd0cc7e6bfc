//! Grouping against a row-at-a-time reference, and q's documented order of groups.

use std::sync::Arc;

use kvalue::{
    Codes, Domain, Symbols, Type, Vector,
    types::{NULL_FLOAT, NULL_INT, NULL_LONG},
};
use proptest::prelude::*;

use super::*;

fn longs(items: &[i64]) -> Value {
    Value::from(Vector::longs(items.to_vec()))
}

/// Groups by comparing each row with the first row of every group so far.
fn reference(keys: &[Value], sel: &Selection) -> (Vec<u32>, Vec<u32>) {
    let mut firsts: Vec<u32> = Vec::new();
    let mut ids = Vec::new();
    for row in sel.iter() {
        let same = |first: &u32| keys.iter().all(|k| k.index(*first as usize) == k.index(row));
        match firsts.iter().position(same) {
            Some(g) => ids.push(g as u32),
            None => {
                ids.push(firsts.len() as u32);
                firsts.push(row as u32);
            }
        }
    }
    (firsts, ids)
}

fn check(keys: &[Value], sel: &Selection) {
    let groups = group(keys, sel).unwrap();
    let (firsts, ids) = reference(keys, sel);
    assert_eq!(groups.first_row, firsts, "{keys:?} {sel:?}");
    assert_eq!(&groups.ids(sel)[..], &ids[..], "{keys:?} {sel:?}");
    for (g, &n) in groups.counts.iter().enumerate() {
        assert_eq!(n as usize, ids.iter().filter(|&&i| i as usize == g).count());
    }
}

fn enumerated(codes: &[i32]) -> Value {
    let domain = Arc::new(Domain::new("sym".into(), &["a", "b", "", "d"].into_iter().collect()));
    let codes = Codes::I32(codes.iter().map(|&c| if c < 0 { NULL_INT } else { c }).collect());
    Value::Vector(Vector::symbols(Symbols::enumerated(domain, codes).unwrap()))
}

/// A column of `n` items of few different values, in runs or not.
fn column(n: usize, runs: bool) -> impl Strategy<Value = Value> {
    let picks = prop::collection::vec(0u8..5, n);
    (picks, 0..8usize).prop_map(move |(mut picks, kind)| {
        if runs {
            picks.sort_unstable();
        }
        match kind {
            0 => {
                longs(&picks.iter().map(|&p| [7, NULL_LONG, -3, 0, i64::MAX][p as usize]).collect::<Vec<_>>())
            }
            1 => Value::from(Vector::new(Type::Int, picks.iter().map(|&p| i32::from(p) * 70_000).collect())),
            2 => Value::from(Vector::floats(
                picks.iter().map(|&p| [0.0, -0.0, NULL_FLOAT, 1.5, f64::INFINITY][p as usize]).collect(),
            )),
            3 => Value::syms(picks.iter().map(|&p| ["a", "b", "", "bb", "c"][p as usize])),
            4 => enumerated(&picks.iter().map(|&p| i32::from(p) - 1).collect::<Vec<_>>()),
            5 => Value::from(Vector::booleans(picks.iter().map(|&p| p > 2).collect())),
            6 => Value::list(picks.iter().map(|&p| Value::str(&"abcde"[..p as usize])).collect::<Vec<_>>()),
            _ => Value::from(Vector::new(Type::Guid, picks.iter().map(|&p| [p; 16]).collect())),
        }
    })
}

fn case() -> impl Strategy<Value = (Vec<Value>, Selection)> {
    (1usize..60, any::<bool>()).prop_flat_map(|(n, runs)| {
        let sel = prop_oneof![
            Just(Selection::All(n)),
            prop::collection::vec(prop::bool::weighted(0.9), n).prop_map(|m| Selection::from_mask(&m)),
        ];
        (prop::collection::vec(column(n, runs), 1..4), sel)
    })
}

proptest! {
    #[test]
    fn groups_agree_with_row_at_a_time_comparison((keys, sel) in case()) {
        check(&keys, &sel);
    }
}

#[test]
fn neighbours_are_kept_as_runs() {
    let parted: Vec<i32> = (0..100).map(|i| i / 25).collect();
    let groups = group(&[enumerated(&parted)], &Selection::All(100)).unwrap();
    assert!(matches!(&groups.assignment, Assignment::Runs(r) if r.len() == 4), "{groups:?}");
    let scattered: Vec<i32> = (0..100).map(|i| i % 4).collect();
    let groups = group(&[enumerated(&scattered)], &Selection::All(100)).unwrap();
    assert!(matches!(groups.assignment, Assignment::Each(_)));
}

#[test]
fn wide_values_go_through_the_hash() {
    let wide: Vec<i64> = (0..200).map(|i| (i % 7) << 55).collect();
    check(&[longs(&wide)], &Selection::All(200));
    check(&[longs(&wide), longs(&wide.iter().rev().copied().collect::<Vec<_>>())], &Selection::All(200));
}

#[test]
fn groups_come_in_ascending_order_of_their_keys() {
    let keys = [Value::syms(["b", "a", "b", ""]), longs(&[1, 2, 0, NULL_LONG])];
    let groups = group(&keys, &Selection::All(4)).unwrap();
    let order = order_groups(&keys, &groups).unwrap();
    assert_eq!(take_rows(&groups.keys(&keys)[0], &order), Value::syms(["", "a", "b", "b"]));
    assert_eq!(take_rows(&groups.keys(&keys)[1], &order), longs(&[NULL_LONG, 2, 0, 1]));
}

#[test]
fn no_key_makes_one_group_even_of_no_rows() {
    let groups = group(&[], &Selection::none()).unwrap();
    assert_eq!((groups.len(), &groups.counts[..]), (1, &[0u64][..]));
    assert!(group(&[longs(&[])], &Selection::none()).unwrap().is_empty());
}

#[test]
fn a_short_key_column_is_an_error() {
    assert!(matches!(group(&[longs(&[1])], &Selection::All(2)), Err(KernelError::Length { .. })));
}

#[test]
fn keys_of_parts_are_merged_by_value() {
    let parts = vec![vec![Value::syms(["a", "b"])], vec![enumerated(&[3, 0])], vec![Value::syms::<&str>([])]];
    let (keys, mappings) = merge_keys(&parts).unwrap();
    assert_eq!(keys, [Value::syms(["a", "b", "d"])]);
    assert_eq!(mappings, [vec![0, 1], vec![2, 0], vec![]]);
}

#[test]
fn distinct_keeps_first_appearances() {
    // ref/distinct.md
    let column = longs(&[2, 3, 7, 3, 5, 3]);
    assert_eq!(distinct(&column, &Selection::All(6)).unwrap(), longs(&[2, 3, 7, 5]));
}
