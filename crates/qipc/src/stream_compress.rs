//! A message compressed where its payload is, and finished where its header is.
//!
//! A stream of kdb+'s compression names no positions: a match names two bytes by their xor and the reader looks up
//! where it saw them last. So a piece can be compressed before what stands in front of it is known, as long as it only
//! matches bytes of its own: the reader has seen them later than any others. What is in front must end where a group
//! of eight items ends ([`packed_head`]). Tests: here, `tests/properties.rs`.

use bytes::Bytes;

use crate::{Header, MessageType, Packing, message::HEADER_LEN, parse::Endian};

/// Items behind one control byte.
const GROUP: usize = 8;
/// A group takes its control byte, and two bytes for each item at most.
const GROUP_BYTES: usize = 1 + 2 * GROUP;

/// Compresses bytes that come in blocks; matches stay within a block.
#[derive(Debug)]
pub struct Packer {
    out: Vec<u8>,
    control_at: usize,
    control: u8,
    bit: u8,
    most: usize,
}

impl Packer {
    /// One whose stream is of no use beyond `most` bytes.
    pub fn new(most: usize) -> Self {
        Packer { out: Vec::new(), control_at: 0, control: 0, bit: 0, most }
    }

    /// Compresses a block; `None` once the stream is longer than it may be.
    pub fn push(&mut self, y: &[u8]) -> Option<()> {
        let n = y.len();
        // Positions count from one: zero is none.
        let mut tab = [0usize; 256];
        let (mut s, mut h) = (0usize, 0u8);
        // A literal's position enters the table one step late.
        let (mut s0, mut h0) = (0usize, 0u8);
        while s < n {
            if self.bit == 0 {
                if self.out.len() + GROUP_BYTES > self.most {
                    return None;
                }
                self.end_group();
                self.control_at = self.out.len();
                self.out.push(0);
                self.bit = 1;
            }
            let mut p = 0;
            let mut literal = s + 3 > n;
            if !literal {
                h = y[s] ^ y[s + 1];
                p = tab[usize::from(h)];
                literal = p == 0 || y[s] != y[p - 1];
            }
            if s0 > 0 {
                tab[usize::from(h0)] = s0;
                s0 = 0;
            }
            if literal {
                h0 = h;
                s0 = s + 1;
                self.out.push(y[s]);
                s += 1;
            } else {
                tab[usize::from(h)] = s + 1;
                self.control |= self.bit;
                p += 1;
                s += 2;
                let from = s;
                let end = (s + 255).min(n);
                while y[p] == y[s] {
                    s += 1;
                    if s >= end {
                        break;
                    }
                    p += 1;
                }
                self.out.extend([h, (s - from) as u8]);
            }
            self.bit <<= 1;
        }
        Some(())
    }

    fn end_group(&mut self) {
        if let Some(control) = self.out.get_mut(self.control_at) {
            *control = self.control;
        }
        self.control = 0;
    }

    /// The stream of all that was pushed.
    pub fn finish(mut self) -> Vec<u8> {
        self.end_group();
        self.out
    }
}

/// A message up to where a stream of a [`Packer`] follows: the header for `head` and behind it `plain` bytes in a
/// stream of `packed`, and `head` itself. `None` where `head` holds too little that repeats to end with a group.
pub fn packed_head(ty: MessageType, head: &[u8], plain: u64, packed: u64) -> Option<Bytes> {
    let body = grouped(head)?;
    let unpacked = HEADER_LEN as u64 + head.len() as u64 + plain;
    let (packing, length_bytes) = match u32::try_from(unpacked) {
        Ok(_) => (Packing::Compressed, 4),
        Err(_) => (Packing::CompressedLarge, 8),
    };
    let length = (HEADER_LEN + length_bytes + body.len()) as u64 + packed;
    let mut out = Vec::with_capacity(HEADER_LEN + length_bytes + body.len());
    out.extend(Header { endian: Endian::Little, ty, packing, length }.to_bytes());
    out.extend(&unpacked.to_le_bytes()[..length_bytes]);
    out.extend(body);
    Some(out.into())
}

/// A stream that ends with a group: as few matches as that takes.
fn grouped(y: &[u8]) -> Option<Vec<u8>> {
    // A match of n bytes saves n - 1 items.
    let mut spare = y.len() % GROUP;
    let mut out = Vec::with_capacity(y.len() + y.len() / GROUP + GROUP);
    let mut tab = [None; 256];
    let (mut s, mut indexed) = (0usize, 0usize);
    let (mut control_at, mut items) = (0usize, 0usize);
    while s < y.len() {
        if items % GROUP == 0 {
            control_at = out.len();
            out.push(0);
        }
        let matched = match (spare, y.get(s + 1)) {
            (0, _) | (_, None) => None,
            (_, Some(next)) => {
                let h = y[s] ^ next;
                let most = (y.len() - s).min(spare + 1);
                tab[usize::from(h)]
                    .map(|r: usize| (h, (0..most).take_while(|i| y[r + i] == y[s + i]).count()))
            }
        };
        let mut run = 0;
        match matched.filter(|(_, len)| *len >= 2) {
            Some((h, len)) => {
                out[control_at] |= 1 << (items % GROUP);
                run = len - 2;
                out.extend([h, run as u8]);
                spare -= len - 1;
                s += 2;
            }
            None => {
                out.push(y[s]);
                s += 1;
            }
        }
        // As the reader fills its table.
        while indexed + 1 < s {
            tab[usize::from(y[indexed] ^ y[indexed + 1])] = Some(indexed);
            indexed += 1;
        }
        if run > 0 || matched.is_some_and(|(_, len)| len >= 2) {
            s += run;
            indexed = s;
        }
        items += 1;
    }
    (spare == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, decompress};

    fn whole(head: &[u8], blocks: &[&[u8]]) -> Option<Vec<u8>> {
        let plain: usize = blocks.iter().map(|b| b.len()).sum();
        let mut packer = Packer::new(usize::MAX);
        for block in blocks {
            packer.push(block)?;
        }
        let stream = packer.finish();
        let start = packed_head(MessageType::Response, head, plain as u64, stream.len() as u64)?;
        Some([&start[..], &stream].concat())
    }

    #[test]
    fn a_stream_made_without_its_head_is_read_behind_every_head() {
        let body: Vec<u8> = (0..5000u32).flat_map(|i| (i % 37 * 1000).to_le_bytes()).collect();
        for n in 0..64 {
            let head: Vec<u8> =
                b"rc\0ac\0corr\0logCorr\0\0\0\0\0\0".iter().copied().cycle().skip(n).take(60 + n).collect();
            for blocks in [vec![&body[..]], vec![&body[..1], &body[1..9000], &body[9000..]], vec![]] {
                let message = whole(&head, &blocks).expect("it has repeats enough");
                let read = decompress(&message.into(), &Limits::client()).expect("it can be read");
                assert_eq!(read[8..], [&head[..], &blocks.concat()].concat(), "{n}");
            }
        }
    }

    #[test]
    fn a_head_without_repeats_is_refused_unless_it_ends_a_group_by_itself() {
        let head: Vec<u8> = (0..16).map(|i| i * i + 1).collect();
        assert_eq!(grouped(&head).map(|s| s.len()), Some(18));
        assert_eq!(grouped(&head[..15]), None);
    }

    #[test]
    fn a_stream_that_grows_beyond_its_use_is_given_up() {
        let noise: Vec<u8> = (0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert_eq!(Packer::new(2000).push(&noise), None);
        assert_eq!(Packer::new(5000).push(&noise), Some(()));
    }
}
