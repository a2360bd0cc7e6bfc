//! Answers compressed for clients that are on another host, once, where the whole of them is.
//!
//! What comes out is the stream of a [`Packer`], which the gateway puts behind the header it makes: it never looks
//! into it. Segments are read where they are; what is made is less than half of them. Tests: here.

use bytes::Bytes;
use qipc::Packer;

/// Payloads up to this many bytes are not worth it: kdb+'s own threshold.
const LEAST: usize = 2000;
/// Segments are put together up to about this size: matches stay within a block.
const BLOCK: usize = 256 << 10;

/// The stream for these segments of one object, and the object's length. `None` where it does not halve, or where it
/// is longer than `up_to`.
pub(crate) fn pack(segments: &[Bytes], up_to: usize) -> Option<(Bytes, u64)> {
    let len: usize = segments.iter().map(Bytes::len).sum();
    if len <= LEAST || len > up_to {
        return None;
    }
    let mut packer = Packer::new(len / 2);
    let mut block: Vec<u8> = Vec::new();
    for segment in segments {
        if segment.len() >= BLOCK {
            packer.push(&block)?;
            block.clear();
            packer.push(segment)?;
            continue;
        }
        block.extend_from_slice(segment);
        if block.len() >= BLOCK {
            packer.push(&block)?;
            block.clear();
        }
    }
    packer.push(&block)?;
    Some((packer.finish().into(), len as u64))
}

#[cfg(test)]
mod tests {
    use kvalue::Value;
    use qipc::{Limits, MessageType, Raw};

    use super::*;

    fn unpacked(stream: &Bytes, plain: u64) -> Bytes {
        // Sixteen bytes end two groups.
        let head: Vec<u8> = (0..16).collect();
        let start = qipc::packed_head(MessageType::Response, &head, plain, stream.len() as u64).unwrap();
        let message = [&start[..], stream].concat();
        qipc::decompress(&message.into(), &Limits::internal()).unwrap().slice(8 + head.len()..)
    }

    #[test]
    fn segments_of_every_size_are_read_as_one_object() {
        let object = Raw::of(&Value::from(kvalue::Vector::longs((0..200_000).map(|i| i / 9).collect()))).0;
        for cuts in [vec![], vec![6], vec![6, 10, 300_000], vec![1, 2, 3, 700_000, 700_001]] {
            let ends = cuts.iter().copied().chain([object.len()]);
            let starts = [0].into_iter().chain(cuts.iter().copied());
            let segments: Vec<Bytes> = starts.zip(ends).map(|(a, b)| object.slice(a..b)).collect();
            let (stream, plain) = pack(&segments, usize::MAX).expect("it halves");
            assert!(stream.len() * 2 <= object.len());
            assert_eq!(unpacked(&stream, plain), object, "{cuts:?}");
        }
    }

    #[test]
    fn what_is_short_long_or_does_not_halve_stays_as_it_is() {
        let zeros = |n: usize| [Bytes::from(vec![0u8; n])];
        assert_eq!(pack(&zeros(2000), usize::MAX), None);
        assert!(pack(&zeros(2001), 2001).is_some());
        assert_eq!(pack(&zeros(2001), 2000), None);
        let noise: Vec<u8> =
            (0..9000u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        assert_eq!(pack(&[noise.into()], usize::MAX), None);
    }
}
