//! Every type with its edge values, in every format, read back by readers that know nothing of q.
//!
//! What is read back is the value that went in; where the writer refused, the value it names has no counterpart
//! in the format. Both are decided here from the atom alone.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, cast::AsArray, types::*};
use arrow_schema::{DataType, TimeUnit};
use export::{ExportError, Loss, csv::Style};
use kvalue::{Atom, Table, Type, Value, Vector, atom::Scalar};
use proptest::prelude::*;

/// Days between the two epochs, counted once by hand: 30 years and 7 leap days.
const EPOCH_DAYS: i64 = 30 * 365 + 7;
const DAY_MS: i64 = 86_400_000;
const DAY_NS: i64 = DAY_MS * 1_000_000;

/// Atoms of a type: edges of its range, nulls, infinities, and plain ones.
fn atoms(ty: Type) -> BoxedStrategy<Atom> {
    let i32s = prop_oneof![
        Just(i32::MIN),
        Just(i32::MAX),
        Just(-i32::MAX),
        Just(i32::MAX - 1),
        Just(0),
        Just(-1),
        Just(DAY_MS as i32),
        -200_000i32..200_000,
        any::<i32>()
    ];
    let i64s = prop_oneof![
        Just(i64::MIN),
        Just(i64::MAX),
        Just(-i64::MAX),
        Just(i64::MAX - EPOCH_DAYS * DAY_NS),
        Just(i64::MAX - EPOCH_DAYS * DAY_NS + 1),
        Just(0),
        Just(-1),
        any::<i64>()
    ];
    let f64s = prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(0.1 + 0.2),
        Just(-0.0),
        Just(5e-324),
        Just(95_745.5),
        -200_000.0..200_000.0f64,
        any::<f64>()
    ];
    match ty {
        Type::Boolean => any::<bool>().prop_map(Atom::Boolean).boxed(),
        Type::Byte => any::<u8>().prop_map(Atom::Byte).boxed(),
        Type::Char => {
            prop_oneof![Just(b' '), Just(b'"'), b' '..=b'~', any::<u8>()].prop_map(Atom::Char).boxed()
        }
        Type::Short => prop_oneof![Just(i16::MIN), Just(i16::MAX), Just(-i16::MAX), any::<i16>()]
            .prop_map(Atom::Short)
            .boxed(),
        Type::Real => prop_oneof![Just(0.1f32), Just(f32::NAN), Just(f32::INFINITY), any::<f32>()]
            .prop_map(Atom::Real)
            .boxed(),
        Type::Float | Type::Datetime => f64s.prop_map(move |x| Atom::from_f64(ty, x)).boxed(),
        Type::Long | Type::Timestamp | Type::Timespan => {
            i64s.prop_map(move |n| Atom::from_i64(ty, n)).boxed()
        }
        Type::Symbol => prop_oneof![
            Just(Vec::new()),
            Just(b"a,\"b\"\nc".to_vec()),
            Just(vec![0xff, b'x']),
            "[a-z]{1,4}".prop_map(String::into_bytes),
            "[^\0]{1,4}".prop_map(String::into_bytes)
        ]
        .prop_map(|s| Atom::Symbol(kvalue::Sym::new(&s)))
        .boxed(),
        Type::Guid => prop_oneof![Just([0; 16]), any::<[u8; 16]>()].prop_map(Atom::Guid).boxed(),
        _ => i32s.prop_map(move |n| Atom::from_i64(ty, i64::from(n))).boxed(),
    }
}

fn types() -> impl Strategy<Value = Type> {
    proptest::sample::select(Type::ALL.to_vec())
}

/// A column of `rows` rows: of one type, strings, lists of one type, or lists of lists.
fn column(rows: usize) -> impl Strategy<Value = Value> {
    let typed = move |ty: Type, n: std::ops::RangeInclusive<usize>| {
        proptest::collection::vec(atoms(ty), n)
            .prop_map(move |a| Value::from(Vector::from_atoms(ty, &a).unwrap()))
    };
    let list = move |ty: Type| {
        let item = prop_oneof![5 => typed(ty, 0..=3), 1 => Just(Value::list([]))];
        proptest::collection::vec(item, rows).prop_map(Value::list)
    };
    prop_oneof![
        4 => types().prop_flat_map(move |ty| typed(ty, rows..=rows)),
        2 => types().prop_flat_map(list),
        1 => types().prop_flat_map(move |ty| {
            let inner = proptest::collection::vec(typed(ty, 0..=2), 0..=2).prop_map(Value::list);
            proptest::collection::vec(inner, rows).prop_map(Value::list)
        }),
    ]
}

/// True where no Arrow type of the mapping holds the atom.
fn is_lost(a: &Atom) -> bool {
    let infinite = match (a.scalar(), Atom::infinity(a.ty()).and_then(|i| i.scalar())) {
        (Some(Scalar::Integer(Some(n))), Some(Scalar::Integer(Some(most)))) => n.abs() == most,
        (Some(Scalar::Float(x)), _) => a.ty() == Type::Datetime && x.is_infinite(),
        _ => false,
    };
    infinite
        || match a {
            Atom::Timestamp(ns) => ns.checked_add(EPOCH_DAYS * DAY_NS).is_none(),
            Atom::Datetime(days) => days.is_finite() && (days * 86_400_000.0).abs() >= 9.2e18,
            Atom::Date(d) => *d != i32::MIN && d.checked_add(EPOCH_DAYS as i32).is_none(),
            // 2^31 days are 70,555,000 months.
            Atom::Month(m) => {
                *m != i32::MIN && (i64::from(*m) * 146_097 / 4_800 + EPOCH_DAYS).abs() > i64::from(i32::MAX)
            }
            Atom::Char(c) => !c.is_ascii(),
            Atom::Symbol(s) => std::str::from_utf8(s.as_bytes()).is_err(),
            _ => false,
        }
}

fn has_lost(value: &Value) -> bool {
    match value {
        Value::Atom(a) => is_lost(a),
        Value::Vector(v) if v.ty() == Type::Char => std::str::from_utf8(v.as_bytes().unwrap()).is_err(),
        other => (0..other.count()).any(|i| has_lost(&other.index(i))),
    }
}

/// What a cell of an Arrow array says, as the q value it came from would say it.
fn read_back(array: &ArrayRef, i: usize, q: &str) -> String {
    if array.is_null(i) || *array.data_type() == DataType::Null {
        return "null".into();
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(i).to_string(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(i).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(i).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(i).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(i).to_string(),
        DataType::Float32 => format!("{:?}", array.as_primitive::<Float32Type>().value(i)),
        DataType::Float64 => format!("{:?}", array.as_primitive::<Float64Type>().value(i)),
        DataType::Utf8 => format!("{:?}", array.as_string::<i32>().value(i)),
        DataType::FixedSizeBinary(16) => format!("{:?}", array.as_fixed_size_binary().value(i)),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => {
            (i128::from(array.as_primitive::<TimestampNanosecondType>().value(i))
                - i128::from(EPOCH_DAYS * DAY_NS))
            .to_string()
        }
        DataType::Timestamp(TimeUnit::Millisecond, None) => {
            (i128::from(array.as_primitive::<TimestampMillisecondType>().value(i))
                - i128::from(EPOCH_DAYS * DAY_MS))
            .to_string()
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            array.as_primitive::<DurationNanosecondType>().value(i).to_string()
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            array.as_primitive::<DurationMillisecondType>().value(i).to_string()
        }
        DataType::Duration(TimeUnit::Second) => {
            let seconds = array.as_primitive::<DurationSecondType>().value(i);
            if q == "minute" { format!("{}", seconds as f64 / 60.0) } else { seconds.to_string() }
        }
        DataType::Date32 => {
            let days = i64::from(array.as_primitive::<Date32Type>().value(i)) - EPOCH_DAYS;
            if q == "month" {
                // Counted the slow way: the month whose first day it is.
                let (year, month, day) = kvalue::time::civil_from_days(days);
                assert_eq!(day, 1);
                ((year - 2000) * 12 + i64::from(month) - 1).to_string()
            } else {
                days.to_string()
            }
        }
        DataType::List(field) => {
            let items = array.as_list::<i32>().value(i);
            let q = field.metadata().get("q.type").cloned().unwrap_or_default();
            let texts: Vec<String> = (0..items.len()).map(|k| read_back(&items, k, &q)).collect();
            format!("[{}]", texts.join(" "))
        }
        other => panic!("no such type in the mapping: {other}"),
    }
}

/// The same text from the q value.
fn wanted(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Atom(a) if is_lost(a) && !matches!(a, Atom::Char(_) | Atom::Symbol(_)) => "null".into(),
        Value::Atom(Atom::Char(c)) => format!("{:?}", String::from_utf8_lossy(&[*c])),
        Value::Atom(a) if a.is_null() => "null".into(),
        Value::Atom(a) => match a {
            Atom::Boolean(b) => b.to_string(),
            Atom::Real(x) => format!("{x:?}"),
            Atom::Float(x) => format!("{x:?}"),
            Atom::Datetime(x) => format!("{}", (x * 86_400_000.0).round() as i64),
            Atom::Symbol(s) => format!("{:?}", String::from_utf8_lossy(s.as_bytes())),
            Atom::Guid(g) => format!("{:?}", &g[..]),
            _ => match a.scalar() {
                Some(Scalar::Integer(Some(n))) => n.to_string(),
                other => panic!("{other:?}"),
            },
        },
        Value::Vector(v) if v.ty() == Type::Char => {
            format!("{:?}", String::from_utf8_lossy(v.as_bytes().unwrap()))
        }
        other => {
            let items: Vec<String> = (0..other.count()).map(|i| wanted(&other.index(i))).collect();
            format!("[{}]", items.join(" "))
        }
    }
}

fn check(batches: &[RecordBatch], column: &Value) {
    let schema = batches[0].schema();
    let q = schema.field(0).metadata().get("q.type").cloned().unwrap();
    let rows = batches.iter().flat_map(|b| (0..b.num_rows()).map(|i| (b.column(0).clone(), i)));
    let mut count = 0;
    for (row, (array, i)) in rows.enumerate() {
        let item = column.index(row);
        let (found, mut hoped) = (read_back(&array, i, &q), wanted(&item));
        if matches!(array.data_type(), DataType::Utf8) && hoped == "[]" {
            // `()` in a column of strings is the empty one.
            hoped = "\"\"".into();
        }
        assert_eq!(found, hoped, "row {row} of a {q}: {item:?}");
        count += 1;
    }
    assert_eq!(count, column.count());
}

fn ipc(table: &Value, loss: Loss) -> Result<Vec<RecordBatch>, ExportError> {
    let mut out = Vec::new();
    export::arrow::write_ipc(table, loss, &mut out)?;
    let reader = arrow_ipc::reader::StreamReader::try_new(std::io::Cursor::new(out), None).unwrap();
    Ok(reader.map(Result::unwrap).collect())
}

fn parquet(table: &Value, loss: Loss) -> Result<Vec<RecordBatch>, ExportError> {
    use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let mut out = Vec::new();
    export::parquet::write(table, loss, &mut out)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(out)).unwrap();
    let schema = reader.schema().clone();
    let mut batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema));
    }
    Ok(batches)
}

fn one(column: Value) -> Value {
    Table::of([("c", column)]).unwrap().into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_back_is_what_went_in_or_it_was_refused_by_name(column in (0usize..5).prop_flat_map(column)) {
        let table = one(column.clone());
        for format in [ipc, parquet] {
            match format(&table, Loss::Refused) {
                Ok(batches) => {
                    prop_assert!(!has_lost(&column), "something was lost in silence: {column:?}");
                    check(&batches, &column);
                }
                Err(ExportError::Unrepresentable { row, column: name, .. }) => {
                    prop_assert_eq!(name, "c");
                    prop_assert!(has_lost(&column.index(row)), "row {} of {:?} has a counterpart", row, column);
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
            check(&format(&table, Loss::Allowed).unwrap(), &column);
        }
    }

    #[test]
    fn csv_is_read_back_as_what_went_in(column in (1usize..5).prop_flat_map(column), q in any::<bool>()) {
        let style = if q { Style::Q } else { Style::Iso };
        let mut out = Vec::new();
        export::csv::write(&one(column.clone()), style, &mut out).unwrap();
        let records = fields(&out);
        prop_assert_eq!(records.len(), column.count() + 1, "{:?}", String::from_utf8_lossy(&out));
        for (i, record) in records[1..].iter().enumerate() {
            prop_assert_eq!(record.len(), 1);
            csv_cell(&column.index(i), &record[0], style);
        }
    }
}

/// Records of RFC 4180, read letter by letter.
fn fields(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (mut records, mut record, mut field, mut quoted) = (Vec::new(), Vec::new(), Vec::new(), false);
    let mut rest = text.iter().copied().peekable();
    while let Some(b) = rest.next() {
        match b {
            b'"' if quoted && rest.peek() == Some(&b'"') => {
                rest.next();
                field.push(b'"');
            }
            b'"' => quoted = !quoted,
            b',' if !quoted => record.push(std::mem::take(&mut field)),
            b'\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            b => field.push(b),
        }
    }
    assert!(!quoted && field.is_empty() && record.is_empty(), "the file ends within a record");
    records
}

/// Checks a field by readers of the field: the standard library's of numbers, jiff's of ISO dates.
fn csv_cell(value: &Value, field: &[u8], style: Style) {
    let shown = String::from_utf8_lossy(field).into_owned();
    let a = match value {
        Value::Vector(v) if v.ty() == Type::Char => return assert_eq!(field, &v.as_bytes().unwrap()[..]),
        Value::Atom(a) => a,
        _ => {
            let json: serde_json::Value = serde_json::from_str(&shown).unwrap();
            return assert_eq!(json.as_array().unwrap().len(), value.count(), "{shown}");
        }
    };
    match a {
        Atom::Char(c) => assert_eq!(field, [*c]),
        Atom::Symbol(s) => assert_eq!(field, s.as_bytes()),
        a if a.is_null() => assert_eq!(shown, ""),
        Atom::Boolean(b) => {
            let text = if style == Style::Q { ["0", "1"] } else { ["false", "true"] };
            assert_eq!(shown, text[usize::from(*b)]);
        }
        Atom::Byte(b) => assert_eq!(u8::from_str_radix(&shown, 16).unwrap(), *b),
        Atom::Real(x) if x.is_finite() => assert_eq!(shown.parse::<f32>().unwrap().to_bits(), x.to_bits()),
        Atom::Float(x) if x.is_finite() => assert_eq!(shown.parse::<f64>().unwrap().to_bits(), x.to_bits()),
        Atom::Real(_) | Atom::Float(_) if style == Style::Iso => {
            assert_eq!(Some(Scalar::Float(shown.parse::<f64>().unwrap())), a.scalar());
        }
        Atom::Guid(g) => {
            let digits: String = shown.chars().filter(|c| *c != '-').collect();
            assert_eq!(u128::from_str_radix(&digits, 16).unwrap(), u128::from_be_bytes(*g));
        }
        Atom::Short(_) | Atom::Int(_) | Atom::Long(_) if !shown.contains('W') => {
            assert_eq!(Some(Scalar::Integer(Some(shown.parse().unwrap()))), a.scalar());
        }
        Atom::Timestamp(ns) if style == Style::Iso && !shown.contains('W') => {
            let at: jiff::civil::DateTime = shown.parse().unwrap();
            let since = at.since(jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0)).unwrap();
            let since = since.total((jiff::Unit::Hour, jiff::SpanRelativeTo::days_are_24_hours())).unwrap();
            assert!((since - *ns as f64 / 3.6e12).abs() < 1e-3, "{shown} for {ns}");
            assert_eq!(i64::from(at.subsec_nanosecond()), ns.rem_euclid(1_000_000_000), "{shown}");
        }
        Atom::Date(d) if style == Style::Iso && (-3_000_000..2_900_000).contains(d) => {
            if (-730_119..2_921_939).contains(d) {
                let at: jiff::civil::Date = shown.parse().unwrap();
                let since = at.since((jiff::Unit::Day, jiff::civil::date(2000, 1, 1))).unwrap();
                assert_eq!(since.get_days(), *d, "{shown}");
            }
        }
        _ => assert!(!shown.is_empty()),
    }
}

#[test]
fn a_datetime_from_2262_does_not_wrap() {
    let days = 95_745.5; // 2262.02.21T12:00
    let later = 100_000.25;
    let table = one(Value::from(Vector::new::<f64>(Type::Datetime, vec![days, later])));
    check(&ipc(&table, Loss::Refused).unwrap(), &column_of(&table));
    check(&parquet(&table, Loss::Refused).unwrap(), &column_of(&table));
}

fn column_of(table: &Value) -> Value {
    export::columns(table).unwrap().remove(0).1
}

#[test]
fn times_before_zero_and_after_a_day_keep_their_value() {
    for (ty, items) in [
        (Type::Time, vec![-1, 0, 86_400_000, i32::MIN]),
        (Type::Second, vec![-1, 90_000, 5, i32::MIN]),
        (Type::Minute, vec![-1, 1_441, 5, i32::MIN]),
    ] {
        let table = one(Value::from(Vector::new::<i32>(ty, items)));
        let batches = parquet(&table, Loss::Refused).unwrap();
        assert!(matches!(batches[0].schema().field(0).data_type(), DataType::Duration(_)), "{ty}");
        check(&batches, &column_of(&table));
    }
}

#[test]
fn an_infinity_is_no_number() {
    for (ty, n) in [(Type::Long, i64::MAX), (Type::Timestamp, -i64::MAX), (Type::Timespan, i64::MAX)] {
        let table = one(Value::from(Vector::new::<i64>(ty, vec![1, n])));
        let error = ipc(&table, Loss::Refused).unwrap_err().to_string();
        assert!(error.contains("column c, row 1") && error.contains("0W"), "{error}");
        assert!(ipc(&table, Loss::Allowed).unwrap()[0].column(0).is_null(1));
    }
    let floats = one(Value::from(Vector::floats(vec![f64::INFINITY])));
    check(&ipc(&floats, Loss::Refused).unwrap(), &column_of(&floats));
}

#[test]
fn lists_are_lists_and_mixed_ones_are_refused() {
    let longs = Value::from(Vector::longs(vec![1, 2]));
    let table = one(Value::list([longs.clone(), Value::from(Vector::longs(vec![]))]));
    let batches = parquet(&table, Loss::Refused).unwrap();
    assert!(matches!(batches[0].schema().field(0).data_type(), DataType::List(_)));
    check(&batches, &column_of(&table));
    for odd in [Value::str("x"), Value::from(1i64), Value::syms(["a"]), Value::empty_dict()] {
        let error = ipc(&one(Value::list([longs.clone(), odd])), Loss::Allowed).unwrap_err();
        assert!(matches!(error, ExportError::Mixed { row: 1, .. }), "{error}");
    }
}

#[test]
fn a_large_table_has_several_batches_of_one_schema() {
    let rows = 150_000;
    let nested: Vec<Value> =
        (0..rows).map(|i| if i < 100_000 { Value::list([]) } else { Value::syms(["a"]) }).collect();
    let table = one(Value::list(nested));
    let batches = ipc(&table, Loss::Refused).unwrap();
    assert_eq!(batches.len(), 3);
    check(&batches, &column_of(&table));
}

#[test]
fn what_is_no_table_says_so() {
    let err = ipc(&Value::from(1i64), Loss::Refused).unwrap_err();
    assert!(err.to_string().contains("ask for JSON"), "{err}");
}

#[test]
fn keys_come_first_and_empty_tables_keep_their_schema() {
    let side = |name, values| Table::of([(name, Value::from(Vector::longs(values)))]).unwrap();
    let keyed = kvalue::Dict::new(side("k", vec![]).into(), side("v", vec![]).into()).unwrap();
    let batches = parquet(&keyed.into(), Loss::Refused).unwrap();
    let names: Vec<String> = batches[0].schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!((names, batches[0].num_rows()), (vec!["k".into(), "v".into()], 0));
    let _: Arc<arrow_schema::Schema> = batches[0].schema();
}
