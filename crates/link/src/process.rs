//! Common start settings of coordinator, aggregator and data process: name, ports, advertised address, links, the
//! mesh's secret. Tests: here.

use std::net::SocketAddr;

use kvalue::Sym;
use sg::{
    InstanceId,
    config::{ConfigError, Env, Var, common},
};
use tokio::net::TcpListener;

use crate::{BindError, Identity, LinkOptions, Role, Secrets, advertised, listen, port::listen_if};

/// What such a process is started with.
#[derive(Debug)]
pub struct ProcessOptions {
    /// process name
    pub name: Sym,
    /// address to listen on, empty for all of the machine
    pub bind: String,
    /// QIPC port, 0 for any free one
    pub port: u16,
    /// port of health and metrics, `None` for none
    pub http_port: Option<u16>,
    /// host or address others reach this process under, `None` to find it
    pub advertise: Option<String>,
    /// links
    pub link: LinkOptions,
    /// the mesh's secret
    pub secrets: Secrets,
}

/// The ports of a process, opened.
#[derive(Debug)]
pub struct Ports {
    /// for QIPC
    pub listener: TcpListener,
    /// where that is
    pub local: SocketAddr,
    /// for health and metrics
    pub http: Option<TcpListener>,
}

impl ProcessOptions {
    /// On loopback, any free port, no HTTP port, no secret: for tests.
    pub fn local(name: &str) -> Self {
        ProcessOptions {
            name: name.into(),
            bind: "127.0.0.1".into(),
            port: 0,
            http_port: None,
            advertise: None,
            link: LinkOptions::default(),
            secrets: Secrets::none(),
        }
    }

    /// Reads the environment; `port` is the variable of the QIPC port, with its default.
    pub fn from_env(env: &Env, role: Role, port: &Var) -> Result<Self, ConfigError> {
        Ok(ProcessOptions {
            name: common::process_name(env, role.name()).into(),
            bind: env.text(&common::LISTEN).unwrap_or_default(),
            port: env.port(port)?.unwrap_or_default(),
            http_port: env.port(&common::HTTP_PORT)?,
            advertise: env.text(&common::ADVERTISE),
            link: LinkOptions::from_env(env)?,
            secrets: Secrets::from_env(env)?,
        })
    }

    /// Opens the ports; `port` is the variable of the QIPC port.
    pub async fn listen(&self, port: &Var) -> Result<Ports, BindError> {
        let (listener, local) = listen(&self.bind, self.port, port.name).await?;
        let http = listen_if(&self.bind, self.http_port, common::HTTP_PORT.name).await?;
        Ok(Ports { listener, local, http })
    }

    /// This run of the process, as it tells others; the secret goes with it.
    pub fn identity(&mut self, role: Role, local: SocketAddr) -> Identity {
        Identity {
            role,
            name: self.name.clone(),
            instance: InstanceId::random(),
            address: advertised(self.advertise.as_deref(), local),
            secrets: std::mem::replace(&mut self.secrets, Secrets::none()),
        }
    }
}

#[cfg(test)]
mod tests {
    use sg::config::Kind;

    use super::*;

    #[tokio::test]
    async fn a_process_listens_and_is_known_as_its_variables_say() {
        const PORT: Var = Var::new("KXI_PORT", Kind::Port, "5050", "QIPC port");
        let defaults = ProcessOptions::from_env(&Env::default(), Role::Rc, &PORT).unwrap();
        assert_eq!((defaults.port, defaults.http_port, &*defaults.bind), (5050, Some(8081), ""));
        let env = Env::of([("KXI_NAME", "rc-7"), ("QMESH_ADVERTISE", "pod-7"), ("KXI_PORT", "0")]);
        let env = env.with(&common::HTTP_PORT, "0");
        let mut options = ProcessOptions::from_env(&env, Role::Rc, &PORT).unwrap();
        options.bind = "127.0.0.1".into();
        let ports = options.listen(&PORT).await.unwrap();
        assert!(ports.local.port() != 0 && ports.http.is_some());
        let identity = options.identity(Role::Rc, ports.local);
        assert_eq!(identity.address, format!("pod-7:{}", ports.local.port()).as_str());
        assert_eq!(identity.name, "rc-7");
    }
}
