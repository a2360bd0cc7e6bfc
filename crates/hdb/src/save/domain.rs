//! Extending an enumeration file, as `.Q.en` does: under a POSIX lock on the whole file, by appending names.
//!
//! Rule: what is in the file stays where it is; every index in the database depends on it. Tests:
//! `tests/save.rs`.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read as _, Write as _},
    path::Path,
    sync::PoisonError,
    time::{Duration, Instant},
};

use kvalue::Symbols;

use crate::{HdbError, domain::DOMAIN_FILES, format::symbols};

/// How long another process may hold the lock before a save gives up.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// The code of a null symbol.
pub(super) const NULL: i64 = i64::MIN;

/// Codes of each column over the file, which gets the names it lacks in order of appearance; and how many
/// those were.
pub(super) fn enumerate(path: &Path, columns: &[&Symbols]) -> Result<(Vec<Vec<i64>>, usize), HdbError> {
    let _guard = DOMAIN_FILES.write().unwrap_or_else(PoisonError::into_inner);
    let (mut file, old) = open_locked(path)?;
    let old = bytes::Bytes::from(old);
    let known = if old.is_empty() { Symbols::default() } else { symbols::parse(path, &old)? };

    let mut index: HashMap<Box<[u8]>, i64> = HashMap::with_capacity(known.len());
    for (name, code) in known.iter().zip(0..) {
        index.entry(Box::from(name)).or_insert(code);
    }
    let mut next = known.len() as i64;
    let mut added = Vec::new();
    let mut code_of = |name: &[u8]| {
        if name.is_empty() {
            return NULL;
        }
        if let Some(code) = index.get(name) {
            return *code;
        }
        let code = next;
        next += 1;
        index.insert(Box::from(name), code);
        added.extend_from_slice(name);
        added.push(0);
        code
    };
    let codes: Vec<Vec<i64>> = columns.iter().map(|column| codes_of(column, &mut code_of)).collect();
    let count = next as usize - known.len();
    if old.is_empty() {
        let mut start = vec![0xff, 0x01, 0x0b, 0];
        start.extend_from_slice(&i32::try_from(count).unwrap_or(0).to_le_bytes());
        start.append(&mut added);
        added = start;
    }
    if !added.is_empty() {
        append(&mut file, path, &added)?;
    }
    Ok((codes, count))
}

/// Opens an enumeration file, or makes it, takes its lock and reads it.
pub(crate) fn open_locked(path: &Path) -> Result<(File, Vec<u8>), HdbError> {
    let mut file = File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .map_err(HdbError::io("open", path))?;
    lock(&file).map_err(HdbError::io("lock", path))?;
    let mut old = Vec::new();
    file.read_to_end(&mut old).map_err(HdbError::io("read", path))?;
    if old.starts_with(b"kxzip") {
        return Err(HdbError::Unsupported {
            path: path.into(),
            what: "a compressed enumeration, which cannot be appended to".into(),
            next: "write it again uncompressed",
        });
    }
    Ok((file, old))
}

/// Appends to a locked file and waits for the disk. One write: a reader meets all of it or, at worst, a last name
/// that is not finished.
pub(crate) fn append(file: &mut File, path: &Path, bytes: &[u8]) -> Result<(), HdbError> {
    file.write_all(bytes).map_err(HdbError::io("append to", path))?;
    file.sync_all().map_err(HdbError::io("sync", path))
}

/// Takes the lock that kdb+ takes; it is freed when the file is closed.
fn lock(file: &File) -> std::io::Result<()> {
    let start = Instant::now();
    loop {
        match rustix::fs::fcntl_lock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) if start.elapsed() < LOCK_TIMEOUT => {
                std::thread::sleep(LOCK_RETRY);
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::TimedOut,
                    format!("another process has held it for {} s", LOCK_TIMEOUT.as_secs()),
                ));
            }
            Err(e) => return Err(e.into()),
        }
    }
}

fn codes_of(column: &Symbols, code_of: &mut impl FnMut(&[u8]) -> i64) -> Vec<i64> {
    let Some((domain, codes)) = column.as_enumerated() else {
        return column.iter().map(code_of).collect();
    };
    // Each name of the other enumeration is looked up once, when it first occurs.
    let mut translated: Vec<Option<i64>> = vec![None; domain.len()];
    (0..codes.len())
        .map(|row| {
            let code = codes.get(row);
            match usize::try_from(code).ok().and_then(|i| translated.get_mut(i)) {
                Some(slot) => *slot.get_or_insert_with(|| code_of(domain.get(code))),
                None => NULL,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another process holds the lock, appends a name and ends; a save that began meanwhile counts it.
    #[test]
    fn a_save_waits_for_another_process_that_extends_the_enumeration() {
        const FILE: &str = "HDB_TEST_DOMAIN";
        const TEST: &str =
            "save::domain::tests::a_save_waits_for_another_process_that_extends_the_enumeration";
        if let Some(path) = std::env::var_os(FILE).map(std::path::PathBuf::from) {
            let mut file = File::options().append(true).open(&path).unwrap();
            lock(&file).unwrap();
            std::fs::write(path.with_extension("held"), b"").unwrap();
            std::thread::sleep(Duration::from_millis(200));
            file.write_all(b"theirs\0").unwrap();
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sym");
        std::fs::write(&path, b"\xff\x01\x0b\0\x01\0\0\0old\0").unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST])
            .env(FILE, &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !path.with_extension("held").exists() {
            assert!(child.try_wait().unwrap().is_none(), "the other process ended too early");
            std::thread::sleep(Duration::from_millis(1));
        }
        let symbols: Symbols = ["ours", "theirs", "old"].into_iter().collect();
        let (codes, added) = enumerate(&path, &[&symbols]).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!((codes, added), (vec![vec![2, 1, 0]], 1));
        assert_eq!(std::fs::read(&path).unwrap()[8..], *b"old\0theirs\0ours\0");
    }
}
