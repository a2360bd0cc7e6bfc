//! A value as q text on one line.

use std::sync::Arc;

use kvalue::{Attr, Type};

use super::{atom, precision};
use crate::{
    ctx::Settings,
    value::{Data, Dict, Domain, Scalar, Table, Value, Vector},
};

/// q text of a value on one line. Work stops soon after `limit` bytes are written: what a console cuts off needs
/// no text.
pub fn inline_bytes(v: &Value, s: &Settings, limit: usize) -> Vec<u8> {
    let mut w = Writer { out: Vec::new(), digits: precision(s), limit };
    w.value(v, 0);
    w.out
}

struct Writer {
    out: Vec<u8>,
    digits: usize,
    limit: usize,
}

/// Deeper nesting is shown as `..`: text of a value is no reason to overflow the stack.
const DEPTH: usize = 400;

impl Writer {
    fn full(&self) -> bool {
        self.out.len() > self.limit
    }

    fn put(&mut self, text: impl AsRef<[u8]>) {
        self.out.extend_from_slice(text.as_ref());
    }

    fn value(&mut self, v: &Value, depth: usize) {
        if depth > DEPTH {
            return self.put("..");
        }
        match v {
            Value::Nil | Value::Hole => self.put("::"),
            Value::Enum(e) => match &e.domain.list {
                Value::Nil => {
                    self.domain(&e.domain, b'!');
                    super::float::integer(&mut self.out, e.index);
                }
                _ => {
                    self.domain(&e.domain, b'$');
                    self.value(&e.value(), depth + 1);
                }
            },
            Value::Vector(v) => self.vector(v, depth),
            Value::List(l) => {
                if l.attr != Attr::None {
                    self.attr(l.attr);
                }
                self.list(l, depth);
            }
            Value::Dict(d) => self.dict(d, depth),
            Value::Table(t) => self.table(t, depth),
            Value::Mapped(m) => {
                self.put("+");
                self.names(&m.stored());
                self.put("!");
                self.put("`");
                self.put(m.name().bytes());
            }
            Value::Lambda(l) => self.put(&*l.text),
            // `enlist` is the only unary shown as a word by kdb+.
            Value::Prim(p) if p.word == "enlist" => self.put(p.word),
            Value::Prim(p) => self.put(p.text),
            Value::Iterator(i) => self.put(i.text()),
            Value::Projection(p) => {
                self.function(&p.function, depth);
                self.put("[");
                for (i, a) in p.args.iter().enumerate() {
                    if i > 0 {
                        self.put(";");
                    }
                    if !matches!(a, Value::Hole) {
                        self.value(a, depth + 1);
                    }
                }
                self.put("]");
            }
            Value::Composition(fs) => {
                for f in fs.iter() {
                    self.function(f, depth);
                }
            }
            Value::Derived(d) => {
                self.function(&d.operand, depth);
                self.put(d.iterator.text());
            }
            Value::Host(h) => self.put(h.name()),
            atom => {
                if let Some((ty, x)) = atom.as_scalar() {
                    atom::literal(&mut self.out, ty, x, self.digits);
                }
            }
        }
    }

    /// A function that something stands behind.
    fn function(&mut self, v: &Value, depth: usize) {
        match v {
            Value::Composition(_) => {
                self.put("(");
                self.value(v, depth + 1);
                self.put(")");
            }
            v => self.value(v, depth + 1),
        }
    }

    fn attr(&mut self, attr: Attr) {
        self.put("`");
        self.put(attr.letter());
        self.put("#");
    }

    fn domain(&mut self, domain: &Domain, sign: u8) {
        self.put("`");
        self.put(domain.name.bytes());
        self.out.push(sign);
    }

    fn names(&mut self, names: &[crate::value::Sym]) {
        if names.len() == 1 {
            self.put("(,`");
            self.put(names[0].bytes());
            return self.put(")");
        }
        for n in names {
            self.put("`");
            self.put(n.bytes());
        }
    }

    fn vector(&mut self, v: &Arc<Vector>, depth: usize) {
        if v.attr != Attr::None {
            self.attr(v.attr);
        }
        if let Data::Enum(domain, codes) = &v.data {
            if matches!(domain.list, Value::Nil) {
                self.domain(domain, b'!');
                return self.scalars(Type::Long, codes.iter().map(|&c| Scalar::I64(c)), codes.len());
            }
            self.domain(domain, b'$');
            if codes.is_empty() {
                return self.put("()");
            }
            return self.value(&v.resolved(), depth + 1);
        }
        let n = v.len();
        match &v.data {
            Data::Bool(d) => self.scalars(v.ty, d.iter().map(|&x| Scalar::Bool(x)), n),
            Data::Guid(d) => self.scalars(v.ty, d.iter().map(|&x| Scalar::Guid(x)), n),
            Data::U8(d) => self.scalars(v.ty, d.iter().map(|&x| Scalar::U8(x)), n),
            Data::I16(d) => self.scalars(v.ty, d.iter().map(|&x| Scalar::I16(x)), n),
            Data::I32(d) => self.scalars(v.ty, d.iter().map(|&x| Scalar::I32(x)), n),
            Data::I64(d) => self.scalars(v.ty, d.iter().map(|&x| Scalar::I64(x)), n),
            Data::F32(d) => self.scalars(v.ty, d.iter().map(|&x| Scalar::F32(x)), n),
            Data::F64(d) => self.scalars(v.ty, d.iter().map(|&x| Scalar::F64(x)), n),
            Data::Sym(d) => self.scalars(v.ty, d.iter().map(|&x| Scalar::Sym(x)), n),
            Data::Enum(..) => {}
        }
    }

    fn scalars(&mut self, ty: Type, items: impl Iterator<Item = Scalar>, n: usize) {
        if n == 0 && ty != Type::Char {
            self.put("`");
            self.put(ty.name());
            return self.put("$()");
        }
        if n == 1 {
            self.put(",");
        }
        match ty {
            Type::Char => {
                let mut text = Vec::new();
                for x in items.take(self.limit.saturating_sub(self.out.len()).saturating_add(1)) {
                    if let Scalar::U8(b) = x {
                        text.push(b);
                    }
                }
                atom::quoted(&mut self.out, &text);
            }
            Type::Symbol => {
                for x in items {
                    if self.full() {
                        return;
                    }
                    atom::literal(&mut self.out, ty, x, self.digits);
                }
            }
            Type::Boolean | Type::Byte => {
                if ty == Type::Byte {
                    self.put("0x");
                }
                for x in items {
                    if self.full() {
                        return;
                    }
                    atom::plain(&mut self.out, ty, x, self.digits);
                }
                if ty == Type::Boolean {
                    self.put("b");
                }
            }
            _ => {
                let mut told = false;
                for (i, x) in items.enumerate() {
                    if self.full() {
                        return;
                    }
                    if i > 0 {
                        self.put(" ");
                    }
                    told |= atom::element(&mut self.out, ty, x, self.digits);
                }
                if !told {
                    self.out.push(ty.letter() as u8);
                }
            }
        }
    }

    fn list(&mut self, items: &[Value], depth: usize) {
        if let [only] = items {
            self.put(",");
            return self.value(only, depth + 1);
        }
        self.put("(");
        for (i, v) in items.iter().enumerate() {
            if self.full() {
                return;
            }
            if i > 0 {
                self.put(";");
            }
            self.value(v, depth + 1);
        }
        self.put(")");
    }

    fn dict(&mut self, d: &Dict, depth: usize) {
        if d.sorted {
            self.attr(Attr::Sorted);
        }
        let bracketed = match &d.keys {
            Value::Dict(_) | Value::Table(_) | Value::Mapped(_) => true,
            Value::Vector(v) => v.len() == 1 || v.is_empty() && v.ty != Type::Char || v.number() == 20,
            Value::List(l) => l.len() == 1,
            _ => false,
        };
        if bracketed {
            self.put("(");
        }
        self.value(&d.keys, depth + 1);
        if bracketed {
            self.put(")");
        }
        self.put("!");
        self.value(&d.values, depth + 1);
    }

    fn table(&mut self, t: &Table, depth: usize) {
        if t.sorted {
            self.attr(Attr::Sorted);
        }
        self.put("+");
        self.names(&t.names);
        self.put("!");
        self.list(&t.columns, depth);
    }
}
