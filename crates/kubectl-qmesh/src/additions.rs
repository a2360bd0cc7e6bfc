//! Fields of a child set by another manager than the operator. Server-side apply leaves such fields alone: the plugin
//! lists each field. Fields of Kubernetes' own controllers do not count.

use kube::api::DynamicObject;
use operator_api::names::{FIELD_MANAGER, HANDOVER_MANAGER};
use serde_json::Value;

/// Managers whose fields are not additions.
const OWN: [&str; 2] = [FIELD_MANAGER, HANDOVER_MANAGER];
/// Beginnings of names of Kubernetes' own managers.
const KUBERNETES: [&str; 3] = ["kube-", "k3s", "cloud-controller"];
/// Annotations that controllers write under other managers' names.
const BOOKKEEPING: [&str; 2] =
    ["deployment.kubernetes.io/", "kubectl.kubernetes.io/last-applied-configuration"];

/// Each as `manager: path = value`.
pub(crate) fn of(object: &DynamicObject) -> Vec<String> {
    let whole = serde_json::to_value(object).unwrap_or_default();
    let mut all = Vec::new();
    for entry in object.metadata.managed_fields.iter().flatten() {
        let manager = entry.manager.as_deref().unwrap_or("unknown");
        let below = entry.subresource.as_deref().is_some_and(|name| !name.is_empty());
        if below || OWN.contains(&manager) || KUBERNETES.iter().any(|begin| manager.starts_with(begin)) {
            continue;
        }
        if let Some(fields) = &entry.fields_v1 {
            leaves(&fields.0, &whole, "", &mut |path, value| {
                if !BOOKKEEPING.iter().any(|part| path.contains(part)) {
                    all.push(format!("{manager}: {path} = {value}"));
                }
            });
        }
    }
    all
}

/// Each field without fields below, with its path and value.
fn leaves(fields: &Value, value: &Value, path: &str, found: &mut dyn FnMut(&str, &Value)) {
    let below: Vec<(&String, &Value)> =
        fields.as_object().into_iter().flatten().filter(|(key, _)| *key != ".").collect();
    if below.is_empty() {
        if !path.is_empty() {
            found(path, value);
        }
        return;
    }
    for (key, inner) in below {
        let (text, next) = step(key, value);
        let dot = if path.is_empty() || text.starts_with('[') { "" } else { "." };
        leaves(inner, &next, &format!("{path}{dot}{text}"), found);
    }
}

/// One step into an object, as `managedFields` names it: `f:name`, `k:{…}` for an item by its keys, `v:…` for a value.
fn step(key: &str, value: &Value) -> (String, Value) {
    if let Some(name) = key.strip_prefix("f:") {
        return (name.into(), value.get(name).cloned().unwrap_or_default());
    }
    let keys = key.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Value>(keys).ok());
    let Some(keys) = keys else { return (format!("[{key}]"), Value::Null) };
    let keys: Vec<(String, Value)> = keys.as_object().cloned().unwrap_or_default().into_iter().collect();
    let fits = |item: &&Value| keys.iter().all(|(name, wanted)| item.get(name) == Some(wanted));
    let item = value.as_array().and_then(|items| items.iter().find(fits)).cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let names: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
    (format!("[{}]", names.join(",")), item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(manager: &str, fields: Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "g-gw", "annotations": { "a": "b", "deployment.kubernetes.io/revision": "3" },
                "managedFields": [{ "manager": manager, "operation": "Update", "fieldsV1": fields }] },
            "spec": { "minReadySeconds": 7, "template": { "spec": { "containers": [
                { "name": "gw", "env": [{ "name": "X", "value": "1" }] },
            ] } } },
        }))
        .expect("an object")
    }

    #[test]
    fn what_others_set_is_shown_with_path_and_value() {
        let fields = json!({
            "f:metadata": { "f:annotations": { "f:a": {}, "f:deployment.kubernetes.io/revision": {} } },
            "f:spec": { "f:minReadySeconds": {}, "f:template": { "f:spec": { "f:containers": {
                "k:{\"name\":\"gw\"}": { "f:env": { "k:{\"name\":\"X\"}": { ".": {}, "f:name": {}, "f:value": {} } } },
            } } } },
        });
        assert_eq!(
            of(&object("kubectl-edit", fields.clone())),
            [
                "kubectl-edit: metadata.annotations.a = \"b\"",
                "kubectl-edit: spec.minReadySeconds = 7",
                "kubectl-edit: spec.template.spec.containers[name=gw].env[name=X].name = \"X\"",
                "kubectl-edit: spec.template.spec.containers[name=gw].env[name=X].value = \"1\"",
            ]
        );
        for own in ["qmesh-operator", "qmesh-operator-handover", "kube-controller-manager"] {
            assert!(of(&object(own, fields.clone())).is_empty(), "{own}");
        }
    }
}
