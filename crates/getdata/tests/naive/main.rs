//! getData, and q's raze of its partials, against a reference that works row by row over atoms, written for this test alone: random small
//! tables of all types with nulls and infinities, random requests, random cuts. The reference, the query in one
//! place and the query in portions must agree.

#[path = "../common/mod.rs"]
mod common;
mod data;
mod reference;
mod request;

use getdata::{MemorySource, Source};
use kvalue::time::DAY;
use proptest::prelude::*;
use sg::TimeRange;

use crate::{
    data::{DAYS, Row, days, schema, source, time_of},
    reference::{reference, window},
    request::{Request, arguments, request, result_names},
};

fn check(request: &Request, sources: &[Vec<Vec<Row>>], cuts: &[Vec<i64>]) -> Result<(), TestCaseError> {
    let query = common::parse(&arguments(request)).map_err(|f| TestCaseError::fail(f.ai))?;
    let schema = schema();
    let bound = query.bind(&schema).map_err(|f| TestCaseError::fail(f.ai))?;
    let all: Vec<MemorySource> = sources.iter().map(|s| source(s)).collect();
    let one =
        MemorySource { schema: schema.clone(), blocks: all.iter().flat_map(|s| s.blocks.clone()).collect() };
    let (whole, whole_cut) = common::whole(&bound, &one).map_err(|f| TestCaseError::fail(f.ai))?;
    let portions: Vec<(&dyn Source, Vec<TimeRange>)> =
        all.iter().zip(cuts).map(|(s, cuts)| (s as &dyn Source, common::tiles(cuts.clone()))).collect();
    let (scattered, scattered_cut) =
        common::scattered(&bound, &portions).map_err(|f| TestCaseError::fail(f.ai))?;
    let (expected, cut) = reference(request, sources);
    if let Some(why) = common::difference(&whole, &scattered) {
        return Err(TestCaseError::fail(format!("whole and scattered: {why}")));
    }
    prop_assert_eq!((whole_cut, scattered_cut), (cut, cut));
    same(request, &whole, &expected)
}

/// The answer where the caller asks for raze: each portion's own answer, one behind the other, cut by one limit.
fn check_raze(request: &Request, sources: &[Vec<Vec<Row>>], cuts: &[Vec<i64>]) -> Result<(), TestCaseError> {
    let fail = |f: sg::Failure| TestCaseError::fail(f.ai);
    let query = common::parse(&arguments(request)).map_err(fail)?;
    let schema = schema();
    let bound = query.bind(&schema).map_err(fail)?;
    let (mut partials, mut expected) = (Vec::new(), Vec::new());
    for (rows, cuts) in sources.iter().zip(cuts) {
        let of = source(rows);
        for tile in common::tiles(cuts.clone()) {
            let partial =
                getdata::execute(&bound, &of, tile, &kernels::error::Uninterrupted).map_err(fail)?;
            partials.push(getdata::joined(&partial));
            let (from, to) = request.range.unwrap_or((i64::MIN, i64::MAX));
            let range = Some((from.max(tile.start()), to.min(tile.end())));
            let alone = Request { range, limit: None, ..request.clone() };
            expected.extend(reference(&alone, std::slice::from_ref(rows)).0);
        }
    }
    let kept = window(request, expected.len());
    let merged = getdata::merge_by_portion(bound.query(), partials).map_err(fail)?;
    prop_assert_eq!(merged.limit_applied, kept.len() < expected.len());
    same(request, &merged.value().map_err(fail)?, &expected[kept])
}

fn same(
    request: &Request,
    answer: &kvalue::Value,
    expected: &[Vec<kvalue::Value>],
) -> Result<(), TestCaseError> {
    let table = common::table(answer);
    let names: Vec<String> = table.names().iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect();
    prop_assert_eq!(names, result_names(request));
    prop_assert_eq!(table.len(), expected.len());
    for (c, (column_name, column)) in table.iter().enumerate() {
        for (r, row) in expected.iter().enumerate() {
            let got = column.index(r);
            prop_assert!(
                common::near(&got, &row[c]),
                "column {} row {r}: got {got:?}, expected {:?}",
                String::from_utf8_lossy(column_name),
                row[c]
            );
        }
    }
    Ok(())
}

/// Sources and where each is cut. Rows join in the order of portions, and as they are stored within one: so the
/// answer's order is the same under any cut only where rows are stored by time; where they are not, cuts are
/// where blocks begin, as routing makes them.
fn sources() -> impl Strategy<Value = (Vec<Vec<Vec<Row>>>, Vec<Vec<i64>>)> {
    let hour = DAY / 24;
    let anywhere = prop::collection::vec((-2i64..80).prop_map(move |h| h * hour + h % 2), 0..4);
    let by_time = (days(), anywhere).prop_map(|(mut days, cuts)| {
        days.iter_mut().for_each(|rows| rows.sort_by_key(time_of));
        (days, cuts)
    });
    let borders = prop::collection::vec((0..DAYS).prop_map(|day| day * DAY), 0..3);
    prop::collection::vec(prop_oneof![by_time, (days(), borders)], 1..4)
        .prop_map(|all| all.into_iter().unzip())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_request_over_any_cut_agrees_with_the_reference(request in request(), (sources, cuts) in sources()) {
        check(&request, &sources, &cuts)?;
        check_raze(&request, &sources, &cuts)?;
    }
}
