//! Text to values: the upper-case letters of `$`, and the columns of `0:`. Text that is no value of the type is
//! its null.

use kvalue::{Type, types::NULL_LONG};

use super::{map::deep, when};
use crate::{
    QError, R,
    value::{Data, Scalar, Sym, Value},
};

/// The value of one text.
pub fn parse(ty: Type, text: &[u8], day_first: bool) -> Scalar {
    let text = text.trim_ascii();
    let null = || Scalar::null(ty);
    match ty {
        Type::Boolean => Scalar::Bool(matches!(text, [b'1' | b't' | b'T' | b'y' | b'Y' | b'x' | b'X'])),
        Type::Byte => Scalar::U8(byte(text)),
        Type::Char => Scalar::U8(text.first().copied().unwrap_or(b' ')),
        Type::Symbol => Scalar::Sym(Sym::new(text)),
        Type::Guid => Scalar::Guid(guid(text).unwrap_or_default()),
        Type::Long => Scalar::I64(match special(text) {
            Some(n) => n,
            None => integer(text).filter(|n| *n != NULL_LONG).unwrap_or(NULL_LONG),
        }),
        Type::Int => Scalar::I32(match special(text) {
            Some(NULL_LONG) => i32::MIN,
            Some(n) => {
                if n < 0 {
                    -i32::MAX
                } else {
                    i32::MAX
                }
            }
            None => match integer(text) {
                Some(n) => i32::try_from(n).unwrap_or(i32::MIN),
                None => address(text).map_or(i32::MIN, |a| a as i32),
            },
        }),
        Type::Short => Scalar::I16(match special(text) {
            Some(NULL_LONG) => i16::MIN,
            Some(n) => {
                if n < 0 {
                    -i16::MAX
                } else {
                    i16::MAX
                }
            }
            None => integer(text).and_then(|n| i16::try_from(n).ok()).unwrap_or(i16::MIN),
        }),
        Type::Float => float(text).map_or_else(null, Scalar::F64),
        Type::Real => float(text).map_or_else(null, |x| Scalar::F32(x as f32)),
        Type::Datetime => match special(text) {
            Some(NULL_LONG) => null(),
            Some(n) => Scalar::F64(if n < 0 { f64::NEG_INFINITY } else { f64::INFINITY }),
            None => when::timestamp(text, day_first)
                .map_or_else(null, |ns| Scalar::F64(ns as f64 / kvalue::time::DAY as f64)),
        },
        Type::Timestamp | Type::Timespan => Scalar::I64(match special(text) {
            Some(n) => n,
            None if ty == Type::Timestamp => when::timestamp(text, day_first).unwrap_or(NULL_LONG),
            None => when::span(text).unwrap_or(NULL_LONG),
        }),
        Type::Month | Type::Date | Type::Minute | Type::Second | Type::Time => {
            Scalar::I32(match special(text.strip_suffix(&[ty.letter() as u8]).unwrap_or(text)) {
                Some(NULL_LONG) => i32::MIN,
                Some(n) => {
                    if n < 0 {
                        -i32::MAX
                    } else {
                        i32::MAX
                    }
                }
                None => {
                    when::small(ty, text, day_first).and_then(|n| i32::try_from(n).ok()).unwrap_or(i32::MIN)
                }
            })
        }
    }
}

/// `0N` and `0W` as longs.
fn special(text: &[u8]) -> Option<i64> {
    match text {
        b"0N" | b"" => Some(NULL_LONG),
        b"0W" => Some(i64::MAX),
        b"-0W" => Some(-i64::MAX),
        _ => None,
    }
}

/// A whole number: digits with a sign before them.
pub fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return None;
    }
    let mut n: i64 = 0;
    for &d in digits {
        if !d.is_ascii_digit() {
            return None;
        }
        n = n.checked_mul(10)?.checked_add(i64::from(d - b'0'))?;
    }
    Some(if negative { -n } else { n })
}

/// A float; `None` for what is none.
pub fn float(text: &[u8]) -> Option<f64> {
    match text {
        b"0w" | b"0W" | b"inf" => return Some(f64::INFINITY),
        b"-0w" | b"-0W" | b"-inf" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    if !text.iter().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn hex(b: u8) -> Option<u8> {
    (b as char).to_digit(16).map(|d| d as u8)
}

fn byte(text: &[u8]) -> u8 {
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    if digits.is_empty() || digits.len() > 2 {
        return 0;
    }
    digits.iter().try_fold(0u8, |n, &b| Some(n << 4 | hex(b)?)).unwrap_or(0)
}

/// `a.b.c.d` as a number.
fn address(text: &[u8]) -> Option<u32> {
    let mut parts = text.split(|b| *b == b'.');
    let mut n = 0u32;
    for _ in 0..4 {
        let part = integer(parts.next()?).filter(|p| (0..256).contains(p))?;
        n = n << 8 | part as u32;
    }
    parts.next().is_none().then_some(n)
}

/// A guid, or an IP address of either version as one.
fn guid(text: &[u8]) -> Option<[u8; 16]> {
    if let Some(v4) = address(text) {
        let mut out = [0; 16];
        out[10] = 0xff;
        out[11] = 0xff;
        out[12..].copy_from_slice(&v4.to_be_bytes());
        return Some(out);
    }
    if text.contains(&b':') {
        let address: std::net::Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
        return Some(address.octets());
    }
    let digits: Vec<u8> = text.iter().filter(|b| **b != b'-').map(|b| hex(*b)).collect::<Option<_>>()?;
    if digits.len() != 32 {
        return None;
    }
    let mut out = [0; 16];
    for (o, pair) in out.iter_mut().zip(digits.chunks(2)) {
        *o = pair[0] << 4 | pair[1];
    }
    Some(out)
}

/// The type of a letter of either case.
pub fn letter_type(letter: u8) -> Option<Type> {
    Type::from_letter(letter.to_ascii_lowercase() as char)
}

/// `"J"$x`: every string below `x` as a value of the type.
pub fn tok(ty: Type, x: Value, day_first: bool) -> R {
    if let Value::List(l) = &x
        && let Some(texts) = texts(l)
    {
        return Ok(if ty == Type::Char { x } else { column(ty, &texts, day_first) });
    }
    deep(x, &mut |v| match &v {
        Value::Char(c) => Ok(if ty == Type::Char { v } else { Value::atom(ty, parse(ty, &[*c], day_first)) }),
        Value::Vector(t) => match t.as_chars() {
            Some(_) if ty == Type::Char => Ok(v),
            Some(text) => Ok(Value::atom(ty, parse(ty, text, day_first))),
            None if t.ty == Type::Symbol && ty == Type::Symbol => Ok(v),
            None => Err(QError::type_()),
        },
        Value::Sym(_) if ty == Type::Symbol => Ok(v),
        _ => Err(QError::type_()),
    })
}

/// The items of a list that holds strings of any length and nothing else.
fn texts(items: &[Value]) -> Option<Vec<&[u8]>> {
    items
        .iter()
        .map(|v| match v {
            Value::Vector(v) => v.as_chars(),
            Value::Char(c) => Some(std::slice::from_ref(c)),
            _ => None,
        })
        .collect()
}

/// A column of `0:`: the letter as `0:` takes it (`*` and, as here, `C` included), the texts of the rows.
pub fn tok_column(letter: u8, texts: &[&[u8]], day_first: bool) -> R {
    if letter == b'*' {
        return Ok(Value::list(texts.iter().map(|t| Value::string(*t)).collect()));
    }
    let ty = letter_type(letter).ok_or_else(QError::type_)?;
    Ok(column(ty, texts, day_first))
}

fn column(ty: Type, texts: &[&[u8]], day_first: bool) -> Value {
    macro_rules! collect {
        ($layout:ident) => {
            Data::$layout(
                texts
                    .iter()
                    .map(|t| match parse(ty, t, day_first) {
                        Scalar::$layout(x) => x,
                        _ => Default::default(),
                    })
                    .collect(),
            )
        };
    }
    let data = match ty {
        Type::Boolean => collect!(Bool),
        Type::Guid => collect!(Guid),
        Type::Byte => collect!(U8),
        Type::Char => Data::U8(texts.iter().map(|t| t.first().copied().unwrap_or(b' ')).collect()),
        Type::Short => collect!(I16),
        Type::Int | Type::Month | Type::Date | Type::Minute | Type::Second | Type::Time => collect!(I32),
        Type::Long | Type::Timestamp | Type::Timespan => collect!(I64),
        Type::Real => collect!(F32),
        Type::Float | Type::Datetime => collect!(F64),
        Type::Symbol => Data::Sym(texts.iter().map(|t| Sym::new(t.trim_ascii())).collect()),
    };
    Value::vector(ty, data)
}
