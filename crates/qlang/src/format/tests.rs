//! Texts as kdb+ shows them.

use std::sync::Arc;

use kvalue::Type;

use super::{console, float::float, inline};
use crate::{
    ctx::Settings,
    value::{Data, Dict, Sym, Table, Value},
};

fn g(x: f64, digits: usize) -> String {
    let mut out = Vec::new();
    float(&mut out, x, digits);
    String::from_utf8(out).unwrap()
}

#[test]
fn floats_are_written_as_c_writes_them() {
    for (x, digits, text) in [
        (0.1, 7, "0.1"),
        (1e7, 7, "1e+07"),
        (1234567.0, 7, "1234567"),
        (12345678.0, 7, "1.234568e+07"),
        (1e10, 7, "1e+10"),
        (1e-5, 7, "1e-05"),
        (0.0001, 7, "0.0001"),
        (-2.5e-130, 7, "-2.5e-130"),
        (2.0 / 3.0, 7, "0.6666667"),
        (0.1, 17, "0.10000000000000001"),
        (999999.96, 7, "1000000"),
        (9999999.9, 7, "1e+07"),
        (f64::INFINITY, 7, "0w"),
    ] {
        assert_eq!(g(x, digits), text, "{x} with {digits} digits");
    }
}

#[test]
fn lines_of_q_text() {
    let s = Settings::default();
    for (v, text) in [
        (Value::Long(1), "1"),
        (Value::Float(1.0), "1f"),
        (Value::floats(vec![1.0, f64::NAN]), "1 0n"),
        (Value::floats(vec![1.0, 2.0]), "1 2f"),
        (Value::longs(vec![7]), ",7"),
        (Value::vector(Type::Int, Data::I32(vec![1, i32::MIN].into())), "1 0Ni"),
        (Value::vector(Type::Month, Data::I32(vec![0, 1].into())), "2000.01 2000.02m"),
        (Value::vector(Type::Date, Data::I32(vec![].into())), "`date$()"),
        (Value::null(Type::Timestamp), "0Np"),
        (Value::string("a\"\n\x01"), "\"a\\\"\\n\\001\""),
        (Value::syms(vec![Sym::new("a"), Sym::NULL]), "`a`"),
        (Value::list(vec![Value::Long(1), Value::sym("a")]), "(1;`a)"),
        (Value::list(vec![Value::string("ab")]), ",\"ab\""),
    ] {
        assert_eq!(inline(&v, &s), text);
    }
}

#[test]
fn the_console_lays_out_tables_and_cuts_them() {
    let s = Settings::default();
    let column = Value::longs((0..30).collect());
    let t = Table::new(vec![Sym::new("abc"), Sym::new("b")], vec![column.clone(), column]).unwrap();
    let text = console(&Value::table(t), &s);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 23);
    assert_eq!(lines[..3], ["abc b ", "------", "0   0 "]);
    assert_eq!(lines[22], "..");
    let d = Dict::of(vec![("a", Value::longs(vec![1, 20])), ("bc", Value::longs(vec![300, 4]))]);
    assert_eq!(console(&Value::Dict(Arc::new(d)), &s), "a | 1   20\nbc| 300 4 \n");
    let long = console(&Value::longs((0..1000).collect()), &s);
    assert_eq!(long.len(), 80);
    assert!(long.ends_with("..\n"));
}
