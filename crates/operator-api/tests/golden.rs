//! Children as YAML: what a resource stands for, in files that a reader can check. `QMESH_GOLDEN=write` writes
//! them anew; a difference is then seen in the review.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use operator_api::build::ImageDefaults;
use operator_api::mesh_secret::MeshSecret;
use operator_api::reference::FOREIGN;
use operator_api::referenced::Referenced;
use operator_api::spec::{LicenseSecret, MeshSecretMode, ServiceGateway};
use operator_api::uses::uses;
use operator_api::validate::{Problem, validate};
use operator_api::{Children, Kind, build};

fn here(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(below)
}

fn read(name: &str) -> ServiceGateway {
    let text = std::fs::read_to_string(here(&format!("{name}.in.yaml"))).expect("the input");
    let mut gateway: ServiceGateway = serde_saphyr::from_str(&text).expect("a ServiceGateway");
    gateway.metadata.uid = Some("11111111-2222-3333-4444-555555555555".into());
    gateway.metadata.namespace = Some("team".into());
    gateway
}

/// Everything it names is there, with fixed contents.
fn all_there(gateway: &ServiceGateway) -> Referenced {
    let contents = uses(gateway.metadata.name.as_deref().unwrap_or_default(), &gateway.spec)
        .into_iter()
        .filter(|one| !one.optional)
        .map(|one| (one.reference, "0123456789abcdef".to_owned()))
        .collect();
    Referenced {
        default_pull_secret: gateway.spec.image.pull_secrets.is_none(),
        license: gateway.spec.license_secret.clone(),
        contents,
        mesh_secret: (gateway.spec.mesh_secret.mode == MeshSecretMode::Generated)
            .then(|| MeshSecret::next(None, gateway.spec.mesh_secret.rotation.as_deref(), || "s".repeat(64))),
        pod_monitor_api: true,
        keys: BTreeMap::new(),
    }
}

fn images() -> ImageDefaults {
    ImageDefaults { repository: String::new(), tag: "1.2.3".into() }
}

fn shown(children: &Children) -> String {
    let all = children.clone().in_order().expect("JSON");
    all.iter()
        .map(|child| format!("---\n{}", serde_saphyr::to_string(&child.object).expect("YAML")))
        .collect()
}

fn check(name: &str) -> Children {
    let gateway = read(name);
    let mut problems = validate(&gateway);
    // What it would become is known, though this version's processes cannot do it.
    problems.retain(|problem| !matches!(problem, Problem::NotYet { .. }));
    assert_eq!(problems, [], "{name} must be valid");
    let children = build(&gateway, &all_there(&gateway), &images());
    assert_eq!(children, build(&gateway, &all_there(&gateway), &images()), "building is deterministic");
    let (text, path) = (shown(&children), here(&format!("{name}.out.yaml")));
    if std::env::var_os("QMESH_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    let wanted = std::fs::read_to_string(&path).expect("the golden file; QMESH_GOLDEN=write makes it");
    for (at, (got, wanted)) in text.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(got, wanted, "{}:{} differs; QMESH_GOLDEN=write writes it anew", path.display(), at + 1);
    }
    assert_eq!(text.lines().count(), wanted.lines().count(), "{} has another length", path.display());
    children
}

#[test]
fn the_minimal_resource_has_every_default() {
    let children = check("minimal");
    assert!(children.autoscalers.is_empty() && children.disruption_budgets.is_empty());
}

#[test]
fn every_field_of_the_spec_reaches_its_child() {
    let children = check("full");
    let text = shown(&children);
    // Each value in the input that begins so is a mark: it must be found in the output.
    let input = std::fs::read_to_string(here("full.in.yaml")).expect("the input");
    let marks: Vec<&str> = input
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| word.len() > "mark-".len() && word.starts_with("mark-"))
        .collect();
    assert!(marks.len() >= 55, "only {} marks", marks.len());
    for mark in marks {
        assert!(text.contains(mark), "{mark} of the input reaches no child");
    }
}

#[test]
fn no_field_of_the_schema_is_missing_from_the_full_resource() {
    use kube::CustomResourceExt;
    let definition = serde_json::to_value(ServiceGateway::crd()).expect("JSON");
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut given = serde_json::Value::Object(Default::default());
    for name in ["full", "other"] {
        merge(&mut given, &serde_json::to_value(&read(name).spec).expect("JSON"));
    }
    let mut missing = Vec::new();
    compare(schema, &given, "spec", &mut missing);
    assert_eq!(missing, Vec::<String>::new(), "fields that neither full.in.yaml nor other.in.yaml sets");
}

fn merge(into: &mut serde_json::Value, from: &serde_json::Value) {
    match (into, from) {
        (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn compare(schema: &serde_json::Value, given: &serde_json::Value, path: &str, missing: &mut Vec<String>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, field) in properties {
        // The three roles have the same settings; full.in.yaml sets them all for the gateway.
        if path == "spec" && ["coordinator", "aggregator"].contains(&name.as_str()) {
            continue;
        }
        let path = format!("{path}.{name}");
        match given.get(name) {
            None => missing.push(path),
            Some(inside) if !FOREIGN.contains(&name.as_str()) => compare(field, inside, &path, missing),
            Some(_) => {}
        }
    }
}

#[test]
fn discovery_by_address_needs_no_rights() {
    let children = check("other");
    assert_eq!((children.role, children.role_binding), (None, None));
    for deployment in &children.deployments {
        let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).expect("a pod");
        assert_eq!(pod.automount_service_account_token, Some(false), "{:?}", deployment.metadata.name);
    }
}

#[test]
fn content_of_a_reference_rolls_the_pods_that_use_it_and_no_others() {
    let gateway = read("full");
    let before = build(&gateway, &all_there(&gateway), &images());
    let mut changed = all_there(&gateway);
    let config_map = gateway
        .spec
        .custom_code
        .as_ref()
        .and_then(|code| code.config_map.as_ref())
        .expect("set")
        .name
        .clone();
    let hash =
        changed.contents.iter_mut().find(|(reference, _)| reference.name == config_map).expect("used").1;
    *hash = "fedcba9876543210".into();
    let after = build(&gateway, &changed, &images());
    let differing: Vec<_> = before
        .deployments
        .iter()
        .zip(&after.deployments)
        .filter(|(before, after)| before != after)
        .map(|(before, _)| before.metadata.name.clone().unwrap_or_default())
        .collect();
    assert_eq!(differing, ["full-agg"]);
    assert_eq!(before.services, after.services);
}

#[test]
fn a_new_mesh_secret_rolls_every_role() {
    let gateway = read("minimal");
    let mut referenced = all_there(&gateway);
    let before = build(&gateway, &referenced, &images());
    let kept = referenced.mesh_secret.take();
    referenced.mesh_secret = Some(MeshSecret::next(kept, Some("again"), || "t".repeat(64)));
    let after = build(&gateway, &referenced, &images());
    assert!(before.deployments.iter().zip(&after.deployments).all(|(before, after)| before != after));
}

#[test]
fn a_variable_of_the_user_replaces_the_one_of_the_operator() {
    let mut gateway = read("minimal");
    gateway.spec.aggregator.env = vec![k8s_openapi::api::core::v1::EnvVar {
        name: "KXI_SG_RC_ADDR".into(),
        value: Some("elsewhere:1".into()),
        value_from: None,
    }];
    let children = build(&gateway, &all_there(&gateway), &images());
    let agg = children.deployments.last().and_then(|last| last.spec.as_ref()).expect("an aggregator");
    let container = agg.template.spec.as_ref().and_then(|pod| pod.containers.first()).expect("a container");
    let values: Vec<_> =
        container.env.iter().flatten().filter(|variable| variable.name == "KXI_SG_RC_ADDR").collect();
    assert_eq!(values.len(), 1, "{values:?}");
    assert_eq!(values[0].value.as_deref(), Some("elsewhere:1"));
}

#[test]
fn names_of_variables_are_unique_in_every_pod() {
    for name in ["minimal", "full", "other"] {
        let gateway = read(name);
        for deployment in build(&gateway, &all_there(&gateway), &images()).deployments {
            let pod = deployment.spec.and_then(|spec| spec.template.spec).expect("a pod");
            let mut count = BTreeMap::new();
            for variable in pod.containers[0].env.iter().flatten() {
                *count.entry(variable.name.clone()).or_insert(0) += 1;
            }
            assert!(count.values().all(|&times| times == 1), "{name}: {count:?}");
        }
    }
}

#[test]
fn the_licence_is_passed_on_by_reference_and_never_read_into_a_child() {
    let gateway = read("minimal");
    let mut referenced = all_there(&gateway);
    referenced.license = Some(LicenseSecret::default());
    let text = shown(&build(&gateway, &referenced, &images()));
    assert_eq!(text.matches("name: KDB_LICENSE_B64").count(), 3, "one for each role");
    assert_eq!(text.matches("name: kx-license-info").count(), 3);
}

#[test]
fn what_the_processes_cannot_do_yet_is_a_problem_that_says_what_to_do_instead() {
    let problems: Vec<String> = validate(&read("full")).iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("spec.customCode: ") && problems[0].contains("run no q code"));
    assert!(problems[1].starts_with("spec.auth: ") && problems[1].contains("networkPolicy.clients"));
    assert!(problems[2].starts_with("spec.tls: ") && problems[2].contains("end TLS in front of the gateway"));
}

#[test]
fn children_are_in_an_order_in_which_pods_find_what_they_need() {
    let gateway = read("full");
    let all = build(&gateway, &all_there(&gateway), &images()).in_order().expect("JSON");
    let kinds: Vec<Kind> = all.iter().map(|child| child.kind).collect();
    let mut sorted = kinds.clone();
    sorted.sort();
    assert_eq!(kinds, sorted, "the order of kinds is that of their declaration");
    assert_eq!(kinds.last(), Some(&Kind::Deployment));
    for child in &all {
        assert_eq!(child.object["kind"], child.kind.resource().kind.as_str(), "{}", child.name);
        assert_eq!(child.object["metadata"]["name"], child.name.as_str());
    }
}
