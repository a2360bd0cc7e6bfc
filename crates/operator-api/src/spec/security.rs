//! Under which user the pods run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the pods' security context leaves open; the rest is that of the restricted Pod Security Standard.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSecurity {
    /// Fixed: user and group 65532, as in the images. FromNamespace: no user and no group is named, so that the
    /// cluster gives them from the namespace's range, as OpenShift does.
    pub user: PodUser,
}

/// Who says which user the pods run as.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodUser {
    /// The operator: 65532.
    #[default]
    Fixed,
    /// The cluster, for each namespace another.
    FromNamespace,
}
