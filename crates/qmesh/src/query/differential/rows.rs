//! The table that is asked: two days of rows, a column of each type, some of them without nulls for aggregates.

use getdata::{Column, ColumnKind, MemoryBlock, MemorySource, TableSchema};
use kvalue::{Atom, Table, Type, Value, Vector, time::DAY};
use serde_json::json;
use sg::TimeRange;

use super::{Random, cells};

/// 2024.01.02
pub(super) const FIRST_DAY: i64 = 8_767;
const ROWS: i64 = 400;
pub(super) const SYMS: [&str; 8] = ["A", "AB", "b", "IBM", "it's", "a,b", "x y", ""];
pub(super) const TEXTS: [&str; 6] = ["", "a", "abc", "a b", "say \"no\"", "(x)"];

/// Name, type (`None`: strings), and whether some are null.
pub(super) const COLUMNS: [(&str, Option<Type>, bool); 23] = [
    ("id", Some(Type::Long), false),
    ("time", Some(Type::Timestamp), false),
    ("sym", Some(Type::Symbol), false),
    ("b", Some(Type::Boolean), false),
    ("x", Some(Type::Byte), false),
    ("h", Some(Type::Short), true),
    ("i", Some(Type::Int), true),
    ("j", Some(Type::Long), true),
    ("e", Some(Type::Real), true),
    ("f", Some(Type::Float), true),
    ("c", Some(Type::Char), false),
    ("p", Some(Type::Timestamp), true),
    ("m", Some(Type::Month), true),
    ("d", Some(Type::Date), true),
    ("n", Some(Type::Timespan), true),
    ("u", Some(Type::Minute), true),
    ("v", Some(Type::Second), true),
    ("t", Some(Type::Time), true),
    ("g", Some(Type::Guid), false),
    ("s", None, false),
    ("k", Some(Type::Int), false),
    ("w", Some(Type::Long), false),
    ("y", Some(Type::Float), false),
];

/// A value of a column: few different ones, so that conditions meet them.
pub(super) fn value(random: &mut Random, name: &str, ty: Option<Type>) -> Value {
    let Some(ty) = ty else { return Value::str(random.pick(&TEXTS)) };
    let second = 1_000_000_000;
    let n = random.between(-20, 20);
    Value::Atom(match (name, ty) {
        (_, Type::Symbol) => Atom::Symbol((*random.pick(&SYMS)).into()),
        (_, Type::Boolean) => Atom::Boolean(random.one_in(2)),
        (_, Type::Byte) => Atom::Byte(random.below(40) as u8),
        (_, Type::Char) => Atom::Char(*random.pick(b"abc'\"")),
        (_, Type::Guid) => Atom::Guid([random.below(4) as u8; 16]),
        (_, Type::Real) => Atom::Real(n as f32 / 10.0),
        (_, Type::Float) => Atom::Float(n as f64 / 4.0),
        // Beyond the digits of a float.
        ("j", _) if random.one_in(3) => Atom::Long(9_007_199_254_740_992 + n),
        (_, Type::Timestamp) => {
            Atom::Timestamp((FIRST_DAY + n / 8) * DAY + random.between(0, 23) * 3_600 * second + n)
        }
        (_, Type::Date) => Atom::Date((FIRST_DAY + n / 4) as i32),
        (_, Type::Month) => Atom::Month((288 + n / 4) as i32),
        (_, Type::Timespan) => Atom::Timespan(random.between(-3, 30) * 3_600 * second + n),
        (_, Type::Minute) => Atom::Minute((560 + n) as i32),
        (_, Type::Second) => Atom::Second((34_200 + n) as i32),
        (_, Type::Time) => Atom::Time((34_200_000 + n * 500) as i32),
        (_, ty) => Atom::from_i64(ty, n),
    })
}

/// The rows, and their source.
pub(super) struct Rows {
    table: Table,
    source: MemorySource,
}

impl Rows {
    pub(super) fn random(random: &mut Random) -> Rows {
        let columns: Vec<(&str, Value)> = COLUMNS
            .iter()
            .map(|(name, ty, nullable)| {
                let items = (0..ROWS).map(|row| match *name {
                    "id" => Value::from(row),
                    "time" => {
                        Value::Atom(Atom::Timestamp(FIRST_DAY * DAY + row * (2 * DAY / ROWS) + row % 3))
                    }
                    _ if *nullable && random.one_in(8) => Value::Atom(Atom::null(ty.expect("an atom"))),
                    _ => value(random, name, *ty),
                });
                (*name, column(*ty, items.collect()))
            })
            .collect();
        let table = Table::of(columns).expect("columns of one length");
        let schema = TableSchema {
            name: "t".into(),
            columns: COLUMNS
                .iter()
                .map(|(name, ty, _)| Column {
                    name: (*name).into(),
                    kind: ty.map_or(ColumnKind::Nested(Type::Char), ColumnKind::Basic),
                })
                .collect(),
            time: Some("time".into()),
            partition: None,
        };
        let half = ROWS as usize / 2;
        let middle = (FIRST_DAY + 1) * DAY;
        let block = |rows: std::ops::Range<usize>, from, to| MemoryBlock {
            table: table.slice(rows),
            range: TimeRange::new(from, to).expect("ascending"),
            partition: None,
            is_time_sorted: true,
        };
        let blocks =
            vec![block(0..half, TimeRange::MIN, middle), block(half..ROWS as usize, middle, TimeRange::MAX)];
        Rows { source: MemorySource { schema, blocks }, table }
    }

    pub(super) fn source(&self) -> &MemorySource {
        &self.source
    }

    pub(super) fn schema(&self) -> &TableSchema {
        &self.source.schema
    }

    /// A row a line, for DuckDB.
    pub(super) fn to_json(&self) -> String {
        let row = |cells: Vec<serde_json::Value>| {
            let fields = COLUMNS.iter().map(|c| c.0.to_string()).zip(cells);
            json!(fields.collect::<serde_json::Map<_, _>>()).to_string() + "\n"
        };
        cells(&self.table.clone().into()).into_iter().map(row).collect()
    }
}

fn column(ty: Option<Type>, items: Vec<Value>) -> Value {
    let Some(ty) = ty else { return Value::list(items) };
    let atoms: Vec<Atom> =
        items.into_iter().map(|v| if let Value::Atom(a) = v { a } else { Atom::null(ty) }).collect();
    Value::Vector(Vector::from_atoms(ty, &atoms).expect("atoms of one type"))
}
