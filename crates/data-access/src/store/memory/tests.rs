//! Batches of every form arrive once, late rows are refused, and what is purged is not served.

use super::*;

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
fn rows_of_an_older_tier_are_counted_not_kept() {
    let tables = tables();
    let taken = tables.upd(&"t".into(), &batch(&[999, 1_000])).unwrap();
    assert_eq!((taken.rows, taken.late), (1, 1));
    assert_eq!(served(&tables), [1_000]);
}

#[test]
fn what_is_before_a_moved_start_is_purged_once() {
    let tables = tables();
    tables.upd(&"t".into(), &batch(&[1_000, 1_500, 2_000])).unwrap();
    let saved = tables.rows_in(&"t".into(), TimeRange::new(1_000, 1_600).unwrap()).unwrap().unwrap();
    assert_eq!(saved.len(), 2);
    assert!(tables.move_start(&"t".into(), 1_600));
    assert!(!tables.move_start(&"t".into(), 1_600), "it has moved");
    assert_eq!(tables.purge().unwrap(), 2);
    assert_eq!(served(&tables), [2_000]);
    assert_eq!(tables.purge().unwrap(), 0);
}

#[test]
fn what_was_taken_on_before_the_start_moved_reads_its_rows_until_they_are_purged() {
    let tables = tables();
    tables.upd(&"t".into(), &batch(&[1_000, 1_500])).unwrap();
    assert!(tables.move_start(&"t".into(), 2_000));
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
    tables.close_before(DAY);
    let taken = tables.upd(&"t".into(), &batch(&[2_000, DAY + 1])).unwrap();
    assert_eq!((taken.rows, taken.late), (1, 1));
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
