//! Random rows of every type, few values each so that they meet in groups, as blocks of days.

use getdata::{Column, ColumnKind, MemoryBlock, MemorySource, TableSchema};
use kvalue::{Atom, Table, Type, Value, Vector, time::DAY};
use proptest::prelude::*;
use sg::TimeRange;

/// Name, type (`None`: strings) of the columns; the first is the time column.
pub(crate) const COLUMNS: [(&str, Option<Type>); 20] = [
    ("time", Some(Type::Timestamp)),
    ("sym", Some(Type::Symbol)),
    ("b", Some(Type::Boolean)),
    ("g", Some(Type::Guid)),
    ("x", Some(Type::Byte)),
    ("h", Some(Type::Short)),
    ("i", Some(Type::Int)),
    ("j", Some(Type::Long)),
    ("e", Some(Type::Real)),
    ("f", Some(Type::Float)),
    ("c", Some(Type::Char)),
    ("p", Some(Type::Timestamp)),
    ("m", Some(Type::Month)),
    ("d", Some(Type::Date)),
    ("z", Some(Type::Datetime)),
    ("n", Some(Type::Timespan)),
    ("u", Some(Type::Minute)),
    ("v", Some(Type::Second)),
    ("t", Some(Type::Time)),
    ("s", None),
];
pub(crate) const DAYS: i64 = 3;

pub(crate) type Row = Vec<Value>;

pub(crate) fn kind(ty: Option<Type>) -> ColumnKind {
    ty.map_or(ColumnKind::Nested(Type::Char), ColumnKind::Basic)
}

pub(crate) fn schema() -> TableSchema {
    let columns = COLUMNS.map(|(name, ty)| Column { name: name.into(), kind: kind(ty) });
    TableSchema {
        name: "t".into(),
        columns: columns.to_vec(),
        time: Some("time".into()),
        partition: Some(("date".into(), Type::Date)),
    }
}

/// A value of few possible ones, so that rows meet in groups.
pub(crate) fn item(ty: Option<Type>) -> BoxedStrategy<Value> {
    let Some(ty) = ty else {
        return prop::sample::select(vec!["", "a", "ab", "abc", "xyz"]).prop_map(Value::str).boxed();
    };
    let atom = match ty {
        Type::Symbol => prop::sample::select(vec!["", "A", "AB", "b"]).prop_map(|s| Atom::Symbol(s.into())).boxed(),
        Type::Guid => (0u8..3).prop_map(|b| Atom::Guid([b; 16])).boxed(),
        Type::Boolean => any::<bool>().prop_map(Atom::Boolean).boxed(),
        Type::Char => prop::sample::select(vec![b'a', b'b', b'c']).prop_map(Atom::Char).boxed(),
        Type::Byte => (0u8..4).prop_map(Atom::Byte).boxed(),
        Type::Real | Type::Float | Type::Datetime => prop_oneof![
            8 => (-4i32..5).prop_map(move |n| Atom::from_f64(ty, f64::from(n) / 2.0)),
            1 => Just(Atom::null(ty)),
            1 => prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY]).prop_map(move |x| Atom::from_f64(ty, x)),
        ]
        .boxed(),
        _ => {
            let infinity = Atom::infinity(ty).and_then(|a| Value::Atom(a).as_i64()).expect("an integral type");
            prop_oneof![
                8 => (-3i64..6).prop_map(move |n| Atom::from_i64(ty, n)),
                1 => Just(Atom::null(ty)),
                1 => prop::sample::select(vec![infinity, -infinity]).prop_map(move |n| Atom::from_i64(ty, n)),
            ]
            .boxed()
        }
    };
    atom.prop_map(Value::Atom).boxed()
}

/// A time in or around the days, null at times.
pub(crate) fn instant() -> impl Strategy<Value = Value> {
    let hour = DAY / 24;
    prop_oneof![
        12 => (0..DAYS * 24).prop_map(move |h| h * hour),
        1 => Just(i64::MIN),
        1 => (-30i64..100).prop_map(move |h| h * hour),
    ]
    .prop_map(|t| Value::Atom(Atom::Timestamp(t)))
}

pub(crate) fn row() -> impl Strategy<Value = Row> {
    let items: Vec<BoxedStrategy<Value>> = COLUMNS[1..].iter().map(|(_, ty)| item(*ty)).collect();
    (instant(), items).prop_map(|(time, rest)| [vec![time], rest].concat())
}

/// Days of rows of one source.
pub(crate) fn days() -> impl Strategy<Value = Vec<Vec<Row>>> {
    prop::collection::vec(prop::collection::vec(row(), 0..12), DAYS as usize)
}

pub(crate) fn column_of(ty: Option<Type>, items: Vec<Value>) -> Value {
    let Some(ty) = ty else { return Value::list(items) };
    let atoms: Vec<Atom> = items
        .into_iter()
        .map(|v| match v {
            Value::Atom(a) => a,
            other => panic!("{other:?} in a {ty} column"),
        })
        .collect();
    Value::Vector(Vector::from_atoms(ty, &atoms).unwrap())
}

pub(crate) fn span(day: i64) -> TimeRange {
    TimeRange::new(day * DAY, (day + 1) * DAY).unwrap()
}

pub(crate) fn time_of(row: &Row) -> i64 {
    row[0].as_i64().unwrap_or(i64::MIN)
}

pub(crate) fn block(day: i64, rows: &[Row]) -> MemoryBlock {
    let columns = COLUMNS
        .iter()
        .enumerate()
        .map(|(c, (name, ty))| (*name, column_of(*ty, rows.iter().map(|r| r[c].clone()).collect())));
    MemoryBlock {
        table: Table::of(columns.collect::<Vec<_>>()).unwrap(),
        range: span(day),
        partition: Some(Atom::Date(day as i32)),
        is_time_sorted: rows.is_sorted_by_key(time_of),
    }
}

pub(crate) fn source(days: &[Vec<Row>]) -> MemorySource {
    let blocks = days.iter().enumerate().map(|(day, rows)| block(day as i64, rows)).collect();
    MemorySource { schema: schema(), blocks }
}
