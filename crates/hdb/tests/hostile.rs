//! Files that lie: each is an error that names it, none a panic, a crash or memory without bound.

mod common;

use common::{Root, hex, longs, page, refused, splay, symbols, write};
use hdb::{Database, HdbError, OpenOptions};
use kvalue::{Value, Vector};
use proptest::prelude::*;

#[test]
fn column_names_cannot_lead_out_of_the_table() {
    for name in ["../sym", "/etc/passwd", "..", ".", "", "a\\b"] {
        let root = Root::new(&[("x", longs(&[1]))]);
        write(&root.path().join("t/.d"), &symbols(&["x", name]));
        let db = root.open();
        assert!(db.table("t").is_none());
        let problem = db.problems()[0].to_string();
        assert!(problem.contains("/t/.d") && problem.contains("plain file name"), "{name:?}: {problem}");
    }
}

#[test]
fn d_files_that_list_nothing_or_something_twice_are_refused() {
    for (names, part) in [(vec![], "no column"), (vec!["x", "x"], "column x twice")] {
        let root = Root::new(&[("x", longs(&[1]))]);
        write(&root.path().join("t/.d"), &symbols(&names));
        assert!(root.open().problems()[0].to_string().contains(part));
    }
}

#[test]
fn unequal_and_missing_columns_are_named() {
    let root = Root::new(&[("x", longs(&[1, 2])), ("short", longs(&[1])), ("lost", longs(&[1, 2]))]);
    let t = root.table();
    std::fs::remove_file(root.path().join("t/lost")).unwrap();
    assert_eq!(t.rows().unwrap(), 2);
    assert_eq!(t.column("x", 0..2).unwrap().count(), 2, "good columns are served");
    refused(t.column("short", 0..1), &["/t/short", "1 rows", "column x", "has 2"]);
    refused(t.column("lost", 0..1), &["column lost", "/t", ".d lists it"]);
    refused(t.column("nosuch", 0..1), &["no column nosuch", "x, short, lost"]);
    refused(t.column("x", 1..3), &["1..3", "which has 2"]);
    #[allow(clippy::reversed_empty_ranges)] // that it comes reversed is the point
    let backwards = t.column("x", 2..1);
    refused(backwards, &["2..1"]);
}

#[test]
fn a_missing_enumeration_costs_only_the_columns_that_need_it() {
    let codes = hex("fe73796d00000000 0000000000000000 0100000000000000 00000000");
    let root = Root::new(&[("x", longs(&[1])), ("s", codes)]);
    std::fs::remove_file(root.path().join("sym")).unwrap();
    let t = root.table();
    assert_eq!(t.column("x", 0..1).unwrap().count(), 1);
    refused(t.column("s", 0..1), &["/t/s", "/sym", "does not exist"]);
    // Put back, it serves at once: nothing remembers the failure.
    write(&root.path().join("sym"), &symbols(&["a"]));
    assert_eq!(t.column("s", 0..1).unwrap(), Value::syms(["a"]));
}

#[test]
fn a_column_cut_while_it_is_read_costs_an_error_of_that_query() {
    let root = Root::new(&[("x", longs(&[5; 100_000]))]);
    let t = root.table();
    let x = t.column("x", 0..100_000).unwrap();
    t.check().unwrap();
    let file = std::fs::File::options().write(true).open(root.path().join("t/x")).unwrap();
    file.set_len(8000).unwrap();
    let sum: i64 = x.as_vector().unwrap().as_buf::<i64>().unwrap().iter().sum();
    assert!(sum < 500_000, "what is gone reads as zero");
    refused(t.check(), &["/t/x", "shrank from 800016 to 8000"]);
    // The next query sees the file as it is now.
    assert_eq!(root.table().rows().unwrap(), 998);
}

#[test]
fn a_compressed_column_cut_while_it_is_read_is_an_error_too() {
    let dir = tempfile::tempdir().unwrap();
    let data = kvalue::Table::of([(
        "x",
        Value::Vector(Vector::longs(
            (0..200_000).map(|i: i64| i.wrapping_mul(0x9e3779b97f4a7c15u64 as i64) >> 40).collect(),
        )),
    )])
    .unwrap();
    let compress = hdb::save::Compression { block_bits: 12, algorithm: hdb::Algorithm::Zlib, level: 1 };
    let options = hdb::save::SaveOptions { compress: Some(compress), ..Default::default() };
    hdb::save::save_splayed(dir.path(), "t", &data, &options).unwrap();
    let db = Database::open(dir.path(), &OpenOptions::default()).unwrap();
    let t = db.open_table("t", None).unwrap();
    assert_eq!(t.column("x", 0..10).unwrap(), data.column("x").unwrap().slice(0..10));
    let path = dir.path().join("t/x");
    let len = std::fs::metadata(&path).unwrap().len();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(len / 2).unwrap();
    refused(t.column("x", 199_000..200_000), &["/t/x", "shrank"]);
}

fn heap_column(references: &[u64], heap: Vec<u8>) -> Root {
    let mut index = page("", "fd014d00 00000000 0000000000000000", "");
    references.iter().for_each(|r| index.extend_from_slice(&r.to_le_bytes()));
    let mut file = page("", "fd000400 00000000 0000000000000000", "");
    file.extend(heap);
    Root::new(&[("c", index), ("c#", file)])
}

fn list_object(references: &[u64]) -> Vec<u8> {
    let mut out = hex("fb004d00 01000000");
    out.extend_from_slice(&(references.len() as u64).to_le_bytes());
    references.iter().for_each(|r| out.extend_from_slice(&r.to_le_bytes()));
    out.resize(out.len().next_multiple_of(16), 0);
    out
}

#[test]
fn a_list_that_holds_itself_ends_as_an_error() {
    let root = heap_column(&[0], list_object(&[0]));
    refused(root.column(), &["/t/c#", "nesting without end", "64 levels"]);
}

#[test]
fn lists_that_fan_out_end_as_an_error_within_bounds() {
    // 60 levels of two references to the next one: 2^60 items from 2 KiB.
    let mut heap = Vec::new();
    for level in 0..60u64 {
        let next = (level + 1) * 32;
        heap.extend(list_object(&[next, next]));
    }
    heap.extend(list_object(&[]));
    refused(heap_column(&[0], heap).column(), &["/t/c#", "more objects than the heap has"]);
}

#[test]
fn many_rows_that_share_one_large_item_end_as_an_error_within_bounds() {
    // One item of 10,000 parts, shared by 1,000 rows: 10,000,000 objects from 100 KiB.
    let mut heap = list_object(&vec![1 << 56 | 80_016; 10_000]);
    heap.extend(hex("74 00000000"));
    assert_eq!(heap.len(), 80_016 + 5);
    heap.resize(100_000, 0);
    let root = heap_column(&[0; 1000], heap);
    write(&root.path().join("t/c##"), &symbols(&["p"]));
    refused(root.column(), &["/t/c#", "MAX_OBJECTS"]);
    assert_eq!(root.table().column("c", 0..100).unwrap().count(), 100, "fewer rows at a time are served");
}

#[test]
fn heap_counts_beyond_the_heap_allocate_nothing() {
    for object in [
        "fb000700 01000000 ffffffffffffff7f",
        "fb004d00 01000000 ffffffffffffff7f",
        "fb004d00 01000000 0000000000000080",
        "fb000200 01000000 ffffff0000000000",
        "89ff61",
        "fb",
        "8a01 00000000",
        "93 00000000 01 0000000000000000",
        "fb006200 01000000 0200000000000000 0000000000000000 0000000000000000",
    ] {
        let root = heap_column(&[0], hex(object));
        assert!(root.column().is_err(), "{object}");
    }
    refused(heap_column(&[1 << 55], hex("890161")).column(), &["/t/c#", "heap offset"]);
}

#[test]
fn a_block_that_unpacks_to_more_than_it_says_is_refused() {
    // 1 MiB of zeros as zlib, in a container that announces 4096 bytes.
    let bomb = {
        use std::io::Write as _;
        let mut e = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        e.write_all(&[0; 1 << 20]).unwrap();
        e.finish().unwrap()
    };
    let mut file = b"kxzipped".to_vec();
    file.extend_from_slice(&bomb);
    let packed = file.len() as u64;
    file.extend(hex("03000000 02060000"));
    for n in [4096, packed, 4096] {
        file.extend_from_slice(&n.to_le_bytes());
    }
    file.extend_from_slice(&(bomb.len() as u32).to_le_bytes());
    file.extend(hex("02000000 0100000000000000"));
    refused(common::read(file), &["/t/c", "block 0 (zlib)", "4096 plain bytes"]);
}

#[test]
fn a_container_that_announces_an_absurd_length_is_refused_before_anything_is_allocated() {
    let mut file = b"kxzipped".to_vec();
    file.extend(hex("03000000 02060000 ffffffffffffff7f 0800000000000000 0000100000000000 0000000000000000"));
    refused(common::read(file), &["/t/c", "0 blocks"]);
}

#[test]
fn one_bad_partition_does_not_disturb_the_others() {
    let root = Root::empty();
    splay(&root.path().join("2000.01.01/t"), &[("x", b"not a column".to_vec())]);
    splay(&root.path().join("2000.01.02/t"), &[("x", longs(&[2]))]);
    let db = root.open();
    let parts = db.partitions("t");
    let bad = db.open_table("t", Some(&parts[0])).unwrap();
    refused(bad.rows(), &["2000.01.01/t/x"]);
    let good = db.open_table("t", Some(&parts[1])).unwrap();
    assert_eq!(good.column("x", 0..1).unwrap().count(), 1);
}

/// Files as they lie in real databases, to be damaged.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let n = 700;
    let data = kvalue::Table::of([
        ("j", Value::Vector(Vector::longs((0..n).collect()))),
        ("s", Value::syms((0..n).map(|i| ["a", "b", "c"][i as usize % 3]))),
        ("t", Value::list((0..n).map(|i| Value::str("xy".repeat(i as usize % 60))).collect::<Vec<_>>())),
    ])
    .unwrap();
    let mut found = Vec::new();
    for (i, algorithm) in (0..=5).map(|a| hdb::Algorithm::from_number(a).unwrap()).enumerate() {
        for target in [hdb::save::Target::Kdb30, hdb::save::Target::Kdb36] {
            let compress = hdb::save::Compression { block_bits: 12, algorithm, level: 0 };
            let options = hdb::save::SaveOptions {
                parted: Some("s".into()),
                compress: (i > 0).then_some(compress),
                target,
                overwrite: true,
                ..Default::default()
            };
            hdb::save::save_splayed(dir.path(), "t", &data, &options).unwrap();
            for name in ["j", "s", "t", "t#"] {
                found.push((name, std::fs::read(dir.path().join("t").join(name)).unwrap()));
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic(
        which: prop::sample::Index,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        thread_local!(static SAMPLES: Vec<(&'static str, Vec<u8>)> = samples());
        let (name, mut bytes) = SAMPLES.with(|s| which.get(s).clone());
        for (at, value) in flips {
            // Half of the damage goes where the structure is: into the first and last bytes.
            let at = at.index(2 * bytes.len());
            let at = if at >= bytes.len() { [at % 48, bytes.len() - 1 - at % 48][at % 2] } else { at };
            let at = at.min(bytes.len() - 1);
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let mut files = vec![("c", longs(&[0, 0]))];
        if name == "t#" {
            let index = page("", "fd014d00 00000000 0000000000000000", "0000000000000000 1000000000000000");
            files = vec![("c", index), ("c#", bytes)];
        } else {
            files[0].1 = bytes;
            files.push(("c#", b"companion".to_vec()));
        }
        let root = Root::new(&files);
        write(&root.path().join("sym"), &symbols(&["a", "b", "c"]));
        let db = root.open();
        if let Ok(t) = db.open_table("t", None) {
            if let Ok(n) = t.rows() {
                let _: Result<Value, HdbError> = t.column("c", 0..n.min(10_000));
                let _ = t.column("c", n / 2..n / 2 + (n / 2).min(100));
                let _ = t.parted("c");
            }
            t.check().unwrap();
        }
    }
}
