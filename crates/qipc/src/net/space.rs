//! Memory for one large message that is being received.
//!
//! Rule kept: a claimed length costs address space, never memory: pages come into being as bytes arrive. From
//! [`MAPPED_FROM`] on the space is mapped with huge pages, because faulting a 100 MB buffer in by 4 KiB pages
//! takes longer than receiving it. Even then half of the time goes into clearing pages, so a connection may keep the
//! mapping of a message that is gone for its next one ([`Spare`]). Tests: here, `tests/net_calls.rs`,
//! `tests/net_hostile.rs`.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{BufMut, Bytes};
use memmap2::{MmapMut, MmapOptions};
use tokio::io::{AsyncRead, AsyncReadExt};

/// From this length on a message has a mapping of its own.
const MAPPED_FROM: usize = 4 << 20;
/// Most bytes taken by one read, so that none holds the reactor for long.
const MOST_PER_READ: usize = 1 << 20;

/// Longer mappings are not kept for the next message.
const MOST_SPARE: usize = 64 << 20;

/// Space for `len` bytes, the first `filled` of which are there.
pub(super) struct Space {
    memory: Memory,
    len: usize,
    filled: usize,
    spare: Spare,
}

enum Memory {
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

impl Space {
    /// Space for `len` bytes that begin with `first`, which must not be longer.
    pub(super) fn new(len: usize, first: &[u8], spare: &Spare) -> Self {
        let mut memory = match spare.take(len) {
            Some(map) => Memory::Mapped(map),
            None => reserve(len),
        };
        match &mut memory {
            Memory::Heap(vec) => vec.extend_from_slice(first),
            Memory::Mapped(map) => map[..first.len()].copy_from_slice(first),
        }
        Space { memory, len, filled: first.len(), spare: spare.clone() }
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
            Memory::Mapped(map) => {
                Bytes::from_owner(Received { map: Some(map), len: self.len, spare: self.spare })
            }
        }
    }
}

/// A message in a mapping, which goes to the connection's spare when nobody needs the message any more.
struct Received {
    map: Option<MmapMut>,
    /// a mapping that was used before may be longer
    len: usize,
    spare: Spare,
}

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        self.map.as_deref().and_then(|map| map.get(..self.len)).unwrap_or_default()
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Some(map) = self.map.take() {
            self.spare.put(map);
        }
    }
}

/// The mapping of a message that is gone, kept for the next message of the same connection: at most one, none
/// longer than [`MOST_SPARE`], none where nobody asked for it, and none that was not needed between two calls of
/// [`Spare::let_go`].
#[derive(Clone, Default)]
pub(super) struct Spare(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    is_wanted: bool,
    map: Option<MmapMut>,
    was_needed: bool,
}

impl Spare {
    /// From now on one is kept.
    pub(super) fn keep(&self) {
        self.kept().is_wanted = true;
    }

    /// Frees what was not needed since the last call.
    pub(super) fn let_go(&self) {
        let mut kept = self.kept();
        if !std::mem::take(&mut kept.was_needed) {
            kept.map = None;
        }
    }

    fn take(&self, len: usize) -> Option<MmapMut> {
        if len < MAPPED_FROM {
            return None;
        }
        let mut kept = self.kept();
        kept.was_needed = true;
        kept.map.take_if(|map| map.len() >= len)
    }

    fn put(&self, map: MmapMut) {
        let mut kept = self.kept();
        let is_better = kept.map.as_ref().is_none_or(|other| other.len() < map.len());
        if kept.is_wanted && is_better && map.len() <= MOST_SPARE {
            kept.map = Some(map);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Each change under the lock is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            let mut space = Space::new(len, &data[..10], &Spare::default());
            let mut rest = &data[10..];
            while !space.is_full() {
                assert!(space.read(&mut rest).await.unwrap() > 0, "{len}");
            }
            assert!(space.into_bytes() == data, "{len}");
        }
    }

    #[tokio::test]
    async fn the_end_of_the_stream_is_told() {
        let mut space = Space::new(100, b"", &Spare::default());
        assert_eq!(space.read(&mut &b"abc"[..]).await.unwrap(), 3);
        assert_eq!(space.read(&mut &b""[..]).await.unwrap(), 0);
        assert_eq!(space.filled(), 3);
    }

    async fn receive(data: &[u8], spare: &Spare) -> Bytes {
        let mut space = Space::new(data.len(), b"", spare);
        let mut rest = data;
        while !space.is_full() {
            space.read(&mut rest).await.unwrap();
        }
        space.into_bytes()
    }

    #[tokio::test]
    async fn a_mapping_is_used_again_where_that_is_wanted_and_until_it_is_not_needed() {
        let (long, short) = (vec![1u8; MAPPED_FROM + 5], vec![2u8; MAPPED_FROM]);
        let spare = Spare::default();
        drop(receive(&long, &spare).await);
        assert!(spare.kept().map.is_none(), "nobody asked for it");
        spare.keep();
        let first = receive(&long, &spare).await;
        let (place, second) = (first.as_ptr(), receive(&long, &spare).await);
        assert!(second.as_ptr() != place, "the first is still needed");
        drop(first);
        let third = receive(&short, &spare).await;
        assert!(third.as_ptr() == place && third == short && second == long);
        drop((second, third));
        spare.let_go();
        assert!(spare.kept().map.is_some(), "it was needed");
        spare.let_go();
        assert!(spare.kept().map.is_none());
    }
}
