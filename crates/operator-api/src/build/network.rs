//! NetworkPolicies: each role's pods take and start only what the protocol needs; the rest is denied.
//!
//! | from | to | why |
//! | --- | --- | --- |
//! | clients | GW qipc, http | queries |
//! | GW, Agg, data-access, RC | RC qipc | sessions, registration, the mesh of RCs |
//! | data-access, GW, RC | Agg qipc | partials, plans |
//! | Agg | GW qipc | answers |
//! | RC | data-access, any port | an RC dials the pods that it finds, on the port they declare |
//! | all | DNS; GW and RC: the API server | names; discovery by pods |

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::context::{AGG_PORT, Context, HTTP_PORT, RC_PORT};
use crate::names::{self, Role};
use crate::selector::Selector;
use crate::validate::{coordinator_selector, data_access_selector};

/// Ports an API server listens on, behind its Service and in front of it.
const API_SERVER_PORTS: [i32; 2] = [443, 6443];

pub(super) fn policies(cx: &Context<'_>) -> Vec<NetworkPolicy> {
    if !cx.spec.network_policy.enabled {
        return Vec::new();
    }
    Role::ALL.map(|role| policy(cx, role)).into()
}

fn policy(cx: &Context<'_>, role: Role) -> NetworkPolicy {
    let spec = NetworkPolicySpec {
        pod_selector: Some(match_labels(names::selector_labels(cx.name, role))),
        policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
        ingress: Some(ingress(cx, role)),
        egress: Some(egress(cx, role)),
    };
    NetworkPolicy { metadata: cx.role_meta(role), spec: Some(spec) }
}

fn ingress(cx: &Context<'_>, role: Role) -> Vec<NetworkPolicyIngressRule> {
    let rule = |from: Vec<NetworkPolicyPeer>, ports: Vec<NetworkPolicyPort>| NetworkPolicyIngressRule {
        from: (!from.is_empty()).then_some(from),
        ports: Some(ports),
    };
    let wanted = &cx.spec.network_policy;
    let service = &cx.spec.service;
    match role {
        Role::Gateway => {
            let ports = [Some(service.qipc_port), Some(service.http_port), service.external_qipc_port];
            let clients = rule(wanted.clients.clone(), ports.into_iter().flatten().map(tcp).collect());
            let answers = rule(vec![own(cx, Role::Aggregator)], vec![tcp(service.qipc_port)]);
            vec![clients, answers]
        }
        Role::Coordinator => {
            let peers =
                vec![own(cx, Role::Gateway), own(cx, Role::Aggregator), coordinators(cx), data_access(cx)];
            vec![rule(peers, vec![tcp(RC_PORT)]), rule(wanted.monitors.clone(), vec![tcp(HTTP_PORT)])]
        }
        Role::Aggregator => {
            let peers = vec![own(cx, Role::Gateway), coordinators(cx), data_access(cx)];
            vec![rule(peers, vec![tcp(AGG_PORT)]), rule(wanted.monitors.clone(), vec![tcp(HTTP_PORT)])]
        }
    }
}

fn egress(cx: &Context<'_>, role: Role) -> Vec<NetworkPolicyEgressRule> {
    let rule = |to: Vec<NetworkPolicyPeer>, ports: Vec<NetworkPolicyPort>| NetworkPolicyEgressRule {
        to: (!to.is_empty()).then_some(to),
        ports: (!ports.is_empty()).then_some(ports),
    };
    // DNS may be anywhere: on the nodes, in the cluster, outside; its port says enough.
    let mut rules = vec![rule(vec![], vec![udp(53), tcp(53)])];
    let to_coordinators = rule(vec![coordinators(cx)], vec![tcp(RC_PORT)]);
    let to_aggregators = rule(vec![own(cx, Role::Aggregator)], vec![tcp(AGG_PORT)]);
    match role {
        Role::Gateway => {
            rules.extend([to_coordinators, to_aggregators]);
            let auth = cx.spec.auth.as_ref();
            if let Some(ipc) = auth.and_then(|auth| auth.ipc.as_ref()) {
                rules.push(rule(vec![], vec![tcp(ipc.port)]));
            } else if auth.is_some() {
                // Keycloak or a web service: an address that only the URL names.
                rules.push(rule(vec![], vec![]));
            }
        }
        // A peer RC may give its Aggs and its data-access processes any port.
        Role::Coordinator => {
            rules.extend([to_coordinators, to_aggregators, rule(vec![data_access(cx)], vec![])])
        }
        Role::Aggregator => {
            let answers = rule(vec![own(cx, Role::Gateway)], vec![tcp(cx.spec.service.qipc_port)]);
            rules.extend([to_coordinators, answers]);
        }
    }
    if cx.reads_pods() && role != Role::Aggregator {
        // The API server's address is not a pod's, so no selector can name it.
        rules.push(rule(vec![], API_SERVER_PORTS.map(tcp).into()));
    }
    rules.extend(cx.spec.network_policy.extra_egress.iter().cloned());
    rules
}

fn own(cx: &Context<'_>, role: Role) -> NetworkPolicyPeer {
    peer(match_labels(names::selector_labels(cx.name, role)))
}

fn coordinators(cx: &Context<'_>) -> NetworkPolicyPeer {
    peer(selected(&coordinator_selector(cx.name, cx.spec)))
}

fn data_access(cx: &Context<'_>) -> NetworkPolicyPeer {
    peer(selected(&data_access_selector(cx.name, cx.spec)))
}

fn peer(selector: LabelSelector) -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(selector), ..Default::default() }
}

fn match_labels(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), match_expressions: None }
}

/// A text as a selector object. One that does not parse was refused before; it selects no pod here.
fn selected(text: &str) -> LabelSelector {
    let expressions = Selector::parse(text).map_or_else(
        |_| {
            vec![LabelSelectorRequirement {
                key: "qmesh.dev/none".into(),
                operator: "Exists".into(),
                values: None,
            }]
        },
        |selector| selector.expressions(),
    );
    LabelSelector { match_labels: None, match_expressions: Some(expressions) }
}

fn tcp(port: i32) -> NetworkPolicyPort {
    numbered("TCP", port)
}

fn udp(port: i32) -> NetworkPolicyPort {
    numbered("UDP", port)
}

fn numbered(protocol: &str, port: i32) -> NetworkPolicyPort {
    NetworkPolicyPort { protocol: Some(protocol.into()), port: Some(IntOrString::Int(port)), end_port: None }
}
