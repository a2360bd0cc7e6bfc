//! Hashes and codes of bytes: MD5, SHA-1, base 64, and numbers in bases 64 and 36.

use kvalue::Type;

use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Value},
};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE36: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn input(x: &Value) -> R<Vec<u8>> {
    match x {
        Value::Char(b) | Value::Byte(b) => Ok(vec![*b]),
        Value::Vector(v) => match &v.data {
            Data::U8(d) => Ok(d.to_vec()),
            _ => Err(QError::type_()),
        },
        _ => Err(QError::type_()),
    }
}

fn bytes(b: Vec<u8>) -> Value {
    Value::vector(Type::Byte, Data::U8(b.into()))
}

/// `md5 x`
pub(super) fn md5_of(_: &mut dyn Ctx, x: Value) -> R {
    Ok(bytes(md5(&input(&x)?).to_vec()))
}

/// `.Q.sha1 x`
pub(super) fn sha1_of(_: &mut dyn Ctx, x: Value) -> R {
    Ok(bytes(sha1(&input(&x)?).to_vec()))
}

/// `.Q.btoa x`
pub(super) fn btoa(_: &mut dyn Ctx, x: Value) -> R {
    let mut out = Vec::new();
    for chunk in input(&x)?.chunks(3) {
        let word = chunk.iter().fold(0u32, |n, &b| n << 8 | u32::from(b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            out.push(if i > chunk.len() { b'=' } else { BASE64[(word >> (18 - 6 * i) & 63) as usize] });
        }
    }
    Ok(Value::string(out))
}

/// `.Q.atob x`
pub(super) fn atob(_: &mut dyn Ctx, x: Value) -> R {
    let text = input(&x)?;
    let mut out = Vec::new();
    let (mut word, mut bits) = (0u32, 0);
    for b in text.into_iter().take_while(|b| *b != b'=') {
        let digit = BASE64.iter().position(|c| *c == b).ok_or_else(QError::domain)?;
        word = word << 6 | digit as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    Ok(bytes(out))
}

fn coded(x: &Value, alphabet: &[u8], width: usize) -> R {
    let mut n = x.as_int().ok_or_else(QError::type_)? as u64;
    let base = alphabet.len() as u64;
    let mut out = vec![alphabet[0]; width];
    for digit in out.iter_mut().rev() {
        *digit = alphabet[(n % base) as usize];
        n /= base;
    }
    Ok(Value::string(out))
}

fn number(x: &Value, alphabet: &[u8]) -> R {
    let mut n = 0u64;
    for b in input(x)? {
        let digit = alphabet.iter().position(|c| *c == b).ok_or_else(QError::domain)?;
        n = n.wrapping_mul(alphabet.len() as u64).wrapping_add(digit as u64);
    }
    Ok(Value::Long(n as i64))
}

/// `.Q.x10 x`
pub(super) fn x10(_: &mut dyn Ctx, x: Value) -> R {
    coded(&x, BASE64, 10)
}

/// `.Q.j10 x`
pub(super) fn j10(_: &mut dyn Ctx, x: Value) -> R {
    number(&x, BASE64)
}

/// `.Q.x12 x`
pub(super) fn x12(_: &mut dyn Ctx, x: Value) -> R {
    coded(&x, BASE36, 12)
}

/// `.Q.j12 x`
pub(super) fn j12(_: &mut dyn Ctx, x: Value) -> R {
    number(&x, BASE36)
}

/// The message with a one bit, zeros and its length behind it, in blocks of 64 bytes.
fn padded(text: &[u8], length: [u8; 8]) -> Vec<u8> {
    let mut out = text.to_vec();
    out.push(0x80);
    while out.len() % 64 != 56 {
        out.push(0);
    }
    out.extend_from_slice(&length);
    out
}

/// MD5 of bytes (RFC 1321).
pub fn md5(text: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let constants: Vec<u32> = (1..=64).map(|i| (f64::from(i).sin().abs() * 4_294_967_296.0) as u32).collect();
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded(text, (text.len() as u64 * 8).to_le_bytes()).chunks_exact(64) {
        let mut words = [0u32; 16];
        for (w, b) in words.iter_mut().zip(block.chunks_exact(4)) {
            *w = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        }
        let [mut a, mut b, mut c, mut d] = state;
        for i in 0..64 {
            let (f, g) = match i / 16 {
                0 => (b & c | !b & d, i),
                1 => (d & b | !d & c, (5 * i + 1) % 16),
                2 => (b ^ c ^ d, (3 * i + 5) % 16),
                _ => (c ^ (b | !d), 7 * i % 16),
            };
            let turned = a
                .wrapping_add(f)
                .wrapping_add(constants[i])
                .wrapping_add(words[g])
                .rotate_left(SHIFTS[i / 16][i % 4]);
            (a, d, c, b) = (d, c, b, b.wrapping_add(turned));
        }
        for (s, x) in state.iter_mut().zip([a, b, c, d]) {
            *s = s.wrapping_add(x);
        }
    }
    let mut out = [0; 16];
    for (o, s) in out.chunks_exact_mut(4).zip(state) {
        o.copy_from_slice(&s.to_le_bytes());
    }
    out
}

/// SHA-1 of bytes (RFC 3174).
pub fn sha1(text: &[u8]) -> [u8; 20] {
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    for block in padded(text, (text.len() as u64 * 8).to_be_bytes()).chunks_exact(64) {
        let mut words = [0u32; 80];
        for (w, b) in words.iter_mut().zip(block.chunks_exact(4)) {
            *w = u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
        }
        for i in 16..80 {
            words[i] = (words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (i, w) in words.iter().enumerate() {
            let (f, k) = match i / 20 {
                0 => (b & c | !b & d, 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => (b & c | b & d | c & d, 0x8f1b_bcdcu32),
                _ => (b ^ c ^ d, 0xca62_c1d6),
            };
            let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*w);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (s, x) in state.iter_mut().zip([a, b, c, d, e]) {
            *s = s.wrapping_add(x);
        }
    }
    let mut out = [0; 20];
    for (o, s) in out.chunks_exact_mut(4).zip(state) {
        o.copy_from_slice(&s.to_be_bytes());
    }
    out
}
