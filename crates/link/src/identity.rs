//! Who is at the two ends of a link.

use std::net::SocketAddr;

use kvalue::Sym;
use sg::InstanceId;

use crate::Secrets;

/// What a process does in the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// gateway
    Gw,
    /// resource coordinator
    Rc,
    /// aggregator
    Agg,
    /// data access process
    Da,
}

impl Role {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Gw => "gw",
            Role::Rc => "rc",
            Role::Agg => "agg",
            Role::Da => "da",
        }
    }

    /// The role of this name.
    pub fn from_name(name: &[u8]) -> Option<Role> {
        [Role::Gw, Role::Rc, Role::Agg, Role::Da].into_iter().find(|r| r.name().as_bytes() == name)
    }
}

/// This process, as it tells others.
#[derive(Debug)]
pub struct Identity {
    /// what it does
    pub role: Role,
    /// its name (`KXI_NAME`)
    pub name: Sym,
    /// this run of it
    pub instance: InstanceId,
    /// where others dial it: `host:port`; `:port` stands for the address its links come from; null for nowhere
    pub address: Sym,
    /// the mesh's secret
    pub secrets: Secrets,
}

/// The process at the other end of a live link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// what it does
    pub role: Role,
    /// its name
    pub name: Sym,
    /// this run of it
    pub instance: InstanceId,
    /// where it can be dialled, `host:port`; null for nowhere
    pub address: Sym,
    /// the other end of the connection
    pub socket: SocketAddr,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} at {}", self.role.name(), self.name, self.socket)
    }
}

/// The address to tell others for a port bound at `bound`: the host or address of `QMESH_ADVERTISE`, else the bound address, else
/// `:port`, which each peer completes by the address it sees.
pub fn advertised(host: Option<&str>, bound: SocketAddr) -> Sym {
    let host = match host.map(str::trim).filter(|host| !host.is_empty()) {
        Some(text) => match text.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() && !text.ends_with(']') && !bare_v6(text) => {
                return text.into();
            }
            _ if bare_v6(text) => format!("[{text}]"),
            _ => text.into(),
        },
        None if bound.ip().is_unspecified() => String::new(),
        None => return bound.to_string().into(),
    };
    format!("{host}:{}", bound.port()).into()
}

fn bare_v6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

/// An advertised address, completed where it is only `:port`.
pub(crate) fn complete(address: &Sym, seen: SocketAddr) -> Sym {
    let text = address.text();
    match text.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()) {
        Some(port) => SocketAddr::new(seen.ip().to_canonical(), port).to_string().into(),
        None => address.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(advertise: &str, bound: &str) -> String {
        advertised(Some(advertise), bound.parse().unwrap()).text().into_owned()
    }

    #[test]
    fn advertised_address_is_the_configured_one_else_the_bound_one_else_left_to_the_peer() {
        assert_eq!(address("pod-1", "0.0.0.0:5060"), "pod-1:5060");
        assert_eq!(address("pod-1:7000", "0.0.0.0:5060"), "pod-1:7000");
        assert_eq!(address("fd00::1", "[::]:5060"), "[fd00::1]:5060");
        assert_eq!(address("[fd00::1]:7", "[::]:5060"), "[fd00::1]:7");
        assert_eq!(address("", "127.0.0.1:5060"), "127.0.0.1:5060");
        assert_eq!(address("", "0.0.0.0:5060"), ":5060");
    }

    #[test]
    fn a_bare_port_is_completed_by_the_address_that_was_seen() {
        let seen = "10.1.2.3:40000".parse().unwrap();
        assert_eq!(complete(&":5060".into(), seen), "10.1.2.3:5060");
        assert_eq!(complete(&"pod:5060".into(), seen), "pod:5060");
        assert_eq!(complete(&Sym::null(), seen), Sym::null());
    }
}
