//! Which ConfigMaps and Secrets a resource uses: those that the pods name which it stands for, whatever field of the
//! spec they came from. The spec is searched only for the name of that field.

use std::collections::BTreeMap;

use crate::build::{self, ImageDefaults};
use crate::names::{self, Role};
use crate::referenced::{Content, Reference, ReferenceKind, Referenced};
use crate::spec::{MeshSecretMode, ServiceGateway, ServiceGatewaySpec};
use crate::walk::{Found, walk};

/// One use of an object: roles of the pods, and required keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The object.
    pub reference: Reference,
    /// Keys that must be in it; none: any content will do.
    pub keys: Vec<String>,
    /// Whose pods name it.
    pub roles: Vec<Role>,
    /// May it be missing?
    pub optional: bool,
    /// The field of the spec that names it.
    pub field: String,
}

/// An object or key that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The field that asks for it, the object, and the next step.
    pub sentence: String,
    /// Roles whose pods would not start.
    pub roles: Vec<Role>,
}

/// Every ConfigMap and Secret that the pods of the ServiceGateway `name` name, but for the secret of its mesh: a sidecar
/// may mount that one, and the operator makes it.
pub fn uses(name: &str, spec: &ServiceGatewaySpec) -> Vec<Use> {
    let mesh = Reference { kind: ReferenceKind::Secret, name: names::mesh_secret(name) };
    let mut uses = named_in_pods(spec);
    if spec.mesh_secret.mode == MeshSecretMode::Generated {
        uses.retain(|one| one.reference != mesh);
    }
    uses
}

fn named_in_pods(spec: &ServiceGatewaySpec) -> Vec<Use> {
    let in_pods = in_pods(spec);
    let written = walk(&serde_json::to_value(spec).unwrap_or_default(), "spec");
    let mut uses = Vec::new();
    for one in &written {
        let roles: Vec<Role> = in_pods
            .iter()
            .filter(|(role, found)| match role_of(&one.path) {
                Some(only) => only == *role && named(found, one) > 0,
                // What fields of the role itself account for does not come from here.
                None => named(found, one) > own(&written, one, *role),
            })
            .map(|(role, _)| *role)
            .collect();
        if !roles.is_empty() {
            let Found { reference, keys, optional, path, .. } = one.clone();
            uses.push(Use { reference, keys, roles, optional, field: path });
        }
    }
    // What no field asks for is taken where it exists.
    let mut defaults: BTreeMap<(&Reference, &Vec<String>), Use> = BTreeMap::new();
    for (role, found) in &in_pods {
        let rest = found.iter().filter(|one| {
            let of_role = |other: &&Found| role_of(&other.path).is_none_or(|only| only == *role);
            !written.iter().filter(of_role).any(|other| asks_for(other, one))
        });
        for one in rest {
            let other = defaults.entry((&one.reference, &one.keys)).or_insert_with(|| Use {
                reference: one.reference.clone(),
                keys: one.keys.clone(),
                roles: Vec::new(),
                optional: true,
                field: one.path.clone(),
            });
            if !other.roles.contains(role) {
                other.roles.push(*role);
            }
        }
    }
    uses.extend(defaults.into_values());
    uses
}

/// What the pods of each role name, if everything is there that is used where it exists.
fn in_pods(spec: &ServiceGatewaySpec) -> Vec<(Role, Vec<Found>)> {
    let gateway = ServiceGateway::new("", spec.clone());
    let supposed = Referenced {
        default_pull_secret: true,
        license: Some(spec.license_secret.clone().unwrap_or_default()),
        ..Referenced::default()
    };
    let pods = build::pods(&gateway, &supposed, &ImageDefaults::default());
    let walked = pods.into_iter().map(|(role, pod)| {
        let path = format!("pod of {}", role.field());
        (role, walk(&serde_json::to_value(pod).unwrap_or_default(), &path))
    });
    walked.collect()
}

/// The role whose field this is; none for a field of the whole.
fn role_of(path: &str) -> Option<Role> {
    let field = path.strip_prefix("spec.")?.split(['.', '[']).next()?;
    Role::ALL.into_iter().find(|role| role.field() == field)
}

fn named(found: &[Found], one: &Found) -> usize {
    found.iter().filter(|other| other.reference == one.reference).count()
}

/// How often the role's own fields name it.
fn own(written: &[Found], one: &Found, role: Role) -> usize {
    let of_role = written.iter().filter(|other| role_of(&other.path) == Some(role));
    of_role.filter(|other| other.reference == one.reference).count()
}

/// Does this field of the spec ask for what a pod names here?
fn asks_for(field: &Found, pod: &Found) -> bool {
    field.reference == pod.reference
        && field.optional == pod.optional
        && pod.keys.iter().all(|key| field.keys.contains(key))
}

/// Objects found for a spec among existing objects, and missing objects; without the mesh's own secret.
pub fn resolve(
    namespace: &str,
    spec: &ServiceGatewaySpec,
    uses: &[Use],
    there: &BTreeMap<Reference, Content>,
) -> (Referenced, Vec<Missing>) {
    let mut missing = Vec::new();
    for one in uses.iter().filter(|one| !one.optional) {
        let what = format!("{}: {} '{}'", one.field, one.reference.kind.as_str(), one.reference.name);
        let sentences = match there.get(&one.reference) {
            None => vec![format!(
                "{what} does not exist in namespace '{namespace}'; create it or take the field out"
            )],
            Some(content) => {
                let keys = content.keys();
                let has = if keys.is_empty() { "none".into() } else { keys.join(", ") };
                let lacking = one.keys.iter().filter(|key| !keys.contains(key));
                lacking.map(|key| format!("{what} has no key '{key}'; it has {has}")).collect()
            }
        };
        missing.extend(sentences.into_iter().map(|sentence| Missing { sentence, roles: one.roles.clone() }));
    }
    let secret = |name: &str| there.get(&Reference { kind: ReferenceKind::Secret, name: name.into() });
    let license = spec.license_secret.clone().unwrap_or_default();
    let usable = secret(&license.name).is_some_and(|content| content.keys().contains(&license.key));
    let found = Referenced {
        default_pull_secret: spec.image.pull_secrets.is_none()
            && secret(names::DEFAULT_PULL_SECRET).is_some(),
        license: usable.then_some(license),
        contents: there
            .iter()
            .map(|(reference, content)| (reference.clone(), content.hash().into()))
            .collect(),
        keys: there.iter().map(|(reference, content)| (reference.clone(), content.keys().into())).collect(),
        ..Referenced::default()
    };
    (found, missing)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::spec::LicenseSecret;

    fn spec(value: Value) -> ServiceGatewaySpec {
        serde_json::from_value(value).expect("a spec")
    }

    fn there(objects: &[(ReferenceKind, &str, &str)]) -> BTreeMap<Reference, Content> {
        let of = |&(kind, name, key): &(ReferenceKind, &str, &str)| {
            let keys = BTreeMap::from([(key.to_owned(), k8s_openapi::ByteString(b"x".to_vec()))]);
            let secret = k8s_openapi::api::core::v1::Secret { data: Some(keys), ..Default::default() };
            (Reference { kind, name: name.into() }, Content::of_secret(&secret))
        };
        objects.iter().map(of).collect()
    }

    fn resolved(
        spec: &ServiceGatewaySpec,
        objects: &[(ReferenceKind, &str, &str)],
    ) -> (Referenced, Vec<Missing>) {
        resolve("ns", spec, &uses("g", spec), &there(objects))
    }

    #[test]
    fn the_default_licence_is_used_where_it_is_usable_and_never_missed() {
        let spec = ServiceGatewaySpec::default();
        let with = |key| resolved(&spec, &[(ReferenceKind::Secret, "kx-license-info", key)]);
        assert_eq!(resolved(&spec, &[]), (Referenced::default(), vec![]));
        assert_eq!(with("license").0.license, Some(LicenseSecret::default()));
        assert_eq!((with("other").0.license, with("other").1), (None, vec![]), "a wrong key is no key");
    }

    #[test]
    fn what_is_missing_is_named_with_the_field_that_asks_for_it() {
        let spec = spec(json!({
            "image": { "pullSecrets": ["pull"] }, "licenseSecret": { "name": "mine", "key": "k" },
        }));
        let (_, missing) = resolved(&spec, &[(ReferenceKind::Secret, "mine", "other")]);
        let mut sentences: Vec<_> = missing.into_iter().map(|one| (one.sentence, one.roles)).collect();
        sentences.sort();
        let all = Role::ALL.to_vec();
        assert_eq!(
            sentences,
            [
                (
                    "spec.image.pullSecrets[0]: Secret 'pull' does not exist in namespace 'ns'; create it or take the field out".into(),
                    all.clone()
                ),
                ("spec.licenseSecret: Secret 'mine' has no key 'k'; it has other".into(), all),
            ]
        );
    }

    #[test]
    fn objects_of_volumes_and_sidecars_are_missed_with_the_role_that_needs_them() {
        let spec = spec(json!({
            "gateway": {
                "extraVolumes": [
                    { "name": "v", "configMap": { "name": "a", "items": [{ "key": "k", "path": "p" }] } },
                    { "name": "w", "projected": { "sources": [{ "secret": { "name": "b" } }] } },
                    { "name": "x", "secret": { "secretName": "c", "optional": true } },
                ],
            },
            "coordinator": {
                "sidecar": { "image": "i", "env": [
                    { "name": "V", "valueFrom": { "secretKeyRef": { "name": "d", "key": "k" } } },
                ] },
            },
        }));
        let (_, missing) = resolved(&spec, &[]);
        let shown: Vec<_> = missing
            .iter()
            .map(|one| (one.sentence.split(" does").next().unwrap_or_default(), one.roles.as_slice()))
            .collect();
        assert_eq!(
            shown,
            [
                ("spec.gateway.extraVolumes[0].configMap: ConfigMap 'a'", &[Role::Gateway][..]),
                ("spec.gateway.extraVolumes[1].projected.sources[0].secret: Secret 'b'", &[Role::Gateway]),
                ("spec.coordinator.sidecar.env[0].valueFrom.secretKeyRef: Secret 'd'", &[Role::Coordinator]),
            ]
        );
    }

    #[test]
    fn a_field_of_the_whole_is_not_blamed_for_what_a_role_names_itself() {
        let spec = spec(json!({
            "customCode": { "configMap": { "name": "a", "key": "agg.q" } },
            "gateway": { "envFrom": [{ "configMapRef": { "name": "a" } }] },
        }));
        let (_, missing) = resolved(&spec, &[(ReferenceKind::ConfigMap, "a", "other")]);
        let sentence = "spec.customCode.configMap: ConfigMap 'a' has no key 'agg.q'; it has other".into();
        assert_eq!(missing, [Missing { sentence, roles: vec![Role::Aggregator] }]);
    }

    #[test]
    fn an_optional_variable_does_not_make_the_default_licence_required() {
        let key = json!({ "name": "kx-license-info", "key": "license", "optional": true });
        let spec =
            spec(json!({ "gateway": { "env": [{ "name": "A", "valueFrom": { "secretKeyRef": key } }] } }));
        assert_eq!(resolved(&spec, &[]).1, []);
    }

    #[test]
    fn the_secret_of_its_own_mesh_is_not_waited_for() {
        let volume = |name: &str| json!({ "name": name, "secret": { "secretName": name } });
        let mut spec = spec(json!({ "gateway": { "extraVolumes": [volume("g-mesh"), volume("h-mesh")] } }));
        let named = |spec: &ServiceGatewaySpec| {
            let required = uses("g", spec).into_iter().filter(|one| !one.optional);
            required.map(|one| one.reference.name).collect::<Vec<_>>()
        };
        assert_eq!(named(&spec), ["h-mesh"]);
        spec.mesh_secret.mode = MeshSecretMode::None;
        assert_eq!(named(&spec), ["g-mesh", "h-mesh"], "nobody makes it");
    }
}
