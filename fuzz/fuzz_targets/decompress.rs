//! Any bytes unpack or are an error; what is compressed unpacks to itself.
#![no_main]

use bytes::{BufMut, Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use qipc::{Limits, MessageType, compress, decompress, header};

fuzz_target!(|data: &[u8]| {
    let limits = Limits { max_message: 1 << 20, ..Limits::default() };
    let _ = decompress(&Bytes::copy_from_slice(data), &limits);

    // The same bytes as the stream of a message whose header is right, of both forms.
    let Some((form, stream)) = data.split_first() else { return };
    let mut message = BytesMut::new();
    message.put_slice(&header(MessageType::Sync, stream.len() as u64));
    message.put_slice(stream);
    message[0] = form & 1;
    message[2] = 1 + (form >> 1 & 1);
    if form & 1 == 0 {
        message[4..8].reverse();
    }
    if let Ok(plain) = decompress(&message.freeze(), &limits) {
        assert_eq!(decompress(&plain, &limits), Ok(plain));
    }

    let body: Vec<u8> = data.iter().copied().cycle().take(data.len() * 7 + 1500).collect();
    let mut plain = header(MessageType::Response, body.len() as u64).to_vec();
    plain.extend(body);
    if let Some(packed) = compress(&plain) {
        assert!(packed.len() * 2 <= plain.len());
        assert_eq!(decompress(&packed, &limits).unwrap(), plain);
    }
});
