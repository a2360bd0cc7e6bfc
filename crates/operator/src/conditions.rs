//! The conditions of a resource, as one pure function of what was found.
//!
//! | condition | True means |
//! | --- | --- |
//! | Ready | clients are answered, with data, and nothing needs a person |
//! | Reconciling | the operator or a rollout is on its way to what the spec asks for |
//! | Stalled | nothing goes on until a person does something |
//! | Available | each role has a ready pod |
//! | Progressing | as Reconciling, with the reason also where it is False |
//! | Degraded | something needs a person: the message says what |
//! | DataAccess | pods of data-access processes are there and linked |
//! | Paused | `spec.paused` is set |
//!
//! The first three are those of kstatus, which Helm, Flux and Argo CD read. Rules kept: Ready and Stalled are never
//! both True, nor Reconciling and Stalled; a Ready that is False says why in its message. Tests: below.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use operator_api::names::Role;
use operator_api::status::ConditionType;

use crate::kinds::Rollout;
use crate::status::Findings;

/// One role, as it is.
#[derive(Clone, Debug)]
pub struct RoleState {
    /// Which.
    pub role: Role,
    /// How far its Deployment is.
    pub rollout: Rollout,
    /// Troubles of its pods, a sentence each.
    pub pods: Vec<String>,
    /// Why its autoscaler does not work, if so.
    pub autoscaler: Option<String>,
}

/// Longest message of a condition that is written.
const LONGEST: usize = 4096;
/// Pods of a role that are told by name.
const TOLD: usize = 2;

impl RoleState {
    /// The first troubles of its pods, in a sentence.
    fn pods_told(&self) -> Option<String> {
        let told = self.pods.iter().take(TOLD).cloned().collect::<Vec<_>>().join("; ");
        match self.pods.len() {
            0 => None,
            all if all > TOLD => Some(format!("{}: {told}; and {} more pods", self.role.field(), all - TOLD)),
            _ => Some(format!("{}: {told}", self.role.field())),
        }
    }
}

/// All conditions. `before` is the DataAccess of last time, which stays where nothing new is known.
pub fn conditions(
    roles: &[RoleState; 3],
    findings: &Findings,
    paused: bool,
    before: Option<&Condition>,
) -> Vec<Condition> {
    let available = available(roles);
    let progressing = progressing(roles, findings, paused);
    let degraded = degraded(roles, findings);
    let data_access = data_access(findings).or_else(|| before.cloned());
    let stalled = stalled(roles, findings, &degraded);
    let reconciling = reconciling(&progressing, &stalled);
    let ready = ready(&available, &degraded, data_access.as_ref());
    let paused = match paused {
        true => {
            new(ConditionType::Paused, "True", "SpecPaused", "spec.paused is true: nothing is changed".into())
        }
        false => new(ConditionType::Paused, "False", "NotPaused", String::new()),
    };
    let mut all = vec![ready, reconciling, stalled, available, progressing, degraded, paused];
    all.extend(data_access);
    all
}

fn is_true(condition: &Condition) -> bool {
    condition.status == "True"
}

fn ready(available: &Condition, degraded: &Condition, data_access: Option<&Condition>) -> Condition {
    let kind = ConditionType::Ready;
    let because = |other: &Condition| {
        let message = if other.message.is_empty() { &other.reason } else { &other.message };
        new(kind, "False", &other.reason, message.clone())
    };
    match data_access {
        _ if is_true(degraded) => because(degraded),
        _ if !is_true(available) => because(available),
        None => new(kind, "False", "DataAccessUnknown", "data-access pods were not looked for yet".into()),
        Some(data) if !is_true(data) => because(data),
        Some(_) => new(kind, "True", "Answers", "clients are answered, with data".into()),
    }
}

fn reconciling(progressing: &Condition, stalled: &Condition) -> Condition {
    let kind = ConditionType::Reconciling;
    match is_true(progressing) && !is_true(stalled) {
        true => new(kind, "True", &progressing.reason, progressing.message.clone()),
        false => new(kind, "False", &progressing.reason, String::new()),
    }
}

fn stalled(roles: &[RoleState; 3], findings: &Findings, degraded: &Condition) -> Condition {
    let kind = ConditionType::Stalled;
    let held = findings.blocked || findings.held_parts().is_some();
    let stuck = roles.iter().any(|state| state.rollout.stuck);
    match (held || stuck) && !findings.retried && is_true(degraded) {
        true => new(kind, "True", &degraded.reason, degraded.message.clone()),
        false => new(kind, "False", "NotStalled", String::new()),
    }
}

fn data_access(findings: &Findings) -> Option<Condition> {
    let kind = ConditionType::DataAccess;
    let (found, selector) = findings.data_access.as_ref()?;
    Some(match (found, &findings.links_refused) {
        (true, Some(refused)) => new(kind, "False", "LinksRefused", shortened(refused.clone())),
        (true, None) => new(kind, "True", "PodsFound", format!("pods match {selector}")),
        (false, _) => {
            let message = format!(
                "no pod of this namespace matches {selector}: queries get rc 58 (NO_DAP) until one does or one registers itself"
            );
            new(kind, "False", "NoPods", message)
        }
    })
}

fn available(roles: &[RoleState; 3]) -> Condition {
    let missing: Vec<&RoleState> = roles.iter().filter(|state| state.rollout.ready == 0).collect();
    if missing.is_empty() {
        return new(ConditionType::Available, "True", "AllRolesReady", "each role has a ready pod".into());
    }
    let off = missing.iter().any(|state| state.rollout.wanted == 0 && state.rollout.observed);
    let reason = if off { "ScaledToZero" } else { "NotReady" };
    let names: Vec<_> = missing.iter().map(|state| state.role.short()).collect();
    let whys = missing.iter().filter_map(|state| state.pods_told());
    let message = std::iter::once(format!("no ready pod of: {}", names.join(", "))).chain(whys);
    let message = shortened(message.collect::<Vec<_>>().join("; "));
    new(ConditionType::Available, "False", reason, message)
}

fn progressing(roles: &[RoleState; 3], findings: &Findings, paused: bool) -> Condition {
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
    let under_way: Vec<_> = roles
        .iter()
        .filter(|state| !state.rollout.complete() && !findings.held_roles.contains(&state.role))
        .map(|RoleState { role, rollout, .. }| {
            format!(
                "{} {} of {} updated, {} ready",
                role.short(),
                rollout.updated,
                rollout.wanted,
                rollout.ready
            )
        })
        .collect();
    if let Some(held) = findings.held_parts() {
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

fn degraded(roles: &[RoleState; 3], findings: &Findings) -> Condition {
    let mut troubles = findings.troubles.clone();
    for state in roles {
        let role = state.role.short();
        if let Some(trouble) = &state.rollout.trouble {
            troubles.push(("PodsRefused", format!("{role}: {trouble}")));
        }
        if let Some(told) = state.pods_told() {
            troubles.push(("PodsFailing", told));
        }
        if state.rollout.stuck {
            let message = format!("{role}: no progress within the Deployment's deadline; look at its pods");
            troubles.push(("RolloutStuck", message));
        }
        if let Some(trouble) = &state.autoscaler {
            troubles.push(("AutoscalerInactive", format!("{role}: {trouble}")));
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

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use std::collections::BTreeMap;

    fn well(role: Role) -> RoleState {
        let rollout =
            Rollout { observed: true, wanted: 1, replicas: 1, updated: 1, ready: 1, ..Rollout::default() };
        RoleState { role, rollout, pods: vec![], autoscaler: None }
    }

    fn found(data: bool) -> Findings {
        Findings { data_access: Some((data, "a=b".into())), ..Findings::default() }
    }

    fn by_type(all: Vec<Condition>) -> BTreeMap<String, Condition> {
        all.into_iter().map(|one| (one.type_.clone(), one)).collect()
    }

    #[test]
    fn ready_is_true_where_clients_get_data_and_nothing_else() {
        let roles = Role::ALL.map(well);
        assert!(is_true(&by_type(conditions(&roles, &found(true), false, None))["Ready"]));
        let without = by_type(conditions(&roles, &found(false), false, None));
        assert_eq!((without["Ready"].status.as_str(), without["Ready"].reason.as_str()), ("False", "NoPods"));
        let mut crashing = roles.clone();
        crashing[0].pods = vec!["pod g-gw-1: container gw ended with exit code 1".into()];
        let told = by_type(conditions(&crashing, &found(true), false, None));
        assert_eq!(told["Ready"].reason, "PodsFailing");
        assert!(told["Degraded"].message.contains("gateway: pod g-gw-1"), "{:?}", told["Degraded"]);
        crashing[0].rollout.ready = 0;
        let told = by_type(conditions(&crashing, &found(true), false, None));
        assert!(told["Available"].message.contains("pod g-gw-1"), "{:?}", told["Available"]);
    }

    fn random_role(random: &mut StdRng, role: Role) -> RoleState {
        let wanted = random.random_range(0..3);
        let rollout = Rollout {
            observed: random.random_bool(0.8),
            wanted,
            replicas: random.random_range(0..=wanted + 1),
            updated: random.random_range(0..=wanted),
            ready: random.random_range(0..=wanted),
            stuck: random.random_bool(0.1),
            trouble: random.random_bool(0.1).then(|| "exceeded quota".into()),
        };
        let pods = (0..random.random_range(0..4)).filter(|_| random.random_bool(0.3));
        RoleState {
            role,
            rollout,
            pods: pods.map(|n| format!("pod p{n}: container gw ended with exit code 1")).collect(),
            autoscaler: random.random_bool(0.1).then(|| "FailedGetResourceMetric: no request".into()),
        }
    }

    fn random_findings(random: &mut StdRng) -> Findings {
        let mut findings = match random.random_range(0..4) {
            0 => Findings::default(),
            n => found(n > 1),
        };
        if random.random_bool(0.2) {
            findings.links_refused = Some("1 data processes were never linked".into());
        }
        match random.random_range(0..8) {
            0 => findings.refused("the API server refused it".into()),
            1 => findings.failed("no answer".into()),
            2 => {
                findings.trouble("MissingReference", "ConfigMap 'c' does not exist");
                findings.held_roles.insert(Role::ALL[random.random_range(0..3)]);
            }
            3 => {
                findings.trouble("InvalidSpec", "a in b");
                findings.blocked = true;
            }
            4 => {
                findings.trouble("NameTaken", "Service 'g-gw' exists");
                findings.held.push("Service g-gw".into());
            }
            _ => {}
        }
        findings
    }

    #[test]
    fn conditions_never_contradict_each_other() {
        let seed: u64 = rand::rng().random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut ready = 0;
        for case in 0..5_000 {
            let calm = random.random_bool(0.3);
            let roles = Role::ALL.map(|role| if calm { well(role) } else { random_role(&mut random, role) });
            let findings = random_findings(&mut random);
            let paused = random.random_bool(0.1);
            let all = by_type(conditions(&roles, &findings, paused, None));
            let context = format!("seed {seed}, case {case}: {roles:?} {findings:?} {all:?}");
            let holds = |kind: &str| all.get(kind).is_some_and(is_true);
            assert!(!(holds("Ready") && holds("Stalled")), "{context}");
            assert!(!(holds("Reconciling") && holds("Stalled")), "{context}");
            assert!(!holds("Stalled") || holds("Degraded"), "{context}");
            // By itself, from what went in.
            let answers = roles.iter().all(|state| state.rollout.ready > 0);
            let with_data = findings.data_access.as_ref().is_some_and(|(found, _)| *found)
                && findings.links_refused.is_none();
            let calm = findings.troubles.is_empty()
                && roles.iter().all(|state| {
                    state.pods.is_empty()
                        && state.autoscaler.is_none()
                        && state.rollout.trouble.is_none()
                        && !state.rollout.stuck
                });
            assert_eq!(holds("Ready"), answers && with_data && calm, "{context}");
            assert!(holds("Ready") || !all["Ready"].message.is_empty(), "{context}");
            for state in roles.iter().filter(|state| !state.pods.is_empty()) {
                assert!(all["Degraded"].message.contains(&state.pods[0]), "{context}");
            }
            ready += usize::from(holds("Ready"));
        }
        assert!(ready > 100, "{ready} of the states are ready ones");
    }
}
