//! The oracle: random getData requests over random cuts of a real kdb+ database equal the same request on one
//! process. Floats to 1e-9 of their size, everything else exactly.

mod common;
#[path = "common/real.rs"]
mod real;

use getdata::Source;
use kvalue::{Atom, Value, Vector, time::DAY};
use proptest::prelude::*;
use sg::{Failure, TimeRange};

use crate::real::{FIRST_DAY, Part};

fn texts<const N: usize>(items: [&str; N]) -> Value {
    Value::list(items.map(Value::str).to_vec())
}

fn condition() -> impl Strategy<Value = Value> {
    let syms = prop::sample::select(vec!["AAPL", "IBM", "MSFT", "GOOG", "no such"]);
    prop_oneof![
        syms.clone().prop_map(|s| texts(["=", "sym", s])),
        prop::collection::vec(syms, 1..4)
            .prop_map(|s| { Value::list(vec![Value::sym("in"), Value::sym("sym"), Value::syms(s)]) }),
        (20.0f64..120.0, 0.0f64..60.0).prop_map(|(a, n)| {
            let bounds = Value::from(Vector::floats(vec![a, a + n]));
            Value::list(vec![Value::sym("within"), Value::sym("price"), bounds])
        }),
        (1i64..4000).prop_map(|n| Value::list(vec![Value::str(">"), Value::str("size"), Value::from(n)])),
        any::<bool>().prop_map(|b| Value::list(vec![Value::str("="), Value::str("stop"), Value::from(b)])),
        Just(texts(["like", "sym", "*A*"])),
        Just(texts(["=", "date", "2015.01.07"])),
        Just(Value::list(vec![Value::str("or"), texts(["=", "ex", "N"]), texts(["=", "ex", "O"])])),
        Just(Value::list(vec![Value::str("not"), texts(["=", "sym", "AAPL"])])),
    ]
}

/// Aggregates whose value does not hang on the order of rows, and those that follow it.
const ANY_ORDER: [(&str, &[&str]); 20] = [
    ("count", &["price"]),
    ("sum", &["size"]),
    ("sum", &["price"]),
    ("avg", &["price"]),
    ("avg", &["size"]),
    ("min", &["price"]),
    ("max", &["time"]),
    ("min", &["time"]),
    ("max", &["size"]),
    ("all", &["stop"]),
    ("any", &["stop"]),
    ("var", &["price"]),
    ("svar", &["size"]),
    ("dev", &["price"]),
    ("sdev", &["price"]),
    ("cov", &["price", "size"]),
    ("scov", &["size", "price"]),
    ("cor", &["price", "size"]),
    ("wavg", &["size", "price"]),
    ("wsum", &["size", "price"]),
];
const BY_ORDER: [(&str, &[&str]); 5] = [
    ("first", &["price"]),
    ("last", &["price"]),
    ("last", &["cond"]),
    ("distinct", &["ex"]),
    ("prd", &["stop"]),
];

#[derive(Debug, Clone)]
struct Request {
    args: Vec<(&'static str, Value)>,
    /// The answer hangs on the order in which rows are joined.
    by_order: bool,
}

fn functions() -> impl Strategy<Value = (Vec<(&'static str, &'static [&'static str])>, bool)> {
    let any_order = prop::collection::vec(prop::sample::select(ANY_ORDER.to_vec()), 1..5);
    let by_order = prop::collection::vec(prop::sample::select(BY_ORDER.to_vec()), 0..2);
    (any_order, by_order).prop_map(|(a, b)| {
        let follows = !b.is_empty();
        ([a, b].concat(), follows)
    })
}

fn request() -> impl Strategy<Value = Request> {
    let hour = DAY / 24;
    let instant = move |h: i64| Value::Atom(Atom::Timestamp(FIRST_DAY * DAY + h * hour / 4));
    let range = prop::option::of((0i64..200, 0i64..120).prop_map(move |(a, n)| (instant(a), instant(a + n))));
    let group = prop::sample::select(vec![
        vec![],
        vec!["sym"],
        vec!["ex"],
        vec!["sym", "stop"],
        vec!["date", "ex"],
        vec!["cond"],
    ]);
    let rows = (
        prop::sample::select(vec![vec!["time", "sym", "price"], vec!["sym", "size", "cond"], vec![]]),
        prop_oneof![(0i64..300).prop_map(Some), (-300i64..0).prop_map(Some), Just(None)],
        any::<bool>(),
        prop::option::of(prop::sample::select(vec!["America/New_York", "Asia/Tokyo"])),
    );
    let conditions = prop::collection::vec(condition(), 0..3);
    (range, conditions, group, functions(), any::<bool>(), rows).prop_map(
        |(range, conditions, group, (functions, follows), aggregated, (columns, limit, sorted, zone))| {
            let mut args = vec![("table", Value::sym("trade"))];
            if let Some((from, to)) = range {
                args.extend([("startTS", from), ("endTS", to)]);
            }
            let few = conditions.iter().any(|c| c.index(1).as_name().is_some_and(|n| n == "sym"));
            if !conditions.is_empty() {
                args.push(("filter", Value::list(conditions)));
            }
            let mut by_order = true;
            if aggregated {
                by_order = follows;
                let entries = functions.iter().enumerate().map(|(i, (f, columns))| {
                    let name = format!("a{i}");
                    Value::syms([&[&*name, f][..], columns].concat())
                });
                args.push(("agg", Value::list(entries.collect::<Vec<_>>())));
            } else if !columns.is_empty() {
                args.push(("agg", Value::syms(columns.clone())));
            }
            if !group.is_empty() && (aggregated || columns.is_empty()) {
                args.push(("groupBy", Value::syms(group)));
            } else if !aggregated {
                if sorted {
                    args.push(("sortCols", Value::syms(["sym"])));
                }
                // All rows are compared only where a condition leaves few.
                match limit {
                    None if few => {}
                    limit => args.push(("limit", Value::from(limit.unwrap_or(50)))),
                }
                if let Some(zone) = zone {
                    args.push(("outputTZ", Value::sym(zone)));
                }
            }
            Request { args, by_order }
        },
    )
}

/// Per label set its share of the rows, and where it is cut in time.
fn cuts() -> impl Strategy<Value = Vec<((usize, usize), Vec<i64>)>> {
    let hour = DAY / 24;
    let border = prop::collection::vec((0i64..3).prop_map(|d| (FIRST_DAY + d) * DAY), 0..3);
    let anywhere =
        prop::collection::vec((0i64..600).prop_map(move |m| FIRST_DAY * DAY + m * hour / 10 + 13), 0..4);
    let times = prop_oneof![border, anywhere];
    (prop::collection::btree_set(1usize..16, 0..3), prop::collection::vec(times, 3)).prop_map(
        |(at, times)| {
            let at: Vec<usize> = [0].into_iter().chain(at).chain([16]).collect();
            at.windows(2).map(|w| (w[0], w[1])).zip(times).collect()
        },
    )
}

fn check(request: &Request, cuts: &[((usize, usize), Vec<i64>)]) -> Result<(), TestCaseError> {
    let fail = |f: Failure| TestCaseError::fail(f.to_string());
    let query = common::parse(&request.args).map_err(fail)?;
    let parts: Vec<Part> = cuts.iter().map(|(share, _)| Part::of("trade", *share)).collect();
    let bound = query.bind(&parts[0].schema).map_err(fail)?;
    let is_border = |t: &i64| t % DAY == 0;
    // Rows of a day are stored by sym: an answer in the order of rows is the same where cuts are between days,
    // and, joined by label set first, where there is one label set.
    let same_order = cuts.len() == 1 && cuts.iter().all(|(_, times)| times.iter().all(is_border));
    if request.by_order && !same_order {
        let borders: Vec<i64> = cuts[0].1.iter().copied().filter(is_border).collect();
        return compare(&bound, &[(&Part::of("trade", (0, 16)), borders)]);
    }
    let portions: Vec<(&Part, Vec<i64>)> =
        parts.iter().zip(cuts.iter().map(|(_, times)| times.clone())).collect();
    compare(&bound, &portions)
}

fn compare(bound: &getdata::Bound<'_>, portions: &[(&Part, Vec<i64>)]) -> Result<(), TestCaseError> {
    let fail = |f: Failure| TestCaseError::fail(f.to_string());
    let (whole, whole_cut) = common::whole(bound, &Part::of("trade", (0, 16))).map_err(fail)?;
    let portions: Vec<(&dyn Source, Vec<TimeRange>)> =
        portions.iter().map(|(p, times)| (*p as &dyn Source, common::tiles(times.clone()))).collect();
    let (scattered, cut) = common::scattered(bound, &portions).map_err(fail)?;
    if let Some(why) = common::difference(&whole, &scattered) {
        return Err(TestCaseError::fail(why));
    }
    prop_assert_eq!(whole_cut, cut);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_scattered_answer_equals_that_of_one_process(request in request(), cuts in cuts()) {
        check(&request, &cuts)?;
    }
}

#[test]
fn all_rows_of_the_database_come_once() {
    let source = Part::of("trade", (0, 16));
    let args = [("table", Value::sym("trade"))];
    let query = common::parse(&args).unwrap();
    let bound = query.bind(&source.schema).unwrap();
    let (whole, cut) = common::whole(&bound, &source).unwrap();
    assert_eq!((whole.count(), cut), (196_519 + 437_171, false));
    let days = common::tiles(vec![(FIRST_DAY + 1) * DAY]);
    let (scattered, _) = common::scattered(&bound, &[(&source, days)]).unwrap();
    assert_eq!(common::difference(&whole, &scattered), None);
    let hours = common::tiles((0..48).map(|h| FIRST_DAY * DAY + h * (DAY / 24)).collect());
    let (scattered, _) = common::scattered(&bound, &[(&source, hours)]).unwrap();
    assert_eq!(scattered.count(), whole.count());
}
