//! The PodMonitors of the Prometheus operator, where its API is installed.

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use super::context::Context;
use crate::names;
use crate::selector::Selector;
use crate::validate::data_access_selector;

/// The API of PodMonitors.
pub fn pod_monitor_resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PodMonitor"),
        "podmonitors",
    )
}

/// A PodMonitor over the processes of the resource, and a PodMonitor over data-access pods, whose labels differ.
pub(super) fn pod_monitors(cx: &Context<'_>) -> Vec<DynamicObject> {
    let own = json!({ "matchLabels": names::common_labels(cx.name) });
    let data =
        Selector::parse(&data_access_selector(cx.name, cx.spec)).map(|selector| selector.expressions());
    let data = data.ok().map(|expressions| json!({ "matchExpressions": expressions }));
    let named = [(cx.name.to_string(), Some(own)), (names::data_monitor(cx.name), data)];
    named.into_iter().filter_map(|(name, selector)| pod_monitor(cx, name, selector?)).collect()
}

fn pod_monitor(cx: &Context<'_>, name: String, selector: Value) -> Option<DynamicObject> {
    let wanted = cx.spec.monitoring.pod_monitor.as_ref().filter(|_| cx.referenced.pod_monitor_api)?;
    let mut endpoint = json!({ "port": "http", "path": "/metrics" });
    if let (Some(interval), Value::Object(endpoint)) = (&wanted.interval, &mut endpoint) {
        endpoint.insert("interval".into(), json!(interval));
    }
    let mut metadata = cx.common_meta(name.clone());
    let labels = wanted.labels.clone();
    metadata.labels = Some(labels.into_iter().chain(metadata.labels.unwrap_or_default()).collect());
    let resource = pod_monitor_resource();
    let mut object = DynamicObject::new(&name, &resource).data(json!({
        "spec": {
            "selector": selector,
            "podMetricsEndpoints": [endpoint],
        }
    }));
    object.metadata = metadata;
    Some(object)
}
