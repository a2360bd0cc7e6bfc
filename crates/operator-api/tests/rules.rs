//! Rules of single fields: each hostile manifest gives its sentence; random resources are refused exactly where a plain
//! reading of the rules says so; the CEL of each rule is in the definition, with its sentence.

use std::fs;
use std::path::PathBuf;

use operator_api::spec::ServiceGateway;
use operator_api::validate::validate;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/hostile/gateways")
}

fn problems(gateway: &Value) -> Vec<String> {
    let gateway: ServiceGateway = serde_json::from_value(gateway.clone()).expect("a ServiceGateway");
    validate(&gateway).iter().map(ToString::to_string).collect()
}

fn of(spec: Value) -> Value {
    json!({ "apiVersion": "qmesh.dev/v1alpha1", "kind": "ServiceGateway", "metadata": { "name": "g" }, "spec": spec })
}

#[test]
fn each_hostile_manifest_gives_its_sentence() {
    let mut seen = 0;
    for entry in fs::read_dir(corpus()).expect("the corpus") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a manifest");
        let wanted = fs::read_to_string(path.with_extension("yaml.says")).expect("its sentence");
        let wanted = wanted.lines().next().unwrap_or_default();
        let gateway: Value = serde_saphyr::from_str(&text).expect("YAML");
        let said = problems(&gateway).join("; ");
        assert!(said.contains(wanted), "{}: {said:?}", path.display());
        seen += 1;
    }
    assert!(seen >= 20, "{seen} manifests");
}

/// A field with values that are taken and values that are refused, by the documentation of each.
struct Field {
    at: &'static str,
    good: &'static [&'static str],
    bad: &'static [&'static str],
}

const FIELDS: [Field; 12] = [
    Field {
        at: "/gateway/image",
        good: &[
            "\"qmesh-gw\"",
            "\"qmesh-gw:1.0\"",
            "\"localhost:5000/a/b_c.d:Tag-1\"",
            "\"registry.example.com/team/x\"",
            "\"a/b\"",
        ],
        bad: &[
            "\"UPPER:1\"",
            "\"a b\"",
            "\"a:\"",
            "\"a@sha256:12\"",
            "\"/a\"",
            "\"a//b\"",
            "\"a:b:c\"",
            "\"-a\"",
            "\"https://a/b\"",
        ],
    },
    Field {
        at: "/aggregator/priorityClassName",
        good: &["\"high\"", "\"system-cluster-critical\"", "\"a.b\"", "\"9\""],
        bad: &["\"High\"", "\"-a\"", "\"a-\"", "\"a b\"", "\"a_b\""],
    },
    Field {
        at: "/coordinator/terminationGracePeriodSeconds",
        good: &["5", "30", "3600"],
        bad: &["1", "2", "4"],
    },
    Field {
        at: "/coordinator/updateStrategy",
        good: &[
            "{}",
            r#"{"type":"Recreate"}"#,
            r#"{"maxSurge":1}"#,
            r#"{"type":"RollingUpdate","maxSurge":"10%"}"#,
        ],
        bad: &[
            r#"{"type":"Recreate","maxSurge":1}"#,
            r#"{"type":"Recreate","maxUnavailable":"0%"}"#,
            r#"{"maxSurge":0,"maxUnavailable":0}"#,
        ],
    },
    Field {
        at: "/logging/levels",
        good: &[
            "\"info\"",
            "\"default:info,rc:debug\"",
            "\"gw:WARN\"",
            "\" rc : off , debug \"",
            "\"a.b-c_d:fatal\"",
        ],
        bad: &["\"loud\"", "\"default:\"", "\"default:info,\"", "\":info\"", "\"a b:info\"", "\"rc=debug\""],
    },
    Field {
        at: "/cors",
        good: &[r#"{"origins":["*"]}"#, r#"{"origins":["https://a.example:8443","http://localhost:3000"]}"#],
        bad: &[
            r#"{"origins":["a.example"]}"#,
            r#"{"origins":["*","https://a/b"]}"#,
            r#"{"origins":["https://"]}"#,
            r#"{"origins":["https://a,https://b"]}"#,
        ],
    },
    Field {
        at: "/gateway/resources",
        good: &[
            "{}",
            r#"{"limits":{"memory":"2Gi","cpu":"1500m"}}"#,
            r#"{"requests":{"cpu":".5","memory":"1e9"}}"#,
            r#"{"limits":{"memory":"129E"}}"#,
        ],
        bad: &[
            r#"{"limits":{"memory":"2gb"}}"#,
            r#"{"requests":{"cpu":"half"}}"#,
            r#"{"limits":{"memory":""}}"#,
            r#"{"limits":{"memory":"1.2.3"}}"#,
            r#"{"limits":{"memory":"2 Gi"}}"#,
            r#"{"limits":{"cpu":"1KB"}}"#,
        ],
    },
    Field {
        at: "/aggregator/autoscaling",
        good: &[],
        bad: &[
            r#"{"maxReplicas":3}"#,
            r#"{"maxReplicas":3,"targetCpuUtilization":50}"#,
            r#"{"maxReplicas":3,"targetMemoryUtilization":50}"#,
        ],
    },
    Field {
        at: "/gateway/env",
        good: &[
            "[]",
            r#"[{"name":"KXI_SG_MAX_RETRY","value":"2"}]"#,
            r#"[{"name":"KXI_SECURE_ENABLED","value":"false"},{"name":"KXI_AUTH_DISABLED","value":"1"}]"#,
        ],
        bad: &[
            r#"[{"name":"GATEWAY_QIPC_PORT","value":"1"}]"#,
            r#"[{"name":"KXI_NAME","value":"a"}]"#,
            r#"[{"name":"KXI_SECURE_ENABLED","value":"true"}]"#,
            r#"[{"name":"KXI_SG_KEYSTORE_PASS","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]"#,
            r#"[{"name":"A","value":"1"},{"name":"A","value":"1"}]"#,
            r#"[{"name":"A=B","value":"1"}]"#,
        ],
    },
    Field {
        at: "/service",
        good: &[
            "{}",
            r#"{"type":"NodePort","qipcNodePort":30040,"httpNodePort":30080}"#,
            r#"{"type":"NodePort","qipcNodePort":30040}"#,
        ],
        bad: &[r#"{"type":"NodePort","qipcNodePort":30040,"httpNodePort":30040}"#],
    },
    Field {
        at: "/coordinator/sidecar",
        good: &[
            r#"{"image":"side"}"#,
            r#"{"image":"side:1","volumeMounts":[{"name":"tmp","mountPath":"/x"}]}"#,
        ],
        bad: &[
            r#"{"image":"Side"}"#,
            r#"{"image":"side","volumeMounts":[{"name":"lost","mountPath":"/x"}]}"#,
            r#"{"image":"side","resources":{"limits":{"memory":"2gb"}}}"#,
        ],
    },
    Field {
        at: "/discovery",
        good: &["{}", r#"{"dataAccessSelector":"a=b,c in (d,e)"}"#],
        bad: &[r#"{"dataAccessSelector":"a in b"}"#, r#"{"coordinatorSelector":"=b"}"#],
    },
];

/// Put a value at a path of two names or one.
fn put(spec: &mut Value, at: &str, value: &str) {
    let mut target = spec;
    for part in at.trim_start_matches('/').split('/') {
        target = &mut target[part];
    }
    *target = serde_json::from_str(value).expect("JSON");
}

#[test]
fn resources_are_refused_exactly_where_one_of_their_fields_is() {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (mut refused, mut taken) = (0, 0);
    for case in 0..4_000 {
        let (mut spec, mut bad) = (json!({}), Vec::new());
        let wrong = random.random_bool(0.5).then(|| random.random_range(0..FIELDS.len()));
        for (at, field) in FIELDS.iter().enumerate() {
            if wrong == Some(at) {
                put(&mut spec, field.at, field.bad.choose(&mut random).expect("a value"));
                bad.push(field.at);
            } else if random.random_bool(0.4)
                && let Some(value) = field.good.choose(&mut random)
            {
                put(&mut spec, field.at, value);
            }
        }
        let said = problems(&of(spec.clone()));
        assert_eq!(said.is_empty(), bad.is_empty(), "seed {seed}, case {case}: {spec}: {said:?}");
        for at in bad {
            // Each sentence begins with the field, or what the field is part of.
            let parts: Vec<&str> = at.trim_start_matches('/').split('/').collect();
            assert!(said.iter().any(|one| one.starts_with(&format!("spec.{}", parts[0]))), "{at}: {said:?}");
        }
        *(if said.is_empty() { &mut taken } else { &mut refused }) += 1;
    }
    assert!(refused > 1_000 && taken > 1_000, "{refused} refused, {taken} taken");
}

/// What the API server is told to check has the sentences that the operator says.
#[test]
fn the_definition_has_each_rule_with_its_sentence() {
    let text = operator_api::crd::yaml(false).expect("YAML");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [
        "set resources.requests.cpu, or aim at targetMemoryUtilization alone",
        "set resources.requests.memory",
        "terminationGracePeriodSeconds must be 5 at least",
        "take them out, or take type Recreate out",
        "levels must be a comma list of component:level",
        "an origin is '*' or scheme://host[:port] without a path",
        "image must be [host[:port]/]path[:tag][@sha256:digest]",
        "priorityClassName must be the name of a PriorityClass",
        "qipcNodePort and httpNodePort must be two different ports",
        "run no q code",
    ] {
        // YAML doubles the quotes of a text that it quotes.
        let quoted = sentence.replace('\'', "''");
        assert!(text.contains(sentence) || text.contains(&quoted), "no rule says `{sentence}`");
    }
}

/// The processes refuse these at their start; a variable that they come to know is to be known here as well.
#[test]
fn variables_that_ask_for_a_protection_are_those_of_the_processes() {
    let mut theirs: Vec<&str> = sg::config::safety::GUARDS.iter().map(|guard| guard.var.name).collect();
    let mut ours: Vec<&str> = operator_api::rules::guards().collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(ours, theirs);
}
