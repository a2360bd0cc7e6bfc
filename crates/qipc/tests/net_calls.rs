//! Client and server over loopback: calls, pipelining, large bodies, errors, clean close.

use bytes::Bytes;
use kvalue::{Value, Vector};
use qipc::{
    Body, Frame, Limits, MessageType, Raw,
    net::{AcceptOptions, CallError, Client, ConnectOptions, Credentials, Listener},
};
use tokio::io::AsyncWriteExt;

/// A server that answers each sync message with its own object, and `fail` with an error.
async fn echo() -> String {
    let listener = Listener::bind("127.0.0.1:0", AcceptOptions::default(), 100).await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let pending = listener.accept().await;
            tokio::spawn(async move {
                let Ok(connection) = pending.handshake(|user, _| user != "nobody").await else { return };
                let (mut reader, mut writer) = connection.split();
                while let Ok(Some(message)) = reader.next().await {
                    let Body::Object(Raw(object)) = message.body else { return };
                    if message.ty != MessageType::Sync {
                        writer.send(Frame::of_object(MessageType::Async, &object)).await.unwrap();
                    } else if object == Raw::of(&Value::sym("fail")).0 {
                        writer.send(Frame::of_error("type")).await.unwrap();
                    } else {
                        writer.send(Frame::of_object(MessageType::Response, &object)).await.unwrap();
                    }
                }
            });
        }
    });
    addr
}

async fn client(addr: &str) -> Client {
    Client::connect(addr, &Credentials::new("u", "p"), &ConnectOptions::default()).await.unwrap()
}

#[tokio::test]
async fn a_call_gets_its_answer_or_its_error() {
    let client = client(&echo().await).await;
    assert_eq!(client.capability(), 6);
    let value = Value::list([Value::sym("f"), Value::from(1i64), Value::str("text")]);
    assert_eq!(client.sync(&value).await.unwrap(), value);
    assert_eq!(client.call("f", vec![Value::from(1i64), Value::str("text")]).await.unwrap(), value);
    let err = client.sync(&Value::sym("fail")).await.unwrap_err();
    assert!(matches!(&err, CallError::Remote(e) if e.text() == "type"), "{err}");
    assert_eq!(client.sync(&value).await.unwrap(), value);
}

#[tokio::test]
async fn many_calls_are_outstanding_and_answered_in_order() {
    let client = std::sync::Arc::new(client(&echo().await).await);
    let calls: Vec<_> = (0..2000i64)
        .map(|i| {
            let client = client.clone();
            tokio::spawn(async move { (i, client.sync(&Value::from(i)).await.unwrap()) })
        })
        .collect();
    for call in calls {
        let (i, answer) = call.await.unwrap();
        assert_eq!(answer, Value::from(i));
    }
}

#[tokio::test]
async fn a_dropped_call_does_not_shift_the_answers() {
    let client = client(&echo().await).await;
    for i in 0..50i64 {
        let value = Value::from(i);
        let call = client.sync(&value);
        let _ = tokio::time::timeout(std::time::Duration::ZERO, call).await;
        assert_eq!(client.sync(&Value::from(-i)).await.unwrap(), Value::from(-i));
    }
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    let client = client(&echo().await).await;
    for n in [1usize, 4000, 32 << 10, (32 << 10) + 1, 1 << 20, 3_000_001] {
        let value = Value::from(Vector::longs((0..n as i64).collect()));
        assert_eq!(client.sync(&value).await.unwrap(), value, "{n}");
    }
}

#[tokio::test]
async fn a_compressed_and_a_big_endian_request_are_read() {
    let client = client(&echo().await).await;
    for n in [500usize, 100_000] {
        let value = Value::from(Vector::longs(vec![7; n]));
        let plain = qipc::encode_message(MessageType::Sync, &value).unwrap();
        let packed = qipc::compress(&plain).unwrap();
        let answer = client.raw_sync(Frame::from(packed)).await.unwrap();
        assert_eq!(answer.decode(&Limits::default()).unwrap().unwrap(), value, "{n}");
    }
    let be = Bytes::from_static(&[0, 1, 0, 0, 0, 0, 0, 13, 0xfa, 0, 0, 0, 42]);
    let answer = client.raw_sync(Frame::from(be)).await.unwrap();
    assert_eq!(answer.decode(&Limits::default()).unwrap().unwrap(), Value::from(42i32));
}

#[tokio::test]
async fn asynchronous_messages_come_to_whoever_takes_them() {
    let client = client(&echo().await).await;
    client.asyn(&Value::sym("lost")).await.unwrap();
    assert_eq!(client.sync(&Value::from(1i64)).await.unwrap(), Value::from(1i64));
    let mut incoming = client.incoming().unwrap();
    assert!(client.incoming().is_none());
    client.asyn(&Value::sym("kept")).await.unwrap();
    let message = incoming.recv().await.unwrap();
    assert_eq!(message.ty, MessageType::Async);
    assert_eq!(message.decode(&Limits::default()).unwrap().unwrap(), Value::sym("kept"));
}

#[tokio::test]
async fn outstanding_calls_fail_when_the_server_goes() {
    let listener = Listener::bind("127.0.0.1:0", AcceptOptions::default(), 1).await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        let connection = listener.accept().await.handshake(|_, _| true).await.unwrap();
        let (mut reader, _writer) = connection.split();
        reader.next().await.unwrap().unwrap();
    });
    let client = client(&addr).await;
    let mut incoming = client.incoming().unwrap();
    let err = client.sync(&Value::from(1i64)).await.unwrap_err();
    assert!(matches!(err, CallError::Closed(_)), "{err}");
    assert!(incoming.recv().await.is_none(), "the queue of asynchronous messages ends with the connection");
    let err = client.sync(&Value::from(1i64)).await.unwrap_err();
    assert!(err.to_string().contains("closed") || err.to_string().contains("reset"), "{err}");
    server.await.unwrap();
}

#[tokio::test]
async fn what_came_together_is_taken_without_a_wait_up_to_what_is_not_whole() {
    let listener = Listener::bind("127.0.0.1:0", AcceptOptions::default(), 1).await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    stream.write_all(b"u:p\x06\0").await.unwrap();
    let connection = listener.accept().await.handshake(|_, _| true).await.unwrap();
    let (mut reader, _writer) = connection.split();
    let message = |i: i64| Frame::of_value(MessageType::Async, &Value::from(i)).unwrap().0.concat();
    let object = |message: qipc::Message| match message.body {
        Body::Object(raw) => raw,
        Body::Error(text) => panic!("{text:?}"),
    };
    // An error's text is no asynchronous message: it costs itself, not what follows.
    let error = [1, 0, 0, 0, 10, 0, 0, 0, 0x80, 0];
    let third = message(3);
    stream.write_all(&[&message(1)[..], &error, &message(2), &third[..9]].concat()).await.unwrap();
    let first = reader.next().await.unwrap().unwrap();
    assert_eq!(object(first), Raw::of(&Value::from(1i64)));
    let bad = reader.next_buffered().unwrap().unwrap_err();
    assert!(!bad.is_fatal(), "{bad}");
    assert_eq!(object(reader.next_buffered().unwrap().unwrap()), Raw::of(&Value::from(2i64)));
    assert!(reader.next_buffered().is_none(), "it is not whole");
    stream.write_all(&third[9..]).await.unwrap();
    assert!(reader.next_buffered().is_none(), "nobody has read it");
    assert_eq!(object(reader.next().await.unwrap().unwrap()), Raw::of(&Value::from(3i64)));
    // What has to be turned around or unpacked, or is no message, is for `next`.
    let mut odd = message(4);
    odd[0] = 7;
    stream.write_all(&[message(5), odd].concat()).await.unwrap();
    assert_eq!(object(reader.next().await.unwrap().unwrap()), Raw::of(&Value::from(5i64)));
    assert!(reader.next_buffered().is_none());
    assert!(reader.next().await.unwrap_err().is_fatal());
}
