//! Passes over a resource against a small API server: what is written, in which order, and what is not.

mod failures;
mod fake;
mod references;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use fake::Fake;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::reflector;
use operator::api::Caller;
use operator::dereference::Contents;
use operator::error::Error;
use operator::events::Events;
use operator::index::{Index, Key};
use operator::kinds::{Kind, Rollout, Seen};
use operator::metrics::Metrics;
use operator::own_pods::OwnPods;
use operator::reconcile::{Context, Guarded, Memories, after_error, reconcile};
use operator_api::build::ImageDefaults;
use operator_api::referenced::ReferenceKind;
use operator_api::spec::ServiceGateway;
use serde_json::{Value, json};

const GATEWAY: &str = "/apis/qmesh.dev/v1alpha1/namespaces/ns/servicegateways/g";
const SERVICE: &str = "/api/v1/namespaces/ns/services/g-gw";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/ns/deployments/g-gw";

/// An operator without watches, before a small API server.
struct Bench {
    fake: Fake,
    context: Arc<Context>,
    generation: i64,
}

impl Bench {
    fn new() -> Self {
        Self::before(Fake::default())
    }

    /// An operator that has seen nothing yet.
    fn before(fake: Fake) -> Self {
        let metrics = Metrics::default();
        let caller =
            Caller { client: fake.client(), limit: Duration::from_secs(5), metrics: metrics.clone() };
        let context = Arc::new(Context {
            events: Events::new(fake.client(), "test".into(), metrics),
            caller,
            index: Index::default(),
            own_pods: OwnPods::default(),
            contents: Contents::default(),
            images: ImageDefaults::default(),
            resync: Duration::from_secs(1000),
            pod_monitors: AtomicBool::new(false),
            memories: Memories::default(),
        });
        Self { fake, context, generation: 0 }
    }

    /// The user writes a spec.
    fn user(&mut self, spec: Value) {
        self.generation += 1;
        let status = self.fake.object(GATEWAY).map(|object| object["status"].clone()).unwrap_or_default();
        let mut object = json!({
            "apiVersion": "qmesh.dev/v1alpha1", "kind": "ServiceGateway",
            "metadata": { "name": "g", "namespace": "ns", "generation": self.generation },
            "spec": spec,
        });
        if !status.is_null() {
            object["status"] = status;
        }
        self.fake.put(GATEWAY, object);
        self.fake.edit(GATEWAY, |object| object["metadata"]["uid"] = json!("the-uid"));
    }

    async fn pass(&self) -> Result<Action, Error> {
        let object = self.fake.object(GATEWAY).expect("a resource");
        let object: Guarded = serde_json::from_value(object).expect("an object");
        let (store, _writer) = reflector::store();
        reconcile(Arc::new(object), store, self.context.clone()).await
    }

    async fn passes(&self) -> Vec<String> {
        self.pass().await.expect("a pass that succeeds");
        self.fake.writes()
    }

    fn conditions(&self) -> BTreeMap<String, (String, String, String)> {
        let object = self.fake.object(GATEWAY).expect("a resource");
        let gateway: ServiceGateway = serde_json::from_value(object).expect("a ServiceGateway");
        let status = gateway.status.expect("a status");
        status.conditions.into_iter().map(|one| (one.type_, (one.status, one.reason, one.message))).collect()
    }

    /// A watch sees the object as it is now.
    fn watched(&self, kind: Kind, name: &str, path: &str) {
        let key = Key { kind, namespace: "ns".into(), name: name.into() };
        match self.fake.object(path) {
            Some(object) => {
                let metadata = serde_json::from_value(object["metadata"].clone()).expect("metadata");
                let rollout = (kind == Kind::Deployment)
                    .then(|| Rollout::of(&serde_json::from_value(object.clone()).expect("a Deployment")));
                self.context.index.saw(key, Seen::of(&metadata, rollout));
            }
            None => {
                if let Some(seen) = self.context.index.get(&key) {
                    self.context.index.gone(&key, &seen.uid);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_first_pass_makes_all_children_in_order_and_a_second_writes_nothing() {
    let mut bench = Bench::new();
    bench.user(json!({}));
    let kinds: Vec<String> = bench
        .passes()
        .await
        .iter()
        .map(|write| write.split(' ').nth(1).unwrap_or_default().to_owned())
        .collect();
    let mut order = kinds.clone();
    order.dedup();
    let wanted = [
        "serviceaccounts",
        "roles",
        "rolebindings",
        "secrets",
        "networkpolicies",
        "services",
        "deployments",
        "g",
    ];
    assert_eq!(order[..8], wanted, "all of {kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "deployments").count(), 3);
    bench.fake.reads();
    assert_eq!(bench.passes().await, Vec::<String>::new(), "nothing differs");
    assert_eq!(bench.fake.reads(), 0, "and nothing needs to be asked");
}

#[tokio::test]
async fn a_change_costs_the_child_that_differs_and_the_status() {
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.passes().await;
    bench.user(json!({ "gateway": { "podAnnotations": { "a": "b" } } }));
    bench.fake.reads();
    assert_eq!(bench.passes().await, ["PATCH deployments g-gw", "PATCH g status"]);
    assert_eq!(bench.fake.reads(), 0, "two round trips, no more");
}

#[tokio::test]
async fn a_child_that_somebody_edits_or_deletes_is_repaired_and_no_other_is_touched() {
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.passes().await;
    bench.fake.edit(SERVICE, |service| service["spec"]["type"] = json!("NodePort"));
    bench.watched(Kind::Service, "g-gw", SERVICE);
    assert_eq!(bench.passes().await, ["PATCH services g-gw"]);
    assert_eq!(bench.fake.object(SERVICE).expect("a Service")["spec"]["type"], "ClusterIP");
    bench.fake.remove(SERVICE);
    bench.watched(Kind::Service, "g-gw", SERVICE);
    assert_eq!(bench.passes().await, ["PATCH services g-gw"]);
}

#[tokio::test]
async fn a_status_of_a_child_that_changes_is_no_reason_to_apply_it() {
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.passes().await;
    for role in ["gw", "rc", "agg"] {
        let (name, path) = (format!("g-{role}"), DEPLOYMENT.replace("g-gw", &format!("g-{role}")));
        bench.fake.edit_status(&path, |deployment| {
            deployment["status"] = json!({ "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1 });
        });
        bench.watched(Kind::Deployment, &name, &path);
    }
    let writes = bench.passes().await;
    assert!(writes.iter().all(|write| write == "PATCH g status" || write == "POST events"), "{writes:?}");
    let conditions = bench.conditions();
    assert_eq!(conditions["Available"].0, "True");
    assert_eq!(conditions["Progressing"].1, "RolledOut");
    assert_eq!(bench.fake.object(GATEWAY).expect("a resource")["status"]["gateway"]["summary"], "1/1");
    assert_eq!(bench.passes().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_foreign_object_with_our_name_is_left_alone_and_named() {
    let mut bench = Bench::new();
    bench
        .fake
        .put(SERVICE, json!({ "metadata": { "name": "g-gw", "namespace": "ns" }, "spec": { "ports": [] } }));
    bench.user(json!({}));
    let writes = bench.passes().await;
    assert!(!writes.contains(&"PATCH services g-gw".to_owned()), "{writes:?}");
    assert!(writes.contains(&"PATCH deployments g-gw".to_owned()), "a Service in the way stops no process");
    let degraded = &bench.conditions()["Degraded"];
    assert_eq!((degraded.0.as_str(), degraded.1.as_str()), ("True", "NameTaken"));
    assert!(degraded.2.contains("Service 'g-gw'"), "{}", degraded.2);
    bench.fake.remove(SERVICE);
    bench.passes().await;
    assert_eq!(bench.conditions()["Degraded"].0, "False", "it heals");
}

#[tokio::test]
async fn pods_are_not_made_under_an_account_of_somebody_else() {
    let mut bench = Bench::new();
    let account = "/api/v1/namespaces/ns/serviceaccounts/g-gw";
    bench.fake.put(account, json!({ "metadata": { "name": "g-gw", "namespace": "ns" } }));
    bench.user(json!({}));
    let writes = bench.passes().await;
    assert!(writes.iter().all(|write| !write.contains("deployments")), "{writes:?}");
}

#[tokio::test]
async fn an_option_that_is_taken_out_takes_its_children_along_and_no_others() {
    let mut bench = Bench::new();
    bench.user(json!({ "gateway": { "replicas": 2 } }));
    bench.passes().await;
    bench.user(json!({ "networkPolicy": { "enabled": false } }));
    let writes = bench.passes().await;
    let deleted: Vec<_> = writes.iter().filter(|write| write.starts_with("DELETE")).collect();
    assert_eq!(
        deleted,
        [
            "DELETE networkpolicies g-agg",
            "DELETE networkpolicies g-gw",
            "DELETE networkpolicies g-rc",
            "DELETE poddisruptionbudgets g-gw"
        ]
    );
}

#[tokio::test]
async fn a_missing_secret_that_all_pods_read_stops_all_pods_is_named_and_heals_when_it_appears() {
    let mut bench = Bench::new();
    bench.user(json!({ "licenseSecret": { "name": "mine" } }));
    let writes = bench.passes().await;
    assert!(writes.iter().all(|write| !write.contains("deployments")), "{writes:?}");
    assert_eq!(bench.conditions()["Progressing"].1, "Blocked");
    let degraded = &bench.conditions()["Degraded"];
    assert_eq!(degraded.1, "MissingReference");
    assert!(degraded.2.contains("spec.licenseSecret: Secret 'mine' does not exist"), "{}", degraded.2);
    let secret =
        |key: &str| json!({ "metadata": { "name": "mine", "namespace": "ns" }, "data": { key: "eA==" } });
    bench.fake.put("/api/v1/namespaces/ns/secrets/mine", secret("licence"));
    assert_eq!(bench.context.contents.changed("ns", ReferenceKind::Secret, "mine"), ["g"]);
    bench.passes().await;
    let message = bench.conditions()["Degraded"].2.clone();
    assert!(message.contains("has no key 'license'; it has licence"), "{message}");
    bench.fake.put("/api/v1/namespaces/ns/secrets/mine", secret("license"));
    bench.context.contents.changed("ns", ReferenceKind::Secret, "mine");
    bench.passes().await;
    assert_eq!(bench.conditions()["Degraded"].0, "False");
    let text = bench.fake.object(DEPLOYMENT).expect("a Deployment").to_string();
    assert!(text.contains("KDB_LICENSE_B64"));
}

#[tokio::test]
async fn an_invalid_spec_changes_nothing_and_says_why() {
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.passes().await;
    bench.user(json!({ "discovery": { "dataAccessSelector": "a in b" }, "gateway": { "replicas": 5 } }));
    let writes = bench.passes().await;
    assert!(writes.iter().all(|write| write.contains("status") || write.contains("events")), "{writes:?}");
    let conditions = bench.conditions();
    assert_eq!(conditions["Degraded"].1, "InvalidSpec");
    assert!(conditions["Degraded"].2.contains("'a in b'"), "{:?}", conditions["Degraded"]);
    assert_eq!(conditions["Progressing"].1, "Blocked");
}

#[tokio::test]
async fn a_paused_resource_is_looked_at_and_not_changed() {
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.passes().await;
    bench.user(json!({ "paused": true, "gateway": { "replicas": 5 } }));
    bench.fake.remove(SERVICE);
    bench.watched(Kind::Service, "g-gw", SERVICE);
    let writes = bench.passes().await;
    assert!(writes.iter().all(|write| write.contains("status") || write.contains("events")), "{writes:?}");
    assert_eq!(bench.conditions()["Paused"].0, "True");
    bench.user(json!({ "gateway": { "replicas": 5 } }));
    let writes = bench.passes().await;
    assert!(writes.contains(&"PATCH services g-gw".to_owned()), "{writes:?}");
}

#[tokio::test]
async fn the_number_of_pods_passes_to_an_autoscaler_without_a_jump() {
    let mut bench = Bench::new();
    bench.user(json!({ "gateway": { "replicas": 4 } }));
    bench.passes().await;
    let requests = json!({ "requests": { "cpu": "1" } });
    bench.user(json!({ "gateway": { "autoscaling": { "maxReplicas": 9 }, "resources": requests } }));
    let writes = bench.passes().await;
    let deployment: Vec<_> = writes.iter().filter(|write| write.contains("deployments")).collect();
    assert_eq!(
        deployment,
        ["PATCH deployments g-gw", "PATCH deployments g-gw"],
        "the number is held, then let go"
    );
    let replicas = bench.fake.object(DEPLOYMENT).expect("a Deployment")["spec"]["replicas"].clone();
    assert_eq!(replicas, 4);
    assert!(bench.passes().await.is_empty(), "once is enough");
}

#[tokio::test]
async fn events_that_cannot_be_written_fail_nothing() {
    let mut bench = Bench::new();
    bench.fake.fail("/events", Some(500));
    bench.user(json!({ "licenseSecret": { "name": "mine" } }));
    bench.passes().await;
    assert_eq!(bench.conditions()["Degraded"].0, "True");
}

#[tokio::test]
async fn a_failed_pass_is_tried_again_later_each_time_and_goes_on_where_it_was() {
    let mut bench = Bench::new();
    bench.user(json!({}));
    for (status, kind) in [(429, "throttled"), (500, "api"), (409, "conflict")] {
        bench.fake.fail("PATCH /api/v1/namespaces/ns/services/g-gw", Some(status));
        let error = bench.pass().await.expect_err("a call that fails");
        assert_eq!(error.kind(), kind);
    }
    let object: Guarded = serde_json::from_value(bench.fake.object(GATEWAY).expect("it")).expect("an object");
    let error = bench.pass().await.expect_err("a call that fails");
    let delay = |_: u32| format!("{:?}", after_error(&object, &error, &bench.context));
    let delays: Vec<_> = (0..12).map(delay).collect();
    assert_ne!(delays[0], delays[9], "delays grow");
    bench.fake.fail("PATCH /api/v1/namespaces/ns/services/g-gw", None);
    bench.fake.writes();
    let writes = bench.passes().await;
    assert_eq!(
        writes.first().map(String::as_str),
        Some("PATCH services g-gw"),
        "what was applied stays: {writes:?}"
    );
}

#[tokio::test]
async fn what_the_server_refuses_becomes_a_condition() {
    let mut bench = Bench::new();
    bench.fake.fail("PATCH /apis/apps/v1/namespaces/ns/deployments/g-rc", Some(422));
    bench.user(json!({}));
    bench.pass().await.expect_err("refused");
    let degraded = &bench.conditions()["Degraded"];
    assert_eq!(degraded.1, "Refused");
    assert!(degraded.2.contains("Deployment g-rc"), "{}", degraded.2);
}

#[tokio::test]
async fn an_object_that_is_not_understood_costs_one_event() {
    let bench = Bench::new();
    let odd = json!({ "apiVersion": "qmesh.dev/v1alpha1", "kind": "ServiceGateway",
        "metadata": { "name": "odd", "namespace": "ns", "uid": "odd" }, "spec": { "gateway": { "replicas": "many" } } });
    let object: DeserializeGuard<ServiceGateway> = serde_json::from_value(odd).expect("guarded");
    assert!(object.0.is_err());
    let object = Arc::new(object);
    for writes in [1, 0] {
        let (store, _writer) = reflector::store();
        reconcile(object.clone(), store, bench.context.clone()).await.expect("nothing fails");
        assert_eq!(bench.fake.writes().len(), writes);
    }
}

#[tokio::test]
async fn the_secret_of_the_mesh_outlives_the_operator_and_rotates_when_asked() {
    let path = "/api/v1/namespaces/ns/secrets/g-mesh";
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.passes().await;
    let data = |bench: &Bench| bench.fake.object(path).expect("a Secret")["data"]["secret"].clone();
    let first = data(&bench);
    let mut other = Bench { generation: bench.generation, ..Bench::before(bench.fake.clone()) };
    other.passes().await;
    assert_eq!(data(&other), first, "the secret is kept");
    other.user(json!({ "meshSecret": { "rotation": "1" } }));
    let writes = other.passes().await;
    assert_ne!(data(&other), first);
    assert_eq!(writes.iter().filter(|write| write.contains("deployments")).count(), 3, "every role rolls");
}

/// A fresh one would reach the pods at different times: those that have it would refuse those that have not.
#[tokio::test]
async fn a_secret_of_the_mesh_that_is_deleted_is_put_back_as_it_was() {
    let path = "/api/v1/namespaces/ns/secrets/g-mesh";
    let mut bench = Bench::new();
    bench.user(json!({}));
    bench.passes().await;
    let secret = |bench: &Bench| bench.fake.object(path).expect("a Secret")["data"].clone();
    let before = secret(&bench);
    bench.fake.remove(path);
    bench.watched(Kind::Secret, "g-mesh", path);
    let writes = bench.passes().await;
    assert_eq!(secret(&bench), before);
    assert!(writes.contains(&"POST events".to_owned()), "an event says so: {writes:?}");
    // The resource is deleted, its children with it, and made again.
    bench.fake.remove(path);
    bench.watched(Kind::Secret, "g-mesh", path);
    bench.context.memories.forget("the-uid");
    bench.user(json!({}));
    bench.fake.edit(GATEWAY, |object| object["metadata"]["uid"] = json!("another-uid"));
    let _ = bench.pass().await;
    assert_eq!(secret(&bench), before);
}
