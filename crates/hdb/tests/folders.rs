//! Folders that are no database: a part of one is refused, other content is told with the way in.

mod common;

use std::{fs, os::unix::fs::symlink};

use common::{Root, hex, longs, refused, splay, symbols, write};
use hdb::{
    Database, OpenOptions,
    folder::{Folder, look},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

fn database() -> Root {
    let root = Root::empty();
    for day in ["2000.01.01", "2000.01.02"] {
        let codes = hex("fe73796d00000000 0000000000000000 0100000000000000 00000000");
        splay(&root.path().join(day).join("t"), &[("c", codes), ("x", longs(&[1]))]);
    }
    root
}

#[test]
fn one_partition_is_refused_and_its_parent_named() {
    let root = database();
    let day = root.path().join("2000.01.01");
    let parent = root.path().canonicalize().unwrap();
    refused(
        look(&day),
        &["2000.01.01 is one partition", "every time range", &format!("give {}", parent.display())],
    );
    symlink(&day, root.path().join("today")).unwrap();
    refused(Database::open(&root.path().join("today"), &OpenOptions::default()), &["is one partition"]);
    assert_eq!(look(&root.path()).unwrap(), Folder::Database);
}

#[test]
fn a_database_of_splayed_tables_may_have_the_name_of_a_day() {
    let outer = tempfile::tempdir().unwrap();
    for name in ["2000.01.01", "2000", "7"] {
        splay(&outer.path().join("a").join(name).join("t"), &[("x", longs(&[1]))]);
    }
    write(&outer.path().join("a/2000.01.01/sym"), &symbols(&["a"]));
    assert_eq!(look(&outer.path().join("a/2000.01.01")).unwrap(), Folder::Database);
    // A number alone says nothing, among others it does.
    refused(look(&outer.path().join("a/7")), &["one partition"]);
    splay(&outer.path().join("b/7/t"), &[("x", longs(&[1]))]);
    assert_eq!(look(&outer.path().join("b/7")).unwrap(), Folder::Database);
}

#[test]
fn one_segment_is_refused_and_the_database_named() {
    let root = Root::empty();
    splay(&root.path().join("s0/2000.01.01/t"), &[("x", longs(&[1]))]);
    splay(&root.path().join("s1/2000.01.02/t"), &[("x", longs(&[1]))]);
    write(&root.path().join("par.txt"), b"s0\ns1\n");
    refused(look(&root.path().join("s0")), &["one segment", "would be missing", "give "]);
    refused(look(&root.path().join("s0/2000.01.01")), &["one partition"]);
    // Beside the segments, as it is often laid out.
    let outer = tempfile::tempdir().unwrap();
    splay(&outer.path().join("disk0/2000.01.01/t"), &[("x", longs(&[1]))]);
    write(&outer.path().join("hdb/par.txt"), b"../disk0\n");
    refused(look(&outer.path().join("disk0")), &["one segment", "/hdb"]);
    write(&outer.path().join("disk0/sym"), &symbols(&["a"]));
    assert_eq!(look(&outer.path().join("disk0")).unwrap(), Folder::Database);
}

/// A file of some kind: name, content, what the message says.
fn foreign() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("trade.csv", b"time,sym\n".to_vec(), "CSV file"),
        ("TRADE.CSV", b"time,sym\n".to_vec(), "CSV file"),
        ("t.parquet", b"PAR1xxxxPAR1".to_vec(), "Parquet file"),
        ("no_ending", b"PAR1xxxxPAR1".to_vec(), "Parquet file"),
        ("t.arrow", b"ARROW1\0\0".to_vec(), "Arrow file"),
        ("sym2024.01.02", hex("ff01 0000 01000000 0000"), "tickerplant log"),
        ("price", longs(&[1]), "column of a kdb+ table"),
        ("db.tar.gz", vec![0x1f, 0x8b, 8, 0], "archive"),
        ("notes.docx", b"what not".to_vec(), "file of another kind"),
    ]
}

#[test]
fn foreign_content_is_told_with_the_way_in() {
    for (name, bytes, told) in foreign() {
        let root = tempfile::tempdir().unwrap();
        write(&root.path().join(name), &bytes);
        match look(root.path()).unwrap() {
            Folder::Foreign(text) => assert!(text.contains(&format!("1 {told};")), "{name}: {text}"),
            other => panic!("{name}: {other:?}"),
        }
        refused(look(&root.path().join(name)), &["is no database", told, "\\l"]);
    }
    let root = tempfile::tempdir().unwrap();
    splay(&root.path().join("hdb/2000.01.01/t"), &[("x", longs(&[1]))]);
    assert!(matches!(look(root.path()).unwrap(), Folder::Foreign(t) if t.contains("databases are: hdb")));
    refused(look(&root.path().join("nosuch")), &["does not exist"]);
    symlink("nowhere", root.path().join("dangling")).unwrap();
    refused(look(&root.path().join("dangling")), &["leads nowhere"]);
    refused(look(&root.path().join("hdb/2000.01.01/t")), &["one splayed table", "the directory above"]);
}

#[test]
fn any_mix_of_foreign_files_is_told_and_any_table_makes_a_database() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let kinds = foreign();
    for _ in 0..1000 {
        let root = tempfile::tempdir().unwrap();
        let mut named = Vec::new();
        for k in 0..rng.random_range(0..4) {
            let (name, bytes, told) = &kinds[rng.random_range(0..kinds.len())];
            write(&root.path().join(format!("{k}{name}")), bytes);
            named.push(*told);
        }
        for noise in ["lost+found", ".hidden", "empty", "work$"] {
            if rng.random() {
                fs::create_dir(root.path().join(noise)).unwrap();
            }
        }
        if rng.random() {
            write(&root.path().join("sym"), &symbols(&["a"]));
        }
        let table = rng.random_range(0..6);
        match table {
            0 => splay(&root.path().join("t"), &[("x", longs(&[1]))]),
            1 => splay(&root.path().join("2000.01.01/t"), &[("x", longs(&[1]))]),
            _ => {}
        }
        match look(root.path()).unwrap() {
            Folder::Database => assert!(table < 2, "SEED={seed}: {named:?}"),
            Folder::Empty => assert!(table >= 2 && named.is_empty(), "SEED={seed}: {named:?}"),
            Folder::Foreign(text) => {
                assert!(table >= 2 && !named.is_empty(), "SEED={seed}: {text}");
                assert!(named.iter().all(|told| text.contains(told)), "SEED={seed}: {named:?} in {text}");
            }
        }
        // By one of its parts.
        if table == 1 {
            let day = root.path().join("2000.01.01");
            refused(look(&day), &["one partition", "give "]);
            refused(look(&day.join("t")), &["one splayed table"]);
            refused(look(&day.join("t/x")), &["column of a kdb+ table"]);
        }
    }
}
