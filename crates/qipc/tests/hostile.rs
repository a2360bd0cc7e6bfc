//! Bytes that lie: each an error that says where, quickly and without the memory that they claim.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kvalue::{Value, Vector};
use qipc::{DecodeError, Limits, Message, decode, object_len};

fn refused(bytes: &[u8]) -> DecodeError {
    let started = Instant::now();
    let err = decode(Bytes::copy_from_slice(bytes), &Limits::default()).expect_err("a lie was believed");
    assert_eq!(object_len(bytes, &Limits::default()).err().as_ref(), Some(&err), "{bytes:02x?}");
    assert!(started.elapsed() < Duration::from_secs(1), "{bytes:02x?} took {:?}", started.elapsed());
    err
}

#[test]
fn every_unknown_type_is_named_with_its_offset() {
    let known =
        |b: u8| matches!(b, 0..=2 | 4..=19 | 98..=112 | 127) || matches!(b.wrapping_neg(), 1 | 2 | 4..=19);
    for byte in (0..=255u8).filter(|&b| !known(b) && b != 128) {
        // Inside a list, so that the offset is not 0.
        let mut object = vec![0, 0, 1, 0, 0, 0, byte];
        object.extend([0; 32]);
        match refused(&object) {
            DecodeError::BadMessage { offset: 6, byte: b, expected } => {
                assert_eq!(b, byte);
                let hint = match byte as i8 {
                    20..=76 | -76..=-20 => "enumerations",
                    77..=97 | -97..=-77 => "mapped",
                    _ => "a q type",
                };
                assert!(expected.contains(hint), "{byte}: {expected}");
            }
            other => panic!("{byte}: {other}"),
        }
    }
}

#[test]
fn an_error_object_is_no_value() {
    assert_eq!(refused(b"\x80type\0"), DecodeError::ErrorObject { offset: 0 });
    assert_eq!(refused(b"\0\0\x01\0\0\0\x80type\0"), DecodeError::ErrorObject { offset: 6 });
}

#[test]
fn claims_of_four_billion_items_cost_nothing() {
    for ty in (0..=19u8).filter(|&t| t != 3) {
        for count in [0xffff_ffffu32, 0x8000_0000, 0x7fff_ffff, 100] {
            let mut object = vec![ty, 0];
            object.extend(count.to_le_bytes());
            object.extend([0; 50]);
            let err = refused(&object);
            assert!(
                matches!(err, DecodeError::Truncated { .. } | DecodeError::Trailing { .. }),
                "type {ty}, count {count}: {err}"
            );
        }
        let mut object = vec![ty, 0x80];
        object.extend(u64::MAX.to_le_bytes());
        object.extend([0; 50]);
        assert!(matches!(refused(&object), DecodeError::Truncated { .. }));
    }
    for ty in [104, 105] {
        assert!(matches!(refused(&[ty, 255, 255, 255, 255, 101, 0]), DecodeError::Truncated { .. }));
    }
}

#[test]
fn large_counts_are_read() {
    let mut object = vec![4, 0x80];
    object.extend(3u64.to_le_bytes());
    object.extend([1, 2, 3]);
    let value = decode(object.into(), &Limits::default()).unwrap();
    assert_eq!(value, Value::from(Vector::new(kvalue::Type::Byte, vec![1u8, 2, 3])));
}

#[test]
fn nesting_ends_at_the_limit() {
    let wrap: [(&str, &[u8], &[u8]); 4] = [
        ("lists", &[0, 0, 1, 0, 0, 0], &[101, 0]),
        ("projections", &[104, 1, 0, 0, 0], &[101, 1]),
        ("derived functions", &[106], &[102, 1]),
        ("dictionaries", &[99, 0, 0, 1, 0, 0, 0, 101, 0, 0, 0, 1, 0, 0, 0], &[101, 0]),
    ];
    for (what, level, leaf) in wrap {
        let deep = |n: usize| [level.repeat(n), leaf.to_vec()].concat();
        let err = refused(&deep(1_000_000 / level.len()));
        assert!(matches!(err, DecodeError::TooDeep { limit: 256, .. }), "{what}: {err}");
        let per_level = if what == "dictionaries" { 2 } else { 1 };
        assert!(decode(deep(255 / per_level).into(), &Limits::default()).is_ok(), "{what}");
    }
}

#[test]
fn the_deepest_that_can_be_allowed_fits_the_stack() {
    let limits = Limits { max_depth: usize::MAX, ..Limits::default() };
    let deep = |n: usize| Bytes::from([[0u8, 0, 1, 0, 0, 0].repeat(n), vec![101, 0]].concat());
    let value = decode(deep(499), &limits).unwrap();
    assert_eq!(qipc::encode(&value).unwrap(), deep(499));
    assert_eq!(decode(deep(500), &limits).unwrap_err(), DecodeError::TooDeep { offset: 3000, limit: 500 });
    let wrapped = (0..500).fold(value, |v, _| Value::list([v]));
    assert!(qipc::encode(&wrapped).is_ok());
    assert!(qipc::encode(&Value::list([wrapped])).is_err());
}

#[test]
fn sides_and_columns_of_other_lengths_are_refused() {
    let dict = b"\x63\x04\0\x02\0\0\0\x01\x02\x04\0\x01\0\0\0\x01";
    assert!(matches!(refused(dict), DecodeError::Length { got: 1, expected: 2, offset: 9, .. }));
    let table = |columns: &[u8]| [b"\x62\0\x63\x0b\0\x02\0\0\0a\0b\0".as_slice(), columns].concat();
    let err = refused(&table(b"\0\0\x02\0\0\0\x04\0\x01\0\0\0\x01\x04\0\x02\0\0\0\x01\x02"));
    assert!(matches!(err, DecodeError::Length { got: 2, expected: 1, .. }), "{err}");
    let err = refused(&table(b"\0\0\x01\0\0\0\x04\0\x01\0\0\0\x01"));
    assert!(matches!(err, DecodeError::Length { got: 1, expected: 2, .. }), "{err}");
    let err = refused(&table(b"\0\0\x02\0\0\0\x04\0\x01\0\0\0\x01\xfc\x01"));
    assert!(matches!(err, DecodeError::BadMessage { byte: 0xfc, .. }), "{err}");
    // A splayed table names a path where its columns should be.
    let err = refused(b"\x62\0\x63\x0b\0\x01\0\0\0a\0\xf5:db\0");
    assert!(matches!(err, DecodeError::BadMessage { byte: 0xf5, .. }), "{err}");
    let err = refused(b"\x63\xfc\x01\xfc\x01");
    assert!(matches!(err, DecodeError::BadMessage { offset: 1, byte: 0xfc, .. }), "{err}");
}

#[test]
fn an_attribute_that_is_none_is_refused() {
    for byte in [5, 0x7f, 0x85, 0xff] {
        let err = refused(&[7, byte, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(matches!(err, DecodeError::BadMessage { offset: 1, .. }), "{err}");
    }
}

#[test]
fn objects_are_counted() {
    let limits = Limits { max_objects: 1000, ..Limits::default() };
    let list = |n: usize| qipc::encode(&Value::list(vec![Value::Null; n])).unwrap();
    assert!(decode(list(999), &limits).is_ok());
    assert_eq!(decode(list(1000), &limits).unwrap_err(), DecodeError::TooManyObjects { limit: 1000 });
    assert_eq!(
        qipc::list_items(&list(1000), &limits).map(|i| i.len()).unwrap_err(),
        DecodeError::TooManyObjects { limit: 1000 }
    );
    let longs = qipc::encode(&Value::from(Vector::longs(vec![0; 5000]))).unwrap();
    assert!(decode(longs.clone(), &limits).is_ok());
    assert!(qipc::list_items(&longs, &limits).is_err());
}

#[test]
fn headers_that_lie_are_refused() {
    let parse = |bytes: &[u8]| Message::parse(Bytes::copy_from_slice(bytes), &Limits::default());
    let good = [1u8, 1, 0, 0, 10, 0, 0, 0, 101, 0];
    assert!(parse(&good).is_ok());
    let with = |at: usize, byte: u8| {
        let mut bytes = good;
        bytes[at] = byte;
        parse(&bytes).unwrap_err().to_string()
    };
    assert!(with(0, 2).contains("byte order"));
    assert!(with(1, 3).contains("message type"));
    assert!(with(2, 3).contains("packing"));
    assert!(with(2, 1).contains("at least 13"));
    assert!(with(3, 2).contains("max_message"));
    assert!(with(4, 9).contains("at least 10"));
    assert!(with(4, 11).contains("needs 11 bytes"));
    for end in 0..good.len() {
        assert!(parse(&good[..end]).is_err(), "{end}");
    }
}

#[test]
fn unpacked_lengths_that_lie_are_refused_before_they_are_allocated() {
    for claimed in [0u32, 8, 9, 5000, u32::MAX] {
        let mut message = vec![1, 2, 1, 0, 20, 0, 0, 0];
        message.extend(claimed.to_le_bytes());
        message.extend([0; 8]);
        let started = Instant::now();
        let err = qipc::decompress(&message.into(), &Limits::default()).unwrap_err();
        assert!(matches!(err, DecodeError::Compression { .. }), "{claimed}: {err}");
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    let mut message = vec![1, 2, 2, 0, 24, 0, 0, 0];
    message.extend(u64::MAX.to_le_bytes());
    message.extend([0; 8]);
    assert!(matches!(
        qipc::decompress(&message.into(), &Limits::default()),
        Err(DecodeError::TooLarge { .. })
    ));
}

#[test]
fn old_peers_do_not_get_what_they_cannot_read() {
    use kvalue::{Atom, Type};
    let stamp = Value::Atom(Atom::Timestamp(0));
    let guid = Value::list([Value::Atom(Atom::null(Type::Guid))]);
    let span = Value::from(Vector::empty(Type::Timespan));
    for (value, needed) in [(&stamp, 1), (&guid, 3), (&span, 1), (&Value::from(1i64), 0)] {
        for capability in 0..=6 {
            let sent = qipc::check_capability(value, capability);
            assert_eq!(sent.is_ok(), capability >= needed, "{value:?} at {capability}: {sent:?}");
        }
    }
    assert!(qipc::check_message_len(1 << 31, 4).is_err());
    assert!(qipc::check_message_len(1 << 31, 5).is_ok());
    assert!(qipc::check_message_len(1 << 40, 6).is_err());
}
