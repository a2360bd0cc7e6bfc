//! Values as JSON.

use std::sync::Arc;

use kvalue::Type;

use crate::{
    QError, R,
    format::{self, atom},
    value::{Scalar, Sym, Table, Value, Vector},
};

/// JSON of a value: dictionaries and rows of tables as objects, lists as arrays, nulls of numbers as `null`, all
/// else that is no number or boolean as text.
pub fn write(v: &Value, digits: usize, null_infinity: bool) -> R<Vec<u8>> {
    let mut w = Writer { out: Vec::new(), digits, null_infinity };
    w.value(v, 0)?;
    Ok(w.out)
}

struct Writer {
    out: Vec<u8>,
    digits: usize,
    null_infinity: bool,
}

impl Writer {
    fn value(&mut self, v: &Value, depth: usize) -> R<()> {
        if depth > 400 {
            return Err(QError::stack());
        }
        match v {
            Value::Nil | Value::Hole => self.out.extend_from_slice(b"null"),
            Value::Vector(v) => match v.as_chars() {
                Some(text) => self.text(text),
                None => self.vector(v, depth)?,
            },
            Value::List(l) => {
                self.out.push(b'[');
                for (i, item) in l.iter().enumerate() {
                    if i > 0 {
                        self.out.push(b',');
                    }
                    self.value(item, depth + 1)?;
                }
                self.out.push(b']');
            }
            Value::Dict(d) => match d.as_keyed() {
                Some((k, v)) => {
                    let names: Vec<Sym> = k.names.iter().chain(v.names.iter()).copied().collect();
                    let columns = k.columns.iter().chain(&v.columns).cloned().collect();
                    self.table(&Table { names: names.into(), columns, sorted: false }, depth)?;
                }
                None => {
                    self.out.push(b'{');
                    for i in 0..d.len() {
                        if i > 0 {
                            self.out.push(b',');
                        }
                        self.key(&d.keys.at(i));
                        self.out.push(b':');
                        self.value(&d.values.at(i), depth + 1)?;
                    }
                    self.out.push(b'}');
                }
            },
            Value::Table(t) => self.table(t, depth)?,
            Value::Mapped(m) => self.value(&m.load()?, depth + 1)?,
            Value::Enum(e) => self.value(&e.value(), depth + 1)?,
            v => match v.as_scalar() {
                Some((ty, x)) => self.scalar(ty, x),
                None => {
                    let text = format::inline_bytes(v, &Default::default(), usize::MAX);
                    self.text(&text);
                }
            },
        }
        Ok(())
    }

    fn vector(&mut self, v: &Arc<Vector>, depth: usize) -> R<()> {
        self.out.push(b'[');
        for i in 0..v.len() {
            if i > 0 {
                self.out.push(b',');
            }
            self.value(&v.at(i), depth + 1)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn key(&mut self, key: &Value) {
        match (key.as_name(), key.as_scalar()) {
            (Some(name), _) => self.text(&name),
            (None, Some((ty, x))) => {
                let mut text = Vec::new();
                atom::plain(&mut text, ty, x, self.digits);
                self.text(&text);
            }
            _ => {
                let text = format::inline_bytes(key, &Default::default(), usize::MAX);
                self.text(&text);
            }
        }
    }

    fn table(&mut self, t: &Table, depth: usize) -> R<()> {
        let names: Vec<Vec<u8>> = t
            .names
            .iter()
            .map(|n| {
                let mut w = Writer { out: Vec::new(), digits: self.digits, null_infinity: false };
                w.text(n.bytes());
                w.out
            })
            .collect();
        self.out.push(b'[');
        for row in 0..t.len() {
            self.out.extend_from_slice(if row > 0 { b",\n {" } else { b"{" });
            for (i, (name, column)) in names.iter().zip(&t.columns).enumerate() {
                if i > 0 {
                    self.out.push(b',');
                }
                self.out.extend_from_slice(name);
                self.out.push(b':');
                self.value(&column.at(row), depth + 1)?;
            }
            self.out.push(b'}');
        }
        self.out.push(b']');
        Ok(())
    }

    fn scalar(&mut self, ty: Type, x: Scalar) {
        match (ty, x) {
            (Type::Boolean, Scalar::Bool(b)) => {
                self.out.extend_from_slice(if b { b"true" } else { b"false" })
            }
            (Type::Float | Type::Real, x) => match x.as_f64() {
                Some(f) if f.is_infinite() && self.null_infinity => self.out.extend_from_slice(b"null"),
                Some(f) if f.is_infinite() => {
                    self.out.extend_from_slice(if f > 0.0 { b"inf" } else { b"-inf" })
                }
                _ => self.number(ty, x),
            },
            (Type::Short | Type::Int | Type::Long, x) => self.number(ty, x),
            (Type::Char, Scalar::U8(b)) => self.text(&[b]),
            (ty, x) => {
                let mut text = Vec::new();
                atom::plain(&mut text, ty, x, self.digits);
                if matches!(ty, Type::Timestamp | Type::Date | Type::Datetime | Type::Month) {
                    text.iter_mut().take(8).filter(|b| **b == b'.').for_each(|b| *b = b'-');
                }
                self.text(&text);
            }
        }
    }

    fn number(&mut self, ty: Type, x: Scalar) {
        let start = self.out.len();
        atom::plain(&mut self.out, ty, x, self.digits);
        if self.out.len() == start {
            self.out.extend_from_slice(b"null");
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for &b in text {
            match b {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                0x08 => self.out.extend_from_slice(b"\\b"),
                0x0c => self.out.extend_from_slice(b"\\f"),
                0..=0x1f => self.out.extend_from_slice(format!("\\u{b:04x}").as_bytes()),
                b => self.out.push(b),
            }
        }
        self.out.push(b'"');
    }
}
