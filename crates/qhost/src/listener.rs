//! Sockets that are listened on: TCP on loopback unless another address is named, and a Unix socket beside it.

use std::{
    io,
    net::{TcpListener, ToSocketAddrs as _},
    os::{
        fd::{AsFd, BorrowedFd},
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
};

use qlang::{QError, R};

use crate::stream::Stream;

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// A connection that waits; `None` where none does.
    pub(crate) fn accept(&self) -> io::Result<Option<Stream>> {
        let accepted = match self {
            Listener::Tcp(l) => l.accept().map(|(s, _)| Stream::Tcp(s)),
            Listener::Unix(l) => l.accept().map(|(s, _)| Stream::Unix(s)),
        };
        match accepted {
            Ok(stream) => Ok(Some(stream)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(l) => l.as_fd(),
            Listener::Unix(l) => l.as_fd(),
        }
    }
}

/// Name of the Unix socket of a port, in the abstract name space, as kdb+ has it on Linux.
pub(crate) fn unix_name(port: u16) -> String {
    format!("/tmp/kx.{port}")
}

/// The sockets that `[rp,][host:]port` asks for, and the port; none for port 0. A range `5000/5010` takes the first
/// free port, `0W` any.
pub(crate) fn listeners(address: &str, open_to_all: bool) -> R<(Vec<Listener>, i32)> {
    let address = address.trim();
    let address = address.strip_prefix("rp,").unwrap_or(address);
    let (host, ports) = match address.rsplit_once(':') {
        Some((host, ports)) => (host.trim_matches(['[', ']']), ports),
        None => ("", address),
    };
    // Negative ports ask for a thread for each connection; connections are served by one thread here.
    let ports = ports.strip_prefix('-').unwrap_or(ports);
    let number = |text: &str| text.parse::<u16>().map_err(|_| QError::domain());
    let candidates = match (ports, ports.split_once('/')) {
        ("0", _) => return Ok((Vec::new(), 0)),
        ("0W" | "0w", _) => vec![0],
        (_, Some((from, to))) => (number(from)?..=number(to)?).collect(),
        (port, None) => vec![number(port)?],
    };
    let hosts: Vec<&str> = match host {
        "" if open_to_all => vec!["0.0.0.0", "::"],
        "" => vec!["127.0.0.1", "::1"],
        host => vec![host],
    };
    let mut last = None;
    for port in candidates {
        match bind(&hosts, port) {
            Ok(bound) => return Ok(bound),
            Err(e) => last = Some((port, e)),
        }
    }
    let (port, e) = last.ok_or_else(QError::domain)?;
    let text = e.to_string();
    let reason = text.split(" (os error").next().unwrap_or(&text);
    Err(QError::new(format!("cannot listen on port {port}. OS reports: {reason}")))
}

fn bind(hosts: &[&str], port: u16) -> io::Result<(Vec<Listener>, i32)> {
    let mut made: Vec<Listener> = Vec::new();
    let mut chosen = port;
    for (i, host) in hosts.iter().enumerate() {
        let mut addresses = (*host, chosen).to_socket_addrs()?;
        let bound = addresses
            .find_map(|a| TcpListener::bind(a).ok())
            .map_or_else(|| TcpListener::bind((*host, chosen)), Ok);
        match bound {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                chosen = listener.local_addr()?.port();
                made.push(Listener::Tcp(listener));
            }
            // The second address is IPv6, which a host may not have, or which the first one serves too.
            Err(_) if i > 0 => {}
            Err(e) => return Err(e),
        }
    }
    let unix = SocketAddr::from_abstract_name(unix_name(chosen)).and_then(|a| UnixListener::bind_addr(&a));
    if let Ok(unix) = unix {
        unix.set_nonblocking(true)?;
        made.push(Listener::Unix(unix));
    }
    Ok((made, i32::from(chosen)))
}

/// Where is listened, for people.
pub(crate) fn described(listeners: &[Listener]) -> String {
    let addresses = listeners.iter().filter_map(|l| match l {
        Listener::Tcp(l) => l.local_addr().ok().map(|a| a.to_string()),
        Listener::Unix(_) => None,
    });
    addresses.collect::<Vec<_>>().join(" and ")
}
