//! A side of the bench `codec`: kdb_codec on the messages of `bench codec-files DIR`.
//!
//! Prints `ready`, then for each line of input one line of JSON numbers: milliseconds, medians of three.
//! Time is that of the library's own encoder and decoder; moving bytes into its buffers is outside of it.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use bytes::BytesMut;
use kdb_codec::{CompressionMode, K, KdbCodec, KdbMessage};
use tokio_util::codec::{Decoder, Encoder};

const RUNS: usize = 3;

fn codec() -> KdbCodec {
    let mut codec = KdbCodec::new(true);
    codec.set_compression_mode(CompressionMode::Never);
    codec
}

/// Milliseconds, and the value.
fn decode(message: &[u8]) -> (f64, K) {
    let mut buffer = BytesMut::from(message);
    let mut codec = codec();
    let start = Instant::now();
    let decoded = codec.decode(&mut buffer).expect("a message it can decode").expect("a whole message");
    (start.elapsed().as_secs_f64() * 1e3, decoded.payload)
}

/// Milliseconds. The encoder takes the value, so that a copy is made outside of the time.
fn encode(value: &K, expected: usize) -> f64 {
    let message = KdbMessage::new(2, value.clone());
    let (mut buffer, mut codec) = (BytesMut::new(), codec());
    let start = Instant::now();
    codec.encode(message, &mut buffer).expect("a value it can encode");
    let time = start.elapsed().as_secs_f64() * 1e3;
    assert_eq!(buffer.len(), expected);
    time
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let dir = std::env::args().nth(1).expect("the folder of the messages");
    let read = |name: &str| std::fs::read(Path::new(&dir).join(name)).expect("a message of the bench");
    let messages = [("", read("trade.qipc")), ("fixed: ", read("trade-fixed.qipc"))];
    let values: Vec<K> = messages.iter().map(|(_, message)| decode(message).1).collect();
    let mut out = std::io::stdout();
    writeln!(out, "ready").and_then(|()| out.flush()).expect("somebody who measures");
    for line in std::io::stdin().lock().lines() {
        line.expect("a turn");
        let mut fields = Vec::new();
        for ((name, message), value) in messages.iter().zip(&values) {
            let decoding = median((0..RUNS).map(|_| decode(message).0).collect());
            let encoding = median((0..RUNS).map(|_| encode(value, message.len())).collect());
            // Its values are plain vectors: reading them is what ours pays in `decode and read all`.
            fields.push(format!("\"{name}decode, ms\": {decoding}"));
            // It encodes into one buffer.
            fields.extend(["encode", "encode into one buffer"].map(|work| format!("\"{name}{work}, ms\": {encoding}")));
        }
        writeln!(out, "{{{}}}", fields.join(", ")).and_then(|()| out.flush()).expect("somebody who measures");
    }
}
