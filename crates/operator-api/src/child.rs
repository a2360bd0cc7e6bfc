//! The children in order of application, each with the API of its kind.
//!
//! Accounts and rights first, then the secret, network policies, Services, budgets, monitors and autoscalers;
//! Deployments last: objects needed by pods exist before the pods.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::ResourceExt;
use kube::core::ApiResource;
use serde::Serialize;
use serde_json::Value;

use crate::build::{Children, pod_monitor_resource};

/// A kind of child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// v1
    ServiceAccount,
    /// rbac.authorization.k8s.io/v1
    Role,
    /// rbac.authorization.k8s.io/v1
    RoleBinding,
    /// v1
    Secret,
    /// networking.k8s.io/v1
    NetworkPolicy,
    /// v1
    Service,
    /// policy/v1
    PodDisruptionBudget,
    /// monitoring.coreos.com/v1; may not be installed
    PodMonitor,
    /// autoscaling/v2
    HorizontalPodAutoscaler,
    /// apps/v1
    Deployment,
}

impl Kind {
    /// All that every cluster has, in the order in which they are applied.
    pub const BUILT_IN: [Self; 9] = [
        Self::ServiceAccount,
        Self::Role,
        Self::RoleBinding,
        Self::Secret,
        Self::NetworkPolicy,
        Self::Service,
        Self::PodDisruptionBudget,
        Self::HorizontalPodAutoscaler,
        Self::Deployment,
    ];

    /// Its API.
    pub fn resource(self) -> ApiResource {
        match self {
            Self::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
            Self::Role => ApiResource::erase::<Role>(&()),
            Self::RoleBinding => ApiResource::erase::<RoleBinding>(&()),
            Self::Secret => ApiResource::erase::<Secret>(&()),
            Self::NetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
            Self::Service => ApiResource::erase::<Service>(&()),
            Self::PodDisruptionBudget => ApiResource::erase::<PodDisruptionBudget>(&()),
            Self::PodMonitor => pod_monitor_resource(),
            Self::HorizontalPodAutoscaler => ApiResource::erase::<HorizontalPodAutoscaler>(&()),
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
        }
    }
}

/// One child.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What is applied.
    pub object: Value,
}

impl Children {
    /// All children, in order of application.
    pub fn in_order(self) -> Result<Vec<Child>, serde_json::Error> {
        // Without `..`: a child that is built and that nobody applies or shows must not compile.
        let Self {
            service_accounts,
            role,
            role_binding,
            mesh_secret,
            network_policies,
            services,
            disruption_budgets,
            pod_monitors,
            autoscalers,
            deployments,
        } = self;
        let mut all = Vec::new();
        add(&mut all, Kind::ServiceAccount, service_accounts)?;
        add(&mut all, Kind::Role, role)?;
        add(&mut all, Kind::RoleBinding, role_binding)?;
        add(&mut all, Kind::Secret, mesh_secret)?;
        add(&mut all, Kind::NetworkPolicy, network_policies)?;
        add(&mut all, Kind::Service, services)?;
        add(&mut all, Kind::PodDisruptionBudget, disruption_budgets)?;
        add(&mut all, Kind::PodMonitor, pod_monitors)?;
        add(&mut all, Kind::HorizontalPodAutoscaler, autoscalers)?;
        add(&mut all, Kind::Deployment, deployments)?;
        Ok(all)
    }
}

fn add<K: ResourceExt + Serialize>(
    all: &mut Vec<Child>,
    kind: Kind,
    objects: impl IntoIterator<Item = K>,
) -> Result<(), serde_json::Error> {
    for object in objects {
        all.push(Child { kind, name: object.name_any(), object: serde_json::to_value(&object)? });
    }
    Ok(())
}
