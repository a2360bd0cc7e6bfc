//! Configuration from the environment: variables with a kind, a default and a meaning.
//!
//! Each process declares its variables as [`Var`] constants in one module and lists them; reading them and
//! writing `docs/configuration.md` use the same constants, so the page cannot drift from the code. A bad
//! value stops the process at start with the variable, the value and what was expected; an unknown `KXI_*`
//! variable is a warning.

use std::{collections::BTreeMap, time::Duration};

/// A variable a process reads, or accepts without effect.
#[derive(Debug)]
pub struct Var {
    /// its name
    pub name: &'static str,
    /// what a value must look like
    pub kind: Kind,
    /// default, as it would be written; empty for none
    pub default: &'static str,
    /// what it does, or why it has no effect here
    pub meaning: &'static str,
    /// true where the value must never be printed
    pub secret: bool,
}

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// any text
    Text,
    /// TCP port, 0 for any free one
    Port,
    /// milliseconds
    Millis,
    /// bytes, optionally with K, M or G
    Bytes,
    /// whole number from 0
    Count,
    /// `true`/`false`/`1`/`0`
    Flag,
    /// comma list
    List,
    /// path of a file or folder
    Path,
}

impl Kind {
    /// What the documentation and errors call it.
    pub fn expected(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Port => "a TCP port from 0 to 65535",
            Kind::Millis => "milliseconds, a whole number from 0",
            Kind::Bytes => "bytes, a whole number, optionally with K, M or G",
            Kind::Count => "a whole number from 0",
            Kind::Flag => "true or false",
            Kind::List => "a comma list",
            Kind::Path => "a path",
        }
    }
}

/// A value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The value is not of the variable's kind.
    #[error("{name} is `{value}`: expected {expected}")]
    Bad {
        /// variable
        name: &'static str,
        /// its value
        value: String,
        /// what was expected
        expected: String,
    },
    /// A variable that is needed has no value.
    #[error("{name} is not set: {meaning}")]
    Missing {
        /// variable
        name: &'static str,
        /// what it is for
        meaning: &'static str,
    },
}

impl Var {
    /// A variable of this kind.
    pub const fn new(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Self {
        Var { name, kind, default, meaning, secret: false }
    }

    /// The same variable, its value never printed.
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// The environment of a process: a snapshot, so that tests can make one.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets: only names are shown.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Env {
    /// The process's own environment.
    pub fn from_process() -> Self {
        Env(std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect())
    }

    /// An environment of these variables.
    pub fn of<K: Into<String>, V: Into<String>>(vars: impl IntoIterator<Item = (K, V)>) -> Self {
        Env(vars.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// The same environment with one more variable; a flag of the command line overrides so.
    #[must_use]
    pub fn with(mut self, var: &Var, value: impl Into<String>) -> Self {
        self.0.insert(var.name.to_string(), value.into());
        self
    }

    /// True where the variable has a value of its own, if only an empty one.
    pub fn is_set(&self, var: &Var) -> bool {
        self.0.contains_key(var.name)
    }

    /// The text of a variable: its value, else its default; `None` where both are empty.
    pub fn text(&self, var: &Var) -> Option<String> {
        let value = self.0.get(var.name).map(String::as_str).unwrap_or(var.default).trim();
        (!value.is_empty()).then(|| value.to_string())
    }

    /// The text of a variable where somebody set it; its default does not count.
    pub fn given(&self, var: &Var) -> Option<String> {
        let value = self.0.get(var.name)?.trim();
        (!value.is_empty()).then(|| value.to_string())
    }

    /// As [`Self::text`], an error where there is none.
    pub fn required(&self, var: &Var) -> Result<String, ConfigError> {
        self.text(var).ok_or(ConfigError::Missing { name: var.name, meaning: var.meaning })
    }

    /// A port.
    pub fn port(&self, var: &Var) -> Result<Option<u16>, ConfigError> {
        self.parsed(var, |t| t.parse().ok())
    }

    /// A duration given in milliseconds; zero where there is no value.
    pub fn millis(&self, var: &Var) -> Result<Duration, ConfigError> {
        Ok(self.parsed(var, |t| t.parse().ok().map(Duration::from_millis))?.unwrap_or_default())
    }

    /// A number; zero where there is no value.
    pub fn count(&self, var: &Var) -> Result<u64, ConfigError> {
        Ok(self.parsed(var, |t| t.parse().ok())?.unwrap_or_default())
    }

    /// A number of bytes; zero where there is no value.
    pub fn bytes(&self, var: &Var) -> Result<u64, ConfigError> {
        Ok(self.parsed(var, parse_bytes)?.unwrap_or_default())
    }

    /// A truth; false where there is no value.
    pub fn flag(&self, var: &Var) -> Result<bool, ConfigError> {
        let truth = |t: &str| match t.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        };
        Ok(self.parsed(var, truth)?.unwrap_or_default())
    }

    /// The items of a comma list, blanks trimmed, empty ones left out.
    pub fn list(&self, var: &Var) -> Vec<String> {
        let text = self.text(var).unwrap_or_default();
        text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(String::from).collect()
    }

    /// A value of any kind; the error says what was expected.
    pub fn parsed<T>(&self, var: &Var, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(var) else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| ConfigError::Bad {
            name: var.name,
            value: if var.secret { "(secret)".into() } else { text },
            expected: var.kind.expected().into(),
        })
    }

    /// An error for a value that is of the right kind but cannot be used.
    pub fn refuse(&self, var: &Var, expected: impl Into<String>) -> ConfigError {
        let value = if var.secret { "(secret)".into() } else { self.text(var).unwrap_or_default() };
        ConfigError::Bad { name: var.name, value, expected: expected.into() }
    }

    /// Variables named `KXI_*` or `QMESH_*` that none of the lists knows: most likely misspelt.
    pub fn unknown<'a>(&'a self, known: &'a [&[&Var]]) -> impl Iterator<Item = &'a str> {
        let ours = |name: &&str| name.starts_with("KXI_") || name.starts_with("QMESH_");
        let known = move |name: &str| known.iter().flat_map(|list| list.iter()).any(|v| v.name == name);
        self.0.keys().map(String::as_str).filter(ours).filter(move |name| !known(name))
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let upper = text.to_ascii_uppercase();
    let digits = upper.trim_end_matches("IB").trim_end_matches('B');
    let (digits, unit) = match digits.as_bytes().last()? {
        b'K' => (&digits[..digits.len() - 1], 1 << 10),
        b'M' => (&digits[..digits.len() - 1], 1 << 20),
        b'G' => (&digits[..digits.len() - 1], 1 << 30),
        _ => (digits, 1u64),
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(unit)
}

/// Variables every process has.
pub mod common {
    use super::{ConfigError, Env, Kind, Var};

    /// Unique process name.
    pub const NAME: Var =
        Var::new("KXI_NAME", Kind::Text, "", "unique process name; default: role, host and process id");

    /// The name of a process: what was given, else one that no other process has. The host is part of it: in a
    /// container every process is number 1, and in a pod the host is the pod.
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
    pub const LOG_DEST: Var =
        Var::new("KXI_LOG_DEST", Kind::List, "fd://stderr", "`fd://stdout`, `fd://stderr` or `file://path`");
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
        Kind::List,
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
            Some(proxy) => Ok(Some(format!(
                "{} is set to {proxy} and has no effect: {NOT_BUILT_IN}",
                DISCOVERY_PROXY.name
            ))),
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
        &SECRET_FILE,
        &ADVERTISE,
        &HB_FREQ,
        &HB_TOL,
        &CONN_TIMEOUT,
        &LICENSE,
        &GC_FREQ,
        &ENABLE_FLUSH,
        &CONFIG_FILE,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: Var = Var::new("KXI_PORT", Kind::Port, "5050", "port");
    const SIZE: Var = Var::new("KXI_SIZE", Kind::Bytes, "2M", "size");

    #[test]
    fn a_registry_is_refused_alone_and_said_to_have_no_effect_beside_addresses() {
        let alone =
            common::coordinators(&Env::of([("DISCOVERY_PROXY", "proxy:4000")])).unwrap_err().to_string();
        assert!(alone.contains("proxy:4000") && alone.contains("set KXI_SG_RC_ADDR"), "{alone}");
        let env = Env::of([("KXI_SG_RC_ADDR", "rc:1"), ("DISCOVERY_PROXY", "proxy:4000")]);
        let (addresses, warnings) = common::coordinators(&env).unwrap();
        assert!(addresses == ["rc:1"] && warnings[0].contains("has no effect"), "{warnings:?}");
        assert_eq!(common::coordinators(&Env::default()).unwrap(), (vec![], vec![]));
    }

    #[test]
    fn defaults_and_values_are_read() {
        assert_eq!(Env::default().port(&PORT), Ok(Some(5050)));
        assert_eq!(Env::of([("KXI_PORT", "1")]).port(&PORT), Ok(Some(1)));
        assert_eq!(Env::default().bytes(&SIZE), Ok(2 << 20));
        assert_eq!(Env::of([("KXI_SIZE", "3 KiB")]).bytes(&SIZE), Ok(3 << 10));
    }

    #[test]
    fn a_bad_value_names_variable_value_and_expectation() {
        let err = Env::of([("KXI_PORT", "70000")]).port(&PORT).unwrap_err();
        assert_eq!(err.to_string(), "KXI_PORT is `70000`: expected a TCP port from 0 to 65535");
    }

    #[test]
    fn processes_of_two_containers_have_two_names() {
        let name = |host| common::default_name("da", host, 1);
        assert_eq!((name("pod-a").as_str(), name("pod-b").as_str()), ("da-pod-a-1", "da-pod-b-1"));
        assert_eq!(name(""), "da-1");
        assert_eq!(common::process_name(&Env::of([("KXI_NAME", "mine")]), "da"), "mine");
    }

    #[test]
    fn misspelt_variables_are_found() {
        let env = Env::of([("KXI_PROT", "1"), ("KXI_PORT", "1"), ("PATH", "x")]);
        assert_eq!(env.unknown(&[&[&PORT]]).collect::<Vec<_>>(), ["KXI_PROT"]);
    }

    #[test]
    fn secrets_stay_out_of_errors_and_debug() {
        let secret = Var::new("KXI_S", Kind::Count, "", "s").secret();
        let env = Env::of([("KXI_S", "hunter2")]);
        assert!(!env.count(&secret).unwrap_err().to_string().contains("hunter2"));
        assert!(!format!("{env:?}").contains("hunter2"));
    }
}
