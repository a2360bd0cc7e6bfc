//! Each aggregate against q's documented examples, and ([`cuts`]) against a row-at-a-time reference.

mod cuts;
mod reference;

use kvalue::{
    Atom, Table, Type, Value, Vector,
    types::{INF_INT, INF_LONG, NULL_FLOAT, NULL_INT, NULL_LONG, NULL_REAL, NULL_SHORT},
};

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
