//! What bad and slow peers do to a server: their connection ends with an error that says why, others live on.

use std::time::Duration;

use bytes::Bytes;
use kvalue::Value;
use qipc::{
    Body, DecodeError, Frame, Limits, MessageType, Raw, encode_message,
    net::{
        AcceptOptions, ConnectError, ConnectOptions, Credentials, HandshakeError, Listener, ReadError,
        Reader, Writer, connect,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const SOON: Duration = Duration::from_secs(5);

fn small() -> AcceptOptions {
    let limits = Limits {
        max_message: 100_000,
        handshake_bytes: 100,
        handshake_time: Duration::from_millis(300),
        write_stall: Duration::from_millis(300),
        ..Limits::default()
    };
    AcceptOptions { limits, ..Default::default() }
}

async fn listen(opts: AcceptOptions, max_connections: usize) -> (Listener, String) {
    let listener = Listener::bind("127.0.0.1:0", opts, max_connections).await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    (listener, addr)
}

/// What the server makes of these bytes of a handshake, and what the client sees.
async fn greet(bytes: &[u8], close: bool) -> (Result<(String, u8), HandshakeError>, Vec<u8>) {
    let (listener, addr) = listen(small(), 10).await;
    let mut client = TcpStream::connect(addr).await.unwrap();
    client.write_all(bytes).await.unwrap();
    if close {
        client.shutdown().await.unwrap();
    }
    let check = |user: &str, password: &[u8]| user != "nobody" && password != b"wrong";
    let done = timeout(SOON, listener.accept().await.handshake(check)).await.unwrap();
    let done = done.map(|c| (c.user.clone(), c.capability));
    let mut seen = Vec::new();
    let _ = timeout(SOON, client.read_to_end(&mut seen)).await.unwrap();
    (done, seen)
}

#[tokio::test]
async fn a_good_handshake_is_answered_by_exactly_one_byte() {
    for (hello, capability) in
        [(&b"u:p\x03\0"[..], 3), (b"u:p\x06\0", 6), (b"u:p\x09\0", 6), (b"u:p\0", 0), (b"u\x01\0", 1)]
    {
        let (done, seen) = greet(hello, false).await;
        assert_eq!(done.unwrap(), ("u".to_owned(), capability));
        assert_eq!(seen, [capability], "{hello:?}");
    }
}

#[tokio::test]
async fn a_bad_handshake_is_closed_without_a_byte() {
    for (hello, close, why) in [
        (&b"nobody:x\x03\0"[..], false, "user `nobody` was refused"),
        (b"u:wrong\x03\0", false, "user `u` was refused"),
        (b"\x16\x03\x01\x02\0\x01\0", false, "TLS"),
        (b"u:p\x03", false, "handshake_time = 300ms"),
        (b"", false, "handshake_time = 300ms"),
        (b"u:p", true, "left before"),
        (&[b'x'; 100], false, "handshake_bytes = 100"),
        (&[b'x'; 5000], false, "handshake_bytes = 100"),
    ] {
        let (done, seen) = greet(hello, close).await;
        let err = done.unwrap_err().to_string();
        assert!(err.contains(why), "{:?}: {err}", String::from_utf8_lossy(hello));
        assert!(seen.is_empty(), "{seen:?}");
    }
}

#[tokio::test]
async fn an_http_client_is_told_in_its_own_protocol() {
    for request in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"POST /data HTTP/1.1\r\n\r\n{}",
        b"PRI * HTTP/2.0\r\n\r\n",
    ] {
        let (done, seen) = greet(request, false).await;
        assert!(done.unwrap_err().to_string().contains("HTTP"));
        let seen = String::from_utf8(seen).unwrap();
        assert!(seen.starts_with("HTTP/1.1 400 ") && seen.contains("this port speaks QIPC"), "{seen}");
    }
}

#[tokio::test]
async fn a_client_is_told_that_it_was_refused() {
    let (listener, addr) = listen(small(), 10).await;
    tokio::spawn(async move { while listener.accept().await.handshake(|_, _| false).await.is_err() {} });
    let err = connect(&addr, &Credentials::new("me", "x"), &ConnectOptions::default()).await.unwrap_err();
    assert!(matches!(&err, ConnectError::Access { user, .. } if user == "me"), "{err}");
    let err = connect("127.0.0.1:1", &Credentials::default(), &ConnectOptions::default()).await.unwrap_err();
    assert!(matches!(err, ConnectError::Connect { .. }), "{err}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let (_listener, addr) = listen(small(), 10).await;
    let limits = Limits { handshake_time: Duration::from_millis(100), ..Limits::default() };
    let opts = ConnectOptions { limits, ..Default::default() };
    let err = connect(&addr, &Credentials::default(), &opts).await.unwrap_err();
    assert!(matches!(err, ConnectError::Timeout { .. }), "{err}");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_places_come_back() {
    let (listener, addr) = listen(small(), 1).await;
    let listener = std::sync::Arc::new(listener);
    let server = tokio::spawn({
        let listener = listener.clone();
        async move {
            loop {
                let pending = listener.accept().await;
                tokio::spawn(async move {
                    let (mut reader, _writer) = pending.handshake(|_, _| true).await.unwrap().split();
                    while let Ok(Some(_)) = reader.next().await {}
                });
            }
        }
    });
    let who = Credentials::default();
    let first = connect(&addr, &who, &ConnectOptions::default()).await.unwrap();
    assert!(connect(&addr, &who, &ConnectOptions::default()).await.is_err());
    assert_eq!(listener.connections(), 1);
    drop(first);
    let free = async {
        while listener.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, free).await.unwrap();
    assert!(connect(&addr, &who, &ConnectOptions::default()).await.is_ok());
    server.abort();
}

/// A raw client socket after its handshake, and the server's two halves.
async fn pair() -> (TcpStream, Reader, Writer) {
    let (listener, addr) = listen(small(), 10).await;
    let mut client = TcpStream::connect(addr).await.unwrap();
    client.write_all(b"u:p\x06\0").await.unwrap();
    let connection = listener.accept().await.handshake(|_, _| true).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), 6);
    let (reader, writer) = connection.split();
    (client, reader, writer)
}

async fn next(reader: &mut Reader) -> Result<Option<Bytes>, ReadError> {
    let message = timeout(SOON, reader.next()).await.expect("no message and no error")?;
    Ok(message.map(|m| match m.body {
        Body::Object(Raw(object)) => object,
        Body::Error(text) => text,
    }))
}

#[tokio::test]
async fn one_byte_at_a_time_is_read() {
    let (mut client, mut reader, _writer) = pair().await;
    client.set_nodelay(true).unwrap();
    let values = [Value::from(1i64), Value::str("some text"), Value::sym("a")];
    let bytes: Vec<u8> =
        values.iter().flat_map(|v| encode_message(MessageType::Async, v).unwrap().to_vec()).collect();
    tokio::spawn(async move {
        for byte in bytes {
            client.write_u8(byte).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    for value in &values {
        assert_eq!(next(&mut reader).await.unwrap().unwrap(), Raw::of(value).0);
    }
    assert!(next(&mut reader).await.unwrap().is_none());
}

#[tokio::test]
async fn many_messages_in_one_segment_are_read() {
    let (mut client, mut reader, _writer) = pair().await;
    let all: Vec<u8> = (0..10_000i64)
        .flat_map(|i| encode_message(MessageType::Async, &Value::from(i)).unwrap().to_vec())
        .collect();
    tokio::spawn(async move { client.write_all(&all).await });
    for i in 0..10_000i64 {
        assert_eq!(next(&mut reader).await.unwrap().unwrap(), Raw::of(&Value::from(i)).0);
    }
    assert!(next(&mut reader).await.unwrap().is_none());
}

#[tokio::test]
async fn messages_sent_with_the_handshake_are_not_lost() {
    let (listener, addr) = listen(small(), 10).await;
    let mut client = TcpStream::connect(addr).await.unwrap();
    let mut bytes = b"u:p\x06\0".to_vec();
    bytes.extend(encode_message(MessageType::Sync, &Value::from(7i64)).unwrap());
    client.write_all(&bytes).await.unwrap();
    let (mut reader, _writer) = listener.accept().await.handshake(|_, _| true).await.unwrap().split();
    assert_eq!(next(&mut reader).await.unwrap().unwrap(), Raw::of(&Value::from(7i64)).0);
}

#[tokio::test]
async fn a_length_over_the_limit_is_named_before_its_body_comes() {
    let (mut client, mut reader, _writer) = pair().await;
    client.write_all(&[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
    let err = next(&mut reader).await.unwrap_err();
    assert!(err.is_fatal());
    assert!(err.to_string().contains("4294967295 bytes is over max_message = 100000"), "{err}");
    assert!(next(&mut reader).await.unwrap().is_none());
}

#[tokio::test]
async fn a_peer_that_leaves_inside_a_message_is_told_from_one_that_closes() {
    for (sent, needed) in [(3usize, 8), (8, 50_000), (9, 50_000), (40_000, 50_000)] {
        let (mut client, mut reader, _writer) = pair().await;
        let mut bytes = vec![1, 0, 0, 0, 0x50, 0xc3, 0, 0];
        bytes.resize(sent.max(8), 0);
        client.write_all(&bytes[..sent]).await.unwrap();
        client.shutdown().await.unwrap();
        match next(&mut reader).await.unwrap_err() {
            ReadError::Truncated { got, needed: n } => assert_eq!((got, n), (sent as u64, needed)),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn after_a_body_that_does_not_unpack_the_next_message_is_read() {
    let (mut client, mut reader, _writer) = pair().await;
    for size in [20u32, 80_000] {
        let mut bytes = vec![1, 1, 1, 0];
        bytes.extend(size.to_le_bytes());
        bytes.extend(500u32.to_le_bytes());
        bytes.resize(size as usize, 1);
        bytes.extend(encode_message(MessageType::Async, &Value::from(1i64)).unwrap());
        client.write_all(&bytes).await.unwrap();
        let err = next(&mut reader).await.unwrap_err();
        assert!(!err.is_fatal());
        let bad =
            matches!(err, ReadError::Body { ty: MessageType::Sync, source: DecodeError::Compression { .. } });
        assert!(bad, "{err}");
        assert_eq!(next(&mut reader).await.unwrap().unwrap(), Raw::of(&Value::from(1i64)).0);
    }
}

#[tokio::test]
async fn reading_can_be_dropped_at_any_await() {
    let (mut client, mut reader, _writer) = pair().await;
    let value = Value::str(vec![b'x'; 90_000]);
    let plain = encode_message(MessageType::Async, &value).unwrap();
    let packed = qipc::compress(&plain).unwrap();
    tokio::spawn(async move {
        for bytes in [&plain, &packed, &plain, &packed] {
            for chunk in bytes.chunks(1000) {
                client.write_all(chunk).await.unwrap();
                tokio::time::sleep(Duration::from_micros(300)).await;
            }
        }
        client
    });
    let mut read = 0;
    while read < 4 {
        // A new future each time: what the last one had read must still be there.
        tokio::select! {
            biased;
            message = reader.next() => {
                let message = message.unwrap().unwrap();
                assert_eq!(message.decode(&Limits::default()).unwrap().unwrap(), value);
                read += 1;
            }
            () = tokio::time::sleep(Duration::from_micros(100)) => {}
        }
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_given_up() {
    let (client, _reader, mut writer) = pair().await;
    let frame = Frame::of_value(MessageType::Async, &Value::str(vec![0u8; 50 << 20])).unwrap();
    let err = timeout(SOON, writer.send(frame)).await.unwrap().unwrap_err();
    assert_eq!(err.kind(), std::io::ErrorKind::TimedOut, "{err}");
    assert!(err.to_string().contains("write_stall = 300ms"), "{err}");
    let again = writer.send(Frame::of_error("type")).await.unwrap_err();
    assert!(again.to_string().contains("cut half way"), "{again}");
    drop(client);
}

#[tokio::test]
async fn frames_of_all_sizes_arrive_in_order() {
    let (mut client, _reader, mut writer) = pair().await;
    let sizes = [0usize, 1, 100, 4095, 4096, 20_000, 3, 200_000, 0, 5_000_000, 7];
    let frames: Vec<Frame> = sizes
        .iter()
        .map(|&n| {
            let value = Value::list([Value::from(n as i64), Value::str(vec![n as u8; n]), Value::Null]);
            Frame::of_value(MessageType::Async, &value).unwrap()
        })
        .collect();
    let mut expected: Vec<u8> = frames.iter().flat_map(|f| f.to_bytes().to_vec()).collect();
    expected.extend(expected.clone());
    let sent = tokio::spawn(async move {
        writer.send_many(&frames).await.unwrap();
        for frame in frames {
            writer.send(frame).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    });
    let mut seen = Vec::new();
    timeout(SOON, client.read_to_end(&mut seen)).await.unwrap().unwrap();
    sent.await.unwrap();
    assert!(seen == expected, "{} bytes came, {} were sent", seen.len(), expected.len());
}

#[tokio::test]
async fn an_old_peer_is_not_sent_what_it_cannot_read() {
    let (listener, addr) = listen(small(), 10).await;
    let mut client = TcpStream::connect(addr).await.unwrap();
    client.write_all(b"u:p\0").await.unwrap();
    let (_reader, mut writer) = listener.accept().await.handshake(|_, _| true).await.unwrap().split();
    let stamp = Value::Atom(kvalue::Atom::Timestamp(0));
    let err = writer.send_message(MessageType::Response, &stamp).await.unwrap_err();
    assert!(err.to_string().contains("timestamp"), "{err}");
    writer.send_message(MessageType::Response, &Value::from(1i64)).await.unwrap();
    let mut seen = [0u8; 18];
    client.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen[0], 0);
    assert_eq!(seen[1..], encode_message(MessageType::Response, &Value::from(1i64)).unwrap());
}
