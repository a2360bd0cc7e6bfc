//! Ports that must be known before somebody listens on them: those of processes that find each other by address.
//!
//! A test that can ask a listener where it is should listen on port 0 instead. This is for those that cannot: a port
//! that was free a moment ago is one that a connection or a listener of another test may take, unless it lies where
//! the system gives none away.

use std::{
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// A port nobody listens on, given once in this process, and below those that the system gives to outgoing connections
/// and to listeners on port 0: no other test takes the port before the intended process.
pub fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Programs of tests that run side by side begin far from each other.
    let base = (std::process::id() % 150) as u16 * 128;
    loop {
        let port = 10_000 + (base + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A port of loopback.
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_and_none_is_one_of_the_systems_own() {
        let mut given: Vec<u16> = (0..200).map(|_| port()).collect();
        assert!(given.iter().all(|port| (10_000..30_000).contains(port)), "{given:?}");
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 200);
    }
}
