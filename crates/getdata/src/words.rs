//! Operators and functions by whatever a client sends for them: a symbol, a text, or q's own function.
//!
//! q's primitives travel as one code byte behind their type (`qipc-spec.md` §5.8); `<>`, `<=` and `>=` are not
//! primitives but compositions of `~:` with `=`, `>` and `<`. Functions that q sends as lambdas of its own source
//! (`svar`, `all`, ...) are not recognised: their text differs between releases. Tests: here.

use kvalue::Value;

/// Codes of unary primitives (type 101) that getData knows, under the names it uses.
const UNARY: [(u8, &str); 12] = [
    (3, "first"),
    (13, "count"),
    (15, "not"),
    (17, "distinct"),
    (23, "avg"),
    (24, "last"),
    (25, "sum"),
    (26, "prd"),
    (27, "min"),
    (28, "max"),
    (42, "var"),
    (43, "dev"),
];

/// Codes of binary primitives (type 102).
const BINARY: [(u8, &str); 12] = [
    (5, "and"),
    (6, "or"),
    (8, "="),
    (9, "<"),
    (10, ">"),
    (23, "in"),
    (24, "within"),
    (25, "like"),
    (29, "wsum"),
    (30, "wavg"),
    (35, "cov"),
    (36, "cor"),
];

const UNARY_TYPE: u8 = 101;
const BINARY_TYPE: u8 = 102;
const COMPOSITION_TYPE: u8 = 105;

/// What stands where an operator or a function is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// a name
    Name(String),
    /// a function of q that has no name here
    Unknown,
}

/// The word a value is; `None` where it is neither a name nor a function.
pub(crate) fn word(value: &Value) -> Option<Word> {
    match value {
        Value::Opaque(function) => {
            Some(primitive(function.bytes()).map_or(Word::Unknown, |n| Word::Name(n.into())))
        }
        other => Some(Word::Name(other.as_name()?.text().into_owned())),
    }
}

fn primitive(object: &[u8]) -> Option<&'static str> {
    let named = |table: &[(u8, &'static str)], code: u8| table.iter().find(|e| e.0 == code).map(|e| e.1);
    match object {
        [UNARY_TYPE, code] => named(&UNARY, *code),
        [BINARY_TYPE, code] => named(&BINARY, *code),
        [COMPOSITION_TYPE, 2, 0, 0, 0, UNARY_TYPE | BINARY_TYPE, 15, BINARY_TYPE, code] => match code {
            8 => Some("<>"),
            9 => Some(">="),
            10 => Some("<="),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kvalue::Opaque;

    use super::*;

    fn function(bytes: &'static [u8]) -> Option<Word> {
        word(&Value::Opaque(Opaque::new(bytes::Bytes::from_static(bytes))))
    }

    #[test]
    fn names_come_as_symbols_texts_and_primitives() {
        let name = |n: &str| Some(Word::Name(n.into()));
        assert_eq!(word(&Value::sym("in")), name("in"));
        assert_eq!(word(&Value::str("=")), name("="));
        assert_eq!(word(&Value::Atom(kvalue::Atom::Char(b'<'))), name("<"));
        assert_eq!(function(&[102, 8]), name("="));
        assert_eq!(function(&[102, 24]), name("within"));
        assert_eq!(function(&[101, 27]), name("min"));
        assert_eq!(function(&[105, 2, 0, 0, 0, 101, 15, 102, 10]), name("<="));
        assert_eq!(function(b"\x64\0\x0a\0\x05\0\0\0{x+y}"), Some(Word::Unknown));
        assert_eq!(word(&Value::from(1i64)), None);
    }
}
