//! Who reaches what: the Service, network policies, monitors.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyPeer};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::slim;
use crate::rules;

/// The Service in front of the GWs. A GW listens on the very ports that the Service has.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "self.qipcPort != self.httpPort && (!has(self.externalQipcPort) || (self.externalQipcPort != self.qipcPort && self.externalQipcPort != self.httpPort))"
).message("qipcPort, httpPort and externalQipcPort must be three different ports"))]
#[x_kube(validation = Rule::new("self.type != 'ClusterIP' || (!has(self.qipcNodePort) && !has(self.httpNodePort))")
    .message("qipcNodePort and httpNodePort need type NodePort or LoadBalancer"))]
#[x_kube(validation = Rule::new(rules::NODE_PORTS).message(rules::NODE_PORTS_SAYS))]
pub struct Service {
    /// How it is reached.
    #[serde(default, rename = "type")]
    pub kind: ServiceType,
    /// QIPC (GATEWAY_QIPC_PORT).
    #[schemars(range(min = 1024, max = 65535))]
    #[serde(default = "qipc_port")]
    pub qipc_port: i32,
    /// REST, health and metrics (GATEWAY_HTTP_PORT).
    #[schemars(range(min = 1024, max = 65535))]
    #[serde(default = "http_port")]
    pub http_port: i32,
    /// A further QIPC port for clients only, the one where authorization and TLS apply (GATEWAY_EXT_QIPC_PORT).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub external_qipc_port: Option<i32>,
    /// Port of every node for QIPC; default: Kubernetes chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub qipc_node_port: Option<i32>,
    /// Port of every node for HTTP; default: Kubernetes chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub http_node_port: Option<i32>,
    /// Annotations, as load balancers ask for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Further labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

fn qipc_port() -> i32 {
    5040
}

fn http_port() -> i32 {
    8080
}

impl Default for Service {
    fn default() -> Self {
        Self {
            kind: ServiceType::ClusterIP,
            qipc_port: qipc_port(),
            http_port: http_port(),
            external_qipc_port: None,
            qipc_node_port: None,
            http_node_port: None,
            annotations: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }
}

/// How a Service is reached.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceType {
    /// From inside the cluster.
    #[default]
    ClusterIP,
    /// By a port of every node.
    NodePort,
    /// By a load balancer.
    LoadBalancer,
}

impl ServiceType {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// Which traffic is let through; the rest is denied where the cluster's network enforces it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicySpec {
    /// Make the policies.
    pub enabled: bool,
    /// Who may reach the GWs' ports; default: everyone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "slim::<Vec<NetworkPolicyPeer>>")]
    pub clients: Vec<NetworkPolicyPeer>,
    /// Who may read health and metrics of RCs and Aggs; default: everyone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "slim::<Vec<NetworkPolicyPeer>>")]
    pub monitors: Vec<NetworkPolicyPeer>,
    /// Further traffic that all three roles may start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "slim::<Vec<NetworkPolicyEgressRule>>")]
    pub extra_egress: Vec<NetworkPolicyEgressRule>,
}

impl Default for NetworkPolicySpec {
    fn default() -> Self {
        Self { enabled: true, clients: Vec::new(), monitors: Vec::new(), extra_egress: Vec::new() }
    }
}

/// What watches the processes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Monitoring {
    /// A PodMonitor for the Prometheus operator. Where its API is not installed a condition says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_monitor: Option<PodMonitorSpec>,
}

/// A PodMonitor over all pods of the resource.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct PodMonitorSpec {
    /// Time between two reads, as `30s`; default: Prometheus' own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,6}(ms|s|m|h)$"))]
    pub interval: Option<String>,
    /// Labels of the PodMonitor, by which Prometheus chooses it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
