//! [`to_kvalue`]: what leaves.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kvalue::{Atom, Attr, Opaque};
use zerocopy::IntoBytes;

use super::codes;
use crate::{
    QError, R, each_data,
    value::{Data, Primitive, Scalar, Sym, Table, Value, Vector, names},
};

/// Deepest nesting that is written: what any peer of ours would read.
const DEPTH: usize = 250;
const LAMBDA: u8 = 100;
const UNARY: u8 = 101;
const BINARY: u8 = 102;
const ITERATOR: u8 = 103;
const PROJECTION: u8 = 104;
const COMPOSITION: u8 = 105;

/// The value as it travels. Enumerations become what they stand for, mapped tables are read. `'limit` for nesting
/// that no peer would read; `'type` for functions of the host, which have no text.
pub fn to_kvalue(value: &Value) -> R<kvalue::Value> {
    out(value, 0)
}

fn out(value: &Value, depth: usize) -> R<kvalue::Value> {
    if depth > DEPTH {
        return Err(QError::limit());
    }
    Ok(match value {
        Value::Nil => kvalue::Value::Null,
        Value::Enum(e) => return out(&e.value(), depth + 1),
        Value::Vector(v) => vector(v, depth)?,
        Value::List(l) => {
            let items = l.iter().map(|item| out(item, depth + 1)).collect::<R<Vec<_>>>()?;
            kvalue::Value::List(kvalue::List::new(items).with_attr(l.attr))
        }
        Value::Dict(d) => {
            let dict = kvalue::Dict::new(out(&d.keys, depth + 1)?, out(&d.values, depth + 1)?);
            kvalue::Value::Dict(Arc::new(dict.map_err(|_| QError::length())?.with_sorted(d.sorted)))
        }
        Value::Table(t) => table(t, depth)?,
        Value::Mapped(m) => return out(&m.load()?, depth + 1),
        Value::Hole
        | Value::Lambda(_)
        | Value::Prim(_)
        | Value::Iterator(_)
        | Value::Projection(_)
        | Value::Composition(_)
        | Value::Derived(_)
        | Value::Host(_) => {
            let mut bytes = BytesMut::new();
            function(value, &mut bytes, depth)?;
            kvalue::Value::Opaque(Opaque::new(bytes.freeze()))
        }
        atom => kvalue::Value::Atom(scalar(atom)?),
    })
}

fn scalar(value: &Value) -> R<Atom> {
    use kvalue::Type as T;
    let (ty, scalar) = value.as_scalar().ok_or_else(QError::type_)?;
    Ok(match (scalar, ty) {
        (Scalar::Bool(b), _) => Atom::Boolean(b),
        (Scalar::Guid(g), _) => Atom::Guid(g),
        (Scalar::U8(c), T::Char) => Atom::Char(c),
        (Scalar::U8(b), _) => Atom::Byte(b),
        (Scalar::I16(n), _) => Atom::Short(n),
        (Scalar::I32(n), T::Month) => Atom::Month(n),
        (Scalar::I32(n), T::Date) => Atom::Date(n),
        (Scalar::I32(n), T::Minute) => Atom::Minute(n),
        (Scalar::I32(n), T::Second) => Atom::Second(n),
        (Scalar::I32(n), T::Time) => Atom::Time(n),
        (Scalar::I32(n), _) => Atom::Int(n),
        (Scalar::I64(n), T::Timestamp) => Atom::Timestamp(n),
        (Scalar::I64(n), T::Timespan) => Atom::Timespan(n),
        (Scalar::I64(n), _) => Atom::Long(n),
        (Scalar::F32(x), _) => Atom::Real(x),
        (Scalar::F64(x), T::Datetime) => Atom::Datetime(x),
        (Scalar::F64(x), _) => Atom::Float(x),
        (Scalar::Sym(s), _) => Atom::Symbol(kvalue::Sym::new(s.bytes())),
    })
}

/// A vector's elements as bytes that keep the vector.
struct Shared(Arc<Vector>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        match &self.0.data {
            Data::Bool(items) => items.as_bytes(),
            Data::Guid(items) => items.as_bytes(),
            Data::U8(items) => items,
            Data::I16(items) => items.as_bytes(),
            Data::I32(items) => items.as_bytes(),
            Data::I64(items) => items.as_bytes(),
            Data::F32(items) => items.as_bytes(),
            Data::F64(items) => items.as_bytes(),
            Data::Sym(_) | Data::Enum(..) => &[],
        }
    }
}

fn vector(v: &Arc<Vector>, depth: usize) -> R<kvalue::Value> {
    let made = match &v.data {
        Data::Sym(items) => kvalue::Vector::syms(names(items)),
        Data::Enum(..) => {
            let plain = v.resolved();
            return match (out(&plain, depth + 1)?, v.attr) {
                (kvalue::Value::Vector(made), attr) => Ok(kvalue::Value::Vector(made.with_attr(attr))),
                (other, _) => Ok(other),
            };
        }
        data => {
            let mapped = each_data!(data, items => items.mapped().cloned());
            let bytes = mapped.unwrap_or_else(|| Bytes::from_owner(Shared(v.clone())));
            kvalue::Vector::fixed(v.ty, bytes).map_err(|_| QError::type_())?
        }
    };
    Ok(kvalue::Value::Vector(made.with_attr(v.attr)))
}

fn table(t: &Table, depth: usize) -> R<kvalue::Value> {
    let columns = t.columns.iter().map(|c| out(c, depth + 1)).collect::<R<Vec<_>>>()?;
    let made = kvalue::Table::new(names(&t.names).into_iter().collect(), columns);
    let attr = if t.sorted { Attr::Sorted } else { Attr::None };
    Ok(kvalue::Value::Table(Arc::new(made.map_err(|_| QError::type_())?.with_attr(attr))))
}

/// Appends the object of a function, or of anything that stands in one.
fn function(value: &Value, to: &mut BytesMut, depth: usize) -> R<()> {
    if depth > DEPTH {
        return Err(QError::limit());
    }
    let parts = |head: u8, parts: &[Value], to: &mut BytesMut| -> R<()> {
        to.put_u8(head);
        to.put_i32_le(i32::try_from(parts.len()).map_err(|_| QError::limit())?);
        parts.iter().try_for_each(|part| function(part, to, depth + 1))
    };
    match value {
        Value::Hole => to.put_slice(&[UNARY, 0xff]),
        Value::Lambda(l) => lambda(l.context, l.text.as_bytes(), to)?,
        Value::Prim(p) => primitive(p, to)?,
        Value::Iterator(i) => to.put_slice(&[ITERATOR, *i as u8]),
        Value::Projection(p) => {
            let all: Vec<Value> = std::iter::once(&p.function).chain(&p.args).cloned().collect();
            parts(PROJECTION, &all, to)?;
        }
        Value::Composition(all) => parts(COMPOSITION, all, to)?,
        Value::Derived(d) => {
            to.put_u8(106 + d.iterator as u8);
            function(&d.operand, to, depth + 1)?;
        }
        Value::Host(host) => to.put_slice(&host.wire().ok_or_else(QError::type_)?),
        data => {
            let data = out(data, depth + 1)?;
            qipc::encode_into(&data, to).map_err(|_| QError::limit())?;
        }
    }
    Ok(())
}

fn lambda(context: Sym, text: &[u8], to: &mut BytesMut) -> R<()> {
    to.put_u8(LAMBDA);
    to.put_slice(context.bytes());
    to.put_u8(0);
    to.put_slice(&[kvalue::Type::Char.number(), 0]);
    to.put_u32_le(u32::try_from(text.len()).map_err(|_| QError::limit())?);
    to.put_slice(text);
    Ok(())
}

fn primitive(p: &Primitive, to: &mut BytesMut) -> R<()> {
    let code = match p.ty {
        101 => codes::unary(p.text, p.word).map(|code| [UNARY, code]),
        _ => codes::binary(p.word).map(|code| [BINARY, code]),
    };
    // A keyword may have a number though q calls it a function, and the other way round.
    let code = code.or_else(|| codes::unary(p.text, p.word).map(|code| [UNARY, code]));
    match code {
        Some(code) => {
            to.put_slice(&code);
            Ok(())
        }
        None => {
            let params = ["x", "y", "z", "a", "b", "c", "d", "e"];
            let args = params[..usize::from(p.max.clamp(1, 8))].join(";");
            lambda(Sym::NULL, format!("{{[{args}]{}[{args}]}}", p.word).as_bytes(), to)
        }
    }
}
