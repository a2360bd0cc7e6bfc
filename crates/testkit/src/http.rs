//! The few lines of HTTP that a launcher needs: one GET on loopback, its status and its body.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// `GET path`: the status and the body.
pub fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // 1.0: the body ends where the connection does, whatever its encoding would be in 1.1.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    let reply = String::from_utf8_lossy(&reply);
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let odd = || io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP status in `{head}`"));
    Ok((status.ok_or_else(odd)?, body.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn status_and_body_are_taken_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // All of it: what is left unread when the connection closes would reset it.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut part = [0; 512];
                let n = stream.read(&mut part).unwrap();
                assert!(n > 0, "the request ends early: {}", String::from_utf8_lossy(&request));
                request.extend_from_slice(&part[..n]);
            }
            stream.write_all(b"HTTP/1.0 503 Service Unavailable\r\n\r\nno RC").unwrap();
            String::from_utf8_lossy(&request).into_owned()
        });
        assert_eq!(get(address, "/readyz").unwrap(), (503, "no RC".to_string()));
        assert!(server.join().unwrap().starts_with("GET /readyz "));
    }
}
