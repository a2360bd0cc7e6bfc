//! ConfigMaps and Secrets that a part of a pod names, found by the shape of its JSON and not by a list of fields: a
//! field that Kubernetes adds later is found as well.
//!
//! Three shapes are known: an object under a field called `…secret…` or `…configMap…` that has a `name`; an object
//! that has a `…secretName` or `…configMapName`; and a list of names under such a field. `tests/references.rs` walks
//! the schema of a pod and shows that it has no other shape.

use serde_json::{Map, Value};

use crate::referenced::{Reference, ReferenceKind};

/// A place that names an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The object.
    pub reference: Reference,
    /// Keys that must be in it.
    pub keys: Vec<String>,
    /// May it be missing?
    pub optional: bool,
    /// Do the containers read its content? Who pulls images is not a container.
    pub content: bool,
    /// Where it is named.
    pub path: String,
}

/// Fields whose keys are a user's own words: `secretName` in one of them names nothing.
pub const WORDS: [&str; 12] = [
    "annotations",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "options",
    "overhead",
    "podAnnotations",
    "podLabels",
    "requests",
    "userAnnotations",
    "volumeAttributes",
];

/// Every place in `value` that names an object; `path` is where `value` itself lies.
pub fn walk(value: &Value, path: &str) -> Vec<Found> {
    let mut found = Vec::new();
    visit(value, "", path, &mut found);
    found
}

fn visit(value: &Value, field: &str, path: &str, found: &mut Vec<Found>) {
    match value {
        Value::Object(map) => {
            for (kind, name) in names(map, field) {
                let reference = Reference { kind, name: name.into() };
                let optional = map.get("optional").and_then(Value::as_bool).unwrap_or(false);
                found.push(Found { keys: keys(map), optional, ..plain(reference, field, path) });
            }
            for (field, value) in map.iter().filter(|(field, _)| !WORDS.contains(&field.as_str())) {
                visit(value, field, &format!("{path}.{field}"), found);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let path = format!("{path}[{at}]");
                match (kind(field), item.as_str()) {
                    (Some(kind), Some(name)) if !name.is_empty() => {
                        found.push(plain(Reference { kind, name: name.into() }, field, &path));
                    }
                    _ => visit(item, field, &path, found),
                }
            }
        }
        _ => {}
    }
}

fn plain(reference: Reference, field: &str, path: &str) -> Found {
    let content = !field.to_lowercase().contains("pullsecret");
    Found { reference, keys: Vec::new(), optional: false, content, path: path.into() }
}

/// What a field by this name holds.
fn kind(field: &str) -> Option<ReferenceKind> {
    let field = field.to_lowercase();
    if field.contains("configmap") {
        return Some(ReferenceKind::ConfigMap);
    }
    field.contains("secret").then_some(ReferenceKind::Secret)
}

/// The names that an object has, itself held by `field`.
fn names<'a>(map: &'a Map<String, Value>, field: &str) -> Vec<(ReferenceKind, &'a str)> {
    let mut all = Vec::new();
    for (own, value) in map {
        let Some(name) = value.as_str().filter(|name| !name.is_empty()) else { continue };
        let own = own.to_lowercase();
        let kind = match own.as_str() {
            "name" => kind(field),
            own if own.ends_with("secretname") || own.ends_with("configmapname") => kind(own),
            _ => None,
        };
        all.extend(kind.map(|kind| (kind, name)));
    }
    all
}

/// The keys that an object with a name asks for.
fn keys(map: &Map<String, Value>) -> Vec<String> {
    let own = map.iter().filter(|(field, _)| *field == "key" || field.ends_with("Key"));
    let own = own.filter_map(|(_, value)| value.as_str());
    let items = map.get("items").and_then(Value::as_array).into_iter().flatten();
    own.chain(items.filter_map(|item| item["key"].as_str())).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(value: &Value) -> Vec<String> {
        let show = |one: Found| {
            let kind = one.reference.kind.as_str();
            let marks = [(one.optional, "?"), (!one.content, "!")];
            let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            format!("{} {kind} {}{marks} {}", one.path, one.reference.name, one.keys.join(","))
        };
        walk(value, "pod").into_iter().map(show).collect()
    }

    #[test]
    fn every_shape_is_found_with_its_keys_and_whether_it_may_be_missing() {
        let pod = json!({
            "imagePullSecrets": [{ "name": "pull" }],
            "initContainers": [{ "envFrom": [{ "secretRef": { "name": "a", "optional": true } }] }],
            "containers": [{
                "name": "secret", "env": [{ "valueFrom": { "configMapKeyRef": { "name": "b", "key": "k" } } }],
            }],
            "volumes": [
                { "name": "secret-volume", "secret": { "secretName": "c", "items": [{ "key": "k", "path": "p" }] } },
                { "projected": { "sources": [{ "configMap": { "name": "d", "optional": false } }] } },
                { "csi": { "nodePublishSecretRef": { "name": "e" } } },
                { "azureFile": { "secretName": "f", "shareName": "s" } },
                { "configMap": { "name": "" } },
            ],
        });
        let mut all = shown(&pod);
        all.sort();
        assert_eq!(
            all,
            [
                "pod.containers[0].env[0].valueFrom.configMapKeyRef ConfigMap b k",
                "pod.imagePullSecrets[0] Secret pull! ",
                "pod.initContainers[0].envFrom[0].secretRef Secret a? ",
                "pod.volumes[0].secret Secret c k",
                "pod.volumes[1].projected.sources[0].configMap ConfigMap d ",
                "pod.volumes[2].csi.nodePublishSecretRef Secret e ",
                "pod.volumes[3].azureFile Secret f ",
            ]
        );
    }

    #[test]
    fn words_of_the_user_name_nothing() {
        let pod = json!({
            "nodeSelector": { "secretName": "a" },
            "volumes": [{ "csi": { "volumeAttributes": { "secretName": "b" } } }],
            "containers": [{ "name": "secret", "image": "configmap", "args": ["secret"] }],
        });
        assert_eq!(shown(&pod), Vec::<String>::new());
    }
}
