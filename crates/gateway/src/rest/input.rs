//! What a REST request says: JSON bodies, read leniently, and query parameters.
//!
//! Strict JSON is tried first because it is fast, then JSON5: unquoted keys, single quotes, comments, trailing
//! commas. Nesting is bounded in both. Tests: below.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Deepest nesting of a body.
pub(super) const MAX_DEPTH: usize = 64;
/// Most parameters of a query.
const MAX_PARAMETERS: usize = 256;

/// A JSON value; objects keep the order of their keys.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// The object of a body; an empty body is an empty object.
pub(super) fn body(bytes: &[u8]) -> Result<Vec<(String, Json)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("the body is not UTF-8: {e}"))?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    match parse(text).map_err(|e| format!("the body is not JSON: {e}"))? {
        Json::Object(fields) => Ok(fields),
        other => Err(format!("the body must be a JSON object of arguments, not {}", other.kind())),
    }
}

fn parse(text: &str) -> Result<Json, String> {
    let mut strict = serde_json::Deserializer::from_str(text);
    if let Ok(value) = Depth(MAX_DEPTH).deserialize(&mut strict)
        && strict.end().is_ok()
    {
        return Ok(value);
    }
    json5::from_str::<Whole>(text).map(|whole| whole.0).map_err(|e| e.to_string())
}

/// A value that fills its text.
struct Whole(Json);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Whole, D::Error> {
        Depth(MAX_DEPTH).deserialize(deserializer).map(Whole)
    }
}

/// The parameters of a query, with `&` or `;` between them. A name that occurs again makes a list.
pub(super) fn query(text: &str) -> Result<Vec<(String, Json)>, String> {
    let mut fields: Vec<(String, Json)> = Vec::new();
    for part in text.split(['&', ';']).filter(|p| !p.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decoded(name)?, decoded(value)?);
        // A date in ISO's basic form is all digits, and so may a name be.
        let value = if super::args::is_text(&name) { Json::Text(value) } else { scalar(value) };
        if let Some((_, old)) = fields.iter_mut().find(|(n, _)| *n == name) {
            match old {
                Json::List(items) => items.push(value),
                other => *other = Json::List(vec![other.clone(), value]),
            }
        } else if fields.len() == MAX_PARAMETERS {
            return Err(format!("more than {MAX_PARAMETERS} query parameters"));
        } else {
            fields.push((name, value));
        }
    }
    Ok(fields)
}

fn decoded(text: &str) -> Result<String, String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(|t| t.into_owned()).map_err(|_| format!("query parameter `{text}` is not UTF-8"))
}

/// A parameter's value: JSON where it looks like a number, truth, list or object, else text.
fn scalar(text: String) -> Json {
    match text.as_bytes().first() {
        Some(b'[' | b'{' | b'-' | b'0'..=b'9') => parse(&text).unwrap_or(Json::Text(text)),
        _ => match text.as_str() {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            _ => Json::Text(text),
        },
    }
}

impl Json {
    /// What an error calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a truth",
            Json::Int(_) | Json::Float(_) => "a number",
            Json::Text(_) => "a string",
            Json::List(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

/// Reads a value that is nested at most this deep.
struct Depth(usize);

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_none<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Json, E> {
        Ok(Json::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Json, E> {
        // The least long is q's null: as a JSON number it is a number.
        Ok(if n == i64::MIN { Json::Float(n as f64) } else { Json::Int(n) })
    }

    fn visit_u64<E>(self, n: u64) -> Result<Json, E> {
        Ok(i64::try_from(n).map_or(Json::Float(n as f64), Json::Int))
    }

    fn visit_f64<E: serde::de::Error>(self, x: f64) -> Result<Json, E> {
        // JSON5 has names for NaN and infinity, and a number too large becomes infinity.
        if !x.is_finite() {
            return Err(E::custom("a number is no finite float: write \"0w\" for infinity, null for none"));
        }
        Ok(Json::Float(x))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let depth = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Depth(depth))? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Json, A::Error> {
        let depth = self.deeper()?;
        let mut fields = Vec::new();
        while let Some(name) = pairs.next_key::<String>()? {
            fields.push((name, pairs.next_value_seed(Depth(depth))?));
        }
        match twice(&fields) {
            Some(name) => {
                Err(serde::de::Error::custom(format!("the key `{name}` is given twice: give it once")))
            }
            None => Ok(Json::Object(fields)),
        }
    }
}

/// A key that occurs again: which of its values is meant nobody can tell.
fn twice(fields: &[(String, Json)]) -> Option<&str> {
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|two| two[0] == two[1]).map(|two| two[0])
}

impl Depth {
    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        self.0.checked_sub(1).ok_or_else(|| E::custom(format!("nested deeper than {MAX_DEPTH} levels")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(t: &str) -> Json {
        Json::Text(t.into())
    }

    #[test]
    fn strict_and_lenient_json_are_read_alike() {
        let strict = body(br#"{"table": "taxi", "limit": 5, "f": 0.5, "deep": [true, null]}"#).unwrap();
        let lenient = body(b"{table: 'taxi', limit: 5, f: .5, deep: [true, null,], /* x */}").unwrap();
        assert_eq!(strict, lenient);
        assert_eq!(strict[0], ("table".into(), text("taxi")));
        assert_eq!(strict[1].1, Json::Int(5));
        assert_eq!(strict[3].1, Json::List(vec![Json::Bool(true), Json::Null]));
    }

    #[test]
    fn numbers_keep_their_digits() {
        let fields = body(br#"{"a": 9007199254740993, "b": -9.705033410370161e211, "c": 1e3}"#).unwrap();
        assert_eq!(fields[0].1, Json::Int(9_007_199_254_740_993));
        assert_eq!(fields[1].1, Json::Float(-9.705033410370161e211));
        assert_eq!(fields[2].1, Json::Float(1000.0));
    }

    #[test]
    fn nothing_is_an_empty_object() {
        assert_eq!(body(b" \n"), Ok(vec![]));
        assert_eq!(body(b"{}"), Ok(vec![]));
    }

    #[test]
    fn a_key_that_occurs_again_is_named_at_any_depth() {
        for text in [
            r#"{"table":"a","limit":1,"table":"b"}"#,
            r#"{"labels":{"region":"a","table":1,"table":2}}"#,
            r#"{"x":[{"table":1,"table":1}]}"#,
            "{table: 'a', 'table': 'a'}",
        ] {
            let why = body(text.as_bytes()).unwrap_err();
            assert!(why.contains("the key `table` is given twice"), "{text}: {why}");
        }
    }

    #[test]
    fn bad_bodies_are_named() {
        assert!(body(b"[1]").unwrap_err().contains("must be a JSON object of arguments, not an array"));
        assert!(body(b"{\"a\": \xff}").unwrap_err().contains("not UTF-8"));
        assert!(body(b"{a: }").unwrap_err().contains("not JSON"));
        assert!(body(b"{} {}").is_err());
        for beyond in ["1e400", "-1e400", "Infinity", "NaN"] {
            let why = body(format!("{{\"x\": {beyond}}}").as_bytes()).unwrap_err();
            assert!(why.contains("no finite float"), "{beyond}: {why}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        for open in ["[", "{a:", "{\"a\":"] {
            let text = format!("{{\"x\":{}", open.repeat(100_000));
            assert!(body(text.as_bytes()).is_err());
        }
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(63), "]".repeat(63));
        assert!(body(deep.as_bytes()).is_ok());
        let deeper = format!("{{\"x\":{}{}}}", "[".repeat(64), "]".repeat(64));
        assert!(body(deeper.as_bytes()).unwrap_err().contains("deeper than 64"));
    }

    #[test]
    fn query_parameters_have_two_separators_and_types() {
        let got = query("table=taxi;column=fare&multiplier=10;on=true;s=a+b%3D;id=007;t=2024.01.02").unwrap();
        let expected = [
            ("table", text("taxi")),
            ("column", text("fare")),
            ("multiplier", Json::Int(10)),
            ("on", Json::Bool(true)),
            ("s", text("a b=")),
            ("id", text("007")),
            ("t", text("2024.01.02")),
        ];
        let expected: Vec<_> = expected.into_iter().map(|(n, v)| (n.to_string(), v)).collect();
        assert_eq!(got, expected);
        let days = query("startTS=20240102;endTS=20240103T090003&table=2024").unwrap();
        assert!(days.iter().all(|(_, value)| matches!(value, Json::Text(_))), "{days:?}");
        let lists = query("sym=a&sym=b&n=[1,2]").unwrap();
        assert_eq!(lists[0].1, Json::List(vec![text("a"), text("b")]));
        assert_eq!(lists[1].1, Json::List(vec![Json::Int(1), Json::Int(2)]));
        assert!(query("a=%ff").unwrap_err().contains("not UTF-8"));
    }

    /// JSON as text, and whether a key occurs again in some object of it.
    #[derive(Debug, Clone)]
    struct Sample {
        text: String,
        has_twice: bool,
    }

    impl Sample {
        fn list(items: &[Sample]) -> Sample {
            let texts: Vec<&str> = items.iter().map(|i| i.text.as_str()).collect();
            Sample { text: format!("[{}]", texts.join(",")), has_twice: items.iter().any(|i| i.has_twice) }
        }

        fn object(fields: &[(&str, Sample)]) -> Sample {
            let texts: Vec<String> = fields.iter().map(|(n, v)| format!("\"{n}\":{}", v.text)).collect();
            let names: std::collections::HashSet<&str> = fields.iter().map(|(n, _)| *n).collect();
            let has_twice = names.len() < fields.len() || fields.iter().any(|(_, v)| v.has_twice);
            Sample { text: format!("{{{}}}", texts.join(",")), has_twice }
        }
    }

    /// Objects and lists of few names, so that some occur again.
    fn any_json() -> impl Strategy<Value = Sample> {
        let leaf = prop_oneof![Just("1"), Just("null"), Just("\"x\"")];
        let leaf = leaf.prop_map(|text| Sample { text: text.into(), has_twice: false });
        leaf.prop_recursive(4, 24, 4, |inner| {
            let name = prop::sample::select(vec!["a", "b", "table", "c", "d"]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| Sample::list(&items)),
                prop::collection::vec((name, inner), 0..4).prop_map(|fields| Sample::object(&fields)),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_body_is_refused_where_a_key_occurs_again_and_only_there(json in any_json()) {
            let read = body(format!("{{\"x\":{}}}", json.text).as_bytes());
            prop_assert_eq!(read.is_err(), json.has_twice, "{}: {:?}", json.text, read);
            if let Err(why) = read {
                prop_assert!(why.contains("is given twice"), "{}", why);
            }
        }
    }
}
