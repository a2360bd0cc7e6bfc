//! Opening a connection to another q process.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs as _},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixStream},
    },
    sync::PoisonError,
    time::{Duration, Instant},
};

use qlang::{QError, R, host::Target};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    connection::{Connection, Protocol},
    identity,
    listener::unix_name,
    stream::Stream,
    world::Shared,
};

/// What this side of q's protocol can: messages and vectors of any length.
const CAPABILITY: u8 = 6;

/// Opens a connection and says who this is.
pub(crate) fn open(net: &Shared, target: &Target) -> R<i32> {
    let Target::Process { host, port, tls, credentials, timeout } = target else {
        return Err(QError::type_());
    };
    if *tls {
        return Err(QError::new("nyi: connections over TLS"));
    }
    let end = (*timeout > 0).then(|| Instant::now() + Duration::from_millis(*timeout));
    let stream = match host {
        Some(host) => tcp(host, *port, end)?,
        None => unix(*port)?,
    };
    let mut connection = Connection::new(stream).map_err(|e| hop(&e))?;
    let credentials = match credentials.as_str() {
        "" => format!("{}:", identity::user()),
        given => given.to_owned(),
    };
    let hello = [credentials.as_bytes(), &[CAPABILITY, 0]].concat();
    connection.queue(hello.into()).map_err(|e| hop(&e))?;
    let interrupted = net.lock().unwrap_or_else(PoisonError::into_inner).interrupted.clone();
    while connection.input().is_empty() {
        if connection.ended {
            return Err(QError::access());
        }
        let wait = match end.map(|e| e.saturating_duration_since(Instant::now())) {
            Some(left) if left.is_zero() => return Err(QError::new("timeout")),
            left => left.unwrap_or(Duration::from_secs(3600)),
        };
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        let wants = if connection.has_output() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        match poll(&mut [PollFd::new(connection.stream(), wants)], Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(hop(&e.into())),
        }
        if interrupted.swap(false, std::sync::atomic::Ordering::Relaxed) {
            return Err(QError::new("hop. OS reports: Interrupted system call"));
        }
        let done = connection.drain().and_then(|()| connection.fill().map(|_| ()));
        if let Err(e) = done {
            // A refused login shows as a reset where the server closed with our bytes unread.
            return Err(if e.kind() == io::ErrorKind::ConnectionReset { QError::access() } else { hop(&e) });
        }
    }
    let answer = connection.consume(1);
    connection.capability = answer.first().copied().unwrap_or(0).min(CAPABILITY);
    connection.protocol = Protocol::Q;
    connection.user = identity::user();
    let mut net = net.lock().unwrap_or_else(PoisonError::into_inner);
    net.add_connection(connection).ok_or_else(|| QError::new("conn"))
}

fn hop(e: &io::Error) -> QError {
    if e.kind() == io::ErrorKind::TimedOut {
        return QError::new("timeout");
    }
    let text = e.to_string();
    QError::new(format!("hop. OS reports: {}", text.split(" (os error").next().unwrap_or(&text)))
}

fn tcp(host: &str, port: u16, end: Option<Instant>) -> R<Stream> {
    let name = if host.is_empty() { "localhost" } else { host };
    let addresses = (name, port).to_socket_addrs();
    let addresses = addresses.map_err(|_| QError::new(format!("hop. OS reports: unknown host {name}")))?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        let tried = match end {
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(QError::new("timeout"));
                }
                TcpStream::connect_timeout(&address, left)
            }
            None => TcpStream::connect(address),
        };
        match tried {
            Ok(stream) => return Ok(Stream::Tcp(stream)),
            Err(e) => last = e,
        }
    }
    Err(hop(&last))
}

fn unix(port: u16) -> R<Stream> {
    let name = unix_name(port);
    let hidden = SocketAddr::from_abstract_name(&name).and_then(|a| UnixStream::connect_addr(&a));
    hidden.or_else(|_| UnixStream::connect(&name)).map(Stream::Unix).map_err(|e| hop(&e))
}

/// What the peer of a handshake may say: credentials and capability in the bytes up to the first NUL.
pub(crate) struct Hello {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) capability: u8,
    /// bytes of it
    pub(crate) len: usize,
}

/// Takes a hello apart; `None` while its end is not there.
pub(crate) fn hello(input: &[u8]) -> Option<Hello> {
    let end = input.iter().position(|b| *b == 0)?;
    let (text, capability) = match input[..end].split_last() {
        Some((last, rest)) if *last < 0x20 => (rest, *last),
        _ => (&input[..end], 0),
    };
    let text = String::from_utf8_lossy(text);
    let (user, password) = text.split_once(':').unwrap_or((&text, ""));
    Some(Hello {
        user: user.to_owned(),
        password: password.to_owned(),
        capability: capability.min(CAPABILITY),
        len: end + 1,
    })
}
