//! What pods refer to: missing, changed, optional; in fields that nobody listed.

use operator_api::referenced::ReferenceKind;
use serde_json::{Value, json};

use crate::{Bench, GATEWAY};

const CONFIG_MAP: &str = "/api/v1/namespaces/ns/configmaps/extra";

impl Bench {
    /// An object with this content, as its watch tells of it.
    fn content(&self, value: &str) {
        self.fake.put(
            CONFIG_MAP,
            json!({ "metadata": { "name": "extra", "namespace": "ns" }, "data": { "k": value } }),
        );
        assert_eq!(self.context.contents.changed("ns", ReferenceKind::ConfigMap, "extra"), ["g"]);
    }

    /// Deployments that a pass writes.
    async fn rolled(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .passes()
            .await
            .iter()
            .filter_map(|write| write.strip_prefix("PATCH deployments ").map(Into::into))
            .collect();
        names.sort();
        names
    }
}

fn volume(optional: bool) -> Value {
    let source = json!({ "configMap": { "name": "extra", "optional": optional } });
    json!({ "aggregator": { "extraVolumes": [{ "name": "v", "projected": { "sources": [source] } }] } })
}

#[tokio::test]
async fn what_a_volume_names_is_missed_and_rolls_its_role_when_it_changes() {
    let mut bench = Bench::new();
    bench.user(volume(false));
    assert_eq!(bench.rolled().await, ["g-gw", "g-rc"], "the others need not wait");
    let degraded = bench.conditions()["Degraded"].clone();
    assert_eq!(degraded.1, "MissingReference");
    let sentence =
        "spec.aggregator.extraVolumes[0].projected.sources[0].configMap: ConfigMap 'extra' does not exist";
    assert!(degraded.2.contains(sentence), "{}", degraded.2);
    bench.content("one");
    assert_eq!(bench.rolled().await, ["g-agg"]);
    assert_eq!(bench.conditions()["Degraded"].0, "False");
    assert!(bench.rolled().await.is_empty(), "nothing has changed");
    bench.content("two");
    assert_eq!(bench.rolled().await, ["g-agg"]);
}

#[tokio::test]
async fn what_is_optional_is_not_missed_and_rolls_its_role_when_it_comes() {
    let mut bench = Bench::new();
    bench.user(volume(true));
    assert_eq!(bench.rolled().await, ["g-agg", "g-gw", "g-rc"]);
    assert_eq!(bench.conditions()["Degraded"].0, "False");
    bench.content("one");
    assert_eq!(bench.rolled().await, ["g-agg"]);
}

#[tokio::test]
async fn a_name_that_no_object_can_have_is_missing_and_nobody_is_asked() {
    let mut bench = Bench::new();
    let name = "../servicegateways/g";
    bench.user(json!({ "gateway": { "envFrom": [{ "configMapRef": { "name": name } }] } }));
    bench.passes().await;
    let message = bench.conditions()["Degraded"].2.clone();
    assert!(message.contains("ConfigMap '../servicegateways/g' does not exist"), "{message}");
    assert!(bench.fake.object(GATEWAY).is_some());
}
