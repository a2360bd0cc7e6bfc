//! Parts of a pod that users tune.

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements, VolumeMount};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::slim;
use crate::rules;

/// Timing of the probes; what they ask is fixed (`/healthz`, `/readyz`).
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Probes {
    /// Does it live; failing restarts the container.
    pub liveness: ProbeTiming,
    /// May it be given work; failing takes it out of its Service.
    pub readiness: ProbeTiming,
}

/// Timing of one probe; what is absent keeps the operator's default.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ProbeTiming {
    /// Seconds before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub initial_delay_seconds: Option<i32>,
    /// Seconds between two.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub period_seconds: Option<i32>,
    /// Seconds one may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600))]
    pub timeout_seconds: Option<i32>,
    /// Failures in a row that count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub failure_threshold: Option<i32>,
}

/// A further container of the pod, named `sidecar`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Sidecar {
    /// Its image, whole.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// Its command; default: the image's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "slim::<Vec<EnvVar>>")]
    pub env: Vec<EnvVar>,
    /// CPU and memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "slim::<ResourceRequirements>")]
    pub resources: Option<ResourceRequirements>,
    /// Volumes of the pod that it sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "slim::<Vec<VolumeMount>>")]
    pub volume_mounts: Vec<VolumeMount>,
}

/// How pods are replaced.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(rules::RECREATE).message(rules::RECREATE_SAYS))]
pub struct UpdateStrategy {
    /// One after the other, or all old ones first.
    #[serde(default, rename = "type")]
    pub kind: UpdateStrategyType,
    /// Pods over the wanted number while rolling, a number or a percentage; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "slim::<IntOrString>")]
    pub max_surge: Option<IntOrString>,
    /// Pods that may be missing while rolling, a number or a percentage; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "slim::<IntOrString>")]
    pub max_unavailable: Option<IntOrString>,
}

/// The way of replacing.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateStrategyType {
    /// One after the other.
    #[default]
    RollingUpdate,
    /// All old ones first: requests fail in between.
    Recreate,
}
