//! The block codecs of a compressed container: none, q's own, zlib, snappy, lz4, zstd.
//!
//! Verified on files written by kdb+: none and q's own (the bundled database), zlib by the published facts of
//! real files. Snappy, lz4 and zstd follow the format facts (raw snappy block, raw lz4 block, one zstd frame)
//! and are tested against their own encoders only.
//!
//! Rule: a block inflates to exactly the length its trailer promises or is an error; nothing is allocated
//! beyond that length. Tests: `tests/vectors.rs`, `tests/hostile.rs`.

use std::io::Write as _;

use bytes::Bytes;
use qipc::Limits;

/// How a block is compressed, by q's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Algorithm {
    /// a plain copy
    None = 0,
    /// a compressed IPC message
    Q = 1,
    /// a zlib stream (q calls it gzip)
    Zlib = 2,
    /// a raw snappy block
    Snappy = 3,
    /// a raw lz4 block
    Lz4 = 4,
    /// a zstd frame
    Zstd = 5,
}

impl Algorithm {
    /// The algorithm of this number.
    pub fn from_number(n: u32) -> Option<Algorithm> {
        Some(match n {
            0 => Algorithm::None,
            1 => Algorithm::Q,
            2 => Algorithm::Zlib,
            3 => Algorithm::Snappy,
            4 => Algorithm::Lz4,
            5 => Algorithm::Zstd,
            _ => return None,
        })
    }

    /// q's number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::None => "none",
            Algorithm::Q => "q ipc",
            Algorithm::Zlib => "zlib",
            Algorithm::Snappy => "snappy",
            Algorithm::Lz4 => "lz4",
            Algorithm::Zstd => "zstd",
        }
    }
}

/// Bytes of the header inside q's own blocks, not part of the plain data.
const IPC_HEADER: usize = 8;

/// The plain bytes of a block; the error says what was found.
pub(crate) fn inflate(algorithm: Algorithm, packed: &Bytes, plain: usize) -> Result<Bytes, String> {
    let out = match algorithm {
        Algorithm::None => packed.clone(),
        Algorithm::Q => inflate_q(packed, plain)?,
        Algorithm::Zlib => inflate_zlib(packed, plain)?.into(),
        Algorithm::Snappy => {
            let len = snap::raw::decompress_len(packed).map_err(|e| e.to_string())?;
            if len != plain {
                return Err(format!("a block of {len} plain bytes"));
            }
            let mut out = vec![0; plain];
            let n = snap::raw::Decoder::new().decompress(packed, &mut out).map_err(|e| e.to_string())?;
            out.truncate(n);
            out.into()
        }
        Algorithm::Lz4 => {
            let mut out = vec![0; plain];
            let n = lz4_flex::block::decompress_into(packed, &mut out).map_err(|e| e.to_string())?;
            out.truncate(n);
            out.into()
        }
        Algorithm::Zstd => {
            zstd::bulk::decompress(packed, plain).map_err(|e| format!("a zstd frame that fails: {e}"))?.into()
        }
    };
    if out.len() == plain { Ok(out) } else { Err(format!("a block of {} plain bytes", out.len())) }
}

fn inflate_q(packed: &Bytes, plain: usize) -> Result<Bytes, String> {
    let word = |at: usize| packed.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let (Some(length), Some(inner)) = (word(4), word(8)) else {
        return Err(format!("a q block of {} bytes", packed.len()));
    };
    if length as usize != packed.len() || inner as usize != plain + IPC_HEADER {
        return Err(format!("a q block that says {length} packed and {inner} plain bytes"));
    }
    let limits = Limits { max_message: (plain + IPC_HEADER) as u64, ..Limits::default() };
    // Without the header: a little more than a power of two may cost the allocator half as much again.
    let body = qipc::decompress_body(packed, &limits).map_err(|e| e.to_string())?;
    if body.len() != plain {
        return Err(format!("a q block of {} plain bytes", body.len()));
    }
    Ok(body)
}

fn inflate_zlib(packed: &[u8], plain: usize) -> Result<Vec<u8>, String> {
    let mut out = vec![0; plain];
    let mut zlib = flate2::Decompress::new(true);
    let fails = |e| format!("a zlib stream that fails: {e}");
    let mut status = zlib.decompress(packed, &mut out, flate2::FlushDecompress::Finish).map_err(fails)?;
    if status != flate2::Status::StreamEnd {
        // One byte more than promised: a longer stream shows as a longer block, not as an unfinished one.
        let rest = packed.get(zlib.total_in() as usize..).unwrap_or_default();
        status = zlib.decompress(rest, &mut [0], flate2::FlushDecompress::Finish).map_err(fails)?;
    }
    out.resize(zlib.total_out() as usize, 0);
    if status != flate2::Status::StreamEnd {
        return Err(format!("a zlib stream that does not end after {} bytes", out.len()));
    }
    if zlib.total_in() != packed.len() as u64 {
        return Err(format!("{} bytes after the zlib stream", packed.len() as u64 - zlib.total_in()));
    }
    Ok(out)
}

/// A block's bytes on disk: `None` where packing does not pay and the block is stored as it is. The level is
/// zlib's 0-9 or zstd's -7..22; the others have none.
pub(crate) fn deflate(algorithm: Algorithm, level: i32, plain: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    let packed = match algorithm {
        Algorithm::None => None,
        Algorithm::Q => {
            let mut message = qipc::header(qipc::MessageType::Async, plain.len() as u64).to_vec();
            message.extend_from_slice(plain);
            qipc::compress(&message).map(|b| b.to_vec())
        }
        Algorithm::Zlib => {
            let level = flate2::Compression::new(level.clamp(0, 9) as u32);
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(plain)?;
            Some(encoder.finish()?)
        }
        Algorithm::Snappy => {
            Some(snap::raw::Encoder::new().compress_vec(plain).map_err(std::io::Error::other)?)
        }
        Algorithm::Lz4 => Some(lz4_flex::block::compress(plain)),
        Algorithm::Zstd => Some(zstd::bulk::compress(plain, level)?),
    };
    Ok(packed.filter(|p| p.len() < plain.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpacked_block_has_a_buffer_of_its_size() {
        let plain: Vec<u8> = (0..1u32 << 17).map(|i| (i >> 9) as u8).collect();
        for algorithm in [Algorithm::Q, Algorithm::Zlib, Algorithm::Snappy, Algorithm::Lz4, Algorithm::Zstd] {
            let packed = deflate(algorithm, 1, &plain).unwrap().unwrap_or_else(|| panic!("{algorithm:?}"));
            let block = inflate(algorithm, &packed.into(), plain.len()).unwrap();
            assert_eq!(block, plain, "{algorithm:?}");
            // What is a little longer may take half as much again, and the cache counts what it was asked to keep.
            assert_eq!(block.try_into_mut().unwrap().capacity(), plain.len(), "{algorithm:?}");
        }
    }

    #[test]
    fn a_zlib_stream_of_another_length_than_promised_is_an_error() {
        let packed: Bytes = deflate(Algorithm::Zlib, 6, &[7; 5000]).unwrap().unwrap().into();
        for promised in [0, 1, 4999, 5001, 6000] {
            assert!(inflate(Algorithm::Zlib, &packed, promised).is_err(), "{promised}");
        }
        assert_eq!(inflate(Algorithm::Zlib, &packed, 5000).unwrap(), vec![7; 5000]);
    }
}
