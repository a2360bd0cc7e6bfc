//! The first bytes of a connection: `user:password`, capability, NUL; answered by one byte.
//!
//! The parsing is sans-io ([`parse_hello`]). Tests: here and `tests/net_handshake.rs`.

use std::{io, time::Duration};

/// What a client says first.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    /// User name, bytes that are no UTF-8 replaced; may be empty.
    pub user: String,
    /// Password as sent; may be empty, may hold `:`.
    pub password: Vec<u8>,
    /// Highest protocol version the client speaks; 0 where it does not say.
    pub capability: u8,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hello({:?}, password redacted, capability {})", self.user, self.capability)
    }
}

/// Who we are to a server. Debug output hides the password.
#[derive(Clone, Default)]
pub struct Credentials {
    /// User name: without `:` and NUL.
    pub user: String,
    /// Password: without NUL.
    pub password: String,
}

impl Credentials {
    /// User and password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Credentials { user: user.into(), password: password.into() }
    }

    /// The handshake's bytes.
    pub(super) fn hello(&self, capability: u8) -> Result<Vec<u8>, ConnectError> {
        if self.user.contains([':', '\0']) || self.password.contains('\0') {
            return Err(ConnectError::Credentials { user: self.user.clone() });
        }
        let mut hello = format!("{}:{}", self.user, self.password).into_bytes();
        hello.extend([capability, 0]);
        Ok(hello)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({:?}, password redacted)", self.user)
    }
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address does not resolve, or nobody listens there.
    #[error("cannot connect to {addr}: {source}; is the address right and the process up?")]
    Connect {
        /// The address.
        addr: String,
        /// Why.
        source: io::Error,
    },
    /// No answer in time.
    #[error("{addr} did not answer within {time:?}; is it a q process, and is it busy?")]
    Timeout {
        /// The address.
        addr: String,
        /// The time that was given.
        time: Duration,
    },
    /// The server closed the connection after the handshake.
    #[error("access: {addr} refused user `{user}`; check user and password")]
    Access {
        /// The address.
        addr: String,
        /// The user name that was sent.
        user: String,
    },
    /// The server speaks another protocol.
    #[error("{addr} answers in {protocol}, not in QIPC; give the QIPC port of that process")]
    Protocol {
        /// The address.
        addr: String,
        /// Which one.
        protocol: &'static str,
    },
    /// A user name or password that the handshake cannot carry.
    #[error("credentials of `{user}` cannot be sent: a user name has no `:`, neither part has a NUL")]
    Credentials {
        /// The user name.
        user: String,
    },
}

/// Why a connection was not taken.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// `check` said no. The client saw the connection close.
    #[error("access: user `{user}` was refused")]
    Access {
        /// The user name.
        user: String,
    },
    /// No complete handshake in time.
    #[error("no complete handshake within handshake_time = {limit:?}")]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// More bytes than a handshake may have.
    #[error("no end of the handshake within handshake_bytes = {limit}")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The client speaks another protocol.
    #[error("the client speaks {protocol}, not QIPC; it wants another port")]
    Protocol {
        /// Which one.
        protocol: &'static str,
    },
    /// The client left before the end of the handshake.
    #[error("the client left before the end of the handshake")]
    Closed,
    /// The connection broke.
    #[error("the connection broke in the handshake: {0}")]
    Io(#[from] io::Error),
}

/// The protocol that a server's first byte is of, where it is none of QIPC: versions are 0 to 6, and nobody has more
/// than the control characters for them.
pub(super) fn foreign(answer: u8) -> Option<&'static str> {
    match answer {
        b'H' => Some("HTTP"),
        0x15 | 0x16 => Some("TLS"),
        0..0x20 => None,
        _ => Some("another protocol"),
    }
}

/// What an HTTP client is told that took a QIPC port for another.
pub(super) fn http_refusal() -> String {
    let body = "{\"error\":\"this port speaks QIPC, not HTTP; a gateway's HTTP port is GATEWAY_HTTP_PORT, 8080 by default\"}\n";
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A handshake at the start of `bytes`, and the bytes it takes; `None` where its NUL is not there yet.
///
/// # Errors
/// The first bytes of HTTP or TLS, whose clients would otherwise wait for us as we for them.
pub fn parse_hello(bytes: &[u8]) -> Result<Option<(Hello, usize)>, HandshakeError> {
    const METHODS: [&[u8]; 10] = [
        b"GET ",
        b"POST ",
        b"PUT ",
        b"HEAD ",
        b"DELETE ",
        b"OPTIONS ",
        b"PATCH ",
        b"CONNECT ",
        b"TRACE ",
        b"PRI * HTTP/",
    ];
    if METHODS.iter().any(|m| bytes.starts_with(m)) {
        return Err(HandshakeError::Protocol { protocol: "HTTP" });
    }
    if bytes.starts_with(&[0x16, 0x03]) {
        return Err(HandshakeError::Protocol { protocol: "TLS" });
    }
    let Some(end) = memchr::memchr(0, bytes) else { return Ok(None) };
    // A control character before the NUL is the capability; without one the client is older than it.
    let (credentials, capability) = match bytes[..end].split_last() {
        Some((&last, rest)) if last < 0x20 => (rest, last),
        _ => (&bytes[..end], 0),
    };
    let (user, password) = match memchr::memchr(b':', credentials) {
        Some(colon) => (&credentials[..colon], &credentials[colon + 1..]),
        None => (credentials, &[][..]),
    };
    let user = String::from_utf8_lossy(user).into_owned();
    Ok(Some((Hello { user, password: password.to_vec(), capability }, end + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(bytes: &[u8]) -> (String, String, u8) {
        let (h, used) = parse_hello(bytes).unwrap().unwrap();
        assert_eq!(used, memchr::memchr(0, bytes).unwrap() + 1);
        (h.user, String::from_utf8(h.password).unwrap(), h.capability)
    }

    #[test]
    fn credentials_of_all_known_clients_are_read() {
        let case = |u: &str, p: &str, c| (u.to_owned(), p.to_owned(), c);
        assert_eq!(hello(b"user:pass\x03\0rest"), case("user", "pass", 3));
        assert_eq!(hello(b"anonymous\x03\0"), case("anonymous", "", 3));
        assert_eq!(hello(b":\x06\0"), case("", "", 6));
        assert_eq!(hello(b"user:pa:ss\x06\0"), case("user", "pa:ss", 6));
        assert_eq!(hello(b"user:pass\0"), case("user", "pass", 0));
        assert_eq!(hello(b"\0"), case("", "", 0));
        assert_eq!(hello(b"u:p\x1f\0"), case("u", "p", 31));
    }

    #[test]
    fn http_and_tls_are_told_at_once() {
        for (bytes, name) in [(&b"GET / HTTP/1.1\r\n"[..], "HTTP"), (b"\x16\x03\x01\x02\0", "TLS")] {
            let err = parse_hello(bytes).unwrap_err();
            assert!(err.to_string().contains(name), "{err}");
        }
        assert!(parse_hello(b"GETTY:x").unwrap().is_none());
    }

    #[test]
    fn passwords_are_not_printed() {
        let (h, _) = parse_hello(b"u:secret\x03\0").unwrap().unwrap();
        let c = Credentials::new("u", "secret");
        assert!(!format!("{h:?} {c:?}").contains("secret"));
    }

    #[test]
    fn credentials_that_would_be_read_otherwise_are_refused() {
        for (user, password) in [("a:b", "x"), ("a\0", "x"), ("a", "x\0")] {
            assert!(Credentials::new(user, password).hello(3).is_err(), "{user:?} {password:?}");
        }
        assert_eq!(Credentials::new("a", "b:c").hello(6).unwrap(), b"a:b:c\x06\0");
    }
}
