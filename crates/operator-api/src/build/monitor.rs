//! The PodMonitor of the Prometheus operator, where its API is installed.

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use super::context::Context;
use crate::names;

/// The API of PodMonitors.
pub fn pod_monitor_resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PodMonitor"),
        "podmonitors",
    )
}

pub(super) fn pod_monitor(cx: &Context<'_>) -> Option<DynamicObject> {
    let wanted = cx.spec.monitoring.pod_monitor.as_ref().filter(|_| cx.referenced.pod_monitor_api)?;
    let mut endpoint = json!({ "port": "http", "path": "/metrics" });
    if let (Some(interval), Value::Object(endpoint)) = (&wanted.interval, &mut endpoint) {
        endpoint.insert("interval".into(), json!(interval));
    }
    let mut metadata = cx.common_meta(cx.name.into());
    let labels = wanted.labels.clone();
    metadata.labels = Some(labels.into_iter().chain(metadata.labels.unwrap_or_default()).collect());
    let resource = pod_monitor_resource();
    let mut object = DynamicObject::new(cx.name, &resource).data(json!({
        "spec": {
            "selector": { "matchLabels": names::common_labels(cx.name) },
            "podMetricsEndpoints": [endpoint],
        }
    }));
    object.metadata = metadata;
    Some(object)
}
