//! Configuration from the environment: variables with a kind, a default and a meaning.
//!
//! Each process declares its variables as [`Var`] constants in one module and lists them; reading them and
//! writing `docs/configuration.md` use the same constants, so the page cannot drift from the code. A bad
//! value stops the process at start with the variable, the value and what was expected, also where the variable has no
//! effect; a variable that no process knows is a warning with the name that was most likely meant.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    time::Duration,
};

pub mod common;
mod kind;
mod names;
pub mod safety;

pub use kind::Kind;

/// A variable a process reads, or accepts without effect.
#[derive(Debug)]
pub struct Var {
    /// its name
    pub name: &'static str,
    /// what a value must look like
    pub kind: Kind,
    /// default, as it would be written; empty for none
    pub default: &'static str,
    /// effect, or reason for no effect here
    pub meaning: &'static str,
    /// true where the value must never be printed
    pub secret: bool,
}

/// A value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The value is not of the variable's kind.
    #[error("{name} is `{value}`: expected {expected}")]
    Bad {
        /// variable
        name: String,
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

/// The environment of a process: a snapshot, so that tests can make one. A value that is empty is as none.
#[derive(Clone, Default)]
pub struct Env {
    vars: BTreeMap<String, String>,
    /// those whose value is no UTF-8
    unreadable: BTreeSet<String>,
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets: only names are shown.
        f.debug_set().entries(self.vars.keys()).finish()
    }
}

impl Env {
    /// The process's own environment.
    pub fn from_process() -> Self {
        Env::of_os(std::env::vars_os())
    }

    fn of_os(vars: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut env = Env::default();
        for (name, value) in vars {
            let Ok(name) = name.into_string() else { continue };
            if value.to_str().is_none() {
                env.unreadable.insert(name.clone());
            }
            env.vars.insert(name, value.to_string_lossy().into_owned());
        }
        env
    }

    /// An environment of these variables.
    pub fn of<K: Into<String>, V: Into<String>>(vars: impl IntoIterator<Item = (K, V)>) -> Self {
        let vars = vars.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Env { vars, unreadable: BTreeSet::new() }
    }

    /// Checks what is set before anything is done with it: settings for safety that are not built in are refused
    /// ([`safety`]), and the value of each variable of the lists is of its kind, also where it has no effect.
    pub fn check(&self, lists: &[&[&Var]]) -> Result<(), ConfigError> {
        safety::refuse(self)?;
        for var in lists.iter().flat_map(|list| list.iter()) {
            for (name, value) in self.vars.iter().filter(|(name, _)| var.is_named(name)) {
                let value = value.trim();
                let expected = match value {
                    "" => continue,
                    _ if self.unreadable.contains(name) => "text in UTF-8".into(),
                    // A Service of such a name makes Kubernetes set the variable.
                    _ if value.starts_with("tcp://") && !var.kind.admits(value) => format!(
                        "{}; Kubernetes sets it so for a Service of that name: rename the Service, or set enableServiceLinks: false",
                        var.kind.expected()
                    ),
                    _ if !var.kind.admits(value) => var.kind.expected(),
                    _ => continue,
                };
                let value = if var.secret { "(secret)".into() } else { value.into() };
                return Err(ConfigError::Bad { name: name.clone(), value, expected });
            }
        }
        Ok(())
    }

    /// The same environment with one more variable; a flag of the command line overrides so.
    #[must_use]
    pub fn with(mut self, var: &Var, value: impl Into<String>) -> Self {
        self.vars.insert(var.name.to_string(), value.into());
        self.unreadable.remove(var.name);
        self
    }

    /// True where the variable has a value of its own.
    pub fn is_set(&self, var: &Var) -> bool {
        self.given(var).is_some()
    }

    /// The text of a variable: its value, else its default; `None` where both are empty.
    pub fn text(&self, var: &Var) -> Option<String> {
        self.given(var).or_else(|| (!var.default.is_empty()).then(|| var.default.to_string()))
    }

    /// The text of a variable where somebody set it; its default does not count.
    pub fn given(&self, var: &Var) -> Option<String> {
        let value = self.vars.get(var.name)?.trim();
        (!value.is_empty()).then(|| value.to_string())
    }

    /// As [`Self::text`], an error where there is none.
    pub fn required(&self, var: &Var) -> Result<String, ConfigError> {
        self.text(var).ok_or(ConfigError::Missing { name: var.name, meaning: var.meaning })
    }

    /// A port.
    pub fn port(&self, var: &Var) -> Result<Option<u16>, ConfigError> {
        self.parsed(var, kind::port)
    }

    /// A duration given in milliseconds; zero where there is no value.
    pub fn millis(&self, var: &Var) -> Result<Duration, ConfigError> {
        Ok(self.parsed(var, |t| kind::millis(t).map(Duration::from_millis))?.unwrap_or_default())
    }

    /// A number; zero where there is no value.
    pub fn count(&self, var: &Var) -> Result<u64, ConfigError> {
        Ok(self.parsed(var, kind::whole)?.unwrap_or_default())
    }

    /// A number of bytes; zero where there is no value.
    pub fn bytes(&self, var: &Var) -> Result<u64, ConfigError> {
        Ok(self.parsed(var, kind::bytes)?.unwrap_or_default())
    }

    /// A truth; false where there is no value.
    pub fn flag(&self, var: &Var) -> Result<bool, ConfigError> {
        Ok(self.parsed(var, kind::flag)?.unwrap_or_default())
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
            name: var.name.into(),
            value: if var.secret { "(secret)".into() } else { text },
            expected: var.kind.expected(),
        })
    }

    /// An error for a value that is of the right kind but cannot be used.
    pub fn refuse(&self, var: &Var, expected: impl Into<String>) -> ConfigError {
        let value = if var.secret { "(secret)".into() } else { self.text(var).unwrap_or_default() };
        ConfigError::Bad { name: var.name.into(), value, expected: expected.into() }
    }
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
        assert_eq!(env.unknown(&[&PORT]), [("KXI_PROT", Some("KXI_PORT"))]);
        let near =
            Env::of([("GATEWAY_QPIC_PORT", "5040"), ("KXI_RC_SERVICE_HOST", "10.0.0.1"), ("HOME", "/")]);
        let known = Var::new("GATEWAY_QIPC_PORT", Kind::Port, "", "port");
        assert_eq!(near.unknown(&[&known]), [("GATEWAY_QPIC_PORT", Some("GATEWAY_QIPC_PORT"))]);
        let family = Var::new("KXI_SG_SM_ADDR_<name>", Kind::Address, "", "address");
        assert_eq!(Env::of([("KXI_SG_SM_ADDR_db", "sm:1")]).unknown(&[&family]), []);
    }

    #[test]
    fn every_value_is_of_its_kind_and_an_empty_one_is_none() {
        let check = |name: &str, value: &str| Env::of([(name, value)]).check(&[&[&PORT, &SIZE]]);
        assert!(
            check("KXI_PORT", "x").unwrap_err().to_string().contains("KXI_PORT is `x`: expected a TCP port")
        );
        assert_eq!((check("KXI_PORT", ""), check("KXI_OTHER", "x")), (Ok(()), Ok(())));
        assert_eq!(Env::of([("KXI_SIZE", " ")]).bytes(&SIZE), Ok(2 << 20), "the default");
        let link = check("KXI_PORT", "tcp://10.0.0.1:5050").unwrap_err().to_string();
        assert!(link.contains("enableServiceLinks"), "{link}");
        use std::os::unix::ffi::OsStringExt;
        let bytes = OsString::from_vec(b"/db/\xff".to_vec());
        let path = Var::new("QMESH_DB", Kind::Path, "", "folder");
        let env = Env::of_os([("QMESH_DB".into(), bytes)].into_iter());
        assert!(env.check(&[&[&path]]).unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    fn secrets_stay_out_of_errors_and_debug() {
        let secret = Var::new("KXI_S", Kind::Count, "", "s").secret();
        let env = Env::of([("KXI_S", "hunter2")]);
        assert!(!env.count(&secret).unwrap_err().to_string().contains("hunter2"));
        assert!(!format!("{env:?}").contains("hunter2"));
    }
}
