//! Settings whose meaning is safety and that are not built in: authentication, TLS, encryption at rest.
//!
//! Every process refuses them at its start, whichever process they are meant for: containers of a mesh share their
//! settings, and a port that stays open where somebody asked for a lock is worse than one that does not open. A value
//! that asks for nothing (`KXI_SECURE_ENABLED=false`) is fine.

use super::{ConfigError, Env, Kind, Var, kind};
use crate::nearest;

/// A setting that is refused, and when it asks for nothing.
#[derive(Debug)]
pub struct Guard {
    /// the setting
    pub var: Var,
    /// values that ask for nothing
    pub harmless: Harmless,
    /// the protection it is about
    pub protection: &'static str,
}

/// Values that ask for no protection; an empty one never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harmless {
    /// `false`, `0`, `no`, `off`
    Off,
    /// `true`, `1`, `yes`, `on`: the variable turns the protection off
    On,
    /// none
    Empty,
}

impl Harmless {
    /// What to set instead, for errors and the documentation.
    pub fn expected(self) -> &'static str {
        match self {
            Harmless::Off => "false or no value",
            Harmless::On => "true or no value",
            Harmless::Empty => "no value",
        }
    }

    fn admits(self, value: &str) -> bool {
        match self {
            Harmless::Off => kind::flag(value) == Some(false),
            Harmless::On => kind::flag(value) == Some(true),
            Harmless::Empty => false,
        }
    }
}

const LOGIN: &str = "authentication";
const TLS: &str = "TLS";
const DISK: &str = "encryption of databases";

const fn guard(
    name: &'static str,
    kind: Kind,
    harmless: Harmless,
    protection: &'static str,
    meaning: &'static str,
) -> Guard {
    Guard { var: Var::new(name, kind, "", meaning), harmless, protection }
}

const fn hidden(mut guard: Guard) -> Guard {
    guard.var.secret = true;
    guard
}

/// Safety settings known by name. [`refuse`] knows others by their look.
pub const GUARDS: &[Guard] = &[
    guard("KXI_AUTH_DISABLED", Kind::Flag, Harmless::On, LOGIN, "false asks for Keycloak"),
    guard("KXI_OIDC_JSON_PATH", Kind::Path, Harmless::Empty, LOGIN, "endpoints of Keycloak"),
    guard("KXI_SG_AUTH_IPC_HOST", Kind::Text, Harmless::Empty, LOGIN, "host of a q process that authorizes"),
    guard("KXI_SG_AUTH_IPC_PORT", Kind::Port, Harmless::Empty, LOGIN, "port of a q process that authorizes"),
    guard("KXI_SG_AUTH_IPC_USE_TLS", Kind::Flag, Harmless::Off, LOGIN, "TLS to a q process that authorizes"),
    guard("KXI_SG_AUTH_IPC_AUTH_API", Kind::Text, Harmless::Empty, LOGIN, "function that authorizes"),
    guard("KXI_SG_AUTH_IPC_API", Kind::Text, Harmless::Empty, LOGIN, "function that authorizes"),
    guard(
        "KXI_SG_AUTH_HTTP_ENDPOINT",
        Kind::Text,
        Harmless::Empty,
        LOGIN,
        "URL of a service that authorizes",
    ),
    guard(
        "KXI_SG_AUTH_HTTP_HEADERS",
        Kind::List,
        Harmless::Empty,
        LOGIN,
        "headers for a service that authorizes",
    ),
    guard("KXI_SECURE_ENABLED", Kind::Flag, Harmless::Off, TLS, "TLS and login between KX's processes"),
    guard("KXI_SG_USE_SSL", Kind::Flag, Harmless::Off, TLS, "TLS on the external QIPC port"),
    guard("KXI_SG_KEYSTORE", Kind::Path, Harmless::Empty, TLS, "PKCS12 key store"),
    guard(
        "KXI_SG_KEYSTORE_PASS_FILE",
        Kind::Path,
        Harmless::Empty,
        TLS,
        "file with the key store's password",
    ),
    hidden(guard("KXI_SG_KEYSTORE_PASS", Kind::Text, Harmless::Empty, TLS, "the key store's password")),
    guard("KX_SSL_CERT_FILE", Kind::Path, Harmless::Empty, TLS, "kdb+'s certificate"),
    guard("KX_SSL_KEY_FILE", Kind::Path, Harmless::Empty, TLS, "kdb+'s private key"),
    guard("KX_SSL_CA_CERT_FILE", Kind::Path, Harmless::Empty, TLS, "certificates that kdb+ trusts"),
    guard("KX_SSL_CA_CERT_PATH", Kind::Path, Harmless::Empty, TLS, "certificates that kdb+ trusts"),
    guard("KX_SSL_VERIFY_CLIENT", Kind::Flag, Harmless::Off, TLS, "kdb+ asks clients for a certificate"),
    guard("KX_SSL_VERIFY_SERVER", Kind::Flag, Harmless::Off, TLS, "kdb+ checks a server's certificate"),
    guard("KX_SSL_CIPHER_LIST", Kind::Text, Harmless::Empty, TLS, "ciphers that kdb+ takes"),
    guard("SSL_KEY_FILE", Kind::Path, Harmless::Empty, TLS, "kdb+'s private key, by its older name"),
    guard(
        "SSL_CA_CERT_FILE",
        Kind::Path,
        Harmless::Empty,
        TLS,
        "certificates that kdb+ trusts, by its older name",
    ),
    guard(
        "SSL_CA_CERT_PATH",
        Kind::Path,
        Harmless::Empty,
        TLS,
        "certificates that kdb+ trusts, by its older name",
    ),
    guard(
        "SSL_VERIFY_CLIENT",
        Kind::Flag,
        Harmless::Off,
        TLS,
        "kdb+ asks clients for a certificate, by its older name",
    ),
    guard("KXI_ENCRYPTION_KEY_FILE", Kind::Path, Harmless::Empty, DISK, "key of an encrypted database"),
    hidden(guard("KXI_ENCRYPTION_PASSWORD", Kind::Text, Harmless::Empty, DISK, "password of that key")),
];

/// Parts of variable names that hint at a safety setting.
const MARKS: &[&str] = &[
    "AUTH",
    "AUTHN",
    "AUTHZ",
    "OIDC",
    "OAUTH",
    "OAUTH2",
    "JWT",
    "KEYCLOAK",
    "LDAP",
    "KERBEROS",
    "ENTITLEMENT",
    "ENTITLEMENTS",
    "TLS",
    "MTLS",
    "SSL",
    "KEYSTORE",
    "TRUSTSTORE",
    "CERT",
    "CERTS",
    "CERTIFICATE",
    "ENCRYPT",
    "ENCRYPTION",
    "ENCRYPTED",
    "SECURE",
    "SECURITY",
    "PASSWORD",
    "PASSWD",
    "ACL",
];

/// Refuses every setting that asks for a protection which is not built in.
pub fn refuse(env: &Env) -> Result<(), ConfigError> {
    for (name, value) in &env.vars {
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        let exact = GUARDS.iter().find(|g| g.var.name == name);
        if let Some(guard) = exact.or_else(|| meant(name)) {
            if guard.harmless.admits(value) {
                continue;
            }
            let typed = match exact {
                Some(_) => String::new(),
                None => format!(" (read as {}, which it most likely is to be)", guard.var.name),
            };
            return Err(refusal(name, value, guard.harmless, guard.protection, guard.var.secret, &typed));
        }
        if let Some(harmless) = looks_like_safety(name)
            && !harmless.admits(value)
        {
            let what = "what its name asks for";
            return Err(refusal(
                name,
                value,
                harmless,
                what,
                true,
                " (its name is that of a safety setting)",
            ));
        }
    }
    Ok(())
}

fn refusal(name: &str, value: &str, so: Harmless, what: &str, secret: bool, typed: &str) -> ConfigError {
    ConfigError::Bad {
        name: name.into(),
        value: if secret { "(secret)".into() } else { value.into() },
        expected: format!(
            "{}{typed}: {what} is not built in yet, and going on without it would be less safe than asked",
            so.expected()
        ),
    }
}

/// The guard that a misspelt name of ours is a slip away from.
fn meant(name: &str) -> Option<&'static Guard> {
    let ours = ["KXI_", "KX_"].iter().any(|prefix| name.starts_with(prefix));
    let near = ours.then(|| nearest(name, GUARDS.iter().map(|g| g.var.name))).flatten()?;
    // Twice as strict as a suggestion: this one stops the process.
    let slip = name.len().abs_diff(near.len()) <= 1;
    GUARDS.iter().find(|g| g.var.name == near).filter(|_| slip)
}

/// For a name of KX's that no list knows and that speaks of safety: the values that ask for nothing.
fn looks_like_safety(name: &str) -> Option<Harmless> {
    let rest = name.strip_prefix("KXI_").or_else(|| name.strip_prefix("KX_"))?;
    let mut parts = rest.split('_');
    if !parts.clone().any(|part| MARKS.contains(&part)) {
        return None;
    }
    let off = parts.any(|part| matches!(part, "DISABLE" | "DISABLED" | "SKIP" | "INSECURE"));
    Some(if off { Harmless::On } else { Harmless::Off })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, value: &str) -> Option<String> {
        refuse(&Env::of([(name, value)])).err().map(|e| e.to_string())
    }

    #[test]
    fn what_asks_for_a_protection_is_refused_and_what_asks_for_none_is_not() {
        for guard in GUARDS {
            let (asks, rests) = match guard.harmless {
                Harmless::Off => ("true", Some("0")),
                Harmless::On => ("0", Some("1")),
                Harmless::Empty => ("/some/thing", None),
            };
            let name = guard.var.name;
            let sentence = said(name, asks).unwrap_or_else(|| panic!("{name} is taken"));
            assert!(sentence.contains(name) && sentence.contains("less safe than asked"), "{sentence}");
            assert_eq!(
                sentence.contains("/some/thing"),
                asks == "/some/thing" && !guard.var.secret,
                "{sentence}"
            );
            assert_eq!(rests.and_then(|value| said(name, value)), None);
            assert_eq!(said(name, "  "), None, "{name} without a value");
        }
    }

    #[test]
    fn names_that_look_like_safety_are_refused_and_others_are_not() {
        for name in [
            "KXI_SG_TLS_MODE",
            "KXI_SG_KEYSTORE_TYPE",
            "KXI_SG_AUTH_LDAP_URL",
            "KX_SSL_PROTOCOL",
            "KXI_SG_USE_SLL",
        ] {
            assert!(said(name, "on").is_some_and(|s| s.contains(name)), "{name}");
            assert_eq!(said(name, ""), None);
        }
        assert_eq!(said("KXI_TLS_ENABLED", "false"), None);
        assert!(said("KXI_AUTH_DISABLE", "0").is_some() && said("KXI_AUTH_DISABLE", "1").is_none());
        for other in [
            "KXI_SG_SM_ADDR_db",
            "KXI_PORT",
            "SSL_CERT_FILE",
            "KXI_SG_CORS_ENABLED",
            "KXI_AUTHOR",
            "HTTPS_PROXY",
        ] {
            assert_eq!(said(other, "x"), None, "{other}");
        }
    }
}
