//! `vs` and `sv`: texts, bytes, bits, digits and names taken apart and put together.

use kvalue::Type;

use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Scalar, Sym, Value},
};

/// `x vs y`
pub fn vs(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    match &x {
        Value::Sym(s) if s.is_null() => match &y {
            Value::Sym(s) => Ok(name_parts(*s)),
            Value::Enum(e) => match e.value() {
                Value::Sym(s) => Ok(name_parts(s)),
                _ => Err(QError::type_()),
            },
            y => lines(&bytes(y)?),
        },
        Value::Char(_) => split(&x, &y),
        Value::Vector(v) if matches!(v.ty, Type::Char) => split(&x, &y),
        Value::Byte(0) if y.is_atom() => encoded(&y),
        Value::Byte(_) => split(&x, &y),
        Value::Vector(v) if v.ty == Type::Byte => split(&x, &y),
        Value::Bool(false) => bits(&y),
        _ => digits(ctx, &x, &y),
    }
}

/// `x sv y`
pub fn sv(_: &mut dyn Ctx, x: Value, y: Value) -> R {
    match &x {
        Value::Sym(s) if s.is_null() => match &y {
            Value::Vector(v) if v.ty == Type::Symbol => match v.resolved() {
                Value::Vector(r) => match &r.data {
                    Data::Sym(d) => Ok(Value::Sym(joined_name(d))),
                    _ => Err(QError::type_()),
                },
                _ => Err(QError::type_()),
            },
            y => {
                let mut out = Vec::new();
                for item in y.items() {
                    out.extend_from_slice(&bytes(&item)?);
                    out.push(b'\n');
                }
                Ok(Value::string(out))
            }
        },
        Value::Char(_) => join(&x, &y),
        Value::Vector(v) if v.ty == Type::Char => join(&x, &y),
        Value::Byte(0) if matches!(&y, Value::Vector(v) if v.ty == Type::Byte) => decoded(&bytes(&y)?),
        Value::Byte(_) => join(&x, &y),
        Value::Vector(v) if v.ty == Type::Byte => join(&x, &y),
        Value::Bool(false) if matches!(&y, Value::Vector(v) if v.ty == Type::Boolean) => packed(&y),
        _ => number(&x, &y),
    }
}

/// Chars or bytes of an atom or a vector.
fn bytes(v: &Value) -> R<Vec<u8>> {
    match v {
        Value::Char(b) | Value::Byte(b) => Ok(vec![*b]),
        Value::Vector(v) => match &v.data {
            Data::U8(d) => Ok(d.to_vec()),
            _ if v.is_empty() => Ok(Vec::new()),
            _ => Err(QError::type_()),
        },
        Value::List(l) if l.is_empty() => Ok(Vec::new()),
        _ => Err(QError::type_()),
    }
}

fn lines(text: &[u8]) -> R {
    let mut out: Vec<Value> = Vec::new();
    for line in text.split(|b| *b == b'\n') {
        out.push(Value::string(line.strip_suffix(b"\r").unwrap_or(line)));
    }
    if text.is_empty() || text.ends_with(b"\n") {
        out.pop();
    }
    Ok(Value::list(out))
}

fn split(x: &Value, y: &Value) -> R {
    let separator = bytes(x)?;
    let text = bytes(y)?;
    if separator.is_empty() {
        return Err(QError::length());
    }
    // The pieces are chars where the separator is.
    let ty = if matches!(x, Value::Byte(_)) || matches!(x, Value::Vector(v) if v.ty == Type::Byte) {
        Type::Byte
    } else {
        Type::Char
    };
    let piece = |t: &[u8]| Value::vector(ty, Data::U8(t.to_vec().into()));
    let mut out = Vec::new();
    let mut from = 0;
    for at in memchr::memmem::find_iter(&text, &separator) {
        out.push(piece(&text[from..at]));
        from = at + separator.len();
    }
    out.push(piece(&text[from..]));
    Ok(Value::list(out))
}

fn join(x: &Value, y: &Value) -> R {
    let separator = bytes(x)?;
    let ty = if matches!(x, Value::Byte(_)) || matches!(x, Value::Vector(v) if v.ty == Type::Byte) {
        Type::Byte
    } else {
        Type::Char
    };
    let mut out = Vec::new();
    for (i, item) in y.items().iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(&separator);
        }
        match item {
            Value::Char(_) | Value::Byte(_) | Value::Vector(_) | Value::List(_) => {
                out.extend_from_slice(&bytes(item)?)
            }
            _ => return Err(QError::type_()),
        }
    }
    Ok(Value::vector(ty, Data::U8(out.into())))
}

/// A name at its dots; a file's path as directory and file.
fn name_parts(s: Sym) -> Value {
    let name = s.bytes();
    if name.first() == Some(&b':') {
        return match memchr::memrchr(b'/', name) {
            Some(i) => Value::syms(vec![Sym::new(&name[..i]), Sym::new(&name[i + 1..])]),
            None => Value::syms(vec![Sym::new(":"), Sym::new(&name[1..])]),
        };
    }
    Value::syms(name.split(|b| *b == b'.').map(Sym::new).collect())
}

/// Names joined by dots, or by slashes where the first one is a file's.
fn joined_name(parts: &[Sym]) -> Sym {
    let separator = if parts.first().is_some_and(|s| s.bytes().first() == Some(&b':')) { b'/' } else { b'.' };
    let mut out = Vec::new();
    for (i, s) in parts.iter().enumerate() {
        if i > 0 && !(separator == b'/' && out.ends_with(b"/")) {
            out.push(separator);
        }
        out.extend_from_slice(s.bytes());
    }
    Sym::new(out)
}

fn big_endian(y: &Value) -> R<Vec<u8>> {
    let (_, x) = y.as_scalar().ok_or_else(QError::type_)?;
    Ok(match x {
        Scalar::Bool(b) => vec![u8::from(b)],
        Scalar::U8(b) => vec![b],
        Scalar::I16(n) => n.to_be_bytes().to_vec(),
        Scalar::I32(n) => n.to_be_bytes().to_vec(),
        Scalar::I64(n) => n.to_be_bytes().to_vec(),
        Scalar::F32(n) => n.to_be_bytes().to_vec(),
        Scalar::F64(n) => n.to_be_bytes().to_vec(),
        Scalar::Guid(g) => g.to_vec(),
        Scalar::Sym(_) => return Err(QError::type_()),
    })
}

fn encoded(y: &Value) -> R {
    Ok(Value::vector(Type::Byte, Data::U8(big_endian(y)?.into())))
}

fn bits(y: &Value) -> R {
    if let Value::Vector(v) = y {
        let rows = (0..v.len()).map(|i| bits(&v.at(i))).collect::<R<Vec<Value>>>()?;
        return Ok(Value::list(rows));
    }
    let bytes = big_endian(y)?;
    Ok(Value::bools(bytes.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1 == 1)).collect()))
}

fn decoded(bytes: &[u8]) -> R {
    Ok(match *bytes {
        [a] => Value::Byte(a),
        [a, b] => Value::Short(i16::from_be_bytes([a, b])),
        [a, b, c, d] => Value::Int(i32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => Value::Long(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => match <[u8; 16]>::try_from(bytes) {
            Ok(g) => Value::Guid(g.into()),
            Err(_) => return Err(QError::length()),
        },
    })
}

fn packed(y: &Value) -> R {
    let Value::Vector(v) = y else { return Err(QError::type_()) };
    let Data::Bool(d) = &v.data else { return Err(QError::type_()) };
    if d.len() % 8 != 0 {
        return Err(QError::length());
    }
    let bytes: Vec<u8> = d.chunks(8).map(|c| c.iter().fold(0, |n, &b| n << 1 | u8::from(b))).collect();
    decoded(&bytes)
}

fn longs(v: &Value) -> R<Vec<i64>> {
    v.items().iter().map(|x| x.as_int().ok_or_else(QError::type_)).collect()
}

/// The numbers below a value, in order.
fn leaves(v: &Value, out: &mut Vec<i64>) -> R<()> {
    if v.is_atom() {
        out.push(v.as_int().ok_or_else(QError::type_)?);
        return Ok(());
    }
    v.items().iter().try_for_each(|x| leaves(x, out))
}

/// Numbers in the shape of a value.
fn shaped(v: &Value, numbers: &mut dyn Iterator<Item = i64>) -> Value {
    match v {
        v if v.is_atom() => Value::Long(numbers.next().unwrap_or(0)),
        Value::Vector(v) => Value::longs(numbers.take(v.len()).collect()),
        v => Value::from_items(v.items().iter().map(|x| shaped(x, numbers)).collect()),
    }
}

fn modulo(n: i64, base: i64) -> (i64, i64) {
    if base == 0 { (0, n) } else { (n.wrapping_div_euclid(base), n.wrapping_rem_euclid(base)) }
}

/// Digits of numbers in a base, or in the mixed bases of a list: a row a digit where `y` is a list.
fn digits(ctx: &mut dyn Ctx, x: &Value, y: &Value) -> R {
    let mut rows: Vec<Vec<i64>> = Vec::new();
    let mut rest = Vec::new();
    leaves(y, &mut rest)?;
    if x.is_atom() {
        let base = x.as_int().ok_or_else(QError::type_)?;
        if base < 2 && base > -2 {
            return Err(QError::domain());
        }
        loop {
            ctx.check()?;
            let (next, row): (Vec<i64>, Vec<i64>) = rest.iter().map(|&n| modulo(n, base)).unzip();
            rows.push(row);
            rest = next;
            if rest.iter().all(|&n| n == 0 || n == -1) {
                break;
            }
        }
    } else {
        for base in longs(x)?.into_iter().rev() {
            let (next, row): (Vec<i64>, Vec<i64>) = rest.iter().map(|&n| modulo(n, base)).unzip();
            rows.push(row);
            rest = next;
        }
    }
    rows.reverse();
    if y.is_atom() {
        return Ok(Value::longs(rows.into_iter().map(|r| r.first().copied().unwrap_or(0)).collect()));
    }
    Ok(Value::list(rows.into_iter().map(|r| shaped(y, &mut r.into_iter())).collect()))
}

/// The number of digits in a base, or in the mixed bases of a list.
fn number(x: &Value, y: &Value) -> R {
    let floats =
        |v: &Value| matches!(v, Value::Float(_)) || matches!(v, Value::Vector(v) if v.ty == Type::Float);
    let rows = y.items();
    if let Value::Dict(d) = y {
        return number(x, &d.values);
    }
    let bases = if x.is_atom() { None } else { Some(x.items()) };
    if bases.as_ref().is_some_and(|b| b.len() != rows.len()) {
        return Err(QError::length());
    }
    if floats(x) || floats(y) || rows.iter().any(floats) {
        let mut total = 0.0;
        for (i, row) in rows.iter().enumerate() {
            let base = bases.as_ref().map_or(x, |b| &b[i]).as_number().ok_or_else(QError::type_)?;
            total = total * base + row.as_number().ok_or_else(QError::type_)?;
        }
        return Ok(Value::Float(total));
    }
    let width = rows.iter().filter(|r| !r.is_atom()).map(Value::count).max();
    let mut total = vec![0i64; width.unwrap_or(1)];
    for (i, row) in rows.iter().enumerate() {
        let base = bases.as_ref().map_or(x, |b| &b[i]).as_int().ok_or_else(QError::type_)?;
        for (k, t) in total.iter_mut().enumerate() {
            let digit = if row.is_atom() { row.as_int() } else { row.at(k).as_int() };
            *t = t.wrapping_mul(base).wrapping_add(digit.ok_or_else(QError::type_)?);
        }
    }
    Ok(match width {
        None => Value::Long(total[0]),
        Some(_) => Value::longs(total),
    })
}
