//! The gateway's configuration: its environment variables, and the options they make.
//!
//! [`VARS`] is what `docs/configuration.md` shows. A variable of the gateway we stand in for that would make
//! the process *less safe than asked* if it were ignored stops it at start; one that has no effect says so.

use std::time::Duration;

use kvalue::Sym;
use link::{LinkOptions, Secrets};
use qipc::Limits;
use sg::config::{ConfigError, Env, Kind, Var, common};

/// QIPC port.
pub const QIPC_PORT: Var =
    Var::new("GATEWAY_QIPC_PORT", Kind::Port, "5040", "QIPC port for clients and for links of Aggs");
/// HTTP port.
pub const HTTP_PORT: Var =
    Var::new("GATEWAY_HTTP_PORT", Kind::Port, "8080", "HTTP port: REST, /healthz, /readyz, /metrics, /log");
/// External QIPC port.
pub const EXT_QIPC_PORT: Var = Var::new(
    "GATEWAY_EXT_QIPC_PORT",
    Kind::Port,
    "",
    "a further QIPC port, for clients only; off without a value",
);
/// RC selector.
pub const RC_SELECTOR: Var = Var::new(
    "KXI_SG_RC_LABEL_SELECTOR",
    Kind::Text,
    "",
    "label selector of RC pods; not yet: name the RCs in KXI_SG_RC_ADDR (a headless Service stands for all its pods)",
);
/// DAP selector.
pub const DA_SELECTOR: Var = Var::new(
    "KXI_SG_DA_LABEL_SELECTOR",
    Kind::Text,
    "",
    "accepted without effect: the gateway never talks to DAPs itself",
);
/// The same by its other name.
pub const DA_SELECTOR_ALIAS: Var =
    Var::new("KXI_DA_LABEL_SELECTOR", Kind::Text, "", "alias of KXI_SG_DA_LABEL_SELECTOR");
/// Discovery proxy.
pub const DISCOVERY_PROXY: Var = Var::new(
    "DISCOVERY_PROXY",
    Kind::Text,
    "",
    "address of a discovery proxy; not yet: name the RCs in KXI_SG_RC_ADDR",
);
/// Registry name of the RC.
pub const RC_SERVICE: Var = Var::new(
    "KXI_RC_SERVICE_NAME",
    Kind::Text,
    "KXI-SG-RC",
    "service name of RCs in the registry; without effect until the discovery proxy is supported",
);
/// Window of a large answer.
pub const BUFFER_INITIAL: Var = Var::new(
    "KXI_SG_BUFFER_INITIAL",
    Kind::Bytes,
    "2M",
    "bytes of one large answer that the gateway holds while the client reads it; at least 64K",
);
/// Kept per Agg link.
pub const BUFFER_RETAIN: Var = Var::new(
    "KXI_SG_BUFFER_RETAIN",
    Kind::Bytes,
    "2M",
    "accepted without effect: nothing of an answer is kept once it is passed on",
);
/// Keycloak switch.
pub const AUTH_DISABLED: Var = Var::new(
    "KXI_AUTH_DISABLED",
    Kind::Flag,
    "1",
    "0 would ask for Keycloak authentication, which is not there yet: the gateway refuses to start with it",
);
/// Keycloak endpoints.
pub const OIDC: Var = Var::new(
    "KXI_OIDC_JSON_PATH",
    Kind::Path,
    "",
    "endpoints of Keycloak; without effect while authentication is not there yet",
);
/// Pod label of assemblies.
pub const ASSEMBLY_KEY: Var = Var::new(
    "KXI_ASSEMBLY_KEY",
    Kind::Text,
    "insights.kx.com/app",
    "pod label that ties an RC to an assembly; without effect: every RC can serve every assembly",
);
/// Default affinity.
pub const SCOPE_AFFINITY: Var = Var::new(
    "KXI_SCOPE_AFFINITY",
    Kind::Text,
    "soft",
    "default of scope.affinity; without effect: every RC can serve every assembly",
);
/// Metrics switch.
pub const METRICS_ENABLED: Var =
    Var::new("KXI_SG_METRICS_ENABLED", Kind::Flag, "true", "false: no metrics on any port");
/// Metrics port.
pub const METRICS_PORT: Var = Var::new(
    "KXI_SG_METRICS_PORT",
    Kind::Port,
    "",
    "a port of its own for metrics and health; they are on the HTTP port too",
);
/// Metrics path.
pub const METRICS_ENDPOINT: Var =
    Var::new("KXI_SG_METRICS_ENDPOINT", Kind::Text, "/metrics", "path of metrics on either port");
/// CORS switch.
pub const CORS_ENABLED: Var =
    Var::new("KXI_SG_CORS_ENABLED", Kind::Flag, "false", "answer browsers of the origins listed");
/// CORS origins.
pub const CORS_ORIGINS: Var = Var::new(
    "KXI_SG_CORS_ORIGINS",
    Kind::List,
    "",
    "origins that may call, as scheme://host[:port], comma list; * for any",
);
/// TLS switch.
pub const USE_SSL: Var = Var::new(
    "KXI_SG_USE_SSL",
    Kind::Flag,
    "0",
    "1 would ask for TLS on the external QIPC port, which is not there yet: the gateway refuses to start with it",
);
/// Key store.
pub const KEYSTORE: Var = Var::new(
    "KXI_SG_KEYSTORE",
    Kind::Path,
    "",
    "PKCS12 key store; without effect while TLS is not there yet",
);
/// Its password's file.
pub const KEYSTORE_PASS_FILE: Var = Var::new(
    "KXI_SG_KEYSTORE_PASS_FILE",
    Kind::Path,
    "",
    "file with its password; without effect while TLS is not there yet",
);
/// Its password.
pub const KEYSTORE_PASS: Var = Var::new(
    "KXI_SG_KEYSTORE_PASS",
    Kind::Text,
    "",
    "its password; without effect while TLS is not there yet",
)
.secret();
/// IPC authorization.
pub const AUTH_IPC_HOST: Var = Var::new(
    "KXI_SG_AUTH_IPC_HOST",
    Kind::Text,
    "",
    "host of a q process that authorizes; not there yet: the gateway refuses to start with it",
);
/// Its port.
pub const AUTH_IPC_PORT: Var = Var::new(
    "KXI_SG_AUTH_IPC_PORT",
    Kind::Port,
    "1234",
    "its port; without effect while it is not there yet",
);
/// TLS to it.
pub const AUTH_IPC_TLS: Var = Var::new(
    "KXI_SG_AUTH_IPC_USE_TLS",
    Kind::Flag,
    "false",
    "TLS to it; without effect while it is not there yet",
);
/// Function to call there.
pub const AUTH_IPC_API: Var = Var::new(
    "KXI_SG_AUTH_IPC_AUTH_API",
    Kind::Text,
    "authorize",
    "function to call there; without effect while it is not there yet",
);
/// HTTP authorization.
pub const AUTH_HTTP: Var = Var::new(
    "KXI_SG_AUTH_HTTP_ENDPOINT",
    Kind::Text,
    "",
    "URL of a service that authorizes; not there yet: the gateway refuses to start with it",
);
/// Headers forwarded to it.
pub const AUTH_HTTP_HEADERS: Var = Var::new(
    "KXI_SG_AUTH_HTTP_HEADERS",
    Kind::List,
    "",
    "request headers forwarded to it; without effect while it is not there yet",
);
/// Stream processor watcher.
pub const SP_WATCHER: Var =
    Var::new("USE_SP_WATCHER", Kind::Flag, "0", "accepted without effect: its meaning was never published");
/// JVM options.
pub const JAVA_OPTS: Var = Var::new("JAVA_OPTS", Kind::Text, "", "accepted without effect: this is no JVM");
/// Assembly file.
pub const ASSEMBLY_FILE: Var = Var::new(
    "KXI_ASSEMBLY_FILE",
    Kind::Path,
    "",
    "accepted without effect: labels are checked by the RC, which knows them from the DAPs",
);
/// Connections.
pub const MAX_CONNECTIONS: Var = Var::new(
    "QMESH_GW_MAX_CONNECTIONS",
    Kind::Count,
    "4096",
    "connections each port holds; more are closed at once",
);
/// Outstanding per connection.
pub const MAX_OUTSTANDING: Var = Var::new(
    "QMESH_GW_MAX_OUTSTANDING",
    Kind::Count,
    "1024",
    "requests one QIPC connection may have outstanding; the next is read when one is answered",
);
/// Requests in flight.
pub const MAX_PENDING: Var = Var::new(
    "QMESH_GW_MAX_PENDING",
    Kind::Count,
    "65536",
    "requests in flight in the gateway; more get rc QUEUE (HTTP 429)",
);
/// Length of a request.
pub const MAX_REQUEST: Var =
    Var::new("QMESH_GW_MAX_REQUEST", Kind::Bytes, "256M", "longest QIPC message taken from a client");
/// Length of a REST body.
pub const MAX_BODY: Var =
    Var::new("QMESH_GW_MAX_BODY", Kind::Bytes, "16M", "longest REST body; a longer one gets HTTP 413");
/// Length of a payload written as JSON.
pub const MAX_JSON: Var = Var::new(
    "QMESH_GW_MAX_JSON",
    Kind::Bytes,
    "1G",
    "longest payload written as JSON, which needs all of it at hand; a longer one gets rc LIMIT (HTTP 413): ask for application/octet-stream or use QIPC",
);
/// Memory for payloads written as JSON.
pub const JSON_MEMORY: Var = Var::new(
    "QMESH_GW_JSON_MEMORY",
    Kind::Bytes,
    "4G",
    "bytes of all large payloads that are being written as JSON; at least QMESH_GW_MAX_JSON; further ones wait for room",
);
/// Storage Manager.
pub const SM_ADDR: Var = Var::new(
    "KXI_SG_SM_ADDR_<name>",
    Kind::Text,
    "",
    "address of a Storage Manager; without effect: the paths that were forwarded to it are not there yet",
);
/// Stalls.
pub const STALL: Var = Var::new(
    "QMESH_GW_STALL",
    Kind::Millis,
    "60000",
    "time a client may read nothing of its answer, or an Agg send nothing of one that it began, before the connection is closed",
);
/// Drain.
pub const DRAIN: Var = Var::new(
    "QMESH_GW_DRAIN",
    Kind::Millis,
    "5000",
    "time that requests in flight have to be answered when the gateway is told to stop",
);

/// The variables of the gateway beside those in [`common`] and [`link::VARS`].
pub const VARS: &[&Var] = &[
    &QIPC_PORT,
    &HTTP_PORT,
    &EXT_QIPC_PORT,
    &common::RC_ADDR,
    &RC_SELECTOR,
    &DA_SELECTOR,
    &DA_SELECTOR_ALIAS,
    &DISCOVERY_PROXY,
    &RC_SERVICE,
    &common::TIMEOUT,
    &BUFFER_INITIAL,
    &BUFFER_RETAIN,
    &AUTH_DISABLED,
    &OIDC,
    &ASSEMBLY_KEY,
    &SCOPE_AFFINITY,
    &METRICS_ENABLED,
    &METRICS_PORT,
    &METRICS_ENDPOINT,
    &CORS_ENABLED,
    &CORS_ORIGINS,
    &USE_SSL,
    &KEYSTORE,
    &KEYSTORE_PASS_FILE,
    &KEYSTORE_PASS,
    &AUTH_IPC_HOST,
    &AUTH_IPC_PORT,
    &AUTH_IPC_TLS,
    &AUTH_IPC_API,
    &AUTH_HTTP,
    &AUTH_HTTP_HEADERS,
    &SM_ADDR,
    &SP_WATCHER,
    &JAVA_OPTS,
    &ASSEMBLY_FILE,
    &MAX_CONNECTIONS,
    &MAX_OUTSTANDING,
    &MAX_PENDING,
    &MAX_REQUEST,
    &MAX_BODY,
    &MAX_JSON,
    &JSON_MEMORY,
    &STALL,
    &DRAIN,
];

/// What a gateway is started with.
#[derive(Debug)]
pub struct Options {
    /// process name
    pub name: Sym,
    /// address to listen on
    pub bind: String,
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
    /// `host:port` of RCs; a name stands for all its addresses
    pub rc: Vec<String>,
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
}

/// What clients may do, and how long things may take.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// time a request has unless it says otherwise
    pub timeout: Duration,
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
}

impl Default for Bounds {
    fn default() -> Self {
        let stall = Duration::from_secs(60);
        Bounds {
            timeout: Duration::from_secs(30),
            client: Limits { write_stall: stall, ..Limits::client().with_max_message(256 << 20) },
            max_connections: 4096,
            max_outstanding: 1024,
            max_pending: 65536,
            max_body: 16 << 20,
            max_json: 1 << 30,
            json_memory: 4 << 30,
            window: 2 << 20,
            stall,
        }
    }
}

impl Options {
    /// From the environment.
    pub fn from_env(env: &Env) -> Result<Options, ConfigError> {
        refuse_unsafe(env)?;
        let rc = env.list(&common::RC_ADDR);
        if rc.is_empty() {
            for discovery in [&RC_SELECTOR, &DISCOVERY_PROXY] {
                if env.given(discovery).is_some() {
                    return Err(env.refuse(
                        discovery,
                        "KXI_SG_RC_ADDR beside it: this way of discovery is not there yet",
                    ));
                }
            }
            env.required(&common::RC_ADDR)?;
        }
        let name = env.text(&common::NAME).unwrap_or_else(|| format!("gw-{}", std::process::id()));
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
        Ok(Options {
            name: name.into(),
            bind: "0.0.0.0".into(),
            qipc_port: env.port(&QIPC_PORT)?.unwrap_or_default(),
            http_port: env.port(&HTTP_PORT)?.unwrap_or_default(),
            ext_qipc_port: env.port(&EXT_QIPC_PORT)?,
            metrics_port: env.port(&METRICS_PORT)?,
            metrics_path,
            rc,
            advertise: env.text(&common::ADVERTISE),
            secrets: Secrets::from_env(env)?,
            links: LinkOptions::from_env(env)?,
            bounds: Bounds::from_env(env)?,
            cors,
            drain: env.millis(&DRAIN)?,
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
        })
    }
}

/// Settings that ask for a protection we do not have yet.
fn refuse_unsafe(env: &Env) -> Result<(), ConfigError> {
    let not_yet = |what: &str| {
        format!("no value: {what} is not there yet, and going on without it would be less safe than asked")
    };
    if !env.flag(&AUTH_DISABLED)? {
        return Err(env.refuse(
            &AUTH_DISABLED,
            "1: authentication is not there yet, and going on without it would be less safe than asked",
        ));
    }
    if env.flag(&USE_SSL)? {
        return Err(env.refuse(
            &USE_SSL,
            "0: TLS is not there yet, and going on without it would be less safe than asked",
        ));
    }
    for (var, what) in
        [(&AUTH_IPC_HOST, "authorization by a q process"), (&AUTH_HTTP, "authorization by a service")]
    {
        if env.given(var).is_some() {
            return Err(env.refuse(var, not_yet(what)));
        }
    }
    Ok(())
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
        ] {
            let err = with(&[(name, value)]).unwrap_err().to_string();
            assert!(err.contains(name) && err.contains("less safe"), "{err}");
        }
    }

    #[test]
    fn without_any_coordinator_the_error_says_what_to_set() {
        assert!(Options::from_env(&Env::default()).unwrap_err().to_string().contains("KXI_SG_RC_ADDR"));
        let err = Options::from_env(&Env::of([("KXI_SG_RC_LABEL_SELECTOR", "a=b")])).unwrap_err().to_string();
        assert!(err.contains("KXI_SG_RC_ADDR"), "{err}");
    }

    #[test]
    fn bad_values_are_named() {
        for (name, value) in [
            ("GATEWAY_QIPC_PORT", "99999"),
            ("KXI_SG_TIMEOUT", "0"),
            ("QMESH_GW_MAX_OUTSTANDING", "0"),
            ("KXI_SG_BUFFER_INITIAL", "1K"),
            ("KXI_SG_METRICS_ENDPOINT", "metrics"),
        ] {
            let err = with(&[(name, value)]).unwrap_err().to_string();
            assert!(err.contains(name) && err.contains(value), "{err}");
        }
    }
}
