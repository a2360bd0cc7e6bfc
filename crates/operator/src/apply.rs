//! Fourth step: server-side apply of what differs from what is there, in the order of [`operator_api::child`].
//!
//! | what is there | what is done |
//! | --- | --- |
//! | nothing yet | each child is applied; a failure names the children applied before |
//! | a gateway, one child differs | one apply |
//! | a gateway, several children differ | a dry run of each first: where one is refused, none is applied |
//!
//! Pods of a role with missing references stay unchanged; only the number of pods is set. Tests: `tests/passes`.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use kube::api::{DynamicObject, Patch, PatchParams};
use operator_api::Child;
use operator_api::names::{HANDOVER_MANAGER, Role};
use serde_json::{Value, json};

use crate::api::Caller;
use crate::error::Error;
use crate::index::{Index, Key};
use crate::kinds::{Kind, Rollout, Seen};

/// The resource whose children these are.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its uid.
    pub uid: &'a str,
}

/// What came of applying.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Objects with our names that are not ours, as sentences.
    pub taken: Vec<String>,
    /// Children that were not applied for that, Deployments aside: kind and name.
    pub held: Vec<String>,
    /// Roles whose Deployments were not applied.
    pub held_roles: BTreeSet<Role>,
    /// How many children were written.
    pub written: usize,
}

/// A child that differs.
struct Step<'a> {
    child: &'a Child,
    key: Key,
    hash: u64,
    /// `replicas` passes to an autoscaler.
    hand_over: bool,
    /// Only the number of pods is to be set.
    scale: Option<i64>,
    is_new: bool,
}

/// Apply what differs. The pods of `held` roles stay as they are.
pub async fn apply(
    caller: &Caller,
    index: &Index,
    owner: Owner<'_>,
    children: &[Child],
    held: &BTreeSet<Role>,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let steps = steps(caller, index, owner, children, held, &mut outcome).await?;
    if steps.iter().any(|step| !step.is_new) {
        try_all(caller, owner, &steps).await?;
    }
    let mut applied = Vec::new();
    for step in steps {
        let name = format!("{} {}", step.key.kind.resource().kind, step.key.name);
        if let Err(source) = take(caller, index, owner, step).await {
            return Err(match applied.is_empty() {
                true => source,
                false => Error::After { source: Box::new(source), applied },
            });
        }
        applied.push(name);
        outcome.written += 1;
    }
    Ok(outcome)
}

/// What is to be done. Objects in the way are told in the outcome.
async fn steps<'a>(
    caller: &Caller,
    index: &Index,
    owner: Owner<'_>,
    children: &'a [Child],
    held: &BTreeSet<Role>,
    outcome: &mut Outcome,
) -> Result<Vec<Step<'a>>, Error> {
    let mut steps = Vec::new();
    let mut no_pods = false;
    for child in children {
        let key = Key { kind: child.kind, namespace: owner.namespace.into(), name: child.name.clone() };
        let hash = hash(&child.object);
        if index.unchanged(&key, hash) {
            continue;
        }
        let resource = child.kind.resource();
        let role = Role::ALL
            .into_iter()
            .find(|role| child.kind == Kind::Deployment && role.object(owner.name) == child.name);
        let known = index.get(&key);
        if let Some(role) = role.filter(|role| held.contains(role)) {
            outcome.held_roles.insert(role);
            let replicas = child.object.pointer("/spec/replicas").and_then(Value::as_i64);
            let ours = known.filter(|seen| seen.owner.as_deref() == Some(owner.uid));
            let now = ours.and_then(|seen| seen.rollout).map(|rollout| i64::from(rollout.wanted));
            if let Some(scale) = replicas.filter(|wanted| now.is_some_and(|now| now != *wanted)) {
                let step = Step { child, key, hash, hand_over: false, scale: Some(scale), is_new: false };
                steps.push(step);
            }
            continue;
        }
        if let Some(role) = role.filter(|_| no_pods) {
            // Its pods would run under an account, or with a secret, that is somebody else's.
            outcome.held_roles.insert(role);
            continue;
        }
        let there = match known {
            Some(seen) => Some(seen),
            // Never seen: it may be there without our label.
            None => caller
                .metadata(&resource, owner.namespace, &child.name)
                .await?
                .map(|found| Seen::of(&found.metadata, None)),
        };
        let is_new = there.is_none();
        let mut hand_over = false;
        if let Some(there) = there {
            if there.owner.as_deref() != Some(owner.uid) {
                no_pods |= matches!(
                    child.kind,
                    Kind::ServiceAccount | Kind::Role | Kind::RoleBinding | Kind::Secret
                );
                outcome.taken.push(taken(&resource.kind, &child.name, &there));
                match role {
                    Some(role) => _ = outcome.held_roles.insert(role),
                    None => outcome.held.push(format!("{} {}", resource.kind, child.name)),
                }
                continue;
            }
            let autoscaled = child.object.pointer("/spec/replicas").is_none();
            hand_over = child.kind == Kind::Deployment && autoscaled && there.owns_replicas;
        }
        steps.push(Step { child, key, hash, hand_over, scale: None, is_new });
    }
    Ok(steps)
}

/// Ask for all children but the first, which is applied first: where its apply is refused, nothing was applied either.
async fn try_all(caller: &Caller, owner: Owner<'_>, steps: &[Step<'_>]) -> Result<(), Error> {
    for step in steps.iter().skip(1).filter(|step| step.scale.is_none()) {
        let child = step.child;
        let asked = caller.dry_run(&child.kind.resource(), owner.namespace, &child.name, &child.object).await;
        match asked {
            Err(error) if error.no_dry_run() => {
                tracing::info!(%error, "a webhook takes no dry runs; the children are applied without");
                return Ok(());
            }
            asked => asked?,
        }
    }
    Ok(())
}

async fn take(caller: &Caller, index: &Index, owner: Owner<'_>, step: Step<'_>) -> Result<(), Error> {
    let Step { child, key, hash, hand_over, scale, .. } = step;
    if let Some(replicas) = scale {
        let now = hold_replicas(caller, owner.namespace, &child.name, replicas).await?;
        index.saw(key, Seen::of(&now.metadata, rollout(&now)));
        return Ok(());
    }
    if hand_over {
        let there = caller
            .get::<k8s_openapi::api::apps::v1::Deployment>(owner.namespace, &child.name)
            .await?
            .and_then(|deployment| deployment.spec);
        if let Some(spec) = there {
            let replicas = i64::from(spec.replicas.unwrap_or(1));
            hold_replicas(caller, owner.namespace, &child.name, replicas).await?;
        }
    }
    let applied = caller.apply(&child.kind.resource(), owner.namespace, &child.name, &child.object).await?;
    let rollout = (child.kind == Kind::Deployment).then(|| rollout(&applied)).flatten();
    index.applied(key, hash, Seen::of(&applied.metadata, rollout));
    Ok(())
}

fn taken(kind: &str, name: &str, there: &Seen) -> String {
    match (&there.owner_name, there.deleting) {
        (Some(other), true) => {
            format!("{kind} '{name}' still belongs to an earlier '{other}' and is being deleted")
        }
        (Some(other), false) => {
            format!(
                "{kind} '{name}' belongs to another ServiceGateway named '{other}' that is gone or renamed; delete it"
            )
        }
        (None, _) => format!(
            "{kind} '{name}' exists and was not made by this operator; it is left alone: delete or rename it, or choose another name for the ServiceGateway"
        ),
    }
}

/// Sets `spec.replicas` alone, as a manager of its own. The pod template stays as it is. And where the operator drops
/// `replicas` for an autoscaler, this manager holds the number, which would fall to 1 without any.
async fn hold_replicas(
    caller: &Caller,
    namespace: &str,
    name: &str,
    replicas: i64,
) -> Result<DynamicObject, Error> {
    let holder = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name },
        "spec": { "replicas": replicas },
    });
    let api = caller.objects(&Kind::Deployment.resource(), namespace);
    let how = PatchParams::apply(HANDOVER_MANAGER).force();
    let call = async move { api.patch(name, &how, &Patch::Apply(holder)).await };
    caller.call("apply", &format!("replicas of Deployment {name}"), call).await
}

fn rollout(object: &DynamicObject) -> Option<Rollout> {
    let object = serde_json::to_value(object).ok()?;
    serde_json::from_value(object).ok().map(|deployment| Rollout::of(&deployment))
}

/// Of what is sent. The order of keys is that of the types, so equal objects hash alike.
fn hash(object: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.to_string().hash(&mut hasher);
    hasher.finish()
}
