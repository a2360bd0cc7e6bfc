//! What holds for any value and any bytes.

#[path = "common/any.rs"]
mod any;
#[path = "common/big_endian.rs"]
mod big_endian;

use any::any_value;
use big_endian::big_endian;
use bytes::Bytes;
use kvalue::{Dict, Value};
use proptest::prelude::*;
use qipc::{
    Endian, Frame, Limits, Message, MessageType, compress, decode, decode_as, decompress, decompress_body,
    encode, encode_message, encoded_len, frame_of, list_items, named_items, named_values, object_len,
    table_view,
};

/// Re-encodes: values compare equal where attributes or NaN bits differ, bytes do not.
fn bytes_of(value: &Value) -> Bytes {
    encode(value).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..Default::default() })]

    #[test]
    fn any_value_round_trips(value in any_value()) {
        let bytes = bytes_of(&value);
        prop_assert_eq!(encoded_len(&value), bytes.len());
        prop_assert_eq!(object_len(&bytes, &Limits::default()), Ok(bytes.len()));
        let back = decode(bytes.clone(), &Limits::default()).unwrap();
        prop_assert_eq!(&back, &value);
        prop_assert_eq!(bytes_of(&back), bytes);
    }

    #[test]
    fn any_value_of_a_big_endian_peer_is_the_same(value in any_value()) {
        let be = Bytes::from(big_endian(&value));
        let back = decode_as(be.clone(), Endian::Big, &Limits::default()).unwrap();
        prop_assert_eq!(bytes_of(&back), bytes_of(&value));

        let mut message = vec![0, 1, 0, 0];
        message.extend((be.len() as u32 + 8).to_be_bytes());
        message.extend(be);
        let message = Message::parse(message.into(), &Limits::default()).unwrap();
        prop_assert_eq!(bytes_of(&message.decode(&Limits::default()).unwrap().unwrap()), bytes_of(&value));
    }

    #[test]
    fn a_cut_object_is_an_error_at_every_byte(value in any_value()) {
        let bytes = bytes_of(&value);
        for end in 0..bytes.len() {
            prop_assert!(decode(bytes.slice(..end), &Limits::default()).is_err(), "{} of {:?}", end, value);
            prop_assert!(object_len(&bytes[..end], &Limits::default()).is_err(), "{} of {:?}", end, value);
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        prop_assert_eq!(object_len(&longer, &Limits::default()), Ok(bytes.len()));
        prop_assert!(decode(longer.into(), &Limits::default()).is_err());
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in any_bytes()) {
        let bytes = Bytes::from(bytes);
        let decoded = decode(bytes.clone(), &Limits::default());
        let scanned = object_len(&bytes, &Limits::default());
        prop_assert_eq!(decoded.is_ok(), scanned == Ok(bytes.len()), "{:?} {:?}", decoded, scanned);
        if let Ok(value) = decoded {
            prop_assert_eq!(encoded_len(&value), bytes.len());
        }
        let _ = decode_as(bytes.clone(), Endian::Big, &Limits::default());
        let _ = list_items(&bytes, &Limits::default());
        let _ = table_view(&bytes, &Limits::default());
        let _ = Message::parse(bytes.clone(), &Limits::default());
    }

    #[test]
    fn a_changed_byte_is_a_value_or_an_error((value, at, byte) in (any_value(), any::<usize>(), any::<u8>())) {
        let mut bytes = bytes_of(&value).to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let bytes = Bytes::from(bytes);
        let decoded = decode(bytes.clone(), &Limits::default());
        prop_assert_eq!(decoded.is_ok(), object_len(&bytes, &Limits::default()) == Ok(bytes.len()));
        let _ = decode_as(bytes, Endian::Big, &Limits::default());
    }

    #[test]
    fn named_items_are_the_pairs(pairs in proptest::collection::vec(("[a-zé ]{0,9}", any_value()), 0..6)) {
        let names = Value::syms(pairs.iter().map(|(name, _)| name.as_bytes()));
        let values: Vec<Value> = pairs.iter().map(|(_, value)| value.clone()).collect();
        let object = bytes_of(&Value::from(Dict::new(names, Value::list(values)).unwrap()));
        let found = named_items(&object, &Limits::default()).unwrap().unwrap();
        prop_assert_eq!(found.len(), pairs.len());
        for ((name, value), (wanted, of)) in found.into_iter().zip(&pairs) {
            prop_assert_eq!(&object[name], wanted.as_bytes());
            prop_assert_eq!(object.slice(value), bytes_of(of));
        }
        let mut given = Vec::new();
        let all = named_values(&object, &Limits::default(), |name, value| given.push((name.to_vec(), value)));
        prop_assert_eq!(all, Ok(true));
        prop_assert_eq!(given.len(), pairs.len());
        for ((name, value), (wanted, of)) in given.iter().zip(&pairs) {
            prop_assert_eq!((&name[..], bytes_of(value)), (wanted.as_bytes(), bytes_of(of)));
        }
        for end in 0..object.len() {
            let cut = named_items(&object[..end], &Limits::default());
            prop_assert!(!matches!(cut, Ok(Some(_))), "{} of {:?}", end, pairs);
        }
    }

    #[test]
    fn named_items_agree_with_the_decoder(value in any_value()) {
        let object = bytes_of(&value);
        if let Some(items) = named_items(&object, &Limits::default()).unwrap() {
            prop_assert_eq!(items.len(), value.as_dict().map_or(0, Dict::len));
        }
    }

    #[test]
    fn list_items_are_the_items(items in proptest::collection::vec(any_value(), 0..6)) {
        let object = bytes_of(&Value::list(items.clone()));
        let cut = list_items(&object, &Limits::default()).unwrap();
        let expected: Vec<Bytes> = items.iter().map(bytes_of).collect();
        prop_assert_eq!(&cut, &expected);
        let message = encode_message(MessageType::Async, &Value::list(items)).unwrap();
        prop_assert_eq!(frame_of(MessageType::Async, &expected).to_bytes(), message);
    }

    #[test]
    fn items_of_a_vector_are_atoms_and_columns_are_columns(value in any_value()) {
        let object = bytes_of(&value);
        let limits = Limits::default();
        match &value {
            Value::Vector(v) => {
                let atoms: Vec<Bytes> = v.iter().map(|a| bytes_of(&Value::Atom(a))).collect();
                if v.ty() != kvalue::Type::Boolean {
                    prop_assert_eq!(list_items(&object, &limits).unwrap(), atoms);
                }
            }
            Value::Table(t) => {
                let view = table_view(&object, &limits).unwrap();
                prop_assert_eq!(&view.names, t.names());
                prop_assert_eq!(view.rows(), t.len() as u64);
                for (column, expected) in view.columns.iter().zip(t.columns()) {
                    let expected = bytes_of(expected);
                    prop_assert_eq!(column.ty as u8, expected[0]);
                    prop_assert_eq!(column.attr, expected[1]);
                    prop_assert_eq!(&column.data[..], &expected[6..]);
                }
            }
            Value::List(_) => {}
            _ => prop_assert!(list_items(&object, &limits).is_err()),
        }
        if !matches!(value, Value::Table(_)) {
            prop_assert!(table_view(&object, &limits).is_err());
        }
    }

    #[test]
    fn segments_hold_the_message(value in any_value(), long in 0..9000usize) {
        let value = Value::list([value, Value::str(vec![b'x'; long]), Value::from(1i64)]);
        let message = encode_message(MessageType::Sync, &value).unwrap();
        let frame = Frame::of_value(MessageType::Sync, &value).unwrap();
        prop_assert_eq!(frame.len(), message.len());
        prop_assert!(frame.0[0].len() >= 8);
        prop_assert_eq!(frame.to_bytes(), message);
    }

    #[test]
    fn what_is_compressed_unpacks_to_itself(
        words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 1..8),
        order in proptest::collection::vec(any::<usize>(), 200..400),
    ) {
        let text: Vec<u8> = order.iter().flat_map(|i| words[i % words.len()].clone()).collect();
        let message = encode_message(MessageType::Response, &Value::str(&text)).unwrap();
        if let Some(packed) = compress(&message) {
            prop_assert!(packed.len() <= message.len() / 2);
            prop_assert_eq!(&decompress(&packed, &Limits::default()).unwrap(), &message);
            prop_assert_eq!(&decompress_body(&packed, &Limits::default()).unwrap()[..], &message[8..]);
            prop_assert_eq!(&decompress_body(&message, &Limits::default()).unwrap()[..], &message[8..]);
            for end in 0..packed.len() {
                prop_assert!(decompress(&packed.slice(..end), &Limits::default()).is_err());
            }
        }
    }

    #[test]
    fn any_bytes_unpack_or_are_an_error(stream in proptest::collection::vec(any::<u8>(), 5..200), claimed in 0..3000u32) {
        let mut message = vec![1, 2, 1, 0];
        message.extend((stream.len() as u32 + 12).to_le_bytes());
        message.extend(claimed.to_le_bytes());
        message.extend(stream);
        if let Ok(plain) = decompress(&message.into(), &Limits::default()) {
            prop_assert_eq!(plain.len(), claimed as usize);
        }
    }
}

/// Bytes that look enough like objects to get deep into the parser.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => proptest::sample::select(&[0u8, 1, 7, 11, 98, 99, 100, 101, 104, 127, 128, 245, 249][..])
            .prop_map(|b| vec![b]),
        2 => (0..4u32).prop_map(|n| n.to_le_bytes().to_vec()),
        1 => Just(vec![0, 0, 1, 0, 0, 0]),
        1 => Just(vec![0x62, 0, 0x63, 11, 0, 1, 0, 0, 0, b'a', 0]),
        1 => proptest::collection::vec(any::<u8>(), 1..5),
    ];
    proptest::collection::vec(token, 0..20).prop_map(|tokens| tokens.concat())
}
