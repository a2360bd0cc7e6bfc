//! The resource as users write it. Doc comments are what `kubectl explain` shows; rules that need no other
//! object are CEL, so that the API server refuses with a sentence and nothing half-right is ever stored.
//!
//! Every `Option` is left out when absent: sent as `null`, the rules would take it for present.

mod data_path;
mod image;
mod network;
mod pod;
mod role;
mod schema;
mod security;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use data_path::{
    AUTH_NOT_YET, Auth, AuthHttp, AuthIpc, AuthKeycloak, Buffers, CUSTOM_CODE_NOT_YET, Cors, CustomCode,
    CustomCodeClaim, CustomCodeConfigMap, CustomCodeImage, Discovery, DiscoveryMethod, ExpectedTiers,
    Heartbeat, LogFormat, Logging, MeshSecretMode, MeshSecretSpec, Retries, TLS_NOT_YET, Timeouts, Tls,
};
pub use image::{Image, LicenseSecret, PullPolicy};
pub use network::{Monitoring, NetworkPolicySpec, PodMonitorSpec, Service, ServiceType};
pub use pod::{ProbeTiming, Probes, Sidecar, UpdateStrategy, UpdateStrategyType};
pub use role::{Autoscaling, RoleSpec};
pub use security::{PodSecurity, PodUser};

use crate::status::ServiceGatewayStatus;

/// One address that answers queries over many kdb+ data processes: gateways (GW), resource coordinators (RC)
/// and aggregators (Agg), with the accounts, secrets and services they need.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "qmesh.dev",
    version = "v1alpha1",
    kind = "ServiceGateway",
    plural = "servicegateways",
    shortname = "sgw",
    category = "qmesh",
    namespaced,
    status = "ServiceGatewayStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A service gateway for kdb+ data: the address that clients query, and the processes behind it.",
    scale(
        spec_replicas_path = ".spec.gateway.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "Data",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"DataAccess\")].status"
    ),
    printcolumn(name = "GW", type_ = "string", json_path = ".status.gateway.summary"),
    printcolumn(name = "RC", type_ = "string", json_path = ".status.coordinator.summary"),
    printcolumn(name = "Agg", type_ = "string", json_path = ".status.aggregator.summary"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoint"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    validation = Rule::new("self.metadata.name.size() <= 40")
        .message("the name of a ServiceGateway may have 40 characters: names of its children add to it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message(
        "the name of a ServiceGateway must start with a letter and hold only a-z, 0-9 and '-': its Services are named after it"
    ),
    // See `crd`: the schema does not require it, so that this sentence is the one that is seen.
    validation = Rule::new("has(self.spec)").message("spec is missing; 'spec: {}' asks for all defaults")
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceGatewaySpec {
    /// Where the images of GW, RC and Agg come from.
    #[serde(default)]
    pub image: Image,
    /// Secret with a kdb+ licence. Not needed by qmesh; passed on as KDB_LICENSE_B64 where it exists.
    /// Naming one that does not exist is an error; without this field `kx-license-info` is used if it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_secret: Option<LicenseSecret>,
    /// GW: the processes that clients connect to.
    #[serde(default)]
    pub gateway: RoleSpec,
    /// RC: the processes that plan requests and hand them to data-access processes.
    #[serde(default)]
    pub coordinator: RoleSpec,
    /// Agg: the processes that make one answer out of partial ones.
    #[serde(default)]
    pub aggregator: RoleSpec,
    /// The Service in front of the GWs.
    #[serde(default)]
    pub service: Service,
    /// q code with aggregation functions for the Aggs. This version's Aggs run none, so a resource that sets it is
    /// refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_code: Option<CustomCode>,
    /// How processes find each other.
    #[serde(default)]
    pub discovery: Discovery,
    /// Time limits.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What is tried again.
    #[serde(default)]
    pub retries: Retries,
    /// Heartbeats on the links between processes.
    #[serde(default)]
    pub heartbeat: Heartbeat,
    /// Buffers for large answers.
    #[serde(default)]
    pub buffers: Buffers,
    /// What is logged, and how.
    #[serde(default)]
    pub logging: Logging,
    /// Who may ask. This version cannot ask anybody, so a resource that sets it is refused: the network decides
    /// (`networkPolicy.clients`), or a proxy in front that authenticates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// TLS on the external QIPC port. This version has none, so a resource that sets it is refused: end TLS in front
    /// of the gateway (ingress, load balancer, service mesh).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Browsers that may call the REST interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// The secret by which processes of this mesh know each other.
    #[serde(default)]
    pub mesh_secret: MeshSecretSpec,
    /// Under which user the pods run.
    #[serde(default)]
    pub pod_security: PodSecurity,
    /// Which traffic is let through.
    #[serde(default)]
    pub network_policy: NetworkPolicySpec,
    /// What watches the processes.
    #[serde(default)]
    pub monitoring: Monitoring,
    /// Do nothing about this resource but keep its status true.
    #[serde(default)]
    pub paused: bool,
}

/// The one version of the type that is served.
pub const API_VERSION: &str = "qmesh.dev/v1alpha1";
