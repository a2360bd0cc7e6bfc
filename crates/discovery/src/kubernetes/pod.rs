//! What is read of a pod, and the endpoint it makes.
//!
//! Only the fields below are ever parsed into memory; the rest of a pod, `managedFields` above all, is
//! skipped over as the JSON is read.
//!
//! | question | rule |
//! | --- | --- |
//! | which port | the container port named `qipc`, else the first TCP port of the last container that is not a sidecar |
//! | which container is a sidecar | named `sidecar` or `kxi-sidecar`, or listed in the annotation `qmesh.dev/sidecars` |
//! | is it dialled | it has an IP, its condition `Ready` is true, it is not being deleted, it has not ended |
//!
//! Tests: here.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use serde::Deserialize;

use crate::endpoint::{Endpoint, Found, Skip};

/// Container names that are sidecars everywhere.
pub const SIDECARS: [&str; 2] = ["sidecar", "kxi-sidecar"];
/// Annotation that names further ones: a comma list.
pub const SIDECARS_ANNOTATION: &str = "qmesh.dev/sidecars";
/// Name of the container port that is dialled.
pub const PORT_NAME: &str = "qipc";

/// The fields of a pod that are used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// identity
    pub metadata: Metadata,
    /// containers
    pub spec: Spec,
    /// state
    pub status: Status,
}

/// See [`Pod`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// name
    pub name: String,
    /// unique over time
    pub uid: String,
    /// version of the object
    pub resource_version: String,
    /// set while it is being deleted
    pub deletion_timestamp: Option<String>,
    /// labels
    pub labels: HashMap<String, String>,
    /// annotations
    pub annotations: Annotations,
}

/// The annotation that is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Annotations {
    /// see [`SIDECARS_ANNOTATION`]
    #[serde(rename = "qmesh.dev/sidecars")]
    pub sidecars: Option<String>,
}

/// See [`Pod`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// containers, in order
    pub containers: Vec<Container>,
}

/// See [`Pod`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    /// name
    pub name: String,
    /// ports
    pub ports: Vec<Port>,
}

/// See [`Pod`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Port {
    /// name
    pub name: Option<String>,
    /// number
    pub container_port: u16,
    /// TCP where not said
    pub protocol: Option<String>,
}

/// See [`Pod`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    /// Pending, Running, Succeeded, Failed
    pub phase: Option<String>,
    /// address
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    /// conditions
    pub conditions: Vec<Condition>,
}

/// See [`Pod`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// its name
    #[serde(rename = "type")]
    pub kind: String,
    /// True, False, Unknown
    pub status: String,
}

impl Pod {
    /// What a source keeps of it. `assembly_key` is the label that ties a pod to an assembly.
    pub fn found(&self, assembly_key: &str) -> Found {
        let key: Arc<str> = self.metadata.uid.as_str().into();
        Found { what: self.endpoint(&key, assembly_key), key }
    }

    fn endpoint(&self, key: &Arc<str>, assembly_key: &str) -> Result<Endpoint, Skip> {
        let Metadata { name, deletion_timestamp, labels, .. } = &self.metadata;
        if deletion_timestamp.is_some() {
            return Err(Skip::Terminating);
        }
        if matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed")) {
            return Err(Skip::Finished);
        }
        let ip = self.status.pod_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
        let ip = ip.ok_or(Skip::NoAddress)?;
        let port = self.port().ok_or(Skip::NoPort)?;
        let ready = self.status.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True");
        Ok(Endpoint {
            key: key.clone(),
            name: name.as_str().into(),
            addr: SocketAddr::new(ip, port),
            ready,
            assembly: labels.get(assembly_key).map(|a| Arc::from(a.as_str())),
        })
    }

    fn port(&self) -> Option<u16> {
        let named = self.spec.containers.iter().flat_map(|c| &c.ports);
        if let Some(port) = named.filter(|p| p.is_tcp()).find(|p| p.name.as_deref() == Some(PORT_NAME)) {
            return Some(port.container_port);
        }
        let declared: Vec<&str> =
            self.metadata.annotations.sidecars.as_deref().unwrap_or("").split(',').map(str::trim).collect();
        let is_sidecar =
            |c: &Container| SIDECARS.contains(&c.name.as_str()) || declared.contains(&c.name.as_str());
        let main = self.spec.containers.iter().rev().find(|c| !is_sidecar(c))?;
        main.ports.iter().find(|p| p.is_tcp()).map(|p| p.container_port)
    }
}

impl Port {
    fn is_tcp(&self) -> bool {
        self.container_port != 0 && self.protocol.as_deref().is_none_or(|p| p == "TCP")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(metadata: Value, containers: Value, status: Value) -> Result<Endpoint, Skip> {
        let text =
            json!({"metadata": metadata, "spec": {"containers": containers}, "status": status}).to_string();
        let pod: Pod = serde_json::from_str(&text).expect("a pod of the test");
        pod.found("insights.kx.com/app").what
    }

    fn running(containers: Value) -> Result<Endpoint, Skip> {
        let status = json!({"phase": "Running", "podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": "True"}]});
        pod(json!({"name": "rc-0", "uid": "u-1"}), containers, status)
    }

    fn port(containers: Value) -> Result<u16, Skip> {
        running(containers).map(|e| e.addr.port())
    }

    #[test]
    fn the_port_named_qipc_is_taken_wherever_it_is() {
        let containers = json!([
            {"name": "rc", "ports": [{"containerPort": 8081, "name": "http"}, {"containerPort": 5050, "name": "qipc"}]},
            {"name": "other", "ports": [{"containerPort": 9000}]},
        ]);
        assert_eq!(port(containers), Ok(5050));
    }

    #[test]
    fn else_the_first_tcp_port_of_the_last_container_that_is_no_sidecar() {
        let containers = json!([
            {"name": "init-like", "ports": [{"containerPort": 1}]},
            {"name": "rc", "ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 5050, "protocol": "TCP"}, {"containerPort": 6}]},
            {"name": "kxi-sidecar", "ports": [{"containerPort": 8080}]},
            {"name": "sidecar", "ports": [{"containerPort": 8081}]},
        ]);
        assert_eq!(port(containers), Ok(5050));
    }

    #[test]
    fn an_annotation_names_further_sidecars() {
        let containers = json!([
            {"name": "rc", "ports": [{"containerPort": 5050}]},
            {"name": "envoy", "ports": [{"containerPort": 15001}]},
        ]);
        assert_eq!(port(containers.clone()), Ok(15001));
        let metadata =
            json!({"name": "rc-0", "uid": "u", "annotations": {"qmesh.dev/sidecars": "vault, envoy"}});
        let found = pod(metadata, containers, json!({"podIP": "10.0.0.7"}));
        assert_eq!(found.map(|e| e.addr.port()), Ok(5050));
    }

    #[test]
    fn a_pod_that_cannot_be_dialled_says_why() {
        let container = json!([{"name": "rc", "ports": [{"containerPort": 5050}]}]);
        let meta = || json!({"name": "rc-0", "uid": "u"});
        let of = |metadata, status| pod(metadata, container.clone(), status).map(|_| ());
        assert_eq!(of(meta(), json!({"phase": "Pending"})), Err(Skip::NoAddress));
        assert_eq!(of(meta(), json!({"podIP": "no address"})), Err(Skip::NoAddress));
        assert_eq!(of(meta(), json!({"phase": "Failed", "podIP": "10.0.0.7"})), Err(Skip::Finished));
        let terminating = json!({"uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert_eq!(of(terminating, json!({"podIP": "10.0.0.7"})), Err(Skip::Terminating));
        assert_eq!(port(json!([{"name": "rc"}])), Err(Skip::NoPort));
        assert_eq!(port(json!([{"name": "sidecar", "ports": [{"containerPort": 1}]}])), Err(Skip::NoPort));
    }

    #[test]
    fn a_pod_that_is_not_ready_is_an_endpoint_that_is_not_ready() {
        let container = json!([{"name": "rc", "ports": [{"containerPort": 5050}]}]);
        let status = json!({"podIP": "fd00::7", "conditions": [{"type": "Ready", "status": "False"}]});
        let metadata = json!({"name": "rc-0", "uid": "u", "labels": {"insights.kx.com/app": "trades"}});
        let found = pod(metadata, container, status).expect("an endpoint");
        assert_eq!((found.ready, found.addr.to_string().as_str()), (false, "[fd00::7]:5050"));
        assert_eq!(found.assembly.as_deref(), Some("trades"));
    }
}
