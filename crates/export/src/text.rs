//! Texts of q's values: ISO 8601 where it has a form, all digits of floats, nested values as JSON.

use std::fmt::Write as _;

use kvalue::{Atom, Type, Value, atom::Scalar};

use crate::csv::Style;

/// Appends an atom's text; nothing for a null.
pub(crate) fn atom(a: &Atom, style: Style, out: &mut String) {
    if a.is_null() {
        if let Atom::Char(c) = a {
            out.push(char::from(*c));
        }
        return;
    }
    match a {
        Atom::Boolean(b) => out.push_str(match (style, b) {
            (Style::Q, true) => "1",
            (Style::Q, false) => "0",
            (Style::Iso, true) => "true",
            (Style::Iso, false) => "false",
        }),
        Atom::Byte(b) => _ = write!(out, "{b:02x}"),
        Atom::Guid(g) => guid(g, out),
        Atom::Char(_) | Atom::Symbol(_) => out.push_str(&String::from_utf8_lossy(&a.to_le_bytes())),
        Atom::Short(_) | Atom::Int(_) | Atom::Long(_) => integer(a, out),
        Atom::Real(x) if x.is_finite() => out.push_str(ryu::Buffer::new().format_finite(*x)),
        Atom::Float(x) if x.is_finite() => out.push_str(ryu::Buffer::new().format_finite(*x)),
        Atom::Real(_) | Atom::Float(_) => out.push_str(match (style, is_positive(a)) {
            (Style::Iso, true) => "inf",
            (Style::Iso, false) => "-inf",
            (Style::Q, true) => "0w",
            (Style::Q, false) => "-0w",
        }),
        temporal => {
            let start = out.len();
            kvalue::time::write(out, temporal);
            if style == Style::Iso {
                iso(temporal.ty(), start, out);
            }
        }
    }
}

fn is_positive(a: &Atom) -> bool {
    matches!(a.scalar(), Some(Scalar::Float(x)) if x > 0.0)
}

fn integer(a: &Atom, out: &mut String) {
    match a {
        Atom::Short(i16::MAX) | Atom::Int(i32::MAX) | Atom::Long(i64::MAX) => out.push_str("0W"),
        Atom::Short(n) if *n == -i16::MAX => out.push_str("-0W"),
        Atom::Int(n) if *n == -i32::MAX => out.push_str("-0W"),
        Atom::Long(n) if *n == -i64::MAX => out.push_str("-0W"),
        _ => {
            if let Some(Scalar::Integer(Some(n))) = a.scalar() {
                let _ = write!(out, "{n}");
            }
        }
    }
}

/// q's `2024.01.02D10:00` as `2024-01-02T10:00`. Infinities have no ISO text and stay.
fn iso(ty: Type, start: usize, out: &mut String) {
    if !matches!(ty, Type::Timestamp | Type::Datetime | Type::Date | Type::Month) {
        return;
    }
    let text = out.split_off(start);
    let split = text.find(['D', 'T']).unwrap_or(text.len());
    let (date, clock) = text.split_at(split);
    out.push_str(&date.replace('.', "-"));
    out.push_str(&clock.replacen('D', "T", 1));
}

pub(crate) fn guid(bytes: &[u8; 16], out: &mut String) {
    for (i, b) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let _ = write!(out, "{b:02x}");
    }
}

/// Appends a value as JSON, as the gateway's REST interface writes it.
pub(crate) fn json(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Opaque(_) => out.push_str("null"),
        Value::Atom(a) => json_atom(a, out),
        Value::Vector(v) if v.ty() == Type::Char => {
            string(&String::from_utf8_lossy(v.as_bytes().map_or(&[][..], |b| b)), out);
        }
        Value::Vector(v) => array(v.iter().map(Value::Atom), out),
        Value::List(l) => array(l.items().iter().cloned(), out),
        Value::Table(_) => rows(value, out),
        Value::Dict(d) if d.as_keyed_table().is_some() => rows(value, out),
        Value::Dict(d) => {
            let key = |i| {
                let mut key = String::new();
                match d.keys().index(i) {
                    Value::Atom(a) => atom(&a, Style::Iso, &mut key),
                    other => json(&other, &mut key),
                }
                key
            };
            object((0..d.len()).map(|i| (key(i), d.values().index(i))), out);
        }
    }
}

fn json_atom(a: &Atom, out: &mut String) {
    let is_infinite = match (a.scalar(), Atom::infinity(a.ty()).and_then(|i| i.scalar())) {
        (Some(Scalar::Integer(Some(n))), Some(Scalar::Integer(Some(most)))) => n.abs() == most,
        (Some(Scalar::Float(x)), _) => x.is_infinite(),
        _ => false,
    };
    match a {
        Atom::Boolean(_) => atom(a, Style::Iso, out),
        Atom::Char(_) | Atom::Symbol(_) => string(&String::from_utf8_lossy(&a.to_le_bytes()), out),
        Atom::Guid(g) => {
            out.push('"');
            guid(g, out);
            out.push('"');
        }
        _ if a.is_null() || is_infinite => out.push_str("null"),
        Atom::Short(_) | Atom::Int(_) | Atom::Long(_) | Atom::Real(_) | Atom::Float(_) => {
            atom(a, Style::Iso, out);
        }
        _ => {
            out.push('"');
            atom(a, Style::Iso, out);
            out.push('"');
        }
    }
}

fn rows(value: &Value, out: &mut String) {
    let columns = crate::columns(value).unwrap_or_default();
    let len = columns.first().map_or(0, |(_, c)| c.count());
    out.push('[');
    for i in 0..len {
        if i > 0 {
            out.push(',');
        }
        let cells = columns.iter().map(|(n, c)| (String::from_utf8_lossy(n).into_owned(), c.index(i)));
        object(cells, out);
    }
    out.push(']');
}

fn object(pairs: impl Iterator<Item = (String, Value)>, out: &mut String) {
    out.push('{');
    for (i, (key, value)) in pairs.enumerate() {
        if i > 0 {
            out.push(',');
        }
        string(&key, out);
        out.push(':');
        json(&value, out);
    }
    out.push('}');
}

fn array(items: impl Iterator<Item = Value>, out: &mut String) {
    out.push('[');
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(',');
        }
        json(&item, out);
    }
    out.push(']');
}

pub(crate) fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
}
