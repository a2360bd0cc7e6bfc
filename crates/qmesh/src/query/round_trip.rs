//! What an answer shows goes back in: as `=` of a filter and as `startTS` and `endTS`, by each door, over all types.
//! JSON, NDJSON, structured text, CSV, the console, Arrow and Parquet show; QIPC is what the others are held to.
//!
//! A table of one row a value is shown by each door; each shown text is then given back, and must find the rows that
//! the typed value finds. What cannot be found so is refused with a sentence: chars and symbols that are no UTF-8.
//! Infinities are shown as `null` by JSON, which has none: a filter finds an infinity by its text (`0W`), as shown by
//! CSV.

use export::csv::Style;
use getdata::{Column, ColumnKind, MemoryBlock, MemorySource, Query, TableSchema};
use kernels::error::Uninterrupted;
use kvalue::{Atom, Dict, Table, Type, Value, Vector};
use proptest::prelude::*;
use qipc::Raw;
use sg::{Failure, TimeRange};

use super::{console, filter};

mod columnar;

/// Columns `id`, the number of the row, and `c`, its value; `c` is the time column too.
struct Shown {
    source: MemorySource,
    table: Table,
}

impl Shown {
    fn of(ty: Option<Type>, values: &[Value]) -> Shown {
        let column = match ty {
            None => Value::list(values.to_vec()),
            Some(ty) => {
                let atoms: Vec<Atom> = values.iter().filter_map(atom_of).collect();
                Value::Vector(Vector::from_atoms(ty, &atoms).unwrap())
            }
        };
        let kind = ty.map_or(ColumnKind::Nested(Type::Char), ColumnKind::Basic);
        let ids = Value::from(Vector::longs((0..values.len() as i64).collect()));
        let table = Table::of([("id", ids), ("c", column)]).unwrap();
        let schema = TableSchema {
            name: "t".into(),
            columns: vec![
                Column { name: "id".into(), kind: ColumnKind::Basic(Type::Long) },
                Column { name: "c".into(), kind },
            ],
            time: ty.filter(|ty| ty.is_temporal()).map(|_| "c".into()),
            partition: None,
        };
        let block = MemoryBlock {
            table: table.clone(),
            range: TimeRange::ALL,
            partition: None,
            is_time_sorted: false,
        };
        Shown { source: MemorySource { schema, blocks: vec![block] }, table }
    }

    /// Numbers of the rows that a request finds.
    fn ids(&self, args: &Value, cast: bool) -> Result<Vec<i64>, Failure> {
        let query = Query::read(&Raw::of(args), cast, |_| false)?;
        let bound = query.bind(&self.source.schema)?;
        let found = getdata::execute_whole(&bound, &self.source, &Uninterrupted)?.value()?;
        let table = found.as_table().expect("a table of rows");
        Ok((0..table.len()).filter_map(|i| table.columns()[0].index(i).as_i64()).collect())
    }

    /// As a client of the QIPC port sends it.
    fn typed(&self, operand: Value) -> Vec<i64> {
        let condition = Value::list([Value::sym("="), Value::sym("c"), operand]);
        self.ids(&with_filter(condition), false).unwrap()
    }

    /// As a REST client sends it: the value as JSON shows it.
    fn rest(&self, shown: &serde_json::Value) -> Result<Vec<i64>, Failure> {
        let body = serde_json::json!({"table": "t", "filter": [["=", "c", shown]]}).to_string();
        self.ids(&from_json(&body)?, true)
    }

    /// As `qmesh query` sends it.
    fn flag(&self, condition: &str) -> Result<Vec<i64>, Failure> {
        let condition = filter::filter(condition).map_err(|e| Failure::arg(e.to_string()))?;
        self.ids(&with_filter(condition), true)
    }

    fn range(&self, start: Option<&str>, end: Option<&str>) -> Result<Vec<i64>, Failure> {
        let body = serde_json::json!({"table": "t", "startTS": start, "endTS": end}).to_string();
        self.ids(&from_json(&body)?, true)
    }

    /// What JSON shows of each row.
    fn json(&self) -> Vec<serde_json::Value> {
        let mut text = Vec::new();
        gateway::tool::write_json(&Value::from(self.table.clone()), &mut text).unwrap();
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
        rows.into_iter().map(|mut row| row["c"].take()).collect()
    }

    /// What NDJSON shows of each row.
    fn ndjson(&self) -> Vec<serde_json::Value> {
        let mut text = Vec::new();
        gateway::tool::write_ndjson(&Value::from(self.table.clone()), &mut text).unwrap();
        let lines = String::from_utf8(text).unwrap();
        let rows = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        rows.map(|mut row| row["c"].take()).collect()
    }

    /// What KX's structured text shows of each row.
    fn structured(&self) -> Vec<String> {
        let mut text = String::new();
        export::structured::write(&Value::from(self.table.clone()), &mut text);
        let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
        let values = whole["columns"][1]["values"].as_array().unwrap().clone();
        values.into_iter().map(|value| value.as_str().unwrap().to_string()).collect()
    }

    /// What CSV shows of each row.
    fn csv(&self, style: Style) -> Vec<String> {
        let mut text = Vec::new();
        export::csv::write(&self.table.clone().into(), style, &mut text).unwrap();
        records(&String::from_utf8_lossy(&text)).into_iter().skip(1).map(|mut r| r.swap_remove(1)).collect()
    }

    /// What the console shows of a row.
    fn console(&self, row: usize) -> String {
        let cell = self.table.columns()[1].slice(row..row + 1);
        let text = console::text(&Table::of([("c", cell)]).unwrap().into(), console::Size::ALL);
        text.lines().nth(2).unwrap_or_default().to_string()
    }
}

fn atom_of(value: &Value) -> Option<Atom> {
    if let Value::Atom(a) = value { Some(a.clone()) } else { None }
}

fn with_filter(condition: Value) -> Value {
    Dict::of([("table", Value::sym("t")), ("filter", Value::list([condition]))]).into()
}

fn from_json(body: &str) -> Result<Value, Failure> {
    gateway::tool::args_from_json(body, Some(&sg::api::builtin()[0]))
}

/// RFC 4180.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut all, mut record, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                all.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    all
}

fn in_quotes(text: &str) -> String {
    format!("c = '{}'", text.replace('\'', "''"))
}

/// True where the shown text stands for bytes that it cannot show, or looks as if it did.
fn is_lossy(value: &Value) -> bool {
    match value {
        Value::Atom(Atom::Char(c)) => !c.is_ascii(),
        Value::Atom(Atom::Symbol(s)) => s.text().contains('\u{fffd}'),
        other => other.as_text().is_some_and(|t| String::from_utf8_lossy(&t).contains('\u{fffd}')),
    }
}

fn is_infinite(value: &Value) -> bool {
    match atom_of(value).as_ref().and_then(Atom::scalar) {
        Some(kvalue::atom::Scalar::Float(x)) => x.is_infinite(),
        Some(kvalue::atom::Scalar::Integer(Some(n))) => atom_of(value)
            .and_then(|a| Value::Atom(Atom::infinity(a.ty())?).as_i64())
            .is_some_and(|infinity| n.abs() == infinity),
        _ => false,
    }
}

fn check(ty: Option<Type>, values: &[Value]) -> Result<(), TestCaseError> {
    let shown = Shown::of(ty, values);
    let (json, csv) = (shown.json(), shown.csv(Style::Iso));
    let in_q = shown.csv(Style::Q);
    let (ndjson, structured) = (shown.ndjson(), shown.structured());
    let columnar = columnar::shown(&shown.table);
    for (row, value) in values.iter().enumerate() {
        // A datetime is found by the millisecond that it shows, typed by all its digits.
        let expected = match ty {
            Some(Type::Datetime) => {
                (0..values.len()).filter(|i| csv[*i] == csv[row]).map(|i| i as i64).collect()
            }
            _ => shown.typed(value.clone()),
        };
        prop_assert!(expected.contains(&(row as i64)), "{value:?} typed finds {expected:?}");
        let mut doors = Vec::new();
        let is_plain = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+.:".contains(&b))
        };
        let texts =
            [("csv", &csv[row]), ("csv in q's form", &in_q[row]), ("structured text", &structured[row])];
        for (door, text) in texts {
            doors.push((door, text.clone(), shown.flag(&in_quotes(text))));
            if is_plain(text) {
                doors.push((door, text.clone(), shown.flag(&format!("c = {text}"))));
            }
        }
        // Spaces at the end of a console's line, and quotes inside of it, are not told apart.
        let is_text = matches!(ty, None | Some(Type::Symbol | Type::Char));
        if !is_text || is_plain(&csv[row]) {
            let text = shown.console(row);
            let condition =
                if text.starts_with(['"', ',']) { format!("c = {text}") } else { in_quotes(&text) };
            doors.push(("console", text, shown.flag(&condition)));
        }
        if !is_infinite(value) {
            doors.push(("json", json[row].to_string(), shown.rest(&json[row])));
            doors.push(("ndjson", ndjson[row].to_string(), shown.rest(&ndjson[row])));
            // As somebody writes the value of an Arrow column into a request.
            for (door, cells) in &columnar {
                if let Some(cell) = &cells[row] {
                    doors.push((door, cell.to_string(), shown.rest(cell)));
                }
            }
        }
        for (door, text, found) in doors {
            match found {
                Ok(found) => {
                    prop_assert_eq!(found, expected.clone(), "{:?} shown as {} by {}", value, text, door)
                }
                Err(failure) => prop_assert!(
                    is_lossy(value) && failure.ai.len() > 20,
                    "{value:?} shown as {text} by {door}: {failure}"
                ),
            }
        }
        if matches!(ty, Some(Type::Timestamp | Type::Date | Type::Month | Type::Datetime)) {
            as_range(&shown, row, value, &json[row])?;
            for cell in columnar.iter().filter_map(|(_, cells)| cells[row].as_ref()) {
                as_range(&shown, row, value, cell)?;
            }
        }
    }
    Ok(())
}

/// A shown time as startTS finds its row, and as endTS does not.
fn as_range(shown: &Shown, row: usize, value: &Value, json: &serde_json::Value) -> Result<(), TestCaseError> {
    let Some(text) = json.as_str() else { return Ok(()) };
    let row = row as i64;
    for text in [text.to_string(), shown.console(row as usize)] {
        match (shown.range(Some(&text), None), shown.range(None, Some(&text))) {
            (Ok(from), Ok(until)) => {
                prop_assert!(
                    from.contains(&row),
                    "{value:?} shown as {text} is not found from there: {from:?}"
                );
                prop_assert!(!until.contains(&row), "{value:?} shown as {text} is found until there");
            }
            (Err(from), Err(until)) => {
                let beyond = "leave it out for an open end";
                prop_assert!(
                    from.ai.contains(beyond) && until.ai.contains(beyond),
                    "{value:?}: {from} {until}"
                );
            }
            (from, until) => prop_assert!(false, "{value:?}: {from:?} and {until:?}"),
        }
    }
    Ok(())
}

/// Values of a type over all that it can hold, its edges often.
fn item(ty: Option<Type>) -> BoxedStrategy<Value> {
    let bytes = prop_oneof![
        6 => "[A-Za-z][A-Za-z0-9.]{0,6}".prop_map(String::into_bytes),
        2 => "[ -~]{0,8}".prop_map(String::into_bytes),
        1 => any::<String>().prop_map(|s| s.replace('\0', "").into_bytes()),
        1 => prop::collection::vec(1u8..=255, 0..5),
    ];
    let Some(ty) = ty else { return bytes.prop_map(|b| Value::str(&b)).boxed() };
    let float = |x: f64| move |ty| Value::Atom(Atom::from_f64(ty, x));
    let numbers = any::<i64>();
    match ty {
        Type::Symbol => bytes.prop_map(|b| Value::sym(&b)).boxed(),
        Type::Char => any::<u8>().prop_map(|c| Value::Atom(Atom::Char(c))).boxed(),
        Type::Byte => any::<u8>().prop_map(|b| Value::Atom(Atom::Byte(b))).boxed(),
        Type::Boolean => any::<bool>().prop_map(|b| Value::Atom(Atom::Boolean(b))).boxed(),
        Type::Guid => any::<[u8; 16]>().prop_map(|g| Value::Atom(Atom::Guid(g))).boxed(),
        Type::Real => prop_oneof![
            any::<f32>(),
            (-2_000i32..2_000).prop_map(|n| n as f32 / 10.0),
            prop::sample::select(vec![
                f32::INFINITY,
                f32::NEG_INFINITY,
                f32::NAN,
                f32::MAX,
                f32::MIN_POSITIVE,
                0.0
            ]),
        ]
        .prop_map(|x| Value::Atom(Atom::Real(x)))
        .boxed(),
        Type::Float => prop_oneof![
            any::<f64>(),
            (-2_000i32..2_000).prop_map(|n| f64::from(n) / 10.0),
            (-2_000i32..2_000).prop_map(|n| f64::from(n) / 7.0),
            prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MAX, 0.0, -0.0]),
        ]
        .prop_map(move |x| float(x)(ty))
        .boxed(),
        Type::Datetime => prop_oneof![
            6 => (-8_000_000_000_000i64..8_000_000_000_000).prop_map(|ms| ms as f64 / 86_400_000.0),
            1 => -100_000.0f64..100_000.0,
            1 => prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0, 2_921_939.0]),
        ]
        .prop_map(move |x| float(x)(ty))
        .boxed(),
        _ => {
            let infinity =
                Atom::infinity(ty).and_then(|a| Value::Atom(a).as_i64()).expect("an integral type");
            let edges = vec![i64::MIN, infinity, -infinity, infinity - 1, 1 - infinity, 0, -1, 1, 2_921_939];
            prop_oneof![
                3 => numbers.prop_map(move |n| n.clamp(-infinity, infinity)),
                3 => numbers.prop_map(move |n| n % infinity),
                4 => -100_000i64..100_000,
                3 => prop::sample::select(edges),
            ]
            .prop_map(move |n| match n {
                i64::MIN => Value::Atom(Atom::null(ty)),
                n => Value::Atom(Atom::from_i64(ty, n)),
            })
            .boxed()
        }
    }
}

fn column() -> impl Strategy<Value = (Option<Type>, Vec<Value>)> {
    let types: Vec<Option<Type>> = Type::ALL.into_iter().map(Some).chain([None]).collect();
    prop::sample::select(types).prop_flat_map(|ty| (Just(ty), prop::collection::vec(item(ty), 1..5)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_finds_its_rows((ty, values) in column()) {
        check(ty, &values)?;
    }
}

#[test]
fn the_cases_of_the_list_find_their_rows() {
    let one = |ty, value: Value| check(Some(ty), &[value]).unwrap();
    one(Type::Real, Value::from(0.1f32));
    one(Type::Byte, Value::Atom(Atom::Byte(0x10)));
    one(Type::Date, Value::Atom(Atom::Date(2_921_939)));
    let bytes = Shown::of(Some(Type::Byte), &[Value::Atom(Atom::Byte(0x10)), Value::Atom(Atom::Byte(10))]);
    assert_eq!(bytes.json()[0], "10");
    assert_eq!(bytes.rest(&serde_json::json!("10")).unwrap(), [0]);
    assert_eq!(bytes.rest(&serde_json::json!(10)).unwrap(), [1], "a number is a number");
}

#[test]
fn infinities_are_found_by_their_texts() {
    for (ty, text) in
        [(Type::Long, "0W"), (Type::Float, "-0w"), (Type::Timestamp, "0Wp"), (Type::Short, "-0Wh")]
    {
        let infinity = Atom::infinity(ty).unwrap();
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let value = match infinity.scalar().unwrap() {
            kvalue::atom::Scalar::Integer(n) => Atom::from_i64(ty, sign * n.unwrap()),
            kvalue::atom::Scalar::Float(x) => Atom::from_f64(ty, sign as f64 * x),
        };
        let shown = Shown::of(Some(ty), &[Value::Atom(value), Value::Atom(Atom::null(ty))]);
        assert_eq!(shown.rest(&serde_json::json!(text)).unwrap(), [0], "{ty}");
        assert_eq!(shown.rest(&serde_json::Value::Null).unwrap(), [1], "{ty}: null is null alone");
    }
}

#[test]
fn records_are_read_as_csv_writes_them() {
    assert_eq!(records("a,b\n\"x,\"\"y\"\"\",\"1\n2\"\n"), [["a", "b"], ["x,\"y\"", "1\n2"]]);
}
