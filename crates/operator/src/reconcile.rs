//! The pass over one resource, and how long until the next.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};
use operator_api::build;
use operator_api::build::ImageDefaults;
use operator_api::mesh_secret::MeshSecret;
use operator_api::names;
use operator_api::selector::Selector;
use operator_api::spec::{MeshSecretMode, ServiceGateway};
use operator_api::status::ServiceGatewayStatus;
use operator_api::validate::{data_access_selector, overlaps, validate};
use rand::Rng;

use crate::api::{Caller, shown};
use crate::apply::{Owner, apply};
use crate::dereference::{Contents, dereference};
use crate::error::Error;
use crate::events::Events;
use crate::index::{Index, Key};
use crate::kinds::Kind;
use crate::orphans;
use crate::own_pods::OwnPods;
use crate::status::{self, Findings};

/// A resource as it is watched: one that cannot be read spoils only itself.
pub type Guarded = DeserializeGuard<ServiceGateway>;

/// First delay after a failed pass, and the longest. What was in the way (a quota, a webhook, a policy) may go at any
/// time, and no watch tells.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// When to look again where no watch tells: at objects of others that are in the way, at pods with labels of
/// the user's own choice.
const POLL: Duration = Duration::from_secs(60);
/// The same where data pods are not linked.
const LINKS_POLL: Duration = Duration::from_secs(10);

/// What all passes share.
pub struct Context {
    /// To the API server.
    pub caller: Caller,
    /// The children that exist.
    pub index: Index,
    /// Our pods that have a trouble.
    pub own_pods: OwnPods,
    /// What resources refer to.
    pub contents: Contents,
    /// Events.
    pub events: Events,
    /// Images of resources that do not say which.
    pub images: ImageDefaults,
    /// Time until a resource is looked at again though nothing happened.
    pub resync: Duration,
    /// Is the API of PodMonitors there?
    pub pod_monitors: AtomicBool,
    /// What is remembered of each resource, by uid.
    pub memories: Memories,
}

/// What is remembered of each resource.
#[derive(Default)]
pub struct Memories(Mutex<HashMap<String, Memory>>, crate::kept::KeptSecrets);

#[derive(Default)]
struct Memory {
    failures: u32,
    /// The status as we last wrote it, and the version of the resource that came of it.
    status: Option<(u64, ServiceGatewayStatus)>,
    /// The secret of the mesh, and the fingerprint of the Secret it was read from.
    mesh: Option<(u64, MeshSecret)>,
    /// The sentence about an unreadable object that was told.
    told: Option<String>,
}

impl Memories {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, uid: &str, work: impl FnOnce(&mut Memory) -> T) -> T {
        work(self.all().entry(uid.to_owned()).or_default())
    }

    /// A watch shows the resource as it was at this version: what we wrote up to then need not be remembered.
    pub fn caught_up(&self, uid: &str, version: u64) {
        if let Some(memory) = self.all().get_mut(uid) {
            memory.status = memory.status.take().filter(|(at, _)| *at > version);
        }
    }

    /// A resource is gone.
    pub fn forget(&self, uid: &str) {
        self.all().remove(uid);
    }
}

/// One pass; counted, timed, and never the end of the operator.
pub async fn reconcile(
    object: Arc<Guarded>,
    store: Store<Guarded>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let begun = Instant::now();
    let metrics = context.caller.metrics.clone();
    metrics.in_flight(1);
    let uid = object.uid().unwrap_or_default();
    let result = match &object.0 {
        Ok(gateway) => look(gateway, &store, &context).await,
        Err(invalid) => unreadable(&object, &invalid.error, &context).await,
    };
    metrics.in_flight(-1);
    metrics.children(context.index.len());
    metrics.pass(result.as_ref().err().map_or("ok", Error::kind), begun.elapsed());
    if result.is_ok() {
        context.memories.with(&uid, |memory| memory.failures = 0);
    }
    result
}

/// How long to wait after a failed pass: longer with each in a row, jittered.
pub fn after_error(object: &Guarded, error: &Error, context: &Context) -> Action {
    let uid = object.uid().unwrap_or_default();
    let failures = context.memories.with(&uid, |memory| {
        memory.failures = memory.failures.saturating_add(1);
        memory.failures
    });
    let delay = BACKOFF.0.saturating_mul(1 << failures.min(16).saturating_sub(1)).min(BACKOFF.1);
    let delay = jittered(delay);
    tracing::warn!(resource = shown(object), %error, failures, ?delay, "pass failed");
    Action::requeue(delay)
}

fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(rand::rng().random_range(0.75..1.25))
}

/// A pass over a resource, and the status after it: also where the pass fails.
async fn look(gateway: &ServiceGateway, store: &Store<Guarded>, context: &Context) -> Result<Action, Error> {
    let (Some(name), Some(namespace), Some(uid)) = (
        gateway.metadata.name.as_deref(),
        gateway.metadata.namespace.as_deref(),
        gateway.metadata.uid.as_deref(),
    ) else {
        return Ok(Action::await_change());
    };
    if gateway.metadata.deletion_timestamp.is_some() {
        // Children go with it by their owner references; making them again would only fight that.
        return Ok(Action::await_change());
    }
    let owner = Owner { namespace, name, uid };
    let mut findings = Findings::default();
    let mut again = context.resync;
    let passed = pass(gateway, owner, store, context, &mut findings, &mut again).await;
    if let Err(error) = &passed {
        let before = context.memories.with(uid, |memory| memory.failures);
        match error.refusal() {
            Some(refusal) => findings.refused(refusal),
            // Most failures pass by themselves: the third in a row is told.
            None if before < 2 => return passed.map(|()| Action::await_change()),
            None => findings.failed(error.sentence()),
        }
    }
    let looked = look_for_data_access(gateway, owner, context, &mut findings, &mut again).await;
    let said = say(gateway, owner, &findings, context).await;
    passed.and(looked).and(said).map(|()| Action::requeue(jittered(again)))
}

async fn pass(
    gateway: &ServiceGateway,
    owner: Owner<'_>,
    store: &Store<Guarded>,
    context: &Context,
    findings: &mut Findings,
    again: &mut Duration,
) -> Result<(), Error> {
    let caller = &context.caller;
    let Owner { namespace, name, .. } = owner;
    for problem in validate(gateway) {
        findings.trouble("InvalidSpec", problem.to_string());
    }
    findings.blocked = !findings.troubles.is_empty();
    let (mut referenced, missing) =
        dereference(caller, &context.contents, namespace, name, &gateway.spec).await?;
    referenced.pod_monitor_api = context.pod_monitors.load(Ordering::Relaxed);
    for one in missing {
        findings.trouble("MissingReference", one.sentence);
        findings.held_roles.extend(one.roles);
    }
    if gateway.spec.monitoring.pod_monitor.is_some() && !referenced.pod_monitor_api {
        findings.trouble(
            "NoPodMonitorApi",
            "spec.monitoring.podMonitor: the API monitoring.coreos.com/v1 is not installed",
        );
        *again = (*again).min(POLL);
    }
    let neighbours = store.state();
    let others = neighbours
        .iter()
        .filter(|other| other.namespace().as_deref() == Some(namespace))
        .filter_map(|other| other.0.as_ref().ok())
        .filter_map(|other| Some((other.metadata.name.as_deref()?, &other.spec)));
    for problem in overlaps(name, &gateway.spec, others) {
        findings.trouble("SelectorOverlap", problem.to_string());
        *again = (*again).min(POLL);
    }
    if findings.blocked || gateway.spec.paused {
        return Ok(());
    }
    let (secret, put_back) = mesh_secret(gateway, owner, context).await?;
    referenced.mesh_secret = secret.clone();
    let children = build(gateway, &referenced, &context.images)
        .in_order()
        .map_err(|source| Error::Json { what: format!("children of {namespace}/{name}"), source })?;
    let outcome = apply(caller, &context.index, owner, &children, &findings.held_roles).await?;
    remember_secret(context, owner, secret);
    if put_back {
        crate::kept::tell(gateway, name, context).await;
    }
    if !outcome.taken.is_empty() {
        *again = (*again).min(POLL);
    }
    for sentence in outcome.taken {
        findings.trouble("NameTaken", sentence);
    }
    findings.held.extend(outcome.held);
    findings.held_roles.extend(outcome.held_roles);
    if outcome.written > 0 {
        tracing::info!(resource = %format!("{namespace}/{name}"), written = outcome.written, "applied");
    }
    let removed = orphans::remove(caller, &context.index, namespace, owner.uid, &children).await?;
    if !removed.is_empty() {
        tracing::info!(resource = %format!("{namespace}/{name}"), ?removed, "no longer asked for");
    }
    Ok(())
}

/// The secret of the mesh as it is to be; true where it is not there and is put back as it was.
async fn mesh_secret(
    gateway: &ServiceGateway,
    owner: Owner<'_>,
    context: &Context,
) -> Result<(Option<MeshSecret>, bool), Error> {
    let Owner { namespace, name, uid } = owner;
    if gateway.spec.mesh_secret.mode == MeshSecretMode::None {
        return Ok((None, false));
    }
    let object = names::mesh_secret(name);
    let key = Key { kind: Kind::Secret, namespace: namespace.into(), name: object.clone() };
    let seen = context.index.get(&key);
    let known = context.memories.with(uid, |memory| memory.mesh.clone());
    let existing = match (known, seen) {
        (Some((fingerprint, secret)), Some(seen)) if seen.fingerprint == fingerprint => Some(secret),
        _ => {
            let found: Option<Secret> = context.caller.get(namespace, &object).await?;
            found
                .filter(|secret| crate::kept::is_of(secret, name, uid))
                .and_then(|secret| MeshSecret::read(&secret))
        }
    };
    // A fresh secret would reach the processes at different times, and processes with different secrets refuse each
    // other.
    let kept = existing.is_none().then(|| context.memories.1.get(namespace, name)).flatten();
    let put_back = kept.is_some();
    let rotation = gateway.spec.mesh_secret.rotation.as_deref();
    Ok((Some(MeshSecret::next(existing.or(kept), rotation, fresh_secret)), put_back))
}

/// 256 bits from the system's generator, as hexadecimal text.
fn fresh_secret() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn remember_secret(context: &Context, owner: Owner<'_>, secret: Option<MeshSecret>) {
    let Owner { namespace, name, uid } = owner;
    let key = Key { kind: Kind::Secret, namespace: namespace.into(), name: names::mesh_secret(name) };
    let fingerprint = context.index.get(&key).map(|seen| seen.fingerprint);
    if let Some(secret) = &secret {
        context.memories.1.keep(namespace, name, secret.clone());
    }
    let mesh = fingerprint.zip(secret);
    context.memories.with(uid, |memory| memory.mesh = mesh);
}

async fn look_for_data_access(
    gateway: &ServiceGateway,
    owner: Owner<'_>,
    context: &Context,
    findings: &mut Findings,
    again: &mut Duration,
) -> Result<(), Error> {
    let Owner { namespace, name, .. } = owner;
    let text = data_access_selector(name, &gateway.spec);
    let Ok(selector) = Selector::parse(&text) else { return Ok(()) };
    // Pods with the usual label are watched; for others the API server is asked now and then.
    let found = if selector.requires(names::NAME, names::DATA_ACCESS) {
        context.index.pods(namespace, &selector) > 0
    } else {
        *again = (*again).min(POLL);
        let api = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(
            context.caller.client.clone(),
            namespace,
        );
        let how = kube::api::ListParams::default().labels(&text).limit(1);
        let call = async move { api.list_metadata(&how).await };
        !context.caller.call("list", "pods", call).await?.items.is_empty()
    };
    if found && is_up(namespace, name, context) {
        findings.links_refused = crate::links::refused(&build::coordinator_health(namespace, name)).await;
        // Links that are missing at first mostly come; no watch tells.
        *again = (*again).min(if findings.links_refused.is_some() { LINKS_POLL } else { POLL });
    }
    findings.data_access = Some((found, text));
    Ok(())
}

/// Is a coordinator ready?
fn is_up(namespace: &str, name: &str, context: &Context) -> bool {
    let name = names::Role::Coordinator.object(name);
    let seen = context.index.get(&Key { kind: Kind::Deployment, namespace: namespace.into(), name });
    seen.and_then(|seen| seen.rollout).is_some_and(|rollout| rollout.ready > 0)
}

/// Write the status where it differs, and tell what is new.
async fn say(
    gateway: &ServiceGateway,
    owner: Owner<'_>,
    findings: &Findings,
    context: &Context,
) -> Result<(), Error> {
    let Owner { namespace, name, uid } = owner;
    let version = |object: &ServiceGateway| {
        object
            .metadata
            .resource_version
            .as_deref()
            .and_then(|version| version.parse::<u64>().ok())
            .unwrap_or(0)
    };
    // The store may not have seen yet what we wrote.
    let mut current = gateway.clone();
    let written = context.memories.with(uid, |memory| memory.status.clone());
    if let Some((at, status)) = written
        && at > version(gateway)
    {
        current.status = Some(status);
    }
    let wanted = status::status(&current, &context.index, &context.own_pods, findings, Timestamp::now());
    if current.status.as_ref() == Some(&wanted) {
        return Ok(());
    }
    let after = status::write(&context.caller, namespace, name, &wanted).await?;
    context.memories.with(uid, |memory| memory.status = Some((version(&after), wanted.clone())));
    let about = gateway.object_ref(&());
    for condition in status::news(current.status.as_ref(), &wanted) {
        let bad = matches!((condition.type_.as_str(), condition.status.as_str()), ("Degraded", "True"));
        let note = if condition.message.is_empty() { &condition.reason } else { &condition.message };
        let note = format!("{}={}: {note}", condition.type_, condition.status);
        context.events.publish(&about, bad, &condition.reason, &note).await;
    }
    Ok(())
}

/// An object that is not understood costs an event, once, and nothing else.
async fn unreadable(object: &Guarded, error: &str, context: &Context) -> Result<Action, Error> {
    let uid = object.uid().unwrap_or_default();
    let sentence = Error::Unreadable(error.into()).to_string();
    let new = context
        .memories
        .with(&uid, |memory| memory.told.replace(sentence.clone()).as_ref() != Some(&sentence));
    if new {
        tracing::warn!(resource = shown(object), error, "a stored object is not understood");
        context.events.publish(&object.object_ref(&()), true, "Unreadable", &sentence).await;
    }
    // Only a change of the object can help.
    Ok(Action::await_change())
}
