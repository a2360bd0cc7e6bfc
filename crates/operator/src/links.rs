//! Data pods without a link, as reported by coordinators: lines of `/readyz?verbose`.
//!
//! Where nobody answers (a network policy with monitors of its own keeps the operator out, coordinators that start)
//! nothing is known, and nothing is said. Tests: below.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Time for all of it.
const LIMIT: Duration = Duration::from_secs(2);
/// Most that is read of an answer.
const MOST: u64 = 64 << 10;
/// Coordinators that are asked.
const ASKED: usize = 8;
/// What a coordinator says where it lacks some.
const LACKS: &str = "were never linked";
/// Lines that name one.
const ONE: &str = "no link to ";
/// Most of those that are told.
const TOLD: usize = 5;

/// What coordinators lack, in a sentence; none where they lack nothing, or nobody answers.
pub async fn refused(health: &str) -> Option<String> {
    let asked = async {
        let all: Vec<SocketAddr> = tokio::net::lookup_host(health).await.ok()?.take(ASKED).collect();
        for coordinator in all {
            let said = ask(coordinator).await.ok().and_then(|text| sentence(&text));
            if said.is_some() {
                return said;
            }
        }
        None
    };
    tokio::time::timeout(LIMIT, asked).await.ok().flatten()
}

async fn ask(coordinator: SocketAddr) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(coordinator).await?;
    let head = format!("GET /readyz?verbose HTTP/1.1\r\nHost: {coordinator}\r\nConnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    let mut text = Vec::new();
    socket.take(MOST).read_to_end(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn sentence(text: &str) -> Option<String> {
    let first = text.lines().find(|line| line.contains(LACKS))?;
    let named = text.lines().filter(|line| line.starts_with(ONE)).take(TOLD);
    Some(std::iter::once(first).chain(named).map(str::trim).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_coordinator_lacks_is_told_and_one_that_lacks_nothing_or_is_silent_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let lacking = "ready\ntakes requests\n1 data processes that are ready were never linked: what they hold is \
                       missing, 3 requests wait for it\nno link to da-1 (10.0.0.7:5080): refused\n";
        tokio::spawn(async move {
            for body in [lacking, "ready\ntakes requests\n"] {
                let (mut socket, _) = listener.accept().await.expect("a connection");
                let mut head = [0; 512];
                let _ = socket.read(&mut head).await;
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                socket.write_all(answer.as_bytes()).await.expect("written");
            }
        });
        let said = refused(&address).await.expect("a sentence");
        assert!(
            said.starts_with("1 data processes") && said.ends_with("da-1 (10.0.0.7:5080): refused"),
            "{said}"
        );
        assert_eq!(refused(&address).await, None);
        assert_eq!(refused(&address).await, None, "nobody answers any more");
    }
}
