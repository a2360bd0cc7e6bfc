//! One HTTP request and its answer, on a connection of its own: enough for the API server's proxy and for REST.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, Outcome};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Outcome<Value> {
        serde_json::from_str(&self.body).map_err(|e| Failure(format!("{e} in `{}`", self.body)))
    }
}

/// Send one request.
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Outcome<Reply> {
    let failed = |e: std::io::Error| Failure(format!("{method} {address}{path}: {e}"));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    // 1.0: the body ends where the connection does, whatever its encoding would be in 1.1.
    let mut request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nUser-Agent: e2e\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).map_err(failed)?;
    let reply = String::from_utf8_lossy(&reply);
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let odd = || Failure(format!("{method} {address}{path}: no HTTP status in `{head}`"));
    Ok(Reply { status: status.ok_or_else(odd)?, body: body.to_string() })
}
