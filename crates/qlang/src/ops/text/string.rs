//! `string`, `lower`, `upper`, `trim` and kin.

use std::sync::Arc;

use kvalue::Type;

use super::map::deep;
use crate::{
    QError, R,
    ctx::Ctx,
    each_data,
    format::{self, atom},
    value::{Data, Scalar, Sym, Value, Vector, names},
};

/// `string x`: text of each atom below `x`.
pub fn string(ctx: &mut dyn Ctx, x: Value) -> R {
    let settings = ctx.settings().clone();
    let digits = format::precision(&settings);
    deep(x, &mut |v| match v {
        Value::Vector(v) => strings(ctx, &v, digits),
        Value::Enum(e) => match e.value().as_scalar() {
            Some((ty, x)) => Ok(text(ty, x, digits)),
            None => Ok(Value::string(format::inline_bytes(&e.value(), &settings, usize::MAX))),
        },
        v => Ok(match v.as_scalar() {
            Some((ty, x)) => text(ty, x, digits),
            None => Value::string(format::inline_bytes(&v, &settings, usize::MAX)),
        }),
    })
}

fn text(ty: Type, x: Scalar, digits: usize) -> Value {
    let mut out = Vec::new();
    atom::plain(&mut out, ty, x, digits);
    Value::string(out)
}

fn strings(ctx: &mut dyn Ctx, v: &Arc<Vector>, digits: usize) -> R {
    if v.is_empty() {
        return Ok(if v.ty == Type::Char { Value::string("") } else { Value::empty_list() });
    }
    ctx.reserve(v.len() * 80)?;
    if let Data::Sym(d) = &v.data {
        return Ok(Value::list(names(d).into_iter().map(Value::string).collect()));
    }
    if let Value::Vector(r) = v.resolved()
        && let Data::Sym(d) = &r.data
    {
        return Ok(Value::list(names(d).into_iter().map(Value::string).collect()));
    }
    let items = texts(v, digits).into_iter().map(Value::string).collect();
    Ok(Value::list(items))
}

/// Plain text of each element of a vector.
pub fn texts(v: &Vector, digits: usize) -> Vec<Vec<u8>> {
    let n = v.len();
    let mut out = Vec::with_capacity(n);
    for i in 0..n {
        let mut text = Vec::new();
        write_element(&mut text, v, i, digits);
        out.push(text);
    }
    out
}

/// Appends the plain text of element `i` of a vector: what CSV and `string` show; nothing for a null.
pub fn write_element(out: &mut Vec<u8>, v: &Vector, i: usize, digits: usize) {
    let x = match &v.data {
        Data::Bool(d) => Scalar::Bool(d[i]),
        Data::Guid(d) => Scalar::Guid(d[i]),
        Data::U8(d) => Scalar::U8(d[i]),
        Data::I16(d) => Scalar::I16(d[i]),
        Data::I32(d) => Scalar::I32(d[i]),
        Data::I64(d) => Scalar::I64(d[i]),
        Data::F32(d) => Scalar::F32(d[i]),
        Data::F64(d) => Scalar::F64(d[i]),
        Data::Sym(d) => Scalar::Sym(d[i]),
        Data::Enum(..) => {
            if let Value::Enum(e) = v.at(i)
                && let Some((ty, x)) = e.value().as_scalar()
            {
                atom::plain(out, ty, x, digits);
            }
            return;
        }
    };
    atom::plain(out, v.ty, x, digits);
}

/// `lower x`
pub fn lower(_: &mut dyn Ctx, x: Value) -> R {
    case(x, |b| b.make_ascii_lowercase())
}

/// `upper x`
pub fn upper(_: &mut dyn Ctx, x: Value) -> R {
    case(x, |b| b.make_ascii_uppercase())
}

fn case(x: Value, f: fn(&mut [u8])) -> R {
    let symbol = |s: Sym| {
        let mut name = s.bytes().to_vec();
        f(&mut name);
        Sym::new(name)
    };
    deep(x, &mut |v| match v {
        Value::Char(mut c) => {
            f(std::slice::from_mut(&mut c));
            Ok(Value::Char(c))
        }
        Value::Sym(s) => Ok(Value::Sym(symbol(s))),
        Value::Enum(e) => e.value().as_sym().map(|s| Value::Sym(symbol(s))).ok_or_else(QError::type_),
        Value::Vector(mut v) => match (&v.data, v.ty) {
            (Data::U8(_), Type::Char) => {
                let vector = Arc::make_mut(&mut v);
                vector.attr = kvalue::Attr::None;
                if let Data::U8(text) = &mut vector.data {
                    f(text.to_mut());
                }
                Ok(Value::Vector(v))
            }
            (Data::Sym(d), _) => Ok(Value::syms(d.iter().map(|&s| symbol(s)).collect())),
            (Data::Enum(..), _) => match v.resolved() {
                Value::Vector(r) if matches!(r.data, Data::Sym(_)) => case(Value::Vector(r), f),
                _ => Err(QError::type_()),
            },
            (data, _) if each_data!(data, d => d.is_empty()) => Ok(Value::Vector(v)),
            _ => Err(QError::type_()),
        },
        _ => Err(QError::type_()),
    })
}

/// `trim x`: without blanks at both ends.
pub fn trim(_: &mut dyn Ctx, x: Value) -> R {
    trimmed(x, true, true)
}

/// `ltrim x`: without blanks at the left end.
pub fn ltrim(_: &mut dyn Ctx, x: Value) -> R {
    trimmed(x, true, false)
}

/// `rtrim x`: without blanks at the right end.
pub fn rtrim(_: &mut dyn Ctx, x: Value) -> R {
    trimmed(x, false, true)
}

fn trimmed(x: Value, left: bool, right: bool) -> R {
    deep(x, &mut |v| match &v {
        Value::Vector(t) => match t.as_chars() {
            Some(text) => {
                let from = if left { text.iter().position(|&b| b != b' ').unwrap_or(text.len()) } else { 0 };
                let to = if right {
                    text.iter().rposition(|&b| b != b' ').map_or(from, |i| i + 1)
                } else {
                    text.len()
                };
                Ok(if to - from == text.len() { v } else { Value::string(&text[from..to.max(from)]) })
            }
            // q's trim cuts nulls off the ends of any vector.
            None => {
                let n = t.len();
                let is_null = |i: usize| t.at(i).as_scalar().is_none_or(|(ty, x)| same(x, Scalar::null(ty)));
                let from = if left { (0..n).find(|&i| !is_null(i)).unwrap_or(n) } else { 0 };
                let to =
                    if right { (from..n).rev().find(|&i| !is_null(i)).map_or(from, |i| i + 1) } else { n };
                let data = crate::map_data!(&t.data, d => d[from..to].to_vec().into());
                Ok(Value::vector(t.ty, data))
            }
        },
        Value::Char(_) => Ok(v),
        _ => Err(QError::type_()),
    })
}

fn same(a: Scalar, b: Scalar) -> bool {
    match (a, b) {
        (Scalar::F64(a), Scalar::F64(_)) => a.is_nan(),
        (Scalar::F32(a), Scalar::F32(_)) => a.is_nan(),
        (a, b) => a == b,
    }
}
