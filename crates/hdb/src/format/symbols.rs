//! Symbol files: `.d`, enumeration domains, the symbols of an anymap.
//!
//! Rule: the count in the header is never used (appends do not update it); names are read to the end of the
//! file, which must end in NUL. Tests: `tests/vectors.rs`.

use std::path::Path;

use bytes::Bytes;
use kvalue::Symbols;

use crate::HdbError;

/// Bytes before the first name: magic, type, attribute, count.
pub(crate) const HEADER: usize = 8;
const MAGIC: [u8; 3] = [0xff, 0x01, 0x0b];

/// The names in a symbol file of these bytes.
pub(crate) fn parse(path: &Path, bytes: &Bytes) -> Result<Symbols, HdbError> {
    if bytes.len() < HEADER || bytes[..3] != MAGIC {
        return Err(HdbError::corrupt(
            path,
            format!("{} bytes starting {:02x?}", bytes.len(), &bytes[..bytes.len().min(3)]),
            "a symbol vector, starting ff 01 0b",
        ));
    }
    let names = bytes.slice(HEADER..);
    let count = kvalue::nul::count(&names);
    Symbols::packed(names, count)
        .map_err(|_| HdbError::corrupt(path, "a last name without its ending NUL", "NUL after each name"))
}

/// A name that is safe to append to a directory: one plain component.
pub(crate) fn leaf<'a>(from: &Path, name: &'a [u8]) -> Result<&'a str, HdbError> {
    let refused =
        || HdbError::UnsafeName { path: from.into(), name: String::from_utf8_lossy(name).into_owned() };
    let text = std::str::from_utf8(name).map_err(|_| refused())?;
    let bad = text.is_empty()
        || text == "."
        || text == ".."
        || text.len() > 255
        || text.contains(['/', '\\', '\0']);
    if bad { Err(refused()) } else { Ok(text) }
}
