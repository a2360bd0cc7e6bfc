//! Numbers and temporals as q writes them: words of digits to atoms and vectors.

use kvalue::{
    Atom, Type, time,
    types::{INF_INT, INF_LONG, INF_SHORT, NULL_FLOAT, NULL_INT, NULL_LONG, NULL_REAL, NULL_SHORT},
};

use crate::value::{Data, Scalar, Value};

/// The atom of one word, or the vector of several. The error is the position of the word that is no number.
pub(super) fn vector(words: &[&[u8]]) -> Result<Value, usize> {
    if let [word] = words {
        return single(word).ok_or(0);
    }
    let mut kinds = Vec::with_capacity(words.len());
    for (i, word) in words.iter().enumerate() {
        kinds.push(kind(word).ok_or(i)?);
    }
    let last = kinds.len() - 1;
    let ty = match kinds[last] {
        (ty, true) => ty,
        _ => widest(&kinds),
    };
    let mut scalars = Vec::with_capacity(words.len());
    for (i, word) in words.iter().enumerate() {
        let bare = if i == last || kinds[i].1 { unsuffixed(word, ty) } else { word };
        scalars.push(scalar(bare, ty).ok_or(i)?);
    }
    Ok(pack(ty, &scalars))
}

/// `0x…`, `…b` and all that is one word.
fn single(word: &[u8]) -> Option<Value> {
    if let Some(hex) = word.strip_prefix(b"0x") {
        return bytes(hex);
    }
    if let Some(bits) = word.strip_suffix(b"b") {
        if bits.is_empty() || !bits.iter().all(|b| matches!(b, b'0' | b'1')) {
            return None;
        }
        let bits: Vec<bool> = bits.iter().map(|b| *b == b'1').collect();
        return Some(match bits.as_slice() {
            [bit] => Value::Bool(*bit),
            _ => Value::bools(bits),
        });
    }
    let (ty, suffixed) = kind(word)?;
    let bare = if suffixed { unsuffixed(word, ty) } else { word };
    Some(Value::atom(ty, scalar(bare, ty)?))
}

fn bytes(hex: &[u8]) -> Option<Value> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    if let [one] = hex {
        return Some(Value::Byte(digit(*one)?));
    }
    let mut out = Vec::with_capacity(hex.len() / 2 + 1);
    let odd = hex.len() % 2;
    if odd == 1 {
        out.push(digit(hex[0])?);
    }
    for pair in hex[odd..].chunks_exact(2) {
        out.push(digit(pair[0])? * 16 + digit(pair[1])?);
    }
    Some(match out.as_slice() {
        [byte] => Value::Byte(*byte),
        _ => Value::vector(Type::Byte, Data::U8(out.into())),
    })
}

/// The type that a word shows, and whether a letter at its end says so.
fn kind(word: &[u8]) -> Option<(Type, bool)> {
    let body = word.strip_prefix(b"-").unwrap_or(word);
    if body.starts_with(b"0x") {
        return Some((Type::Byte, false));
    }
    let last = *body.last()?;
    if body == b"0n" || body == b"0w" {
        return Some((Type::Float, false));
    }
    if body == b"0N" || body == b"0W" {
        return Some((Type::Long, false));
    }
    if last == b'D' || last == b'T' {
        return Some((shape(body), false));
    }
    if last.is_ascii_alphabetic() {
        return Type::from_letter(last as char).map(|ty| (ty, true));
    }
    Some((shape(body), false))
}

/// The type of a word without a letter behind it.
fn shape(body: &[u8]) -> Type {
    if let Some(i) = body.iter().position(|b| matches!(b, b'D' | b'T')) {
        let dated = body[..i].contains(&b'.');
        return match (body[i], dated) {
            (b'T', _) => Type::Datetime,
            (_, true) => Type::Timestamp,
            _ => Type::Timespan,
        };
    }
    let colons = body.iter().filter(|b| **b == b':').count();
    let dots = body.iter().filter(|b| **b == b'.').count();
    match (colons, dots) {
        (0, 2) => Type::Date,
        (0, 0) if !body.iter().any(|b| matches!(b, b'e' | b'E')) => Type::Long,
        (0, _) => Type::Float,
        (1, 0) => Type::Minute,
        (1, _) => Type::Time,
        (_, 0) => Type::Second,
        _ => {
            let fraction = body.rsplit(|b| *b == b'.').next().map_or(0, <[u8]>::len);
            if fraction > 3 { Type::Timespan } else { Type::Time }
        }
    }
}

/// The type of a vector whose last word has no letter.
fn widest(kinds: &[(Type, bool)]) -> Type {
    let rank = |ty: Type| match ty {
        Type::Boolean => 0,
        Type::Byte => 1,
        Type::Short => 2,
        Type::Int => 3,
        Type::Long => 4,
        Type::Real => 5,
        Type::Float => 6,
        Type::Month => 7,
        Type::Date => 8,
        Type::Minute => 9,
        Type::Second => 10,
        Type::Time => 11,
        Type::Timespan => 12,
        Type::Datetime => 13,
        Type::Timestamp => 14,
        _ => 15,
    };
    kinds.iter().map(|k| k.0).max_by_key(|ty| rank(*ty)).unwrap_or(Type::Long)
}

fn unsuffixed(word: &[u8], ty: Type) -> &[u8] {
    let letter = ty.letter() as u8;
    match word.split_last() {
        Some((last, rest)) if *last == letter && rest.last().is_some_and(|b| *b != b'-') => rest,
        _ => word,
    }
}

fn scalar(word: &[u8], ty: Type) -> Option<Scalar> {
    let (negative, body) = match word.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    if let Some(special) = special(negative, body, ty) {
        return Some(special);
    }
    let text = std::str::from_utf8(word).ok()?;
    match ty {
        Type::Boolean => match body {
            b"0" => Some(Scalar::Bool(false)),
            b"1" => Some(Scalar::Bool(true)),
            _ => None,
        },
        Type::Byte => match bytes(body.strip_prefix(b"0x")?)? {
            Value::Byte(b) => Some(Scalar::U8(b)),
            _ => None,
        },
        Type::Short => text.parse().ok().map(Scalar::I16),
        Type::Int => text.parse().ok().map(Scalar::I32),
        Type::Long => text.parse().ok().map(Scalar::I64),
        Type::Real => float(text).map(|x| Scalar::F32(x as f32)),
        Type::Float => float(text).map(Scalar::F64),
        ty if ty.is_temporal() => temporal(text, ty),
        _ => None,
    }
}

/// Nulls and infinities.
fn special(negative: bool, body: &[u8], ty: Type) -> Option<Scalar> {
    match body {
        b"0N" | b"0n" => match ty {
            Type::Boolean | Type::Byte => None,
            _ => Some(Scalar::null(ty)),
        },
        b"0W" | b"0w" => {
            let sign = if negative { -1 } else { 1 };
            Some(match Scalar::null(ty) {
                Scalar::I16(_) => Scalar::I16(INF_SHORT * sign as i16),
                Scalar::I32(_) => Scalar::I32(INF_INT * sign),
                Scalar::I64(_) => Scalar::I64(INF_LONG * i64::from(sign)),
                Scalar::F32(_) => Scalar::F32(f32::INFINITY * sign as f32),
                Scalar::F64(_) => Scalar::F64(f64::INFINITY * f64::from(sign)),
                _ => return None,
            })
        }
        _ => None,
    }
}

fn float(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    let x: f64 = if plain { text.parse().ok()? } else { return None };
    Some(x)
}

/// A temporal in the type that the word shows, brought to the type wanted.
fn temporal(text: &str, ty: Type) -> Option<Scalar> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let shown = shape(body.as_bytes());
    let scalar = match shown {
        Type::Long => {
            let n: i64 = body.parse().ok()?;
            match Scalar::null(ty) {
                Scalar::I32(_) => Scalar::I32(i32::try_from(n).ok()?),
                Scalar::I64(_) => Scalar::I64(n),
                _ => Scalar::F64(n as f64),
            }
        }
        Type::Float if ty == Type::Month => month(body)?,
        Type::Float if ty == Type::Datetime => Scalar::F64(float(body)?),
        Type::Float => return None,
        Type::Date if matches!(ty, Type::Date | Type::Month) => {
            let mut parts = body.split('.').map(|p| p.parse::<u32>());
            let (Some(Ok(y)), Some(Ok(m)), Some(Ok(d))) = (parts.next(), parts.next(), parts.next()) else {
                return None;
            };
            let days = time::days_from_civil(i64::from(y), m, d)? as i32;
            match ty {
                Type::Date => Scalar::I32(days),
                _ => Scalar::I32((y as i32 - 2000) * 12 + m as i32 - 1),
            }
        }
        _ => {
            let body = body.strip_suffix('m').unwrap_or(body);
            match time::parse(ty, body)? {
                Atom::Timestamp(n) | Atom::Timespan(n) => Scalar::I64(n),
                Atom::Datetime(x) => Scalar::F64(x),
                Atom::Month(n) | Atom::Date(n) | Atom::Minute(n) | Atom::Second(n) | Atom::Time(n) => {
                    Scalar::I32(n)
                }
                _ => return None,
            }
        }
    };
    Some(if negative { negate(scalar) } else { scalar })
}

/// `2024.01`.
fn month(body: &str) -> Option<Scalar> {
    let (y, m) = body.split_once('.')?;
    let (year, m): (i32, i32) = (y.parse().ok()?, m.parse().ok()?);
    // Lengths and ranges first: the sum below holds for four digits only.
    let whole = y.len() == 4 && (1..=12).contains(&m);
    whole.then(|| Scalar::I32((year - 2000) * 12 + m - 1))
}

fn negate(scalar: Scalar) -> Scalar {
    match scalar {
        Scalar::I32(n) => Scalar::I32(n.wrapping_neg()),
        Scalar::I64(n) => Scalar::I64(n.wrapping_neg()),
        Scalar::F64(x) => Scalar::F64(-x),
        other => other,
    }
}

fn pack(ty: Type, scalars: &[Scalar]) -> Value {
    macro_rules! column {
        ($layout:ident, $null:expr) => {
            Data::$layout(
                scalars.iter().map(|s| if let Scalar::$layout(x) = s { *x } else { $null }).collect(),
            )
        };
    }
    let data = match Scalar::null(ty) {
        Scalar::Bool(_) => column!(Bool, false),
        Scalar::Guid(_) => column!(Guid, [0; 16]),
        Scalar::U8(_) => column!(U8, 0),
        Scalar::I16(_) => column!(I16, NULL_SHORT),
        Scalar::I32(_) => column!(I32, NULL_INT),
        Scalar::I64(_) => column!(I64, NULL_LONG),
        Scalar::F32(_) => column!(F32, NULL_REAL),
        Scalar::F64(_) => column!(F64, NULL_FLOAT),
        Scalar::Sym(_) => column!(Sym, crate::value::Sym::NULL),
    };
    Value::vector(ty, data)
}
