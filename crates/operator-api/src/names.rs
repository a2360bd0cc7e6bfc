//! Names and labels of the children; nothing else in the operator makes one up.

use std::collections::BTreeMap;

/// Who applies the children, in their `managedFields`.
pub const FIELD_MANAGER: &str = "qmesh-operator";
/// Who applies the status.
pub const STATUS_MANAGER: &str = "qmesh-operator-status";
/// Who holds `spec.replicas` of a Deployment while it passes from us to an autoscaler.
pub const HANDOVER_MANAGER: &str = "qmesh-operator-handover";

/// Label that says which software made an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Its value on our children.
pub const MANAGED_BY_VALUE: &str = "qmesh-operator";
/// Label that holds the role.
pub const NAME: &str = "app.kubernetes.io/name";
/// Label that holds the name of the ServiceGateway.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Value of [`NAME`] on the pods of data-access processes.
pub const DATA_ACCESS: &str = "data-access";
/// Annotation of a pod template: hash of the configuration, so that a change rolls the pods.
pub const CONFIG_HASH: &str = "qmesh.dev/config-hash";

/// The Secret that is used for pulling where it exists and nothing else is said.
pub const DEFAULT_PULL_SECRET: &str = "kx-repo-access";

/// One of the three processes of a ServiceGateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// GW
    Gateway,
    /// RC
    Coordinator,
    /// Agg
    Aggregator,
}

impl Role {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Coordinator, Self::Aggregator];

    /// End of the names of its objects, of its image, and name of its container.
    pub fn short(self) -> &'static str {
        match self {
            Self::Gateway => "gw",
            Self::Coordinator => "rc",
            Self::Aggregator => "agg",
        }
    }

    /// Its field in the spec, and its subcommand of `qmesh`.
    pub fn field(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Coordinator => "coordinator",
            Self::Aggregator => "aggregator",
        }
    }

    /// Value of [`NAME`]: the ones that kdb Insights uses.
    pub fn label(self) -> &'static str {
        match self {
            Self::Gateway => "sg-gateway",
            Self::Coordinator => "resource-coordinator",
            Self::Aggregator => "aggregator",
        }
    }

    /// Name of its image.
    pub fn image(self) -> String {
        format!("qmesh-{}", self.short())
    }

    /// Name of its objects under the ServiceGateway `gateway`.
    pub fn object(self, gateway: &str) -> String {
        format!("{gateway}-{}", self.short())
    }
}

/// Name of the Role and RoleBinding that let GW and RC read pods.
pub fn pod_reader(gateway: &str) -> String {
    format!("{gateway}-pod-reader")
}

/// Name of the PodMonitor over data-access processes.
pub fn data_monitor(gateway: &str) -> String {
    format!("{gateway}-data")
}

/// Name of the Secret of the mesh.
pub fn mesh_secret(gateway: &str) -> String {
    format!("{gateway}-mesh")
}

/// Labels that the pods of a role are chosen by: a Deployment's selector can never change, so neither can these.
pub fn selector_labels(gateway: &str, role: Role) -> BTreeMap<String, String> {
    BTreeMap::from([(NAME.into(), role.label().into()), (INSTANCE.into(), gateway.into())])
}

/// Labels of every child.
pub fn common_labels(gateway: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (INSTANCE.into(), gateway.into()),
        (MANAGED_BY.into(), MANAGED_BY_VALUE.into()),
        ("app.kubernetes.io/part-of".into(), "qmesh".into()),
    ])
}

/// Labels of a child that belongs to one role.
pub fn role_labels(gateway: &str, role: Role) -> BTreeMap<String, String> {
    let mut labels = common_labels(gateway);
    labels.insert(NAME.into(), role.label().into());
    labels
}

/// Labels as the text of a selector.
pub fn selector_text(labels: &BTreeMap<String, String>) -> String {
    labels.iter().rev().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// The pods of data-access processes of a ServiceGateway that names no others.
pub fn default_data_access_selector(gateway: &str) -> String {
    format!("{NAME}={DATA_ACCESS},{INSTANCE}={gateway}")
}
