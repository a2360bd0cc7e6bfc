//! KX's structured text: a table by column, each value as the text that q's `string` gives.
//!
//! `{"columns":[{"name","type","values","order"[,"isKey"][,"attributes"]}…],"count"}`, as the TypeScript types of KX's
//! VS Code extension say it. `order` has the rows in ascending order of the column, or a sentence where its values
//! have no order. A dictionary is a key column and a value column, anything else one column.

use std::cmp::Ordering;

use kvalue::{Atom, Type, Value, atom::Scalar};

use crate::{csv::Style, text};

/// A payload that has nothing.
pub const EMPTY: &str = r#"{"columns":[],"count":0}"#;

/// Appends a payload as structured text.
pub fn write(payload: &Value, out: &mut String) {
    let mut columns: Vec<(String, Value, bool)> = Vec::new();
    let name = |n: &[u8]| String::from_utf8_lossy(n).into_owned();
    match payload {
        Value::Table(t) => columns.extend(t.iter().map(|(n, c)| (name(n), c.clone(), false))),
        Value::Dict(d) => match d.as_keyed_table() {
            Some((keys, values)) => {
                columns.extend(keys.iter().map(|(n, c)| (name(n), c.clone(), true)));
                columns.extend(values.iter().map(|(n, c)| (name(n), c.clone(), false)));
            }
            None => {
                columns.push(("key".into(), d.keys().clone(), true));
                columns.push(("value".into(), d.values().clone(), false));
            }
        },
        Value::Vector(v) if v.ty() != Type::Char => columns.push(("value".into(), payload.clone(), false)),
        // What a failure carries.
        Value::List(l) if l.is_empty() => {}
        Value::List(_) => columns.push(("value".into(), payload.clone(), false)),
        single => columns.push(("value".into(), Value::list([single.clone()]), false)),
    }
    out.push_str("{\"columns\":[");
    for (k, (name, column, is_key)) in columns.iter().enumerate() {
        if k > 0 {
            out.push(',');
        }
        write_column(name, column, *is_key, out);
    }
    let count = columns.first().map_or(0, |(_, c, _)| c.count());
    out.push_str("],\"count\":");
    out.push_str(&count.to_string());
    out.push('}');
}

fn write_column(name: &str, column: &Value, is_key: bool, out: &mut String) {
    out.push_str("{\"name\":");
    text::string(name, out);
    out.push_str(",\"type\":");
    text::string(&type_of(column), out);
    out.push_str(",\"values\":[");
    let mut cell = String::new();
    for row in 0..column.count() {
        if row > 0 {
            out.push(',');
        }
        cell.clear();
        write_value(&column.index(row), &mut cell);
        text::string(&cell, out);
    }
    out.push_str("],\"order\":");
    match ascending(column) {
        Some(rows) => {
            out.push('[');
            for (k, row) in rows.iter().enumerate() {
                if k > 0 {
                    out.push(',');
                }
                out.push_str(&row.to_string());
            }
            out.push(']');
        }
        None => text::string("a column of mixed or nested values has no order", out),
    }
    if is_key {
        out.push_str(",\"isKey\":true");
    }
    let attr = match column {
        Value::Vector(v) => v.attr().letter(),
        Value::List(l) => l.attr().letter(),
        _ => "",
    };
    if !attr.is_empty() {
        out.push_str(",\"attributes\":");
        text::string(attr, out);
    }
    out.push('}');
}

/// The name of a column's type: q's, in the plural for vectors.
fn type_of(column: &Value) -> String {
    match column {
        Value::Vector(v) => format!("{}s", v.ty().name()),
        Value::List(l) if !l.is_empty() && l.items().iter().all(|i| as_text(i).is_some()) => "strings".into(),
        _ => "list".into(),
    }
}

fn as_text(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Vector(v) if v.ty() == Type::Char => v.as_bytes().map(|b| &b[..]),
        _ => None,
    }
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Atom(a) => text::atom(a, Style::Q, out),
        other => match as_text(other) {
            Some(text) => out.push_str(&String::from_utf8_lossy(text)),
            None => text::json(other, out),
        },
    }
}

/// The rows in ascending order, equal ones as they stand; `None` where the values have no order.
fn ascending(column: &Value) -> Option<Vec<usize>> {
    let mut rows: Vec<usize> = (0..column.count()).collect();
    match column {
        Value::Vector(v) => {
            let atoms: Vec<Atom> = v.iter().collect();
            rows.sort_by(|a, b| compare(&atoms[*a], &atoms[*b]));
        }
        Value::List(l) => {
            let texts = l.items().iter().map(as_text).collect::<Option<Vec<_>>>()?;
            rows.sort_by(|a, b| texts[*a].cmp(texts[*b]));
        }
        _ => return None,
    }
    Some(rows)
}

fn compare(a: &Atom, b: &Atom) -> Ordering {
    match (a.scalar(), b.scalar()) {
        // Nulls first: `None` is less than any number, and so is NaN to q.
        (Some(Scalar::Integer(a)), Some(Scalar::Integer(b))) => a.cmp(&b),
        (Some(Scalar::Float(a)), Some(Scalar::Float(b))) => match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        },
        _ => a.to_le_bytes().cmp(&b.to_le_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use kvalue::{Dict, Table, Vector, types::Attr};

    use super::*;

    fn text(value: &Value) -> String {
        let mut out = String::new();
        write(value, &mut out);
        out
    }

    #[test]
    fn a_table_is_written_by_column_with_its_order() {
        let t = Table::of([
            ("sym", Value::from(Vector::syms(["b", "a"]).with_attr(Attr::Grouped))),
            ("n", Vector::longs(vec![3, i64::MIN]).into()),
            ("t", Vector::timestamps(vec![0, 1]).into()),
            ("s", Value::list([Value::str("x\"y"), Value::str("")])),
            ("m", Value::list([Value::str("x"), Value::from(1i64)])),
        ]);
        assert_eq!(
            text(&t.unwrap().into()),
            concat!(
                r#"{"columns":[{"name":"sym","type":"symbols","values":["b","a"],"order":[1,0],"attributes":"g"},"#,
                r#"{"name":"n","type":"longs","values":["3",""],"order":[1,0]},"#,
                r#"{"name":"t","type":"timestamps","values":["2000.01.01D00:00:00.000000000","2000.01.01D00:00:00.000000001"],"order":[0,1]},"#,
                r#"{"name":"s","type":"strings","values":["x\"y",""],"order":[1,0]},"#,
                r#"{"name":"m","type":"list","values":["x","1"],"order":"a column of mixed or nested values has no order"}"#,
                r#"],"count":2}"#
            )
        );
    }

    #[test]
    fn keys_are_marked_and_single_values_are_one_column() {
        let side = |n: &str| Table::of([(n, Value::from(Vector::longs(vec![1, 2])))]).unwrap();
        let keyed = Dict::new(side("k").into(), side("v").into()).unwrap();
        let written = text(&keyed.into());
        assert!(
            written.contains(r#"{"name":"k","type":"longs","values":["1","2"],"order":[0,1],"isKey":true}"#)
        );
        assert_eq!(written.matches("isKey").count(), 1);
        let one = text(&Value::from(true));
        assert!(one.contains(r#""values":["1"]"#) && one.ends_with(r#""count":1}"#), "{one}");
        assert_eq!(text(&Value::list([])), EMPTY);
    }
}
