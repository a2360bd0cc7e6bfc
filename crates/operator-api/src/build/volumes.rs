//! Volumes of the pods, and the paths seen by the processes.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, ImageVolumeSource, PersistentVolumeClaimVolumeSource,
    SecretVolumeSource, Volume, VolumeMount,
};

use super::context::Context;
use crate::mesh_secret::FILE_KEY;
use crate::names::{self, Role};
use crate::spec::PodUser;

const TMP: &str = "/tmp";
const MESH: &str = "/etc/qmesh/mesh";
const CUSTOM: &str = "/opt/kx/custom";
const OIDC: &str = "/etc/qmesh/oidc";
const KEYSTORE: &str = "/etc/qmesh/keystore";

pub(super) fn mesh_secret_file() -> String {
    format!("{MESH}/{FILE_KEY}")
}

/// The q file of the Aggs.
pub(super) fn custom_file(cx: &Context<'_>) -> Option<String> {
    let code = cx.spec.custom_code.as_ref()?;
    let file = code
        .config_map
        .as_ref()
        .map(|config_map| &config_map.key)
        .or(code.claim.as_ref().map(|claim| &claim.path))
        .or(code.image.as_ref().map(|image| &image.path))?;
    Some(format!("{CUSTOM}/{file}"))
}

/// Keycloak's endpoints.
pub(super) fn oidc_file(cx: &Context<'_>) -> Option<String> {
    let keycloak = cx.spec.auth.as_ref()?.keycloak.as_ref()?;
    Some(format!("{OIDC}/{}", keycloak.key))
}

/// The key store of the external port, and the file with its password.
pub(super) fn keystore_files(cx: &Context<'_>) -> Option<(String, String)> {
    let tls = cx.spec.tls.as_ref()?;
    Some((format!("{KEYSTORE}/{}", tls.keystore_key), format!("{KEYSTORE}/{}", tls.password_key)))
}

/// The volumes of a role with their mounts.
pub(super) fn volumes(cx: &Context<'_>, role: Role) -> (Vec<Volume>, Vec<VolumeMount>) {
    // The root file system is read-only: this is what there is to write to.
    let tmp = Volume { empty_dir: Some(EmptyDirVolumeSource::default()), ..named("tmp") };
    let mut all = vec![(tmp, TMP, false)];
    if cx.referenced.mesh_secret.is_some() {
        let source = SecretVolumeSource {
            secret_name: Some(names::mesh_secret(cx.name)),
            default_mode: Some(secret_mode(cx)),
            ..Default::default()
        };
        all.push((Volume { secret: Some(source), ..named("mesh-secret") }, MESH, true));
    }
    match role {
        Role::Gateway => {
            if let Some(keycloak) = cx.spec.auth.as_ref().and_then(|auth| auth.keycloak.as_ref()) {
                let name = keycloak.config_map_name.clone();
                let source = ConfigMapVolumeSource { name, ..Default::default() };
                all.push((Volume { config_map: Some(source), ..named("oidc") }, OIDC, true));
            }
            if let Some(tls) = &cx.spec.tls {
                let source = SecretVolumeSource {
                    secret_name: Some(tls.secret_name.clone()),
                    default_mode: Some(secret_mode(cx)),
                    ..Default::default()
                };
                all.push((Volume { secret: Some(source), ..named("keystore") }, KEYSTORE, true));
            }
        }
        Role::Coordinator => {}
        Role::Aggregator => all.extend(custom_code(cx).map(|volume| (volume, CUSTOM, true))),
    }
    let mounts = all.iter().map(|(volume, path, read_only)| VolumeMount {
        name: volume.name.clone(),
        mount_path: (*path).into(),
        read_only: read_only.then_some(true),
        ..Default::default()
    });
    let settings = cx.spec.role(role);
    let mounts = mounts.chain(settings.extra_volume_mounts.iter().cloned()).collect();
    let volumes = all.into_iter().map(|(volume, ..)| volume).chain(settings.extra_volumes.iter().cloned());
    (volumes.collect(), mounts)
}

/// Readable by the group that the pod runs as, and by nobody else. Where that group is unknown here, by all of the
/// pod's containers that mount it.
fn secret_mode(cx: &Context<'_>) -> i32 {
    match cx.spec.pod_security.user {
        PodUser::Fixed => 0o440,
        PodUser::FromNamespace => 0o444,
    }
}

fn custom_code(cx: &Context<'_>) -> Option<Volume> {
    let code = cx.spec.custom_code.as_ref()?;
    let mut volume = named("custom-code");
    if let Some(config_map) = &code.config_map {
        let name = config_map.name.clone();
        volume.config_map = Some(ConfigMapVolumeSource { name, ..Default::default() });
    } else if let Some(claim) = &code.claim {
        let claim_name = claim.name.clone();
        volume.persistent_volume_claim =
            Some(PersistentVolumeClaimVolumeSource { claim_name, read_only: Some(true) });
    } else if let Some(image) = &code.image {
        let pull_policy = cx.spec.image.pull_policy.map(|policy| policy.as_str().into());
        volume.image = Some(ImageVolumeSource { reference: Some(image.reference.clone()), pull_policy });
    }
    Some(volume)
}

fn named(name: &str) -> Volume {
    Volume { name: name.into(), ..Default::default() }
}
