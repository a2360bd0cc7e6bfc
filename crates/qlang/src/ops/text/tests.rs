//! Texts read and written, by kdb+'s documented results.

use kvalue::Type;

use super::{cast_to, json, md5, parse_text, sha1, tok::tok};
use crate::{ctx::Settings, format::inline, value::Value};

fn shown(v: &Value) -> String {
    inline(v, &Settings::default())
}

#[test]
fn texts_become_values() {
    for (letter, text, expected) in [
        ('J', "12", "12"),
        ('J', " -12 ", "-12"),
        ('J', "1.5", "0N"),
        ('H', "32768", "0Nh"),
        ('I', "2147483648", "0Ni"),
        ('I', "192.168.1.34", "-1062731486i"),
        ('B', "   Y  ", "1b"),
        ('B', "42", "0b"),
        ('X', "42", "0x42"),
        ('E', "3.14", "3.14e"),
        ('F', "1e5", "100000f"),
        ('F', "abc", "0n"),
        ('D', "2147483648", "0Nd"),
        ('D', "2000-12-12", "2000.12.12"),
        ('D', "20001212", "2000.12.12"),
        ('D', "06/01/2010", "2010.06.01"),
        ('D', "12Dec2000", "2000.12.12"),
        ('D', "2001.02.29", "0Nd"),
        ('U', "12:13:14", "12:13"),
        ('V', "121314", "12:13:14"),
        ('T', "123456789", "12:34:56.789"),
        ('T', "123456123987654", "12:34:56.123"),
        ('N', "123456123987654", "0D12:34:56.123987654"),
        ('N', "1D02:03", "1D02:03:00.000000000"),
        ('M', "2012.09", "2012.09m"),
        ('P', "2015-10-28D03:55:58.6542", "2015.10.28D03:55:58.654200000"),
        ('P', "2015-10-28T03:55:58Z", "2015.10.28D03:55:58.000000000"),
        ('P', "10129708800.123456789", "2290.12.31D00:00:00.123456789"),
        ('P', "20191122-11:11:11.123", "2019.11.22D11:11:11.123000000"),
        ('Z', "20191122-11:11:11.123", "2019.11.22T11:11:11.123"),
        ('S', " IBM ", "`IBM"),
        ('G', "::FFFF:192.0.2.1", "00000000-0000-0000-0000-ffffc0000201"),
        ('P', "0W", "0Wp"),
    ] {
        let ty = Type::from_letter(letter.to_ascii_lowercase()).unwrap();
        let v = Value::atom(ty, parse_text(ty, text.as_bytes(), false));
        assert_eq!(shown(&v), expected, "{letter} {text}");
    }
    let list = Value::list(vec![Value::string("1"), Value::string("x")]);
    assert_eq!(shown(&tok(Type::Long, list, false).unwrap()), "1 0N");
}

#[test]
fn casts_between_types() {
    for (ty, v, expected) in [
        (Type::Int, Value::floats(vec![6.1, 6.6, f64::NAN]), "6 7 0Ni"),
        (Type::Byte, Value::longs(vec![2147483645, 2147483649]), "0xfdff"),
        (Type::Short, Value::Long(1 << 40), "0Wh"),
        (Type::Timestamp, Value::Date(-121_715), "-0Wp"),
        (Type::Date, Value::Timestamp(-1), "1999.12.31"),
        (Type::Time, Value::Timestamp(3_600_000_000_000), "01:00:00.000"),
        (Type::Minute, Value::Timespan(90_000_000_000_000), "25:00"),
        (Type::Month, Value::Date(42), "2000.02m"),
        (Type::Boolean, Value::string(" a"), "11b"),
        (Type::Date, Value::null(Type::Timestamp), "0Nd"),
        (Type::Float, Value::Long(i64::MIN), "0n"),
    ] {
        assert_eq!(shown(&cast_to(ty, v).unwrap()), expected, "{ty}");
    }
    assert!(cast_to(Type::Long, Value::sym("a")).is_err());
}

#[test]
fn hashes() {
    let hex = |b: &[u8]| b.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(hex(&md5(b"this is a not so secret message")), "6cf192c1938b79012c323fa30e62787e");
    assert_eq!(hex(&sha1(b"Hello World!")), "2ef7bde608ce5404e97d5f042f95f89f1c232871");
    assert_eq!(hex(&sha1(&[b'a'; 119])), hex(&sha1("a".repeat(119).as_bytes())));
}

#[test]
fn json_both_ways() {
    for (text, expected) in [
        ("{\"a\":[1,2.5,null],\"b\":\"x\\u00e9\\n\"}", "`a`b!(1 2.5 0n;\"x\\303\\251\\n\")"),
        ("[{\"a\":1},{\"a\":2}]", "+(,`a)!,1 2f"),
        ("[true,false]", "10b"),
        (" [] ", "()"),
    ] {
        assert_eq!(shown(&json::read(text.as_bytes()).unwrap()), expected);
    }
    for bad in ["{", "[1,", "{\"a\"}", "[1] x", "\"\\u12\"", "-"] {
        assert!(json::read(bad.as_bytes()).is_err(), "{bad}");
    }
    let v =
        Value::list(vec![Value::Date(0), Value::Long(i64::MIN), Value::string("a\"b"), Value::Bool(true)]);
    assert_eq!(json::write(&v, 7, false).unwrap(), b"[\"2000-01-01\",null,\"a\\\"b\",true]");
}
