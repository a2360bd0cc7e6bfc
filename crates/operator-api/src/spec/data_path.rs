//! What the processes are told: each field here becomes an environment variable, named in its comment.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// q code for the Aggs, from exactly one place; becomes KXI_CUSTOM_FILE.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
// Where the processes can do it, this rule goes.
#[x_kube(validation = Rule::new("false").message(CUSTOM_CODE_NOT_YET))]
#[x_kube(validation = Rule::new("[has(self.configMap), has(self.claim), has(self.image)].filter(x, x).size() == 1")
    .message("customCode needs exactly one of configMap, claim and image"))]
pub struct CustomCode {
    /// A ConfigMap; a change to it rolls the Aggs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<CustomCodeConfigMap>,
    /// A PersistentVolumeClaim that exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<CustomCodeClaim>,
    /// An image whose files are mounted (needs Kubernetes 1.33 or later).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<CustomCodeImage>,
}

/// Code in a ConfigMap.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CustomCodeConfigMap {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key to load; the others lie beside it for `\l`.
    #[serde(default = "custom_file")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Code in a volume.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CustomCodeClaim {
    /// Name of the PersistentVolumeClaim.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The file to load, a path inside the volume.
    #[serde(default = "custom_file")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,
}

/// Code in an image.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CustomCodeImage {
    /// The image, whole, tag or digest included.
    #[schemars(length(min = 1, max = 512))]
    pub reference: String,
    /// The file to load, a path inside the image.
    #[serde(default = "custom_file")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,
}

fn custom_file() -> String {
    "custom.q".into()
}

/// How processes find each other.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Discovery {
    /// Pods: GW and RC watch pods by their labels. Address: all dial the RCs' headless Service, and no process
    /// needs rights in the cluster; RCs then know of no others.
    pub method: DiscoveryMethod,
    /// Labels of RC pods (KXI_SG_RC_LABEL_SELECTOR); default: the RCs of this resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub coordinator_selector: Option<String>,
    /// Labels of the pods of data-access processes (KXI_SG_DA_LABEL_SELECTOR); default
    /// `app.kubernetes.io/name=data-access,app.kubernetes.io/instance=<name of this resource>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub data_access_selector: Option<String>,
    /// Tiers that there should be (QMESH_RC_EXPECT): requests for what one of them may hold wait for it from the start.
    /// Without it only what was seen once is known to be missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub expected: Vec<ExpectedTiers>,
}

/// A label set and the tiers it is to have.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExpectedTiers {
    /// The label set of the data, as data-access processes register it; may be empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its tiers, such as hdb and rdb.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 63)))]
    pub tiers: Vec<String>,
}

/// How processes find each other.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiscoveryMethod {
    /// By the labels of pods.
    #[default]
    Pods,
    /// By the address of the RCs.
    Address,
}

/// Time limits.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Timeouts {
    /// Milliseconds a request may take that names no time of its own (KXI_SG_TIMEOUT; default 30000).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400_000))]
    pub request_ms: Option<i64>,
    /// Milliseconds a connection may take to open (KXI_SG_CONN_TIMEOUT; default 5000).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub connect_ms: Option<i64>,
}

/// What is tried again.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Retries {
    /// How often a part of a request is tried again (KXI_SG_MAX_RETRY; default 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max: Option<i32>,
}

/// Heartbeats on internal links.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Heartbeat {
    /// Milliseconds between two (KXI_SAPI_HB_FREQ; default 30000).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 3_600_000))]
    pub period_ms: Option<i64>,
    /// How many a peer may miss (KXI_SAPI_HB_TOL; default 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub tolerance: Option<i32>,
}

/// Buffers for large answers.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Buffers {
    /// Bytes of a large answer that a GW holds while the client reads it, with K, M or G (KXI_SG_BUFFER_INITIAL;
    /// default 2M).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,12}[KMG]?$"))]
    pub initial: Option<String>,
    /// Bytes kept afterwards (KXI_SG_BUFFER_RETAIN; default 2M).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,12}[KMG]?$"))]
    pub retain: Option<String>,
}

/// What is logged.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(rules::LEVELS).message(rules::LEVELS_SAYS))]
pub struct Logging {
    /// Comma list of component:level (KXI_LOG_LEVELS; default `default:info`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub levels: Option<String>,
    /// Form of a line (KXI_LOG_FORMAT).
    #[serde(default)]
    pub format: LogFormat,
}

/// Form of a line.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Why `customCode` is refused, and what to do instead.
pub const CUSTOM_CODE_NOT_YET: &str = "this version's aggregators run no q code and would ignore the file: leave customCode out and use the built-in functions (raze, sum, avg, vwap and the others of docs/getdata.md), or merge in the client";

/// Why `auth` is refused, and what to do instead.
pub const AUTH_NOT_YET: &str = "this version cannot authenticate and would serve everybody, or not start: leave auth out and decide by the network who gets in (networkPolicy.clients, or a proxy in front that authenticates)";

/// Why `tls` is refused, and what to do instead.
pub const TLS_NOT_YET: &str = "this version has no TLS and would serve in plain text, or not start: leave tls out and end TLS in front of the gateway (ingress, load balancer, service mesh)";

/// Who may ask; at most one way.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
// Where the processes can do it, this rule goes.
#[x_kube(validation = Rule::new("false").message(AUTH_NOT_YET))]
#[x_kube(validation = Rule::new("[has(self.keycloak), has(self.ipc), has(self.http)].filter(x, x).size() == 1")
    .message("auth needs exactly one of keycloak, ipc and http"))]
pub struct Auth {
    /// Keycloak (KXI_AUTH_DISABLED=0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keycloak: Option<AuthKeycloak>,
    /// A q process decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipc: Option<AuthIpc>,
    /// A web service decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<AuthHttp>,
}

/// Keycloak's endpoints.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AuthKeycloak {
    /// ConfigMap with a JSON file of the endpoints (KXI_OIDC_JSON_PATH); a change to it rolls the GWs.
    #[schemars(length(min = 1, max = 253))]
    pub config_map_name: String,
    /// Its key.
    #[serde(default = "oidc_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn oidc_key() -> String {
    "oidc.json".into()
}

/// A q process that authorizes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AuthIpc {
    /// Its host (KXI_SG_AUTH_IPC_HOST).
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Its port (KXI_SG_AUTH_IPC_PORT).
    #[serde(default = "auth_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// TLS to it (KXI_SG_AUTH_IPC_USE_TLS).
    #[serde(default)]
    pub use_tls: bool,
    /// Function to call there (KXI_SG_AUTH_IPC_AUTH_API).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub api: Option<String>,
}

fn auth_port() -> i32 {
    1234
}

/// A web service that authorizes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AuthHttp {
    /// Its URL (KXI_SG_AUTH_HTTP_ENDPOINT).
    #[schemars(length(min = 1, max = 2048))]
    pub endpoint: String,
    /// Request headers that are passed on to it (KXI_SG_AUTH_HTTP_HEADERS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
}

/// TLS on the external QIPC port (KXI_SG_USE_SSL), from a PKCS12 key store in a Secret; a change rolls the GWs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
// Where the processes can do it, this rule goes.
#[x_kube(validation = Rule::new("false").message(TLS_NOT_YET))]
pub struct Tls {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
    /// Its key with the store (KXI_SG_KEYSTORE).
    #[serde(default = "keystore_key")]
    #[schemars(length(min = 1, max = 253))]
    pub keystore_key: String,
    /// Its key with the store's password (KXI_SG_KEYSTORE_PASS_FILE).
    #[serde(default = "password_key")]
    #[schemars(length(min = 1, max = 253))]
    pub password_key: String,
}

fn keystore_key() -> String {
    "keystore.p12".into()
}

fn password_key() -> String {
    "password".into()
}

/// Browsers that may call (KXI_SG_CORS_ENABLED).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(rules::ORIGINS).message(rules::ORIGINS_SAYS))]
pub struct Cors {
    /// Origins as `scheme://host[:port]`; `*` for any (KXI_SG_CORS_ORIGINS).
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 512)))]
    pub origins: Vec<String>,
}

/// The secret by which processes of this mesh know each other (QMESH_SECRET_FILE).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.mode == oldSelf.mode").message(
    "meshSecret.mode cannot be changed: processes with and without a secret refuse each other; make a new ServiceGateway"
))]
pub struct MeshSecretSpec {
    /// Generated: the operator makes it, in the Secret `<name>-mesh`, key `secret`. None: no proof is asked for.
    #[serde(default)]
    pub mode: MeshSecretMode,
    /// Any text. When it changes the operator makes a new secret, keeps the previous one accepted and rolls the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub rotation: Option<String>,
}

/// Where the secret comes from.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MeshSecretMode {
    /// The operator makes one.
    #[default]
    Generated,
    /// There is none.
    None,
}
