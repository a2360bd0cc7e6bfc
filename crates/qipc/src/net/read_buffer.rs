//! Memory for one large message that is being received.
//!
//! Rule kept: a claimed length costs address space, never memory: pages come into being as bytes arrive. From
//! [`MAPPED_FROM`] on the space is mapped with huge pages, because faulting a 100 MB buffer in by 4 KiB pages
//! takes longer than receiving it. Even then half of the time goes into clearing pages, so a connection may keep the
//! memory of messages that are gone for its next ones ([`Spare`]). That bounds it, too: the pieces of a long answer
//! that passes through go from hand to hand among threads, and what an allocator keeps of them is a matter of time.
//! Tests: here, `tests/net_calls.rs`, `tests/net_hostile.rs`.

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
/// Most bytes of shorter messages that are kept.
const MOST_SPARE_HEAP: usize = 4 << 20;

/// ReadBuffer for `len` bytes, the first `filled` of which are there.
pub(super) struct ReadBuffer {
    memory: Memory,
    len: usize,
    filled: usize,
    spare: Spare,
}

enum Memory {
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

impl ReadBuffer {
    /// ReadBuffer for `len` bytes that begin with `first`, which must not be longer.
    pub(super) fn new(len: usize, first: &[u8], spare: &Spare) -> Self {
        let mut memory = spare.take(len).unwrap_or_else(|| reserve(len));
        match &mut memory {
            Memory::Heap(vec) => vec.extend_from_slice(first),
            Memory::Mapped(map) => map[..first.len()].copy_from_slice(first),
        }
        ReadBuffer { memory, len, filled: first.len(), spare: spare.clone() }
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
            Memory::Heap(vec) if !self.spare.kept().is_wanted => vec.into(),
            memory => Bytes::from_owner(Received { memory: Some(memory), len: self.len, spare: self.spare }),
        }
    }
}

/// A message whose memory goes to the connection's spare when nobody needs the message any more.
struct Received {
    memory: Option<Memory>,
    /// a mapping that was used before may be longer
    len: usize,
    spare: Spare,
}

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        let bytes = match &self.memory {
            Some(Memory::Heap(vec)) => vec.as_slice(),
            Some(Memory::Mapped(map)) => map,
            None => &[],
        };
        bytes.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.spare.put(memory);
        }
    }
}

/// The memory of messages that are gone, kept for the next ones of the same connection: at most one mapping, none
/// longer than [`MOST_SPARE`], of others at most [`MOST_SPARE_HEAP`]; nothing where nobody asked for it, and nothing
/// that was not needed between two calls of [`Spare::let_go`].
#[derive(Clone, Default)]
pub(super) struct Spare(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    is_wanted: bool,
    map: Option<MmapMut>,
    map_was_needed: bool,
    heap: Vec<Vec<u8>>,
    heap_bytes: usize,
    heap_was_needed: bool,
}

impl Spare {
    /// From now on it is kept.
    pub(super) fn keep(&self) {
        self.kept().is_wanted = true;
    }

    /// Frees what was not needed since the last call.
    pub(super) fn let_go(&self) {
        let mut kept = self.kept();
        if !std::mem::take(&mut kept.map_was_needed) {
            kept.map = None;
        }
        if !std::mem::take(&mut kept.heap_was_needed) {
            (kept.heap, kept.heap_bytes) = (Vec::new(), 0);
        }
    }

    fn take(&self, len: usize) -> Option<Memory> {
        let mut kept = self.kept();
        if len >= MAPPED_FROM {
            kept.map_was_needed = true;
            return kept.map.take_if(|map| map.len() >= len).map(Memory::Mapped);
        }
        kept.heap_was_needed = true;
        // A short message may be held for long: not with memory that is much longer.
        let at = kept.heap.iter().position(|vec| (len..=2 * len).contains(&vec.capacity()))?;
        let mut vec = kept.heap.swap_remove(at);
        kept.heap_bytes -= vec.capacity();
        vec.clear();
        Some(Memory::Heap(vec))
    }

    fn put(&self, memory: Memory) {
        let mut kept = self.kept();
        if !kept.is_wanted {
            return;
        }
        match memory {
            Memory::Mapped(map) => {
                let is_better = kept.map.as_ref().is_none_or(|other| other.len() < map.len());
                if is_better && map.len() <= MOST_SPARE {
                    kept.map = Some(map);
                }
            }
            Memory::Heap(vec) => {
                if kept.heap_bytes + vec.capacity() <= MOST_SPARE_HEAP {
                    kept.heap_bytes += vec.capacity();
                    kept.heap.push(vec);
                }
            }
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
            let mut space = ReadBuffer::new(len, &data[..10], &Spare::default());
            let mut rest = &data[10..];
            while !space.is_full() {
                assert!(space.read(&mut rest).await.unwrap() > 0, "{len}");
            }
            assert!(space.into_bytes() == data, "{len}");
        }
    }

    #[tokio::test]
    async fn the_end_of_the_stream_is_told() {
        let mut space = ReadBuffer::new(100, b"", &Spare::default());
        assert_eq!(space.read(&mut &b"abc"[..]).await.unwrap(), 3);
        assert_eq!(space.read(&mut &b""[..]).await.unwrap(), 0);
        assert_eq!(space.filled(), 3);
    }

    async fn receive(data: &[u8], spare: &Spare) -> Bytes {
        let mut space = ReadBuffer::new(data.len(), b"", spare);
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

    #[tokio::test]
    async fn shorter_messages_use_memory_again_that_is_not_much_longer_than_they_are() {
        let spare = Spare::default();
        let place_of_one = async |len: usize| {
            let message = receive(&vec![1; len], &spare).await;
            message.as_ptr()
        };
        let kept = || {
            let kept = spare.kept();
            (kept.heap.len(), kept.heap_bytes)
        };
        place_of_one(100_000).await;
        assert_eq!(kept(), (0, 0), "nobody asked for it");
        spare.keep();
        let place = place_of_one(100_000).await;
        assert_eq!(place_of_one(60_000).await, place);
        assert_eq!(kept(), (1, 100_000));
        let short = receive(&[2; 40_000], &spare).await;
        assert_eq!(kept().0, 1, "it would hold more than twice its length");
        let again = receive(&[3; 100_000], &spare).await;
        assert!(again.as_ptr() == place && again == [3; 100_000][..]);
        drop((short, again));
        assert_eq!(kept(), (2, 140_000));

        let mut many = Vec::new();
        for n in 0..9 {
            many.push(receive(&vec![n; 1 << 20], &spare).await);
        }
        drop(many);
        assert!(kept().1 <= MOST_SPARE_HEAP && kept().0 == 2 + 3, "{:?}", kept());
        spare.let_go();
        assert!(kept().1 > 0, "it was needed");
        spare.let_go();
        assert_eq!(kept(), (0, 0));
    }
}
