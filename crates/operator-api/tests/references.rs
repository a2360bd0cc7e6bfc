//! Every ConfigMap and Secret that a pod can name is found, and a change to one rolls the roles that name it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PodSpec;
use operator_api::build;
use operator_api::build::{ImageDefaults, pods};
use operator_api::names::{CONFIG_HASH, Role};
use operator_api::referenced::{Reference, ReferenceKind, Referenced};
use operator_api::spec::{ServiceGateway, ServiceGatewaySpec};
use operator_api::uses::uses;
use operator_api::walk::{WORDS, walk};
use serde_json::{Map, Value, json};

/// Types of Kubernetes that name a ConfigMap or a Secret of the pod's own namespace.
const NAMING: [&str; 9] = [
    "ConfigMapEnvSource",
    "ConfigMapKeySelector",
    "ConfigMapProjection",
    "ConfigMapVolumeSource",
    "LocalObjectReference",
    "SecretEnvSource",
    "SecretKeySelector",
    "SecretProjection",
    "SecretVolumeSource",
];

/// A step on the way to a field: its name, and whether its value is a list.
type Step = (String, bool);

/// A field of a pod that names an object.
#[derive(Debug)]
struct Place {
    steps: Vec<Step>,
    /// The type, or the field, that holds the name.
    naming: String,
}

/// What the schema of a pod holds.
#[derive(Default)]
struct Survey {
    places: Vec<Place>,
    /// Fields whose keys are a user's own.
    words: BTreeSet<String>,
}

fn survey() -> Survey {
    let schema = serde_json::to_value(schemars::schema_for!(PodSpec)).expect("a schema");
    let mut survey = Survey::default();
    visit(&schema, &schema, &mut Vec::new(), &mut survey);
    survey
}

/// A definition, by the reference to it, with the last part of its name.
fn resolved<'a>(all: &'a Value, schema: &'a Value) -> (&'a Value, &'a str) {
    match schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
        Some(name) => (&all["$defs"][name], name.rsplit('.').next().unwrap_or_default()),
        None => (schema, ""),
    }
}

fn visit(all: &Value, schema: &Value, steps: &mut Vec<Step>, survey: &mut Survey) {
    for (field, inside) in schema["properties"].as_object().into_iter().flatten() {
        let (mut inside, mut name) = resolved(all, inside);
        let is_list = inside["items"].is_object();
        if is_list {
            (inside, name) = resolved(all, &inside["items"]);
        }
        steps.push((field.clone(), is_list));
        if inside["additionalProperties"].is_object() {
            survey.words.insert(field.clone());
        }
        if NAMING.contains(&name) {
            survey.places.push(Place { steps: steps.clone(), naming: name.into() });
        } else if field.to_lowercase().ends_with("secretname")
            || field.to_lowercase().ends_with("configmapname")
        {
            survey.places.push(Place { steps: steps.clone(), naming: field.clone() });
        } else {
            visit(all, inside, steps, survey);
        }
        steps.pop();
    }
}

/// The object of a place that names `name`, what it names, and the key that it asks for.
fn naming(place: &Place, name: &str) -> (Value, Reference, Option<String>) {
    let kind = match place.naming.to_lowercase().contains("configmap") {
        true => ReferenceKind::ConfigMap,
        false => ReferenceKind::Secret,
    };
    let reference = Reference { kind, name: name.into() };
    let key = place.naming.ends_with("KeySelector").then(|| format!("key-of-{name}"));
    let value = match place.naming.as_str() {
        "SecretVolumeSource" => json!({ "secretName": name }),
        "ConfigMapKeySelector" | "SecretKeySelector" => json!({ "name": name, "key": key }),
        "secretName" => json!(name),
        _ => json!({ "name": name }),
    };
    (value, reference, key)
}

/// Put `value` at the end of the steps; a list gets one item more.
fn put(pod: &mut Value, steps: &[Step], value: Value) {
    let [(field, is_list), rest @ ..] = steps else {
        *pod = value;
        return;
    };
    if !pod.is_object() {
        *pod = Value::Object(Map::new());
    }
    let inside = &mut pod[field.as_str()];
    if *is_list {
        let mut item = Value::Object(Map::new());
        put(&mut item, rest, value);
        match inside.as_array_mut() {
            Some(items) => items.push(item),
            None => *inside = Value::Array(vec![item]),
        }
    } else {
        put(inside, rest, value);
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn choose<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

#[test]
fn the_walk_finds_every_field_of_a_pod_that_names_a_configmap_or_secret() {
    let survey = survey();
    assert!(survey.places.len() >= 25, "the schema is read wrongly: {:?}", survey.places);
    for place in &survey.places {
        let (value, reference, key) = naming(place, "a");
        let mut pod = json!({});
        put(&mut pod, &place.steps, value);
        let found = walk(&pod, "pod");
        assert_eq!(found.len(), 1, "{place:?}: {found:?}");
        assert_eq!((&found[0].reference, found[0].keys.first()), (&reference, key.as_ref()), "{place:?}");
    }
}

#[test]
fn fields_whose_keys_are_the_users_own_are_known() {
    for word in survey().words {
        assert!(WORDS.contains(&word.as_str()), "add {word} to WORDS of walk.rs");
    }
}

#[test]
fn whatever_a_pod_names_in_whatever_places_is_found_and_nothing_else() {
    let survey = survey();
    let seed = 71;
    println!("seed {seed}");
    let mut random = Random(seed);
    for case in 0..1500 {
        let mut pod = json!({ "nodeSelector": { "secretName": "none" }, "priorityClassName": "secret" });
        let mut wanted = BTreeSet::new();
        for at in 0..random.below(6) {
            let place = random.choose(&survey.places);
            let (value, reference, key) = naming(place, &format!("object-{at}"));
            // Outside a list the last one counts; these are the sources of one volume.
            put(&mut pod, &place.steps, value);
            wanted.insert((reference, key));
        }
        // Through the type: what Kubernetes does not know is lost there.
        let typed: PodSpec = serde_json::from_value(pod.clone()).expect("a pod");
        let typed = serde_json::to_value(typed).expect("JSON");
        let found: BTreeSet<_> =
            walk(&typed, "pod").into_iter().map(|one| (one.reference, one.keys.first().cloned())).collect();
        assert_eq!(found, wanted, "case {case}: {pod}");
    }
}

/// A field of a role that names `name`, put into the role.
fn name_in_role(random: &mut Random, role: &mut Value, name: &str, kind: ReferenceKind) {
    let (field, holder) = match kind {
        ReferenceKind::ConfigMap => ("configMap", json!({ "name": name })),
        ReferenceKind::Secret => ("secret", json!({ "name": name })),
    };
    let volume = match kind {
        ReferenceKind::ConfigMap => json!({ "name": name, "configMap": { "name": name } }),
        ReferenceKind::Secret => json!({ "name": name, "secret": { "secretName": name } }),
    };
    let variable = |key: &str| json!({ "name": key, "valueFrom": { (format!("{field}KeyRef")): { "name": name, "key": "k" } } });
    let mut push = |path: &[&str], item: Value| {
        let at = path.iter().fold(&mut *role, |at, step| &mut at[*step]);
        match at.as_array_mut() {
            Some(items) => items.push(item),
            None => *at = json!([item]),
        }
    };
    match random.below(6) {
        0 => push(&["extraVolumes"], volume),
        1 => push(
            &["extraVolumes"],
            json!({ "name": name, "projected": { "sources": [{ (field): holder }] } }),
        ),
        2 => push(&["envFrom"], json!({ (format!("{field}Ref")): holder })),
        3 => push(&["env"], variable("A")),
        4 => {
            push(&["sidecar", "env"], variable("B"));
            role["sidecar"]["image"] = json!("i");
        }
        _ => {
            let csi = json!({ "driver": "d", "nodePublishSecretRef": { "name": name } });
            match kind {
                ReferenceKind::Secret => push(&["extraVolumes"], json!({ "name": name, "csi": csi })),
                ReferenceKind::ConfigMap => push(&["extraVolumes"], volume),
            }
        }
    }
}

fn gateway(spec: Value) -> ServiceGateway {
    ServiceGateway::new("g", serde_json::from_value::<ServiceGatewaySpec>(spec).expect("a spec"))
}

/// The hash of each role's configuration.
fn hashes(gateway: &ServiceGateway, referenced: &Referenced) -> Vec<String> {
    let children = build(gateway, referenced, &ImageDefaults::default());
    let hash = |one: &k8s_openapi::api::apps::v1::Deployment| {
        let template = &one.spec.as_ref().expect("a spec").template;
        template.metadata.as_ref().and_then(|meta| meta.annotations.as_ref()).expect("annotations")
            [CONFIG_HASH]
            .clone()
    };
    children.deployments.iter().map(hash).collect()
}

#[test]
fn a_change_to_what_is_named_anywhere_rolls_exactly_the_roles_that_name_it() {
    let seed = 72;
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut cases = 0;
    for round in 0..300 {
        let mut spec = json!({});
        let mut users: Vec<(Reference, BTreeSet<usize>)> = Vec::new();
        for at in 0..4 {
            let kind = *random.choose(&[ReferenceKind::ConfigMap, ReferenceKind::Secret]);
            let name = format!("object-{at}");
            let mut roles = BTreeSet::new();
            for (index, role) in Role::ALL.iter().enumerate() {
                if random.below(2) == 0 {
                    name_in_role(&mut random, &mut spec[role.field()], &name, kind);
                    roles.insert(index);
                }
            }
            users.push((Reference { kind, name }, roles));
        }
        let gateway = gateway(spec.clone());
        let uses = uses("g", &gateway.spec);
        let mut referenced = Referenced::default();
        for (reference, roles) in &users {
            let told: BTreeSet<usize> = uses
                .iter()
                .filter(|one| one.reference == *reference)
                .flat_map(|one| &one.roles)
                .filter_map(|role| Role::ALL.iter().position(|other| other == role))
                .collect();
            assert_eq!(told, *roles, "round {round}: {reference:?} of {spec}");
            referenced.contents.insert(reference.clone(), "before".into());
        }
        let before = hashes(&gateway, &referenced);
        for (reference, roles) in &users {
            let mut changed = referenced.clone();
            changed.contents.insert(reference.clone(), "after".into());
            let after = hashes(&gateway, &changed);
            let rolled: BTreeSet<usize> = (0..3).filter(|&at| before[at] != after[at]).collect();
            assert_eq!(rolled, *roles, "round {round}: {reference:?} of {spec}");
            cases += 1;
        }
    }
    assert!(cases >= 1000, "{cases}");
}

#[test]
fn a_pull_secret_is_missed_and_rolls_nothing() {
    let gateway = gateway(json!({ "image": { "pullSecrets": ["pull"] } }));
    let pull = Reference { kind: ReferenceKind::Secret, name: "pull".into() };
    assert!(uses("g", &gateway.spec).iter().any(|one| one.reference == pull && !one.optional));
    let with =
        |hash: &str| Referenced { contents: [(pull.clone(), hash.into())].into(), ..Referenced::default() };
    assert_eq!(hashes(&gateway, &with("before")), hashes(&gateway, &with("after")));
}

/// A variable of the process of a role.
fn variable(gateway: &ServiceGateway, referenced: &Referenced, role: Role, name: &str) -> Option<String> {
    let pods = pods(gateway, referenced, &ImageDefaults::default());
    let pod = &pods.iter().find(|(one, _)| *one == role).expect("a role").1;
    let variables = pod.containers[0].env.iter().flatten();
    variables.filter(|variable| variable.name == name).find_map(|variable| variable.value.clone())
}

#[test]
fn a_memory_limit_reaches_the_process_unless_the_user_says_otherwise() {
    let limits = json!({ "limits": { "memory": "8Gi" } });
    let of = |role: Value, name: &str| {
        let gateway = gateway(json!({ "aggregator": role.clone(), "gateway": role }));
        let mut referenced = Referenced::default();
        let settings = Reference { kind: ReferenceKind::ConfigMap, name: "settings".into() };
        referenced.keys.insert(settings, vec!["MEMORY".into()]);
        let role = if name.contains("_GW_") { Role::Gateway } else { Role::Aggregator };
        variable(&gateway, &referenced, role, name)
    };
    let plain = json!({ "resources": limits });
    assert_eq!(of(plain.clone(), "QMESH_AGG_MEMORY").as_deref(), Some("6G"));
    assert_eq!(of(plain.clone(), "QMESH_AGG_EARLY_BYTES"), None, "the process's own default is less");
    assert_eq!(of(plain.clone(), "QMESH_GW_JSON_MEMORY").as_deref(), Some("4G"));
    assert_eq!(of(plain, "QMESH_GW_MAX_JSON").as_deref(), Some("1G"));
    assert_eq!(of(json!({}), "QMESH_AGG_MEMORY"), None);
    assert_eq!(of(json!({ "resources": { "limits": { "memory": "much" } } }), "QMESH_AGG_MEMORY"), None);
    let own = json!({ "resources": limits, "env": [{ "name": "QMESH_AGG_MEMORY", "value": "1G" }] });
    assert_eq!(of(own, "QMESH_AGG_MEMORY").as_deref(), Some("1G"));
    let from = json!({
        "resources": limits, "envFrom": [{ "prefix": "QMESH_AGG_", "configMapRef": { "name": "settings" } }],
    });
    assert_eq!(of(from, "QMESH_AGG_MEMORY"), None, "a variable of the container would win over the user's");
}

#[test]
fn pods_spread_by_role_and_take_the_namespaces_user_where_the_spec_says_so() {
    let constraint = |selector: Option<Value>| {
        let mut one = json!({ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule" });
        one.as_object_mut()
            .expect("an object")
            .extend(selector.map(|selector| ("labelSelector".into(), selector)));
        one
    };
    let own = json!({ "matchLabels": { "mine": "yes" } });
    let gateway = gateway(json!({
        "podSecurity": { "user": "FromNamespace" },
        "coordinator": { "topologySpreadConstraints": [constraint(None), constraint(Some(own.clone()))] },
    }));
    let pods = pods(&gateway, &Referenced::default(), &ImageDefaults::default());
    let coordinator = serde_json::to_value(&pods[1].1).expect("JSON");
    let spread = &coordinator["topologySpreadConstraints"];
    let role = json!({ "matchLabels": {
        "app.kubernetes.io/name": "resource-coordinator", "app.kubernetes.io/instance": "g",
    } });
    assert_eq!((&spread[0]["labelSelector"], &spread[1]["labelSelector"]), (&role, &own));
    for (_, pod) in &pods {
        let context = pod.security_context.clone().expect("a context");
        assert_eq!((context.run_as_user, context.run_as_group, context.fs_group), (None, None, None));
        assert_eq!(context.run_as_non_root, Some(true));
    }
}
