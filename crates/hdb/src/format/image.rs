//! [`Image`]: the plain bytes of a file, whether it lies there mapped or in compressed blocks.
//!
//! Rule: everything above works on plain offsets and never knows which it is. Tests: `tests/vectors.rs`, `tests/hostile.rs`.

use std::{ops::Range, path::Path, sync::Arc};

use bytes::Bytes;

use super::container::{Container, MAGIC, MAGIC_ENCRYPTED};
use crate::{
    BlockCache, HdbError,
    map::{FileId, MappedFile},
};

/// The plain bytes of a file.
#[derive(Debug)]
pub(crate) enum Image {
    Plain(MappedFile),
    Packed(Container),
}

impl Image {
    pub(crate) fn open(path: &Path, cache: &Arc<BlockCache>) -> Result<Self, HdbError> {
        let file = MappedFile::open(path)?;
        if file.bytes().starts_with(MAGIC) {
            return Ok(Image::Packed(Container::open(file, cache.clone())?));
        }
        if file.bytes().starts_with(MAGIC_ENCRYPTED) {
            return Err(HdbError::Encrypted { path: path.into() });
        }
        Ok(Image::Plain(file))
    }

    fn file(&self) -> &MappedFile {
        match self {
            Image::Plain(file) => file,
            Image::Packed(container) => container.file(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.file().path()
    }

    /// Identity of the file as it was opened.
    pub(crate) fn id(&self) -> FileId {
        self.file().id()
    }

    /// True while this is known to be what the file with that id holds.
    pub(crate) fn is_still(&self, now: FileId) -> bool {
        self.file().is_still(now)
    }

    /// True where the file at the path is still the one that was opened.
    pub(crate) fn is_current(&self) -> bool {
        std::fs::metadata(self.path()).is_ok_and(|meta| self.is_still(FileId::of(&meta)))
    }

    /// Plain bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Image::Plain(file) => file.bytes().len() as u64,
            Image::Packed(container) => container.len(),
        }
    }

    /// Plain bytes `range`; an error where they are not all there.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Bytes, HdbError> {
        if range.start > range.end || range.end > self.len() {
            return Err(HdbError::corrupt(
                self.path(),
                format!("{} plain bytes", self.len()),
                format!("bytes {} to {}", range.start, range.end),
            ));
        }
        match self {
            Image::Plain(file) => Ok(file.slice(range.start as usize..range.end as usize)),
            Image::Packed(container) => container.read(range),
        }
    }

    /// The first bytes, at most `most`.
    pub(crate) fn head(&self, most: u64) -> Result<Bytes, HdbError> {
        self.read(0..self.len().min(most))
    }

    /// An error where the file shrank while it was open.
    pub(crate) fn check(&self) -> Result<(), HdbError> {
        match self {
            Image::Plain(file) => file.check(),
            Image::Packed(container) => container.check(),
        }
    }
}
