//! Each aggregate over any cut of random data against [`reference`], row by row over all of it.

use proptest::prelude::*;

use super::{reference, *};

/// Equal exactly, save floats: within 1e-9 relative to the larger of their size and `scale`.
fn assert_close(got: &Value, expected: &Value, scale: f64, what: &str) {
    let close = match (got, expected) {
        (Value::Atom(Atom::Float(x)), Value::Atom(Atom::Float(y))) => {
            (x.is_nan() && y.is_nan()) || x == y || (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(scale)
        }
        (Value::Atom(Atom::Real(x)), Value::Atom(Atom::Real(y))) => {
            (x.is_nan() && y.is_nan()) || x == y || (x - y).abs() <= 1e-5 * x.abs().max(y.abs()).max(1e-30)
        }
        _ => got == expected,
    };
    assert!(close, "{what}: {got:?} where {expected:?} is expected");
}

/// One column of `n` items, with nulls.
fn column(n: usize) -> impl Strategy<Value = Value> {
    let picks = prop::collection::vec((0u8..10, -50i64..50), n);
    (picks, 0usize..9).prop_map(|(picks, kind)| {
        let whole = |null: i64| picks.iter().map(move |&(p, x)| if p == 0 { null } else { x });
        match kind {
            0 => Value::from(Vector::longs(whole(NULL_LONG).collect())),
            1 => {
                let int = |(p, x): &(u8, i64)| if *p == 0 { NULL_INT } else { *x as i32 };
                Value::from(Vector::new(Type::Int, picks.iter().map(int).collect()))
            }
            2 => {
                let short = |(p, x): &(u8, i64)| if *p == 0 { NULL_SHORT } else { *x as i16 };
                Value::from(Vector::new(Type::Short, picks.iter().map(short).collect()))
            }
            3 => Value::from(Vector::booleans(picks.iter().map(|(_, x)| *x > 0).collect())),
            4 => {
                let float = |(p, x): &(u8, i64)| if *p == 0 { NULL_FLOAT } else { *x as f64 * 1.37 };
                Value::from(Vector::floats(picks.iter().map(float).collect()))
            }
            5 => {
                let real = |(p, x): &(u8, i64)| if *p == 0 { NULL_REAL } else { *x as f32 * 0.5 };
                Value::from(Vector::new(Type::Real, picks.iter().map(real).collect()))
            }
            6 => Value::from(Vector::timestamps(
                whole(NULL_LONG).map(|x| if x == NULL_LONG { x } else { x * 1_000_003 }).collect(),
            )),
            7 => {
                let date = |(p, x): &(u8, i64)| if *p == 0 { NULL_INT } else { *x as i32 };
                Value::from(Vector::new(Type::Date, picks.iter().map(date).collect()))
            }
            _ => Value::from(Vector::floats(picks.iter().map(|&(_, x)| 100.0 + x as f64 * 1e-3).collect())),
        }
    })
}

#[derive(Debug, Clone)]
struct Case {
    columns: [Value; 2],
    keys: Vec<Value>,
    sel: Selection,
    /// rows at which the data is cut
    cuts: Vec<usize>,
}

fn case() -> impl Strategy<Value = Case> {
    (1usize..80).prop_flat_map(|n| {
        let key = prop::collection::vec(0i64..4, n);
        let keys = (key, 0usize..3).prop_map(|(mut key, kind)| match kind {
            0 => vec![],
            1 => vec![Value::from(Vector::longs(key))],
            _ => {
                key.sort_unstable();
                vec![Value::from(Vector::longs(key))]
            }
        });
        let sel = prop_oneof![
            Just(Selection::All(n)),
            prop::collection::vec(prop::bool::weighted(0.8), n).prop_map(|m| Selection::from_mask(&m)),
        ];
        let cuts = prop::collection::vec(0..=n, 0..4);
        (column(n), column(n), keys, sel, cuts).prop_map(|(x, y, keys, sel, mut cuts)| {
            cuts.sort_unstable();
            Case { columns: [x, y], keys, sel, cuts }
        })
    })
}

/// Accumulates over each cut, merges, finishes; the keys of the groups with their values.
fn by_cuts(f: Function, case: &Case, cuts: &[usize]) -> (Vec<Value>, Value) {
    let columns: Vec<&Value> = case.columns[..f.rank()].iter().collect();
    let n = columns[0].count();
    let (mut states, mut keys) = (Vec::new(), Vec::new());
    let edges: Vec<usize> = [0].into_iter().chain(cuts.iter().copied()).chain([n]).collect();
    for edge in edges.windows(2) {
        let sel = case.sel.intersect(&Selection::range(edge[0]..edge[1]));
        let groups = group::group(&case.keys, &sel).unwrap();
        states.push(accumulate(f, &columns, &groups, &sel).unwrap());
        keys.push(groups.keys(&case.keys));
    }
    let (keys, mappings) = group::merge_keys(&keys).unwrap();
    let count = keys.first().map_or(1, Value::count);
    let parts: Vec<_> = states.into_iter().zip(mappings).collect();
    // Over the wire a state is columns of a table: the round trip must not lose anything merge needs.
    for (state, _) in &parts {
        Table::of(state.iter().map(|(n, c)| (*n, c.clone()))).unwrap();
    }
    let merged = merge(f, &parts, count).unwrap();
    let inputs = types(&case.columns[..f.rank()]);
    (keys, finish(f, &merged, &inputs).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_cut_gives_what_the_whole_gives_and_what_the_reference_gives(case in case()) {
        for f in Function::EVERY {
            let columns = &case.columns[..f.rank()];
            let (keys, got) = by_cuts(f, &case, &case.cuts);
            let (whole_keys, whole) = by_cuts(f, &case, &[]);
            prop_assert_eq!(&keys, &whole_keys);
            let groups = group::group(&case.keys, &case.sel).unwrap();
            for (g, rows) in groups.rows(&case.sel).iter().enumerate() {
                if rows.is_empty() {
                    continue;
                }
                let atoms: Vec<Vec<Atom>> = columns.iter()
                    .map(|c| rows.iter().map(|&r| c.as_vector().unwrap().get(r as usize)).collect())
                    .collect();
                let expected = reference::value(f, &atoms, columns[0].as_vector().unwrap().ty());
                let what = format!("{f} of {atoms:?}");
                // Sums may cancel to nothing: what they are compared with is the size of their terms. Variances
                // are squares of deviations as large as the items.
                let size = |c: &[Atom]| c.iter().filter(|a| !a.is_null()).map(|a| match a.scalar() {
                    Some(kvalue::atom::Scalar::Integer(Some(n))) => (n as f64).abs(),
                    Some(kvalue::atom::Scalar::Float(x)) => x.abs(),
                    _ => 0.0,
                }).fold(0.0, f64::max);
                let scale = match f {
                    Function::Sum | Function::Avg => size(&atoms[0]),
                    Function::Wsum | Function::Cov | Function::Scov => size(&atoms[0]) * size(&atoms[1]),
                    Function::Var | Function::Svar => size(&atoms[0]).powi(2) * 1e-3,
                    Function::Dev | Function::Sdev => size(&atoms[0]) * 1e-3,
                    Function::Wavg | Function::Cor => 1.0,
                    _ => 0.0,
                };
                // A weighted average over weights that cancel, or a correlation of a column whose deviations are
                // rounding noise, has no digits to compare.
                let ill_conditioned = match f {
                    Function::Wavg => {
                        let weights: Vec<f64> = reference::pairs(&atoms).map(|(w, _)| w).collect();
                        let most = weights.iter().fold(0.0, |a: f64, w| a.max(w.abs()));
                        weights.iter().sum::<f64>().abs() <= 1e-3 * most
                    }
                    Function::Cor => true,
                    _ => false,
                };
                if !ill_conditioned {
                    assert_close(&got.index(g), &expected, scale, &what);
                }
                let tight = match f {
                    Function::Cov | Function::Scov | Function::Wsum => scale * 1e-3,
                    Function::Cor => 1.0,
                    _ => 0.0,
                };
                if f != Function::Wavg || !ill_conditioned {
                    assert_close(&got.index(g), &whole.index(g), tight, &format!("cut at {:?}: {what}", case.cuts));
                }
            }
        }
    }
}
