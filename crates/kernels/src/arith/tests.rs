//! Arithmetic against q's documented examples.

use kvalue::{
    Atom,
    time::parse,
    types::{INF_INT, INF_LONG},
};

use super::*;

fn longs(items: &[i64]) -> Value {
    Value::from(Vector::longs(items.to_vec()))
}

fn floats(items: &[f64]) -> Value {
    Value::from(Vector::floats(items.to_vec()))
}

fn atom(ty: Type, text: &str) -> Value {
    Value::Atom(parse(ty, text).unwrap())
}

#[test]
fn documented_examples() {
    // ref/{add,subtract,multiply,divide,lesser,neg}.md, basics/math.md
    type Dyad = fn(&Value, &Value) -> Result<Value, KernelError>;
    let cases: [(Dyad, Value, Value, Value); 16] = [
        (add, Value::from(2i64), longs(&[3, 4, 5]), longs(&[5, 6, 7])),
        (
            add,
            atom(Type::Date, "2000.11.22"),
            atom(Type::Time, "03:44:55.666"),
            atom(Type::Timestamp, "2000.11.22D03:44:55.666"),
        ),
        (
            sub,
            atom(Type::Date, "2000.11.22"),
            atom(Type::Time, "03:44:55.666"),
            atom(Type::Timestamp, "2000.11.21D20:15:04.334"),
        ),
        (sub, longs(&[3, 4, 5]), Value::from(2i64), longs(&[1, 2, 3])),
        (add, Value::from(1i32), Value::from(55i64), Value::from(56i64)),
        (sub, atom(Type::Month, "2012.05"), Value::from(2i64), atom(Type::Month, "2012.03")),
        (mul, longs(&[3, 4, 5]), Value::from(2.0), floats(&[6.0, 8.0, 10.0])),
        (mul, Value::from(true), Value::from(3.3), Value::from(3.3)),
        (div, Value::from(true), Value::from(false), Value::from(f64::INFINITY)),
        (div, atom(Type::Timespan, "0D00:00:10"), atom(Type::Timespan, "0D00:00:05"), Value::from(2.0)),
        (div, atom(Type::Minute, "00:10"), Value::from(2i64), Value::from(5.0)),
        (min2, Value::str("sat"), Value::str("cow"), Value::str("cat")),
        (min2, Value::from(98i64), Value::Atom(Atom::Char(b'c')), Value::Atom(Atom::Char(b'b'))),
        (max2, longs(&[NULL_LONG, 7]), Value::from(5i64), longs(&[5, 7])),
        (min2, longs(&[NULL_LONG, 7]), Value::from(5i64), longs(&[NULL_LONG, 5])),
        (
            sub,
            atom(Type::Timestamp, "2000.01.02D"),
            atom(Type::Timestamp, "2000.01.01D"),
            atom(Type::Timespan, "1D"),
        ),
    ];
    for (verb, a, b, expected) in cases {
        assert_eq!(verb(&a, &b).unwrap(), expected, "{a:?} {b:?}");
    }
    let booleans = Value::from(Vector::booleans(vec![false, true]));
    assert_eq!(neg(&booleans).unwrap(), Value::from(Vector::new(Type::Int, vec![0, -1])));
    assert_eq!(neg(&longs(&[INF_LONG, NULL_LONG])).unwrap(), longs(&[-INF_LONG, NULL_LONG]));
}

#[test]
fn nulls_spread_and_overflow_wraps() {
    assert_eq!(add(&longs(&[NULL_LONG, 1]), &Value::from(1i64)).unwrap(), longs(&[NULL_LONG, 2]));
    assert_eq!(add(&Value::from(INF_INT), &Value::from(2i32)).unwrap(), Value::from(i32::MIN + 1));
    assert_eq!(mul(&Value::from(INF_LONG), &Value::from(2i64)).unwrap(), Value::from(-2i64));
    let short_null = Value::from(NULL_SHORT);
    assert_eq!(add(&short_null, &Value::from(1i64)).unwrap(), Value::from(NULL_LONG));
    assert_eq!(mul(&Value::from(NULL_LONG), &Value::from(2.0)).unwrap(), Value::from(NULL_FLOAT));
}

#[test]
fn lists_go_item_by_item() {
    // ref/add.md: (10;20 30)+(2;3 4)
    let a = Value::list(vec![Value::from(10i64), longs(&[20, 30])]);
    let b = Value::list(vec![Value::from(2i64), longs(&[3, 4])]);
    let expected = Value::list(vec![Value::from(12i64), longs(&[23, 34])]);
    assert_eq!(add(&a, &b).unwrap(), expected);
    assert_eq!(add(&longs(&[1, 2]), &b).unwrap().count(), 2);
}

#[test]
fn what_does_not_combine_is_refused() {
    let err = add(&Value::sym("a"), &Value::from(1i64)).unwrap_err().to_string();
    assert_eq!(
        err,
        "type: + is not defined for symbol and long; it takes numbers and temporal types that combine"
    );
    let err = add(&longs(&[1]), &longs(&[1, 2])).unwrap_err().to_string();
    assert_eq!(err, "length: right operand of + has 2 items where 1 are needed");
    assert!(mul(&atom(Type::Date, "2000.01.01"), &atom(Type::Date, "2000.01.01")).is_err());
    assert!(neg(&Value::sym("a")).is_err());
    assert!(add(&Value::list(vec![Value::from(1i64)]), &longs(&[1, 2])).is_err());
}

#[test]
fn an_empty_operand_gives_an_empty_result() {
    assert_eq!(add(&longs(&[]), &Value::from(1i64)).unwrap(), longs(&[]));
    assert_eq!(div(&Value::from(1i64), &longs(&[])).unwrap(), floats(&[]));
}
