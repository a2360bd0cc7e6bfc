//! What a portion does and does not touch, when it stops, and how its answer is finished.

mod common;

use std::{
    cell::Cell,
    ops::Range,
    sync::{Arc, LazyLock, Mutex},
};

use getdata::{
    Block, Bound, Column, ColumnKind, MemoryBlock, MemorySource, Parts, Source, TableSchema, execute, joined,
    merge,
};
use kernels::error::Uninterrupted;
use kvalue::{Atom, Sym, Table, Type, Value, Vector, time::DAY, types::NULL_LONG};
use sg::{Failure, TimeRange};

static SCHEMA: LazyLock<TableSchema> = LazyLock::new(|| {
    let column = |name: &str, ty| Column { name: name.into(), kind: ColumnKind::Basic(ty) };
    let columns =
        vec![column("time", Type::Timestamp), column("sym", Type::Symbol), column("price", Type::Long)];
    TableSchema::timed("trade".into(), columns, Some(("date".into(), Type::Date)))
});

/// A day of rows: one a minute of each of three names, stored by name.
fn day(day: i64) -> MemoryBlock {
    let minute = 60_000_000_000;
    let rows: Vec<(i64, &str, i64)> = ["A", "B", "C"]
        .iter()
        .enumerate()
        .flat_map(|(s, sym)| (0..100).map(move |m| (day * DAY + m * minute, *sym, s as i64 * 1000 + m)))
        .collect();
    let table = Table::of([
        ("time", Value::from(Vector::timestamps(rows.iter().map(|r| r.0).collect()))),
        ("sym", Value::syms(rows.iter().map(|r| r.1))),
        ("price", Value::from(Vector::longs(rows.iter().map(|r| r.2).collect()))),
    ]);
    MemoryBlock {
        table: table.unwrap(),
        range: TimeRange::new(day * DAY, (day + 1) * DAY).unwrap(),
        partition: Some(Atom::Date(day as i32)),
        is_time_sorted: false,
    }
}

/// What was read: day, column, rows.
type Log = Arc<Mutex<Vec<(i64, String, Range<usize>)>>>;

/// Days that write down what is read of them.
#[derive(Default)]
struct Watched {
    log: Log,
    torn: bool,
}

struct WatchedBlock {
    block: MemoryBlock,
    log: Log,
    torn: bool,
}

const DAYS: Range<i64> = 0..4;

impl Source for Watched {
    fn schema(&self) -> &TableSchema {
        &SCHEMA
    }
    fn blocks(&self, range: TimeRange) -> Result<Vec<Box<dyn Block>>, Failure> {
        let blocks = DAYS.map(day).filter(|b| b.range.intersect(range).is_some());
        Ok(blocks
            .map(|block| {
                Box::new(WatchedBlock { block, log: self.log.clone(), torn: self.torn }) as Box<dyn Block>
            })
            .collect())
    }
}

impl Watched {
    /// Runs a request; the answer, and what was read for it.
    fn run(&self, args: &[(&str, Value)]) -> (Value, Vec<(i64, String, Range<usize>)>) {
        let bound = bound(args);
        let (value, _) = common::whole(&bound, self).unwrap();
        (value, std::mem::take(&mut *self.log.lock().unwrap()))
    }
}

fn bound(args: &[(&str, Value)]) -> Bound<'static> {
    let args = [&[("table", Value::sym("trade"))], args].concat();
    let query = Box::leak(Box::new(common::parse(&args).unwrap()));
    query.bind(&SCHEMA).unwrap()
}

struct ByName;

impl Parts for ByName {
    fn rows_of(&self, symbol: &[u8]) -> Option<Range<usize>> {
        let at = ["A", "B", "C"].iter().position(|s| s.as_bytes() == symbol)?;
        Some(at * 100..(at + 1) * 100)
    }
}

impl Block for WatchedBlock {
    fn rows(&self) -> Result<usize, Failure> {
        self.block.rows()
    }
    fn column(&self, name: &Sym, rows: Range<usize>) -> Result<Value, Failure> {
        let day = self.block.range.start() / DAY;
        self.log.lock().unwrap().push((day, name.text().into_owned(), rows.clone()));
        self.block.column(name, rows)
    }
    fn time_range(&self) -> TimeRange {
        self.block.range
    }
    fn partition(&self) -> Option<Atom> {
        self.block.partition.clone()
    }
    fn parts(&self, column: &Sym) -> Result<Option<Box<dyn Parts>>, Failure> {
        Ok((*column == "sym").then(|| Box::new(ByName) as Box<dyn Parts>))
    }
    fn check(&self) -> Result<(), Failure> {
        match self.torn {
            true => Err(Failure::new(sg::Rc::APP_DB, sg::Ac::DATA, "the file shrank")),
            false => Ok(()),
        }
    }
}

fn condition(op: &str, column: &str, operand: Value) -> (&'static str, Value) {
    ("filter", Value::list(vec![Value::list(vec![Value::sym(op), Value::sym(column), operand])]))
}

fn timestamp(t: i64) -> Value {
    Value::Atom(Atom::Timestamp(t))
}

fn longs(value: &Value, column: &str) -> Vec<i64> {
    common::table(value).column(column).unwrap().as_vector().unwrap().as_buf::<i64>().unwrap().to_vec()
}

#[test]
fn only_the_columns_that_are_needed_are_read() {
    let (_, read) = Watched::default().run(&[("agg", Value::sym("price"))]);
    assert_eq!(read, DAYS.map(|d| (d, "price".to_string(), 0..300)).collect::<Vec<_>>());
}

#[test]
fn only_the_partitions_of_the_range_are_read_and_time_only_where_it_cuts() {
    let range =
        [("startTS", timestamp(DAY)), ("endTS", timestamp(2 * DAY + 1)), ("agg", Value::sym("price"))];
    let (value, read) = Watched::default().run(&range);
    let expected = [(1, "price", 0..300), (2, "time", 0..300), (2, "price", 0..300)];
    assert_eq!(read, expected.map(|(d, c, r)| (d, c.to_string(), r)));
    assert_eq!(value.count(), 303);
}

#[test]
fn conditions_on_the_partition_touch_nothing() {
    let date = Value::Atom(Atom::Date(3));
    let (value, read) = Watched::default().run(&[condition("=", "date", date), ("agg", Value::sym("price"))]);
    assert_eq!((value.count(), read), (300, vec![(3, "price".to_string(), 0..300)]));
    let (value, read) = Watched::default().run(&[condition("=", "date", Value::str("2031.01.01"))]);
    assert_eq!((value.count(), read.len()), (0, 0));
}

#[test]
fn the_index_of_a_parted_column_finds_its_rows_without_reading_it() {
    let (value, read) = Watched::default().run(&[
        condition("in", "sym", Value::syms(["B", "no such"])),
        ("agg", Value::list(vec![Value::syms(["n", "sum", "price"])])),
    ]);
    assert_eq!(read, DAYS.map(|d| (d, "price".to_string(), 100..200)).collect::<Vec<_>>());
    assert_eq!(longs(&value, "n"), [4 * (100 * 1000 + 99 * 100 / 2)]);
}

#[test]
fn rows_are_counted_and_numbered_by_the_virtual_column_i() {
    let (value, read) =
        Watched::default().run(&[("agg", Value::list(vec![Value::syms(["n", "count", "i"])]))]);
    assert_eq!((longs(&value, "n"), read), (vec![1200], vec![]), "no file is read to count rows");
    let (value, _) = Watched::default().run(&[
        condition("=", "sym", Value::sym("C")),
        ("agg", Value::list(vec![Value::syms(["from", "min", "i"]), Value::syms(["to", "max", "i"])])),
    ]);
    assert_eq!((longs(&value, "from"), longs(&value, "to")), (vec![200], vec![299]), "in their partitions");
    let (value, _) = Watched::default().run(&[condition("<", "i", Value::from(2i64))]);
    assert_eq!(common::table(&value).names().len(), 3, "only where it is named");
    assert_eq!(value.count(), 8);
}

#[test]
fn a_limit_stops_the_reading_at_either_end() {
    let days = |read: Vec<(i64, String, Range<usize>)>| read.into_iter().map(|r| r.0).collect::<Vec<_>>();
    let (value, read) = Watched::default().run(&[("limit", Value::from(2i64)), ("agg", Value::sym("price"))]);
    assert_eq!((longs(&value, "price"), days(read)), (vec![0, 1], vec![0]));
    let (value, read) =
        Watched::default().run(&[("limit", Value::from(-2i64)), ("agg", Value::sym("price"))]);
    assert_eq!((longs(&value, "price"), days(read)), (vec![2098, 2099], vec![3]));
    // Sorted, all rows must be seen.
    let sorted =
        [("limit", Value::from(2i64)), ("agg", Value::sym("price")), ("sortCols", Value::sym("price"))];
    let (value, read) = Watched::default().run(&sorted);
    assert_eq!((longs(&value, "price"), days(read)), (vec![0, 0], vec![0, 1, 2, 3]));
}

#[test]
fn the_header_learns_whether_the_limit_cut_rows() {
    let one = Watched::default();
    for (limit, cut) in [(1199i64, true), (1200, false), (1201, false), (-1199, true), (-1200, false)] {
        let bound = bound(&[("limit", Value::from(limit)), ("agg", Value::sym("price"))]);
        let (whole, applied) = common::whole(&bound, &one).unwrap();
        assert_eq!((whole.count(), applied), (limit.unsigned_abs().min(1200) as usize, cut), "{limit}");
        let tiles = common::tiles(vec![DAY, 2 * DAY + 5]);
        let (scattered, applied) = common::scattered(&bound, &[(&one, tiles)]).unwrap();
        assert_eq!((scattered.count(), applied), (whole.count(), cut), "{limit}");
    }
}

#[test]
fn a_cancelled_run_ends_before_its_next_window() {
    for aggregated in [false, true] {
        let looks = Cell::new(0);
        let after_three = || {
            looks.set(looks.get() + 1);
            looks.get() > 3
        };
        let count = Value::list(vec![Value::syms(["n", "count", "price"])]);
        let args = if aggregated { vec![("agg", count)] } else { vec![("agg", Value::sym("price"))] };
        let source = Watched::default();
        let failure = execute(&bound(&args), &source, TimeRange::ALL, &after_three).unwrap_err();
        assert_eq!(failure.rc, sg::Rc::CANCELLED);
        assert_eq!(source.log.lock().unwrap().len(), 1, "one day was read, the second was not");
    }
}

#[test]
fn rows_of_a_block_that_was_torn_are_not_given() {
    let source = Watched { torn: true, ..Watched::default() };
    for agg in [Value::sym("price"), Value::list(vec![Value::syms(["n", "count", "price"])])] {
        let failure = execute(&bound(&[("agg", agg)]), &source, TimeRange::ALL, &Uninterrupted).unwrap_err();
        assert_eq!((failure.ac, failure.ai.as_str()), (sg::Ac::DATA, "the file shrank"));
    }
}

#[test]
fn a_block_that_does_not_hold_what_its_schema_says_is_an_error() {
    let mut schema = SCHEMA.clone();
    schema.columns[2].kind = ColumnKind::Basic(Type::Float);
    let source = MemorySource { schema: schema.clone(), blocks: vec![day(0)] };
    let query = common::parse(&[("table", Value::sym("trade"))]).unwrap();
    let bound = query.bind(&schema).unwrap();
    let failure = common::whole(&bound, &source).unwrap_err();
    assert!(
        failure.ai.contains("`price`") && failure.ai.contains("long") && failure.ai.contains("float"),
        "{failure}"
    );
}

#[test]
fn a_table_without_time_belongs_to_every_range() {
    let mut schema = SCHEMA.clone();
    (schema.time, schema.partition) = (None, None);
    let blocks = vec![MemoryBlock { range: TimeRange::ALL, partition: None, ..day(0) }];
    let source = MemorySource { schema: schema.clone(), blocks };
    let rows = |args: &[(&str, Value)], portion| {
        let args = [&[("table", Value::sym("trade"))], args].concat();
        let query = common::parse(&args).unwrap();
        let bound = query.bind(&schema).unwrap();
        let partial = joined(&execute(&bound, &source, portion, &Uninterrupted).unwrap());
        merge(bound.query(), vec![partial]).unwrap().value().unwrap().count()
    };
    assert_eq!(rows(&[("startTS", timestamp(99 * DAY))], TimeRange::ALL), 300);
    assert_eq!(rows(&[], TimeRange::new(99 * DAY, TimeRange::MAX).unwrap()), 300);
    let empty = [("startTS", timestamp(5)), ("endTS", timestamp(5))];
    assert_eq!(rows(&empty, TimeRange::ALL), 0);
}

#[test]
fn rows_without_time_go_with_the_first_instant_of_their_block() {
    let mut block = day(1);
    let times = [vec![NULL_LONG, 9 * DAY], (1..299).map(|m| DAY + m).collect()].concat();
    block.table = Table::of([
        ("time", Value::from(Vector::timestamps(times))),
        ("sym", block.table.columns()[1].clone()),
        ("price", block.table.columns()[2].clone()),
    ])
    .unwrap();
    let source = MemorySource { schema: SCHEMA.clone(), blocks: vec![block] };
    let prices = |from: i64, to: i64| {
        let args = [("startTS", timestamp(from)), ("endTS", timestamp(to)), ("agg", Value::sym("price"))];
        longs(&common::whole(&bound(&args), &source).unwrap().0, "price")
    };
    assert_eq!(prices(DAY, DAY + 1), [0]);
    assert_eq!(prices(2 * DAY - 1, 2 * DAY), [1], "a time beyond the block is at its last instant");
    assert_eq!(prices(2 * DAY, 10 * DAY), [0i64; 0]);
    assert_eq!(prices(DAY, 2 * DAY).len(), 300);
}

#[test]
fn timestamps_are_given_in_the_output_zone() {
    let source = Watched::default();
    let first = |args: Vec<(&str, Value)>, column: &str| {
        let (value, _) = common::whole(&bound(&args), &source).unwrap();
        longs(&value, column)[0]
    };
    let zone = ("outputTZ", Value::sym("Asia/Tokyo"));
    let nine_hours = 9 * DAY / 24;
    assert_eq!(first(vec![zone.clone()], "time"), nine_hours);
    let sorted = vec![zone.clone(), ("sortCols", Value::sym("time"))];
    assert_eq!(first(sorted, "time"), nine_hours);
    let both = Value::list(vec![Value::syms(["t", "min", "time"]), Value::syms(["u", "min", "time"])]);
    let aggregated = vec![zone.clone(), ("agg", both.clone()), ("outputTZCols", Value::sym("u"))];
    assert_eq!(first(aggregated.clone(), "t"), 0);
    assert_eq!(first(aggregated, "u"), nine_hours);
    let grouped = vec![zone, ("groupBy", Value::sym("time"))];
    assert_eq!(first(grouped, "time"), nine_hours);
}

#[test]
fn partials_of_another_make_are_refused() {
    let rows = bound(&[]);
    let groups = bound(&[("groupBy", Value::sym("sym"))]);
    let partial =
        |b: &Bound<'_>| joined(&execute(b, &Watched::default(), TimeRange::ALL, &Uninterrupted).unwrap());
    for (query, wrong) in [(&rows, partial(&groups)), (&groups, partial(&rows))] {
        let failure = merge(query.query(), vec![wrong.clone(), wrong]).unwrap_err();
        assert!(failure.rc != sg::Rc::OK && !failure.ai.is_empty());
    }
    let other = bound(&[("groupBy", Value::sym("sym")), ("agg", Value::sym("price"))]);
    let failure = merge(groups.query(), vec![partial(&groups), partial(&other)]).unwrap_err();
    assert!(failure.ai.starts_with("mismatch"), "{failure}");
    let good = partial(&groups);
    for end in (0..good.len()).step_by(7) {
        assert!(merge(groups.query(), vec![good.slice(..end)]).is_err(), "cut at {end}");
    }
    let mut bytes = good.to_vec();
    for at in 0..bytes.len() {
        // Whatever a byte becomes: an answer or an error, never a panic.
        bytes[at] ^= 0x55;
        let _ = merge(groups.query(), vec![bytes.clone().into()]);
        bytes[at] ^= 0x55;
    }
}

#[test]
fn no_partials_are_the_empty_list() {
    let merged = merge(bound(&[]).query(), vec![]).unwrap();
    assert_eq!(merged.value().unwrap(), Value::list([]));
}
