//! What a root may look like: kinds of partitions, segments, gaps, growth, foreign files.

mod common;

use std::{os::unix::fs::symlink, sync::Arc};

use common::{Root, hex, longs, page, refused, splay, symbols, write};
use hdb::{BlockCache, ColumnType, Database, HdbError, OpenOptions, PartitionKind, TableKind};
use kvalue::{Type, Value, Vector};

fn long_vector(items: &[i64]) -> Value {
    Vector::longs(items.to_vec()).into()
}

/// Column `x` of a table in each partition, in the order of the partitions.
fn all(db: &Database, table: &str, column: &str) -> Vec<(i64, Value)> {
    let read = |p: hdb::PartitionRef| {
        let data = db.open_table(table, Some(&p)).unwrap();
        (p.value, data.column(column, 0..data.rows().unwrap()).unwrap())
    };
    db.partitions(table).into_iter().map(read).collect()
}

#[test]
fn partitions_of_each_kind_come_in_order_of_value() {
    for (kind, names, values) in [
        (PartitionKind::Date, ["2015.01.08", "1999.12.31", "2015.01.07"], [-1, 5485, 5486]),
        (PartitionKind::Month, ["2015.10", "2015.09", "1999.01"], [-12, 188, 189]),
        (PartitionKind::Year, ["2015", "1999", "2001"], [1999, 2001, 2015]),
        (PartitionKind::Int, ["10", "9", "451353600000000000"], [9, 10, 451353600000000000]),
        // Four digits are a year only where all names are.
        (PartitionKind::Int, ["10000", "9999", "42"], [42, 9999, 10000]),
    ] {
        let root = Root::empty();
        for (name, x) in names.iter().zip(0..) {
            splay(&root.path().join(name).join("t"), &[("x", longs(&[x]))]);
        }
        let db = root.open();
        assert_eq!(db.partition_kind(), Some(kind), "{names:?}");
        assert_eq!(db.partitions("t").iter().map(|p| p.value).collect::<Vec<_>>(), values);
        assert_eq!(all(&db, "t", "x").len(), 3);
        assert_eq!(db.table("t").unwrap().kind, TableKind::Partitioned);
    }
}

#[test]
fn two_kinds_of_partitions_are_refused() {
    let root = Root::empty();
    splay(&root.path().join("2015.01/t"), &[("x", longs(&[1]))]);
    splay(&root.path().join("2015.01.07/t"), &[("x", longs(&[1]))]);
    refused(Database::open(&root.path(), &OpenOptions::default()), &["two kinds", "2015.01", "2015.01.07"]);
}

#[test]
fn a_root_that_is_no_directory_is_refused() {
    let root = Root::empty();
    for path in [root.path().join("nosuch"), root.path().join("sym")] {
        refused(Database::open(&path, &OpenOptions::default()), &["is no database", "\\l"]);
    }
    let root = Root::new(&[("x", longs(&[1]))]);
    refused(
        Database::open(&root.path().join("t"), &OpenOptions::default()),
        &["/t holds one splayed table", "the directory above"],
    );
}

#[test]
fn segments_add_up_and_may_be_relative_absolute_or_linked() {
    let root = Root::empty();
    let outside = tempfile::tempdir().unwrap();
    let linked = tempfile::tempdir().unwrap();
    symlink(linked.path(), root.path().join("s2")).unwrap();
    splay(&root.path().join("s0/2000.01.01/t"), &[("x", longs(&[1]))]);
    splay(&outside.path().join("2000.01.02/t"), &[("x", longs(&[2]))]);
    splay(&outside.path().join("2000.01.01/t"), &[("x", longs(&[3, 4]))]);
    splay(&linked.path().join("2000.01.03/t"), &[("x", longs(&[5]))]);
    write(&root.path().join("par.txt"), format!("s0\n{}\ns2\n", outside.path().display()).as_bytes());
    let expected = [(0, vec![1]), (0, vec![3, 4]), (1, vec![2]), (2, vec![5])];
    let expected: Vec<_> = expected.iter().map(|(v, x)| (*v, long_vector(x))).collect();
    assert_eq!(all(&root.open(), "t", "x"), expected);

    write(&root.path().join("par.txt"), b"s0\nnosuch\n");
    refused(Database::open(&root.path(), &OpenOptions::default()), &["par.txt", "line 2", "nosuch"]);
    write(&root.path().join("par.txt"), b"s0\ns0\n");
    refused(Database::open(&root.path(), &OpenOptions::default()), &["par.txt", "s0 twice"]);
}

#[test]
fn each_table_has_the_partitions_that_hold_it_and_the_schema_of_the_latest() {
    let root = Root::empty();
    let day = |d: &str, t: &str| root.path().join(d).join(t);
    splay(&day("2000.01.01", "early"), &[("x", longs(&[1]))]);
    splay(&day("2000.01.01", "t"), &[("gone", longs(&[7])), ("x", longs(&[1]))]);
    splay(&day("2000.01.02", "t"), &[("x", longs(&[2])), ("y", longs(&[20]))]);
    splay(&day("2000.01.03", "t"), &[("y", longs(&[30])), ("x", longs(&[3]))]);
    // Written to right now: no .d yet.
    write(&day("2000.01.04", "t").join("x"), &longs(&[4]));
    // Older, and its .d was lost: kdb+ reads it still.
    write(&day("1999.12.31", "t").join("x"), &longs(&[0]));
    let db = root.open();
    assert_eq!(db.tables().iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["early", "t"]);
    assert_eq!(db.partitions("early").len(), 1);
    assert_eq!(db.table("t").unwrap().column_names(), "y, x");
    let xs: Vec<_> = (0..4).map(|i| (i - 1, long_vector(&[i]))).collect();
    assert_eq!(all(&db, "t", "x"), xs);
    let null = long_vector(&[i64::MIN]);
    let ys = [(-1, null.clone()), (0, null), (1, long_vector(&[20])), (2, long_vector(&[30]))];
    assert_eq!(all(&db, "t", "y"), ys, "older than the column: nulls");
    let first = db.open_table("t", Some(&db.partitions("t")[1])).unwrap();
    refused(first.column("gone", 0..1), &["no column gone in table t", "y, x"]);
}

#[test]
fn a_column_added_later_reads_as_nulls_of_its_type() {
    let root = Root::empty();
    let index = page("", "fd014d00 00000000 0100000000000000", "0000000000000001");
    let heap = page("", "fd000400 00000000 0000000000000000", "89026869");
    splay(&root.path().join("2000.01.01/t"), &[("x", longs(&[1, 2]))]);
    splay(
        &root.path().join("2000.01.02/t"),
        &[
            ("x", longs(&[3])),
            ("sym", hex("fe73796d00000000 0000000000000000 0100000000000000 01000000")),
            ("text", index),
            ("text#", heap),
            ("date", hex("fe200e00 00000000 0000000000000000 01000000")),
        ],
    );
    let db = root.open();
    assert_eq!(all(&db, "t", "sym"), [(0, Value::syms(["", ""])), (1, Value::syms(["b"]))]);
    let empty = Value::str("");
    assert_eq!(
        all(&db, "t", "text"),
        [(0, Value::list([empty.clone(), empty])), (1, Value::list([Value::str("hi")]))]
    );
    assert_eq!(all(&db, "t", "date")[0].1, Vector::new(Type::Date, vec![i32::MIN; 2]).into());
    let nulls = all(&db, "t", "sym").remove(0).1;
    assert!(nulls.as_vector().unwrap().as_symbols().unwrap().as_enumerated().is_some());
    assert_eq!(db.table("t").unwrap().column("text").unwrap().ty, ColumnType::Nested(Type::Char));
}

#[test]
fn foreign_files_scripts_and_hidden_names_are_passed_over() {
    let root = Root::new(&[("x", longs(&[1]))]);
    let at = |name: &str| root.path().join(name);
    for name in
        [".DS_Store", "init.q", "a.k", "b.s", "README", "notes.txt", "2015.01.07-1-0$/t/x", "dir/file"]
    {
        write(&at(name), b"anything");
    }
    splay(&at(".hidden"), &[("x", longs(&[1]))]);
    splay(&at("old$"), &[("x", longs(&[1]))]);
    splay(&at("2000.01.01/u"), &[("x", longs(&[1]))]);
    splay(&at("2000.01.01/u$"), &[("x", longs(&[1]))]);
    write(&at("2000.01.01/.DS_Store"), b"x");
    write(&at("2000.01.01/u/x#"), b"a companion nobody asked for");
    symlink(at("nowhere"), at("dangling")).unwrap();
    let db = root.open();
    assert_eq!(db.tables().iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["t", "u"]);
    assert!(db.problems().is_empty(), "{:?}", db.problems());
}

#[test]
fn tables_saved_as_one_file_are_served() {
    let root = Root::empty();
    // ([] a:1 2; b:3 4) and ([a:1 2] b:3 4), as `set` writes them to a name without a slash.
    let columns = |name: &str, x: i64, y: i64| {
        let mut out = hex("0b00 01000000");
        out.extend_from_slice(name.as_bytes());
        out.extend(hex("00 0000 01000000 0700 02000000"));
        out.extend_from_slice(&x.to_le_bytes());
        out.extend_from_slice(&y.to_le_bytes());
        out
    };
    write(&root.path().join("flat"), &[hex("ff01 6200 63"), columns("a", 1, 2)].concat());
    let keyed = [hex("ff01 63 6200 63"), columns("a", 1, 2), hex("6200 63"), columns("b", 3, 4)].concat();
    write(&root.path().join("keyed"), &keyed);
    write(&root.path().join("dict"), &[hex("ff01 63"), columns("a", 1, 2)].concat());
    write(&root.path().join("broken"), &keyed[..keyed.len() - 1]);
    let db = root.open();
    let names: Vec<_> = db.tables().iter().map(|t| (t.name.as_str(), t.kind, t.column_names())).collect();
    assert_eq!(names, [("flat", TableKind::Basic, "a".into()), ("keyed", TableKind::Basic, "a, b".into())]);
    let keyed = db.open_table("keyed", None).unwrap();
    assert_eq!(keyed.column("b", 1..2).unwrap(), long_vector(&[4]));
    refused(keyed.column("b", 1..3), &["1..3", "2"]);
    assert_eq!(db.problems().len(), 1);
    assert!(db.problems()[0].to_string().contains("/broken"));
}

#[test]
fn a_table_is_opened_with_a_partition_exactly_where_it_has_some() {
    let root = Root::new(&[("x", longs(&[1]))]);
    splay(&root.path().join("2000.01.01/u"), &[("x", longs(&[1]))]);
    let db = root.open();
    let part = db.partitions("u").remove(0);
    refused(db.open_table("u", None), &["table u is partitioned", "which partition"]);
    refused(db.open_table("t", Some(&part)), &["table t is splayed", "without a partition"]);
    refused(db.open_table("v", None), &["no table v", "t, u"]);
    assert!(db.partitions("t").is_empty());
}

#[test]
fn reload_sees_what_appeared_and_old_readers_go_on() {
    let root = Root::empty();
    splay(&root.path().join("2000.01.01/t"), &[("x", longs(&[1])), ("y", longs(&[10]))]);
    let db = root.open();
    let old = db.open_table("t", db.partitions("t").first()).unwrap();
    assert_eq!(old.column("x", 0..1).unwrap(), long_vector(&[1]));

    splay(&root.path().join("2000.01.02/t"), &[("x", longs(&[2])), ("y", longs(&[20]))]);
    splay(&root.path().join("2000.01.02/u"), &[("z", longs(&[2]))]);
    assert_eq!(db.partitions("t").len(), 1, "a snapshot does not change");
    let new = db.reload().unwrap();
    assert_eq!(new.partitions("t").len(), 2);
    assert!(new.table("u").is_some() && db.table("u").is_none());

    std::fs::remove_dir_all(root.path().join("2000.01.01")).unwrap();
    assert_eq!(old.column("x", 0..1).unwrap(), long_vector(&[1]), "what is mapped stays");
    old.check().unwrap();
    refused(old.column("y", 0..1), &["2000.01.01/t", "was removed while in use", "reload"]);
    refused(db.open_table("t", db.partitions("t").first()), &["2000.01.01/t", "removed"]);
    let last = db.reload().unwrap();
    assert_eq!(last.partitions("t").len(), 1);
    // The schema's columns of the partition that is left; the deleted files are not held by it.
    assert_eq!(last.open_columns(), 3);
}

#[test]
fn an_enumeration_that_grows_is_read_again() {
    let root = Root::new(&[("c", hex("fe73796d00000000 0000000000000000 0100000000000000 00000000"))]);
    let db = root.open();
    let t = db.open_table("t", None).unwrap();
    assert_eq!(t.column("c", 0..1).unwrap(), Value::syms(["a"]));
    write(&root.path().join("sym"), &symbols(&["a", "b", "new"]));
    let later = hex("fe73796d00000000 0000000000000000 0200000000000000 02000000 00000000");
    splay(&root.path().join("t2"), &[("c", later)]);
    let db = db.reload().unwrap();
    let t2 = db.open_table("t2", None).unwrap();
    assert_eq!(t2.column("c", 0..2).unwrap(), Value::syms(["new", "a"]));

    // Without a reload too: a column may be written between opening and reading.
    write(&root.path().join("sym"), &symbols(&["a", "b", "new", "newer"]));
    write(
        &root.path().join("t2/c"),
        &hex("fe73796d00000000 0000000000000000 0200000000000000 02000000 03000000"),
    );
    let t2 = db.open_table("t2", None).unwrap();
    assert_eq!(t2.column("c", 0..2).unwrap(), Value::syms(["new", "newer"]));
}

#[test]
fn an_appended_splay_is_read_anew_by_the_next_query() {
    let root = Root::new(&[("x", longs(&[1, 2]))]);
    let db = root.open();
    let before = db.open_table("t", None).unwrap();
    assert_eq!(before.rows().unwrap(), 2);
    let file = root.path().join("t/x");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_slice(&3i64.to_le_bytes());
    // As an append does: the same file grows.
    std::io::Write::write_all(&mut std::fs::File::options().append(true).open(&file).unwrap(), &bytes[32..])
        .unwrap();
    assert_eq!(before.rows().unwrap(), 2);
    let after = db.open_table("t", None).unwrap();
    assert_eq!(after.column("x", 0..3).unwrap(), long_vector(&[1, 2, 3]));
}

#[test]
fn no_more_columns_stay_open_than_allowed() {
    let root = Root::empty();
    for day in 1..=28 {
        splay(&root.path().join(format!("2000.01.{day:02}/t")), &[("x", longs(&[day])), ("y", longs(&[1]))]);
    }
    let options = OpenOptions { cache: Arc::new(BlockCache::new(0)), max_open_columns: 8 };
    let db = Database::open(&root.path(), &options).unwrap();
    for _ in 0..2 {
        let sum: i64 = all(&db, "t", "x").iter().map(|(_, x)| x.index(0).as_i64().unwrap()).sum();
        assert_eq!(sum, 28 * 29 / 2);
        assert!((1..=8).contains(&db.open_columns()), "{}", db.open_columns());
    }
}

#[test]
fn columns_of_other_types_in_older_partitions_keep_theirs() {
    let root = Root::empty();
    splay(&root.path().join("2000.01.01/t"), &[("x", hex("fe200600 00000000 0000000000000000 07000000"))]);
    splay(&root.path().join("2000.01.02/t"), &[("x", longs(&[8]))]);
    let values = all(&root.open(), "t", "x");
    assert_eq!(values[0].1, Vector::new(Type::Int, vec![7]).into());
    assert_eq!(values[1].1, long_vector(&[8]));
}

#[test]
fn a_broken_latest_schema_falls_back_to_the_one_before() {
    let root = Root::empty();
    splay(&root.path().join("2000.01.01/t"), &[("x", longs(&[1]))]);
    splay(&root.path().join("2000.01.02/t"), &[("x", longs(&[2]))]);
    write(&root.path().join("2000.01.02/t/.d"), b"garbage");
    let db = root.open();
    assert_eq!(db.table("t").unwrap().column_names(), "x");
    assert_eq!(db.partitions("t").len(), 2, "its rows are not hidden: asking for them is an error");
    let last = db.open_table("t", db.partitions("t").last());
    assert!(matches!(last, Err(HdbError::Corrupt { .. })));
    assert!(db.problems()[0].to_string().contains("2000.01.02/t/.d"));
}

#[test]
fn a_column_damaged_in_the_latest_partition_has_the_type_of_the_one_before() {
    let root = Root::empty();
    for (day, x) in [("2000.01.01", 1), ("2000.01.02", 2), ("2000.01.03", 3)] {
        splay(&root.path().join(day).join("t"), &[("y", longs(&[x])), ("x", longs(&[x]))]);
    }
    write(&root.path().join("2000.01.03/t/x"), b"garbage");
    write(&root.path().join("2000.01.02/t/x"), b"garbage too");
    let db = root.open();
    assert_eq!(db.table("t").unwrap().column("x").unwrap().ty, ColumnType::Basic(Type::Long));
    let read = |day: usize, column: &str| {
        let data = db.open_table("t", Some(&db.partitions("t")[day])).unwrap();
        data.column(column, 0..data.rows()?)
    };
    assert_eq!(read(0, "x").unwrap(), long_vector(&[1]));
    assert!(matches!(read(2, "x"), Err(HdbError::Corrupt { .. })), "{:?}", read(2, "x"));
    assert_eq!(read(2, "y").unwrap(), long_vector(&[3]));
}
