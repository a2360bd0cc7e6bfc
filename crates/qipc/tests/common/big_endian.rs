//! The encoding that old big-endian peers send.
#![allow(unreachable_pub)] // the lint does not know that test files share modules

use kvalue::{Type, Value, Vector};

/// A value as a big-endian peer writes it: another encoder than the crate's, straight from the layout.
/// Functions are little-endian bytes, so they must hold no number of more than one byte.
pub fn big_endian(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::Null => out.extend([101, 0]),
        Value::Atom(a) => {
            out.push(a.ty().number().wrapping_neg());
            out.extend(turned(a.ty(), &a.to_le_bytes()));
            if a.ty() == Type::Symbol {
                out.push(0);
            }
        }
        Value::Vector(v) => {
            out.extend([v.ty().number(), v.attr().number()]);
            out.extend((v.len() as u32).to_be_bytes());
            match v.as_symbols() {
                Some(s) => out.extend(s.to_wire()),
                None => out.extend(turned(v.ty(), v.as_bytes().unwrap())),
            }
        }
        Value::List(l) => {
            out.extend([0, l.attr().number()]);
            out.extend((l.len() as u32).to_be_bytes());
            out.extend(l.items().iter().flat_map(big_endian));
        }
        Value::Dict(d) => {
            out.push(if d.is_sorted() { 127 } else { 99 });
            out.extend(big_endian(d.keys()));
            out.extend(big_endian(d.values()));
        }
        Value::Table(t) => {
            out.extend([98, t.attr().number(), 99]);
            out.extend(big_endian(&Value::Vector(Vector::symbols(t.names().clone()))));
            out.extend(big_endian(&Value::list(t.columns())));
        }
        Value::Opaque(f) => out.extend(f.bytes()),
    }
    out
}

fn turned(ty: Type, bytes: &[u8]) -> Vec<u8> {
    match ty.width() {
        Some(width) if ty != Type::Guid => {
            bytes.chunks(width).flat_map(|c| c.iter().rev().copied().collect::<Vec<u8>>()).collect()
        }
        _ => bytes.to_vec(),
    }
}
