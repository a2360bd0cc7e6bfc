//! The sample database, and copies of parts of it that a test may change.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Rows of `trade` per day and of `quote` on the only day that has it.
pub const DAYS: [(&str, i64); 2] = [("2015.01.07", 196_519), ("2015.01.08", 437_171)];
pub const TRADES: i64 = DAYS[0].1 + DAYS[1].1;
pub const QUOTES: i64 = 344_455;

/// The real database that the repository holds.
pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/kdb-hdb")
}

/// A copy of some days of the sample.
pub fn copy_of(days: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::copy(sample().join("sym"), dir.path().join("sym")).expect("sym");
    for day in days {
        copy_tree(&sample().join(day), &dir.path().join(day));
    }
    dir
}

/// A day of the sample put into a database as a save does: under a hidden name first. It may take another's name.
pub fn add_day(db: &Path, from: &str, as_day: &str) {
    let hidden = db.join(".new");
    copy_tree(&sample().join(from), &hidden);
    fs::rename(hidden, db.join(as_day)).expect("in place");
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_tree(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}
