//! Messages whose bytes are known, most of them re-encoded byte for byte by KX's C API
//! (`tests/data/qipc-vectors.json`).

#[path = "common/big_endian.rs"]
mod big_endian;

use big_endian::big_endian;
use bytes::Bytes;
use kvalue::Value;
use qipc::{Body, Endian, Limits, Message, MessageType, compress, decompress};
use serde_json::Value as Json;
use sha2::Digest;

fn vectors() -> Json {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/qipc-vectors.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn unhex(hex: &str) -> Bytes {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Name and bytes of each message that carries a value.
fn messages() -> Vec<(String, Bytes)> {
    let all: Vec<_> = vectors()["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["name"].as_str().unwrap().to_owned(), unhex(m["hex"].as_str().unwrap())))
        .filter(|(name, _)| name != "err")
        .collect();
    assert_eq!(all.len(), 59);
    all
}

#[test]
fn every_vector_round_trips_byte_for_byte() {
    let limits = Limits::default();
    for (name, bytes) in messages() {
        let message = Message::parse(bytes.clone(), &limits).unwrap_or_else(|e| panic!("{name}: {e}"));
        let value = message.decode(&limits).unwrap_or_else(|e| panic!("{name}: {e}")).unwrap();
        let back = qipc::encode_message(message.ty, &value).unwrap();
        assert_eq!(back, bytes, "{name}: {value:?}");
        assert_eq!(qipc::encoded_len(&value) + 8, bytes.len(), "{name}");
        assert_eq!(qipc::object_len(&bytes[8..], &limits), Ok(bytes.len() - 8), "{name}");
    }
}

#[test]
fn an_error_comes_as_an_error_and_only_in_a_response() {
    let all = vectors();
    let err = all["messages"].as_array().unwrap().iter().find(|m| m["name"] == "err").unwrap();
    let mut bytes = unhex(err["hex"].as_str().unwrap()).to_vec();
    bytes[1] = MessageType::Response as u8;
    assert_eq!(qipc::error_message("type"), bytes);
    let message = Message::parse(bytes.clone().into(), &Limits::default()).unwrap();
    assert!(matches!(&message.body, Body::Error(text) if text == "type"), "{message:?}");
    for ty in [0, 1] {
        bytes[1] = ty;
        assert!(Message::parse(bytes.clone().into(), &Limits::default()).is_err());
    }
}

#[test]
fn compression_vectors_unpack_in_both_forms() {
    for case in vectors()["compression"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let Some(hex) = case["compressed_hex"].as_str() else { continue };
        let packed = unhex(hex);
        let raw = decompress(&packed, &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(raw.len() as u64, case["raw_len"].as_u64().unwrap(), "{name}");
        assert_eq!(sha256(&raw), case["raw_sha256"].as_str().unwrap(), "{name}");

        let mut large = packed.to_vec();
        large.splice(12..12, [0; 4]);
        large[2] = 2;
        let len = large.len() as u32;
        large[4..8].copy_from_slice(&len.to_le_bytes());
        assert_eq!(decompress(&large.into(), &Limits::default()).unwrap(), raw, "{name}");
    }
}

#[test]
fn compression_gives_the_bytes_that_kdb_gives() {
    let mut seen = 0;
    for case in vectors()["compression"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let raw = match (case["raw_hex"].as_str(), case["compressed_hex"].as_str()) {
            (Some(hex), _) => unhex(hex),
            (None, Some(hex)) => decompress(&unhex(hex), &Limits::default()).unwrap(),
            (None, None) => continue,
        };
        let packed = compress(&raw).unwrap_or_else(|| panic!("{name} does not halve"));
        assert_eq!(packed.len() as u64, case["compressed_len"].as_u64().unwrap(), "{name}");
        assert_eq!(sha256(&packed), case["compressed_sha256"].as_str().unwrap(), "{name}");
        assert_eq!(decompress(&packed, &Limits::default()).unwrap(), raw, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn limits_hold_for_the_unpacked_length() {
    let raw = qipc::encode_message(MessageType::Sync, &Value::str([0u8; 100_000])).unwrap();
    let packed = compress(&raw).unwrap();
    let limits = Limits::default().with_max_message(50_000);
    let err = Message::parse(packed, &limits).unwrap_err();
    assert!(err.to_string().contains("max_message = 50000"), "{err}");
    assert_eq!(qipc::decode_as(raw.slice(8..), Endian::Little, &limits).unwrap().count(), 100_000);
}

/// True where a function is inside: the test's own encoder takes those as they are.
fn holds_function(value: &Value) -> bool {
    match value {
        Value::Opaque(_) => true,
        Value::List(l) => l.items().iter().any(holds_function),
        _ => false,
    }
}

#[test]
fn every_vector_is_read_from_a_big_endian_peer() {
    let limits = Limits::default();
    let mut read = 0;
    for (name, bytes) in messages() {
        let value = qipc::decode(bytes.slice(8..), &limits).unwrap();
        if !holds_function(&value) {
            let turned = qipc::decode_as(big_endian(&value).into(), Endian::Big, &limits);
            assert_eq!(qipc::encode(&turned.unwrap()).unwrap(), bytes.slice(8..), "{name}");
            read += 1;
        }
    }
    assert_eq!(read, 52);
}

#[test]
fn functions_of_a_big_endian_peer_become_little_endian() {
    for (be, le) in [
        ("64640a00000000037b787d".replacen("6464", "646400", 1), "6464000a00030000007b787d"),
        (
            "6800000002660107000000000100000000000000ff".to_owned(),
            "680200000066010700010000 00ff00000000000000",
        ),
        (
            "6b69000000026529fe0102030405060708090a0b0c0d0e0f10".to_owned(),
            "6b69020000006529fe0102030405060708090a0b0c0d0e0f10",
        ),
    ] {
        let (be, le) = (unhex(&be), unhex(&le.replace(' ', "")));
        let value = qipc::decode_as(be, Endian::Big, &Limits::default()).unwrap();
        assert!(matches!(value, Value::Opaque(_)), "{value:?}");
        assert_eq!(qipc::encode(&value).unwrap(), le);
    }
}
