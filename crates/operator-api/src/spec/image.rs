//! Images, and the secrets that come with them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where images come from: `repository/qmesh-gw:tag` and so on.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Image {
    /// What stands before the names `qmesh-gw`, `qmesh-rc` and `qmesh-agg`, as `registry.example.com/team`.
    /// Empty: the container runtime's default registry.
    #[schemars(length(max = 255))]
    pub repository: String,
    /// Tag of all images; default: the version of the operator. A digest is given per role, in its `image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"))]
    pub tag: Option<String>,
    /// When the kubelet pulls; default IfNotPresent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    /// Names of docker-registry Secrets of this namespace. Without this field `kx-repo-access` is used if it exists;
    /// an empty list uses none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub pull_secrets: Option<Vec<String>>,
}

/// When the kubelet pulls an image.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// Where the node has none.
    IfNotPresent,
    /// Never: the node has it.
    Never,
}

impl PullPolicy {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// A Secret with a licence.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LicenseSecret {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its key that holds the licence, base64.
    #[serde(default = "license_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn license_key() -> String {
    LicenseSecret::default().key
}

impl Default for LicenseSecret {
    /// The names that kdb Insights' own instructions use.
    fn default() -> Self {
        Self { name: "kx-license-info".into(), key: "license".into() }
    }
}
