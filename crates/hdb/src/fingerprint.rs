//! A stable hash over what a database holds, equal on every machine that has the same files.
//!
//! FNV-1a with 128 bits: no secret is kept by it, it only tells different data apart. Tests:
//! `tests/layouts.rs`.

use std::{os::unix::ffi::OsStrExt, path::Path};

const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

pub(crate) struct Hasher(u128);

impl Default for Hasher {
    fn default() -> Self {
        Hasher(BASIS)
    }
}

impl Hasher {
    fn bytes(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = (self.0 ^ u128::from(b)).wrapping_mul(PRIME);
        }
    }

    pub(crate) fn number(&mut self, n: u64) {
        self.bytes(&n.to_le_bytes());
    }

    /// A text with its length, so that two texts never hash as another two.
    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    /// Names and sizes of the files of a directory.
    pub(crate) fn directory(&mut self, dir: &Path) {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let mut files: Vec<(Vec<u8>, u64)> = entries
            .filter_map(|e| {
                let len = std::fs::metadata(e.path()).ok().filter(|m| m.is_file())?.len();
                let name = e.file_name().as_bytes().to_vec();
                (name == b".d" || !name.starts_with(b".")).then_some((name, len))
            })
            .collect();
        files.sort();
        self.number(files.len() as u64);
        for (name, len) in files {
            self.number(name.len() as u64);
            self.bytes(&name);
            self.number(len);
        }
    }

    pub(crate) fn finish(self) -> String {
        format!("{:032x}", self.0)
    }
}
