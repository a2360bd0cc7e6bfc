//! What the operator says about a resource.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// State of a ServiceGateway as the operator last saw it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceGatewayStatus {
    /// Generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// GW pods that exist; what the scale subresource reads.
    pub replicas: i32,
    /// Labels of the GW pods, as text; what the scale subresource reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// host:port that clients inside the cluster connect to by QIPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// GW pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<RoleStatus>,
    /// RC pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinator: Option<RoleStatus>,
    /// Agg pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregator: Option<RoleStatus>,
    /// Ready, Reconciling, Stalled, Available, Progressing, Degraded, Paused and DataAccess, each with reason and
    /// message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Pods of one role.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct RoleStatus {
    /// Ready pods.
    pub ready: i32,
    /// Pods that should be ready.
    pub wanted: i32,
    /// Both, as `1/2`.
    pub summary: String,
}

impl RoleStatus {
    /// Of two counts.
    pub fn new(ready: i32, wanted: i32) -> Self {
        Self { ready, wanted, summary: format!("{ready}/{wanted}") }
    }
}

/// The types of condition that a ServiceGateway has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionType {
    /// Clients are answered, with data, and nothing needs a person.
    Ready,
    /// The operator or a rollout is on its way to what the spec asks for.
    Reconciling,
    /// Nothing goes on until a person does something.
    Stalled,
    /// Each role has at least one ready pod: clients are answered.
    Available,
    /// Something is on its way to what the spec asks for.
    Progressing,
    /// Something needs a person: the message says what.
    Degraded,
    /// `spec.paused` is set: nothing is changed.
    Paused,
    /// Pods of data-access processes exist; without one every query gets rc 58 (NO_DAP).
    DataAccess,
}

impl ConditionType {
    /// As it stands in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Available => "Available",
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
            Self::Paused => "Paused",
            Self::DataAccess => "DataAccess",
        }
    }
}
