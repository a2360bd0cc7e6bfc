//! What is said about a request before the first row is read: names and types against a table.

mod common;

use getdata::{Column, ColumnKind, MemorySource, TableSchema};
use kvalue::{Type, Value};

fn schema() -> TableSchema {
    let column = |name: &str, kind| Column { name: name.into(), kind };
    let columns = vec![
        column("time", ColumnKind::Basic(Type::Timestamp)),
        column("sym", ColumnKind::Basic(Type::Symbol)),
        column("price", ColumnKind::Basic(Type::Float)),
        column("size", ColumnKind::Basic(Type::Int)),
        column("note", ColumnKind::Nested(Type::Char)),
        column("torn", ColumnKind::Unreadable("its file is cut short".into())),
    ];
    TableSchema::timed("trade".into(), columns, Some(("date".into(), Type::Date)))
}

fn refused(args: Vec<(&str, Value)>) -> String {
    let mut args = [vec![("table", Value::sym("trade"))], args].concat();
    if args.len() > 1 && args.iter().all(|(name, _)| *name != "agg") {
        // All columns would have the one that cannot be read.
        args.push(("agg", Value::sym("price")));
    }
    let query = common::parse(&args).unwrap();
    let failure = query.bind(&schema()).unwrap_err();
    failure.ai
}

fn triple(op: &str, column: &str, operand: Value) -> Value {
    Value::list(vec![Value::list(vec![Value::sym(op), Value::sym(column), operand])])
}

fn agg(entries: &[&[&str]]) -> Value {
    Value::list(
        entries.iter().map(|e| Value::list(e.iter().map(Value::str).collect::<Vec<_>>())).collect::<Vec<_>>(),
    )
}

#[test]
fn unknown_columns_are_named_with_those_the_table_has() {
    let known = "time, sym, price, size, note, torn, date";
    for (args, arg) in [
        (vec![("filter", triple("=", "px", Value::from(1i64)))], "filter"),
        (vec![("groupBy", Value::sym("px"))], "groupBy"),
        (vec![("agg", Value::sym("px"))], "agg"),
        (vec![("agg", agg(&[&["a", "max", "px"]]))], "agg"),
    ] {
        let err = refused(args);
        assert!(err.contains(&format!("{arg} names the column `px`")) && err.contains(known), "{err}");
    }
}

#[test]
fn columns_of_the_result_are_checked_by_its_own_names() {
    let err = refused(vec![("agg", agg(&[&["high", "max", "price"]])), ("sortCols", Value::sym("price"))]);
    assert_eq!(err, "sortCols names `price`, which the result has not: it has high");
    let err = refused(vec![("agg", Value::syms(["sym", "price"])), ("outputTZCols", Value::sym("time"))]);
    assert!(err.contains("it has sym, price"), "{err}");
    let err = refused(vec![("agg", Value::sym("price")), ("outputTZCols", Value::sym("price"))]);
    assert!(err.contains("no timestamp column"), "{err}");
    let err = refused(vec![("groupBy", Value::sym("sym")), ("agg", agg(&[&["sym", "max", "price"]]))]);
    assert!(err.contains("agg makes the column `sym`, which groupBy has too"), "{err}");
}

#[test]
fn operands_that_cannot_be_compared_are_refused() {
    for (op, column, operand, says) in [
        ("=", "price", Value::str("dear"), "reads as float"),
        ("=", "price", Value::syms(["a", "b"]), "in takes a list"),
        ("=", "sym", Value::from(1i64), "a symbol or a text"),
        ("within", "price", Value::from(1i64), "a pair of bounds"),
        ("like", "price", Value::str("1*"), "symbols or strings"),
        ("like", "sym", Value::from(1i64), "a pattern"),
        ("like", "sym", Value::str("[a"), "[ without its ]"),
        ("=", "note", Value::from(1i64), "a text"),
        ("=", "time", Value::sym("IBM"), "a timestamp or a text"),
        ("in", "sym", Value::from(kvalue::Vector::longs(vec![1])), "a symbol or a text"),
    ] {
        let err = refused(vec![("filter", triple(op, column, operand))]);
        assert!(err.contains(&format!("`{column}`")) && err.contains(says), "{op} {column}: {err}");
    }
}

#[test]
fn functions_that_a_type_has_not_are_refused() {
    for (f, column) in [("avg", "sym"), ("sum", "note"), ("max", "sym"), ("dev", "note"), ("all", "sym")] {
        let err = refused(vec![("agg", agg(&[&["a", f, column]]))]);
        assert!(err.contains(&format!("agg `a` cannot take {f} of {column}")), "{err}");
    }
    let err = refused(vec![("agg", agg(&[&["a", "cor", "price", "sym"]]))]);
    assert!(err.contains("cor of price and sym"), "{err}");
}

#[test]
fn a_column_that_cannot_be_read_is_an_error_only_where_it_is_asked_for() {
    let err = refused(vec![]);
    assert!(err.contains("`torn`") && err.contains("its file is cut short"), "{err}");
    let args = [("table", Value::sym("trade")), ("agg", Value::sym("price"))];
    assert!(common::parse(&args).unwrap().bind(&schema()).is_ok());
}

#[test]
fn a_result_without_rows_has_the_schemas_types() {
    let mut schema = schema();
    schema.columns.pop();
    let source = MemorySource { schema: schema.clone(), blocks: vec![] };
    let types = |args: Vec<(&str, Value)>| -> Vec<(String, i8)> {
        let args = [vec![("table", Value::sym("trade"))], args].concat();
        let query = common::parse(&args).unwrap();
        let bound = query.bind(&schema).unwrap();
        let (value, _) = common::whole(&bound, &source).unwrap();
        let table = common::table(&value);
        table.iter().map(|(n, c)| (String::from_utf8_lossy(n).into_owned(), c.type_number())).collect()
    };
    let named =
        |expected: &[(&str, i8)]| expected.iter().map(|(n, t)| (n.to_string(), *t)).collect::<Vec<_>>();
    assert_eq!(types(vec![]), named(&[("time", 12), ("sym", 11), ("price", 9), ("size", 6), ("note", 0)]));
    let groups =
        vec![("groupBy", Value::sym("sym")), ("agg", agg(&[&["n", "count", "size"], &["s", "sum", "size"]]))];
    assert_eq!(types(groups), named(&[("sym", 11), ("n", 7), ("s", 6)]));
    let last = vec![("groupBy", Value::sym("date")), ("agg", Value::syms(["date", "sym", "note"]))];
    assert_eq!(types(last), named(&[("date", 14), ("sym", 11), ("note", 0)]));
    let one = vec![("agg", agg(&[&["m", "max", "price"], &["l", "last", "note"]]))];
    assert_eq!(types(one), named(&[("m", 9), ("l", 0)]));
}
