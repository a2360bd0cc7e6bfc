//! Every limit of a link, with its name, default and variable.

use std::time::Duration;

use sg::config::{ConfigError, Env, Kind, Var, common};

use crate::logging;

/// Bytes a link may have waiting to be written.
pub const LINK_QUEUE: Var = Var::new(
    "QMESH_LINK_QUEUE",
    Kind::Bytes,
    "1G",
    "bytes that may wait to be written to one internal link; a link whose peer reads too slowly for it is cut",
);
/// Links a process may have.
pub const MAX_LINKS: Var = Var::new(
    "QMESH_MAX_LINKS",
    Kind::Count,
    "4096",
    "internal connections a listening port holds, and a pool of outgoing links opens; more are refused",
);

/// Time for processes that leave.
pub const DRAIN: Var = Var::new(
    "QMESH_DRAIN",
    Kind::Millis,
    "10000",
    "time that work in flight has to end when this process is told to stop, and on links to processes that leave (their pod is terminating or left the selector)",
);

/// Variables of links beside those in [`sg::config::common`]; every process that has links lists them.
pub const VARS: &[&Var] = &[&LINK_QUEUE, &MAX_LINKS, &DRAIN];

/// Checks the environment of a process before anything is done with it: `vars` are those of its own. Settings for
/// safety that are not built in are refused, every value is of its kind, and the logger could start.
pub fn check(env: &Env, vars: &[&Var]) -> Result<(), ConfigError> {
    env.check(&[vars, common::VARS, VARS])?;
    logging::check(env)
}

/// Bounds and times of links.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// period of heartbeats; zero for none
    pub heartbeat: Duration,
    /// periods a peer may be silent before it is cut, at least 1
    pub tolerance: u32,
    /// time for connecting, and again for the handshake
    pub connect_timeout: Duration,
    /// bytes that may wait to be written before the link is cut
    pub send_limit: usize,
    /// what a peer that has proved itself may send
    pub limits: qipc::Limits,
    /// first wait before dialling again
    pub backoff_min: Duration,
    /// longest wait before dialling again
    pub backoff_max: Duration,
    /// connections a listening port holds, links a pool opens
    pub max_links: usize,
    /// time for what is in flight at an end
    pub drain: Duration,
}

impl Default for LinkOptions {
    fn default() -> Self {
        LinkOptions {
            heartbeat: Duration::from_secs(30),
            tolerance: 2,
            connect_timeout: Duration::from_secs(5),
            send_limit: 1 << 30,
            limits: qipc::Limits::internal(),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(5),
            max_links: 4096,
            drain: Duration::from_secs(10),
        }
    }
}

impl LinkOptions {
    /// From the environment.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let not_zero = |var: &Var, zero: bool| match zero {
            true => Err(env.refuse(var, "more than 0")),
            false => Ok(()),
        };
        let connect_timeout = env.millis(&common::CONN_TIMEOUT)?;
        not_zero(&common::CONN_TIMEOUT, connect_timeout.is_zero())?;
        let send_limit = env.bytes(&LINK_QUEUE)?;
        not_zero(&LINK_QUEUE, send_limit == 0)?;
        let max_links = env.count(&MAX_LINKS)?;
        not_zero(&MAX_LINKS, max_links == 0)?;
        Ok(LinkOptions {
            heartbeat: env.millis(&common::HB_FREQ)?,
            tolerance: u32::try_from(env.count(&common::HB_TOL)?).unwrap_or(u32::MAX).clamp(1, 1_000_000),
            connect_timeout,
            send_limit: usize::try_from(send_limit).unwrap_or(usize::MAX),
            max_links: usize::try_from(max_links).unwrap_or(usize::MAX),
            drain: env.millis(&DRAIN)?,
            ..LinkOptions::default()
        })
    }

    /// Limits before a peer has proved its identity: a hello and a proof are far smaller.
    pub(crate) fn stranger_limits(&self) -> qipc::Limits {
        qipc::Limits {
            max_message: 16 << 10,
            max_depth: 8,
            max_objects: 256,
            handshake_time: self.connect_timeout,
            ..self.limits.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_override_defaults_and_zero_is_refused_where_it_makes_no_sense() {
        let env = Env::of([("KXI_SAPI_HB_FREQ", "100"), ("QMESH_LINK_QUEUE", "2M")]);
        let options = LinkOptions::from_env(&env).unwrap();
        assert_eq!((options.heartbeat, options.send_limit), (Duration::from_millis(100), 2 << 20));
        assert_eq!((options.tolerance, options.max_links), (2, 4096));
        for var in ["QMESH_LINK_QUEUE", "QMESH_MAX_LINKS", "KXI_SG_CONN_TIMEOUT"] {
            let err = LinkOptions::from_env(&Env::of([(var, "0")])).unwrap_err().to_string();
            assert!(err.contains(var), "{err}");
        }
    }
}
