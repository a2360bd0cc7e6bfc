//! Who and where this process is.

use std::net::{IpAddr, ToSocketAddrs as _};

use qlang::host::Identity;

/// Number of the process, name of the host, user, address.
pub(crate) fn identity() -> Identity {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Identity { pid: std::process::id() as i32, user: user(), address: address(&host), host }
}

/// The name of the user this process runs as.
pub(crate) fn user() -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(&id)).then(|| name.to_owned())
    });
    found.or_else(|| std::env::var("USER").ok()).unwrap_or(id)
}

/// IPv4 address of a host as q's number; that of loopback where none is known.
fn address(host: &str) -> i32 {
    let found = (host, 0u16).to_socket_addrs().ok().and_then(|mut all| {
        all.find_map(|a| match a.ip() {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        })
    });
    u32::from(found.unwrap_or(std::net::Ipv4Addr::LOCALHOST)) as i32
}
