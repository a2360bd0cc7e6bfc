//! [`from_kvalue`] and [`revive`]: what arrives.

use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use kvalue::{Attr, Physical, Type};

use super::codes;
use crate::{
    QError, R,
    ctx::Ctx,
    value::{
        Buf, Data, Derived, Dict, Element, HostFunction, Iterator, List, Projection, Scalar, Sym, Table,
        Value, Vector,
    },
};

/// Deepest nesting of a function that is taken apart.
const DEPTH: usize = 100;

/// A received function without a local equivalent: can be kept and sent on, not called.
pub struct Foreign(Bytes);

impl Foreign {
    /// The function's object, type byte first.
    pub fn object(&self) -> &Bytes {
        &self.0
    }
}

impl HostFunction for Foreign {
    fn name(&self) -> &str {
        "code"
    }

    fn ranks(&self) -> (usize, usize) {
        (1, 8)
    }

    fn call(&self, _: Vec<Value>) -> R {
        Err(QError::nyi())
    }

    fn wire(&self) -> Option<Bytes> {
        Some(self.0.clone())
    }
}

/// The value of what arrived. Vectors of fixed width share the bytes where they are aligned. Functions become
/// [`Foreign`]: [`revive`] makes them functions again.
pub fn from_kvalue(value: &kvalue::Value) -> R {
    into(value, &mut |bytes| Ok(Value::Host(Arc::new(Foreign(bytes.clone())))))
}

/// As [`from_kvalue`], with functions made from their texts and numbers by the evaluation `ctx`.
pub fn revive(ctx: &mut dyn Ctx, value: &kvalue::Value) -> R {
    into(value, &mut |bytes| Reader { ctx, left: bytes.clone() }.whole())
}

fn into(value: &kvalue::Value, function: &mut dyn FnMut(&Bytes) -> R) -> R {
    Ok(match value {
        kvalue::Value::Null => Value::Nil,
        kvalue::Value::Atom(a) => atom(a),
        kvalue::Value::Vector(v) => Value::Vector(Arc::new(vector(v))),
        kvalue::Value::List(l) => {
            let items = l.items().iter().map(|item| into(item, function)).collect::<R<Vec<_>>>()?;
            let mut list = List::new(items);
            list.attr = l.attr();
            Value::List(Arc::new(list))
        }
        kvalue::Value::Dict(d) => {
            let mut dict = Dict::new(into(d.keys(), function)?, into(d.values(), function)?)?;
            dict.sorted = d.is_sorted();
            Value::dict(dict)
        }
        kvalue::Value::Table(t) => {
            let names: Vec<Sym> = t.names().iter().map(Sym::new).collect();
            let columns = t.columns().iter().map(|c| into(c, function)).collect::<R<Vec<_>>>()?;
            let mut table = Table::new(names, columns)?;
            table.sorted = t.attr() == Attr::Sorted;
            Value::table(table)
        }
        kvalue::Value::Opaque(o) => function(o.bytes())?,
    })
}

fn atom(a: &kvalue::Atom) -> Value {
    use kvalue::Atom as A;
    let scalar = match a {
        A::Boolean(b) => Scalar::Bool(*b),
        A::Guid(g) => Scalar::Guid(*g),
        A::Byte(b) | A::Char(b) => Scalar::U8(*b),
        A::Short(n) => Scalar::I16(*n),
        A::Int(n) | A::Month(n) | A::Date(n) | A::Minute(n) | A::Second(n) | A::Time(n) => Scalar::I32(*n),
        A::Long(n) | A::Timestamp(n) | A::Timespan(n) => Scalar::I64(*n),
        A::Real(x) => Scalar::F32(*x),
        A::Float(x) | A::Datetime(x) => Scalar::F64(*x),
        A::Symbol(s) => Scalar::Sym(Sym::new(s.as_bytes())),
    };
    Value::atom(a.ty(), scalar)
}

fn vector(v: &kvalue::Vector) -> Vector {
    let ty = v.ty();
    let data = match ty.physical() {
        Physical::Symbol => Data::Sym(symbols(v).into()),
        Physical::U8 if ty == Type::Boolean => {
            let bytes = v.as_bytes().map(|b| &b[..]).unwrap_or_default();
            Data::Bool(bytes.iter().map(|b| *b != 0).collect())
        }
        Physical::U8 => Data::U8(fixed::<u8>(v)),
        Physical::I16 => Data::I16(fixed::<i16>(v)),
        Physical::I32 => Data::I32(fixed::<i32>(v)),
        Physical::I64 => Data::I64(fixed::<i64>(v)),
        Physical::F32 => Data::F32(fixed::<f32>(v)),
        Physical::F64 => Data::F64(fixed::<f64>(v)),
        Physical::Guid => Data::Guid(fixed::<[u8; 16]>(v)),
    };
    Vector::new(ty, data).with_attr(v.attr())
}

/// The elements where they lie; a copy where they are not aligned.
fn fixed<T: Element + kvalue::Fixed>(v: &kvalue::Vector) -> Buf<T> {
    let shared = v.as_bytes().and_then(|bytes| Buf::map(bytes.clone()));
    shared.unwrap_or_else(|| v.as_buf::<T>().map(|buf| buf.to_vec()).unwrap_or_default().into())
}

fn symbols(v: &kvalue::Vector) -> Vec<Sym> {
    let Some(symbols) = v.as_symbols() else { return Vec::new() };
    let Some((domain, codes)) = symbols.as_enumerated() else {
        return symbols.iter().map(Sym::new).collect();
    };
    let names: Vec<Sym> = (0..domain.len()).map(|i| Sym::new(domain.get(i as i64))).collect();
    let name = |code: i64| usize::try_from(code).ok().and_then(|i| names.get(i)).copied();
    (0..codes.len()).map(|i| name(codes.get(i)).unwrap_or(Sym::NULL)).collect()
}

/// A function's object, read part by part.
struct Reader<'a> {
    ctx: &'a mut dyn Ctx,
    left: Bytes,
}

impl Reader<'_> {
    fn whole(mut self) -> R {
        let all = self.left.clone();
        match self.object(0)? {
            Some(value) if self.left.is_empty() => Ok(value),
            _ => Ok(Value::Host(Arc::new(Foreign(all)))),
        }
    }

    fn byte(&mut self) -> R<u8> {
        self.left.try_get_u8().map_err(|_| QError::new("badmsg"))
    }

    /// The next object; `None` where a part of it is code that is not ours.
    fn object(&mut self, depth: usize) -> R<Option<Value>> {
        if depth > DEPTH {
            return Err(QError::limit());
        }
        let head = self.left.first().copied().unwrap_or_default();
        if !(100..=112).contains(&head) {
            return self.data().map(Some);
        }
        self.byte()?;
        Ok(match head {
            100 => self.lambda()?,
            101 => match self.byte()? {
                0 => Some(Value::Nil),
                0xff => Some(Value::Hole),
                code => codes::unary_word(code).and_then(|word| self.word(word)),
            },
            102 => codes::binary_word(self.byte()?).and_then(|word| self.word(word)),
            103 => iterator(self.byte()?).map(Value::Iterator),
            104 | 105 => {
                let count = self.left.try_get_i32_le().map_err(|_| QError::new("badmsg"))?;
                let mut parts = Vec::new();
                let mut ours = true;
                for _ in 0..count {
                    match self.object(depth + 1)? {
                        Some(part) => parts.push(part),
                        None => ours = false,
                    }
                }
                match (ours && !parts.is_empty(), head) {
                    (true, 104) => {
                        let function = parts.remove(0);
                        Some(Value::Projection(Arc::new(Projection { function, args: parts })))
                    }
                    (true, _) => Some(Value::Composition(parts.into())),
                    (false, _) => None,
                }
            }
            112 => {
                self.object(depth + 1)?;
                None
            }
            _ => {
                let operand = self.object(depth + 1)?;
                match (operand, iterator(head - 106)) {
                    (Some(operand), Some(iterator)) => Some(Derived::value(operand, iterator)),
                    _ => None,
                }
            }
        })
    }

    /// A value that is no function: its object is measured, then decoded.
    fn data(&mut self) -> R {
        let bad = |_| QError::new("badmsg");
        let limits = qipc::Limits::internal();
        let len = qipc::object_len(&self.left, &limits).map_err(bad)?;
        let object = self.left.split_to(len);
        let value = qipc::decode(object, &limits).map_err(bad)?;
        revive(self.ctx, &value)
    }

    fn lambda(&mut self) -> R<Option<Value>> {
        let bad = || QError::new("badmsg");
        let end = memchr::memchr(0, &self.left).ok_or_else(bad)?;
        let context = Sym::new(&self.left[..end]);
        self.left.advance(end + 1);
        let Value::Vector(text) = self.data()? else { return Err(bad()) };
        let text = String::from_utf8_lossy(text.as_chars().ok_or_else(bad)?).into_owned();
        // kdb+ sends its own keywords as k text, and k is no q.
        if !text.starts_with('{') {
            return Ok(None);
        }
        let now = self.ctx.context();
        if now == context {
            return self.ctx.run(&text).map(Some);
        }
        self.enter(context)?;
        let made = self.ctx.run(&text);
        self.enter(now)?;
        made.map(Some)
    }

    /// Makes a namespace the current one.
    fn enter(&mut self, context: Sym) -> R {
        self.ctx.run(&format!("\\d .{}", context.text()))
    }

    fn word(&mut self, word: &str) -> Option<Value> {
        let named = word.bytes().all(|c| c.is_ascii_alphabetic());
        match named {
            true => self.ctx.lookup(Sym::new(word)),
            false => self.ctx.run(&format!("({word})")).ok(),
        }
    }
}

fn iterator(code: u8) -> Option<Iterator> {
    use Iterator::{Each, EachLeft, EachRight, Over, Prior, Scan};
    [Each, Over, Scan, Prior, EachRight, EachLeft].get(usize::from(code)).copied()
}
