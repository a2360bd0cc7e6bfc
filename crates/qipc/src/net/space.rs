//! Memory for one large message that is being received.
//!
//! Rule kept: a claimed length costs address space, never memory: pages come into being as bytes arrive. From
//! [`MAPPED_FROM`] on the space is mapped with huge pages, because faulting a 100 MB buffer in by 4 KiB pages
//! takes longer than receiving it. Tests: `tests/net_calls.rs`, `tests/net_hostile.rs`.

use std::io;

use bytes::{BufMut, Bytes};
use memmap2::{MmapMut, MmapOptions};
use tokio::io::{AsyncRead, AsyncReadExt};

/// From this length on a message has a mapping of its own.
const MAPPED_FROM: usize = 4 << 20;
/// Most bytes taken by one read, so that none holds the reactor for long.
const MOST_PER_READ: usize = 1 << 20;

/// Space for `len` bytes, the first `filled` of which are there.
pub(super) struct Space {
    memory: Memory,
    len: usize,
    filled: usize,
}

enum Memory {
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

impl Space {
    /// Space for `len` bytes that begin with `first`, which must not be longer.
    pub(super) fn new(len: usize, first: &[u8]) -> Self {
        let mut memory = reserve(len);
        match &mut memory {
            Memory::Heap(vec) => vec.extend_from_slice(first),
            Memory::Mapped(map) => map[..first.len()].copy_from_slice(first),
        }
        Space { memory, len, filled: first.len() }
    }

    /// Bytes that are there.
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    /// True once all bytes are there.
    pub(super) fn is_full(&self) -> bool {
        self.filled == self.len
    }

    /// Reads once; gives the number of bytes, 0 at the end of the stream. Loses nothing where it is dropped.
    pub(super) async fn read(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        let room = (self.len - self.filled).min(MOST_PER_READ);
        let n = match &mut self.memory {
            Memory::Heap(vec) => from.read_buf(&mut vec.limit(room)).await?,
            Memory::Mapped(map) => from.read(&mut map[self.filled..self.filled + room]).await?,
        };
        self.filled += n;
        Ok(n)
    }

    /// All bytes.
    pub(super) fn into_bytes(self) -> Bytes {
        match self.memory {
            Memory::Heap(vec) => vec.into(),
            Memory::Mapped(map) => Bytes::from_owner(map),
        }
    }
}

fn reserve(len: usize) -> Memory {
    if len >= MAPPED_FROM {
        // A system that commits memory strictly may refuse: then the heap grows as bytes come.
        if let Ok(map) = MmapOptions::new().len(len).no_reserve_swap().map_anon() {
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage);
            return Memory::Mapped(map);
        }
    }
    Memory::Heap(Vec::with_capacity(len.min(MAPPED_FROM)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_arrive_in_heap_and_mapping() {
        for len in [100usize, MAPPED_FROM - 1, MAPPED_FROM, 3 * MAPPED_FROM + 1] {
            let data: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut space = Space::new(len, &data[..10]);
            let mut rest = &data[10..];
            while !space.is_full() {
                assert!(space.read(&mut rest).await.unwrap() > 0, "{len}");
            }
            assert!(space.into_bytes() == data, "{len}");
        }
    }

    #[tokio::test]
    async fn the_end_of_the_stream_is_told() {
        let mut space = Space::new(100, b"");
        assert_eq!(space.read(&mut &b"abc"[..]).await.unwrap(), 3);
        assert_eq!(space.read(&mut &b""[..]).await.unwrap(), 0);
        assert_eq!(space.filled(), 3);
    }
}
