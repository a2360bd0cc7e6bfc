//! What can be said of each role's Deployment.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvFromSource, EnvVar, ResourceRequirements, Toleration, TopologySpreadConstraint, Volume,
    VolumeMount,
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::pod::{Probes, Sidecar, UpdateStrategy};
use super::schema::slim;
use crate::rules;

/// One role: GW, RC or Agg.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.replicas) && has(self.autoscaling))")
    .message("replicas and autoscaling exclude each other: leave replicas out, the autoscaler sets it"))]
#[x_kube(validation = Rule::new(rules::AUTOSCALING_CPU).message(rules::AUTOSCALING_CPU_SAYS))]
#[x_kube(validation = Rule::new(rules::AUTOSCALING_MEMORY).message(rules::AUTOSCALING_MEMORY_SAYS))]
#[x_kube(validation = Rule::new(rules::GRACE).message(rules::GRACE_SAYS))]
#[x_kube(validation = Rule::new(rules::IMAGE).message(rules::IMAGE_SAYS))]
#[x_kube(validation = Rule::new(rules::PRIORITY).message(rules::PRIORITY_SAYS))]
pub struct RoleSpec {
    /// Pods that run; default 1. Excludes `autoscaling`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// A HorizontalPodAutoscaler sets the number of pods. Excludes `replicas`, and needs `resources.requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// Image of this role, whole, tag or digest included; instead of the one made from `spec.image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// CPU and memory. From a memory limit follow QMESH_AGG_MEMORY of the Aggs (three quarters) and
    /// QMESH_GW_JSON_MEMORY and QMESH_GW_MAX_JSON of the GWs (a half, an eighth), unless `env` or `envFrom` set one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "slim::<ResourceRequirements>")]
    pub resources: Option<ResourceRequirements>,
    /// Environment variables; one that the operator also sets is taken from here. Those by which processes find each
    /// other (ports, names, selectors) have fields of their own, and are refused here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "slim::<Vec<EnvVar>>")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,
    /// ConfigMaps and Secrets whose keys become environment variables. A change to one rolls the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "slim::<Vec<EnvFromSource>>")]
    pub env_from: Vec<EnvFromSource>,
    /// Further labels of the pods. Those the operator sets cannot be changed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,
    /// Further annotations of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
    /// Labels a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints the pods bear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "slim::<Vec<Toleration>>")]
    pub tolerations: Vec<Toleration>,
    /// Where pods may and should run; default: replicas of a role prefer different nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "slim::<Affinity>")]
    pub affinity: Option<Affinity>,
    /// How pods spread over zones and nodes. A constraint without `labelSelector` counts the pods of this role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "slim::<Vec<TopologySpreadConstraint>>")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Name of a PriorityClass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Further volumes. A change to a ConfigMap or Secret in one rolls the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "slim::<Vec<Volume>>")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub extra_volumes: Vec<Volume>,
    /// Where the process sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "slim::<Vec<VolumeMount>>")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["mountPath".into()]))]
    pub extra_volume_mounts: Vec<VolumeMount>,
    /// Timing of the probes.
    #[serde(default)]
    pub probes: Probes,
    /// A further container, after the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<Sidecar>,
    /// How pods are replaced by those of a new version.
    #[serde(default)]
    pub update_strategy: UpdateStrategy,
    /// Seconds from being told to stop until it is killed, 5 at least; default 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub termination_grace_period_seconds: Option<i64>,
}

/// Bounds of a HorizontalPodAutoscaler and what it aims at.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.minReplicas <= self.maxReplicas")
    .message("minReplicas must not be greater than maxReplicas"))]
pub struct Autoscaling {
    /// Fewest pods.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: i32,
    /// Most pods.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,
    /// Mean CPU use to aim at, percent of what is requested; default 70 where no memory target is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub target_cpu_utilization: Option<i32>,
    /// Mean memory use to aim at, percent of what is requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub target_memory_utilization: Option<i32>,
}

fn one() -> i32 {
    1
}

impl RoleSpec {
    /// The number of pods that is ours to set: none where an autoscaler does.
    pub fn fixed_replicas(&self) -> Option<i32> {
        match self.autoscaling {
            Some(_) => None,
            None => Some(self.replicas.unwrap_or(1)),
        }
    }

    /// Fewest pods that run when all is well.
    pub fn least_replicas(&self) -> i32 {
        self.autoscaling.as_ref().map_or(self.replicas.unwrap_or(1), |autoscaling| autoscaling.min_replicas)
    }
}
