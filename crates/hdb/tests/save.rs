//! What is saved reads back equal, appears at once or not at all, and extends the enumeration safely.

mod common;

use std::path::Path;

use common::{refused, write};
use hdb::{
    Algorithm, Database, HdbError, OpenOptions, PartitionKind, PartitionValue,
    save::{Compression, SaveOptions, SaveReport, Target, save_down, save_partition, save_splayed},
};
use kvalue::{Atom, Attr, Dict, Symbols, Table, Type, Value, Vector};
use proptest::prelude::*;

fn open(root: &Path) -> Database {
    Database::open(root, &OpenOptions::default()).unwrap()
}

/// All of a table as it is on disk.
fn load(root: &Path, table: &str) -> Table {
    let db = open(root);
    let part = db.partitions(table).pop();
    let data = db.open_table(table, part.as_ref()).unwrap();
    let n = data.rows().unwrap();
    let columns: Vec<(String, Value)> = db
        .table(table)
        .unwrap()
        .columns
        .iter()
        .map(|c| (c.name.clone(), data.column(&c.name, 0..n).unwrap()))
        .collect();
    data.check().unwrap();
    Table::of(columns).unwrap()
}

fn every_type(n: usize) -> Table {
    let fixed = |ty: Type| {
        let atoms: Vec<Atom> = (0..n)
            .map(|i| match i % 7 {
                3 => Atom::null(ty),
                5 => Atom::infinity(ty).unwrap_or(Atom::null(ty)),
                _ if ty == Type::Guid => Atom::Guid([i as u8; 16]),
                _ if ty == Type::Symbol => Atom::Symbol(format!("s{}", i % 11).into()),
                _ => Atom::from_i64(ty, (i * 37 % 100) as i64),
            })
            .collect();
        Value::Vector(Vector::from_atoms(ty, &atoms).unwrap())
    };
    let mut columns: Vec<(String, Value)> =
        Type::ALL.iter().map(|ty| (format!("c_{}", ty.name()), fixed(*ty))).collect();
    let texts: Vec<Value> = (0..n).map(|i| Value::str("long text ".repeat(i % 15))).collect();
    columns.push(("texts".into(), Value::list(texts)));
    Table::of(columns).unwrap()
}

fn mixed_items() -> Vec<Value> {
    vec![
        Value::str(""),
        Value::str("x".repeat(95)),
        Value::str("x".repeat(96)),
        Value::Atom(Atom::Char(b'c')),
        Vector::longs((0..50).collect()).into(),
        Vector::longs(vec![]).into(),
        Value::syms(["a", "", "b", "a"]),
        Value::sym("b"),
        Value::list([]),
        Value::list([Value::str("in"), Value::list([Value::from(1i64), Value::syms(["deep"])])]),
        Vector::booleans(vec![true; 95]).into(),
        Value::from(2.5f64),
        Dict::of([("a", Value::from(1i64)), ("b", Value::str("text"))]).into(),
        Dict::new(Vector::longs(vec![1, 2]).into(), Vector::floats(vec![0.5, 1.5]).into()).unwrap().into(),
        Value::empty_dict(),
        inner_table().into(),
        Dict::new(inner_table().into(), inner_table().into()).unwrap().into(),
    ]
}

fn inner_table() -> Table {
    Table::of([("x", Value::syms(["a", "c"])), ("y", Value::list([Value::str("in"), Value::list([])]))])
        .unwrap()
}

#[test]
fn empty_symbol_lists_alone_read_back() {
    let data = Table::of([("c", Value::list(vec![Value::Vector(Vector::empty(Type::Symbol)); 2]))]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    save_splayed(dir.path(), "t", &data, &SaveOptions::default()).unwrap();
    assert_eq!(load(dir.path(), "t"), data);
}

#[test]
fn items_that_no_column_can_hold_are_named() {
    let function = Value::Opaque(kvalue::Opaque::new(b"\x65\x01".to_vec().into()));
    let deep = (0..40).fold(Value::str("in"), |inner, _| Value::list([inner]));
    for (item, why) in [(Value::Null, "row 1 is ::"), (function, "row 1 is a function"), (deep, "32 deep")] {
        let data = Table::of([("c", Value::list([Value::str("good"), item]))]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        refused(save_splayed(dir.path(), "t", &data, &SaveOptions::default()), &["column c of table t", why]);
        assert!(hdb::save::column(data.column("c").unwrap()).is_err_and(|reason| reason.contains(why)));
    }
}

#[test]
fn every_type_reads_back_plain_and_compressed_by_each_algorithm() {
    let data = every_type(3000);
    let all = [
        (Algorithm::None, 0),
        (Algorithm::Q, 0),
        (Algorithm::Zlib, 6),
        (Algorithm::Snappy, 0),
        (Algorithm::Lz4, 9),
        (Algorithm::Zstd, 3),
        (Algorithm::Zstd, -7),
    ];
    let compress = all.map(|(algorithm, level)| Some(Compression { block_bits: 12, algorithm, level }));
    for target in [Target::Kdb30, Target::Kdb36] {
        for compress in compress.into_iter().chain([None]) {
            let dir = tempfile::tempdir().unwrap();
            let options = SaveOptions { compress, target, ..SaveOptions::default() };
            let report = save_splayed(dir.path(), "t", &data, &options).unwrap();
            assert_eq!(load(dir.path(), "t"), data, "{compress:?} {target:?}");
            assert_eq!((report.rows, report.symbols_added), (3000, 11));
            let on_disk: u64 = std::fs::read_dir(dir.path().join("t"))
                .unwrap()
                .map(|e| e.unwrap().metadata().unwrap().len())
                .sum();
            assert_eq!(report.bytes, on_disk);
            let packed = std::fs::read(dir.path().join("t/c_date")).unwrap().starts_with(b"kxzipped");
            assert_eq!(packed, compress.is_some());
            assert!(!std::fs::read(dir.path().join("t/.d")).unwrap().starts_with(b"kxzipped"));
        }
    }
}

#[test]
fn nested_values_of_any_kind_read_back() {
    let items = mixed_items();
    let data = Table::of([("c", Value::list(items.clone()))]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    save_splayed(dir.path(), "t", &data, &SaveOptions::default()).unwrap();
    assert_eq!(load(dir.path(), "t"), data);

    let too_many = Value::syms((0..24).map(|i| format!("s{i}")));
    let too_many = Table::of([("c", Value::list([too_many]))]).unwrap();
    refused(
        save_splayed(dir.path(), "u", &too_many, &SaveOptions::default()),
        &["column c of table u", "24 symbols", "up to 23"],
    );
    let old = SaveOptions { target: Target::Kdb30, ..SaveOptions::default() };
    refused(save_splayed(dir.path(), "u", &data, &old), &["column c of table u", "3.6"]);
    assert!(!dir.path().join("u").exists());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "a failed save leaves nothing behind");
}

fn trades(n: usize) -> Table {
    let syms = (0..n).map(|i| ["MSFT", "AAPL", "IBM"][i * 7 % 3]);
    Table::of([
        ("time", Value::Vector(Vector::timestamps((0..n as i64).map(|i| i * 10).collect()))),
        ("sym", Value::syms(syms)),
        ("price", Value::Vector(Vector::floats((0..n).map(|i| i as f64 / 4.0).collect()))),
        ("note", Value::list((0..n).map(|i| Value::str(format!("n{i}"))).collect::<Vec<_>>())),
    ])
    .unwrap()
}

#[test]
fn end_of_day_sorts_parts_and_moves_the_parted_column_first() {
    for target in [Target::Kdb30, Target::Kdb36] {
        let dir = tempfile::tempdir().unwrap();
        let options = SaveOptions { parted: Some("sym".into()), target, ..SaveOptions::default() };
        save_down(dir.path(), PartitionValue::date(9000), "trade", &trades(100), &options).unwrap();
        let db = open(dir.path());
        let meta = db.table("trade").unwrap();
        assert_eq!(meta.column_names(), "sym, time, price, note");
        assert_eq!(meta.columns[0].attr, Attr::Parted);
        let part = &db.partitions("trade")[0];
        assert_eq!((part.value, part.kind), (9000, PartitionKind::Date));
        let data = db.open_table("trade", Some(part)).unwrap();
        let index = data.parted("sym").unwrap().unwrap();
        let names: Vec<String> = index.ranges().map(|r| r.0.text().into_owned()).collect();
        assert_eq!(names, ["AAPL", "IBM", "MSFT"]);
        for (sym, range) in index.ranges() {
            let times = data.column("time", range.clone()).unwrap();
            let times = times.as_vector().unwrap().as_buf::<i64>().unwrap().to_vec();
            assert!(times.is_sorted(), "rows of {sym} keep their order");
            let notes = data.column("note", range).unwrap();
            let first = notes.index(0).as_text().unwrap();
            assert_eq!(first, format!("n{}", times[0] / 10).into_bytes(), "rows stay together");
        }
    }
}

#[test]
fn sorting_by_a_plain_column_marks_it_sorted() {
    let dir = tempfile::tempdir().unwrap();
    let data = Table::of([
        ("x", Value::Vector(Vector::floats(vec![2.0, f64::NAN, -1.0, f64::NEG_INFINITY, 0.5]))),
        ("y", Value::Vector(Vector::longs(vec![0, 1, 2, 3, 4]))),
    ])
    .unwrap();
    let options = SaveOptions { sort: vec!["x".into()], ..SaveOptions::default() };
    save_splayed(dir.path(), "t", &data, &options).unwrap();
    let saved = load(dir.path(), "t");
    assert_eq!(saved.column("y"), Some(&Vector::longs(vec![1, 3, 2, 4, 0]).into()), "null first");
    assert_eq!(open(dir.path()).table("t").unwrap().columns[0].attr, Attr::Sorted);
}

#[test]
fn an_empty_table_has_the_sizes_kdb_gives_it() {
    for (target, bytes) in [(Target::Kdb30, 104), (Target::Kdb36, 4176)] {
        let dir = tempfile::tempdir().unwrap();
        let options = SaveOptions { parted: Some("sym".into()), target, ..SaveOptions::default() };
        save_down(dir.path(), PartitionValue::date(1), "trade", &trades(0), &options).unwrap();
        let at =
            |name: &str| std::fs::metadata(dir.path().join("2000.01.02/trade").join(name)).unwrap().len();
        assert_eq!((at("sym"), at("time"), at("note")), (bytes, 16, 8));
        assert_eq!(load(dir.path(), "trade").len(), 0);
    }
}

#[test]
fn null_symbols_are_saved_without_an_index_nobody_knows() {
    let dir = tempfile::tempdir().unwrap();
    let data = Table::of([("sym", Value::syms(["b", "", "a"]))]).unwrap();
    let options = SaveOptions { parted: Some("sym".into()), ..SaveOptions::default() };
    save_splayed(dir.path(), "t", &data, &options).unwrap();
    let saved = load(dir.path(), "t");
    assert_eq!(saved.column("sym"), Some(&Value::syms(["", "a", "b"])));
    assert_eq!(open(dir.path()).table("t").unwrap().columns[0].attr, Attr::None);
}

#[test]
fn the_enumeration_only_grows_at_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sym");
    // As kdb+ leaves it after appends: the count does not say how many names there are.
    write(&file, &common::symbols(&["z", "a"]));
    let save = |table: &str, names: &[&str]| {
        let data = Table::of([("s", Value::syms(names))]).unwrap();
        save_splayed(dir.path(), table, &data, &SaveOptions::default()).unwrap().symbols_added
    };
    assert_eq!(save("t", &["a", "new", "z", "other", "new"]), 2);
    assert_eq!(save("u", &["other"]), 0);
    let expected = common::symbols(&["z", "a", "new", "other"]);
    assert_eq!(std::fs::read(&file).unwrap(), expected);
    let t = load(dir.path(), "t");
    assert_eq!(t.column("s"), Some(&Value::syms(["a", "new", "z", "other", "new"])));

    write(&file, &[&expected[..], b"torn"].concat());
    let data = Table::of([("s", Value::syms(["q"]))]).unwrap();
    refused(save_splayed(dir.path(), "v", &data, &SaveOptions::default()), &["/sym", "NUL"]);
}

#[test]
fn concurrent_saves_enumerate_each_symbol_once() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for day in 0..4 {
            let root = dir.path();
            scope.spawn(move || {
                for round in 0..10 {
                    let names = (0..50).map(|i| format!("s{}", (i * 13 + day * 7 + round * 11) % 200));
                    let data = Table::of([("sym", Value::syms(names))]).unwrap();
                    let value = PartitionValue::date(day * 100 + round);
                    save_down(root, value, "trade", &data, &SaveOptions::default()).unwrap();
                }
            });
        }
    });
    let db = open(dir.path());
    assert_eq!(db.partitions("trade").len(), 40);
    for part in db.partitions("trade") {
        let data = db.open_table("trade", Some(&part)).unwrap();
        let column = data.column("sym", 0..50).unwrap();
        let (day, round) = (part.value / 100, part.value % 100);
        let expected = (0..50).map(|i| format!("s{}", (i * 13 + day * 7 + round * 11) % 200));
        assert_eq!(column, Value::syms(expected));
    }
    let bytes = std::fs::read(dir.path().join("sym")).unwrap();
    let mut names: Vec<&[u8]> = bytes[8..bytes.len() - 1].split(|&b| b == 0).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|w| w[0] != w[1]));
}

#[test]
fn a_table_that_is_there_is_kept_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let day = PartitionValue::date(0);
    save_down(dir.path(), day, "trade", &trades(5), &SaveOptions::default()).unwrap();
    refused(
        save_down(dir.path(), day, "trade", &trades(6), &SaveOptions::default()),
        &["2000.01.01/trade", "exists already"],
    );
    assert_eq!(load(dir.path(), "trade").len(), 5);
    save_down(dir.path(), day, "quote", &trades(2), &SaveOptions::default()).unwrap();
    let old = open(dir.path());
    let reading = old.open_table("trade", old.partitions("trade").first()).unwrap();
    let before = reading.column("price", 0..5).unwrap();

    let options = SaveOptions { overwrite: true, ..SaveOptions::default() };
    let report = save_down(dir.path(), day, "trade", &trades(7), &options).unwrap();
    assert_eq!(report.paths, [dir.path().join("2000.01.01/trade")]);
    assert_eq!(load(dir.path(), "trade").len(), 7);
    assert_eq!(load(dir.path(), "quote").len(), 2);

    // Who read the old one still has it, but does not get a mix of both.
    assert_eq!(before.count(), 5);
    assert!(matches!(reading.column("note", 0..5), Err(HdbError::Replaced { .. })));
    let names: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().all(|n| !n.ends_with('$')), "no leftovers: {names:?}");
}

#[test]
fn several_tables_of_a_new_day_appear_together() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (trades(3), trades(4));
    let tables = [("trade", &a), ("quote", &b)];
    let report =
        save_partition(dir.path(), PartitionValue::date(3), &tables, &SaveOptions::default()).unwrap();
    let SaveReport { rows, symbols_added, .. } = report;
    assert_eq!((rows, symbols_added), (7, 3));
    assert_eq!(open(dir.path()).tables().len(), 2);
}

#[test]
fn segmented_databases_get_partitions_round_robin() {
    let dir = tempfile::tempdir().unwrap();
    for segment in ["s0", "s1"] {
        std::fs::create_dir(dir.path().join(segment)).unwrap();
    }
    write(&dir.path().join("par.txt"), b"s0\ns1\n");
    for day in 0..3 {
        let n = 1 + day as usize;
        save_down(dir.path(), PartitionValue::date(day), "trade", &trades(n), &SaveOptions::default())
            .unwrap();
    }
    assert!(dir.path().join("s0/2000.01.01/trade/.d").exists());
    assert!(dir.path().join("s1/2000.01.02/trade/.d").exists());
    assert!(dir.path().join("sym").exists());
    let db = open(dir.path());
    assert_eq!(db.partitions("trade").iter().map(|p| p.value).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn names_that_no_reader_could_use_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let table = |name: &str| Table::of([(name, Value::Vector(Vector::longs(vec![1])))]).unwrap();
    for name in ["../x", "", ".d", "x#", "a/b", "date"] {
        let saved =
            save_down(dir.path(), PartitionValue::date(0), "t", &table(name), &SaveOptions::default());
        assert!(matches!(saved, Err(HdbError::Unsavable { .. })), "{name:?}");
    }
    for name in ["..", "2015.01.07", "t$", "a/b", "sym", "date"] {
        assert!(save_splayed(dir.path(), name, &table("x"), &SaveOptions::default()).is_err(), "{name:?}");
    }
    let sort = SaveOptions { sort: vec!["nosuch".into()], ..SaveOptions::default() };
    refused(save_splayed(dir.path(), "t", &table("x"), &sort), &["column nosuch", "table t"]);
    let bad = Compression { block_bits: 8, algorithm: Algorithm::Zlib, level: 6 };
    let bad = SaveOptions { compress: Some(bad), ..SaveOptions::default() };
    refused(save_splayed(dir.path(), "t", &table("x"), &bad), &["8 2 6", "2^12 to 2^20"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn columns_read_from_a_database_can_be_saved_into_another() {
    let from = tempfile::tempdir().unwrap();
    let to = tempfile::tempdir().unwrap();
    save_splayed(from.path(), "t", &trades(20), &SaveOptions::default()).unwrap();
    write(&to.path().join("sym"), &common::symbols(&["IBM", "unrelated"]));
    let read = load(from.path(), "t");
    let report = save_splayed(to.path(), "t", &read, &SaveOptions::default()).unwrap();
    assert_eq!(report.symbols_added, 2);
    assert_eq!(load(to.path(), "t"), trades(20));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_symbols_and_strings_read_back(
        rows in proptest::collection::vec(("[a-c]{0,3}", "\\PC{0,120}", any::<i64>()), 0..300),
        bits in 12u8..=13, algorithm in 0u32..=5, compressed: bool, old: bool,
    ) {
        let algorithm = Algorithm::from_number(algorithm).unwrap();
        let options = SaveOptions {
            compress: compressed.then_some(Compression { block_bits: bits, algorithm, level: 0 }),
            target: if old { Target::Kdb30 } else { Target::Kdb36 },
            ..SaveOptions::default()
        };
        let symbols: Symbols = rows.iter().map(|r| &r.0).collect();
        let data = Table::of([
            ("s", Value::Vector(Vector::symbols(symbols))),
            ("t", Value::list(rows.iter().map(|r| Value::str(&r.1)).collect::<Vec<_>>())),
            ("j", Value::Vector(Vector::longs(rows.iter().map(|r| r.2).collect()))),
        ]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        save_splayed(dir.path(), "t", &data, &options).unwrap();
        prop_assert_eq!(load(dir.path(), "t"), data);
    }
}
