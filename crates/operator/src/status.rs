//! Last step: what is said about the resource. Computed anew from what is there each time, without clocks; the
//! time of a condition moves with its status only, so that equal states write nothing.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use operator_api::names::{self, Role, STATUS_MANAGER};
use operator_api::spec::ServiceGateway;
use operator_api::status::{ConditionType, RoleStatus, ServiceGatewayStatus};

use crate::index::{Index, Key};
use crate::kinds::{Kind, Rollout};

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
    /// What coordinators say of data pods that they cannot link.
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

    /// The pass failed more than once.
    pub fn failed(&mut self, message: String) {
        self.troubles.insert(0, ("ApplyFailed", message));
        self.retried = true;
    }
}

impl Findings {
    /// What is not changed now, in words; none where all is.
    fn held_parts(&self) -> Option<String> {
        let pods = self.held_roles.iter().map(|role| format!("pods of {}", role.field()));
        let all: Vec<String> = pods.chain(self.held.iter().cloned()).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// Longest message of a condition that is written.
const LONGEST: usize = 4096;

/// The status that the resource should have.
pub fn status(
    gateway: &ServiceGateway,
    index: &Index,
    findings: &Findings,
    now: Timestamp,
) -> ServiceGatewayStatus {
    let name = gateway.metadata.name.as_deref().unwrap_or_default();
    let namespace = gateway.metadata.namespace.as_deref().unwrap_or_default();
    let old = gateway.status.as_ref();
    let rollouts = Role::ALL.map(|role| {
        let key = Key { kind: Kind::Deployment, namespace: namespace.into(), name: role.object(name) };
        let owned = |owner: &Option<String>| *owner == gateway.metadata.uid;
        let seen = index.get(&key).filter(|seen| owned(&seen.owner)).and_then(|seen| seen.rollout);
        (
            role,
            seen.unwrap_or_else(|| Rollout {
                wanted: gateway.spec.role(role).least_replicas(),
                ..Rollout::default()
            }),
        )
    });
    let counts = |wanted: Role| {
        let rollout = rollouts.iter().find(|(role, _)| *role == wanted).map(|(_, rollout)| rollout);
        rollout.map(|rollout| RoleStatus::new(rollout.ready, rollout.wanted))
    };
    let paused = gateway.spec.paused;
    let mut conditions = vec![available(&rollouts), progressing(&rollouts, findings, paused)];
    conditions.push(degraded(&rollouts, findings));
    conditions.push(match paused {
        true => {
            new(ConditionType::Paused, "True", "SpecPaused", "spec.paused is true: nothing is changed".into())
        }
        false => new(ConditionType::Paused, "False", "NotPaused", String::new()),
    });
    match &findings.data_access {
        Some((true, _)) if findings.links_refused.is_some() => {
            let message = shortened(findings.links_refused.clone().unwrap_or_default());
            conditions.push(new(ConditionType::DataAccess, "False", "LinksRefused", message));
        }
        Some((true, selector)) => {
            let message = format!("pods match {selector}");
            conditions.push(new(ConditionType::DataAccess, "True", "PodsFound", message));
        }
        Some((false, selector)) => {
            let message = format!(
                "no pod of this namespace matches {selector}: queries get rc 58 (NO_DAP) until one does or one registers itself"
            );
            conditions.push(new(ConditionType::DataAccess, "False", "NoPods", message));
        }
        None => conditions.extend(
            old.iter().flat_map(|old| &old.conditions).filter(|one| one.type_ == "DataAccess").cloned(),
        ),
    }
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
        replicas: rollouts
            .iter()
            .find(|(role, _)| *role == Role::Gateway)
            .map_or(0, |(_, rollout)| rollout.replicas),
        selector: Some(names::selector_text(&names::selector_labels(name, Role::Gateway))),
        endpoint: Some(operator_api::build::endpoint(gateway)),
        gateway: counts(Role::Gateway),
        coordinator: counts(Role::Coordinator),
        aggregator: counts(Role::Aggregator),
        conditions,
    }
}

fn available(rollouts: &[(Role, Rollout); 3]) -> Condition {
    let missing: Vec<_> =
        rollouts.iter().filter(|(_, rollout)| rollout.ready == 0).map(|(role, _)| role.short()).collect();
    if missing.is_empty() {
        return new(ConditionType::Available, "True", "AllRolesReady", "each role has a ready pod".into());
    }
    let off =
        rollouts.iter().any(|(_, rollout)| rollout.ready == 0 && rollout.wanted == 0 && rollout.observed);
    let reason = if off { "ScaledToZero" } else { "NotReady" };
    new(ConditionType::Available, "False", reason, format!("no ready pod of: {}", missing.join(", ")))
}

fn progressing(rollouts: &[(Role, Rollout); 3], findings: &Findings, paused: bool) -> Condition {
    let kind = ConditionType::Progressing;
    if findings.blocked {
        return new(
            kind,
            "False",
            "Blocked",
            "nothing is changed until what Degraded says is resolved".into(),
        );
    }
    if paused {
        return new(kind, "False", "Paused", "nothing is changed while spec.paused is true".into());
    }
    if findings.retried {
        let message = "the last pass failed, as Degraded says, and is tried again".into();
        return new(kind, "True", "Retrying", message);
    }
    let held = findings.held_parts();
    let under_way: Vec<_> = rollouts
        .iter()
        .filter(|(role, rollout)| !rollout.complete() && !findings.held_roles.contains(role))
        .map(|(role, rollout)| {
            format!(
                "{} {} of {} updated, {} ready",
                role.short(),
                rollout.updated,
                rollout.wanted,
                rollout.ready
            )
        })
        .collect();
    if let Some(held) = held {
        let waits = format!("{held} stay as they are until what Degraded says is resolved");
        return match under_way.is_empty() {
            true => new(kind, "False", "Blocked", waits),
            false => new(kind, "True", "RollingOut", format!("{}; {waits}", under_way.join("; "))),
        };
    }
    if under_way.is_empty() {
        return new(kind, "False", "RolledOut", "all pods are of the latest version and ready".into());
    }
    new(kind, "True", "RollingOut", under_way.join("; "))
}

fn degraded(rollouts: &[(Role, Rollout); 3], findings: &Findings) -> Condition {
    let mut troubles = findings.troubles.clone();
    for (role, rollout) in rollouts {
        if let Some(trouble) = &rollout.trouble {
            troubles.push(("PodsRefused", format!("{}: {trouble}", role.short())));
        }
        if rollout.stuck {
            let message =
                format!("{}: no progress within the Deployment's deadline; look at its pods", role.short());
            troubles.push(("RolloutStuck", message));
        }
    }
    let Some((reason, _)) = troubles.first() else {
        return new(ConditionType::Degraded, "False", "AsExpected", String::new());
    };
    let reason = *reason;
    let message = troubles.into_iter().map(|(_, message)| message).collect::<Vec<_>>().join("; ");
    new(ConditionType::Degraded, "True", reason, shortened(message))
}

fn shortened(mut message: String) -> String {
    if message.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&at| message.is_char_boundary(at)).unwrap_or(0);
        message.truncate(end);
    }
    message
}

fn new(kind: ConditionType, status: &str, reason: &str, message: String) -> Condition {
    Condition {
        type_: kind.as_str().into(),
        status: status.into(),
        reason: reason.into(),
        message,
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        observed_generation: None,
    }
}

/// Conditions whose status or reason are new, for events: what is worth telling.
pub fn news<'a>(old: Option<&ServiceGatewayStatus>, new: &'a ServiceGatewayStatus) -> Vec<&'a Condition> {
    new.conditions
        .iter()
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
