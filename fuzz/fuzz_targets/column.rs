//! Any bytes are a column, a companion, a domain, a `.d` or an error that names the file; never a panic.
//!
//! The first byte says which file the rest is; the others are sound.
#![no_main]

use std::{cell::RefCell, path::PathBuf};

use hdb::{Database, Fingerprint, OpenOptions};
use libfuzzer_sys::fuzz_target;

/// The first page of a nested column whose two rows refer to heap offsets 0 and 16.
fn references() -> Vec<u8> {
    let mut page = vec![0xfd, 0x20];
    page.resize(4080, 0);
    page.extend_from_slice(&[0xfd, 1, 77, 0, 0, 0, 0, 0]);
    for word in [2u64, 0, 16] {
        page.extend_from_slice(&word.to_le_bytes());
    }
    page
}

/// A heap of these bytes.
fn heap(bytes: &[u8]) -> Vec<u8> {
    let mut page = vec![0xfd, 0x20];
    page.resize(4080, 0);
    page.extend_from_slice(&[0xfd, 0, 4, 0]);
    page.resize(4096, 0);
    page.extend_from_slice(bytes);
    page
}

/// A narrow enumerated column of two rows over `sym`.
const CODES: &[u8] = b"\xfesym\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0";
const NAMES: &[u8] = b"\xff\x01\x0b\0\0\0\0\0a\0b\0";
const COLUMNS: &[u8] = b"\xff\x01\x0b\0\0\0\0\0c\0";

thread_local! {
    static ROOT: RefCell<tempfile::TempDir> = RefCell::new(tempfile::tempdir().unwrap());
}

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else { return };
    let root: PathBuf = ROOT.with(|r| r.borrow().path().into());
    let table = root.join("t");
    std::fs::create_dir_all(&table).unwrap();
    let (mut d, mut c, mut items, mut names, mut sym) =
        (COLUMNS.to_vec(), CODES.to_vec(), b"\x89\x01x".to_vec(), NAMES.to_vec(), NAMES.to_vec());
    match which % 7 {
        0 => c = data.to_vec(),
        1 => (c, items) = (references(), heap(data)),
        2 => (c, items) = (references(), data.to_vec()),
        3 => d = data.to_vec(),
        4 => sym = data.to_vec(),
        5 => (c, items, names) = (references(), heap(b"\x8a\x01\0\0\0\0"), data.to_vec()),
        // The inside of a page-form file, past the zeros no fuzzer gets right.
        _ => {
            c = heap(&[]);
            c.truncate(4080);
            c.extend_from_slice(data);
        }
    }
    for (path, bytes) in [("t/.d", &d), ("t/c", &c), ("t/c#", &items), ("t/c##", &names), ("sym", &sym)] {
        let path = root.join(path);
        // A new file each time: the old one may still be mapped.
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, bytes).unwrap();
    }
    let db = Database::open(&root, &OpenOptions::default()).unwrap();
    let Ok(table) = db.open_table("t", None) else { return };
    if let Ok(rows) = table.rows() {
        let whole = table.column("c", 0..rows.min(4096));
        let part = table.column("c", rows / 2..rows / 2 + (rows / 2).min(64));
        assert!(part.is_ok() || whole.is_err() || rows > 4096);
        let _ = table.parted("c");
    }
    table.check().unwrap();
    let _ = Fingerprint::default().look(&db);
});
