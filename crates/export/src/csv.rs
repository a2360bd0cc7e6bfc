//! Tables as comma-separated values (RFC 4180): a head line, nulls empty, texts quoted where they must be.
//!
//! Rule: every value is there in full. Floats have all their digits, lists are JSON, bytes of symbols and strings
//! leave as they are.

use std::io::{self, Write};

use kvalue::{Atom, Type, Value};

use crate::text;

/// How times, truths and infinities look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// `2024-01-02T09:30:00.000000000`, `true`, `inf`: what other tools read.
    #[default]
    Iso,
    /// `2024.01.02D09:30:00.000000000`, `1`, `0w`: what q's `0:` reads.
    Q,
}

/// Writes a table, a keyed table, or anything else as one column `value`.
pub fn write(payload: &Value, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if let Some(columns) = crate::columns(payload) {
        return rows(&columns, style, out);
    }
    let column = match payload {
        // A vector or list is a column by itself.
        Value::Vector(v) if v.ty() != Type::Char => payload.clone(),
        Value::List(_) => payload.clone(),
        single => Value::list([single.clone()]),
    };
    rows(&[(b"value".to_vec(), column)], style, out)
}

fn write_head(columns: &[(Vec<u8>, Value)], out: &mut dyn Write) -> io::Result<()> {
    for (k, (name, _)) in columns.iter().enumerate() {
        if k > 0 {
            out.write_all(b",")?;
        }
        put(name, columns.len() == 1, out)?;
    }
    out.write_all(b"\n")
}

fn rows(columns: &[(Vec<u8>, Value)], style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    write_head(columns, &mut out)?;
    let len = columns.first().map_or(0, |(_, c)| c.count());
    let mut cell = String::new();
    for i in 0..len {
        for (k, (_, column)) in columns.iter().enumerate() {
            if k > 0 {
                out.write_all(b",")?;
            }
            write_cell(&column.index(i), style, columns.len() == 1, &mut cell, &mut out)?;
        }
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn write_cell(
    value: &Value,
    style: Style,
    alone: bool,
    cell: &mut String,
    out: &mut dyn Write,
) -> io::Result<()> {
    cell.clear();
    match value {
        Value::Null => {}
        Value::Atom(Atom::Symbol(s)) => return put(s.as_bytes(), alone, out),
        Value::Atom(Atom::Char(c)) => return put(&[*c], alone, out),
        Value::Atom(a) => text::atom(a, style, cell),
        Value::Vector(v) if v.ty() == Type::Char => {
            return put(v.as_bytes().map_or(&[][..], |b| b), alone, out);
        }
        nested => text::json(nested, cell),
    }
    put(cell.as_bytes(), alone, out)
}

/// A field, in quotes where it must be. An empty field `alone` in its line is quoted: readers skip empty lines.
fn put(field: &[u8], alone: bool, out: &mut dyn Write) -> io::Result<()> {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_whitespace);
    let quote = field.iter().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r'))
        || edge(field.first())
        || edge(field.last())
        || (alone && field.is_empty());
    if !quote {
        return out.write_all(field);
    }
    out.write_all(b"\"")?;
    for (i, part) in field.split(|b| *b == b'"').enumerate() {
        if i > 0 {
            out.write_all(b"\"\"")?;
        }
        out.write_all(part)?;
    }
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvalue::{Table, Vector};

    fn csv(payload: &Value, style: Style) -> String {
        let mut out = Vec::new();
        write(payload, style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn sample() -> Value {
        Table::of([
            ("t", Value::from(Vector::timestamps(vec![757_503_000_123_456_789, i64::MIN]))),
            ("d", Vector::new::<i32>(Type::Date, vec![8767, i32::MAX]).into()),
            ("n", Vector::new::<i64>(Type::Timespan, vec![-1, 86_400_000_000_000]).into()),
            ("b", Value::list([Value::str("x,\"y\""), Value::str("")])),
            ("c", Value::from(Vector::floats(vec![0.1 + 0.2, f64::INFINITY]))),
            ("l", Value::list([Value::from(Vector::floats(vec![1.0 / 3.0])), Value::list([])])),
        ])
        .unwrap()
        .into()
    }

    #[test]
    fn iso_is_what_other_tools_read() {
        assert_eq!(
            csv(&sample(), Style::Iso),
            "t,d,n,b,c,l\n\
             2024-01-02T09:30:00.123456789,2024-01-02,-0D00:00:00.000000001,\"x,\"\"y\"\"\",0.30000000000000004,[0.3333333333333333]\n\
             ,0Wd,1D00:00:00.000000000,,inf,[]\n"
        );
    }

    #[test]
    fn q_style_is_what_q_reads() {
        let text = csv(&sample(), Style::Q);
        assert!(text.contains("2024.01.02D09:30:00.123456789,2024.01.02,") && text.contains("0w"), "{text}");
    }

    #[test]
    fn a_null_that_is_alone_in_its_line_is_no_empty_line() {
        let t: Value = Table::of([("a", Value::syms(["x", "", "y"]))]).unwrap().into();
        assert_eq!(csv(&t, Style::Iso), "a\nx\n\"\"\ny\n");
    }
}
