//! Every argument in the forms clients send it, and what is said to bad ones.

use kernels::{aggregate::Function, compare::Op};
use kvalue::{Opaque, Vector, time::DAY};

use super::*;
use crate::query::{Aggregate, Filter};

const HOUR: i64 = 3_600 * kvalue::time::SECOND;
/// 2015.01.07
const DAY_0: i64 = 5485 * DAY;

fn parse(pairs: Vec<(&str, Value)>) -> Result<Query, String> {
    let table =
        std::iter::once(("table", Value::sym("trade"))).filter(|_| pairs.iter().all(|p| p.0 != "table"));
    let args = Dict::of(table.chain(pairs.clone()).collect::<Vec<_>>());
    let parsed = Query::parse(&args, &ParseOptions::default());
    let read = Query::read(&Raw::of(&Value::from(args)), false, |_| false);
    assert_eq!(format!("{read:?}"), format!("{parsed:?}"), "as it travels");
    parsed.map_err(|f| {
        assert_eq!((f.rc.0, f.ac.0), (5, 23), "{}", f.ai);
        f.ai
    })
}

fn ok(pairs: Vec<(&str, Value)>) -> Query {
    let shown = format!("{pairs:?}");
    parse(pairs).unwrap_or_else(|e| panic!("{shown}: {e}"))
}

fn refused(name: &str, value: Value, says: &[&str]) {
    let shown = format!("{name}={value:?}");
    match parse(vec![(name, value)]) {
        Ok(query) => panic!("{shown} was taken as {query:?}"),
        Err(e) => {
            for part in says {
                assert!(e.contains(part), "{shown}: {e:?} does not say {part:?}");
            }
        }
    }
}

fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::list(items.into_iter().collect::<Vec<_>>())
}

fn texts<const N: usize>(items: [&str; N]) -> Value {
    list(items.map(Value::str))
}

fn primitive(bytes: &'static [u8]) -> Value {
    Value::Opaque(Opaque::new(bytes::Bytes::from_static(bytes)))
}

fn timestamp(t: i64) -> Value {
    Value::Atom(Atom::Timestamp(t))
}

fn condition(op: Op, column: &str, operand: Value) -> Filter {
    Filter::Condition { op, column: column.into(), operand }
}

#[test]
fn a_table_alone_asks_for_everything() {
    let query = ok(vec![]);
    assert_eq!((query.table.text().as_ref(), query.range), ("trade", TimeRange::ALL));
    assert!(query.filter.is_none() && query.is_rows());
    assert_eq!(query.limit, None);
    assert_eq!(ok(vec![("table", Value::str("quote"))]).table, "quote");
}

#[test]
fn table_is_needed_and_a_name() {
    let err = Query::parse(&Dict::of([("limit", Value::from(1i64))]), &ParseOptions::default()).unwrap_err();
    assert!(err.ai.contains("argument table"), "{err}");
    refused("table", Value::from(1i64), &["table must be", "the long 1"]);
    refused("table", Value::sym(""), &["table must be"]);
}

#[test]
fn unknown_arguments_are_named_with_the_known_ones() {
    refused("startTs", timestamp(0), &["`startTs`", "startTS", "sortCols"]);
    // A q caller's placeholder for "no argument".
    ok(vec![("", Value::Null)]);
    ok(vec![("labels", Value::empty_dict()), ("scope", Value::empty_dict())]);
}

#[test]
fn labels_may_stand_among_the_arguments_where_allowed() {
    let args = Dict::of([("table", Value::sym("t")), ("region", Value::sym("amer"))]);
    assert!(Query::parse(&args, &ParseOptions::default()).is_err());
    let options = ParseOptions { labels: vec!["region".into()], ..ParseOptions::default() };
    assert!(Query::parse(&args, &options).is_ok());
}

#[test]
fn instants_come_as_timestamps_dates_and_texts() {
    for value in [
        timestamp(DAY_0),
        Value::Atom(Atom::Date(5485)),
        Value::Atom(Atom::Datetime(5485.0)),
        Value::str("2015.01.07"),
        Value::str("2015-01-07T00:00:00.0"),
        Value::str("2015.01.07D00:00:00.000000000"),
        Value::sym("2015.01.07D"),
        Value::str("2015-01-07T01:00:00+01:00"),
    ] {
        assert_eq!(ok(vec![("startTS", value.clone())]).range.start(), DAY_0, "{value:?}");
        assert_eq!(ok(vec![("endTS", value.clone())]).range.end(), DAY_0, "{value:?}");
    }
    let month = ok(vec![("startTS", Value::Atom(Atom::Month(180)))]).range;
    assert_eq!(month.start(), 5479 * DAY);
}

#[test]
fn open_instants_are_null_infinite_or_absent() {
    for value in [Value::Null, timestamp(i64::MIN), timestamp(i64::MAX), Value::str("0Wp"), Value::str("")] {
        assert_eq!(ok(vec![("endTS", value.clone())]).range, TimeRange::ALL, "{value:?}");
    }
    assert_eq!(ok(vec![("startTS", Value::Atom(Atom::Date(-i32::MAX)))]).range, TimeRange::ALL);
}

#[test]
fn bad_instants_and_ranges_backwards_are_refused() {
    refused("startTS", Value::str("yesterday"), &["startTS must be a timestamp", "\"yesterday\""]);
    refused("endTS", Value::from(5i64), &["endTS must be a timestamp", "the long 5"]);
    refused("endTS", Value::Vector(Vector::timestamps(vec![1, 2])), &["endTS", "2 items"]);
    let err = parse(vec![("startTS", timestamp(DAY_0 + 1)), ("endTS", timestamp(DAY_0))]).unwrap_err();
    assert!(err.contains("2015.01.07D00:00:00.000000001") && err.contains("endTS 2015.01.07D"), "{err}");
    let empty = ok(vec![("startTS", timestamp(DAY_0)), ("endTS", timestamp(DAY_0))]);
    assert!(empty.range.is_empty());
}

#[test]
fn local_instants_follow_the_input_zone() {
    let query = ok(vec![
        ("startTS", Value::str("2015.01.07D09:30")),
        ("endTS", Value::str("2015-01-07T16:00:00Z")),
        ("inputTZ", Value::sym("America/New_York")),
    ]);
    assert_eq!(query.range.start(), DAY_0 + 14 * HOUR + HOUR / 2);
    // The text says its own zone.
    assert_eq!(query.range.end(), DAY_0 + 16 * HOUR);
    refused("inputTZ", Value::sym("Mars/Olympus"), &["inputTZ `Mars/Olympus`"]);
    refused("outputTZ", Value::from(1i64), &["outputTZ must be a tz database name"]);
}

#[test]
fn filters_come_as_symbols_texts_and_primitives() {
    let expected = Filter::All(vec![condition(Op::Gt, "size", Value::from(100i64))]);
    for op in [Value::sym(">"), Value::str(">"), primitive(&[102, 10])] {
        for column in [Value::sym("size"), Value::str("size")] {
            let triple = list([op.clone(), column, Value::from(100i64)]);
            assert_eq!(ok(vec![("filter", list([triple]))]).filter, expected);
        }
    }
    // Three symbols arrive as a vector.
    let query = ok(vec![("filter", list([Value::syms(["=", "sym", "IBM"])]))]);
    assert_eq!(query.filter, Filter::All(vec![condition(Op::Eq, "sym", Value::sym("IBM"))]));
    // A condition without a list around it.
    let query = ok(vec![("filter", Value::syms(["=", "sym", "IBM"]))]);
    assert_eq!(query.filter, condition(Op::Eq, "sym", Value::sym("IBM")));
}

#[test]
fn every_operator_is_known_in_every_form() {
    let compositions: [(&'static [u8], Op); 3] = [
        (&[105, 2, 0, 0, 0, 101, 15, 102, 8], Op::Ne),
        (&[105, 2, 0, 0, 0, 101, 15, 102, 9], Op::Ge),
        (&[105, 2, 0, 0, 0, 101, 15, 102, 10], Op::Le),
    ];
    let primitives: [(&'static [u8], Op); 6] = [
        (&[102, 8], Op::Eq),
        (&[102, 9], Op::Lt),
        (&[102, 10], Op::Gt),
        (&[102, 23], Op::In),
        (&[102, 24], Op::Within),
        (&[102, 25], Op::Like),
    ];
    let functions = compositions.into_iter().chain(primitives).map(|(bytes, op)| (primitive(bytes), op));
    let named =
        Op::EVERY.into_iter().flat_map(|op| [(Value::sym(op.name()), op), (Value::str(op.name()), op)]);
    for (word, op) in functions.chain(named) {
        let filter = list([word, Value::sym("c"), Value::from(1i64)]);
        assert_eq!(ok(vec![("filter", filter)]).filter, condition(op, "c", Value::from(1i64)));
    }
}

#[test]
fn filters_nest() {
    let eq = texts(["=", "sym", "A"]);
    let lt = list([Value::str("<"), Value::str("price"), Value::from(500i64)]);
    let query =
        ok(vec![("filter", list([Value::str("and"), eq.clone(), list([Value::str("not"), lt.clone()])]))]);
    let (eq_, lt_) =
        (condition(Op::Eq, "sym", Value::str("A")), condition(Op::Lt, "price", Value::from(500i64)));
    assert_eq!(query.filter, Filter::All(vec![eq_.clone(), Filter::Not(Box::new(lt_.clone()))]));
    let query = ok(vec![("filter", list([list([primitive(&[102, 6]), eq, lt])]))]);
    assert_eq!(query.filter, Filter::All(vec![Filter::Any(vec![eq_, lt_])]));
}

#[test]
fn bad_filters_say_what_is_wrong() {
    refused("filter", Value::from(1i64), &["filter must be a list of conditions", "the long 1"]);
    refused("filter", Value::str("size>1"), &["filter must be a list of conditions"]);
    refused("filter", list([texts(["~=", "a", "b"])]), &["`~=` in filter is no operator"]);
    refused("filter", list([texts(["=", "a"])]), &["has 2 parts", "(op;column;value)"]);
    refused(
        "filter",
        list([list([Value::str("="), Value::from(1i64), Value::from(1i64)])]),
        &["column's name"],
    );
    refused("filter", list([Value::from(1i64)]), &["filter must be a list"]);
    refused("filter", list([Value::str("or")]), &["or in filter has no conditions"]);
    refused(
        "filter",
        list([Value::str("not"), texts(["=", "a", "b"]), texts(["=", "a", "b"])]),
        &["not in filter takes one"],
    );
    let lambda = primitive(b"\x64\0\x0a\0\x05\0\0\0{x=y}");
    refused("filter", list([list([lambda, Value::sym("a"), Value::from(1i64)])]), &["not recognised"]);
    let deep = (0..100).fold(texts(["=", "a", "b"]), |inner, _| list([Value::str("not"), inner]));
    refused("filter", deep, &["nested deeper"]);
    let many = list(std::iter::repeat_n(texts(["=", "a", "b"]), 5000));
    refused("filter", many, &["more than 4096 conditions"]);
}

#[test]
fn agg_has_three_forms() {
    let same = |names: &[&str]| names.iter().map(|n| (Sym::from(*n), Sym::from(*n))).collect::<Vec<_>>();
    for value in [texts(["sym", "bid"]), Value::syms(["sym", "bid"])] {
        assert_eq!(ok(vec![("agg", value)]).agg, Agg::Columns(same(&["sym", "bid"])));
    }
    assert_eq!(ok(vec![("agg", Value::sym("sym"))]).agg, Agg::Columns(same(&["sym"])));
    let renamed = Agg::Columns(vec![("Symbol".into(), "sym".into()), ("Bid".into(), "bid".into())]);
    for pairs in [
        list([texts(["Symbol", "sym"]), texts(["Bid", "bid"])]),
        list([Value::syms(["Symbol", "sym"]), Value::syms(["Bid", "bid"])]),
    ] {
        assert_eq!(ok(vec![("agg", pairs)]).agg, renamed);
    }
    let high = Agg::Functions(vec![Aggregate {
        name: "h".into(),
        function: Function::Max,
        columns: vec!["bid".into()],
    }]);
    for triple in [
        texts(["h", "max", "bid"]),
        Value::syms(["h", "max", "bid"]),
        list([Value::sym("h"), primitive(&[101, 28]), Value::sym("bid")]),
    ] {
        assert_eq!(ok(vec![("agg", list([triple]))]).agg, high);
    }
    for value in [Value::Null, list([])] {
        assert_eq!(ok(vec![("agg", value)]).agg, Agg::All);
    }
}

#[test]
fn dyadic_functions_take_two_columns() {
    let vwap = Agg::Functions(vec![Aggregate {
        name: "vwap".into(),
        function: Function::Wavg,
        columns: vec!["size".into(), "price".into()],
    }]);
    for entry in [
        texts(["vwap", "wavg", "size", "price"]),
        Value::syms(["vwap", "wavg", "size", "price"]),
        list([Value::str("vwap"), Value::str("wavg"), texts(["size", "price"])]),
        list([Value::sym("vwap"), primitive(&[102, 30]), Value::sym("size"), Value::sym("price")]),
    ] {
        assert_eq!(ok(vec![("agg", list([entry]))]).agg, vwap);
    }
    refused(
        "agg",
        list([texts(["v", "wavg", "size"])]),
        &["wavg for `v`", "two columns, got 1", "left;right"],
    );
    refused("agg", list([texts(["v", "max", "a", "b"])]), &["max for `v`", "one column, got 2"]);
}

#[test]
fn all_functions_are_known_by_name() {
    for f in Function::EVERY {
        let mut entry = vec!["new", f.name(), "a"];
        if f.is_dyadic() {
            entry.push("b");
        }
        match ok(vec![("agg", list([list(entry.into_iter().map(Value::str))]))]).agg {
            Agg::Functions(functions) => assert_eq!(functions[0].function, f),
            other => panic!("{f}: {other:?}"),
        }
    }
}

#[test]
fn bad_aggregates_say_what_is_wrong() {
    refused("agg", Value::from(1i64), &["agg must be a list of columns", "the long 1"]);
    refused("agg", list([texts(["h", "median", "bid"])]), &["`median` for `h`", "wavg"]);
    refused("agg", texts(["a", "a"]), &["`a` twice"]);
    refused("agg", list([texts(["h", "max", "a"]), texts(["h", "min", "a"])]), &["`h` twice"]);
    refused("agg", list([texts(["h"])]), &["entry of 1 parts"]);
    refused("agg", list([texts(["h", "max", "a"]), texts(["x", "y"])]), &["all of one form"]);
    refused(
        "agg",
        list([list([Value::sym("h"), Value::from(1i64), Value::sym("a")])]),
        &["function for `h`"],
    );
    refused(
        "agg",
        list([list([Value::sym("h"), Value::sym("max"), Value::from(1i64)])]),
        &["the long 1 where a column"],
    );
    let lambda = primitive(b"\x64\0\x0a\0\x05\0\0\0{x+y}");
    refused(
        "agg",
        list([list([Value::sym("h"), lambda, Value::sym("a")])]),
        &["not recognised", "name as a symbol", "svar"],
    );
}

#[test]
fn column_lists_come_as_symbols_and_texts() {
    for value in [Value::syms(["a", "b"]), texts(["a", "b"])] {
        let query =
            ok(vec![("groupBy", value.clone()), ("sortCols", value.clone()), ("outputTZCols", value)]);
        let expected: Vec<Sym> = vec!["a".into(), "b".into()];
        assert_eq!(
            (query.group_by, query.sort_cols, query.output_tz_cols),
            (expected.clone(), expected.clone(), expected)
        );
    }
    assert_eq!(ok(vec![("groupBy", Value::sym("a"))]).group_by, vec![Sym::from("a")]);
    refused("groupBy", Value::from(1i64), &["groupBy must be a list of column names", "the long 1"]);
    refused("sortCols", texts(["a", "a"]), &["sortCols has the column `a` twice"]);
}

#[test]
fn fill_is_zero_or_forward() {
    assert_eq!(ok(vec![("fill", Value::sym("zero"))]).fill, Some(Fill::Zero));
    assert_eq!(ok(vec![("fill", Value::str("forward"))]).fill, Some(Fill::Forward));
    assert_eq!(ok(vec![("fill", Value::sym(""))]).fill, None);
    refused("fill", Value::sym("backward"), &["fill must be zero or forward", "`backward"]);
}

#[test]
fn limits_come_in_both_signs_and_as_pairs() {
    let first = |skip, count| Some(Limit::First { skip, count });
    for (value, expected) in [
        (Value::from(3i64), first(0, 3)),
        (Value::from(3i32), first(0, 3)),
        (Value::from(3.0), first(0, 3)),
        (Value::from(-3i64), Some(Limit::Last(3))),
        (Value::from(0i64), first(0, 0)),
        (Value::Vector(Vector::longs(vec![3])), first(0, 3)),
        (Value::Vector(Vector::longs(vec![-3])), Some(Limit::Last(3))),
        (Value::Vector(Vector::longs(vec![5, 3])), first(5, 3)),
        (list([Value::from(5i64), Value::from(3.0)]), first(5, 3)),
    ] {
        assert_eq!(ok(vec![("limit", value.clone())]).limit, expected, "{value:?}");
    }
    for bad in [
        Value::from(1.5),
        Value::str("3"),
        Value::from(true),
        Value::Vector(Vector::longs(vec![-1, 3])),
        Value::Vector(Vector::longs(vec![1, -3])),
        Value::Vector(Vector::longs(vec![1, 2, 3])),
        Value::Atom(Atom::null(Type::Long)),
    ] {
        refused("limit", bad, &["limit must be a number of rows", "(offset;number)"]);
    }
}

#[test]
fn slices_are_windows_of_a_day() {
    let slice = |pairs| ok(pairs).slice.map(|s| (s.from, s.to));
    let temporality = ("temporality", Value::sym("slice"));
    for window in [
        texts(["09:30", "16:00:00.000"]),
        Value::Vector(Vector::new(Type::Minute, vec![570, 960])),
        Value::Vector(Vector::new(Type::Time, vec![34_200_000, 57_600_000])),
        list([Value::Atom(Atom::Second(34_200)), Value::Atom(Atom::Timespan(16 * HOUR))]),
    ] {
        let found = slice(vec![temporality.clone(), ("slice", window)]);
        assert_eq!(found, Some((9 * HOUR + HOUR / 2, 16 * HOUR)));
    }
    assert_eq!(slice(vec![("temporality", Value::sym("snapshot"))]), None);
    // Without slice the window is between the times of day of the range.
    let range = [("startTS", Value::str("2015.01.07D09:30")), ("endTS", Value::str("2015.01.09D10:00"))];
    let found = slice([vec![temporality.clone()], range.to_vec()].concat());
    assert_eq!(found, Some((9 * HOUR + HOUR / 2, 10 * HOUR)));
    let range = [("startTS", Value::str("2015.01.07D09:30")), ("endTS", Value::str("2015.01.09"))];
    assert_eq!(slice([vec![temporality], range.to_vec()].concat()), Some((9 * HOUR + HOUR / 2, DAY)));
}

#[test]
fn bad_slices_say_what_is_wrong() {
    refused("temporality", Value::sym("sometimes"), &["temporality must be snapshot or slice", "`sometimes"]);
    refused("temporality", Value::sym("slice"), &["needs a window"]);
    refused("slice", texts(["09:30", "16:00"]), &["without temporality"]);
    let with =
        |slice: Value| parse(vec![("temporality", Value::sym("slice")), ("slice", slice)]).unwrap_err();
    assert!(with(texts(["16:00", "09:30"])).contains("slice ends at"));
    assert!(with(texts(["16:00"])).contains("pair of times of day"));
    assert!(with(texts(["09:30", "noon"])).contains("pair of times of day"));
    assert!(with(texts(["09:30", "25:00"])).contains("pair of times of day"));
    assert!(with(Value::from(1i64)).contains("the long 1"));
    let snapshot = parse(vec![("temporality", Value::sym("snapshot")), ("slice", texts(["09:30", "10:00"]))]);
    assert!(snapshot.unwrap_err().contains("snapshot"));
}

#[test]
fn the_range_alone_can_be_read() {
    let args = Dict::of([("startTS", timestamp(5)), ("endTS", timestamp(9)), ("anything", Value::Null)]);
    assert_eq!(range(&args).unwrap(), TimeRange::new(5, 9).unwrap());
}

#[test]
fn arguments_are_read_from_whatever_dictionary_travels() {
    let read = |value: Value| Query::read(&Raw::of(&value), false, |_| false).map(|q| q.table);
    let names = |pairs: [Value; 2]| Dict::new(pairs[0].clone(), pairs[1].clone()).unwrap();
    let table = Ok(Sym::new("trade"));
    assert_eq!(read(names([Value::syms(["table"]), Value::syms(["trade"])]).into()), table);
    assert_eq!(read(names([texts(["table"]), texts(["trade"])]).into()), table);
    let twice = Dict::of([("table", Value::sym("trade")), ("table", Value::sym("quote"))]);
    assert!(read(twice.into()).unwrap_err().ai.contains("table is given twice"));
    let other = read(Value::sym("trade")).unwrap_err();
    assert_eq!(other.ai, "args must be a dictionary, got a symbol");
    let damaged = Query::read(&Raw(bytes::Bytes::from_static(&[99, 11])), false, |_| false);
    assert!(damaged.unwrap_err().ai.starts_with("args: "));
}
