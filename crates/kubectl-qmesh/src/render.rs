//! Every object that a ServiceGateway stands for. What a cluster would add (owner, contents of Secrets) is not
//! known here and left out; everything it refers to is taken to be there.

use std::io::Read;
use std::path::Path;

use k8s_openapi::ByteString;
use operator_api::build::ImageDefaults;
use operator_api::mesh_secret::MeshSecret;
use operator_api::referenced::Referenced;
use operator_api::spec::{API_VERSION, MeshSecretMode, ServiceGateway};
use operator_api::validate::validate;
use operator_api::{Child, build};
use serde_json::Value;
use sg::nearest;

use crate::error::Error;
use crate::schema::Definition;

/// Most bytes of a file that are read.
const LONGEST: u64 = 16 << 20;

/// Every object, as YAML.
pub(crate) fn file(path: &Path) -> Result<String, Error> {
    let mut shown = String::new();
    for gateway in gateways(path)? {
        let children = children(&gateway, &everything(&gateway), &ImageDefaults::default())?;
        for mut child in children {
            mask(&mut child.object);
            shown.push_str(&format!("---\n{}", yaml(&child.object)?));
        }
    }
    match shown.is_empty() {
        true => Err(Error::Nothing(path.into())),
        false => Ok(shown),
    }
}

/// The ServiceGateways of a file, or of standard input, checked.
pub(crate) fn gateways(path: &Path) -> Result<Vec<ServiceGateway>, Error> {
    let broken = |source| Error::File { path: path.into(), source };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().take(LONGEST).read_to_string(&mut text).map_err(broken)?;
    } else {
        std::fs::File::open(path).map_err(broken)?.take(LONGEST).read_to_string(&mut text).map_err(broken)?;
    }
    checked(path, &text)
}

fn checked(path: &Path, text: &str) -> Result<Vec<ServiceGateway>, Error> {
    let mut all = Vec::new();
    let definition = Definition::new();
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| Error::Document {
        path: path.into(),
        number: 1,
        why: error.to_string(),
    })?;
    for (at, document) in documents.into_iter().enumerate() {
        let wrong = |why: String| Error::Document { path: path.into(), number: at + 1, why };
        let kind = document["kind"].as_str().unwrap_or_default();
        if kind != "ServiceGateway" {
            match nearest(kind, ["ServiceGateway"]) {
                Some(meant) => {
                    return Err(wrong(format!("kind: '{kind}' is unknown; did you mean '{meant}'?")));
                }
                None => continue,
            }
        }
        if document["apiVersion"] != API_VERSION {
            return Err(wrong(format!("apiVersion: {} must be {API_VERSION}", document["apiVersion"])));
        }
        let found = definition.check(&document);
        found.passed.iter().for_each(|passed| eprintln!("{}, document {}: {passed}", path.display(), at + 1));
        if !found.problems.is_empty() {
            return Err(wrong(found.problems.join("; ")));
        }
        let gateway: ServiceGateway =
            serde_json::from_value(document).map_err(|error| wrong(error.to_string()))?;
        if gateway.metadata.name.as_deref().unwrap_or_default().is_empty() {
            return Err(wrong("metadata.name is missing".into()));
        }
        let problems: Vec<_> = validate(&gateway).iter().map(ToString::to_string).collect();
        if !problems.is_empty() {
            return Err(wrong(problems.join("; ")));
        }
        all.push(gateway);
    }
    Ok(all)
}

/// As if everything it refers to were there.
fn everything(gateway: &ServiceGateway) -> Referenced {
    Referenced {
        license: gateway.spec.license_secret.clone(),
        mesh_secret: (gateway.spec.mesh_secret.mode == MeshSecretMode::Generated)
            .then(|| MeshSecret::next(None, gateway.spec.mesh_secret.rotation.as_deref(), String::new)),
        pod_monitor_api: true,
        ..Referenced::default()
    }
}

/// The children as they are applied, in order.
pub(crate) fn children(
    gateway: &ServiceGateway,
    referenced: &Referenced,
    images: &ImageDefaults,
) -> Result<Vec<Child>, Error> {
    let all = build(gateway, referenced, images).in_order();
    all.map_err(|error| Error::Write(error.to_string()))
}

/// As YAML.
pub(crate) fn yaml(object: &Value) -> Result<String, Error> {
    serde_saphyr::to_string(object).map_err(|error| Error::Write(error.to_string()))
}

/// Contents of Secrets are shown by their length alone.
pub(crate) fn mask(object: &mut Value) {
    if object["kind"] != "Secret" {
        return;
    }
    for value in object["data"].as_object_mut().into_iter().flat_map(|data| data.values_mut()) {
        let length = serde_json::from_value::<ByteString>(value.clone()).map_or(0, |bytes| bytes.0.len());
        *value = Value::String(format!("*** {length} bytes"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> Result<String, Error> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        super::file(file.path())
    }

    #[test]
    fn a_file_is_rendered_with_every_kind_and_no_secret() {
        let text = "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: qmesh.dev/v1alpha1\nkind: ServiceGateway\nmetadata:\n  name: g\nspec: {}\n";
        let shown = rendered(text).expect("rendered");
        for kind in
            ["Deployment", "Service", "ServiceAccount", "Role", "RoleBinding", "Secret", "NetworkPolicy"]
        {
            assert!(shown.contains(&format!("kind: {kind}\n")), "no {kind} in {shown}");
        }
        assert!(shown.contains("*** "), "the Secret's content is masked: {shown}");
    }

    #[test]
    fn a_wrong_file_is_refused_with_the_document_and_the_reason() {
        let text = "apiVersion: qmesh.dev/v1alpha1\nkind: ServiceGateway\nmetadata:\n  name: g\nspec:\n  discovery:\n    dataAccessSelector: a in b\n";
        let error = rendered(text).expect_err("refused").to_string();
        assert!(error.contains("document 1") && error.contains("'a in b'"), "{error}");
        let error = rendered("kind: ConfigMap\n").expect_err("refused").to_string();
        assert!(error.contains("no ServiceGateway"), "{error}");
        assert!(rendered("a: [").is_err());
        let text = "apiVersion: qmesh.dev/v1alpha1\nkind: ServiceGateway\nmetadata: { name: g }\nspec: { gatway: {} }\n";
        let error = rendered(text).expect_err("refused").to_string();
        assert!(error.contains("spec.gatway: no such field; did you mean 'gateway'?"), "{error}");
        let error =
            rendered(&text.replace("ServiceGateway", "ServiceGatway")).expect_err("refused").to_string();
        assert!(error.contains("did you mean 'ServiceGateway'?"), "{error}");
        let error = rendered(&text.replace("gatway: {}", "paused: true, paused: false"))
            .expect_err("refused")
            .to_string();
        assert!(error.contains("paused"), "{error}");
    }
}
