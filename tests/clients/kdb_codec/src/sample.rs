//! The rows of the gallery as this client's values, and the values it sends to see them come back.

use kdb_codec::{K, qattribute};
use serde_json::Value as Json;

use crate::checks::Fail;

/// A column of the gallery, as its encoded bytes: what the client decoded must encode to the same.
///
/// Built from q's own numbers, because the client's constructors take calendar types that know no infinity.
pub fn column(ty: &str, values: &[Json]) -> Result<Vec<u8>, Fail> {
    let odd = || Fail(format!("gallery: a column of type {ty} with the values {values:?}"));
    if ty == "symbol" {
        let names = values.iter().map(|v| v.as_str().map(String::from)).collect::<Option<Vec<_>>>();
        return Ok(K::new_symbol_list(names.ok_or_else(odd)?, qattribute::NONE).q_ipc_encode());
    }
    if ty == "string" {
        let strings = values.iter().map(|v| v.as_str().map(|s| K::new_string(s.into(), qattribute::NONE)));
        return Ok(K::new_compound_list(strings.collect::<Option<_>>().ok_or_else(odd)?).q_ipc_encode());
    }
    let (number, width) = shape(ty).ok_or_else(odd)?;
    let mut bytes = vec![number, 0];
    bytes.extend((values.len() as u32).to_le_bytes());
    for value in values {
        match ty {
            "guid" => bytes.extend(guid(value).ok_or_else(odd)?),
            "char" => bytes.extend(value.as_str().ok_or_else(odd)?.as_bytes()),
            "real" => bytes.extend((float(value).ok_or_else(odd)? as f32).to_le_bytes()),
            "float" | "datetime" => bytes.extend(float(value).ok_or_else(odd)?.to_le_bytes()),
            _ => bytes.extend(&whole(value, width).ok_or_else(odd)?.to_le_bytes()[..width]),
        }
    }
    Ok(bytes)
}

/// q's type number and the bytes an element takes.
fn shape(ty: &str) -> Option<(u8, usize)> {
    Some(match ty {
        "boolean" => (1, 1),
        "guid" => (2, 16),
        "byte" => (4, 1),
        "short" => (5, 2),
        "int" => (6, 4),
        "long" => (7, 8),
        "real" => (8, 4),
        "float" => (9, 8),
        "char" => (10, 1),
        "timestamp" => (12, 8),
        "month" => (13, 4),
        "date" => (14, 4),
        "datetime" => (15, 8),
        "timespan" => (16, 8),
        "minute" => (17, 4),
        "second" => (18, 4),
        "time" => (19, 4),
        _ => return None,
    })
}

fn whole(value: &Json, width: usize) -> Option<i64> {
    let top = i64::MAX >> (64 - 8 * width);
    match value.as_str() {
        Some("null") => Some(-top - 1),
        Some("inf") => Some(top),
        Some("-inf") => Some(-top),
        _ => value.as_i64(),
    }
}

fn float(value: &Json) -> Option<f64> {
    match value.as_str() {
        Some("null") => Some(f64::NAN),
        Some("inf") => Some(f64::INFINITY),
        Some("-inf") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

fn guid(value: &Json) -> Option<Vec<u8>> {
    let digits: Vec<u8> = value.as_str()?.bytes().filter(|b| *b != b'-').collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Every message of the test vectors that this client can read, with its name: atoms, vectors, dictionaries, tables,
/// keyed tables, functions.
pub fn vectors(text: &str) -> Result<Vec<(String, K)>, Fail> {
    let file: Json = serde_json::from_str(text).map_err(|e| Fail(format!("test vectors: {e}")))?;
    let messages = file["messages"].as_array().ok_or_else(|| Fail("test vectors: no messages".into()))?;
    let mut values = Vec::new();
    for message in messages.iter().filter(|m| m["capi_roundtrip_identical"] == true) {
        let (Some(name), Some(hex)) = (message["name"].as_str(), message["hex"].as_str()) else { continue };
        let byte = |n: usize| u8::from_str_radix(&hex[n..n + 2], 16).ok();
        let Some(bytes) = (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>() else { continue };
        // An error message is no value; what this client cannot decode it cannot send.
        if let (Some(8..), true) = (bytes.get(4).map(|_| bytes.len()), bytes.get(8) != Some(&0x80))
            && let Ok(value) = K::q_ipc_decode(&bytes[8..], 1)
        {
            values.push((format!("app{name}"), value));
        }
    }
    Ok(values)
}
