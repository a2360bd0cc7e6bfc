//! Passes that fail: what the status says, what stays as it was, and what goes on.

use kube::runtime::controller::Action;
use operator::error::Error;
use operator::reconcile::{Guarded, after_error};
use operator_api::referenced::ReferenceKind;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::{Bench, DEPLOYMENT, GATEWAY, Kind};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/ns/deployments/";

impl Bench {
    /// A pass as the controller runs it: a failure is counted.
    async fn counted(&self) -> Result<Action, Error> {
        let done = self.pass().await;
        if let Err(error) = &done {
            let object = self.fake.object(GATEWAY).expect("a resource");
            let object: Guarded = serde_json::from_value(object).expect("an object");
            after_error(&object, error, &self.context);
        }
        done
    }

    fn condition(&self, kind: &str) -> (String, String, String) {
        self.conditions()[kind].clone()
    }

    fn deployment(&self, role: &str) -> Value {
        self.fake.object(&format!("{DEPLOYMENTS}g-{role}")).expect("a Deployment")
    }
}

#[tokio::test]
async fn a_pass_that_fails_three_times_says_so_in_the_words_of_the_server() {
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.fake.fail("PATCH /apis/apps/v1/namespaces/ns/deployments/g-agg", Some(500));
    for _ in 0..2 {
        bench.counted().await.expect_err("the server fails");
        let object = bench.fake.object(GATEWAY).expect("it");
        assert!(object.get("status").is_none(), "a failure or two may pass by themselves");
    }
    bench.counted().await.expect_err("the server fails");
    let (status, reason, message) = bench.condition("Degraded");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "ApplyFailed"));
    assert!(message.contains("apply Deployment g-agg") && message.contains("as the test wants"), "{message}");
    assert_eq!(bench.condition("Progressing").1, "Retrying");
    assert!(bench.fake.writes().contains(&"POST events".to_owned()), "a Warning says so, too");
    bench.fake.fail("PATCH /apis/apps/v1/namespaces/ns/deployments/g-agg", None);
    bench.counted().await.expect("it works again");
    assert_eq!(bench.condition("Degraded").0, "False");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_as_well() {
    for (status, reason) in [(500, "ApplyFailed"), (403, "Refused")] {
        let mut bench = Bench::new();
        bench.user(json!({ "licenseSecret": { "name": "mine" } }));
        bench.fake.fail("GET /api/v1/namespaces/ns/secrets/mine", Some(status));
        for _ in 0..3 {
            bench.counted().await.expect_err("the Secret cannot be read");
        }
        let degraded = bench.condition("Degraded");
        assert_eq!(degraded.1, reason);
        assert!(degraded.2.contains("Secret mine"), "{degraded:?}");
    }
}

#[tokio::test]
async fn where_one_child_of_a_gateway_that_works_is_refused_none_is_changed() {
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.passes().await;
    let before = bench.deployment("gw");
    bench.user(json!({
        "gateway": { "podAnnotations": { "a": "b" } }, "coordinator": { "podAnnotations": { "a": "b" } },
    }));
    bench.fake.fail("PATCH /apis/apps/v1/namespaces/ns/deployments/g-rc", Some(422));
    bench.counted().await.expect_err("refused");
    assert_eq!(bench.deployment("gw"), before, "the gateway does not roll alone");
    let (_, reason, message) = bench.condition("Degraded");
    assert_eq!(reason, "Refused");
    assert!(message.contains("Deployment g-rc") && !message.contains("applied before"), "{message}");
    bench.fake.fail("PATCH /apis/apps/v1/namespaces/ns/deployments/g-rc", None);
    bench.counted().await.expect("it works again");
    assert_ne!(bench.deployment("gw"), before);
}

#[tokio::test]
async fn a_first_creation_that_is_refused_names_what_was_made() {
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.fake.fail("PATCH /apis/apps/v1/namespaces/ns/deployments/g-agg", Some(422));
    bench.counted().await.expect_err("refused");
    let message = bench.condition("Degraded").2;
    assert!(message.contains("applied before: ServiceAccount g-gw"), "{message}");
    assert_eq!(bench.fake.dry_runs(), 0, "a first creation costs no dry runs");
}

#[tokio::test]
async fn a_webhook_that_takes_no_dry_runs_stops_nothing() {
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.passes().await;
    let annotated = json!({ "podAnnotations": { "a": "b" } });
    bench.user(json!({ "gateway": annotated, "coordinator": annotated }));
    bench.fake.fail("?dry", Some(400));
    bench.counted().await.expect("applied without");
    assert_eq!(bench.condition("Degraded").0, "False");
}

#[tokio::test]
async fn what_one_role_lacks_holds_neither_its_number_of_pods_nor_other_roles() {
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.passes().await;
    let template = bench.deployment("gw")["spec"]["template"].clone();
    let lacking = |replicas: i32| {
        json!({
            "gateway": { "replicas": replicas, "envFrom": [{ "configMapRef": { "name": "settings" } }] },
            "coordinator": { "podAnnotations": { "a": "b" } },
        })
    };
    bench.user(lacking(4));
    let writes = bench.passes().await;
    let deployments: Vec<_> = writes.iter().filter(|write| write.contains("deployments")).collect();
    assert_eq!(deployments, ["PATCH deployments g-gw", "PATCH deployments g-rc"]);
    assert_eq!(bench.fake.object(DEPLOYMENT).expect("it")["spec"]["replicas"], 4);
    let (_, reason, message) = bench.condition("Progressing");
    assert!(message.contains("pods of gateway stay as they are"), "{reason}: {message}");
    assert_eq!(bench.condition("Degraded").1, "MissingReference");
    assert!(bench.passes().await.is_empty(), "once is enough");
    bench.fake.put(
        "/api/v1/namespaces/ns/configmaps/settings",
        json!({ "metadata": { "name": "settings", "namespace": "ns" }, "data": { "A": "1" } }),
    );
    bench.context.contents.changed("ns", ReferenceKind::ConfigMap, "settings");
    bench.passes().await;
    let after = bench.deployment("gw")["spec"].clone();
    assert_ne!(after["template"], template, "the pods roll once the ConfigMap is there");
    assert_eq!(after["replicas"], 4);
}

#[tokio::test]
async fn an_object_in_the_way_is_no_rollout() {
    let mut bench = Bench::new();
    bench.fake.put(DEPLOYMENT, json!({ "metadata": { "name": "g-gw", "namespace": "ns" } }));
    bench.user(json!({}));
    bench.passes().await;
    bench.fake.remove(&format!("{DEPLOYMENTS}g-rc"));
    let (_, _, message) = bench.condition("Progressing");
    assert!(message.contains("pods of gateway stay as they are"), "{message}");
}

/// A random change of the spec: one or two roles, some of them in what their pods are, some in how many.
fn change(random: &mut StdRng, n: usize) -> Value {
    let mut spec = json!({});
    for role in ["gateway", "coordinator", "aggregator"] {
        if random.random_bool(0.5) {
            spec[role]["podAnnotations"]["n"] = json!(n.to_string());
        }
        if random.random_bool(0.3) {
            spec[role]["replicas"] = json!(random.random_range(1..4));
        }
    }
    if random.random_bool(0.3) {
        spec["networkPolicy"]["enabled"] = json!(false);
    }
    spec
}

/// Whatever fails, in whichever child: the status says it at the third try at the latest; a gateway that works is
/// changed whole or not at all; and once nothing fails any more, all is as the spec wants it and the status is clean.
#[tokio::test]
async fn whatever_fails_is_told_and_changes_nothing_by_halves() {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.passes().await;
    const CASES: usize = 1_200;
    for n in 0..CASES {
        let before: Vec<Value> =
            ["gw", "rc", "agg"].map(|role| bench.deployment(role)["spec"].clone()).into();
        let spec = change(&mut random, n);
        bench.user(spec.clone());
        let paths =
            ["deployments/g-gw", "deployments/g-rc", "deployments/g-agg", "services/g-gw", "g-pod-reader"];
        let like = format!("/namespaces/ns/{}", paths[random.random_range(0..paths.len())]);
        let like = if like.ends_with("reader") { "/roles/g-pod-reader".to_owned() } else { like };
        let status = [400, 403, 404, 409, 422, 429, 500, 503][random.random_range(0..8)];
        bench.fake.fail(&like, Some(status));
        let mut failed = false;
        for _ in 0..3 {
            failed = bench.counted().await.is_err();
        }
        let context = format!("seed {seed}, case {n}: {like} {status} {spec}");
        if failed {
            let (degraded, reason, message) = bench.condition("Degraded");
            assert_eq!(degraded, "True", "{context}");
            assert!(matches!(reason.as_str(), "ApplyFailed" | "Refused"), "{context}: {reason}");
            // 400 in a dry run stands for a webhook that takes none: then the children are applied one by one.
            if status != 400 {
                let now: Vec<Value> =
                    ["gw", "rc", "agg"].map(|role| bench.deployment(role)["spec"].clone()).into();
                assert_eq!(now, before, "{context}: {message}");
            }
        }
        bench.fake.fail(&like, None);
        bench.counted().await.unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(bench.condition("Degraded").0, "False", "{context}");
        for (role, field) in [("gw", "gateway"), ("rc", "coordinator"), ("agg", "aggregator")] {
            let now = bench.deployment(role);
            let annotations =
                now.pointer("/spec/template/metadata/annotations/n").cloned().unwrap_or_default();
            assert_eq!(annotations, spec[field]["podAnnotations"]["n"], "{context}: {role}");
            let wanted = spec[field]["replicas"].as_i64().unwrap_or(1);
            assert_eq!(now["spec"]["replicas"], wanted, "{context}: {role}");
        }
        for kind in [Kind::Deployment] {
            for role in ["gw", "rc", "agg"] {
                bench.watched(kind, &format!("g-{role}"), &format!("{DEPLOYMENTS}g-{role}"));
            }
        }
        bench.fake.writes();
    }
}
