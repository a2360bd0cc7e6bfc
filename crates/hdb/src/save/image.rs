//! Writing a file's plain image, as it is or in compressed blocks, with what is needed to trust it on disk.
//!
//! Rule: memory is bounded by one block. Tests: `tests/save.rs`.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use super::Compression;
use crate::{
    HdbError,
    format::{codec::deflate, container::MAGIC},
};

/// A file being written.
pub(crate) struct ImageWriter {
    path: PathBuf,
    out: BufWriter<File>,
    written: u64,
    packed: Option<Packed>,
}

struct Packed {
    compression: Compression,
    block: Vec<u8>,
    plain: u64,
    /// length and algorithm of each block
    entries: Vec<(u32, u32)>,
}

/// Version of the trailer: 3 since 2019.
const VERSION: u32 = 3;

impl ImageWriter {
    pub(crate) fn create(path: &Path, compress: Option<Compression>) -> Result<Self, HdbError> {
        let file = File::create_new(path).map_err(HdbError::io("create", path))?;
        let packed = compress.map(|compression| Packed {
            compression,
            block: Vec::with_capacity(1 << compression.block_bits),
            plain: 0,
            entries: Vec::new(),
        });
        let mut writer = ImageWriter { path: path.into(), out: BufWriter::new(file), written: 0, packed };
        if writer.packed.is_some() {
            writer.raw(MAGIC)?;
        }
        Ok(writer)
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<(), HdbError> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes).map_err(HdbError::io("write", &self.path))
    }

    /// Appends to the plain image.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), HdbError> {
        loop {
            let Some(packed) = &mut self.packed else { return self.raw(bytes) };
            let size = 1usize << packed.compression.block_bits;
            let take = bytes.len().min(size - packed.block.len());
            packed.block.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if packed.block.len() < size {
                return Ok(());
            }
            self.flush_block()?;
        }
    }

    fn flush_block(&mut self) -> Result<(), HdbError> {
        let Some(packed) = &mut self.packed else { return Ok(()) };
        let Compression { algorithm, level, .. } = packed.compression;
        let mut block = std::mem::take(&mut packed.block);
        packed.plain += block.len() as u64;
        let small =
            deflate(algorithm, i32::from(level), &block).map_err(HdbError::io("compress", &self.path))?;
        let (bytes, used) = match &small {
            Some(small) => (small.as_slice(), algorithm.number()),
            None => (block.as_slice(), 0),
        };
        packed.entries.push((bytes.len() as u32, u32::from(used)));
        self.raw(bytes)?;
        block.clear();
        if let Some(packed) = &mut self.packed {
            packed.block = block;
        }
        Ok(())
    }

    /// Ends the file and waits until it is on disk. Gives its size.
    pub(crate) fn finish(mut self) -> Result<u64, HdbError> {
        let size = self.end()?;
        self.out.get_ref().sync_all().map_err(HdbError::io("sync", &self.path))?;
        Ok(size)
    }

    /// Ends the file. Gives its size.
    pub(crate) fn close(mut self) -> Result<u64, HdbError> {
        self.end()
    }

    fn end(&mut self) -> Result<u64, HdbError> {
        if self.packed.as_ref().is_some_and(|p| !p.block.is_empty()) {
            self.flush_block()?;
        }
        if let Some(packed) = self.packed.take() {
            let Compression { block_bits, algorithm, level } = packed.compression;
            let mut trailer = Vec::with_capacity(40 + 8 * packed.entries.len());
            trailer.extend_from_slice(&VERSION.to_le_bytes());
            trailer.extend_from_slice(&[algorithm.number(), level as u8, 0, 0]);
            trailer.extend_from_slice(&packed.plain.to_le_bytes());
            trailer.extend_from_slice(&self.written.to_le_bytes());
            trailer.extend_from_slice(&(1u64 << block_bits).to_le_bytes());
            for (length, used) in &packed.entries {
                trailer.extend_from_slice(&length.to_le_bytes());
                trailer.extend_from_slice(&used.to_le_bytes());
            }
            trailer.extend_from_slice(&(packed.entries.len() as u64).to_le_bytes());
            self.raw(&trailer)?;
        }
        self.out.flush().map_err(HdbError::io("write", &self.path))?;
        Ok(self.written)
    }
}
