//! What the objects that a resource refers to say, as far as children depend on it. Contents of Secrets are
//! never in here, only hashes: what is not held cannot be logged.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use sha2::{Digest, Sha256};

use crate::mesh_secret::MeshSecret;
use crate::names::{self, Role};
use crate::spec::{LicenseSecret, ServiceGatewaySpec};

/// Everything outside the resource that its children depend on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Referenced {
    /// Does the default pull Secret exist?
    pub default_pull_secret: bool,
    /// The licence Secret to use, if there is one with its key.
    pub license: Option<LicenseSecret>,
    /// Hash of the contents of each object referred to.
    pub contents: BTreeMap<Reference, String>,
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

/// One use of an object: which pods roll when it changes, and what must be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The object.
    pub reference: Reference,
    /// Keys that must be in it; none: any content will do.
    pub keys: Vec<String>,
    /// Whose pods use it; empty: it is not rolled for (pull Secrets).
    pub roles: Vec<Role>,
    /// May it be missing?
    pub optional: bool,
    /// The field of the spec that names it.
    pub field: String,
}

/// Every ConfigMap and Secret that a spec refers to by name.
pub fn uses(spec: &ServiceGatewaySpec) -> Vec<Use> {
    let mut uses = Vec::new();
    let mut add = |kind, name: &str, keys: Vec<String>, roles: Vec<Role>, optional, field: String| {
        let reference = Reference { kind, name: name.into() };
        uses.push(Use { reference, keys, roles, optional, field });
    };
    match &spec.image.pull_secrets {
        Some(names) => names.iter().enumerate().for_each(|(at, name)| {
            add(ReferenceKind::Secret, name, vec![], vec![], false, format!("spec.image.pullSecrets[{at}]"));
        }),
        None => {
            add(ReferenceKind::Secret, names::DEFAULT_PULL_SECRET, vec![], vec![], true, "spec.image".into())
        }
    }
    let license = spec.license_secret.clone().unwrap_or_default();
    let explicit = spec.license_secret.is_some();
    add(
        ReferenceKind::Secret,
        &license.name,
        vec![license.key],
        Role::ALL.into(),
        !explicit,
        "spec.licenseSecret".into(),
    );
    if let Some(config_map) = spec.custom_code.as_ref().and_then(|code| code.config_map.as_ref()) {
        let keys = vec![config_map.key.clone()];
        let field = "spec.customCode.configMap".into();
        add(ReferenceKind::ConfigMap, &config_map.name, keys, vec![Role::Aggregator], false, field);
    }
    if let Some(keycloak) = spec.auth.as_ref().and_then(|auth| auth.keycloak.as_ref()) {
        let (name, keys) = (&keycloak.config_map_name, vec![keycloak.key.clone()]);
        add(ReferenceKind::ConfigMap, name, keys, vec![Role::Gateway], false, "spec.auth.keycloak".into());
    }
    if let Some(tls) = &spec.tls {
        let keys = vec![tls.keystore_key.clone(), tls.password_key.clone()];
        add(ReferenceKind::Secret, &tls.secret_name, keys, vec![Role::Gateway], false, "spec.tls".into());
    }
    for role in Role::ALL {
        let settings = spec.role(role);
        for (at, source) in settings.env_from.iter().enumerate() {
            let field = format!("spec.{}.envFrom[{at}]", role.field());
            if let Some(reference) = &source.config_map_ref {
                let optional = reference.optional.unwrap_or(false);
                add(ReferenceKind::ConfigMap, &reference.name, vec![], vec![role], optional, field.clone());
            }
            if let Some(reference) = &source.secret_ref {
                let optional = reference.optional.unwrap_or(false);
                add(ReferenceKind::Secret, &reference.name, vec![], vec![role], optional, field);
            }
        }
        for (at, variable) in settings.env.iter().enumerate() {
            let Some(source) = &variable.value_from else { continue };
            let field = format!("spec.{}.env[{at}]", role.field());
            if let Some(key) = &source.config_map_key_ref {
                let optional = key.optional.unwrap_or(false);
                add(
                    ReferenceKind::ConfigMap,
                    &key.name,
                    vec![key.key.clone()],
                    vec![role],
                    optional,
                    field.clone(),
                );
            }
            if let Some(key) = &source.secret_key_ref {
                let optional = key.optional.unwrap_or(false);
                add(ReferenceKind::Secret, &key.name, vec![key.key.clone()], vec![role], optional, field);
            }
        }
    }
    uses
}

/// An object or key that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The field that asks for it, the object, and the next step.
    pub sentence: String,
    /// Roles whose pods would not start.
    pub roles: Vec<Role>,
}

impl Missing {
    fn of(one: &Use, sentence: String) -> Self {
        // What no role rolls for (a pull Secret) is needed by all.
        let roles = if one.roles.is_empty() { Role::ALL.into() } else { one.roles.clone() };
        Self { sentence, roles }
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

    fn of<'a>(entries: impl Iterator<Item = (&'a String, &'a [u8])>) -> Self {
        let sorted: BTreeMap<_, _> = entries.collect();
        let mut hasher = Sha256::new();
        for (key, value) in &sorted {
            // With their lengths, so that bytes which move between key and value make another hash.
            hasher.update((key.len() as u64).to_be_bytes());
            hasher.update(key);
            hasher.update((value.len() as u64).to_be_bytes());
            hasher.update(value);
        }
        let hash = hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { keys: sorted.into_keys().cloned().collect(), hash }
    }
}

/// What a spec finds among the objects that are there, the mesh's own secret aside, and what it misses, as
/// sentences.
pub fn resolve(
    namespace: &str,
    spec: &ServiceGatewaySpec,
    there: &BTreeMap<Reference, Content>,
) -> (Referenced, Vec<Missing>) {
    let mut found = Referenced::default();
    let mut missing = Vec::new();
    let license = spec.license_secret.clone().unwrap_or_default();
    for one in uses(spec) {
        match there.get(&one.reference) {
            Some(content) => accept(&mut found, &mut missing, &license, &one, content),
            None if one.optional => {}
            None => {
                let sentence = format!(
                    "{}: {} '{}' does not exist in namespace '{namespace}'; create it or take the field out",
                    one.field,
                    one.reference.kind.as_str(),
                    one.reference.name
                );
                missing.push(Missing::of(&one, sentence));
            }
        }
    }
    (found, missing)
}

fn accept(
    found: &mut Referenced,
    missing: &mut Vec<Missing>,
    license: &LicenseSecret,
    one: &Use,
    content: &Content,
) {
    let lacking: Vec<_> = one.keys.iter().filter(|key| !content.keys.contains(key)).collect();
    for key in lacking.iter().filter(|_| !one.optional) {
        let sentence = format!(
            "{}: {} '{}' has no key '{key}'; it has {}",
            one.field,
            one.reference.kind.as_str(),
            one.reference.name,
            if content.keys.is_empty() { "none".into() } else { content.keys.join(", ") }
        );
        missing.push(Missing::of(one, sentence));
    }
    if !lacking.is_empty() {
        return;
    }
    let is_secret = one.reference.kind == ReferenceKind::Secret;
    if is_secret && one.field == "spec.licenseSecret" {
        found.license = Some(license.clone());
    }
    if is_secret && one.reference.name == names::DEFAULT_PULL_SECRET && one.field == "spec.image" {
        found.default_pull_secret = true;
    }
    found.contents.insert(one.reference.clone(), content.hash.clone());
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
    fn the_default_licence_is_used_where_it_is_usable_and_never_missed() {
        let spec = ServiceGatewaySpec::default();
        let reference = Reference { kind: ReferenceKind::Secret, name: "kx-license-info".into() };
        let with = |content| resolve("ns", &spec, &BTreeMap::from([(reference.clone(), content)]));
        assert_eq!(resolve("ns", &spec, &BTreeMap::new()), (Referenced::default(), vec![]));
        assert_eq!(with(content("license", "x")).0.license, Some(LicenseSecret::default()));
        assert_eq!(with(content("other", "x")), (Referenced::default(), vec![]), "a wrong key is no key");
    }

    #[test]
    fn what_is_missing_is_named_with_the_field_that_asks_for_it() {
        let mut spec = ServiceGatewaySpec::default();
        spec.image.pull_secrets = Some(vec!["pull".into()]);
        spec.license_secret = Some(LicenseSecret { name: "mine".into(), key: "k".into() });
        let reference = Reference { kind: ReferenceKind::Secret, name: "mine".into() };
        let (_, missing) = resolve("ns", &spec, &BTreeMap::from([(reference, content("other", "x"))]));
        let sentences: Vec<_> = missing.iter().map(|one| one.sentence.as_str()).collect();
        assert_eq!(
            sentences,
            [
                "spec.image.pullSecrets[0]: Secret 'pull' does not exist in namespace 'ns'; create it or take the field out",
                "spec.licenseSecret: Secret 'mine' has no key 'k'; it has other",
            ]
        );
    }
}
