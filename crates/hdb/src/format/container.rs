//! The compressed container (`kxzipped`): blocks back to back, and a trailer that is read from the end.
//!
//! Rule: the trailer is believed only after its sums agree with the file's size, so that no block can lie
//! outside the file and no plain length can exceed blocks × block size. Tests: `tests/vectors.rs`, `tests/hostile.rs`.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};

use super::{
    codec::{Algorithm, inflate},
    i64_at, u32_at,
};
use crate::{BlockCache, HdbError, file::ContainerInfo, map::MappedFile, save::Compression};

pub(crate) const MAGIC: &[u8; 8] = b"kxzipped";
pub(crate) const MAGIC_ENCRYPTED: &[u8; 8] = b"kxzippEd";
/// The trailer's fixed part: version, algorithm, level, plain length, packed length, block size.
pub(crate) const FIXED: usize = 32;
/// Bytes of a block's entry: length and algorithm.
pub(crate) const ENTRY: usize = 8;

/// A compressed file.
#[derive(Debug)]
pub(crate) struct Container {
    file: MappedFile,
    cache: Arc<BlockCache>,
    /// Unique in the process: names the file's blocks in the cache.
    number: u64,
    algorithm: Algorithm,
    level: i8,
    len: u64,
    block_bits: u32,
    /// Where each block ends in the file.
    ends: Box<[u64]>,
    /// Which blocks lie there uncompressed.
    stored: Box<[bool]>,
    /// Bytes of the mapping itself have been given out, not only blocks of the cache.
    gave_mapping: AtomicBool,
}

impl Container {
    /// Reads the trailer of a file that starts with the magic.
    pub(crate) fn open(file: MappedFile, cache: Arc<BlockCache>) -> Result<Self, HdbError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let bytes = file.bytes().clone();
        let size = bytes.len();
        let corrupt = |found: String, expected: &str| HdbError::corrupt(file.path(), found, expected);

        let smallest = MAGIC.len() + FIXED + 8;
        if size < smallest {
            return Err(corrupt(format!("{size} bytes"), "a container with a trailer (48 bytes or more)"));
        }
        let nb = i64_at(&bytes, size - 8).unwrap_or_default();
        let most = (size - smallest) / ENTRY;
        let nb = usize::try_from(nb).ok().filter(|&nb| nb <= most).ok_or_else(|| {
            corrupt(format!("{nb} blocks in its last 8 bytes"), &format!("0 to {most} for {size} bytes"))
        })?;
        let entries = size - 8 - nb * ENTRY;
        let fixed = &bytes[entries - FIXED..entries];
        let version = u32_at(fixed, 0).unwrap_or_default();
        if !(2..=3).contains(&version) {
            return Err(corrupt(format!("trailer version {version}"), "2 or 3"));
        }
        if fixed[4] & 16 != 0 {
            return Err(HdbError::Encrypted { path: file.path().into() });
        }
        let algorithm = Algorithm::from_number(u32::from(fixed[4]))
            .ok_or_else(|| corrupt(format!("compression algorithm {}", fixed[4]), "0 to 5"))?;
        let number = |at| u64::try_from(i64_at(fixed, at).unwrap_or(-1)).unwrap_or(u64::MAX);
        let (len, packed, block) = (number(8), number(16), number(24));
        if !block.is_power_of_two() || !(1 << 12..=1 << 20).contains(&block) {
            return Err(corrupt(format!("a block size of {block}"), "a power of two from 4096 to 1048576"));
        }
        if len.div_ceil(block) != nb as u64 {
            return Err(corrupt(
                format!("{nb} blocks of {block} bytes for {len} plain bytes"),
                &format!("{} blocks", len.div_ceil(block)),
            ));
        }

        let (mut ends, mut stored) = (Vec::with_capacity(nb), Vec::with_capacity(nb));
        let mut end = MAGIC.len() as u64;
        for i in 0..nb {
            let length = u32_at(&bytes, entries + i * ENTRY).unwrap_or_default();
            let used = u32_at(&bytes, entries + i * ENTRY + 4).unwrap_or_default();
            let plain = plain_len(len, block, i as u64);
            if used != 0 && used != u32::from(algorithm.number()) {
                return Err(corrupt(
                    format!("algorithm {used} in block {i}"),
                    &format!("0 or the file's {}", algorithm.number()),
                ));
            }
            if used == 0 && u64::from(length) != plain {
                return Err(corrupt(
                    format!("{length} bytes in the stored block {i}"),
                    &format!("{plain} bytes"),
                ));
            }
            end += u64::from(length);
            ends.push(end);
            stored.push(used == 0);
        }
        if end != packed || end != (entries - FIXED) as u64 {
            return Err(corrupt(
                format!("blocks of {end} bytes, {packed} in the trailer, {} in the file", entries - FIXED),
                "three equal numbers",
            ));
        }
        Ok(Container {
            cache,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            algorithm,
            level: fixed[5] as i8,
            len,
            block_bits: block.trailing_zeros(),
            ends: ends.into(),
            stored: stored.into(),
            gave_mapping: AtomicBool::new(false),
            file,
        })
    }

    pub(crate) fn file(&self) -> &MappedFile {
        &self.file
    }

    /// What the trailer says.
    pub(crate) fn info(&self) -> ContainerInfo {
        ContainerInfo {
            compressed: self.file.bytes().len() as u64,
            plain: self.len,
            compression: Compression {
                block_bits: self.block_bits as u8,
                algorithm: self.algorithm,
                level: self.level,
            },
        }
    }

    /// Plain bytes in the container.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Plain bytes `range`, which must lie within [`Self::len`]. A range inside one block shares the cached
    /// block; one over several is put together, only the bytes asked for.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Bytes, HdbError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let first = range.start >> self.block_bits;
        let last = (range.end - 1) >> self.block_bits;
        let part = |i: u64, block: &Bytes| {
            let at = i << self.block_bits;
            let from = range.start.saturating_sub(at) as usize;
            let to = (range.end - at).min(block.len() as u64) as usize;
            from..to
        };
        if first == last {
            let block = self.block(first)?;
            return Ok(block.slice(part(first, &block)));
        }
        if (first..=last).all(|i| self.is_stored(i)) {
            // Stored blocks lie one behind the other, all but the last of full size: the mapping has it whole.
            let from = self.start_of(first) + (range.start - (first << self.block_bits));
            let bytes = from as usize..(from + range.end - range.start) as usize;
            return Ok(self.mapping(bytes));
        }
        let mut out = BytesMut::with_capacity((range.end - range.start) as usize);
        for i in first..=last {
            let block = self.block(i)?;
            out.extend_from_slice(&block[part(i, &block)]);
        }
        Ok(out.freeze())
    }

    /// Where block `i` starts in the file.
    fn start_of(&self, i: u64) -> u64 {
        if i == 0 { MAGIC.len() as u64 } else { self.ends[i as usize - 1] }
    }

    /// An error where the file shrank and something given out may be torn by it. Blocks of the cache are not:
    /// the file was looked at after each was unpacked.
    pub(crate) fn check(&self) -> Result<(), HdbError> {
        match self.gave_mapping.load(Ordering::Relaxed) {
            true => self.file.check(),
            false => Ok(()),
        }
    }

    fn is_stored(&self, i: u64) -> bool {
        self.stored[i as usize]
    }

    /// Bytes of the file as they lie there.
    fn mapping(&self, range: Range<usize>) -> Bytes {
        self.gave_mapping.store(true, Ordering::Relaxed);
        self.file.slice(range)
    }

    fn block(&self, i: u64) -> Result<Bytes, HdbError> {
        let packed = self.start_of(i) as usize..self.ends[i as usize] as usize;
        let plain = plain_len(self.len, 1 << self.block_bits, i) as usize;
        if self.is_stored(i) {
            // Stored as it is: the mapping itself serves, no need for the cache.
            return Ok(self.mapping(packed));
        }
        let packed = self.file.slice(packed);
        self.cache.get_or((self.number, i), || {
            let block = inflate(self.algorithm, &packed, plain);
            // First the mapping: a torn one explains a bad block better than its content does.
            self.file.check()?;
            block.map_err(|found| {
                HdbError::corrupt(
                    self.file.path(),
                    format!("in block {i} ({}) {found}", self.algorithm.name()),
                    format!("{plain} plain bytes"),
                )
            })
        })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.cache.forget(self.number, self.ends.len() as u64);
    }
}

/// Plain bytes of block `i`: the block size, less in the last one.
fn plain_len(len: u64, block: u64, i: u64) -> u64 {
    (len - (i * block).min(len)).min(block)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The worked example of the format notes: a boolean column kdb+ compressed with its own algorithm.
    #[test]
    fn a_container_kdb_wrote_has_the_blocks_it_was_measured_to_have() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/kdb-hdb/2015.01.07/trade/stop");
        let container = Container::open(MappedFile::open(&path).unwrap(), Default::default()).unwrap();
        assert_eq!((container.len(), container.block_bits, container.algorithm), (196_535, 16, Algorithm::Q));
        assert_eq!(&container.ends[..], [8 + 11_629, 8 + 11_629 + 11_845, 8 + 35_324]);
        let head = container.read(0..16).unwrap();
        assert_eq!(head[..], [0xfe, 0x20, 1, 0, 0, 0, 0, 0, 0xa7, 0xff, 2, 0, 0, 0, 0, 0]);
        assert_eq!(container.read(196_534..196_535).unwrap().len(), 1);
        assert!(!container.is_stored(0));
        // Over both borders at once, only the bytes asked for.
        let middle = container.read(65_000..131_100).unwrap();
        assert_eq!(middle.len(), 66_100);
        assert_eq!(middle.slice(..536), container.read(65_000..65_536).unwrap());
        assert_eq!(middle.slice(66_072..), container.read(131_072..131_100).unwrap());
    }

    #[test]
    fn stored_blocks_are_handed_out_from_the_mapping_without_a_copy() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/kdb-hdb/2015.01.07/quote/bid");
        let cache = Arc::new(BlockCache::default());
        let container = Container::open(MappedFile::open(&path).unwrap(), cache.clone()).unwrap();
        let range = 100_000..2_000_000;
        let bytes = container.read(range.clone()).unwrap();
        assert_eq!(bytes.len() as u64, range.end - range.start);
        assert_eq!(bytes.as_ptr(), container.file().bytes()[8 + 100_000..].as_ptr());
        assert_eq!(cache.stats().misses, 0);
    }

    #[test]
    fn a_block_of_the_cache_is_whole_though_its_file_has_shrunk_and_one_not_read_before_is_an_error() {
        let from =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/kdb-hdb/2015.01.07/trade/stop");
        let copy = std::env::temp_dir().join(format!("qmesh-shrinks-{}", std::process::id()));
        std::fs::copy(from, &copy).unwrap();
        let cache = Arc::new(BlockCache::new(1 << 20));
        let container = Container::open(MappedFile::open(&copy).unwrap(), cache).unwrap();
        let before = container.read(0..1000).unwrap();
        std::fs::OpenOptions::new().write(true).open(&copy).unwrap().set_len(100).unwrap();
        assert_eq!(container.read(0..1000).unwrap(), before);
        container.check().unwrap();
        assert!(matches!(container.read(70_000..70_001), Err(HdbError::FileShrank { .. })));
        std::fs::remove_file(&copy).unwrap();
    }
}
