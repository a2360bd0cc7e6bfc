//! Fourth step: server-side apply of what differs from what is there, in the order of [`operator_api::child`].

use std::hash::{DefaultHasher, Hash, Hasher};

use kube::api::{Patch, PatchParams};
use operator_api::Child;
use operator_api::names::HANDOVER_MANAGER;
use serde_json::{Value, json};

use crate::api::Caller;
use crate::error::Error;
use crate::index::{Index, Key};
use crate::kinds::{Kind, Rollout, Seen};

/// What came of applying.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Objects with our names that are not ours, as sentences.
    pub taken: Vec<String>,
    /// How many children were written.
    pub written: usize,
}

/// Apply what differs.
pub async fn apply(
    caller: &Caller,
    index: &Index,
    namespace: &str,
    owner: &str,
    children: &[Child],
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let mut blocked = false;
    for child in children {
        let key = Key { kind: child.kind, namespace: namespace.into(), name: child.name.clone() };
        let hash = hash(&child.object);
        if index.unchanged(&key, hash) {
            continue;
        }
        if blocked && child.kind == Kind::Deployment {
            // Its pods would run under an account, or with a secret, that is somebody else's.
            continue;
        }
        let resource = child.kind.resource();
        let known = index.get(&key);
        let there = match &known {
            Some(seen) => Some(seen.clone()),
            // Never seen: it may be there without our label.
            None => caller
                .metadata(&resource, namespace, &child.name)
                .await?
                .map(|found| Seen::of(&found.metadata, None)),
        };
        if let Some(there) = there {
            if there.owner.as_deref() != Some(owner) {
                blocked |= matches!(
                    child.kind,
                    Kind::ServiceAccount | Kind::Role | Kind::RoleBinding | Kind::Secret
                );
                outcome.taken.push(taken(&resource.kind, &child.name, &there));
                continue;
            }
            let autoscaled = child.object.pointer("/spec/replicas").is_none();
            if child.kind == Kind::Deployment && autoscaled && there.owns_replicas {
                hand_over(caller, namespace, child).await?;
            }
        }
        let applied = caller.apply(&resource, namespace, &child.name, &child.object).await?;
        let rollout = (child.kind == Kind::Deployment).then(|| rollout(&applied)).flatten();
        index.applied(key, hash, Seen::of(&applied.metadata, rollout));
        outcome.written += 1;
    }
    Ok(outcome)
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

/// Dropped by its only manager, `replicas` would fall to 1 before the autoscaler sets it: another manager holds
/// the number that is there until then.
async fn hand_over(caller: &Caller, namespace: &str, child: &Child) -> Result<(), Error> {
    let Some(deployment) =
        caller.get::<k8s_openapi::api::apps::v1::Deployment>(namespace, &child.name).await?
    else {
        return Ok(());
    };
    let replicas = deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let holder = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": child.name },
        "spec": { "replicas": replicas },
    });
    let api = caller.objects(&child.kind.resource(), namespace);
    let how = PatchParams::apply(HANDOVER_MANAGER).force();
    let call = async move { api.patch(&child.name, &how, &Patch::Apply(holder)).await };
    caller.call("apply", &format!("replicas of Deployment {}", child.name), call).await.map(|_| ())
}

fn rollout(object: &kube::api::DynamicObject) -> Option<Rollout> {
    let object = serde_json::to_value(object).ok()?;
    serde_json::from_value(object).ok().map(|deployment| Rollout::of(&deployment))
}

/// Of what is sent. The order of keys is that of the types, so equal objects hash alike.
fn hash(object: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.to_string().hash(&mut hasher);
    hasher.finish()
}
