//! What operands become, by hand.

use super::*;

fn cast(op: Op, ty: Type, value: Value) -> Result<Value, String> {
    let kind = ColumnKind::Basic(ty);
    Context { op, column: &"c".into(), kind: &kind, cast: false }.operand(&value).map_err(|f| f.ai)
}

#[test]
fn texts_become_the_columns_type() {
    for (ty, text, atom) in [
        (Type::Symbol, "A", Atom::Symbol("A".into())),
        (Type::Long, "12", Atom::Long(12)),
        (Type::Long, "12j", Atom::Long(12)),
        (Type::Long, "1.5", Atom::Float(1.5)),
        (Type::Int, "0Wi", Atom::Int(i32::MAX)),
        (Type::Float, "-0w", Atom::Float(f64::NEG_INFINITY)),
        (Type::Float, "1e3", Atom::Float(1000.0)),
        (Type::Short, "", Atom::null(Type::Short)),
        (Type::Boolean, "true", Atom::Boolean(true)),
        (Type::Byte, "0xff", Atom::Byte(255)),
        (Type::Byte, "10", Atom::Byte(16)),
        (Type::Real, "0.1", Atom::Real(0.1)),
        (Type::Real, "0.12345678901", Atom::Float(0.12345678901)),
        (Type::Long, "-9223372036854775808", Atom::Float(i64::MIN as f64)),
        (Type::Short, "40000", Atom::Float(40_000.0)),
        (Type::Long, "null", Atom::null(Type::Long)),
        (Type::Date, "2024-01-02T12:00", Atom::Timestamp(8_767 * time::DAY + time::DAY / 2)),
        (Type::Date, "9999-12-31", Atom::Date(2_921_939)),
        (Type::Time, "999:00:00", Atom::Timespan(999 * 3_600 * time::SECOND)),
        (Type::Datetime, "2000-01-02T12:00", Atom::Timestamp(time::DAY + time::DAY / 2)),
        (Type::Char, "x", Atom::Char(b'x')),
        (Type::Date, "2015-01-07", Atom::Date(5485)),
        (Type::Minute, "09:30", Atom::Minute(570)),
    ] {
        assert_eq!(cast(Op::Eq, ty, Value::str(text)), Ok(Value::Atom(atom)), "{ty} {text}");
    }
}

#[test]
fn lists_become_vectors_and_numbers_of_several_types_one() {
    let texts = Value::list([Value::str("a"), Value::str("b")]);
    assert_eq!(cast(Op::In, Type::Symbol, texts), Ok(Value::syms(["a", "b"])));
    assert_eq!(cast(Op::In, Type::Symbol, Value::str("ab")), Ok(Value::syms(["ab"])));
    let chars = cast(Op::In, Type::Char, Value::str("ab"));
    assert_eq!(chars, Ok(Value::str("ab")));
    let mixed = Value::list([Value::from(1i64), Value::from(2.5)]);
    assert_eq!(cast(Op::In, Type::Long, mixed.clone()), Ok(mixed), "as they are: no digit is lost");
    let whole = Value::list([Value::from(1i64), Value::from(2.0)]);
    assert_eq!(cast(Op::In, Type::Int, whole), Ok(Value::Vector(Vector::new(Type::Int, vec![1, 2]))));
    let with_null = Value::list([Value::from(1i64), Value::Null]);
    let expected = Vector::longs(vec![1, kvalue::types::NULL_LONG]);
    assert_eq!(cast(Op::In, Type::Long, with_null), Ok(Value::Vector(expected)));
}

#[test]
fn what_does_not_fit_is_named() {
    let err = cast(Op::Eq, Type::Long, Value::str("abc")).unwrap_err();
    assert_eq!(
        err,
        "filter compares the long column `c` by = with \"abc\": expected a number, or a text that reads as long"
    );
    assert!(cast(Op::Eq, Type::Symbol, Value::from(1i64)).unwrap_err().contains("a symbol or a text"));
    assert!(
        cast(Op::Eq, Type::Long, Value::from(Vector::longs(vec![1, 2]))).unwrap_err().contains("in takes")
    );
    assert!(cast(Op::Within, Type::Long, Value::from(1i64)).unwrap_err().contains("a pair"));
    assert!(cast(Op::Like, Type::Long, Value::str("1*")).unwrap_err().contains("symbols or strings"));
    assert!(cast(Op::Eq, Type::Guid, Value::str("x")).is_err());
    assert!(cast(Op::Eq, Type::Float, Value::str("nan")).is_err());
    assert!(cast(Op::Eq, Type::Long, Value::str("inf")).is_err());
}

#[test]
fn the_cast_option_makes_symbols_of_numbers() {
    let kind = ColumnKind::Basic(Type::Symbol);
    let context = Context { op: Op::Eq, column: &"c".into(), kind: &kind, cast: true };
    assert_eq!(context.operand(&Value::from(5i64)).unwrap(), Value::sym("5"));
}

#[test]
fn what_could_mean_two_things_is_refused() {
    for ty in Type::ALL.into_iter().filter(|ty| ty.is_temporal()) {
        for number in [Value::from(20_240_102i64), Value::from(1.5), Value::from(true)] {
            let err = cast(Op::Eq, ty, number).unwrap_err();
            assert!(err.contains("or a text that reads as one, such as"), "{err}");
        }
        assert_eq!(
            cast(Op::Eq, ty, Value::from(i64::MIN)),
            Ok(Value::Atom(Atom::null(ty))),
            "a null is a null"
        );
    }
    assert!(cast(Op::Eq, Type::Long, Value::Atom(Atom::Date(5))).is_err());
    assert!(cast(Op::Eq, Type::Char, Value::from(5i64)).unwrap_err().contains("one character"));
    for ty in [Type::Boolean, Type::Byte] {
        assert!(cast(Op::Eq, ty, Value::Null).unwrap_err().contains("is never null"), "{ty}");
    }
    for text in ["7", "0x123", "zz", "+f"] {
        assert!(cast(Op::Eq, Type::Byte, Value::str(text)).unwrap_err().contains("two hex digits"), "{text}");
    }
}

#[test]
fn items_of_a_list_of_strings_are_texts() {
    let kind = ColumnKind::Nested(Type::Char);
    let context = |cast| {
        Context { op: Op::In, column: &"s".into(), kind: &kind, cast }
            .operand(&Value::list([Value::str("a"), Value::from(5i64)]))
    };
    assert!(context(false).unwrap_err().ai.contains("the long 5: expected a text"));
    assert_eq!(context(true).unwrap(), Value::list([Value::str("a"), Value::str("5")]));
}

#[test]
fn a_lone_float_of_json_is_the_real_that_shows_its_digits() {
    let kind = ColumnKind::Basic(Type::Real);
    let context = |cast, x: f64| {
        Context { op: Op::Eq, column: &"e".into(), kind: &kind, cast }.operand(&Value::from(x)).unwrap()
    };
    assert_eq!(context(true, 0.1), Value::Atom(Atom::Real(0.1)));
    assert_eq!(context(true, 0.123456789), Value::from(0.123456789), "no real shows this");
    assert_eq!(context(false, 0.1), Value::from(0.1), "typed values compare as q compares them");
}

#[test]
fn texts_that_stand_for_other_bytes_are_refused() {
    let kind = ColumnKind::Basic(Type::Symbol);
    let context = Context { op: Op::Eq, column: &"c".into(), kind: &kind, cast: true };
    assert!(context.operand(&Value::str("a\u{fffd}")).unwrap_err().ai.contains("U+FFFD"));
}

#[test]
fn lists_are_read_as_the_rows_hold_them() {
    let kind = ColumnKind::Nested(Type::Real);
    let context = Context { op: Op::Eq, column: &"l".into(), kind: &kind, cast: true };
    let reals = Value::Vector(Vector::from_atoms(Type::Real, &[Atom::Real(0.1), Atom::Real(2.0)]).unwrap());
    assert_eq!(context.operand(&Value::from(Vector::floats(vec![0.1, 2.0]))).unwrap(), reals);
    assert!(context.operand(&Value::from(1i64)).unwrap_err().ai.contains("a list of real"));
}
