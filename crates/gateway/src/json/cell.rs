//! One item of a fixed-width type, and text, as JSON.

use kvalue::{
    Type,
    time::{DAY, SECOND, civil_from_days},
    types::{INF_INT, INF_LONG, INF_SHORT, NULL_INT, NULL_LONG, NULL_SHORT},
};

const NULL: &[u8] = b"null";

/// The day written last: consecutive times mostly fall on the same one.
#[derive(Debug, Default)]
pub(super) struct Memo {
    day: Option<i64>,
    text: Vec<u8>,
}

/// Writes one item from its little-endian bytes.
pub(super) fn put(ty: Type, bytes: &[u8], memo: &mut Memo, out: &mut Vec<u8>) {
    match ty {
        Type::Boolean => {
            out.extend_from_slice(if bytes.first().is_some_and(|b| *b != 0) { b"true" } else { b"false" })
        }
        Type::Byte => quoted(out, |out| hex(bytes, out)),
        Type::Char => put_string(bytes, out),
        Type::Guid => quoted(out, |out| {
            for (i, b) in bytes.iter().enumerate() {
                if matches!(i, 4 | 6 | 8 | 10) {
                    out.push(b'-');
                }
                hex(&[*b], out);
            }
        }),
        Type::Short => match bytes.try_into().map(i16::from_le_bytes) {
            Ok(n) if n != NULL_SHORT && n.unsigned_abs() != INF_SHORT as u16 => integer(i64::from(n), out),
            _ => out.extend_from_slice(NULL),
        },
        Type::Int => match int(bytes) {
            Some(n) => integer(n, out),
            None => out.extend_from_slice(NULL),
        },
        Type::Long => match long(bytes) {
            Some(n) => integer(n, out),
            None => out.extend_from_slice(NULL),
        },
        Type::Real => match bytes.try_into().map(f32::from_le_bytes) {
            Ok(x) if x.is_finite() => out.extend_from_slice(ryu::Buffer::new().format_finite(x).as_bytes()),
            _ => out.extend_from_slice(NULL),
        },
        Type::Float => match bytes.try_into().map(f64::from_le_bytes) {
            Ok(x) if x.is_finite() => out.extend_from_slice(ryu::Buffer::new().format_finite(x).as_bytes()),
            _ => out.extend_from_slice(NULL),
        },
        Type::Datetime => match bytes.try_into().map(f64::from_le_bytes) {
            // Beyond this the day does not fit the calendar's arithmetic.
            Ok(x) if x.abs() < 1e9 => quoted(out, |out| {
                let ms = (x * 86_400_000.0).round() as i64;
                date(ms.div_euclid(86_400_000), memo, out);
                out.push(b'T');
                clock(ms.rem_euclid(86_400_000) * 1_000_000, 3, out);
            }),
            _ => out.extend_from_slice(NULL),
        },
        Type::Timestamp => text_of(long(bytes), out, |ns, out| {
            date(ns.div_euclid(DAY), memo, out);
            out.push(b'T');
            clock(ns.rem_euclid(DAY), 9, out);
        }),
        Type::Timespan => text_of(long(bytes), out, |ns, out| {
            if ns < 0 {
                out.push(b'-');
            }
            let ns = ns.unsigned_abs() as i64;
            out.extend_from_slice(itoa::Buffer::new().format(ns / DAY).as_bytes());
            out.push(b'D');
            clock(ns % DAY, 9, out);
        }),
        Type::Date => text_of(int(bytes), out, |days, out| date(days, memo, out)),
        Type::Month => text_of(int(bytes), out, |months, out| {
            let months = months + 24_000;
            year(months.div_euclid(12), out);
            out.push(b'-');
            two(months.rem_euclid(12) + 1, out);
        }),
        // In nanoseconds the largest minutes would not fit.
        Type::Minute => text_of(int(bytes), out, minutes),
        Type::Second => text_of(int(bytes), out, |s, out| signed_clock(s * SECOND, 0, out)),
        Type::Time => text_of(int(bytes), out, |ms, out| signed_clock(ms * 1_000_000, 3, out)),
        Type::Symbol => put_string(bytes, out),
    }
}

/// A 32-bit number that is neither null nor infinite.
fn int(bytes: &[u8]) -> Option<i64> {
    let n = i32::from_le_bytes(bytes.try_into().ok()?);
    (n != NULL_INT && n.unsigned_abs() != INF_INT as u32).then_some(i64::from(n))
}

/// A 64-bit number that is neither null nor infinite.
fn long(bytes: &[u8]) -> Option<i64> {
    let n = i64::from_le_bytes(bytes.try_into().ok()?);
    (n != NULL_LONG && n.unsigned_abs() != INF_LONG as u64).then_some(n)
}

fn integer(n: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn text_of(n: Option<i64>, out: &mut Vec<u8>, write: impl FnOnce(i64, &mut Vec<u8>)) {
    match n {
        Some(n) => quoted(out, |out| write(n, out)),
        None => out.extend_from_slice(NULL),
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for b in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]);
    }
}

fn two(n: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8]);
}

fn year(y: i64, out: &mut Vec<u8>) {
    if y < 0 {
        out.push(b'-');
    }
    match y.abs() {
        y @ 0..=9999 => {
            two(y / 100, out);
            two(y % 100, out);
        }
        y => out.extend_from_slice(itoa::Buffer::new().format(y).as_bytes()),
    }
}

fn date(day: i64, memo: &mut Memo, out: &mut Vec<u8>) {
    if memo.day != Some(day) {
        let (y, m, d) = civil_from_days(day);
        memo.text.clear();
        year(y, &mut memo.text);
        memo.text.push(b'-');
        two(i64::from(m), &mut memo.text);
        memo.text.push(b'-');
        two(i64::from(d), &mut memo.text);
        memo.day = Some(day);
    }
    out.extend_from_slice(&memo.text);
}

fn hours(hours: i64, out: &mut Vec<u8>) {
    if hours > 99 {
        out.extend_from_slice(itoa::Buffer::new().format(hours).as_bytes());
    } else {
        two(hours, out);
    }
}

/// `hh:mm:ss` with this many digits of a second.
fn clock(ns: i64, digits: usize, out: &mut Vec<u8>) {
    let seconds = ns / SECOND;
    hours(seconds / 3600, out);
    out.push(b':');
    two(seconds / 60 % 60, out);
    out.push(b':');
    two(seconds % 60, out);
    if digits > 0 {
        out.push(b'.');
        let mut fraction = ns % SECOND;
        let mut text = [b'0'; 9];
        for place in text.iter_mut().rev() {
            *place = b'0' + (fraction % 10) as u8;
            fraction /= 10;
        }
        out.extend_from_slice(&text[..digits]);
    }
}

fn signed_clock(ns: i64, digits: usize, out: &mut Vec<u8>) {
    if ns < 0 {
        out.push(b'-');
    }
    clock(ns.unsigned_abs() as i64, digits, out);
}

/// `hh:mm`
fn minutes(m: i64, out: &mut Vec<u8>) {
    if m < 0 {
        out.push(b'-');
    }
    hours(m.abs() / 60, out);
    out.push(b':');
    two(m.abs() % 60, out);
}

/// Writes text in quotes; bytes that are no UTF-8 become U+FFFD.
pub(super) fn put_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    // Most text is ASCII without anything to escape.
    if text.iter().all(|b| (0x20..0x80).contains(b) && *b != b'"' && *b != b'\\') {
        out.extend_from_slice(text);
    } else {
        for chunk in text.utf8_chunks() {
            escape(chunk.valid().as_bytes(), out);
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
    }
    out.push(b'"');
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &b in text {
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                hex(&[b], out);
            }
            _ => out.push(b),
        }
    }
}
