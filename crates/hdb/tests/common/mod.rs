//! Databases made by hand, byte by byte, for the tests beside this folder.
#![allow(dead_code)] // each test file uses a part

use std::path::{Path, PathBuf};

use hdb::{Database, HdbError, OpenOptions, TableData};
use kvalue::Value;

/// Bytes of a hexadecimal text; spaces do not count.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A serialised symbol vector: `.d`, a domain, the symbols of a heap.
pub(crate) fn symbols(names: &[&str]) -> Vec<u8> {
    let mut out = hex("ff010b00 00000000");
    names.iter().for_each(|n| {
        out.extend_from_slice(n.as_bytes());
        out.push(0);
    });
    out
}

/// A plain vector of longs.
pub(crate) fn longs(items: &[i64]) -> Vec<u8> {
    let mut out = hex("fe200700 00000000");
    out.extend_from_slice(&(items.len() as i64).to_le_bytes());
    items.iter().for_each(|i| out.extend_from_slice(&i.to_le_bytes()));
    out
}

/// A first page with an object header at 4080.
pub(crate) fn page(name: &str, header: &str, rest: &str) -> Vec<u8> {
    let mut out = hex("fd20");
    out.resize(16, 0);
    out.extend_from_slice(name.as_bytes());
    out.resize(4080, 0);
    out.extend(hex(header));
    out.extend(hex(rest));
    out
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Writes a splayed directory: files as given, `.d` naming those that are columns.
pub(crate) fn splay(dir: &Path, files: &[(&str, Vec<u8>)]) {
    files.iter().for_each(|(name, bytes)| write(&dir.join(name), bytes));
    let columns: Vec<&str> = files.iter().map(|f| f.0).filter(|n| !n.ends_with('#')).collect();
    write(&dir.join(".d"), &symbols(&columns));
}

/// A root with a splayed table `t` of these files and the domain `sym` = a, b.
pub(crate) struct Root(pub(crate) tempfile::TempDir);

impl Root {
    pub(crate) fn new(files: &[(&str, Vec<u8>)]) -> Root {
        let root = Root::empty();
        splay(&root.path().join("t"), files);
        root
    }

    pub(crate) fn empty() -> Root {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("sym"), &symbols(&["a", "b"]));
        Root(dir)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().into()
    }

    pub(crate) fn open(&self) -> Database {
        Database::open(self.0.path(), &OpenOptions::default()).unwrap()
    }

    pub(crate) fn table(&self) -> TableData {
        self.open().open_table("t", None).unwrap()
    }

    /// All rows of column `c` of table `t`.
    pub(crate) fn column(&self) -> Result<Value, HdbError> {
        let t = self.table();
        let n = t.rows()?;
        t.column("c", 0..n)
    }
}

/// What reading a single column of these bytes gives.
pub(crate) fn read(bytes: Vec<u8>) -> Result<Value, HdbError> {
    Root::new(&[("c", bytes)]).column()
}

/// The message of an error, checked to name the file and to hold these parts.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, HdbError>, parts: &[&str]) -> String {
    let message = result.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{message:?} should mention {part:?}");
    }
    message
}
