//! A day is on disk whole, or stays in memory; what lies between cannot be purged.

use super::*;
use ::hdb::{Database, OpenOptions};
use kvalue::{Table, Value, Vector};
use sg::msg::{Covered, LeasesOver};

use crate::live::{Step, obey};

fn rows_on_disk(db: &Database, day: i64) -> usize {
    let of_day = db.partitions("t").into_iter().filter(|p| p.value == day);
    of_day.map(|p| db.open_table("t", Some(&p)).unwrap().rows().unwrap()).sum()
}

fn batch(times: impl IntoIterator<Item = i64>) -> Value {
    let times: Vec<i64> = times.into_iter().collect();
    let syms = Value::syms(times.iter().map(|_| "a"));
    Table::of([("time", Value::from(Vector::timestamps(times))), ("sym", syms)]).unwrap().into()
}

fn covered(from: i64, until: i64) -> OwnerSays {
    OwnerSays::Covered(Covered { table: "t".into(), from: from * DAY, until: until * DAY })
}

fn rows(memory: &MemoryTables) -> u64 {
    memory.row_counts().iter().map(|(_, n)| n).sum()
}

fn days_on_disk(root: &std::path::Path) -> Vec<usize> {
    let db = Database::open(root, &OpenOptions::default()).unwrap();
    (0..3).map(|day| rows_on_disk(&db, day)).collect()
}

fn memory(rows: i64) -> MemoryTables {
    let memory = MemoryTables::new(0, 1 << 30);
    let t = Table::of([
        ("time", Value::from(Vector::timestamps((0..rows).collect()))),
        ("sym", Value::syms((0..rows).map(|_| "a"))),
    ]);
    memory.upd(&"t".into(), &t.unwrap().into()).unwrap();
    memory
}

fn saved(root: &std::path::Path) -> usize {
    let db = ::hdb::Database::open(root, &::hdb::OpenOptions::default()).unwrap();
    rows_on_disk(&db, 0)
}

#[tokio::test]
async fn a_saved_day_is_never_replaced_by_less() {
    let dir = tempfile::tempdir().unwrap();
    let eod = |memory: &MemoryTables| EndOfDay::new(memory.clone(), Some(dir.path().into()), None);
    let three = memory(3);
    eod(&three).run(0).await;
    assert_eq!(saved(dir.path()), 3);
    eod(&memory(1)).run(0).await;
    assert_eq!(saved(dir.path()), 3, "a replica that held less");
    three.hand_over(&"t".into(), |_, _| crate::handover::Decision::Move(DAY));
    three.purge().unwrap();
    eod(&three).run(0).await;
    assert_eq!(saved(dir.path()), 3, "a second end of day after the hand-over");
    eod(&memory(5)).run(0).await;
    assert_eq!(saved(dir.path()), 5, "a replica that held more");
}

/// A1: something is in the way of the first day's save, and no longer of the second's.
#[tokio::test]
async fn a_day_whose_save_failed_is_saved_with_the_next_and_is_never_purged_before() {
    let dir = tempfile::tempdir().unwrap();
    let memory = MemoryTables::new(0, 1 << 30);
    let eod = EndOfDay::new(memory.clone(), Some(dir.path().into()), None);
    memory.upd(&"t".into(), &batch([1, 2, 3])).unwrap();
    std::fs::create_dir(dir.path().join("sym")).unwrap();
    eod.run(0).await;
    let unsaved = eod.unsaved();
    assert!(matches!(&unsaved[..], [u] if u.day == 0 && u.rows == 3 && u.why.is_some()), "{unsaved:?}");
    // Late rows of an unsaved day are taken.
    memory.upd(&"t".into(), &batch([4, DAY + 1])).unwrap();

    // Another's save of the second day covers the second day only; or says so of both.
    for offer in [covered(1, 2), covered(0, 2)] {
        let step = obey(&memory, &mut eod.book(), &offer, 1);
        assert!(matches!(&step, Step::Refused { moved: false, why } if why.contains("4 rows")), "{step:?}");
        obey(&memory, &mut eod.book(), &OwnerSays::LeasesOver(LeasesOver { version: 9 }), 1);
        assert_eq!(rows(&memory), 5);
    }

    std::fs::remove_dir(dir.path().join("sym")).unwrap();
    eod.run(1).await;
    assert_eq!(days_on_disk(dir.path()), [4, 1, 0]);
    assert_eq!(eod.unsaved(), []);
    assert!(memory.upd(&"t".into(), &batch([5])).is_err(), "the day is on disk and closed");
    assert!(matches!(obey(&memory, &mut eod.book(), &covered(0, 2), 1), Step::Moved));
    obey(&memory, &mut eod.book(), &OwnerSays::LeasesOver(LeasesOver { version: 9 }), 1);
    assert_eq!(rows(&memory), 0);
}

#[tokio::test]
async fn a_later_day_waits_for_an_earlier_one_that_cannot_be_saved() {
    let dir = tempfile::tempdir().unwrap();
    let memory = MemoryTables::new(0, 1 << 30);
    let eod = EndOfDay::new(memory.clone(), Some(dir.path().into()), None);
    memory.upd(&"t".into(), &batch([1, DAY + 1, 2 * DAY + 1])).unwrap();
    // A file where the partition belongs.
    std::fs::write(dir.path().join("2000.01.01"), "").unwrap();
    eod.run(1).await;
    assert_eq!(eod.unsaved().len(), 2);
    std::fs::remove_file(dir.path().join("2000.01.01")).unwrap();
    eod.save().await;
    assert_eq!(days_on_disk(dir.path()), [1, 1, 0]);
}

#[tokio::test]
async fn a_day_on_disk_and_other_rows_of_it_are_united() {
    let dir = tempfile::tempdir().unwrap();
    for times in [vec![1, 2, 3, 3], vec![3, 9], vec![], vec![1, 2, 3, 3, 9, 10]] {
        // Each is a life of a process that knows nothing of the others, or a replica.
        let memory = MemoryTables::new(0, 1 << 30);
        memory.upd(&"t".into(), &batch(times)).unwrap();
        EndOfDay::new(memory.clone(), Some(dir.path().into()), None).run(0).await;
    }
    assert_eq!(days_on_disk(dir.path()), [6, 0, 0], "1 2 3 3 9 10");
}

#[tokio::test]
async fn replicas_that_save_at_once_lose_nothing_and_leftovers_go() {
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join("2000.01.01-999999-7$");
    std::fs::create_dir_all(left.join("t")).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for replica in 0..8 {
        let memory = MemoryTables::new(0, 1 << 30);
        memory.upd(&"t".into(), &batch([1, 2, 10 + replica])).unwrap();
        let eod = EndOfDay::new(memory, Some(dir.path().into()), None);
        tasks.spawn(async move {
            eod.run(0).await;
            assert_eq!(eod.unsaved(), []);
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(days_on_disk(dir.path()), [10, 0, 0]);
    assert!(!left.exists());
}
