//! Values in error messages: short, whatever a client sent.

use kvalue::{Atom, Value, time};

/// Characters of a value that a message shows.
const SHOWN: usize = 60;

/// A value for error messages: the text if short, else type and count.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Atom(a) => atom(a),
        other => match other.as_text() {
            Some(text) => format!("\"{}\"", cut(&String::from_utf8_lossy(&text))),
            None => match other.count() {
                1 => format!("a {} of 1 item", other.type_name()),
                n => format!("a {} of {n} items", other.type_name()),
            },
        },
    }
}

/// An atom with its type.
pub(crate) fn atom(a: &Atom) -> String {
    let text = match a {
        Atom::Boolean(b) => b.to_string(),
        Atom::Symbol(s) => return format!("`{}", cut(&s.text())),
        Atom::Char(c) => return format!("\"{}\"", char::from(*c)),
        Atom::Guid(_) => return "a guid".into(),
        _ if a.is_null() => return format!("a null {}", a.ty()),
        _ if a.ty().is_temporal() => time::text(a),
        _ => match a.scalar() {
            Some(kvalue::atom::Scalar::Integer(Some(n))) => n.to_string(),
            Some(kvalue::atom::Scalar::Float(x)) => x.to_string(),
            _ => String::new(),
        },
    };
    format!("the {} {text}", a.ty())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_short_and_with_their_type() {
        assert_eq!(value(&Value::from(3i64)), "the long 3");
        assert_eq!(value(&Value::sym("a")), "`a");
        assert_eq!(value(&Value::str("x y")), "\"x y\"");
        assert_eq!(value(&Value::syms(["a", "b"])), "a symbol vector of 2 items");
        assert_eq!(value(&Value::str("ü".repeat(100))), format!("\"{}...\"", "ü".repeat(60)));
    }
}
