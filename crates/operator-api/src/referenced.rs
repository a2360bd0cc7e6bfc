//! What the objects that a resource refers to say, as far as children depend on it. Contents of Secrets are
//! never in here, only hashes: what is not held cannot be logged.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use sha2::{Digest, Sha256};

use crate::mesh_secret::MeshSecret;
use crate::names::Role;
use crate::spec::{LicenseSecret, ServiceGatewaySpec};

/// Everything outside the resource that its children depend on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Referenced {
    /// Does the default pull Secret exist?
    pub default_pull_secret: bool,
    /// The licence Secret, if present with the key.
    pub license: Option<LicenseSecret>,
    /// Hash of the contents of each object referred to.
    pub contents: BTreeMap<Reference, String>,
    /// Keys of each object referred to.
    pub keys: BTreeMap<Reference, Vec<String>>,
    /// The secret of the mesh, as it is now to be.
    pub mesh_secret: Option<MeshSecret>,
    /// Is the API of PodMonitors installed?
    pub pod_monitor_api: bool,
}

/// Kind of an object that is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferenceKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl ReferenceKind {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// An object that a spec refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Its kind.
    pub kind: ReferenceKind,
    /// Its name, in the namespace of the resource.
    pub name: String,
}

impl Reference {
    /// Can an object have this name? One that cannot must not get into the path of a request.
    pub fn can_exist(&self) -> bool {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let name = self.name.as_bytes();
        name.len() <= 253
            && name.iter().all(|&c| plain(c) || c == b'-' || c == b'.')
            && [name.first(), name.last()].iter().all(|end| end.is_some_and(|&c| plain(c)))
    }
}

/// What is known of an object that is referred to: its keys and a hash over all of it. Never the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    keys: Vec<String>,
    hash: String,
}

impl Content {
    /// Of a Secret.
    pub fn of_secret(secret: &Secret) -> Self {
        let data = secret.data.iter().flatten();
        Self::of(data.map(|(key, value)| (key, value.0.as_slice())))
    }

    /// Of a ConfigMap.
    pub fn of_config_map(map: &ConfigMap) -> Self {
        let text = map.data.iter().flatten().map(|(key, value)| (key, value.as_bytes()));
        Self::of(text.chain(map.binary_data.iter().flatten().map(|(key, value)| (key, value.0.as_slice()))))
    }

    /// Its keys, in order.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The hash over all of it.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    fn of<'a>(entries: impl Iterator<Item = (&'a String, &'a [u8])>) -> Self {
        let sorted: BTreeMap<_, _> = entries.collect();
        let mut hasher = Sha256::new();
        for (key, value) in &sorted {
            // With lengths, so that bytes moved between key and value change the hash.
            hasher.update((key.len() as u64).to_be_bytes());
            hasher.update(key);
            hasher.update((value.len() as u64).to_be_bytes());
            hasher.update(value);
        }
        let hash = hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { keys: sorted.into_keys().cloned().collect(), hash }
    }
}

impl ServiceGatewaySpec {
    /// The settings of one role.
    pub fn role(&self, role: Role) -> &crate::spec::RoleSpec {
        match role {
            Role::Gateway => &self.gateway,
            Role::Coordinator => &self.coordinator,
            Role::Aggregator => &self.aggregator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(key: &str, value: &str) -> Content {
        Content::of([(&key.to_owned(), value.as_bytes())].into_iter())
    }

    #[test]
    fn contents_that_differ_hash_differently_also_where_bytes_move_between_key_and_value() {
        assert_ne!(content("a", "bc").hash, content("ab", "c").hash);
        assert_eq!(content("a", "bc").hash, content("a", "bc").hash);
    }

    #[test]
    fn a_name_that_leads_elsewhere_names_nothing() {
        let can = |name: &str| Reference { kind: ReferenceKind::Secret, name: name.into() }.can_exist();
        assert!(can("a") && can("a-b.c9") && can(&"a".repeat(253)));
        for name in ["", "../configmaps/a", "a?watch=true", "A", ".", "..", "-a", "a.", "é", &"a".repeat(254)]
        {
            assert!(!can(name), "{name}");
        }
    }
}
