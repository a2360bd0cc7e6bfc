//! Any bytes are a value or an error, in both byte orders, and all who walk an object agree which.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use qipc::{
    Endian, Limits, Message, decode, decode_as, encode, encoded_len, list_items, named_items, object_len, table_view,
};

fuzz_target!(|data: &[u8]| {
    let limits = Limits { max_message: 1 << 20, ..Limits::default() };
    let bytes = Bytes::copy_from_slice(data);
    let scanned = object_len(&bytes, &limits);
    match decode(bytes.clone(), &limits) {
        Ok(value) => {
            assert_eq!(scanned, Ok(bytes.len()));
            assert_eq!(encoded_len(&value), encode(&value).unwrap().len());
            // What was read once is read again, to the same bytes.
            let again = encode(&value).unwrap();
            let value = decode(again.clone(), &limits).unwrap();
            assert_eq!(encode(&value).unwrap(), again);
        }
        Err(_) => assert_ne!(scanned, Ok(bytes.len())),
    }
    if let Ok(value) = decode_as(bytes.clone(), Endian::Big, &limits) {
        decode(encode(&value).unwrap(), &limits).unwrap();
    }
    if let Ok(items) = list_items(&bytes, &limits) {
        for item in items {
            decode(item, &limits).unwrap();
        }
    }
    if let Ok(Some(items)) = named_items(&bytes, &limits) {
        let whole = decode(bytes.clone(), &limits).unwrap();
        assert_eq!(items.len(), whole.as_dict().unwrap().len());
    }
    if let Ok(view) = table_view(&bytes, &limits) {
        assert_eq!(view.names.len(), view.columns.len());
        decode(bytes.clone(), &limits).unwrap();
    }
    if let Ok(message) = Message::parse(bytes, &limits) {
        let _ = message.decode(&limits);
    }
});
