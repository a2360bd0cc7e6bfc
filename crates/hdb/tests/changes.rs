//! Files that change under an open database: whatever was done to them, the next query sees what a process that
//! starts now would see.

mod common;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use common::{Root, hex, longs, refused, splay, symbols, write};
use hdb::{
    Algorithm, Database, OpenOptions, PartitionValue,
    save::{Compression, SaveOptions, save_down},
};
use kvalue::{Table, Value, Vector};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Codes over the domain `sym`, plain.
fn codes(items: &[i32]) -> Vec<u8> {
    let mut out = hex("fe73796d00000000 0000000000000000");
    out.extend_from_slice(&(items.len() as i64).to_le_bytes());
    items.iter().for_each(|i| out.extend_from_slice(&i.to_le_bytes()));
    out
}

fn values(db: &Database) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for meta in db.tables() {
        let parts = db.partitions(&meta.name);
        let places: Vec<_> = if parts.is_empty() { vec![None] } else { parts.iter().map(Some).collect() };
        for place in places {
            let mut add = |column: &str, found: Result<Value, hdb::HdbError>| {
                let at = place.map(|p| p.value.to_string()).unwrap_or_default();
                // What is wrong is said in the same words by both.
                all.push((
                    format!("{}/{at}/{column}", meta.name),
                    format!("{:?}", found.map_err(|e| e.to_string())),
                ));
            };
            match db.open_table(&meta.name, place) {
                Ok(data) => {
                    for column in &meta.columns {
                        add(&column.name, data.rows().and_then(|n| data.column(&column.name, 0..n)));
                        let parts = data.parted(&column.name).map(|index| {
                            let rows = |name: &[u8]| index.as_ref().and_then(|i| i.range_of(name));
                            Value::str(format!("{:?} {:?} {:?}", rows(b"a"), rows(b"b"), rows(b"c")))
                        });
                        add("parts", parts);
                    }
                }
                Err(e) => add("", Err(e)),
            }
        }
    }
    all
}

#[test]
fn an_enumeration_replaced_by_one_of_equal_length_is_read_anew() {
    let root = Root::new(&[("c", codes(&[0, 1, 0]))]);
    let db = root.open();
    let read = |db: &Database| db.open_table("t", None).unwrap().column("c", 0..3).unwrap();
    assert_eq!(read(&db), Value::syms(["a", "b", "a"]));
    // Another order, the columns enumerated alike, all by rename.
    let replace = |path: PathBuf, bytes: Vec<u8>| {
        let beside = path.with_extension("new");
        write(&beside, &bytes);
        fs::rename(&beside, &path).unwrap();
    };
    replace(root.path().join("sym"), symbols(&["b", "a"]));
    replace(root.path().join("t/c"), codes(&[1, 0, 1]));
    assert_eq!(read(&db), Value::syms(["a", "b", "a"]), "without a reload");
    assert_eq!(read(&db.reload().unwrap()), Value::syms(["a", "b", "a"]));
}

#[test]
fn columns_of_one_reader_are_of_one_enumeration() {
    let root = Root::new(&[("c", codes(&[0, 1])), ("d", codes(&[0, 1]))]);
    let db = root.open();
    let before = db.open_table("t", None).unwrap();
    assert_eq!(before.column("c", 0..2).unwrap(), Value::syms(["a", "b"]));
    write(&root.path().join("sym"), &symbols(&["b", "a"]));
    write(&root.path().join("t/d"), &codes(&[1, 0]));
    refused(before.column("d", 0..2), &["/sym", "was replaced", "ask again"]);
    assert_eq!(before.column("c", 0..2).unwrap(), Value::syms(["a", "b"]), "read before, and still so");
    let after = db.open_table("t", None).unwrap();
    assert_eq!(after.column("d", 0..2).unwrap(), Value::syms(["a", "b"]));
}

#[test]
fn a_table_in_one_file_and_moved_segments_make_another_snapshot() {
    let root = Root::empty();
    let flat = |x: i64| {
        let mut out = hex("ff01 62 00 63 0b00 01000000 61 00 0000 01000000 0700 01000000");
        out.extend_from_slice(&x.to_le_bytes());
        out
    };
    write(&root.path().join("flat"), &flat(1));
    splay(&root.path().join("s0/2000.01.01/t"), &[("x", longs(&[1]))]);
    splay(&root.path().join("s1/2000.01.01/t"), &[("x", longs(&[2]))]);
    write(&root.path().join("par.txt"), b"s0\n");
    std::thread::sleep(Duration::from_millis(60));
    let db = root.open();
    assert!(db.is_same(&db.reload().unwrap()), "nothing happened");
    write(&root.path().join("flat"), &flat(2));
    assert!(!db.is_same(&db.reload().unwrap()), "as long as before, other content");
    std::thread::sleep(Duration::from_millis(60));
    let db = db.reload().unwrap();
    write(&root.path().join("par.txt"), b"s1\n");
    let moved = db.reload().unwrap();
    assert!(!db.is_same(&moved), "the same day, the same rows, another folder");
    assert_eq!(values(&moved), values(&root.open()));
}

/// How a file gets other bytes.
#[derive(Debug, Clone, Copy)]
enum How {
    Rename,
    InPlace,
    InPlaceOldTime,
    RenameOldTime,
    TruncateAndRegrow,
    RemoveAndMake,
    HardLink,
    LinkTo,
    Touch,
}

const HOW: [How; 9] = [
    How::Rename,
    How::InPlace,
    How::InPlaceOldTime,
    How::RenameOldTime,
    How::TruncateAndRegrow,
    How::RemoveAndMake,
    How::HardLink,
    How::LinkTo,
    How::Touch,
];

fn set_time(path: &Path, time: SystemTime) {
    fs::File::options().write(true).open(path).and_then(|f| f.set_modified(time)).unwrap();
}

fn change(path: &Path, bytes: &[u8], how: How, spare: &Path, n: usize) {
    let before = fs::metadata(path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let beside = spare.join(format!("{n}"));
    // Through a link only what it leads to is written.
    let write_in_place = |path: &Path| {
        use std::io::Write;
        fs::File::options()
            .write(true)
            .truncate(true)
            .create(true)
            .open(path)
            .unwrap()
            .write_all(bytes)
            .unwrap();
    };
    match how {
        How::Rename | How::RenameOldTime => {
            fs::write(&beside, bytes).unwrap();
            if matches!(how, How::RenameOldTime) {
                set_time(&beside, before);
            }
            fs::rename(&beside, path).unwrap();
        }
        How::InPlace => write_in_place(path),
        How::InPlaceOldTime => {
            write_in_place(path);
            set_time(path, before);
        }
        How::TruncateAndRegrow => {
            let file = fs::File::options().write(true).create(true).truncate(false).open(path).unwrap();
            file.set_len(3).unwrap();
            file.set_len(bytes.len() as u64).unwrap();
            write_in_place(path);
        }
        How::RemoveAndMake => {
            fs::remove_file(path).unwrap();
            fs::write(path, bytes).unwrap();
        }
        How::HardLink => {
            fs::write(&beside, bytes).unwrap();
            fs::remove_file(path).unwrap();
            fs::hard_link(&beside, path).unwrap();
        }
        How::LinkTo => {
            fs::write(&beside, bytes).unwrap();
            fs::remove_file(path).unwrap();
            symlink(&beside, path).unwrap();
        }
        How::Touch => set_time(path, before + Duration::from_secs(1)),
    }
}

/// Names in an order of their own, of equal length as a file.
fn any_order(rng: &mut StdRng) -> Vec<&'static str> {
    let mut names = vec!["a", "b", "c", "d"];
    for i in (1..names.len()).rev() {
        names.swap(i, rng.random_range(0..=i));
    }
    names.truncate(rng.random_range(3..=4));
    names
}

fn some_longs(rng: &mut StdRng, n: usize) -> Vec<u8> {
    longs(&(0..n).map(|_| rng.random_range(0..9)).collect::<Vec<i64>>())
}

fn some_codes(rng: &mut StdRng, n: usize, parted: bool) -> Vec<u8> {
    let mut items: Vec<i32> = (0..n).map(|_| rng.random_range(0..3)).collect();
    let mut out = if parted {
        items.sort_unstable();
        codes(&items)
    } else {
        codes(&items)
    };
    // The attribute `p#` stands in the fifth byte behind the name.
    if parted {
        out[4 + 1] = 3;
    }
    out
}

/// A column in blocks of q's own compression, as the writer makes it, of equal length whatever is in it.
fn packed(rng: &mut StdRng, n: usize) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let items: Vec<i64> = (0..n).map(|_| rng.random()).collect();
    let table = Table::of([("x", Value::from(Vector::longs(items)))]).unwrap();
    let options = SaveOptions {
        compress: Some(Compression { block_bits: 12, algorithm: Algorithm::None, level: 0 }),
        ..SaveOptions::default()
    };
    save_down(dir.path(), PartitionValue::date(0), "t", &table, &options).unwrap();
    fs::read(dir.path().join("2000.01.01/t/x")).unwrap()
}

#[test]
fn whatever_happens_to_a_file_is_seen_as_by_one_who_opens_it_now() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    const N: usize = 3;
    // Made once: the writer waits for the disk.
    let some_packed: Vec<Vec<u8>> = (0..6).map(|_| packed(&mut rng, N)).collect();
    for _world in 0..40 {
        let (root, spare) = (Root::empty(), tempfile::tempdir().unwrap());
        let at = |name: &str| root.path().join(name);
        write(&at("sym"), &symbols(&["a", "b", "c"]));
        for segment in ["s0", "s1"] {
            let dir = at(&format!("{segment}/2000.01.01/t"));
            let columns = [
                ("x", some_longs(&mut rng, N)),
                ("s", some_codes(&mut rng, N, true)),
                ("u", some_codes(&mut rng, N, false)),
                ("z", some_packed[rng.random_range(0..6)].clone()),
            ];
            splay(&dir, &columns);
        }
        write(&at("par.txt"), b"s0\n");
        splay(&at("ref"), &[("s", some_codes(&mut rng, N, false)), ("x", some_longs(&mut rng, N))]);
        let mut db = root.open();
        values(&db);
        for step in 0..30 {
            let how = HOW[rng.random_range(0..HOW.len())];
            let changes = rng.random_range(1..=3);
            let mut done = Vec::new();
            for k in 0..changes {
                let segment = ["s0", "s1"][rng.random_range(0..2)];
                let part = |name: &str| at(&format!("{segment}/2000.01.01/t/{name}"));
                let (path, bytes) = match rng.random_range(0..9) {
                    0 | 1 => (at("sym"), symbols(&any_order(&mut rng))),
                    2 => (part("x"), some_longs(&mut rng, N)),
                    3 => (part("s"), some_codes(&mut rng, N, true)),
                    4 => (part("u"), some_codes(&mut rng, N, false)),
                    5 => (part("z"), some_packed[rng.random_range(0..6)].clone()),
                    6 => (
                        part(".d"),
                        symbols(if rng.random() { &["s", "x", "u", "z"] } else { &["x", "s", "u", "z"] }),
                    ),
                    7 => (at("par.txt"), if rng.random() { b"s0\n".to_vec() } else { b"s1\n".to_vec() }),
                    _ => (at("ref/s"), some_codes(&mut rng, N, false)),
                };
                change(&path, &bytes, how, spare.path(), step * 10 + k);
                done.push(path);
            }
            if rng.random_range(0..4) == 0 {
                // Now and then time passes, so that what is held becomes trusted.
                std::thread::sleep(Duration::from_millis(rng.random_range(1..4)));
            }
            let fresh = Database::open(&root.path(), &OpenOptions::default()).unwrap();
            // Columns and enumerations need no reload; what there is does.
            let looked = |path: &PathBuf| !path.ends_with(".d") && !path.ends_with("par.txt");
            if rng.random() && done.iter().all(looked) {
                assert_eq!(values(&db), values(&fresh), "SEED={seed}: {how:?} of {done:?}, without a reload");
            }
            let again = db.reload().unwrap();
            assert_eq!(values(&again), values(&fresh), "SEED={seed}: {how:?} of {done:?}");
            assert_eq!(again.tables(), fresh.tables(), "SEED={seed}");
            db = again;
        }
    }
}
