//! Opening and taking connections.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::timeout,
};

use super::{
    AcceptOptions, ConnectOptions, Reader, Writer,
    handshake::{ConnectError, Credentials, HandshakeError, Hello, foreign, http_refusal, parse_hello},
};
use crate::Limits;

/// What both halves keep alive: the connection's place among those a listener allows.
pub(super) type Shared = Option<Arc<OwnedSemaphorePermit>>;

/// A connection after its handshake.
pub struct Connection {
    /// The user at the other end, as it said; for a connection we opened, the user we said.
    pub user: String,
    /// The protocol version that both ends speak, 0 to 6.
    pub capability: u8,
    /// The other end.
    pub peer: SocketAddr,
    stream: TcpStream,
    first: BytesMut,
    limits: Limits,
    shared: Shared,
}

impl Connection {
    /// The receiving and the sending half.
    pub fn split(self) -> (Reader, Writer) {
        let (read, write) = self.stream.into_split();
        let stall = self.limits.write_stall;
        let reader = Reader::new(read, self.first, self.limits, self.shared.clone());
        (reader, Writer::new(write, self.capability, stall, self.shared))
    }

    /// Lets the connection hold a place among those a listener allows until both halves are gone.
    pub(super) fn holding(mut self, permit: OwnedSemaphorePermit) -> Self {
        self.shared = Some(Arc::new(permit));
        self
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({} as {:?}, capability {})", self.peer, self.user, self.capability)
    }
}

/// Opens a connection to `host:port` and says who we are.
pub async fn connect(
    addr: &str,
    auth: &Credentials,
    opts: &ConnectOptions,
) -> Result<Connection, ConnectError> {
    let capability = opts.capability.min(super::CAPABILITY);
    let hello = auth.hello(capability)?;
    let failed = |source| ConnectError::Connect { addr: addr.to_owned(), source };
    let late = |time| ConnectError::Timeout { addr: addr.to_owned(), time };
    let mut stream = timeout(opts.connect_time, TcpStream::connect(addr))
        .await
        .map_err(|_| late(opts.connect_time))?
        .map_err(failed)?;
    let peer = plain(stream.peer_addr().map_err(failed)?);
    tune(&stream).map_err(failed)?;
    let time = opts.limits.handshake_time;
    let exchange = async {
        stream.write_all(&hello).await?;
        let mut answer = [0u8; 1];
        std::io::Result::Ok(stream.read(&mut answer).await?.checked_sub(1).map(|_| answer[0]))
    };
    let refused = || ConnectError::Access { addr: addr.to_owned(), user: auth.user.clone() };
    let answer = match timeout(time, exchange).await.map_err(|_| late(time))? {
        Ok(answer) => answer.ok_or_else(refused)?,
        // A server that closes without reading all we sent resets the connection.
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return Err(refused()),
        Err(e) => return Err(failed(e)),
    };
    if let Some(protocol) = foreign(answer) {
        return Err(ConnectError::Protocol { addr: addr.to_owned(), protocol });
    }
    Ok(Connection {
        user: auth.user.clone(),
        capability: answer.min(capability),
        peer,
        stream,
        first: BytesMut::new(),
        limits: opts.limits.clone(),
        shared: None,
    })
}

/// Reads a client's handshake and answers it with one byte, the common protocol version.
///
/// `check` gets user name and password; where it says no, the connection closes without a byte, which is
/// what clients take for a refusal.
pub async fn accept(
    mut stream: TcpStream,
    opts: &AcceptOptions,
    check: impl FnOnce(&str, &[u8]) -> bool,
) -> Result<Connection, HandshakeError> {
    let peer = plain(stream.peer_addr()?);
    tune(&stream)?;
    let limit = opts.limits.handshake_time;
    let read = read_hello(&mut stream, opts.limits.handshake_bytes);
    let read = timeout(limit, read).await.map_err(|_| HandshakeError::Timeout { limit })?;
    let (hello, first) = match read {
        Err(wrong @ HandshakeError::Protocol { protocol: "HTTP" }) => {
            // The client would otherwise see no more than a reset. One that is gone misses nothing.
            let tell = async {
                stream.write_all(http_refusal().as_bytes()).await?;
                stream.shutdown().await?;
                // What was sent and not read would reset the connection before the answer is read.
                let mut rest = [0u8; 4096];
                for _ in 0..16 {
                    if stream.read(&mut rest).await? == 0 {
                        break;
                    }
                }
                std::io::Result::Ok(())
            };
            let _ = timeout(limit.min(Duration::from_secs(1)), tell).await;
            return Err(wrong);
        }
        read => read?,
    };
    if !check(&hello.user, &hello.password) {
        return Err(HandshakeError::Access { user: hello.user });
    }
    // kola and node-q give up on a 0, so the version we agree to is at least 1.
    let capability = hello.capability.min(opts.capability.clamp(1, super::CAPABILITY));
    stream.write_all(&[capability]).await?;
    Ok(Connection {
        user: hello.user,
        capability,
        peer,
        stream,
        first,
        limits: opts.limits.clone(),
        shared: None,
    })
}

/// The handshake, and what came after it.
async fn read_hello(stream: &mut TcpStream, limit: usize) -> Result<(Hello, BytesMut), HandshakeError> {
    let mut bytes = BytesMut::with_capacity(256);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(HandshakeError::Closed);
        }
        if let Some((hello, used)) = parse_hello(&bytes[..bytes.len().min(limit)])? {
            return Ok((hello, bytes.split_off(used)));
        }
        if bytes.len() >= limit {
            return Err(HandshakeError::TooLong { limit });
        }
    }
}

/// An address as people know it: an IPv4 peer of a socket for both families comes as `::ffff:10.0.0.1`.
pub(super) fn plain(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// Sends small messages at once, and notices a peer that vanished without a word.
fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10));
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
