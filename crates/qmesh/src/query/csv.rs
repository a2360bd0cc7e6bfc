//! Tables as comma-separated values (RFC 4180): a head line, nulls empty, texts quoted where they must be.

use std::io::{self, Write};

use kvalue::{Atom, Table, Value, atom::Scalar};

use super::console;

/// Writes a table, a keyed table, or anything else as one column `value`.
pub(super) fn write(payload: &Value, out: &mut dyn Write) -> io::Result<()> {
    match super::arrow::columns(payload) {
        Some(columns) => rows(&columns, out),
        None => {
            let t = Table::of([("value", payload.clone())]);
            match t {
                Ok(t) => rows(&t.iter().map(|(n, c)| (n.to_vec(), c.clone())).collect::<Vec<_>>(), out),
                Err(_) => writeln!(out, "value\n{}", field(&text(payload))),
            }
        }
    }
}

fn rows(columns: &[(Vec<u8>, Value)], out: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    let head: Vec<String> = columns.iter().map(|(n, _)| field(&String::from_utf8_lossy(n))).collect();
    writeln!(out, "{}", head.join(","))?;
    let len = columns.first().map_or(0, |(_, c)| c.count());
    for i in 0..len {
        for (k, (_, column)) in columns.iter().enumerate() {
            let comma = if k > 0 { "," } else { "" };
            write!(out, "{comma}{}", field(&text(&column.index(i))))?;
        }
        writeln!(out)?;
    }
    out.flush()
}

/// A value's text: floats with all their digits, strings bare, lists as the console shows them.
fn text(value: &Value) -> String {
    match value {
        Value::Atom(a) if a.is_null() => String::new(),
        Value::Atom(a @ (Atom::Float(_) | Atom::Real(_))) => match (a, a.scalar()) {
            (_, Some(Scalar::Float(x))) if x.is_infinite() => console::bare(a),
            (Atom::Real(x), _) => x.to_string(),
            (_, Some(Scalar::Float(x))) => x.to_string(),
            _ => String::new(),
        },
        Value::Atom(a) => console::bare(a),
        other => match other.as_text() {
            Some(text) => String::from_utf8_lossy(&text).into_owned(),
            None => console::text(other, console::Size::ALL).trim_end().replace('\n', ";"),
        },
    }
}

fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvalue::Vector;

    #[test]
    fn nulls_are_empty_and_texts_are_quoted() {
        let t = Table::of([
            ("a", Value::from(Vector::longs(vec![1, i64::MIN]))),
            ("b", Value::list([Value::str("x,\"y\""), Value::str("")])),
            ("c", Value::from(Vector::floats(vec![0.1 + 0.2, f64::INFINITY]))),
        ])
        .unwrap();
        let mut out = Vec::new();
        write(&t.into(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a,b,c\n1,\"x,\"\"y\"\"\",0.30000000000000004\n,,0w\n");
    }
}
