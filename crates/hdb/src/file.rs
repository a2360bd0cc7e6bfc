//! A single file of any format: plain bytes, container header, write, append.
//!
//! For callers that know the formats (the q language); a database is read through [`crate::Database`]. Rule: a file is
//! replaced by a write to a new file and a rename, so that old mappings stay whole. Tests: `tests/file.rs`.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use crate::{
    BlockCache, HdbError,
    domain::DOMAIN_FILES,
    format::image::Image,
    save::{Compression, domain, image::ImageWriter},
};

/// What a compressed file's trailer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerInfo {
    /// bytes on disk
    pub compressed: u64,
    /// bytes unpacked
    pub plain: u64,
    /// how
    pub compression: Compression,
}

/// The plain bytes of a file: mapped where it lies uncompressed, unpacked otherwise.
pub fn read(path: &Path, cache: &Arc<BlockCache>) -> Result<Bytes, HdbError> {
    let image = Image::open(path, cache)?;
    let bytes = image.read(0..image.len())?;
    image.check()?;
    Ok(bytes)
}

/// The first plain bytes of a file, at most `n`, and how many plain bytes it has.
pub fn head(path: &Path, n: usize, cache: &Arc<BlockCache>) -> Result<(Bytes, u64), HdbError> {
    let image = Image::open(path, cache)?;
    let bytes = image.head(n as u64)?;
    image.check()?;
    Ok((bytes, image.len()))
}

/// What the trailer of a compressed file says; `None` for a plain file.
pub fn container(path: &Path) -> Result<Option<ContainerInfo>, HdbError> {
    match Image::open(path, &Arc::default())? {
        Image::Plain(_) => Ok(None),
        Image::Packed(container) => Ok(Some(container.info())),
    }
}

/// Writes a file in whole from these parts, in compressed blocks where asked, in place of one that is there. Gives
/// its size on disk. It is not waited for the disk.
pub fn write(path: &Path, parts: &[&[u8]], compress: Option<Compression>) -> Result<u64, HdbError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!("-{}-{number}$", std::process::id()));
    let beside = Beside(path.with_file_name(name));
    let mut out = ImageWriter::create(&beside.0, compress)?;
    for part in parts {
        out.write(part)?;
    }
    let size = out.close()?;
    std::fs::rename(&beside.0, path).map_err(HdbError::io("rename into", path))?;
    Ok(size)
}

/// Removes what a failed write leaves.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // Renamed, as a rule.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Appends to a file under the lock that kdb+ takes on an enumeration: `extend` gets its bytes and gives what to
/// append. A file that is not there is made.
pub fn extend<E: From<HdbError>>(
    path: &Path,
    extend: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<(), E> {
    let _guard = DOMAIN_FILES.write().unwrap_or_else(PoisonError::into_inner);
    let (mut file, old) = domain::open_locked(path)?;
    let more = extend(&old)?;
    if !more.is_empty() {
        domain::append(&mut file, path, &more)?;
    }
    Ok(())
}
