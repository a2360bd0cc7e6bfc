//! Roles and pods, and why a pod is not ready: asked of the pods' own `http` port through the API server.

use k8s_openapi::api::core::v1::Pod;
use operator_api::names::{self, Role};
use operator_api::pod_trouble;
use operator_api::validate::data_access_selector;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::out::say;

/// Print it. True where the gateway is available.
pub(crate) async fn run(cluster: &Cluster, name: &str) -> Result<bool, Error> {
    let gateway = cluster.gateway(name).await?;
    let status = gateway.status.clone().unwrap_or_default();
    say!(
        "ServiceGateway {}/{name}  {}",
        cluster.namespace,
        status.endpoint.as_deref().unwrap_or("no endpoint yet")
    );
    if status.observed_generation != gateway.metadata.generation {
        say!("  the operator has not seen the latest change yet");
    }
    for condition in &status.conditions {
        let message = if condition.message.is_empty() { &condition.reason } else { &condition.message };
        say!("  {:<12} {:<6} {message}", condition.type_, condition.status);
    }
    for role in Role::ALL {
        let counts = match role {
            Role::Gateway => &status.gateway,
            Role::Coordinator => &status.coordinator,
            Role::Aggregator => &status.aggregator,
        };
        let counts = counts.as_ref().map_or("?", |counts| counts.summary.as_str());
        say!("{} {counts}", role.field());
        let selector = names::selector_text(&names::selector_labels(name, role));
        pods(cluster, &selector).await?;
    }
    let selector = data_access_selector(name, &gateway.spec);
    say!("data access ({selector})");
    pods(cluster, &selector).await?;
    Ok(status.conditions.iter().any(|one| one.type_ == "Available" && one.status == "True"))
}

async fn pods(cluster: &Cluster, selector: &str) -> Result<(), Error> {
    let all = cluster.pods(selector).await?;
    if all.is_empty() {
        say!("  no pods");
    }
    for pod in all {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let seen = Seen::of(&pod);
        say!("  {name}  {}  {}", if seen.ready { "ready" } else { "not ready" }, seen.state);
        if !seen.running {
            continue;
        }
        // The process's own report. A process without an answer costs a line, not the command.
        match cluster.page(&name, seen.http, "/readyz?verbose").await {
            Ok(text) => text.lines().skip(1).for_each(|line| say!("    {line}")),
            Err(Error::Api { source, .. }) => match source.as_ref() {
                kube::Error::Api(status) => {
                    status.message.lines().skip(1).for_each(|line| say!("    {line}"));
                }
                other => say!("    cannot be asked: {other}"),
            },
            Err(error) => say!("    cannot be asked: {error}"),
        }
    }
    Ok(())
}

struct Seen {
    ready: bool,
    running: bool,
    state: String,
    http: i32,
}

impl Seen {
    fn of(pod: &Pod) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let ready =
            status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
        let containers = status.container_statuses.unwrap_or_default();
        let restarts: i32 = containers.iter().map(|container| container.restart_count).sum();
        let phase = status.phase.unwrap_or_default();
        let mut state = pod_trouble::trouble(pod).unwrap_or_else(|| phase.clone());
        if restarts > 0 {
            state.push_str(&format!(", {restarts} restarts"));
        }
        let ports =
            pod.spec.iter().flat_map(|spec| &spec.containers).flat_map(|one| one.ports.iter().flatten());
        let http =
            ports.filter(|port| port.name.as_deref() == Some("http")).map(|port| port.container_port).next();
        let running =
            containers.iter().any(|one| one.state.as_ref().is_some_and(|state| state.running.is_some()));
        Self { ready, running, state, http: http.unwrap_or(8081) }
    }
}
