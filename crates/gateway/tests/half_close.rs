//! REST: clients that close half of their connection, all of it, or reset it, at any byte.

mod common;

use std::{net::SocketAddr, time::Duration};

use common::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const ASK: &str = "GET /data?table=t HTTP/1.1\r\nhost: gw\r\n\r\n";

/// Sends bytes, closes the sending half, and reads to the end.
async fn half_close(addr: SocketAddr, pieces: &[&[u8]]) -> String {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    for piece in pieces {
        socket.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    socket.shutdown().await.unwrap();
    let mut text = String::new();
    timeout(SOON, socket.read_to_string(&mut text)).await.expect("in time").unwrap();
    text
}

/// A coordinator that answers later.
fn slow(after: Duration) -> impl Fn(&Rc, &link::Sender, sg::msg::Request) + Send + Sync + 'static {
    move |_, link, request| {
        let link = link.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            echo_to(&link, &request);
        });
    }
}

fn echo_to(link: &link::Sender, request: &sg::msg::Request) {
    let _ = link.send(answer(request, &kvalue::Value::from(7i64)));
}

#[tokio::test]
async fn a_client_that_closed_its_sending_half_gets_its_answer() {
    let (gw, _rc) = Gw::with(slow(Duration::from_millis(100))).await;
    for ask in [
        ASK,
        "GET /data?table=t HTTP/1.0\r\n\r\n",
        "GET /data HTTP/1.1\r\nhost: gw\r\nconnection: close\r\n\r\n",
    ] {
        let text = half_close(gw.http, &[ask.as_bytes()]).await;
        assert!(text.starts_with("HTTP/1.") && text.contains(" 200 OK"), "{text}");
        assert!(text.contains("\"payload\":7"), "{text}");
    }
    let two = half_close(gw.http, &[ASK.as_bytes(), ASK.as_bytes()]).await;
    assert_eq!(two.matches("\"payload\":7").count(), 2, "both of a pipeline: {two}");
    gw.kill().await;
}

#[tokio::test]
async fn a_slow_answer_reaches_a_half_closed_client_behind_interim_responses() {
    let (gw, _rc) = Gw::with(slow(Duration::from_millis(1300))).await;
    let text = half_close(gw.http, &[ASK.as_bytes()]).await;
    let last = text.rsplit("HTTP/1.1 100 Continue\r\n\r\n").next().unwrap();
    assert!(last.starts_with("HTTP/1.1 200 OK") && last.contains("\"payload\":7"), "{text}");
    assert_eq!(text.matches(" 100 Continue").count(), 2, "{text}");
    let old = half_close(gw.http, &[b"GET /data HTTP/1.0\r\n\r\n"]).await;
    assert!(!old.contains(" 100 ") && old.contains("\"payload\":7"), "{old}");
}

#[tokio::test]
async fn a_reset_or_a_full_close_cancels() {
    let (gw, rc) = Gw::with(|_, _, _| {}).await;
    for (n, reset) in [true, false, true].into_iter().enumerate() {
        let mut socket = TcpStream::connect(gw.http).await.unwrap();
        socket.write_all(ASK.as_bytes()).await.unwrap();
        while gw.metric("kxi_sg_pending").await < 1.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if reset {
            socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(socket);
        timeout(SOON, async {
            while rc.rc.cancels.lock().unwrap().len() <= n {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("cancelled");
    }
}

/// Requests in random pieces, closed in one of three ways at a random byte: a whole request that is half closed is
/// answered, none is answered twice, and nothing stays behind.
#[tokio::test]
async fn sockets_closed_at_random_places_leave_nothing_behind() {
    let (gw, _rc) = Gw::with(|_, link, request| echo_to(link, &request)).await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    for case in 0..1_000 {
        let asks = rng.random_range(1..4usize);
        let body = "{\"table\":\"t\"}";
        let one = match rng.random_range(0..3) {
            0 => ASK.to_owned(),
            1 => format!("POST /data HTTP/1.1\r\nhost: gw\r\ncontent-length: {}\r\n\r\n{body}", body.len()),
            _ => format!(
                "POST /data HTTP/1.1\r\nhost: gw\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                &body[..5],
                body.len() - 5,
                &body[5..]
            ),
        };
        let all = one.repeat(asks).into_bytes();
        let end = if rng.random_bool(0.5) { all.len() } else { rng.random_range(0..all.len()) };
        let (whole, at) = (end / one.len(), rng.random_range(0..=end));
        let pieces = [&all[..at], &all[at..end]];
        match rng.random_range(0..3) {
            0 => {
                let text = half_close(gw.http, &pieces).await;
                let answers = text.matches("\"payload\":7").count();
                assert_eq!(answers, whole, "case {case}, {end} of {} bytes: {text}", all.len());
            }
            how => {
                let mut socket = TcpStream::connect(gw.http).await.unwrap();
                for piece in pieces {
                    socket.write_all(piece).await.unwrap();
                }
                if how == 1 {
                    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
        }
    }
    timeout(SOON, async {
        while gw.metric("kxi_sg_pending").await > 0.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("nothing stays");
}
