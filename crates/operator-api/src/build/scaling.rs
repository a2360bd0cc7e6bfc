//! How many pods there are, and how many may be missing.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec,
    MetricTarget, ResourceMetricSource,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::context::Context;
use crate::names::{self, Role};

/// CPU use that an autoscaler aims at where the spec names no target, percent of the request.
const TARGET_CPU: i32 = 70;

pub(super) fn autoscaler(cx: &Context<'_>, role: Role) -> Option<HorizontalPodAutoscaler> {
    let wanted = cx.spec.role(role).autoscaling.as_ref()?;
    let cpu =
        wanted.target_cpu_utilization.or(wanted.target_memory_utilization.is_none().then_some(TARGET_CPU));
    let metrics = [("cpu", cpu), ("memory", wanted.target_memory_utilization)]
        .into_iter()
        .filter_map(|(name, target)| target.map(|target| metric(name, target)))
        .collect();
    let spec = HorizontalPodAutoscalerSpec {
        scale_target_ref: CrossVersionObjectReference {
            api_version: Some("apps/v1".into()),
            kind: "Deployment".into(),
            name: role.object(cx.name),
        },
        min_replicas: Some(wanted.min_replicas),
        max_replicas: wanted.max_replicas,
        metrics: Some(metrics),
        behavior: None,
    };
    Some(HorizontalPodAutoscaler { metadata: cx.role_meta(role), spec: Some(spec), status: None })
}

fn metric(name: &str, percent: i32) -> MetricSpec {
    let target = MetricTarget {
        type_: "Utilization".into(),
        average_utilization: Some(percent),
        ..Default::default()
    };
    MetricSpec {
        type_: "Resource".into(),
        resource: Some(ResourceMetricSource { name: name.into(), target }),
        ..Default::default()
    }
}

/// One pod at a time may be taken away; with a single pod a budget would only block the drain of its node.
pub(super) fn disruption_budget(cx: &Context<'_>, role: Role) -> Option<PodDisruptionBudget> {
    let labels = names::selector_labels(cx.name, role);
    (cx.spec.role(role).least_replicas() >= 2).then(|| PodDisruptionBudget {
        metadata: cx.role_meta(role),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector { match_labels: Some(labels), ..Default::default() }),
            ..Default::default()
        }),
        status: None,
    })
}
