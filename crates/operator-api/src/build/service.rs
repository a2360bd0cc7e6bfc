//! Services: the GWs' for clients, and a headless one whose addresses are the RCs.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::context::{Context, HTTP_PORT, RC_PORT};
use crate::names::{self, Role};

fn port(name: &str, port: i32, node_port: Option<i32>) -> ServicePort {
    ServicePort {
        name: Some(name.into()),
        port,
        target_port: Some(IntOrString::String(name.into())),
        protocol: Some("TCP".into()),
        node_port,
        ..Default::default()
    }
}

pub(super) fn gateway(cx: &Context<'_>) -> Service {
    let service = &cx.spec.service;
    let mut ports = vec![
        port("qipc", service.qipc_port, service.qipc_node_port),
        port("http", service.http_port, service.http_node_port),
    ];
    ports.extend(service.external_qipc_port.map(|external| port("qipc-ext", external, None)));
    let mut metadata = cx.role_meta(Role::Gateway);
    let labels = service.labels.clone();
    // Ours last: they are what the operator finds its children by.
    metadata.labels = Some(labels.into_iter().chain(metadata.labels.unwrap_or_default()).collect());
    metadata.annotations = (!service.annotations.is_empty()).then(|| service.annotations.clone());
    let spec = ServiceSpec {
        type_: Some(service.kind.as_str().into()),
        selector: Some(names::selector_labels(cx.name, Role::Gateway)),
        ports: Some(ports),
        ..Default::default()
    };
    Service { metadata, spec: Some(spec), status: None }
}

pub(super) fn coordinator(cx: &Context<'_>) -> Service {
    let spec = ServiceSpec {
        cluster_ip: Some("None".into()),
        selector: Some(names::selector_labels(cx.name, Role::Coordinator)),
        // An RC is ready when its peers were tried; those peers must be able to find it before.
        publish_not_ready_addresses: Some(true),
        ports: Some(vec![port("qipc", RC_PORT, None), port("http", HTTP_PORT, None)]),
        ..Default::default()
    };
    Service { metadata: cx.role_meta(Role::Coordinator), spec: Some(spec), status: None }
}
