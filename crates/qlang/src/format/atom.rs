//! One element as text: plain, as `string` gives it, or as a literal that q reads back.

use kvalue::{
    Type,
    time::{DAY, SECOND, civil_from_days},
    types::{INF_INT, INF_LONG, INF_SHORT, NULL_INT, NULL_LONG, NULL_SHORT},
};

use super::float::{float, integer, unsigned};
use crate::value::Scalar;

/// Appends an element without quotes, backticks and type letters; nothing for a null.
pub fn plain(out: &mut Vec<u8>, ty: Type, x: Scalar, digits: usize) {
    match x {
        Scalar::Bool(b) => out.push(b'0' + u8::from(b)),
        Scalar::Guid(g) => guid(out, &g),
        Scalar::U8(b) if ty == Type::Char => out.push(b),
        Scalar::U8(b) => hex(out, b),
        Scalar::F32(x) => real(out, x, digits),
        Scalar::F64(x) if ty == Type::Datetime => datetime(out, x),
        Scalar::F64(x) => float(out, x, digits),
        Scalar::Sym(s) => out.extend_from_slice(s.bytes()),
        Scalar::I16(NULL_SHORT) | Scalar::I32(NULL_INT) | Scalar::I64(NULL_LONG) => {}
        Scalar::I16(INF_SHORT) | Scalar::I32(INF_INT) | Scalar::I64(INF_LONG) => out.extend_from_slice(b"0W"),
        Scalar::I16(n) if n == -INF_SHORT => out.extend_from_slice(b"-0W"),
        Scalar::I32(n) if n == -INF_INT => out.extend_from_slice(b"-0W"),
        Scalar::I64(n) if n == -INF_LONG => out.extend_from_slice(b"-0W"),
        Scalar::I16(n) => integer(out, i64::from(n)),
        Scalar::I32(n) => count(out, ty, i64::from(n)),
        Scalar::I64(n) => count(out, ty, n),
    }
}

/// Appends an element of a vector as q writes it: as [`plain`], but nulls as `0N` or `0n`. True where the text
/// alone tells the type, so that no letter is needed behind the vector.
pub fn element(out: &mut Vec<u8>, ty: Type, x: Scalar, digits: usize) -> bool {
    let start = out.len();
    plain(out, ty, x, digits);
    match (ty, x) {
        (Type::Float, Scalar::F64(x)) => {
            if x.is_nan() {
                out.extend_from_slice(b"0n");
            }
            out[start..].iter().any(|b| matches!(b, b'.' | b'e' | b'n' | b'w'))
        }
        (Type::Boolean | Type::Byte | Type::Long | Type::Guid, _) => {
            if out.len() == start {
                out.extend_from_slice(b"0N");
            }
            true
        }
        (Type::Char | Type::Symbol, _) => true,
        _ => {
            if out.len() == start {
                out.extend_from_slice(b"0N");
                return false;
            }
            let special = out[start..].ends_with(b"0W");
            ty.is_temporal() && ty != Type::Month && !special
        }
    }
}

/// Appends an atom as q writes it: `5h`, `` `a``, `"a"`, `0Nd`, `1f`.
pub fn literal(out: &mut Vec<u8>, ty: Type, x: Scalar, digits: usize) {
    match (ty, x) {
        (Type::Char, Scalar::U8(b)) => quoted(out, &[b]),
        (Type::Symbol, _) => {
            out.push(b'`');
            plain(out, ty, x, digits);
        }
        (Type::Boolean, _) => {
            plain(out, ty, x, digits);
            out.push(b'b');
        }
        (Type::Byte, _) => {
            out.extend_from_slice(b"0x");
            plain(out, ty, x, digits);
        }
        _ => {
            if !element(out, ty, x, digits) {
                out.push(ty.letter() as u8);
            }
        }
    }
}

/// Appends a string in quotes; what is no printable ASCII as an escape.
pub fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &b in text {
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x20..=0x7e => out.push(b),
            b => {
                out.push(b'\\');
                out.extend([b >> 6, b >> 3 & 7, b & 7].map(|d| b'0' + d));
            }
        }
    }
    out.push(b'"');
}

/// Appends two hexadecimal digits.
pub fn hex(out: &mut Vec<u8>, b: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(DIGITS[usize::from(b >> 4)]);
    out.push(DIGITS[usize::from(b & 15)]);
}

fn guid(out: &mut Vec<u8>, bytes: &[u8; 16]) {
    for (i, b) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        hex(out, *b);
    }
}

fn real(out: &mut Vec<u8>, x: f32, digits: usize) {
    float(out, f64::from(x), digits.min(9));
}

fn count(out: &mut Vec<u8>, ty: Type, n: i64) {
    match ty {
        Type::Timestamp => {
            date(out, n.div_euclid(DAY));
            out.push(b'D');
            clock(out, n.rem_euclid(DAY), 9);
        }
        Type::Month => {
            let m = n + 24_000;
            year(out, m.div_euclid(12));
            out.push(b'.');
            unsigned(out, m.rem_euclid(12) as u64 + 1, 2);
        }
        Type::Date => date(out, n),
        Type::Timespan => {
            if n < 0 {
                out.push(b'-');
            }
            let n = n.saturating_abs();
            integer(out, n / DAY);
            out.push(b'D');
            clock(out, n % DAY, 9);
        }
        Type::Minute => {
            if n < 0 {
                out.push(b'-');
            }
            unsigned(out, n.unsigned_abs() / 60, 2);
            out.push(b':');
            unsigned(out, n.unsigned_abs() % 60, 2);
        }
        Type::Second => signed_clock(out, n * SECOND, 0),
        Type::Time => signed_clock(out, n * 1_000_000, 3),
        _ => integer(out, n),
    }
}

fn datetime(out: &mut Vec<u8>, days: f64) {
    if days.is_nan() {
        return;
    }
    if days.is_infinite() {
        out.extend_from_slice(if days > 0.0 { b"0W" } else { b"-0W" });
        return;
    }
    let ms = (days * 86_400_000.0).round() as i64;
    let day = ms.div_euclid(86_400_000);
    if day < FIRST_DAY {
        return out.extend_from_slice(b"0000.00.00T00:00:00.000");
    }
    date(out, day);
    out.push(b'T');
    clock(out, ms.rem_euclid(86_400_000) * 1_000_000, 3);
}

fn year(out: &mut Vec<u8>, year: i64) {
    if year < 0 {
        out.push(b'-');
    }
    unsigned(out, year.unsigned_abs(), 4);
}

/// 0001.01.01, before which q shows no dates.
const FIRST_DAY: i64 = -730_119;

/// Appends `yyyy.mm.dd` of a number of days since 2000.01.01.
pub fn date(out: &mut Vec<u8>, days: i64) {
    if days < FIRST_DAY {
        return out.extend_from_slice(b"0000.00.00");
    }
    let (y, m, d) = civil_from_days(days);
    year(out, y);
    out.push(b'.');
    unsigned(out, u64::from(m), 2);
    out.push(b'.');
    unsigned(out, u64::from(d), 2);
}

fn signed_clock(out: &mut Vec<u8>, ns: i64, decimals: u32) {
    if ns < 0 {
        out.push(b'-');
    }
    clock(out, ns.abs(), decimals);
}

/// `hh:mm:ss[.fraction]` with so many decimals.
fn clock(out: &mut Vec<u8>, ns: i64, decimals: u32) {
    let seconds = ns / SECOND;
    unsigned(out, (seconds / 3_600) as u64, 2);
    out.push(b':');
    unsigned(out, (seconds / 60 % 60) as u64, 2);
    out.push(b':');
    unsigned(out, (seconds % 60) as u64, 2);
    if decimals > 0 {
        out.push(b'.');
        let fraction = ns % SECOND / 10i64.pow(9 - decimals);
        unsigned(out, fraction as u64, decimals as usize);
    }
}
