//! The gateway's environment variables, each with its default and meaning: `docs/configuration.md` is made of them.

use discovery::config as disc;
use sg::config::{Kind, Var, common};

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
/// Pod label of assemblies.
pub const ASSEMBLY_KEY: Var = Var::new(
    "KXI_ASSEMBLY_KEY",
    Kind::Text,
    "insights.kx.com/app",
    "pod label that ties an RC to an assembly, for people and tools; a gateway hears it from the RC itself (its KXI_ASSEMBLY_NAME)",
);
/// Default affinity.
pub const SCOPE_AFFINITY: Var = Var::new(
    "KXI_SCOPE_AFFINITY",
    Kind::OneOf(&["soft", "hard"]),
    "soft",
    "scope.affinity of requests that name scope.assembly and no affinity: soft: coordinators of the assembly, else those of none, else any; hard: those of the assembly, or an error",
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
    "longest payload written as JSON, which needs all of it at hand; a longer one gets rc LIMIT (HTTP 413): ask for application/octet-stream or use QIPC; the operator sets it to an eighth of a memory limit",
);
/// Memory for payloads written as JSON.
pub const JSON_MEMORY: Var = Var::new(
    "QMESH_GW_JSON_MEMORY",
    Kind::Bytes,
    "4G",
    "bytes of all large payloads that are being written as JSON; at least QMESH_GW_MAX_JSON; further ones wait for room; the operator sets it to half of a memory limit",
);
/// Storage Manager.
pub const SM_ADDR: Var = Var::new(
    "KXI_SG_SM_ADDR_<name>",
    Kind::Address,
    "",
    "address of a Storage Manager; without effect: the paths that were forwarded to it are not there yet",
);
/// No coordinator yet.
pub const RC_WAIT: Var = Var::new(
    "QMESH_GW_RC_WAIT",
    Kind::Millis,
    "2000",
    "how long a request is kept that comes while no coordinator is ready, at most until its deadline; 0: it is refused at once",
);
/// Compression of answers.
pub const COMPRESS: Var = Var::new(
    "QMESH_GW_COMPRESS",
    Kind::OneOf(&["auto", "always", "never"]),
    "auto",
    "whether QIPC answers of more than 2,000 bytes are compressed where that halves them: auto (for clients of capability 1 or more on other hosts, as kdb+ does), always (on this host too), never",
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
    &disc::RC_SELECTOR,
    &disc::DA_SELECTOR,
    &disc::DA_SELECTOR_ALIAS,
    &disc::NAMESPACE,
    &disc::QUIET,
    &disc::RELIST,
    &disc::MAX,
    &disc::DNS,
    &disc::PROXY,
    &disc::RC_SERVICE,
    &common::TIMEOUT,
    &BUFFER_INITIAL,
    &BUFFER_RETAIN,
    &ASSEMBLY_KEY,
    &SCOPE_AFFINITY,
    &METRICS_ENABLED,
    &METRICS_PORT,
    &METRICS_ENDPOINT,
    &CORS_ENABLED,
    &CORS_ORIGINS,
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
    &RC_WAIT,
    &COMPRESS,
    &STALL,
    &DRAIN,
];
