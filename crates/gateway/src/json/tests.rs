//! Golden texts per type; parsed back, what was written is what was there; any cut gives the same text.

use bytes::Bytes;
use kvalue::{Atom, Dict, Sym, Table, Type, Value, Vector};
use proptest::prelude::*;
use qipc::{Limits, Raw};

use super::{Json, Part};

fn json(value: &Value) -> String {
    let text = Json::text(&Raw::of(value).0, &Limits::client()).expect("valid object");
    String::from_utf8(text).expect("UTF-8")
}

fn atom(ty: Type, text: &str) -> Value {
    Value::Atom(kvalue::time::parse(ty, text).expect("a time"))
}

#[test]
fn each_type_has_its_text() {
    let guid: [u8; 16] = std::array::from_fn(|i| i as u8);
    let cases = [
        (Value::from(true), "true"),
        (Value::Atom(Atom::Byte(0x0a)), r#""0a""#),
        (Value::Atom(Atom::Guid(guid)), r#""00010203-0405-0607-0809-0a0b0c0d0e0f""#),
        (Value::from(-5i16), "-5"),
        (Value::from(7i32), "7"),
        (Value::from(9_007_199_254_740_993i64), "9007199254740993"),
        (Value::Atom(Atom::Real(0.1)), "0.1"),
        (Value::from(0.1f64), "0.1"),
        (Value::from(1e300f64), "1e300"),
        (Value::Atom(Atom::Char(b'a')), r#""a""#),
        (Value::sym("a\"b"), r#""a\"b""#),
        (Value::str("tab\tnul\0é"), r#""tab\tnul\u0000é""#),
        (Value::str(b"bad \xff byte"), "\"bad \u{fffd} byte\""),
        (atom(Type::Timestamp, "2024.11.22D12:15:22.941"), r#""2024-11-22T12:15:22.941000000""#),
        (atom(Type::Timestamp, "1969.12.31D23:59:59.999999999"), r#""1969-12-31T23:59:59.999999999""#),
        (atom(Type::Month, "2024.11"), r#""2024-11""#),
        (atom(Type::Date, "2024.11.22"), r#""2024-11-22""#),
        (Value::Atom(Atom::Datetime(0.5)), r#""2000-01-01T12:00:00.000""#),
        (atom(Type::Timespan, "0D07:33:41.240573052"), r#""0D07:33:41.240573052""#),
        (atom(Type::Timespan, "-1D00:00:01"), r#""-1D00:00:01.000000000""#),
        (atom(Type::Minute, "12:15"), r#""12:15""#),
        (atom(Type::Second, "12:15:22"), r#""12:15:22""#),
        (atom(Type::Time, "12:15:22.941"), r#""12:15:22.941""#),
        (Value::Null, "null"),
        (Value::str(""), r#""""#),
        (Value::list([]), "[]"),
        (Value::empty_dict(), "{}"),
        (
            Value::list([Value::str("ab"), Value::from(1i64), Value::list([Value::Null])]),
            r#"["ab",1,[null]]"#,
        ),
        (Value::Vector(Vector::booleans(vec![true, false])), "[true,false]"),
        (Value::syms(["a", ""]), r#"["a",""]"#),
        (Value::Vector(Vector::fixed(Type::Byte, Bytes::from_static(&[1, 255])).unwrap()), r#"["01","ff"]"#),
    ];
    for (value, expected) in cases {
        assert_eq!(json(&value), expected, "{value:?}");
    }
}

#[test]
fn nulls_and_infinities_of_numbers_and_times_are_null() {
    for ty in Type::ALL {
        let written = json(&Value::Atom(Atom::null(ty)));
        let expected = match ty {
            Type::Boolean => "false",
            Type::Byte => r#""00""#,
            Type::Char => r#"" ""#,
            Type::Symbol => r#""""#,
            Type::Guid => r#""00000000-0000-0000-0000-000000000000""#,
            _ => "null",
        };
        assert_eq!(written, expected, "{ty:?}");
        if let Some(infinity) = Atom::infinity(ty) {
            assert_eq!(json(&Value::Atom(infinity)), "null", "{ty:?}");
        }
    }
    assert_eq!(json(&Value::from(-i64::MAX)), "null", "-0Wj");
}

fn trades() -> Table {
    Table::of([
        ("sym", Value::syms(["a", "bb"])),
        ("px", Value::Vector(Vector::floats(vec![1.5, f64::NAN]))),
        ("note", Value::list([Value::str("x"), Value::Vector(Vector::longs(vec![1, 2]))])),
    ])
    .unwrap()
}

#[test]
fn tables_are_arrays_of_rows() {
    let rows = r#"[{"sym":"a","px":1.5,"note":"x"},{"sym":"bb","px":null,"note":[1,2]}]"#;
    assert_eq!(json(&trades().into()), rows);
    assert_eq!(json(&trades().slice(0..0).into()), "[]");
    let keys = Table::of([("k", Value::Vector(Vector::longs(vec![7, 8])))]).unwrap();
    let keyed = Dict::new(keys.into(), Table::of([("v", Value::syms(["x", "y"]))]).unwrap().into()).unwrap();
    assert_eq!(json(&keyed.into()), r#"[{"k":7,"v":"x"},{"k":8,"v":"y"}]"#);
}

#[test]
fn dictionaries_are_objects_whatever_their_keys() {
    let of = |keys: Value, values: Value| json(&Dict::new(keys, values).unwrap().into());
    assert_eq!(
        of(Value::syms(["a", "b"]), Value::list([trades().slice(0..0).into(), 1i64.into()])),
        r#"{"a":[],"b":1}"#
    );
    assert_eq!(of(Value::Vector(Vector::longs(vec![1])), Value::syms(["x"])), r#"{"1":"x"}"#);
    assert_eq!(of(Value::list([Value::syms(["p"])]), Value::list([Value::Null])), r#"{"[\"p\"]":null}"#);
    let table = Table::of([("v", Value::Vector(Vector::longs(vec![3])))]).unwrap();
    assert_eq!(of(Value::syms(["r"]), table.into()), r#"{"r":{"v":3}}"#);
}

#[test]
fn functions_are_their_text_or_null() {
    let lambda = kvalue::Opaque::new(Bytes::from_static(b"\x64\0\x0a\0\x05\0\0\0{x+y}"));
    assert_eq!(json(&Value::Opaque(lambda)), r#""{x+y}""#);
    assert_eq!(json(&Value::Opaque(kvalue::Opaque::new(Bytes::from_static(b"\x66\x01")))), "null");
}

#[test]
fn damaged_objects_are_errors_not_panics() {
    let whole = Raw::of(&Value::list([trades().into(), Value::syms(["a"]), Value::str("text")])).0;
    for cut in 0..whole.len() {
        let mut out = Vec::new();
        let result =
            Json::new([Part::Object(whole.slice(..cut))], &Limits::client()).fill(&mut out, usize::MAX);
        assert!(cut == 0 || result.is_err(), "cut at {cut}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(|s| Value::str(s.as_bytes())),
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(|b| Value::str(&b)),
        proptest::collection::vec(any::<i32>(), 0..5).prop_map(|v| Value::Vector(Vector::new(Type::Time, v))),
        proptest::collection::vec("[a-z]{0,4}", 0..5).prop_map(Value::syms),
        any::<i64>().prop_map(|n| Value::Atom(Atom::Timestamp(n))),
        any::<i32>().prop_map(|n| Value::Atom(Atom::Date(n))),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::list),
            proptest::collection::vec(("[a-z]{1,4}", inner.clone()), 0..5)
                .prop_map(|pairs| Value::from(Dict::of(pairs))),
            (proptest::collection::vec(inner, 0..4), any::<bool>()).prop_map(|(cells, extra)| {
                let n = cells.len() as i64;
                let ids = Value::Vector(Vector::longs((0..n).collect()));
                let mut columns = vec![("id".to_string(), ids), ("cell".to_string(), Value::list(cells))];
                if extra {
                    columns.reverse();
                }
                Value::from(Table::of(columns).unwrap())
            }),
        ]
    })
}

/// What JSON should hold, from the decoded value: a second, naive path.
fn naive(value: &Value) -> serde_json::Value {
    use serde_json::Value as J;
    match value {
        Value::Null | Value::Opaque(_) => J::Null,
        Value::Atom(a) if matches!(a.scalar(), Some(kvalue::atom::Scalar::Integer(None))) => J::Null,
        Value::Atom(a) => match a {
            Atom::Boolean(b) => J::Bool(*b),
            Atom::Char(c) => J::String(String::from_utf8_lossy(&[*c]).into_owned()),
            Atom::Symbol(s) => J::String(s.text().into_owned()),
            Atom::Long(n) if *n == -i64::MAX || *n == i64::MAX => J::Null,
            Atom::Long(n) => J::from(*n),
            Atom::Float(x) => serde_json::Number::from_f64(*x).map_or(J::Null, J::Number),
            Atom::Timestamp(_) | Atom::Date(_) | Atom::Time(_) => {
                let text = kvalue::time::text(a);
                if text.contains('W') {
                    return J::Null;
                }
                // Only the date's dots become dashes, and `D` becomes `T`.
                match (a.ty(), text.split_once('D')) {
                    (Type::Time, _) => J::String(text),
                    (_, Some((date, clock))) => J::String(format!("{}T{clock}", date.replace('.', "-"))),
                    (_, None) => J::String(text.replace('.', "-")),
                }
            }
            other => panic!("not generated: {other:?}"),
        },
        Value::Vector(v) if v.ty() == Type::Char => {
            J::String(String::from_utf8_lossy(v.as_bytes().unwrap()).into_owned())
        }
        Value::Vector(_) | Value::List(_) => (0..value.count()).map(|i| naive(&value.index(i))).collect(),
        Value::Dict(d) => {
            let pairs = d.pairs().map(|(k, v): (Sym, Value)| (k.text().into_owned(), naive(&v)));
            J::Object(pairs.collect())
        }
        Value::Table(t) => (0..t.len()).map(|i| naive(&value_row(t, i))).collect(),
    }
}

fn value_row(table: &Table, i: usize) -> Value {
    Dict::of(table.iter().map(|(name, column)| (name.to_vec(), column.index(i)))).into()
}

proptest! {
    #[test]
    fn what_is_written_parses_back(value in values()) {
        let text = json(&value);
        let parsed: serde_json::Value = serde_json::from_str(&text)
            .map_err(|e| TestCaseError::fail(format!("{e}: {text}")))?;
        prop_assert_eq!(parsed, naive(&value));
    }

    #[test]
    fn any_piece_size_gives_the_same_text(value in values(), piece in 1usize..40) {
        let mut writer = Json::new([Part::Object(Raw::of(&value).0)], &Limits::client());
        let mut all = Vec::new();
        loop {
            let mut out = Vec::new();
            let more = writer.fill(&mut out, piece).unwrap();
            all.extend(out);
            if !more {
                break;
            }
        }
        prop_assert_eq!(String::from_utf8(all).unwrap(), json(&value));
    }
}

#[test]
fn lines_are_the_rows_of_the_array_and_the_largest_minutes_have_a_text() {
    let minutes = Vector::new::<i32>(Type::Minute, vec![i32::MAX - 1, -i32::MAX + 1, -1]);
    let nested =
        Value::list([Value::str("a\nb"), Value::from(Vector::longs(vec![1, 2])), Value::empty_dict()]);
    let table: Value = Table::of([("m", Value::from(minutes)), ("n", nested)]).unwrap().into();
    let write = |value: &Value| {
        let (mut json, mut lines) = (Vec::new(), Vec::new());
        crate::tool::write_json(value, &mut json).unwrap();
        crate::tool::write_ndjson(value, &mut lines).unwrap();
        (String::from_utf8(json).unwrap(), String::from_utf8(lines).unwrap())
    };
    let (json, lines) = write(&table);
    assert!(json.starts_with(r#"[{"m":"35791394:06","n":"a\nb"},{"m":"-35791394:06""#), "{json}");
    let rows: Vec<&str> = lines.lines().collect();
    assert_eq!((rows.len(), format!("[{}]", rows.join(","))), (3, json));
    // What is no table is one line.
    for single in [Value::from(1i64), Value::syms(["a", "b"]), Value::empty_dict(), Value::str("x")] {
        let (json, lines) = write(&single);
        assert_eq!(lines, format!("{json}\n"));
    }
    let empty: Value = Table::of([("m", Value::from(Vector::longs(vec![])))]).unwrap().into();
    assert_eq!(write(&empty), ("[]".into(), String::new()));
}
