//! The ports of a process, in the words of every process.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// A port that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {source}; choose another with {variable}")]
pub struct BindError {
    /// address
    pub addr: String,
    /// variable of the port
    pub variable: &'static str,
    /// what the system says
    pub source: std::io::Error,
}

/// Listens on a port, 0 for any free one; `variable` is what chooses it. `host` is an address or name of this machine;
/// an empty one and `::` stand for all addresses, of both families where the machine has both.
pub async fn listen(
    host: &str,
    port: u16,
    variable: &'static str,
) -> Result<(TcpListener, SocketAddr), BindError> {
    let shown = if host.is_empty() { "[::]" } else { host };
    let failed = |source| BindError { addr: shown_address(shown, port), variable, source };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let listener = match host {
        "" => match both_families(port) {
            // No IPv6 here.
            Err(e) if is_absent(&e) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
            bound => bound,
        },
        "::" => both_families(port),
        host => TcpListener::bind((host, port)).await,
    };
    let listener = listener.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

/// As [`listen`] on each of several hosts, all on one port; the address of the first. A loopback address that the
/// machine does not have is left out, unless it is the first.
pub async fn listen_all(
    hosts: &[String],
    port: u16,
    variable: &'static str,
) -> Result<(Vec<TcpListener>, SocketAddr), BindError> {
    // A free port of one address may be taken on another.
    const TRIES: usize = 16;
    let first = hosts.first().map_or("", String::as_str);
    let mut tries = 0;
    'ports: loop {
        tries += 1;
        let (listener, local) = listen(first, port, variable).await?;
        let mut all = vec![listener];
        for host in hosts.iter().skip(1) {
            match listen(host, local.port(), variable).await {
                Ok((listener, _)) => all.push(listener),
                Err(e) if is_absent(&e.source) && is_loopback(host) => {}
                Err(e) if port == 0 && tries < TRIES && e.source.kind() == io::ErrorKind::AddrInUse => {
                    continue 'ports;
                }
                Err(e) => return Err(e),
            }
        }
        return Ok((all, local));
    }
}

/// One socket for IPv6 and IPv4, whatever the system's default for that is.
fn both_families(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

/// True where the machine has no such address or family.
fn is_absent(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own.
    const NO_FAMILY: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_FAMILY)
}

fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn shown_address(host: &str, port: u16) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("[{host}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}

/// As [`listen`], where there is to be such a port at all.
pub async fn listen_if(
    host: &str,
    port: Option<u16>,
    variable: &'static str,
) -> Result<Option<TcpListener>, BindError> {
    match port {
        Some(port) => Ok(Some(listen(host, port, variable).await?.0)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_named_with_what_chooses_another() {
        let (_first, local) = listen("127.0.0.1", 0, "KXI_PORT").await.unwrap();
        assert_ne!(local.port(), 0);
        let error = listen("127.0.0.1", local.port(), "KXI_PORT").await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {local}: ")), "{error}");
        assert!(error.ends_with("; choose another with KXI_PORT"), "{error}");
        assert!(listen_if("127.0.0.1", None, "QMESH_HTTP_PORT").await.unwrap().is_none());
        let error = listen_if("127.0.0.1", Some(local.port()), "QMESH_HTTP_PORT").await.unwrap_err();
        assert_eq!(error.variable, "QMESH_HTTP_PORT");
    }

    #[tokio::test]
    async fn all_addresses_are_those_of_both_families() {
        for host in ["", "::", "[::]"] {
            let (listener, local) = listen(host, 0, "KXI_PORT").await.unwrap();
            let mut reached = 0;
            for to in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
                if tokio::net::TcpStream::connect((to, local.port())).await.is_ok() {
                    listener.accept().await.unwrap();
                    reached += 1;
                }
            }
            let six = std::net::UdpSocket::bind("[::1]:0").is_ok();
            assert_eq!(reached, if six { 2 } else { 1 }, "{host}");
        }
        assert!(listen("no.such.host.invalid", 0, "KXI_PORT").await.is_err());
    }

    #[tokio::test]
    async fn several_addresses_share_one_port_and_no_other_is_opened() {
        for _ in 0..20 {
            let hosts = ["127.0.0.1".to_string(), "::1".to_string()];
            let (all, local) = listen_all(&hosts, 0, "KXI_PORT").await.unwrap();
            assert!(all.iter().all(|l| l.local_addr().unwrap().ip().is_loopback()));
            assert!(all.iter().all(|l| l.local_addr().unwrap().port() == local.port()));
            assert!(listen_all(&hosts, local.port(), "KXI_PORT").await.is_err(), "it is taken");
        }
    }

    /// A process told to listen on one address is reachable on no other address.
    #[tokio::test]
    async fn an_address_that_is_asked_for_is_the_only_one() {
        let mut seed = 11u64;
        for case in 0..1000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let [_, a, b, c, ..] = (seed >> 8).to_le_bytes();
            let host = Ipv4Addr::new(127, a, b, c.clamp(1, 254));
            let (_listener, local) = listen(&host.to_string(), 0, "KXI_PORT").await.unwrap();
            assert_eq!(local.ip(), host, "case {case}");
            let other = Ipv4Addr::new(127, a, b, if c.clamp(1, 254) == 7 { 8 } else { 7 });
            assert!(std::net::TcpStream::connect((other, local.port())).is_err(), "case {case}: {other}");
        }
    }
}
