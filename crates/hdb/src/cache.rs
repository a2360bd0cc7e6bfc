//! [`BlockCache`]: a bounded, least-recently-used store of decompressed blocks, shared by all files.
//!
//! Rule: what is kept never exceeds the limit; a block larger than the limit is handed out but not kept.
//! Which block goes is told nearly: one used among the last eighth is not moved before those used after it.
//! Two threads that miss the same block both decompress it: cheaper than making one wait. Tests: below.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use ahash::HashMap;
use bytes::Bytes;

/// A file's number (never used twice in a process) and a block's number in it.
pub(crate) type BlockKey = (u64, u64);

/// Default limit of a cache: 512 MiB.
pub const DEFAULT_CACHE_BYTES: usize = 512 << 20;

/// Decompressed blocks, bounded in bytes.
#[derive(Debug)]
pub struct BlockCache {
    limit: usize,
    inner: Mutex<Inner>,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    bytes: usize,
    tick: u64,
    blocks: HashMap<BlockKey, (u64, Bytes)>,
    /// Keys by when they were last used.
    order: BTreeMap<u64, BlockKey>,
}

/// Counters of a cache since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Blocks found.
    pub hits: u64,
    /// Blocks that had to be decompressed.
    pub misses: u64,
    /// Blocks dropped to stay below the limit.
    pub evictions: u64,
    /// Blocks held now.
    pub blocks: usize,
    /// Bytes held now.
    pub bytes: usize,
    /// The limit in bytes.
    pub limit: usize,
}

impl BlockCache {
    /// A cache that holds at most `limit_bytes`. 0 keeps nothing.
    pub fn new(limit_bytes: usize) -> Self {
        BlockCache {
            limit: limit_bytes,
            inner: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        }
    }

    /// Counters and present fill.
    pub fn stats(&self) -> CacheStats {
        let inner = self.lock();
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            blocks: inner.blocks.len(),
            bytes: inner.bytes,
            limit: self.limit,
        }
    }

    /// The block, made by `make` where it is not held.
    pub(crate) fn get_or<E>(
        &self,
        key: BlockKey,
        make: impl FnOnce() -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        {
            let mut inner = self.lock();
            let inner = &mut *inner;
            if let Some((used, block)) = inner.blocks.get_mut(&key) {
                // A block among the last used keeps its place: a move costs more than a look-up.
                if inner.tick - *used > inner.order.len() as u64 / 8 {
                    inner.tick += 1;
                    inner.order.remove(used);
                    inner.order.insert(inner.tick, key);
                    *used = inner.tick;
                }
                self.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(block.clone());
            }
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let block = make()?;
        self.put(key, block.clone());
        Ok(block)
    }

    fn put(&self, key: BlockKey, block: Bytes) {
        if block.len() > self.limit {
            return;
        }
        let mut inner = self.lock();
        if inner.blocks.contains_key(&key) {
            return;
        }
        while inner.bytes + block.len() > self.limit {
            let Some((_, oldest)) = inner.order.pop_first() else { break };
            if let Some((_, dropped)) = inner.blocks.remove(&oldest) {
                inner.bytes -= dropped.len();
                self.evictions.fetch_add(1, Ordering::Relaxed);
            }
        }
        inner.tick += 1;
        let tick = inner.tick;
        inner.bytes += block.len();
        inner.order.insert(tick, key);
        inner.blocks.insert(key, (tick, block));
    }

    /// Drops the blocks of a file that nobody can ask for any more.
    pub(crate) fn forget(&self, file: u64, blocks: u64) {
        let mut inner = self.lock();
        // A file has at most as many blocks as entries to look up; a nearly empty cache is walked instead.
        let keys: Vec<BlockKey> = if (inner.blocks.len() as u64) < blocks {
            inner.blocks.keys().filter(|k| k.0 == file).copied().collect()
        } else {
            (0..blocks).map(|b| (file, b)).collect()
        };
        for key in keys {
            if let Some((tick, block)) = inner.blocks.remove(&key) {
                inner.order.remove(&tick);
                inner.bytes -= block.len();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Default for BlockCache {
    fn default() -> Self {
        BlockCache::new(DEFAULT_CACHE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(cache: &BlockCache, key: BlockKey, len: usize) -> Bytes {
        cache.get_or(key, || Ok::<_, ()>(vec![key.1 as u8; len].into())).unwrap()
    }

    #[test]
    fn the_least_recently_used_block_goes_first() {
        let cache = BlockCache::new(30);
        (0..3).for_each(|b| drop(get(&cache, (1, b), 10)));
        get(&cache, (1, 0), 10);
        get(&cache, (1, 3), 10);
        let s = cache.stats();
        assert_eq!((s.hits, s.misses, s.evictions, s.bytes, s.blocks), (1, 4, 1, 30, 3));
        get(&cache, (1, 1), 10);
        assert_eq!(cache.stats().misses, 5, "block 1 was the oldest");
    }

    #[test]
    fn never_holds_more_than_its_limit() {
        let cache = BlockCache::new(25);
        for b in 0..100 {
            get(&cache, (1, b), 1 + b as usize % 40);
            assert!(cache.stats().bytes <= 25);
        }
    }

    #[test]
    fn a_forgotten_file_frees_its_bytes() {
        let cache = BlockCache::new(100);
        get(&cache, (1, 0), 10);
        get(&cache, (2, 0), 10);
        cache.forget(1, 1);
        cache.forget(2, 1 << 40);
        assert_eq!(cache.stats().bytes, 0);
    }

    #[test]
    fn a_failed_block_is_not_kept() {
        let cache = BlockCache::new(100);
        assert_eq!(cache.get_or((1, 1), || Err("bad")), Err("bad"));
        assert_eq!(cache.stats().blocks, 0);
    }
}
