//! Variables every process has.

use super::{ConfigError, Env, Kind, Var};

/// Unique process name.
pub const NAME: Var =
    Var::new("KXI_NAME", Kind::Text, "", "unique process name; default: role, host and process id");

/// The name of a process: as given, else unique. The host is part of it: in a container every process is number 1, and
/// in a pod the host is the pod.
pub fn process_name(env: &Env, role: &str) -> String {
    env.text(&NAME).unwrap_or_else(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        default_name(role, host.trim(), std::process::id())
    })
}

pub(super) fn default_name(role: &str, host: &str, process: u32) -> String {
    // Systems without that file are not where containers run.
    if host.is_empty() { format!("{role}-{process}") } else { format!("{role}-{host}-{process}") }
}

/// Log form.
pub const LOG_FORMAT: Var = Var::new("KXI_LOG_FORMAT", Kind::Text, "text", "`text` or `json`");
/// Log levels.
pub const LOG_LEVELS: Var = Var::new(
    "KXI_LOG_LEVELS",
    Kind::List,
    "default:info",
    "comma list of component:level; levels trace, debug, info, warn, error",
);
/// Log destination.
pub const LOG_DEST: Var = Var::new(
    "KXI_LOG_DEST",
    Kind::List,
    "fd://stderr",
    "`fd://stdout`, `fd://stderr`, `file://path`, or a comma list: each record goes to all of them",
);
/// Log configuration file.
pub const LOG_CONFIG: Var = Var::new(
    "KXI_LOG_CONFIG",
    Kind::Path,
    "",
    "JSON file with endpoints, formatMode and routings; the other KXI_LOG variables win over it",
);
/// Health and metrics port of RC, Agg and DAP.
pub const HTTP_PORT: Var =
    Var::new("QMESH_HTTP_PORT", Kind::Port, "8081", "port of /healthz, /readyz and /metrics");
/// Where a process listens.
pub const LISTEN: Var = Var::new(
    "QMESH_LISTEN",
    Kind::Host,
    "",
    "address that all ports of the process listen on, such as 127.0.0.1 for this machine alone; default: all addresses, of IPv6 and IPv4 where there are both (`qmesh up`: 127.0.0.1 and ::1)",
);
/// The mesh's own secret.
pub const SECRET_FILE: Var = Var::new(
    "QMESH_SECRET_FILE",
    Kind::Path,
    "",
    "file with the mesh's secret, current first, previous ones also accepted, one a line; proves both ends of an internal link",
);
/// Where others reach this process.
pub const ADVERTISE: Var = Var::new(
    "QMESH_ADVERTISE",
    Kind::Text,
    "",
    "host or address under which other processes reach this one; default: the pod IP, else the address its links go out from",
);
/// Heartbeats.
pub const HB_FREQ: Var =
    Var::new("KXI_SAPI_HB_FREQ", Kind::Millis, "30000", "heartbeat period on every internal link");
/// Heartbeats missed.
pub const HB_TOL: Var =
    Var::new("KXI_SAPI_HB_TOL", Kind::Count, "2", "heartbeats a peer may miss before it is disconnected");
/// Time a connection may take to open.
pub const CONN_TIMEOUT: Var =
    Var::new("KXI_SG_CONN_TIMEOUT", Kind::Millis, "5000", "time a connection may take to open");
/// Default request timeout.
pub const TIMEOUT: Var = Var::new("KXI_SG_TIMEOUT", Kind::Millis, "30000", "default request timeout");
/// Where the RCs are.
pub const RC_ADDR: Var = Var::new(
    "KXI_SG_RC_ADDR",
    Kind::Addresses,
    "",
    "host:port of the RC, or a comma list; a DNS name stands for all its addresses",
);
/// Registry.
pub const DISCOVERY_PROXY: Var = Var::new(
    "DISCOVERY_PROXY",
    Kind::Text,
    "",
    "address of a kdb Insights discovery proxy; not built in yet: the process refuses to start where nothing else says where the others are, and else says that it has no effect",
);

/// What becomes of [`DISCOVERY_PROXY`], in the words of every process: refused where nothing else says where the
/// others are (`others`), else a warning that it has no effect. `instead` says what to set.
pub fn registry(env: &Env, others: bool, instead: &str) -> Result<Option<String>, ConfigError> {
    const NOT_BUILT_IN: &str = "finding processes in a kdb Insights registry is not built in yet";
    match env.text(&DISCOVERY_PROXY) {
        None => Ok(None),
        Some(_) if !others => Err(env.refuse(
            &DISCOVERY_PROXY,
            format!("another way to find other processes, for {NOT_BUILT_IN}: set {instead}"),
        )),
        Some(proxy) => {
            Ok(Some(format!("{} is set to {proxy} and has no effect: {NOT_BUILT_IN}", DISCOVERY_PROXY.name)))
        }
    }
}

/// Where RCs are that are named by their addresses alone, and what is to be warned of: a registry beside them.
pub fn coordinators(env: &Env) -> Result<(Vec<String>, Vec<String>), ConfigError> {
    let addresses = env.list(&RC_ADDR);
    let warning = registry(env, !addresses.is_empty(), RC_ADDR.name)?;
    Ok((addresses, warning.into_iter().collect()))
}

/// Accepted, never needed.
pub const LICENSE: Var = Var::new(
    "KDB_LICENSE_B64",
    Kind::Text,
    "",
    "accepted so that existing manifests work; never needed, never logged",
)
.secret();
/// The same by the name for another licence.
pub const K4_LICENSE: Var =
    Var::new("KDB_K4LICENSE_B64", Kind::Text, "", "as KDB_LICENSE_B64, by its name for k4 licences").secret();
/// Accepted without effect.
pub const SCHEMA_OWNERSHIP: Var = Var::new(
    "KXI_SCHEMA_OWNERSHIP",
    Kind::OneOf(&["internal", "external"]),
    "",
    "accepted without effect; schemas come from the database, the assembly file or the first rows published",
);
/// Accepted without effect.
pub const LATE_DATA: Var = Var::new(
    "KXI_LATE_DATA",
    Kind::Flag,
    "",
    "accepted without effect; rows of the day are taken whenever they come, rows of a day that has ended are not taken",
);
/// Accepted without effect.
pub const KXDB: Var = Var::new("KXDB_ENABLED", Kind::Flag, "", "accepted without effect");
/// Accepted without effect: nothing is collected.
pub const GC_FREQ: Var = Var::new(
    "KXI_GC_FREQ",
    Kind::Millis,
    "600000",
    "accepted without effect: there is no garbage to collect; large buffers go back to the system when they are freed",
);
/// Accepted without effect.
pub const ENABLE_FLUSH: Var = Var::new(
    "KXI_ENABLE_FLUSH",
    Kind::Flag,
    "false",
    "accepted; qmesh writes each message at once, so there is nothing left to flush",
);
/// Sidecar file.
pub const CONFIG_FILE: Var = Var::new(
    "KXI_CONFIG_FILE",
    Kind::Path,
    "",
    "accepted; configures KX's sidecar, which qmesh does not need: metrics and discovery are in the process",
);

/// All of them.
pub const VARS: &[&Var] = &[
    &NAME,
    &LOG_FORMAT,
    &LOG_LEVELS,
    &LOG_DEST,
    &LOG_CONFIG,
    &HTTP_PORT,
    &LISTEN,
    &SECRET_FILE,
    &ADVERTISE,
    &HB_FREQ,
    &HB_TOL,
    &CONN_TIMEOUT,
    &LICENSE,
    &K4_LICENSE,
    &SCHEMA_OWNERSHIP,
    &LATE_DATA,
    &KXDB,
    &GC_FREQ,
    &ENABLE_FLUSH,
    &CONFIG_FILE,
];
