//! Batches of every form arrive once, late rows are refused, and what is purged is not served.

use getdata::{Column, ColumnKind};
use kvalue::Vector;

use super::*;
use crate::handover::Decision;

fn tables() -> MemoryTables {
    let tables = MemoryTables::new(1_000, 1 << 30);
    let column = |name: &str, ty| Column { name: name.into(), kind: ColumnKind::Basic(ty) };
    let columns = vec![column("time", Type::Timestamp), column("sym", Type::Symbol), column("n", Type::Long)];
    tables.declare(TableSchema::timed("t".into(), columns, None)).unwrap();
    tables
}

fn batch(times: &[i64]) -> Value {
    Value::list([
        Vector::timestamps(times.to_vec()).into(),
        Value::syms(times.iter().map(|t| format!("s{t}"))),
        Vector::longs(times.to_vec()).into(),
    ])
}

fn served(tables: &MemoryTables) -> Vec<i64> {
    let source = tables.source(&"t".into()).unwrap();
    let mut all = Vec::new();
    for block in source.blocks(TimeRange::ALL).unwrap() {
        let rows = block.rows().unwrap();
        let column = block.column(&"n".into(), 0..rows).unwrap();
        all.extend(column.as_vector().unwrap().as_buf::<i64>().unwrap().iter());
    }
    all
}

#[test]
fn columns_a_table_or_one_row_are_all_batches() {
    let tables = tables();
    tables.upd(&"t".into(), &batch(&[1_000, 1_001])).unwrap();
    let row = Value::list([Value::Atom(Atom::Timestamp(1_002)), Value::sym("x"), Value::from(1_002i64)]);
    tables.upd(&"t".into(), &row).unwrap();
    let table = Table::of([
        ("n", Value::from(Vector::longs(vec![1_003]))),
        ("time", Vector::timestamps(vec![1_003]).into()),
        ("sym", Value::syms(["y"])),
    ]);
    tables.upd(&"t".into(), &table.unwrap().into()).unwrap();
    assert_eq!(served(&tables), [1_000, 1_001, 1_002, 1_003]);
}

#[test]
fn many_small_batches_make_few_chunks_in_order() {
    let tables = tables();
    for i in 0..1_000 {
        tables.upd(&"t".into(), &batch(&[1_000 + i])).unwrap();
    }
    assert_eq!(served(&tables), (1_000..2_000).collect::<Vec<_>>());
    let chunks = tables.read().tables[&Sym::new("t")].chunks.len();
    assert!(chunks <= 12, "{chunks} chunks for 1000 rows");
}

#[test]
fn a_batch_with_rows_that_have_no_place_is_refused_whole_and_says_how_many() {
    let tables = tables();
    let err = tables.upd(&"t".into(), &batch(&[999, i64::MAX, 1_000, -i64::MAX])).unwrap_err().ai;
    for part in ["3 of 4 rows", "1 before 2000.01.01D00:00:00.000001", "2 whose time is infinite", "nothing"]
    {
        assert!(err.contains(part), "{err}");
    }
    assert!(served(&tables).is_empty());
}

#[test]
fn for_a_sender_that_hears_no_error_the_rows_that_have_a_place_are_taken() {
    let tables = tables();
    let taken = tables.append(&"t".into(), &batch(&[999, 1_000, i64::MAX]), true).unwrap();
    assert_eq!((taken.rows, taken.unplaced.late, taken.unplaced.infinite), (1, 1, 1));
    assert_eq!(served(&tables), [1_000]);
    let refused = tables.append(&"t".into(), &batch(&[998, 999]), true).unwrap_err();
    assert_eq!(refused.rows.late, 2, "{}", refused.failure.ai);
}

#[test]
fn infinite_times_of_every_type_are_refused_and_nulls_count_as_the_first_instant() {
    for ty in Type::ALL.into_iter().filter(|ty| ty.is_temporal() && *ty != Type::Month) {
        let tables = MemoryTables::new(0, 1 << 30);
        let at = |atom: Atom| {
            Table::of([("time", Value::from(Vector::from_atoms(ty, &[atom]).unwrap()))]).unwrap().into()
        };
        let infinity = Atom::infinity(ty).unwrap();
        let err = tables.upd(&"t".into(), &at(infinity)).unwrap_err().ai;
        assert!(err.contains("1 of 1 rows") && err.contains("infinite"), "{ty}: {err}");
        assert!(tables.names().is_empty(), "a refused batch makes no table known");
        tables.upd(&"t".into(), &at(Atom::null(ty))).unwrap();
        let day = TimeRange::new(0, DAY).unwrap();
        assert_eq!(tables.rows_in(&"t".into(), day).unwrap().unwrap().len(), 1, "{ty}");
    }
}

#[test]
fn columns_that_the_schema_does_not_have_are_named() {
    let tables = tables();
    let wide = Table::of([
        ("time", Value::from(Vector::timestamps(vec![1_003]))),
        ("sym", Value::syms(["y"])),
        ("n", Vector::longs(vec![1_003]).into()),
        ("venue", Value::syms(["x"])),
    ]);
    let wide = Value::from(wide.unwrap());
    let err = tables.upd(&"t".into(), &wide).unwrap_err().ai;
    assert!(err.contains("mismatch: column venue is not in the schema (time, sym, n)"), "{err}");
    let twice = Table::of([("n", Value::from(Vector::longs(vec![1]))), ("n", Vector::longs(vec![1]).into())]);
    let err = tables.upd(&"t".into(), &twice.unwrap().into()).unwrap_err().ai;
    assert!(err.contains("column n came twice"), "{err}");
    assert!(served(&tables).is_empty());
}

#[test]
fn a_dictionary_a_keyed_table_and_lists_of_atoms_are_batches_too() {
    let tables = tables();
    let time = |t| Value::Atom(Atom::Timestamp(t));
    let row =
        kvalue::Dict::of([("n", Value::from(1_000i64)), ("sym", Value::sym("x")), ("time", time(1_000))]);
    tables.upd(&"t".into(), &row.into()).unwrap();
    let columns = kvalue::Dict::of([
        ("sym", Value::syms(["x", "y"])),
        ("n", Value::list([Value::from(1_001i64), Value::from(1_002i64)])),
        ("time", Vector::timestamps(vec![1_001, 1_002]).into()),
    ]);
    tables.upd(&"t".into(), &columns.into()).unwrap();
    let key = Table::of([("sym", Value::syms(["z"]))]).unwrap();
    let value = Table::of([
        ("time", Value::from(Vector::timestamps(vec![1_003]))),
        ("n", Vector::longs(vec![1_003]).into()),
    ]);
    let keyed = kvalue::Dict::new(key.into(), value.unwrap().into()).unwrap();
    tables.upd(&"t".into(), &keyed.into()).unwrap();
    assert_eq!(served(&tables), [1_000, 1_001, 1_002, 1_003]);
}

#[test]
fn an_untyped_column_takes_the_type_of_the_first_rows() {
    let tables = MemoryTables::new(0, 1 << 30);
    let empty = Table::of(["time", "sym", "note", "x"].map(|name| (name, Value::list([])))).unwrap();
    let name = Sym::new("t");
    assert!(tables.describe(&name, &empty.clone().into()).unwrap());
    assert!(!tables.describe(&name, &empty.clone().into()).unwrap(), "no news");
    let rows = |x: Value| {
        Value::list([
            Vector::timestamps(vec![1, 2]).into(),
            Value::syms(["a", "b"]),
            Value::list([Value::str("one"), Value::str("")]),
            x,
        ])
    };
    let taken = tables.upd(&name, &rows(Vector::floats(vec![0.5, 1.5]).into())).unwrap();
    assert!(taken.new_schema);
    let schema = tables.schema(&name).unwrap();
    assert_eq!(schema.time, Some("time".into()), "known once the column has a type");
    assert_eq!(schema.stored(&"x".into()), Some(&ColumnKind::Basic(Type::Float)));
    let err = tables.upd(&name, &rows(Vector::longs(vec![1, 2]).into())).unwrap_err().ai;
    assert!(err.contains("column x must be float, got a long vector"), "{err}");
    // The tickerplant is subscribed to again: its columns have no type still.
    assert!(!tables.describe(&name, &empty.into()).unwrap());
    tables.upd(&name, &rows(Vector::floats(vec![2.5, 3.5]).into())).unwrap();
    assert_eq!(tables.row_counts(), [(name, 4)]);
}

#[test]
fn a_table_without_rows_takes_another_description_and_one_with_rows_does_not() {
    let tables = MemoryTables::new(0, 1 << 30);
    let of = |ty| Value::from(Table::of([("time", Value::from(Vector::empty(ty)))]).unwrap());
    let name = Sym::new("t");
    tables.describe(&name, &of(Type::Timespan)).unwrap();
    assert!(tables.describe(&name, &of(Type::Timestamp)).unwrap());
    tables.upd(&name, &Value::list([Vector::timestamps(vec![1]).into()])).unwrap();
    let err = tables.describe(&name, &of(Type::Timespan)).unwrap_err().ai;
    assert!(err.contains("time (timestamp)") && err.contains("time (timespan)"), "{err}");
    assert!(tables.describe(&name, &Value::from(1i64)).unwrap_err().ai.contains("expected a table"));
    let column = Column { name: "time".into(), kind: ColumnKind::Basic(Type::Timestamp) };
    tables.declare(TableSchema::timed("fixed".into(), vec![column.clone()], None)).unwrap();
    assert!(tables.describe(&"fixed".into(), &of(Type::Date)).is_err(), "the assembly file decides");
    let mut odd = TableSchema::timed("odd".into(), vec![column], None);
    odd.time = Some("nosuch".into());
    assert!(tables.declare(odd).unwrap_err().ai.contains("time column nosuch (prtnCol)"));
}

#[test]
fn names_that_a_disk_takes_for_one_are_refused_where_it_does() {
    let tables = MemoryTables::new(0, 1 << 30);
    let of = |name: &str| Value::from(Table::of([(name, Value::from(Vector::timestamps(vec![1])))]).unwrap());
    tables.upd(&"trade".into(), &of("time")).unwrap();
    tables.fold_case();
    let err = tables.upd(&"Trade".into(), &of("time")).unwrap_err().ai;
    assert!(err.contains("Trade and trade for one name"), "{err}");
    let two = Table::of([("e", Value::from(Vector::longs(vec![1]))), ("E", Vector::longs(vec![1]).into())]);
    assert!(tables.upd(&"u".into(), &two.unwrap().into()).is_err());
    tables.upd(&"trade".into(), &of("time")).unwrap();
}

#[test]
fn a_batch_of_many_days_is_taken_in_one_pass() {
    let tables = MemoryTables::new(0, 1 << 30);
    let times: Vec<i64> = (0..50_000).map(|i| i * 7 % 50_000 * DAY).collect();
    let t = Table::of([("time", Value::from(Vector::timestamps(times)))]).unwrap();
    tables.upd(&"t".into(), &t.into()).unwrap();
    assert_eq!(tables.read().tables[&Sym::new("t")].chunks.len(), 50_000);
}

fn move_start(tables: &MemoryTables, to: i64) {
    tables.hand_over(&"t".into(), |_, _| Decision::Move(to));
}

#[test]
fn what_is_before_a_moved_start_is_purged_once() {
    let tables = tables();
    tables.upd(&"t".into(), &batch(&[1_000, 1_500, 2_000])).unwrap();
    let saved = tables.rows_in(&"t".into(), TimeRange::new(1_000, 1_600).unwrap()).unwrap().unwrap();
    assert_eq!(saved.len(), 2);
    move_start(&tables, 1_600);
    assert_eq!(tables.purge().unwrap(), 2);
    assert_eq!(served(&tables), [2_000]);
    assert_eq!(tables.purge().unwrap(), 0);
}

#[test]
fn what_was_taken_on_before_the_start_moved_reads_its_rows_until_they_are_purged() {
    let tables = tables();
    tables.upd(&"t".into(), &batch(&[1_000, 1_500])).unwrap();
    move_start(&tables, 2_000);
    // A portion is checked against the purview when it comes, and reads when its turn on the query thread is.
    assert_eq!(served(&tables), [1_000, 1_500]);
    assert_eq!(tables.purge().unwrap(), 2);
    assert!(served(&tables).is_empty());
}

#[test]
fn wrong_batches_are_explained_and_change_nothing() {
    let tables = tables();
    let short = Value::list([Value::from(Vector::timestamps(vec![1]))]);
    let err = tables.upd(&"t".into(), &short).unwrap_err();
    assert!(err.ai.contains("1 columns came, expected time, sym, n"), "{}", err.ai);
    let mut wrong = match batch(&[1_000]) {
        Value::List(l) => l.items().to_vec(),
        _ => unreachable!(),
    };
    wrong[2] = Vector::floats(vec![1.0]).into();
    let err = tables.upd(&"t".into(), &Value::list(wrong)).unwrap_err();
    assert!(err.ai.contains("column n must be long, got a float vector"), "{}", err.ai);
    let err = tables.upd(&"new".into(), &batch(&[1])).unwrap_err();
    assert!(err.ai.contains("table new is not known"), "{}", err.ai);
    assert!(served(&tables).is_empty());
}

#[test]
fn the_memory_limit_refuses_the_batch_that_exceeds_it() {
    let tables = MemoryTables::new(0, 100);
    let table = |n: usize| Value::from(Table::of([("n", Value::from(Vector::longs(vec![1; n])))]).unwrap());
    tables.upd(&"t".into(), &table(10)).unwrap();
    let err = tables.upd(&"t".into(), &table(10)).unwrap_err();
    assert_eq!(err.rc, Rc::LIMIT);
    assert!(err.ai.contains("QMESH_RDB_BYTES"), "{}", err.ai);
}

#[test]
fn rows_of_a_day_that_is_being_saved_are_refused_not_lost_later() {
    let tables = tables();
    tables.upd(&"t".into(), &batch(&[1_000])).unwrap();
    assert!(!tables.close_day(&"t".into(), 0, 2), "another number of rows was saved");
    assert!(tables.close_day(&"t".into(), 0, 1));
    let taken = tables.append(&"t".into(), &batch(&[2_000, DAY + 1]), true).unwrap();
    assert_eq!((taken.rows, taken.unplaced.late), (1, 1));
    assert_eq!(served(&tables), [1_000, DAY + 1], "what came before is served until an older tier has it");
}

#[test]
fn a_batch_over_midnight_has_both_dates() {
    let tables = tables();
    tables.upd(&"t".into(), &batch(&[DAY - 1, DAY, DAY + 1, DAY - 2])).unwrap();
    let source = tables.source(&"t".into()).unwrap();
    let blocks = source.blocks(TimeRange::ALL).unwrap();
    let dates: Vec<_> = blocks.iter().map(|b| (b.partition(), b.rows().unwrap())).collect();
    assert_eq!(dates, [(Some(Atom::Date(0)), 2), (Some(Atom::Date(1)), 2)]);
    assert_eq!(source.schema().partition, Some(("date".into(), Type::Date)));
}
