//! Each aggregate against q's documented examples, and against a row-at-a-time reference over random cuts.

use kvalue::{
    Atom, Table, Type, Value, Vector,
    types::{INF_INT, INF_LONG, NULL_FLOAT, NULL_INT, NULL_LONG, NULL_REAL, NULL_SHORT},
};
use proptest::prelude::*;

use super::*;
use crate::{KernelError, Selection, group, group::Groups};

fn types(columns: &[Value]) -> Vec<Option<Type>> {
    columns.iter().map(|c| c.as_vector().map(Vector::ty)).collect()
}

/// The aggregate over whole columns as one group.
fn whole(f: &str, columns: &[Value]) -> Atom {
    let f: Function = f.parse().unwrap();
    let sel = Selection::All(columns[0].count());
    let state = accumulate(f, &columns.iter().collect::<Vec<_>>(), &Groups::single(&sel), &sel).unwrap();
    match finish(f, &state, &types(columns)).unwrap() {
        Value::Vector(v) if v.len() == 1 => v.get(0),
        other => panic!("{f} gave {other:?}"),
    }
}

fn longs(items: &[i64]) -> Value {
    Value::from(Vector::longs(items.to_vec()))
}

fn ints(items: &[i32]) -> Value {
    Value::from(Vector::new(Type::Int, items.to_vec()))
}

fn floats(items: &[f64]) -> Value {
    Value::from(Vector::floats(items.to_vec()))
}

fn booleans(bits: &str) -> Value {
    Value::from(Vector::booleans(bits.bytes().map(|b| b == b'1').collect()))
}

const N: i64 = NULL_LONG;
const INF: f64 = f64::INFINITY;

#[test]
fn documented_examples_of_one_column() {
    // ref/{avg,sum,prd,min,max,var,dev,all-any,first,count}.md
    let exact = [
        ("avg", longs(&[1, 2, 3]), Atom::Float(2.0)),
        ("avg", floats(&[1.0, INF]), Atom::Float(INF)),
        ("avg", floats(&[-INF, INF]), Atom::Float(NULL_FLOAT)),
        ("avg", floats(&[1.0, f64::NAN, 2.0, 3.0]), Atom::Float(2.0)),
        ("sum", longs(&[2, 3, 5, 7]), Atom::Long(17)),
        ("sum", longs(&[2, 3, N, 7]), Atom::Long(12)),
        ("sum", floats(&[f64::NAN, 8.0]), Atom::Float(8.0)),
        ("prd", longs(&[2, 3, 5, 7]), Atom::Long(210)),
        ("prd", longs(&[2, 3, N, 7]), Atom::Long(42)),
        ("prd", booleans("101"), Atom::Int(0)),
        ("min", longs(&[2, 5, 7, 1, 3]), Atom::Long(1)),
        ("min", longs(&[N, 5, N, 1, 3]), Atom::Long(1)),
        ("min", longs(&[N, N]), Atom::Long(INF_LONG)),
        ("min", Value::str("genie"), Atom::Char(b'e')),
        ("max", longs(&[2, 5, 7, 1, 3]), Atom::Long(7)),
        ("max", longs(&[N, 5, N, 1, 3]), Atom::Long(5)),
        ("max", longs(&[N, N]), Atom::Long(-INF_LONG)),
        ("max", Value::str("genie"), Atom::Char(b'n')),
        ("var", longs(&[2, 3, 5, 7]), Atom::Float(3.6875)),
        ("var", floats(&[2.0, 3.0, 5.0, f64::NAN, 7.0]), Atom::Float(3.6875)),
        ("first", longs(&[1, 2, 3, 4, 5]), Atom::Long(1)),
        ("last", longs(&[0, 1, 9]), Atom::Long(9)),
        ("count", Value::str("zero"), Atom::Long(4)),
        ("any", Value::str("YNYN"), Atom::Boolean(true)),
        ("any", Value::str(" \0"), Atom::Boolean(true)),
        ("all", Value::str(" \0"), Atom::Boolean(false)),
        ("any", Value::from(Vector::new(Type::Date, vec![0])), Atom::Boolean(false)),
        ("any", Value::from(Vector::new(Type::Date, vec![0, 1])), Atom::Boolean(true)),
        ("any", floats(&[f64::NAN, INF, -INF]), Atom::Boolean(true)),
    ];
    for (f, column, expected) in exact {
        assert_eq!(whole(f, std::slice::from_ref(&column)), expected, "{f} {column:?}");
    }
    let rounded = [
        ("avg", booleans("101"), 0.6666667),
        ("svar", longs(&[2, 3, 5, 7]), 4.916667),
        ("svar", longs(&[3, N, 7]), 8.0),
        ("var", longs(&[2, 4, 1]), 1.555556),
        ("svar", longs(&[2, 4, 1]), 2.333333),
        ("dev", longs(&[10, 343, 232, 55]), 134.3484),
        ("sdev", longs(&[10, 343, 232, 55]), 155.1322),
    ];
    for (f, column, expected) in rounded {
        let Atom::Float(x) = whole(f, std::slice::from_ref(&column)) else { panic!("{f}") };
        // The pages print seven digits.
        assert!((x - expected).abs() <= 5e-7 * x.abs(), "{f} {column:?}: {x}");
    }
}

#[test]
fn documented_examples_of_two_columns() {
    // ref/{cor,cov,avg,sum}.md
    let rounded = [
        ("cor", longs(&[29, 10, 54]), longs(&[1, 3, 9]), "0.7727746"),
        ("cor", longs(&[10, 29, 54]), longs(&[1, 3, 9]), "0.9795734"),
        ("cor", longs(&[1, 3, 9]), longs(&[1, 3, 9]), "1.0000000"),
        ("cor", longs(&[1, 3, 9]), longs(&[-1, -3, -9]), "-1.0000000"),
        ("cor", longs(&[1, 3, 1, 3]), longs(&[1, 1, 3, 3]), "0.0000000"),
        ("cor", longs(&[1, 1, 1]), longs(&[1, 3, 9]), "NaN"),
        ("cor", longs(&[1, 3, N]), longs(&[1, 3, 9]), "1.0000000"),
        ("cor", booleans("1000101000"), booleans("0010011001"), "-0.0890871"),
        ("cov", longs(&[2, 3, 5, 7]), longs(&[3, 3, 5, 9]), "4.5000000"),
        ("cov", longs(&[2, 3, 5, 7]), longs(&[4, 3, 0, 2]), "-1.8125000"),
        ("scov", longs(&[2, 3, 5, 7]), longs(&[3, 3, 5, 9]), "6.0000000"),
        ("scov", longs(&[2, 3, 5, 7]), longs(&[4, 3, 0, 2]), "-2.4166667"),
        ("wavg", longs(&[2, 3, 4]), longs(&[1, 2, 4]), "2.6666667"),
        ("wavg", longs(&[2, N, 4, 5]), longs(&[1, 2, N, 8]), "6.0000000"),
        ("wavg", longs(&[0, 0]), longs(&[2, 3]), "NaN"),
        ("wsum", longs(&[2, 3, 4]), longs(&[1, 2, 4]), "24.0000000"),
    ];
    for (f, x, y, expected) in rounded {
        let Atom::Float(got) = whole(f, &[x.clone(), y.clone()]) else { panic!("{f}") };
        // Negative zero prints a sign that q does not.
        assert_eq!(format!("{:.7}", got + 0.0), expected, "{x:?} {f} {y:?}");
    }
}

#[test]
fn nothing_at_all_gives_identities() {
    let none = longs(&[]);
    for (f, expected) in [
        ("sum", Atom::Long(0)),
        ("prd", Atom::Long(1)),
        ("count", Atom::Long(0)),
        ("min", Atom::Long(INF_LONG)),
        ("max", Atom::Long(-INF_LONG)),
        ("avg", Atom::Float(NULL_FLOAT)),
        ("var", Atom::Float(NULL_FLOAT)),
        ("sdev", Atom::Float(NULL_FLOAT)),
        ("first", Atom::Long(N)),
        ("last", Atom::Long(N)),
        ("all", Atom::Boolean(true)),
        ("any", Atom::Boolean(false)),
    ] {
        assert_eq!(whole(f, std::slice::from_ref(&none)), expected, "{f}");
    }
    assert_eq!(whole("cor", &[none.clone(), none]), Atom::Float(NULL_FLOAT));
    assert_eq!(whole("min", &[booleans("")]), Atom::Boolean(true));
    assert_eq!(whole("svar", &[longs(&[4])]), Atom::Float(NULL_FLOAT));
    assert_eq!(whole("var", &[longs(&[4])]), Atom::Float(0.0));
}

#[test]
fn sums_wrap_at_the_width_of_their_type_and_averages_do_not() {
    assert_eq!(whole("sum", &[ints(&[INF_INT, INF_INT])]), Atom::Int(-2));
    assert_eq!(whole("avg", &[ints(&[INF_INT, INF_INT])]), Atom::Float(f64::from(INF_INT)));
    let large = longs(&[INF_LONG, INF_LONG, 1]);
    assert_eq!(whole("sum", std::slice::from_ref(&large)), Atom::Long(INF_LONG.wrapping_mul(2) + 1));
    assert_eq!(whole("avg", &[large]), Atom::Float((2.0 * INF_LONG as f64 + 1.0) / 3.0));
}

#[test]
fn float_sums_do_not_lose_small_terms() {
    let mut items = vec![1e16, 1.0, -1e16];
    items.extend(vec![1e-3; 1000]);
    let Atom::Float(sum) = whole("sum", &[floats(&items)]) else { panic!() };
    assert!((sum - 2.0).abs() < 1e-12, "{sum}");
}

#[test]
fn a_product_that_fits_survives_overflow_on_the_way() {
    let mut items = vec![1e300; 5];
    items.extend(vec![1e-300; 5]);
    items.push(7.0);
    let Atom::Float(product) = whole("prd", &[floats(&items)]) else { panic!() };
    assert!((product - 7.0).abs() < 1e-9, "{product}");
    assert_eq!(whole("prd", &[floats(&[1e300, 1e300])]), Atom::Float(INF));
    assert_eq!(whole("prd", &[floats(&[5e-324, 1e300, 1e300])]), Atom::Float(5e-324 * 1e300 * 1e300));
    assert_eq!(whole("prd", &[floats(&[0.0, 1e300, 1e300])]), Atom::Float(0.0));
}

#[test]
fn timestamps_a_few_nanoseconds_apart_have_the_right_variance() {
    let start = 473_385_600_000_000_000;
    let times = Value::from(Vector::timestamps(vec![start, start + 2, start + 4]));
    let Atom::Float(var) = whole("var", &[times]) else { panic!() };
    assert!((var - 8.0 / 3.0).abs() < 1e-12, "{var}");
}

#[test]
fn wrong_types_ranks_and_lengths_are_refused() {
    let sel = Selection::All(2);
    let one = Groups::single(&sel);
    let syms = Value::syms(["a", "b"]);
    let err = accumulate(Function::Sum, &[&syms], &one, &sel).unwrap_err().to_string();
    assert_eq!(err, "type: sum is not defined for symbol list; it takes numbers and temporal types");
    assert!(accumulate(Function::Sum, &[&Value::str("ab")], &one, &sel).is_err());
    assert!(accumulate(Function::Avg, &[&Value::list(vec![Value::Null; 2])], &one, &sel).is_err());
    assert!(accumulate(Function::Cor, &[&longs(&[1, 2])], &one, &sel).is_err());
    assert!(accumulate(Function::Sum, &[&longs(&[1])], &one, &sel).is_err());
}

#[test]
fn malformed_states_are_errors_not_panics() {
    let bad: [PartialColumns; 5] = [
        vec![],
        vec![("hi", longs(&[1]))],
        vec![("hi", longs(&[1])), ("lo", longs(&[1, 2]))],
        vec![("hi", longs(&[1])), ("lo", Value::syms(["a"]))],
        vec![("hi", Value::from(1i64)), ("lo", Value::from(1i64))],
    ];
    for state in bad {
        let got = finish(Function::Sum, &state, &[Some(Type::Long)]);
        assert!(matches!(got, Err(KernelError::State { .. })), "{state:?} gave {got:?}");
        assert!(merge(Function::Sum, &[(state, vec![0])], 1).is_err());
    }
    let good = vec![("hi", longs(&[0])), ("lo", longs(&[1]))];
    assert!(merge(Function::Sum, &[(good.clone(), vec![1])], 1).is_err());
    assert!(merge(Function::Sum, &[(good, vec![])], 1).is_err());
}

/// What q's rules give for one group's rows, written row by row from the reference pages.
mod reference {
    use super::*;

    fn number(a: &Atom) -> Option<f64> {
        use kvalue::atom::Scalar;
        match a.scalar() {
            Some(Scalar::Integer(n)) => n.map(|n| n as f64),
            Some(Scalar::Float(x)) if x.is_nan() => None,
            Some(Scalar::Float(x)) => Some(x),
            None => None,
        }
    }

    fn mean(items: &[f64]) -> f64 {
        items.iter().sum::<f64>() / items.len() as f64
    }

    /// Both columns' numbers where neither is null.
    pub(super) fn pairs(columns: &[Vec<Atom>]) -> impl Iterator<Item = (f64, f64)> {
        columns[0].iter().zip(&columns[1]).filter_map(|(x, y)| Some((number(x)?, number(y)?)))
    }

    pub(super) fn value(f: Function, columns: &[Vec<Atom>], ty: Type) -> Value {
        let items = &columns[0];
        let numbers: Vec<f64> = items.iter().filter_map(number).collect();
        let pairs: Vec<(f64, f64)> = match columns.len() {
            2 => pairs(columns).collect(),
            _ => numbers.iter().map(|&x| (x, x)).collect(),
        };
        let (xs, ys): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let cov = || {
            let (mx, my) = (mean(&xs), mean(&ys));
            pairs.iter().map(|(x, y)| (x - mx) * (y - my)).sum::<f64>() / pairs.len() as f64
        };
        let deviation = |items: &[f64]| {
            let m = mean(items);
            (items.iter().map(|x| (x - m).powi(2)).sum::<f64>() / items.len() as f64).sqrt()
        };
        let sample = pairs.len() as f64 / (pairs.len() as f64 - 1.0);
        let float = |x: f64| Value::from(x);
        match f {
            Function::Count => Value::from(items.len() as i64),
            Function::All => Value::from(items.iter().all(|a| number(a) != Some(0.0))),
            Function::Any => Value::from(items.iter().any(|a| number(a) != Some(0.0))),
            Function::First => Value::Atom(items[0].clone()),
            Function::Last => Value::Atom(items[items.len() - 1].clone()),
            Function::Distinct => {
                let mut seen: Vec<Atom> = Vec::new();
                for a in items {
                    if !seen.contains(a) {
                        seen.push(a.clone());
                    }
                }
                Value::from(Vector::from_atoms(items[0].ty(), &seen).unwrap())
            }
            Function::Min | Function::Max => {
                let sign = if f == Function::Min { 1.0 } else { -1.0 };
                let best = items.iter().filter(|a| number(a).is_some()).min_by(|a, b| {
                    (sign * number(a).unwrap()).partial_cmp(&(sign * number(b).unwrap())).unwrap()
                });
                let empty = match (ty, sign > 0.0) {
                    (Type::Boolean, least) => Atom::Boolean(least),
                    (_, true) => Atom::infinity(ty).unwrap(),
                    (Type::Float, false) => Atom::Float(-INF),
                    (Type::Real, false) => Atom::Real(f32::NEG_INFINITY),
                    (Type::Short, false) => Atom::Short(-i16::MAX),
                    (Type::Int | Type::Date | Type::Time, false) => Atom::from_i64(ty, -i64::from(INF_INT)),
                    (_, false) => Atom::from_i64(ty, -INF_LONG),
                };
                Value::Atom(best.cloned().unwrap_or(empty))
            }
            Function::Sum | Function::Prd => {
                let is_sum = f == Function::Sum;
                let result = result_type(f, &[Some(ty)]).unwrap().unwrap();
                if matches!(ty, Type::Float | Type::Real) {
                    let x = if is_sum { numbers.iter().sum() } else { numbers.iter().product::<f64>() };
                    return Value::Atom(Atom::from_f64(result, x));
                }
                let whole = items.iter().filter_map(|a| Value::Atom(a.clone()).as_i64());
                let total = if is_sum {
                    whole.fold(0i64, i64::wrapping_add)
                } else {
                    whole.fold(1i64, i64::wrapping_mul)
                };
                Value::Atom(Atom::from_i64(result, total))
            }
            Function::Avg => float(mean(&numbers)),
            Function::Var => float(cov()),
            Function::Svar => float(cov() * sample),
            Function::Dev => float(cov().sqrt()),
            Function::Sdev => float((cov() * sample).sqrt()),
            Function::Cov => float(cov()),
            Function::Scov => float(cov() * sample),
            Function::Cor => float(cov() / (deviation(&xs) * deviation(&ys))),
            Function::Wsum => float(pairs.iter().map(|(w, x)| w * x).sum()),
            Function::Wavg => float(pairs.iter().map(|(w, x)| w * x).sum::<f64>() / xs.iter().sum::<f64>()),
        }
    }
}

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

#[test]
fn first_and_last_follow_the_order_of_the_parts() {
    let part = |v: i64, n: i64| vec![("v", longs(&[v])), ("n", longs(&[n]))];
    let parts = [(part(N, 0), vec![0]), (part(3, 2), vec![0]), (part(5, 1), vec![0]), (part(9, 0), vec![0])];
    let finished = |f| finish(f, &merge(f, &parts, 1).unwrap(), &[Some(Type::Long)]).unwrap();
    assert_eq!(finished(Function::First), longs(&[3]));
    assert_eq!(finished(Function::Last), longs(&[5]));
}

#[test]
fn strings_have_first_last_count_and_distinct() {
    let column = Value::list(["ab", "c", "ab", ""].map(Value::str).to_vec());
    let sel = Selection::All(4);
    let groups = group::group(&[longs(&[1, 1, 1, 2])], &sel).unwrap();
    let of = |f: Function| {
        let state = accumulate(f, &[&column], &groups, &sel).unwrap();
        let merged = merge(f, &[(state.clone(), vec![0, 1]), (state, vec![0, 1])], 2).unwrap();
        finish(f, &merged, &[None]).unwrap()
    };
    assert_eq!(of(Function::Last), Value::list(vec![Value::str("ab"), Value::str("")]));
    assert_eq!(of(Function::Count), longs(&[6, 2]));
    let distinct = [vec![Value::str("ab"), Value::str("c")], vec![Value::str("")]];
    assert_eq!(of(Function::Distinct), Value::list(distinct.map(Value::list).to_vec()));
}
