//! Operators and functions by whatever a client sends for them: a symbol, a text, or q's own function.
//!
//! q's primitives travel as one code byte behind their type (`qipc-spec.md` §5.8); `<>`, `<=` and `>=` are not
//! primitives but compositions of `~:` with `=`, `>` and `<`. Other functions are no primitives either: they travel as
//! kdb+ 4.0 defines them (public copies of its `q.k` of 2020.05.04), `all` and `any` as compositions, `svar`, `sdev`
//! and `scov` as their source text. Another release may write them otherwise; what is not known here is never guessed
//! at. Tests: here.

use kvalue::{Sym, Value};

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

/// Source text of functions that q sends as lambdas, without the `k)` in front.
const LAMBDAS: [(&str, &str); 3] = [
    ("{(n*var x)%-1+n:(#x)-+/^x}", "svar"),
    ("{sqrt svar x}", "sdev"),
    ("{(n*cov[x;y])%-1+n:(#x)-+/^x+y}", "scov"),
];
/// Namespaces of a lambda, in which the names in its text are q's own.
const OF_Q: [&[u8]; 2] = [b"", b"q"];

const LAMBDA_TYPE: u8 = 100;
const UNARY_TYPE: u8 = 101;
const BINARY_TYPE: u8 = 102;
const PROJECTION_TYPE: u8 = 104;
const COMPOSITION_TYPE: u8 = 105;
/// `"b"$`: its code, and the character that follows.
const TO_BOOLEAN: [u8; 4] = [BINARY_TYPE, 11, -10i8 as u8, b'b'];

/// What stands where an operator or a function is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// a name
    Name(Sym),
    /// a function of q that has no name here
    Unknown,
}

/// The word a value is; `None` where it is neither a name nor a function.
pub(crate) fn word(value: &Value) -> Option<Word> {
    match value {
        Value::Opaque(function) => {
            Some(primitive(function.bytes()).map_or(Word::Unknown, |n| Word::Name(n.into())))
        }
        other => Some(Word::Name(other.as_name()?)),
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
        [COMPOSITION_TYPE, 2, 0, 0, 0, UNARY_TYPE, code @ (27 | 28), of @ ..] if is_to_boolean(of) => {
            match code {
                27 => Some("all"),
                _ => Some("any"),
            }
        }
        [LAMBDA_TYPE, rest @ ..] => lambda(rest),
        _ => None,
    }
}

/// The projection of `$` on `"b"`, with its open place said or not.
fn is_to_boolean(object: &[u8]) -> bool {
    match object {
        [PROJECTION_TYPE, 2, 0, 0, 0, of @ ..] => of == TO_BOOLEAN,
        [PROJECTION_TYPE, 3, 0, 0, 0, of @ .., UNARY_TYPE, 0xff] => of == TO_BOOLEAN,
        _ => false,
    }
}

fn lambda(object: &[u8]) -> Option<&'static str> {
    let end = object.iter().position(|b| *b == 0)?;
    let text = std::str::from_utf8(object.get(end + 7..)?).ok()?;
    let text = text.strip_prefix("k)").unwrap_or(text).trim();
    let known = LAMBDAS.iter().find(|(source, _)| *source == text)?;
    OF_Q.contains(&&object[..end]).then_some(known.1)
}

#[cfg(test)]
mod tests {
    use kvalue::Opaque;

    use super::*;

    fn function(bytes: &'static [u8]) -> Option<Word> {
        word(&Value::Opaque(Opaque::new(bytes::Bytes::from_static(bytes))))
    }

    /// A lambda of a namespace.
    fn source(of: &str, text: &str) -> Option<Word> {
        let mut object = vec![LAMBDA_TYPE];
        object.extend(of.bytes().chain([0, 10, 0]));
        object.extend((text.len() as u32).to_le_bytes());
        object.extend(text.bytes());
        word(&Value::Opaque(Opaque::new(object.into())))
    }

    #[test]
    fn functions_that_q_defines_in_its_own_source_are_known_by_it() {
        let name = |n: &str| Some(Word::Name(n.into()));
        for (text, known) in LAMBDAS {
            assert_eq!(source("q", &format!("k){text}")), name(known));
            assert_eq!(source("", text), name(known));
        }
        assert_eq!(source("mine", "{sqrt svar x}"), Some(Word::Unknown), "its svar may be another");
        assert_eq!(source("q", "k){sqrt var x}"), Some(Word::Unknown));
        for (code, known) in [(27, "all"), (28, "any")] {
            let head = [105, 2, 0, 0, 0, 101, code];
            for projection in
                [&[104, 2, 0, 0, 0, 102, 11, 246, b'b'][..], &[104, 3, 0, 0, 0, 102, 11, 246, b'b', 101, 255]]
            {
                let whole = [&head[..], projection].concat();
                assert_eq!(word(&Value::Opaque(Opaque::new(whole.into()))), name(known));
            }
            let to_int = [&head[..], &[104, 2, 0, 0, 0, 102, 11, 246, b'i']].concat();
            assert_eq!(word(&Value::Opaque(Opaque::new(to_int.into()))), Some(Word::Unknown));
        }
        assert_eq!(source("", ""), Some(Word::Unknown));
        assert_eq!(function(b"\x64"), Some(Word::Unknown));
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
