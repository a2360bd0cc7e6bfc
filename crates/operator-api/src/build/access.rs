//! Who the pods are and what they may do: accounts, the right to read pods, the secret of the mesh.

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role as RbacRole, RoleBinding, RoleRef, Subject};

use super::context::Context;
use crate::names::{self, Role};

/// The roles that look for pods.
const READERS: [Role; 2] = [Role::Gateway, Role::Coordinator];

pub(super) fn service_account(cx: &Context<'_>, role: Role) -> ServiceAccount {
    // A token is mounted by the pods that need one, see the Deployment.
    ServiceAccount {
        metadata: cx.role_meta(role),
        automount_service_account_token: Some(false),
        ..Default::default()
    }
}

pub(super) fn role(cx: &Context<'_>) -> Option<RbacRole> {
    let text = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    cx.reads_pods().then(|| RbacRole {
        metadata: cx.common_meta(names::pod_reader(cx.name)),
        rules: Some(vec![PolicyRule {
            api_groups: Some(text(&[""])),
            resources: Some(text(&["pods"])),
            verbs: text(&["get", "list", "watch"]),
            ..Default::default()
        }]),
    })
}

pub(super) fn role_binding(cx: &Context<'_>) -> Option<RoleBinding> {
    let metadata = cx.common_meta(names::pod_reader(cx.name));
    let subjects = READERS.map(|role| Subject {
        kind: "ServiceAccount".into(),
        name: role.object(cx.name),
        namespace: metadata.namespace.clone(),
        api_group: None,
    });
    cx.reads_pods().then(|| RoleBinding {
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".into(),
            kind: "Role".into(),
            name: names::pod_reader(cx.name),
        },
        subjects: Some(subjects.into()),
        metadata,
    })
}

pub(super) fn mesh_secret(cx: &Context<'_>) -> Option<Secret> {
    let (data, annotations) = cx.referenced.mesh_secret.as_ref()?.write();
    let mut metadata = cx.common_meta(names::mesh_secret(cx.name));
    metadata.annotations = Some(annotations);
    Some(Secret { metadata, data: Some(data), type_: Some("Opaque".into()), ..Default::default() })
}
