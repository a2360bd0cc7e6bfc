//! All children of a resource, from the resource and what it refers to; pure and deterministic: the same
//! input gives the same bytes, so that applying again writes nothing.
//!
//! | module | children |
//! | --- | --- |
//! | `context` | what all of them need |
//! | `environment` | the variables of each role |
//! | `memory` | the variables that follow from a memory limit |
//! | `volumes` | what the pods mount |
//! | `deployment` | the three Deployments |
//! | `service` | the Service of the GWs, the headless one of the RCs |
//! | `access` | ServiceAccounts, Role, RoleBinding, the Secret of the mesh |
//! | `scaling` | HorizontalPodAutoscalers and PodDisruptionBudgets |
//! | `network` | NetworkPolicies |
//! | `monitor` | the PodMonitor |

mod access;
mod context;
mod deployment;
mod environment;
mod memory;
mod monitor;
mod network;
mod scaling;
mod service;
mod volumes;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{PodSpec, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role as RbacRole, RoleBinding};
use kube::core::DynamicObject;

use crate::names::Role;
use crate::referenced::Referenced;
use crate::spec::ServiceGateway;

pub use context::ImageDefaults;
pub use monitor::pod_monitor_resource;

/// Everything that a ServiceGateway stands for. Callers destructure the struct without `..`, so that a forgotten child
/// does not compile.
#[derive(Clone, Debug, PartialEq)]
pub struct Children {
    /// One per role.
    pub service_accounts: Vec<ServiceAccount>,
    /// May read pods; none where nobody needs to.
    pub role: Option<RbacRole>,
    /// Gives it to GW and RC.
    pub role_binding: Option<RoleBinding>,
    /// The secret of the mesh.
    pub mesh_secret: Option<Secret>,
    /// One per role.
    pub network_policies: Vec<NetworkPolicy>,
    /// GW's, and the headless one of the RCs.
    pub services: Vec<Service>,
    /// For each role that runs at least two pods.
    pub disruption_budgets: Vec<PodDisruptionBudget>,
    /// Over the processes, and over data-access processes.
    pub pod_monitors: Vec<DynamicObject>,
    /// For each role with autoscaling.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// One per role.
    pub deployments: Vec<Deployment>,
}

/// Make all children.
pub fn build(gateway: &ServiceGateway, referenced: &Referenced, images: &ImageDefaults) -> Children {
    let cx = context::Context::new(gateway, referenced, images);
    Children {
        service_accounts: Role::ALL.map(|role| access::service_account(&cx, role)).into(),
        role: access::role(&cx),
        role_binding: access::role_binding(&cx),
        mesh_secret: access::mesh_secret(&cx),
        network_policies: network::policies(&cx),
        services: vec![service::gateway(&cx), service::coordinator(&cx)],
        disruption_budgets: Role::ALL
            .iter()
            .filter_map(|&role| scaling::disruption_budget(&cx, role))
            .collect(),
        pod_monitors: monitor::pod_monitors(&cx),
        autoscalers: Role::ALL.iter().filter_map(|&role| scaling::autoscaler(&cx, role)).collect(),
        deployments: Role::ALL.map(|role| deployment::deployment(&cx, role)).into(),
    }
}

/// The pods of each role alone.
pub fn pods(
    gateway: &ServiceGateway,
    referenced: &Referenced,
    images: &ImageDefaults,
) -> [(Role, PodSpec); 3] {
    let cx = context::Context::new(gateway, referenced, images);
    Role::ALL.map(|role| (role, deployment::pod(&cx, role)))
}

/// host:port where coordinators say how they fare; the name stands for all of them.
pub fn coordinator_health(namespace: &str, name: &str) -> String {
    format!("{}.{namespace}.svc:{}", Role::Coordinator.object(name), context::HTTP_PORT)
}

/// host:port by which clients inside the cluster reach the resource.
pub fn endpoint(gateway: &ServiceGateway) -> String {
    let cx_name = gateway.metadata.name.as_deref().unwrap_or_default();
    let namespace = gateway.metadata.namespace.as_deref().unwrap_or("default");
    format!("{}.{namespace}.svc:{}", Role::Gateway.object(cx_name), gateway.spec.service.qipc_port)
}
