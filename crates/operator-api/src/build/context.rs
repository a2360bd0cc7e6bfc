//! What every child is made from.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::names::{self, Role};
use crate::referenced::Referenced;
use crate::spec::{API_VERSION, DiscoveryMethod, ServiceGateway, ServiceGatewaySpec};

/// Port of RCs for QIPC.
pub(super) const RC_PORT: i32 = 5050;
/// Port of Aggs for QIPC.
pub(super) const AGG_PORT: i32 = 5060;
/// Port of RCs and Aggs for health and metrics.
pub(super) const HTTP_PORT: i32 = 8081;

/// Images of resources that do not say which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageDefaults {
    /// Before the name of the image, where `spec.image.repository` is empty.
    pub repository: String,
    /// Where `spec.image.tag` is absent.
    pub tag: String,
}

impl Default for ImageDefaults {
    /// The version of this code, in the runtime's default registry.
    fn default() -> Self {
        Self { repository: String::new(), tag: env!("CARGO_PKG_VERSION").into() }
    }
}

pub(super) struct Context<'a> {
    pub(super) name: &'a str,
    pub(super) spec: &'a ServiceGatewaySpec,
    pub(super) referenced: &'a Referenced,
    pub(super) images: &'a ImageDefaults,
    gateway: &'a ServiceGateway,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        gateway: &'a ServiceGateway,
        referenced: &'a Referenced,
        images: &'a ImageDefaults,
    ) -> Self {
        let name = gateway.metadata.name.as_deref().unwrap_or_default();
        Self { name, spec: &gateway.spec, referenced, images, gateway }
    }

    /// Metadata of a child of a role.
    pub(super) fn role_meta(&self, role: Role) -> ObjectMeta {
        self.meta(role.object(self.name), names::role_labels(self.name, role))
    }

    /// Metadata of a child of the whole.
    pub(super) fn common_meta(&self, name: String) -> ObjectMeta {
        self.meta(name, names::common_labels(self.name))
    }

    fn meta(&self, name: String, labels: BTreeMap<String, String>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: self.gateway.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: self.owner().map(|owner| vec![owner]),
            ..Default::default()
        }
    }

    /// None for a resource that is not in a cluster, as one that is only rendered.
    fn owner(&self) -> Option<OwnerReference> {
        Some(OwnerReference {
            api_version: API_VERSION.into(),
            kind: "ServiceGateway".into(),
            name: self.name.into(),
            uid: self.gateway.metadata.uid.clone()?,
            controller: Some(true),
            block_owner_deletion: Some(true),
        })
    }

    /// Do GW and RC read pods?
    pub(super) fn reads_pods(&self) -> bool {
        self.spec.discovery.method == DiscoveryMethod::Pods
    }

    /// host:port of the RCs' headless Service, which stands for all of them.
    pub(super) fn coordinator_address(&self) -> String {
        format!("{}:{RC_PORT}", Role::Coordinator.object(self.name))
    }

    /// Port of a role for QIPC.
    pub(super) fn qipc_port(&self, role: Role) -> i32 {
        match role {
            Role::Gateway => self.spec.service.qipc_port,
            Role::Coordinator => RC_PORT,
            Role::Aggregator => AGG_PORT,
        }
    }

    /// Port of a role for health and metrics.
    pub(super) fn http_port(&self, role: Role) -> i32 {
        match role {
            Role::Gateway => self.spec.service.http_port,
            Role::Coordinator | Role::Aggregator => HTTP_PORT,
        }
    }
}
