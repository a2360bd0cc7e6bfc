//! Filters against q's documented examples, and every fast path against [`holds`] asked row by row.

use std::sync::Arc;

use kvalue::{
    Attr, Codes, Domain, Symbols, Type,
    time::{DAY, SECOND, parse},
    types::{INF_LONG, INF_SHORT, NULL_FLOAT, NULL_INT, NULL_LONG, NULL_SHORT},
};
use proptest::prelude::*;

use super::*;

fn longs(items: &[i64]) -> Value {
    Value::from(Vector::longs(items.to_vec()))
}

fn times(ty: Type, items: &[&str]) -> Value {
    let atoms: Vec<Atom> = items.iter().map(|t| parse(ty, t).unwrap()).collect();
    Value::from(Vector::from_atoms(ty, &atoms).unwrap())
}

fn atom(ty: Type, text: &str) -> Value {
    Value::Atom(parse(ty, text).unwrap())
}

fn strings(items: &[&str]) -> Value {
    Value::list(items.iter().map(Value::str).collect::<Vec<_>>())
}

fn enumerated(codes: &[i32]) -> Value {
    let domain = Arc::new(Domain::new("sym".into(), &["b", "a", "", "bb"].into_iter().collect()));
    let codes = codes.iter().map(|&c| if c < 0 { NULL_INT } else { c });
    Value::Vector(Vector::symbols(Symbols::enumerated(domain, Codes::I32(codes.collect())).unwrap()))
}

/// The mask as q prints it.
fn bits(column: &Value, op: &str, operand: &Value) -> String {
    let mask = mask(column, op.parse().unwrap(), operand).unwrap();
    let Value::Vector(v) = mask else { panic!() };
    v.iter().map(|a| if a == Atom::Boolean(true) { '1' } else { '0' }).collect()
}

#[test]
fn documented_examples() {
    // ref/{within,in,less-than,equal}.md, basics/comparison.md
    let cases = [
        (longs(&[1, 3, 10, 6, 4]), "within", longs(&[2, 6]), "01011"),
        (Value::str("acyxmpu"), "within", Value::str("br"), "0100110"),
        (Value::syms(["dd", "ccc", "ccc"]), "within", Value::syms(["c", "d"]), "011"),
        (longs(&[1, 3, 7, 6, 4]), "in", longs(&[5, 4, 1, 6]), "10011"),
        (Value::str("wx"), "in", Value::str("acdexyz"), "01"),
        (Value::from(Vector::floats(vec![1.0, 2.0])), "in", Value::from(2i64), "01"),
        (longs(&[10, -21, 3]), "<=", Value::from(5i64), "011"),
        (Value::str("hello"), "=", Value::str("world"), "00010"),
        (Value::str("alpha"), ">", Value::str("omega"), "00110"),
        (longs(&[2, 3, 4]), "=", Value::from(3i64), "010"),
        (Value::from(Vector::floats(vec![1.0 + 1e-13])), "=", Value::from(1i64), "1"),
        (Value::from(Vector::floats(vec![1e13 - 1.0])), "=", Value::from(1e13), "1"),
        (Value::from(Vector::floats(vec![1e12 - 1.0])), "=", Value::from(1e12), "0"),
        (Value::syms(["brawn", "brown"]), "like", Value::str("br[^o]wn"), "10"),
        (strings(&["brown", "drown", "frown"]), "like", Value::str("[bf]rown"), "101"),
    ];
    for (column, op, operand, expected) in cases {
        assert_eq!(bits(&column, op, &operand), expected, "{column:?} {op} {operand:?}");
    }
}

#[test]
fn temporal_values_meet_on_a_common_clock() {
    // basics/comparison.md
    let of_day = ["09:15:37", "09:29:01", "09:29:15", "09:29:15", "09:30:01", "09:35:27"];
    let spans = times(Type::Timespan, &of_day.map(|t| format!("0D{t}")).each_ref().map(String::as_str));
    let stamps =
        times(Type::Timestamp, &of_day.map(|t| format!("2016.09.06D{t}")).each_ref().map(String::as_str));
    let minute = atom(Type::Minute, "09:29");
    assert_eq!(bits(&stamps, ">", &minute), "000011");
    assert_eq!(bits(&spans, ">", &minute), "011111");
    assert_eq!(bits(&stamps, "=", &minute), "011100");
    assert_eq!(bits(&stamps, "<", &minute), "100000");
    let range = times(Type::Time, &["13:30:00.000", "20:00:00.000"]);
    assert_eq!(bits(&times(Type::Timespan, &["0D20:00:00.000603286"]), "within", &range), "0");
    assert_eq!(bits(&times(Type::Timestamp, &["2024.10.07D20:00:00.000603286"]), "within", &range), "1");
    let dates = times(Type::Date, &["2015.01.07", "2015.01.08", "2015.01.09"]);
    assert_eq!(bits(&dates, ">=", &atom(Type::Timestamp, "2015.01.07D12:00")), "011");
    assert_eq!(bits(&dates, "in", &times(Type::Timestamp, &["2015.01.08D", "2015.01.09D01"])), "010");
    assert_eq!(bits(&stamps, "=", &atom(Type::Date, "2016.09.06")), "000000");
    let err = mask(&dates, Op::Eq, &minute).unwrap_err().to_string();
    assert_eq!(
        err,
        "type: = is not defined for date list and minute; it takes values that compare with each other"
    );
}

#[test]
fn null_equals_null_and_is_below_everything() {
    let column = longs(&[NULL_LONG, -INF_LONG, 0, INF_LONG]);
    for null in [Value::from(NULL_LONG), Value::from(NULL_FLOAT), Value::from(NULL_SHORT)] {
        assert_eq!(bits(&column, "=", &null), "1000");
        assert_eq!(bits(&column, ">", &null), "0111");
        assert_eq!(bits(&column, "<", &null), "0000");
        assert_eq!(bits(&column, "in", &null), "1000");
    }
    assert_eq!(bits(&column, "<", &Value::from(-INF_LONG)), "1000");
    assert_eq!(bits(&column, "<", &Value::from(f64::NEG_INFINITY)), "1000");
    assert_eq!(bits(&column, "<=", &Value::from(f64::INFINITY)), "1111");
    assert_eq!(bits(&Value::syms(["", "a"]), "<", &Value::sym("a")), "10");
    let floats = Value::from(Vector::floats(vec![f64::NAN, f64::NEG_INFINITY, 0.0]));
    assert_eq!(bits(&floats, "=", &Value::from(NULL_LONG)), "100");
    assert_eq!(bits(&floats, "<", &Value::from(f64::NEG_INFINITY)), "100");
}

#[test]
fn constants_beyond_the_columns_width_are_still_compared() {
    let shorts = Value::from(Vector::new(Type::Short, vec![NULL_SHORT, -INF_SHORT, 5, INF_SHORT]));
    assert_eq!(bits(&shorts, "<", &Value::from(40_000i64)), "1111");
    assert_eq!(bits(&shorts, ">", &Value::from(-40_000i64)), "0111");
    assert_eq!(bits(&shorts, "<", &Value::from(-40_000i64)), "1000");
    assert_eq!(bits(&shorts, "=", &Value::from(65_541i64)), "0000");
    assert_eq!(bits(&shorts, "<>", &Value::from(65_541i64)), "1111");
    assert_eq!(bits(&Value::from(Vector::new(Type::Byte, vec![0u8, 255])), "<", &Value::from(-1i64)), "00");
    assert_eq!(
        bits(&Value::from(Vector::new(Type::Byte, vec![0u8, 255])), ">", &Value::from(NULL_LONG)),
        "11"
    );
}

#[test]
fn strings_are_compared_whole() {
    let cities = strings(&["Rome", "Oslo", "R", ""]);
    assert_eq!(bits(&cities, "=", &Value::str("Rome")), "1000");
    assert_eq!(bits(&cities, "<>", &Value::str("R")), "1101");
    assert_eq!(bits(&cities, "in", &strings(&["Oslo", ""])), "0101");
    assert_eq!(bits(&cities, "<", &Value::str("R")), "0101");
    assert_eq!(bits(&cities, "within", &strings(&["O", "R"])), "0110");
    assert_eq!(bits(&cities, "like", &Value::str("R*")), "1010");
    let numbers = Value::list(vec![longs(&[1, 2]), longs(&[3])]);
    assert_eq!(bits(&numbers, "in", &Value::list(vec![longs(&[3])])), "01");
    assert!(mask(&numbers, Op::Like, &Value::str("*")).is_err());
}

#[test]
fn enumerated_symbols_filter_as_their_names_do() {
    let codes = [1, 0, -1, 2, 3, 0];
    let (by_code, by_name) = (enumerated(&codes), Value::syms(["a", "b", "", "", "bb", "b"]));
    for (op, operand) in [
        ("=", Value::sym("b")),
        ("=", Value::sym("")),
        ("=", Value::sym("nowhere")),
        ("<>", Value::sym("b")),
        ("<>", Value::sym("")),
        ("<>", Value::sym("nowhere")),
        ("<", Value::sym("b")),
        (">=", Value::sym("b")),
        ("in", Value::syms(["b", "a", "nowhere"])),
        ("in", Value::syms(["b"])),
        ("in", Value::syms::<&str>([])),
        ("within", Value::syms(["a", "b"])),
        ("like", Value::str("b*")),
    ] {
        assert_eq!(bits(&by_code, op, &operand), bits(&by_name, op, &operand), "{op} {operand:?}");
    }
}

#[test]
fn a_sorted_column_is_searched_and_gives_one_run() {
    let sorted = Vector::longs((0..1000).collect()).with_attr(Attr::Sorted);
    let found = select(&Value::from(sorted), Op::Within, &longs(&[100, 199]), &Selection::All(1000)).unwrap();
    assert!(matches!(&found, Selection::Ranges(r) if r.len() == 1 && r[0] == (100..200)), "{found:?}");
}

#[test]
fn wrong_types_and_lengths_are_named() {
    let syms = Value::syms(["a", "b", "c"]);
    let err = mask(&syms, Op::Eq, &Value::str("abcd")).unwrap_err().to_string();
    assert!(err.starts_with("type: = is not defined for symbol list and char list"), "{err}");
    let err = mask(&longs(&[1, 2, 3]), Op::Eq, &longs(&[1, 2])).unwrap_err().to_string();
    assert_eq!(err, "length: operand of = has 2 items where 3 are needed");
    let err = mask(&longs(&[1]), Op::Within, &longs(&[1, 2, 3])).unwrap_err().to_string();
    assert_eq!(err, "length: operand of within has 3 items where 2 are needed");
    assert!(mask(&longs(&[1]), Op::In, &Value::syms(["a"])).is_err());
    assert!(mask(&longs(&[1]), Op::Like, &Value::str("a")).is_err());
    assert!(mask(&longs(&[1]), Op::Eq, &Value::Null).is_err());
    assert!("~".parse::<Op>().unwrap_err().to_string().contains("within"));
    assert!(select(&syms, Op::Eq, &Value::sym("a"), &Selection::All(4)).is_err());
}

/// An atom of any numeric or temporal type, small or special.
fn any_atom() -> impl Strategy<Value = Atom> {
    let types: Vec<Type> =
        Type::ALL.into_iter().filter(|t| !matches!(t, Type::Guid | Type::Symbol)).collect();
    (prop::sample::select(types), 0u8..12, -3i64..4, 0i64..5).prop_map(|(ty, kind, n, m)| match kind {
        0 => Atom::null(ty),
        1 => Atom::infinity(ty).unwrap_or(Atom::null(ty)),
        2 => Atom::from_i64(ty, i64::MAX),
        // Near the borders of the clocks, and of the tolerance.
        3 | 4 if matches!(ty, Type::Timestamp | Type::Timespan) => {
            Atom::from_i64(ty, n * DAY + m * 60 * SECOND + n)
        }
        5 if matches!(ty, Type::Float | Type::Real) => Atom::from_f64(ty, n as f64 * (1.0 + 1e-13)),
        6 if matches!(ty, Type::Float | Type::Real) => Atom::from_f64(ty, n as f64 * (1.0 + 1e-10)),
        7 if ty == Type::Float => Atom::Float(n as f64 * 1e13 + m as f64),
        7 if ty == Type::Long => Atom::Long(n * 10_000_000_000_000 + m),
        8 if ty == Type::Datetime => Atom::Datetime(n as f64 + m as f64 / 1440.0),
        9 if matches!(ty, Type::Second | Type::Time) => Atom::from_i64(ty, m * 60),
        _ => Atom::from_i64(ty, n),
    })
}

fn numbers_and_operand() -> impl Strategy<Value = (Value, Vec<Atom>, Selection)> {
    let column = prop::collection::vec(any_atom(), 1..90).prop_map(|atoms| {
        let ty = atoms[0].ty();
        let same: Vec<Atom> =
            atoms.into_iter().map(|a| if a.ty() == ty { a } else { Atom::from_i64(ty, 1) }).collect();
        Value::from(Vector::from_atoms(ty, &same).unwrap())
    });
    let operands = prop::collection::vec(any_atom(), 0..14);
    (column, operands, any::<bool>(), any::<u64>()).prop_map(|(column, operands, all, seed)| {
        let n = column.count();
        let mask: Vec<bool> = (0..n).map(|i| all || seed.rotate_left(i as u32) & 3 != 0).collect();
        let sel = if all { Selection::All(n) } else { Selection::from_mask(&mask) };
        (column, operands, sel)
    })
}

fn by_rows(column: &Value, sel: &Selection, test: impl Fn(&Atom) -> bool) -> Vec<usize> {
    let v = column.as_vector().unwrap();
    sel.iter().filter(|&row| test(&v.get(row))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn filters_agree_with_comparing_row_by_row((column, operands, sel) in numbers_and_operand()) {
        let v = column.as_vector().unwrap();
        for operand in &operands {
            for op in [Op::Eq, Op::Ne, Op::Lt, Op::Gt, Op::Le, Op::Ge] {
                let got = select(&column, op, &Value::Atom(operand.clone()), &sel);
                match holds(op, &Atom::null(v.ty()), operand) {
                    Err(_) => prop_assert!(got.is_err(), "{column:?} {op} {operand:?} gave {got:?}"),
                    Ok(_) => {
                        let expected = by_rows(&column, &sel, |a| holds(op, a, operand).unwrap());
                        prop_assert_eq!(
                            got.unwrap().iter().collect::<Vec<_>>(), expected, "{:?} {} {:?}", column, op, operand
                        );
                    }
                }
            }
        }
        let compare = |a: &Atom, op| operands.iter().all(|o| holds(op, a, o).is_ok());
        let list = Value::list(operands.iter().cloned().map(Value::Atom).collect::<Vec<_>>());
        let got = select(&column, Op::In, &list, &sel);
        if compare(&Atom::null(v.ty()), Op::In) {
            // Values that meet on another clock are compared there, tolerantly where that is a datetime.
            let in_list = |a: &Atom| operands.iter().any(|o| {
                let other_clock = a.ty().is_temporal() && o.ty().is_temporal()
                    && crate::temporal::common(a.ty(), o.ty()) != Some(a.ty());
                holds(if other_clock { Op::Eq } else { Op::In }, a, o).unwrap()
            });
            prop_assert_eq!(
                got.unwrap().iter().collect::<Vec<_>>(), by_rows(&column, &sel, in_list), "{:?} in {:?}", column, operands
            );
        } else {
            prop_assert!(got.is_err(), "{:?} in {:?} gave {:?}", column, operands, got);
        }
        if let [low, high, ..] = &operands[..] {
            let pair = Value::list(vec![Value::Atom(low.clone()), Value::Atom(high.clone())]);
            if compare(&Atom::null(v.ty()), Op::Ge) {
                let got = select(&column, Op::Within, &pair, &sel).unwrap();
                let both = |a: &Atom| holds(Op::Ge, a, low).unwrap() && holds(Op::Le, a, high).unwrap();
                prop_assert_eq!(
                    got.iter().collect::<Vec<_>>(), by_rows(&column, &sel, both), "{:?} within {:?}", column, pair
                );
            }
        }
    }

    #[test]
    fn item_by_item_comparison_agrees_with_comparing_atoms((column, operands, sel) in numbers_and_operand()) {
        prop_assume!(!operands.is_empty());
        let v = column.as_vector().unwrap();
        prop_assume!(v.len() > 1);
        let other = Value::from(Vector::repeat(&operands[0], v.len()));
        for op in [Op::Eq, Op::Lt] {
            let got = select(&column, op, &other, &sel);
            let expected = select(&column, op, &Value::Atom(operands[0].clone()), &sel);
            prop_assert_eq!(got.is_ok(), expected.is_ok());
            if let (Ok(got), Ok(expected)) = (got, expected) {
                prop_assert_eq!(got, expected);
            }
        }
    }
}
