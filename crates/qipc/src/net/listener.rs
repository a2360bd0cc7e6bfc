//! A listening socket with a bound on the connections it holds.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{AcceptOptions, Connection, HandshakeError, accept};

/// Listens, and closes at once what comes beyond `max_connections`.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    opts: Arc<AcceptOptions>,
    places: Arc<Semaphore>,
    max_connections: usize,
}

/// A connection before its handshake, which belongs in a task of its own: a slow client must not keep
/// others from being accepted.
#[derive(Debug)]
pub struct Pending {
    stream: TcpStream,
    /// The other end.
    pub peer: SocketAddr,
    opts: Arc<AcceptOptions>,
    place: OwnedSemaphorePermit,
}

impl Listener {
    /// Listens on `addr` (`host:port`, port 0 for any).
    pub async fn bind(addr: &str, opts: AcceptOptions, max_connections: usize) -> io::Result<Self> {
        Ok(Self::new(TcpListener::bind(addr).await?, opts, max_connections))
    }

    /// Listens on a socket that is bound already.
    pub fn new(socket: TcpListener, opts: AcceptOptions, max_connections: usize) -> Self {
        let max_connections = max_connections.min(Semaphore::MAX_PERMITS);
        Listener {
            socket,
            opts: Arc::new(opts),
            places: Arc::new(Semaphore::new(max_connections)),
            max_connections,
        }
    }

    /// Address that clients connect to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Connections that are held, those in their handshake included.
    pub fn connections(&self) -> usize {
        self.max_connections - self.places.available_permits()
    }

    /// The next connection within the bound. Errors of single connections, and of a process that is out of
    /// file descriptors, are logged and waited out: a listener does not end for them.
    pub async fn accept(&self) -> Pending {
        loop {
            let (stream, peer) = match self.socket.accept().await {
                Ok((stream, peer)) => (stream, super::connection::plain(peer)),
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    // Out of descriptors, the error comes again at once until one is closed.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            match self.places.clone().try_acquire_owned() {
                Ok(place) => return Pending { stream, peer, opts: self.opts.clone(), place },
                Err(_) => {
                    tracing::warn!(%peer, max_connections = self.max_connections, "connection refused: limit")
                }
            }
        }
    }
}

impl Pending {
    /// Does the handshake, as [`accept`]. The connection's place is free again when both its halves are gone.
    pub async fn handshake(
        self,
        check: impl FnOnce(&str, &[u8]) -> bool,
    ) -> Result<Connection, HandshakeError> {
        let Pending { stream, opts, place, .. } = self;
        Ok(accept(stream, &opts, check).await?.holding(place))
    }
}
