//! What makes two databases the same data, and what does not.

mod common;

use common::{Root, longs, splay, write};
use hdb::{Database, Fingerprint};

/// Days of January 2000 with so many rows each.
fn days(rows: &[i64]) -> Root {
    let root = Root::empty();
    rows.iter().zip(1..).for_each(|(n, day)| fill(&root, day, *n));
    root
}

fn fill(root: &Root, day: usize, rows: i64) {
    let x: Vec<i64> = (0..rows).collect();
    splay(&root.path().join(format!("2000.01.{day:02}/t")), &[("x", longs(&x))]);
}

fn look(db: &Database) -> String {
    Fingerprint::default().look(db).expect("it has tables")
}

#[test]
fn copies_are_alike_wherever_they_lie() {
    let (here, there, other) = (days(&[2, 3]), Root::empty(), days(&[2, 4]));
    write(&there.path().join("par.txt"), b"seg\n");
    splay(&there.path().join("seg/2000.01.01/t"), &[("x", longs(&[7, 8]))]);
    splay(&there.path().join("seg/2000.01.02/t"), &[("x", longs(&[9, 9, 9]))]);
    let id = look(&here.open());
    assert!(id.starts_with("2000.01.01-2000.01.02:5:"), "{id}");
    assert_eq!(id, look(&there.open()), "segments are a matter of place");
    assert_ne!(id, look(&other.open()), "they begin alike and differ later");
    write(&here.path().join("2000.01.02/t/.lock"), b"hidden files are no data");
    splay(&here.path().join("reference"), &[("x", longs(&[1]))]);
    assert_eq!(id, look(&here.open()), "reference data is renewed when it suits each copy");
}

#[test]
fn one_that_began_sooner_comes_to_the_same_as_one_that_starts_now() {
    let root = days(&[2, 3]);
    let db = root.open();
    let mut since_then = Fingerprint::default();
    let first = since_then.look(&db).unwrap();
    assert_eq!(since_then.look(&db).unwrap(), first);

    fill(&root, 3, 4);
    let grown = db.reload().unwrap();
    let now = since_then.look(&grown).unwrap();
    assert_ne!(now, first);
    assert_eq!(now, look(&root.open()));

    fill(&root, 3, 5);
    fill(&root, 1, 1);
    assert_eq!(since_then.look(&grown.reload().unwrap()).unwrap(), look(&root.open()), "written in place");
}

#[test]
fn rows_written_to_an_old_partition_are_found_within_a_few_looks() {
    let root = Root::empty();
    for part in 0..200 {
        splay(&root.path().join(format!("{}/t", 10_000 + part)), &[("x", longs(&[1]))]);
    }
    let db = root.open();
    let mut fingerprint = Fingerprint::default();
    fingerprint.look(&db);
    splay(&root.path().join("10150/t"), &[("x", longs(&[1, 2]))]);
    let fresh = look(&root.open());
    assert!((0..4).any(|_| fingerprint.look(&db).unwrap() == fresh));
}

#[test]
fn what_cannot_be_read_counts_as_before_and_never_fails() {
    let root = days(&[2, 3]);
    let db = root.open();
    let mut fingerprint = Fingerprint::default();
    let whole = fingerprint.look(&db).unwrap();
    write(&root.path().join("2000.01.01/t/x"), b"torn");
    assert_eq!(fingerprint.look(&db).unwrap(), whole);
    assert!(look(&root.open()).starts_with("2000.01.01-2000.01.02:3:"));
}

#[test]
fn a_database_of_splayed_tables_is_told_by_their_rows_and_an_empty_one_by_nothing() {
    let root = Root::empty();
    assert_eq!(Fingerprint::default().look(&root.open()), None);
    splay(&root.path().join("a"), &[("x", longs(&[1, 2]))]);
    splay(&root.path().join("b"), &[("x", longs(&[1]))]);
    let id = look(&root.open());
    assert!(id.starts_with("splayed:3:"), "{id}");
    splay(&root.path().join("b"), &[("x", longs(&[1, 2]))]);
    assert_ne!(id, look(&root.open()));
}
