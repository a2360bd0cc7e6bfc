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
};

use kvalue::Symbols;

use crate::{HdbError, domain::DOMAIN_FILES, format::symbols};

/// The code of a null symbol.
pub(super) const NULL: i64 = i64::MIN;

/// Codes of each column over the file, which gets the names it lacks in order of appearance; and how many
/// those were.
pub(super) fn enumerate(path: &Path, columns: &[&Symbols]) -> Result<(Vec<Vec<i64>>, usize), HdbError> {
    let _guard = DOMAIN_FILES.write().unwrap_or_else(PoisonError::into_inner);
    let mut file = File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .map_err(HdbError::io("open", path))?;
    // Freed when the file is closed.
    rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|e| HdbError::io("lock", path)(e.into()))?;
    let mut old = Vec::new();
    file.read_to_end(&mut old).map_err(HdbError::io("read", path))?;
    if old.starts_with(b"kxzip") {
        return Err(HdbError::Unsupported {
            path: path.into(),
            what: "a compressed enumeration, which cannot be appended to".into(),
            next: "write it again uncompressed",
        });
    }
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
        // One write: a reader meets all of it or, at worst, a last name that is not finished.
        file.write_all(&added).map_err(HdbError::io("append to", path))?;
        file.sync_all().map_err(HdbError::io("sync", path))?;
    }
    Ok((codes, count))
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
