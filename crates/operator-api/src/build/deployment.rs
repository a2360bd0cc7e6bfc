//! The Deployment of a role.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, ContainerPort, HTTPGetAction, Lifecycle, LifecycleHandler,
    LocalObjectReference, PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec,
    Probe, SeccompProfile, SecurityContext, SleepAction, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use sha2::{Digest, Sha256};

use super::context::Context;
use super::environment::environment;
use super::volumes::volumes;
use crate::names::{self, DEFAULT_PULL_SECRET, Role};
use crate::spec::{PodUser, ProbeTiming, RoleSpec, Sidecar, UpdateStrategyType};
use crate::walk::walk;

/// User and group of the processes: no name, no rights, as in the images.
const USER: i64 = 65532;
/// Seconds that a process goes on as before after its pod was told to go. Its successor became ready only just now,
/// and who finds pods by their readiness (clients by the Service, GWs and RCs by their watch) has yet to reach it.
const LINGER: i64 = 3;
/// Seconds from being told to stop until it is killed.
const GRACE: i64 = 30;
/// Old ReplicaSets that are kept to go back to.
const HISTORY: i32 = 3;

pub(super) fn deployment(cx: &Context<'_>, role: Role) -> Deployment {
    let settings = cx.spec.role(role);
    let labels = names::selector_labels(cx.name, role);
    let spec = DeploymentSpec {
        replicas: settings.fixed_replicas(),
        revision_history_limit: Some(HISTORY),
        selector: LabelSelector { match_labels: Some(labels), ..Default::default() },
        strategy: Some(strategy(settings)),
        template: template(cx, role, settings),
        ..Default::default()
    };
    Deployment { metadata: cx.role_meta(role), spec: Some(spec), status: None }
}

fn strategy(settings: &RoleSpec) -> DeploymentStrategy {
    match settings.update_strategy.kind {
        UpdateStrategyType::Recreate => {
            DeploymentStrategy { type_: Some("Recreate".into()), rolling_update: None }
        }
        UpdateStrategyType::RollingUpdate => {
            let or =
                |value: &Option<IntOrString>, default| value.clone().unwrap_or(IntOrString::Int(default));
            let rolling = RollingUpdateDeployment {
                max_surge: Some(or(&settings.update_strategy.max_surge, 1)),
                max_unavailable: Some(or(&settings.update_strategy.max_unavailable, 0)),
            };
            DeploymentStrategy { type_: Some("RollingUpdate".into()), rolling_update: Some(rolling) }
        }
    }
}

fn template(cx: &Context<'_>, role: Role, settings: &RoleSpec) -> PodTemplateSpec {
    let mut labels = names::role_labels(cx.name, role);
    labels.extend(settings.pod_labels.clone());
    let mut annotations = settings.pod_annotations.clone();
    let pod = pod(cx, role);
    annotations.insert(names::CONFIG_HASH.into(), config_hash(cx, &pod));
    let metadata = ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..Default::default() };
    PodTemplateSpec { metadata: Some(metadata), spec: Some(pod) }
}

pub(super) fn pod(cx: &Context<'_>, role: Role) -> PodSpec {
    let settings = cx.spec.role(role);
    let (volumes, mounts) = volumes(cx, role);
    let process = process(cx, role, settings, mounts);
    // The process is the last container apart from a sidecar: port look-ups take the last container without the name
    // sidecar.
    let containers = std::iter::once(process).chain(settings.sidecar.as_ref().map(sidecar)).collect();
    PodSpec {
        affinity: Some(settings.affinity.clone().unwrap_or_else(|| apart(cx, role))),
        automount_service_account_token: Some(cx.reads_pods() && role != Role::Aggregator),
        containers,
        // A Service named `kxi` in the namespace would put a KXI_PORT of its own into every pod.
        enable_service_links: Some(false),
        image_pull_secrets: pull_secrets(cx),
        node_selector: (!settings.node_selector.is_empty()).then(|| settings.node_selector.clone()),
        priority_class_name: settings.priority_class_name.clone(),
        security_context: Some(pod_security(cx)),
        service_account_name: Some(role.object(cx.name)),
        termination_grace_period_seconds: Some(settings.termination_grace_period_seconds.unwrap_or(GRACE)),
        tolerations: (!settings.tolerations.is_empty()).then(|| settings.tolerations.clone()),
        topology_spread_constraints: (!settings.topology_spread_constraints.is_empty())
            .then(|| spread(cx, role, settings)),
        volumes: Some(volumes),
        ..Default::default()
    }
}

fn pod_security(cx: &Context<'_>) -> PodSecurityContext {
    let user = match cx.spec.pod_security.user {
        PodUser::Fixed => Some(USER),
        PodUser::FromNamespace => None,
    };
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: user,
        run_as_group: user,
        fs_group: user,
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
        ..Default::default()
    }
}

/// A constraint without a selector would count no pod at all.
fn spread(cx: &Context<'_>, role: Role, settings: &RoleSpec) -> Vec<TopologySpreadConstraint> {
    let own =
        || LabelSelector { match_labels: Some(names::selector_labels(cx.name, role)), ..Default::default() };
    let mut all = settings.topology_spread_constraints.clone();
    for constraint in &mut all {
        constraint.label_selector.get_or_insert_with(own);
    }
    all
}

fn process(
    cx: &Context<'_>,
    role: Role,
    settings: &RoleSpec,
    mounts: Vec<k8s_openapi::api::core::v1::VolumeMount>,
) -> Container {
    let port = |name: &str, container_port| ContainerPort {
        name: Some(name.into()),
        container_port,
        protocol: Some("TCP".into()),
        ..Default::default()
    };
    let mut ports = vec![port("qipc", cx.qipc_port(role)), port("http", cx.http_port(role))];
    if let (Role::Gateway, Some(external)) = (role, cx.spec.service.external_qipc_port) {
        ports.push(port("qipc-ext", external));
    }
    let sleep = SleepAction { seconds: LINGER };
    let pre_stop = LifecycleHandler { sleep: Some(sleep), ..Default::default() };
    let lifecycle = Lifecycle { pre_stop: Some(pre_stop), ..Default::default() };
    Container {
        name: role.short().into(),
        image: Some(image(cx, role, settings)),
        image_pull_policy: Some(
            cx.spec.image.pull_policy.map_or("IfNotPresent", |policy| policy.as_str()).into(),
        ),
        env: Some(environment(cx, role)),
        env_from: (!settings.env_from.is_empty()).then(|| settings.env_from.clone()),
        lifecycle: Some(lifecycle),
        ports: Some(ports),
        liveness_probe: Some(probe("/healthz", &settings.probes.liveness, (10, 5, 6))),
        readiness_probe: Some(probe("/readyz", &settings.probes.readiness, (2, 2, 3))),
        resources: settings.resources.clone(),
        security_context: Some(restricted()),
        // The last lines of the log say in the status why a process ended.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(mounts),
        ..Default::default()
    }
}

fn sidecar(sidecar: &Sidecar) -> Container {
    Container {
        name: "sidecar".into(),
        image: Some(sidecar.image.clone()),
        command: (!sidecar.command.is_empty()).then(|| sidecar.command.clone()),
        args: (!sidecar.args.is_empty()).then(|| sidecar.args.clone()),
        env: (!sidecar.env.is_empty()).then(|| sidecar.env.clone()),
        resources: sidecar.resources.clone(),
        security_context: Some(restricted()),
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: (!sidecar.volume_mounts.is_empty()).then(|| sidecar.volume_mounts.clone()),
        ..Default::default()
    }
}

/// What the restricted Pod Security Standard asks of a container.
fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
        read_only_root_filesystem: Some(true),
        ..Default::default()
    }
}

/// `(period, timeout, failures)` where the spec says nothing.
fn probe(path: &str, timing: &ProbeTiming, (period, timeout, failures): (i32, i32, i32)) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String("http".into()),
            ..Default::default()
        }),
        initial_delay_seconds: timing.initial_delay_seconds,
        period_seconds: Some(timing.period_seconds.unwrap_or(period)),
        timeout_seconds: Some(timing.timeout_seconds.unwrap_or(timeout)),
        failure_threshold: Some(timing.failure_threshold.unwrap_or(failures)),
        ..Default::default()
    }
}

fn image(cx: &Context<'_>, role: Role, settings: &RoleSpec) -> String {
    if let Some(whole) = &settings.image {
        return whole.clone();
    }
    let image = &cx.spec.image;
    let repository = if image.repository.is_empty() { &cx.images.repository } else { &image.repository };
    let tag = image.tag.as_ref().unwrap_or(&cx.images.tag);
    let slash = if repository.is_empty() || repository.ends_with('/') { "" } else { "/" };
    format!("{repository}{slash}{}:{tag}", role.image())
}

fn pull_secrets(cx: &Context<'_>) -> Option<Vec<LocalObjectReference>> {
    let names = match &cx.spec.image.pull_secrets {
        Some(names) => names.clone(),
        None if cx.referenced.default_pull_secret => vec![DEFAULT_PULL_SECRET.into()],
        None => return None,
    };
    (!names.is_empty()).then(|| names.into_iter().map(|name| LocalObjectReference { name }).collect())
}

/// Replicas of a role prefer different nodes, so that one lost node is not the end of all.
fn apart(cx: &Context<'_>, role: Role) -> Affinity {
    let labels = names::selector_labels(cx.name, role);
    let term = WeightedPodAffinityTerm {
        weight: 100,
        pod_affinity_term: PodAffinityTerm {
            label_selector: Some(LabelSelector { match_labels: Some(labels), ..Default::default() }),
            topology_key: "kubernetes.io/hostname".into(),
            ..Default::default()
        },
    };
    let anti = PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![term]),
        ..Default::default()
    };
    Affinity { pod_anti_affinity: Some(anti), ..Default::default() }
}

/// Of all content that a pod reads at its start: of whatever it names, and of the secret of the mesh.
fn config_hash(cx: &Context<'_>, pod: &PodSpec) -> String {
    let mut parts = BTreeMap::new();
    let named = walk(&serde_json::to_value(pod).unwrap_or_default(), "");
    for one in named.into_iter().filter(|one| one.content) {
        if let Some(hash) = cx.referenced.contents.get(&one.reference) {
            parts.insert(format!("{}/{}", one.reference.kind.as_str(), one.reference.name), hash.clone());
        }
    }
    let mut hasher = Sha256::new();
    for (name, hash) in &parts {
        hasher.update(format!("{name}={hash}\n"));
    }
    if let Some(secret) = &cx.referenced.mesh_secret {
        hasher.update(secret.file());
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
