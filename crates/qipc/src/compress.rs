//! kdb+'s own message compression, both ways and in both forms.
//!
//! A byte-wise LZ scheme with a table of 256 positions, told apart by the xor of two neighbouring bytes
//! (`qipc-spec.md` §4; the reference is KX's C and Java clients). The output is theirs byte for byte.
//! Tests: `tests/vectors.rs`, `tests/properties.rs`, the fuzz target `decompress`.

use bytes::Bytes;

use crate::{
    DecodeError, Limits,
    message::{HEADER_LEN, Header, Packing},
    parse::Endian,
    stream_compress::Packer,
};

/// Bodies up to this many bytes are not worth compressing (kdb+'s own threshold).
const LEAST_BODY: usize = 2000;

/// Most bytes that the stream can stand for per byte of it: a match of two bytes gives 257.
const MOST_PER_BYTE: u64 = 129;

/// A whole plain message compressed; `None` where kdb+ would not compress it either (short, or not halved),
/// or where it is not a plain little-endian message. Never do this to an error: PyKX would not see it.
pub fn compress(message: &[u8]) -> Option<Bytes> {
    let n = message.len();
    if n <= HEADER_LEN + LEAST_BODY || message[0] != 1 || message[2] != 0 {
        return None;
    }
    let large = u32::try_from(n).is_err();
    let start = if large { 16 } else { 12 };
    // It halves, or is not worth it.
    let mut packer = Packer::new((n / 2).checked_sub(start)?);
    packer.push(&message[HEADER_LEN..])?;
    let stream = packer.finish();
    let d = start + stream.len();
    let mut out = Vec::with_capacity(d);
    out.extend(&message[..4]);
    out[2] = if large { 2 } else { 1 };
    out[3] = (d as u64 >> 32) as u8;
    out.extend((d as u32).to_le_bytes());
    out.extend(&(n as u64).to_le_bytes()[..start - 8]);
    out.extend(stream);
    Some(out.into())
}

/// A whole compressed message unpacked: a plain message in the same byte order. A plain message is given back.
pub fn decompress(message: &Bytes, limits: &Limits) -> Result<Bytes, DecodeError> {
    let Some((head, length, stream)) = packed(message, limits)? else { return Ok(message.clone()) };
    let mut out = vec![0u8; length];
    let plain = Header { packing: Packing::Plain, length: length as u64, ..head };
    out[..HEADER_LEN].copy_from_slice(&plain.to_bytes());
    unpack(message, stream, &mut out[HEADER_LEN..])?;
    Ok(out.into())
}

/// As [`decompress`], without the message's header: a buffer of the body's size and no more.
pub fn decompress_body(message: &Bytes, limits: &Limits) -> Result<Bytes, DecodeError> {
    let Some((_, length, stream)) = packed(message, limits)? else { return Ok(message.slice(HEADER_LEN..)) };
    let mut out = vec![0u8; length - HEADER_LEN];
    unpack(message, stream, &mut out)?;
    Ok(out.into())
}

/// Header, unpacked length with a header, and where the stream begins; `None` for a message that is plain.
fn packed(message: &Bytes, limits: &Limits) -> Result<Option<(Header, usize, usize)>, DecodeError> {
    let truncated =
        |needed| DecodeError::Truncated { what: "a message", offset: 0, needed, left: message.len() };
    let head: &[u8; HEADER_LEN] = message.first_chunk().ok_or(truncated(HEADER_LEN as u64))?;
    let head = Header::parse(head, limits)?;
    if head.length != message.len() as u64 {
        return Err(truncated(head.length));
    }
    if head.packing == Packing::Plain {
        return Ok(None);
    }
    let (length, stream) = unpacked_len(head, message)?;
    if length > limits.max_message {
        return Err(DecodeError::TooLarge { length, limit: limits.max_message });
    }
    // Checked before the allocation: what the stream cannot stand for is a lie.
    let most = ((message.len() - stream) as u64).saturating_mul(MOST_PER_BYTE) + HEADER_LEN as u64;
    if length > most || length < HEADER_LEN as u64 + 2 {
        return Err(DecodeError::Compression {
            offset: HEADER_LEN,
            what: "the unpacked length cannot come of this many bytes",
        });
    }
    Ok(Some((head, length as usize, stream)))
}

/// The unpacked length, header included, and where the stream begins.
fn unpacked_len(head: Header, message: &[u8]) -> Result<(u64, usize), DecodeError> {
    let least = if head.packing == Packing::Compressed { 4 } else { 8 };
    let start = HEADER_LEN + least;
    let bytes = message.get(HEADER_LEN..start).ok_or(DecodeError::Truncated {
        what: "the unpacked length",
        offset: HEADER_LEN,
        needed: least as u64,
        left: message.len() - HEADER_LEN,
    })?;
    let fold = |n: u64, b: &u8| n << 8 | u64::from(*b);
    Ok(match head.endian {
        Endian::Little => (bytes.iter().rev().fold(0, fold), start),
        Endian::Big => (bytes.iter().fold(0, fold), start),
    })
}

/// In a table of positions: none yet.
const NOWHERE: usize = usize::MAX;

/// Unpacks the stream that starts at `d` of `src` into `dst`, the body of the message.
fn unpack(src: &[u8], mut d: usize, dst: &mut [u8]) -> Result<(), DecodeError> {
    let bad = |offset, what| DecodeError::Compression { offset, what };
    let mut tab = [NOWHERE; 256];
    let (mut s, mut indexed) = (0, 0);
    let (mut control, mut bit) = (0u8, 0u8);
    while s < dst.len() {
        if bit == 0 {
            control = *src.get(d).ok_or(bad(d, "the stream ends early"))?;
            d += 1;
            bit = 1;
        }
        let mut run = 0;
        let matched = control & bit != 0;
        if matched {
            let (Some(&h), Some(&n)) = (src.get(d), src.get(d + 1)) else {
                return Err(bad(d, "the stream ends early"));
            };
            let r = tab[usize::from(h)];
            run = usize::from(n);
            if r == NOWHERE {
                return Err(bad(d, "a match of bytes that were not written"));
            }
            if dst.len() - s < run + 2 {
                return Err(bad(d, "a match beyond the unpacked length"));
            }
            copy_run(dst, r, s, run + 2);
            d += 2;
            s += 2;
        } else {
            dst[s] = *src.get(d).ok_or(bad(d, "the stream ends early"))?;
            d += 1;
            s += 1;
        }
        // Every pair that is complete can be matched from now on; pairs inside a run cannot.
        while indexed + 1 < s {
            tab[usize::from(dst[indexed] ^ dst[indexed + 1])] = indexed;
            indexed += 1;
        }
        if matched {
            s += run;
            indexed = s;
        }
        bit <<= 1;
    }
    if d != src.len() {
        return Err(bad(d, "bytes after the end of the stream"));
    }
    Ok(())
}

/// Copies `len` bytes from `from` to the later `to`; where they overlap, what was written is read again.
fn copy_run(dst: &mut [u8], from: usize, to: usize, len: usize) {
    if to - from >= len {
        dst.copy_within(from..from + len, to);
    } else {
        for i in 0..len {
            dst[to + i] = dst[from + i];
        }
    }
}
