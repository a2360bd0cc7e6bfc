//! Last step: what is said about the resource. Computed anew from what is there each time, without clocks; the
//! time of a condition moves with its status only, so that equal states write nothing.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use operator_api::names::{self, Role, STATUS_MANAGER};
use operator_api::spec::ServiceGateway;
use operator_api::status::{RoleStatus, ServiceGatewayStatus};

use crate::conditions::{RoleState, conditions};
use crate::index::{Index, Key};
use crate::kinds::{Kind, Rollout};
use crate::own_pods::OwnPods;

/// What a pass found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Reason and sentence of everything that needs a person; the first gives the reason.
    pub troubles: Vec<(&'static str, String)>,
    /// Does a trouble keep all of the spec from being applied?
    pub blocked: bool,
    /// Roles whose pods stay as they are until a trouble is resolved.
    pub held_roles: BTreeSet<Role>,
    /// Other children that are not applied until then: kind and name.
    pub held: Vec<String>,
    /// Did the pass fail, and is tried again?
    pub retried: bool,
    /// Do pods of data-access processes match the selector, and what is it?
    pub data_access: Option<(bool, String)>,
    /// The coordinators' report on data pods without a link.
    pub links_refused: Option<String>,
}

impl Findings {
    /// Something needs a person.
    pub fn trouble(&mut self, reason: &'static str, message: impl Into<String>) {
        self.troubles.push((reason, message.into()));
    }

    /// The API server refused a child for what it says. It comes before other troubles: it is what stops the pass.
    pub fn refused(&mut self, message: String) {
        self.troubles.insert(0, ("Refused", message));
        self.blocked = true;
    }

    /// The pass failed several times in a row.
    pub fn failed(&mut self, message: String) {
        self.troubles.insert(0, ("ApplyFailed", message));
        self.retried = true;
    }
}

impl Findings {
    /// What is not changed now, in words; none where all is.
    pub fn held_parts(&self) -> Option<String> {
        let pods = self.held_roles.iter().map(|role| format!("pods of {}", role.field()));
        let all: Vec<String> = pods.chain(self.held.iter().cloned()).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// The status that the resource should have.
pub fn status(
    gateway: &ServiceGateway,
    index: &Index,
    pods: &OwnPods,
    findings: &Findings,
    now: Timestamp,
) -> ServiceGatewayStatus {
    let name = gateway.metadata.name.as_deref().unwrap_or_default();
    let namespace = gateway.metadata.namespace.as_deref().unwrap_or_default();
    let old = gateway.status.as_ref();
    let owned = |kind: Kind, role: Role| {
        let key = Key { kind, namespace: namespace.into(), name: role.object(name) };
        index.get(&key).filter(|seen| seen.owner == gateway.metadata.uid)
    };
    let roles = Role::ALL.map(|role| RoleState {
        role,
        rollout: owned(Kind::Deployment, role)
            .and_then(|seen| seen.rollout)
            .map(|rollout| *rollout)
            .unwrap_or_else(|| Rollout {
                wanted: gateway.spec.role(role).least_replicas(),
                ..Rollout::default()
            }),
        pods: pods.troubles(namespace, name, role),
        autoscaler: owned(Kind::HorizontalPodAutoscaler, role)
            .and_then(|seen| seen.trouble)
            .map(String::from),
    });
    let rollout = |wanted: Role| roles.iter().find(|state| state.role == wanted).map(|state| &state.rollout);
    let counts = |wanted: Role| rollout(wanted).map(|rollout| RoleStatus::new(rollout.ready, rollout.wanted));
    let before = old.iter().flat_map(|old| &old.conditions).find(|one| one.type_ == "DataAccess");
    let mut conditions = conditions(&roles, findings, gateway.spec.paused, before);
    for condition in &mut conditions {
        condition.observed_generation = gateway.metadata.generation;
        let before =
            old.iter().flat_map(|old| &old.conditions).find(|before| before.type_ == condition.type_);
        condition.last_transition_time = match before {
            Some(before) if before.status == condition.status => before.last_transition_time.clone(),
            _ => Time(now),
        };
    }
    ServiceGatewayStatus {
        observed_generation: gateway.metadata.generation,
        replicas: rollout(Role::Gateway).map_or(0, |rollout| rollout.replicas),
        selector: Some(names::selector_text(&names::selector_labels(name, Role::Gateway))),
        endpoint: Some(operator_api::build::endpoint(gateway)),
        gateway: counts(Role::Gateway),
        coordinator: counts(Role::Coordinator),
        aggregator: counts(Role::Aggregator),
        conditions,
    }
}

/// Conditions of kstatus: repeat other conditions, so no events of their own.
const REPEATED: [&str; 3] = ["Ready", "Reconciling", "Stalled"];

/// Conditions whose status or reason are new, for events: what is worth telling.
pub fn news<'a>(old: Option<&ServiceGatewayStatus>, new: &'a ServiceGatewayStatus) -> Vec<&'a Condition> {
    new.conditions
        .iter()
        .filter(|condition| !REPEATED.contains(&condition.type_.as_str()))
        .filter(|condition| {
            let before =
                old.iter().flat_map(|old| &old.conditions).find(|before| before.type_ == condition.type_);
            match before {
                Some(before) => before.status != condition.status || before.reason != condition.reason,
                // At first all is new; what is as it should be is not worth an event.
                None => condition.type_ == "Degraded" && condition.status == "True",
            }
        })
        .collect()
}

/// Write it.
pub async fn write(
    caller: &crate::api::Caller,
    namespace: &str,
    name: &str,
    status: &ServiceGatewayStatus,
) -> Result<ServiceGateway, crate::error::Error> {
    let api = kube::Api::<ServiceGateway>::namespaced(caller.client.clone(), namespace);
    let how = kube::api::PatchParams::apply(STATUS_MANAGER).force();
    let object = serde_json::json!({
        "apiVersion": operator_api::spec::API_VERSION, "kind": "ServiceGateway",
        "metadata": { "name": name }, "status": status,
    });
    let call = async move { api.patch_status(name, &how, &kube::api::Patch::Apply(object)).await };
    caller.call("status", &format!("ServiceGateway {name}"), call).await
}
