//! What is kept of each child: a few words, never the object.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
pub use operator_api::child::Kind;
use operator_api::names::{self, FIELD_MANAGER, Role};
use operator_api::pod_trouble;

/// What is known of a child that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its uid.
    pub uid: String,
    /// Version, as the API server counts.
    pub version: u64,
    /// Uid of the ServiceGateway that controls it.
    pub owner: Option<String>,
    /// Name of the ServiceGateway that controls it.
    pub owner_name: Option<String>,
    /// Hash of who wrote what when, status aside: as long as it is the same, nobody touched what we applied.
    pub fingerprint: u64,
    /// Is it on its way out?
    pub deleting: bool,
    /// Do we own `spec.replicas`?
    pub owns_replicas: bool,
    /// How far it is, for a Deployment. On the heap: most children are none, and there are tens of thousands.
    pub rollout: Option<Box<Rollout>>,
    /// Why it does not work, for an autoscaler.
    pub trouble: Option<Box<str>>,
}

/// A pod of ours, as far as the status tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPod {
    /// Name of the ServiceGateway.
    pub gateway: String,
    /// Its role.
    pub role: Role,
    /// Why it is not ready, where that is a trouble.
    pub trouble: Option<String>,
}

impl OwnPod {
    /// From the object; none where its labels are not ours.
    pub fn of(pod: &Pod) -> Option<Self> {
        let labels = pod.metadata.labels.as_ref()?;
        let label = labels.get(names::NAME)?;
        let role = Role::ALL.into_iter().find(|role| role.label() == label)?;
        let gateway = labels.get(names::INSTANCE)?.clone();
        Some(Self { gateway, role, trouble: pod_trouble::trouble(pod) })
    }
}

/// Why an autoscaler does not set the number of pods, if so.
pub fn autoscaler_trouble(autoscaler: &HorizontalPodAutoscaler) -> Option<String> {
    let conditions = autoscaler.status.as_ref()?.conditions.as_ref()?;
    let failing = |one: &&HorizontalPodAutoscalerCondition| {
        one.status == "False" && matches!(one.type_.as_str(), "ScalingActive" | "AbleToScale")
    };
    let one = conditions.iter().find(failing)?;
    // An autoscaler over no pods rests, and is well.
    let reason = one.reason.as_deref().filter(|reason| *reason != "ScalingDisabled")?;
    Some(format!("{reason}: {}", one.message.as_deref().unwrap_or_default()))
}

/// How far a Deployment is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollout {
    /// Has its controller seen the latest spec?
    pub observed: bool,
    /// Pods wanted.
    pub wanted: i32,
    /// Pods that exist.
    pub replicas: i32,
    /// Of the latest version.
    pub updated: i32,
    /// Ready ones.
    pub ready: i32,
    /// Its deadline for making progress has passed.
    pub stuck: bool,
    /// Why pods cannot be made, if so.
    pub trouble: Option<String>,
}

impl Rollout {
    /// From the object.
    pub fn of(deployment: &Deployment) -> Self {
        let status = deployment.status.as_ref();
        let condition = |kind: &str| {
            status
                .and_then(|status| status.conditions.as_ref())
                .and_then(|all| all.iter().find(|condition| condition.type_ == kind))
        };
        let stuck = condition("Progressing").is_some_and(|progressing| progressing.status == "False");
        let trouble = condition("ReplicaFailure")
            .filter(|failure| failure.status == "True")
            .and_then(|failure| failure.message.clone());
        Self {
            observed: status.and_then(|status| status.observed_generation) >= deployment.metadata.generation,
            wanted: deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
            replicas: status.and_then(|status| status.replicas).unwrap_or(0),
            updated: status.and_then(|status| status.updated_replicas).unwrap_or(0),
            ready: status.and_then(|status| status.ready_replicas).unwrap_or(0),
            stuck,
            trouble,
        }
    }

    /// Are all pods of the latest version, and ready?
    pub fn complete(&self) -> bool {
        self.observed
            && self.updated == self.wanted
            && self.ready == self.wanted
            && self.replicas == self.wanted
    }
}

impl Seen {
    /// From the metadata of a child.
    pub fn of(metadata: &ObjectMeta, rollout: Option<Rollout>) -> Self {
        let owner = metadata
            .owner_references
            .iter()
            .flatten()
            .find(|owner| owner.controller == Some(true) && owner.kind == "ServiceGateway");
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            version: metadata
                .resource_version
                .as_deref()
                .and_then(|version| version.parse().ok())
                .unwrap_or(0),
            owner: owner.map(|owner| owner.uid.clone()),
            owner_name: owner.map(|owner| owner.name.clone()),
            fingerprint: fingerprint(metadata),
            deleting: metadata.deletion_timestamp.is_some(),
            owns_replicas: owns_replicas(metadata),
            rollout: rollout.map(Box::new),
            trouble: None,
        }
    }
}

/// Who wrote what when. Writes to subresources (status by controllers, scale by autoscalers) are none of ours,
/// and a Deployment's version changes with each of them.
fn fingerprint(metadata: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    metadata.uid.hash(&mut hasher);
    for entry in metadata.managed_fields.iter().flatten() {
        if entry.subresource.as_deref().is_none_or(str::is_empty) {
            entry.manager.hash(&mut hasher);
            entry.operation.hash(&mut hasher);
            entry.time.as_ref().map(|time| time.0.to_string()).hash(&mut hasher);
            entry.fields_v1.as_ref().map(|fields| fields.0.to_string()).hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn owns_replicas(metadata: &ObjectMeta) -> bool {
    metadata.managed_fields.iter().flatten().any(|entry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
    })
}
