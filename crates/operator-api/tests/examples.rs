//! What users copy must work: every example parses without a field that the type does not know, is valid, and
//! builds.

use std::path::Path;

use operator_api::build::ImageDefaults;
use operator_api::spec::ServiceGateway;
use operator_api::validate::validate;
use operator_api::{Referenced, build};
use serde_json::Value;

/// Fields of `given` that are not in `kept`: those that reading it lost.
fn lost(given: &Value, kept: &Value, path: &str, found: &mut Vec<String>) {
    let Some(given) = given.as_object() else { return };
    for (name, inside) in given {
        let path = format!("{path}.{name}");
        match kept.get(name) {
            // An empty list, map or text may be left out when it is written again.
            None if inside.as_array().is_some_and(Vec::is_empty) => {}
            None => found.push(path),
            Some(kept) => lost(inside, kept, &path, found),
        }
    }
}

#[test]
fn every_example_is_a_valid_resource_and_builds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/examples");
    let mut gateways = 0;
    for file in std::fs::read_dir(&folder).expect("the examples") {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("read");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        for document in documents.into_iter().filter(|one| one["kind"] == "ServiceGateway") {
            let gateway: ServiceGateway = serde_json::from_value(document.clone()).expect("a ServiceGateway");
            let mut unknown = Vec::new();
            let written = serde_json::to_value(&gateway.spec).expect("JSON");
            lost(&document["spec"], &written, "spec", &mut unknown);
            assert_eq!(unknown, Vec::<String>::new(), "{} has fields that nobody knows", path.display());
            assert_eq!(validate(&gateway), [], "{}", path.display());
            let children = build(&gateway, &Referenced::default(), &ImageDefaults::default());
            assert_eq!(children.deployments.len(), 3);
            gateways += 1;
        }
    }
    assert!(gateways >= 3, "only {gateways} examples");
}
