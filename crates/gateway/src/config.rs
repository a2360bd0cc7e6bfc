//! The gateway's configuration: the options that its environment variables ([`VARS`]) make.
//!
//! Settings for safety that are not built in stop it at start ([`sg::config::safety`]).

use std::{net::IpAddr, time::Duration};

use discovery::{Find, config as disc};
use kvalue::Sym;
use link::{LinkOptions, Secrets};
use qipc::Limits;
use sg::config::{ConfigError, Env, Var, common};

mod vars;

pub use vars::*;

/// What a gateway is started with.
#[derive(Debug)]
pub struct Options {
    /// process name
    pub name: Sym,
    /// addresses to listen on, an empty one for all of the machine; each port is opened on each of them
    pub bind: Vec<String>,
    /// QIPC port, 0 for any free one
    pub qipc_port: u16,
    /// HTTP port, 0 for any free one
    pub http_port: u16,
    /// further QIPC port for clients only
    pub ext_qipc_port: Option<u16>,
    /// further port for metrics and health
    pub metrics_port: Option<u16>,
    /// path of metrics; `None` for no metrics
    pub metrics_path: Option<String>,
    /// where the RCs are
    pub rc: Find,
    /// times and bounds of finding them
    pub discovery: discovery::Options,
    /// data pods, to show what is found of them
    pub daps: Option<Find>,
    /// pod label that ties an RC to an assembly
    pub assembly_key: String,
    /// where a request names an assembly and no affinity: only RCs of the assembly will do
    pub hard_affinity: bool,
    /// host or address that Aggs reach this process under; `None` to find it
    pub advertise: Option<String>,
    /// the mesh's secret
    pub secrets: Secrets,
    /// bounds and times of internal links
    pub links: LinkOptions,
    /// bounds of clients
    pub bounds: Bounds,
    /// origins of browsers that may call; `None` without CORS
    pub cors: Option<Vec<String>>,
    /// time for requests in flight at the end
    pub drain: Duration,
    /// sentences to log at start
    pub warnings: Vec<String>,
}

/// What clients may do, and how long things may take.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// time a request has unless it says otherwise
    pub timeout: Duration,
    /// how long a request is kept that comes while no RC is ready
    pub rc_wait: Duration,
    /// what a QIPC client may send
    pub client: Limits,
    /// connections per port
    pub max_connections: usize,
    /// requests outstanding per QIPC connection
    pub max_outstanding: usize,
    /// requests in flight
    pub max_pending: usize,
    /// bytes of a REST body
    pub max_body: usize,
    /// bytes of a payload written as JSON
    pub max_json: u64,
    /// bytes of all large payloads that are being written as JSON
    pub json_memory: u64,
    /// bytes held of one large answer
    pub window: u64,
    /// time something may stand still before it is cut
    pub stall: Duration,
    /// which clients get compressed answers
    pub compress: Compress,
}

/// Which clients get compressed answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compress {
    /// those on other hosts
    Auto,
    /// all that can read them
    Always,
    /// none
    Never,
}

impl Compress {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "auto" => Compress::Auto,
            "always" => Compress::Always,
            "never" => Compress::Never,
            _ => return None,
        })
    }

    /// True for a client of this capability at this address. kdb+ compresses for capability 1 and later, never on
    /// its own host.
    pub fn suits(self, capability: u8, peer: IpAddr) -> bool {
        match self {
            _ if capability < 1 => false,
            Compress::Auto => !peer.to_canonical().is_loopback(),
            Compress::Always => true,
            Compress::Never => false,
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        let stall = Duration::from_secs(60);
        Bounds {
            timeout: Duration::from_secs(30),
            rc_wait: Duration::from_secs(2),
            client: Limits { write_stall: stall, ..Limits::client().with_max_message(256 << 20) },
            max_connections: 4096,
            max_outstanding: 1024,
            max_pending: 65536,
            max_body: 16 << 20,
            max_json: 1 << 30,
            json_memory: 4 << 30,
            window: 2 << 20,
            stall,
            compress: Compress::Auto,
        }
    }
}

impl Options {
    /// From the environment.
    pub fn from_env(env: &Env) -> Result<Options, ConfigError> {
        link::check(env, VARS)?;
        let others = [&common::RC_ADDR, &disc::RC_SELECTOR].iter().any(|var| env.text(var).is_some());
        let instead = format!("{} or {}", common::RC_ADDR.name, disc::RC_SELECTOR.name);
        let mut warnings: Vec<String> = common::registry(env, others, &instead)?.into_iter().collect();
        warnings.extend(env.given(&ASSEMBLY_KEY).map(|key| {
            format!(
                "{} is set to {key} and has no effect on where requests go: a coordinator is for the assembly that its own KXI_ASSEMBLY_NAME says",
                ASSEMBLY_KEY.name
            )
        }));
        let rc = find_coordinators(env)?;
        let name = common::process_name(env, "gw");
        let cors = match env.flag(&CORS_ENABLED)? {
            true => Some(env.list(&CORS_ORIGINS)),
            false => None,
        };
        let metrics_path = match env.flag(&METRICS_ENABLED)? {
            true => Some(env.text(&METRICS_ENDPOINT).unwrap_or_else(|| "/metrics".into())),
            false => None,
        };
        if metrics_path.as_deref().is_some_and(|p| !p.starts_with('/') || p.contains(['{', '}', '?'])) {
            return Err(env.refuse(&METRICS_ENDPOINT, "a path that begins with /"));
        }
        let hard_affinity = match env.text(&SCOPE_AFFINITY).as_deref() {
            None | Some("soft") => false,
            Some("hard") => true,
            Some(_) => return Err(env.refuse(&SCOPE_AFFINITY, "soft or hard")),
        };
        Ok(Options {
            name: name.into(),
            bind: vec![env.text(&common::LISTEN).unwrap_or_default()],
            qipc_port: env.port(&QIPC_PORT)?.unwrap_or_default(),
            http_port: env.port(&HTTP_PORT)?.unwrap_or_default(),
            ext_qipc_port: env.port(&EXT_QIPC_PORT)?,
            metrics_port: env.port(&METRICS_PORT)?,
            metrics_path,
            rc,
            discovery: discovery::Options::from_env(env)?,
            daps: disc::da_selector(env).map(Find::matching),
            assembly_key: env.text(&ASSEMBLY_KEY).unwrap_or_default(),
            hard_affinity,
            advertise: env.text(&common::ADVERTISE),
            secrets: Secrets::from_env(env)?,
            links: LinkOptions::from_env(env)?,
            bounds: Bounds::from_env(env)?,
            cors,
            drain: env.millis(&DRAIN)?,
            warnings,
        })
    }
}

impl Bounds {
    fn from_env(env: &Env) -> Result<Bounds, ConfigError> {
        let at_least = |var: &Var, n: u64, least: u64| match n < least {
            true => Err(env.refuse(var, format!("at least {least}"))),
            false => Ok(n),
        };
        let count =
            |var: &Var| at_least(var, env.count(var)?, 1).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let bytes = |var: &Var, least: u64| at_least(var, env.bytes(var)?, least);
        let time = |var: &Var| {
            let time = env.millis(var)?;
            at_least(var, time.as_millis() as u64, 1).map(|_| time)
        };
        let stall = time(&STALL)?;
        let max_json = bytes(&MAX_JSON, 1 << 20)?;
        Ok(Bounds {
            timeout: time(&common::TIMEOUT)?,
            rc_wait: env.millis(&RC_WAIT)?,
            client: Limits {
                write_stall: stall,
                // Chunks of large answers come by the same port.
                ..Limits::client().with_max_message(bytes(&MAX_REQUEST, 4 << 20)?)
            },
            max_connections: count(&MAX_CONNECTIONS)?,
            max_outstanding: count(&MAX_OUTSTANDING)?,
            max_pending: count(&MAX_PENDING)?,
            max_body: usize::try_from(bytes(&MAX_BODY, 1 << 10)?).unwrap_or(usize::MAX),
            max_json,
            json_memory: bytes(&JSON_MEMORY, max_json)?,
            window: bytes(&BUFFER_INITIAL, 64 << 10)?,
            stall,
            compress: compress(env)?,
        })
    }
}

fn compress(env: &Env) -> Result<Compress, ConfigError> {
    let said = env.text(&COMPRESS).unwrap_or_default();
    Compress::parse(&said).ok_or_else(|| env.refuse(&COMPRESS, "auto, always or never"))
}

/// Addresses, else a label selector.
fn find_coordinators(env: &Env) -> Result<Find, ConfigError> {
    let addresses = env.list(&common::RC_ADDR);
    if !addresses.is_empty() {
        return Ok(Find::Addresses(addresses));
    }
    if let Some(selector) = env.text(&disc::RC_SELECTOR) {
        return Ok(Find::matching(selector));
    }
    env.required(&common::RC_ADDR).map(|_| Find::Addresses(addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Result<Options, ConfigError> {
        let rc = [("KXI_SG_RC_ADDR", "127.0.0.1:5050")];
        Options::from_env(&Env::of(rc.into_iter().chain(vars.iter().copied())))
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let o = with(&[]).unwrap();
        assert_eq!((o.qipc_port, o.http_port, o.ext_qipc_port, o.metrics_port), (5040, 8080, None, None));
        assert_eq!(o.bounds.timeout, Duration::from_secs(30));
        assert_eq!((o.bounds.window, o.cors), (2 << 20, None));
        assert_eq!(format!("{:?}", o.bounds), format!("{:?}", Bounds::default()), "one set of defaults");
    }

    #[test]
    fn asking_for_a_protection_we_lack_stops_the_start() {
        for (name, value) in [
            ("KXI_SG_USE_SSL", "1"),
            ("KXI_AUTH_DISABLED", "0"),
            ("KXI_SG_AUTH_IPC_HOST", "localhost"),
            ("KXI_SG_AUTH_HTTP_ENDPOINT", "http://auth"),
            ("KXI_OIDC_JSON_PATH", "/oidc.json"),
            ("KXI_SG_KEYSTORE", "/keystore.p12"),
            ("KXI_SECURE_ENABLED", "true"),
        ] {
            let err = with(&[(name, value)]).unwrap_err().to_string();
            assert!(err.contains(name) && err.contains("less safe"), "{err}");
        }
    }

    #[test]
    fn without_any_coordinator_the_error_says_what_to_set() {
        assert!(Options::from_env(&Env::default()).unwrap_err().to_string().contains("KXI_SG_RC_ADDR"));
        let err = Options::from_env(&Env::of([("DISCOVERY_PROXY", "proxy:4000")])).unwrap_err().to_string();
        assert!(err.contains("KXI_SG_RC_ADDR") && err.contains("proxy:4000"), "{err}");
    }

    #[test]
    fn coordinators_are_found_by_addresses_else_by_pods_else_in_the_registry() {
        let mut vars = vec![("DISCOVERY_PROXY", "proxy:4000"), ("KXI_SG_RC_LABEL_SELECTOR", "x in (a)")];
        let found = |vars: &[(&str, &str)]| Options::from_env(&Env::of(vars.iter().copied())).unwrap().rc;
        assert!(format!("{:?}", found(&vars)).contains("Selector(\"x in (a)\")"));
        vars.push(("KXI_SG_RC_ADDR", "a:1, b:2"));
        assert!(matches!(found(&vars), Find::Addresses(a) if a == ["a:1", "b:2"]));
    }

    #[test]
    fn what_has_no_effect_is_said_at_the_start() {
        let o = with(&[("DISCOVERY_PROXY", "proxy:4000"), ("KXI_ASSEMBLY_KEY", "mine/app")]).unwrap();
        assert!(
            o.warnings[0].contains("DISCOVERY_PROXY is set to proxy:4000 and has no effect"),
            "{:?}",
            o.warnings
        );
        assert!(o.warnings[1].contains("KXI_ASSEMBLY_NAME"), "{:?}", o.warnings);
        assert!(with(&[]).unwrap().warnings.is_empty());
    }

    #[test]
    fn answers_are_compressed_for_those_who_can_read_it_on_other_hosts() {
        let (here, there) = (["127.0.0.1", "::1", "::ffff:127.0.0.1"], ["10.0.0.1", "fd00::1"]);
        let suits = |mode: &str, capability, peer: &str| {
            let mode = with(&[("QMESH_GW_COMPRESS", mode)]).unwrap().bounds.compress;
            mode.suits(capability, peer.parse().unwrap())
        };
        for (peers, auto) in [(&here[..], false), (&there, true)] {
            for peer in peers {
                assert_eq!(suits("auto", 3, peer), auto, "{peer}");
                assert!(suits("always", 1, peer) && !suits("always", 0, peer) && !suits("never", 6, peer));
            }
        }
    }

    #[test]
    fn bad_values_are_named() {
        for (name, value) in [
            ("GATEWAY_QIPC_PORT", "99999"),
            ("KXI_SG_TIMEOUT", "0"),
            ("QMESH_GW_MAX_OUTSTANDING", "0"),
            ("KXI_SG_BUFFER_INITIAL", "1K"),
            ("KXI_SG_METRICS_ENDPOINT", "metrics"),
            ("KXI_SCOPE_AFFINITY", "firm"),
            ("QMESH_GW_COMPRESS", "sometimes"),
        ] {
            let err = with(&[(name, value)]).unwrap_err().to_string();
            assert!(err.contains(name) && err.contains(value), "{err}");
        }
    }
}
