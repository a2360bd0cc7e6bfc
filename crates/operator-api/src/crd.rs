//! The CustomResourceDefinition, as it is installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::install::GENERATED;
use crate::spec::ServiceGateway;

/// The definition of `ServiceGateway`.
pub fn definition() -> CustomResourceDefinition {
    let mut definition = ServiceGateway::crd();
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        if let Some(required) = schema.and_then(|schema| schema.required.as_mut()) {
            // A rule says it in a sentence instead of "Required value".
            required.retain(|field| field != "spec");
        }
    }
    definition
}

/// The definition as YAML, the text of `crds/`; for the chart with the annotation that makes Helm keep it, and
/// with it all gateways, when the chart is removed.
pub fn yaml(keep: bool) -> Result<String, serde_saphyr::ser::Error> {
    let mut definition = definition();
    if keep {
        let annotation = ("helm.sh/resource-policy".into(), "keep".into());
        definition.metadata.annotations = Some([annotation].into());
    }
    Ok(format!("{GENERATED}{}", serde_saphyr::to_string(&definition)?))
}
