//! A socket of either kind, without blocking.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, TcpStream},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Makes the socket ready for the loop.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => {
                s.set_nodelay(true)?;
                s.set_nonblocking(true)
            }
            Stream::Unix(s) => s.set_nonblocking(true),
        }
    }

    /// True where the peer is on this host: messages to it are not compressed.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Stream::Tcp(s) => s.peer_addr().is_ok_and(|a| a.ip().to_canonical().is_loopback()),
            Stream::Unix(_) => true,
        }
    }

    /// IPv4 address of the peer as q's number; 0 where it has none.
    pub(crate) fn address(&self) -> i32 {
        match self {
            Stream::Tcp(s) => match s.peer_addr().map(|a| a.ip().to_canonical()) {
                Ok(IpAddr::V4(v4)) => u32::from(v4) as i32,
                Ok(IpAddr::V6(v6)) if v6.is_loopback() => 0x7f00_0001,
                _ => 0,
            },
            Stream::Unix(_) => 0,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(s) => s.read(buf),
            Stream::Unix(s) => s.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(s) => s.write(buf),
            Stream::Unix(s) => s.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(s) => s.as_fd(),
            Stream::Unix(s) => s.as_fd(),
        }
    }
}
